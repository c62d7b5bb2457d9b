//! Reading estates: Git revisions, and files that nobody can write on purpose.

mod properties;
mod revision;
mod unusual;

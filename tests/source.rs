//! Reading estates: golden cases, Git revisions, and files that nobody can write on purpose.

#[path = "source/golden.rs"]
mod golden;
#[path = "source/properties.rs"]
mod properties;
#[path = "source/revision.rs"]
mod revision;
#[path = "source/unusual.rs"]
mod unusual;

//! An estate's files → documents with positions, schema-checked.
//!
//! Flow: `load` lists the files of a directory or of a Git revision, reads `tenantry.toml`, reads and checks the other files on
//! all cores, and joins what they hold. One file is: bytes → text (`text`) → trees (`yaml`, `toml`) → checks (`document`,
//! `schema`) → types. Checks over several documents come at the end (`estate`).
//!
//! Guaranteed: no file makes it panic, overflow the stack or take memory out of proportion to its size; the problems of
//! all files (of each the first two hundred) are reported at once, each with its place and a remedy; the order never
//! depends on the number of cores.

mod blame;
mod checkout;
pub mod commit;
mod config;
mod contents;
mod directory;
mod document;
pub mod edit;
mod estate;
pub mod event;
mod listing;
mod load;
mod manifests;
mod node;
mod offsets;
pub mod reference;
mod repository;
mod revision;
mod scalar;
mod scalars;
mod schema;
pub mod schemas;
mod spelling;
mod substitute;
mod targets;
mod text;
mod toml;
mod wanted;
mod words;
mod yaml;

pub use blame::{Blame, Commit};
pub use load::{Loaded, Options, Place, load, of_texts};
pub use manifests::{Manifest, Manifests, manifests};
pub use revision::left;
pub use targets::TargetForms;

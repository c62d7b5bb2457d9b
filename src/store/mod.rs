//! Tenantry's own record: journal, inventory, locks.
//!
//! ```text
//! Store (contract) ── store ──┬─ writer      one task: every waiting request in one transaction
//!                             ├─ locks       who may write
//!                             ├─ changes     what a transaction leaves in the tables (pure)
//!                             ├─ journal     entries and their hash chain (pure)
//!                             ├─ inventory   what was applied, packed for loading (pure)
//!                             ├─ records     everything that one scope holds: for exports, imports and migrations
//!                             ├─ rows        the tables, and how many rows are written as one statement (pure)
//!                             ├─ export      records as a file
//!                             ├─ migration   whose the records of an earlier format are (pure)
//!                             └─ connection  SQLite or PostgreSQL, the same statements for both
//! ```
//!
//! Both databases run the same statements ([`statements`]); [`sqlite`] and [`postgres`] only open, create and migrate
//! ([`formats`]).

mod changes;
mod connection;
pub mod contract;
mod export;
mod formats;
// In no release build, whatever features it asks for: a variable of the environment must not stop an apply half-way.
#[cfg(all(feature = "test-hooks", debug_assertions))]
pub mod halt;
mod inventory;
mod journal;
mod locks;
mod migration;
mod postgres;
mod records;
mod recovery;
mod rows;
mod sqlite;
mod statements;
mod store;
#[cfg(test)]
mod tests;
mod writer;

pub use records::Records;
pub use store::{PostgresStore, SqliteStore};

/// What a store is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// Nothing is created, migrated or written. A store that does not exist yet is an empty one.
    ReadOnly,
    /// The store is created or brought to the current format where necessary.
    ReadWrite,
}

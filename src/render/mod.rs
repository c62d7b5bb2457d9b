//! Data → text for people and machines. Writes to whatever it is given; knows `core` only.
//!
//! ```text
//! visible shows characters that act on a terminal page output for people style the one table of colours json where documents
//! go that programs read
//! ```
//!
//! Everything that a command prints goes through [`page`] or [`json`], so that names and messages of servers cannot control the
//! terminal.

pub mod diagnostics;
pub mod hindrance;
pub mod json;
pub mod outcome;
pub mod page;
pub mod plan;
pub mod reason;
pub mod style;
pub mod visible;
pub mod words;

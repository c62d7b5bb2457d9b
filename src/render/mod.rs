//! Data → text for people and machines. Writes to whatever it is given; knows `core` only.
//!
//! ```text
//! visible   what no text may do to its reader         page   where lines go that people read
//! style     the one table of colours                  json   where documents go that programs read
//! plan      what is said of a plan, and its renderers  drift  the same of drift
//! ```
//!
//! Everything that a command prints goes through [`page`] or [`json`], so that names and messages of servers cannot control the
//! terminal.

pub mod diagnostics;
pub mod difference;
pub mod drift;
pub mod explain;
pub mod hindrance;
pub mod issues;
pub mod json;
pub mod junit;
pub mod markdown;
pub mod outcome;
pub mod page;
pub mod plan;
pub mod reason;
pub mod style;
pub mod visible;
pub mod words;

//! Data → text for people and machines. Writes to whatever it is given; knows `core` only.

pub mod diagnostics;
pub mod plan;
pub mod reason;
pub mod style;
pub mod words;

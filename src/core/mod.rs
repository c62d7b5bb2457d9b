//! The pure rooms: no IO, no clock, no randomness. Time and secrets' hashes come in as arguments.

pub mod diagnostics;
pub mod model;

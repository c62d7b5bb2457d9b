//! The pure rooms: no IO, no clock, no randomness. Time and secrets' hashes come in as arguments.

pub mod changed;
pub mod channel;
pub mod collections;
pub mod desired;
pub mod diagnostics;
pub mod diff;
pub mod drift;
pub mod expression;
pub mod fingerprint;
#[cfg(test)]
mod fixture;
pub mod import;
pub mod lifecycle;
pub mod model;
pub mod outcome;
pub mod ownership;
pub mod plan;
pub mod policy;
pub mod rebuild;
pub mod reference;
pub mod resolve;
pub mod rules;
pub mod yaml;

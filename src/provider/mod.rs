//! The contract that every provider keeps, and the suite that holds them to it.

pub mod conformance;
pub mod contract;
pub mod descriptions;
pub mod notices;
pub mod timeouts;

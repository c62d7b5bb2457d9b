//! Secrets: generated once, kept in one store, only referred to elsewhere.

pub mod contract;

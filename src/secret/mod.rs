//! Secrets: generated once, kept in one store, only referred to elsewhere.
//!
//! [`mod@generate`] generates them, [`age_file`] stores them, [`hash`] detects changes without knowing them, and [`mask`] keeps
//! them out of texts that others wrote.

#[cfg(feature = "age")]
pub mod age_file;
pub mod contract;
pub mod generate;
pub mod hash;
pub mod mask;

#[cfg(feature = "age")]
pub use age_file::{AgeFile, new_identity};
pub use generate::{Alphabet, generate};
pub use hash::keyed_hash;
pub use mask::Masker;

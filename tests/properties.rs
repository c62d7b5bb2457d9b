//! What Tenantry promises, on estates, edits and accidents that nobody thought of.
//!
//! Estates are drawn ([`model`]), written to a folder and applied to a sandbox ([`bed`]). Failing cases are kept beside the
//! tests and run first.

#![allow(
    clippy::pedantic,
    clippy::disallowed_methods,
    reason = "a test may be terse, and asks the environment how long to go on"
)]

mod bank;
mod bed;
mod edits;
mod model;
mod plans;
mod runs;
mod saved;

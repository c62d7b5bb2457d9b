//! What Tenantry promises, on estates, edits and accidents that nobody thought of.
//!
//! Estates are drawn ([`model`]), written to a folder and applied to a sandbox ([`bed`]). Failing cases are kept beside the
//! tests and run first.

#![allow(
    clippy::pedantic,
    clippy::disallowed_methods,
    reason = "a test may be terse, and asks the environment how long to go on"
)]

#[path = "properties/bank.rs"]
mod bank;
#[path = "properties/bed.rs"]
mod bed;
#[path = "properties/edits.rs"]
mod edits;
#[path = "properties/model.rs"]
mod model;
#[path = "properties/plans.rs"]
mod plans;
#[path = "properties/runs.rs"]
mod runs;
#[path = "properties/saved.rs"]
mod saved;

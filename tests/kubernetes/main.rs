//! The Kubernetes provider against a real API server.

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "other providers' tests use the rest")]
mod support;

mod deletion;
mod drift;
mod estate;
mod faults;
mod import;
mod reading;
mod secrets;
mod writing;

//! The Kubernetes provider against a real API server.

mod defaults;
mod deletion;
mod drift;
mod estate;
mod faults;
mod given_up;
mod import;
mod proven;
mod reading;
mod secrets;
mod writing;

//! The Kubernetes provider against a real API server.

mod deletion;
mod drift;
mod estate;
mod faults;
mod import;
mod reading;
mod secrets;
mod writing;

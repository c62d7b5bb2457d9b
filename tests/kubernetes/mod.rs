//! The Kubernetes provider against a real API server.

mod defaults;
mod deletion;
mod drift;
mod estate;
mod faults;
mod gentle;
mod given_up;
mod import;
mod keyed;
mod proven;
mod reading;
mod refused;
mod secrets;
mod writing;

//! What goes wrong in the sandbox, and when.

use std::sync::Arc;

use tenantry_provider::contract::ErrorClass;

/// What is about to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation<'a> {
    /// Reading all resources of a kind.
    Read { target: &'a str, kind: &'a str },
    /// Writing a batch.
    Write { target: &'a str, first_identity: &'a str },
}

/// What becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// It fails before anything is done.
    Fail(ErrorClass, Arc<str>),
    /// It is done, and the answer is lost.
    LoseAnswer(ErrorClass, Arc<str>),
}

/// A schedule of faults.
pub trait Faults: Send + Sync {
    fn next(&self, operation: Operation<'_>) -> Fault;
}

/// Nothing goes wrong.
pub struct NoFaults;

impl Faults for NoFaults {
    fn next(&self, _: Operation<'_>) -> Fault {
        Fault::None
    }
}

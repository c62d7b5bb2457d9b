//! How long a target may take.
//!
//! A server that accepts a connection and never answers must not hold a run: what is waited for has an end, and what was asked
//! is *unknown* then. Every provider takes these from its [`Settings`](crate::contract::Settings).

use std::time::Duration;

use tenantry_core::model::config::TimeoutsTable;

/// How long a target may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until there is a connection.
    pub connect: Duration,
    /// Until the next byte of an answer.
    pub idle: Duration,
    /// One request, or one statement that reads, until its answer is whole.
    pub request: Duration,
    /// One batch of statements that write.
    pub write: Duration,
    /// Everything that is read of the target at one time.
    pub read: Duration,
}

impl From<TimeoutsTable> for Timeouts {
    fn from(table: TimeoutsTable) -> Self {
        let TimeoutsTable { connect_seconds, idle_seconds, request_seconds, write_seconds, read_seconds } = table;
        let seconds = |number: u32| Duration::from_secs(number.into());
        Self {
            connect: seconds(connect_seconds),
            idle: seconds(idle_seconds),
            request: seconds(request_seconds),
            write: seconds(write_seconds),
            read: seconds(read_seconds),
        }
    }
}

/// What counts where a target's table says nothing.
impl Default for Timeouts {
    fn default() -> Self {
        TimeoutsTable::default().into()
    }
}

/// A duration in words, such as `30 s`.
pub fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}

//! Requests that got no answer that can be used, and what that says about whether they were carried out.

use std::time::Duration;

use reqwest::StatusCode;

use super::body::MOST_BYTES;
use super::tls;
use tenantry_provider::contract::ErrorClass;
use tenantry_provider::timeouts::seconds;

/// A request that got no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// There was no connection, so that nothing was sent.
    #[error("no connection: {0}")]
    Unreachable(String),
    /// It was sent, at least in part, and no answer came.
    #[error("the connection ended before an answer came: {0}")]
    Unanswered(String),
    /// An answer began.
    #[error("the answer broke off: {cause}")]
    Interrupted { status: StatusCode, cause: String },
    #[error("{}", late(*.within, *.phase))]
    Late { within: Duration, phase: Phase },
    #[error(transparent)]
    Certificate(tls::Unverified),
    #[error("the answer is longer than {most} bytes")]
    TooLong { status: StatusCode, most: usize },
    #[error("the server redirects to {0}, to which credentials must not be sent")]
    Redirected(String),
    #[error("too many redirects, or a redirect of a write request")]
    Redirecting,
    #[error("the server asks to slow down")]
    Throttled { retry_after: Option<Duration> },
    #[error("{0}")]
    Settings(String),
}

/// How far a request had come when its time was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Connecting,
    /// It was sent, and nothing came back.
    Waiting,
    /// An answer had begun, with this status.
    Reading(StatusCode),
}

fn late(within: Duration, phase: Phase) -> String {
    let within = seconds(within);
    match phase {
        Phase::Connecting => format!("no connection within {within}"),
        Phase::Waiting => format!("no answer within {within}"),
        Phase::Reading(_) => format!("no complete answer within {within}"),
    }
}

impl Failure {
    /// What the failure means for the next try.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Unreachable(_) | Self::Unanswered(_) | Self::Interrupted { .. } | Self::Late { .. } => {
                ErrorClass::Retryable
            }
            Self::Throttled { retry_after } => ErrorClass::Throttled { retry_after: *retry_after },
            Self::Certificate(_)
            | Self::TooLong { .. }
            | Self::Redirected(_)
            | Self::Redirecting
            | Self::Settings(_) => ErrorClass::Fatal,
        }
    }

    /// Whether the server may have carried the request out all the same.
    pub fn is_in_doubt(&self) -> bool {
        match self {
            Self::Unanswered(_) => true,
            Self::Interrupted { status, .. } | Self::TooLong { status, .. } => may_be_done(*status),
            Self::Late { phase, .. } => match phase {
                Phase::Connecting => false,
                Phase::Waiting => true,
                Phase::Reading(status) => may_be_done(*status),
            },
            Self::Unreachable(_)
            | Self::Certificate(_)
            | Self::Redirected(_)
            | Self::Redirecting
            | Self::Throttled { .. }
            | Self::Settings(_) => false,
        }
    }

    /// What the user can do about it, where that is known.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Certificate(unverified) => Some(unverified.remedy()),
            Self::Redirected(_) => Some("write the final address into the target's `url`"),
            Self::TooLong { most: MOST_BYTES, .. } => Some("use a smaller page size"),
            Self::Late { .. } => Some(
                "check the target's address and that it is healthy; allow more time with `timeouts` in the target's table",
            ),
            _ => None,
        }
    }
}

/// Whether an answer with this status says, or leaves open, that the request was carried out. A server that fails (5xx) may
/// have done so after it did what was asked; one that refuses (4xx), or does not know how (501), has done nothing.
pub fn may_be_done(status: StatusCode) -> bool {
    status.is_success() || (status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_have_been_carried_out_is_in_doubt() {
        let within = Duration::from_millis(1500);
        let interrupted = |status| Failure::Interrupted { status, cause: "end of file".to_owned() };
        for (failure, in_doubt) in [
            (Failure::Unreachable("connection refused".into()), false),
            (Failure::Unanswered("end of file".into()), true),
            (interrupted(StatusCode::CREATED), true),
            (interrupted(StatusCode::BAD_GATEWAY), true),
            (interrupted(StatusCode::FORBIDDEN), false),
            (interrupted(StatusCode::NOT_IMPLEMENTED), false),
            (Failure::Late { within, phase: Phase::Connecting }, false),
            (Failure::Late { within, phase: Phase::Waiting }, true),
            (Failure::Late { within, phase: Phase::Reading(StatusCode::OK) }, true),
            (Failure::Throttled { retry_after: None }, false),
        ] {
            assert_eq!(failure.is_in_doubt(), in_doubt, "{failure:?}");
        }
    }

    #[test]
    fn a_request_that_is_late_says_by_how_much() {
        let late =
            |milliseconds, phase| Failure::Late { within: Duration::from_millis(milliseconds), phase }.to_string();
        assert_eq!(late(30_000, Phase::Waiting), "no answer within 30 s");
        assert_eq!(late(250, Phase::Connecting), "no connection within 0.25 s");
        assert_eq!(late(1_000, Phase::Reading(StatusCode::OK)), "no complete answer within 1 s");
    }
}

//! Requests that did not do what they were for.

use std::borrow::Cow;
use std::sync::Arc;

pub use tenantry_kit::Failed;
use tenantry_kit::Obstacle;
use tenantry_provider::contract::{ErrorClass, masked};
use tenantry_transport::{StatusCode, may_be_done};

/// A request that did not do what it was for.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Transport(#[from] tenantry_transport::Failure),
    #[error("{} (status {status})", brief(message))]
    Refused { status: u16, message: String },
    #[error("{0}")]
    Unreadable(String),
    #[error(transparent)]
    Obstacle(#[from] Obstacle),
    #[error("the operation failed: {}", brief(.0))]
    Operation(String),
    /// It was sent once, nobody knows what came of it, and it must not be sent again.
    #[error(
        "an earlier request to create it got no clear answer, and the object is not found; the request is not sent again, because it may have been carried out and the definition has no `idempotencyKey`"
    )]
    Unsettled,
}

/// An API's own words, as long as a message should be.
fn brief(message: &str) -> String {
    message.chars().take(500).collect()
}

impl Failure {
    /// Without secrets, should the API have quoted one: covered while it is whole, before anything is cut short.
    #[must_use]
    pub fn masked(self, secrets: &[Arc<str>]) -> Self {
        let cover = |text: String| masked(&text, secrets.iter().cloned());
        match self {
            Self::Transport(failure) => Self::Transport(failure),
            Self::Refused { status, message } => Self::Refused { status, message: cover(message) },
            Self::Unreadable(message) => Self::Unreadable(cover(message)),
            // Words of our own.
            Self::Obstacle(obstacle) => Self::Obstacle(obstacle),
            Self::Operation(message) => Self::Operation(cover(message)),
            Self::Unsettled => Self::Unsettled,
        }
    }

    /// Whether the request that failed may have been carried out all the same.
    pub fn is_in_doubt(&self) -> bool {
        match self {
            Self::Transport(failure) => failure.is_in_doubt(),
            Self::Refused { status, .. } => StatusCode::from_u16(*status).is_ok_and(may_be_done),
            // An answer that says "done", in words that nobody understands.
            Self::Unreadable(_) | Self::Operation(_) | Self::Unsettled => true,
            Self::Obstacle(_) => false,
        }
    }
}

impl Failed for Failure {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Transport(failure) => failure.class(),
            Self::Refused { status: 401 | 403, .. } => ErrorClass::Denied,
            Self::Refused { status: 408 | 423 | 425, .. } => ErrorClass::Retryable,
            Self::Refused { status, .. } if *status >= 500 => ErrorClass::Retryable,
            Self::Refused { status: 409 | 412, .. } => ErrorClass::Conflict,
            Self::Obstacle(obstacle) => obstacle.class(),
            // What was made is perhaps found a moment later.
            Self::Unsettled => ErrorClass::Retryable,
            Self::Refused { .. } | Self::Unreadable(_) | Self::Operation(_) => ErrorClass::Fatal,
        }
    }

    fn remedy(&self) -> Option<Cow<'static, str>> {
        let remedy = match self {
            Self::Transport(failure) => return failure.remedy().map(Into::into),
            Self::Obstacle(obstacle) => return obstacle.remedy(),
            Self::Refused { status: 401, .. } => "check the credentials of the target",
            Self::Refused { status: 403, .. } => "grant this permission to the credentials of the target",
            Self::Unreadable(_) => "check the target's `url`: it must be an API that answers with JSON",
            Self::Unsettled => "check the target; the next run takes over the object if it finds one",
            Self::Refused { .. } | Self::Operation(_) => return None,
        };
        Some(remedy.into())
    }
}

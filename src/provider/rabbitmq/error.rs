//! What goes wrong, and what that means for the next try.

use std::borrow::Cow;

pub use tenantry_kit::Failed;
use tenantry_kit::Obstacle;
use tenantry_provider::contract::ErrorClass;
use tenantry_transport::StatusCode;

/// A failure before it is told what was attempted.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Transport(#[from] tenantry_transport::Failure),
    /// The server refused.
    #[error("{reason} (HTTP {})", status.as_u16())]
    Refused { status: StatusCode, reason: String },
    #[error(transparent)]
    Obstacle(#[from] Obstacle),
}

impl Failed for Failure {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Transport(failure) => failure.class(),
            Self::Refused { status, reason } => class_of(*status, reason),
            Self::Obstacle(obstacle) => obstacle.class(),
        }
    }

    fn remedy(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Transport(failure) => failure.remedy().map(Into::into),
            Self::Refused { status: StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, .. } => Some(
                "check the user and password of the target's `url`, give the user the tag `administrator`, and \
                 permissions in the virtual host"
                    .into(),
            ),
            Self::Refused { reason, .. } if reason.contains("inequivalent arg") => {
                Some("it exists with other properties; give the resource another name".into())
            }
            Self::Refused { .. } => None,
            Self::Obstacle(obstacle) => obstacle.remedy(),
        }
    }
}

fn class_of(status: StatusCode, reason: &str) -> ErrorClass {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ErrorClass::Denied,
        StatusCode::REQUEST_TIMEOUT => ErrorClass::Retryable,
        // An exclusive queue of somebody's connection.
        StatusCode::METHOD_NOT_ALLOWED if reason.contains("RESOURCE_LOCKED") => ErrorClass::Conflict,
        StatusCode::BAD_REQUEST if reason.contains("inequivalent arg") => ErrorClass::Conflict,
        status if status.is_server_error() => ErrorClass::Retryable,
        _ => ErrorClass::Fatal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_follow_the_status() {
        let class = |status: u16, reason: &str| class_of(StatusCode::from_u16(status).expect("a status"), reason);
        assert_eq!(class(401, ""), ErrorClass::Denied);
        assert_eq!(class(403, ""), ErrorClass::Denied);
        assert_eq!(class(500, ""), ErrorClass::Retryable);
        assert_eq!(class(503, ""), ErrorClass::Retryable);
        assert_eq!(class(400, "inequivalent arg 'x-max-length'"), ErrorClass::Conflict);
        assert_eq!(class(400, "bad"), ErrorClass::Fatal);
        assert_eq!(class(404, ""), ErrorClass::Fatal);
    }
}

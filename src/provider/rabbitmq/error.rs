//! What goes wrong, and what that means for the next try.

use std::time::Duration;

use reqwest::StatusCode;

use tenantry_provider::contract::{ErrorClass, ProviderError};
use tenantry_transport::tls::Unverified;

/// A failure before it is told what was attempted.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No answer came, or half of one.
    #[error("{0}")]
    Transport(String),
    #[error(transparent)]
    Certificate(Unverified),
    /// The server refused.
    #[error("{reason} (HTTP {})", status.as_u16())]
    Status { status: StatusCode, reason: String, retry_after: Option<Duration> },
    /// Somebody else's resource or change stands in the way.
    #[error("{0}")]
    Conflict(String),
    #[error("{0}")]
    Invalid(String),
}

impl Failure {
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Transport(_) => ErrorClass::Retryable,
            Self::Status { status, reason, retry_after } => class_of(*status, reason, *retry_after),
            Self::Conflict(_) => ErrorClass::Conflict,
            Self::Certificate(_) | Self::Invalid(_) => ErrorClass::Fatal,
        }
    }

    pub fn into_provider_error(self, attempted: impl Into<String>) -> ProviderError {
        let remedy = match &self {
            Self::Certificate(unverified) => Some(unverified.remedy()),
            Self::Status { status, .. } if *status == StatusCode::UNAUTHORIZED || *status == StatusCode::FORBIDDEN => {
                Some(
                    "check the user and password of the target's `url`, give the user the tag `administrator`, and \
                     permissions in the virtual host",
                )
            }
            Self::Status { reason, .. } if reason.contains("inequivalent arg") => {
                Some("it was made by somebody else in another form: give the resource another name")
            }
            _ => None,
        };
        let error = ProviderError::new(self.class(), attempted, self);
        match remedy {
            Some(remedy) => error.with_remedy(remedy),
            None => error,
        }
    }
}

fn class_of(status: StatusCode, reason: &str, retry_after: Option<Duration>) -> ErrorClass {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ErrorClass::Denied,
        StatusCode::TOO_MANY_REQUESTS => ErrorClass::Throttled { retry_after },
        StatusCode::SERVICE_UNAVAILABLE if retry_after.is_some() => ErrorClass::Throttled { retry_after },
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
        let class = |status: u16, reason: &str| class_of(StatusCode::from_u16(status).expect("a status"), reason, None);
        assert_eq!(class(401, ""), ErrorClass::Denied);
        assert_eq!(class(403, ""), ErrorClass::Denied);
        assert_eq!(class(429, ""), ErrorClass::Throttled { retry_after: None });
        assert_eq!(class(500, ""), ErrorClass::Retryable);
        assert_eq!(class(503, ""), ErrorClass::Retryable);
        assert_eq!(class(400, "inequivalent arg 'x-max-length'"), ErrorClass::Conflict);
        assert_eq!(class(400, "bad"), ErrorClass::Fatal);
        assert_eq!(class(404, ""), ErrorClass::Fatal);
    }
}

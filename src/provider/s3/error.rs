//! What goes wrong, and what that means for the next try.

use std::borrow::Cow;

pub use tenantry_kit::Failed;
use tenantry_kit::Obstacle;
use tenantry_provider::contract::ErrorClass;
use tenantry_transport::{StatusCode, may_be_done};

/// A request that did not do what it was for.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failure {
    #[error("{message}")]
    Transport { class: ErrorClass, message: String, remedy: Option<&'static str>, is_in_doubt: bool },
    /// The server refused. The code is S3's word for why, or empty.
    #[error("{message} (status {status}{})", if code.is_empty() { String::new() } else { format!(", {code}") })]
    Refused { status: u16, code: String, message: String },
    #[error("{0}")]
    Unreadable(String),
    /// The server does not know what is asked of it.
    #[error("this server does not support {feature}: {why}")]
    Unsupported { feature: &'static str, why: String },
    /// A part of it was done before that.
    #[error("{done}: {cause}")]
    Partly { done: String, cause: Box<Self> },
    #[error(transparent)]
    Obstacle(#[from] Obstacle),
}

impl From<tenantry_transport::Failure> for Failure {
    fn from(failure: tenantry_transport::Failure) -> Self {
        Self::Transport {
            class: failure.class(),
            message: failure.to_string(),
            remedy: failure.remedy(),
            is_in_doubt: failure.is_in_doubt(),
        }
    }
}

impl Failure {
    /// The same with what was done before it.
    pub fn after(self, done: impl Into<String>) -> Self {
        Self::Partly { done: done.into(), cause: Box::new(self) }
    }

    pub fn is_code(&self, wanted: &str) -> bool {
        matches!(self, Self::Refused { code, .. } if code == wanted)
    }

    /// Whether the server says that there is no such thing, in words of its own: without them it may be a gateway that does not
    /// find the server.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Refused { status: 404, code, .. } if !code.is_empty())
    }

    /// As above, of an answer to HEAD, which has no words.
    pub fn is_missing_head(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }

    /// Whether the request that failed may have been carried out all the same.
    pub fn is_in_doubt(&self) -> bool {
        match self {
            Self::Transport { is_in_doubt, .. } => *is_in_doubt,
            Self::Refused { status, .. } => StatusCode::from_u16(*status).is_ok_and(may_be_done),
            Self::Unreadable(_) => true,
            Self::Partly { cause, .. } => cause.is_in_doubt(),
            Self::Unsupported { .. } | Self::Obstacle(_) => false,
        }
    }

    /// Whether the server says that a bucket is in another region, in one of the ways in which AWS does.
    pub fn is_elsewhere(&self) -> bool {
        let Self::Refused { code, .. } = self else { return false };
        matches!(
            code.as_str(),
            "PermanentRedirect"
                | "TemporaryRedirect"
                | "AuthorizationHeaderMalformed"
                | "IllegalLocationConstraintException"
        )
    }
}

impl Failed for Failure {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Transport { class, .. } => *class,
            Self::Refused { code, .. }
                if matches!(
                    code.as_str(),
                    "SlowDown" | "Throttling" | "ThrottlingException" | "RequestLimitExceeded"
                ) =>
            {
                ErrorClass::Throttled { retry_after: None }
            }
            // Something else is under way in the bucket, or a part of the server does not know yet that it was made.
            Self::Refused { code, .. }
                if matches!(
                    code.as_str(),
                    "OperationAborted" | "ConditionalRequestConflict" | "ConcurrentModification" | "NoSuchBucket"
                ) =>
            {
                ErrorClass::Retryable
            }
            Self::Refused { status: 401 | 403, .. } => ErrorClass::Denied,
            Self::Refused { status: 408, .. } => ErrorClass::Retryable,
            Self::Refused { status: 409 | 412, .. } => ErrorClass::Conflict,
            Self::Refused { status: 501, .. } => ErrorClass::Fatal,
            Self::Refused { status, .. } if *status >= 500 => ErrorClass::Retryable,
            Self::Refused { .. } | Self::Unreadable(_) | Self::Unsupported { .. } => ErrorClass::Fatal,
            Self::Partly { cause, .. } => cause.class(),
            Self::Obstacle(obstacle) => obstacle.class(),
        }
    }

    fn remedy(&self) -> Option<Cow<'static, str>> {
        let remedy = match self {
            Self::Transport { remedy, .. } => return remedy.map(Into::into),
            Self::Obstacle(obstacle) => return obstacle.remedy(),
            Self::Partly { cause, .. } => return cause.remedy(),
            Self::Refused { code, .. } if code == "SignatureDoesNotMatch" => {
                "check the target's `secret_access_key` and `region`, and the clock of this machine"
            }
            Self::Refused { code, .. } if code == "RequestTimeTooSkewed" => "set the clock of this machine",
            Self::Refused { code, .. } if code == "InvalidAccessKeyId" => "check the target's `access_key_id`",
            Self::Refused { message, .. } if message.contains("BlockPublicPolicy") => {
                "if the bucket is meant to be public, allow it in its `publicAccessBlock`"
            }
            Self::Refused { status: 401 | 403, .. } => "grant the missing permission to the target's access key",
            Self::Refused { .. } if self.is_elsewhere() => {
                "the bucket is in another region; declare a target for that region"
            }
            Self::Refused { .. } => return None,
            Self::Unsupported { .. } => "remove it from the spec, or use a server that supports it",
            Self::Unreadable(_) => "check the target's `url`: it must be the address of the S3 API",
        };
        Some(remedy.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_follow_the_code_and_then_the_status() {
        let class =
            |status, code: &str| Failure::Refused { status, code: code.to_owned(), message: String::new() }.class();
        assert_eq!(class(403, "AccessDenied"), ErrorClass::Denied);
        assert_eq!(class(503, "SlowDown"), ErrorClass::Throttled { retry_after: None });
        assert_eq!(class(400, "Throttling"), ErrorClass::Throttled { retry_after: None });
        assert_eq!(class(409, "OperationAborted"), ErrorClass::Retryable);
        assert_eq!(class(404, "NoSuchBucket"), ErrorClass::Retryable);
        assert_eq!(class(409, "BucketAlreadyExists"), ErrorClass::Conflict);
        assert_eq!(class(500, "InternalError"), ErrorClass::Retryable);
        assert_eq!(class(501, "NotImplemented"), ErrorClass::Fatal);
        assert_eq!(class(400, "MalformedXML"), ErrorClass::Fatal);
    }
}

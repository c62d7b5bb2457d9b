//! What goes wrong, and what that means for the next try.
//!
//! Classes follow the first word of the server's answer (the manual's "Redis serialization protocol", simple errors).

use std::borrow::Cow;

use redis::{ErrorKind, RedisError};

pub use tenantry_kit::Failed;
use tenantry_kit::Obstacle;
use tenantry_provider::contract::ErrorClass;
use tenantry_transport::tls::Unverified;

/// A failure before it is told what was attempted.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{}", describe(.0))]
    Server(RedisError),
    #[error(transparent)]
    Obstacle(#[from] Obstacle),
}

impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Self {
        Unverified::among(&error).map_or(Self::Server(error), |unverified| Obstacle::from(unverified).into())
    }
}

impl Failed for Failure {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Server(error) => class_of(error),
            Self::Obstacle(obstacle) => obstacle.class(),
        }
    }

    fn remedy(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Server(error) => remedy(error).map(Into::into),
            Self::Obstacle(obstacle) => obstacle.remedy(),
        }
    }
}

fn class_of(error: &RedisError) -> ErrorClass {
    match error.kind() {
        ErrorKind::Io | ErrorKind::Parse => ErrorClass::Retryable,
        ErrorKind::AuthenticationFailed => ErrorClass::Denied,
        _ => class_of_code(error.code().unwrap_or_default(), error.detail().unwrap_or_default()),
    }
}

fn class_of_code(code: &str, detail: &str) -> ErrorClass {
    match code {
        "NOPERM" | "NOAUTH" | "WRONGPASS" | "DENIED" => ErrorClass::Denied,
        "WRONGTYPE" => ErrorClass::Conflict,
        // Starting, failing over, running a script, out of memory or without its disk for a moment.
        "LOADING" | "READONLY" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" | "BUSY" | "OOM" | "NOREPLICAS"
        | "MISCONF" => ErrorClass::Retryable,
        "ERR" if detail.contains("max number of clients") => ErrorClass::Throttled { retry_after: None },
        _ => ErrorClass::Fatal,
    }
}

fn remedy(error: &RedisError) -> Option<&'static str> {
    const LOGIN: &str = "check the user name and password of the target's `url`";
    if error.kind() == ErrorKind::AuthenticationFailed {
        return Some(LOGIN);
    }
    match error.code()? {
        "NOPERM" => Some("allow the user of the target's `url` this command and these keys"),
        "NOAUTH" | "WRONGPASS" => Some(LOGIN),
        "MOVED" | "ASK" => Some("use a server that is not part of a cluster"),
        "WRONGTYPE" => Some("remove the key by hand, or give the resource another one"),
        _ => None,
    }
}

/// The server's own words.
fn describe(error: &RedisError) -> String {
    match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{detail} ({code})"),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_follow_the_first_word() {
        for (code, detail, class) in [
            ("NOPERM", "", ErrorClass::Denied),
            ("WRONGPASS", "", ErrorClass::Denied),
            ("WRONGTYPE", "", ErrorClass::Conflict),
            ("LOADING", "", ErrorClass::Retryable),
            ("READONLY", "", ErrorClass::Retryable),
            ("MISCONF", "", ErrorClass::Retryable),
            ("ERR", "max number of clients reached", ErrorClass::Throttled { retry_after: None }),
            ("ERR", "syntax error", ErrorClass::Fatal),
            ("MOVED", "1 a:1", ErrorClass::Fatal),
        ] {
            assert_eq!(class_of_code(code, detail), class, "{code} {detail}");
        }
    }

    #[test]
    fn a_lost_connection_may_be_tried_again() {
        let lost = Failure::from(RedisError::from(std::io::Error::from(std::io::ErrorKind::UnexpectedEof)));
        assert_eq!(lost.class(), ErrorClass::Retryable);
    }
}

//! What goes wrong, and what that means for the next try.
//!
//! Classes follow the error number (MySQL and MariaDB error references). The server's message is kept, but for those about
//! data, which quote values.

use std::borrow::Cow;

use sqlx::mysql::MySqlDatabaseError;

use super::quote::NulCharacter;
pub use tenantry_kit::Failed;
use tenantry_kit::Obstacle;
use tenantry_provider::contract::{ErrorClass, LeaseLost};
use tenantry_transport::tls::Unverified;

/// A failure before it is told what was attempted.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{}", describe(.0))]
    Server(sqlx::Error),
    #[error(transparent)]
    Nul(#[from] NulCharacter),
    #[error(transparent)]
    Obstacle(#[from] Obstacle),
}

impl From<LeaseLost> for Failure {
    fn from(lost: LeaseLost) -> Self {
        Obstacle::from(lost).into()
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Unverified::among(&error).map_or(Self::Server(error), |unverified| Obstacle::from(unverified).into())
    }
}

/// `ER_NO_SUCH_TABLE`, `ER_BAD_DB_ERROR`: there is no such table, or no such database.
const MISSING: [u16; 2] = [1146, 1049];

impl Failure {
    /// The error number that the server sent, if it did.
    pub fn number(&self) -> Option<u16> {
        match self {
            Self::Server(error) => server_error(error).map(MySqlDatabaseError::number),
            _ => None,
        }
    }

    /// Whether the table or database that was asked for does not exist.
    pub fn is_missing(&self) -> bool {
        self.number().is_some_and(|number| MISSING.contains(&number))
    }
}

impl Failed for Failure {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Server(error) => class_of(error),
            Self::Nul(_) => ErrorClass::Fatal,
            Self::Obstacle(obstacle) => obstacle.class(),
        }
    }

    fn remedy(&self) -> Option<Cow<'static, str>> {
        let error = match self {
            Self::Server(error) => error,
            Self::Nul(_) => return None,
            Self::Obstacle(obstacle) => return obstacle.remedy(),
        };
        let remedy = match (self.class(), self.number()) {
            (ErrorClass::Denied, Some(1045)) => "check the user name and password of the target's `url`",
            (ErrorClass::Denied, Some(1044 | 1142 | 1143)) => {
                "grant the user of the target's `url` the missing privilege: to read, SELECT on `mysql`.* and on the tables of rows; to write, the privileges for the resource, WITH GRANT OPTION for grants"
            }
            (ErrorClass::Denied, _) => "grant the user of the target's `url` the missing privilege",
            (_, Some(1146 | 1049)) => "create it with a `mysql.script` that runs first (`dependsOn`)",
            // The driver has these words for it, and no variant.
            _ if matches!(error, sqlx::Error::Tls(error) if error.to_string().contains("does not support TLS")) => {
                "enable TLS on the server, or write `ssl-mode=DISABLED` into the target's `url`, which sends everything in the clear"
            }
            _ => return None,
        };
        Some(remedy.into())
    }
}

fn class_of(error: &sqlx::Error) -> ErrorClass {
    match error {
        sqlx::Error::Database(_) => {
            server_error(error).map_or(ErrorClass::Fatal, |error| class_of_number(error.number(), error.message()))
        }
        // A server that is stopped in the middle of an answer shows as a message that makes no sense.
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
            ErrorClass::Retryable
        }
        _ => ErrorClass::Fatal,
    }
}

fn class_of_number(number: u16, message: &str) -> ErrorClass {
    match number {
        // Too many connections, of the server or of the user.
        1040 | 1203 | 1226 => ErrorClass::Throttled { retry_after: None },
        // Access denied; a privilege is missing.
        1044 | 1045 | 1142 | 1143 | 1227 | 1370 | 1410 | 1698 | 3118 | 4151 => ErrorClass::Denied,
        // It exists; a duplicate key; a row that others refer to; a user that cannot be made.
        1007 | 1050 | 1062 | 1396 | 1451 | 1452 => ErrorClass::Conflict,
        // Another option that forbids the statement, such as one that takes no hashed passwords, stays as it is.
        1290 if !["read-only", "read_only"].iter().any(|option| message.contains(option)) => ErrorClass::Fatal,
        // A node that is not ready yet, shutting down, a lock that took too long, a deadlock, read-only while failing over, a
        // killed query, a statement that has to be prepared again.
        1047 | 1053 | 1205 | 1213 | 1290 | 1317 | 1615 | 1836 | 1927 | 3024 => ErrorClass::Retryable,
        _ => ErrorClass::Fatal,
    }
}

fn server_error(error: &sqlx::Error) -> Option<&MySqlDatabaseError> {
    error.as_database_error()?.try_downcast_ref()
}

/// The server's own words.
fn describe(error: &sqlx::Error) -> String {
    let Some(server) = server_error(error) else { return error.to_string() };
    let number = server.number();
    // Duplicate keys, values that do not fit, statements that do not parse: each quotes what was sent.
    let words = match number {
        1062 => "another row has the same key",
        1064 => "the statement is not valid",
        1048 | 1136 | 1264 | 1265 | 1292 | 1366 | 1406 | 3140 | 4025 => {
            "a value does not fit into its column, or breaks a rule of the table"
        }
        _ => server.message(),
    };
    format!("{words} (error {number})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_follow_the_number() {
        for (number, class) in [
            (1040, ErrorClass::Throttled { retry_after: None }),
            (1045, ErrorClass::Denied),
            (1142, ErrorClass::Denied),
            (1007, ErrorClass::Conflict),
            (1396, ErrorClass::Conflict),
            (1213, ErrorClass::Retryable),
            (1064, ErrorClass::Fatal),
        ] {
            assert_eq!(class_of_number(number, ""), class, "{number}");
        }
        let forbidden = |option: &str| {
            let message = format!("The MariaDB server is running with the --{option} option so it cannot execute this");
            class_of_number(1290, &message)
        };
        assert_eq!(forbidden("read-only"), ErrorClass::Retryable);
        assert_eq!(forbidden("strict-password-validation"), ErrorClass::Fatal);
        let plain = Failure::from(sqlx::Error::Tls("server does not support TLS".into())).into_provider_error("asking");
        assert!(plain.remedy.is_some_and(|words| words.contains("ssl-mode=DISABLED")));
        let lost = Failure::from(sqlx::Error::Io(std::io::ErrorKind::UnexpectedEof.into()));
        assert_eq!(lost.class(), ErrorClass::Retryable);
    }
}

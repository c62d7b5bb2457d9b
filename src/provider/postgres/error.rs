//! What goes wrong, and what that means for the next try.
//!
//! Classes follow the SQLSTATE (PostgreSQL manual, appendix A). The server's message, detail and hint are kept; the
//! detail of data errors is not, because it quotes whole rows.

use std::borrow::Cow;

use sqlx::postgres::PgDatabaseError;

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
    #[error("the transaction was sent for commit, but the answer was lost: {}", describe(.0))]
    CommitUnknown(sqlx::Error),
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

impl Failure {
    /// The five characters that the server sent, if it did.
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Server(error) => server_error(error).map(PgDatabaseError::code),
            _ => None,
        }
    }
}

impl Failed for Failure {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Server(error) => class_of(error),
            Self::Nul(_) => ErrorClass::Fatal,
            Self::CommitUnknown(_) => ErrorClass::Retryable,
            Self::Obstacle(obstacle) => obstacle.class(),
        }
    }

    fn remedy(&self) -> Option<Cow<'static, str>> {
        let error = match self {
            Self::Server(error) => error,
            Self::Nul(_) | Self::CommitUnknown(_) => return None,
            Self::Obstacle(obstacle) => return obstacle.remedy(),
        };
        let remedy = match (self.class(), self.sqlstate()) {
            (ErrorClass::Denied, Some(code)) if code.starts_with("28") => {
                "check the user name and password of the target's `url`, and the server's pg_hba.conf"
            }
            (ErrorClass::Denied, _) => denied_remedy(&self.to_string()),
            (ErrorClass::Fatal, Some("42P01" | "3F000")) => {
                "create it with a `postgres.script` that runs first (`dependsOn`)"
            }
            // The driver has these words for it, and no variant.
            _ if matches!(error, sqlx::Error::Tls(error) if error.to_string().contains("does not support TLS")) => {
                "enable TLS on the server, or write `sslmode=disable` into the target's `url`, which sends everything in the clear"
            }
            _ => return None,
        };
        Some(remedy.into())
    }
}

/// Which privilege the user of the `url` lacks, by the words of the server.
fn denied_remedy(message: &str) -> &'static str {
    let wanted = [
        ("pg_authid", "grant the user SELECT on pg_authid"),
        (
            "row-level security",
            "give the user BYPASSRLS, or make it the owner of the table without FORCE ROW LEVEL SECURITY",
        ),
        ("create database", "give the user CREATEDB"),
        ("permission denied for database", "grant the user CREATE on the database"),
        ("must be member of role", "make the user a member of that role"),
        ("must be able to SET ROLE", "make the user a member of that role"),
        ("drop objects", "make the user a member of that role"),
        ("must be owner", "make the user a member of the role that owns it"),
        ("must be superuser", "use a superuser for this attribute, or leave it out"),
        ("role", "give the user CREATEROLE, and ADMIN OPTION on the roles that it grants"),
        ("permission denied for schema", "grant the user USAGE and CREATE on the schema"),
        (
            "permission denied for table",
            "grant the user SELECT, INSERT, UPDATE and DELETE on the table, or SELECT to read only",
        ),
    ];
    wanted
        .iter()
        .find(|(words, _)| message.contains(words))
        .map_or("grant the user of the target's `url` the missing privilege", |(_, remedy)| remedy)
}

fn class_of(error: &sqlx::Error) -> ErrorClass {
    match error {
        sqlx::Error::Database(_) => match server_error(error) {
            Some(error) => class_of_code(error.code(), error.message()),
            None => ErrorClass::Fatal,
        },
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
            ErrorClass::Retryable
        }
        // A server that is stopped in the middle of an answer shows as a message that makes no sense.
        sqlx::Error::Protocol(_) => ErrorClass::Retryable,
        _ => ErrorClass::Fatal,
    }
}

fn class_of_code(code: &str, message: &str) -> ErrorClass {
    match code {
        "53300" => ErrorClass::Throttled { retry_after: None },
        // Somebody else's objects or sessions hold on to it; or it exists already.
        "23505" | "23503" | "42P04" | "42P06" | "42P07" | "42710" | "42712" | "42723" | "2BP01" | "55006" => {
            ErrorClass::Conflict
        }
        "40001" | "40P01" | "55P03" | "57014" | "25P03" => ErrorClass::Retryable,
        "42501" => ErrorClass::Denied,
        "XX000" if message.contains("concurrently updated") || message.contains("concurrently deleted") => {
            ErrorClass::Retryable
        }
        _ if code.starts_with("08") || code.starts_with("57P0") || code.starts_with("53") => ErrorClass::Retryable,
        _ if code.starts_with("28") => ErrorClass::Denied,
        _ => ErrorClass::Fatal,
    }
}

fn server_error(error: &sqlx::Error) -> Option<&PgDatabaseError> {
    error.as_database_error()?.try_downcast_ref()
}

/// The server's own words.
fn describe(error: &sqlx::Error) -> String {
    let Some(server) = server_error(error) else { return error.to_string() };
    let mut text = format!("{} (SQLSTATE {})", server.message(), server.code());
    let quotes_data = server.code().starts_with("22") || server.code().starts_with("23");
    if !quotes_data && let Some(detail) = server.detail() {
        text.push_str("; ");
        text.push_str(detail);
    }
    if let Some(hint) = server.hint() {
        text.push_str("; hint: ");
        text.push_str(hint);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_follow_the_sqlstate() {
        for (code, class) in [
            ("08006", ErrorClass::Retryable),
            ("57P01", ErrorClass::Retryable),
            ("57P03", ErrorClass::Retryable),
            ("40001", ErrorClass::Retryable),
            ("40P01", ErrorClass::Retryable),
            ("55P03", ErrorClass::Retryable),
            ("53100", ErrorClass::Retryable),
            ("53300", ErrorClass::Throttled { retry_after: None }),
            ("42501", ErrorClass::Denied),
            ("28P01", ErrorClass::Denied),
            ("23505", ErrorClass::Conflict),
            ("42P06", ErrorClass::Conflict),
            ("42710", ErrorClass::Conflict),
            ("42P04", ErrorClass::Conflict),
            ("42601", ErrorClass::Fatal),
            ("XX000", ErrorClass::Fatal),
        ] {
            assert_eq!(class_of_code(code, ""), class, "{code}");
        }
        assert_eq!(class_of_code("XX000", "tuple concurrently updated"), ErrorClass::Retryable);
    }

    #[test]
    fn a_lost_connection_may_be_tried_again() {
        let lost = Failure::from(sqlx::Error::Io(std::io::ErrorKind::UnexpectedEof.into()));
        assert_eq!(lost.class(), ErrorClass::Retryable);
        assert_eq!(Failure::CommitUnknown(sqlx::Error::WorkerCrashed).class(), ErrorClass::Retryable);
    }

    #[test]
    fn a_denied_request_names_the_privilege() {
        assert!(denied_remedy("permission denied to create role").contains("CREATEROLE"));
        assert!(denied_remedy("permission denied to create database").contains("CREATEDB"));
        assert!(denied_remedy("permission denied for schema app").contains("USAGE"));
    }
}

//! Connections to one server, opened when they are needed.
//!
//! Not a connection pool of the driver, for two reasons: one limit covers all databases of the server, and a server that does
//! not answer is told at once instead of after the time that waiting for a free connection may take.
//!
//! A connection comes back only by [`Connections::release`], after its transaction has ended well. Whatever fails, is
//! cancelled or panics drops it, and the server then rolls back by itself.

use std::str::FromStr as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::Failure;
use tenantry_provider::contract::{ErrorClass, ProviderError, Settings};
use tenantry_provider::timeouts::Timeouts;
use tenantry_transport::{Asked, Channel, Refused, channel, is_this_machine, tls};

/// How long a connection may lie unused before it is asked whether it still lives.
const TRUSTED_IDLE: Duration = Duration::from_secs(2);

/// The server of one target.
pub struct Connections {
    options: PgConnectOptions,
    database: Arc<str>,
    timeouts: Timeouts,
    permits: Arc<Semaphore>,
    /// The most unused connections that are kept.
    keep: usize,
    /// Unused connections to the main database, and since when.
    idle: Mutex<Vec<(PgConnection, Instant)>>,
}

/// One connection, in use by one task.
pub struct Session {
    pub connection: PgConnection,
    database: Arc<str>,
    _permit: OwnedSemaphorePermit,
}

impl Connections {
    /// # Errors
    /// If `url` is missing, is not a PostgreSQL URL, or holds a password in the clear; or if `roots` cannot be used.
    pub fn new(settings: &Settings) -> Result<Self, ProviderError> {
        let invalid = |cause: &str| {
            let attempted = format!("reading the settings of target \"{}\"", settings.target);
            ProviderError::new(ErrorClass::Fatal, attempted, cause)
        };
        let url = settings.text("url").ok_or_else(|| invalid("`url` is missing"))?;
        if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
            return Err(invalid("`url` does not begin with postgres://"));
        }
        // The driver's own message may quote parts of the URL.
        let options = PgConnectOptions::from_str(url).map_err(|_| invalid("`url` is not a PostgreSQL URL"))?;
        if !settings.secrets.contains_key("url") && has_password(url) {
            return Err(invalid("`url` holds a password in the clear").with_remedy(
                "put the URL into an environment variable or a file and write `env:NAME` or `file:PATH`",
            ));
        }
        let roots = tls::roots(settings);
        let mut options = protected(options, roots.is_some()).map_err(|refused| {
            invalid(&refused.to_string()).with_remedy("take `sslmode=disable` out of `url`, or leave `roots` out")
        })?;
        if let Some(file) = roots {
            options = options.ssl_root_cert_from_pem(tls::pem(&file).map_err(|why| invalid(&why))?);
        }
        let database: Arc<str> = options.get_database().unwrap_or(options.get_username()).into();
        let options = options.database(&database).application_name("tenantry").disable_statement_logging();
        let concurrency = settings.concurrency.max(1);
        Ok(Self {
            options,
            database,
            timeouts: settings.timeouts,
            permits: Arc::new(Semaphore::new(concurrency)),
            keep: concurrency,
            idle: Mutex::default(),
        })
    }

    pub fn timeouts(&self) -> &Timeouts {
        &self.timeouts
    }

    /// The database that the URL names.
    pub fn main_database(&self) -> &Arc<str> {
        &self.database
    }

    /// User, host and database, for messages.
    pub fn location(&self) -> String {
        let options = &self.options;
        format!("{}@{}:{}/{}", options.get_username(), options.get_host(), options.get_port(), self.database)
    }

    /// A connection to a database. Waits while as many as allowed are in use.
    ///
    /// # Errors
    /// If the server does not let us in, or does not answer.
    pub async fn acquire(&self, database: &Arc<str>) -> Result<Session, Failure> {
        let permit = self.permits.clone().acquire_owned().await.map_err(|_| sqlx::Error::PoolClosed)?;
        while let Some((mut connection, since)) = self.take_idle(database) {
            let lives = since.elapsed() < TRUSTED_IDLE
                || tokio::time::timeout(self.timeouts.connect, connection.ping()).await.is_ok_and(|pong| pong.is_ok());
            if lives {
                return Ok(Session { connection, database: database.clone(), _permit: permit });
            }
        }
        let options = self.options.clone().database(database);
        let within = self.timeouts.connect;
        let connection = tokio::time::timeout(within, PgConnection::connect_with(&options)).await;
        let connection = connection.map_err(|_| Failure::Late(within))??;
        Ok(Session { connection, database: database.clone(), _permit: permit })
    }

    /// Gives a connection back that is in no transaction. Those of other databases than the main one are closed: with one
    /// database for each tenant they would only add up.
    pub async fn release(&self, session: Session) {
        let Session { connection, database, _permit } = session;
        if database == self.database {
            let mut idle = self.idle();
            if idle.len() < self.keep {
                idle.push((connection, Instant::now()));
            }
        } else if let Err(error) = connection.close().await {
            tracing::debug!(%error, "closing a connection");
        }
    }

    fn take_idle(&self, database: &Arc<str>) -> Option<(PgConnection, Instant)> {
        if *database == self.database { self.idle().pop() } else { None }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<(PgConnection, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// With the server's certificate verified, wherever that protects anything.
///
/// The driver verifies nothing unless it is asked to: with `prefer`, its default, it falls back to plain text, and with
/// `require` it encrypts for whoever answers (the manual's "SSL Support", table 34.1, has the same).
fn protected(options: PgConnectOptions, has_roots: bool) -> Result<PgConnectOptions, Refused> {
    let is_local = options.get_socket().is_some() || is_this_machine(options.get_host());
    let asked = match options.get_ssl_mode() {
        PgSslMode::Allow | PgSslMode::Prefer => Asked::Nothing,
        PgSslMode::Disable => Asked::Plain,
        PgSslMode::Require => Asked::Encrypted,
        PgSslMode::VerifyCa => Asked::VerifiedAuthority,
        PgSslMode::VerifyFull => Asked::Verified,
    };
    Ok(match channel(asked, is_local, has_roots)? {
        Channel::AsItComes => options,
        Channel::Plain => options.ssl_mode(PgSslMode::Disable),
        Channel::VerifiedAuthority => options.ssl_mode(PgSslMode::VerifyCa),
        Channel::Verified => options.ssl_mode(PgSslMode::VerifyFull),
    })
}

/// Whether a URL has a password in its authority or its query.
fn has_password(url: &str) -> bool {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = after_scheme.split(['/', '?', '#']).next().unwrap_or_default();
    let user_info = authority.rsplit_once('@').map_or("", |(user_info, _)| user_info);
    let query = url.split_once('?').map_or("", |(_, query)| query);
    user_info.split_once(':').is_some_and(|(_, password)| !password.is_empty())
        || query.split('&').any(|pair| pair.starts_with("password="))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str, secret: bool) -> Settings {
        let mut settings = Settings {
            target: "main".into(),
            estate: "shop".into(),
            values: serde_json::Map::new(),
            secrets: std::collections::BTreeMap::new(),
            concurrency: 4,
            timeouts: Timeouts::default(),
            folder: std::path::PathBuf::new(),
        };
        if secret {
            settings.secrets.insert("url".to_owned(), url.to_owned().into());
        } else {
            settings.values.insert("url".to_owned(), url.into());
        }
        settings
    }

    #[test]
    fn a_password_in_the_clear_is_refused_and_not_repeated() {
        for url in ["postgres://ann:hunter2@db/app", "postgres://ann@db/app?password=hunter2"] {
            let error = Connections::new(&settings(url, false)).err().expect("refused");
            assert!(!format!("{error:?}").contains("hunter2"));
            assert!(error.remedy.is_some());
            assert!(Connections::new(&settings(url, true)).is_ok());
        }
        assert!(Connections::new(&settings("postgres://ann@db/app", false)).is_ok());
    }

    #[test]
    fn certificates_are_verified_unless_nobody_can_stand_in_between() {
        let mode = |url: &str, has_roots| {
            let options = PgConnectOptions::from_str(url).expect("a URL");
            protected(options, has_roots).map(|options| format!("{:?}", options.get_ssl_mode()))
        };
        for (url, has_roots, expected) in [
            ("postgres://db", false, "VerifyFull"),
            ("postgres://10.0.0.8/app", false, "VerifyFull"),
            ("postgres://db?sslmode=prefer", false, "VerifyFull"),
            ("postgres://db?sslmode=allow", false, "VerifyFull"),
            ("postgres://db?sslmode=require", false, "VerifyFull"),
            ("postgres://db?sslmode=verify-ca", true, "VerifyCa"),
            ("postgres://db?sslmode=disable", false, "Disable"),
            ("postgres://localhost.example.com", false, "VerifyFull"),
            ("postgres://localhost", false, "Prefer"),
            ("postgres://127.0.0.1", false, "Prefer"),
            ("postgres://[::1]", false, "Prefer"),
            ("postgres://db?host=/run/postgresql", false, "Prefer"),
            ("postgres://127.0.0.1", true, "VerifyFull"),
            ("postgres://127.0.0.1?sslmode=require", false, "VerifyFull"),
        ] {
            assert_eq!(mode(url, has_roots).as_deref(), Ok(expected), "{url} {has_roots}");
        }
        assert_eq!(mode("postgres://db?sslmode=disable", true), Err(Refused::RootsWithoutTls));
    }

    #[test]
    fn what_is_no_url_is_refused_and_not_repeated() {
        for url in ["postgres://hunter2:x@[bad", "mysql://hunter2", "hunter2"] {
            let error = Connections::new(&settings(url, true)).err().expect("refused");
            assert!(!format!("{error:?}").contains("hunter2"));
        }
    }

    #[test]
    fn the_database_defaults_to_the_user_as_the_server_would() {
        let connections = Connections::new(&settings("postgres://ann@db", false)).expect("valid");
        assert_eq!(&**connections.main_database(), "ann");
        assert_eq!(connections.location(), "ann@db:5432/ann");
    }
}

//! Connections to one server, opened when they are needed.
//!
//! Not a connection pool of the driver, for two reasons: one limit covers all databases of the server, and a server that does
//! not answer is told at once instead of after the time that waiting for a free connection may take.
//!
//! A connection comes back only after its transaction has ended well ([`Pool`]); else the server rolls back by itself.

use std::str::FromStr as _;
use std::sync::Arc;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{ConnectOptions as _, Connection as _};

use super::error::Failure;
use tenantry_kit::Pool;
use tenantry_kit::settings::{has_password, invalid, refuse_password, url};
use tenantry_provider::contract::{ProviderError, Settings};
use tenantry_provider::timeouts::Timeouts;
use tenantry_transport::{Asked, Channel, Refused, channel, is_this_machine, tls};

/// The server of one target.
pub struct Connections {
    options: PgConnectOptions,
    database: Arc<str>,
    timeouts: Timeouts,
    /// Unused connections are those to the main database.
    pool: Pool<Open>,
}

/// A connection to one database.
pub struct Open {
    pub connection: PgConnection,
    database: Arc<str>,
}

/// One connection, in use by one task.
pub type Session = tenantry_kit::Session<Open>;

impl Connections {
    /// # Errors
    /// If `url` is missing, is not a PostgreSQL URL, or holds a password in the clear; or if `roots` cannot be used.
    pub fn new(settings: &Settings) -> Result<Self, ProviderError> {
        let url = url(settings, &["postgres://", "postgresql://"])?;
        // The driver's own message may quote parts of the URL.
        let options =
            PgConnectOptions::from_str(url).map_err(|_| invalid(settings, "`url` is not a PostgreSQL URL"))?;
        refuse_password(settings, has_password(url))?;
        let roots = tls::roots(settings);
        let mut options = protected(options, roots.is_some()).map_err(|refused| {
            invalid(settings, refused).with_remedy("remove `sslmode=disable` from `url`, or leave `roots` out")
        })?;
        if let Some(file) = roots {
            options = options.ssl_root_cert_from_pem(tls::pem(&file).map_err(|why| invalid(settings, why))?);
        }
        let database: Arc<str> = options.get_database().unwrap_or(options.get_username()).into();
        let options = options.database(&database).application_name("tenantry").disable_statement_logging();
        Ok(Self { options, database, timeouts: settings.timeouts, pool: Pool::new(settings.concurrency) })
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
        let lives = async |open: &mut Open| open.connection.ping().await.is_ok();
        let open = async {
            let connection = PgConnection::connect_with(&self.options.clone().database(database)).await?;
            Ok(Open { connection, database: database.clone() })
        };
        let within = self.timeouts.connect;
        match *database == self.database {
            true => self.pool.acquire(within, lives, open).await,
            false => self.pool.acquire_new(within, open).await,
        }
    }

    /// Gives a connection back that is in no transaction. Those of other databases than the main one are closed: with one
    /// database for each tenant they would only add up.
    pub async fn release(&self, session: Session) {
        if session.database == self.database {
            self.pool.release(session);
        } else if let Err(error) = session.into_inner().connection.close().await {
            tracing::debug!(%error, "closing a connection");
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use tenantry_kit::fixture::settings;

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

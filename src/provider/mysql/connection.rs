//! Connections to one server, opened when they are needed and given back only if nothing failed on them.

use std::str::FromStr as _;
use std::sync::Arc;

use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlSslMode};
use sqlx::{ConnectOptions as _, Connection as _};

use super::error::Failure;
use super::types::MySqlKind;
use tenantry_core::model::value::Map;
use tenantry_kit::Pool;
use tenantry_kit::settings::{has_password, invalid, refuse_password, url};
use tenantry_provider::contract::{ProviderError, Settings};
use tenantry_provider::timeouts::Timeouts;
use tenantry_transport::{Asked, Channel, Refused, channel, is_this_machine, tls};

/// What literals and values mean must not depend on the server's configuration: a backslash escapes, a quoted text is a
/// text, what does not fit is an error, and zero is zero. A lock is not waited for longer than a run should stand still. That
/// something already exists, or is gone already, is no news where our own statements say `IF NOT EXISTS`.
///
/// MariaDB alone makes the user of a `GRANT` that names nobody, open to everybody without a password, unless it is told not
/// to; MySQL does not know the word any more.
const PREPARE: &str = "SET SESSION sql_mode = CONCAT('STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO', \
    IF(VERSION() LIKE '%MariaDB%', ',NO_AUTO_CREATE_USER', '')), SESSION lock_wait_timeout = 15, \
    SESSION innodb_lock_wait_timeout = 15, SESSION sql_notes = 0";

/// Which of the two products it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    MySql,
    MariaDb,
}

/// The server of one target.
pub struct Connections {
    options: MySqlConnectOptions,
    timeouts: Timeouts,
    pool: Pool<Open>,
}

/// A connection, and what was told of it when it was opened.
pub struct Open {
    pub connection: MySqlConnection,
    pub server: Server,
    /// Whom the server takes us for, as `name@host`.
    pub own_user: Arc<str>,
}

/// One connection, in use by one task.
pub type Session = tenantry_kit::Session<Open>;

/// What has to be known of a server before anything is asked of it.
#[derive(Clone, Copy, Debug)]
pub struct Server {
    pub flavour: Flavour,
    /// Whether it keeps the names of databases and tables in lower case (`lower_case_table_names`).
    pub folds_names: bool,
}

impl Server {
    /// Why a resource cannot be found under the names in its spec, if so.
    pub fn changes_names(self, kind: MySqlKind, spec: &Map) -> Option<String> {
        let fields = match kind {
            MySqlKind::Database => &["name"][..],
            MySqlKind::Script | MySqlKind::Grant | MySqlKind::Row => &["database", "table"],
            MySqlKind::User => &[],
        };
        let mut names = fields.iter().filter_map(|field| spec.get(field)?.as_str());
        let changed = names.find(|name| self.folds_names && name.chars().any(char::is_uppercase))?;
        Some(format!("this server keeps `{changed}` in lower case; write it in lower case"))
    }
}

impl Open {
    /// Whether a user is the one that we are.
    pub fn is_own(&self, name: &str, host: &str) -> bool {
        self.own_user.rsplit_once('@') == Some((name, host))
    }

    /// Closes the connection for good, so that the server lets go of whatever it holds.
    pub async fn close(self) {
        // One that is lost is closed as well.
        let _ = self.connection.close().await;
    }
}

impl Connections {
    /// # Errors
    /// If `url` is missing, is no MySQL URL, or holds a password in the clear; or if `roots` cannot be used.
    pub fn new(settings: &Settings) -> Result<Self, ProviderError> {
        let url = url(settings, &["mysql://", "mariadb://"])?;
        // The driver's own message may quote parts of the URL.
        let options = MySqlConnectOptions::from_str(url).map_err(|_| invalid(settings, "`url` is not a MySQL URL"))?;
        refuse_password(settings, has_password(url))?;
        let roots = tls::roots(settings);
        let mut options = protected(options, roots.is_some()).map_err(|refused| {
            invalid(settings, refused).with_remedy("remove `ssl-mode=DISABLED` from `url`, or leave `roots` out")
        })?;
        if let Some(file) = roots {
            options = options.ssl_ca_from_pem(tls::pem(&file).map_err(|why| invalid(settings, why))?);
        }
        let options = options.charset("utf8mb4").disable_statement_logging();
        Ok(Self { options, timeouts: settings.timeouts, pool: Pool::new(settings.concurrency) })
    }

    pub fn timeouts(&self) -> &Timeouts {
        &self.timeouts
    }

    /// User, host and port, for messages.
    pub fn location(&self) -> String {
        format!("{}@{}:{}", self.options.get_username(), self.options.get_host(), self.options.get_port())
    }

    /// A connection. Waits while as many as allowed are in use.
    ///
    /// # Errors
    /// If the server does not let us in, or does not answer.
    pub async fn acquire(&self) -> Result<Session, Failure> {
        let lives = async |open: &mut Open| open.connection.ping().await.is_ok();
        let open = async {
            let mut connection = MySqlConnection::connect_with(&self.options).await?;
            sqlx::raw_sql(PREPARE).execute(&mut connection).await?;
            let about = "SELECT VERSION(), CAST(@@lower_case_table_names AS SIGNED), CURRENT_USER()";
            let (version, names, own_user): (String, i64, String) =
                sqlx::query_as(about).fetch_one(&mut connection).await?;
            let flavour = if version.contains("MariaDB") { Flavour::MariaDb } else { Flavour::MySql };
            let server = Server { flavour, folds_names: names == 1 };
            Ok(Open { connection, server, own_user: own_user.into() })
        };
        self.pool.acquire(self.timeouts.connect, lives, Box::pin(open)).await
    }

    /// Gives a connection back that is as it was.
    pub fn release(&self, session: Session) {
        self.pool.release(session);
    }
}

/// With the server's certificate verified, wherever that protects anything.
///
/// The driver verifies nothing unless it is asked to: with `PREFERRED`, its default, it falls back to plain text, and with
/// `REQUIRED` it encrypts for whoever answers (the manual's "Command Options for Encrypted Connections" has the same).
fn protected(options: MySqlConnectOptions, has_roots: bool) -> Result<MySqlConnectOptions, Refused> {
    let is_local = options.get_socket().is_some() || is_this_machine(options.get_host());
    let asked = match options.get_ssl_mode() {
        MySqlSslMode::Preferred => Asked::Nothing,
        MySqlSslMode::Disabled => Asked::Plain,
        MySqlSslMode::Required => Asked::Encrypted,
        MySqlSslMode::VerifyCa => Asked::VerifiedAuthority,
        MySqlSslMode::VerifyIdentity => Asked::Verified,
    };
    Ok(match channel(asked, is_local, has_roots)? {
        Channel::AsItComes => options,
        Channel::Plain => options.ssl_mode(MySqlSslMode::Disabled),
        Channel::VerifiedAuthority => options.ssl_mode(MySqlSslMode::VerifyCa),
        Channel::Verified => options.ssl_mode(MySqlSslMode::VerifyIdentity),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenantry_kit::fixture::settings;

    #[test]
    fn a_password_in_the_clear_is_refused_and_not_repeated() {
        let url = "mysql://ann:hunter2@db/app";
        let error = Connections::new(&settings(url, false)).err().expect("refused");
        assert!(!format!("{error:?}").contains("hunter2"));
        assert_eq!(Connections::new(&settings(url, true)).expect("valid").location(), "ann@db:3306");
        assert!(Connections::new(&settings("mysql://ann@db/app", false)).is_ok());
        for url in ["mysql://hunter2:x@[bad", "redis://hunter2", "hunter2"] {
            let error = Connections::new(&settings(url, true)).err().expect("refused");
            assert!(!format!("{error:?}").contains("hunter2"));
        }
    }

    #[test]
    fn certificates_are_verified_unless_nobody_can_stand_in_between() {
        let mode = |url: &str, has_roots| {
            let options = MySqlConnectOptions::from_str(url).expect("a URL");
            format!("{:?}", protected(options, has_roots).expect("not refused").get_ssl_mode())
        };
        for (url, has_roots, expected) in [
            ("mysql://db", false, "VerifyIdentity"),
            ("mysql://db?ssl-mode=PREFERRED", false, "VerifyIdentity"),
            ("mysql://db?ssl-mode=REQUIRED", false, "VerifyIdentity"),
            ("mysql://db?ssl-mode=VERIFY_CA", true, "VerifyCa"),
            ("mysql://db?ssl-mode=DISABLED", false, "Disabled"),
            ("mysql://localhost.example.com", false, "VerifyIdentity"),
            ("mysql://localhost", false, "Preferred"),
            ("mysql://127.0.0.1", false, "Preferred"),
            ("mysql://[::1]", false, "Preferred"),
            ("mysql://db?socket=/run/mysqld/socket", false, "Preferred"),
            ("mysql://127.0.0.1", true, "VerifyIdentity"),
            ("mysql://127.0.0.1?ssl-mode=REQUIRED", false, "VerifyIdentity"),
        ] {
            assert_eq!(mode(url, has_roots), expected, "{url} {has_roots}");
        }
        for (url, says) in [("mysql://a@db?ssl-mode=DISABLED", "does not use TLS"), ("mysql://a@db", "none.pem cannot")]
        {
            let mut settings = settings(url, false);
            settings.values.insert("roots".to_owned(), "none.pem".into());
            let error = Connections::new(&settings).err().expect("refused").to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}

//! Connections to one server, opened when they are needed and given back only if nothing failed on them.

use std::str::FromStr as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlSslMode};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::Failure;
use tenantry_core::model::value::Map;
use tenantry_provider::contract::{ErrorClass, ProviderError, Settings};
use tenantry_provider::timeouts::Timeouts;
use tenantry_transport::{Asked, Channel, Refused, channel, is_this_machine, tls};

/// How long a connection may lie unused before it is asked whether it still lives.
const TRUSTED_IDLE: Duration = Duration::from_secs(2);

/// What literals and values mean must not depend on the server's configuration: a backslash escapes, a quoted text is a
/// text, what does not fit is an error, and zero is zero. A lock is not waited for longer than a run should stand still. That
/// something is there already, or is gone already, is no news where our own statements say `IF NOT EXISTS`.
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
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<(Open, Instant)>>,
}

struct Open {
    connection: MySqlConnection,
    server: Server,
    own_user: Arc<str>,
}

/// What has to be known of a server before anything is asked of it.
#[derive(Clone, Copy, Debug)]
pub struct Server {
    pub flavour: Flavour,
    /// Whether it keeps the names of databases and tables in lower case (`lower_case_table_names`).
    pub folds_names: bool,
}

/// One connection, in use by one task.
pub struct Session {
    pub connection: MySqlConnection,
    pub server: Server,
    /// Whom the server takes us for, as `name@host`.
    pub own_user: Arc<str>,
    _permit: OwnedSemaphorePermit,
}

impl Server {
    /// Why a resource cannot be found under the names in its spec, if so.
    pub fn changes_names(self, kind: &str, spec: &Map) -> Option<String> {
        let fields = if kind == "mysql.database" { &["name"][..] } else { &["database", "table"] };
        let mut names = fields.iter().filter_map(|field| spec.get(field)?.as_str());
        let changed = names.find(|name| self.folds_names && name.chars().any(char::is_uppercase))?;
        Some(format!("this server keeps `{changed}` in lower case; write it so"))
    }
}

impl Session {
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
        let invalid = |cause: &str| {
            let attempted = format!("reading the settings of target \"{}\"", settings.target);
            ProviderError::new(ErrorClass::Fatal, attempted, cause)
        };
        let url = settings.text("url").ok_or_else(|| invalid("`url` is missing"))?;
        if !(url.starts_with("mysql://") || url.starts_with("mariadb://")) {
            return Err(invalid("`url` does not begin with mysql:// or mariadb://"));
        }
        // The driver's own message may quote parts of the URL.
        let options = MySqlConnectOptions::from_str(url).map_err(|_| invalid("`url` is not a MySQL URL"))?;
        if !settings.secrets.contains_key("url") && has_password(url) {
            return Err(invalid("`url` holds a password in the clear").with_remedy(
                "put the URL into an environment variable or a file and write `env:NAME` or `file:PATH`",
            ));
        }
        let roots = tls::roots(settings);
        let mut options = protected(options, roots.is_some()).map_err(|refused| {
            invalid(&refused.to_string()).with_remedy("take `ssl-mode=DISABLED` out of `url`, or leave `roots` out")
        })?;
        if let Some(file) = roots {
            options = options.ssl_ca_from_pem(tls::pem(&file).map_err(|why| invalid(&why))?);
        }
        let options = options.charset("utf8mb4").disable_statement_logging();
        let permits = Arc::new(Semaphore::new(settings.concurrency.max(1)));
        Ok(Self { options, timeouts: settings.timeouts, permits, idle: Mutex::default() })
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
        let permit = self.permits.clone().acquire_owned().await.map_err(|_| sqlx::Error::PoolClosed)?;
        loop {
            let Some((Open { mut connection, server, own_user }, since)) = self.idle().pop() else { break };
            let lives = since.elapsed() < TRUSTED_IDLE
                || tokio::time::timeout(self.timeouts.connect, connection.ping()).await.is_ok_and(|pong| pong.is_ok());
            if lives {
                return Ok(Session { connection, server, own_user, _permit: permit });
            }
        }
        let connect = async {
            let mut connection = MySqlConnection::connect_with(&self.options).await?;
            sqlx::raw_sql(PREPARE).execute(&mut connection).await?;
            let about = "SELECT VERSION(), CAST(@@lower_case_table_names AS SIGNED), CURRENT_USER()";
            let (version, names, own_user): (String, i64, String) =
                sqlx::query_as(about).fetch_one(&mut connection).await?;
            let flavour = if version.contains("MariaDB") { Flavour::MariaDb } else { Flavour::MySql };
            Ok::<_, sqlx::Error>((connection, Server { flavour, folds_names: names == 1 }, own_user.into()))
        };
        let within = self.timeouts.connect;
        let connected = tokio::time::timeout(within, connect).await;
        let (connection, server, own_user) = connected.map_err(|_| Failure::Late(within))??;
        Ok(Session { connection, server, own_user, _permit: permit })
    }

    /// Gives a connection back that is as it was.
    pub fn release(&self, session: Session) {
        let Session { connection, server, own_user, _permit } = session;
        self.idle().push((Open { connection, server, own_user }, Instant::now()));
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<(Open, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
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

/// Whether a URL has a password in its authority.
fn has_password(url: &str) -> bool {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = after_scheme.split(['/', '?', '#']).next().unwrap_or_default();
    let user_info = authority.rsplit_once('@').map_or("", |(user_info, _)| user_info);
    user_info.split_once(':').is_some_and(|(_, password)| !password.is_empty())
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
        for (url, says) in [("mysql://a@db?ssl-mode=DISABLED", "asks for none"), ("mysql://a@db", "none.pem cannot")] {
            let mut settings = settings(url, false);
            settings.values.insert("roots".to_owned(), "none.pem".into());
            let error = Connections::new(&settings).err().expect("refused").to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}

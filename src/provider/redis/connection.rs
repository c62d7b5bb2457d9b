//! Connections to one server, opened when they are needed and each used by one task at a time, as `WATCH` asks for.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo as _, TlsCertificates};
use serde_json::Value as Json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::Failure;
use tenantry_provider::contract::{ErrorClass, ProviderError, Settings};
use tenantry_provider::timeouts::Timeouts;
use tenantry_transport::{Asked, channel, is_this_machine, tls};

/// How long a connection may lie unused before it is asked whether it still lives.
const TRUSTED_IDLE: Duration = Duration::from_secs(2);

/// The server of one target.
pub struct Connections {
    client: Client,
    user: String,
    location: String,
    address: String,
    timeouts: Timeouts,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<(MultiplexedConnection, Instant)>>,
}

/// One connection, in use by one task. It comes back only by [`Connections::release`]: one that failed is dropped.
pub struct Session {
    pub connection: MultiplexedConnection,
    _permit: OwnedSemaphorePermit,
}

impl Connections {
    /// # Errors
    /// If `url` is missing, is no URL of a Redis server, or holds a password in the clear; or if `roots` cannot be used.
    pub fn new(settings: &Settings) -> Result<Self, ProviderError> {
        let invalid = |cause: &str| {
            let attempted = format!("reading the settings of target \"{}\"", settings.target);
            ProviderError::new(ErrorClass::Fatal, attempted, cause)
        };
        let url = settings.text("url").ok_or_else(|| invalid("`url` is missing"))?;
        if !(url.starts_with("redis://") || url.starts_with("rediss://")) {
            return Err(invalid("`url` does not begin with redis:// or rediss://"));
        }
        // The driver's own message may quote parts of the URL.
        let info = url.into_connection_info().map_err(|_| invalid("`url` is not a URL of a Redis server"))?;
        if !settings.secrets.contains_key("url") && info.redis_settings().password().is_some() {
            return Err(invalid("`url` holds a password in the clear").with_remedy(
                "put the URL into an environment variable or a file and write `env:NAME` or `file:PATH`",
            ));
        }
        let user = info.redis_settings().username().unwrap_or("default").to_owned();
        let location = format!("{user}@{}/{}", info.addr(), info.redis_settings().db());
        let address = format!("address {}, database {}", info.addr(), info.redis_settings().db());
        if matches!(info.addr(), ConnectionAddr::TcpTls { insecure: true, .. }) {
            return Err(invalid("`url` asks not to verify the server's certificate")
                .with_remedy("leave `#insecure` out, and name a file with the certificates to trust in `roots`"));
        }
        let says_plain = settings.values.get("plaintext").and_then(Json::as_bool) == Some(true);
        let (asked, is_local) = match info.addr() {
            ConnectionAddr::TcpTls { host, .. } => (Asked::Verified, is_this_machine(host)),
            ConnectionAddr::Tcp(..) if says_plain => (Asked::Plain, false),
            ConnectionAddr::Tcp(host, _) => (Asked::Unencrypted, is_this_machine(host)),
            // A socket of this machine.
            _ => (Asked::Unencrypted, true),
        };
        let roots = tls::roots(settings);
        channel(asked, is_local, roots.is_some())
            .map_err(|refused| invalid(&refused.to_string()).with_remedy(refused.remedy("rediss://")))?;
        let client = match roots {
            None => Client::open(info),
            Some(file) => {
                let root_cert = Some(tls::pem(&file).map_err(|why| invalid(&why))?);
                Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert })
            }
        };
        let client = client.map_err(|error| invalid(&error.to_string()))?;
        let permits = Arc::new(Semaphore::new(settings.concurrency.max(1)));
        Ok(Self { client, user, location, address, timeouts: settings.timeouts, permits, idle: Mutex::default() })
    }

    /// The user that we log in as.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// User, host and database, for messages.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// Where the database is, whoever asks.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A connection. Waits while as many as allowed are in use.
    ///
    /// # Errors
    /// If the server does not let us in, or does not answer.
    pub async fn acquire(&self) -> Result<Session, Failure> {
        let permit = self.permits.clone().acquire_owned().await.map_err(|error| Failure::Invalid(error.to_string()))?;
        loop {
            let Some((mut connection, since)) = self.idle().pop() else { break };
            // An answer has a longest time of its own.
            let lives = since.elapsed() < TRUSTED_IDLE
                || redis::cmd("PING").query_async::<String>(&mut connection).await.is_ok();
            if lives {
                return Ok(Session { connection, _permit: permit });
            }
        }
        let Timeouts { connect, idle, request, .. } = self.timeouts;
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(Some(idle.min(request)));
        // With what is said to open it: who we are, and which database.
        let connecting = self.client.get_multiplexed_async_connection_with_config(&config);
        let connection = tokio::time::timeout(connect, connecting).await.map_err(|_| Failure::Late(connect))??;
        Ok(Session { connection, _permit: permit })
    }

    /// Gives a connection back on which nothing failed and nothing is watched.
    pub fn release(&self, session: Session) {
        self.idle().push((session.connection, Instant::now()));
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<(MultiplexedConnection, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
        let url = "rediss://ann:hunter2@cache/2";
        let error = Connections::new(&settings(url, false)).err().expect("refused");
        assert!(!format!("{error:?}").contains("hunter2"));
        let connections = Connections::new(&settings(url, true)).expect("valid");
        assert_eq!((connections.user(), connections.location()), ("ann", "ann@cache:6379/2"));
        assert_eq!(connections.address(), "address cache:6379, database 2");
        assert_eq!(Connections::new(&settings("rediss://cache", false)).expect("valid").user(), "default");
    }

    #[test]
    fn certificates_are_verified_or_the_settings_are_refused() {
        let refused = |settings: &Settings| Connections::new(settings).err().expect("refused").to_string();
        assert!(refused(&settings("rediss://ann@cache#insecure", false)).contains("not to verify"));
        for (url, says) in [("redis://ann@cache", "asks for none"), ("rediss://ann@cache", "none.pem cannot be used")] {
            let mut settings = settings(url, false);
            settings.values.insert("roots".to_owned(), "none.pem".into());
            let cause = refused(&settings);
            assert!(cause.contains(says), "{cause}");
        }
    }

    #[test]
    fn what_leaves_this_machine_is_encrypted_unless_the_target_says_otherwise() {
        let opened = |url: &str, says_plain: bool| {
            let mut settings = settings(url, true);
            settings.values.insert("plaintext".to_owned(), says_plain.into());
            let opened = Connections::new(&settings).map(|_| ());
            opened.map_err(|error| format!("{error}; {}", error.remedy.as_deref().unwrap_or_default()))
        };
        let refused = opened("redis://ann:hunter2@cache", false).expect_err("it is in the clear");
        assert!(refused.contains("readable by everybody") && refused.contains("`plaintext = true`"), "{refused}");
        assert!(!refused.contains("hunter2"), "{refused}");
        for (url, says_plain) in [("redis://cache", true), ("redis://127.0.0.1", false), ("rediss://cache", false)] {
            assert_eq!(opened(url, says_plain), Ok(()), "{url}");
        }
    }

    #[test]
    fn what_is_no_url_is_refused_and_not_repeated() {
        for url in ["redis://hunter2:x@[bad", "mysql://hunter2", "hunter2"] {
            let error = Connections::new(&settings(url, true)).err().expect("refused");
            assert!(!format!("{error:?}").contains("hunter2"));
        }
    }
}

//! Connections to one server, each used by one task at a time, as `WATCH` asks for.

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo as _, TlsCertificates};

use super::error::Failure;
use tenantry_kit::Pool;
use tenantry_kit::settings::{invalid, refuse_password, says_plain, url};
use tenantry_provider::contract::{ProviderError, Settings};
use tenantry_provider::timeouts::Timeouts;
use tenantry_transport::{Asked, channel, is_this_machine, tls};

/// The server of one target.
pub struct Connections {
    client: Client,
    user: String,
    location: String,
    address: String,
    timeouts: Timeouts,
    pool: Pool<MultiplexedConnection>,
}

pub type Session = tenantry_kit::Session<MultiplexedConnection>;

impl Connections {
    /// # Errors
    /// If `url` is missing, is no URL of a Redis server, or holds a password in the clear; or if `roots` cannot be used.
    pub fn new(settings: &Settings) -> Result<Self, ProviderError> {
        let url = url(settings, &["redis://", "rediss://"])?;
        // The driver's own message may quote parts of the URL.
        let info = url.into_connection_info().map_err(|_| invalid(settings, "`url` is not a URL of a Redis server"))?;
        refuse_password(settings, info.redis_settings().password().is_some())?;
        let user = info.redis_settings().username().unwrap_or("default").to_owned();
        let location = format!("{user}@{}/{}", info.addr(), info.redis_settings().db());
        let address = format!("address {}, database {}", info.addr(), info.redis_settings().db());
        if matches!(info.addr(), ConnectionAddr::TcpTls { insecure: true, .. }) {
            return Err(invalid(
                settings,
                "`#insecure` in `url` turns off the verification of the server's certificate",
            )
            .with_remedy("remove `#insecure`, and name a file with the certificates to trust in `roots`"));
        }
        let (asked, is_local) = match info.addr() {
            ConnectionAddr::TcpTls { host, .. } => (Asked::Verified, is_this_machine(host)),
            ConnectionAddr::Tcp(..) if says_plain(settings) => (Asked::Plain, false),
            ConnectionAddr::Tcp(host, _) => (Asked::Unencrypted, is_this_machine(host)),
            // A socket of this machine.
            _ => (Asked::Unencrypted, true),
        };
        let roots = tls::roots(settings);
        channel(asked, is_local, roots.is_some())
            .map_err(|refused| invalid(settings, refused).with_remedy(refused.remedy("rediss://")))?;
        let client = match roots {
            None => Client::open(info),
            Some(file) => {
                let root_cert = Some(tls::pem(&file).map_err(|why| invalid(settings, why))?);
                Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert })
            }
        };
        let client = client.map_err(|error| invalid(settings, error))?;
        let pool = Pool::new(settings.concurrency);
        Ok(Self { client, user, location, address, timeouts: settings.timeouts, pool })
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
        let Timeouts { connect, idle, request, .. } = self.timeouts;
        let lives = async |connection: &mut MultiplexedConnection| {
            redis::cmd("PING").query_async::<String>(connection).await.is_ok()
        };
        let open = async {
            let config =
                AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(Some(idle.min(request)));
            // With what is said to open it: who we are, and which database.
            Ok(self.client.get_multiplexed_async_connection_with_config(&config).await?)
        };
        self.pool.acquire(connect, lives, open).await
    }

    /// Gives a connection back on which nothing is watched.
    pub fn release(&self, session: Session) {
        self.pool.release(session);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenantry_kit::fixture::settings;

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
        assert!(refused(&settings("rediss://ann@cache#insecure", false)).contains("turns off the verification"));
        for (url, says) in
            [("redis://ann@cache", "does not use TLS"), ("rediss://ann@cache", "none.pem cannot be used")]
        {
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
        assert!(refused.contains("could read what is sent") && refused.contains("`plaintext = true`"), "{refused}");
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

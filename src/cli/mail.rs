//! A mail by SMTP.
//!
//! The connection is encrypted and the server's certificate verified, unless the server is on this machine: a login, and who has
//! drift, are nobody else's business. A server that does not offer what is asked for gets neither the login nor the mail.

use std::net::IpAddr;
use std::time::Duration;

use lettre::message::header::ContentType;
use lettre::message::{Mailbox, MessageBuilder};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use secrecy::{ExposeSecret as _, SecretString};
use tenantry_core::model::config::{MailEncryption, MailTable};

use super::error::{Exit, Failure};
use super::session::Session;

/// How long a server may take for one answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A mail server, and who writes to whom.
pub struct Mail {
    host: String,
    port: u16,
    encryption: MailEncryption,
    /// User and password.
    login: Option<(String, SecretString)>,
    envelope: MessageBuilder,
}

impl Mail {
    /// The mail server of an estate, if it has one.
    ///
    /// # Errors
    /// If what is configured of it is not well formed, or would be sent in the clear.
    pub fn of(session: &Session) -> Result<Option<Self>, Failure> {
        let Some(table) = &session.environment.drift.mail else { return Ok(None) };
        let MailTable { server, encryption, login, from, to } = table;
        let invalid = |field: &str, cause: String| {
            Failure::new(Exit::Error, format!("`{field}` of `mail` in [drift]: {cause}"))
                .help("correct the table `mail` in the table [drift] of tenantry.toml")
        };
        let (host, port) = address(server).ok_or_else(|| {
            invalid("server", format!("`{server}` is not a host, and a port if it is not the usual one"))
        })?;
        if *encryption == MailEncryption::None && !is_this_machine(&host) {
            let cause = format!("`none` is for a server of this machine only, and `{host}` is another");
            return Err(invalid("encryption", cause));
        }
        let login = match login {
            None => None,
            Some(reference) => {
                let found = session.lookup(reference).map_err(|cause| invalid("login", cause))?;
                let found =
                    found.ok_or_else(|| invalid("login", "it must be given as env:NAME or file:PATH".into()))?;
                let (user, password) = found
                    .expose_secret()
                    .split_once(':')
                    .ok_or_else(|| invalid("login", "it is not written USER:PASSWORD".into()))?;
                Some((user.to_owned(), password.into()))
            }
        };
        let mailbox = |field: &'static str, text: &str| {
            text.parse::<Mailbox>().map_err(|error| invalid(field, format!("`{text}` is not a mail address: {error}")))
        };
        let mut envelope = Message::builder().from(mailbox("from", from)?).header(ContentType::TEXT_PLAIN);
        for to in to {
            envelope = envelope.to(mailbox("to", to)?);
        }
        let usual = match encryption {
            MailEncryption::Starttls => 587,
            MailEncryption::Tls => 465,
            MailEncryption::None => 25,
        };
        let port = port.unwrap_or(usual);
        Ok(Some(Self { host, port, encryption: *encryption, login, envelope }))
    }

    /// The server, for messages.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Sends a mail of plain text.
    ///
    /// # Errors
    /// If the server cannot be reached, does not offer the encryption, or does not take the mail.
    pub async fn send(&self, subject: String, text: String) -> Result<(), Failure> {
        let failed = |cause: &dyn std::fmt::Display| {
            // A server may quote what it was told.
            let mut cause = cause.to_string();
            if let Some((_, password)) = &self.login {
                cause = cause.replace(password.expose_secret(), "(secret)");
            }
            Failure::new(Exit::Error, format!("sending a mail by {}: {}", self.host, cause.trim()))
                .help("nothing is recorded, so the next run sends it again")
        };
        let message = self.envelope.clone().subject(subject).body(text).map_err(|error| failed(&error))?;
        let tls = || TlsParameters::new(self.host.clone()).map_err(|error| failed(&error));
        let tls = match self.encryption {
            MailEncryption::Starttls => Tls::Required(tls()?),
            MailEncryption::Tls => Tls::Wrapper(tls()?),
            MailEncryption::None => Tls::None,
        };
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&self.host)
            .port(self.port)
            .tls(tls)
            .timeout(Some(PATIENCE));
        if let Some((user, password)) = &self.login {
            transport = transport.credentials(Credentials::new(user.clone(), password.expose_secret().to_owned()));
        }
        match transport.build().send(message).await {
            Ok(_) => Ok(()),
            Err(error) => Err(failed(&error)),
        }
    }
}

/// Host and port of `host`, `host:port`, `[address]` or `[address]:port`.
fn address(server: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match server.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, rest.strip_prefix(':').or(rest.is_empty().then_some(""))?)
        }
        None => server.split_once(':').unwrap_or((server, "")),
    };
    let is_host = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || matches!(c, '/' | '@' | '[' | ']'));
    let port = if port.is_empty() { None } else { Some(port.parse().ok()?) };
    is_host.then(|| (host.to_owned(), port))
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

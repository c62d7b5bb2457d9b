//! Tokens that another address gives out (RFC 6749), and how long they last.

use std::time::Duration;

use serde_json::Value as Json;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::service_account::ServiceAccount;
use crate::failure::Failure;
use tenantry_transport::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderValue};
use tenantry_transport::{Answer, Effect, Method, Request, Transport, Url};

/// How long before its end a token is renewed.
const EARLY: Duration = Duration::from_secs(60);

/// From which difference on a clock is said to be wrong. Whoever gives out tokens allows for some minutes at most.
const SKEW_SECONDS: u64 = 60;

/// The tokens of one target.
pub struct Tokens {
    url: Url,
    grant: Grant,
    /// The token in use, and when to ask for another.
    current: Mutex<Option<(HeaderValue, Instant)>>,
}

/// What a token is given for.
pub enum Grant {
    /// Client credentials (RFC 6749, 4.4).
    Client { authorization: HeaderValue, scope: Option<String> },
    /// A claim that the account signs (RFC 7523).
    Account(Box<ServiceAccount>),
}

impl Tokens {
    pub fn new(url: Url, grant: Grant) -> Self {
        Self { url, grant, current: Mutex::default() }
    }

    /// The value of `Authorization`.
    ///
    /// # Errors
    /// If no token was given out.
    pub async fn current(&self, transport: &Transport) -> Result<HeaderValue, Failure> {
        // Held while asking, so that all who wait get the one that comes.
        let mut current = self.current.lock().await;
        if let Some((value, until)) = &*current
            && *until > Instant::now()
        {
            return Ok(value.clone());
        }
        let now = now().as_second();
        let (headers, body) = self.form(now)?;
        let body = Some(body.into_bytes());
        // Nothing comes of a token that nobody uses.
        let (method, url, effect) = (Method::POST, self.url.clone(), Effect::Read);
        let answer = transport.send(&Request { method, url, headers, body, effect }).await?;
        let json = answer.json().map_err(Failure::Unreadable)?;
        let is_given = answer.status == tenantry_transport::StatusCode::OK;
        let Some(text) = json.get("access_token").and_then(Json::as_str).filter(|_| is_given) else {
            return Err(self.refusal(&answer, &json, now));
        };
        let (_, value) = tenantry_transport::secret_header(AUTHORIZATION, &format!("Bearer {text}"))?;
        let lasts = Duration::from_secs(json.get("expires_in").and_then(Json::as_u64).unwrap_or(300));
        *current = Some((value.clone(), Instant::now() + lasts.saturating_sub(EARLY.min(lasts / 2))));
        Ok(value)
    }

    /// What asks for a token.
    fn form(&self, now: i64) -> Result<(HeaderMap, String), Failure> {
        let mut headers = HeaderMap::from_iter([
            (CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded")),
            (ACCEPT, HeaderValue::from_static("application/json")),
        ]);
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        match &self.grant {
            Grant::Client { authorization, scope } => {
                headers.insert(AUTHORIZATION, authorization.clone());
                form.append_pair("grant_type", "client_credentials");
                if let Some(scope) = scope {
                    form.append_pair("scope", scope);
                }
            }
            Grant::Account(account) => {
                form.append_pair("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
                form.append_pair("assertion", &account.assertion(now)?);
            }
        }
        Ok((headers, form.finish()))
    }

    pub async fn forget(&self) {
        *self.current.lock().await = None;
    }

    /// Why there is no token: a code of RFC 6749, 5.2, and never what was sent, which an answer may quote.
    fn refusal(&self, answer: &Answer, json: &Json, now: i64) -> Failure {
        let code = json.get("error").and_then(Json::as_str).unwrap_or("no token");
        let code: String = code.chars().filter(|char| char.is_ascii_alphanumeric() || "_ ".contains(*char)).collect();
        let code: String = code.chars().take(60).collect();
        let status = answer.status.as_u16();
        let host = self.url.host_str().unwrap_or_default();
        let mut message = format!("{host} does not issue a token: {code}");
        if let Grant::Account(account) = &self.grant {
            message = format!("{message}, for {}", account.email());
            let theirs = answer.header(DATE.as_str()).and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
            let apart = theirs.map(|theirs| now - theirs.timestamp().as_second()).unwrap_or_default();
            if apart.unsigned_abs() > SKEW_SECONDS {
                let (seconds, side) = (apart.unsigned_abs(), if apart > 0 { "ahead of" } else { "behind" });
                message =
                    format!("{message}; set the clock of this machine: it is {seconds} seconds {side} the server's");
            }
        }
        match status {
            // What was asked for was refused with a status of a request that makes no sense.
            400 => Failure::Refused { status: 401, message },
            status => Failure::Refused { status, message },
        }
    }
}

/// When something is signed.
#[expect(clippy::disallowed_methods, reason = "a signature says when it was made, however late in a run that is")]
pub fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

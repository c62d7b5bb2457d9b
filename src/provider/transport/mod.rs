//! Requests over HTTP, for every provider that needs them, and what all connections to targets have in common.
//!
//! ```text
//! request.rs   what is sent and what came back; whether it may be sent again
//! failure.rs   what went wrong, and whether the request may have been carried out
//! gate.rs      whose turn it is, and pauses that the server asks for
//! body.rs      answers that are too long or too slow
//! pages.rs     lists that do not come to an end
//! trace.rs     whether anything was written on behalf of a step
//! warning.rs   what a server says beside success
//! channel.rs   encryption and verification of APIs
//! tls.rs       certificates
//! sigv4.rs     signatures of AWS
//! ```
//!
//! Guaranteed: certificates are verified; nothing is sent to another host than the one that was asked for; an answer has a
//! longest size, and a request a longest time, to connect, to wait for the next byte, and as a whole; a server that asks to
//! slow down ([`gate`]) is not asked anything until then; a write is sent again only where that does no harm
//! ([`Effect`]); no message holds a URL's query, a header or a body of ours.

pub mod body;
mod channel;
mod failure;
mod gate;
mod pages;
mod request;
pub mod sigv4;
pub mod tls;
mod trace;
mod warning;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};
pub use reqwest::{Method, StatusCode, header};
use secrecy::{ExposeSecret as _, SecretString};
pub use url::Url;

use tenantry_provider::contract::{ErrorClass, Settings, masked};
use tenantry_provider::timeouts::Timeouts;

pub use body::MOST_BYTES;
use body::Unfinished;
pub use channel::{Asked, Channel, Refused, base_url, channel, is_this_machine};
pub use failure::{Failure, Phase, may_be_done};
use gate::Gate;
pub use pages::{Endless, Pages};
pub use request::{Answer, Effect, Request, secret_header};
pub use trace::{note_write, traced};
pub use warning::note_warnings;

/// Waits before a read is sent again that failed on its way. One whose time was over is not: it has been waited for.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(800)];

/// How often one request is sent that is answered with "slow down", and the longest that it waits for its next turn. Whoever
/// asks for more patience gets the answer as it is.
const THROTTLED_TRIES: usize = 8;
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The longest body of a request that is on its way before an answer could have begun, and the time for that.
const SMALL_BODY: usize = 64 << 10;

/// What all requests to one target have in common.
pub struct Transport {
    client: reqwest::Client,
    gate: Gate,
    timeouts: Timeouts,
    most_bytes: usize,
    secrets: Vec<Arc<str>>,
}

/// How to reach a target.
pub struct Options {
    /// A PEM file with the only certificates to trust; those of the system where there is none.
    pub roots: Option<PathBuf>,
    pub requests_per_second: u32,
    /// The most requests at a time.
    pub concurrency: usize,
    pub timeouts: Timeouts,
    /// The longest answer.
    pub most_bytes: usize,
    /// What must stand in no message, should the server quote it.
    pub secrets: Vec<SecretString>,
}

impl Options {
    /// Those of a target's table, where an API takes so many requests a second unless the table says otherwise.
    pub fn of(settings: &Settings, requests_per_second: u32) -> Self {
        let rate = settings.values.get("requests_per_second").and_then(serde_json::Value::as_u64);
        Self {
            roots: tls::roots(settings),
            requests_per_second: rate.and_then(|rate| u32::try_from(rate).ok()).unwrap_or(requests_per_second),
            concurrency: settings.concurrency,
            timeouts: settings.timeouts,
            most_bytes: MOST_BYTES,
            secrets: Vec::new(),
        }
    }
}

impl Transport {
    /// # Errors
    /// If the file of certificates cannot be used.
    pub fn new(options: &Options) -> Result<Self, Failure> {
        let secrets = options.secrets.iter().map(|secret| Arc::from(secret.expose_secret()));
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::configuration(options.roots.as_deref()).map_err(Failure::Settings)?)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(options.timeouts.connect)
            .user_agent(concat!("tenantry/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Failure::Settings(chain(&error.without_url())))?;
        Ok(Self {
            client,
            gate: Gate::new(options.requests_per_second, options.concurrency),
            timeouts: options.timeouts,
            most_bytes: options.most_bytes,
            secrets: secrets.collect(),
        })
    }

    /// A server's own words without the credentials of the target, should it have quoted them.
    pub fn masked(&self, text: &str) -> String {
        masked(text, self.secrets.iter().cloned())
    }

    /// Sends a request in its turn.
    ///
    /// # Errors
    /// If no whole answer came; an answer with any status but "slow down" is none.
    pub async fn send(&self, request: &Request) -> Result<Answer, Failure> {
        let mut pauses = PAUSES.iter();
        loop {
            let result = self.in_turn(request).await;
            let is_passing = match &result {
                Ok(answer) => answer.status.is_server_error() && answer.status != StatusCode::NOT_IMPLEMENTED,
                Err(Failure::Late { .. }) => false,
                Err(failure) => failure.class() == ErrorClass::Retryable,
            };
            match pauses.next().filter(|_| request.effect == Effect::Read && is_passing) {
                Some(pause) => tokio::time::sleep(*pause).await,
                None => return result,
            }
        }
    }

    async fn in_turn(&self, request: &Request) -> Result<Answer, Failure> {
        for attempt in 1.. {
            let pass = self.gate.enter().await;
            let answer = self.follow(request).await;
            if request.effect != Effect::Read {
                let is_written = match &answer {
                    Ok(answer) => may_be_done(answer.status),
                    Err(failure) => failure.is_in_doubt(),
                };
                if is_written {
                    note_write();
                }
            }
            let answer = answer?;
            if request.effect != Effect::Read && answer.status.is_success() {
                note_warnings(&answer.headers);
            }
            let Some(asked) = asks_for_a_pause(&answer) else {
                self.gate.passed(&pass);
                return Ok(answer);
            };
            let wait = asked.unwrap_or_else(|| Duration::from_millis(500 << attempt.min(5)));
            self.gate.close(wait.min(LONGEST_WAIT));
            // Who says 429 has not done it (RFC 6585, 4); who says 503 may be a proxy that stopped waiting.
            if answer.status == StatusCode::SERVICE_UNAVAILABLE && request.effect == Effect::Once {
                return Ok(answer);
            }
            if attempt >= THROTTLED_TRIES || wait > LONGEST_WAIT {
                return Err(Failure::Throttled { retry_after: asked });
            }
        }
        unreachable!("the last attempt returns")
    }

    /// Sends a request and goes where the answer says, as long as that is the same host.
    async fn follow(&self, request: &Request) -> Result<Answer, Failure> {
        let mut url = request.url.clone();
        for _ in 0..5 {
            let began = tokio::time::Instant::now();
            let answer = self.once(request, &url).await;
            self.log(&request.method, &url, &answer, began.elapsed());
            let answer = answer?;
            if !answer.status.is_redirection() || answer.status == StatusCode::NOT_MODIFIED {
                return Ok(answer);
            }
            let location = answer.headers.get(LOCATION).and_then(|value| value.to_str().ok());
            let Some(next) = location.and_then(|location| url.join(location).ok()) else { return Ok(answer) };
            if next.origin() != request.url.origin() {
                return Err(Failure::Redirected(next.host_str().unwrap_or("nowhere").to_owned()));
            }
            let keeps_method = matches!(answer.status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
            if request.method != Method::GET && !keeps_method {
                return Err(Failure::Redirecting);
            }
            url = next;
        }
        Err(Failure::Redirecting)
    }

    /// Says what was asked, without the query, the headers and the body: they have the values.
    fn log(&self, method: &Method, url: &Url, answer: &Result<Answer, Failure>, took: Duration) {
        if !tracing::enabled!(tracing::Level::DEBUG) {
            return;
        }
        let result = match answer {
            Ok(answer) => answer.status.to_string(),
            Err(failure) => self.masked(&failure.to_string()),
        };
        let (host, path) = (url.host_str().unwrap_or_default(), self.masked(&anonymous(url.path())));
        tracing::debug!("{method} {host}{path}: {result} in {} ms", took.as_millis());
    }

    async fn once(&self, request: &Request, url: &Url) -> Result<Answer, Failure> {
        let Timeouts { idle, request: whole, .. } = self.timeouts;
        let mut builder = self.client.request(request.method.clone(), url.clone()).headers(request.headers.clone());
        if let Some(body) = &request.body {
            builder = builder.body(body.clone());
        }
        let is_small = request.body.as_ref().is_none_or(|body| body.len() <= SMALL_BODY);
        let patience = if is_small { idle.min(whole) } else { whole };
        let end = tokio::time::Instant::now() + whole;
        let response = tokio::time::timeout(patience, builder.send()).await;
        let response = response.map_err(|_| Failure::Late { within: patience, phase: Phase::Waiting })?;
        let response = response.map_err(|error| self.unanswered(error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let too_long = || Failure::TooLong { status, most: self.most_bytes };
        let late = |within| Failure::Late { within, phase: Phase::Reading(status) };
        let mut body = reqwest::Body::from(response);
        let read = body::collect(&mut body, self.most_bytes, idle);
        let body = tokio::time::timeout_at(end, read).await.map_err(|_| late(whole))?;
        let body = body.map_err(|unfinished| match unfinished {
            Unfinished::Broken(error) => Failure::Interrupted { status, cause: chain(&error.without_url()) },
            Unfinished::Silent => late(idle),
            Unfinished::TooLong => too_long(),
        })?;
        Ok(Answer { status, headers, body })
    }

    fn unanswered(&self, error: reqwest::Error) -> Failure {
        let error = error.without_url();
        if let Some(unverified) = tls::Unverified::among(&error) {
            return Failure::Certificate(unverified);
        }
        match (error.is_connect(), error.is_timeout()) {
            (true, true) => Failure::Late { within: self.timeouts.connect, phase: Phase::Connecting },
            (true, false) => Failure::Unreachable(chain(&error)),
            (false, _) => Failure::Unanswered(chain(&error)),
        }
    }
}

/// A path without the parts that look like an address of mail.
pub fn anonymous(path: &str) -> String {
    let is_personal = |part: &str| part.contains('@') || part.to_ascii_lowercase().contains("%40");
    path.split('/').map(|part| if is_personal(part) { "…" } else { part }).collect::<Vec<_>>().join("/")
}

/// Whether a server asks to slow down, and for how long if it says so.
#[expect(clippy::option_option, reason = "it may ask without saying for how long")]
fn asks_for_a_pause(answer: &Answer) -> Option<Option<Duration>> {
    let asks = match answer.status {
        StatusCode::TOO_MANY_REQUESTS => true,
        StatusCode::SERVICE_UNAVAILABLE => answer.headers.contains_key(RETRY_AFTER),
        _ => false,
    };
    asks.then(|| retry_after(&answer.headers))
}

/// An error and what caused it, innermost last.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(current) = source {
        let cause = current.to_string();
        if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
        source = current.source();
    }
    text
}

/// How long the server asks to wait (RFC 9110, 10.2.3): seconds, or a date, which is held against the server's own clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = |text: &str| jiff::fmt::rfc2822::parse(text).ok();
    let (then, now) = (date(text)?, date(headers.get(header::DATE)?.to_str().ok()?)?);
    Duration::try_from(then.timestamp().duration_since(now.timestamp())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::{HeaderName, HeaderValue};

    #[test]
    fn an_address_of_mail_in_a_path_is_not_logged() {
        assert_eq!(anonymous("/v1/users/jane@example.com/keys"), "/v1/users/…/keys");
        assert_eq!(anonymous("/v1/users/jane%40example.com"), "/v1/users/…");
        assert_eq!(anonymous("/v1/schemas/tenant_acme"), "/v1/schemas/tenant_acme");
    }

    #[test]
    fn a_wait_is_told_in_seconds_or_by_a_date() {
        let wait = |pairs: &[(HeaderName, &'static str)]| {
            retry_after(&pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect())
        };
        assert_eq!(wait(&[(RETRY_AFTER, "3")]), Some(Duration::from_secs(3)));
        let dated = [(RETRY_AFTER, "Wed, 21 Oct 2026 07:28:09 GMT"), (header::DATE, "Wed, 21 Oct 2026 07:28:00 GMT")];
        assert_eq!(wait(&dated), Some(Duration::from_secs(9)));
        assert_eq!(wait(&[(RETRY_AFTER, "soon")]), None);
        assert_eq!(wait(&[(RETRY_AFTER, "-4")]), None);
    }
}

//! Requests over HTTP, for every provider that needs them.
//!
//! Guaranteed: certificates are verified; nothing is sent to another host than the one that was asked for; an answer has a
//! longest size; a server that asks to slow down ([`gate`]) is not asked anything until then; no message holds a URL's
//! query, a header or a body of ours.

mod gate;
pub mod sigv4;
pub mod tls;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
pub use reqwest::{Method, StatusCode, header};
pub use url::Url;

use gate::Gate;
use tenantry_provider::contract::ErrorClass;

/// The longest answer. A hundred objects of an API are some hundred kilobytes.
const MOST_BYTES: usize = 32 << 20;

/// How long one request may take, from connecting to the last byte.
const TIMEOUT: Duration = Duration::from_secs(60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Waits before a read is tried again that failed on its way. Writes are tried again by whoever knows that it is safe.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(800)];

/// How often one request is sent that is answered with "slow down", and the longest that it waits for its next turn. Whoever
/// asks for more patience gets the answer as it is.
const THROTTLED_TRIES: usize = 8;
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What all requests to one target have in common.
pub struct Transport {
    client: reqwest::Client,
    gate: Gate,
}

/// How to reach a target.
pub struct Options {
    /// A PEM file with the only certificates to trust; those of the system where there is none.
    pub roots: Option<PathBuf>,
    pub requests_per_second: u32,
    /// The most requests at a time.
    pub concurrency: usize,
}

/// One request. Its URL must not hold secrets in its path: that is named in messages.
#[derive(Clone)]
pub struct Request {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Option<Vec<u8>>,
}

/// What came back, whatever its status.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// A request that got no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{0}")]
    Unreachable(String),
    #[error("the answer broke off: {0}")]
    Interrupted(String),
    #[error(transparent)]
    Certificate(tls::Unverified),
    #[error("the answer is longer than {MOST_BYTES} bytes")]
    TooLong,
    #[error("the server sends us on to {0}, where credentials must not go")]
    Redirected(String),
    #[error("the server sends us on without end, or with a write")]
    Redirecting,
    #[error("the server asks to slow down")]
    Throttled { retry_after: Option<Duration> },
    #[error("{0}")]
    Settings(String),
}

impl Failure {
    /// What the failure means for the next try.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Unreachable(_) | Self::Interrupted(_) => ErrorClass::Retryable,
            Self::Throttled { retry_after } => ErrorClass::Throttled { retry_after: *retry_after },
            Self::Certificate(_) | Self::TooLong | Self::Redirected(_) | Self::Redirecting | Self::Settings(_) => {
                ErrorClass::Fatal
            }
        }
    }

    /// What the user can do about it, where that is known.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Certificate(unverified) => Some(unverified.remedy()),
            Self::Redirected(_) => Some("write the address that answers itself into the target's `url`"),
            Self::TooLong => Some("ask for smaller pages"),
            _ => None,
        }
    }
}

impl Transport {
    /// # Errors
    /// If the file of certificates cannot be used.
    pub fn new(options: &Options) -> Result<Self, Failure> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::configuration(options.roots.as_deref()).map_err(Failure::Settings)?)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .user_agent(concat!("tenantry/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Failure::Settings(chain(&error.without_url())))?;
        Ok(Self { client, gate: Gate::new(options.requests_per_second, options.concurrency) })
    }

    /// Sends a request in its turn.
    ///
    /// # Errors
    /// If no whole answer came; an answer with any status but "slow down" is none.
    pub async fn send(&self, request: &Request) -> Result<Answer, Failure> {
        let is_read = request.method == Method::GET || request.method == Method::HEAD;
        let mut pauses = PAUSES.iter();
        loop {
            let result = self.in_turn(request).await;
            let is_passing = match &result {
                Ok(answer) => answer.status.is_server_error(),
                Err(failure) => failure.class() == ErrorClass::Retryable,
            };
            match pauses.next().filter(|_| is_read && is_passing) {
                Some(pause) => tokio::time::sleep(*pause).await,
                None => return result,
            }
        }
    }

    async fn in_turn(&self, request: &Request) -> Result<Answer, Failure> {
        for attempt in 1.. {
            let pass = self.gate.enter().await;
            let answer = self.follow(request).await?;
            let is_throttled = answer.status == StatusCode::TOO_MANY_REQUESTS
                || (answer.status == StatusCode::SERVICE_UNAVAILABLE && answer.headers.contains_key(RETRY_AFTER));
            if !is_throttled {
                self.gate.passed(&pass);
                return Ok(answer);
            }
            let asked = retry_after(&answer.headers);
            let wait = asked.unwrap_or_else(|| Duration::from_millis(500 << attempt.min(5)));
            self.gate.close(wait.min(LONGEST_WAIT));
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
            let answer = self.once(request, &url).await?;
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

    async fn once(&self, request: &Request, url: &Url) -> Result<Answer, Failure> {
        let mut builder = self.client.request(request.method.clone(), url.clone()).headers(request.headers.clone());
        if let Some(body) = &request.body {
            builder = builder.body(body.clone());
        }
        let mut response = builder.send().await.map_err(failure)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) =
            response.chunk().await.map_err(|error| Failure::Interrupted(chain(&error.without_url())))?
        {
            if body.len() + chunk.len() > MOST_BYTES {
                return Err(Failure::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, headers, body })
    }
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Errors
    /// In words: what came instead.
    pub fn json(&self) -> Result<serde_json::Value, String> {
        serde_json::from_slice(&self.body).map_err(|_| {
            let kind = self.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
            let kind = kind.map_or_else(|| "something".to_owned(), |kind| kind.chars().take(60).collect());
            format!("the answer (status {}) is no JSON but {kind}", self.status.as_u16())
        })
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// A header whose value is kept out of everything that is printed.
///
/// # Errors
/// If the text cannot be a header.
pub fn secret_header(name: HeaderName, value: &str) -> Result<(HeaderName, HeaderValue), Failure> {
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| Failure::Settings(format!("the value for the header `{name}` has characters that it must not")))?;
    value.set_sensitive(true);
    Ok((name, value))
}

/// A base address, to which paths are appended.
///
/// # Errors
/// If it is none, or if credentials would travel in the clear to another machine.
pub fn base_url(text: &str) -> Result<Url, String> {
    let url: Url = text.parse().map_err(|error| format!("it is no URL: {error}"))?;
    let is_local = is_this_machine(url.host_str().ok_or("it names no host")?);
    if url.scheme() != "https" && !(url.scheme() == "http" && is_local) {
        return Err("it has to begin with https, unless it is an address of this machine".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err("it must hold no user, password, query or fragment".to_owned());
    }
    Ok(url)
}

/// Whether what is sent to a host of a URL stays on this machine.
pub fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.map_or(host == "localhost", |address| address.is_loopback())
}

fn failure(error: reqwest::Error) -> Failure {
    let error = error.without_url();
    if let Some(unverified) = tls::Unverified::among(&error) {
        return Failure::Certificate(unverified);
    }
    if error.is_timeout() {
        return Failure::Unreachable("no answer in time".to_owned());
    }
    Failure::Unreachable(chain(&error))
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

    #[test]
    fn credentials_leave_the_machine_encrypted_only() {
        for good in ["https://api.example.com/v1", "http://127.0.0.1:8080", "http://localhost/x", "http://[::1]:1"] {
            assert!(base_url(good).is_ok(), "{good}");
        }
        for bad in
            ["http://example.com", "ftp://localhost", "example.com", "https://a:b@example.com", "https://e.com/?a=b"]
        {
            assert!(base_url(bad).is_err(), "{bad}");
        }
    }
}

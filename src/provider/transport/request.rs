//! What is sent, and what came back.

use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use url::Url;

use super::Failure;

/// One request. Its URL must not hold secrets in its path: that is named in messages.
#[derive(Clone)]
pub struct Request {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Option<Vec<u8>>,
    pub effect: Effect,
}

/// What sending a request does, and so whether it may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It changes nothing.
    Read,
    /// It changes something, and sending it twice is sending it once: its method is idempotent (RFC 9110, 9.2.2), or it carries
    /// an idempotency key that the API knows, or the API documents it for this request.
    Repeatable,
    /// It changes something each time that it is sent.
    Once,
}

impl Effect {
    /// What a method says by itself.
    pub fn of(method: &Method) -> Self {
        match *method {
            Method::GET | Method::HEAD => Self::Read,
            Method::PUT | Method::DELETE => Self::Repeatable,
            _ => Self::Once,
        }
    }
}

/// What came back, whatever its status.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Errors
    /// In words: what came instead.
    pub fn json(&self) -> Result<serde_json::Value, String> {
        serde_json::from_slice(&self.body).map_err(|_| {
            let kind = self.header(header::CONTENT_TYPE.as_str());
            let kind = match kind {
                _ if self.body.is_empty() => "empty".to_owned(),
                Some(kind) if kind.to_ascii_lowercase().contains("json") => {
                    "not valid JSON; it may be cut short".to_owned()
                }
                Some(kind) => format!("not JSON but {}", kind.chars().take(60).collect::<String>()),
                None => "not JSON".to_owned(),
            };
            format!("the answer is {kind}")
        })
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Whether it is a page for people, which says nothing about what was asked for.
    pub fn is_page(&self) -> bool {
        let kind = self.header(header::CONTENT_TYPE.as_str()).unwrap_or_default();
        kind.trim_start().to_ascii_lowercase().starts_with("text/html")
    }
}

/// A header whose value is kept out of everything that is printed.
///
/// # Errors
/// If the text cannot be a header.
pub fn secret_header(name: HeaderName, value: &str) -> Result<(HeaderName, HeaderValue), Failure> {
    let mut value = HeaderValue::from_str(value).map_err(|_| {
        Failure::Settings(format!("the value for the header `{name}` has characters that a header cannot have"))
    })?;
    value.set_sensitive(true);
    Ok((name, value))
}

//! Requests to one API: addresses, authentication, errors.

use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value as Json;

use super::auth::{self, Credentials};
use tenantry_provider::contract::{ErrorClass, ProviderError, Settings, masked};
use tenantry_transport::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LINK, LOCATION};
use tenantry_transport::{Answer, Method, Options, Request, Transport, Url};

/// What of a segment stands for itself (RFC 3986, unreserved).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// As above, for names that are paths themselves.
const PATH: &AsciiSet = &SEGMENT.remove(b'/');

pub struct Api {
    transport: Transport,
    base: Url,
    credentials: Credentials,
    /// What must stand in no message.
    secrets: Vec<SecretString>,
}

/// A request that did not do what it was for.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Transport(#[from] tenantry_transport::Failure),
    #[error("{} (status {status})", brief(message))]
    Refused { status: u16, message: String },
    #[error("{0}")]
    Unreadable(String),
    #[error("{0}")]
    Conflict(String),
    #[error("{0}")]
    Invalid(String),
    #[error("the operation failed: {}", brief(.0))]
    Operation(String),
}

/// An answer, whatever its status.
pub struct Reply {
    pub status: u16,
    /// Null where the body was empty.
    pub json: Json,
    pub location: Option<String>,
    pub next: Option<String>,
    /// Whether it is a page for people, which says nothing about what was asked for.
    pub is_page: bool,
}

/// An API's own words, as long as a message should be.
fn brief(message: &str) -> String {
    message.chars().take(500).collect()
}

impl Failure {
    /// Without secrets, should the API have quoted one: covered while it is whole, before anything is cut short.
    #[must_use]
    pub fn masked(self, secrets: &[Arc<str>]) -> Self {
        let cover = |text: String| masked(&text, secrets.iter().cloned());
        match self {
            Self::Transport(failure) => Self::Transport(failure),
            Self::Refused { status, message } => Self::Refused { status, message: cover(message) },
            Self::Unreadable(message) => Self::Unreadable(cover(message)),
            Self::Conflict(message) => Self::Conflict(cover(message)),
            Self::Invalid(message) => Self::Invalid(cover(message)),
            Self::Operation(message) => Self::Operation(cover(message)),
        }
    }

    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Transport(failure) => failure.class(),
            Self::Refused { status: 401 | 403, .. } => ErrorClass::Denied,
            Self::Refused { status: 408 | 423 | 425, .. } => ErrorClass::Retryable,
            Self::Refused { status, .. } if *status >= 500 => ErrorClass::Retryable,
            Self::Refused { status: 409 | 412, .. } | Self::Conflict(_) => ErrorClass::Conflict,
            Self::Refused { .. } | Self::Unreadable(_) | Self::Invalid(_) | Self::Operation(_) => ErrorClass::Fatal,
        }
    }

    pub fn into_provider_error(self, attempted: impl Into<String>) -> ProviderError {
        let remedy = match &self {
            Self::Transport(failure) => failure.remedy(),
            Self::Refused { status: 401, .. } => Some("check the credentials of the target"),
            Self::Refused { status: 403, .. } => Some("give the credentials of the target this permission"),
            Self::Unreadable(_) => Some("check the target's `url`: an API answers JSON"),
            _ => None,
        };
        let error = ProviderError::new(self.class(), attempted, &self);
        match remedy {
            Some(remedy) => error.with_remedy(remedy),
            None => error,
        }
    }
}

impl Api {
    /// # Errors
    /// In words, if the settings make no sense.
    pub fn open(settings: &Settings) -> Result<Self, String> {
        let base = settings.text("url").ok_or("`url` is missing")?;
        let base = tenantry_transport::base_url(base).map_err(|why| format!("`url` cannot be used: {why}"))?;
        let rate = settings.values.get("requests_per_second").and_then(Json::as_u64);
        let transport = Transport::new(&Options {
            roots: tenantry_transport::tls::roots(settings),
            requests_per_second: rate.and_then(|rate| u32::try_from(rate).ok()).unwrap_or(super::REQUESTS_PER_SECOND),
            concurrency: settings.concurrency,
        })
        .map_err(|failure| failure.to_string())?;
        let (credentials, secrets) = auth::open(settings)?;
        Ok(Self { transport, base, credentials, secrets })
    }

    pub fn location(&self) -> String {
        format!("{}{}", self.base.origin().ascii_serialization(), self.base.path().trim_end_matches('/'))
    }

    /// The address of a path, which begins with a slash.
    ///
    /// # Errors
    /// If it makes none.
    pub fn url(&self, path: &str) -> Result<Url, Failure> {
        let text = format!("{}{path}", self.base.as_str().trim_end_matches('/'));
        let url: Url = text.parse().map_err(|_| Failure::Invalid(format!("{path} is no path")))?;
        self.own(url)
    }

    /// An address that an answer named.
    ///
    /// # Errors
    /// If it is one of another host: our credentials are not for it.
    pub fn answered(&self, text: &str) -> Result<Url, Failure> {
        let url = self.base.join(text).map_err(|_| Failure::Unreadable("the answer names no address".to_owned()))?;
        self.own(url)
    }

    fn own(&self, url: Url) -> Result<Url, Failure> {
        if url.origin() == self.base.origin() {
            return Ok(url);
        }
        Err(tenantry_transport::Failure::Redirected(url.host_str().unwrap_or("nowhere").to_owned()).into())
    }

    /// Sends a request and reads the answer, whatever its status.
    ///
    /// # Errors
    /// If no answer came, or one that is no JSON.
    pub async fn call(
        &self,
        method: Method,
        url: Url,
        body: Option<&Json>,
        idempotency_key: Option<&str>,
    ) -> Result<Reply, Failure> {
        let mut headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(key) = idempotency_key.and_then(|key| HeaderValue::from_str(key).ok()) {
            headers.insert("idempotency-key", key);
        }
        let body = body.map(|body| body.to_string().into_bytes());
        for is_last in [false, true] {
            let mut request =
                Request { method: method.clone(), url: url.clone(), headers: headers.clone(), body: body.clone() };
            self.credentials.add_to(&mut request, &self.transport).await?;
            let answer = self.transport.send(&request).await?;
            if answer.status.as_u16() == 401 && !is_last && self.credentials.renew().await {
                continue;
            }
            return Self::read(&answer);
        }
        unreachable!("the last try returns")
    }

    fn read(answer: &Answer) -> Result<Reply, Failure> {
        let status = answer.status.as_u16();
        let json = if answer.body.is_empty() { Ok(Json::Null) } else { answer.json() };
        let json = match json {
            Ok(json) => json,
            Err(message) if answer.status.is_success() => return Err(Failure::Unreadable(message)),
            // An error may come in words, and those of a gateway are a page.
            Err(message) => Json::String(message),
        };
        let text = |name: HeaderName| answer.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let is_page =
            text(CONTENT_TYPE).is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("text/html"));
        Ok(Reply { status, json, location: text(LOCATION), next: text(LINK).and_then(|link| next_of(&link)), is_page })
    }

    /// An answer that says that it was done.
    ///
    /// # Errors
    /// With the API's own words, if it does not.
    pub fn done(&self, reply: Reply) -> Result<Reply, Failure> {
        if (200..300).contains(&reply.status) {
            return Ok(reply);
        }
        let places = ["/error/message", "/message", "/errors/0/message", "/detail", "/error_description", "/error", ""];
        let words = places.iter().find_map(|place| reply.json.pointer(place)?.as_str());
        let mut message = words.unwrap_or("the API refused it without saying why").to_owned();
        for secret in &self.secrets {
            message = message.replace(secret.expose_secret(), "(secret)");
        }
        Err(Failure::Refused { status: reply.status, message })
    }
}

/// A path with its placeholders filled in and encoded.
///
/// # Errors
/// If one is not known, or would lead elsewhere.
pub fn fill<'a>(path: &str, value: impl Fn(&str) -> Option<std::borrow::Cow<'a, str>>) -> Result<String, Failure> {
    let mut filled = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else { break };
        let value =
            value(name).ok_or_else(|| Failure::Invalid(format!("nothing is known for {{{name}}} of {path}")))?;
        if value.is_empty() || value.split('/').any(|segment| matches!(segment, "." | "..")) {
            return Err(Failure::Invalid(format!("{{{name}}} of {path} would lead elsewhere")));
        }
        filled.push_str(before);
        let set = if name == "operation" { PATH } else { SEGMENT };
        filled.extend(utf8_percent_encode(&value, set));
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// The address with `rel="next"` of a `Link` header (RFC 8288).
fn next_of(link: &str) -> Option<String> {
    link.split(',').find_map(|part| {
        let (address, parameters) = part.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = parameters.split(';').any(|parameter| matches!(parameter.trim(), "rel=\"next\"" | "rel=next"));
        is_next.then(|| address.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_filled_with_what_cannot_lead_elsewhere() {
        let filled = |value: &'static str| fill("/a/{x}?b={x}", |_| Some(value.into())).ok();
        assert_eq!(filled("one two").as_deref(), Some("/a/one%20two?b=one%20two"));
        assert_eq!(filled("x/../y&c=1"), None);
        assert_eq!(filled("x/y&c=1#z").as_deref(), Some("/a/x%2Fy%26c%3D1%23z?b=x%2Fy%26c%3D1%23z"));
        assert_eq!(filled(".."), None);
        assert_eq!(
            fill("/v2/{operation}", |_| Some("projects/p/operations/1".into())).ok().as_deref(),
            Some("/v2/projects/p/operations/1")
        );
    }

    #[test]
    fn the_next_page_is_one_of_several_links() {
        let link = r#"<https://e.com/a?page=1>; rel="prev", <https://e.com/a?page=3>; rel="next""#;
        assert_eq!(next_of(link).as_deref(), Some("https://e.com/a?page=3"));
        assert_eq!(next_of(r#"<https://e.com/a>; rel="prev""#), None);
    }
}

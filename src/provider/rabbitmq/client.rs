//! Requests to the management API.

use std::error::Error as _;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Method, StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value as Json;
use tokio::sync::Semaphore;

use super::error::Failure;
use tenantry_core::model::names::percent_decode;
use tenantry_provider::contract::{ErrorClass, ProviderError, Settings};
use tenantry_transport::tls;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a request may take: the definitions of a large server come within seconds.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// The most characters of an answer that is no JSON that a message repeats.
const MOST_QUOTED: usize = 200;

/// What a 404 says that the server did not send.
pub const NO_API: &str = "there is no management API at this address";

/// The management API of one target.
pub struct Client {
    http: reqwest::Client,
    base: Url,
    user: String,
    password: SecretString,
    permits: Semaphore,
}

impl Client {
    /// # Errors
    /// If `url` is missing, is no URL, or holds a password in the clear; or if `roots` cannot be used.
    pub fn new(settings: &Settings) -> Result<Self, ProviderError> {
        let invalid = |cause: &str| {
            let attempted = format!("reading the settings of target \"{}\"", settings.target);
            ProviderError::new(ErrorClass::Fatal, attempted, cause)
        };
        let url = settings.text("url").ok_or_else(|| invalid("`url` is missing"))?;
        // The parser's own message may quote parts of the URL.
        let mut base = Url::parse(url).map_err(|_| invalid("`url` is not a URL"))?;
        if !matches!(base.scheme(), "http" | "https") || base.cannot_be_a_base() {
            return Err(invalid("`url` does not begin with http:// or https://"));
        }
        if !settings.secrets.contains_key("url") && base.password().is_some() {
            return Err(invalid("`url` holds a password in the clear").with_remedy(
                "put the URL into an environment variable or a file and write `env:NAME` or `file:PATH`",
            ));
        }
        let decode = |text: &str| percent_decode(text).ok_or_else(|| invalid("`url` is not a URL"));
        let user = decode(base.username())?;
        let password = decode(base.password().unwrap_or_default())?;
        let unwritable = base.set_username("").is_err() || base.set_password(None).is_err();
        if user.is_empty() || unwritable {
            return Err(invalid("`url` names no user"));
        }
        let roots = tls::roots(settings);
        if roots.is_some() && base.scheme() != "https" {
            return Err(invalid("`roots` is for TLS, and `url` asks for none")
                .with_remedy("begin `url` with https://, or leave `roots` out"));
        }
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::configuration(roots.as_deref()).map_err(|why| invalid(&why))?)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("tenantry/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| invalid(&describe(&error)))?;
        let permits = Semaphore::new(settings.concurrency.max(1));
        Ok(Self { http, base, user, password: password.into(), permits })
    }

    /// User and address, for messages.
    /// Whom the server takes us for.
    pub fn user(&self) -> &str {
        &self.user
    }

    pub fn location(&self) -> String {
        format!("{}@{}", self.user, self.base.as_str().trim_end_matches('/').split("://").last().unwrap_or_default())
    }

    /// The answer, or nothing for the server's own 404.
    ///
    /// # Errors
    /// If no whole answer comes, the server refuses, or there is none.
    pub async fn get(&self, path: &[&str]) -> Result<Option<Json>, Failure> {
        let answer = self.send(Method::GET, path, None).await?;
        answer.map(|text| serde_json::from_str(&text).map_err(|_| Failure::Invalid(no_json(&text)))).transpose()
    }

    /// # Errors
    /// If no answer comes, or the server refuses.
    pub async fn put(&self, path: &[&str], body: &Json) -> Result<(), Failure> {
        self.send(Method::PUT, path, Some(body)).await?.ok_or_else(missing).map(|_| ())
    }

    /// # Errors
    /// If no answer comes, or the server refuses.
    pub async fn post(&self, path: &[&str], body: &Json) -> Result<(), Failure> {
        self.send(Method::POST, path, Some(body)).await?.ok_or_else(missing).map(|_| ())
    }

    /// What is gone already is as good as deleted.
    ///
    /// # Errors
    /// If no answer comes, or the server refuses.
    pub async fn delete(&self, path: &[&str]) -> Result<(), Failure> {
        self.send(Method::DELETE, path, None).await.map(|_| ())
    }

    async fn send(&self, method: Method, path: &[&str], body: Option<&Json>) -> Result<Option<String>, Failure> {
        let _permit = self.permits.acquire().await.map_err(|error| Failure::Transport(error.to_string()))?;
        let mut request =
            self.http.request(method, self.url(path)?).basic_auth(&self.user, Some(self.password.expose_secret()));
        if let Some(body) = body {
            request = request.json(body);
        }
        let failed = |error: reqwest::Error| match tls::Unverified::among(&error) {
            Some(unverified) => Failure::Certificate(unverified),
            None => Failure::Transport(describe(&error)),
        };
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let is_html = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|sort| sort.starts_with("text/html"));
        let text = response.text().await.map_err(failed)?;
        if status.is_redirection() || (is_html && (status.is_success() || status == StatusCode::NOT_FOUND)) {
            return Err(Failure::Invalid(no_json(&text)));
        }
        if status == StatusCode::NOT_FOUND {
            return if is_own_answer(&text) { Ok(None) } else { Err(Failure::Invalid(NO_API.to_owned())) };
        }
        if !status.is_success() {
            let retry_after = retry_after.map(Duration::from_secs);
            return Err(Failure::Status { status, reason: reason_in(&text), retry_after });
        }
        Ok(Some(text))
    }

    fn url(&self, path: &[&str]) -> Result<Url, Failure> {
        let mut url = self.base.clone();
        let mut segments =
            url.path_segments_mut().map_err(|()| Failure::Invalid("`url` can have no path".to_owned()))?;
        segments.pop_if_empty().push("api");
        for segment in path {
            // These would be taken for steps within the path.
            if matches!(*segment, "." | "..") {
                return Err(Failure::Invalid(format!("the name {segment:?} cannot stand in a request")));
            }
            segments.push(segment);
        }
        drop(segments);
        Ok(url)
    }
}

/// Whether a refusal is the server's own, and not that of something in front of it which does not find the server.
fn is_own_answer(text: &str) -> bool {
    let answer: Option<Json> = serde_json::from_str(text).ok();
    answer.is_some_and(|answer| ["error", "reason"].iter().all(|field| answer.get(field).is_some()))
}

fn missing() -> Failure {
    Failure::Status {
        status: StatusCode::NOT_FOUND,
        reason: "what it belongs to does not exist".to_owned(),
        retry_after: None,
    }
}

fn no_json(text: &str) -> String {
    let begin: String = text.chars().take(MOST_QUOTED).collect();
    format!("the answer is none of the management API; is `url` the right address? It begins: {}", begin.trim())
}

/// The server's own words: `{"error": …, "reason": …}`.
fn reason_in(text: &str) -> String {
    let answer: Option<Json> = serde_json::from_str(text).ok();
    let field = |name: &str| {
        answer.as_ref()?.get(name).map(|reason| match reason {
            Json::String(reason) => reason.clone(),
            other => other.to_string(),
        })
    };
    field("reason").or_else(|| field("error")).unwrap_or_else(|| text.chars().take(MOST_QUOTED).collect())
}

/// An error with everything that it was caused by, and without the URL.
fn describe(error: &reqwest::Error) -> String {
    let mut text = if error.is_timeout() { "no answer in time".to_owned() } else { "no answer".to_owned() };
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
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
        let url = "http://ann:hunter2@broker:15672";
        let error = Client::new(&settings(url, false)).err().expect("refused");
        assert!(!format!("{error:?}").contains("hunter2"));
        let client = Client::new(&settings(url, true)).expect("valid");
        assert_eq!(client.location(), "ann@broker:15672");
        for url in ["http://hunter2:x@[bad", "amqp://hunter2", "hunter2", "http://broker"] {
            let error = Client::new(&settings(url, true)).err().expect("refused");
            assert!(!format!("{error:?}").contains("hunter2"));
        }
    }

    #[test]
    fn certificates_to_trust_ask_for_tls_and_a_file() {
        for (url, says) in [("http://a:b@broker", "asks for none"), ("https://a:b@broker", "none.pem cannot be used")] {
            let mut settings = settings(url, true);
            settings.values.insert("roots".to_owned(), "none.pem".into());
            let error = Client::new(&settings).err().expect("refused").to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn names_are_encoded() {
        let client = Client::new(&settings("https://a%40b:p%2Fq@broker/under", true)).expect("valid");
        let url = client.url(&["queues", "/", "a/b?c#d%e"]).expect("a URL");
        assert_eq!(url.as_str(), "https://broker/under/api/queues/%2F/a%2Fb%3Fc%23d%25e");
        assert_eq!((client.user.as_str(), client.password.expose_secret()), ("a@b", "p/q"));
        assert!(client.url(&["queues", ".."]).is_err());
    }
}

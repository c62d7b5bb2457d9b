//! Requests to the management API.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;

use crate::error::{Failed as _, Failure};
use tenantry_core::model::names::percent_decode;
use tenantry_kit::settings::{invalid, refuse_password, says_plain};
use tenantry_provider::contract::{ProviderError, Settings};
use tenantry_transport::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use tenantry_transport::{
    Answer, Asked, Effect, Method, Options, Request, StatusCode, Transport, Url, channel, is_this_machine,
    secret_header,
};

/// The most characters of an answer that is not the API's that a message repeats.
const MOST_QUOTED: usize = 200;

/// The longest answer: the definitions come whole. Ten thousand tenants with twenty resources each are some 50 MiB.
const MOST_BYTES: usize = 128 << 20;

/// What a broker answers without effort.
pub const REQUESTS_PER_SECOND: u32 = 500;

/// What a 404 says that the server did not send.
pub const NO_API: &str = "there is no management API at this address";

/// The management API of one target.
pub struct Client {
    transport: Transport,
    base: Url,
    user: String,
    authorization: (HeaderName, HeaderValue),
}

impl Client {
    /// # Errors
    /// If `url` is missing, is not a URL, or holds a password in the clear; if the password would travel in the clear; or
    /// if `roots` cannot be used.
    pub fn new(settings: &Settings) -> Result<Self, ProviderError> {
        let invalid = |cause: &str| invalid(settings, cause);
        let url = settings.text("url").ok_or_else(|| invalid("`url` is missing"))?;
        // The parser's own message may quote parts of the URL.
        let mut base = Url::parse(url).map_err(|_| invalid("`url` is not a URL"))?;
        let asked = match base.scheme() {
            _ if base.cannot_be_a_base() => return Err(invalid("`url` is not a URL")),
            "https" => Asked::Verified,
            "http" if says_plain(settings) => Asked::Plain,
            "http" => Asked::Unencrypted,
            _ => return Err(invalid("`url` does not begin with http:// or https://")),
        };
        refuse_password(settings, base.password().is_some())?;
        let decode = |text: &str| percent_decode(text).ok_or_else(|| invalid("`url` is not a URL"));
        let user = decode(base.username())?;
        let password = decode(base.password().unwrap_or_default())?;
        let unwritable = base.set_username("").is_err() || base.set_password(None).is_err();
        if user.is_empty() || unwritable {
            return Err(invalid("`url` names no user"));
        }
        let options = Options::of(settings, REQUESTS_PER_SECOND);
        let is_local = base.host_str().is_some_and(is_this_machine);
        channel(asked, is_local, options.roots.is_some())
            .map_err(|refused| invalid(&refused.to_string()).with_remedy(refused.remedy("https://")))?;
        let secrets = vec![password.clone().into()];
        let transport = Transport::new(&Options { most_bytes: MOST_BYTES, secrets, ..options })
            .map_err(|failure| invalid(&failure.to_string()))?;
        let credentials = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        let authorization =
            secret_header(AUTHORIZATION, &credentials).map_err(|failure| invalid(&failure.to_string()))?;
        Ok(Self { transport, base, user, authorization })
    }

    /// Whom the server takes us for.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// User and address, for messages.
    pub fn location(&self) -> String {
        format!("{}@{}", self.user, self.base.as_str().trim_end_matches('/').split("://").last().unwrap_or_default())
    }

    /// The answer, or `None` for the server's own 404.
    ///
    /// # Errors
    /// If no whole answer comes, the server refuses, or the answer is not the API's.
    pub async fn get(&self, path: &[&str]) -> Result<Option<Json>, Failure> {
        let answer = self.send(Method::GET, path, None).await?;
        if is_missing(&answer)? {
            return Ok(None);
        }
        match self.done(&answer, &[StatusCode::OK])?.json() {
            Ok(json) => Ok(Some(json)),
            Err(_) => Err(self.no_answer(&answer)),
        }
    }

    /// # Errors
    /// If no answer comes, the server refuses, or the answer is not the API's.
    pub async fn put(&self, path: &[&str], body: &Json) -> Result<(), Failure> {
        self.write(Method::PUT, path, body).await
    }

    /// # Errors
    /// As for [`Self::put`].
    pub async fn post(&self, path: &[&str], body: &Json) -> Result<(), Failure> {
        self.write(Method::POST, path, body).await
    }

    /// What is gone already is as good as deleted.
    ///
    /// # Errors
    /// As for [`Self::put`].
    pub async fn delete(&self, path: &[&str]) -> Result<(), Failure> {
        let answer = self.send(Method::DELETE, path, None).await?;
        if is_missing(&answer)? {
            return Ok(());
        }
        self.done(&answer, &[StatusCode::NO_CONTENT]).map(|_| ())
    }

    async fn write(&self, method: Method, path: &[&str], body: &Json) -> Result<(), Failure> {
        let answer = self.send(method, path, Some(body)).await?;
        if is_missing(&answer)? {
            let reason = "its virtual host or user does not exist".to_owned();
            return Err(Failure::Refused { status: StatusCode::NOT_FOUND, reason });
        }
        self.done(&answer, &[StatusCode::CREATED, StatusCode::NO_CONTENT]).map(|_| ())
    }

    async fn send(&self, method: Method, path: &[&str], body: Option<&Json>) -> Result<Answer, Failure> {
        // Not all of its answers are JSON: some requests are refused to whoever accepts nothing else.
        let mut headers = HeaderMap::from_iter([self.authorization.clone(), (ACCEPT, HeaderValue::from_static("*/*"))]);
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        // A binding that is made again is the same one ("POST … to bindings", HTTP API reference).
        let effect = if method == Method::POST { Effect::Repeatable } else { Effect::of(&method) };
        let body = body.map(|body| body.to_string().into_bytes());
        Ok(self.transport.send(&Request { method, url: self.url(path)?, headers, body, effect }).await?)
    }

    /// An answer with one of the statuses that the API has for what was asked. Whoever answers a deletion with 200 is
    /// somebody else, and nothing was deleted.
    fn done<'a>(&self, answer: &'a Answer, expected: &[StatusCode]) -> Result<&'a Answer, Failure> {
        if expected.contains(&answer.status) && !answer.is_page() {
            return Ok(answer);
        }
        if answer.status.is_client_error() || answer.status.is_server_error() {
            let reason = self.transport.masked(&reason_in(&answer.body));
            return Err(Failure::Refused { status: answer.status, reason });
        }
        Err(self.no_answer(answer))
    }

    fn no_answer(&self, answer: &Answer) -> Failure {
        let begin = self.transport.masked(&beginning(&answer.body));
        let status = answer.status.as_u16();
        Failure::invalid(format!(
            "the answer (status {status}) did not come from the management API; check the address in `url`. It begins: {begin}"
        ))
    }

    fn url(&self, path: &[&str]) -> Result<Url, Failure> {
        let mut url = self.base.clone();
        let mut segments = url.path_segments_mut().map_err(|()| Failure::invalid("`url` must not have a path"))?;
        segments.pop_if_empty().push("api");
        for segment in path {
            // These would be taken for steps within the path.
            if matches!(*segment, "." | "..") {
                return Err(Failure::invalid(format!("the name {segment:?} cannot be used in a request")));
            }
            segments.push(segment);
        }
        drop(segments);
        Ok(url)
    }
}

/// Whether the server itself says that there is no such thing, and not something in front of it which does not find the
/// server: `{"error": …, "reason": …}`.
fn is_missing(answer: &Answer) -> Result<bool, Failure> {
    if answer.status != StatusCode::NOT_FOUND {
        return Ok(false);
    }
    let words: Option<Json> = serde_json::from_slice(&answer.body).ok();
    match words.is_some_and(|words| ["error", "reason"].iter().all(|field| words.get(field).is_some())) {
        true => Ok(true),
        false => Err(Failure::invalid(NO_API)),
    }
}

/// The server's own words: `{"error": …, "reason": …}`.
fn reason_in(body: &[u8]) -> String {
    let answer: Option<Json> = serde_json::from_slice(body).ok();
    let field = |name: &str| {
        answer.as_ref()?.get(name).map(|reason| match reason {
            Json::String(reason) => reason.clone(),
            other => other.to_string(),
        })
    };
    field("reason").or_else(|| field("error")).unwrap_or_else(|| beginning(body))
}

fn beginning(body: &[u8]) -> String {
    String::from_utf8_lossy(body).trim().chars().take(MOST_QUOTED).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenantry_kit::fixture::settings;

    #[test]
    fn a_password_in_the_clear_is_refused_and_not_repeated() {
        let url = "https://ann:hunter2@broker:15671";
        let error = Client::new(&settings(url, false)).err().expect("refused");
        assert!(!format!("{error:?}").contains("hunter2"));
        let client = Client::new(&settings(url, true)).expect("valid");
        assert_eq!(client.location(), "ann@broker:15671");
        for url in
            ["https://hunter2:x@[bad", "amqp://hunter2", "hunter2", "https://broker", "http://ann:hunter2@broker"]
        {
            let error = Client::new(&settings(url, true)).err().expect("refused");
            assert!(!format!("{error:?}").contains("hunter2"));
        }
    }

    #[test]
    fn what_leaves_this_machine_is_encrypted_unless_the_target_says_otherwise() {
        let plain = |url: &str, says: bool| {
            let mut settings = settings(url, true);
            settings.values.insert("plaintext".to_owned(), says.into());
            Client::new(&settings)
                .map(|_| ())
                .map_err(|error| format!("{error}; {}", error.remedy.as_deref().unwrap_or("")))
        };
        let refused = plain("http://a:b@broker:15672", false).expect_err("it is in the clear");
        assert!(refused.contains("could read what is sent") && refused.contains("`plaintext = true`"), "{refused}");
        assert_eq!(plain("http://a:b@broker:15672", true), Ok(()));
        assert_eq!(plain("http://a:b@127.0.0.1:15672", false), Ok(()));
    }

    #[test]
    fn certificates_to_trust_ask_for_tls_and_a_file() {
        for (url, says) in
            [("http://a:b@broker", "does not use TLS"), ("https://a:b@broker", "none.pem cannot be used")]
        {
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
        assert_eq!((client.user.as_str(), client.authorization.1.as_bytes()), ("a@b", &b"Basic YUBiOnAvcQ=="[..]));
        assert!(client.url(&["queues", ".."]).is_err());
    }
}

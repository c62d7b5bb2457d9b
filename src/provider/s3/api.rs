//! Requests to S3, signed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use md5::{Digest as _, Md5};
use secrecy::SecretString;

use super::error::{Failed as _, Failure};
use super::xml::Element;
use tenantry_core::model::names::percent_encode;
use tenantry_provider::contract::Settings;
use tenantry_transport::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use tenantry_transport::sigv4::{Credentials, Scope, sign};
use tenantry_transport::{Answer, Effect, Method, Options, Request, StatusCode, Transport, Url};

/// The version of IAM's requests and answers.
const IAM_VERSION: &str = "2010-05-08";

/// One target.
pub struct Api {
    transport: Transport,
    credentials: Credentials,
    base: Url,
    iam: Url,
    pub region: String,
}

/// What a request is about, besides its method.
#[derive(Default)]
pub struct Call<'a> {
    pub bucket: &'a str,
    pub key: &'a str,
    pub query: &'a [(&'a str, &'a str)],
    pub headers: &'a [(&'a str, &'a str)],
    pub body: Option<Vec<u8>>,
}

impl Api {
    /// # Errors
    /// In words, if the settings make no sense, or have a secret in the clear.
    pub fn open(settings: &Settings) -> Result<Self, String> {
        settings.refuse_in_the_clear(&["secret_access_key", "session_token"])?;
        let needed = |name: &str| {
            settings.text(name).filter(|text| !text.is_empty()).ok_or_else(|| format!("`{name}` is missing"))
        };
        let secret = |text: &str| SecretString::from(text.trim_end_matches('\n').to_owned());
        let credentials = Credentials {
            access_key_id: needed("access_key_id")?.trim().to_owned(),
            secret_access_key: secret(needed("secret_access_key")?),
            session_token: settings.text("session_token").map(secret),
        };
        let region = settings.text("region").unwrap_or(super::REGION).to_owned();
        if region.is_empty() || !region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err("`region` is not a valid region name; use letters, digits and hyphens".to_owned());
        }
        let address = |name: &str, text: &str| {
            tenantry_transport::base_url(text).map_err(|why| format!("`{name}` cannot be used: {why}"))
        };
        let base = match settings.text("url") {
            Some(url) => address("url", url)?,
            None => address("url", &format!("https://s3.{region}.amazonaws.com"))?,
        };
        let iam = match (settings.text("iam_url"), settings.text("url")) {
            (Some(url), _) => address("iam_url", url)?,
            (None, Some(_)) => base.clone(),
            (None, None) => address("iam_url", "https://iam.amazonaws.com")?,
        };
        let mut secrets = vec![credentials.secret_access_key.clone()];
        secrets.extend(credentials.session_token.clone());
        let options = Options { secrets, ..Options::of(settings, super::REQUESTS_PER_SECOND) };
        let transport = Transport::new(&options).map_err(|failure| failure.to_string())?;
        Ok(Self { transport, credentials, base, iam, region })
    }

    /// Where it is, whoever asks.
    pub fn address(&self) -> String {
        format!("{}{}", self.base.origin().ascii_serialization(), self.base.path().trim_end_matches('/'))
    }

    /// Key and address, for messages.
    pub fn location(&self) -> String {
        let host = self.base.host_str().unwrap_or_default();
        let host = self.base.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        format!("{}@{host}", self.credentials.access_key_id)
    }

    /// Sends a request to S3. Any answer is an answer but "slow down"; [`refusal`] tells what an error means.
    ///
    /// # Errors
    /// If none comes.
    pub async fn send(&self, method: Method, call: Call<'_>) -> Result<Answer, Failure> {
        let mut url = self.base.clone();
        url.set_path(&path(self.base.path(), call.bucket, call.key)?);
        url.set_query(None);
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(call.query);
        }
        let mut headers = HeaderMap::new();
        for (name, value) in call.headers {
            let unusable = || Failure::invalid(format!("the header `{name}` cannot have the value {value:?}"));
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unusable())?;
            headers.insert(name, HeaderValue::from_str(value).map_err(|_| unusable())?);
        }
        if let Some(body) = &call.body {
            let digest = STANDARD.encode(Md5::digest(body));
            headers.insert("content-md5", HeaderValue::from_str(&digest).expect("base64 is a header"));
        }
        // What is posted deletes objects, and what is gone stays gone.
        let effect = if method == Method::POST { Effect::Repeatable } else { Effect::of(&method) };
        self.signed(Request { method, url, headers, body: call.body, effect }, "s3").await
    }

    /// Does something in IAM, in its Query API. Returns the answer's result, an empty element if it has none.
    ///
    /// # Errors
    /// If no answer comes, a refusal, or something else.
    pub async fn iam(&self, action: &str, parameters: &[(&str, &str)]) -> Result<Element, Failure> {
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8");
        let request = Request {
            method: Method::POST,
            url: self.iam.clone(),
            headers: HeaderMap::from_iter([(CONTENT_TYPE, kind)]),
            body: Some(form(action, parameters)),
            effect: effect_of(action),
        };
        let answer = self.signed(request, "iam").await?;
        if !answer.status.is_success() {
            return Err(refusal(&answer));
        }
        let root = Element::parse(&answer.body).ok_or_else(|| Failure::Unreadable(no_xml(&answer)))?;
        if root.name != format!("{action}Response") {
            return Err(Failure::Unreadable(format!("the answer to {action} is <{}>", root.name)));
        }
        Ok(root.child(&format!("{action}Result")).cloned().unwrap_or_default())
    }

    async fn signed(&self, mut request: Request, service: &str) -> Result<Answer, Failure> {
        // IAM of AWS knows one region only, whichever the buckets are in.
        let is_global = service == "iam" && self.iam.host_str() == Some("iam.amazonaws.com");
        let region = if is_global { super::REGION } else { &self.region };
        let scope = Scope { region, service };
        #[expect(clippy::disallowed_methods, reason = "the server holds a signature's time against its own clock")]
        let now = Timestamp::now();
        sign(&mut request, &self.credentials, scope, now)?;
        let answer = self.transport.send(&request).await?;
        // An object may be a page; an answer to anything but a look at an object that is there is none.
        let is_object = request.method == Method::HEAD && answer.status.is_success();
        if answer.is_page() && !is_object && !answer.body.starts_with(b"<?xml") {
            return Err(Failure::Unreadable(no_xml(&answer)));
        }
        Ok(answer)
    }

    /// Sends a request to S3 that has to succeed.
    ///
    /// # Errors
    /// If no answer comes, or a refusal.
    pub async fn call(&self, method: Method, call: Call<'_>) -> Result<Answer, Failure> {
        let answer = self.send(method, call).await?;
        if answer.status.is_success() { Ok(answer) } else { Err(refusal(&answer)) }
    }

    /// Reads a document whose root has to have a certain name.
    ///
    /// # Errors
    /// If no answer comes, a refusal, or something else.
    pub async fn document(&self, bucket: &str, query: &[(&str, &str)], root: &str) -> Result<Element, Failure> {
        let answer = self.call(Method::GET, Call { bucket, query, ..Call::default() }).await?;
        match Element::parse(&answer.body) {
            Some(element) if element.name == root => Ok(element),
            Some(element) => Err(Failure::Unreadable(format!("the answer is <{}> and not <{root}>", element.name))),
            None => Err(Failure::Unreadable(no_xml(&answer))),
        }
    }
}

/// What an action of IAM does. Making a thing twice makes two of them, or is refused; bringing one to a state twice brings it
/// there.
fn effect_of(action: &str) -> Effect {
    match action {
        _ if action.starts_with("Get") || action.starts_with("List") => Effect::Read,
        _ if action.starts_with("Create") => Effect::Once,
        _ => Effect::Repeatable,
    }
}

/// The body of a request to IAM.
fn form(action: &str, parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("Action", action).append_pair("Version", IAM_VERSION).extend_pairs(parameters);
    form.finish().into_bytes()
}

/// The path of a bucket or object below the server's own.
fn path(base: &str, bucket: &str, key: &str) -> Result<String, Failure> {
    let is_step = |segment: &str| matches!(segment, "." | "..");
    if is_step(bucket) || key.split('/').any(is_step) {
        return Err(Failure::invalid(format!("the name {bucket}/{key} has a segment `.` or `..`")));
    }
    let encode =
        |text: &str| percent_encode(text, |character| character.is_ascii_alphanumeric() || "-._~/".contains(character));
    let base = base.trim_end_matches('/');
    Ok(match (bucket, key) {
        ("", _) => format!("{base}/"),
        (bucket, "") => format!("{base}/{}", encode(bucket)),
        (bucket, key) => format!("{base}/{}/{}", encode(bucket), encode(key)),
    })
}

/// What an answer that is an error says.
pub fn refusal(answer: &Answer) -> Failure {
    let status = answer.status.as_u16();
    let root = Element::parse(&answer.body);
    let error = match root.as_ref() {
        // So IAM wraps it.
        Some(root) if root.name == "ErrorResponse" => root.child("Error"),
        root => root,
    };
    match error.filter(|error| error.name == "Error") {
        Some(error) => Failure::Refused {
            status,
            code: error.get("Code").unwrap_or_default().to_owned(),
            message: error.get("Message").filter(|text| !text.is_empty()).unwrap_or("refused").to_owned(),
        },
        // An answer to HEAD has no body.
        None if answer.body.is_empty() => Failure::Refused {
            status,
            code: String::new(),
            message: answer.status.canonical_reason().unwrap_or("refused").to_owned(),
        },
        None if answer.status.is_server_error() || answer.status == StatusCode::FORBIDDEN => {
            Failure::Refused { status, code: String::new(), message: "refused without a readable reason".to_owned() }
        }
        None => Failure::Unreadable(no_xml(answer)),
    }
}

/// What came instead.
fn no_xml(answer: &Answer) -> String {
    let kind = answer.header("content-type").unwrap_or("something").chars().take(60).collect::<String>();
    format!("the answer (status {}) did not come from S3: it is {kind}", answer.status.as_u16())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenantry_kit::fixture::settings_of as settings;

    #[test]
    fn addresses_follow_the_settings() {
        let secret = [("secret_access_key", "hunter2")];
        let api = |values| Api::open(&settings(values, &secret));
        let aws = api(serde_json::json!({"access_key_id": "AK", "region": "eu-west-1"})).expect("valid");
        assert_eq!(aws.base.as_str(), "https://s3.eu-west-1.amazonaws.com/");
        let own = api(serde_json::json!({"access_key_id": "AK", "url": "http://127.0.0.1:1/s"})).expect("valid");
        assert_eq!(own.location(), "AK@127.0.0.1:1");
        for (values, secrets) in [
            (serde_json::json!({"access_key_id": "AK"}), &[][..]),
            (serde_json::json!({}), &secret),
            (serde_json::json!({"access_key_id": "AK", "secret_access_key": "hunter2"}), &[]),
            (serde_json::json!({"access_key_id": "AK", "region": "a/b"}), &secret),
            (serde_json::json!({"access_key_id": "AK", "url": "http://example.com"}), &secret),
        ] {
            let why = Api::open(&settings(values, secrets)).err().expect("refused");
            assert!(!why.contains("hunter2"), "{why}");
        }
    }

    #[test]
    fn names_are_encoded_and_cannot_step() {
        assert_eq!(path("/", "", "").ok().as_deref(), Some("/"));
        assert_eq!(path("/s/", "b", "").ok().as_deref(), Some("/s/b"));
        assert_eq!(path("/", "b", "a b/é?#%+.txt").ok().as_deref(), Some("/b/a%20b/%C3%A9%3F%23%25%2B.txt"));
        for key in ["..", "a/../b", "./a"] {
            assert!(path("/", "b", key).is_err(), "{key}");
        }
    }
}

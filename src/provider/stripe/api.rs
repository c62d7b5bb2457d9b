//! Stripe's API as this provider uses it: list, read, write, delete.

use std::borrow::Cow;

use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};

use super::form::Form;
use tenantry_core::model::names::hex;
pub use tenantry_kit::Failed;
use tenantry_kit::Obstacle;
use tenantry_provider::contract::{ErrorClass, Settings};
use tenantry_transport::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use tenantry_transport::{Answer, Effect, Method, Options, Pages, Request, Transport, Url};

/// The version of the API that everything here is written for. Stripe keeps old versions working.
pub const VERSION: &str = "2026-08-26.dahlia";

/// Objects of a page: the most that Stripe gives.
const PAGE: &str = "100";

pub struct Api {
    transport: Transport,
    base: Url,
    headers: HeaderMap,
    /// Whether the key is for live mode.
    live: bool,
}

/// A request that did not do what it was for.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Transport(#[from] tenantry_transport::Failure),
    #[error("{message} (status {status}{})", code.as_deref().map(|code| format!(", {code}")).unwrap_or_default())]
    Refused { status: u16, code: Option<String>, message: String, replayed: bool },
    #[error("{0}")]
    Unreadable(String),
    #[error("the key is for {} mode, but Stripe returned an object of {} mode", mode(*.key), mode(!*.key))]
    Mode { key: bool },
    #[error(transparent)]
    Obstacle(#[from] Obstacle),
}

/// The name of a mode, as Stripe has it.
pub fn mode(live: bool) -> &'static str {
    if live { "live" } else { "test" }
}

/// An object that was written.
pub struct Posted {
    pub object: Json,
    /// Whether this is the answer to an earlier request with the same idempotency key.
    pub replayed: bool,
}

impl Failure {
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => code.as_deref(),
            _ => None,
        }
    }
}

impl Failed for Failure {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Transport(failure) => failure.class(),
            Self::Refused { status: 401 | 403, .. } => ErrorClass::Denied,
            // Another request with the same key is on its way, or an object is locked for a moment.
            Self::Refused { status: 409, .. } => ErrorClass::Retryable,
            Self::Refused { status, .. } if *status >= 500 => ErrorClass::Retryable,
            Self::Refused { .. } if self.code() == Some("lock_timeout") => ErrorClass::Retryable,
            Self::Refused { .. } if self.code() == Some("resource_already_exists") => ErrorClass::Conflict,
            Self::Refused { .. } | Self::Unreadable(_) | Self::Mode { .. } => ErrorClass::Fatal,
            Self::Obstacle(obstacle) => obstacle.class(),
        }
    }

    fn remedy(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Transport(failure) => failure.remedy().map(Into::into),
            Self::Refused { status: 401, .. } => Some("check the target's `api_key`".into()),
            Self::Refused { status: 403, .. } => {
                Some("give the restricted key the permission for this resource, in Stripe's dashboard".into())
            }
            Self::Unreadable(_) => Some("check the target's `url`".into()),
            Self::Refused { .. } | Self::Mode { .. } => None,
            Self::Obstacle(obstacle) => obstacle.remedy(),
        }
    }
}

impl Api {
    /// # Errors
    /// In words, if the settings make no sense or mix test and live mode.
    pub fn open(settings: &Settings) -> Result<Self, String> {
        settings.refuse_in_the_clear(&["api_key"])?;
        let key = settings.text("api_key").unwrap_or_default();
        let live = match key.get(..8) {
            Some("sk_test_" | "rk_test_") => false,
            Some("sk_live_" | "rk_live_") => true,
            _ => return Err("`api_key` is not a secret or restricted key (`sk_test_…`, `rk_live_…`)".to_owned()),
        };
        let says_live = settings.values.get("live").and_then(Json::as_bool).unwrap_or(false);
        match (live, says_live) {
            (true, false) => {
                return Err(
                    "`api_key` is for live mode; write `live = true` in the target's table if it is meant to move real money".into()
                );
            }
            (false, true) => return Err("`live = true`, but `api_key` is for test mode".to_owned()),
            _ => {}
        }
        let base = tenantry_transport::base_url(settings.text("url").unwrap_or(super::URL))
            .map_err(|why| format!("`url` cannot be used: {why}"))?;
        let options = Options { secrets: vec![key.into()], ..Options::of(settings, super::REQUESTS_PER_SECOND) };
        let transport = Transport::new(&options).map_err(|failure| failure.to_string())?;
        let (name, value) = tenantry_transport::secret_header(AUTHORIZATION, &format!("Bearer {key}"))
            .map_err(|failure| failure.to_string())?;
        let headers = HeaderMap::from_iter([
            (name, value),
            (HeaderName::from_static("stripe-version"), HeaderValue::from_static(VERSION)),
        ]);
        Ok(Self { transport, base, headers, live })
    }

    /// Where it is and in which mode, for messages.
    pub fn location(&self) -> String {
        format!("{} ({} mode)", self.base.host_str().unwrap_or_default(), mode(self.live))
    }

    /// Every object of a list: page after page, until there is no more.
    ///
    /// # Errors
    /// If any page fails: part of a list is no list.
    pub async fn list(&self, path: &str, query: &Form) -> Result<Vec<Json>, Failure> {
        let mut objects: Vec<Json> = Vec::new();
        let mut after: Option<String> = None;
        let mut pages = Pages::default();
        loop {
            let mut query = Form::new().with("limit", PAGE).with_all(query);
            if let Some(after) = &after {
                query.set("starting_after", after);
            }
            let page = self.call(Method::GET, path, Some(&query), None, None).await?.object;
            let unreadable = |what: String| Failure::Unreadable(format!("the answer to {path} {what}"));
            let data = page.get("data").and_then(Json::as_array);
            let (Some(data), Some(has_more)) = (data, page.get("has_more").and_then(Json::as_bool)) else {
                return Err(unreadable("is not a list".to_owned()));
            };
            let ids: Option<Vec<&str>> = data.iter().map(|object| object.get("id")?.as_str()).collect();
            let ids = ids.ok_or_else(|| unreadable("has an object without an id".to_owned()))?;
            objects.extend(data.iter().cloned());
            if !has_more {
                return Ok(objects);
            }
            let last =
                ids.last().ok_or_else(|| unreadable("is marked as incomplete, but names no next page".to_owned()))?;
            pages.turn(&ids, last).map_err(|endless| Failure::Unreadable(format!("{path}: {endless}")))?;
            after = Some((*last).to_owned());
        }
    }

    /// Whether the key is for live mode.
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// The id of the account that the key belongs to ("Retrieve account", API reference).
    ///
    /// # Errors
    /// If that could not be told. A restricted key needs the permission to read its account.
    pub async fn account(&self) -> Result<String, Failure> {
        let account = self.call(Method::GET, "account", None, None, None).await?.object;
        match account.get("id").and_then(Json::as_str).filter(|id| !id.is_empty()) {
            Some(id) => Ok(id.to_owned()),
            None => Err(Failure::Unreadable("the answer is not an account".to_owned())),
        }
    }

    /// One page of a list, to see whether anybody answers.
    ///
    /// # Errors
    /// If nobody does.
    pub async fn probe(&self) -> Result<(), Failure> {
        let query = Form::new().with("limit", "1");
        self.call(Method::GET, "products", Some(&query), None, None).await.map(|_| ())
    }

    /// One object, or `None` if there is none of that id or it was deleted.
    ///
    /// # Errors
    /// If that could not be told.
    pub async fn get(&self, path: &str, id: &str) -> Result<Option<Json>, Failure> {
        match self.call(Method::GET, &below(path, id), None, None, None).await {
            Ok(Posted { object, .. }) => {
                let object = about(object, id)?;
                Ok(Some(object).filter(|object| object.get("deleted").and_then(Json::as_bool) != Some(true)))
            }
            Err(failure) if failure.status() == Some(404) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Changes an object. Doing it twice is doing it once, so there is no idempotency key: with one, a repair that is the
    /// same as an earlier one would be answered and not done.
    ///
    /// # Errors
    /// If it was refused or not answered.
    pub async fn update(&self, path: &str, id: &str, form: &Form) -> Result<Json, Failure> {
        let posted = self.call(Method::POST, &below(path, id), None, Some(form), None).await?;
        about(posted.object, id)
    }

    /// Makes an object. The idempotency key is that of the step, with a digest of what is sent: Stripe refuses a key that
    /// comes again with something else.
    ///
    /// # Errors
    /// If it was refused or not answered.
    pub async fn create(&self, path: &str, form: &Form, key: &str, attempt: usize) -> Result<Posted, Failure> {
        let digest = hex(&Sha256::digest(form.encoded().as_bytes()));
        let key = format!("{key}-{}-{attempt}", &digest[..16]);
        let posted = self.call(Method::POST, path, None, Some(form), Some(&key)).await?;
        match posted.object.get("id").and_then(Json::as_str) {
            Some(_) => Ok(posted),
            None => Err(Failure::Unreadable("Stripe reports that it was created, but returned no object".to_owned())),
        }
    }

    /// Deletes an object; whether it was there.
    ///
    /// # Errors
    /// If it was refused or not answered.
    pub async fn delete(&self, path: &str, id: &str, query: &Form) -> Result<bool, Failure> {
        match self.call(Method::DELETE, &below(path, id), Some(query), None, None).await {
            Ok(Posted { object, .. }) => {
                let object = about(object, id)?;
                // A subscription is canceled, and stays to be read.
                let is_gone = object.get("deleted").and_then(Json::as_bool) == Some(true)
                    || object.get("status").and_then(Json::as_str) == Some("canceled");
                match is_gone {
                    true => Ok(true),
                    false => Err(Failure::Unreadable("Stripe does not confirm that it is deleted".to_owned())),
                }
            }
            Err(failure) if failure.status() == Some(404) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        query: Option<&Form>,
        form: Option<&Form>,
        idempotency_key: Option<&str>,
    ) -> Result<Posted, Failure> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/v1/{path}", self.base.path().trim_end_matches('/')));
        url.set_query(query.map(Form::encoded).filter(|query| !query.is_empty()).as_deref());
        let mut headers = self.headers.clone();
        if form.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        }
        if let Some(key) = idempotency_key {
            let key = HeaderValue::from_str(key)
                .map_err(|_| Failure::invalid("its idempotency key has characters that a header cannot have"))?;
            headers.insert("idempotency-key", key);
        }
        let body = form.map(|form| form.encoded().into_bytes());
        // What is posted without a key sets values, and setting them twice is setting them once.
        let effect = if method == Method::GET { Effect::Read } else { Effect::Repeatable };
        let answer = self.transport.send(&Request { method, url, headers, body, effect }).await?;
        let replayed = answer.header("idempotent-replayed") == Some("true");
        let object = self.read(&answer, replayed)?;
        Ok(Posted { object, replayed })
    }

    fn read(&self, answer: &Answer, replayed: bool) -> Result<Json, Failure> {
        let status = answer.status.as_u16();
        let json = match answer.json() {
            Ok(json) => json,
            // A gateway before Stripe that fails answers in its own words.
            Err(message) if status >= 500 => return Err(Failure::Refused { status, code: None, message, replayed }),
            Err(message) => return Err(Failure::Unreadable(message)),
        };
        if !answer.status.is_success() {
            let text = |name: &str| json.get("error")?.get(name)?.as_str();
            // Whoever stands in front of Stripe, and does not find it, says 404 as well.
            if status == 404 && text("type").is_none() {
                return Err(Failure::Unreadable("the answer (status 404) did not come from Stripe".to_owned()));
            }
            let message = text("message").unwrap_or("Stripe gave no reason");
            let code = text("code").or_else(|| text("type")).map(str::to_owned);
            return Err(Failure::Refused { status, code, message: self.transport.masked(message), replayed });
        }
        let objects = json.get("data").and_then(Json::as_array).map_or(std::slice::from_ref(&json), Vec::as_slice);
        let is_other =
            |object: &Json| object.get("livemode").and_then(Json::as_bool).is_some_and(|live| live != self.live);
        if objects.iter().any(is_other) {
            return Err(Failure::Mode { key: self.live });
        }
        Ok(json)
    }
}

impl Form {
    fn with_all(mut self, other: &Form) -> Self {
        self.extend(other.clone());
        self
    }
}

/// An answer that has to be about the object of an id, which may be followed by what is done to it.
fn about(object: Json, id: &str) -> Result<Json, Failure> {
    let asked = id.split('/').next();
    match object.get("id").and_then(Json::as_str) {
        found if found == asked => Ok(object),
        _ => Err(Failure::Unreadable("the answer is about another object than the requested one".to_owned())),
    }
}

/// The path of one object.
fn below(path: &str, id: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const TOKEN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'-');
    match id.split_once('/') {
        // What is done to an object is a path below it; ids have no slash.
        Some((id, verb)) => format!("{path}/{}/{verb}", utf8_percent_encode(id, TOKEN)),
        None => format!("{path}/{}", utf8_percent_encode(id, TOKEN)),
    }
}

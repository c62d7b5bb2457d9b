//! Requests to one API: addresses, authentication, errors.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value as Json;

use crate::auth::{self, Credentials};
use crate::failure::{Failed as _, Failure};
use tenantry_provider::contract::Settings;
use tenantry_transport::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LINK, LOCATION};
use tenantry_transport::{Answer, Effect, Method, Options, Request, Transport, Url};

/// What of a segment stands for itself (RFC 3986, unreserved).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// As above, for names that are paths themselves.
const PATH: &AsciiSet = &SEGMENT.remove(b'/');

pub struct Api {
    transport: Transport,
    base: Url,
    credentials: Credentials,
}

/// An answer, whatever its status.
pub struct Reply {
    pub status: u16,
    /// Null where the body was empty.
    pub json: Json,
    pub location: Option<String>,
    pub next: Option<String>,
    /// Whether it is in the words of an API, or in none. Those of a gateway, or of a page for people, say nothing about what
    /// was asked for.
    pub is_own: bool,
}

/// What makes a request safe to send again: a header, and a text that is the same for every repetition.
#[derive(Clone, Copy)]
pub struct IdempotencyKey<'a> {
    pub header: &'a str,
    pub key: &'a str,
}

impl Reply {
    /// Whether the API itself says, by one of some statuses, that there is no such thing.
    pub fn says_absent(&self, statuses: &[u16]) -> bool {
        self.is_own && statuses.contains(&self.status)
    }
}

impl Api {
    /// # Errors
    /// In words, if the settings make no sense.
    pub fn open(settings: &Settings) -> Result<Self, String> {
        let base = settings.text("url").ok_or("`url` is missing")?;
        let base = tenantry_transport::base_url(base).map_err(|why| format!("`url` cannot be used: {why}"))?;
        let (credentials, secrets) = auth::open(settings)?;
        let options = Options { secrets, ..Options::of(settings, super::REQUESTS_PER_SECOND) };
        let transport = Transport::new(&options).map_err(|failure| failure.to_string())?;
        Ok(Self { transport, base, credentials })
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
        let url: Url = text.parse().map_err(|_| Failure::invalid(format!("{path} is not a valid path")))?;
        self.own(url)
    }

    /// An address that an answer named.
    ///
    /// # Errors
    /// If it is one of another host: our credentials are not for it.
    pub fn answered(&self, text: &str) -> Result<Url, Failure> {
        let url = self.base.join(text).map_err(|_| Failure::Unreadable("the answer has no address".to_owned()))?;
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
        idempotency_key: Option<IdempotencyKey<'_>>,
    ) -> Result<Reply, Failure> {
        let mut headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let mut effect = Effect::of(&method);
        if let Some(IdempotencyKey { header, key }) = idempotency_key {
            let unusable = || Failure::invalid(format!("`{header}` is not a valid header for an idempotency key"));
            let name = HeaderName::from_bytes(header.as_bytes()).map_err(|_| unusable())?;
            headers.insert(name, HeaderValue::from_str(key).map_err(|_| unusable())?);
            effect = Effect::Repeatable;
        }
        let body = body.map(|body| body.to_string().into_bytes());
        for is_last in [false, true] {
            let (method, url, headers, body) = (method.clone(), url.clone(), headers.clone(), body.clone());
            let mut request = Request { method, url, headers, body, effect };
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
        let read = if answer.body.is_empty() { Ok(Json::Null) } else { answer.json() };
        let is_own = read.is_ok() && !answer.is_page();
        let json = match read {
            Ok(json) => json,
            Err(message) if answer.status.is_success() => return Err(Failure::Unreadable(message)),
            // An error may come in words, and those of a gateway are a page.
            Err(message) => Json::String(message),
        };
        let location = answer.header(LOCATION.as_str()).map(str::to_owned);
        let mut links = answer.headers.get_all(LINK).iter().filter_map(|link| link.to_str().ok());
        Ok(Reply { status, json, location, next: links.find_map(next_of), is_own })
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
        let message = self.transport.masked(words.unwrap_or("the API gave no reason"));
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
            value(name).ok_or_else(|| Failure::invalid(format!("there is no value for {{{name}}} of {path}")))?;
        if value.is_empty() || value.split('/').any(|segment| matches!(segment, "." | "..")) {
            return Err(Failure::invalid(format!("the value of {{{name}}} would change the rest of the path {path}")));
        }
        filled.push_str(before);
        let set = if name == "operation" { PATH } else { SEGMENT };
        filled.extend(utf8_percent_encode(&value, set));
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// The address with `rel="next"` of a `Link` header (RFC 8288, 3). An address may hold commas, and a relation be one of
/// several.
fn next_of(header: &str) -> Option<String> {
    let mut rest = header;
    while let Some((_, after)) = rest.split_once('<') {
        let (address, after) = after.split_once('>')?;
        let end = end_of_link(after);
        let is_next = after[..end].split(';').any(|parameter| {
            let (name, value) = parameter.trim().split_once('=').unwrap_or_default();
            let mut relations = value.trim().trim_matches('"').split_ascii_whitespace();
            name.trim().eq_ignore_ascii_case("rel") && relations.any(|relation| relation.eq_ignore_ascii_case("next"))
        });
        if is_next {
            return Some(address.to_owned());
        }
        rest = &after[end..];
    }
    None
}

/// Where the parameters of a link end: at the first comma that is not quoted.
fn end_of_link(parameters: &str) -> usize {
    let mut is_quoted = false;
    let ends = |(_, character): &(usize, char)| {
        is_quoted ^= *character == '"';
        *character == ',' && !is_quoted
    };
    parameters.char_indices().find(ends).map_or(parameters.len(), |(index, _)| index)
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
        let link = r#"</a?ids=1,2>; title="a, b"; Rel="last next", </a>; rel=prev"#;
        assert_eq!(next_of(link).as_deref(), Some("/a?ids=1,2"));
        assert_eq!(next_of("</a>; rel=next").as_deref(), Some("/a"));
    }
}

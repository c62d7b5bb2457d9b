//! `s3.object`.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use schemars::JsonSchema;
use serde::Deserialize;

use super::prefix::place;
use tenantry_core::model::kind::{FieldReference, Kind, NameLimit, Nesting, Problem};
use tenantry_core::model::names::hex;
use tenantry_core::model::normal::Normal;
use tenantry_core::model::spec::Fields;
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::{Stakes, describe};

/// The most bytes of an object: it goes out in one request, so that the server's hash of it is the one of its content.
const MOST_BYTES: usize = 16 << 20;

/// Metadata: the hash of the content, for servers whose own is one of something else.
pub const HASH: &str = "x-amz-meta-tenantry-md5";

/// Metadata: whose the object is, for whoever is about to write it. Observing goes by the inventory.
pub const MARK: &str = "x-amz-meta-tenantry-mark";

/// What a small file of a product mostly is, by the end of its name.
const TYPES: [(&str, &str); 14] = [
    ("css", "text/css; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("gif", "image/gif"),
    ("html", "text/html; charset=utf-8"),
    ("ico", "image/x-icon"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("txt", "text/plain; charset=utf-8"),
    ("webp", "image/webp"),
    ("yaml", "application/yaml"),
];

/// What nothing is known of.
const ANY_TYPE: &str = "application/octet-stream";

/// An object: a logo, default data.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "s3.object")]
pub struct ObjectSpec {
    /// The object's bucket.
    pub bucket: String,
    /// Without `.` or `..` between slashes.
    pub key: String,
    /// Its content as text.
    #[expect(dead_code, reason = "it is read from the map, where a deferred one has no content")]
    pub content: Option<String>,
    /// Its content in base64, instead of `content`.
    #[expect(dead_code, reason = "it is read from the map, where a deferred one has no content")]
    pub content_base64: Option<String>,
    /// Its content as a file of the estate: a path relative to the estate's folder, such as `assets/logo.svg`, without expressions.
    #[expect(dead_code, reason = "the content takes its place when the estate is read")]
    pub content_file: Option<String>,
    /// By the extension of the key, if absent.
    pub content_type: Option<String>,
    /// How long browsers and caches may keep it, such as `max-age=3600`.
    pub cache_control: Option<String>,
}

pub const NAME: &str = "s3.object";

pub fn kind() -> Kind {
    Kind {
        name_limits: &[NameLimit { pointer: "/key", bytes: 1024, source: "S3, object key names" }],
        references: &[FieldReference { pointer: "/bucket", kind: "s3.bucket", required: true }],
        normalise,
        told: Some(told),
        check,
        nesting: Some(Nesting { place: |spec| place(spec, "key"), holds: false }),
        ..describe::<ObjectSpec>(
            NAME,
            "An object whose content is in the repository, such as a logo or default data.",
            &["bucket", "key"],
            Stakes { loses_data: false, bills: false },
        )
    }
}

/// In place of a content that is not the one that is asked for.
pub fn another(etag: &str) -> Value {
    format!("(another content, with the hash {etag})").into()
}

/// See [`Kind::told`].
fn told(pointer: &str, written: &Value) -> Option<Value> {
    let text = written.as_str()?;
    match pointer {
        "/content" => Some(another(&etag(text.as_bytes()))),
        "/contentBase64" => Some(another(&etag(&decode(text)?))),
        _ => None,
    }
}

fn normalise(fields: &mut Fields<'_>) {
    let by_name = default_type(fields.text("key").unwrap_or_default());
    fields.default("contentType", by_name);
    // One spelling, whoever has written it.
    fields.map("contentBase64", |text| match text.as_str().and_then(decode) {
        Some(content) => STANDARD.encode(content).into(),
        None => text.clone(),
    });
}

fn check(spec: &Normal) -> Vec<Problem> {
    let mut problems = Vec::new();
    let has = |field: &str| spec.get(field).is_some();
    if has("contentFile") {
        problems.push(Problem::error("/contentFile", "`contentFile` is for resources of blueprints"));
    } else if has("content") == has("contentBase64") {
        problems.push(Problem::error("", "an object needs one of `content`, `contentBase64` and `contentFile`"));
    }
    if let Some(text) = spec.get("contentBase64").and_then(Value::as_str)
        && decode(text).is_none()
    {
        problems.push(Problem::error("/contentBase64", "the content is not valid base64"));
    }
    if content(spec).is_some_and(|content| content.len() > MOST_BYTES) {
        let message = format!("the content has at most {} MiB", MOST_BYTES >> 20);
        problems.push(Problem::error("", message));
    }
    if let Some(key) = spec.get("key").and_then(Value::as_str) {
        if key.is_empty() {
            problems.push(Problem::error("/key", "a key cannot be empty"));
        }
        if key.split('/').any(|segment| matches!(segment, "." | "..")) || key.chars().any(char::is_control) {
            let message = "a key cannot have `.` or `..` between slashes, or control characters";
            problems.push(Problem::error("/key", message));
        }
    }
    problems
}

/// The type of an object whose spec says nothing.
pub fn default_type(key: &str) -> &'static str {
    let end = key.rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase()).unwrap_or_default();
    TYPES.iter().find(|(name, _)| *name == end).map_or(ANY_TYPE, |(_, kind)| kind)
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let text: String = text.chars().filter(|character| !character.is_ascii_whitespace()).collect();
    STANDARD.decode(text).ok()
}

/// What is in an object; `None` while a secret or an output of another resource is in it.
pub fn content(spec: &Map) -> Option<Arc<[u8]>> {
    match (spec.get("content"), spec.get("contentBase64")) {
        (Some(Value::Text(text)), None) => Some(text.as_bytes().into()),
        (None, Some(Value::Text(text))) => decode(text).map(Into::into),
        _ => None,
    }
}

/// What a server that has it in one piece calls the content.
pub fn etag(content: &[u8]) -> String {
    hex(&Md5::digest(content))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problems(json: serde_json::Value) -> Vec<String> {
        let Value::Map(spec) = Value::from(json) else { panic!("a map") };
        check(&kind().normal(&spec)).into_iter().map(|problem| problem.pointer).collect()
    }

    #[test]
    fn there_is_one_content_and_a_key_that_stays_where_it_is() {
        assert_eq!(problems(json!({"bucket": "b", "key": "a/b", "contentBase64": "aGk="})), [""; 0]);
        assert_eq!(problems(json!({"bucket": "b", "key": "a"})), [""]);
        assert_eq!(problems(json!({"bucket": "b", "key": "a", "content": "a", "contentBase64": "aGk="})), [""]);
        assert_eq!(problems(json!({"bucket": "b", "key": "a", "contentBase64": "?"})), ["/contentBase64"]);
        for key in ["../a", "a/./b", "a\nb"] {
            assert_eq!(problems(json!({"bucket": "b", "key": key, "content": ""})), ["/key"]);
        }
    }

    #[test]
    fn the_hash_is_the_one_of_the_content() {
        let Value::Map(spec) = Value::from(json!({"bucket": "b", "key": "a", "contentBase64": "aGVsbG8="})) else {
            panic!()
        };
        assert_eq!(etag(&content(&spec).expect("content")), "5d41402abc4b2a76b9719d911017c592");
        assert_eq!((default_type("a/b.SVG"), default_type("a.b/c")), ("image/svg+xml", ANY_TYPE));
    }
}

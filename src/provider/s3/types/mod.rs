//! The kinds of this provider: their specs, what XML says of them, and what the planner has to know about them.
//!
//! Normalising works on the map and not on the typed spec, because a desired spec may still hold deferred values.

pub mod bucket;
pub mod cors;
pub mod lifecycle;
pub mod object;
pub mod policy;
pub mod user;

use crate::core::model::kind::Kind;
use crate::core::model::value::{Map, Value};

pub use crate::core::model::spec::parse;

/// Every kind.
pub fn kinds() -> Vec<Kind> {
    vec![bucket::kind(), object::kind(), user::kind()]
}

/// A text of a spec, empty where there is none.
pub fn text<'a>(spec: &'a Map, field: &str) -> &'a str {
    spec.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// Every map of a list changed.
fn each(list: &Value, change: impl Fn(&Map) -> Map) -> Value {
    match list {
        Value::List(items) => Value::list(items.iter().map(|item| match item {
            Value::Map(map) => Value::from(change(map)),
            other => other.clone(),
        })),
        other => other.clone(),
    }
}

/// A list of maps, sorted by a field of theirs.
fn sorted_by(list: Value, field: &str) -> Value {
    match list {
        Value::List(items) => {
            let mut items = items.to_vec();
            let key = |item: &Value| item.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
            items.sort_by(|a, b| key(a).cmp(&key(b)).then_with(|| a.compare(b)));
            Value::list(items)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn samples() -> Vec<(&'static str, serde_json::Value)> {
        vec![
            (
                "s3.bucket",
                json!({
                    "name": "acme-data", "versioning": true, "objectLock": {"mode": "governance", "days": 2},
                    "lifecycle": [
                        {"id": "b", "prefix": "logs/", "expireAfterDays": 30, "expiresLiveObjects": true, "tags": {"a": "b"}},
                        {"id": "a", "expireNoncurrentAfterDays": 7, "keepNoncurrentVersions": 2,
                         "abortUploadsAfterDays": 3, "transitions": [{"days": 3, "storageClass": "GLACIER"}]},
                    ],
                    "policy": {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:GetObject",
                        "Principal": {"AWS": "123456789012"}, "Resource": "arn:aws:s3:::acme-data/*"}},
                    "encryption": {"algorithm": "aws:kms", "key": "alias/a"}, "tags": {"team": "a"},
                    "cors": [{"origins": ["https://b", "https://a"], "methods": ["PUT", "GET"], "maxAgeSeconds": 5}],
                    "publicAccessBlock": {"blockPublicAcls": false},
                }),
            ),
            (
                "s3.object",
                json!({"bucket": "acme-data", "key": "a/logo.svg", "content": "<svg/>", "cacheControl": "no-store"}),
            ),
            (
                "s3.user",
                json!({"name": "acme-app", "path": "/tenants/", "tags": {"team": "a"}, "accessKey": {"rotation": 2},
                       "policy": {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*",
                        "Resource": "arn:aws:s3:::acme-data/*"}}}),
            ),
        ]
    }

    #[test]
    fn every_kind_has_a_sample_that_its_schema_accepts_raw_and_normalised() {
        let kinds = kinds();
        assert_eq!(kinds.len(), samples().len());
        for (name, sample) in samples() {
            let kind = kinds.iter().find(|kind| kind.name == name).expect(name);
            let validator = jsonschema::validator_for(kind.schema.as_value()).expect("a valid schema");
            let errors = |json: &serde_json::Value| -> Vec<String> {
                validator.iter_errors(json).map(|error| error.to_string()).collect()
            };
            assert_eq!(errors(&sample), [""; 0], "{name}");
            let Value::Map(spec) = Value::from(&sample) else { panic!("a map") };
            let normalised = (kind.normalise)(&spec);
            assert_eq!(errors(&Value::from(normalised.clone()).to_json()), [""; 0], "{name}");
            assert_eq!((kind.normalise)(&normalised), normalised, "{name} is normalised once and for all");
            assert_eq!((kind.check)(&normalised), [], "{name}");
            assert!(kind.identity_of(&normalised).is_some());
            let mut unknown = sample;
            unknown["colour"] = json!("red");
            assert_ne!(errors(&unknown), [""; 0], "{name}");
        }
    }

    #[test]
    fn pointers_of_a_description_lead_to_fields() {
        for kind in kinds() {
            let properties = kind.schema.as_value()["properties"].as_object().expect("properties").clone();
            let pointers = [kind.immutable, kind.write_only, kind.sensitive, kind.owned_by_key].concat();
            let pointed = pointers.iter().map(|pointer| pointer.trim_start_matches('/'));
            for field in kind.identity.iter().copied().chain(pointed) {
                assert!(properties.contains_key(field), "{}: {field}", kind.name);
            }
        }
    }
}

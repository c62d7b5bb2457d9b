//! The kinds of this provider: their specs, what XML says of them, and what the planner has to know about them.
//!
//! Normalising works on the map and not on the typed spec, because a desired spec may still hold deferred values.

pub mod bucket;
pub mod cors;
pub mod lifecycle;
pub mod object;
pub mod policy;
pub mod prefix;
pub mod user;

use tenantry_core::model::value::{Map, Value};

tenantry_kit::kinds! {
    /// The kinds of this provider.
    pub enum S3Kind of "S3" {
        Bucket = bucket,
        Prefix = prefix,
        Object = object,
        User = user,
    }
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
    use tenantry_kit::ProviderKind as _;
    use tenantry_provider::descriptions::{assert_defaults, assert_pointers, assert_samples};

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
            ("s3.prefix", json!({"bucket": "shop", "prefix": "tenants/acme/"})),
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
        assert_samples(&S3Kind::descriptions(), &samples());
    }

    #[test]
    fn pointers_of_a_description_lead_to_fields() {
        assert_pointers(&S3Kind::descriptions());
    }

    #[test]
    fn the_schema_says_what_an_absent_field_is() {
        assert_defaults(&S3Kind::descriptions());
    }
}

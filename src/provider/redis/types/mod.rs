//! The kinds of this provider: their specs, and what the planner has to know about them.
//!
//! Normalising works on the map and not on the typed spec, because a desired spec may still hold deferred values.

pub mod acl_user;
pub mod expiry;
pub mod hash;
pub mod key;
pub mod prefix;

use tenantry_core::model::kind::Problem;
use tenantry_core::model::spec::Problems;
use tenantry_core::model::value::{Map, Value};

tenantry_kit::kinds! {
    /// The kinds of this provider.
    pub enum RedisKind of "Redis" {
        AclUser = acl_user,
        Prefix = prefix,
        Key = key,
        Hash = hash,
    }
}

/// A value of a key or field, with its type: Redis itself keeps texts only.
#[derive(schemars::JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used; values are read from the map")]
enum Scalar {
    Text(String),
    Integer(i64),
    Number(f64),
    Boolean(bool),
}

/// A value as the server keeps it; `None` for one that no key can hold.
pub fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.to_string()),
        Value::Bool(_) | Value::Integer(_) | Value::Float(_) => Some(value.to_json().to_string()),
        Value::Null | Value::List(_) | Value::Map(_) | Value::Deferred(_) => None,
    }
}

/// A text of the server as the wanted value, if it is a spelling of it; else as what it looks like.
///
/// What was applied before had the type that it looks like, so that it is told from what somebody else wrote. Only a text that
/// looks like a number, or like a boolean, is most likely to take the place of another such text.
pub fn typed(wanted: Option<&Value>, found: &[u8]) -> Value {
    let Ok(text) = std::str::from_utf8(found) else {
        return Value::from(format!("({} bytes that are not text)", found.len()));
    };
    let same = match wanted {
        Some(Value::Integer(number)) => text.parse() == Ok(*number),
        // Spellings such as 1.50 and 1.5.
        Some(Value::Float(number)) => text.parse() == Ok(*number),
        _ => false,
    };
    match wanted {
        Some(wanted) if same => wanted.clone(),
        None => text.into(),
        Some(Value::Text(wanted)) if !matches!(as_written(wanted), Value::Text(_)) => text.into(),
        Some(_) => as_written(text),
    }
}

/// The value that is kept as this text.
fn as_written(text: &str) -> Value {
    let number = text.parse().ok().map(Value::Integer);
    let number = number.or_else(|| text.parse().ok().filter(|number: &f64| number.is_finite()).map(Value::Float));
    let value = number.or_else(|| text.parse().ok().map(Value::Bool));
    value.filter(|value| text_of(value).as_deref() == Some(text)).unwrap_or_else(|| text.into())
}

/// The problem of a name that is empty, if it is.
fn empty_name(spec: &Map, field: &str) -> Vec<Problem> {
    let mut problems = Problems::default();
    problems.name(spec, field);
    problems.into_list()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use tenantry_kit::ProviderKind as _;
    use tenantry_provider::descriptions::{assert_defaults, assert_pointers, assert_samples};

    fn samples() -> Vec<(&'static str, serde_json::Value)> {
        vec![
            ("redis.key", json!({"key": "acme:quota", "value": 5, "expire": "2030-01-01T00:00:00+01:00"})),
            ("redis.hash", json!({"key": "acme", "fields": {"seats": 3, "open": true, "old": null}, "expire": 60})),
            ("redis.prefix", json!({"prefix": "acme:"})),
            (
                "redis.acl_user",
                json!({"name": "acme", "password": "x", "keys": ["b:*", "a:*"], "readKeys": ["s:*", "a:*"],
                "channels": ["acme:*"], "commands": ["+@read +SET", "-@dangerous"]}),
            ),
        ]
    }

    #[test]
    fn every_kind_has_a_sample_that_its_schema_accepts_raw_and_normalised() {
        assert_samples(&RedisKind::descriptions(), &samples());
    }

    #[test]
    fn pointers_of_a_description_lead_to_fields() {
        assert_pointers(&RedisKind::descriptions());
    }

    #[test]
    fn the_schema_says_what_an_absent_field_is() {
        assert_defaults(&RedisKind::descriptions());
    }

    #[test]
    fn a_value_has_the_wanted_type_where_it_can_have_it() {
        assert_eq!(typed(Some(&5.into()), b"5"), Value::Integer(5));
        assert_eq!(typed(Some(&5.into()), b"6"), Value::Integer(6));
        assert_eq!(typed(Some(&5.into()), b"unlimited"), Value::from("unlimited"));
        assert_eq!(typed(Some(&Value::Float(1.5)), b"1.50"), Value::Float(1.5));
        assert_eq!(typed(Some(&true.into()), b"false"), Value::Bool(false));
        assert_eq!(typed(Some(&true.into()), b"1"), Value::Integer(1));
        assert_eq!(typed(Some(&5.into()), b"05"), Value::Integer(5));
        assert_eq!(typed(Some(&6.into()), b"05"), Value::from("05"));
        assert_eq!(typed(Some(&"unlimited".into()), b"5"), Value::Integer(5));
        assert_eq!(typed(Some(&"unlimited".into()), b"true"), Value::Bool(true));
        assert_eq!(typed(Some(&"unlimited".into()), b"1.5"), Value::Float(1.5));
        assert_eq!(typed(Some(&"unlimited".into()), b"1.50"), Value::from("1.50"));
        assert_eq!(typed(Some(&"6".into()), b"5"), Value::from("5"));
        assert_eq!(typed(Some(&"5".into()), b"5"), Value::from("5"));
        assert_eq!(typed(Some(&Value::Null), b"5"), Value::Integer(5));
        assert_eq!(typed(Some(&Value::Null), b"05"), Value::from("05"));
        assert_eq!(typed(None, b"\xff\xfe"), Value::from("(2 bytes that are not text)"));
    }
}

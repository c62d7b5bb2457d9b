//! The kinds of this provider: their specs, and what the planner has to know about them.
//!
//! Normalising works on the map and not on the typed spec, because a desired spec may still hold deferred values.

pub mod acl_user;
pub mod expiry;
pub mod hash;
pub mod key;

use crate::core::model::kind::{Kind, Problem};
use crate::core::model::spec::Problems;
use crate::core::model::value::{Map, Value};

pub use crate::core::model::spec::parse;

/// Every kind.
pub fn kinds() -> Vec<Kind> {
    vec![acl_user::kind(), key::kind(), hash::kind()]
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

/// A value as the server keeps it; nothing for one that no key can hold.
pub fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.to_string()),
        Value::Bool(_) | Value::Integer(_) | Value::Float(_) => Some(value.to_json().to_string()),
        Value::Null | Value::List(_) | Value::Map(_) | Value::Deferred(_) => None,
    }
}

/// A text of the server with the type of the wanted value, if it can have it; else the text.
///
/// Another value of that type has it too: an earlier one that was applied is then told from one that somebody else wrote.
pub fn typed(wanted: Option<&Value>, found: &[u8]) -> Value {
    let Ok(text) = std::str::from_utf8(found) else {
        return Value::from(format!("({} bytes that are no text)", found.len()));
    };
    let typed = match wanted {
        Some(Value::Integer(_)) => text.parse().ok().map(Value::Integer),
        // Spellings such as 1.50 and 1.5.
        Some(Value::Float(_)) => text.parse().ok().filter(|number: &f64| number.is_finite()).map(Value::Float),
        Some(Value::Bool(_)) => text.parse().ok().map(Value::Bool),
        // It is to go, and was most likely what it looks like.
        Some(Value::Null) => {
            let number = text.parse().ok().filter(|number: &i64| number.to_string() == text).map(Value::Integer);
            number.or_else(|| text.parse().ok().map(Value::Bool))
        }
        _ => None,
    };
    typed.unwrap_or_else(|| Value::from(text))
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
    use crate::provider::descriptions::{assert_pointers, assert_samples};

    fn samples() -> Vec<(&'static str, serde_json::Value)> {
        vec![
            ("redis.key", json!({"key": "acme:quota", "value": 5, "expire": "2030-01-01T00:00:00+01:00"})),
            ("redis.hash", json!({"key": "acme", "fields": {"seats": 3, "open": true, "old": null}, "expire": 60})),
            (
                "redis.acl_user",
                json!({"name": "acme", "password": "x", "keys": ["b:*", "a:*"], "readKeys": ["s:*", "a:*"],
                "channels": ["acme:*"], "commands": ["+@read +SET", "-@dangerous"]}),
            ),
        ]
    }

    #[test]
    fn every_kind_has_a_sample_that_its_schema_accepts_raw_and_normalised() {
        assert_samples(&kinds(), &samples());
    }

    #[test]
    fn pointers_of_a_description_lead_to_fields() {
        assert_pointers(&kinds());
    }

    #[test]
    fn a_value_has_the_wanted_type_where_it_can_have_it() {
        assert_eq!(typed(Some(&5.into()), b"5"), Value::Integer(5));
        assert_eq!(typed(Some(&5.into()), b"6"), Value::Integer(6));
        assert_eq!(typed(Some(&5.into()), b"unlimited"), Value::from("unlimited"));
        assert_eq!(typed(Some(&Value::Float(1.5)), b"1.50"), Value::Float(1.5));
        assert_eq!(typed(Some(&true.into()), b"false"), Value::Bool(false));
        assert_eq!(typed(Some(&true.into()), b"1"), Value::from("1"));
        assert_eq!(typed(Some(&"5".into()), b"5"), Value::from("5"));
        assert_eq!(typed(Some(&Value::Null), b"5"), Value::Integer(5));
        assert_eq!(typed(Some(&Value::Null), b"05"), Value::from("05"));
        assert_eq!(typed(None, b"\xff\xfe"), Value::from("(2 bytes that are no text)"));
    }
}

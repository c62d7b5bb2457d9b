//! When a key ends.
//!
//! `never`, a time (RFC 3339), or a number of seconds from when it is written. The seconds of a key that is there run
//! down; as long as no more are left than are wanted, they are what is wanted.

use std::sync::Arc;

use schemars::JsonSchema;

use tenantry_core::model::kind::Problem;
use tenantry_core::model::value::{Map, Value};

/// The schema of the field.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used; the field is read from the map")]
pub enum ExpireField {
    /// `never`, or a time such as 2030-01-31T00:00:00Z.
    Text(String),
    /// Seconds after the write.
    Seconds(#[schemars(range(min = 1, max = 3_153_600_000_u64))] i64),
}

pub fn never() -> Value {
    "never".into()
}

/// When a key is to end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Expiry {
    Never,
    /// Seconds from now.
    After(i64),
    /// Milliseconds since 1970.
    At(i64),
}

impl Expiry {
    /// `None` if the value has another form.
    pub fn of(expire: Option<&Value>) -> Option<Self> {
        match expire {
            None | Some(Value::Null) => Some(Self::Never),
            Some(Value::Integer(seconds)) if *seconds > 0 => Some(Self::After(*seconds)),
            Some(Value::Text(text)) if &**text == "never" => Some(Self::Never),
            Some(Value::Text(text)) => Some(Self::At(text.parse::<jiff::Timestamp>().ok()?.as_millisecond())),
            Some(_) => None,
        }
    }

    /// What is reported of a key that ends at `found` (milliseconds since 1970) and has `left` to live (milliseconds);
    /// -1 is never. `asked` is the spec that somebody wants, if anybody does.
    pub fn observed(asked: Option<&Map>, found: i64, left: i64) -> Value {
        if found < 0 {
            return never();
        }
        match asked.and_then(|spec| Self::of(spec.get("expire"))) {
            Some(Self::After(seconds)) if left.max(0).saturating_add(999) / 1000 <= seconds => Value::Integer(seconds),
            // The time and not what is left, which would be another by the time that the plan is applied.
            _ => jiff::Timestamp::from_millisecond(found)
                .map_or_else(|_| Value::Integer(left / 1000), |time| Value::from(time.to_string())),
        }
    }
}

/// The field as it is compared: a time in UTC, in whole milliseconds.
pub fn canonical(value: &Value) -> Value {
    match value {
        Value::Text(text) => {
            let time = text.parse::<jiff::Timestamp>().ok();
            let time = time.and_then(|time| jiff::Timestamp::from_millisecond(time.as_millisecond()).ok());
            Value::Text(time.map_or_else(|| text.clone(), |time| Arc::from(time.to_string())))
        }
        other => other.clone(),
    }
}

pub fn check(spec: &Map) -> Option<Problem> {
    let expire = spec.get("expire");
    let is_deferred = expire.is_some_and(Value::has_deferred);
    let message = "it is not a valid time; write `never`, a time such as 2030-01-31T00:00:00Z, or a number of seconds";
    (!is_deferred && Expiry::of(expire).is_none()).then(|| Problem::error("/expire", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(expire: impl Into<Value>) -> Map {
        Map::from_fields([("expire".into(), expire.into())])
    }

    #[test]
    fn seconds_that_run_down_are_what_is_wanted() {
        let asked = spec(60);
        assert_eq!(Expiry::observed(Some(&asked), 1_000_000, 59_999), Value::Integer(60));
        assert_eq!(Expiry::observed(Some(&asked), 1_000_000, 60_000), Value::Integer(60));
        assert_eq!(Expiry::observed(Some(&asked), 1_000_000, 75_000), Value::from("1970-01-01T00:16:40Z"));
        assert_eq!(Expiry::observed(Some(&asked), -1, -1), Value::from("never"));
        assert_eq!(Expiry::observed(None, 1_500, 10), Value::from("1970-01-01T00:00:01.5Z"));
    }

    #[test]
    fn a_time_is_one_whatever_its_zone() {
        assert_eq!(canonical(&"2030-01-01T01:00:00+01:00".into()), canonical(&"2030-01-01T00:00:00Z".into()));
        assert_eq!(canonical(&"never".into()), "never".into());
        assert!(check(&spec("soon")).is_some());
        assert!(check(&spec(0)).is_some());
    }
}

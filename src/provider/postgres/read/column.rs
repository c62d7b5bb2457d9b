//! Columns of tables: their types, and values in the spelling of a spec.
//!
//! Everything travels as text, so that types that this program has never heard of work too. Whether two spellings mean the
//! same is decided by the column's type.

use sqlx::{PgConnection, Row as _};

use crate::error::Failure;
use tenantry_core::model::value::{Map, Value};

/// A column of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub name: String,
    /// The type as SQL, without a length: a cast to it cuts nothing off, while storing still refuses what is too long.
    pub sql_type: String,
    /// The same with the scale and precision to which the column rounds what is stored in it.
    pub rounded_type: String,
    pub sort: Sort,
}

/// How values of a type are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Boolean,
    /// With the number of bits.
    Integer(u32),
    Decimal,
    Float,
    Uuid,
    Instant,
    DateTime,
    Date,
    Json,
    /// `character(n)`: blanks at the end mean nothing.
    Padded,
    Text,
    Array,
    /// Only the server knows.
    Other,
}

const QUERY: &str = "
SELECT n.nspname::text, c.relname::text, a.attname::text, pg_catalog.format_type(a.atttypid, -1),
       COALESCE(b.typname, t.typname)::text, COALESCE(b.typcategory, t.typcategory)::text,
       pg_catalog.format_type(a.atttypid, CASE
         WHEN pg_catalog.ltrim(t.typname, '_') IN ('varchar', 'bpchar', 'bit', 'varbit') THEN -1 ELSE a.atttypmod END)
FROM (SELECT DISTINCT * FROM ROWS FROM (pg_catalog.unnest($1::text[]::name[]), pg_catalog.unnest($2::text[]::name[])) AS w (s, t)) w
JOIN pg_catalog.pg_namespace n ON n.nspname = w.s
JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.t AND c.relkind IN ('r', 'p', 'v', 'f', 'm')
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_type b ON t.typtype = 'd' AND b.oid = t.typbasetype";

/// The columns of some tables, each with its schema and table. A table that does not exist has none.
pub async fn fetch(
    connection: &mut PgConnection,
    tables: &[(String, String)],
) -> Result<Vec<((String, String), Column)>, Failure> {
    let (schemas, names): (Vec<String>, Vec<String>) = tables.iter().cloned().unzip();
    let rows = sqlx::query(QUERY).bind(schemas).bind(names).fetch_all(connection).await?;
    let columns = rows.iter().map(|row| {
        let sort = Sort::of(row.try_get(4)?, row.try_get(5)?);
        let column = Column { name: row.try_get(2)?, sql_type: row.try_get(3)?, rounded_type: row.try_get(6)?, sort };
        Ok(((row.try_get(0)?, row.try_get(1)?), column))
    });
    Ok(columns.collect::<Result<_, sqlx::Error>>()?)
}

impl Sort {
    fn of(type_name: &str, category: &str) -> Self {
        match type_name {
            "bool" => Self::Boolean,
            "int2" => Self::Integer(16),
            "int4" => Self::Integer(32),
            "int8" => Self::Integer(64),
            "numeric" => Self::Decimal,
            "float4" | "float8" => Self::Float,
            "uuid" => Self::Uuid,
            "timestamptz" => Self::Instant,
            "timestamp" => Self::DateTime,
            "date" => Self::Date,
            "json" | "jsonb" => Self::Json,
            "bpchar" => Self::Padded,
            "text" | "varchar" | "name" => Self::Text,
            _ if category == "A" => Self::Array,
            _ if category == "E" => Self::Text,
            _ => Self::Other,
        }
    }

    /// A value as the text that is bound; `None` for NULL.
    pub fn bind(self, value: &Value) -> Option<String> {
        match (self, value) {
            (_, Value::Null) => None,
            (Self::Json, value) => Some(value.to_json().to_string()),
            (Self::Array, Value::List(items)) => Some(array_literal(items)),
            (_, Value::Text(text)) => Some(text.to_string()),
            (_, value) => Some(value.to_json().to_string()),
        }
    }

    /// The text that the server has for a value, as a value.
    pub fn value(self, text: Option<&str>) -> Value {
        let Some(text) = text else { return Value::Null };
        match self {
            Self::Boolean => Value::Bool(text == "t" || text == "true"),
            Self::Integer(_) => text.parse().map_or_else(|_| Value::from(text), Value::Integer),
            Self::Float => match text.parse::<f64>() {
                Ok(number) if number.is_finite() => Value::Float(number),
                _ => Value::from(text),
            },
            Self::Json | Self::Array => serde_json::from_str(text).unwrap_or_else(|_| Value::from(text)),
            _ => Value::from(text),
        }
    }

    /// What the server has, in the spelling of `wanted` where the two mean the same.
    pub fn observed(self, wanted: &Value, found: Option<&str>) -> Value {
        let value = self.value(found);
        match (self, found) {
            (_, None) => value,
            (Self::Json | Self::Array, Some(_)) => aligned(wanted, &value),
            (_, Some(text)) if self.means_the_same(wanted, text) => wanted.clone(),
            _ => value,
        }
    }

    /// Whether a wanted value that is neither a list nor a map means what the server has.
    fn means_the_same(self, wanted: &Value, found: &str) -> bool {
        let Some(wanted) = self.bind(wanted) else { return false };
        if wanted == found {
            return true;
        }
        match self {
            Self::Boolean => boolean(&wanted).is_some_and(|value| boolean(found) == Some(value)),
            Self::Integer(_) | Self::Decimal => decimal(&wanted).is_some_and(|value| decimal(found) == Some(value)),
            Self::Float => wanted.trim().parse::<f64>().is_ok_and(|value| found.parse() == Ok(value)),
            Self::Uuid => uuid(&wanted).is_some_and(|value| uuid(found) == Some(value)),
            Self::Instant => instant(&wanted).is_some_and(|value| instant(found) == Some(value)),
            Self::DateTime => date_time(&wanted).is_some_and(|value| date_time(found) == Some(value)),
            Self::Date => date(&wanted).is_some_and(|value| date(found) == Some(value)),
            Self::Padded => wanted.trim_end_matches(' ') == found.trim_end_matches(' '),
            Self::Json | Self::Text | Self::Array | Self::Other => false,
        }
    }

    /// Whether only the server can say that two spellings mean the same.
    pub fn is_settled_by_server(self) -> bool {
        !matches!(self, Self::Json | Self::Text | Self::Padded)
    }

    /// A value that was bound, as SQL prints what a column of the type would hold. `value` is an expression of that type.
    pub fn printed(self, value: &str) -> String {
        match self {
            Self::Array => format!("pg_catalog.to_jsonb({value})::text"),
            _ => format!("({value})::text"),
        }
    }

    /// Why a text cannot be a value of this type, where that is certain without the server. One such key would fail the query
    /// for all others.
    pub fn problem(self, text: &str) -> Option<&'static str> {
        let valid = match self {
            Self::Boolean => boolean(text).is_some(),
            Self::Integer(bits) => {
                text.trim().parse::<i64>().is_ok_and(|value| bits >= 64 || value.unsigned_abs() >> (bits - 1) == 0)
            }
            Self::Decimal => decimal(text).is_some(),
            Self::Uuid => uuid(text).is_some(),
            _ => true,
        };
        (!valid).then_some(match self {
            Self::Boolean => "no boolean",
            Self::Integer(_) => "no integer that the column can hold",
            Self::Uuid => "no UUID",
            _ => "no number",
        })
    }
}

/// A list as an array literal (PostgreSQL manual, section 8.15.2).
fn array_literal(items: &[Value]) -> String {
    let items = items.iter().map(|item| match item {
        Value::Null => "NULL".to_owned(),
        Value::List(items) => array_literal(items),
        Value::Text(text) => quoted_element(text),
        Value::Map(_) => quoted_element(&item.to_json().to_string()),
        other => other.to_json().to_string(),
    });
    format!("{{{}}}", items.collect::<Vec<_>>().join(","))
}

fn quoted_element(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[expect(clippy::cast_precision_loss, clippy::float_cmp, reason = "two spellings of one number are the same bits")]
fn is_same_number(integer: i64, float: f64) -> bool {
    integer as f64 == float
}

/// `found`, with every leaf in the spelling of `wanted` where the two are equal numbers.
fn aligned(wanted: &Value, found: &Value) -> Value {
    match (wanted, found) {
        (Value::Map(wanted), Value::Map(found)) => Value::from(
            found
                .iter()
                .map(|(key, found)| {
                    (key.clone(), wanted.get(key).map_or_else(|| found.clone(), |wanted| aligned(wanted, found)))
                })
                .collect::<Map>(),
        ),
        (Value::List(wanted), Value::List(found)) if wanted.len() == found.len() => {
            Value::list(wanted.iter().zip(found.iter()).map(|(wanted, found)| aligned(wanted, found)))
        }
        (Value::Integer(a), Value::Float(b)) | (Value::Float(b), Value::Integer(a)) if is_same_number(*a, *b) => {
            wanted.clone()
        }
        _ => found.clone(),
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "t" | "true" | "yes" | "y" | "on" | "1" => Some(true),
        "f" | "false" | "no" | "n" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// A number as sign, digits without zeros at either end, and the power of ten of the first digit.
fn decimal(text: &str) -> Option<(bool, String, i64)> {
    let text = text.trim();
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if ["nan", "infinity"].contains(&unsigned.to_ascii_lowercase().as_str()) {
        return Some((negative, unsigned.to_ascii_lowercase(), 0));
    }
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let leading = digits.len() - digits.trim_start_matches('0').len();
    let significant = digits.trim_matches('0').to_owned();
    if significant.is_empty() {
        return Some((false, significant, 0));
    }
    let power = i64::try_from(whole.len()).ok()?.checked_sub(i64::try_from(leading).ok()?)?.checked_add(exponent)?;
    Some((negative, significant, power))
}

fn uuid(text: &str) -> Option<String> {
    let inner = text.trim().trim_start_matches('{').trim_end_matches('}');
    let digits: String = inner.chars().filter(|c| *c != '-').map(|c| c.to_ascii_lowercase()).collect();
    (digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(digits)
}

/// A point in time. The session's time zone is UTC, so a time without an offset is one of UTC.
fn instant(text: &str) -> Option<jiff::Timestamp> {
    match text.parse::<jiff::Timestamp>() {
        Ok(time) => Some(time),
        Err(_) => date_time(text)?.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp()),
    }
}

fn date_time(text: &str) -> Option<jiff::civil::DateTime> {
    text.parse().ok()
}

fn date(text: &str) -> Option<jiff::civil::Date> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_reported_as_they_were_wanted() {
        for (sort, wanted, found) in [
            (Sort::Decimal, Value::Integer(10), "10.00"),
            (Sort::Decimal, "0.10".into(), "0.1"),
            (Sort::Decimal, "-1e3".into(), "-1000"),
            (Sort::Decimal, "0.0".into(), "0"),
            (Sort::Integer(32), "7".into(), "7"),
            (Sort::Integer(64), Value::Float(7.0), "7"),
            (Sort::Float, Value::Integer(2), "2"),
            (Sort::Boolean, Value::Bool(true), "true"),
            (Sort::Boolean, "off".into(), "false"),
            (Sort::Uuid, "{A0EEBC99-9C0B4EF8-BB6D6BB9BD380A11}".into(), "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
            (Sort::Instant, "2026-01-01T01:00:00+01:00".into(), "2026-01-01 00:00:00+00"),
            (Sort::Instant, "2026-01-01".into(), "2026-01-01 00:00:00+00"),
            (Sort::DateTime, "2026-01-01T10:30".into(), "2026-01-01 10:30:00"),
            (Sort::Date, "20260101".into(), "2026-01-01"),
            (Sort::Padded, "ab".into(), "ab   "),
            (Sort::Text, Value::Integer(5), "5"),
            (Sort::Json, serde_json::json!({"a": [1, {"b": 2}]}).into(), r#"{"a": [1.0, {"b": 2}]}"#),
            (Sort::Array, Value::list(["x".into(), Value::Null]), r#"["x", null]"#),
        ] {
            assert_eq!(sort.observed(&wanted, Some(found)), wanted, "{sort:?} {found}");
        }
    }

    #[test]
    fn different_values_are_reported_as_they_are() {
        for (sort, wanted, found, reported) in [
            (Sort::Decimal, Value::Integer(10), "10.01", Value::from("10.01")),
            (Sort::Decimal, "10".into(), "1.0", "1.0".into()),
            (Sort::Integer(32), Value::Integer(1), "2", Value::Integer(2)),
            (Sort::Boolean, Value::Bool(true), "false", Value::Bool(false)),
            (Sort::Text, "a".into(), "A", "A".into()),
            (Sort::Text, "a".into(), "a ", "a ".into()),
            (Sort::Instant, "2026-01-01T00:00:00Z".into(), "2026-01-01 00:00:01+00", "2026-01-01 00:00:01+00".into()),
        ] {
            assert_eq!(sort.observed(&wanted, Some(found)), reported);
        }
        assert_eq!(Sort::Text.observed(&"".into(), None), Value::Null);
        assert_eq!(Sort::Text.observed(&Value::Null, Some("x")), "x".into());
        assert_eq!(Sort::Text.observed(&Value::Null, None), Value::Null);
    }

    #[test]
    fn json_keeps_the_keys_that_nobody_asked_for() {
        let wanted = serde_json::json!({"a": 1}).into();
        let found = Sort::Json.observed(&wanted, Some(r#"{"a": 1, "b": {"c": 2}}"#));
        assert_eq!(found.to_json(), serde_json::json!({"a": 1, "b": {"c": 2}}));
    }

    #[test]
    fn lists_become_array_literals() {
        let list = Value::list([r#"a"b\c"#.into(), Value::Null, Value::Integer(3), Value::list(["NULL".into()])]);
        assert_eq!(Sort::Array.bind(&list).as_deref(), Some(r#"{"a\"b\\c",NULL,3,{"NULL"}}"#));
        assert_eq!(Sort::Json.bind(&"x".into()).as_deref(), Some("\"x\""));
        assert_eq!(Sort::Text.bind(&Value::Null), None);
    }

    #[test]
    fn keys_that_cannot_be_are_found_without_the_server() {
        assert!(Sort::Integer(16).problem("40000").is_some());
        assert!(Sort::Integer(32).problem("40000").is_none());
        assert!(Sort::Integer(64).problem("1.5").is_some());
        assert!(Sort::Uuid.problem("acme").is_some());
        assert!(Sort::Text.problem("anything").is_none());
    }
}

//! Columns of the user's tables, and what a wanted value is in them.

use std::collections::{BTreeMap, HashMap};

use sqlx::{MySqlConnection, Row as _};

use crate::error::Failure;
use tenantry_core::model::value::Value;

/// A column, by the sort of its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Exact and floating numbers, whose spelling varies.
    Number,
    /// Numbers of four bytes, which the server writes with six digits.
    Float,
    /// A number that the server gives and takes as the bytes it is made of.
    Bit,
    /// Dates with a time.
    Time,
    Date,
    Json,
    Other,
}

/// Of each table, by their names in lower case: the server tells none from another by its case.
pub type Columns = HashMap<(String, String), BTreeMap<String, Sort>>;

/// A column of a table by its name, if it is there.
pub fn find(columns: &BTreeMap<String, Sort>, name: &str) -> Option<Sort> {
    columns.get(&name.to_lowercase()).copied()
}

/// The columns of all tables of some databases.
pub async fn fetch(connection: &mut MySqlConnection, databases: &[&str]) -> Result<Columns, Failure> {
    let marks = vec!["?"; databases.len()].join(", ");
    let sql = format!(
        "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, CONVERT(DATA_TYPE USING utf8mb4), \
           CONVERT(COALESCE(COLUMN_TYPE, '') USING utf8mb4) \
         FROM information_schema.COLUMNS WHERE TABLE_SCHEMA IN ({marks})"
    );
    let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
    for database in databases {
        query = query.bind(*database);
    }
    let mut columns = Columns::new();
    for row in &query.fetch_all(connection).await? {
        let text = |index: usize| row.try_get_unchecked::<String, _>(index);
        let sort = match text(3)?.to_ascii_lowercase().as_str() {
            "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "decimal" | "double" | "year" => Sort::Number,
            "float" => Sort::Float,
            "bit" => Sort::Bit,
            "datetime" | "timestamp" => Sort::Time,
            "date" => Sort::Date,
            "json" => Sort::Json,
            _ => Sort::Other,
        };
        columns.entry((text(0)?, text(1)?)).or_default().insert(text(2)?.to_lowercase(), sort);
    }
    Ok(columns)
}

impl Sort {
    /// What stands for a value in a statement.
    pub fn placeholder(self) -> &'static str {
        if self == Self::Bit { "CAST(? AS UNSIGNED)" } else { "?" }
    }

    /// The text of a column, by its quoted name.
    pub fn selected(self, quoted: &str) -> String {
        let whole = match self {
            Self::Float => format!("CAST({quoted} AS DOUBLE)"),
            Self::Bit => format!("CAST({quoted} AS UNSIGNED)"),
            _ => quoted.to_owned(),
        };
        format!("CAST({whole} AS CHAR CHARACTER SET utf8mb4)")
    }

    /// Whether its values are numbers.
    fn is_number(self) -> bool {
        matches!(self, Self::Number | Self::Float | Self::Bit)
    }

    /// Whether a column of this sort can hold a value of a key as it is written.
    ///
    /// The server compares a number with the digits that a text begins with, so that `12-acme` is 12 and `acme` is 0 (MySQL
    /// manual, "Type Conversion in Expression Evaluation"): somebody else's row.
    pub fn fits_key(self, wanted: &Value) -> bool {
        match (self, wanted) {
            (sort, Value::Text(text)) if sort.is_number() => !text.contains(['e', 'E']) && number(text).is_some(),
            (Self::Time, Value::Text(text)) => time(text).is_some(),
            (Self::Date, Value::Text(text)) => text.parse::<jiff::civil::Date>().is_ok() && !text.contains(':'),
            _ => true,
        }
    }

    /// A wanted value as the server takes it; `None` for NULL.
    pub fn bind(self, wanted: &Value) -> Option<String> {
        match wanted {
            Value::Null => None,
            Value::Text(text) if self == Self::Time => Some(time(text).unwrap_or_else(|| text.to_string())),
            Value::Text(text) if self == Self::Json => Some(serde_json::Value::String(text.to_string()).to_string()),
            Value::Text(text) => Some(text.to_string()),
            Value::Bool(on) if self != Self::Json => Some(i32::from(*on).to_string()),
            other => Some(other.to_json().to_string()),
        }
    }

    /// What is reported of a found text: the wanted value, if the text is a spelling of it.
    pub fn observed(self, wanted: &Value, found: Option<&str>) -> Value {
        let Some(text) = found else { return Value::Null };
        let bound = self.bind(wanted);
        let same = match (wanted, bound.as_deref()) {
            (_, Some(bound)) if bound == text => true,
            (Value::Map(_) | Value::List(_), _) => {
                let found = serde_json::from_str::<serde_json::Value>(text).ok();
                return found.map_or_else(|| Value::from(text), |found| Value::from(&found));
            }
            (_, Some(bound)) if self == Self::Json => {
                serde_json::from_str::<serde_json::Value>(text).ok() == serde_json::from_str(bound).ok()
            }
            (_, Some(bound)) if self == Self::Float => {
                bound.parse::<f32>().ok().filter(|number| number.is_finite()) == text.parse().ok()
            }
            (_, Some(bound)) if self.is_number() => number(bound).is_some() && number(bound) == number(text),
            (_, Some(bound)) if self == Self::Time => time(text).is_some() && time(text) == time(bound),
            _ => false,
        };
        if same { wanted.clone() } else { self.typed(wanted, text) }
    }

    /// A text that is not what is wanted, in the form that an earlier wanted value would have had.
    ///
    /// So what was applied, and has been there since, is told from what somebody else wrote.
    fn typed(self, wanted: &Value, text: &str) -> Value {
        let typed = match (self, wanted) {
            (Self::Json, _) => serde_json::from_str::<serde_json::Value>(text).ok().map(|found| Value::from(&found)),
            (sort, Value::Bool(_)) if sort.is_number() => {
                ["0", "1"].iter().position(|digit| *digit == text).map(|on| (on == 1).into())
            }
            (sort, Value::Integer(_) | Value::Null) if sort.is_number() => {
                number(text).and_then(|number| number.parse().ok()).map(Value::Integer)
            }
            // As it was written, and not as its four bytes are exactly.
            (Self::Float, Value::Float(_)) => {
                text.parse::<f32>().ok().and_then(|number| number.to_string().parse().ok()).map(Value::Float)
            }
            (sort, Value::Float(_)) if sort.is_number() => text.parse().ok().map(Value::Float),
            (Self::Time, Value::Text(wanted)) if wanted.parse::<jiff::Timestamp>().is_ok() => {
                let civil = text.parse::<jiff::civil::DateTime>().ok();
                let time = civil.and_then(|civil| civil.to_zoned(jiff::tz::TimeZone::UTC).ok());
                time.map(|time| Value::from(time.timestamp().to_string()))
            }
            _ => None,
        };
        typed.unwrap_or_else(|| Value::from(text))
    }
}

/// A number in one spelling: without a sign of plus, an exponent, and zeros that say nothing.
fn number(text: &str) -> Option<String> {
    let text = text.trim();
    if text.contains(['e', 'E']) {
        return text.parse::<f64>().ok().map(|number| number.to_string());
    }
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if digits.is_empty() || !are_digits(whole) || !are_digits(fraction) {
        return None;
    }
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let point = if fraction.is_empty() { "" } else { "." };
    let sign = if whole.is_empty() && fraction.is_empty() { "" } else { sign };
    Some(format!("{sign}{}{point}{fraction}", if whole.is_empty() { "0" } else { whole }))
}

/// A time as the server writes it: in UTC, which is the zone of the session, without an empty fraction.
fn time(text: &str) -> Option<String> {
    let civil = match text.parse::<jiff::Timestamp>() {
        Ok(time) => time.to_zoned(jiff::tz::TimeZone::UTC).datetime(),
        Err(_) => text.parse::<jiff::civil::DateTime>().ok()?,
    };
    let text = civil.strftime("%Y-%m-%d %H:%M:%S%.6f").to_string();
    Some(text.trim_end_matches('0').trim_end_matches('.').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_have_one_spelling() {
        for (a, b) in [("12.50", "12.5"), ("007", "7"), ("-0.0", "0"), ("+3", "3."), (".5", "0.50"), ("1e3", "1000e0")]
        {
            assert_eq!(number(a), number(b), "{a} {b}");
            assert!(number(a).is_some());
        }
        assert_ne!(number("1"), number("-1"));
        assert_eq!(number("x"), None);
        assert_eq!(time("2026-01-01T01:30:00.50+01:00").as_deref(), Some("2026-01-01 00:30:00.5"));
        assert_eq!(time("2026-01-01 00:30:00.500000"), time("2026-01-01T00:30:00.5Z"));
        assert_eq!(time("2026-01-01 10:00:00").as_deref(), Some("2026-01-01 10:00:00"));
    }

    #[test]
    fn a_key_has_the_form_of_its_column() {
        for (sort, fits, misfits) in [
            (Sort::Number, ["12", "-7.50"], ["12-acme", "1e3"]),
            (Sort::Time, ["2026-01-01 10:00:00", "2026-01-01T10:00:00Z"], ["2026-01-01 x", "acme"]),
            (Sort::Date, ["2026-01-01", "2026-12-31"], ["2026-01-01 x", "20260101acme"]),
        ] {
            assert!(fits.iter().all(|text| sort.fits_key(&(*text).into())), "{fits:?}");
            assert!(!misfits.iter().any(|text| sort.fits_key(&(*text).into())), "{misfits:?}");
        }
        assert!(Sort::Other.fits_key(&"12-acme".into()) && Sort::Number.fits_key(&12.into()));
    }

    #[test]
    fn a_found_text_is_the_wanted_value_if_it_means_the_same() {
        let same = |sort: Sort, wanted: Value, found: &str| sort.observed(&wanted, Some(found)) == wanted;
        assert!(same(Sort::Number, Value::Float(12.5), "12.50"));
        assert!(same(Sort::Number, true.into(), "1"));
        assert!(same(Sort::Float, Value::Float(0.1), "0.10000000149011612"));
        assert!(!same(Sort::Float, Value::Float(0.1), "0.11"));
        assert!(same(Sort::Bit, true.into(), "1"));
        assert!(same(Sort::Number, "12.5".into(), "12.50"));
        assert!(!same(Sort::Other, "12.5".into(), "12.50"));
        assert!(same(Sort::Time, "2026-01-01T00:00:00Z".into(), "2026-01-01 00:00:00"));
        assert!(same(Sort::Json, serde_json::json!({"a": [1, 2]}).into(), r#"{ "a" : [1,2] }"#));
        assert!(same(Sort::Json, "x".into(), r#""x""#));
        assert_eq!(Sort::Other.observed(&"x".into(), None), Value::Null);
    }

    #[test]
    fn a_found_text_that_means_something_else_keeps_the_form_of_the_wanted_value() {
        assert_eq!(Sort::Number.observed(&5.into(), Some("3")), 3.into());
        assert_eq!(Sort::Number.observed(&5.into(), Some("3.50")), "3.50".into());
        assert_eq!(Sort::Number.observed(&true.into(), Some("0")), false.into());
        assert_eq!(Sort::Bit.observed(&true.into(), Some("0")), false.into());
        assert_eq!(Sort::Float.observed(&Value::Float(0.5), Some("0.10000000149011612")), Value::Float(0.1));
        assert_eq!(Sort::Number.observed(&Value::Null, Some("3")), 3.into());
        assert_eq!(Sort::Number.observed(&"12.5".into(), Some("3.50")), "3.50".into());
        assert_eq!(Sort::Other.observed(&5.into(), Some("3")), "3".into());
        let time = Sort::Time.observed(&"2026-02-01T00:00:00Z".into(), Some("2026-01-01 00:00:00"));
        assert_eq!(time, "2026-01-01T00:00:00Z".into());
        assert_eq!(Sort::Json.observed(&true.into(), Some("false")), false.into());
    }
}

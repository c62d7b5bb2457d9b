//! Columns of the user's tables, and what a wanted value is in them.

use std::collections::{BTreeMap, HashMap};

use sqlx::{MySqlConnection, Row as _};

use crate::error::Failure;
use tenantry_core::model::value::Value;

/// A column, by the sort of its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Exact numbers, whose spelling varies, with their digits in all and after the point.
    Number {
        precision: u8,
        scale: u8,
    },
    /// Numbers of eight bytes.
    Double,
    /// Numbers of four bytes, which the server writes with six digits.
    Float,
    /// A number that the server gives and takes as the bytes it is made of.
    Bit,
    /// Years, which two digits name too.
    Year,
    /// Dates with a time, with the digits of its seconds after the point.
    Time(u8),
    Date,
    /// A span or time of day, with the digits of its seconds after the point.
    Clock(u8),
    /// An address, which the server writes in its shortest form.
    Inet {
        version: u8,
    },
    Uuid,
    /// A member of a list, whose case the server takes from there.
    Enum,
    /// Members of a list, in the order of that.
    Set,
    /// Of a fixed length: filled up, or without the spaces at its end.
    Padded,
    Json,
    Other,
}

/// A column of whole numbers.
const WHOLE: Sort = Sort::Number { precision: 65, scale: 0 };

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
           CAST(COALESCE(NUMERIC_PRECISION, 0) AS SIGNED), CAST(COALESCE(NUMERIC_SCALE, 0) AS SIGNED), \
           CAST(COALESCE(DATETIME_PRECISION, 0) AS SIGNED) \
         FROM information_schema.COLUMNS WHERE TABLE_SCHEMA IN ({marks})"
    );
    let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
    for database in databases {
        query = query.bind(*database);
    }
    let mut columns = Columns::new();
    for row in &query.fetch_all(connection).await? {
        let text = |index: usize| row.try_get_unchecked::<String, _>(index);
        let digits = |index: usize| {
            row.try_get_unchecked::<i64, _>(index).map(|digits| u8::try_from(digits).unwrap_or_default())
        };
        let sort = match text(3)?.to_ascii_lowercase().as_str() {
            "tinyint" | "smallint" | "mediumint" | "int" | "bigint" => WHOLE,
            "decimal" => Sort::Number { precision: digits(4)?, scale: digits(5)? },
            "double" => Sort::Double,
            "float" => Sort::Float,
            "bit" => Sort::Bit,
            "year" => Sort::Year,
            "datetime" | "timestamp" => Sort::Time(digits(6)?),
            "date" => Sort::Date,
            "time" => Sort::Clock(digits(6)?),
            "inet4" => Sort::Inet { version: 4 },
            "inet6" => Sort::Inet { version: 6 },
            "uuid" => Sort::Uuid,
            "enum" => Sort::Enum,
            "set" => Sort::Set,
            "char" | "binary" => Sort::Padded,
            "json" => Sort::Json,
            _ => Sort::Other,
        };
        columns.entry((text(0)?, text(1)?)).or_default().insert(text(2)?.to_lowercase(), sort);
    }
    Ok(columns)
}

/// What the server makes of values in columns of some types, in their order; `None` of what it refuses.
///
/// # Errors
/// If it is not asked, or does not answer.
pub async fn taken(
    connection: &mut MySqlConnection,
    values: &[(String, String)],
) -> Result<Vec<Option<String>>, Failure> {
    if values.is_empty() {
        return Ok(Vec::new());
    }
    let casts = values.iter().map(|(cast, _)| format!("CAST(CAST(? AS {cast}) AS CHAR CHARACTER SET utf8mb4)"));
    let sql = format!("SELECT {}", casts.collect::<Vec<_>>().join(", "));
    let query = sqlx::query(sqlx::AssertSqlSafe(sql));
    let query = values.iter().fold(query, |query, (_, value)| query.bind(value));
    let row = query.fetch_one(connection).await?;
    (0..values.len()).map(|index| Ok(row.try_get_unchecked(index)?)).collect()
}

impl Sort {
    /// The type that a value of such a column is cast to, where the server makes another text of it than is written.
    pub fn cast(self) -> Option<String> {
        Some(match self {
            Self::Number { precision, scale } => format!("DECIMAL({precision},{scale})"),
            Self::Time(digits) => format!("DATETIME({digits})"),
            Self::Clock(digits) => format!("TIME({digits})"),
            Self::Date => "DATE".to_owned(),
            Self::Inet { version } => format!("INET{version}"),
            Self::Double
            | Self::Float
            | Self::Bit
            | Self::Year
            | Self::Uuid
            | Self::Enum
            | Self::Set
            | Self::Padded
            | Self::Json
            | Self::Other => return None,
        })
    }

    /// What has to be asked of the server to know whether a found text is a spelling of what is wanted; `None` if it is known.
    pub fn question(self, wanted: &Value, found: Option<&str>) -> Option<(String, String)> {
        let is_open = found.is_some() && self.observed(wanted, found) != *wanted;
        is_open.then(|| Some((self.cast()?, self.bind(wanted)?))).flatten()
    }

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
        matches!(self, Self::Number { .. } | Self::Double | Self::Float | Self::Bit | Self::Year)
    }

    /// Whether a column of this sort can hold a value of a key as it is written.
    ///
    /// The server compares a number with the digits that a text begins with, so that `12-acme` is 12 and `acme` is 0 (MySQL
    /// manual, "Type Conversion in Expression Evaluation"): somebody else's row.
    pub fn fits_key(self, wanted: &Value) -> bool {
        match (self, wanted) {
            (sort, Value::Text(text)) if sort.is_number() => !text.contains(['e', 'E']) && number(text).is_some(),
            (Self::Time(_), Value::Text(text)) => time(text).is_some(),
            (Self::Date, Value::Text(text)) => text.parse::<jiff::civil::Date>().is_ok() && !text.contains(':'),
            _ => true,
        }
    }

    /// A wanted value as the server takes it; `None` for NULL.
    pub fn bind(self, wanted: &Value) -> Option<String> {
        match wanted {
            Value::Null => None,
            Value::Text(text) if matches!(self, Self::Time(_)) => Some(time(text).unwrap_or_else(|| text.to_string())),
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
            (_, Some(bound)) if self == Self::Double => {
                bound.parse::<f64>().ok().filter(|number| number.is_finite()) == text.parse().ok()
            }
            (_, Some(bound)) if self == Self::Year => year(bound).is_some() && year(bound) == year(text),
            (_, Some(bound)) if self == Self::Enum => bound.trim_end().to_lowercase() == text.to_lowercase(),
            (_, Some(bound)) if self == Self::Set => members(bound) == members(text),
            (_, Some(bound)) if self == Self::Uuid => uuid(bound).is_some() && uuid(bound) == uuid(text),
            (_, Some(bound)) if self == Self::Padded => {
                let end = |text: &str| text.trim_end_matches([' ', '\0']).to_owned();
                end(bound) == end(text)
            }
            (_, Some(bound)) if self.is_number() => number(bound).is_some() && number(bound) == number(text),
            (_, Some(bound)) if matches!(self, Self::Time(_)) => time(text).is_some() && time(text) == time(bound),
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
            (Self::Time(_), Value::Text(wanted)) if wanted.parse::<jiff::Timestamp>().is_ok() => {
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

/// A year by four digits; two of them are of 1970 to 2069.
fn year(text: &str) -> Option<u32> {
    let number: u32 = text.parse().ok()?;
    Some(match (text.len(), number) {
        (1 | 2, 0..70) => 2000 + number,
        (1 | 2, _) => 1900 + number,
        _ => number,
    })
}

/// The members of a set, in one order and case.
fn members(text: &str) -> Vec<String> {
    let mut members: Vec<String> = text.split(',').filter(|member| !member.is_empty()).map(str::to_lowercase).collect();
    members.sort();
    members.dedup();
    members
}

/// The digits of a UUID.
fn uuid(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(|character| *character != '-').collect();
    (digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| digits.to_ascii_lowercase())
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
            (WHOLE, ["12", "-7.50"], ["12-acme", "1e3"]),
            (Sort::Time(0), ["2026-01-01 10:00:00", "2026-01-01T10:00:00Z"], ["2026-01-01 x", "acme"]),
            (Sort::Date, ["2026-01-01", "2026-12-31"], ["2026-01-01 x", "20260101acme"]),
        ] {
            assert!(fits.iter().all(|text| sort.fits_key(&(*text).into())), "{fits:?}");
            assert!(!misfits.iter().any(|text| sort.fits_key(&(*text).into())), "{misfits:?}");
        }
        assert!(Sort::Other.fits_key(&"12-acme".into()) && WHOLE.fits_key(&12.into()));
    }

    #[test]
    fn a_found_text_is_the_wanted_value_if_it_means_the_same() {
        let same = |sort: Sort, wanted: Value, found: &str| sort.observed(&wanted, Some(found)) == wanted;
        assert!(same(WHOLE, Value::Float(12.5), "12.50"));
        assert!(same(WHOLE, true.into(), "1"));
        assert!(same(Sort::Float, Value::Float(0.1), "0.10000000149011612"));
        assert!(!same(Sort::Float, Value::Float(0.1), "0.11"));
        assert!(same(Sort::Bit, true.into(), "1"));
        assert!(same(WHOLE, "12.5".into(), "12.50"));
        assert!(!same(Sort::Other, "12.5".into(), "12.50"));
        assert!(same(Sort::Time(0), "2026-01-01T00:00:00Z".into(), "2026-01-01 00:00:00"));
        assert!(same(Sort::Json, serde_json::json!({"a": [1, 2]}).into(), r#"{ "a" : [1,2] }"#));
        assert!(same(Sort::Json, "x".into(), r#""x""#));
        assert!(same(Sort::Double, Value::Float(1e25), "1e25") && same(Sort::Double, 3.into(), "3"));
        assert!(same(Sort::Year, 26.into(), "2026") && same(Sort::Year, "99".into(), "1999"));
        assert!(same(Sort::Enum, "Active".into(), "active") && same(Sort::Set, "b,A".into(), "a,b"));
        assert!(!same(Sort::Set, "a".into(), "a,b") && !same(Sort::Enum, "a".into(), "b"));
        assert!(same(Sort::Padded, "DE  ".into(), "DE") && same(Sort::Padded, "ab".into(), "ab\0\0"));
        let written = "123E4567-E89B-12D3-A456-426614174000";
        assert!(same(Sort::Uuid, written.replace('-', "").into(), &written.to_lowercase()));
        assert!(!same(Sort::Other, "Acme".into(), "acme"), "another case is another value");
        assert_eq!(Sort::Other.observed(&"x".into(), None), Value::Null);
    }

    #[test]
    fn a_found_text_that_means_something_else_keeps_the_form_of_the_wanted_value() {
        assert_eq!(WHOLE.observed(&5.into(), Some("3")), 3.into());
        assert_eq!(WHOLE.observed(&5.into(), Some("3.50")), "3.50".into());
        assert_eq!(WHOLE.observed(&true.into(), Some("0")), false.into());
        assert_eq!(Sort::Bit.observed(&true.into(), Some("0")), false.into());
        assert_eq!(Sort::Float.observed(&Value::Float(0.5), Some("0.10000000149011612")), Value::Float(0.1));
        assert_eq!(WHOLE.observed(&Value::Null, Some("3")), 3.into());
        assert_eq!(WHOLE.observed(&"12.5".into(), Some("3.50")), "3.50".into());
        assert_eq!(Sort::Other.observed(&5.into(), Some("3")), "3".into());
        let time = Sort::Time(0).observed(&"2026-02-01T00:00:00Z".into(), Some("2026-01-01 00:00:00"));
        assert_eq!(time, "2026-01-01T00:00:00Z".into());
        assert_eq!(Sort::Json.observed(&true.into(), Some("false")), false.into());
    }
}

//! Quotas: integers, quantities such as `500Gi` and `10M`, and `unlimited`.
//!
//! Suffixes are those of Kubernetes' `resource.Quantity`: decimal `k M G T P E` and binary `Ki Mi Gi Ti Pi Ei`. Milli (`m`) is
//! not supported, because a quota is a whole number.

use std::fmt;

/// A named limit of a tenant or tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quota {
    Unlimited,
    Limited(Quantity),
}

/// A whole number that remembers how it was written.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    /// The number that stands before the suffix.
    digits: u64,
    suffix: Option<&'static str>,
    value: i64,
}

/// Why a text or number is not a quota.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum InvalidQuota {
    #[error("a quota cannot be negative; write `unlimited` for no limit")]
    Negative,
    #[error("a quota is a whole number, optionally with a suffix")]
    NotWhole,
    #[error("a quota is at most 9223372036854775807 (2^63 - 1)")]
    TooLarge,
    #[error("`{0}` is not a valid suffix; {1}")]
    Suffix(String, &'static str),
}

/// 2^63, which a floating-point number holds exactly.
const LEAST_TOO_LARGE: f64 = 9_223_372_036_854_775_808.0;

const SUFFIXES: [(&str, i64); 12] = [
    ("k", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
    ("P", 1_000_000_000_000_000),
    ("E", 1_000_000_000_000_000_000),
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
    ("Pi", 1 << 50),
    ("Ei", 1 << 60),
];

impl Quantity {
    /// # Errors
    /// If `text` is not a quantity.
    pub fn parse(text: &str) -> Result<Self, InvalidQuota> {
        if text.starts_with('-') {
            return Err(InvalidQuota::Negative);
        }
        let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, suffix) = text.split_at(at);
        if digits.is_empty() || suffix.starts_with('.') {
            return Err(InvalidQuota::NotWhole);
        }
        let digits: u64 = digits.parse().map_err(|_| InvalidQuota::TooLarge)?;
        let (suffix, factor) = match suffix {
            "" => (None, 1),
            written => match SUFFIXES.iter().find(|(name, _)| *name == written) {
                Some((name, factor)) => (Some(*name), *factor),
                None if written.starts_with(['e', 'E']) => return Err(InvalidQuota::NotWhole),
                None => return Err(InvalidQuota::Suffix(written.to_owned(), suffix_help(written))),
            },
        };
        let value = i64::try_from(digits).ok().and_then(|digits| digits.checked_mul(factor));
        value.map(|value| Self { digits, suffix, value }).ok_or(InvalidQuota::TooLarge)
    }

    /// The number that is meant.
    pub fn value(self) -> i64 {
        self.value
    }
}

fn suffix_help(written: &str) -> &'static str {
    match written {
        "KB" | "MB" | "GB" | "TB" | "kB" => "storage is counted in binary units: write Ki, Mi, Gi or Ti without a B",
        "KiB" | "MiB" | "GiB" | "TiB" => "leave out the B: Ki, Mi, Gi, Ti",
        "K" => "write k for a thousand or Ki for 1,024",
        _ => "suffixes are k, M, G, T, P, E and Ki, Mi, Gi, Ti, Pi, Ei",
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl Eq for Quantity {}

impl fmt::Display for Quantity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", self.digits, self.suffix.unwrap_or(""))
    }
}

impl Quota {
    /// # Errors
    /// If `json` is neither a whole number, a quantity nor `unlimited`.
    pub fn from_json(json: &serde_json::Value) -> Result<Self, InvalidQuota> {
        match json {
            serde_json::Value::String(text) if text == "unlimited" => Ok(Self::Unlimited),
            serde_json::Value::String(text) => Quantity::parse(text).map(Self::Limited),
            serde_json::Value::Number(number) => match (number.as_u64(), number.as_f64()) {
                (Some(_), _) => Quantity::parse(&number.to_string()).map(Self::Limited),
                (None, Some(float)) if float < 0.0 => Err(InvalidQuota::Negative),
                (None, Some(float)) if float >= LEAST_TOO_LARGE => Err(InvalidQuota::TooLarge),
                _ => Err(InvalidQuota::NotWhole),
            },
            _ => Err(InvalidQuota::NotWhole),
        }
    }
}

impl serde::Serialize for Quota {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Unlimited => serializer.serialize_str("unlimited"),
            Self::Limited(Quantity { suffix: None, value, .. }) => serializer.serialize_i64(*value),
            Self::Limited(quantity) => serializer.collect_str(quantity),
        }
    }
}

impl<'de> serde::Deserialize<'de> for Quota {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = serde_json::Value::deserialize(deserializer)?;
        Self::from_json(&json).map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Quota {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Quota".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A whole number, a quantity such as 10M or 500Gi, or the word unlimited.",
            "oneOf": [
                {"type": "integer", "minimum": 0},
                {"type": "string", "pattern": "^([0-9]+([kMGTPE]|[KMGTPE]i)?|unlimited)$"}
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_know_their_value_and_their_spelling() {
        for (text, value) in [("0", 0), ("100", 100), ("10M", 10_000_000), ("500Gi", 500 << 30), ("7Ei", 7 << 60)] {
            let quantity = Quantity::parse(text).expect(text);
            assert_eq!((quantity.value(), quantity.to_string().as_str()), (value, text));
        }
    }

    #[test]
    fn what_is_no_quota_is_refused_with_its_reason() {
        let refused = |json: serde_json::Value| Quota::from_json(&json).expect_err("refused");
        assert_eq!(refused((-5).into()), InvalidQuota::Negative);
        assert_eq!(refused("-5".into()), InvalidQuota::Negative);
        assert_eq!(refused(2.5.into()), InvalidQuota::NotWhole);
        assert_eq!(refused("1e999".into()), InvalidQuota::NotWhole);
        assert_eq!(refused(1e300.into()), InvalidQuota::TooLarge);
        assert_eq!(refused(5.0.into()), InvalidQuota::NotWhole);
        assert_eq!(refused("8Ei".into()), InvalidQuota::TooLarge);
        assert_eq!(refused("99999999999999999999".into()), InvalidQuota::TooLarge);
        assert!(refused("500GB".into()).to_string().contains("binary units"));
        assert_eq!(refused(true.into()), InvalidQuota::NotWhole);
    }
}

//! Quantities as the API server reads and prints them.
//!
//! The rules are those of `k8s.io/apimachinery/pkg/api/resource` (`Quantity`, "Canonical form"): nothing is lost, no
//! fraction is printed, the exponent is as large as it can be, and the family of suffixes that was written is kept. What
//! is finer than a billionth is rounded up.

use std::fmt;

use tenantry_core::model::value::Value;

/// The family of suffixes in which a quantity was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    /// `m`, none, `k`, `M` …
    Decimal,
    /// `Ki`, `Mi` …
    Binary,
    /// `e3`, `E6`.
    Exponent,
}

/// An exact number of billionths, with the family in which it was written.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    nanos: i128,
    family: Family,
}

const NANOS: i128 = 1_000_000_000;

/// Power of ten by suffix, smallest first. Beyond `E` the server has no suffix.
const DECIMAL: [(&str, u32); 10] =
    [("n", 0), ("u", 3), ("m", 6), ("", 9), ("k", 12), ("M", 15), ("G", 18), ("T", 21), ("P", 24), ("E", 27)];

/// Power of 1,024 by suffix.
const BINARY: [(&str, u32); 6] = [("Ki", 1), ("Mi", 2), ("Gi", 3), ("Ti", 4), ("Pi", 5), ("Ei", 6)];

impl Quantity {
    /// `None` if the text is no quantity, or one too large for the server.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let end = unsigned.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(unsigned.len());
        let (number, suffix) = unsigned.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return None;
        }
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        let digits: i128 = format!("0{whole}{fraction}").parse().ok()?;
        let places = u32::try_from(fraction.len()).ok()?;
        let (multiplied, family) = if let Some((_, power)) = DECIMAL.iter().find(|(name, _)| *name == suffix) {
            (digits.checked_mul(10_i128.checked_pow(*power)?)?, Family::Decimal)
        } else if let Some((_, power)) = BINARY.iter().find(|(name, _)| *name == suffix) {
            (digits.checked_mul(1_i128 << (10 * power))?.checked_mul(NANOS)?, Family::Binary)
        } else {
            let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            let power = u32::try_from(exponent + 9).ok().filter(|power| *power <= 27)?;
            (digits.checked_mul(10_i128.checked_pow(power)?)?, Family::Exponent)
        };
        let divisor = 10_i128.checked_pow(places)?;
        let nanos = multiplied / divisor + i128::from(multiplied % divisor != 0);
        Some(Self { nanos: if negative { -nanos } else { nanos }, family })
    }

    /// Of a text or a number, as YAML has it.
    pub fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Text(text) => Self::parse(text),
            Value::Integer(number) => Self::parse(&number.to_string()),
            Value::Float(number) => Self::parse(&number.to_string()),
            _ => None,
        }
    }

    pub const fn whole(number: u32) -> Self {
        Self { nanos: number as i128 * NANOS, family: Family::Decimal }
    }

    pub const fn zero() -> Self {
        Self::whole(0)
    }

    pub fn is_negative(self) -> bool {
        self.nanos < 0
    }

    pub fn is_zero(self) -> bool {
        self.nanos == 0
    }

    /// Whether no part of a whole is in it.
    pub fn is_whole(self) -> bool {
        self.nanos % NANOS == 0
    }

    /// In the family of `self`, unless that is nothing.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let family = if self.is_zero() { other.family } else { self.family };
        Self { nanos: self.nanos.saturating_add(other.nanos), family }
    }

    #[must_use]
    pub fn times(self, count: u32) -> Self {
        Self { nanos: self.nanos.saturating_mul(count.into()), ..self }
    }

    /// Whether `self` is more than `limit` times `other`.
    pub fn exceeds_ratio(self, other: Self, limit: Self) -> bool {
        // Both sides in billionths of billionths; what does not fit there is no quantity of a container.
        match (self.nanos.checked_mul(NANOS), other.nanos.checked_mul(limit.nanos)) {
            (Some(have), Some(may)) => have > may,
            _ => false,
        }
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nanos == 0 {
            return formatter.write_str("0");
        }
        let whole = self.nanos / NANOS;
        // Below 1,024, and where a fraction would be lost, the binary family is printed as decimal.
        if self.family == Family::Binary && self.is_whole() && whole.abs() >= 1024 {
            let fitting = BINARY.iter().rev().find(|(_, power)| whole % (1_i128 << (10 * power)) == 0);
            if let Some((suffix, power)) = fitting {
                return write!(formatter, "{}{suffix}", whole >> (10 * power));
            }
        }
        let fitting = DECIMAL.iter().rev().find(|(_, power)| self.nanos % 10_i128.pow(*power) == 0);
        let (suffix, power) = fitting.copied().unwrap_or(("n", 0));
        let number = self.nanos / 10_i128.pow(power);
        match (self.family, i64::from(power) - 9) {
            (Family::Exponent, exponent) if exponent != 0 => write!(formatter, "{number}e{exponent}"),
            _ => write!(formatter, "{number}{suffix}"),
        }
    }
}

/// A value at a field that holds a quantity, as the server prints it. What is none stays: the server says so better.
pub fn canonical(value: &Value) -> Value {
    match Quantity::of(value) {
        Some(quantity) => {
            let printed = quantity.to_string();
            if value.as_str() == Some(&printed) { value.clone() } else { printed.into() }
        }
        None => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn printed(text: &str) -> String {
        Quantity::parse(text).map_or_else(|| "none".to_owned(), |quantity| quantity.to_string())
    }

    #[test]
    fn quantities_are_printed_as_the_server_prints_them() {
        for (written, canonical) in [
            ("6000m", "6"),
            ("0.5", "500m"),
            (".5", "500m"),
            ("1.", "1"),
            ("+3", "3"),
            ("1024Mi", "1Gi"),
            ("1000Mi", "1000Mi"),
            ("0.5Gi", "512Mi"),
            ("1.5Ki", "1536"),
            ("512Ki", "512Ki"),
            ("0.5Ki", "512"),
            ("1000", "1k"),
            ("1500", "1500"),
            ("1000k", "1M"),
            ("1.5G", "1500M"),
            ("0", "0"),
            ("0Gi", "0"),
            ("000", "0"),
            ("0.1n", "1n"),
            ("-1.5", "-1500m"),
            ("-2048Ki", "-2Mi"),
            ("1e3", "1e3"),
            ("1500e0", "1500"),
            ("12e-1", "1200e-3"),
            ("1E3", "1e3"),
            ("1E", "1E"),
            ("100n", "100n"),
            ("007", "7"),
            ("50", "50"),
        ] {
            assert_eq!(printed(written), canonical, "{written}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_none() {
        for text in
            ["", "Gi", "1 Gi", "1gb", "1GB", "1K", "1.2.3", "1e", "1e1000", "1i", "--1", "m", ".", "1e-30", "1µ"]
        {
            assert_eq!(printed(text), "none", "{text}");
        }
    }

    #[test]
    fn numbers_of_yaml_are_quantities() {
        assert_eq!(canonical(&Value::Integer(2)), "2".into());
        assert_eq!(canonical(&Value::Integer(50_000)), "50k".into());
        assert_eq!(canonical(&Value::Float(0.5)), "500m".into());
        assert_eq!(canonical(&Value::Bool(true)), Value::Bool(true));
        assert_eq!(canonical(&"a lot".into()), "a lot".into());
    }

    #[test]
    fn sums_and_ratios_are_exact() {
        let quantity = |text: &str| Quantity::parse(text).expect(text);
        assert_eq!(quantity("1500m").times(3).plus(quantity("0.5")).to_string(), "5");
        assert_eq!(Quantity::zero().plus(quantity("512Mi")).times(2).to_string(), "1Gi");
        assert!(quantity("201m").exceeds_ratio(quantity("100m"), quantity("2")));
        assert!(!quantity("200m").exceeds_ratio(quantity("100m"), quantity("2")));
    }

    proptest! {
        #[test]
        fn the_canonical_form_means_the_same_and_is_final(
            sign in "-?", number in "[0-9]{1,9}(\\.[0-9]{1,6})?", suffix in "(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|e-?[0-9]|E[0-9])?"
        ) {
            let text = format!("{sign}{number}{suffix}");
            if let Some(quantity) = Quantity::parse(&text) {
                let once = quantity.to_string();
                let again = Quantity::parse(&once).expect("a printed quantity is one");
                prop_assert_eq!(quantity, again);
                prop_assert_eq!(again.to_string(), once);
            }
        }
    }
}

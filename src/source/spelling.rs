//! Plain scalars whose text says more than the number that is read, or that other readers take for something else.
//!
//! A number keeps no leading zero, no sign, no base and no trailing zero, so an account number or a version that was meant
//! as a text would change without a word. Readers of YAML 1.1 (kubectl and Ansible among them) moreover have octal numbers with a
//! leading zero, binary numbers and digits grouped by underscores. Times of day such as `12:30:45`, which YAML 1.1 reads as
//! numbers to the base of 60, stay texts in silence: nobody means the number, and no part of the text is lost.

use super::node::Data;
use super::scalar;

/// What is wrong with a scalar's spelling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// `010`: the decimal number here, and octal for readers of YAML 1.1 unless it has an 8 or a 9.
    LeadingZero { decimal: String, octal: Option<String> },
    /// `1.10`, `+3`, `0x1F`, `1e3`: the number is kept, its text is not.
    Respelled { number: String },
    /// Digits that the number cannot keep.
    Imprecise { number: String },
    /// `1_000`, `0b11`: a text here, and a number for readers of YAML 1.1.
    NumberElsewhere { number: String },
}

/// What is wrong with the text of a plain scalar, read as `data`; `None` if the text can be made of the value again.
pub fn check(text: &str, data: &Data) -> Option<Spelling> {
    match data {
        Data::Integer(value) => integer(text, *value),
        Data::Float(value) => float(text, *value),
        Data::Text { plain: true, .. } => {
            yaml_1_1_number(text).map(|number| Spelling::NumberElsewhere { number: number.to_string() })
        }
        _ => None,
    }
}

fn integer(text: &str, value: i64) -> Option<Spelling> {
    let number = value.to_string();
    if text == number {
        return None;
    }
    let (negative, digits) = sign(text);
    if digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let octal = i64::from_str_radix(digits, 8).ok().map(|octal| if negative { -octal } else { octal });
        return Some(Spelling::LeadingZero { decimal: number, octal: octal.map(|octal| octal.to_string()) });
    }
    Some(Spelling::Respelled { number })
}

fn float(text: &str, value: f64) -> Option<Spelling> {
    let number = value.to_string();
    if text == number {
        return None;
    }
    // The shortest text that is read as the same number has all digits that the number keeps.
    let is_kept = significant(text) == significant(&format!("{value:e}"));
    Some(if is_kept { Spelling::Respelled { number } } else { Spelling::Imprecise { number } })
}

/// The digits of a decimal number without zeros at either end, and the power of ten of the first one.
fn significant(text: &str) -> (bool, String, i64) {
    let (negative, text) = sign(text);
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (
            &text[..at],
            text[at + 1..].parse::<i64>().unwrap_or(if text[at + 1..].starts_with('-') {
                i64::MIN / 2
            } else {
                i64::MAX / 2
            }),
        ),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let leading = digits.len() - digits.trim_start_matches('0').len();
    let trimmed = digits.trim_matches('0');
    if trimmed.is_empty() {
        return (false, String::new(), 0);
    }
    let power = |length: usize| i64::try_from(length).unwrap_or(i64::MAX / 4);
    (negative, trimmed.to_owned(), exponent + power(whole.len()) - power(leading) - 1)
}

/// The integer or decimal that a reader of YAML 1.1 makes of a text which is none in YAML 1.2 (types `int` and `float` of
/// the YAML 1.1 repository): binary, digits grouped by underscores, a sign before another base.
pub fn yaml_1_1_number(text: &str) -> Option<Number> {
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return None;
    }
    let (negative, unsigned) = sign(text);
    let digits = unsigned.replace('_', "");
    let groups = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    if !groups || digits.is_empty() {
        return None;
    }
    let based = |prefix: &str, radix| {
        let digits =
            digits.strip_prefix(prefix).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_alphanumeric()))?;
        i64::from_str_radix(digits, radix).ok()
    };
    let octal = || {
        let is_octal = digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_octal.then(|| i64::from_str_radix(&digits, 8).ok()).flatten()
    };
    let integer = based("0b", 2).or_else(|| based("0x", 16)).or_else(octal);
    if let Some(integer) = integer {
        return Some(Number::Integer(if negative { -integer } else { integer }));
    }
    if digits.len() == unsigned.len() {
        return None;
    }
    let signed = format!("{}{digits}", if negative { "-" } else { "" });
    match scalar::integer(&signed).or_else(|| scalar::float(&signed))? {
        Data::Integer(value) => Some(Number::Integer(value)),
        Data::Float(value) => Some(Number::Float(value)),
        _ => None,
    }
}

/// A number of YAML 1.1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    Integer(i64),
    Float(f64),
}

impl std::fmt::Display for Number {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Integer(value) => value.fmt(formatter),
            Self::Float(value) => value.fmt(formatter),
        }
    }
}

fn sign(text: &str) -> (bool, &str) {
    match text.strip_prefix(['+', '-']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelling(text: &str) -> String {
        match check(text, &scalar::resolve(text)) {
            None => "kept".to_owned(),
            Some(Spelling::LeadingZero { decimal, octal }) => {
                format!("{decimal} or {}", octal.unwrap_or_else(|| "a text".to_owned()))
            }
            Some(Spelling::Respelled { number }) => format!("is {number}"),
            Some(Spelling::Imprecise { number }) => format!("becomes {number}"),
            Some(Spelling::NumberElsewhere { number }) => format!("a text, elsewhere {number}"),
        }
    }

    #[test]
    fn what_a_number_keeps_of_its_text() {
        let table = |texts: &[&str]| texts.iter().map(|text| format!("{text}: {}", spelling(text))).collect::<Vec<_>>();
        insta::assert_snapshot!(
            table(&[
                "0", "7", "-7", "12.5", "0.05", "-0.5", "9223372036854775807", "010", "-010", "08", "00", "020222070707",
                "+3", "+4915112345678", "0x1F", "0o17", "1.0", "1.10", "1.", ".5", "01.5", "+0.5", "-0", "-0.0", "1e3", "12e5",
                "1.5E-3", "0e9", "1e22", "0.1234567890123456789", "100000000000000000000000.5", "1e-400",
                "1e-99999999999999999999", "1_000", "-1_000", "1_0.5", "0b101", "-0b1", "-0x1F", "+0x1F", "0x_1F", "0_7", "0o1_7",
                "_1", "1__", "12:30:45", "12:30", "2024-01-31", "10.0.0.1", "1.2.3", "0x", "0b", "500Gi", "1e", "."
            ])
            .join("\n"),
            @r"
        0: kept
        7: kept
        -7: kept
        12.5: kept
        0.05: kept
        -0.5: kept
        9223372036854775807: kept
        010: 10 or 8
        -010: -10 or -8
        08: 8 or a text
        00: 0 or 0
        020222070707: 20222070707 or 2185785799
        +3: is 3
        +4915112345678: is 4915112345678
        0x1F: is 31
        0o17: is 15
        1.0: is 1
        1.10: is 1.1
        1.: is 1
        .5: is 0.5
        01.5: is 1.5
        +0.5: is 0.5
        -0: is 0
        -0.0: is -0
        1e3: is 1000
        12e5: is 1200000
        1.5E-3: is 0.0015
        0e9: is 0
        1e22: is 10000000000000000000000
        0.1234567890123456789: becomes 0.12345678901234568
        100000000000000000000000.5: becomes 100000000000000010000000
        1e-400: becomes 0
        1e-99999999999999999999: becomes 0
        1_000: a text, elsewhere 1000
        -1_000: a text, elsewhere -1000
        1_0.5: a text, elsewhere 10.5
        0b101: a text, elsewhere 5
        -0b1: a text, elsewhere -1
        -0x1F: a text, elsewhere -31
        +0x1F: a text, elsewhere 31
        0x_1F: a text, elsewhere 31
        0_7: a text, elsewhere 7
        0o1_7: a text, elsewhere 15
        _1: kept
        1__: a text, elsewhere 1
        12:30:45: kept
        12:30: kept
        2024-01-31: kept
        10.0.0.1: kept
        1.2.3: kept
        0x: kept
        0b: kept
        500Gi: kept
        1e: kept
        .: kept
        "
        );
    }
}

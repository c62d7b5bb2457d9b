//! The meaning of plain scalars: the core schema of YAML 1.2 (specification 1.2.2, section 10.3.2).

use super::node::Data;

/// The meaning of a scalar that is neither quoted nor tagged.
pub fn resolve(text: &str) -> Data {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Data::Null,
        "true" | "True" | "TRUE" => return Data::Bool(true),
        "false" | "False" | "FALSE" => return Data::Bool(false),
        _ => {}
    }
    // Few texts begin like a number; the others are decided by one byte.
    let may_be_number = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'));
    if may_be_number && let Some(number) = integer(text).or_else(|| float(text)) {
        return number;
    }
    Data::Text { text: text.into(), plain: true }
}

/// A decimal, octal (`0o17`) or hexadecimal (`0x1F`) integer.
pub fn integer(text: &str) -> Option<Data> {
    let (digits, radix) = match (text.strip_prefix("0o"), text.strip_prefix("0x")) {
        (Some(octal), _) => (octal, 8),
        (_, Some(hexadecimal)) => (hexadecimal, 16),
        _ => (text, 10),
    };
    let unsigned = if radix == 10 { digits.strip_prefix(['+', '-']).unwrap_or(digits) } else { digits };
    if unsigned.is_empty() || !unsigned.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    Some(match i64::from_str_radix(digits, radix) {
        Ok(integer) => Data::Integer(integer),
        Err(_) => Data::Huge(unsigned.parse().unwrap_or(f64::MAX) * if digits.starts_with('-') { -1.0 } else { 1.0 }),
    })
}

/// A number with a point or an exponent, an infinity, or what is not a number.
pub fn float(text: &str) -> Option<Data> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Some(Data::NotFinite);
    }
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let well_formed = match mantissa.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty()),
        None => !mantissa.is_empty() && digits(mantissa),
    };
    let exponent_well_formed = exponent.is_none_or(|exponent| {
        let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !unsigned.is_empty() && digits(unsigned)
    });
    if !well_formed || !exponent_well_formed {
        return None;
    }
    let number: f64 = text.parse().ok()?;
    Some(if number.is_finite() { Data::Float(number) } else { Data::NotFinite })
}

/// Whether a plain scalar is a boolean in YAML 1.1 and a text in YAML 1.2, and which boolean.
pub fn yaml_1_1_boolean(text: &str) -> Option<bool> {
    const WORDS: [(&str, bool); 6] =
        [("yes", true), ("no", false), ("on", true), ("off", false), ("y", true), ("n", false)];
    WORDS.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)).map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_follow_the_core_schema() {
        let meanings =
            |texts: &[&str]| texts.iter().map(|text| format!("{text:?} = {:?}", resolve(text))).collect::<Vec<_>>();
        insta::assert_snapshot!(
            meanings(&[
                "", "~", "True", "tRUE", "0", "-17", "+3", "010", "0o17", "0x1F", "0x", "1_000", "1.10", "1.", ".5", ".", "-",
                "1e3", "1e", "e3", "1e999", "-.inf", ".nan", "NaN", "inf", "9223372036854775807", "9223372036854775808",
                "-9223372036854775809", "2001-01-01", "12:30:45", "no", "500Gi"
            ])
            .join("\n"),
            @r#"
            "" = Null
            "~" = Null
            "True" = Bool(true)
            "tRUE" = Text { text: "tRUE", plain: true }
            "0" = Integer(0)
            "-17" = Integer(-17)
            "+3" = Integer(3)
            "010" = Integer(10)
            "0o17" = Integer(15)
            "0x1F" = Integer(31)
            "0x" = Text { text: "0x", plain: true }
            "1_000" = Text { text: "1_000", plain: true }
            "1.10" = Float(1.1)
            "1." = Float(1.0)
            ".5" = Float(0.5)
            "." = Text { text: ".", plain: true }
            "-" = Text { text: "-", plain: true }
            "1e3" = Float(1000.0)
            "1e" = Text { text: "1e", plain: true }
            "e3" = Text { text: "e3", plain: true }
            "1e999" = NotFinite
            "-.inf" = NotFinite
            ".nan" = NotFinite
            "NaN" = Text { text: "NaN", plain: true }
            "inf" = Text { text: "inf", plain: true }
            "9223372036854775807" = Integer(9223372036854775807)
            "9223372036854775808" = Huge(9.223372036854776e18)
            "-9223372036854775809" = Huge(-9.223372036854776e18)
            "2001-01-01" = Text { text: "2001-01-01", plain: true }
            "12:30:45" = Text { text: "12:30:45", plain: true }
            "no" = Text { text: "no", plain: true }
            "500Gi" = Text { text: "500Gi", plain: true }
            "#
        );
    }

    #[test]
    fn the_booleans_of_yaml_1_1_are_recognised_in_any_case() {
        assert_eq!(yaml_1_1_boolean("NO"), Some(false));
        assert_eq!(yaml_1_1_boolean("On"), Some(true));
        assert_eq!(yaml_1_1_boolean("true"), None);
        assert_eq!(yaml_1_1_boolean("none"), None);
    }
}

//! The mark as the last line of a description, or as one tag of a user.
//!
//! A description ends with `[tenantry estate=shop address=acme/vhost]`, and what a person wrote above it is kept. A tag is
//! `tenantry:estate=shop:address=acme/user:secret=…`: a user may have any tags, and those that the server does not know
//! grant nothing (RabbitMQ manual, "Management plugin", permissions). Tags are separated by commas, so whatever is not plain
//! is percent-encoded.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::core::model::mark::Mark;

const LINE: &str = "[tenantry ";

/// How the tag with the mark begins.
pub const TAG: &str = "tenantry:";

/// A description taken apart: what a person wrote, and the mark.
pub fn parse_description(description: &str) -> (String, Option<Mark>) {
    let (text, line) = description.rsplit_once('\n').unwrap_or(("", description));
    let fields = line.strip_prefix(LINE).and_then(|line| line.strip_suffix(']'));
    match fields.and_then(|fields| parse_fields(fields.split(' '))) {
        Some((mark, _)) => (text.to_owned(), Some(mark)),
        None => (description.to_owned(), None),
    }
}

/// A description with a mark below it.
pub fn description(text: &str, mark: &Mark) -> String {
    let separator = if text.is_empty() { "" } else { "\n" };
    format!("{text}{separator}{LINE}{}]", fields(mark, None).join(" "))
}

/// The mark in a tag, and the fingerprint of the password that was written.
pub fn parse_tag(tag: &str) -> Option<(Mark, Option<String>)> {
    parse_fields(tag.strip_prefix(TAG)?.split(':'))
}

pub fn tag(mark: &Mark, password: Option<&str>) -> String {
    format!("{TAG}{}", fields(mark, password).join(":"))
}

fn fields(mark: &Mark, password: Option<&str>) -> Vec<String> {
    let address = mark.address.to_string();
    let all = [
        ("estate", Some(&*mark.estate)),
        ("address", Some(address.as_str())),
        ("secret", mark.secret_hash.as_deref()),
        ("password", password),
    ];
    all.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", escape(value?)))).collect()
}

fn parse_fields<'a>(fields: impl Iterator<Item = &'a str>) -> Option<(Mark, Option<String>)> {
    let mut found = BTreeMap::new();
    for field in fields {
        let (name, value) = field.split_once('=')?;
        if found.insert(name, unescape(value)?).is_some() {
            return None;
        }
    }
    let estate = found.remove("estate")?.into();
    let address = found.remove("address")?.parse().ok()?;
    let secret_hash = found.remove("secret").map(Into::into);
    Some((Mark { estate, address, secret_hash }, found.remove("password")))
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._/".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark() -> Mark {
        let address = r#"acme/user["two, words]"]"#.parse().expect("an address");
        Mark { estate: "shop".into(), address, secret_hash: Some("abc".into()) }
    }

    #[test]
    fn a_mark_reads_back_below_the_text_of_a_person() {
        let text = description("Ask Ann.\nDo not touch.", &mark());
        assert_eq!(parse_description(&text), ("Ask Ann.\nDo not touch.".to_owned(), Some(mark())));
        assert_eq!(parse_description(&description("", &mark())), (String::new(), Some(mark())));
    }

    #[test]
    fn a_mark_reads_back_from_a_tag() {
        let tag = tag(&mark(), Some("0123"));
        assert!(!tag.contains([',', ' ', '"']), "{tag}");
        assert_eq!(parse_tag(&tag), Some((mark(), Some("0123".to_owned()))));
    }

    #[test]
    fn what_is_no_mark_stays_text() {
        for text in [
            "",
            "[tenantry]",
            "[tenantry estate=a]",
            "[tenantry estate=a address=none]",
            "[tenantry estate=a address=a/b]\nx",
        ] {
            assert_eq!(parse_description(text), (text.to_owned(), None));
        }
        assert_eq!(parse_tag("management"), None);
    }
}

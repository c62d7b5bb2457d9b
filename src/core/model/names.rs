//! Names of documents, and forms of names that fit a target.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

/// The longest DNS label, in bytes (RFC 1035, section 2.3.4).
pub const DNS_LABEL_BYTES: usize = 63;

/// Hexadecimal digits of the hash that a shortened name ends with: 32 bits, so that among ten thousand names that share
/// a shortened beginning a collision has a probability of about one percent, and is then reported as a duplicate identity.
const HASH_DIGITS: usize = 8;

/// A DNS label: lower-case letters, digits and hyphens, beginning and ending with a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct Name(Arc<str>);

/// Why a text is not a DNS label.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum InvalidName {
    #[error("a name cannot be empty")]
    Empty,
    #[error("a name has at most 63 bytes; this one has {0}")]
    TooLong(usize),
    #[error("a name has lower-case letters a-z, digits and hyphens only; this one has {0:?}")]
    Character(char),
    #[error("a name begins and ends with a letter or digit")]
    Edge,
}

impl Name {
    /// # Errors
    /// If `text` is not a DNS label.
    pub fn new(text: &str) -> Result<Self, InvalidName> {
        if text.is_empty() {
            return Err(InvalidName::Empty);
        }
        if let Some(character) = text.chars().find(|c| !(c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-')) {
            return Err(InvalidName::Character(character));
        }
        if text.len() > DNS_LABEL_BYTES {
            return Err(InvalidName::TooLong(text.len()));
        }
        if text.starts_with('-') || text.ends_with('-') {
            return Err(InvalidName::Edge);
        }
        Ok(Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn shared(&self) -> Arc<str> {
        self.0.clone()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(&text).map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Name {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Name".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "minLength": 1,
            "maxLength": DNS_LABEL_BYTES,
            "pattern": "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$",
            "description": "A DNS label: lower-case letters, digits and hyphens, beginning and ending with a letter or digit."
        })
    }
}

/// The identifier form of a text: lower-case letters, digits and underscores, not beginning with a digit, at most `limit`
/// bytes. A text that had to be shortened or changed beyond hyphens ends with a hash of the original, so that two
/// different texts do not meet.
pub fn identifier(text: &str, limit: usize) -> String {
    let mut form: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
    if form.is_empty() || form.starts_with(|c: char| c.is_ascii_digit()) {
        form.insert(0, '_');
    }
    let lossless = text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    finish(form, text, lossless, limit, '_')
}

/// The DNS-label form of a text: lower-case letters, digits and hyphens, at most `limit` bytes, hashed like
/// [`identifier`].
pub fn dns_label(text: &str, limit: usize) -> String {
    let form: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let form = form.trim_matches('-').to_owned();
    let lossless = Name::new(text).is_ok();
    finish(form, text, lossless, limit.min(DNS_LABEL_BYTES), '-')
}

fn finish(form: String, original: &str, lossless: bool, limit: usize, separator: char) -> String {
    if lossless && form.len() <= limit {
        return form;
    }
    let hash = &hex(&Sha256::digest(original.as_bytes()))[..HASH_DIGITS];
    let keep = limit.saturating_sub(HASH_DIGITS + 1);
    let kept = form[..keep.min(form.len())].trim_end_matches(separator);
    if kept.is_empty() { format!("x{separator}{hash}") } else { format!("{kept}{separator}{hash}") }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        use fmt::Write as _;
        write!(text, "{byte:02x}").expect("writing to a String");
        text
    })
}

/// A text with every character as `%XX` of its bytes, except those that are kept.
pub fn percent_encode(text: &str, keeps: impl Fn(char) -> bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for character in text.chars() {
        if keeps(character) {
            encoded.push(character);
            continue;
        }
        let mut bytes = [0; 4];
        for byte in character.encode_utf8(&mut bytes).bytes() {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// The text that was encoded; `None` if it is not well-formed.
pub fn percent_decode(text: &str) -> Option<String> {
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

    #[test]
    fn a_short_name_keeps_its_letters() {
        assert_eq!(identifier("acme-corp", 63), "acme_corp");
        assert_eq!(dns_label("acme-corp", 63), "acme-corp");
    }

    #[test]
    fn what_is_shortened_or_changed_ends_with_a_hash() {
        let long = "a".repeat(80);
        assert_eq!(identifier(&long, 63).len(), 63);
        assert_ne!(identifier(&long, 63), identifier(&format!("{long}b"), 63));
        assert_ne!(identifier("Acme", 63), identifier("acme", 63));
        assert_ne!(identifier("a.b", 63), identifier("a-b", 63));
        assert!(dns_label("Ümlaut", 20).len() <= 20);
    }

    #[test]
    fn names_are_dns_labels() {
        assert!(Name::new("acme-corp").is_ok());
        assert_eq!(Name::new(""), Err(InvalidName::Empty));
        assert_eq!(Name::new("аcme"), Err(InvalidName::Character('а')), "a Cyrillic letter that looks like an a");
        assert_eq!(Name::new("a;b"), Err(InvalidName::Character(';')));
        assert_eq!(Name::new("-a"), Err(InvalidName::Edge));
        assert_eq!(Name::new(&"a".repeat(64)), Err(InvalidName::TooLong(64)));
    }
}

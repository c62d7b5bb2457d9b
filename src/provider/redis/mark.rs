//! The mark as a selector that grants nothing.
//!
//! `(resetchannels &tenantry:estate=shop:address=acme/user:secret=… -@all)`. A selector is a further set of permissions of
//! a user (Redis 7.0, manual of `ACL SETUSER`). This one has no command and no key, and a channel is of no use without a
//! command, so it is only text. It lives and dies with the user, and `ACL LIST` shows it.
//!
//! A pattern of a channel takes neither white space nor parentheses; whatever is not plain is percent-encoded.

use std::fmt::Write as _;

use crate::core::model::mark::Mark;

const OPENING: &str = "tenantry:estate=";

/// A mark, and what is noted besides it.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    pub mark: Mark,
    /// Tells the passwords that were written from others; see [`super::acl::fingerprint`].
    pub password: Option<String>,
    /// What was written of the rules about commands, and what the server made of it; see [`super::acl::rules_note`].
    pub rules: Option<String>,
}

impl Label {
    /// The pattern of the selector's channel.
    pub fn pattern(&self) -> String {
        let Self { mark: Mark { estate, address, secret_hash }, password, rules } = self;
        let mut pattern = format!("{OPENING}{}:address={}", escape(estate), escape(&address.to_string()));
        let notes =
            [("secret", secret_hash.as_deref()), ("password", password.as_deref()), ("rules", rules.as_deref())];
        for (name, value) in notes {
            if let Some(value) = value {
                let _ = write!(pattern, ":{name}={}", escape(value));
            }
        }
        pattern
    }

    /// The selector as `ACL SETUSER` takes it.
    pub fn selector(&self) -> String {
        format!("(resetchannels &{} -@all)", self.pattern())
    }

    /// Reads a selector as `ACL LIST` writes it, without its parentheses; nothing if it is somebody's own.
    pub fn parse(selector: &str) -> Option<Self> {
        let mut pattern = None;
        for word in selector.split_ascii_whitespace() {
            match word.strip_prefix('&') {
                Some(text) if pattern.is_none() => pattern = Some(text),
                None if matches!(word, "resetchannels" | "-@all") => {}
                _ => return None,
            }
        }
        let (mut address, mut secret_hash, mut password, mut rules) = (None, None, None, None);
        let mut fields = pattern?.strip_prefix(OPENING)?.split(':');
        let estate = unescape(fields.next()?)?;
        for field in fields {
            let (name, value) = field.split_once('=')?;
            let value = unescape(value)?;
            match name {
                "address" => address = value.parse().ok(),
                "secret" => secret_hash = Some(value.into()),
                "password" => password = Some(value),
                "rules" => rules = Some(value),
                _ => return None,
            }
        }
        Some(Self { mark: Mark { estate: estate.into(), address: address?, secret_hash }, password, rules })
    }
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

    fn label() -> Label {
        let address = r#"acme/user["two words)] 100%"]"#.parse().expect("an address");
        let mark = Mark { estate: "shop:1".into(), address, secret_hash: Some("abc".into()) };
        Label { mark, password: Some("0123".to_owned()), rules: Some("a.b".to_owned()) }
    }

    #[test]
    fn a_mark_reads_back() {
        let selector = label().selector();
        assert!(!selector[1..selector.len() - 1].contains(['(', ')', '[', '*', '"']), "{selector}");
        assert_eq!(Label::parse(&selector[1..selector.len() - 1]), Some(label()));
    }

    #[test]
    fn what_is_no_mark_is_somebodys_own() {
        for selector in [
            "",
            "~a resetchannels -@all +get",
            "resetchannels &tenantry:estate=a -@all",
            "resetchannels &tenantry:estate=a:address=a/b &x -@all",
            "~x resetchannels &tenantry:estate=a:address=a/b -@all",
            "resetchannels &tenantry:estate=a:address=a/b -@all +get",
        ] {
            assert_eq!(Label::parse(selector), None, "{selector}");
        }
    }
}

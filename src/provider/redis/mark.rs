//! The mark as a selector that grants nothing.
//!
//! `(resetchannels &tenantry:estate=shop:address=acme/user:secret=… -@all)`. A selector is a further set of permissions of
//! a user (Redis 7.0, manual of `ACL SETUSER`). This one has no command and no key, and a channel is of no use without a
//! command, so it is only text. It lives and dies with the user, and `ACL LIST` shows it.
//!
//! A pattern of a channel takes neither white space nor parentheses; whatever is not plain is percent-encoded.

use tenantry_core::model::mark::{Mark, fields, fits_name, parse_fields};

const OPENING: &str = "tenantry:";

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
        let notes = [("password", self.password.as_deref()), ("rules", self.rules.as_deref())];
        let notes = notes.into_iter().filter_map(|(name, value)| Some((name, value?)));
        format!("{OPENING}{}", fields(&self.mark, notes, fits_name).join(":"))
    }

    /// The selector as `ACL SETUSER` takes it.
    pub fn selector(&self) -> String {
        format!("(resetchannels &{} -@all)", self.pattern())
    }

    /// Reads a selector as `ACL LIST` writes it, without its parentheses; `None` if it is somebody's own.
    pub fn parse(selector: &str) -> Option<Self> {
        let mut pattern = None;
        for word in selector.split_ascii_whitespace() {
            match word.strip_prefix('&') {
                Some(text) if pattern.is_none() => pattern = Some(text),
                None if matches!(word, "resetchannels" | "alldbs" | "-@all") => {}
                _ => return None,
            }
        }
        let (mark, mut notes) = parse_fields(pattern?.strip_prefix(OPENING)?.split(':'))?;
        let (password, rules) = (notes.remove("password"), notes.remove("rules"));
        notes.is_empty().then_some(Self { mark, password, rules })
    }
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

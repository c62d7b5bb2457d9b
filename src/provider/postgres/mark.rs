//! The mark as the last line of a comment.
//!
//! `[tenantry estate=shop address=acme/schema secret=… …]`. Whatever a person wrote above it is kept. Comments are readable by
//! everybody who can connect, so nothing in the line may be secret: of a secret there is the engine's keyed hash only.
//! Values are percent-encoded where they hold white space, control characters or a percent sign, so that the line is one line
//! and splits at its spaces.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::core::model::mark::Mark;

const OPENING: &str = "[tenantry ";

/// A comment taken apart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comment {
    /// What a person wrote.
    pub text: String,
    pub mark: Option<Mark>,
    /// What a kind records besides the mark, such as the spelling of an expression.
    pub notes: BTreeMap<String, String>,
}

impl Comment {
    /// Takes a comment apart. A last line that is no well-formed mark belongs to the text.
    pub fn parse(comment: Option<&str>) -> Self {
        let comment = comment.unwrap_or_default();
        let (text, line) = comment.rsplit_once('\n').unwrap_or(("", comment));
        match parse_line(line) {
            Some((mark, notes)) => Self { text: text.to_owned(), mark: Some(mark), notes },
            None => Self { text: comment.to_owned(), mark: None, notes: BTreeMap::new() },
        }
    }

    /// The comment as it is written to the server.
    pub fn render(&self) -> String {
        let mut comment = self.text.clone();
        if let Some(mark) = &self.mark {
            if !comment.is_empty() {
                comment.push('\n');
            }
            let _ = write!(
                comment,
                "{OPENING}estate={} address={}",
                escape(&mark.estate),
                escape(&mark.address.to_string())
            );
            if let Some(secret) = &mark.secret_hash {
                let _ = write!(comment, " secret={}", escape(secret));
            }
            for (name, value) in &self.notes {
                let _ = write!(comment, " {name}={}", escape(value));
            }
            comment.push(']');
        }
        comment
    }

    /// This comment with another mark and other notes, and the same text.
    pub fn marked(&self, mark: &Mark, notes: BTreeMap<String, String>) -> Self {
        Self { text: self.text.clone(), mark: Some(mark.clone()), notes }
    }
}

/// How the mark's line begins for one estate, with the line break before it: what the server searches comments for.
pub fn search_text(estate: &str) -> String {
    format!("\n{OPENING}estate={} ", escape(estate))
}

fn parse_line(line: &str) -> Option<(Mark, BTreeMap<String, String>)> {
    let inner = line.strip_prefix(OPENING)?.strip_suffix(']')?;
    let mut notes = BTreeMap::new();
    for token in inner.split(' ') {
        let (name, value) = token.split_once('=')?;
        if notes.insert(name.to_owned(), unescape(value)?).is_some() {
            return None;
        }
    }
    let estate = notes.remove("estate")?;
    let address = notes.remove("address")?.parse().ok()?;
    let secret_hash = notes.remove("secret").map(Into::into);
    Some((Mark { estate: estate.into(), address, secret_hash }, notes))
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if character == '%' || character.is_whitespace() || character.is_control() {
            let mut bytes = [0; 4];
            for byte in character.encode_utf8(&mut bytes).bytes() {
                let _ = write!(escaped, "%{byte:02X}");
            }
        } else {
            escaped.push(character);
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
        Mark {
            estate: "shop".into(),
            address: r#"acme/queue["two words] 100%"]"#.parse().expect("an address"),
            secret_hash: Some("abc".into()),
        }
    }

    #[test]
    fn a_mark_reads_back_below_the_text_of_a_person() {
        let notes = BTreeMap::from([("using".to_owned(), "a = 'x y'\n\tOR [tenantry estate=other ".to_owned())]);
        let comment = Comment { text: "Do not touch.\nAsk Ann.".to_owned(), mark: Some(mark()), notes };
        let rendered = comment.render();
        assert_eq!(Comment::parse(Some(&rendered)), comment);
        assert!(format!("\n{rendered}").contains(&search_text("shop")));
        assert!(!format!("\n{rendered}").contains(&search_text("sho")));
        assert!(!format!("\n{rendered}").contains(&search_text("other")));
    }

    #[test]
    fn the_line_is_as_documented() {
        let comment = Comment { text: String::new(), mark: Some(mark()), notes: BTreeMap::new() };
        assert_eq!(
            comment.render(),
            r#"[tenantry estate=shop address=acme/queue["two%20words]%20100%25"] secret=abc]"#
        );
    }

    #[test]
    fn what_is_no_mark_stays_text() {
        for text in [
            "",
            "[tenantry]",
            "[tenantry estate=a]",
            "[tenantry estate=a address=none]",
            "[tenantry estate=a address=a/b estate=c]",
            "[tenantry estate=%zz address=a/b]",
            "[tenantry estate=a address=a/b]\nand a line below",
        ] {
            let comment = Comment::parse(Some(text));
            assert_eq!((comment.text.as_str(), comment.mark), (text, None));
        }
    }
}

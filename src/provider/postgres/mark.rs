//! The mark as the last line of a comment.
//!
//! `[tenantry estate=shop address=acme/schema secret=… …]`. Whatever a person wrote above it is kept. Comments are readable by
//! everybody who can connect, so nothing in the line may be secret: of a secret there is the engine's keyed hash only.
//! Values are percent-encoded where they hold white space, control characters or a percent sign, so that the line is one line
//! and splits at its spaces.

use tenantry_core::model::mark::{self, Mark, Notes};

pub use tenantry_core::model::mark::search_texts;

/// A comment taken apart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comment {
    /// What a person wrote.
    pub text: String,
    pub mark: Option<Mark>,
    /// What a kind records besides the mark, such as the spelling of an expression.
    pub notes: Notes,
}

impl Comment {
    /// Takes a comment apart. A last line that is no well-formed mark belongs to the text.
    pub fn parse(comment: Option<&str>) -> Self {
        let (text, found) = mark::parse_comment(comment.unwrap_or_default());
        let (mark, notes) = found.map(|(mark, notes)| (Some(mark), notes)).unwrap_or_default();
        Self { text: text.to_owned(), mark, notes }
    }

    /// The comment as it is written to the server.
    pub fn render(&self) -> String {
        match &self.mark {
            Some(mark) => mark::comment(&self.text, mark, &self.notes, mark::fits_line),
            None => self.text.clone(),
        }
    }

    /// This comment with another mark and other notes, and the same text.
    pub fn marked(&self, mark: &Mark, notes: Notes) -> Self {
        Self { text: self.text.clone(), mark: Some(mark.clone()), notes }
    }
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
        let notes = Notes::from([("using".to_owned(), "a = 'x y'\n\tOR [tenantry estate=other ".to_owned())]);
        let comment = Comment { text: "Do not touch.\nAsk Ann.".to_owned(), mark: Some(mark()), notes };
        let rendered = comment.render();
        assert_eq!(Comment::parse(Some(&rendered)), comment);
        let is_found = |scope: &str| search_texts(scope).iter().any(|text| format!("\n{rendered}").contains(text));
        assert!(is_found("shop") && is_found("shop.production"));
        assert!(!is_found("sho") && !is_found("other"));
    }

    #[test]
    fn the_line_is_as_documented() {
        let comment = Comment { text: String::new(), mark: Some(mark()), notes: Notes::new() };
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

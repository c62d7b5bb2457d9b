//! The mark as the last line of a description, or as one tag of a user.
//!
//! A description ends with `[tenantry estate=shop address=acme/vhost]`, and what a person wrote above it is kept. A tag is
//! `tenantry:estate=shop:address=acme/user:secret=…`: a user may have any tags, and those that the server does not know
//! grant nothing (RabbitMQ manual, "Management plugin", permissions). Tags are separated by commas, so whatever is not plain
//! is percent-encoded.

use tenantry_core::model::mark::{Mark, Notes, comment, fields, fits_name, parse_comment, parse_fields};

/// How the tag with the mark begins.
pub const TAG: &str = "tenantry:";

/// A description taken apart: what a person wrote, and the mark.
pub fn parse_description(description: &str) -> (String, Option<Mark>) {
    let (text, found) = parse_comment(description);
    (text.to_owned(), found.map(|(mark, _)| mark))
}

/// A description with a mark below it.
pub fn description(text: &str, mark: &Mark) -> String {
    comment(text, mark, &Notes::new(), fits_name)
}

/// The mark in a tag, and the fingerprint of the password that was written.
pub fn parse_tag(tag: &str) -> Option<(Mark, Option<String>)> {
    let (mark, mut notes) = parse_fields(tag.strip_prefix(TAG)?.split(':'))?;
    Some((mark, notes.remove("password")))
}

pub fn tag(mark: &Mark, password: Option<&str>) -> String {
    let notes = password.map(|password| ("password", password));
    format!("{TAG}{}", fields(mark, notes, fits_name).join(":"))
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

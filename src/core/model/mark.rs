//! The sign of ownership on a real resource, and its form as a text.
//!
//! In a comment it is the last line: `[tenantry estate=shop address=acme/schema secret=… …]`, below the text of a person. In
//! places without lines, the fields are written alone, with other separators. Values are percent-encoded as far as needed, so
//! that the text can be split at its separators.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::address::Address;
use super::names::{percent_decode, percent_encode};

const OPENING: &str = "[tenantry ";

/// Estate and address, as read from or written to the target.
///
/// A resource is only updated or deleted if its mark names this estate and this address.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Mark {
    /// The estate and, where one was chosen, the environment, as [`scope`] writes them.
    pub estate: Arc<str>,
    pub address: Address,
    /// Keyed hash over the secret values that were written, by which drift of a secret is seen without knowing it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_hash: Option<Arc<str>>,
}

impl Mark {
    /// Whether both name the same resource of the same estate and environment; one of them may be an earlier mark without an
    /// environment.
    pub fn is_same_owner(&self, other: &Self) -> bool {
        self.address == other.address && (self.is_of(&other.estate) || other.is_of(&self.estate))
    }

    /// Whether it names a scope, or names its estate alone, as marks did before they named environments.
    pub fn is_of(&self, scope: &str) -> bool {
        is_of(&self.estate, scope)
    }
}

/// An estate in an environment, as marks have it: `shop`, or `shop.production`. Names are DNS labels, so the dot is
/// unambiguous, and every target that keeps marks takes it.
pub fn scope(estate: &str, environment: Option<&str>) -> Arc<str> {
    match environment {
        Some(environment) => format!("{estate}.{environment}").into(),
        None => estate.into(),
    }
}

/// The scope and, if it names an environment, its estate alone: both forms that its marks may have.
pub fn names_of(scope: &str) -> impl Iterator<Item = &str> {
    std::iter::once(scope).chain(scope.split_once('.').map(|(estate, _)| estate))
}

/// Whether the text of a mark names a scope; see [`Mark::is_of`].
pub fn is_of(named: &str, scope: &str) -> bool {
    names_of(scope).any(|name| name == named)
}

/// A scope as messages have it: ``estate `shop`, environment `production` ``.
pub fn readable_scope(scope: &str) -> String {
    match scope.split_once('.') {
        Some((estate, environment)) => format!("estate `{estate}`, environment `{environment}`"),
        None => format!("estate `{scope}`"),
    }
}

/// Additional fields of a mark, by name.
pub type Notes = BTreeMap<String, String>;

/// Whether a character is allowed in the line of a comment.
pub fn fits_line(character: char) -> bool {
    !(character == '%' || character.is_whitespace() || character.is_control())
}

/// Whether a character is allowed in a name or a pattern, where few are.
pub fn fits_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || "-._/".contains(character)
}

/// A mark's fields, `name=value` each.
pub fn fields<'a>(
    mark: &Mark,
    notes: impl IntoIterator<Item = (&'a str, &'a str)>,
    fits: fn(char) -> bool,
) -> Vec<String> {
    let address = mark.address.to_string();
    let field = |(name, value): (&str, &str)| format!("{name}={}", percent_encode(value, fits));
    let secret = mark.secret_hash.iter().map(|hash| ("secret", &**hash));
    let own = [("estate", &*mark.estate), ("address", &address)].into_iter().chain(secret);
    own.map(field).chain(notes.into_iter().map(field)).collect()
}

/// Reads what [`fields`] wrote. `None` if it is not a complete mark, or has a field twice.
pub fn parse_fields<'a>(fields: impl IntoIterator<Item = &'a str>) -> Option<(Mark, Notes)> {
    let mut notes = Notes::new();
    for field in fields {
        let (name, value) = field.split_once('=')?;
        if notes.insert(name.to_owned(), percent_decode(value)?).is_some() {
            return None;
        }
    }
    let estate = notes.remove("estate")?.into();
    let address = notes.remove("address")?.parse().ok()?;
    let secret_hash = notes.remove("secret").map(Into::into);
    Some((Mark { estate, address, secret_hash }, notes))
}

/// A comment with the mark's line below what a person wrote.
pub fn comment(text: &str, mark: &Mark, notes: &Notes, fits: fn(char) -> bool) -> String {
    let separator = if text.is_empty() { "" } else { "\n" };
    let notes = notes.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    format!("{text}{separator}{OPENING}{}]", fields(mark, notes, fits).join(" "))
}

/// The text of a person in a comment, and the mark below it. A last line that is not a well-formed mark belongs to the text.
pub fn parse_comment(comment: &str) -> (&str, Option<(Mark, Notes)>) {
    let (text, line) = comment.rsplit_once('\n').unwrap_or(("", comment));
    let inner = line.strip_prefix(OPENING).and_then(|line| line.strip_suffix(']'));
    match inner.and_then(|inner| parse_fields(inner.split(' '))) {
        Some(found) => (text, Some(found)),
        None => (comment, None),
    }
}

/// How the mark's line begins for one scope, with the line break before it: what a server searches comments for.
pub fn search_texts(scope: &str) -> Vec<String> {
    names_of(scope).map(|name| format!("\n{OPENING}estate={} ", percent_encode(name, fits_line))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark() -> Mark {
        let address = r#"acme/queue["two: wörds] 100%"]"#.parse().expect("an address");
        Mark { estate: "shop".into(), address, secret_hash: Some("abc".into()) }
    }

    #[test]
    fn the_text_is_as_documented_and_reads_back() {
        let notes = Notes::from([("using".to_owned(), "a = 'x'\n".to_owned())]);
        let line = comment("Ask Ann.", &mark(), &notes, fits_line);
        let wanted =
            r#"[tenantry estate=shop address=acme/queue["two:%20wörds]%20100%25"] secret=abc using=a%20=%20'x'%0A]"#;
        assert_eq!(line, format!("Ask Ann.\n{wanted}"));
        assert_eq!(parse_comment(&line), ("Ask Ann.", Some((mark(), notes))));
        let name = fields(&mark(), [], fits_name).join(":");
        assert_eq!(name, "estate=shop:address=acme/queue%5B%22two%3A%20w%C3%B6rds%5D%20100%25%22%5D:secret=abc");
        assert_eq!(parse_fields(name.split(':')), Some((mark(), Notes::new())));
    }

    #[test]
    fn a_mark_is_of_one_environment_and_an_old_one_of_its_estate() {
        let mark = |estate: &str| Mark { estate: estate.into(), ..mark() };
        assert_eq!(&*scope("shop", Some("production")), "shop.production");
        assert_eq!(&*scope("shop", None), "shop");
        for (named, asked, is_of) in [
            ("shop", "shop", true),
            ("shop.production", "shop.production", true),
            ("shop", "shop.production", true),
            ("shop.production", "shop", false),
            ("shop.staging", "shop.production", false),
            ("shopping", "shop", false),
            ("sho", "shop.production", false),
        ] {
            assert_eq!(mark(named).is_of(asked), is_of, "{named} in {asked}");
        }
        assert!(mark("shop").is_same_owner(&mark("shop.production")));
        assert!(mark("shop.production").is_same_owner(&mark("shop")));
        assert!(!mark("shop.staging").is_same_owner(&mark("shop.production")));
        assert_eq!(
            search_texts("shop.production"),
            ["\n[tenantry estate=shop.production ", "\n[tenantry estate=shop "]
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
            assert_eq!(parse_comment(text), (text, None));
        }
    }
}

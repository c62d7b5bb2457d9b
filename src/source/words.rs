//! The words of messages about values.

use jsonschema::JsonType;
use jsonschema::error::TypeKind;
use serde_json::Value;

use super::node::Data;
use tenantry_core::model::names::Name;
use tenantry_core::model::value::unescape_token;

/// In which language a value is written, and so what its parts are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notation {
    Yaml,
    Toml,
}

impl Notation {
    /// What the whole of a file or document is called.
    pub fn whole(self) -> &'static str {
        match self {
            Self::Yaml => "the document",
            Self::Toml => "`tenantry.toml`",
        }
    }

    /// Words for a type in this language.
    pub fn term(self, words: &str) -> String {
        match self {
            Self::Yaml => words.to_owned(),
            Self::Toml => words.replace("a mapping", "a table"),
        }
    }

    /// Words for a type, with an example where the type alone does not tell how to write it.
    pub fn example(self, words: &str) -> String {
        match (self, words) {
            (Self::Yaml, "a mapping") => "a mapping, such as `name: value`".to_owned(),
            (Self::Toml, "a mapping") => "a table, such as `{ name = \"value\" }`".to_owned(),
            (Self::Yaml, "a list") => "a list, such as `[a, b]`".to_owned(),
            (Self::Toml, "a list") => "a list, such as `[\"a\", \"b\"]`".to_owned(),
            (_, other) => self.term(other),
        }
    }
}

/// What a schema's `type` asks for.
pub fn type_words(kind: &TypeKind) -> String {
    let word = |kind: JsonType| match kind {
        JsonType::Array => "a list",
        JsonType::Boolean => "true or false",
        JsonType::Integer => "a whole number",
        JsonType::Null => "empty",
        JsonType::Number => "a number",
        JsonType::Object => "a mapping",
        JsonType::String => "a text",
    };
    match kind {
        TypeKind::Single(kind) => word(*kind).to_owned(),
        TypeKind::Multiple(kinds) => alternatives(kinds.iter().map(|kind| word(kind).to_owned())),
    }
}

/// What a schema's `format` asks for, and how to write it.
///
/// The formats are those of JSON Schema (2020-12, validation, section 7.3).
pub fn format_words(format: &str) -> (String, String) {
    let (what, example) = match format {
        "date" => ("a date", "2026-01-31"),
        "date-time" => ("a time with its date and zone", "2026-01-31T12:00:00Z"),
        "time" => ("a time of day with its zone", "12:00:00Z"),
        "duration" => ("a duration", "P30D or PT12H"),
        "email" | "idn-email" => ("an email address", "name@example.com"),
        "hostname" | "idn-hostname" => ("a host name", "www.example.com"),
        "ipv4" => ("an IPv4 address", "192.0.2.1"),
        "ipv6" => ("an IPv6 address", "2001:db8::1"),
        "uri" | "iri" => ("a complete URI", "https://example.com/path"),
        "uri-reference" | "iri-reference" => ("a URI or a path", "/path"),
        "uri-template" => ("a URI template", "https://example.com/{id}"),
        "uuid" => ("a UUID", "123e4567-e89b-12d3-a456-426614174000"),
        "json-pointer" => ("a JSON pointer", "/spec/name"),
        "relative-json-pointer" => ("a relative JSON pointer", "1/name"),
        "regex" => ("a regular expression", "^[a-z]+$"),
        other => return (format!("expected the format `{other}`"), format!("write a value of the format `{other}`")),
    };
    (format!("expected {what}"), format!("write {what}, such as {example}"))
}

/// `true, false or a text`: what has an `or` within comes first.
pub fn alternatives(words: impl IntoIterator<Item = String>) -> String {
    let mut words: Vec<String> = words.into_iter().collect();
    words.sort_by_key(|word| word != "true or false");
    words.dedup();
    let joined = words.join(" or ");
    if words.len() > 1 { joined.replacen("true or false", "true, false", 1) } else { joined }
}

/// What a value is.
pub fn found(data: &Data) -> &'static str {
    match data {
        Data::Null => "empty",
        Data::Bool(true) => "the boolean true",
        Data::Bool(false) => "the boolean false",
        Data::Integer(_) | Data::Float(_) | Data::Huge(_) | Data::NotFinite => "a number",
        Data::Text { .. } => "a text",
        Data::List(_) => "a list",
        Data::Map(_) => "a mapping",
    }
}

/// What a value is that is written nowhere.
pub fn found_json(value: &Value) -> &'static str {
    match value {
        Value::Null => "empty",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

/// A name that would do. Not the shortened form with a hash that targets get: nobody would choose it.
pub fn name_help(text: &str) -> String {
    let form: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let form = form.trim_matches('-');
    match Name::new(form) {
        // Of a name in another script too little would be left.
        Ok(name) if text.is_ascii() => format!("write for example `{name}`"),
        _ => "write a name such as `acme-corp`".to_owned(),
    }
}

/// A value within a message: a text without its quotation marks.
pub fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// For a sentence that goes on; the full stop is left out.
pub fn lower_first(text: &str) -> String {
    let mut characters = text.trim_end_matches('.').chars();
    let first = characters.next().map(|first| {
        // An abbreviation such as ISO keeps its capitals.
        let second_is_capital = characters.clone().next().is_some_and(char::is_uppercase);
        if second_is_capital { first.to_string() } else { first.to_lowercase().to_string() }
    });
    first.unwrap_or_default() + characters.as_str()
}

/// A JSON pointer as people write it: `spec.resources[0].id`.
pub fn dotted(pointer: &str) -> String {
    let mut path = String::new();
    for token in pointer.split('/').skip(1) {
        let token = unescape_token(token);
        if !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_digit()) {
            path.push_str(&format!("[{token}]"));
        } else {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(&shown(&token));
        }
    }
    path
}

/// A text of a document within a message: short, on one line.
pub fn shown(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut shown: String = text
        .chars()
        .take(LONGEST)
        .flat_map(|c| if is_invisible(c) { c.escape_default().collect::<Vec<_>>() } else { vec![c] })
        .collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

/// Controls, and the marks that reorder a line or take no room in it.
fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// `a`, `b` and `c`
pub fn listed(names: &[&str]) -> String {
    joined(names, "and")
}

/// one of `a`, `b` or `c`
pub fn one_of(names: &[&str]) -> String {
    match names {
        [only] => format!("`{}`", shown(only)),
        _ => format!("one of {}", joined(names, "or")),
    }
}

fn joined(names: &[&str], conjunction: &str) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{}`", shown(name))).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} {conjunction} {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_shown_as_paths() {
        assert_eq!(dotted("/spec/resources/0/id"), "spec.resources[0].id");
        assert_eq!(dotted("/metadata/labels/a~1b~0c"), "metadata.labels.a/b~c");
        assert_eq!(dotted(""), "");
    }

    #[test]
    fn texts_are_shown_on_one_short_line() {
        assert_eq!(shown("a\nb\u{1b}\u{202e}"), "a\\nb\\u{1b}\\u{202e}");
        assert_eq!(shown(&"é".repeat(100)).chars().count(), 61);
    }

    #[test]
    fn types_are_listed_so_that_they_read_well() {
        let words = |words: &[&str]| alternatives(words.iter().map(|word| (*word).to_owned()));
        assert_eq!(words(&["a text", "true or false"]), "true, false or a text");
        assert_eq!(words(&["true or false"]), "true or false");
        assert_eq!(words(&["a list", "a text"]), "a list or a text");
    }
}

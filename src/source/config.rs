//! `tenantry.toml`: checks its form, and that it contains no secret.
//!
//! A message shows the line that it is about. Wherever a secret was or may have been found, the text that is kept for
//! messages is masked, byte for byte, so that positions still fit.

use std::collections::HashSet;
use std::sync::OnceLock;

use super::node::{Data, Node};
use super::scalars::{self, Numbers};
use super::schema::{Form, Subject};
use super::targets::TargetForms;
use super::words::{Notation, dotted};
use super::{schemas, toml};
use tenantry_core::diagnostics::{Diagnostic, FileId, Origin, Span, codes, has_errors};
use tenantry_core::model::config::{EstateConfig, LimitsTable};
use tenantry_core::model::document::Positions;

/// The highest limit for a file, whatever the configuration says: positions have 32 bits.
const LARGEST_LIMIT: u64 = 1 << 30;

/// What `tenantry.toml` holds.
pub struct ReadConfig {
    /// `None` if it has errors.
    pub config: Option<(EstateConfig, Positions)>,
    /// The limit for all other files, even if something else is wrong.
    pub max_file_bytes: u64,
    pub diagnostics: Vec<Diagnostic>,
    /// The text without secrets, if there were any.
    pub masked: Option<String>,
}

/// Checks the text of `tenantry.toml`; settings of targets as far as `targets` knows their providers.
pub fn read(file: FileId, text: &str, targets: &TargetForms) -> ReadConfig {
    let default_limit = LimitsTable::default().max_file_bytes;
    let root = match toml::parse(file, text) {
        Ok(root) => root,
        Err(diagnostics) => {
            return ReadConfig {
                config: None,
                max_file_bytes: default_limit,
                diagnostics,
                masked: Some(mask_lines(text)),
            };
        }
    };
    let mut reported = HashSet::new();
    let mut diagnostics = Vec::new();
    let secrets = inline_secrets(&root);
    for secret in &secrets {
        diagnostics.push(
            Diagnostic::error(codes::INLINE_SECRET, secret.message())
                .at(Origin { file, span: secret.span }, "in the clear here")
                .help("write `env:NAME` or `file:PATH`; if this was ever committed, also change the secret itself"),
        );
        reported.insert(secret.pointer.clone());
    }
    scalars::check(file, text, &root, Numbers::Toml, &mut reported, &mut diagnostics);
    let json = root.to_json();
    let subject = Subject {
        file,
        text,
        root: &root,
        beneath: None,
        base: "",
        incomplete: false,
        notation: Notation::Toml,
        code: Some(codes::CONFIG_INVALID),
    };
    diagnostics.extend(form().check(&json, &subject, &mut reported));
    diagnostics.extend(targets.check(file, text, &root, &mut reported));
    let limit = json.pointer("/limits/max_file_bytes").and_then(serde_json::Value::as_u64);
    let max_file_bytes = limit.unwrap_or(default_limit).min(LARGEST_LIMIT);
    let mut config = None;
    if !has_errors(&diagnostics) {
        match serde_json::from_value(json) {
            Ok(table) => config = Some((table, root.positions(file))),
            Err(error) => diagnostics.push(
                Diagnostic::error(codes::CONFIG_INVALID, format!("`tenantry.toml` cannot be read: {error}"))
                    .at(Origin { file, span: Span::default() }, "")
                    .help("correct the value that the message names"),
            ),
        }
    }
    let masked =
        (!secrets.is_empty()).then(|| secrets.iter().fold(text.to_owned(), |text, secret| mask(&text, secret.span)));
    ReadConfig { config, max_file_bytes, diagnostics, masked }
}

fn form() -> &'static Form {
    static FORM: OnceLock<Form> = OnceLock::new();
    FORM.get_or_init(|| Form::new(schemas::config()).expect("a generated schema compiles"))
}

/// A value that should have been a reference.
struct InlineSecret {
    pointer: String,
    span: Span,
    why: Why,
}

enum Why {
    /// The field is for references only.
    MustBeReference,
    Name,
    Value,
}

impl InlineSecret {
    fn message(&self) -> String {
        let path = dotted(&self.pointer);
        match self.why {
            Why::MustBeReference => format!("`{path}` must be given as `env:NAME` or `file:PATH`"),
            Why::Name => format!("`{path}` is a secret, but the configuration contains its value"),
            Why::Value => format!("the value of `{path}` contains a secret"),
        }
    }
}

fn inline_secrets(root: &Node) -> Vec<InlineSecret> {
    let mut secrets = Vec::new();
    root.visit(&mut |pointer, node| {
        let text = match &node.data {
            Data::Text { text, .. } => &**text,
            Data::Integer(_) | Data::Float(_) | Data::Huge(_) | Data::NotFinite => "0",
            Data::Null | Data::Bool(_) | Data::List(_) | Data::Map(_) => return,
        };
        if text.is_empty() || is_reference(text) {
            return;
        }
        let name =
            pointer.rsplit('/').find(|token| !token.bytes().all(|byte| byte.is_ascii_digit())).unwrap_or_default();
        let why = if pointer.ends_with("/store/url") || pointer.ends_with("/secrets/identity") {
            Why::MustBeReference
        } else if names_a_secret(name) {
            Why::Name
        } else if holds_a_secret(text) {
            Why::Value
        } else {
            return;
        };
        secrets.push(InlineSecret { pointer: pointer.to_owned(), span: node.span, why });
    });
    secrets
}

fn is_reference(text: &str) -> bool {
    text.starts_with("env:") || text.starts_with("file:")
}

/// Whether a setting of this name is a secret: `password`, `api_key`, `secretAccessKey`, but not `key_prefix`.
fn names_a_secret(name: &str) -> bool {
    const SECRET: [&str; 10] =
        ["password", "passwd", "pwd", "passphrase", "secret", "token", "key", "apikey", "identity", "credential"];
    // What is about a secret without being one.
    const ABOUT: [&str; 16] = [
        "name",
        "path",
        "file",
        "url",
        "uri",
        "prefix",
        "suffix",
        "namespace",
        "type",
        "field",
        "label",
        "version",
        "length",
        "algorithm",
        "ttl",
        "days",
    ];
    let words = words(name);
    let last = words.last().map(String::as_str).unwrap_or_default();
    let about = ABOUT.contains(&last)
        || words.first().is_some_and(|first| first == "public")
        || (last == "id" && !words.iter().any(|word| word == "secret"));
    !about
        && words
            .iter()
            .any(|word| SECRET.contains(&word.strip_suffix('s').unwrap_or(word)) || SECRET.contains(&word.as_str()))
}

fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut previous_is_lower = false;
    for character in name.chars() {
        let begins = !character.is_alphanumeric() || (character.is_uppercase() && previous_is_lower);
        if begins && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        if let (true, Some(word)) = (character.is_alphanumeric(), words.last_mut()) {
            word.extend(character.to_lowercase());
        }
        previous_is_lower = character.is_lowercase() || character.is_numeric();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Whether a text is a secret by its own form: a URL or connection string with a password, or a well-known sort of key.
fn holds_a_secret(text: &str) -> bool {
    const BEGINNINGS: [&str; 8] =
        ["AGE-SECRET-KEY-", "sk_live_", "sk_test_", "rk_live_", "rk_test_", "whsec_", "ghp_", "github_pat_"];
    BEGINNINGS.iter().any(|beginning| text.starts_with(beginning))
        || (text.contains("-----BEGIN ") && text.contains("PRIVATE KEY"))
        || url_password(text).is_some()
        || text
            .split(['?', '&', ' ', ';'])
            .any(|part| part.split_once('=').is_some_and(|(name, value)| !value.is_empty() && names_a_secret(name)))
}

/// Where a URL has its password, in bytes.
fn url_password(text: &str) -> Option<std::ops::Range<usize>> {
    let start = text.find("://")? + 3;
    let authority = &text[start..];
    let end = authority.find(['/', '?', '#', ' ', '"', '\'']).unwrap_or(authority.len());
    // A password may hold an `@` or a `/` that nobody encoded.
    let has_port = || authority[..end].rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let at = authority[..end].rfind('@').or_else(|| authority.rfind('@').filter(|_| !has_port()))?;
    let colon = authority[..at].find(':')?;
    (colon + 1 < at).then_some(start + colon + 1..start + at)
}

/// Replaces what stands in a span by asterisks, byte for byte; line breaks stay.
fn mask(text: &str, span: Span) -> String {
    let (start, end) = (text.floor_char_boundary(span.start as usize), text.ceil_char_boundary(span.end as usize));
    let hidden = text[start..end]
        .chars()
        .map(|c| if matches!(c, '\n' | '\r') { c.to_string() } else { "*".repeat(c.len_utf8()) });
    format!("{}{}{}", &text[..start], hidden.collect::<String>(), &text[end..])
}

/// Masks what looks like a secret in a text that cannot be parsed: whatever stands behind the name of one.
pub fn mask_lines(text: &str) -> String {
    let mut masked = text.to_owned();
    let mut offset = 0;
    let mut within: Option<&str> = None;
    for line in text.split_inclusive('\n') {
        let mut from = None;
        if let Some(quotes) = within {
            from = Some(0);
            if line.contains(quotes) {
                within = None;
            }
        } else {
            for (at, _) in line.match_indices(['=', ':']) {
                let name = line[..at].trim_end().trim_end_matches(['"', '\'']);
                let is_other = |c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-'));
                let name = name.rsplit(is_other).next().unwrap_or_default();
                let value = line[at + 1..].trim_start().trim_start_matches(['"', '\'']);
                if names_a_secret(name) && !is_reference(value) {
                    from = Some(at + 1);
                    within = ["\"\"\"", "'''"].into_iter().find(|quotes| line.matches(quotes).count() == 1);
                    break;
                }
            }
            if from.is_none() && line.split(['"', '\'', ' ', '=']).any(holds_a_secret) {
                from = line.find('=').map(|at| at + 1).or(Some(0));
            }
        }
        if let Some(from) = from {
            let span = Span { start: to_u32(offset + from), end: to_u32(offset + line.len()) };
            masked = mask(&masked, span);
        }
        offset += line.len();
    }
    masked
}

fn to_u32(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_told_from_names_about_them() {
        for name in [
            "password",
            "api_key",
            "secretAccessKey",
            "token",
            "identity",
            "secret_id",
            "API-KEY",
            "tokens",
            "db_password",
        ] {
            assert!(names_a_secret(name), "{name}");
        }
        for name in [
            "host",
            "key_prefix",
            "token_url",
            "access_key_id",
            "keyspace",
            "secret_name",
            "public_key",
            "monkey",
            "url",
        ] {
            assert!(!names_a_secret(name), "{name}");
        }
    }

    #[test]
    fn secrets_are_known_by_their_form() {
        for text in [
            "postgres://admin:hunter2@db/app",
            "amqp://u:p%40ss@h:5672",
            "redis://:hunter2@h",
            "host=db password=hunter2",
            "https://h/x?api_key=1",
            "AGE-SECRET-KEY-1QQ",
            "sk_live_1",
        ] {
            assert!(holds_a_secret(text), "{text}");
        }
        for text in
            ["postgres://admin@db:5432/app", "https://h:8443/a@b", "us-east-1", "a=b", "mailto:a@b", "host=db user=x"]
        {
            assert!(!holds_a_secret(text), "{text}");
        }
    }

    #[test]
    fn a_text_that_does_not_parse_is_masked_too() {
        let text = "name = \"é\"\npassword = hunter2\nauth = { token = \"t0ken\" }\nurl = \"postgres://a:b@c\"\nkey = \"env:KEY\"\nsecret = \"\"\"\nline\n\"\"\"\nend = 1\n";
        insta::assert_snapshot!(mask_lines(text), @r#"
        name = "é"
        password =********
        auth = { token =**********
        url =*******************
        key = "env:KEY"
        secret =****
        ****
        ***
        end = 1
        "#);
        assert_eq!(mask_lines(text).len(), text.len());
    }
}

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
use tenantry_core::model::clear::{holds_a_secret, names_a_secret};
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

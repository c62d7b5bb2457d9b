//! `tenantry.toml` → a tree with positions.

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::node::{Data, Field, Node};
use tenantry_core::diagnostics::{Diagnostic, FileId, Origin, Span, codes};

/// Reads the text of `tenantry.toml`.
///
/// # Errors
/// Every syntax error.
pub fn parse(file: FileId, text: &str) -> Result<Node, Vec<Diagnostic>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        let whole = Span { start: 0, end: u32::try_from(text.trim_end().len()).unwrap_or(u32::MAX) };
        return Ok(Node { span: whole, data: map(table.into_inner()) });
    }
    Err(errors
        .iter()
        .map(|error| {
            let span = error.span().map_or_else(Span::default, |range| span(&range));
            Diagnostic::error(codes::CONFIG_INVALID, "`tenantry.toml` is not valid TOML")
                .at(Origin { file, span }, error.message())
                .help("quote texts, begin tables with `[name]`, and write each key once: see https://toml.io")
        })
        .collect())
}

fn span(range: &std::ops::Range<usize>) -> Span {
    Span { start: u32::try_from(range.start).unwrap_or(u32::MAX), end: u32::try_from(range.end).unwrap_or(u32::MAX) }
}

fn map(table: DeTable<'_>) -> Data {
    let mut fields: Vec<_> = table
        .into_iter()
        .map(|(key, value)| Field { key_span: span(&key.span()), key: key.into_inner().into(), value: node(value) })
        .collect();
    // The parser sorts by name; messages follow the file.
    fields.sort_by_key(|field| field.key_span.start);
    Data::Map(fields)
}

fn node(value: Spanned<DeValue<'_>>) -> Node {
    let span = span(&value.span());
    let data = match value.into_inner() {
        DeValue::String(text) => Data::Text { text: text.into(), plain: false },
        DeValue::Integer(integer) => self::integer(&integer),
        DeValue::Float(float) => match float.as_str().parse::<f64>() {
            Ok(number) if number.is_finite() => Data::Float(number),
            _ => Data::NotFinite,
        },
        DeValue::Boolean(value) => Data::Bool(value),
        // No setting is a time. As a text it meets the message of whatever it stands for.
        DeValue::Datetime(time) => Data::Text { text: time.to_string().into(), plain: false },
        DeValue::Array(items) => Data::List(items.into_iter().map(node).collect()),
        DeValue::Table(table) => map(table),
    };
    Node { span, data }
}

fn integer(integer: &DeInteger<'_>) -> Data {
    match i64::from_str_radix(integer.as_str(), integer.radix()) {
        Ok(value) => Data::Integer(value),
        Err(_) if integer.as_str().starts_with('-') => Data::Huge(f64::MIN),
        Err(_) => Data::Huge(f64::MAX),
    }
}

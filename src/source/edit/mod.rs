//! Edits of documents: a file's text and what is to differ in one of its documents → the file's text, in which nothing else does.
//!
//! Comments, order, quotation marks, indentation and line endings stay, because only the bytes of the asked values are exchanged
//! ([`place`] finds them, [`write`] makes the new ones). Whatever the notation of the file: the result is parsed again and
//! compared with what was asked for, document by document, and refused if anything else differs.

pub mod field;
pub mod new;
mod place;
mod write;

use serde_json::Value as Json;

use self::place::Step;
use super::node::Node;
use super::yaml;
use tenantry_core::diagnostics::{Diagnostic, FileId, Origin, Span, codes, has_errors};
use tenantry_core::model::value::{Value, readable_pointer, unescape_token};

/// One value of a document that is to differ.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// JSON pointer in the document, such as `/spec/quotas/users`.
    pub pointer: String,
    /// `None` removes it.
    pub to: Option<Value>,
}

/// A file with one of its documents.
#[derive(Clone, Copy, Debug)]
pub struct Document<'t> {
    pub file: FileId,
    pub text: &'t str,
    /// Where the document's root begins, as its positions have it.
    pub start: u32,
}

/// The text with the changes made, one after the other. What is so already is left as it is.
///
/// # Errors
/// With the place, if a value is written in a way that cannot be changed by itself, such as an alias.
pub fn edited(document: Document<'_>, changes: &[Change]) -> Result<String, Box<Diagnostic>> {
    let Document { file, text, start } = document;
    let before = trees(file, text)?;
    let Some(index) = before.iter().position(|tree| tree.span.start == start) else {
        return Err(refused(
            file,
            Span::default(),
            "the document cannot be found in its file",
            "it was changed meanwhile",
        ));
    };
    let mut expected: Vec<Json> = before.iter().map(Node::to_json).collect();
    let mut edited = text.to_owned();
    for change in changes {
        if expected[index].pointer(&change.pointer) == change.to.as_ref().map(Value::to_json).as_ref() {
            continue;
        }
        let mut asked = expected[index].clone();
        set(&mut asked, change);
        let trees = trees(file, &edited)?;
        edited = one(file, &edited, &trees[index], change)?;
        expected[index] = asked;
        // At once, so that the message is about the change that is to blame.
        check(file, text, &edited, &expected, change, before[index].span)?;
    }
    Ok(edited)
}

fn trees(file: FileId, text: &str) -> Result<Vec<Node>, Box<Diagnostic>> {
    let mut trees = Vec::new();
    let problems = yaml::parse(file, text, &mut |tree| trees.push(tree.root));
    match problems.into_iter().next() {
        Some(problem) => Err(Box::new(problem)),
        None => Ok(trees),
    }
}

fn refused(file: FileId, span: Span, message: impl Into<String>, label: impl Into<String>) -> Box<Diagnostic> {
    let diagnostic = Diagnostic::error(codes::EDIT_REFUSED, message).at(Origin { file, span }, label);
    Box::new(diagnostic.help("edit the file by hand; nothing was written"))
}

/// One change of a text.
fn one(file: FileId, text: &str, root: &Node, change: &Change) -> Result<String, Box<Diagnostic>> {
    let found = place::find(file, text, root, &change.pointer)?;
    let changed = match (&found.missing[..], &change.to) {
        ([], Some(value)) => write::replaced(text, &found, value),
        ([], None) => write::removed(text, &found),
        (missing, Some(value)) => write::inserted(text, &found, missing, value),
        (_, None) => return Ok(text.to_owned()),
    };
    changed.map_err(|why| {
        let shown = readable_pointer(&change.pointer);
        let span = found.steps.last().map_or(root.span, Step::span);
        refused(file, span, format!("`{shown}` cannot be changed here: {why}"), "it is written here")
    })
}

/// Whether the text has exactly what is expected.
fn check(
    file: FileId,
    before: &str,
    edited: &str,
    expected: &[Json],
    change: &Change,
    at: Span,
) -> Result<(), Box<Diagnostic>> {
    let mut trees = Vec::new();
    let problems = yaml::parse(file, edited, &mut |tree| trees.push(tree.root.to_json()));
    if has_errors(&problems) || trees != expected {
        let line = before.get(at.start as usize..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        let span = Span { start: at.start, end: at.start + u32::try_from(line.trim_end().len()).unwrap_or(0) };
        let shown = readable_pointer(&change.pointer);
        let message = format!("`{shown}` cannot be changed without changing something else in the file");
        return Err(refused(file, span, message, "in this document"));
    }
    Ok(())
}

/// Does to a value what a change asks for.
fn set(document: &mut Json, change: &Change) {
    let tokens: Vec<String> =
        change.pointer.split('/').skip(1).map(|token| unescape_token(token).into_owned()).collect();
    let Some((last, path)) = tokens.split_last() else { return };
    let mut at = document;
    for token in path {
        // Something is only taken away from what is there.
        if change.to.is_none() && at.get(token).is_none() && !at.is_array() {
            return;
        }
        if at.is_null() {
            *at = Json::Object(serde_json::Map::new());
        }
        at = match at {
            Json::Object(map) => map.entry(token.clone()).or_insert(Json::Null),
            Json::Array(items) => match token.parse::<usize>().ok().and_then(|index| items.get_mut(index)) {
                Some(item) => item,
                None => return,
            },
            _ => return,
        };
    }
    match (at, &change.to) {
        (at @ Json::Null, Some(value)) => *at = Json::Object([(last.clone(), value.to_json())].into_iter().collect()),
        (Json::Object(map), Some(value)) => drop(map.insert(last.clone(), value.to_json())),
        (Json::Object(map), None) => drop(map.remove(last)),
        (Json::Array(items), Some(value)) => {
            if let Some(item) = last.parse::<usize>().ok().and_then(|index| items.get_mut(index)) {
                *item = value.to_json();
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;

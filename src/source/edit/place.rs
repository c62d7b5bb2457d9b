//! Where a value is written: the keys on the way to it, and how each of their values is notated.
//!
//! The tree knows where keys and scalars stand. What stands between a key and its value (the colon, an anchor, a tag, the sign
//! of a block) is read from the text.

use super::super::node::{Data, Field, Node};
use super::refused;
use tenantry_core::diagnostics::{Diagnostic, FileId, Origin, Span, codes};
use tenantry_core::model::value::unescape_token;

/// How a value is notated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notation {
    /// Nothing stands there.
    Empty,
    Plain,
    /// With its quotation mark.
    Quoted(char),
    /// `|` or `>`, with its lines below.
    BlockScalar,
    /// A list or mapping in brackets.
    Flow,
    /// A list or mapping with lines of its own.
    Block,
    Alias,
}

/// A key with its value, or an item of a list.
#[derive(Clone, Copy, Debug)]
pub struct Step<'n> {
    pub node: &'n Node,
    /// The key; `None` for an item and for the root.
    pub field: Option<&'n Field>,
    pub notation: Notation,
    /// Where the value begins: behind the colon, an anchor and a tag.
    pub start: usize,
    /// Where the value ends: for what has lines of its own, the end of its last line, without the line break.
    pub end: usize,
    /// Whether it stands in brackets.
    pub within_flow: bool,
}

impl Step<'_> {
    /// The place for a message.
    pub fn span(&self) -> Span {
        self.field.map_or(self.node.span, |field| Span { start: field.key_span.start, end: field.key_span.end })
    }
}

/// The way to a value.
#[derive(Debug)]
pub struct Found<'n> {
    /// From the root to the value, or to the nearest value around it that there is.
    pub steps: Vec<Step<'n>>,
    /// The keys that are not there.
    pub missing: Vec<String>,
}

/// Finds what is at a pointer of a document.
///
/// # Errors
/// If the way leads through an alias or to what an alias repeats, or into what is no mapping.
pub fn find<'n>(file: FileId, text: &str, root: &'n Node, pointer: &str) -> Result<Found<'n>, Box<Diagnostic>> {
    let aliases = aliases(text, root);
    let is_flow = text[root.span.start as usize..].starts_with('{');
    let mut here = Step {
        node: root,
        field: None,
        notation: if is_flow { Notation::Flow } else { Notation::Block },
        start: root.span.start as usize,
        end: end_of(text, root),
        within_flow: false,
    };
    let mut found = Found { steps: vec![here], missing: Vec::new() };
    let mut tokens = pointer.split('/').skip(1).map(|token| unescape_token(token).into_owned());
    while let Some(token) = tokens.next() {
        let within_flow = here.within_flow || here.notation == Notation::Flow;
        let next = match &here.node.data {
            Data::Map(fields) => match fields.iter().find(|field| *field.key == *token) {
                Some(field) => step(text, field, within_flow).map_err(|why| {
                    refused(file, field.key_span, format!("`{token}` cannot be changed here: {why}"), "written here")
                })?,
                None => {
                    found.missing = std::iter::once(token).chain(tokens).collect();
                    break;
                }
            },
            Data::Null => {
                found.missing = std::iter::once(token).chain(tokens).collect();
                break;
            }
            Data::List(items) => match token.parse::<usize>().ok().and_then(|index| items.get(index)) {
                Some(item) => self::item(text, item, within_flow),
                None => {
                    let message = format!("the list has no item {token}; its items are counted from 0");
                    let diagnostic = Diagnostic::error(codes::EDIT_REFUSED, message);
                    let help = "to add or remove an item, give the whole list: `FIELD=[a, b]`";
                    return Err(Box::new(diagnostic.at(Origin { file, span: here.span() }, "this list").help(help)));
                }
            },
            _ => {
                let message = format!("`{token}` cannot be set within a value that is no mapping");
                return Err(refused(file, here.span(), message, "this is a single value"));
            }
        };
        here = next;
        found.steps.push(here);
        if here.notation == Notation::Alias {
            let message = "the value is an alias, which repeats a value that is written elsewhere";
            return Err(repeated(file, here.node.span, message, "repeated here", None));
        }
        if let Some(anchor) = here.field.and_then(|field| anchor(text, field))
            && let Some((_, alias)) = aliases.iter().find(|(name, _)| *name == anchor)
        {
            let message = format!("the value has the anchor `&{anchor}`, and an alias repeats it");
            return Err(repeated(file, here.span(), &message, "written here", Some(*alias)));
        }
    }
    Ok(found)
}

fn repeated(file: FileId, span: Span, message: &str, label: &str, alias: Option<Span>) -> Box<Diagnostic> {
    let mut diagnostic = Diagnostic::error(codes::EDIT_REFUSED, message).at(Origin { file, span }, label);
    if let Some(span) = alias {
        diagnostic = diagnostic.related(Origin { file, span }, "repeated here");
    }
    Box::new(diagnostic.help("write the value out where it is repeated, and edit it then; nothing was written"))
}

/// Every alias of a document with the name of its anchor.
fn aliases<'t>(text: &'t str, root: &Node) -> Vec<(&'t str, Span)> {
    let mut found = Vec::new();
    root.visit(&mut |_, node| {
        let written = text.get(node.span.start as usize..node.span.end as usize).unwrap_or_default();
        if let Some(name) = written.strip_prefix('*').filter(|name| !name.contains(char::is_whitespace)) {
            found.push((name, node.span));
        }
    });
    found
}

/// Where the value of a key begins at all: behind the colon and the blanks that follow. `None` if there is no colon behind it.
fn behind_colon(text: &str, field: &Field) -> Option<usize> {
    let end = field.key_span.end as usize;
    let rest = text.get(end..)?;
    let colon = end + (rest.len() - rest.trim_start_matches([' ', '\t']).len());
    text[colon..].starts_with(':').then_some(colon + 1)
}

/// The tag and the anchor of a value, as they stand between its colon and itself.
fn properties<'t>(text: &'t str, field: &Field) -> impl Iterator<Item = (usize, &'t str)> {
    let mut at = behind_colon(text, field).unwrap_or(text.len());
    std::iter::from_fn(move || {
        let rest = &text[at..];
        let begin = at + (rest.len() - rest.trim_start_matches([' ', '\t']).len());
        let word = text[begin..].split([' ', '\t', '\r', '\n', ',', '}', ']']).next().unwrap_or_default();
        let is_property = word.starts_with('&') || word.starts_with('!');
        at = begin + word.len();
        is_property.then_some((begin, word))
    })
}

fn anchor<'t>(text: &'t str, field: &Field) -> Option<&'t str> {
    properties(text, field).find_map(|(_, word)| word.strip_prefix('&'))
}

fn step<'n>(text: &str, field: &'n Field, within_flow: bool) -> Result<Step<'n>, &'static str> {
    let mut start = behind_colon(text, field).ok_or("its key is not followed by a colon")?;
    if let Some((at, word)) = properties(text, field).last() {
        start = at + word.len();
    }
    let rest = &text[start..];
    let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
    let first = rest[blanks..].chars().next();
    let node = &field.value;
    let collection = matches!(node.data, Data::List(_) | Data::Map(_));
    let notation = match first {
        Some('{' | '[') => Notation::Flow,
        Some('*') => Notation::Alias,
        Some(quote @ ('"' | '\'')) => Notation::Quoted(quote),
        Some('|' | '>') if !within_flow => Notation::BlockScalar,
        _ if collection => Notation::Block,
        _ if matches!(node.data, Data::Null) && node.span.start == node.span.end => Notation::Empty,
        None | Some('\r' | '\n' | '#') => return Err("its value begins on another line"),
        _ => Notation::Plain,
    };
    let end_of_line = |at: usize| {
        let line = text[at..].split('\n').next().unwrap_or_default();
        at + line.strip_suffix('\r').unwrap_or(line).len()
    };
    let (start, end) = match notation {
        Notation::Empty => (start, start),
        Notation::Block => (start, end_of_line(node.span.end as usize)),
        Notation::BlockScalar => (start + blanks, end_of_block_scalar(text, start + blanks, column(text, field))),
        _ => (start + blanks, end_of(text, node)),
    };
    Ok(Step { node, field: Some(field), notation, start, end, within_flow })
}

/// Where a value ends that has no lines of its own: brackets behind the closing one, which the tree does not know of mappings.
pub fn end_of(text: &str, node: &Node) -> usize {
    let end = node.span.end as usize;
    let (closing, last) = match (&node.data, text[node.span.start as usize..].chars().next()) {
        (Data::Map(fields), Some('{')) => {
            ('}', fields.last().map(|field| end_of(text, &field.value).max(field.key_span.end as usize)))
        }
        (Data::List(items), Some('[')) => (']', items.last().map(|item| end_of(text, item))),
        _ => return end,
    };
    let Some(mut at) = last else { return end };
    while let Some(character) = text[at..].chars().next() {
        match character {
            ' ' | '\t' | '\r' | '\n' | ',' | ':' => at += 1,
            '#' => at += text[at..].find('\n').unwrap_or(text.len() - at),
            _ if character == closing => return at + 1,
            _ => break,
        }
    }
    end
}

/// A key with its value, if that is written in a way that is known here.
pub fn find_entry<'n>(text: &str, field: &'n Field, within_flow: bool) -> Option<Step<'n>> {
    step(text, field, within_flow).ok()
}

/// The number of bytes before a key on its line.
pub fn column(text: &str, field: &Field) -> usize {
    let start = field.key_span.start as usize;
    start - text[..start].rfind('\n').map_or(0, |newline| newline + 1)
}

/// The end of the last line of a text in a block: lines that are indented more than their key, and, if the text keeps them, the
/// empty lines behind.
fn end_of_block_scalar(text: &str, header: usize, key: usize) -> usize {
    let mut at = header;
    let mut end = header;
    let keeps = text[header..].lines().next().is_some_and(|line| line.split('#').next().unwrap_or(line).contains('+'));
    for (number, line) in text[header..].split_inclusive('\n').enumerate() {
        let content = line.trim_end_matches(['\n', '\r']);
        let is_blank = content.trim().is_empty();
        let indentation = content.len() - content.trim_start_matches(' ').len();
        if number > 0 && !is_blank && indentation <= key {
            break;
        }
        if number == 0 || !is_blank || keeps {
            end = at + content.len();
        }
        at += line.len();
    }
    end
}

fn item<'n>(text: &str, node: &'n Node, within_flow: bool) -> Step<'n> {
    let (start, end) = (node.span.start as usize, end_of(text, node));
    let notation = match (&node.data, text[start..].chars().next()) {
        (_, Some('*')) => Notation::Alias,
        (Data::List(_) | Data::Map(_), Some('{' | '[')) => Notation::Flow,
        (Data::List(_) | Data::Map(_), _) => Notation::Block,
        (_, Some(quote @ ('"' | '\''))) => Notation::Quoted(quote),
        (Data::Text { plain: false, .. }, _) => Notation::BlockScalar,
        _ => Notation::Plain,
    };
    Step { node, field: None, notation, start, end, within_flow }
}

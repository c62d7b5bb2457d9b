//! Text → trees, through the events of `saphyr_parser`.
//!
//! Events arrive one after another, so nothing recurses while the depth is still unknown, and an alias is counted before
//! it unfolds. Each document is handed on as soon as it ends and can be dropped before the next one begins.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span as Place, Tag};

use super::listing::MAX_PROBLEMS;
use super::node::{Data, Field, Node};
use super::offsets::Offsets;
use super::scalar;
use super::words::shown;
use tenantry_core::diagnostics::{Diagnostic, FileId, Origin, Span, codes};

/// Lists and mappings within each other. People nest to ten; everything behind this recurses, so it has to be small.
pub const MAX_DEPTH: usize = 64;

/// Values that aliases may unfold to in one document. A thousand times what anybody writes, and still only a megabyte.
pub const MAX_ALIASED: usize = 10_000;

/// Values under anchors of one document, counted once for each anchor around them: anchors within anchors are copied.
const MAX_ANCHORED: usize = 10 * MAX_ALIASED;

const CORE_TAGS: &str = "tag:yaml.org,2002:";

/// One document of a file.
pub struct Tree {
    pub root: Node,
    /// Parts were left out because they could not be read: what is missing says nothing then.
    pub incomplete: bool,
}

/// Reads every document of `text` and hands each to `on_document`.
///
/// Returns what is wrong with the YAML itself. After a syntax error the rest of the file is lost; documents before it
/// were handed on.
pub fn parse(file: FileId, text: &str, on_document: &mut dyn FnMut(Tree)) -> Vec<Diagnostic> {
    parse_with(file, text, scalar::resolve, on_document)
}

/// The same, with another meaning of plain scalars.
pub fn parse_with(
    file: FileId,
    text: &str,
    resolve: fn(&str) -> Data,
    on_document: &mut dyn FnMut(Tree),
) -> Vec<Diagnostic> {
    let mut builder = Builder::new(file, text, resolve);
    for event in Parser::new_from_str(text) {
        if builder.diagnostics.len() > MAX_PROBLEMS {
            break;
        }
        let outcome = match event {
            Ok((event, place)) => builder.event(event, place, on_document),
            Err(error) => {
                let diagnostic = builder.syntax_error(&error);
                Err(Box::new(diagnostic))
            }
        };
        if let Err(diagnostic) = outcome {
            builder.diagnostics.push(*diagnostic);
            break;
        }
    }
    builder.diagnostics
}

/// A list or mapping that is still open.
struct Open {
    anchor: usize,
    start: u32,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map { fields: Vec<Field>, key: Option<Key> },
}

/// A key whose value is still to come; `None` if the key cannot be used.
type Key = Option<(Box<str>, Span)>;

struct Builder<'t> {
    file: FileId,
    text: &'t str,
    resolve: fn(&str) -> Data,
    offsets: Offsets,
    open: Vec<Open>,
    root: Option<Node>,
    incomplete: bool,
    /// Nothing stands for a value that is too large to be repeated.
    anchors: HashMap<usize, Option<Node>>,
    anchored_in_document: usize,
    aliased_in_document: usize,
    aliased_in_file: usize,
    diagnostics: Vec<Diagnostic>,
}

impl<'t> Builder<'t> {
    fn new(file: FileId, text: &'t str, resolve: fn(&str) -> Data) -> Self {
        Self {
            file,
            text,
            resolve,
            offsets: Offsets::new(text),
            open: Vec::new(),
            root: None,
            incomplete: false,
            anchors: HashMap::new(),
            anchored_in_document: 0,
            aliased_in_document: 0,
            aliased_in_file: 0,
            diagnostics: Vec::new(),
        }
    }

    fn event(
        &mut self,
        event: Event<'_>,
        place: Place,
        on_document: &mut dyn FnMut(Tree),
    ) -> Result<(), Box<Diagnostic>> {
        let span = self.offsets.span(place);
        match event {
            Event::DocumentStart(_) => {
                self.root = None;
                self.incomplete = false;
                self.anchors.clear();
                self.anchored_in_document = 0;
                self.aliased_in_document = 0;
            }
            Event::DocumentEnd => {
                if let Some(root) = self.root.take() {
                    on_document(Tree { root, incomplete: self.incomplete });
                }
            }
            Event::Alias(anchor) => {
                let node = self.alias(anchor, span)?;
                self.add(node, 0, false);
            }
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && tag.is_none();
                let data = self.scalar(&text, style, tag.as_deref(), span);
                let merge_key = plain && text == "<<";
                self.add(Node { span: self.trimmed(span, style, text.is_empty()), data }, anchor, merge_key);
            }
            Event::SequenceStart(anchor, tag) => {
                self.collection_tag(tag.as_deref(), "seq", span);
                self.begin(anchor, span, Content::List(Vec::new()))?;
            }
            Event::MappingStart(anchor, tag) => {
                self.collection_tag(tag.as_deref(), "map", span);
                self.begin(anchor, span, Content::Map { fields: Vec::new(), key: None })?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(span),
            Event::Nothing | Event::StreamStart | Event::StreamEnd => {}
        }
        Ok(())
    }

    fn begin(&mut self, anchor: usize, span: Span, content: Content) -> Result<(), Box<Diagnostic>> {
        if self.open.len() >= MAX_DEPTH {
            return Err(Box::new(too_deep(Origin { file: self.file, span })));
        }
        self.open.push(Open { anchor, start: span.start, content });
        Ok(())
    }

    fn end(&mut self, span: Span) {
        let Some(Open { anchor, start, content }) = self.open.pop() else { return };
        let (data, last) = match content {
            Content::List(items) => {
                let last = items.last().map(|item| item.span.end);
                (Data::List(items), last)
            }
            Content::Map { fields, .. } => {
                let last = fields.last().map(|field| field.value.span.end.max(field.key_span.end));
                self.find_duplicates(&fields);
                (Data::Map(fields), last)
            }
        };
        // A block ends where its last value ends: the parser's own end lies behind the blank lines that follow.
        let sign = self.text.get(span.start as usize..span.end as usize).unwrap_or("").trim_end();
        let end = if sign.ends_with([']', '}']) {
            span.start + u32::try_from(sign.len()).unwrap_or(0)
        } else {
            last.unwrap_or(span.start.max(start))
        };
        self.add(Node { span: Span { start, end: end.max(start) }, data }, anchor, false);
    }

    /// Puts a finished value where it belongs: into the innermost open list or mapping, as key or as value.
    fn add(&mut self, node: Node, anchor: usize, merge_key: bool) {
        if anchor > 0 {
            let size = node.size();
            let repeatable = size <= MAX_ALIASED && self.anchored_in_document + size <= MAX_ANCHORED;
            self.anchored_in_document += if repeatable { size } else { 0 };
            self.anchors.insert(anchor, repeatable.then(|| node.clone()));
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(Content::List(items)) => items.push(node),
            Some(Content::Map { key: key @ None, .. }) => {
                let usable = if merge_key {
                    Err(Box::new(merge(self.file, node.span)))
                } else {
                    as_key(self.file, self.text, node)
                };
                *key = Some(match usable {
                    Ok(usable) => Some(usable),
                    Err(diagnostic) => {
                        self.incomplete = true;
                        self.diagnostics.push(*diagnostic);
                        None
                    }
                });
            }
            Some(Content::Map { fields, key }) => {
                if let Some((key, key_span)) = key.take().flatten() {
                    fields.push(Field { key, key_span, value: node });
                }
            }
        }
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<Node, Box<Diagnostic>> {
        let origin = Origin { file: self.file, span };
        let Some(node) = self.anchors.get(&anchor) else {
            // An anchor that is still open would contain itself.
            let is_open = self.open.iter().any(|open| open.anchor == anchor);
            return Err(Box::new(if is_open {
                Diagnostic::error(codes::YAML_SYNTAX, "an alias is inside the value that it repeats")
                    .at(origin, "the value would never end")
                    .help("write the value out")
            } else {
                let alias = shown(self.text.get(span.start as usize..span.end as usize).unwrap_or_default());
                Diagnostic::error(codes::YAML_SYNTAX, format!("the alias `{alias}` names an anchor of another document"))
                    .at(origin, "not defined in this document")
                    .help("an anchor ends with its document: write the value out, or put what tenants share into their tier's `values`")
            }));
        };
        let size = node.as_ref().map_or(MAX_ALIASED + 1, Node::size);
        self.aliased_in_document += size;
        self.aliased_in_file += size;
        // The second limit keeps a file of many documents from growing faster than its own text.
        let within_limits =
            self.aliased_in_document <= MAX_ALIASED && self.aliased_in_file <= MAX_ALIASED + self.text.len() / 8;
        let Some(node) = node.as_ref().filter(|_| within_limits) else {
            return Err(Box::new(
                Diagnostic::error(codes::ALIAS_BOMB, format!("aliases expand to more than {MAX_ALIASED} values"))
                    .at(origin, "the limit is exceeded here")
                    .help("write the values out, or put what tenants share into their tier's `values`"),
            ));
        };
        if self.open.len() + node.depth() > MAX_DEPTH {
            return Err(Box::new(too_deep(origin)));
        }
        Ok(Node { span, data: node.data.clone() })
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>, span: Span) -> Data {
        let as_text = || Data::Text { text: text.into(), plain: false };
        let Some(tag) = tag else {
            return if style == ScalarStyle::Plain { (self.resolve)(text) } else { as_text() };
        };
        let full = format!("{}{}", tag.handle, tag.suffix);
        let data = match full.strip_prefix(CORE_TAGS) {
            Some("str") => Some(as_text()),
            None if full == "!" => Some(as_text()),
            Some("int") => scalar::integer(text),
            Some("float") => scalar::integer(text).or_else(|| scalar::float(text)),
            Some("bool") => Some(scalar::resolve(text)).filter(|data| matches!(data, Data::Bool(_))),
            Some("null") => Some(scalar::resolve(text)).filter(|data| matches!(data, Data::Null)),
            _ => {
                self.unknown_tag(tag, span);
                return as_text();
            }
        };
        data.unwrap_or_else(|| {
            let diagnostic =
                Diagnostic::error(codes::YAML_SYNTAX, format!("`{}` does not have the type of its tag", shown(text)))
                    .at(Origin { file: self.file, span }, format!("not a value of type `{}`", shown(&written(tag))))
                    .help("remove the tag");
            self.diagnostics.push(diagnostic);
            as_text()
        })
    }

    fn collection_tag(&mut self, tag: Option<&Tag>, expected: &str, span: Span) {
        if let Some(tag) = tag {
            let full = format!("{}{}", tag.handle, tag.suffix);
            if full.strip_prefix(CORE_TAGS) != Some(expected) && full != "!" {
                self.unknown_tag(tag, span);
            }
        }
    }

    fn unknown_tag(&mut self, tag: &Tag, span: Span) {
        self.diagnostics.push(
            Diagnostic::error(codes::YAML_SYNTAX, format!("the tag `{}` is not supported", shown(&written(tag))))
                .at(Origin { file: self.file, span }, "this value is tagged")
                .help("remove the tag; documents have only texts, numbers, booleans, lists and mappings"),
        );
    }

    fn find_duplicates(&mut self, fields: &[Field]) {
        let mut first: HashMap<&str, Span> = HashMap::new();
        // Comparing all pairs is the faster way for the handful of fields that most mappings have.
        let few = fields.len() <= 8;
        for (index, field) in fields.iter().enumerate() {
            let earlier = if few {
                fields[..index].iter().find(|other| other.key == field.key).map(|other| other.key_span)
            } else {
                let earlier = first.get(&*field.key).copied();
                first.entry(&field.key).or_insert(field.key_span);
                earlier
            };
            if let Some(earlier) = earlier
                && self.diagnostics.len() <= MAX_PROBLEMS
            {
                self.diagnostics.push(
                    Diagnostic::error(
                        codes::DUPLICATE_KEY,
                        format!("the key `{}` appears twice in one mapping", shown(&field.key)),
                    )
                    .at(Origin { file: self.file, span: field.key_span }, "again here")
                    .related(Origin { file: self.file, span: earlier }, "first here")
                    .help("remove one of them"),
                );
            }
        }
    }

    /// A scalar's span without what the parser counts to it: the blanks behind a quotation mark, the line breaks behind
    /// a block, and the sign that stands where an empty value would.
    fn trimmed(&self, span: Span, style: ScalarStyle, is_empty: bool) -> Span {
        if style == ScalarStyle::Plain {
            return if is_empty { Span { start: span.start, end: span.start } } else { span };
        }
        let text = self.text.get(span.start as usize..span.end as usize).unwrap_or("");
        Span { start: span.start, end: span.start + u32::try_from(text.trim_end().len()).unwrap_or(0) }
    }

    fn syntax_error(&self, error: &ScanError) -> Diagnostic {
        let start = self.offsets.byte(error.marker().index());
        let length = self.text.get(start as usize..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
        let origin = Origin { file: self.file, span: Span { start, end: start + u32::try_from(length).unwrap_or(0) } };
        let info = error.info();
        if info.contains("recursion limit") {
            return too_deep(origin);
        }
        let help = if info.contains("tab") {
            "indent with spaces"
        } else if info.contains("mapping values are not allowed") {
            "quote a text that contains a colon and a space, and check the indentation"
        } else if info.contains("anchor") {
            "define the anchor `&name` earlier in the same document; quote a text that begins with `*`"
        } else if info.contains("escape") {
            "write the text in single quotes, where a backslash has no special meaning"
        } else if info.contains("flow") {
            "close every bracket and brace, and put a comma between items"
        } else if info.contains("quoted scalar") {
            "close the quotation mark, or double it to have it in the text"
        } else {
            "check the indentation, the quotation marks and the brackets around this place; quote texts that contain special characters"
        };
        Diagnostic::error(codes::YAML_SYNTAX, "the file is not valid YAML").at(origin, info).help(help)
    }
}

fn written(tag: &Tag) -> String {
    match tag.handle.strip_prefix(CORE_TAGS) {
        Some(_) => format!("!!{}", tag.suffix),
        None => format!("{}{}", tag.handle, tag.suffix),
    }
}

fn too_deep(origin: Origin) -> Diagnostic {
    Diagnostic::error(
        codes::NESTED_TOO_DEEPLY,
        format!("lists and mappings are nested more than {MAX_DEPTH} levels deep"),
    )
    .at(origin, "the limit is exceeded here")
    .help("flatten the document")
}

fn merge(file: FileId, span: Span) -> Diagnostic {
    Diagnostic::error(codes::YAML_SYNTAX, "merge keys (`<<`) are not part of YAML 1.2")
        .at(Origin { file, span }, "not merged")
        .help("write the fields out, or put what tenants share into their tier's `values`")
}

fn as_key(file: FileId, text: &str, node: Node) -> Result<(Box<str>, Span), Box<Diagnostic>> {
    let Node { span, data } = node;
    let refused = |message: String, label: &str, help: String| {
        let diagnostic = Diagnostic::error(codes::YAML_SYNTAX, message);
        Err(Box::new(diagnostic.at(Origin { file, span }, label).help(help)))
    };
    match data {
        Data::Text { text, .. } => Ok((text, span)),
        Data::List(_) | Data::Map(_) => refused(
            "a key is a list or a mapping, but must be a text".to_owned(),
            "this is used as a key",
            "quote it if braces or brackets are part of the text, as in an expression `\"${…}\"`".to_owned(),
        ),
        Data::Null if span.start == span.end => refused(
            "a key is missing".to_owned(),
            "expected a key before the colon",
            "write `key: value`, or quote a text that begins with a colon".to_owned(),
        ),
        Data::Null | Data::Bool(_) | Data::Integer(_) | Data::Float(_) | Data::Huge(_) | Data::NotFinite => {
            let written = shown(text.get(span.start as usize..span.end as usize).unwrap_or(""));
            refused(format!("the key `{written}` is not a text"), "keys are texts", format!("quote it: \"{written}\""))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every value of a text: its pointer, and what stands at its span.
    fn spans(text: &str) -> String {
        let mut told = String::new();
        let diagnostics = parse(FileId(0), text, &mut |tree| {
            tree.root.visit(&mut |pointer, node| {
                let span = &text[node.span.start as usize..node.span.end as usize];
                told.push_str(&format!("{pointer:?} {span:?}\n"));
            });
        });
        assert_eq!(diagnostics, []);
        told
    }

    #[test]
    fn every_value_knows_where_it_stands() {
        insta::assert_snapshot!(
            spans("# ü\r\na:  é \r\nb: [x, 'ö' ,\r\n  {c: d} ]\r\n\r\ne: |\r\n  one\r\n  two\r\n\r\nf:\r\n- &g g: h\r\n- *g\r\ni:\r\n---\r\nlast: 1 # x\r\n"),
            @r#"
        "" "a:  é \r\nb: [x, 'ö' ,\r\n  {c: d} ]\r\n\r\ne: |\r\n  one\r\n  two\r\n\r\nf:\r\n- &g g: h\r\n- *g\r\ni"
        "/a" "é"
        "/b" "[x, 'ö' ,\r\n  {c: d} ]"
        "/b/0" "x"
        "/b/1" "'ö'"
        "/b/2" "{c: d}"
        "/b/2/c" "d"
        "/e" "one\r\n  two"
        "/f" "&g g: h\r\n- *g"
        "/f/0" "&g g: h"
        "/f/0/g" "h"
        "/f/1" "*g"
        "/i" ""
        "" "last: 1"
        "/last" "1"
        "#
        );
    }

    #[test]
    fn documents_before_a_syntax_error_are_read() {
        let mut documents = 0;
        let diagnostics = parse(FileId(0), "a: 1\n---\nb: 2\n---\nc: [\n", &mut |_| documents += 1);
        assert_eq!((documents, diagnostics.len()), (2, 1));
    }

    #[test]
    fn anchors_within_anchors_are_bounded() {
        let items = "x,".repeat(5_000);
        let nested = (0..50).fold(format!("[{items}]"), |inner, number| format!("[&a{number} {inner}]"));
        let diagnostics = parse(FileId(0), &format!("[{nested}, *a49]"), &mut |_| {});
        assert_eq!(diagnostics.iter().map(|diagnostic| diagnostic.code).collect::<Vec<_>>(), [codes::ALIAS_BOMB]);
    }
}

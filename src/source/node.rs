//! A document as a tree in which every part has its position.
//!
//! The tree lives only while its document is checked. What remains is the typed document and its [`Positions`].

use serde_json::Value;

use tenantry_core::diagnostics::{FileId, Origin, Span};
use tenantry_core::model::document::Positions;
use tenantry_core::model::value::{push_token, unescape_token};

/// A value and its place.
#[derive(Clone, Debug)]
pub struct Node {
    pub span: Span,
    pub data: Data,
}

/// What a value is.
#[derive(Clone, Debug)]
pub enum Data {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    /// An integer beyond 64 bits, as near as a float comes to it.
    Huge(f64),
    /// An infinity, or what is not a number: JSON has neither.
    NotFinite,
    Text {
        text: Box<str>,
        /// Neither quoted, tagged nor in a block.
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<Field>),
}

/// One entry of a mapping.
#[derive(Clone, Debug)]
pub struct Field {
    pub key: Box<str>,
    pub key_span: Span,
    pub value: Node,
}

impl Node {
    /// The field `name`, if this is a mapping that has it.
    pub fn field(&self, name: &str) -> Option<&Field> {
        match &self.data {
            Data::Map(fields) => fields.iter().find(|field| &*field.key == name),
            _ => None,
        }
    }

    /// The value of the field `name`.
    pub fn get(&self, name: &str) -> Option<&Node> {
        self.field(name).map(|field| &field.value)
    }

    pub fn as_str(&self) -> Option<&str> {
        match &self.data {
            Data::Text { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The items, if this is a list.
    pub fn items(&self) -> &[Node] {
        match &self.data {
            Data::List(items) => items,
            _ => &[],
        }
    }

    /// The fields, if this is a mapping.
    pub fn fields(&self) -> &[Field] {
        match &self.data {
            Data::Map(fields) => fields,
            _ => &[],
        }
    }

    /// The value at a JSON pointer (RFC 6901).
    pub fn pointer(&self, pointer: &str) -> Option<&Node> {
        if pointer.is_empty() {
            return Some(self);
        }
        pointer.strip_prefix('/')?.split('/').try_fold(self, |node, token| match &node.data {
            Data::Map(_) => node.get(&unescape_token(token)),
            Data::List(items) => items.get(token.parse::<usize>().ok()?),
            _ => None,
        })
    }

    /// How many values there are, this one included.
    pub fn size(&self) -> usize {
        1 + match &self.data {
            Data::List(items) => items.iter().map(Node::size).sum(),
            Data::Map(fields) => fields.iter().map(|field| field.value.size()).sum(),
            _ => 0,
        }
    }

    /// How many lists and mappings lie within each other, this one included.
    pub fn depth(&self) -> usize {
        match &self.data {
            Data::List(items) => 1 + items.iter().map(Node::depth).max().unwrap_or(0),
            Data::Map(fields) => 1 + fields.iter().map(|field| field.value.depth()).max().unwrap_or(0),
            _ => 0,
        }
    }

    pub fn to_json(&self) -> Value {
        match &self.data {
            Data::Null | Data::NotFinite => Value::Null,
            Data::Bool(value) => (*value).into(),
            Data::Integer(value) => (*value).into(),
            Data::Float(value) | Data::Huge(value) => (*value).into(),
            Data::Text { text, .. } => Value::String(text.to_string()),
            Data::List(items) => items.iter().map(Node::to_json).collect(),
            Data::Map(fields) => {
                Value::Object(fields.iter().map(|field| (field.key.to_string(), field.value.to_json())).collect())
            }
        }
    }

    /// Calls `visit` with every value and its JSON pointer, parents first.
    pub fn visit<'a>(&'a self, visit: &mut impl FnMut(&str, &'a Node)) {
        fn walk<'a>(node: &'a Node, pointer: &mut String, visit: &mut impl FnMut(&str, &'a Node)) {
            visit(pointer, node);
            let length = pointer.len();
            for (index, item) in node.items().iter().enumerate() {
                push_token(pointer, &index.to_string());
                walk(item, pointer, visit);
                pointer.truncate(length);
            }
            for field in node.fields() {
                push_token(pointer, &field.key);
                walk(&field.value, pointer, visit);
                pointer.truncate(length);
            }
        }
        walk(self, &mut String::new(), visit);
    }

    pub fn positions(&self, file: FileId) -> Positions {
        let mut spans = Vec::new();
        self.visit(&mut |pointer, node| spans.push((pointer.to_owned(), node.span)));
        Positions::new(file, spans)
    }
}

/// The first line of a span: where a message about a whole mapping points.
pub fn first_line(file: FileId, text: &str, span: Span) -> Origin {
    let start = text.floor_char_boundary(span.start as usize);
    let end = text.floor_char_boundary((span.end as usize).max(start));
    let line = text[start..end].lines().next().unwrap_or("").trim_end();
    Origin { file, span: Span { start: span.start, end: span.start + u32::try_from(line.len()).unwrap_or(0) } }
}

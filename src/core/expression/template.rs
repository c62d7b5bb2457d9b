//! Texts with expressions in them, and documents made of such texts.

use std::sync::Arc;

use super::sql::{self, Dialect, Quoting};
use super::{Compiler, Expression, ExpressionError, Failure, Resources, Scope};
use crate::model::value::{Deferred, Map, Part, Value, push_token};

/// A text, cut where expressions stand.
#[derive(Debug)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Debug)]
enum Piece {
    Text(Arc<str>),
    Expression(Arc<Expression>),
}

impl Template {
    /// Cuts and parses a text; `None` if there is no expression in it. `$${` stands for `${` itself. `dialect` is that of
    /// the field, if the field is SQL.
    ///
    /// # Errors
    /// With the expression's source, if one does not parse, is not closed, or stands where SQL has no place for one.
    pub fn compile(
        text: &str,
        dialect: Option<Dialect>,
        compiler: &mut Compiler,
    ) -> Result<Option<Self>, (String, ExpressionError)> {
        if !text.contains("${") {
            return Ok(None);
        }
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            if rest[..at].ends_with('$') {
                literal.push_str(&rest[..at]);
                literal.push('{');
                rest = &rest[at + 2..];
                continue;
            }
            literal.push_str(&rest[..at]);
            let inside = &rest[at + 2..];
            let end = closing_brace(inside).ok_or_else(|| {
                let error = ExpressionError::new(Failure::Syntax, "the expression is not closed")
                    .help("close it with `}`, or write `$${` for a literal `${`");
                (rest[at..].to_owned(), error)
            })?;
            if !literal.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut literal).into()));
            }
            let source = inside[..end].trim();
            let expression = compiler.expression(source, dialect).map_err(|error| (source.to_owned(), error))?;
            pieces.push(Piece::Expression(expression));
            rest = &inside[end + 1..];
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Text(literal.into()));
        }
        let template = Self { pieces };
        if let Some(dialect) = dialect {
            template.check_sql(dialect)?;
        }
        Ok(Some(template))
    }

    fn check_sql(&self, dialect: Dialect) -> Result<(), (String, ExpressionError)> {
        let mut around: Vec<&str> = vec![""];
        let mut expressions = Vec::new();
        let mut quotings = Vec::new();
        for piece in &self.pieces {
            match piece {
                // Two literals never stand side by side.
                Piece::Text(literal) => {
                    around.pop();
                    around.push(literal);
                }
                Piece::Expression(expression) => {
                    quotings.push(expression.quoting.map_or(Quoting::ByType, |(_, quoting)| quoting));
                    expressions.push(expression);
                    around.push("");
                }
            }
        }
        sql::check(dialect, &around, &quotings).map_err(|(index, error)| {
            (expressions.get(index).map_or_else(String::new, |expression| expression.source.to_string()), error)
        })
    }

    pub fn expressions(&self) -> impl Iterator<Item = &Arc<Expression>> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Expression(expression) => Some(expression),
            Piece::Text(_) => None,
        })
    }

    /// Whether the whole text is one expression.
    pub fn is_one_expression(&self) -> bool {
        matches!(self.pieces.as_slice(), [Piece::Expression(_)])
    }

    /// The value: of the expression's own type if it is the whole text, else a text.
    ///
    /// # Errors
    /// With the expression's source.
    pub fn evaluate(
        &self,
        scope: &Scope<'_>,
        each: Option<&Value>,
        resources: &dyn Resources,
    ) -> Result<Value, (Arc<str>, ExpressionError)> {
        let value_of = |expression: &Arc<Expression>| {
            expression.evaluate(scope, each, resources).map_err(|error| (expression.source.clone(), error))
        };
        if let [Piece::Expression(expression)] = self.pieces.as_slice() {
            return value_of(expression);
        }
        let mut parts: Vec<Part> = Vec::new();
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(literal) => text.push_str(literal),
                Piece::Expression(expression) => match value_of(expression)? {
                    Value::Text(value) => text.push_str(&value),
                    Value::Bool(value) => text.push_str(if value { "true" } else { "false" }),
                    Value::Integer(value) => text.push_str(&value.to_string()),
                    Value::Float(value) => text.push_str(&value.to_string()),
                    Value::Deferred(deferred) => {
                        if !text.is_empty() {
                            parts.push(Part::Text(std::mem::take(&mut text).into()));
                        }
                        parts.extend(deferred.parts.iter().cloned());
                    }
                    other @ (Value::Null | Value::List(_) | Value::Map(_)) => {
                        let error = ExpressionError::new(
                            Failure::Type,
                            format!("a {} cannot be part of a text", other.type_name()),
                        );
                        return Err((expression.source.clone(), error.help("convert it with json(…)")));
                    }
                },
            }
        }
        let whole = |error| (self.expressions().next().map_or_else(|| "".into(), |one| one.source.clone()), error);
        scope.spent.text(text.len()).map_err(whole)?;
        if parts.is_empty() {
            return Ok(text.into());
        }
        if !text.is_empty() {
            parts.push(Part::Text(text.into()));
        }
        Ok(Value::Deferred(Arc::new(Deferred { parts })))
    }
}

/// Where the brace stands that closes an expression: not within quotes, and with inner braces in pairs.
fn closing_brace(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut quote = None;
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match (quote, character) {
            (Some(_), '\\') => {
                characters.next();
            }
            (Some(open), other) if open == other => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(character),
            (None, '{') => depth += 1,
            (None, '}') if depth == 0 => return Some(at),
            (None, '}') => depth -= 1,
            (None, _) => {}
        }
    }
    None
}

/// A document with expressions in it. Whatever has none is shared by everything that is made of it.
#[derive(Debug)]
pub enum Compiled {
    Literal(Value),
    Template(Template),
    List(Vec<Compiled>),
    Map(Vec<(Arc<str>, Compiled)>),
}

/// A problem of one expression within a document.
#[derive(Debug)]
pub struct Problem {
    pub pointer: String,
    pub source: Arc<str>,
    pub error: ExpressionError,
}

/// An expression that yields a whole mapping could yield SQL in it, which nothing has quoted.
fn makes_sql(template: &Template, sql: &SqlFields, pointer: &str) -> Option<Problem> {
    let (path, _) = sql.iter().find(|(path, _)| !path.is_empty())?;
    let field: Vec<&str> = path.iter().map(|token| token.as_deref().unwrap_or("*")).collect();
    let message = format!("it would yield the field `{}`, which is SQL", field.join("."));
    let error = ExpressionError::new(Failure::Type, message)
        .help("write the mapping itself, with ${sqlText(…)} and ${sqlIdent(…)} in the SQL");
    let source = template.expressions().next().map_or_else(|| "".into(), |expression| expression.source.clone());
    Some(Problem { pointer: pointer.to_owned(), source, error })
}

/// The fields below a place of a document that are SQL: each with the names on the way to it, `None` for any.
pub type SqlFields = Vec<(Vec<Option<Arc<str>>>, Dialect)>;

fn below(fields: &SqlFields, token: &str) -> SqlFields {
    let inner = fields.iter().filter_map(|(path, dialect)| match path.split_first() {
        Some((first, rest)) if first.as_deref().is_none_or(|first| first == token) => Some((rest.to_vec(), *dialect)),
        _ => None,
    });
    inner.collect()
}

impl Compiled {
    /// Compiles every text of `value`. Problems are collected, and what has one is taken literally.
    pub fn new(
        value: &Value,
        sql: &SqlFields,
        pointer: &mut String,
        compiler: &mut Compiler,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let length = pointer.len();
        match value {
            Value::Text(text) => {
                let dialect = sql.iter().find(|(path, _)| path.is_empty()).map(|(_, dialect)| *dialect);
                match Template::compile(text, dialect, compiler) {
                    Ok(Some(template)) => {
                        problems.extend(makes_sql(&template, sql, pointer));
                        Self::Template(template)
                    }
                    Ok(None) => Self::Literal(value.clone()),
                    Err((source, error)) => {
                        problems.push(Problem { pointer: pointer.clone(), source: source.into(), error });
                        Self::Literal(value.clone())
                    }
                }
            }
            Value::List(items) => {
                let compiled: Vec<Self> = items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| {
                        let token = index.to_string();
                        push_token(pointer, &token);
                        let compiled = Self::new(item, &below(sql, &token), pointer, compiler, problems);
                        pointer.truncate(length);
                        compiled
                    })
                    .collect();
                if compiled.iter().all(|item| matches!(item, Self::Literal(_))) {
                    Self::Literal(value.clone())
                } else {
                    Self::List(compiled)
                }
            }
            Value::Map(map) => {
                let compiled: Vec<(Arc<str>, Self)> = map
                    .iter()
                    .map(|(key, item)| {
                        push_token(pointer, key);
                        let compiled = Self::new(item, &below(sql, key), pointer, compiler, problems);
                        pointer.truncate(length);
                        (key.clone(), compiled)
                    })
                    .collect();
                if compiled.iter().all(|(_, item)| matches!(item, Self::Literal(_))) {
                    Self::Literal(value.clone())
                } else {
                    Self::Map(compiled)
                }
            }
            other => Self::Literal(other.clone()),
        }
    }

    /// # Errors
    /// The first problem.
    pub fn evaluate(
        &self,
        scope: &Scope<'_>,
        each: Option<&Value>,
        resources: &dyn Resources,
        pointer: &mut String,
    ) -> Result<Value, Problem> {
        let length = pointer.len();
        match self {
            Self::Literal(value) => Ok(value.clone()),
            Self::Template(template) => template.evaluate(scope, each, resources).map_err(|(source, error)| Problem {
                pointer: pointer.clone(),
                source,
                error,
            }),
            Self::List(items) => {
                let mut values = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    push_token(pointer, &index.to_string());
                    values.push(item.evaluate(scope, each, resources, pointer)?);
                    pointer.truncate(length);
                }
                Ok(values.into())
            }
            Self::Map(fields) => {
                let mut values = Vec::with_capacity(fields.len());
                for (key, item) in fields {
                    push_token(pointer, key);
                    values.push((key.clone(), item.evaluate(scope, each, resources, pointer)?));
                    pointer.truncate(length);
                }
                Ok(Map::from_fields(values).into())
            }
        }
    }

    /// Calls `visit` with every expression.
    pub fn for_each_expression<'a>(&'a self, visit: &mut impl FnMut(&'a Arc<Expression>)) {
        match self {
            Self::Literal(_) => {}
            Self::Template(template) => template.expressions().for_each(visit),
            Self::List(items) => items.iter().for_each(|item| item.for_each_expression(visit)),
            Self::Map(fields) => fields.iter().for_each(|(_, item)| item.for_each_expression(visit)),
        }
    }

    /// Pointers of texts that are made of personal data.
    pub fn personal(&self, pointer: &mut String, found: &mut Vec<Arc<str>>) {
        let length = pointer.len();
        match self {
            Self::Literal(_) => {}
            Self::Template(template) => {
                if template.expressions().any(|expression| expression.references().personal) {
                    found.push(pointer.as_str().into());
                }
            }
            Self::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    push_token(pointer, &index.to_string());
                    item.personal(pointer, found);
                    pointer.truncate(length);
                }
            }
            Self::Map(fields) => {
                for (key, item) in fields {
                    push_token(pointer, key);
                    item.personal(pointer, found);
                    pointer.truncate(length);
                }
            }
        }
    }

    /// What stands at a JSON pointer, or the nearest around it that has expressions of its own.
    pub fn at(&self, pointer: &str) -> &Self {
        let mut node = self;
        for token in pointer.split('/').skip(1) {
            let token = crate::model::value::unescape_token(token);
            let next = match node {
                Self::List(items) => token.parse::<usize>().ok().and_then(|index| items.get(index)),
                Self::Map(fields) => fields.iter().find(|(key, _)| **key == *token).map(|(_, item)| item),
                Self::Literal(_) | Self::Template(_) => None,
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node
    }
}

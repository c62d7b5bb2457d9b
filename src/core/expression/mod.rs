//! `${…}`: CEL expressions in documents.
//!
//! A text is compiled once per blueprint ([`Template::compile`]) and evaluated once per tenant. The `cel` crate parses, and
//! computes what its library computes; the tree is walked here ([`evaluate`]), over our own values, because only so are
//! steps and memory bounded ([`limits`]) and values shared instead of copied.
//!
//! Guaranteed: evaluation has no effects and no clock; the same scope gives the same value. Secrets and outputs of
//! resources that do not exist yet come out as [`Value::Deferred`](super::model::value::Value), and an expression that
//! would need to look into one fails instead of comparing a placeholder. No expression takes more than the limits.

mod datum;
mod evaluate;
mod functions;
mod library;
pub mod limits;
mod node;
mod operators;
pub mod page;
mod parse;
pub mod sql;
mod template;

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use cel::common::ast::{EntryExpr, Expr, LiteralValue, operators as cel_operators};

pub use template::{Compiled, Problem, SqlFields, Template};

use super::model::address::Owner;
use super::model::value::{Deferred, Map, Value};
use evaluate::Evaluation;
use limits::Spent;
use node::{Base, Node, Step};
use sql::{Dialect, Quoting};

/// One parsed expression.
#[derive(Debug)]
pub struct Expression {
    /// What stands between `${` and `}`.
    pub source: Arc<str>,
    node: Node,
    /// How the value is written, in a field that is SQL.
    quoting: Option<(Dialect, Quoting)>,
    references: References,
    /// Index in the [`Compiler`], by which results are remembered within one scope.
    slot: usize,
    /// Whether it has one value for all resources of an owner.
    is_constant: bool,
}

/// What an expression needs to know.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct References {
    /// Paths below `resources`, the resource's id first.
    pub resources: Vec<Vec<Arc<str>>>,
    /// Names of variables.
    pub variables: Vec<Arc<str>>,
    /// Whether a secret is computed with.
    pub computes_secret: bool,
    /// The first path below `tenant` or `tier`.
    pub first: Option<Vec<Arc<str>>>,
    /// Whether a tenant's contacts are looked at, which are personal data.
    pub personal: bool,
    /// Every path of two or more names, the variable first.
    pub paths: Vec<Vec<Arc<str>>>,
}

/// Why an expression did not parse or could not be computed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ExpressionError {
    pub failure: Failure,
    pub message: String,
    pub help: Option<String>,
}

/// Sorts of failure, each with a diagnostic code of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    Syntax,
    Computation,
    Type,
    Deferred,
    UnknownResource,
    /// It is larger, or takes more steps or memory, than the limits.
    Bound,
}

impl ExpressionError {
    fn new(failure: Failure, message: impl Into<String>) -> Self {
        Self { failure, message: message.into(), help: None }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Whether neither `||`, `&&` nor a macro may go on in spite of it.
    fn is_final(&self) -> bool {
        matches!(self.failure, Failure::Bound | Failure::Deferred)
    }
}

/// An expression's source as a message quotes it: its place shows the rest.
pub fn quoted(source: &str) -> String {
    const CHARACTERS: usize = 80;
    match source.char_indices().nth(CHARACTERS) {
        Some((end, _)) => format!("{}…", &source[..end]),
        None => source.to_owned(),
    }
}

/// Hands out slots to expressions, equal sources sharing one.
pub struct Compiler {
    variables: &'static [&'static str],
    expressions: BTreeMap<(Option<Dialect>, Arc<str>), Arc<Expression>>,
}

/// The variables that every expression may use.
pub const VARIABLES: [&str; 6] = ["tenant", "tier", "estate", "each", "resources", "now"];

impl Default for Compiler {
    fn default() -> Self {
        Self::of(&VARIABLES)
    }
}

impl Compiler {
    /// For expressions that may use these variables.
    pub fn of(variables: &'static [&'static str]) -> Self {
        Self { variables, expressions: BTreeMap::new() }
    }

    /// Parses one expression. `dialect` is that of the field, if the field is SQL.
    ///
    /// # Errors
    /// If it is not CEL, is too large, or uses a variable or function that does not exist.
    pub fn expression(&mut self, source: &str, dialect: Option<Dialect>) -> Result<Arc<Expression>, ExpressionError> {
        let key = (dialect, Arc::from(source));
        if let Some(known) = self.expressions.get(&key) {
            return Ok(known.clone());
        }
        if source.is_empty() {
            return Err(
                ExpressionError::new(Failure::Syntax, "it is empty").help("write an expression, or remove the `${}`")
            );
        }
        let tree = parse::parse(source)?;
        let (quoting, tree) = match dialect {
            None => (None, tree),
            Some(dialect) => {
                let (quoting, tree) = Quoting::split(tree)?;
                (Some((dialect, quoting)), tree)
            }
        };
        let mut references = References::default();
        collect_references(&tree.expr, true, &mut Vec::new(), &mut references);
        let unknown = |name: &&Arc<str>| !self.variables.contains(&&***name) && !node::is_type(name);
        if let Some(unknown) = references.variables.iter().find(unknown) {
            let nearest = super::diagnostics::nearest(unknown, self.variables.iter().copied());
            return Err(ExpressionError::new(Failure::Computation, format!("`{unknown}` is not a variable")).help(
                nearest.map_or_else(
                    || format!("variables are {}", self.variables.join(", ")),
                    |nearest| format!("did you mean `{nearest}`?"),
                ),
            ));
        }
        functions::check_calls(&tree)?;
        if references.computes_secret {
            return Err(
                ExpressionError::new(Failure::Deferred, "secret(…) cannot be used in a computation").help(PASS_ON)
            );
        }
        let node = Node::new(&tree)?;
        let is_constant = references.resources.is_empty()
            && !references.variables.iter().any(|name| matches!(&**name, "each" | "resources"));
        let slot = self.expressions.len();
        let expression = Arc::new(Expression { source: source.into(), node, quoting, references, slot, is_constant });
        self.expressions.insert(key, expression.clone());
        Ok(expression)
    }

    /// How many slots a scope needs.
    pub fn slots(&self) -> usize {
        self.expressions.len()
    }
}

/// What a resource's expressions may know of the resources before it.
pub trait Resources {
    /// The field at `path` of the resource `id`: of its spec, or else an output.
    ///
    /// # Errors
    /// If there is no such resource or field.
    fn field(&self, id: &str, path: &[Arc<str>]) -> Result<Value, ExpressionError>;

    /// Everything known of the resource `id`, as one map.
    fn whole(&self, id: &str) -> Option<Value>;
}

/// Where there are no resources.
pub struct NoResources;

impl Resources for NoResources {
    fn field(&self, id: &str, _: &[Arc<str>]) -> Result<Value, ExpressionError> {
        Err(ExpressionError::new(Failure::UnknownResource, format!("there is no resource `{id}` here")))
    }

    fn whole(&self, _: &str) -> Option<Value> {
        None
    }
}

/// The values of one owner's variables, and the results that do not change within it.
pub struct Scope<'a> {
    owner: &'a Owner,
    variables: &'a [(&'static str, Value)],
    remembered: Vec<OnceCell<Value>>,
    /// What the owner's expressions have taken so far.
    spent: Spent,
}

impl<'a> Scope<'a> {
    /// `slots` is that of the compiler whose expressions will be evaluated.
    pub fn new(owner: &'a Owner, variables: &'a [(&'static str, Value)], slots: usize) -> Self {
        Self {
            owner,
            variables,
            remembered: std::iter::repeat_with(OnceCell::new).take(slots).collect(),
            spent: Spent::default(),
        }
    }

    fn variable(&self, name: &str) -> Option<&Value> {
        self.variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }
}

impl Expression {
    pub fn references(&self) -> &References {
        &self.references
    }

    /// The type of its value, if that is plain without evaluating it.
    pub fn known_type(&self) -> Option<&'static str> {
        self.node.known_type()
    }

    /// The path, if the expression is a path and nothing else.
    pub fn path(&self) -> Option<Vec<Arc<str>>> {
        self.node.path().map(|path| path.into_iter().cloned().collect())
    }

    /// Whether the expression is a path and nothing else.
    pub fn is_path(&self) -> bool {
        self.node.path().is_some()
    }

    /// The first path that the expression looks at; what a change of its value is explained by.
    pub fn leading_path(&self) -> Option<Vec<Arc<str>>> {
        fn leading(node: &Node) -> Option<Vec<Arc<str>>> {
            match node {
                Node::Own(_, arguments) => arguments.iter().find_map(leading),
                node => node.path().map(|path| path.into_iter().cloned().collect()),
            }
        }
        leading(&self.node).or_else(|| self.references.first.clone())
    }

    /// # Errors
    /// If a name does not exist, a function refuses its arguments, a deferred value would have to be looked into, or it takes
    /// more than the limits.
    pub fn evaluate(
        &self,
        scope: &Scope<'_>,
        each: Option<&Value>,
        resources: &dyn Resources,
    ) -> Result<Value, ExpressionError> {
        let cell = if self.is_constant { scope.remembered.get(self.slot) } else { None };
        if let Some(value) = cell.and_then(OnceCell::get) {
            return Ok(value.clone());
        }
        let value = self.compute(scope, each, resources)?;
        let value = match self.quoting {
            Some((dialect, quoting)) => Value::from(quoting.quote(dialect, &value)?),
            None => value,
        };
        if let Some(cell) = cell {
            // A failure to set means that it was set meanwhile, to the same value.
            let _ = cell.set(value.clone());
        }
        Ok(value)
    }

    fn compute(
        &self,
        scope: &Scope<'_>,
        each: Option<&Value>,
        resources: &dyn Resources,
    ) -> Result<Value, ExpressionError> {
        // A resource as a whole is its spec; inside of expressions it has its outputs too.
        if let Node::Access { base: Base::Variable(root), steps, test: false } = &self.node
            && let ("resources", [Step::Field(id)]) = (&**root, steps.as_slice())
        {
            return resources.field(id, &[]);
        }
        Evaluation::new(scope, each, resources).node(&self.node)?.into_result()
    }
}

fn deferred_error(deferred: &Deferred) -> ExpressionError {
    let what = if deferred.has_secret() { "a secret" } else { "only known after apply" };
    ExpressionError::new(Failure::Deferred, format!("{deferred} is {what} and cannot be used in a computation"))
        .help(PASS_ON)
}

/// What can be done with a value that is not known yet.
const PASS_ON: &str = "use it as a whole value or inside a text: \"…${…}…\"";

fn first_deferred(value: &Value) -> Option<Arc<Deferred>> {
    match value {
        Value::Deferred(deferred) => Some(deferred.clone()),
        Value::List(items) => items.iter().find_map(first_deferred),
        Value::Map(map) => map.iter().find_map(|(_, value)| first_deferred(value)),
        _ => None,
    }
}

fn variable<'v>(name: &str, scope: &'v Scope<'_>, each: Option<&'v Value>) -> Result<&'v Value, ExpressionError> {
    if name == "each" {
        return each.ok_or_else(|| {
            let message = "`each` has a value only in the spec of a resource that has `forEach`";
            ExpressionError::new(Failure::Computation, message).help("add `forEach`, or write the value itself")
        });
    }
    scope.variable(name).ok_or_else(|| {
        let known: Vec<&str> = scope.variables.iter().map(|(known, _)| *known).collect();
        let message = format!("`{name}` has no value in a blueprint of this scope");
        ExpressionError::new(Failure::Computation, message).help(format!("variables here are {}", known.join(", ")))
    })
}

/// The value at `path` below `start`, which a message calls `name`.
///
/// # Errors
/// If a field on the way does not exist; the message names the nearest that does.
pub fn field_of(start: &Value, name: &str, path: &[Arc<str>]) -> Result<Value, ExpressionError> {
    let empty = Map::default();
    let mut value = start;
    for (index, field) in path.iter().enumerate() {
        let so_far = || {
            let steps = path[..index].iter().map(|step| &**step);
            std::iter::once(name).chain(steps).collect::<Vec<_>>().join(".")
        };
        let map = match value {
            Value::Map(map) => &**map,
            Value::Deferred(deferred) => return Err(deferred_error(deferred)),
            Value::Null => &empty,
            other => {
                return Err(ExpressionError::new(
                    Failure::Type,
                    format!("`{}` is a {} and has no field `{field}`", so_far(), other.type_name()),
                ));
            }
        };
        value = map.get(field).ok_or_else(|| {
            let known: Vec<&str> = map.iter().map(|(key, _)| &**key).collect();
            let error = ExpressionError::new(Failure::Computation, format!("`{}` has no field `{field}`", so_far()));
            match super::diagnostics::nearest(field, known.iter().copied()) {
                Some(nearest) => error.help(format!("did you mean `{nearest}`?")),
                None if known.is_empty() => error.help("it is empty"),
                None => {
                    error.help(format!("it has {}; test for a field with has({}.{field})", known.join(", "), so_far()))
                }
            }
        })?;
    }
    Ok(value.clone())
}

/// The names of `a.b["c"]`, root first.
fn path_of(expression: &Expr) -> Option<Vec<Arc<str>>> {
    match expression {
        Expr::Ident(name) => Some(vec![name.as_str().into()]),
        Expr::Select(select) if !select.test => {
            let mut path = path_of(&select.operand.expr)?;
            path.push(select.field.as_str().into());
            Some(path)
        }
        Expr::Call(call) if call.func_name == cel_operators::INDEX && call.args.len() == 2 => {
            let Expr::Literal(LiteralValue::String(key)) = &call.args[1].expr else { return None };
            let mut path = path_of(&call.args[0].expr)?;
            path.push(key.inner().into());
            Some(path)
        }
        _ => None,
    }
}

/// Adds what an expression refers to. `passed_on` is whether its value is the result's or a part of it.
fn collect_references(expression: &Expr, passed_on: bool, bound: &mut Vec<String>, found: &mut References) {
    if let Some(path) = path_of(expression) {
        if bound.iter().any(|name| **name == *path[0]) {
            return;
        }
        if &*path[0] == "resources" && path.len() > 1 {
            let below = path[1..].to_vec();
            if !found.resources.contains(&below) {
                found.resources.push(below);
            }
        }
        // A tenant as a whole has its contacts in it.
        let is_personal = |path: &[Arc<str>]| path.get(1).is_none_or(|field| &**field == "contacts");
        found.personal |= &*path[0] == "tenant" && is_personal(&path);
        if matches!(&*path[0], "tenant" | "tier") && path.len() > 1 {
            found.first.get_or_insert_with(|| path.clone());
        }
        if !found.variables.contains(&path[0]) {
            found.variables.push(path[0].clone());
        }
        if path.len() > 1 && !found.paths.contains(&path) {
            found.paths.push(path);
        }
        return;
    }
    match expression {
        Expr::Unspecified | Expr::Literal(_) | Expr::Ident(_) => {}
        Expr::Call(call) => {
            found.computes_secret |= !passed_on && call.func_name == functions::Function::Secret.name();
            if let Some(target) = &call.target
                && !matches!(&target.expr, Expr::Ident(name) if library::is_namespace(name) && !bound.contains(name))
            {
                collect_references(&target.expr, false, bound, found);
            }
            for (index, argument) in call.args.iter().enumerate() {
                let passed_on = passed_on
                    && match call.func_name.as_str() {
                        cel_operators::CONDITIONAL => index > 0,
                        cel_operators::INDEX => index == 0,
                        _ => false,
                    };
                collect_references(&argument.expr, passed_on, bound, found);
            }
        }
        // Whether a field is there can be told without its value.
        Expr::Select(select) => collect_references(&select.operand.expr, passed_on || select.test, bound, found),
        Expr::List(list) => {
            list.elements.iter().for_each(|element| collect_references(&element.expr, passed_on, bound, found));
        }
        Expr::Map(map) => map.entries.iter().for_each(|entry| collect_entry(&entry.expr, passed_on, bound, found)),
        Expr::Struct(structure) => {
            structure.entries.iter().for_each(|entry| collect_entry(&entry.expr, passed_on, bound, found));
        }
        Expr::Comprehension(comprehension) => {
            collect_references(&comprehension.iter_range.expr, false, bound, found);
            let outside = bound.len();
            bound.push(comprehension.iter_var.clone());
            bound.extend(comprehension.iter_var2.clone());
            bound.push(comprehension.accu_var.clone());
            for inner in
                [&comprehension.accu_init, &comprehension.loop_cond, &comprehension.loop_step, &comprehension.result]
            {
                collect_references(&inner.expr, false, bound, found);
            }
            bound.truncate(outside);
        }
    }
}

fn collect_entry(entry: &EntryExpr, passed_on: bool, bound: &mut Vec<String>, found: &mut References) {
    match entry {
        EntryExpr::StructField(field) => collect_references(&field.value.expr, passed_on, bound, found),
        EntryExpr::MapEntry(entry) => {
            collect_references(&entry.key.expr, false, bound, found);
            collect_references(&entry.value.expr, passed_on, bound, found);
        }
    }
}

#[cfg(test)]
mod tests;

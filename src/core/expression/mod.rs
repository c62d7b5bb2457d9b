//! `${…}`: CEL expressions in documents.
//!
//! A text is compiled once per blueprint ([`Template::compile`]) and evaluated once per tenant. Most expressions are a
//! plain path (`tenant.name`) or one of our own functions over plain paths (`ident(tenant.name)`); those are walked
//! directly and never enter the interpreter. Everything else is run by the `cel` crate.
//!
//! Guaranteed: evaluation has no effects and no clock; the same scope gives the same value. Secrets and outputs of
//! resources that do not exist yet come out as [`Value::Deferred`](super::model::value::Value), and an expression that
//! would need to look into one fails instead of comparing a placeholder.

mod bridge;
mod functions;
mod template;

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use cel::common::ast::{EntryExpr, Expr, LiteralValue, operators};
use cel::common::value::Val;

pub use template::{Compiled, Problem, Template};

use super::model::address::Owner;
use super::model::value::{Deferred, Map, Value};

/// One parsed expression.
#[derive(Debug)]
pub struct Expression {
    /// What stands between `${` and `}`.
    pub source: Arc<str>,
    evaluator: Evaluator,
    references: References,
    /// Index in the [`Compiler`], by which results are remembered within one scope.
    slot: usize,
}

/// What an expression needs to know.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct References {
    /// Paths below `resources`, the resource's id first.
    pub resources: Vec<Vec<Arc<str>>>,
    /// Names of variables.
    pub variables: Vec<Arc<str>>,
    /// Paths below `resources` of values that are computed with, and not only passed on.
    pub operands: Vec<Vec<Arc<str>>>,
    /// Whether a secret is computed with.
    pub computes_secret: bool,
    /// The first path below `tenant` or `tier`.
    pub first: Option<Vec<Arc<str>>>,
    /// Whether a tenant's contacts are looked at, which are personal data.
    pub personal: bool,
}

enum Evaluator {
    Simple(Simple),
    Interpreted(Box<cel::Program>),
}

/// The part of CEL that is evaluated without the interpreter.
#[derive(Debug)]
enum Simple {
    Literal(Value),
    Path(Vec<Arc<str>>),
    Call(functions::Function, Vec<Simple>),
}

impl std::fmt::Debug for Evaluator {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Simple(simple) => simple.fmt(formatter),
            Self::Interpreted(_) => formatter.write_str("Interpreted"),
        }
    }
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
}

impl ExpressionError {
    fn new(failure: Failure, message: impl Into<String>) -> Self {
        Self { failure, message: message.into(), help: None }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Hands out slots to expressions, equal sources sharing one.
#[derive(Default)]
pub struct Compiler {
    expressions: BTreeMap<Arc<str>, Arc<Expression>>,
}

/// The variables that every expression may use.
pub const VARIABLES: [&str; 6] = ["tenant", "tier", "estate", "each", "resources", "now"];

impl Compiler {
    /// Parses one expression.
    ///
    /// # Errors
    /// If it is not CEL, or uses a variable or function that does not exist.
    pub fn expression(&mut self, source: &str) -> Result<Arc<Expression>, ExpressionError> {
        if let Some(known) = self.expressions.get(source) {
            return Ok(known.clone());
        }
        if source.is_empty() {
            return Err(
                ExpressionError::new(Failure::Syntax, "it is empty").help("write what it stands for, or nothing")
            );
        }
        let program = bridge::compile(source)?;
        let mut references = References::default();
        collect_references(&program.expression().expr, true, &mut Vec::new(), &mut references);
        if let Some(unknown) = references.variables.iter().find(|name| !VARIABLES.contains(&&***name)) {
            let nearest = super::diagnostics::nearest(unknown, VARIABLES);
            return Err(ExpressionError::new(Failure::Computation, format!("`{unknown}` is not a variable")).help(
                nearest.map_or_else(
                    || format!("variables are {}", VARIABLES.join(", ")),
                    |nearest| format!("did you mean `{nearest}`?"),
                ),
            ));
        }
        functions::check_calls(&program)?;
        if references.computes_secret {
            return Err(ExpressionError::new(Failure::Deferred, "secret(…) is a secret and cannot be computed with")
                .help(PASS_ON));
        }
        let evaluator = match simplify(&program.expression().expr) {
            Some(simple) => Evaluator::Simple(simple),
            None => Evaluator::Interpreted(Box::new(program)),
        };
        let slot = self.expressions.len();
        let expression = Arc::new(Expression { source: source.into(), evaluator, references, slot });
        self.expressions.insert(source.into(), expression.clone());
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
    bridged: OnceCell<bridge::Variables>,
    remembered: Vec<OnceCell<Value>>,
}

impl<'a> Scope<'a> {
    /// `slots` is that of the compiler whose expressions will be evaluated.
    pub fn new(owner: &'a Owner, variables: &'a [(&'static str, Value)], slots: usize) -> Self {
        Self {
            owner,
            variables,
            bridged: OnceCell::new(),
            remembered: std::iter::repeat_with(OnceCell::new).take(slots).collect(),
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

    /// The path, if the expression is nothing else.
    pub fn plain_path(&self) -> Option<&[Arc<str>]> {
        match &self.evaluator {
            Evaluator::Simple(Simple::Path(path)) => Some(path),
            _ => None,
        }
    }

    /// The first path that the expression looks at; what a change of its value is explained by.
    pub fn leading_path(&self) -> Option<&[Arc<str>]> {
        fn leading(simple: &Simple) -> Option<&[Arc<str>]> {
            match simple {
                Simple::Path(path) => Some(path),
                Simple::Call(_, arguments) => arguments.iter().find_map(leading),
                Simple::Literal(_) => None,
            }
        }
        match &self.evaluator {
            Evaluator::Simple(simple) => leading(simple),
            Evaluator::Interpreted(_) => self.references.first.as_deref(),
        }
    }

    /// # Errors
    /// If a name does not exist, a function refuses its arguments, or a deferred value would have to be looked into.
    pub fn evaluate(
        &self,
        scope: &Scope<'_>,
        each: Option<&Value>,
        resources: &dyn Resources,
    ) -> Result<Value, ExpressionError> {
        let constant =
            self.references.resources.is_empty() && !self.references.variables.iter().any(|v| &**v == "each");
        let cell = if constant { scope.remembered.get(self.slot) } else { None };
        if let Some(value) = cell.and_then(OnceCell::get) {
            return Ok(value.clone());
        }
        let value = match &self.evaluator {
            Evaluator::Simple(simple) => simple.evaluate(scope, each, resources)?,
            Evaluator::Interpreted(program) => {
                for name in self.references.variables.iter().filter(|name| &***name != "resources") {
                    variable(name, scope, each)?;
                }
                for path in &self.references.operands {
                    let [id, path @ ..] = path.as_slice() else { continue };
                    if let Some(deferred) = first_deferred(&resources.field(id, path)?) {
                        return Err(deferred_error(&deferred));
                    }
                }
                for path in &self.references.resources {
                    let [id, path @ ..] = path.as_slice() else { continue };
                    if let Value::Deferred(deferred) = resources.field(id, path)?
                        && deferred.has_output()
                    {
                        return Err(deferred_error(&deferred));
                    }
                }
                let bridged = scope.bridged.get_or_init(|| bridge::Variables::new(scope.variables));
                bridge::execute(program, bridged, scope.owner, each, &self.references, resources)?
            }
        };
        if let Some(cell) = cell {
            // A failure to set means that it was set meanwhile, to the same value.
            let _ = cell.set(value.clone());
        }
        Ok(value)
    }
}

fn deferred_error(deferred: &Deferred) -> ExpressionError {
    let what = if deferred.has_secret() { "a secret" } else { "only known after apply" };
    ExpressionError::new(Failure::Deferred, format!("{deferred} is {what} and cannot be computed with")).help(PASS_ON)
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
            ExpressionError::new(Failure::Computation, message).help("add `forEach`, or write what `each` stands for")
        });
    }
    scope.variable(name).ok_or_else(|| {
        let known: Vec<&str> = scope.variables.iter().map(|(known, _)| *known).collect();
        let message = format!("`{name}` has no value in a blueprint of this scope");
        ExpressionError::new(Failure::Computation, message).help(format!("variables here are {}", known.join(", ")))
    })
}

impl Simple {
    fn evaluate(
        &self,
        scope: &Scope<'_>,
        each: Option<&Value>,
        resources: &dyn Resources,
    ) -> Result<Value, ExpressionError> {
        match self {
            Self::Literal(value) => Ok(value.clone()),
            Self::Path(path) => lookup(path, scope, each, resources),
            Self::Call(function, arguments) => {
                let arguments: Vec<Value> = arguments
                    .iter()
                    .map(|argument| argument.evaluate(scope, each, resources))
                    .collect::<Result<_, _>>()?;
                function.call(scope.owner, &arguments)
            }
        }
    }
}

fn lookup(
    path: &[Arc<str>],
    scope: &Scope<'_>,
    each: Option<&Value>,
    resources: &dyn Resources,
) -> Result<Value, ExpressionError> {
    let [root, rest @ ..] = path else {
        return Err(ExpressionError::new(Failure::Syntax, "the expression is empty"));
    };
    let start =
        match &**root {
            "resources" => {
                return match rest {
                    [id, path @ ..] => resources.field(id, path),
                    [] => Err(ExpressionError::new(Failure::Type, "`resources` is not a value")
                        .help("write resources.ID.FIELD")),
                };
            }
            name => variable(name, scope, each)?,
        };
    field_of(start, root, rest)
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
                None => error.help(format!(
                    "it has {}; has({}.{field}) tells whether a field is there",
                    known.join(", "),
                    so_far()
                )),
            }
        })?;
    }
    Ok(value.clone())
}

fn simplify(expression: &Expr) -> Option<Simple> {
    if let Some(path) = path_of(expression) {
        return Some(Simple::Path(path));
    }
    match expression {
        Expr::Literal(literal) => literal_value(literal).map(Simple::Literal),
        Expr::Call(call) if call.target.is_none() => {
            let function = functions::Function::named(&call.func_name)?;
            let arguments = call.args.iter().map(|argument| simplify(&argument.expr)).collect::<Option<_>>()?;
            Some(Simple::Call(function, arguments))
        }
        _ => None,
    }
}

fn literal_value(literal: &LiteralValue) -> Option<Value> {
    let value = literal.to_val();
    let value = cel::Value::try_from(&*value as &dyn Val).ok()?;
    bridge::from_cel(&value).ok()
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
        Expr::Call(call) if call.func_name == operators::INDEX && call.args.len() == 2 => {
            let Expr::Literal(literal) = &call.args[1].expr else { return None };
            let key = literal_value(literal)?;
            let mut path = path_of(&call.args[0].expr)?;
            path.push(key.as_str()?.into());
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
            if !passed_on && !found.operands.contains(&below) {
                found.operands.push(below.clone());
            }
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
        return;
    }
    match expression {
        Expr::Unspecified | Expr::Literal(_) | Expr::Ident(_) => {}
        Expr::Call(call) => {
            found.computes_secret |= !passed_on && call.func_name == functions::Function::Secret.name();
            if let Some(target) = &call.target {
                collect_references(&target.expr, false, bound, found);
            }
            for (index, argument) in call.args.iter().enumerate() {
                let passed_on = passed_on
                    && match call.func_name.as_str() {
                        operators::CONDITIONAL => index > 0,
                        operators::INDEX => index == 0,
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

//! Operators and functions of CEL's standard library and its extensions, as the `cel` crate computes them.
//!
//! The crate has no limits of its own. So each call is refused before it is made if its result could be too large, and charged
//! by what it made; a function whose result or time can be larger than its operands has a row in [`charge`].

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use cel::common::ast::{CallExpr, Expr, IdedExpr};
use cel::{Context, ExecutionError};

use super::datum::{Datum, size_of_cel};
use super::limits::Budget;
use super::parse::ENVIRONMENT;
use super::{ExpressionError, Failure};
use crate::model::value::with_article;

static ROOT: LazyLock<Context<'static, 'static>> = LazyLock::new(|| Context::with_env(ENVIRONMENT.clone()));

/// What functions with a dot in their name begin with.
const NAMESPACES: [&str; 4] = ["base64", "lists", "math", "strings"];

pub fn is_namespace(name: &str) -> bool {
    NAMESPACES.contains(&name)
}

/// A call of the `cel` crate, with a variable for each operand.
#[derive(Debug)]
pub struct Call {
    name: Arc<str>,
    expression: IdedExpr,
}

fn operand(index: usize) -> String {
    format!("operand{index}")
}

impl Call {
    /// `name(a, b)`, or an operator.
    pub fn global(name: &str, arguments: usize) -> Self {
        let (target, function) = match name.split_once('.') {
            Some((space, function)) if is_namespace(space) && !function.starts_with('@') => {
                (Some(Box::new(ident(space.to_owned()))), function)
            }
            _ => (None, name),
        };
        let args = (0..arguments).map(|index| ident(operand(index))).collect();
        Self { name: name.into(), expression: call(CallExpr { func_name: function.to_owned(), target, args }) }
    }

    /// `a.name(b)`.
    pub fn method(name: &str, arguments: usize) -> Self {
        let args = (1..=arguments).map(|index| ident(operand(index))).collect();
        let target = Some(Box::new(ident(operand(0))));
        Self { name: name.into(), expression: call(CallExpr { func_name: name.to_owned(), target, args }) }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// # Errors
    /// If it does not take such operands, or would be too much.
    pub fn evaluate(&self, operands: Vec<Datum>, budget: &mut Budget<'_>) -> Result<Datum, ExpressionError> {
        let operands = operands.into_iter().map(|operand| operand.into_cel(budget)).collect::<Result<Vec<_>, _>>()?;
        charge(&self.name, &operands, budget)?;
        if let ("matches", [cel::Value::String(text), cel::Value::String(pattern)]) = (&*self.name, operands.as_slice())
        {
            return matches(text, pattern).map(Datum::from);
        }
        let mut context = ROOT.new_inner_scope();
        for (index, value) in operands.into_iter().enumerate() {
            context.add_variable_from_value(operand(index), value);
        }
        let result = cel::Value::resolve(&self.expression, &context).map_err(explain)?;
        budget.bytes(size_of_cel(&result))?;
        Ok(Datum::from_cel(result))
    }
}

fn ident(name: String) -> IdedExpr {
    IdedExpr { id: 0, expr: Expr::Ident(name) }
}

fn call(call: CallExpr) -> IdedExpr {
    IdedExpr { id: 0, expr: Expr::Call(call) }
}

/// Charges the steps of a call, and refuses one whose result could be too large. Its operands have been charged already.
fn charge(name: &str, operands: &[cel::Value], budget: &mut Budget<'_>) -> Result<(), ExpressionError> {
    let length = |index: usize| match operands.get(index) {
        Some(cel::Value::String(text)) => text.len() as u64,
        Some(cel::Value::Bytes(bytes)) => bytes.len() as u64,
        Some(cel::Value::List(items)) => items.len() as u64,
        _ => 0,
    };
    let total: u64 = operands.iter().map(leaf_bytes).sum();
    budget.steps(4 + total / 16)?;
    match name {
        "replace" => {
            let (text, from, to) = (length(0), length(1), length(2));
            let most = text.checked_div(from).unwrap_or(text + 1);
            budget.room_for(text + most.saturating_mul(to))
        }
        "join" => budget.room_for(total + length(0).saturating_mul(length(1))),
        "split" => {
            let pieces = length(0).checked_div(length(1)).unwrap_or(length(0));
            budget.room_for(total + 64 * (pieces + 1))
        }
        // Each clause writes one operand, twice as long in hexadecimal, or a number with at most a hundred digits behind
        // its point and 310 before it.
        "format" => {
            let clauses = match operands.first() {
                Some(cel::Value::String(text)) => text.matches('%').count() as u64,
                _ => 0,
            };
            budget.room_for(2 * total + 512 * clauses)
        }
        // Compared at each place with the whole of the other.
        "indexOf" | "lastIndexOf" => budget.steps(length(0).saturating_mul(length(1).max(1)) / 16),
        // Each item is compared with each.
        "distinct" => budget.steps(length(0).saturating_mul(total) / 16),
        "sort" | "@sortByAssociatedKeys" => {
            budget.steps(total.saturating_mul(u64::from(length(0).max(1).ilog2() + 1)) / 8)
        }
        "lists.range" => match operands {
            [cel::Value::Int(count)] => budget.room_for(super::datum::NODE_BYTES * count.unsigned_abs()),
            _ => Ok(()),
        },
        // A pattern is made into a machine of at most PATTERN_BYTES, and that may be walked for each character.
        "matches" => budget.steps(20_000 + length(0).saturating_mul(16)),
        _ => budget.room_for(2 * total + 64),
    }
}

/// The bytes of all texts in a value, and some for everything else.
fn leaf_bytes(value: &cel::Value) -> u64 {
    match value {
        cel::Value::String(text) => text.len() as u64,
        cel::Value::Bytes(bytes) => bytes.len() as u64,
        cel::Value::List(items) => items.iter().map(|item| 8 + leaf_bytes(item)).sum(),
        cel::Value::Map(map) => map.map.values().map(|item| 16 + leaf_bytes(item)).sum(),
        _ => 8,
    }
}

/// The largest machine that a pattern may become. `\w` with all of Unicode is a tenth of it.
const PATTERN_BYTES: usize = 512 * 1024;

/// Patterns that are kept compiled.
const PATTERNS: usize = 32;

thread_local! {
    static COMPILED: RefCell<HashMap<Arc<String>, regex::Regex>> = RefCell::new(HashMap::new());
}

/// Whether a part of `text` fits a regular expression, whose size is bounded and which never takes more than linear time.
fn matches(text: &str, pattern: &Arc<String>) -> Result<bool, ExpressionError> {
    COMPILED.with_borrow_mut(|compiled| {
        if let Some(expression) = compiled.get(pattern) {
            return Ok(expression.is_match(text));
        }
        let expression =
            regex::RegexBuilder::new(pattern).size_limit(PATTERN_BYTES).build().map_err(|error| match error {
                regex::Error::CompiledTooBig(limit) => {
                    super::limits::exceeded(format!("matches(): the compiled pattern is larger than {limit} bytes"))
                        .help("use fewer repetitions, or [0-9A-Za-z] instead of Unicode classes")
                }
                // It draws a picture of the place before its last line.
                error => {
                    let message = error.to_string();
                    let reason = message.lines().last().unwrap_or_default().trim().trim_start_matches("error: ");
                    ExpressionError::new(Failure::Computation, format!("matches(): not a regular expression: {reason}"))
                        .help("use the syntax of RE2")
                }
            })?;
        if compiled.len() >= PATTERNS {
            compiled.clear();
        }
        let fits = expression.is_match(text);
        compiled.insert(pattern.clone(), expression);
        Ok(fits)
    })
}

fn symbol(operator: &str) -> &str {
    match operator {
        "add" => "+",
        "sub" => "-",
        "mul" => "*",
        "div" => "/",
        "rem" => "%",
        other => other,
    }
}

/// What went wrong, without the values: they may be personal.
fn explain(error: ExecutionError) -> ExpressionError {
    const CONVERT: &str = "convert values with string(…), int(…) or json(…)";
    let a = |value: &cel::Value| with_article(&Datum::from_cel(value.clone()).type_name());
    let (failure, message, help) = match error {
        ExecutionError::FunctionError { function, message } => {
            // That of a regular expression draws a picture below.
            let message = message.lines().next().unwrap_or_default().trim_end_matches(':');
            (Failure::Computation, format!("{function}(): {message}"), None)
        }
        ExecutionError::UnsupportedBinaryOperator(operator, left, right) => (
            Failure::Type,
            format!("`{}` does not accept {} and {}", symbol(operator), a(&left), a(&right)),
            Some(CONVERT),
        ),
        ExecutionError::ValuesNotComparable(left, right) => {
            (Failure::Type, format!("{} cannot be compared with {}", a(&left), a(&right)), Some(CONVERT))
        }
        ExecutionError::NoSuchOverload(overload) => (Failure::Type, overload.to_string(), Some(CONVERT)),
        ExecutionError::UnexpectedType { got, want } => {
            (Failure::Type, format!("it is {got} where {want} is needed"), None)
        }
        ExecutionError::NotSupportedAsMethod { method, target } => {
            (Failure::Type, format!("{} has no function `{method}`", a(&target)), None)
        }
        ExecutionError::UnsupportedTargetType { target } => {
            (Failure::Type, format!("the function does not accept {}", a(&target)), None)
        }
        ExecutionError::UndeclaredReference(name) => (Failure::Computation, format!("`{name}` is not known"), None),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            (Failure::Computation, "it divides by zero".into(), None)
        }
        ExecutionError::Overflow(_, left, _) => match left {
            cel::Value::Int(_) | cel::Value::UInt(_) => {
                (Failure::Computation, "a number becomes too large".into(), None)
            }
            _ => (
                Failure::Computation,
                "a time is outside the years 1 to 9999, or a duration is longer than 290 years".into(),
                Some("use shorter durations"),
            ),
        },
        ExecutionError::InvalidArgumentCount { expected, actual } => {
            (Failure::Type, format!("the function takes {expected} arguments, not {actual}"), None)
        }
        ExecutionError::MissingArgumentOrTarget => {
            (Failure::Type, "a function is called without an argument".into(), None)
        }
        _ => (Failure::Computation, "it cannot be computed".into(), None),
    };
    ExpressionError::new(failure, message).help(help.unwrap_or("`tenantry show TENANT` shows a tenant's values"))
}

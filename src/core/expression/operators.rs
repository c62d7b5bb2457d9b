//! Operators over values that a document can hold, computed here: they are what expressions have most of, and need no copies.

use std::cmp::Ordering;

use cel::common::ast::operators;

use super::datum::{Datum, NODE_BYTES};
use super::limits::Budget;
use super::{ExpressionError, Failure};
use crate::model::value::Value;

/// The result, if it is one of those; `None` for any other operator or operands.
///
/// # Errors
/// If there is no result, or it is too large.
pub fn native(name: &str, operands: &[Datum], budget: &mut Budget<'_>) -> Result<Option<Datum>, ExpressionError> {
    match operands {
        [Datum::Known(operand)] => unary(name, operand, budget),
        [Datum::Known(left), Datum::Known(right)] => binary(name, left, right, budget),
        _ => Ok(None),
    }
}

fn unary(name: &str, operand: &Value, budget: &mut Budget<'_>) -> Result<Option<Datum>, ExpressionError> {
    let size = |size: usize| i64::try_from(size).unwrap_or(i64::MAX);
    Ok(Some(Datum::Known(match (name, operand) {
        (operators::NEGATE, Value::Integer(value)) => integer(value.checked_neg())?,
        (operators::NEGATE, Value::Float(value)) => Value::Float(-value),
        ("size", Value::Text(text)) => {
            budget.steps(text.len() as u64 / 64)?;
            Value::Integer(size(text.chars().count()))
        }
        ("size", Value::List(items)) => Value::Integer(size(items.len())),
        ("size", Value::Map(map)) => Value::Integer(size(map.len())),
        _ => return Ok(None),
    })))
}

fn binary(name: &str, left: &Value, right: &Value, budget: &mut Budget<'_>) -> Result<Option<Datum>, ExpressionError> {
    let value = match (left, right) {
        (Value::Integer(left), Value::Integer(right)) => match name {
            operators::ADD => integer(left.checked_add(*right))?,
            operators::SUBSTRACT => integer(left.checked_sub(*right))?,
            operators::MULTIPLY => integer(left.checked_mul(*right))?,
            operators::DIVIDE | operators::MODULO if *right == 0 => {
                return Err(ExpressionError::new(Failure::Computation, "it divides by zero"));
            }
            operators::DIVIDE => integer(left.checked_div(*right))?,
            operators::MODULO => integer(left.checked_rem(*right))?,
            _ => return Ok(ordered(name, left.cmp(right))),
        },
        (Value::Float(left), Value::Float(right)) => Value::Float(match name {
            operators::ADD => left + right,
            operators::SUBSTRACT => left - right,
            operators::MULTIPLY => left * right,
            operators::DIVIDE => left / right,
            _ => return Ok(left.partial_cmp(right).and_then(|ordering| ordered(name, ordering))),
        }),
        (Value::Text(left), Value::Text(right)) => match name {
            operators::ADD => {
                budget.bytes((left.len() + right.len()) as u64)?;
                Value::Text([&**left, &**right].concat().into())
            }
            operators::LESS | operators::LESS_EQUALS | operators::GREATER | operators::GREATER_EQUALS => {
                budget.steps(left.len().min(right.len()) as u64 / 64)?;
                return Ok(ordered(name, left.cmp(right)));
            }
            _ => return Ok(None),
        },
        (Value::List(left), Value::List(right)) if name == operators::ADD => {
            budget.bytes(NODE_BYTES * (left.len() + right.len()) as u64)?;
            left.iter().chain(right.iter()).cloned().collect::<Vec<_>>().into()
        }
        _ => return Ok(None),
    };
    Ok(Some(Datum::Known(value)))
}

fn integer(value: Option<i64>) -> Result<Value, ExpressionError> {
    value.map(Value::Integer).ok_or_else(|| ExpressionError::new(Failure::Computation, "a number becomes too large"))
}

fn ordered(name: &str, ordering: Ordering) -> Option<Datum> {
    Some(Datum::from(match name {
        operators::LESS => ordering.is_lt(),
        operators::LESS_EQUALS => ordering.is_le(),
        operators::GREATER => ordering.is_gt(),
        operators::GREATER_EQUALS => ordering.is_ge(),
        _ => return None,
    }))
}

/// Whether an integer and a number are the same, without rounding either.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::float_cmp,
    reason = "both directions are compared, and exactly"
)]
pub fn same_number(integer: i64, number: f64) -> bool {
    // 2^63 is the first number above all integers.
    number < 9_223_372_036_854_775_808.0 && number as i64 == integer && integer as f64 == number
}

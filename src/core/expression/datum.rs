//! Values while an expression is evaluated.

use std::collections::HashMap;
use std::sync::Arc;

use cel::objects::Key;

use super::limits::{BYTES, Budget, exceeded};
use super::{ExpressionError, Failure, deferred_error};
use crate::model::value::{Map, Value};

/// A value that a document can hold, or one that only exists while an expression is evaluated: an unsigned number, bytes, a
/// time, a duration, or a list or map that has one of these in it.
#[derive(Clone, Debug)]
pub enum Datum {
    Known(Value),
    Foreign(cel::Value),
}

impl From<Value> for Datum {
    fn from(value: Value) -> Self {
        Self::Known(value)
    }
}

impl From<bool> for Datum {
    fn from(value: bool) -> Self {
        Self::Known(Value::Bool(value))
    }
}

/// What one value takes without what is in it.
pub const NODE_BYTES: u64 = 32;

impl Datum {
    pub fn from_cel(value: cel::Value) -> Self {
        match known(&value) {
            Some(known) => Self::Known(known),
            None => Self::Foreign(value),
        }
    }

    pub fn type_name(&self) -> String {
        match self {
            Self::Known(value) => value.type_name().to_owned(),
            Self::Foreign(value) => value.type_of().to_string(),
        }
    }

    pub fn list(items: Vec<Self>, budget: &mut Budget<'_>) -> Result<Self, ExpressionError> {
        budget.bytes(NODE_BYTES * items.len() as u64)?;
        if items.iter().all(|item| matches!(item, Self::Known(_))) {
            let known = items.into_iter().filter_map(|item| match item {
                Self::Known(value) => Some(value),
                Self::Foreign(_) => None,
            });
            return Ok(Self::Known(Value::list(known)));
        }
        let items = items.into_iter().map(|item| item.into_cel(budget)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self::Foreign(cel::Value::List(Arc::new(items))))
    }

    /// As the `cel` crate has it; a copy of everything in it.
    ///
    /// # Errors
    /// If it holds what is not known yet, or is too large.
    pub fn into_cel(self, budget: &mut Budget<'_>) -> Result<cel::Value, ExpressionError> {
        match self {
            Self::Known(value) => {
                budget.bytes(size_of(&value))?;
                to_cel(&value)
            }
            Self::Foreign(value) => {
                budget.bytes(size_of_cel(&value))?;
                Ok(value)
            }
        }
    }

    /// The value of an expression.
    ///
    /// # Errors
    /// If no document can hold it, or it is too large.
    pub fn into_result(self) -> Result<Value, ExpressionError> {
        let unfit = |what: &str| {
            ExpressionError::new(Failure::Type, format!("the result is {what}, which no document can hold"))
                .help("convert it with string(…) or int(…)")
        };
        let value = match self {
            Self::Known(value) => value,
            Self::Foreign(cel::Value::UInt(value)) => {
                let value = i64::try_from(value);
                value.map(Value::Integer).map_err(|_| unfit("a number above 9223372036854775807"))?
            }
            Self::Foreign(other) => {
                return Err(unfit(&crate::model::value::with_article(&other.type_of().to_string())));
            }
        };
        if size_of(&value) > BYTES {
            return Err(exceeded(format!("its result has more than {BYTES} bytes")).help("use a shorter text or list"));
        }
        if !is_finite(&value) {
            return Err(unfit("a number that is not finite"));
        }
        Ok(value)
    }
}

fn is_finite(value: &Value) -> bool {
    match value {
        Value::Float(value) => value.is_finite(),
        Value::List(items) => items.iter().all(is_finite),
        Value::Map(map) => map.iter().all(|(_, value)| is_finite(value)),
        _ => true,
    }
}

/// What a copy of a value would take. A value may hold another many times, so counting ends where the limit is reached.
pub fn size_of(value: &Value) -> u64 {
    fn add(value: &Value, size: &mut u64) {
        *size += NODE_BYTES;
        match value {
            _ if *size > BYTES => {}
            Value::Text(text) => *size += text.len() as u64,
            Value::List(items) => {
                for item in items.iter() {
                    if *size > BYTES {
                        return;
                    }
                    add(item, size);
                }
            }
            Value::Map(map) => {
                for (key, value) in map.iter() {
                    if *size > BYTES {
                        return;
                    }
                    *size += key.len() as u64;
                    add(value, size);
                }
            }
            _ => {}
        }
    }
    let mut size = 0;
    add(value, &mut size);
    size
}

pub fn size_of_cel(value: &cel::Value) -> u64 {
    NODE_BYTES
        + match value {
            cel::Value::String(text) => text.len() as u64,
            cel::Value::Bytes(bytes) => bytes.len() as u64,
            cel::Value::List(items) => items.iter().map(size_of_cel).sum(),
            cel::Value::Map(map) => map.map.values().map(|value| NODE_BYTES + size_of_cel(value)).sum(),
            _ => 0,
        }
}

fn to_cel(value: &Value) -> Result<cel::Value, ExpressionError> {
    Ok(match value {
        Value::Null => cel::Value::Null,
        Value::Bool(value) => cel::Value::Bool(*value),
        Value::Integer(value) => cel::Value::Int(*value),
        Value::Float(value) => cel::Value::Float(*value),
        Value::Text(text) => cel::Value::String(Arc::new(text.to_string())),
        Value::List(items) => cel::Value::List(Arc::new(items.iter().map(to_cel).collect::<Result<_, _>>()?)),
        Value::Map(map) => {
            let fields = map.iter().map(|(key, value)| Ok((Key::String(Arc::new(key.to_string())), to_cel(value)?)));
            fields.collect::<Result<HashMap<_, _>, ExpressionError>>()?.into()
        }
        Value::Deferred(deferred) => return Err(deferred_error(deferred)),
    })
}

/// The value, if a document can hold it.
fn known(value: &cel::Value) -> Option<Value> {
    Some(match value {
        cel::Value::Null => Value::Null,
        cel::Value::Bool(value) => Value::Bool(*value),
        cel::Value::Int(value) => Value::Integer(*value),
        cel::Value::Float(value) => Value::Float(*value),
        cel::Value::String(text) => Value::text(text.as_str()),
        cel::Value::List(items) => Value::List(items.iter().map(known).collect::<Option<_>>()?),
        cel::Value::Map(map) => {
            let fields = map.map.iter().map(|(key, value)| match key {
                Key::String(key) => Some((Arc::from(key.as_str()), known(value)?)),
                _ => None,
            });
            Value::Map(Arc::new(fields.collect::<Option<Map>>()?))
        }
        _ => return None,
    })
}

//! Walks the tree of one expression.
//!
//! Values are shared and never copied on the way, so that `values.X[each].f` costs what `values.f` does, whatever else
//! `values` has in it. Every node is a step, and every step is counted.

use std::sync::Arc;

use cel::objects::Key;

use super::datum::{Datum, NODE_BYTES, size_of};
use super::limits::Budget;
use super::node::{Base, Fold, FoldStep, Node, Step};
use super::{
    ExpressionError, Failure, Resources, Scope, deferred_error, field_of, first_deferred, functions, operators,
    variable,
};
use crate::model::value::{Map, Value, with_article};

/// The evaluation of one expression.
pub struct Evaluation<'e> {
    scope: &'e Scope<'e>,
    each: Option<&'e Value>,
    resources: &'e dyn Resources,
    budget: Budget<'e>,
    /// Variables of macros, outermost first.
    bound: Vec<Datum>,
}

impl<'e> Evaluation<'e> {
    pub fn new(scope: &'e Scope<'e>, each: Option<&'e Value>, resources: &'e dyn Resources) -> Self {
        Self { scope, each, resources, budget: Budget::new(&scope.spent), bound: Vec::new() }
    }

    /// # Errors
    /// If it cannot be computed, or not within the limits.
    pub fn node(&mut self, node: &Node) -> Result<Datum, ExpressionError> {
        self.budget.steps(1)?;
        match node {
            Node::Literal(datum) => Ok(datum.clone()),
            Node::Access { base: Base::Variable(name), steps, test } if &**name == "resources" => {
                self.resource(steps, *test)
            }
            Node::Access { base, steps, test } => self.access(base, steps, *test),
            Node::And(operands) => self.logical("&&", operands, false),
            Node::Or(operands) => self.logical("||", operands, true),
            Node::Not(operand) => {
                let value = self.node(operand)?;
                Ok(Datum::from(!boolean("!", value)?))
            }
            Node::NotStrictlyFalse(operand) => match self.node(operand) {
                Ok(value) => Ok(Datum::from(!matches!(value, Datum::Known(Value::Bool(false))))),
                Err(error) if error.is_final() => Err(error),
                Err(_) => Ok(Datum::from(true)),
            },
            Node::Conditional(parts) => {
                let [condition, yes, no] = &**parts;
                let value = self.node(condition)?;
                if boolean("? :", value)? { self.node(yes) } else { self.node(no) }
            }
            Node::Equals(operands) => self.equals(operands).map(Datum::from),
            Node::Differs(operands) => self.equals(operands).map(|equal| Datum::from(!equal)),
            Node::In(operands) => {
                let item = self.node(&operands[0])?;
                let container = self.node(&operands[1])?;
                self.contains(&item, container).map(Datum::from)
            }
            Node::List(nodes) => {
                let items = self.nodes(nodes)?;
                Datum::list(items, &mut self.budget)
            }
            Node::Map(entries) => self.map(entries),
            Node::Own(function, arguments) => self.own(*function, arguments),
            Node::Library(call, operands) => {
                let operands = self.nodes(operands)?;
                match operators::native(call.name(), &operands, &mut self.budget)? {
                    Some(result) => Ok(result),
                    None => call.evaluate(operands, &mut self.budget),
                }
            }
            Node::Fold(fold) => self.fold(fold),
        }
    }

    fn nodes(&mut self, nodes: &[Node]) -> Result<Vec<Datum>, ExpressionError> {
        nodes.iter().map(|node| self.node(node)).collect()
    }

    /// `&&` and `||`: what one side settles counts, even where the other cannot be computed.
    fn logical(&mut self, operator: &str, operands: &[Node; 2], absorbing: bool) -> Result<Datum, ExpressionError> {
        let mut side = |node: &Node| boolean(operator, self.node(node)?);
        match side(&operands[0]) {
            Ok(left) if left == absorbing => Ok(Datum::from(absorbing)),
            Ok(_) => side(&operands[1]).map(Datum::from),
            Err(error) if error.is_final() => Err(error),
            Err(error) => match side(&operands[1]) {
                Ok(right) if right == absorbing => Ok(Datum::from(absorbing)),
                Err(other) if other.is_final() => Err(other),
                _ => Err(error),
            },
        }
    }

    fn access(&mut self, base: &Base, steps: &[Step], test: bool) -> Result<Datum, ExpressionError> {
        let start = match base {
            Base::Variable(name) => Datum::Known(variable(name, self.scope, self.each)?.clone()),
            Base::Bound(place) => self.bound[*place].clone(),
            Base::Value(node) => self.node(node)?,
        };
        let name = match base {
            Base::Variable(name) => name,
            Base::Bound(_) | Base::Value(_) => "…",
        };
        self.walk(start, name, steps, test)
    }

    fn walk(&mut self, start: Datum, name: &str, steps: &[Step], test: bool) -> Result<Datum, ExpressionError> {
        let mut value = start;
        for (index, step) in steps.iter().enumerate() {
            let key = self.key(step)?;
            self.budget.steps(1)?;
            if test && index + 1 == steps.len() {
                return has(&value, &key, || path_so_far(name, &steps[..index])).map(Datum::from);
            }
            value = look_up(&value, &key, || path_so_far(name, &steps[..index]))?;
        }
        Ok(value)
    }

    fn key(&mut self, step: &Step) -> Result<Datum, ExpressionError> {
        match step {
            Step::Field(field) => Ok(Datum::Known(Value::Text(field.clone()))),
            Step::Key(node) => self.node(node),
        }
    }

    /// A field of another resource, or one that is found by a key which is computed.
    fn resource(&mut self, steps: &[Step], test: bool) -> Result<Datum, ExpressionError> {
        let mut path: Vec<Arc<str>> = Vec::with_capacity(steps.len());
        for step in steps {
            match self.key(step)? {
                Datum::Known(Value::Text(field)) => path.push(field),
                _ => break,
            }
        }
        let Some((id, fields)) = path.split_first() else {
            return Err(
                ExpressionError::new(Failure::Type, "`resources` is not a value").help("write resources.ID.FIELD")
            );
        };
        let is_whole_path = path.len() == steps.len();
        if test && is_whole_path {
            let Some((field, fields)) = fields.split_last() else {
                return Ok(Datum::from(self.resources.whole(id).is_some()));
            };
            let container = self.resource_at(id, fields)?;
            return has(&container, &Datum::Known(Value::Text(field.clone())), || format!("resources.{id}"))
                .map(Datum::from);
        }
        let value = self.resource_at(id, fields)?;
        self.walk(value, &format!("resources.{}", path.join(".")), &steps[path.len()..], test)
    }

    fn resource_at(&mut self, id: &Arc<str>, fields: &[Arc<str>]) -> Result<Datum, ExpressionError> {
        if fields.is_empty()
            && let Some(whole) = self.resources.whole(id)
        {
            self.budget.bytes(size_of(&whole))?;
            return Ok(Datum::Known(whole));
        }
        self.resources.field(id, fields).map(Datum::Known)
    }

    fn equals(&mut self, operands: &[Node; 2]) -> Result<bool, ExpressionError> {
        let left = self.node(&operands[0])?;
        let right = self.node(&operands[1])?;
        self.equal(&left, &right)
    }

    fn equal(&mut self, left: &Datum, right: &Datum) -> Result<bool, ExpressionError> {
        match (left, right) {
            (Datum::Known(left), Datum::Known(right)) => self.equal_values(left, right),
            (left, right) => {
                let left = left.clone().into_cel(&mut self.budget)?;
                Ok(left == right.clone().into_cel(&mut self.budget)?)
            }
        }
    }

    fn equal_values(&mut self, left: &Value, right: &Value) -> Result<bool, ExpressionError> {
        self.budget.steps(1)?;
        match (left, right) {
            (Value::Deferred(deferred), _) | (_, Value::Deferred(deferred)) => Err(deferred_error(deferred)),
            (Value::Integer(integer), Value::Float(number)) | (Value::Float(number), Value::Integer(integer)) => {
                Ok(operators::same_number(*integer, *number))
            }
            (Value::Text(left), Value::Text(right)) => {
                self.budget.steps(left.len().min(right.len()) as u64 / 64)?;
                Ok(left == right)
            }
            (Value::List(left), Value::List(right)) => {
                if left.len() != right.len() {
                    return Ok(false);
                }
                for (left, right) in left.iter().zip(right.iter()) {
                    if !self.equal_values(left, right)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            (Value::Map(left), Value::Map(right)) => {
                if left.len() != right.len() {
                    return Ok(false);
                }
                for ((left_key, left), (right_key, right)) in left.iter().zip(right.iter()) {
                    if left_key != right_key || !self.equal_values(left, right)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            (left, right) => Ok(left == right),
        }
    }

    fn contains(&mut self, item: &Datum, container: Datum) -> Result<bool, ExpressionError> {
        if let Datum::Known(value) = item
            && let Some(deferred) = first_deferred(value)
        {
            return Err(deferred_error(&deferred));
        }
        match (item, &container) {
            (Datum::Known(Value::Text(key)), Datum::Known(Value::Map(map))) => Ok(map.contains(key)),
            (_, Datum::Known(Value::Map(_))) => Ok(false),
            (_, Datum::Known(Value::Deferred(deferred))) => Err(deferred_error(deferred)),
            (key, Datum::Foreign(cel::Value::Map(map))) => {
                Ok(cel_key(key).is_some_and(|key| map.map.contains_key(&key)))
            }
            (_, Datum::Known(Value::List(_)) | Datum::Foreign(cel::Value::List(_))) => {
                for other in self.items(container)? {
                    if self.equal(item, &other)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            (_, other) => Err(ExpressionError::new(
                Failure::Type,
                format!("`in` needs a list or a map on its right, not {}", with_article(&other.type_name())),
            )
            .help("use text.contains(part) to search in a text")),
        }
    }

    fn map(&mut self, entries: &[(Node, Node)]) -> Result<Datum, ExpressionError> {
        let mut pairs = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            pairs.push((self.node(key)?, self.node(value)?));
        }
        self.budget.bytes(2 * NODE_BYTES * pairs.len() as u64)?;
        let twice = || ExpressionError::new(Failure::Computation, "a map has one key twice");
        let known = pairs.iter().map(|pair| match pair {
            (Datum::Known(Value::Text(key)), Datum::Known(value)) => Some((key.clone(), value.clone())),
            _ => None,
        });
        if let Some(known) = known.collect::<Option<Vec<_>>>() {
            let length = known.len();
            let map = Map::from_fields(known);
            return if map.len() == length { Ok(Datum::Known(map.into())) } else { Err(twice()) };
        }
        let mut map = std::collections::HashMap::with_capacity(pairs.len());
        for (key, value) in pairs {
            let key = cel_key(&key).ok_or_else(|| {
                ExpressionError::new(Failure::Type, format!("{} cannot be a key", with_article(&key.type_name())))
            })?;
            if map.insert(key, value.into_cel(&mut self.budget)?).is_some() {
                return Err(twice());
            }
        }
        Ok(Datum::Foreign(map.into()))
    }

    fn own(&mut self, function: functions::Function, arguments: &[Node]) -> Result<Datum, ExpressionError> {
        let mut values = Vec::with_capacity(arguments.len());
        for argument in arguments {
            match self.node(argument)? {
                Datum::Known(value) => {
                    // The longest result is a text with every character escaped.
                    self.budget.bytes(size_of(&value).saturating_mul(2))?;
                    values.push(value);
                }
                Datum::Foreign(other) => {
                    let message = format!("{}({}) does not exist", function.name(), other.type_of());
                    return Err(ExpressionError::new(Failure::Type, message).help("convert it with string(…)"));
                }
            }
        }
        function.call(self.scope.owner, &values).map(Datum::Known)
    }

    /// The items of a list, or the keys of a map.
    fn items(&mut self, container: Datum) -> Result<Vec<Datum>, ExpressionError> {
        let items: Vec<Datum> = match container {
            Datum::Known(Value::List(items)) => {
                self.budget.steps(items.len() as u64 / 16)?;
                items.iter().cloned().map(Datum::Known).collect()
            }
            Datum::Known(Value::Map(map)) => {
                self.budget.steps(map.len() as u64 / 16)?;
                map.iter().map(|(key, _)| Datum::Known(Value::Text(key.clone()))).collect()
            }
            Datum::Foreign(cel::Value::List(items)) => items.iter().cloned().map(Datum::from_cel).collect(),
            Datum::Foreign(cel::Value::Map(map)) => {
                let mut keys: Vec<&Key> = map.map.keys().collect();
                keys.sort();
                keys.into_iter().map(|key| Datum::from_cel(cel::Value::from(key))).collect()
            }
            Datum::Known(Value::Deferred(deferred)) => return Err(deferred_error(&deferred)),
            other => {
                let message = format!("a macro needs a list or a map, not {}", with_article(&other.type_name()));
                return Err(ExpressionError::new(Failure::Type, message).help("test for the field with has(….FIELD)"));
            }
        };
        Ok(items)
    }

    fn fold(&mut self, fold: &Fold) -> Result<Datum, ExpressionError> {
        let Fold { range, initial, condition, step, result } = fold;
        let initial = self.node(initial)?;
        let range = self.node(range)?;
        let items = self.items(range)?;
        let outside = self.bound.len();
        self.bound.push(initial);
        self.bound.push(Datum::Known(Value::Null));
        let looped = self.iterate(items, condition, step, outside);
        self.bound.truncate(outside + 1);
        let value = looped.and_then(|()| self.node(result));
        self.bound.truncate(outside);
        value
    }

    fn iterate(
        &mut self,
        items: Vec<Datum>,
        condition: &Node,
        step: &FoldStep,
        accumulator: usize,
    ) -> Result<(), ExpressionError> {
        let mut appended = Vec::new();
        // An item that could not be told, unless a later one settles the whole.
        let mut pending = None;
        for item in items {
            let goes_on = self.node(condition)?;
            if !boolean("a macro", goes_on)? {
                break;
            }
            self.bound[accumulator + 1] = item;
            match step {
                FoldStep::Append { guard, items } => {
                    if let Some(guard) = guard {
                        let fits = self.node(guard)?;
                        if !boolean("filter", fits)? {
                            continue;
                        }
                    }
                    appended.extend(self.nodes(items)?);
                }
                FoldStep::Logical { node, absorbing } => match self.node(node) {
                    Err(error) if error.is_final() => return Err(error),
                    Err(error) => pending = Some(error),
                    Ok(value) => {
                        let settles = matches!(value, Datum::Known(Value::Bool(value)) if value == *absorbing);
                        if settles || pending.is_none() {
                            pending = None;
                            self.bound[accumulator] = value;
                        }
                    }
                },
                FoldStep::Any(node) => self.bound[accumulator] = self.node(node)?,
            }
        }
        if let Some(error) = pending {
            return Err(error);
        }
        if matches!(step, FoldStep::Append { .. }) {
            self.bound[accumulator] = Datum::list(appended, &mut self.budget)?;
        }
        Ok(())
    }
}

fn boolean(operator: &str, value: Datum) -> Result<bool, ExpressionError> {
    match value {
        Datum::Known(Value::Bool(value)) => Ok(value),
        Datum::Known(Value::Deferred(deferred)) => Err(deferred_error(&deferred)),
        other => Err(ExpressionError::new(
            Failure::Type,
            format!("`{operator}` needs a boolean, not {}", with_article(&other.type_name())),
        )
        .help("write a comparison, such as tenant.phase == 'active'")),
    }
}

/// What `value` has under `key`.
fn look_up(value: &Datum, key: &Datum, name: impl Fn() -> String) -> Result<Datum, ExpressionError> {
    let found = match (value, key) {
        (Datum::Known(Value::Deferred(deferred)), _) | (_, Datum::Known(Value::Deferred(deferred))) => {
            return Err(deferred_error(deferred));
        }
        (Datum::Known(Value::Map(map)), Datum::Known(Value::Text(field))) => map.get(field).cloned().map(Datum::Known),
        (Datum::Known(Value::List(items)), key) if index_of(key).is_some() => {
            index_of(key).and_then(|index| items.get(index)).cloned().map(Datum::Known)
        }
        (Datum::Foreign(cel::Value::List(items)), key) if index_of(key).is_some() => {
            index_of(key).and_then(|index| items.get(index)).cloned().map(Datum::from_cel)
        }
        (Datum::Foreign(cel::Value::Map(map)), key) => {
            cel_key(key).and_then(|key| map.map.get(&key).cloned()).map(Datum::from_cel)
        }
        _ => None,
    };
    match (found, value, key) {
        (Some(found), ..) => Ok(found),
        (None, Datum::Known(value), Datum::Known(Value::Text(field))) => {
            field_of(value, &name(), std::slice::from_ref(field)).map(Datum::Known)
        }
        (None, Datum::Known(Value::List(_)) | Datum::Foreign(cel::Value::List(_)), key) => Err(match key {
            Datum::Known(Value::Integer(index)) => {
                ExpressionError::new(Failure::Computation, format!("the list has no item {index}"))
                    .help("the first item has the index 0; size(…) is the number of items")
            }
            key => {
                let message = format!("{} cannot be looked up in a list", with_article(&key.type_name()));
                ExpressionError::new(Failure::Type, message).help("use a number: the first item has the index 0")
            }
        }),
        (None, value, key) => {
            let (key, value) = (with_article(&key.type_name()), with_article(&value.type_name()));
            Err(ExpressionError::new(Failure::Type, format!("{key} cannot be looked up in {value}"))
                .help("only lists and maps have items"))
        }
    }
}

fn has(value: &Datum, key: &Datum, name: impl Fn() -> String) -> Result<bool, ExpressionError> {
    match (value, key) {
        (Datum::Known(Value::Deferred(deferred)), _) => Err(deferred_error(deferred)),
        (Datum::Known(Value::Map(map)), Datum::Known(Value::Text(field))) => Ok(map.contains(field)),
        (Datum::Known(Value::Null), _) => Ok(false),
        (Datum::Foreign(cel::Value::Map(map)), key) => Ok(cel_key(key).is_some_and(|key| map.map.contains_key(&key))),
        (value, _) => Err(ExpressionError::new(
            Failure::Type,
            format!("`{}` is {} and has no fields", name(), with_article(&value.type_name())),
        )),
    }
}

fn index_of(key: &Datum) -> Option<usize> {
    match key {
        Datum::Known(Value::Integer(index)) => Some(usize::try_from(*index).unwrap_or(usize::MAX)),
        Datum::Foreign(cel::Value::UInt(index)) => usize::try_from(*index).ok(),
        _ => None,
    }
}

fn cel_key(key: &Datum) -> Option<Key> {
    match key {
        Datum::Known(Value::Text(text)) => Some(Key::String(Arc::new(text.to_string()))),
        Datum::Known(Value::Integer(value)) => Some(Key::Int(*value)),
        Datum::Known(Value::Bool(value)) => Some(Key::Bool(*value)),
        Datum::Foreign(cel::Value::UInt(value)) => Some(Key::Uint(*value)),
        _ => None,
    }
}

fn path_so_far(name: &str, steps: &[Step]) -> String {
    let mut path = name.to_owned();
    for step in steps {
        match step {
            Step::Field(field) => {
                path.push('.');
                path.push_str(field);
            }
            Step::Key(_) => path.push_str("[…]"),
        }
    }
    path
}

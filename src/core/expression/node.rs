//! An expression as it is evaluated: names resolved, operators and functions told apart.

use std::sync::Arc;

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators};
use cel::common::value::Val;

use super::datum::Datum;
use super::functions::Function;
use super::{ExpressionError, Failure, library};

/// One node of a tree.
#[derive(Debug)]
pub enum Node {
    Literal(Datum),
    /// `a.b["c"][d]`, or `has(a.b)` if `test`.
    Access {
        base: Base,
        steps: Vec<Step>,
        test: bool,
    },
    And(Box<[Node; 2]>),
    Or(Box<[Node; 2]>),
    Not(Box<Node>),
    /// False only if its operand is; an error is not.
    NotStrictlyFalse(Box<Node>),
    Conditional(Box<[Node; 3]>),
    Equals(Box<[Node; 2]>),
    Differs(Box<[Node; 2]>),
    In(Box<[Node; 2]>),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    Own(Function, Vec<Node>),
    /// An operator or function of the `cel` crate.
    Library(library::Call, Vec<Node>),
    Fold(Box<Fold>),
}

/// What a chain of fields begins with.
#[derive(Debug)]
pub enum Base {
    Variable(Arc<str>),
    /// A variable of a macro: its place among those that are bound, outermost first.
    Bound(usize),
    Value(Box<Node>),
}

#[derive(Debug)]
pub enum Step {
    Field(Arc<str>),
    Key(Node),
}

/// What a macro such as `map` or `exists` stands for: a loop with an accumulator.
#[derive(Debug)]
pub struct Fold {
    pub range: Node,
    pub initial: Node,
    pub condition: Node,
    pub step: FoldStep,
    pub result: Node,
}

/// What a loop does with each item. The accumulator is bound first, the item second.
#[derive(Debug)]
pub enum FoldStep {
    /// Adds to the list that is the accumulator: `map` and `filter`.
    Append {
        guard: Option<Node>,
        items: Vec<Node>,
    },
    /// `all` and `exists`, of which a later item may settle what an earlier one could not tell.
    Logical {
        node: Node,
        absorbing: bool,
    },
    Any(Node),
}

impl Node {
    /// Resolves the names of a syntax tree.
    ///
    /// # Errors
    /// If it has something that expressions do not have here.
    pub fn new(tree: &IdedExpr) -> Result<Self, ExpressionError> {
        Resolver { bound: Vec::new() }.node(&tree.expr)
    }

    /// The type of the value, as values name it, if it is plain without evaluating anything.
    pub fn known_type(&self) -> Option<&'static str> {
        match self {
            Self::Literal(Datum::Known(value)) => Some(value.type_name()),
            Self::Access { test: true, .. }
            | Self::And(_)
            | Self::Or(_)
            | Self::Not(_)
            | Self::NotStrictlyFalse(_)
            | Self::Equals(_)
            | Self::Differs(_)
            | Self::In(_) => Some("boolean"),
            Self::List(_) => Some("list"),
            Self::Map(_) => Some("map"),
            Self::Conditional(parts) => {
                let [_, yes, no] = &**parts;
                yes.known_type().filter(|known| no.known_type() == Some(known))
            }
            Self::Fold(fold) => match &fold.step {
                FoldStep::Append { .. } => Some("list"),
                FoldStep::Logical { .. } => Some("boolean"),
                FoldStep::Any(_) => None,
            },
            Self::Literal(Datum::Foreign(_)) | Self::Access { .. } | Self::Own(..) | Self::Library(..) => None,
        }
    }

    /// The path, if the expression is nothing else.
    pub fn path(&self) -> Option<Vec<&Arc<str>>> {
        let Self::Access { base: Base::Variable(root), steps, test: false } = self else { return None };
        let fields = steps.iter().map(|step| match step {
            Step::Field(field) => Some(field),
            Step::Key(_) => None,
        });
        std::iter::once(Some(root)).chain(fields).collect()
    }
}

/// The types of CEL, by the names that `type(…)` answers with.
const TYPES: [&str; 9] = ["bool", "bytes", "double", "int", "list", "map", "null_type", "string", "uint"];

/// Whether a name that is not a variable is that of a type.
pub fn is_type(name: &str) -> bool {
    TYPES.contains(&name)
}

struct Resolver {
    bound: Vec<String>,
}

impl Resolver {
    fn node(&mut self, expression: &Expr) -> Result<Node, ExpressionError> {
        Ok(match expression {
            Expr::Unspecified => return Err(ExpressionError::new(Failure::Syntax, "a part of it is empty")),
            Expr::Literal(literal) => Node::Literal(literal_datum(literal)?),
            Expr::Ident(name) if !self.bound.contains(name) && is_type(name) => {
                Node::Literal(Datum::Known(name.as_str().into()))
            }
            Expr::Ident(_) | Expr::Select(_) => self.access(expression)?,
            Expr::Call(call) if call.func_name == operators::INDEX && call.args.len() == 2 => {
                self.access(expression)?
            }
            Expr::Call(call) => self.call(call)?,
            Expr::List(list) => Node::List(self.nodes(&list.elements)?),
            Expr::Map(map) => {
                let entries = map.entries.iter().map(|entry| match &entry.expr {
                    EntryExpr::MapEntry(entry) => Ok((self.node(&entry.key.expr)?, self.node(&entry.value.expr)?)),
                    EntryExpr::StructField(_) => Err(no_messages()),
                });
                Node::Map(entries.collect::<Result<_, _>>()?)
            }
            Expr::Struct(_) => return Err(no_messages()),
            Expr::Comprehension(fold) => Node::Fold(Box::new(self.fold(fold)?)),
        })
    }

    fn nodes(&mut self, expressions: &[IdedExpr]) -> Result<Vec<Node>, ExpressionError> {
        expressions.iter().map(|expression| self.node(&expression.expr)).collect()
    }

    fn boxed(&mut self, expression: &IdedExpr) -> Result<Box<Node>, ExpressionError> {
        Ok(Box::new(self.node(&expression.expr)?))
    }

    fn access(&mut self, expression: &Expr) -> Result<Node, ExpressionError> {
        let mut steps = Vec::new();
        let mut test = false;
        let mut rest = expression;
        let base = loop {
            match rest {
                Expr::Select(select) => {
                    test |= select.test;
                    steps.push(Step::Field(select.field.as_str().into()));
                    rest = &select.operand.expr;
                }
                Expr::Call(call) if call.func_name == operators::INDEX && call.args.len() == 2 => {
                    let key = self.node(&call.args[1].expr)?;
                    steps.push(match key {
                        Node::Literal(Datum::Known(crate::model::value::Value::Text(field))) => Step::Field(field),
                        key => Step::Key(key),
                    });
                    rest = &call.args[0].expr;
                }
                Expr::Ident(name) => {
                    break match self.bound.iter().rposition(|bound| bound == name) {
                        Some(place) => Base::Bound(place),
                        None => Base::Variable(name.as_str().into()),
                    };
                }
                other => break Base::Value(Box::new(self.node(other)?)),
            }
        };
        steps.reverse();
        Ok(Node::Access { base, steps, test })
    }

    fn call(&mut self, call: &CallExpr) -> Result<Node, ExpressionError> {
        let name = call.func_name.as_str();
        Ok(match (name, call.args.as_slice()) {
            (operators::CONDITIONAL, [condition, yes, no]) => {
                Node::Conditional(Box::new([self.node(&condition.expr)?, self.node(&yes.expr)?, self.node(&no.expr)?]))
            }
            (operators::LOGICAL_AND, [left, right]) => {
                Node::And(Box::new([self.node(&left.expr)?, self.node(&right.expr)?]))
            }
            (operators::LOGICAL_OR, [left, right]) => {
                Node::Or(Box::new([self.node(&left.expr)?, self.node(&right.expr)?]))
            }
            (operators::EQUALS, [left, right]) => {
                Node::Equals(Box::new([self.node(&left.expr)?, self.node(&right.expr)?]))
            }
            (operators::NOT_EQUALS, [left, right]) => {
                Node::Differs(Box::new([self.node(&left.expr)?, self.node(&right.expr)?]))
            }
            (operators::IN, [left, right]) => Node::In(Box::new([self.node(&left.expr)?, self.node(&right.expr)?])),
            (operators::LOGICAL_NOT, [operand]) => Node::Not(self.boxed(operand)?),
            (operators::NOT_STRICTLY_FALSE, [operand]) => Node::NotStrictlyFalse(self.boxed(operand)?),
            _ => match (&call.target, Function::named(name)) {
                (None, Some(function)) => Node::Own(function, self.nodes(&call.args)?),
                (None, None) => Node::Library(library::Call::global(name, call.args.len()), self.nodes(&call.args)?),
                (Some(target), _) => match &target.expr {
                    Expr::Ident(space) if library::is_namespace(space) && !self.bound.contains(space) => Node::Library(
                        library::Call::global(&format!("{space}.{name}"), call.args.len()),
                        self.nodes(&call.args)?,
                    ),
                    target => {
                        let mut operands = vec![self.node(target)?];
                        operands.extend(self.nodes(&call.args)?);
                        Node::Library(library::Call::method(name, call.args.len()), operands)
                    }
                },
            },
        })
    }

    fn fold(&mut self, fold: &ComprehensionExpr) -> Result<Fold, ExpressionError> {
        let range = self.node(&fold.iter_range.expr)?;
        let initial = self.node(&fold.accu_init.expr)?;
        let outside = self.bound.len();
        self.bound.extend([fold.accu_var.clone(), fold.iter_var.clone()]);
        let condition = self.node(&fold.loop_cond.expr);
        let step = self.fold_step(fold);
        // The item is not bound any more where the result is made.
        self.bound.truncate(outside + 1);
        let result = self.node(&fold.result.expr);
        self.bound.truncate(outside);
        Ok(Fold { range, initial, condition: condition?, step: step?, result: result? })
    }

    fn fold_step(&mut self, fold: &ComprehensionExpr) -> Result<FoldStep, ExpressionError> {
        let is_accumulator =
            |expression: &IdedExpr| matches!(&expression.expr, Expr::Ident(name) if *name == fold.accu_var);
        let appended = |expression: &IdedExpr| match &expression.expr {
            Expr::Call(call) if call.func_name == operators::ADD && call.args.len() == 2 => {
                match (is_accumulator(&call.args[0]), &call.args[1].expr) {
                    (true, Expr::List(list)) => Some(list.elements.clone()),
                    _ => None,
                }
            }
            _ => None,
        };
        if is_accumulator(&fold.result) && matches!(fold.loop_cond.expr, Expr::Literal(_)) {
            if let Some(items) = appended(&fold.loop_step) {
                return Ok(FoldStep::Append { guard: None, items: self.nodes(&items)? });
            }
            if let Expr::Call(call) = &fold.loop_step.expr
                && call.func_name == operators::CONDITIONAL
                && let [guard, step, otherwise] = call.args.as_slice()
                && is_accumulator(otherwise)
                && let Some(items) = appended(step)
            {
                return Ok(FoldStep::Append { guard: Some(self.node(&guard.expr)?), items: self.nodes(&items)? });
            }
        }
        let node = self.node(&fold.loop_step.expr)?;
        Ok(match &fold.loop_step.expr {
            Expr::Call(call) if call.args.first().is_some_and(is_accumulator) => match call.func_name.as_str() {
                operators::LOGICAL_OR => FoldStep::Logical { node, absorbing: true },
                operators::LOGICAL_AND => FoldStep::Logical { node, absorbing: false },
                _ => FoldStep::Any(node),
            },
            _ => FoldStep::Any(node),
        })
    }
}

fn no_messages() -> ExpressionError {
    ExpressionError::new(Failure::Syntax, "there are no message types here").help("write a map: {'name': value}")
}

pub fn literal_datum(literal: &LiteralValue) -> Result<Datum, ExpressionError> {
    let value = literal.to_val();
    let value = cel::Value::try_from(&*value as &dyn Val);
    value.map(Datum::from_cel).map_err(|_| ExpressionError::new(Failure::Syntax, "a value in it cannot be read"))
}

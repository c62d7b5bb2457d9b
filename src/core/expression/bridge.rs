//! Between our values and those of the `cel` crate.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

use cel::extractors::Arguments;
use cel::objects::{Key, Opaque};
use cel::{Context, Env, ExecutionError, Program};

use super::functions::Function;
use super::{ExpressionError, Failure, References, Resources};
use crate::model::address::Owner;
use crate::model::value::{Deferred, Value, with_article};

/// The standard library of CEL with the `strings` extension, as Kubernetes has it.
static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut environment = Env::stdlib();
    environment.add_extension(cel::extensions::strings).expect("the extension is added once, to the standard library");
    Arc::new(environment)
});

static ROOT: LazyLock<Context<'static, 'static>> = LazyLock::new(|| {
    let mut context = Context::with_env(ENVIRONMENT.clone());
    for function in Function::ALL {
        context
            .add_function(function.name(), move |Arguments(arguments): Arguments| call(function, &arguments))
            .expect("none of our functions has the name of a standard one");
    }
    context
});

thread_local! {
    /// The owner whose expression this thread evaluates: functions registered with the interpreter get arguments only.
    static OWNER: RefCell<Owner> = const { RefCell::new(Owner::Estate) };
}

fn call(function: Function, arguments: &[cel::Value]) -> Result<cel::Value, ExecutionError> {
    let failed = |error: ExpressionError| ExecutionError::function_error(function.name(), error);
    let arguments: Vec<Value> = arguments.iter().map(from_cel).collect::<Result<_, _>>().map_err(failed)?;
    let value = OWNER.with_borrow(|owner| function.call(owner, &arguments)).map_err(failed)?;
    Ok(to_cel(&value))
}

/// A deferred value inside the interpreter: it can be passed on, and nothing else.
#[derive(Clone, PartialEq)]
struct Placeholder(Arc<Deferred>);

impl Eq for Placeholder {}

impl fmt::Debug for Placeholder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

impl Opaque for Placeholder {
    fn runtime_type_name(&self) -> &'static str {
        "tenantry.Deferred"
    }
}

/// Converted variables of one scope.
pub struct Variables(Vec<(&'static str, cel::Value)>);

impl Variables {
    pub fn new(variables: &[(&'static str, Value)]) -> Self {
        Self(variables.iter().map(|(name, value)| (*name, to_cel(value))).collect())
    }
}

pub fn compile(source: &str) -> Result<Program, ExpressionError> {
    ENVIRONMENT.compile(source).map_err(|errors| {
        // Later ones follow from the first.
        let first = errors.errors.first().map(|error| in_words(&error.msg, error.pos.1, source));
        let message = first.unwrap_or_else(|| "it is no expression".into());
        ExpressionError::new(Failure::Syntax, message).help(match source.contains(" = ") {
            true => "write == to compare",
            false => "expressions are CEL, such as ${tenant.name} or ${tenant.phase in ['trial', 'active']}",
        })
    })
}

pub fn execute(
    program: &Program,
    variables: &Variables,
    owner: &Owner,
    each: Option<&Value>,
    references: &References,
    resources: &dyn Resources,
) -> Result<Value, ExpressionError> {
    let mut context = ROOT.new_inner_scope();
    for (name, value) in &variables.0 {
        if references.variables.iter().any(|used| **used == **name) {
            context.add_variable_from_value(*name, value.clone());
        }
    }
    if let Some(each) = each {
        context.add_variable_from_value("each", to_cel(each));
    }
    if !references.resources.is_empty() {
        let known: HashMap<Key, cel::Value> = references
            .resources
            .iter()
            .filter_map(|path| path.first())
            .filter_map(|id| Some((Key::String(Arc::new(id.to_string())), to_cel(&resources.whole(id)?))))
            .collect();
        context.add_variable_from_value("resources", known);
    }
    OWNER.set(owner.clone());
    let value = program.execute(&context).map_err(explain)?;
    from_cel(&value)
}

/// What the parser says of a place, in words for those who did not write its grammar.
fn in_words(message: &str, column: isize, source: &str) -> String {
    let message = message.trim().trim_start_matches("Syntax error: ").trim_start_matches("ERROR: ");
    // Lists of tokens that could follow have all of them, and so say nothing.
    let message = message.split(" expecting {").next().unwrap_or(message);
    if let Some(rest) = message.strip_suffix(" at '<EOF>'") {
        return format!("{rest} at its end");
    }
    if message.contains("'<EOF>'") && message.starts_with("mismatched input") {
        return "something is missing at its end".into();
    }
    let column = usize::try_from(column).unwrap_or_default();
    let place =
        source.chars().nth(column.saturating_sub(1)).map_or_else(String::new, |_| format!(" (character {column})"));
    let message =
        message.replace("token recognition error at: ", "it makes no sense at ").replace("'<EOF>'", "the end");
    format!("{message}{place}")
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
    let a = |value: &cel::Value| {
        from_cel(value).map_or_else(|_| "another value".into(), |value| with_article(value.type_name()))
    };
    let (failure, message, help) = match error {
        ExecutionError::FunctionError { function, message } => {
            // That of a regular expression draws a picture below.
            let message = message.lines().next().unwrap_or_default().trim_end_matches(':');
            (Failure::Computation, format!("{function}(): {message}"), None)
        }
        ExecutionError::UnsupportedBinaryOperator(operator, left, right) => (
            Failure::Type,
            format!("`{}` does not take {} and {}", symbol(operator), a(&left), a(&right)),
            Some("string(…), int(…) and json(…) turn one type into another"),
        ),
        ExecutionError::ValuesNotComparable(left, right) => (
            Failure::Type,
            format!("{} cannot be compared with {}", a(&left), a(&right)),
            Some("string(…), int(…) and json(…) turn one type into another"),
        ),
        ExecutionError::NoSuchOverload(overload) => {
            (Failure::Type, overload.to_string(), Some("string(…), int(…) and json(…) turn one type into another"))
        }
        ExecutionError::UnexpectedType { got, want } => {
            (Failure::Type, format!("it is {got} where {want} is needed"), None)
        }
        ExecutionError::NotSupportedAsMethod { method, target } => {
            (Failure::Type, format!("{} has no function `{method}`", a(&target)), None)
        }
        ExecutionError::UnsupportedTargetType { target } => {
            (Failure::Type, format!("the function does not take {}", a(&target)), None)
        }
        ExecutionError::UnsupportedKeyType(key) => (Failure::Type, format!("{} cannot be a key", a(&key)), None),
        ExecutionError::UnsupportedIndex(index, of) => {
            (Failure::Type, format!("{} cannot be looked up in {}", a(&index), a(&of)), None)
        }
        ExecutionError::IndexOutOfBounds(index) => {
            let which = from_cel(&index).ok().and_then(|index| index.as_integer());
            let message =
                which.map_or_else(|| "the list is shorter".into(), |which| format!("the list has no item {which}"));
            (Failure::Computation, message, Some("items are counted from 0; size(…) tells how many there are"))
        }
        ExecutionError::NoSuchKey(key) => (
            Failure::Computation,
            format!("there is no field `{key}`"),
            Some("has(….FIELD) tells whether one is there"),
        ),
        ExecutionError::UndeclaredReference(name) => (Failure::Computation, format!("`{name}` is not known"), None),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            (Failure::Computation, "it divides by zero".into(), None)
        }
        ExecutionError::Overflow(..) => (Failure::Computation, "a number becomes too large".into(), None),
        ExecutionError::DuplicateKey(_) => (Failure::Computation, "a map has one key twice".into(), None),
        ExecutionError::InvalidArgumentCount { expected, actual } => {
            (Failure::Type, format!("a function takes {expected} values, not {actual}"), None)
        }
        ExecutionError::MissingArgumentOrTarget => (Failure::Type, "a function is called with nothing".into(), None),
        _ => (Failure::Computation, "it cannot be computed".into(), None),
    };
    ExpressionError::new(failure, message).help(help.unwrap_or("`tenantry show TENANT` shows a tenant's values"))
}

pub fn to_cel(value: &Value) -> cel::Value {
    match value {
        Value::Null => cel::Value::Null,
        Value::Bool(value) => cel::Value::Bool(*value),
        Value::Integer(value) => cel::Value::Int(*value),
        Value::Float(value) => cel::Value::Float(*value),
        Value::Text(text) => cel::Value::String(Arc::new(text.to_string())),
        Value::List(items) => cel::Value::List(Arc::new(items.iter().map(to_cel).collect())),
        Value::Map(map) => map
            .iter()
            .map(|(key, value)| (Key::String(Arc::new(key.to_string())), to_cel(value)))
            .collect::<HashMap<_, _>>()
            .into(),
        Value::Deferred(deferred) => cel::Value::Opaque(Arc::new(Placeholder(deferred.clone()))),
    }
}

pub fn from_cel(value: &cel::Value) -> Result<Value, ExpressionError> {
    let unfit =
        |what: &str| ExpressionError::new(Failure::Type, format!("the result is a {what}, which no document can hold"));
    Ok(match value {
        cel::Value::Null => Value::Null,
        cel::Value::Bool(value) => Value::Bool(*value),
        cel::Value::Int(value) => Value::Integer(*value),
        cel::Value::UInt(value) => {
            Value::Integer(i64::try_from(*value).map_err(|_| unfit("number above 9223372036854775807"))?)
        }
        cel::Value::Float(value) if value.is_finite() => Value::Float(*value),
        cel::Value::Float(_) => return Err(unfit("number that is not finite")),
        cel::Value::String(text) => Value::text(text.as_str()),
        cel::Value::List(items) => Value::List(items.iter().map(from_cel).collect::<Result<_, _>>()?),
        cel::Value::Map(map) => {
            let fields = map.map.iter().map(|(key, value)| match key {
                Key::String(key) => Ok((Arc::from(key.as_str()), from_cel(value)?)),
                _ => Err(unfit("map whose keys are not texts")),
            });
            Value::Map(Arc::new(fields.collect::<Result<_, _>>()?))
        }
        cel::Value::Opaque(opaque) => match opaque.downcast_ref::<Placeholder>() {
            Some(Placeholder(deferred)) => Value::Deferred(deferred.clone()),
            None => return Err(unfit(opaque.runtime_type_name())),
        },
        other => return Err(unfit(&other.type_of().to_string())),
    })
}

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
use crate::core::model::address::Owner;
use crate::core::model::value::{Deferred, Value};

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
        let messages: Vec<String> = errors
            .errors
            .iter()
            .map(|error| format!("{} (character {})", error.msg.trim(), error.pos.1.max(1)))
            .collect();
        ExpressionError::new(Failure::Syntax, messages.join("; "))
            .help("expressions are CEL, such as ${tenant.name} or ${tenant.phase in ['trial', 'active']}")
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
    let value = program.execute(&context).map_err(|error| {
        let failure = match &error {
            ExecutionError::UnexpectedType { .. } | ExecutionError::NoSuchOverload(_) => Failure::Type,
            _ => Failure::Computation,
        };
        let message = match error {
            ExecutionError::FunctionError { function, message } => format!("{function}(): {message}"),
            other => {
                let text = other.to_string();
                let mut characters = text.chars();
                characters.next().map(|first| first.to_lowercase().chain(characters).collect()).unwrap_or(text)
            }
        };
        ExpressionError::new(failure, message)
    })?;
    from_cel(&value)
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

//! Tenantry's own functions. Those of CEL's standard library and its `strings` extension are there besides.

use cel::common::ast::{EntryExpr, Expr, IdedExpr};
use sha2::{Digest as _, Sha256};

use super::{ExpressionError, Failure, deferred_error, library, sql};
use crate::model::address::Owner;
use crate::model::names::{self, Name};
use crate::model::quantity::Quota;
use crate::model::secret::{SecretReference, SecretVersion};
use crate::model::value::{Deferred, Part, Value};

/// PostgreSQL's `NAMEDATALEN` less one, which is also the longest DNS label.
const DEFAULT_LIMIT: usize = 63;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    Ident,
    DnsLabel,
    Quantity,
    Unlimited,
    IsUnlimited,
    Sha256,
    Json,
    Secret,
}

impl Function {
    pub const ALL: [Self; 8] = [
        Self::Ident,
        Self::DnsLabel,
        Self::Quantity,
        Self::Unlimited,
        Self::IsUnlimited,
        Self::Sha256,
        Self::Json,
        Self::Secret,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Ident => "ident",
            Self::DnsLabel => "dnsLabel",
            Self::Quantity => "quantity",
            Self::Unlimited => "unlimited",
            Self::IsUnlimited => "isUnlimited",
            Self::Sha256 => "sha256",
            Self::Json => "json",
            Self::Secret => "secret",
        }
    }

    fn usage(self) -> &'static str {
        match self {
            Self::Ident => "ident(text) or ident(text, limit)",
            Self::DnsLabel => "dnsLabel(text) or dnsLabel(text, limit)",
            Self::Quantity => "quantity(quota)",
            Self::Unlimited => "unlimited(quota, encoding)",
            Self::IsUnlimited => "isUnlimited(quota)",
            Self::Sha256 => "sha256(text)",
            Self::Json => "json(value)",
            Self::Secret => "secret(name) or secret(name, version)",
        }
    }

    /// How it is written, with what may be left out in brackets.
    pub fn forms(self) -> &'static str {
        match self {
            Self::Ident => "ident(text[, limit])",
            Self::DnsLabel => "dnsLabel(text[, limit])",
            Self::Secret => "secret(name[, version])",
            Self::Quantity | Self::Unlimited | Self::IsUnlimited | Self::Sha256 | Self::Json => self.usage(),
        }
    }

    /// Its result, in Markdown.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Ident => "the identifier form: `acme-corp` → `acme_corp`; at most `limit` bytes (63)",
            Self::DnsLabel => "the DNS-label form, at most `limit` bytes (63)",
            Self::Quantity => "a quota as a whole number: `10M` → `10000000`, `500Gi` → `536870912000`",
            Self::Unlimited => "`encoding` where the quota is `unlimited`, else `quantity(quota)`",
            Self::IsUnlimited => "whether it is",
            Self::Sha256 => "the hash in hexadecimal",
            Self::Json => "the value as JSON text",
            Self::Secret => "a reference to a secret of this owner; a higher version is a rotation",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|function| function.name() == name)
    }

    pub fn call(self, owner: &Owner, arguments: &[Value]) -> Result<Value, ExpressionError> {
        if let Some(Value::Deferred(deferred)) = arguments.iter().find(|argument| argument.has_deferred()) {
            return Err(deferred_error(deferred));
        }
        let wrong = || {
            let types: Vec<_> = arguments.iter().map(Value::type_name).collect();
            ExpressionError::new(Failure::Type, format!("{}({}) does not exist", self.name(), types.join(", ")))
                .help(format!("write {}", self.usage()))
        };
        Ok(match (self, arguments) {
            (Self::Ident, [Value::Text(text)]) => names::identifier(text, DEFAULT_LIMIT).into(),
            (Self::Ident, [Value::Text(text), Value::Integer(limit)]) => {
                names::identifier(text, name_limit(*limit)?).into()
            }
            (Self::DnsLabel, [Value::Text(text)]) => names::dns_label(text, DEFAULT_LIMIT).into(),
            (Self::DnsLabel, [Value::Text(text), Value::Integer(limit)]) => {
                names::dns_label(text, name_limit(*limit)?).into()
            }
            (Self::Quantity, [quota]) => match quota_of(quota)? {
                Quota::Limited(quantity) => quantity.value().into(),
                Quota::Unlimited => {
                    return Err(ExpressionError::new(Failure::Computation, "`unlimited` is not a number")
                        .help("use unlimited(quota, encoding) with the number that means unlimited in the target, such as 0 or -1"));
                }
            },
            (Self::Unlimited, [quota, encoding]) => match quota_of(quota)? {
                Quota::Limited(quantity) => quantity.value().into(),
                Quota::Unlimited => encoding.clone(),
            },
            (Self::IsUnlimited, [quota]) => (quota_of(quota)? == Quota::Unlimited).into(),
            (Self::Sha256, [Value::Text(text)]) => names::hex(&Sha256::digest(text.as_bytes())).into(),
            (Self::Json, [value]) => value.to_json().to_string().into(),
            (Self::Secret, [Value::Text(name)]) => secret(owner, name, 1)?,
            (Self::Secret, [Value::Text(name), Value::Integer(version)]) => secret(owner, name, *version)?,
            _ => return Err(wrong()),
        })
    }
}

fn name_limit(limit: i64) -> Result<usize, ExpressionError> {
    // Ten bytes hold one letter, the separator and the hash.
    usize::try_from(limit).ok().filter(|limit| *limit >= 10).ok_or_else(|| {
        ExpressionError::new(
            Failure::Computation,
            format!("a name cannot be shortened to {limit} bytes; the least is 10"),
        )
        .help("use a limit of 10 or more, or leave it out")
    })
}

fn quota_of(value: &Value) -> Result<Quota, ExpressionError> {
    Quota::from_json(&value.to_json()).map_err(|error| {
        ExpressionError::new(Failure::Computation, format!("{} is not a quota: {error}", value.to_json()))
    })
}

fn secret(owner: &Owner, name: &str, version: i64) -> Result<Value, ExpressionError> {
    let name = Name::new(name)
        .map_err(|error| ExpressionError::new(Failure::Computation, format!("secret({name:?}): {error}")))
        .map_err(|error| error.help("write a name such as db-password"))?;
    let version = u32::try_from(version).ok().and_then(SecretVersion::new).ok_or_else(|| {
        ExpressionError::new(
            Failure::Computation,
            format!("secret({name}): the version must be 1 or more, not {version}"),
        )
        .help("begin with 1; a higher number rotates the secret")
    })?;
    let reference = SecretReference { owner: owner.clone(), name: name.shared(), version };
    Ok(Value::Deferred(std::sync::Arc::new(Deferred { parts: vec![Part::Secret(reference)] })))
}

/// Finds calls of functions that do not exist, so that a typing error shows before any tenant is evaluated.
pub fn check_calls(tree: &IdedExpr) -> Result<(), ExpressionError> {
    let mut waiting = vec![&tree.expr];
    while let Some(expression) = waiting.pop() {
        match expression {
            Expr::Unspecified | Expr::Literal(_) | Expr::Ident(_) => {}
            Expr::Select(select) => waiting.push(&select.operand.expr),
            Expr::Call(call) => {
                let space = call.target.as_ref().and_then(|target| match &target.expr {
                    Expr::Ident(name) if library::is_namespace(name) => Some(name),
                    _ => None,
                });
                match (space, &call.target) {
                    (Some(space), _) => check_name(&format!("{space}.{}", call.func_name))?,
                    (None, target) => {
                        check_name(&call.func_name)?;
                        waiting.extend(target.iter().map(|target| &target.expr));
                    }
                }
                waiting.extend(call.args.iter().map(|argument| &argument.expr));
            }
            Expr::List(list) => waiting.extend(list.elements.iter().map(|element| &element.expr)),
            Expr::Map(map) => waiting.extend(map.entries.iter().flat_map(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => vec![&entry.key.expr, &entry.value.expr],
                EntryExpr::StructField(field) => vec![&field.value.expr],
            })),
            Expr::Struct(_) => {}
            Expr::Comprehension(fold) => waiting.extend([
                &fold.iter_range.expr,
                &fold.accu_init.expr,
                &fold.loop_cond.expr,
                &fold.loop_step.expr,
                &fold.result.expr,
            ]),
        }
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), ExpressionError> {
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '.') {
        // An operator.
        return Ok(());
    }
    let own = Function::ALL.map(Function::name);
    if own.contains(&name) || STANDARD.contains(&name) {
        return Ok(());
    }
    if sql::FUNCTIONS.contains(&name) {
        let message = format!(
            "{name}(…) quotes a value for SQL, so it can only be the outermost function of an expression in SQL"
        );
        return Err(ExpressionError::new(Failure::Type, message)
            .help("use it as ${sqlText(…)} in a field that is SQL, with the value to quote inside"));
    }
    let error = ExpressionError::new(Failure::Computation, format!("there is no function `{name}`"));
    Err(match crate::diagnostics::nearest(name, own.into_iter().chain(STANDARD)) {
        Some(nearest) => error.help(format!("did you mean `{nearest}`?")),
        None => error.help(format!("functions are {}, and those of CEL", own.join(", "))),
    })
}

/// Functions and macros of the CEL specification's standard library and of its extensions, as the page of functions has them.
pub const STANDARD: [&str; 70] = [
    "all",
    "base64.decode",
    "base64.encode",
    "bool",
    "bytes",
    "charAt",
    "contains",
    "distinct",
    "double",
    "duration",
    "dyn",
    "endsWith",
    "exists",
    "existsOne",
    "filter",
    "flatten",
    "format",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getFullYear",
    "getHours",
    "getMilliseconds",
    "getMinutes",
    "getMonth",
    "getSeconds",
    "has",
    "indexOf",
    "int",
    "join",
    "lastIndexOf",
    "lists.range",
    "lowerAscii",
    "map",
    "matches",
    "math.abs",
    "math.bitAnd",
    "math.bitNot",
    "math.bitOr",
    "math.bitShiftLeft",
    "math.bitShiftRight",
    "math.bitXor",
    "math.ceil",
    "math.floor",
    "math.greatest",
    "math.isFinite",
    "math.isInf",
    "math.isNaN",
    "math.least",
    "math.round",
    "math.sign",
    "math.sqrt",
    "math.trunc",
    "replace",
    "reverse",
    "size",
    "slice",
    "sort",
    "sortBy",
    "split",
    "startsWith",
    "string",
    "strings.quote",
    "substring",
    "timestamp",
    "trim",
    "type",
    "uint",
    "upperAscii",
];

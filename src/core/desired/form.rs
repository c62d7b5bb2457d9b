//! A spec held against the form that its kind asks for.
//!
//! Messages name fields and types and, of values, only numbers: a value may be personal.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{JsonType, ValidationError, Validator};

use crate::diagnostics::nearest;
use crate::model::kind::Kind;
use crate::model::value::{Value, push_token, readable_pointer, with_article};

/// Something in a spec that its kind does not allow.
pub struct Problem {
    /// Relative to the spec.
    pub pointer: String,
    pub message: String,
    pub help: Option<String>,
}

/// Everything that is wrong with a spec's form. What is deferred is checked when it is known, by the target.
pub fn problems(kind: &Kind, validator: &Validator, spec: &Value) -> Vec<Problem> {
    let json = spec.to_json();
    let errors = validator.iter_errors(&json);
    let about_known =
        |error: &ValidationError<'_>| !matches!(spec.pointer(error.instance_path().as_str()), Some(Value::Deferred(_)));
    errors.filter(about_known).flat_map(|error| in_words(kind, spec, &error)).collect()
}

fn in_words(kind: &Kind, spec: &Value, error: &ValidationError<'_>) -> Vec<Problem> {
    let pointer = error.instance_path().to_string();
    let field = match pointer.as_str() {
        "" => "the spec".to_owned(),
        pointer => format!("`{}`", readable_pointer(pointer)),
    };
    let below = |name: &str| {
        let mut pointer = pointer.clone();
        push_token(&mut pointer, name);
        pointer
    };
    let one = |message: String, help: Option<String>| vec![Problem { pointer: pointer.clone(), message, help }];
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            one(format!("`{}` is missing", readable_pointer(&below(name))), None)
        }
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let known = || kind.schema.as_value().get("properties").and_then(|fields| fields.as_object());
            let unknown = |name: &String| Problem {
                pointer: below(name),
                message: format!("`{}` is not one of its fields", readable_pointer(&below(name))),
                help: (known().filter(|_| pointer.is_empty()))
                    .and_then(|fields| nearest(name, fields.keys().map(String::as_str)))
                    .map(|nearest| format!("did you mean `{nearest}`?")),
            };
            unexpected.iter().map(unknown).collect()
        }
        ValidationErrorKind::Type { kind } => {
            let got = spec.pointer(&pointer).map_or("value", Value::type_name);
            one(format!("{field} must be {}, not {}", types(kind), with_article(got)), None)
        }
        ValidationErrorKind::Enum { options } => {
            let options: Vec<&str> =
                options.as_array().into_iter().flatten().filter_map(|option| option.as_str()).collect();
            let given = spec.pointer(&pointer).and_then(Value::as_str).unwrap_or_default();
            let help = nearest(given, options.iter().copied()).map(|nearest| format!("did you mean `{nearest}`?"));
            one(format!("{field} must be one of {}", options.join(", ")), help)
        }
        ValidationErrorKind::Constant { expected_value } => one(format!("{field} can only be {expected_value}"), None),
        ValidationErrorKind::Minimum { limit } => one(format!("{field} must be at least {limit}"), None),
        ValidationErrorKind::Maximum { limit } => one(format!("{field} must be at most {limit}"), None),
        ValidationErrorKind::MinItems { limit: 1 } | ValidationErrorKind::MinProperties { limit: 1 } => {
            one(format!("{field} must not be empty"), None)
        }
        _ => one(error.masked_with("the value").to_string(), None),
    }
}

fn types(kind: &TypeKind) -> String {
    let word = |json_type: JsonType| {
        with_article(match json_type {
            JsonType::Array => "list",
            JsonType::Boolean => "boolean",
            JsonType::Integer => "integer",
            JsonType::Null => "null",
            JsonType::Number => "number",
            JsonType::Object => "map",
            JsonType::String => "text",
        })
    };
    match kind {
        TypeKind::Single(one) => word(*one),
        // That a field may be null goes without saying: it may be left out.
        TypeKind::Multiple(several) => {
            let words: Vec<String> = several.iter().filter(|one| *one != JsonType::Null).map(word).collect();
            words.join(" or ")
        }
    }
}

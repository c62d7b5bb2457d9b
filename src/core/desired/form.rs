//! Checks a spec against the schema of its kind.
//!
//! Messages name fields and types and, of values, only numbers: a value may be personal.

use std::sync::Arc;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{JsonType, ValidationError, Validator};

use crate::diagnostics::nearest;
use crate::model::kind::Kind;
use crate::model::value::{Value, push_token, readable_pointer, unescape_token, with_article};

/// Something in a spec that its kind does not allow.
pub struct Problem {
    /// Relative to the spec.
    pub pointer: String,
    pub message: String,
    pub help: Option<String>,
}

/// Everything that is wrong with a spec's form. Deferred values are checked by the target, when they are known.
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
                message: format!("`{}` is not a field of it", readable_pointer(&below(name))),
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

/// The pointer, in a spec as it is written, of what stands at `pointer` in its normal form.
///
/// The normal form sorts lists and turns a single item into a list. If the item of the written list cannot be determined, the
/// pointer is that of the list.
pub fn as_written(written: &Value, normal: &Value, pointer: &str) -> String {
    let mut found = String::new();
    let (mut written, mut normal) = (Some(written), Some(normal));
    for token in pointer.split('/').skip(1) {
        let name = unescape_token(token);
        let below = match normal {
            Some(Value::List(items)) => name.parse().ok().and_then(|at: usize| items.get(at)),
            other => other.and_then(|normal| normal.get(&name)),
        };
        match (written, normal) {
            (Some(Value::List(items)), _) => {
                let Some(at) = below.and_then(|wanted| place_in(items, wanted, &name)) else { return found };
                push_token(&mut found, &at.to_string());
                written = items.get(at);
            }
            // One thing, of which the normal form makes a list.
            (Some(_), Some(Value::List(_))) => {}
            (Some(Value::Map(map)), _) => {
                push_token(&mut found, &name);
                written = map.get(&name);
            }
            (Some(_), _) => return found,
            (None, _) => push_token(&mut found, &name),
        }
        normal = below;
    }
    found
}

/// The pointers, in a normal form, of what stands at `pointers` in the spec as it is written.
///
/// If the normal form has a value elsewhere, the pointer follows it. If it no longer has the value as it was, the pointer is
/// that of the nearest surrounding value: it is better to cover too much than too little.
pub fn as_normal(written: &Value, normal: &Value, pointers: &Arc<[Arc<str>]>) -> Arc<[Arc<str>]> {
    let stays = |pointer: &Arc<str>| written.pointer(pointer) == normal.pointer(pointer);
    if pointers.iter().all(stays) {
        return pointers.clone();
    }
    let mut found: Vec<Arc<str>> = Vec::with_capacity(pointers.len());
    for pointer in pointers.iter() {
        let Some(value) = written.pointer(pointer).filter(|_| !stays(pointer)) else {
            found.push(pointer.clone());
            continue;
        };
        let before = found.len();
        normal.for_each_leaf(&mut |pointer, leaf| {
            if leaf == value {
                found.push(pointer.into());
            }
        });
        // The whole of a list whose order is another one now.
        let mut around = pointer.as_ref();
        while found.len() == before && !around.is_empty() {
            let parent = around.rfind('/').map_or("", |at| &around[..at]);
            if normal.pointer(around).is_some()
                && normal.pointer(parent).is_none_or(|parent| parent.as_list().is_none())
            {
                found.push(around.into());
            }
            around = parent;
        }
    }
    found.sort();
    found.dedup();
    found.into()
}

/// Which item of a written list became `wanted`, the item `at` of the normal form.
fn place_in(items: &[Value], wanted: &Value, at: &str) -> Option<usize> {
    const NAMES: [&str; 4] = ["id", "Sid", "name", "key"];
    let named = |item: &Value| NAMES.iter().any(|name| item.get(name).is_some() && item.get(name) == wanted.get(name));
    let at = at.parse().ok().filter(|at| items.get(*at) == Some(wanted));
    at.or_else(|| items.iter().position(|item| item == wanted))
        .or_else(|| items.iter().position(named))
        .or_else(|| (items.len() == 1).then_some(0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_problem_of_the_normal_form_is_shown_where_it_was_written() {
        let normal = Value::from(json!({"policy": {"Statement": [
            {"Sid": "a", "Principal": {"AWS": ["*"]}}, {"Sid": "b", "Action": ["x", "y"]},
        ]}, "tags": ["a", "b"], "durable": true}));
        let place = |written: serde_json::Value, pointer: &str| as_written(&Value::from(written), &normal, pointer);
        let first = "/policy/Statement/0";
        let sorted =
            json!({"policy": {"Statement": [{"Sid": "b", "Action": ["y", "x"]}, {"Sid": "a", "Principal": "*"}]}});
        assert_eq!(place(sorted.clone(), first), "/policy/Statement/1");
        assert_eq!(place(sorted.clone(), "/policy/Statement/0/Principal"), "/policy/Statement/1/Principal");
        assert_eq!(place(sorted, "/policy/Statement/1/Action/0"), "/policy/Statement/0/Action/1");
        assert_eq!(place(json!({"policy": {"Statement": {"Principal": "*"}}}), first), "/policy/Statement");
        let nameless = json!({"policy": {"Statement": [{"Principal": "*"}, {"Action": "x"}]}});
        assert_eq!(place(nameless, first), "/policy/Statement", "which of the two is not known");
        assert_eq!(place(json!({"policy": "{…}"}), first), "/policy");
        assert_eq!(place(json!({"tags": ["b", "a"]}), "/tags/0"), "/tags/1");
        assert_eq!(place(json!({}), "/durable"), "/durable");
        assert_eq!(place(json!({}), ""), "");
    }

    #[test]
    fn what_is_sensitive_stays_so_wherever_the_normal_form_puts_it() {
        let normal = Value::from(json!({"name": "a", "to": ["ann@b", "zoe@b"], "texts": {"k": "v"}, "mail": "ann@b"}));
        let moved = |written: serde_json::Value, pointer: &str| {
            as_normal(&Value::from(written), &normal, &Arc::from([Arc::from(pointer)])).join(" ")
        };
        assert_eq!(moved(json!({"mail": "ann@b"}), "/mail"), "/mail");
        assert_eq!(moved(json!({"mail": "Ann@B"}), "/mail"), "/mail");
        assert_eq!(moved(json!({"to": ["zoe@b", "ann@b"]}), "/to/0"), "/to/1");
        assert_eq!(moved(json!({"to": ["zoe@b", "Ann@B"]}), "/to/1"), "/to");
        assert_eq!(moved(json!({"data": {"k": "v"}}), "/data/k"), "/texts/k");
        assert_eq!(moved(json!({"gone": null}), "/gone"), "");
    }
}

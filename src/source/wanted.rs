//! What a JSON Schema asks for at one place, as far as its types tell.

use std::collections::HashSet;

use serde_json::{Value, json};

use tenantry_core::model::value::unescape_token;

/// Which scalars a schema takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    Text,
    Integer,
    Number,
    /// Both, or nothing is said.
    Any,
}

/// What `schema` wants at a JSON pointer of the value.
///
/// Every branch of alternatives counts, for which of them holds depends on the value.
pub fn wanted(schema: &Value, pointer: &str) -> Wanted {
    let mut here = with_branches(schema, vec![schema]);
    for token in pointer.split('/').skip(1) {
        let token = unescape_token(token);
        let next = here.iter().flat_map(|node| below(node, &token)).collect();
        here = with_branches(schema, next);
    }
    let (mut text, mut integer, mut number) = (false, false, false);
    for name in here.iter().flat_map(|node| types(node)) {
        match name {
            "string" => text = true,
            "integer" => integer = true,
            "number" => number = true,
            _ => {}
        }
    }
    match (text, integer, number) {
        (true, false, false) => Wanted::Text,
        (false, true, false) => Wanted::Integer,
        (false, _, true) => Wanted::Number,
        _ => Wanted::Any,
    }
}

/// The schemas of one entry of a mapping or list.
fn below<'s>(schema: &'s Value, token: &str) -> Vec<&'s Value> {
    let named = schema.get("properties").and_then(|properties| properties.get(token));
    let by_index = token.parse::<usize>().ok().and_then(|index| {
        let tuple = schema.get("prefixItems").or_else(|| schema.get("items").filter(|items| items.is_array()));
        tuple.and_then(|items| items.get(index)).or_else(|| schema.get("items").filter(|items| items.is_object()))
    });
    if named.is_some() || by_index.is_some() {
        return named.into_iter().chain(by_index).collect();
    }
    let patterns = schema.get("patternProperties").and_then(Value::as_object).into_iter().flatten();
    let fits = |pattern: &str| jsonschema::is_valid(&json!({"pattern": pattern}), &json!(token));
    let fitting: Vec<&Value> = patterns.filter(|(pattern, _)| fits(pattern)).map(|(_, schema)| schema).collect();
    if !fitting.is_empty() {
        return fitting;
    }
    schema.get("additionalProperties").into_iter().chain(schema.get("unevaluatedProperties")).collect()
}

/// The schemas, and all that they refer to or are joined of.
fn with_branches<'s>(root: &'s Value, schemas: Vec<&'s Value>) -> Vec<&'s Value> {
    let mut waiting = schemas;
    let mut seen: HashSet<*const Value> = HashSet::new();
    let mut all = Vec::new();
    while let Some(schema) = waiting.pop() {
        if !seen.insert(std::ptr::from_ref(schema)) {
            continue;
        }
        all.push(schema);
        let reference = schema.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
        waiting.extend(reference.and_then(|pointer| root.pointer(pointer)));
        for keyword in ["allOf", "anyOf", "oneOf"] {
            waiting.extend(schema.get(keyword).and_then(Value::as_array).into_iter().flatten());
        }
        for keyword in ["then", "else"] {
            waiting.extend(schema.get(keyword));
        }
    }
    all
}

fn types(schema: &Value) -> Vec<&str> {
    let of_value = |value: &Value| match value {
        Value::String(_) => Some("string"),
        Value::Number(_) => Some("number"),
        _ => None,
    };
    match schema.get("type") {
        Some(Value::String(name)) => vec![name.as_str()],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => {
            let values = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
            values.chain(schema.get("const")).filter_map(of_value).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_found_through_references_and_branches() {
        let schema = json!({
            "properties": {
                "account": {"type": "string"},
                "rate": {"type": ["number", "null"]},
                "either": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
                "ports": {"items": {"$ref": "#/$defs/port"}},
                "pair": {"prefixItems": [{"type": "string"}], "items": {"type": "number"}},
                "free": {},
                "choice": {"enum": [1, 2]},
                "tree": {"$ref": "#"},
            },
            "patternProperties": {"^n_": {"type": "integer"}},
            "allOf": [{"if": {}, "then": {"properties": {"late": {"type": "string"}}}}],
            "$defs": {"port": {"allOf": [{"type": "integer"}, {"minimum": 1}]}},
        });
        let table = [
            "/account",
            "/rate",
            "/either",
            "/ports/3",
            "/pair/0",
            "/pair/1",
            "/free",
            "/choice",
            "/tree/tree/rate",
            "/n_x",
            "/late",
            "/free/below",
            "",
        ]
        .map(|pointer| format!("{pointer}: {:?}", wanted(&schema, pointer)));
        insta::assert_snapshot!(table.join("\n"), @r"
        /account: Text
        /rate: Number
        /either: Any
        /ports/3: Integer
        /pair/0: Text
        /pair/1: Number
        /free: Any
        /choice: Number
        /tree/tree/rate: Number
        /n_x: Integer
        /late: Text
        /free/below: Any
        : Any
        ");
    }
}

//! Which fields of a kind are SQL, as its schema says.
//!
//! A kind marks such a field with `x-sql` and the dialect: `#[schemars(extend("x-sql" = "postgresql"))]`.

use std::sync::Arc;

use serde_json::Value as Json;

use crate::expression::SqlFields;
use crate::expression::sql::Dialect;
use crate::model::kind::Kind;

/// More levels than any kind has; a schema may refer to itself.
const LEVELS: usize = 8;

/// The fields of a kind's spec that are SQL.
pub fn sql_fields(kind: &Kind) -> SqlFields {
    let schema = kind.schema.as_value();
    let mut found = SqlFields::new();
    collect(schema, schema, &mut Vec::new(), &mut found, 0);
    found
}

fn collect(root: &Json, schema: &Json, path: &mut Vec<Option<Arc<str>>>, found: &mut SqlFields, levels: usize) {
    if levels > LEVELS {
        return;
    }
    if let Some(dialect) = schema.get("x-sql").and_then(Json::as_str).and_then(Dialect::named) {
        found.push((path.clone(), dialect));
    }
    let referred = schema.get("$ref").and_then(Json::as_str).and_then(|place| root.pointer(place.strip_prefix('#')?));
    let variants = ["anyOf", "oneOf", "allOf"].into_iter().filter_map(|word| schema.get(word)?.as_array()).flatten();
    for same in referred.into_iter().chain(variants) {
        collect(root, same, path, found, levels + 1);
    }
    let mut below = |token: Option<Arc<str>>, schema: &Json| {
        path.push(token);
        collect(root, schema, path, found, levels + 1);
        path.pop();
    };
    for (name, field) in schema.get("properties").and_then(Json::as_object).into_iter().flatten() {
        below(Some(name.as_str().into()), field);
    }
    for any in ["items", "additionalProperties"].into_iter().filter_map(|word| schema.get(word)) {
        below(None, any);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_is_sql_is_found_wherever_it_is() {
        let schema = serde_json::json!({
            "properties": {
                "sql": {"type": "string", "x-sql": "postgresql"},
                "name": {"type": "string"},
                "steps": {"items": {"$ref": "#/$defs/step"}},
                "check": {"anyOf": [{"type": "string", "x-sql": "mysql"}, {"type": "null"}]},
            },
            "$defs": {"step": {"properties": {"run": {"x-sql": "mysql"}, "then": {"$ref": "#/$defs/step"}}}},
        });
        let mut found = SqlFields::new();
        collect(&schema, &schema, &mut Vec::new(), &mut found, 0);
        let readable = |path: &[Option<Arc<str>>]| {
            path.iter().map(|token| token.as_deref().unwrap_or("*").to_owned()).collect::<Vec<_>>().join(".")
        };
        let found: Vec<(String, Dialect)> = found.iter().map(|(path, dialect)| (readable(path), *dialect)).collect();
        for expected in [
            ("check".to_owned(), Dialect::Mysql),
            ("sql".to_owned(), Dialect::Postgresql),
            ("steps.*.run".to_owned(), Dialect::Mysql),
            ("steps.*.then.run".to_owned(), Dialect::Mysql),
        ] {
            assert!(found.contains(&expected), "{expected:?} of {found:?}");
        }
    }
}

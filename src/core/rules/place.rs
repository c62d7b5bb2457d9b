//! Where in a blueprint the value at a pointer of a normal form comes from.

use crate::model::value::{Value, push_token, unescape_token};

/// The pointer, in the spec of a template, of what is at `pointer` in the normal form of one of its resources. It ends where the
/// template has an expression instead of a list or map.
pub fn written(template: &Value, normal: &Value, pointer: &str) -> String {
    let mut found = String::new();
    let (mut template, mut normal) = (template, Some(normal));
    for token in pointer.split('/').skip(1) {
        let name = unescape_token(token);
        let below = match normal {
            Some(Value::List(items)) => name.parse().ok().and_then(|at: usize| items.get(at)),
            other => other.and_then(|normal| normal.get(&name)),
        };
        match template {
            Value::List(items) => {
                let at = name.parse().ok().filter(|at: &usize| *at < items.len());
                let fits_there = |at: &usize| below.is_none_or(|below| fits(&items[*at], below));
                let found_at = at
                    .filter(fits_there)
                    .or_else(|| below.and_then(|below| items.iter().position(|item| fits(item, below))))
                    .or(at);
                let Some(at) = found_at else { return found };
                push_token(&mut found, &at.to_string());
                template = &items[at];
            }
            // A single item, of which the normal form makes a list.
            Value::Map(_) if matches!(normal, Some(Value::List(_))) => {}
            Value::Map(map) => {
                let Some(value) = map.get(&name) else { return found };
                push_token(&mut found, &name);
                template = value;
            }
            _ => return found,
        }
        normal = below;
    }
    found
}

/// Whether a value may have become of a part of a template.
fn fits(template: &Value, normal: &Value) -> bool {
    match (template, normal) {
        (Value::Text(text), _) if text.contains("${") => true,
        (Value::Map(template), Value::Map(normal)) => {
            template.iter().all(|(name, value)| normal.get(name).is_none_or(|normal| fits(value, normal)))
        }
        (Value::List(template), Value::List(normal)) => {
            template.iter().all(|item| normal.iter().any(|normal| fits(item, normal)))
        }
        (item, Value::List(normal)) => normal.iter().any(|normal| fits(item, normal)),
        (Value::Text(one), Value::Text(other)) => one == other,
        // Numbers and texts of them are the same in many kinds.
        (Value::Bool(one), Value::Bool(other)) => one == other,
        (Value::Integer(one), Value::Integer(other)) => one == other,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_sorted_list_is_followed_back_past_expressions() {
        let normal = Value::from(json!({"policy": {"Statement": [
            {"Sid": "a", "Resource": ["acme-x/*"]}, {"Sid": "b", "Resource": ["acme-y"]},
        ]}, "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}));
        let place = |template: serde_json::Value, pointer: &str| written(&Value::from(template), &normal, pointer);
        let template = json!({"policy": {"Statement": [
            {"Sid": "b", "Resource": "${tenant.name}-y"}, {"Sid": "a", "Resource": "${tenant.name}-x/*"},
        ]}, "env": [{"name": "A", "value": "${x}"}, {"name": "B", "value": "2"}]});
        assert_eq!(place(template.clone(), "/policy/Statement/0/Resource/0"), "/policy/Statement/1/Resource");
        assert_eq!(place(template.clone(), "/policy/Statement/1"), "/policy/Statement/0");
        assert_eq!(place(template, "/env/1/value"), "/env/1/value");
        let single = json!({"policy": {"Statement": {"Sid": "a", "Resource": "x"}}, "env": "${tenant.values.env}"});
        assert_eq!(place(single.clone(), "/policy/Statement/0/Resource/0"), "/policy/Statement/Resource");
        assert_eq!(place(single, "/env/1/value"), "/env");
    }
}

//! Which labels a selector selects.

use tenantry_core::model::value::{Map, Value};

/// Whether a map of labels (`matchLabels`, or the selector of a Service) fits; `None` while a value is not known.
pub fn fits(wanted: &Map, labels: Option<&Map>) -> Option<bool> {
    let mut known = true;
    for (key, value) in wanted.iter() {
        let label = labels.and_then(|labels| labels.get(key));
        if value.has_deferred() || label.is_some_and(Value::has_deferred) {
            known = false;
        } else if label != Some(value) {
            return Some(false);
        }
    }
    known.then_some(true)
}

/// Whether a label selector (`matchLabels` and `matchExpressions`) fits; one without either selects everything.
pub fn selects(selector: &Value, labels: Option<&Map>) -> Option<bool> {
    let mut result = match selector.get("matchLabels").and_then(Value::as_map) {
        Some(wanted) => fits(wanted, labels),
        None => Some(true),
    };
    for expression in selector.get("matchExpressions").and_then(Value::as_list).unwrap_or_default() {
        let text = |field: &str| expression.get(field).and_then(Value::as_str);
        let label = text("key").and_then(|key| labels.and_then(|labels| labels.get(key)));
        let values = expression.get("values").and_then(Value::as_list).unwrap_or_default();
        let holds = match text("operator") {
            _ if label.is_some_and(Value::has_deferred) || values.iter().any(Value::has_deferred) => None,
            Some("In") => Some(label.is_some_and(|label| values.contains(label))),
            Some("NotIn") => Some(label.is_none_or(|label| !values.contains(label))),
            Some("Exists") => Some(label.is_some()),
            Some("DoesNotExist") => Some(label.is_none()),
            _ => None,
        };
        result = match (result, holds) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        };
    }
    result
}

/// A map of labels, as it is read.
pub fn readable(labels: &Map) -> String {
    let pairs = labels.iter().map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or("…")));
    pairs.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(json: serde_json::Value) -> Map {
        Value::from(json).as_map().cloned().expect("a map")
    }

    #[test]
    fn a_selector_selects_labels() {
        let labels = map(json!({"app": "web", "tier": "front"}));
        for (selector, selected) in [
            (json!({}), true),
            (json!({"matchLabels": {"app": "web"}}), true),
            (json!({"matchLabels": {"app": "api"}}), false),
            (json!({"matchExpressions": [{"key": "app", "operator": "In", "values": ["web", "api"]}]}), true),
            (json!({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}), false),
            (json!({"matchExpressions": [{"key": "zone", "operator": "DoesNotExist"}]}), true),
            (
                json!({"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "zone", "operator": "Exists"}]}),
                false,
            ),
        ] {
            assert_eq!(selects(&Value::from(selector.clone()), Some(&labels)), Some(selected), "{selector}");
        }
        assert_eq!(fits(&map(json!({"app": "web"})), None), Some(false));
    }
}

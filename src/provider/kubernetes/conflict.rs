//! Fields that another manager owns.
//!
//! Without force the server refuses to change them, with a cause for each (API reference, "Server-Side Apply", conflicts).
//! Those that the estate applied before are ours: somebody has overwritten them, and putting them right is what an apply is
//! for. Any other was never ours, and who owns it may well write it again, so that both would go on for ever: that is for the
//! user to decide, by [`FORCE_CONFLICTS`] on the object.

use super::apply::to_write;
use super::error::Failure;
use super::mark::FORCE_CONFLICTS;
use tenantry_core::model::value::{Map, Value};

pub fn is_field_conflict(failure: &Failure) -> bool {
    failure.code() == Some(409) && failure.causes().iter().any(|cause| cause.reason == "FieldManagerConflict")
}

/// Whether an object says that it takes over what others own.
pub fn takes_over(spec: &Map) -> bool {
    let annotation = || spec.get("metadata")?.get("annotations")?.get(FORCE_CONFLICTS)?.as_str();
    annotation() == Some("true")
}

/// Whether all fields in conflict are ours to repair, by what was `applied` before.
///
/// # Errors
/// A conflict that names every field that is not, and its manager.
pub fn check_repair(applied: Option<&Map>, failure: &Failure) -> Result<(), Failure> {
    let applied = applied.map(|applied| Value::from(to_write(applied)));
    let conflicts = failure.causes().iter().filter(|cause| cause.reason == "FieldManagerConflict");
    let theirs: Vec<String> = conflicts
        .filter(|cause| !applied.as_ref().is_some_and(|applied| has(applied, &cause.field)))
        .map(|cause| format!("`{}` is managed by {}", cause.field.trim_start_matches('.'), manager(&cause.message)))
        .collect();
    if theirs.is_empty() {
        return Ok(());
    }
    Err(Failure::Conflict {
        message: theirs.join("; "),
        remedy: Some(format!(
            "remove these fields from the blueprint, or take them over with the annotation `{FORCE_CONFLICTS}: \"true\"` on the object"
        )),
    })
}

/// Of `conflict with "kubectl-edit" using v1`, the manager.
fn manager(message: &str) -> String {
    let name = message.strip_prefix("conflict with ").and_then(|rest| rest.split('"').nth(1));
    name.map_or_else(|| "another manager".to_owned(), |name| format!("`{name}`"))
}

/// Whether a value has the field at a path as the server writes it: `.spec.containers[name="web"].image`.
///
/// Names are written without quotes, so one that has a dot in it is only recognised by what is there.
fn has(value: &Value, path: &str) -> bool {
    if path.is_empty() {
        return true;
    }
    if let Some(rest) = path.strip_prefix('.') {
        let Value::Map(map) = value else { return false };
        return map.iter().any(|(name, below)| {
            rest.strip_prefix(&**name)
                .is_some_and(|rest| (rest.is_empty() || rest.starts_with(['.', '['])) && has(below, rest))
        });
    }
    let Some((selector, rest)) = path.strip_prefix('[').and_then(split_selector) else { return false };
    let Value::List(items) = value else { return false };
    if let Ok(index) = selector.parse::<usize>() {
        return items.get(index).is_some_and(|item| has(item, rest));
    }
    let keys = keys(selector);
    items.iter().any(|item| {
        let is_item = keys.iter().all(|(key, wanted)| match key.as_str() {
            "" => item.to_json() == *wanted,
            // A key that is not written is the server's default.
            key => item.get(key).is_none_or(|found| found.to_json() == *wanted),
        });
        is_item && has(item, rest)
    })
}

/// What stands before the closing bracket, and what comes after it. Brackets within quotes do not count.
fn split_selector(text: &str) -> Option<(&str, &str)> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ']' if !quoted => return Some((&text[..at], &text[at + 1..])),
            _ => {}
        }
    }
    None
}

/// `name="web",port=80` as names and values; `="x"` has an empty name.
fn keys(selector: &str) -> Vec<(String, serde_json::Value)> {
    let mut keys = Vec::new();
    let mut rest = selector;
    while let Some((name, after)) = rest.split_once('=') {
        let mut values = serde_json::Deserializer::from_str(after).into_iter::<serde_json::Value>();
        let Some(Ok(value)) = values.next() else { break };
        keys.push((name.to_owned(), value));
        rest = after.get(values.byte_offset()..).unwrap_or_default().trim_start_matches(',');
    }
    keys
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_of_the_server_is_found_in_what_was_applied() {
        let applied: Value = json!({
            "metadata": {"labels": {"app.kubernetes.io/name": "web"}, "finalizers": ["a.io/x"]},
            "spec": {"containers": [{"name": "web]", "image": "a", "ports": [{"containerPort": 80}]}]},
        })
        .into();
        for (path, expected) in [
            (".metadata.labels.app.kubernetes.io/name", true),
            (".metadata.labels.app.kubernetes.io/part-of", false),
            (".metadata.labels.app", false),
            (".metadata.finalizers[=\"a.io/x\"]", true),
            (".metadata.finalizers[=\"b.io/x\"]", false),
            (".spec.containers[name=\"web]\"].image", true),
            (".spec.containers[name=\"web]\"].ports[containerPort=80,protocol=\"TCP\"].containerPort", true),
            (".spec.containers[name=\"web]\"].ports[containerPort=81,protocol=\"TCP\"].containerPort", false),
            (".spec.containers[name=\"web]\"].imagePullPolicy", false),
            (".spec.replicas", false),
        ] {
            assert_eq!(has(&applied, path), expected, "{path}");
        }
    }

    #[test]
    fn the_manager_is_named() {
        assert_eq!(manager("conflict with \"kubectl-edit\" using v1"), "`kubectl-edit`");
        assert_eq!(manager("something else"), "another manager");
    }
}

//! What the kinds of every provider do with a spec: parse it, normalise it, and check it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::kind::Problem;
use super::value::{Map, Value};

/// A spec with its types.
///
/// # Errors
/// If the spec does not follow the kind's schema, or has a deferred value where a text does not do.
pub fn parse<T: DeserializeOwned>(spec: &Map) -> Result<T, serde_json::Error> {
    serde_json::from_value(Value::from(spec.clone()).to_json())
}

/// The fields of a spec while it is normalised. A field that is null counts as absent.
pub struct Fields(BTreeMap<Arc<str>, Value>);

impl Fields {
    pub fn of(spec: &Map) -> Self {
        let fields = spec.iter().filter(|(_, value)| !value.is_null());
        Self(fields.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }

    /// Sets a field that is absent.
    pub fn default(&mut self, name: &str, value: impl Into<Value>) {
        self.0.entry(name.into()).or_insert_with(|| value.into());
    }

    /// Sets a field that the normaliser computes.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.into(), value.into());
    }

    pub fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// Changes a field that is there.
    pub fn map(&mut self, name: &str, change: impl FnOnce(&Value) -> Value) {
        if let Some(value) = self.0.get_mut(name) {
            *value = change(value);
        }
    }

    /// Changes a field that is a text.
    pub fn map_text(&mut self, name: &str, change: impl FnOnce(&str) -> String) {
        self.map(name, |value| match value {
            Value::Text(text) => Value::from(change(text)),
            other => other.clone(),
        });
    }

    /// For a target that has an empty text in place of an absent field.
    pub fn drop_empty(&mut self) {
        self.0.retain(|_, value| value.as_str() != Some(""));
    }

    pub fn build(self) -> Map {
        self.0.into_iter().collect()
    }
}

/// Collects the problems of one spec.
#[derive(Default)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Adds an error.
    pub fn add(&mut self, pointer: impl Into<String>, message: impl Into<String>) {
        self.0.push(Problem::error(pointer, message));
    }

    /// Adds an error if the name is empty. Returns the name for further checks.
    pub fn name<'a>(&mut self, spec: &'a Map, field: &str) -> Option<&'a str> {
        let name = spec.get(field).and_then(Value::as_str)?;
        if name.is_empty() {
            self.add(format!("/{field}"), "a name cannot be empty");
        }
        Some(name)
    }

    pub fn into_list(self) -> Vec<Problem> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec(json: serde_json::Value) -> Map {
        Value::from(json).as_map().cloned().expect("a map")
    }

    #[test]
    fn what_is_null_is_absent_and_only_what_is_there_is_changed() {
        let mut fields = Fields::of(&spec(json!({"a": null, "b": "B", "c": 1, "d": ""})));
        assert_eq!((fields.get("a"), fields.text("b"), fields.text("c")), (None, Some("B"), None));
        fields.default("a", "x");
        fields.default("b", "x");
        for name in ["b", "c", "e"] {
            fields.map_text(name, str::to_lowercase);
        }
        fields.drop_empty();
        assert_eq!(fields.build(), spec(json!({"a": "x", "b": "b", "c": 1})));
    }

    #[test]
    fn a_name_is_not_empty() {
        let mut problems = Problems::default();
        let spec = spec(json!({"good": "a", "bad": "", "number": 1}));
        assert_eq!(["good", "bad", "number"].map(|field| problems.name(&spec, field)), [Some("a"), Some(""), None]);
        assert_eq!(problems.into_list(), [Problem::error("/bad", "a name cannot be empty")]);
    }
}

//! What the kinds of every provider do with a spec: parse it, normalise it, and check it.

use std::sync::{Arc, LazyLock};

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

/// The fields of a spec while it is normalised. A field that is null counts as absent, and one that is absent has its default.
pub struct Fields<'a> {
    /// Sorted by name.
    fields: Vec<(Arc<str>, Value)>,
    defaults: &'a Map,
}

impl<'a> Fields<'a> {
    /// The fields of a spec, with defaults for those that are absent.
    pub fn of(spec: &Map, defaults: &'a Map) -> Self {
        let fields = spec.iter().filter(|(_, value)| !value.is_null());
        let fields = fields.map(|(name, value)| (name.clone(), value.clone())).collect();
        let mut fields = Self { fields, defaults };
        fields.fill();
        fields
    }

    /// The fields of a part of a spec, which has no defaults.
    pub fn within(spec: &Map) -> Fields<'static> {
        static NONE: LazyLock<Map> = LazyLock::new(Map::default);
        Fields::of(spec, &NONE)
    }

    fn fill(&mut self) {
        for (name, value) in self.defaults.iter() {
            if let Err(at) = self.find(name) {
                self.fields.insert(at, (name.clone(), value.clone()));
            }
        }
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.fields.binary_search_by(|(key, _)| (**key).cmp(name))
    }

    pub fn get(&self, name: &str) -> Option<&Value> {
        self.find(name).ok().map(|at| &self.fields[at].1)
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }

    /// Sets a field that is absent, where the default depends on other fields.
    pub fn default(&mut self, name: &str, value: impl Into<Value>) {
        if let Err(at) = self.find(name) {
            self.fields.insert(at, (name.into(), value.into()));
        }
    }

    /// Sets a field that the normaliser computes.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        match self.find(name) {
            Ok(at) => self.fields[at].1 = value.into(),
            Err(at) => self.fields.insert(at, (name.into(), value.into())),
        }
    }

    pub fn remove(&mut self, name: &str) {
        if let Ok(at) = self.find(name) {
            self.fields.remove(at);
        }
    }

    /// Changes a field that is there.
    pub fn map(&mut self, name: &str, change: impl FnOnce(&Value) -> Value) {
        if let Ok(at) = self.find(name) {
            self.fields[at].1 = change(&self.fields[at].1);
        }
    }

    /// Changes a field that is a text.
    pub fn map_text(&mut self, name: &str, change: impl FnOnce(&str) -> String) {
        self.map(name, |value| match value {
            Value::Text(text) => Value::from(change(text)),
            other => other.clone(),
        });
    }

    /// Changes all of them together.
    pub fn replace(&mut self, change: impl FnOnce(&Map) -> Map) {
        let all = Map::from_fields(std::mem::take(&mut self.fields));
        self.fields = change(&all).iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    }

    /// Gives each number its one form.
    pub fn whole_numbers(&mut self) {
        for (_, value) in &mut self.fields {
            if matches!(value, Value::Float(_) | Value::List(_) | Value::Map(_)) {
                *value = value.with_whole_numbers();
            }
        }
    }

    /// For a target that has an empty text in place of an absent field.
    pub fn drop_empty(&mut self) {
        self.fields.retain(|(_, value)| value.as_str() != Some(""));
        self.fill();
    }

    pub fn build(self) -> Map {
        Map::from_fields(self.fields)
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
        let defaults = spec(json!({"a": "x", "b": "x", "d": "x"}));
        let mut fields = Fields::of(&spec(json!({"a": null, "b": "B", "c": 1, "d": "", "f": ""})), &defaults);
        assert_eq!((fields.get("a"), fields.text("b"), fields.text("c")), (Some(&"x".into()), Some("B"), None));
        for name in ["b", "c", "e"] {
            fields.map_text(name, str::to_lowercase);
        }
        fields.drop_empty();
        fields.default("b", "y");
        fields.default("e", "y");
        assert_eq!(fields.build(), spec(json!({"a": "x", "b": "b", "c": 1, "d": "x", "e": "y"})));
    }

    #[test]
    fn a_part_has_no_defaults_and_is_set_field_by_field() {
        let mut fields = Fields::within(&spec(json!({"a": 1, "c": null})));
        fields.set("b", 2);
        fields.set("a", 3);
        fields.replace(|all| all.with("z", true.into()));
        fields.remove("b");
        fields.remove("c");
        assert_eq!(fields.build(), spec(json!({"a": 3, "z": true})));
    }

    #[test]
    fn a_name_is_not_empty() {
        let mut problems = Problems::default();
        let spec = spec(json!({"good": "a", "bad": "", "number": 1}));
        assert_eq!(["good", "bad", "number"].map(|field| problems.name(&spec, field)), [Some("a"), Some(""), None]);
        assert_eq!(problems.into_list(), [Problem::error("/bad", "a name cannot be empty")]);
    }
}

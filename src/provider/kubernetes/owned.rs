//! Which fields of an object are ours, as the server has it on record.
//!
//! `metadata.managedFields` has a tree of fields for each manager (structured-merge-diff, "fieldpath"): `f:name` is a field,
//! `k:{"name":"web"}` an item of a list by its keys, `v:"x"` a value of a set, `.` the place itself. A place without
//! anything below it is owned whole.

use std::borrow::Cow;

use serde_json::{Map as JsonMap, Value as Json};

use super::mark::MANAGER;
use tenantry_core::model::value::Value;

type Tree = JsonMap<String, Json>;

/// What is known of our part of one place in an object.
#[derive(Clone, Copy, Debug)]
pub enum Owned<'a> {
    /// Nothing: we never applied the object, or it lies within a place that is owned whole.
    Unsaid,
    /// We applied the object, and this place is not ours, or no longer.
    Not,
    Ours(&'a Tree),
}

fn entries(object: &Json) -> impl Iterator<Item = &Json> {
    object.pointer("/metadata/managedFields").and_then(Json::as_array).into_iter().flatten()
}

fn text<'a>(entry: &'a Json, field: &str) -> &'a str {
    entry.get(field).and_then(Json::as_str).unwrap_or_default()
}

/// Whether an entry of the record is of the object itself: subresources such as `status` and `scale` belong to controllers.
fn is_of_object(entry: &Json) -> bool {
    text(entry, "subresource").is_empty()
}

/// Whether a manager has its fields by server-side apply: it goes on applying them.
pub fn is_applied(entry: &Json) -> bool {
    text(entry, "operation") == "Apply" && is_of_object(entry)
}

/// Whether a manager has its fields because it wrote them, and not by server-side apply.
pub fn is_written(entry: &Json) -> bool {
    text(entry, "operation") == "Update" && is_of_object(entry)
}

/// Whether an entry is what we apply.
pub fn is_of_us(entry: &Json) -> bool {
    is_applied(entry) && text(entry, "manager") == MANAGER
}

/// A manager other than Tenantry, with its part of an object and when it last wrote it.
pub struct Writer<'a> {
    pub manager: &'a str,
    /// As RFC 3339 writes it.
    pub time: Option<&'a str>,
    pub part: Owned<'a>,
}

/// Everybody else who has written fields of an object, its subresource `scale` included.
pub fn writers(object: &Json) -> impl Iterator<Item = Writer<'_>> {
    entries(object).filter(|entry| !is_of_us(entry) && text(entry, "subresource") != "status").map(|entry| Writer {
        manager: text(entry, "manager"),
        time: entry.get("time").and_then(Json::as_str),
        part: Owned::tree(entry),
    })
}

/// An item of a list in a tree.
pub enum Item {
    /// Fields and their values by which the item is found.
    Keys(Tree),
    Value(Json),
}

impl Item {
    /// Whether a value is the item.
    pub fn is(&self, value: &Value) -> bool {
        match self {
            Self::Keys(keys) => {
                value.as_map().is_some()
                    && keys.iter().all(|(key, wanted)| match value.get(key) {
                        Some(found) => found.to_json() == *wanted,
                        None => default_of(key).is_none_or(|default| *wanted == default),
                    })
                    && keys.keys().any(|key| value.get(key).is_some())
            }
            Self::Value(wanted) => value.to_json() == *wanted,
        }
    }
}

/// What the server has in place of a key that an item does not have. In its own types only ports have such a key
/// (`x-kubernetes-list-map-keys` of its `OpenAPI` document, with the defaults); `None` if any value may be it.
fn default_of(key: &str) -> Option<&'static str> {
    (key == "protocol").then_some("TCP")
}

/// Whether a wanted item and one that was found have the same value of a key.
pub fn is_same_key(key: &str, wanted: Option<&Value>, found: Option<&Value>) -> bool {
    let is_default = |value: &Value| default_of(key).is_none_or(|default| value.as_str() == Some(default));
    match (wanted, found) {
        (Some(wanted), Some(found)) => wanted == found,
        (None, Some(found)) => is_default(found),
        (Some(wanted), None) => default_of(key).is_some() && is_default(wanted),
        (None, None) => true,
    }
}

/// Whether a field is as desired, was written by somebody else, and is not ours: no longer asked for, it would stay.
pub fn is_unclaimed(desired: &Value, live: &Value, ours: Owned<'_>, theirs: Owned<'_>) -> bool {
    let Owned::Ours(_) = theirs else { return false };
    if ours.is_whole() || matches!(ours, Owned::Unsaid) {
        return false;
    }
    match (desired, live) {
        // An empty one is on nobody's record who applies it.
        (Value::Map(map), _) if map.is_empty() => false,
        (Value::List(items), _) if items.is_empty() => false,
        _ if theirs.is_whole() => matches!(ours, Owned::Not) && !desired.has_deferred() && desired == live,
        (Value::Map(desired), Value::Map(live)) => desired.iter().any(|(name, desired)| {
            live.get(name).is_some_and(|live| is_unclaimed(desired, live, ours.field(name), theirs.field(name)))
        }),
        (Value::List(desired), Value::List(live)) => {
            let our_items = ours.items().unwrap_or_default();
            theirs.items().unwrap_or_default().iter().any(|(item, theirs)| {
                let find = |values: &[Value]| values.iter().find(|value| item.is(value)).cloned();
                let (Some(desired), Some(live)) = (find(desired), find(live)) else { return false };
                let ours = our_items.iter().find(|(item, _)| item.is(&desired)).map_or(Owned::Not, |(_, ours)| *ours);
                is_unclaimed(&desired, &live, ours, *theirs)
            })
        }
        _ => false,
    }
}

impl<'a> Owned<'a> {
    /// Our part of an object, by the record of the API version that it was read in.
    pub fn of(object: &'a Json, api_version: &str) -> Self {
        let Some(entry) = entries(object).find(|entry| is_of_us(entry)) else {
            return Self::Unsaid;
        };
        match text(entry, "apiVersion") == api_version {
            true => Self::tree(entry),
            false => Self::Unsaid,
        }
    }

    /// Our part of an object, in whatever version it was applied.
    pub fn applied_by_us(object: &'a Json) -> Self {
        entries(object).find(|entry| is_of_us(entry)).map_or(Self::Unsaid, Self::tree)
    }

    /// The part of one entry of the record.
    pub fn of_entry(entry: &'a Json) -> Self {
        Self::tree(entry)
    }

    /// The parts that others wrote without applying them, such as an edit by hand.
    pub fn written_by_others(object: &'a Json) -> impl Iterator<Item = Self> {
        entries(object).filter(|entry| is_written(entry)).map(Self::tree)
    }

    /// The parts that others have by server-side apply.
    pub fn applied_by_others(object: &'a Json) -> impl Iterator<Item = Self> {
        entries(object).filter(|entry| is_applied(entry) && text(entry, "manager") != MANAGER).map(Self::tree)
    }

    /// Whether a manager whose part this is has the place at the tokens of a pointer into `value`, or something below it.
    pub fn has(self, value: &Value, tokens: &[Cow<'_, str>]) -> bool {
        let Self::Ours(_) = self else { return false };
        let Some((token, below)) = tokens.split_first() else { return true };
        if self.is_whole() {
            return true;
        }
        match value {
            Value::List(items) => {
                let Some(item) = token.parse().ok().and_then(|at: usize| items.get(at)) else { return false };
                let parts = self.items().unwrap_or_default();
                parts.iter().any(|(part, theirs)| part.is(item) && theirs.has(item, below))
            }
            other => self.field(token).has(other.get(token).unwrap_or(&Value::Null), below),
        }
    }

    fn tree(entry: &'a Json) -> Self {
        entry.get("fieldsV1").and_then(Json::as_object).map_or(Self::Unsaid, Self::Ours)
    }

    /// Our part of a field of this place.
    pub fn field(self, name: &str) -> Self {
        self.below(&format!("f:{name}"))
    }

    fn below(self, element: &str) -> Self {
        match self {
            Self::Ours(tree) if !self.is_whole() => match tree.get(element).and_then(Json::as_object) {
                Some(below) => Self::Ours(below),
                None => Self::Not,
            },
            Self::Ours(_) | Self::Unsaid => Self::Unsaid,
            Self::Not => Self::Not,
        }
    }

    /// Whether the place is ours and has no parts of its own: a scalar, or a list or map that the server replaces whole.
    pub fn is_whole(self) -> bool {
        matches!(self, Self::Ours(tree) if tree.keys().all(|element| element == "."))
    }

    /// The part of an item of this list.
    pub fn item(self, value: &Value) -> Self {
        match self {
            Self::Ours(_) => {
                let items = self.items().unwrap_or_default();
                items.into_iter().find(|(item, _)| item.is(value)).map_or(Self::Not, |(_, below)| below)
            }
            other => other,
        }
    }

    /// How this part names an item of the list, if it has it.
    pub fn element_of(self, value: &Value) -> Option<String> {
        let Self::Ours(tree) = self else { return None };
        let is_item = |element: &&String| {
            let keys = element.strip_prefix("k:").and_then(|keys| serde_json::from_str(keys).ok());
            keys.is_some_and(|keys| Item::Keys(keys).is(value))
        };
        tree.keys().find(is_item).cloned()
    }

    /// Names of the fields that tell the items of this list apart; `None` if there are none, or no item is in this part.
    pub fn key_names(self) -> Option<Vec<String>> {
        self.items()?.into_iter().find_map(|(item, _)| match item {
            Item::Keys(keys) => Some(keys.keys().cloned().collect()),
            Item::Value(_) => None,
        })
    }

    /// The items of a list that are ours, with what is ours of each; `None` if the list is not told apart by items.
    pub fn items(self) -> Option<Vec<(Item, Owned<'a>)>> {
        let Self::Ours(tree) = self else { return None };
        let item = |(element, below): (&'a String, &'a Json)| {
            let below = Self::Ours(below.as_object()?);
            if let Some(keys) = element.strip_prefix("k:") {
                return Some((Item::Keys(serde_json::from_str(keys).ok()?), below));
            }
            let value = element.strip_prefix("v:")?;
            Some((Item::Value(serde_json::from_str(value).ok()?), below))
        };
        let items: Vec<_> = tree.iter().filter_map(item).collect();
        (!items.is_empty()).then_some(items)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Whether something desired, which is there as desired, is unclaimed.
    fn unclaimed(desired: &Json, live: &Json, ours: &Json, theirs: &Json) -> bool {
        let tree = |json: &Json| json.as_object().cloned().expect("a tree");
        let (ours, theirs) = (tree(ours), tree(theirs));
        is_unclaimed(&Value::from(desired), &Value::from(live), Owned::Ours(&ours), Owned::Ours(&theirs))
    }

    #[test]
    fn what_somebody_else_wrote_and_the_blueprint_names_is_unclaimed_until_it_is_ours() {
        let (desired, live) = (json!({"data": {"a": "1", "b": "2"}}), json!({"data": {"a": "1", "b": "2", "c": "3"}}));
        let ours = json!({"f:data": {"f:a": {}}});
        assert!(unclaimed(&desired, &live, &ours, &json!({"f:data": {"f:b": {}}})));
        // Named by nobody, the server's own, or ours as well.
        assert!(!unclaimed(&desired, &live, &ours, &json!({"f:data": {"f:c": {}}})));
        assert!(!unclaimed(&desired, &live, &ours, &json!({"f:status": {"f:b": {}}})));
        let both = json!({"f:data": {"f:a": {}, "f:b": {}}});
        assert!(!unclaimed(&desired, &live, &both, &both));
        let empty = json!({"securityContext": {}, "args": []});
        assert!(!unclaimed(&empty, &empty, &ours, &json!({"f:securityContext": {}, "f:args": {}})));
        // Another value is a difference, and no question of whose it is.
        let other = json!({"data": {"a": "1", "b": "9"}});
        assert!(!unclaimed(&desired, &other, &ours, &json!({"f:data": {"f:b": {}}})));
    }

    #[test]
    fn items_of_lists_are_found_by_their_keys() {
        let desired = json!({"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}], "finalizers": ["x/y"]});
        let ours = json!({"f:env": {"k:{\"name\":\"A\"}": {".": {}, "f:name": {}, "f:value": {}}}});
        let item = json!({"f:env": {"k:{\"name\":\"B\"}": {".": {}, "f:name": {}, "f:value": {}}}});
        assert!(unclaimed(&desired, &desired, &ours, &item));
        let set = json!({"f:finalizers": {".": {}, "v:\"x/y\"": {}}});
        assert!(unclaimed(&desired, &desired, &ours, &set));
        let same = json!({"f:env": {"k:{\"name\":\"A\"}": {".": {}, "f:value": {}}}});
        assert!(!unclaimed(&desired, &desired, &ours, &same));
    }

    #[test]
    fn a_field_has_writers_beside_us() {
        let object = json!({
            "spec": {"replicas": 5, "containers": [{"name": "b", "image": "x"}, {"name": "a", "image": "y"}]},
            "metadata": {"managedFields": [
                {"manager": MANAGER, "operation": "Apply", "time": "2026-11-01T00:00:00Z", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
                {"manager": "kubectl-edit", "operation": "Update", "time": "2026-11-02T00:00:00Z",
                 "fieldsV1": {"f:spec": {"f:containers": {"k:{\"name\":\"a\"}": {"f:image": {}}}}}},
                {"manager": "scaler", "operation": "Update", "subresource": "scale", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
                {"manager": "controller", "operation": "Update", "subresource": "status", "fieldsV1": {"f:spec": {}}},
            ]},
        });
        let value = Value::from(&object);
        let who = |pointer: &str| -> Vec<&str> {
            let tokens: Vec<_> = pointer.split('/').skip(1).map(Cow::Borrowed).collect();
            writers(&object).filter(|writer| writer.part.has(&value, &tokens)).map(|writer| writer.manager).collect()
        };
        assert_eq!(who("/spec/replicas"), ["scaler"]);
        assert_eq!(who("/spec/containers/1/image"), ["kubectl-edit"]);
        assert_eq!(who("/spec/containers"), ["kubectl-edit"]);
        assert_eq!(who("/spec/containers/0/image"), [""; 0]);
        assert_eq!(who("/spec/containers/7/image"), [""; 0]);
        assert_eq!(who("/spec/paused"), [""; 0]);
    }
}

//! What a write has to know of the object that was observed, so that it need not be read again.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map as JsonMap, Value as Json, json};

use super::apply::to_write;
use super::owned::{Owned, is_of_us, is_written};
use tenantry_core::model::value::{Map, Value};

type Tree = JsonMap<String, Json>;

/// One version of an object, with its record of who has which field.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Version {
    pub uid: String,
    pub number: String,
    managed_fields: Vec<Json>,
    /// Items that somebody made of ours, as elements of the record's trees: see [`edits`](super::edited::edits).
    taken: Vec<Vec<String>>,
}

impl Version {
    /// `object` may have nothing but its metadata.
    pub fn of(object: &Json, taken: Vec<Vec<String>>) -> Self {
        let text = |pointer: &str| object.pointer(pointer).and_then(Json::as_str).unwrap_or_default().to_owned();
        let entries = object.pointer("/metadata/managedFields").and_then(Json::as_array);
        Self {
            uid: text("/metadata/uid"),
            number: text("/metadata/resourceVersion"),
            managed_fields: entries.cloned().unwrap_or_default(),
            taken,
        }
    }

    /// The record without times and without what is of the status.
    pub fn trees(&self) -> Vec<(&Json, Tree)> {
        let tree = |entry: &Json| {
            let mut tree = entry.get("fieldsV1")?.as_object()?.clone();
            tree.remove("f:status");
            (!tree.is_empty()).then_some(tree)
        };
        self.managed_fields.iter().filter_map(|entry| Some((entry.get("manager")?, tree(entry)?))).collect()
    }

    /// Whether somebody has made items of ours into others.
    pub fn has_taken(&self) -> bool {
        !self.taken.is_empty()
    }

    /// As [`Present::version`](tenantry_core::model::resource::Present::version).
    pub fn text(&self) -> Option<Arc<str>> {
        serde_json::to_string(self).ok().map(Into::into)
    }

    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The record as it has to be before the object is applied: edited items are ours, and what is ours is nobody's who once
    /// wrote it by hand. `None` if it is so already.
    pub fn record(&self) -> Option<Vec<Json>> {
        let mut entries = self.managed_fields.clone();
        let mut is_taken = false;
        for elements in &self.taken {
            is_taken |= take(&mut entries, elements);
        }
        match only_ours(&entries) {
            None => is_taken.then_some(entries),
            ours => ours,
        }
    }

    /// Whether an apply changes no field of others but those that were `applied` before, so that it may be forced.
    pub fn is_repair(&self, spec: &Map, applied: &Map) -> bool {
        let (spec, applied) = (Value::from(to_write(spec)), Value::from(to_write(applied)));
        let mut others = self.managed_fields.iter().filter(|entry| !is_of_us(entry));
        others.all(|entry| is_in_applied(Owned::of_entry(entry), &spec, &applied))
    }
}

/// Whether every field of a part that is desired was applied.
fn is_in_applied(part: Owned<'_>, desired: &Value, applied: &Value) -> bool {
    if part.is_whole() || matches!(part, Owned::Unsaid) {
        return !applied.is_null();
    }
    match desired {
        Value::Map(map) => map.iter().all(|(name, desired)| {
            let below = part.field(name);
            matches!(below, Owned::Not) || is_in_applied(below, desired, applied.get(name).unwrap_or(&Value::Null))
        }),
        Value::List(items) => part.items().unwrap_or_default().iter().all(|(item, below)| {
            let find = |items: &[Value]| items.iter().find(|value| item.is(value)).cloned();
            let Some(desired) = find(items) else { return true };
            let applied = applied.as_list().and_then(find).unwrap_or(Value::Null);
            is_in_applied(*below, &desired, &applied)
        }),
        _ => !applied.is_null(),
    }
}

/// Moves an item on the record from those who wrote it by hand to us; whether it is ours then.
fn take(entries: &mut [Json], elements: &[String]) -> bool {
    let version = entries.iter().find(|entry| is_of_us(entry)).and_then(|entry| entry.get("apiVersion")).cloned();
    let Some(version) = version else { return false };
    let mut taken: Option<Tree> = None;
    for entry in entries.iter_mut().filter(|entry| is_written(entry) && entry.get("apiVersion") == Some(&version)) {
        let Some(tree) = entry.get_mut("fieldsV1").and_then(Json::as_object_mut) else { continue };
        if let Some(Json::Object(part)) = removed(tree, elements) {
            merge(taken.get_or_insert_default(), part);
        }
    }
    let ours = entries.iter_mut().find(|entry| is_of_us(entry));
    let ours = ours.and_then(|entry| entry.get_mut("fieldsV1")?.as_object_mut());
    let (Some(mut taken), Some(ours)) = (taken, ours) else { return false };
    // Without it, only fields of the item would be ours, and not the item.
    taken.insert(".".to_owned(), json!({}));
    let mut place = ours;
    for element in elements {
        let below = place.entry(element.clone()).or_insert_with(|| json!({}));
        let Some(below) = below.as_object_mut() else { return false };
        place = below;
    }
    merge(place, taken);
    true
}

/// Takes a place out of a tree, and what has nothing below it then.
fn removed(tree: &mut Tree, elements: &[String]) -> Option<Json> {
    let (first, rest) = elements.split_first()?;
    if rest.is_empty() {
        return tree.remove(first);
    }
    let below = tree.get_mut(first)?.as_object_mut()?;
    let part = removed(below, rest);
    if below.keys().all(|element| element == ".") {
        tree.remove(first);
    }
    part
}

fn merge(tree: &mut Tree, other: Tree) {
    for (element, below) in other {
        match (tree.get_mut(&element).and_then(Json::as_object_mut), below) {
            (Some(place), Json::Object(below)) => merge(place, below),
            (None, below) => drop(tree.insert(element, below)),
            (Some(_), _) => {}
        }
    }
}

/// A record without our fields in what others have written by hand; `None` if they have none.
pub fn only_ours(entries: &[Json]) -> Option<Vec<Json>> {
    let ours = entries.iter().find(|entry| is_of_us(entry))?;
    let tree = ours.get("fieldsV1")?.as_object()?;
    let mut changed = false;
    let mut kept = Vec::with_capacity(entries.len());
    for entry in entries {
        // Who applies it goes on doing so: that would be a conflict to tell of. A subresource is the controller's.
        let theirs = entry.get("fieldsV1").and_then(Json::as_object);
        match theirs.filter(|_| is_written(entry) && entry.get("apiVersion") == ours.get("apiVersion")) {
            None => kept.push(entry.clone()),
            Some(theirs) => {
                let left = without(theirs, tree);
                changed |= left != *theirs;
                if !left.is_empty() {
                    let mut entry = entry.clone();
                    entry["fieldsV1"] = left.into();
                    kept.push(entry);
                }
            }
        }
    }
    changed.then_some(kept)
}
/// A tree of fields without those of another. An item of a list that is ours is so with all that the server filled into it.
fn without(theirs: &Tree, ours: &Tree) -> Tree {
    let is_whole = |element: &str, our: &Tree| {
        let is_item = element.starts_with("k:") || element.starts_with("v:");
        our.is_empty() || (is_item && our.contains_key("."))
    };
    let mut left = Tree::new();
    for (element, below) in theirs {
        let kept = match (ours.get(element).and_then(Json::as_object), below.as_object()) {
            (None, _) => below.clone(),
            (Some(our), Some(below)) if !is_whole(element, our) => {
                let inner = without(below, our);
                // A map of which nothing is left but that it is there.
                if inner.keys().all(|element| element == ".") {
                    continue;
                }
                inner.into()
            }
            (Some(_), _) => continue,
        };
        left.insert(element.clone(), kept);
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mark::MANAGER;

    fn tree(json: Json) -> Tree {
        json.as_object().cloned().expect("a tree")
    }

    #[test]
    fn what_is_ours_is_nobody_elses_any_more() {
        let theirs = tree(json!({
            "f:metadata": {"f:labels": {".": {}, "f:app": {}, "f:team": {}}, "f:annotations": {".": {}, "f:note": {}}},
            "f:spec": {
                "f:replicas": {},
                "f:strategy": {},
                "f:containers": {
                    "k:{\"name\":\"web\"}": {".": {}, "f:name": {}, "f:image": {}, "f:imagePullPolicy": {}},
                    "k:{\"name\":\"sidecar\"}": {".": {}, "f:name": {}, "f:image": {}},
                },
            },
        }));
        let ours = tree(json!({
            "f:metadata": {"f:labels": {"f:app": {}}, "f:annotations": {"f:note": {}}},
            "f:spec": {
                "f:replicas": {},
                "f:containers": {"k:{\"name\":\"web\"}": {".": {}, "f:name": {}, "f:image": {}}},
            },
        }));
        let left = json!({
            "f:metadata": {"f:labels": {".": {}, "f:team": {}}},
            "f:spec": {
                "f:strategy": {},
                "f:containers": {"k:{\"name\":\"sidecar\"}": {".": {}, "f:name": {}, "f:image": {}}},
            },
        });
        assert_eq!(Json::from(without(&theirs, &ours)), left);
        assert_eq!(without(&ours, &ours), Tree::new());
    }

    #[test]
    fn an_edited_item_is_ours_and_nobody_elses() {
        let (ours, edited) = (r#"k:{"name":"a"}"#, r#"k:{"name":"b"}"#);
        let entry = |manager: &str, operation: &str, fields: Json| json!({"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsV1": fields});
        let theirs = json!({"f:env": {".": {}, edited: {".": {}, "f:name": {}, "f:value": {}}}, "f:paused": {}});
        let object = json!({"metadata": {"uid": "u", "resourceVersion": "7", "managedFields": [
            entry(MANAGER, "Apply", json!({"f:env": {ours: {".": {}, "f:name": {}}}})),
            entry("kubectl-edit", "Update", theirs),
        ]}});
        let version = Version::of(&object, vec![vec!["f:env".to_owned(), edited.to_owned()]]);
        assert_eq!(version.text().as_deref().and_then(Version::parse), Some(version.clone()));
        let expected = [
            entry(
                MANAGER,
                "Apply",
                json!({"f:env": {ours: {".": {}, "f:name": {}}, edited: {".": {}, "f:name": {}, "f:value": {}}}}),
            ),
            entry("kubectl-edit", "Update", json!({"f:paused": {}})),
        ];
        assert_eq!(version.record().as_deref(), Some(&expected[..]));
        assert_eq!(Version::of(&object, Vec::new()).record(), None);
    }

    #[test]
    fn what_was_applied_before_may_be_put_right_by_force() {
        let map = |json: Json| Value::from(json).as_map().cloned().expect("a map");
        let fields = json!({"f:spec": {"f:replicas": {}, "f:env": {r#"k:{"name":"a"}"#: {"f:value": {}}}}});
        let object = json!({"metadata": {"managedFields": [
            {"manager": "hand", "operation": "Update", "apiVersion": "v1", "fieldsV1": fields},
        ]}});
        let version = Version::of(&object, Vec::new());
        let both = map(json!({"spec": {"replicas": 2, "env": [{"name": "a", "value": "1"}]}}));
        let fewer = map(json!({"spec": {"env": [{"name": "a", "value": "1"}]}}));
        let bare = map(json!({"spec": {"replicas": 2, "env": [{"name": "a"}]}}));
        assert!(version.is_repair(&both, &both));
        assert!(!version.is_repair(&both, &fewer));
        assert!(!version.is_repair(&both, &bare));
        assert!(version.is_repair(&fewer, &fewer));
    }

    #[test]
    fn only_what_was_written_is_taken_off_and_only_where_there_is_something() {
        let entry = |manager: &str, operation: &str, fields: Json| json!({"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsV1": fields});
        let data = json!({"f:data": {"f:a": {}}});
        let object = |others: &[Json]| {
            let mut entries = vec![entry(MANAGER, "Apply", data.clone())];
            entries.extend(others.iter().cloned());
            entries
        };
        let applied = entry("flux", "Apply", data.clone());
        let other = entry("kubectl", "Update", json!({"f:data": {"f:b": {}}}));
        let mut status = entry("controller", "Update", data.clone());
        status["subresource"] = "status".into();
        assert_eq!(only_ours(&object(&[applied.clone(), other.clone(), status])), None);
        let same = entry("kubectl", "Update", data.clone());
        let ours = entry(MANAGER, "Apply", data.clone());
        assert_eq!(only_ours(&object(&[same, other.clone(), applied.clone()])), Some(vec![ours, other, applied]));
    }
}

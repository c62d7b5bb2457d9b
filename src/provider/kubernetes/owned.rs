//! Which fields of an object are ours, as the server has it on record.
//!
//! `metadata.managedFields` has a tree of fields for each manager (structured-merge-diff, "fieldpath"): `f:name` is a field,
//! `k:{"name":"web"}` an item of a list by its keys, `v:"x"` a value of a set, `.` the place itself. A place without
//! anything below it is owned whole.

use serde_json::{Map as JsonMap, Value as Json};

use super::mark::MANAGER;

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

/// An item of a list in a tree.
pub enum Item {
    /// Fields and their values by which the item is found.
    Keys(Tree),
    Value(Json),
}

impl<'a> Owned<'a> {
    /// Our part of an object, by the record of the API version that it was read in.
    pub fn of(object: &'a Json, api_version: &str) -> Self {
        let entries = object.pointer("/metadata/managedFields").and_then(Json::as_array);
        let ours = entries.into_iter().flatten().find(|entry| {
            let is = |field: &str, text: &str| entry.get(field).and_then(Json::as_str) == Some(text);
            is("manager", MANAGER)
                && is("operation", "Apply")
                && entry.get("subresource").is_none_or(|subresource| subresource == "")
        });
        let Some(entry) = ours else { return Self::Unsaid };
        if entry.get("apiVersion").and_then(Json::as_str) != Some(api_version) {
            return Self::Unsaid;
        }
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

    /// The items of a list that are ours, with what is ours of each; nothing if the list is not told apart by items.
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

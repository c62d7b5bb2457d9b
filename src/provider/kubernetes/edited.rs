//! Items of lists whose key somebody has edited.
//!
//! Server-side apply tells items by their keys. With another key, an item of ours is gone for it, and the edited one is a new
//! one of somebody else: it would add ours beside that one, or be refused because both have the same name. So the edited item
//! is found here: written by hand, neither desired nor ever applied, in a list that lacks an item of ours, and like that item
//! in its other fields or in its place. It is taken onto our record before the next apply, which then takes it away (see
//! [`Version`](super::version::Version)).

use serde_json::Value as Json;

use super::owned::{Owned, is_same_key};
use tenantry_core::model::value::{Map, Value, push_token};

/// What was edited.
#[derive(Debug, Default, PartialEq)]
pub struct Edits {
    /// Pointers of lists with what is to be shown of them: the edited items in place of ours.
    pub shown: Vec<(String, Value)>,
    /// Where the record has the edited items, as elements of its trees.
    pub taken: Vec<Vec<String>>,
}

/// `live` is normalised, `applied` is what was written last, and `object` has the record.
pub fn edits(live: &Map, desired: &Map, applied: &Map, object: &Json) -> Edits {
    let mut finding = Finding { edits: Edits::default(), elements: Vec::new(), pointer: String::new(), lists: 0 };
    let place = Place {
        written: Owned::written_by_others(object).collect(),
        others: Owned::applied_by_others(object).collect(),
        ours: Owned::applied_by_us(object),
    };
    finding.maps(live, desired, applied, &place);
    finding.edits
}

/// One place of an object on the record of everybody.
struct Place<'a> {
    /// Of those who wrote it by hand.
    written: Vec<Owned<'a>>,
    /// Of those who apply it.
    others: Vec<Owned<'a>>,
    ours: Owned<'a>,
}

impl<'a> Place<'a> {
    fn below(&self, part: impl Fn(Owned<'a>) -> Owned<'a>) -> Self {
        let written = self.written.iter().map(|owned| part(*owned)).filter(|owned| matches!(owned, Owned::Ours(_)));
        let others = self.others.iter().map(|owned| part(*owned)).filter(|owned| matches!(owned, Owned::Ours(_)));
        Self { written: written.collect(), others: others.collect(), ours: part(self.ours) }
    }

    /// Names of the keys of a list; `None` if its items are not told apart by keys.
    fn keys(&self) -> Option<Vec<String>> {
        self.written.iter().chain([&self.ours]).find_map(|owned| owned.key_names())
    }

    /// How the record names an item that somebody has written by hand.
    fn element(&self, item: &Value) -> Option<String> {
        self.written.iter().find_map(|owned| owned.element_of(item))
    }
}

struct Finding {
    edits: Edits,
    elements: Vec<String>,
    pointer: String,
    /// How many lists are around the place.
    lists: usize,
}

impl Finding {
    /// What is to be shown of a map, if something below it was edited.
    fn maps(&mut self, live: &Map, desired: &Map, applied: &Map, place: &Place<'_>) -> Option<Value> {
        let mut shown: Option<Map> = None;
        for (name, wanted) in desired.iter() {
            let (Some(there), Some(was)) = (live.get(name), applied.get(name)) else { continue };
            let below = place.below(|owned| owned.field(name));
            if below.written.is_empty() {
                continue;
            }
            let length = self.pointer.len();
            push_token(&mut self.pointer, name);
            self.elements.push(format!("f:{name}"));
            let edited = self.values(there, wanted, was, &below);
            self.elements.pop();
            self.pointer.truncate(length);
            if let Some(edited) = edited {
                shown = Some(shown.unwrap_or_else(|| restricted_map(live, desired)).with(name, edited));
            }
        }
        shown.map(Into::into)
    }

    fn values(&mut self, live: &Value, desired: &Value, applied: &Value, place: &Place<'_>) -> Option<Value> {
        match (live, desired, applied) {
            (Value::Map(live), Value::Map(desired), Value::Map(applied)) => self.maps(live, desired, applied, place),
            (Value::List(live), Value::List(desired), Value::List(applied)) => {
                self.lists += 1;
                let shown = self.items(live, desired, applied, place);
                self.lists -= 1;
                // A list is compared whole, with every list that is in it.
                if let Some(shown) = shown.as_ref().filter(|_| self.lists == 0) {
                    self.edits.shown.push((self.pointer.clone(), shown.clone()));
                }
                shown
            }
            _ => None,
        }
    }

    fn items(&mut self, live: &[Value], desired: &[Value], applied: &[Value], place: &Place<'_>) -> Option<Value> {
        let keys = place.keys()?;
        let same = |a: &Value, b: &Value| keys.iter().all(|key| is_same_key(key, a.get(key), b.get(key)));
        let found: Vec<Option<usize>> =
            desired.iter().map(|wanted| live.iter().position(|there| same(wanted, there))).collect();
        let mut free: Vec<bool> = (0..live.len()).map(|at| !found.contains(&Some(at))).collect();
        let is_there = |was: &Value| live.iter().any(|there| same(was, there));
        // An edited item that is no longer desired counts too: the apply would have removed it under its old key.
        let mut made = vec![None; applied.len()];
        for (index, was) in applied.iter().enumerate().filter(|(_, was)| !is_there(was)) {
            let is_new = |there: &Value| !applied.iter().any(|was| same(was, there));
            let candidates = live.iter().enumerate().filter(|(at, there)| free[*at] && is_new(there));
            if let Some((at, element)) = made_of(was, index, &keys, place, candidates) {
                free[at] = false;
                made[index] = Some(at);
                let mut elements = self.elements.clone();
                elements.push(element);
                self.edits.taken.push(elements);
            }
        }
        let mut is_edited = made.iter().any(Option::is_some);
        let mut shown_made = |index: usize| {
            let at: usize = made[index].take()?;
            Some(with_keys(restricted(&live[at], &applied[index]), &live[at], &keys))
        };
        let mut shown = Vec::with_capacity(desired.len());
        for (wanted, found) in desired.iter().zip(&found) {
            let was = applied.iter().position(|was| same(wanted, was));
            match *found {
                Some(at) => {
                    let edited = was.and_then(|was| self.item(&live[at], wanted, &applied[was], place));
                    is_edited |= edited.is_some();
                    shown.push(edited.unwrap_or_else(|| restricted(&live[at], wanted)));
                }
                None => shown.extend(was.and_then(&mut shown_made)),
            }
        }
        shown.extend((0..applied.len()).filter_map(shown_made));
        is_edited.then(|| shown.into())
    }

    /// What is to be shown of an item that is still there, if something in it was edited.
    fn item(&mut self, live: &Value, desired: &Value, applied: &Value, place: &Place<'_>) -> Option<Value> {
        let element = place.element(live)?;
        let below = place.below(|owned| owned.item(live));
        self.elements.push(element);
        let edited = self.values(live, desired, applied, &below);
        self.elements.pop();
        edited
    }
}

/// Which of several items somebody made of an item of ours: its index, and how the record names it.
fn made_of<'v>(
    ours: &Value,
    place_of_ours: usize,
    keys: &[String],
    place: &Place<'_>,
    candidates: impl Iterator<Item = (usize, &'v Value)>,
) -> Option<(usize, String)> {
    let likeness = |there: &Value| {
        let fields =
            ours.as_map().into_iter().flat_map(Map::iter).filter(|(name, _)| !keys.iter().any(|key| **key == ***name));
        fields.filter(|(name, value)| there.get(name).is_some_and(|there| restricted(there, value) == **value)).count()
    };
    candidates
        .filter(|(_, there)| !place.others.iter().any(|owned| owned.element_of(there).is_some()))
        .filter_map(|(at, there)| Some((likeness(there), at == place_of_ours, at, place.element(there)?)))
        .filter(|(likeness, is_in_place, ..)| *likeness > 0 || *is_in_place)
        .max_by_key(|(likeness, is_in_place, at, _)| (*likeness, *is_in_place, std::cmp::Reverse(*at)))
        .map(|(_, _, at, element)| (at, element))
}

/// An item with its keys, which may have been edited though nobody has named them.
fn with_keys(item: Value, live: &Value, keys: &[String]) -> Value {
    let Value::Map(fields) = &item else { return item };
    let with = |fields: Map, key: &String| match live.get(key) {
        Some(value) => fields.with(key, value.clone()),
        None => fields,
    };
    keys.iter().fold(Map::clone(fields), with).into()
}

/// A value without the fields that another does not have.
fn restricted(value: &Value, like: &Value) -> Value {
    match (value, like) {
        (Value::Map(value), Value::Map(like)) => restricted_map(value, like).into(),
        (Value::List(value), Value::List(like)) if value.len() == like.len() => {
            value.iter().zip(like.iter()).map(|(value, like)| restricted(value, like)).collect::<Vec<_>>().into()
        }
        _ => value.clone(),
    }
}

fn restricted_map(value: &Map, like: &Map) -> Map {
    let fields = value.iter().filter_map(|(name, value)| Some((name.clone(), restricted(value, like.get(name)?))));
    fields.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(json: Json) -> Map {
        Value::from(json).as_map().cloned().expect("a map")
    }

    /// What is found where somebody has put `live` in place of `applied`, which is still desired; `theirs` is their tree.
    fn found(live: Json, applied: Json, theirs: Json, operation: &str) -> (Vec<(String, Json)>, Vec<String>) {
        let object = json!({"metadata": {"managedFields": [
            {"manager": "tenantry", "operation": "Apply", "apiVersion": "v1", "fieldsV1": {"f:metadata": {}}},
            {"manager": "kubectl-edit", "operation": operation, "apiVersion": "v1", "fieldsV1": theirs},
        ]}});
        let applied = map(applied);
        let Edits { shown, taken } = edits(&map(live), &applied, &applied, &object);
        let shown = shown.into_iter().map(|(pointer, value)| (pointer, value.to_json())).collect();
        (shown, taken.into_iter().map(|elements| elements.join(" ")).collect())
    }

    #[test]
    fn a_port_with_another_protocol_was_ours() {
        let applied = json!({"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81}]});
        let live = json!({"ports": [
            {"name": "a", "port": 80, "protocol": "UDP", "targetPort": 80},
            {"name": "b", "port": 81, "protocol": "TCP", "targetPort": 81},
        ]});
        let element = r#"k:{"port":80,"protocol":"UDP"}"#;
        let theirs = json!({"f:ports": {element: {".": {}, "f:name": {}, "f:port": {}, "f:protocol": {}}}});
        let (shown, taken) = found(live.clone(), applied.clone(), theirs.clone(), "Update");
        // The key that was edited shows, though the blueprint does not name it.
        assert_eq!(taken, [format!("f:ports {element}")]);
        assert_eq!(shown.len(), 1);
        assert_eq!(shown[0].1[0]["protocol"], "UDP");
        assert_eq!(shown[0].1[1], json!({"name": "b", "port": 81}));
        // Who applies it goes on doing so.
        assert_eq!(found(live, applied, theirs, "Apply"), (Vec::new(), Vec::new()));
    }

    #[test]
    fn what_was_added_beside_ours_was_not_ours() {
        let applied = json!({"containers": [{"name": "web", "image": "web:1"}]});
        let element = r#"k:{"name":"extra"}"#;
        let theirs = json!({"f:containers": {element: {".": {}, "f:name": {}, "f:image": {}}}});
        let both = json!({"containers": [{"name": "web", "image": "web:1"}, {"name": "extra", "image": "web:1"}]});
        assert_eq!(found(both, applied.clone(), theirs.clone(), "Update"), (Vec::new(), Vec::new()));
        // Ours is gone, and what is there has nothing of it but its place.
        let other = json!({"containers": [{"name": "extra", "image": "extra:1"}]});
        assert_eq!(found(other, applied, theirs, "Update").1, [format!("f:containers {element}")]);
    }

    #[test]
    fn an_edited_item_within_an_item_is_found() {
        let applied =
            json!({"containers": [{"name": "web", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}]});
        let live = json!({"containers": [
            {"name": "web", "env": [{"name": "C", "value": "1"}, {"name": "B", "value": "2"}], "imagePullPolicy": "Always"},
        ]});
        let (web, env) = (r#"k:{"name":"web"}"#, r#"k:{"name":"C"}"#);
        let theirs = json!({"f:containers": {web: {"f:env": {env: {".": {}, "f:name": {}, "f:value": {}}}}}});
        let (shown, taken) = found(live, applied, theirs, "Update");
        assert_eq!(taken, [format!("f:containers {web} f:env {env}")]);
        let expected = json!([{"name": "web", "env": [{"name": "C", "value": "1"}, {"name": "B", "value": "2"}]}]);
        assert_eq!(shown, [("/containers".to_owned(), expected)]);
    }
}

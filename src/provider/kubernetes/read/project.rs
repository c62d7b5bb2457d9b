//! An object as the server has it → the part of it that the estate owns.
//!
//! Owned is what is desired, and what the server has on record as applied by us: so a field that the blueprint no longer
//! names shows, and a default that the server filled in, or a container that a webhook added, does not. Items of lists are
//! found by the keys that the record names, never by their place alone where it names any.

use std::sync::Arc;

use crate::owned::{Item, Owned, is_same_key};
use tenantry_core::model::value::{Map, Value, push_token};

/// What [`project`] finds.
#[derive(Debug, Default, PartialEq)]
pub struct Projection {
    pub spec: Map,
    /// Pointers of fields that are ours and not desired, and in no list: a list is compared whole.
    pub claimed: Vec<String>,
    /// Pointers of maps of which nothing is ours any more although they are desired: somebody has replaced them whole, or
    /// merely taken over every field of them. Which of both, only the server can tell.
    pub doubtful: Vec<String>,
    /// Pointers of desired values that are to be secret, or not known yet, and that are not ours any more.
    pub lost: Vec<String>,
}

/// `live` and `desired` are normalised; `owned` is of the same object.
pub fn project(live: &Map, desired: &Map, owned: Owned<'_>) -> Projection {
    let mut projecting = Projecting { found: Projection::default(), pointer: String::new() };
    let spec = projecting.fields(live, desired, owned);
    Projection { spec, ..projecting.found }
}

struct Projecting {
    found: Projection,
    pointer: String,
}

impl Projecting {
    fn at<T>(&mut self, token: &str, of_field: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.pointer.len();
        push_token(&mut self.pointer, token);
        let result = of_field(self);
        self.pointer.truncate(length);
        result
    }

    fn fields(&mut self, live: &Map, desired: &Map, owned: Owned<'_>) -> Map {
        for (name, value) in desired.iter().filter(|(name, value)| value.has_deferred() && !live.contains(name)) {
            self.at(name, |inner| inner.note_lost(value, Owned::Not));
        }
        let mut fields: Vec<(Arc<str>, Value)> = Vec::with_capacity(desired.len());
        for (name, value) in live.iter() {
            let below = owned.field(name);
            let kept = match desired.get(name) {
                Some(desired) => Some(self.at(name, |inner| inner.value(value, desired, below))),
                None => left_behind(value, below).inspect(|_| self.at(name, Self::note_claimed)),
            };
            fields.extend(kept.map(|kept| (name.clone(), kept)));
        }
        Map::from_fields(fields)
    }

    fn value(&mut self, live: &Value, desired: &Value, owned: Owned<'_>) -> Value {
        match (live, desired) {
            (Value::Map(live), Value::Map(desired)) => {
                if matches!(owned, Owned::Not) {
                    self.found.doubtful.push(self.pointer.clone());
                }
                self.fields(live, desired, owned).into()
            }
            (Value::List(live), Value::List(desired)) => self.list(live, desired, owned),
            (live, desired) => {
                self.note_lost(desired, owned);
                live.clone()
            }
        }
    }

    fn note_lost(&mut self, desired: &Value, owned: Owned<'_>) {
        if desired.has_deferred() && matches!(owned, Owned::Not) {
            self.found.lost.push(self.pointer.clone());
        }
    }

    fn note_claimed(&mut self) {
        self.found.claimed.push(self.pointer.clone());
    }

    /// Lists are compared whole, so that what is left behind in an item shows as it is.
    fn list(&mut self, live: &[Value], desired: &[Value], owned: Owned<'_>) -> Value {
        let before = self.found.claimed.len();
        let items = self.items(live, desired, owned);
        self.found.claimed.truncate(before);
        items.into()
    }

    fn items(&mut self, live: &[Value], desired: &[Value], owned: Owned<'_>) -> Vec<Value> {
        let Some(ours) = owned.items() else {
            return self.by_place(live, desired, owned);
        };
        let mut kept = Vec::with_capacity(desired.len());
        let mut taken = vec![false; live.len()];
        for (index, wanted) in desired.iter().enumerate() {
            let of_item = ours.iter().find(|(item, _)| item.is(wanted));
            let found = match of_item {
                Some((item, _)) => live.iter().position(|candidate| item.is(candidate)),
                // It is not ours yet, or not any more: its keys are those of its siblings.
                None => same_item(wanted, live, ours.first().map(|(item, _)| item)),
            };
            if let Some(found) = found.filter(|found| !taken[*found]) {
                taken[found] = true;
                let below = of_item.map_or(Owned::Not, |(_, below)| *below);
                let item = self.at(&index.to_string(), |inner| inner.item(&live[found], wanted, below));
                kept.push(item);
            }
        }
        for (item, below) in &ours {
            let left = live.iter().zip(&taken).find(|(candidate, taken)| !**taken && item.is(candidate));
            kept.extend(left.and_then(|(candidate, _)| left_behind(candidate, *below)));
        }
        kept
    }

    fn item(&mut self, live: &Value, desired: &Value, owned: Owned<'_>) -> Value {
        // Of a set, the value itself is all there is.
        if owned.is_whole() { live.clone() } else { self.value(live, desired, owned) }
    }

    /// A list that is replaced whole, or of which nothing is on record.
    fn by_place(&mut self, live: &[Value], desired: &[Value], owned: Owned<'_>) -> Vec<Value> {
        // Somebody else has written it: everything in it counts.
        if matches!(owned, Owned::Not) {
            return live.to_vec();
        }
        let item = |inner: &mut Self, index: usize, value: &Value| match desired.get(index) {
            Some(wanted) => inner.at(&index.to_string(), |inner| inner.value(value, wanted, Owned::Unsaid)),
            None => value.clone(),
        };
        live.iter().enumerate().map(|(index, value)| item(self, index, value)).collect()
    }
}

/// What is ours of a place that is not desired, or no longer.
pub fn left_behind(live: &Value, owned: Owned<'_>) -> Option<Value> {
    if owned.is_whole() {
        return Some(live.clone());
    }
    let Owned::Ours(_) = owned else { return None };
    match live {
        Value::Map(map) => {
            let fields =
                map.iter().filter_map(|(name, value)| Some((name.clone(), left_behind(value, owned.field(name))?)));
            let fields: Map = fields.collect();
            (!fields.is_empty()).then(|| fields.into())
        }
        Value::List(items) => {
            let ours = owned.items()?;
            let kept: Vec<Value> = items
                .iter()
                .filter_map(|candidate| {
                    let (_, below) = ours.iter().find(|(item, _)| item.is(candidate))?;
                    if below.is_whole() { Some(candidate.clone()) } else { left_behind(candidate, *below) }
                })
                .collect();
            (!kept.is_empty()).then(|| kept.into())
        }
        other => Some(other.clone()),
    }
}

/// The live item with the same keys as a desired one.
fn same_item(wanted: &Value, live: &[Value], sibling: Option<&Item>) -> Option<usize> {
    match sibling {
        Some(Item::Keys(keys)) => live
            .iter()
            .position(|candidate| keys.keys().all(|key| is_same_key(key, wanted.get(key), candidate.get(key)))),
        _ => live.iter().position(|candidate| candidate == wanted),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    fn map(json: Json) -> Map {
        Value::from(json).as_map().cloned().expect("a map")
    }

    /// The projection of an object whose part that is ours is given as `fieldsV1`.
    fn projected(live: Json, desired: Json, fields: Json) -> Projection {
        let object = json!({"metadata": {"managedFields": [
            {"manager": "kubectl-edit", "operation": "Update", "apiVersion": "v1", "fieldsV1": {}},
            {"manager": "tenantry", "operation": "Apply", "apiVersion": "v1", "fieldsV1": fields},
        ]}});
        project(&map(live), &map(desired), Owned::of(&object, "v1"))
    }

    fn spec(projection: &Projection) -> Json {
        Value::from(projection.spec.clone()).to_json()
    }

    #[test]
    fn what_is_as_desired_shows_as_desired_whatever_the_server_added() {
        let desired = json!({"spec": {"replicas": 1, "containers": [
            {"name": "web", "image": "a:1", "ports": [{"containerPort": 80}], "env": [{"name": "A", "value": "1"}]},
        ]}});
        let live = json!({"spec": {"replicas": 1, "strategy": "RollingUpdate", "containers": [
            {"name": "sidecar", "image": "injected"},
            {
                "name": "web", "image": "a:1", "terminationMessagePath": "/dev/termination-log",
                "ports": [{"containerPort": 80, "protocol": "TCP"}], "env": [{"name": "A", "value": "1"}],
            },
        ]}});
        let fields = json!({"f:spec": {"f:replicas": {}, "f:containers": {"k:{\"name\":\"web\"}": {
            ".": {}, "f:name": {}, "f:image": {},
            "f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}},
            "f:env": {"k:{\"name\":\"A\"}": {".": {}, "f:name": {}, "f:value": {}}},
        }}}});
        let found = projected(live, desired.clone(), fields);
        assert_eq!(spec(&found), desired);
        assert_eq!((found.doubtful, found.lost), (Vec::<String>::new(), Vec::new()));
    }

    #[test]
    fn what_the_blueprint_no_longer_names_shows_as_long_as_it_is_ours() {
        let live = json!({"data": {"kept": "1", "ours": "2", "theirs": "3"}, "list": [{"name": "a"}, {"name": "b"}, {"name": "c"}]});
        let fields = json!({
            "f:data": {"f:kept": {}, "f:ours": {}},
            "f:list": {"k:{\"name\":\"a\"}": {".": {}, "f:name": {}}, "k:{\"name\":\"b\"}": {".": {}, "f:name": {}}},
        });
        let found = projected(live, json!({"data": {"kept": "1"}, "list": [{"name": "a"}]}), fields);
        assert_eq!(spec(&found), json!({"data": {"kept": "1", "ours": "2"}, "list": [{"name": "a"}, {"name": "b"}]}));
        assert_eq!(found.claimed, ["/data/ours"]);
    }

    #[test]
    fn a_map_that_is_given_up_whole_is_claimed_with_what_is_ours_of_it() {
        let live =
            json!({"data": {"ours": "1", "theirs": "2"}, "spec": {"ingress": [{}], "items": [{"name": "a", "x": 1}]}});
        let fields = json!({
            "f:data": {".": {}, "f:ours": {}},
            "f:spec": {"f:ingress": {}, "f:items": {"k:{\"name\":\"a\"}": {".": {}, "f:name": {}, "f:x": {}}}},
        });
        let found = projected(live, json!({"spec": {"items": [{"name": "a"}]}}), fields);
        let expected = json!({"data": {"ours": "1"}, "spec": {"ingress": [{}], "items": [{"name": "a", "x": 1}]}});
        assert_eq!(spec(&found), expected);
        assert_eq!(found.claimed, ["/data", "/spec/ingress"]);
    }

    #[test]
    fn a_list_that_somebody_else_wrote_counts_whole() {
        let desired = json!({"spec": {"ingress": [{"ports": [{"port": 80}]}]}});
        let live = json!({"spec": {"ingress": [{"ports": [{"port": 80, "protocol": "TCP"}]}]}});
        let ours = json!({"f:spec": {"f:ingress": {}}});
        assert_eq!(spec(&projected(live.clone(), desired.clone(), ours)), desired);
        let theirs = json!({"f:spec": {"f:other": {}}});
        assert_eq!(spec(&projected(live.clone(), desired, theirs)), live);
    }

    #[test]
    fn a_map_of_which_nothing_is_ours_any_more_is_doubtful() {
        let live = json!({"spec": {"podSelector": {"matchLabels": {"app": "web"}}}});
        let found = projected(live, json!({"spec": {"podSelector": {}}}), json!({"f:spec": {"f:policyTypes": {}}}));
        assert_eq!(found.doubtful, ["/spec/podSelector"]);
        let live = json!({"volume": {"emptyDir": {"sizeLimit": "1Gi"}}});
        let found = projected(live, json!({"volume": {"emptyDir": {}}}), json!({"f:volume": {"f:emptyDir": {}}}));
        assert_eq!(found.doubtful, Vec::<String>::new());
    }

    #[test]
    fn values_of_a_set_are_ours_or_not() {
        let live = json!({"metadata": {"finalizers": ["a.io/ours", "b.io/theirs", "c.io/left"]}});
        let fields = json!({"f:metadata": {"f:finalizers": {".": {}, "v:\"a.io/ours\"": {}, "v:\"c.io/left\"": {}}}});
        let found = projected(live, json!({"metadata": {"finalizers": ["a.io/ours"]}}), fields);
        assert_eq!(spec(&found), json!({"metadata": {"finalizers": ["a.io/ours", "c.io/left"]}}));
    }

    #[test]
    fn without_a_record_only_what_is_desired_shows() {
        let live = map(json!({"data": {"a": "1", "b": "2"}, "list": [{"name": "a", "x": 1}, {"name": "b"}]}));
        let desired = map(json!({"data": {"a": "0"}, "list": [{"name": "a"}]}));
        let found = project(&live, &desired, Owned::Unsaid);
        assert_eq!(spec(&found), json!({"data": {"a": "1"}, "list": [{"name": "a"}, {"name": "b"}]}));
    }
}

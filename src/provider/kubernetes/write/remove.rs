//! Fields that the plan removes and the server kept, and the record of who has which field.
//!
//! Server-side apply takes away what we applied and apply no more, unless another manager has the field on record as well.
//! Who applies it goes on doing so, and keeps it. Who once wrote it by hand, does not: such a field is removed by name, bound
//! to the version of the object that the apply answered. What nobody has on record is a default of the server.

use http::Method;
use serde_json::{Value as Json, json};

use super::{KubernetesWriter, Subject};
use crate::apply::to_write;
use crate::client::{Ask, JSON, MERGE};
use crate::error::Failure;
use crate::mark::MANAGER;
use crate::owned::Owned;
use crate::version::Version;
use tenantry_core::model::value::{Map, Value, push_token, unescape_token};
use tenantry_provider::contract::StepAction;

impl KubernetesWriter {
    /// Removes what is left of the fields that a step removes, and what is ours from the record of those who once wrote it. Asks
    /// nothing if there is neither. `object` is what the apply answered.
    ///
    /// # Errors
    /// If the server refuses, or the object has changed meanwhile.
    pub(super) async fn tidy(&self, subject: &Subject<'_>, object: &Json) -> Result<(), Failure> {
        let version = Version::of(object, Vec::new());
        let fields = match &subject.step.action {
            StepAction::Update { spec, before, removed, .. } => patch(&left(object, &before.spec, spec, removed)),
            _ => None,
        };
        let record = version.record();
        if fields.is_none() && record.is_none() {
            return Ok(());
        }
        self.merge(subject, &version, fields.unwrap_or_else(|| json!({})), record).await.map(|_| ())
    }

    /// Merges fields and a record into an object, bound to its version. Answers with the object as it is then.
    ///
    /// # Errors
    /// If the server refuses, or the object has changed meanwhile.
    pub(super) async fn merge(
        &self,
        subject: &Subject<'_>,
        version: &Version,
        mut body: Json,
        record: Option<Vec<Json>>,
    ) -> Result<Json, Failure> {
        body["metadata"]["uid"] = version.uid.as_str().into();
        body["metadata"]["resourceVersion"] = version.number.as_str().into();
        if let Some(record) = record {
            body["metadata"]["managedFields"] = record.into();
        }
        let path = format!("{}?fieldManager={MANAGER}", subject.path());
        let ask = Ask { method: Method::PATCH, path: &path, accept: JSON, content_type: Some(MERGE) };
        Ok(self.cluster.write(&ask, &body, &subject.expected()).await?.body)
    }
}

/// Pointers of the removed fields that somebody wrote by hand and that are still there.
fn left(object: &Json, before: &Map, spec: &Map, removed: &[String]) -> Vec<String> {
    let (before, spec) = (Value::from(to_write(before)), Value::from(to_write(spec)));
    let mut fields = Vec::new();
    for pointer in removed {
        // As it is written: see `to_write`.
        let written = pointer.strip_prefix("/stringData").map(|rest| format!("/data{rest}"));
        let pointer = written.filter(|_| before.get("stringData").is_none()).unwrap_or_else(|| pointer.clone());
        match before.pointer(&pointer) {
            Some(value) => below(value, pointer, &mut fields),
            None => fields.push(pointer),
        }
    }
    fields.retain(|pointer| {
        let is_in = |part: Owned<'_>| tokens(pointer).fold(part, |part, token| part.field(&token)).is_whole();
        spec.pointer(pointer).is_none()
            && object.pointer(pointer).is_some()
            && Owned::written_by_others(object).any(is_in)
            && !Owned::applied_by_others(object).any(is_in)
    });
    fields
}

/// The fields of a map, however deep; a list is one.
fn below(value: &Value, pointer: String, fields: &mut Vec<String>) {
    match value {
        Value::Map(map) if !map.is_empty() => {
            for (name, value) in map.iter() {
                let mut pointer = pointer.clone();
                push_token(&mut pointer, name);
                below(value, pointer, fields);
            }
        }
        _ => fields.push(pointer),
    }
}

fn tokens(pointer: &str) -> impl Iterator<Item = String> {
    pointer.split('/').skip(1).map(|token| unescape_token(token).to_string())
}

/// A merge patch (RFC 7396) that removes fields; `None` if there are none.
fn patch(pointers: &[String]) -> Option<Json> {
    let mut patch = json!({});
    for pointer in pointers {
        let tokens: Vec<String> = tokens(pointer).collect();
        let (last, parents) = tokens.split_last()?;
        let parent = parents.iter().fold(&mut patch, |place, token| {
            if !place[token.as_str()].is_object() {
                place[token.as_str()] = json!({});
            }
            &mut place[token.as_str()]
        });
        parent[last.as_str()] = Json::Null;
    }
    (!pointers.is_empty()).then_some(patch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(json: Json) -> Map {
        Value::from(json).as_map().cloned().expect("a map")
    }

    fn object(data: &Json, managers: &[(&str, &str, Json)]) -> Json {
        let entry = |(manager, operation, fields): &(&str, &str, Json)| json!({"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsV1": fields});
        let entries: Vec<Json> = managers.iter().map(entry).collect();
        json!({"metadata": {"managedFields": entries}, "data": data})
    }

    #[test]
    fn only_what_was_written_by_hand_is_removed_by_name() {
        let fields = |name: &str| json!({"f:data": {format!("f:{name}"): {}}});
        let live = json!({"kept": "1", "hand": "2", "applied": "3", "default": "4", "a/b": "5"});
        let object = object(
            &live,
            &[
                ("kubectl-edit", "Update", fields("hand")),
                ("helm", "Update", fields("applied")),
                ("flux", "Apply", fields("applied")),
                ("script", "Update", fields("a/b")),
            ],
        );
        let before = map(json!({"data": live}));
        let removed = ["/data/hand", "/data/applied", "/data/default", "/data/gone", "/data/a~1b"].map(str::to_owned);
        let spec = map(json!({"data": {"kept": "1"}}));
        let found = left(&object, &before, &spec, &removed);
        assert_eq!(found, ["/data/hand", "/data/a~1b"]);
        assert_eq!(patch(&found), Some(json!({"data": {"hand": null, "a/b": null}})));
        assert_eq!(patch(&[]), None);
    }

    #[test]
    fn of_a_map_that_is_given_up_whole_only_our_part_goes() {
        let object = object(
            &json!({"ours": "1", "theirs": "2"}),
            &[("kubectl", "Update", json!({"f:data": {".": {}, "f:ours": {}, "f:theirs": {}}}))],
        );
        let before = map(json!({"data": {"ours": "1"}}));
        assert_eq!(left(&object, &before, &Map::default(), &["/data".to_owned()]), ["/data/ours"]);
    }

    #[test]
    fn a_key_of_a_secret_is_removed_where_it_is_written() {
        let object = object(&json!({"token": "eA=="}), &[("kubectl", "Update", json!({"f:data": {"f:token": {}}}))]);
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "stringData": {"token": "x"}});
        assert_eq!(left(&object, &map(secret), &Map::default(), &["/stringData/token".to_owned()]), ["/data/token"]);
    }
}

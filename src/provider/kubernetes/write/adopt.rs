//! Taking an object over from who applied it before.
//!
//! Server-side apply takes over what it changes. Of a field that is already as asked for both managers are on record
//! (API reference, "Server-Side Apply", sharing): taken out of the blueprint later it would stay, since the other one still has
//! it. So what is ours is taken off the record of those who once wrote the object. It carries no mark until that is done: a
//! run that ends in between begins again.

use http::Method;
use serde_json::{Map as JsonMap, Value as Json, json};

use super::{KubernetesWriter, Subject};
use crate::apply::{Apply, apply};
use crate::client::{Ask, JSON, MERGE};
use crate::error::Failure;
use crate::mark::MANAGER;
use crate::owned::{is_applied, is_written};

type Tree = JsonMap<String, Json>;

impl KubernetesWriter {
    /// Applies without a mark, and makes sure that nobody else has our fields on record.
    ///
    /// # Errors
    /// If the server refuses, or the object has changed meanwhile.
    pub(super) async fn take_over(&self, subject: &Subject<'_>, uid: &str) -> Result<(), Failure> {
        let Subject { step: _, spec, resource } = subject;
        let request = Apply { resource, spec, mark: None, uid: Some(uid), force: true, dry_run: false };
        let object = apply(&self.cluster, &request).await?.object;
        self.own_alone(subject, &object).await
    }

    /// Takes what is ours off the record of those who wrote it, so that a field which is applied no more goes away: somebody
    /// had written it before the blueprint named it.
    ///
    /// # Errors
    /// If the server refuses, or the object has changed meanwhile.
    pub(super) async fn own_alone(&self, subject: &Subject<'_>, object: &Json) -> Result<(), Failure> {
        let Some(entries) = only_ours(object) else { return Ok(()) };
        let metadata = json!({
            "uid": object.pointer("/metadata/uid"),
            "resourceVersion": object.pointer("/metadata/resourceVersion"),
            "managedFields": entries,
        });
        let path = format!("{}?fieldManager={MANAGER}", subject.path());
        let ask = Ask { method: Method::PATCH, path: &path, accept: JSON, content_type: Some(MERGE) };
        self.cluster.write(&ask, &json!({"metadata": metadata}), &subject.expected()).await.map(|_| ())
    }
}

/// The record of an object without our fields in what others have written; `None` if they have none.
fn only_ours(object: &Json) -> Option<Vec<Json>> {
    let entries = object.pointer("/metadata/managedFields")?.as_array()?;
    let ours = entries.iter().find(|entry| is_applied(entry) && entry["manager"] == MANAGER)?;
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
    fn only_what_was_written_is_taken_off_and_only_where_there_is_something() {
        let entry = |manager: &str, operation: &str, fields: Json| json!({"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsV1": fields});
        let data = json!({"f:data": {"f:a": {}}});
        let object = |others: &[Json]| {
            let mut entries = vec![entry(MANAGER, "Apply", data.clone())];
            entries.extend(others.iter().cloned());
            json!({"metadata": {"managedFields": entries}})
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

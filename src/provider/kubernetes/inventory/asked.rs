//! A live object → what somebody asked for.
//!
//! The best record is the one that `kubectl apply` leaves in an annotation; then the fields that server-side apply has on
//! record, where nobody has written the object in another way; else the object as it is, without what the server fills in.
//! A record that the object no longer agrees with is none: it says what somebody asked for once.

use serde_json::{Map as JsonMap, Value as Json, json};

use super::reason::is_token_name;
use super::text;
use crate::owned::Owned;
use crate::read::left_behind;
use crate::types::object::Type;
use crate::types::{FILLED, normalise};
use tenantry_core::model::value::{Map, Value};

/// Where `kubectl apply` notes what it was given.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Annotations that controllers write on objects of others.
const NOTED: [&str; 6] = [
    "deployment.kubernetes.io/",
    "deprecated.daemonset.template.generation",
    "control-plane.alpha.kubernetes.io/",
    "pv.kubernetes.io/",
    "volume.beta.kubernetes.io/storage-provisioner",
    "volume.kubernetes.io/",
];

/// Labels that the server or a controller writes: of namespaces, and of Jobs and their pods.
const LABELLED: [&str; 5] = [
    "kubernetes.io/metadata.name",
    "controller-uid",
    "job-name",
    "batch.kubernetes.io/controller-uid",
    "batch.kubernetes.io/job-name",
];

/// What was asked for of a live object of a type.
pub fn asked(object: Json, of: Type<'_>) -> Json {
    let mut record = recorded(object, of);
    // Some tools write them down as null.
    remove(&mut record, &["metadata"], |field| FILLED.contains(&field));
    record
}

fn recorded(mut object: Json, of: Type<'_>) -> Json {
    let is_so = |record: &Json| agrees(&normalise(&map(record)).into(), &normalise(&map(&object)).into());
    if let Some(record) = last_applied(&object).filter(is_so) {
        return record;
    }
    if let Some(record) = applied(&object) {
        return record;
    }
    remove(&mut object, &["metadata", "annotations"], |name| name == LAST_APPLIED);
    without_filled(&mut object, of);
    object
}

fn map(object: &Json) -> Map {
    Value::from(object.clone()).as_map().cloned().unwrap_or_default()
}

/// The object as `kubectl apply` was given it.
fn last_applied(object: &Json) -> Option<Json> {
    let annotations = object.pointer("/metadata/annotations")?;
    let record: Json = serde_json::from_str(annotations.get(LAST_APPLIED)?.as_str()?).ok()?;
    let same = |pointer: &str| record.pointer(pointer) == object.pointer(pointer);
    // In another version the same object may look otherwise.
    ["/apiVersion", "/kind", "/metadata/name", "/metadata/namespace"].into_iter().all(same).then_some(record)
}

/// Whether everything that was asked for is so.
fn agrees(asked: &Value, live: &Value) -> bool {
    match (asked, live) {
        (Value::Map(asked), Value::Map(live)) => {
            asked.iter().all(|(name, value)| live.get(name).is_some_and(|live| agrees(value, live)))
        }
        (Value::List(asked), Value::List(live)) => {
            asked.len() == live.len() && asked.iter().zip(live.iter()).all(|(asked, live)| agrees(asked, live))
        }
        (asked, live) => asked == live,
    }
}

/// The fields that managers have applied, if nobody has written others.
fn applied(object: &Json) -> Option<Json> {
    let entries = object.pointer("/metadata/managedFields")?.as_array()?;
    let mut tree = JsonMap::new();
    for entry in entries {
        // The status, since 1.22.
        if entry.get("subresource").is_some_and(|subresource| subresource != "") {
            continue;
        }
        let fields = entry.get("fieldsV1")?.as_object()?;
        if text(entry, "/operation") != Some("Apply") {
            // Controllers note things in the metadata, and before 1.22 their status was not told apart.
            if fields.keys().any(|field| !matches!(&**field, "f:metadata" | "f:status")) {
                return None;
            }
            continue;
        }
        if entry.get("apiVersion") != object.get("apiVersion") {
            return None;
        }
        merge(&mut tree, fields);
    }
    if tree.is_empty() {
        return None;
    }
    let live = map(object);
    let fields = live.iter().filter(|(name, _)| &***name != "status");
    let fields =
        fields.filter_map(|(name, value)| Some((name.clone(), left_behind(value, Owned::Ours(&tree).field(name))?)));
    let mut record = Value::from(fields.collect::<Map>()).to_json();
    // Whose object it is, is on nobody's record.
    for field in ["apiVersion", "kind"] {
        record[field] = object[field].clone();
    }
    for field in ["name", "namespace"] {
        if let Some(value) = object["metadata"].get(field) {
            record["metadata"][field] = value.clone();
        }
    }
    Some(record)
}

fn merge(tree: &mut JsonMap<String, Json>, more: &JsonMap<String, Json>) {
    for (element, below) in more {
        let known = tree.entry(element.clone()).or_insert_with(|| json!({}));
        if let (Json::Object(known), Json::Object(below)) = (known, below) {
            merge(known, below);
        }
    }
}

/// Removes keys of a map that fit, and the map if nothing is left.
fn remove(object: &mut Json, path: &[&str], fits: impl Fn(&str) -> bool) {
    let Some((last, parents)) = path.split_last() else { return };
    let Some(parent) = parents.iter().try_fold(object, |value, name| value.get_mut(*name)) else { return };
    let Some(map) = parent.get_mut(*last).and_then(Json::as_object_mut) else { return };
    map.retain(|name, _| !fits(name));
    if map.is_empty()
        && let Some(parent) = parent.as_object_mut()
    {
        parent.remove(*last);
    }
}

/// Takes off what the server and its controllers fill in. The rest of defaults stays: nothing tells it from what was asked
/// for, and to ask for it changes nothing.
fn without_filled(object: &mut Json, of: Type<'_>) {
    remove(object, &["metadata", "annotations"], |name| NOTED.iter().any(|noted| name.starts_with(noted)));
    if let Some(finalizers) = object.pointer_mut("/metadata/finalizers").and_then(Json::as_array_mut) {
        finalizers.retain(|finalizer| finalizer.as_str().is_some_and(|name| !name.starts_with("kubernetes.io/")));
        if finalizers.is_empty() {
            remove(object, &["metadata"], |name| name == "finalizers");
        }
    }
    remove(object, &["status"], |_| true);
    let name = text(object, "/metadata/name").unwrap_or_default().to_owned();
    match (of.group, of.kind) {
        ("", "Namespace") => {
            remove(object, &["metadata", "labels"], |label| LABELLED.contains(&label));
            remove(object, &["spec"], |field| field == "finalizers");
        }
        ("", "Service") if text(object, "/spec/clusterIP") != Some("None") => {
            remove(object, &["spec"], |field| matches!(field, "clusterIP" | "clusterIPs"));
        }
        ("", "ServiceAccount") => {
            if let Some(secrets) = object.get_mut("secrets").and_then(Json::as_array_mut) {
                secrets.retain(|secret| !text(secret, "/name").is_some_and(|secret| is_token_name(secret, &name)));
                if secrets.is_empty() {
                    object.as_object_mut().map(|object| object.remove("secrets"));
                }
            }
        }
        // The scheduler's choice.
        ("", "Pod") => remove(object, &["spec"], |field| field == "nodeName"),
        ("batch", "Job") if object.pointer("/spec/manualSelector") != Some(&Json::Bool(true)) => {
            remove(object, &["metadata", "labels"], |label| LABELLED.contains(&label));
            remove(object, &["spec", "template", "metadata", "labels"], |label| LABELLED.contains(&label));
            remove(object, &["spec"], |field| field == "selector");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPLOYMENT: Type<'_> = Type { group: "apps", kind: "Deployment" };

    fn deployment(metadata: Json) -> Json {
        let mut object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "a", "uid": "1"},
            "spec": {"replicas": 1, "progressDeadlineSeconds": 600, "template": {"spec": {"containers": [
                {"name": "web", "image": "web:1", "imagePullPolicy": "Always", "resources": {"limits": {"cpu": "2"}}},
            ]}}},
            "status": {"replicas": 1},
        });
        for (name, value) in metadata.as_object().expect("fields") {
            object["metadata"][name] = value.clone();
        }
        object
    }

    /// As `kubectl apply` was given it, with a quantity as somebody may write it.
    fn given(replicas: u64) -> Json {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"annotations": {}, "name": "web", "namespace": "a"},
            "spec": {"replicas": replicas, "template": {"spec": {"containers": [
                {"name": "web", "image": "web:1", "resources": {"limits": {"cpu": "2000m"}}},
            ]}}},
        })
    }

    #[test]
    fn what_kubectl_was_given_counts_while_it_is_so() {
        let live =
            |given: &Json| deployment(json!({"annotations": {LAST_APPLIED: given.to_string(), "more": "theirs"}}));
        assert_eq!(asked(live(&given(1)), DEPLOYMENT), given(1));
        // Somebody has scaled it since.
        let found = asked(live(&given(3)), DEPLOYMENT);
        assert_eq!(found.pointer("/spec/replicas"), Some(&json!(1)));
        assert_eq!(found.pointer("/metadata/annotations"), Some(&json!({"more": "theirs"})));
        assert_eq!(found.pointer("/spec/progressDeadlineSeconds"), Some(&json!(600)));
        assert_eq!(found.get("status"), None);
    }

    #[test]
    fn what_was_applied_counts_where_nobody_wrote_more() {
        let ours = json!({"manager": "flux", "operation": "Apply", "apiVersion": "apps/v1", "fieldsV1": {"f:spec": {
            "f:replicas": {},
            "f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"web\"}": {".": {}, "f:name": {}, "f:image": {}}}}},
        }}});
        let status = json!({"manager": "kube-controller-manager", "operation": "Update", "apiVersion": "apps/v1",
            "fieldsV1": {"f:metadata": {"f:annotations": {}}, "f:status": {"f:replicas": {}}}});
        let found = asked(deployment(json!({"managedFields": [ours, status]})), DEPLOYMENT);
        let expected = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "a"},
            "spec": {"replicas": 1, "template": {"spec": {"containers": [{"name": "web", "image": "web:1"}]}}},
        });
        assert_eq!(found, expected);
        let edit = json!({"manager": "kubectl-edit", "operation": "Update", "apiVersion": "apps/v1",
            "fieldsV1": {"f:spec": {"f:progressDeadlineSeconds": {}}}});
        let found = asked(deployment(json!({"managedFields": [ours, edit]})), DEPLOYMENT);
        assert_eq!(found.pointer("/spec/progressDeadlineSeconds"), Some(&json!(600)));
    }

    #[test]
    fn what_the_server_fills_in_goes() {
        let found = |kind: &str, object: Json| asked(object, Type { group: "", kind });
        let service = json!({"metadata": {"name": "s"}, "spec": {"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"]}});
        assert_eq!(found("Service", service), json!({"metadata": {"name": "s"}}));
        let headless = json!({"metadata": {"name": "s"}, "spec": {"clusterIP": "None"}});
        assert_eq!(found("Service", headless.clone()), headless);
        let labels = json!({"kubernetes.io/metadata.name": "a", "team": "red"});
        let namespace = json!({"metadata": {"name": "a", "labels": labels}, "spec": {"finalizers": ["kubernetes"]}});
        assert_eq!(found("Namespace", namespace), json!({"metadata": {"name": "a", "labels": {"team": "red"}}}));
        let account = json!({"metadata": {"name": "ci"}, "secrets": [{"name": "ci-token-abcde"}, {"name": "own"}]});
        assert_eq!(found("ServiceAccount", account)["secrets"], json!([{"name": "own"}]));
    }
}

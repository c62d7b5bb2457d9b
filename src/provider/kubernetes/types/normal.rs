//! The one canonical form of an object.
//!
//! Applied to what is wanted and to what is there, before the two are compared, and to what is written: so it also mends
//! spellings that the server takes in one way of writing and refuses in another (an unquoted `cpu: 2`).
//!
//! Defaults are not filled in: what a blueprint does not say it does not own.

use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};

use super::fields::{BYTES, QUANTITIES, SETS, change_resource_lists, changed};
use super::object::Type;
use super::quantity::canonical;
use tenantry_core::model::value::{Map, Value};

/// Fields of `metadata` that only the server fills (API conventions, "Metadata").
pub const FILLED: [&str; 9] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generateName",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// Base64 as the server reads it.
const LENIENT: GeneralPurpose =
    GeneralPurpose::new(&base64::alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

/// See the module's page. Normalising twice is normalising once.
pub fn normalise(spec: &Map) -> Map {
    let mut object = without_nulls(&Value::from(spec.without("status"))).with_whole_numbers();
    let filled = |metadata: &Value| {
        let Value::Map(metadata) = metadata else { return metadata.clone() };
        let kept = metadata.iter().filter(|(name, value)| !FILLED.contains(&&***name) && !is_empty_notes(name, value));
        kept.map(|(name, value)| (name.clone(), value.clone())).collect::<Map>().into()
    };
    object = changed(&object, &["metadata"], &filled).unwrap_or(object);
    if let Some(of) = Type::of(spec) {
        object = if of.is_custom() || of.is("autoscaling.k8s.io", "VerticalPodAutoscaler") {
            change_resource_lists(&object, &canonical)
        } else {
            let object = QUANTITIES.change(of, object, &canonical);
            let object = BYTES.change(of, object, &canonical_bytes);
            SETS.change(of, object, &Value::as_set)
        };
        object = of_type(of, object);
    }
    match object {
        Value::Map(map) => Map::clone(&map),
        _ => spec.clone(),
    }
}

/// Labels or annotations without any.
fn is_empty_notes(name: &str, value: &Value) -> bool {
    matches!(name, "annotations" | "labels") && value.as_map().is_some_and(Map::is_empty)
}

/// A field that is null is as good as absent, in every type and in server-side apply.
fn without_nulls(value: &Value) -> Value {
    fn has_null(value: &Value) -> bool {
        match value {
            Value::Map(map) => map.iter().any(|(_, value)| value.is_null() || has_null(value)),
            Value::List(items) => items.iter().any(has_null),
            _ => false,
        }
    }
    match value {
        value if !has_null(value) => value.clone(),
        Value::Map(map) => {
            let kept = map.iter().filter(|(_, value)| !value.is_null());
            kept.map(|(name, value)| (name.clone(), without_nulls(value))).collect::<Map>().into()
        }
        Value::List(items) => Value::list(items.iter().map(without_nulls)),
        other => other.clone(),
    }
}

/// Bytes as the server gives them back. It takes line breaks in base64, and any bits after the last byte (Go's
/// `base64.StdEncoding`); blanks, which a folded text of YAML has in place of line breaks, it would refuse.
pub fn decoded(text: &str) -> Option<Vec<u8>> {
    let joined: String = text.chars().filter(|character| !character.is_ascii_whitespace()).collect();
    LENIENT.decode(joined).ok()
}

fn canonical_bytes(value: &Value) -> Value {
    match value.as_str().and_then(decoded) {
        Some(bytes) => STANDARD.encode(bytes).into(),
        // For the server to refuse.
        None => value.clone(),
    }
}

fn of_type(of: Type<'_>, object: Value) -> Value {
    match (of.group, of.kind) {
        ("", "ConfigMap" | "Secret") if object.get("immutable") == Some(&Value::Bool(false)) => {
            // As good as absent (`ValidateConfigMapUpdate` and `ValidateSecretUpdate` look for true).
            of_type(of, object.as_map().map_or_else(|| object.clone(), |map| map.without("immutable").into()))
        }
        ("", "Secret") => match &object {
            Value::Map(secret) => readable_secret(secret).into(),
            _ => object,
        },
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
            changed(&object, &["subjects"], &sorted_subjects).unwrap_or(object)
        }
        // One of the keys by which ports are told apart. Servers before 1.21 know no default for it in server-side apply.
        ("", "Service") => changed(&object, &["spec", "ports", "*"], &with_protocol).unwrap_or(object),
        _ => object,
    }
}

fn with_protocol(port: &Value) -> Value {
    match port {
        Value::Map(map) if !map.contains("protocol") => map.with("protocol", "TCP".into()).into(),
        other => other.clone(),
    }
}

/// Subjects are a set. They are sorted by name and not by all they have, so that a default that the server filled in does
/// not move one.
fn sorted_subjects(subjects: &Value) -> Value {
    let Value::List(items) = subjects else { return subjects.clone() };
    let key = |subject: &Value| {
        let text = |name: &str| subject.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        (text("kind"), text("namespace"), text("name"))
    };
    let mut items = items.to_vec();
    items.sort_by_key(key);
    items.dedup();
    items.into()
}

/// `data` that is text moves to `stringData`, which the server takes but never gives back. So a blueprint may say either.
fn readable_secret(secret: &Map) -> Map {
    let fields = |name: &str| secret.get(name).and_then(Value::as_map);
    let readable = |value: &Value| String::from_utf8(decoded(value.as_str()?)?).ok();
    let (mut texts, mut rest) = (Vec::new(), Vec::new());
    // Of one key in both the server takes `stringData`.
    let stated = fields("stringData");
    for (name, value) in fields("data").into_iter().flat_map(Map::iter) {
        match readable(value) {
            _ if stated.is_some_and(|stated| stated.contains(name)) => {}
            Some(text) => texts.push((name.clone(), text.into())),
            None => rest.push((name.clone(), value.clone())),
        }
    }
    texts.extend(stated.into_iter().flat_map(Map::iter).map(|(name, value)| (name.clone(), value.clone())));
    let mut secret = secret.clone();
    for (name, fields) in [("data", rest), ("stringData", texts)] {
        // A value that is no map stays for the server to refuse.
        if secret.get(name).is_none_or(|value| value.as_map().is_some()) {
            secret = if fields.is_empty() {
                secret.without(name)
            } else {
                secret.with(name, Map::from_fields(fields).into())
            };
        }
    }
    secret
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use tenantry_core::model::value::{Deferred, Part};

    fn normal(json: serde_json::Value) -> serde_json::Value {
        let Value::Map(spec) = Value::from(json) else { panic!("a map") };
        let once = normalise(&spec);
        assert_eq!(normalise(&once), once, "normalising twice is normalising once");
        Value::from(once).to_json()
    }

    #[test]
    fn quantities_are_canonical_where_they_are_quantities() {
        let object = json!({
            "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q", "namespace": "a"},
            "spec": {"hard": {"pods": 50, "requests.cpu": "6000m", "limits.memory": "1024Mi"}},
        });
        assert_eq!(normal(object)["spec"]["hard"], json!({"limits.memory": "1Gi", "pods": "50", "requests.cpu": "6"}));
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "a"},
            "spec": {"template": {"spec": {
                "containers": [{"name": "web", "env": [{"name": "CPU", "value": "1000m"}], "resources": {"limits": {"cpu": 0.5}}}],
                "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "1024Ki"}}],
            }}},
        });
        assert_eq!(
            normal(deployment)["spec"]["template"]["spec"],
            json!({
                "containers": [{"name": "web", "env": [{"name": "CPU", "value": "1000m"}], "resources": {"limits": {"cpu": "500m"}}}],
                "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "1Mi"}}],
            })
        );
    }

    #[test]
    fn of_a_custom_resource_only_texts_of_resource_lists_change() {
        let object = json!({
            "apiVersion": "mysql.oracle.com/v2", "kind": "InnoDBCluster", "metadata": {"name": "db", "namespace": "a"},
            "spec": {
                "instances": 3, "cpu": "1000m",
                "datadirVolumeClaimTemplate": {"resources": {"requests": {"storage": "1024Mi", "cpu": 2, "flavour": "007"}}},
            },
        });
        assert_eq!(
            normal(object)["spec"],
            json!({
                "instances": 3, "cpu": "1000m",
                "datadirVolumeClaimTemplate": {"resources": {"requests": {"storage": "1Gi", "cpu": 2, "flavour": "007"}}},
            })
        );
    }

    #[test]
    fn what_the_server_fills_is_left_out() {
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "c", "namespace": "a", "uid": "1", "resourceVersion": "7", "creationTimestamp": null, "labels": {}},
            "data": {"a": "b", "gone": null}, "status": {},
        });
        assert_eq!(
            normal(object),
            json!({
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "a"}, "data": {"a": "b"},
            })
        );
    }

    #[test]
    fn data_of_a_secret_is_readable_where_it_is_text() {
        let object = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "a"},
            "data": {"user": "YW5u", "binary": "/w==", "both": "b25l", "broken": "?"}, "stringData": {"both": "two"},
        });
        let normal = normal(object);
        assert_eq!(normal["stringData"], json!({"both": "two", "user": "ann"}));
        assert_eq!(normal["data"], json!({"binary": "/w==", "broken": "?"}));
    }

    #[test]
    fn base64_is_compared_by_its_bytes() {
        let normal = |data: &str| {
            normal(json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "a"}, "data": {"k": data},
            }))
        };
        // Lines as base64(1) and YAML's `|` write them, with Windows' line ends, and folded to blanks by YAML's `>`.
        for text in ["aGVs\nbG8=\n", "aGVs\r\nbG8=\r\n", "aGVs bG8=", " aGVsbG8="] {
            assert_eq!(normal(text)["stringData"], json!({"k": "hello"}), "{text:?}");
        }
        // Bits after the last byte, and bytes that are no text.
        assert_eq!(normal("YR==")["stringData"], json!({"k": "a"}));
        assert_eq!(normal("//\n79\n")["data"], json!({"k": "//79"}));
        // What the server refuses stays as it is.
        for text in ["aGVsbG8", "aGVs-_8=", "?"] {
            assert_eq!(normal(text)["data"], json!({"k": text}), "{text:?}");
        }
    }

    #[test]
    fn every_field_of_bytes_is_compared_by_its_bytes() {
        let wrapped = "AAEC\nAwQF\n";
        let map = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "a"},
            "binaryData": {"k": wrapped}, "data": {"k2": wrapped},
        });
        assert_eq!(normal(map.clone())["binaryData"]["k"], "AAECAwQF");
        assert_eq!(normal(map)["data"]["k2"], wrapped, "a text of a ConfigMap is a text");
        let service = json!({
            "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": "v1.x.io"},
            "spec": {"caBundle": wrapped},
        });
        assert_eq!(normal(service)["spec"]["caBundle"], "AAECAwQF");
        let hooks = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": "h"}, "webhooks": [{"name": "a.x.io", "clientConfig": {"caBundle": wrapped}}],
        });
        assert_eq!(normal(hooks)["webhooks"][0]["clientConfig"]["caBundle"], "AAECAwQF");
    }

    #[test]
    fn what_is_not_immutable_does_not_say_so() {
        for kind in ["ConfigMap", "Secret"] {
            let object = |immutable: bool| json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "c"}, "immutable": immutable});
            assert_eq!(normal(object(false)).get("immutable"), None);
            assert_eq!(normal(object(true))["immutable"], true);
        }
    }

    #[test]
    fn a_deferred_value_survives() {
        let deferred = Value::Deferred(Arc::new(Deferred { parts: vec![Part::Text("x".into())] }));
        let Value::Map(spec) = Value::from(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}))
            .with_pointer("/stringData/password", deferred.clone())
            .with_pointer("/data/other", deferred.clone())
        else {
            panic!("a map")
        };
        let normal = Value::from(normalise(&spec));
        assert_eq!(normal.pointer("/stringData/password"), Some(&deferred));
        assert_eq!(normal.pointer("/data/other"), Some(&deferred));
    }

    #[test]
    fn sets_of_rbac_have_no_order() {
        let role = |verbs: &[&str]| {
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "r", "namespace": "a"},
                "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": verbs}],
            })
        };
        assert_eq!(normal(role(&["list", "get", "get"])), normal(role(&["get", "list"])));
        let binding = |subjects: serde_json::Value| {
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "r", "namespace": "a"},
                "roleRef": {"kind": "Role", "name": "r"}, "subjects": subjects,
            })
        };
        let (ann, ben) = (json!({"kind": "User", "name": "ann"}), json!({"kind": "User", "name": "ben"}));
        assert_eq!(normal(binding(json!([ben, ann]))), normal(binding(json!([ann, ben]))));
    }
}

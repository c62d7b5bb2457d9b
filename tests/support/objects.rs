//! Objects of every sort that a tenant is made of, as conformance cases.

use serde_json::{Value as Json, json};
use tenantry_provider::conformance::Case;

use super::kubernetes::{World, object, with};

const OBJECT: &str = "kubernetes.object";

/// A definition with a schema that fills in a default.
pub fn definition(group: &str, kind: &str) -> Json {
    let plural = format!("{}s", kind.to_lowercase());
    with(
        object("apiextensions.k8s.io/v1", "CustomResourceDefinition", None, &format!("{plural}.{group}")),
        json!({"spec": {
            "group": group, "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase(), "listKind": format!("{kind}List")},
            "versions": [{
                "name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "properties": {
                        "size": {"type": "integer"},
                        "flavour": {"type": "string", "default": "plain"},
                        "names": {"type": "array", "items": {"type": "string"}},
                    }},
                    "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                }}},
            }],
        }}),
    )
}

fn pod(image: &str, more: Json) -> Json {
    json!({
        "metadata": {"labels": {"app": "web"}},
        "spec": {
            "containers": [with(json!({"name": "web", "image": image, "ports": [{"containerPort": 80}]}), more)],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
        },
    })
}

/// The API version of `CronJob` where nobody asks a server (since 1.21).
pub const CRON_JOBS: &str = "batch/v1";

/// The version in which the server has `CronJob`: `batch/v1beta1` before 1.21.
pub async fn cron_jobs(world: &World) -> &'static str {
    let served = world.get("/apis/batch/v1").await;
    let has = served["resources"].as_array().is_some_and(|all| all.iter().any(|one| one["kind"] == "CronJob"));
    if has { CRON_JOBS } else { "batch/v1beta1" }
}

/// One case for each sort; namespaces and definitions end with a suffix, because they belong to the whole server.
#[expect(clippy::too_many_lines, reason = "a table of cases")]
pub fn cases(suffix: &str, cron_jobs: &str) -> Vec<Case> {
    let namespace = |case: &str| format!("{case}-{suffix}");
    let in_namespace = |api_version: &str, kind: &str, first: Json, second: Json| {
        let namespace = namespace(&kind.to_lowercase());
        let bare = || object(api_version, kind, Some(&namespace), "subject");
        Case {
            kind: OBJECT,
            needs: vec![(OBJECT, object("v1", "Namespace", None, &namespace))],
            spec: with(bare(), first),
            updated: with(bare(), second),
            apart: false,
            holds: Vec::new(),
            adds: false,
            lenient: &[],
        }
    };
    let named = |name: &str| object("v1", "Namespace", None, &namespace(name));
    let mut labelled = named("alone");
    labelled["metadata"]["labels"] = json!({"team": "blue"});
    labelled["metadata"]["annotations"] = json!({"note": "kept"});
    let group = format!("g{suffix}.example.com");
    let mut wider = definition(&group, "Widget");
    wider["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["colour"] =
        json!({"type": "string"});
    let gadgets = format!("h{suffix}.example.com");
    let mut gadget = in_namespace(
        &format!("{gadgets}/v1"),
        "Gadget",
        json!({"spec": {"size": 1, "names": ["a", "b"]}}),
        json!({"spec": {"size": 2, "names": ["b"], "flavour": "sour"}}),
    );
    gadget.needs.push((OBJECT, definition(&gadgets, "Gadget")));
    vec![
        Case {
            kind: OBJECT,
            needs: vec![],
            spec: named("alone"),
            updated: labelled,
            apart: false,
            holds: Vec::new(),
            adds: false,
            lenient: &[],
        },
        Case {
            kind: OBJECT,
            needs: vec![],
            spec: definition(&group, "Widget"),
            updated: wider,
            apart: false,
            holds: Vec::new(),
            adds: false,
            lenient: &[],
        },
        gadget,
        in_namespace("v1", "ConfigMap", json!({"data": {"a": "1", "b": "2"}}), json!({"data": {"a": "3", "c": "4"}})),
        in_namespace(
            "v1",
            "Secret",
            json!({"stringData": {"user": "ann", "gone": "x"}, "data": {"binary": "/w=="}}),
            json!({"stringData": {"user": "ben", "more": "y"}, "data": {"text": "dGV4dA=="}}),
        ),
        in_namespace("v1", "ServiceAccount", json!({}), json!({"automountServiceAccountToken": false})),
        in_namespace(
            "v1",
            "ResourceQuota",
            json!({"spec": {"hard": {"requests.cpu": "6000m", "pods": 50, "limits.memory": "1024Mi"}}}),
            json!({"spec": {"hard": {"requests.cpu": 8, "pods": "60"}}}),
        ),
        in_namespace(
            "v1",
            "LimitRange",
            json!({"spec": {"limits": [{"type": "Container", "default": {"cpu": 1, "memory": "1000Mi"}}]}}),
            json!({"spec": {"limits": [{"type": "Container", "default": {"cpu": "2000m"}, "defaultRequest": {"cpu": "0.1"}}]}}),
        ),
        in_namespace(
            "networking.k8s.io/v1",
            "NetworkPolicy",
            json!({"spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": [{"podSelector": {}}]}]}}),
            json!({"spec": {
                "podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress", "Egress"],
                "ingress": [{"ports": [{"port": 80}]}], "egress": [{}],
            }}),
        ),
        in_namespace(
            "rbac.authorization.k8s.io/v1",
            "Role",
            json!({"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "get"]}]}),
            json!({"rules": [{"apiGroups": ["apps", ""], "resources": ["deployments"], "verbs": ["get"]}]}),
        ),
        in_namespace(
            "rbac.authorization.k8s.io/v1",
            "RoleBinding",
            json!({"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}, "subjects": []}),
            json!({
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
                "subjects": [{"kind": "User", "name": "zoe"}, {"kind": "User", "name": "ann"}],
            }),
        ),
        in_namespace(
            "apps/v1",
            "Deployment",
            json!({"spec": {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": pod("web:1", json!({}))}}),
            json!({"spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": pod("web:2", json!({
                "env": [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
                "resources": {"requests": {"cpu": "0.5", "memory": "1024Mi"}},
                "readinessProbe": {"httpGet": {"path": "/", "port": 80}},
            }))}}),
        ),
        in_namespace(
            "v1",
            "Service",
            json!({"spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}}),
            json!({"spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}, {"name": "s", "port": 443}]}}),
        ),
        in_namespace(
            "networking.k8s.io/v1",
            "Ingress",
            json!({"spec": {"rules": [{"host": "a.example.com", "http": {"paths": [
                {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "web", "port": {"number": 80}}}},
            ]}}]}}),
            json!({"spec": {"tls": [{"hosts": ["a.example.com"], "secretName": "tls"}], "rules": [{"host": "a.example.com", "http": {"paths": [
                {"path": "/b", "pathType": "Exact", "backend": {"service": {"name": "web", "port": {"number": 81}}}},
            ]}}]}}),
        ),
        in_namespace(
            cron_jobs,
            "CronJob",
            json!({"spec": {"schedule": "0 3 * * *", "jobTemplate": {"spec": {"template": {"spec": {
                "restartPolicy": "Never", "containers": [{"name": "backup", "image": "backup:1"}],
            }}}}}}),
            json!({"spec": {"schedule": "0 4 * * *", "suspend": true, "jobTemplate": {"spec": {"template": {"spec": {
                "restartPolicy": "OnFailure", "containers": [{"name": "backup", "image": "backup:2", "args": ["--all"]}],
            }}}}}}),
        ),
        in_namespace(
            "v1",
            "PersistentVolumeClaim",
            json!({"spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "none", "resources": {"requests": {"storage": "1024Mi"}}}}),
            json!({
                "metadata": {"name": "subject", "namespace": namespace("persistentvolumeclaim"), "labels": {"tier": "gold"}},
                "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "none", "resources": {"requests": {"storage": "1Gi"}}},
            }),
        ),
    ]
}

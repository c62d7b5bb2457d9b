//! What has to exist before an object: identities of others, which count where they are asked for too.

use super::object::{self, Type, at, pod_spec_path};
use super::sorts;
use tenantry_core::model::resource::Identity;
use tenantry_core::model::value::{Map, Value};

/// Identities of objects that `spec` cannot do without. A guess that no object has is of no consequence.
pub fn needs(spec: &Map) -> Vec<Identity> {
    let Some(of) = Type::of(spec) else { return Vec::new() };
    let mut needs = Vec::new();
    let namespace = object::namespace(spec).filter(|_| sorts::is_namespaced(spec));
    if let Some(namespace) = namespace {
        needs.push(object::identity_of(Type { group: "", kind: "Namespace" }, "", namespace));
    }
    if of.is_custom() || sorts::of(of).is_none() {
        needs.extend(definitions(of));
    }
    let mut name = |group: &str, kind: &str, name: Option<&Value>| {
        if let Some(name) = name.and_then(Value::as_str) {
            let namespace = namespace.filter(|_| !matches!(kind, "ClusterRole" | "StorageClass" | "PriorityClass"));
            needs.push(object::identity_of(Type { group, kind }, namespace.unwrap_or_default(), name));
        }
    };
    match (of.group, of.kind) {
        // The server looks a role up to see whether who binds it may do all it allows (RBAC, "escalation").
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
            let kind = at(spec, &["roleRef", "kind"]).and_then(Value::as_str);
            if let Some(kind @ ("Role" | "ClusterRole")) = kind {
                name(of.group, kind, at(spec, &["roleRef", "name"]));
            }
        }
        ("", "PersistentVolumeClaim") => {
            name("storage.k8s.io", "StorageClass", at(spec, &["spec", "storageClassName"]));
        }
        // The token controller deletes one whose account is missing.
        ("", "Secret") => {
            let account = ["metadata", "annotations", "kubernetes.io/service-account.name"];
            name("", "ServiceAccount", at(spec, &account));
        }
        ("apps", "StatefulSet") => name("", "Service", at(spec, &["spec", "serviceName"])),
        // Credentials of its first user; without them its operator begins nothing.
        ("mysql.oracle.com", "InnoDBCluster") => {
            for field in ["secretName", "tlsCASecretName", "tlsSecretName"] {
                name("", "Secret", at(spec, &["spec", field]));
            }
        }
        _ => {}
    }
    if let Some(pod) = pod_spec_path(of).and_then(|path| at(spec, path)) {
        of_pod(pod, &mut name);
    }
    needs.sort_unstable();
    needs.dedup();
    needs
}

/// Namespaces that every cluster has.
const OF_CLUSTER: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/// What the server refuses an object without: its namespace.
pub fn requires(spec: &Map) -> Vec<Identity> {
    let namespace = object::namespace(spec).filter(|name| sorts::is_namespaced(spec) && !OF_CLUSTER.contains(name));
    let identity = |name| object::identity_of(Type { group: "", kind: "Namespace" }, "", name);
    namespace.map(identity).into_iter().collect()
}

/// The definition of a custom resource. Its name has the plural, which only the server knows: these are the ways in which
/// plurals are made (`meta.UnsafeGuessKindToResource`, and a plain `s`).
fn definitions(of: Type<'_>) -> Vec<Identity> {
    let singular = of.kind.to_ascii_lowercase();
    let mut plurals = vec![format!("{singular}s")];
    if singular.ends_with(['s', 'x', 'h']) {
        plurals.push(format!("{singular}es"));
        plurals.push(singular.clone());
    }
    if let Some(stem) = singular.strip_suffix('y') {
        plurals.push(format!("{stem}ies"));
    }
    let definition = Type { group: "apiextensions.k8s.io", kind: "CustomResourceDefinition" };
    let identity = |plural: String| object::identity_of(definition, "", &format!("{plural}.{}", of.group));
    plurals.into_iter().map(identity).collect()
}

/// What a pod cannot start without. What it names as optional it can.
fn of_pod(pod: &Value, name: &mut dyn FnMut(&str, &str, Option<&Value>)) {
    let items =
        |of: &'_ Value, field: &str| of.get(field).and_then(Value::as_list).map(<[Value]>::to_vec).unwrap_or_default();
    let optional = |reference: &Value| reference.get("optional") == Some(&Value::Bool(true));
    name("", "ServiceAccount", pod.get("serviceAccountName"));
    name("scheduling.k8s.io", "PriorityClass", pod.get("priorityClassName"));
    items(pod, "imagePullSecrets").iter().for_each(|secret| name("", "Secret", secret.get("name")));
    let sources = |volume: &Value| {
        let mut sources = vec![volume.clone()];
        sources.extend(volume.get("projected").into_iter().flat_map(|projected| items(projected, "sources")));
        sources
    };
    for source in items(pod, "volumes").iter().flat_map(sources) {
        for (field, kind, key) in [
            ("configMap", "ConfigMap", "name"),
            ("secret", "Secret", "secretName"),
            ("secret", "Secret", "name"),
            ("persistentVolumeClaim", "PersistentVolumeClaim", "claimName"),
        ] {
            if let Some(reference) = source.get(field).filter(|reference| !optional(reference)) {
                name("", kind, reference.get(key));
            }
        }
    }
    for container in ["containers", "initContainers"].iter().flat_map(|list| items(pod, list)) {
        let from_env = items(&container, "env").into_iter().filter_map(|env| env.get("valueFrom").cloned());
        for source in from_env.chain(items(&container, "envFrom")) {
            for (field, kind) in [
                ("configMapKeyRef", "ConfigMap"),
                ("secretKeyRef", "Secret"),
                ("configMapRef", "ConfigMap"),
                ("secretRef", "Secret"),
            ] {
                if let Some(reference) = source.get(field).filter(|reference| !optional(reference)) {
                    name("", kind, reference.get("name"));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn needed(json: serde_json::Value) -> Vec<String> {
        let Value::Map(spec) = Value::from(json) else { panic!("a map") };
        needs(&spec).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_workload_needs_what_its_pods_cannot_start_without() {
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "a"},
            "spec": {"template": {"spec": {
                "serviceAccountName": "runner",
                "volumes": [
                    {"name": "c", "configMap": {"name": "settings"}},
                    {"name": "d", "persistentVolumeClaim": {"claimName": "disk"}},
                    {"name": "s", "secret": {"secretName": "perhaps", "optional": true}},
                    {"name": "p", "projected": {"sources": [{"secret": {"name": "keys"}}]}},
                ],
                "containers": [{
                    "name": "web", "envFrom": [{"configMapRef": {"name": "more"}}],
                    "env": [{"name": "P", "valueFrom": {"secretKeyRef": {"name": "database", "key": "p"}}}],
                }],
            }}},
        });
        insta::assert_snapshot!(needed(deployment).join("\n"), @r"
        ConfigMap/a/more
        ConfigMap/a/settings
        Namespace//a
        PersistentVolumeClaim/a/disk
        Secret/a/database
        Secret/a/keys
        ServiceAccount/a/runner
        ");
    }

    #[test]
    fn a_custom_resource_needs_its_definition_whatever_its_plural() {
        let of = |kind: &str| {
            needed(json!({"apiVersion": "example.io/v1", "kind": kind, "metadata": {"name": "x", "namespace": "a"}}))
        };
        let definition = |plural: &str| format!("CustomResourceDefinition.apiextensions.k8s.io//{plural}.example.io");
        assert!(of("Certificate").contains(&definition("certificates")));
        assert!(of("Prometheus").contains(&definition("prometheuses")));
        assert!(of("NetworkPolicy").contains(&definition("networkpolicies")));
        assert!(of("Gateway").contains(&definition("gateways")));
        assert!(of("Certificate").contains(&"Namespace//a".to_owned()));
    }

    #[test]
    fn a_cluster_of_databases_needs_its_credentials() {
        let cluster = json!({
            "apiVersion": "mysql.oracle.com/v2", "kind": "InnoDBCluster", "metadata": {"name": "db", "namespace": "a"},
            "spec": {"secretName": "root", "instances": 3},
        });
        let needed = needed(cluster);
        for need in [
            "Secret/a/root",
            "Namespace//a",
            "CustomResourceDefinition.apiextensions.k8s.io//innodbclusters.mysql.oracle.com",
        ] {
            assert!(needed.contains(&need.to_owned()), "{need}: {needed:?}");
        }
    }

    #[test]
    fn a_binding_needs_its_role() {
        let binding = |kind: &str| {
            needed(json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "b", "namespace": "a"},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": "admin"},
            }))
        };
        assert!(binding("Role").contains(&"Role.rbac.authorization.k8s.io/a/admin".to_owned()));
        assert!(binding("ClusterRole").contains(&"ClusterRole.rbac.authorization.k8s.io//admin".to_owned()));
    }
}

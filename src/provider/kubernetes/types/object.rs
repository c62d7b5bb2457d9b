//! An object's type and name, read from its spec.

use tenantry_core::model::kind::escape;
use tenantry_core::model::resource::Identity;
use tenantry_core::model::value::{Map, Value};

/// The type of an object. The version is no part of what it is called: `apps/v1` and `apps/v1beta1` show one Deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Type<'a> {
    /// Empty for the core group.
    pub group: &'a str,
    pub kind: &'a str,
}

impl<'a> Type<'a> {
    /// `None` while the spec does not say it, or not yet.
    pub fn of(spec: &'a Map) -> Option<Self> {
        let api_version = spec.get("apiVersion")?.as_str()?;
        Some(Self { group: split_api_version(api_version).0, kind: spec.get("kind")?.as_str()? })
    }

    pub fn is(self, group: &str, kind: &str) -> bool {
        self.group == group && self.kind == kind
    }

    /// Whether it comes with the API server, not from a CustomResourceDefinition or an aggregated server.
    ///
    /// Groups without a dot are the server's own; those below `k8s.io` are kept for the project (API conventions,
    /// "Resource metadata and group names"; CRDs there need an approval).
    pub fn is_custom(self) -> bool {
        self.group.contains('.') && self.group != "k8s.io" && !self.group.ends_with(".k8s.io")
    }
}

impl std::fmt::Display for Type<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.group {
            "" => formatter.write_str(self.kind),
            group => write!(formatter, "{}.{group}", self.kind),
        }
    }
}

/// Group and version of an `apiVersion`; the core group is empty.
pub fn split_api_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

/// `Kind.group/namespace/name`: unique in a cluster. An empty namespace is none.
pub fn identity_of(of: Type<'_>, namespace: &str, name: &str) -> Identity {
    let Type { group, kind } = of;
    let dot = if group.is_empty() { "" } else { "." };
    format!("{}{dot}{}/{}/{}", escape(kind), escape(group), escape(namespace), escape(name)).into()
}

/// The identity of a spec, or `None` while a part of it is missing or deferred.
pub fn identity(spec: &Map) -> Option<Identity> {
    let metadata = spec.get("metadata")?.as_map()?;
    let namespace = match metadata.get("namespace") {
        None | Some(Value::Null) => "",
        Some(value) => value.as_str()?,
    };
    Some(identity_of(Type::of(spec)?, namespace, metadata.get("name")?.as_str()?))
}

/// ConfigMaps that a platform puts into every namespace, and puts back: the cluster itself, `OpenShift`, Istio.
pub const CONFIG_MAPS_EVERYWHERE: [&str; 3] = ["istio-ca-root-cert", "kube-root-ca.crt", "openshift-service-ca.crt"];

/// The name, if it is known.
pub fn name(spec: &Map) -> Option<&str> {
    spec.get("metadata")?.get("name")?.as_str()
}

/// The namespace, if it has one that is known.
pub fn namespace(spec: &Map) -> Option<&str> {
    spec.get("metadata")?.get("namespace")?.as_str()
}

/// The value at field names one below the other.
pub fn at<'a>(spec: &'a Map, path: &[&str]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(spec.get(first)?, |value, name| value.get(name))
}

/// Where objects of a type that make pods have the pod's spec.
pub fn pod_spec_path(of: Type<'_>) -> Option<&'static [&'static str]> {
    Some(match (of.group, of.kind) {
        ("", "Pod") => &["spec"],
        ("", "PodTemplate") => &["template", "spec"],
        ("", "ReplicationController")
        | ("apps", "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet")
        | ("batch", "Job") => &["spec", "template", "spec"],
        ("batch", "CronJob") => &["spec", "jobTemplate", "spec", "template", "spec"],
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(json: serde_json::Value) -> Map {
        Value::from(json).as_map().cloned().expect("a map")
    }

    #[test]
    fn identities_have_group_and_namespace_but_no_version() {
        let of = |api_version: &str, kind: &str, namespace: Option<&str>, name: &str| {
            let mut metadata = serde_json::json!({"name": name});
            if let Some(namespace) = namespace {
                metadata["namespace"] = namespace.into();
            }
            let object = serde_json::json!({"apiVersion": api_version, "kind": kind, "metadata": metadata});
            identity(&spec(object)).expect("an identity").to_string()
        };
        assert_eq!(of("v1", "Namespace", None, "acme"), "Namespace//acme");
        assert_eq!(of("apps/v1", "Deployment", Some("acme"), "web"), "Deployment.apps/acme/web");
        assert_eq!(
            of("rbac.authorization.k8s.io/v1", "ClusterRole", None, "a/b%"),
            "ClusterRole.rbac.authorization.k8s.io//a%2Fb%25"
        );
    }

    #[test]
    fn an_unfinished_spec_has_no_identity() {
        for json in [
            serde_json::json!({}),
            serde_json::json!({"apiVersion": "v1", "kind": "Secret", "metadata": {}}),
            serde_json::json!({"apiVersion": "v1", "metadata": {"name": "a"}}),
        ] {
            assert_eq!(identity(&spec(json)), None);
        }
    }

    #[test]
    fn custom_types_are_told_from_the_servers_own() {
        for (group, custom) in [("", false), ("apps", false), ("networking.k8s.io", false), ("cert-manager.io", true)] {
            assert_eq!(Type { group, kind: "X" }.is_custom(), custom, "{group}");
        }
    }
}

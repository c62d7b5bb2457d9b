//! Why an object of a cluster is not taken over.

use serde_json::Value as Json;

use super::text;
use crate::discovery::Resource;
use crate::mark::ESTATE;
use crate::types::object::{CONFIG_MAPS_EVERYWHERE, Type, split_api_version};
use tenantry_core::model::mark::is_of;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// A namespace of the cluster itself that nobody asked for by name.
    System,
    /// A type whose objects the cluster writes by itself.
    ClustersOwn,
    /// An object that every namespace gets from the cluster.
    EveryNamespaces,
    /// The credentials that the cluster makes for a service account.
    Token,
    /// A controller made it, and will make it again.
    Owned,
    Deleted,
    OtherEstate,
    /// A Secret with values.
    Secret,
}

impl Reason {
    /// Why, as the end of a sentence about several things.
    pub fn words(self) -> &'static str {
        match self {
            Self::System => "namespaces of the cluster itself, which are imported only by name",
            Self::ClustersOwn => "the cluster writes objects of these types itself, so they were not read",
            Self::EveryNamespaces => "the cluster creates these in every namespace",
            Self::Token => "the cluster creates these tokens for its service accounts",
            Self::Owned => "created from another object by the controller that `ownerReferences` names",
            Self::Deleted => "being deleted",
            Self::OtherEstate => "managed by another estate, whose mark they carry",
            Self::Secret => "Secrets with values, which everybody could read in the estate",
        }
    }

    pub fn remedy(self) -> Option<&'static str> {
        match self {
            Self::System => Some("use `--namespace NAME` to import one of them"),
            Self::Secret => Some("add them to the blueprint with secret(…), or let an ExternalSecret fetch them"),
            _ => None,
        }
    }

    /// Whether a tenant lacks something by it.
    pub fn is_loss(self) -> bool {
        self == Self::Secret
    }
}

/// Whether objects of a type are written by the cluster, whoever else may write them.
pub fn is_clusters_own(of: &Resource) -> bool {
    matches!(
        (split_api_version(&of.api_version).0, &*of.kind),
        ("" | "events.k8s.io", "Event")
            | ("", "Endpoints")
            | ("discovery.k8s.io", "EndpointSlice")
            | ("coordination.k8s.io", "Lease")
    )
}

/// Why an object is not taken; `None` if it is. `estate` is our own, as in a label.
pub fn of(object: &Json, of: Type<'_>, estate: &str) -> Option<Reason> {
    let metadata = &object["metadata"];
    let name = metadata["name"].as_str().unwrap_or_default();
    if metadata["ownerReferences"].as_array().is_some_and(|owners| !owners.is_empty()) {
        return Some(Reason::Owned);
    }
    if !metadata["deletionTimestamp"].is_null() {
        return Some(Reason::Deleted);
    }
    if metadata["labels"].get(ESTATE).is_some_and(|mark| mark.as_str().is_none_or(|scope| !is_of(estate, scope))) {
        return Some(Reason::OtherEstate);
    }
    match (of.group, of.kind, name) {
        ("", "ServiceAccount", "default") => Some(Reason::EveryNamespaces),
        ("", "ConfigMap", name) if CONFIG_MAPS_EVERYWHERE.contains(&name) => Some(Reason::EveryNamespaces),
        ("", "Secret", _) if is_token(object) => Some(Reason::Token),
        ("", "Secret", _) if object["data"].as_object().is_some_and(|data| !data.is_empty()) => Some(Reason::Secret),
        _ => None,
    }
}

/// Whether the cluster made the token of a service account, as it did before version 1.24 for each. One that somebody asked
/// for is as much a Secret with values as others, once it is filled.
fn is_token(secret: &Json) -> bool {
    let account = secret.pointer("/metadata/annotations/kubernetes.io~1service-account.name").and_then(Json::as_str);
    text(secret, "/type") == Some("kubernetes.io/service-account-token")
        && account.is_some_and(|account| is_token_name(text(secret, "/metadata/name").unwrap_or_default(), account))
}

/// `ACCOUNT-token-xxxxx` (`serviceaccount.TokensController`).
pub fn is_token_name(name: &str, account: &str) -> bool {
    // The name is cut to make room.
    let made = name.rsplit_once("-token-");
    made.is_some_and(|(head, end)| account.starts_with(head) && end.len() == 5)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_nobody_asked_for_has_a_reason() {
        let why = |kind: &str, metadata: Json, more: Json| {
            let mut object = json!({"metadata": metadata});
            for (name, value) in more.as_object().expect("fields") {
                object[name] = value.clone();
            }
            super::of(&object, Type { group: "", kind }, "shop")
        };
        let none = json!({});
        assert_eq!(why("ConfigMap", json!({"name": "c"}), none.clone()), None);
        assert_eq!(why("ConfigMap", json!({"name": "c", "labels": {ESTATE: "shop"}}), none.clone()), None);
        assert_eq!(
            why("ConfigMap", json!({"name": "c", "labels": {ESTATE: "other"}}), none.clone()),
            Some(Reason::OtherEstate)
        );
        for name in ["kube-root-ca.crt", "openshift-service-ca.crt", "istio-ca-root-cert"] {
            assert_eq!(why("ConfigMap", json!({"name": name}), none.clone()), Some(Reason::EveryNamespaces), "{name}");
        }
        assert_eq!(why("ServiceAccount", json!({"name": "default"}), none.clone()), Some(Reason::EveryNamespaces));
        assert_eq!(why("ServiceAccount", json!({"name": "ci"}), none.clone()), None);
        let owned = json!({"name": "p", "ownerReferences": [{"kind": "Job"}]});
        assert_eq!(why("Pod", owned, none.clone()), Some(Reason::Owned));
        assert_eq!(why("Pod", json!({"name": "p", "deletionTimestamp": "2026-01-01"}), none), Some(Reason::Deleted));
        let token = |name: &str| {
            let metadata = json!({"name": name, "annotations": {"kubernetes.io/service-account.name": "ci"}});
            why("Secret", metadata, json!({"type": "kubernetes.io/service-account-token", "data": {"token": "eA=="}}))
        };
        assert_eq!(token("ci-token-x7k2p"), Some(Reason::Token));
        assert_eq!(token("for-the-pipeline"), Some(Reason::Secret));
        assert_eq!(why("Secret", json!({"name": "s"}), json!({"data": {"a": "eA=="}})), Some(Reason::Secret));
        assert_eq!(why("Secret", json!({"name": "s"}), json!({"type": "Opaque"})), None);
    }
}

//! Everything in the namespaces of a cluster, as it was asked for: what an import starts from.
//!
//! ```text
//! catalogue   every type that lives in namespaces      one list for each, over all namespaces, page by page
//! reason      why an object is not taken               asked     a live object → what somebody asked for
//! ```
//!
//! The number of requests depends on types and pages, never on namespaces. What is not taken is told with its reason, and a
//! type that cannot be read is told and makes no other one missing.

mod asked;
mod catalogue;
mod reason;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use futures::future::join_all;
use serde_json::Value as Json;

use super::client::{Cluster, JSON};
use super::discovery::Resource;
use super::error::Failed as _;
use super::mark::label_value;
use super::read::list;
use super::types::object::{self, Type, identity_of, split_api_version};
use tenantry_core::model::kind::readable_identity;
use tenantry_core::model::resource::Identity;
use tenantry_core::model::value::{Map, Value};
use tenantry_provider::contract::{ProviderError, Settings};

pub use reason::Reason;

/// What a cluster has.
#[derive(Debug, Default)]
pub struct Inventory {
    /// By identity; without what only the server writes.
    pub objects: BTreeMap<Identity, Map>,
    /// Names of what was not taken: objects, namespaces or types.
    pub left_out: BTreeMap<Reason, BTreeSet<String>>,
    /// What could not be read; there may be objects that are missing.
    pub unread: Vec<ProviderError>,
}

/// The namespaces of the cluster itself. They are taken only where they are asked for by name.
pub fn is_system(namespace: &str) -> bool {
    namespace == "default" || namespace.starts_with("kube-")
}

/// Reads the namespaces that fit, whole. `labels` is a selector of Namespaces; what carries the mark of an estate other than
/// that of the settings is left out.
///
/// # Errors
/// If the settings make no sense, or the server does not say which types and namespaces it has.
pub async fn inventory(
    settings: &Settings,
    labels: Option<&str>,
    is_chosen: &(dyn Fn(&str) -> bool + Sync),
) -> Result<Inventory, ProviderError> {
    let cluster = Cluster::new(settings)?;
    let failed = |attempted: &'static str| move |failure: super::error::Failure| failure.into_provider_error(attempted);
    let types = catalogue::types(&cluster).await.map_err(failed("listing the types of the cluster"))?;
    let namespaces = list(&cluster, "/api/v1/namespaces", labels, JSON).await.map_err(failed("listing namespaces"))?;

    let mut inventory = Inventory { unread: types.unread, ..Inventory::default() };
    let estate = label_value(&settings.estate);
    let mut chosen = HashSet::new();
    let of_namespaces = catalogue::namespace();
    let mut taken = Taken { estate: &estate, seen: HashSet::new(), inventory: &mut inventory };
    for namespace in namespaces {
        let Some(name) = text(&namespace, "/metadata/name").map(str::to_owned) else { continue };
        if is_chosen(&name) {
            // What is in it is read even where the Namespace itself is another's.
            if taken.object(namespace, &of_namespaces) != Some(Reason::Deleted) {
                chosen.insert(name);
            }
        } else if is_system(&name) {
            taken.leave_out(Reason::System, name);
        }
    }
    let (read, by_cluster): (Vec<_>, Vec<_>) =
        types.namespaced.into_iter().partition(|of| !reason::is_clusters_own(of));
    for of in by_cluster {
        taken.leave_out(Reason::ClustersOwn, of.plural.clone());
    }
    let lists = join_all(read.iter().map(|of| listed(&cluster, of))).await;
    for (of, objects) in read.iter().zip(lists) {
        match objects {
            Ok(objects) => {
                for object in objects {
                    if text(&object, "/metadata/namespace").is_some_and(|namespace| chosen.contains(namespace)) {
                        taken.object(object, of);
                    }
                }
            }
            Err(error) => taken.inventory.unread.push(error),
        }
    }
    without_scaled(&mut inventory.objects);
    Ok(inventory)
}

/// How many replicas there are is an autoscaler's choice, where there is one; to ask for it would be to fight it.
fn without_scaled(objects: &mut BTreeMap<Identity, Map>) {
    let scaled = |object: &Map| {
        let of = Type::of(object).filter(|of| of.is("autoscaling", "HorizontalPodAutoscaler"));
        let target = of.and_then(|_| object.get("spec")?.get("scaleTargetRef")?.as_map())?;
        Some(identity_of(Type::of(target)?, object::namespace(object)?, target.get("name")?.as_str()?))
    };
    let scaled: Vec<Identity> = objects.values().filter_map(scaled).collect();
    for identity in scaled {
        if let Some(object) = objects.get_mut(&identity)
            && let Some(Value::Map(spec)) = object.get("spec")
        {
            *object = object.with("spec", spec.without("replicas").into());
        }
    }
}

async fn listed(cluster: &Cluster, of: &Arc<Resource>) -> Result<Vec<Json>, ProviderError> {
    let group = split_api_version(&of.api_version).0;
    let dot = if group.is_empty() { "" } else { "." };
    let failed =
        |failure: super::error::Failure| failure.into_provider_error(format!("listing {}{dot}{group}", of.plural));
    match list(cluster, &of.collection(None), None, JSON).await {
        // Its definition is gone since it was named, and all its objects with it.
        Err(failure) if failure.is_not_served() => Ok(Vec::new()),
        other => other.map_err(failed),
    }
}

fn text<'a>(object: &'a Json, pointer: &str) -> Option<&'a str> {
    object.pointer(pointer)?.as_str()
}

struct Taken<'a> {
    /// As in a label.
    estate: &'a str,
    /// Objects by `uid`: one that several groups serve is one.
    seen: HashSet<String>,
    inventory: &'a mut Inventory,
}

impl Taken<'_> {
    fn leave_out(&mut self, reason: Reason, name: String) {
        self.inventory.left_out.entry(reason).or_default().insert(name);
    }

    /// Takes an object, or tells why not.
    fn object(&mut self, mut object: Json, of: &Resource) -> Option<Reason> {
        if let Some(uid) = text(&object, "/metadata/uid")
            && !self.seen.insert(uid.to_owned())
        {
            return None;
        }
        // Items of a list do not say it.
        object["apiVersion"] = of.api_version.as_ref().into();
        object["kind"] = of.kind.as_ref().into();
        let type_of = Type { group: split_api_version(&of.api_version).0, kind: &of.kind };
        let name = text(&object, "/metadata/name").unwrap_or_default();
        let identity = identity_of(type_of, text(&object, "/metadata/namespace").unwrap_or_default(), name);
        if let Some(reason) = reason::of(&object, type_of, self.estate) {
            self.leave_out(reason, readable_identity(&identity));
            return Some(reason);
        }
        if let Value::Map(asked) = Value::from(asked::asked(object, type_of)) {
            self.inventory.objects.insert(identity, Map::clone(&asked));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn replicas_belong_to_the_autoscaler_where_there_is_one() {
        let object = |kind: &str, api_version: &str, name: &str, spec: Json| {
            let metadata = json!({"name": name, "namespace": "a"});
            let object = json!({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec});
            let map = Value::from(object).as_map().cloned().expect("a map");
            (object::identity(&map).expect("an identity"), map)
        };
        let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"});
        let scaler = json!({"scaleTargetRef": target, "maxReplicas": 9});
        let mut objects = BTreeMap::from([
            object("HorizontalPodAutoscaler", "autoscaling/v1", "web", scaler),
            object("Deployment", "apps/v1", "web", json!({"replicas": 7, "paused": true})),
            object("Deployment", "apps/v1", "worker", json!({"replicas": 2})),
        ]);
        without_scaled(&mut objects);
        let spec =
            |name: &str| Value::from(objects[&*format!("Deployment.apps/a/{name}")].clone()).get("spec").cloned();
        assert_eq!(spec("web").map(|spec| spec.to_json()), Some(json!({"paused": true})));
        assert_eq!(spec("worker").map(|spec| spec.to_json()), Some(json!({"replicas": 2})));
    }
}

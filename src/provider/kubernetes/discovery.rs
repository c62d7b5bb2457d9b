//! Which types the server knows, and where they are.
//!
//! Asked for each API version once and only where it is needed: so a cluster with hundreds of types costs nothing, and an
//! aggregated API that is down makes no other type unknown.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;
use tokio::sync::OnceCell;

use super::client::{Cluster, JSON, encoded};
use super::error::Failure;

/// A type as the server knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    pub api_version: Arc<str>,
    pub kind: Arc<str>,
    /// As in a path, such as `deployments`.
    pub plural: String,
    pub is_namespaced: bool,
}

impl Resource {
    /// The path of all objects of the type: of one namespace, or of all.
    pub fn collection(&self, namespace: Option<&str>) -> String {
        let root = version_path(&self.api_version);
        match namespace.filter(|_| self.is_namespaced) {
            Some(namespace) => format!("{root}/namespaces/{}/{}", encoded(namespace), encoded(&self.plural)),
            None => format!("{root}/{}", encoded(&self.plural)),
        }
    }

    /// The path of one object.
    pub fn object(&self, namespace: Option<&str>, name: &str) -> String {
        format!("{}/{}", self.collection(namespace), encoded(name))
    }
}

fn version_path(api_version: &str) -> String {
    match api_version.split_once('/') {
        Some((group, version)) => format!("/apis/{}/{}", encoded(group), encoded(version)),
        None => format!("/api/{}", encoded(api_version)),
    }
}

/// `APIResourceList` of `meta/v1`.
#[derive(Deserialize)]
struct List {
    resources: Vec<Entry>,
}

/// `APIGroupList` of `meta/v1`.
#[derive(Deserialize)]
struct Groups {
    kind: String,
}

#[derive(Deserialize)]
struct Entry {
    name: String,
    namespaced: bool,
    kind: String,
    #[serde(default)]
    verbs: Vec<String>,
}

/// `APIGroup` of `meta/v1`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    versions: Vec<GroupVersion>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GroupVersion {
    group_version: String,
}

type Kinds = Arc<HashMap<String, Arc<Resource>>>;

/// What was asked so far.
#[derive(Default)]
pub struct Discovery {
    versions: Mutex<HashMap<Arc<str>, Arc<OnceCell<Kinds>>>>,
    /// Whether it is an API server that does not know a type.
    confirmed: OnceCell<()>,
}

impl Discovery {
    /// The type of an object; `None` if the server does not know it.
    ///
    /// # Errors
    /// If the server does not say.
    pub async fn find(
        &self,
        cluster: &Cluster,
        api_version: &str,
        kind: &str,
    ) -> Result<Option<Arc<Resource>>, Failure> {
        let cell = self.versions().entry(api_version.into()).or_default().clone();
        let is_old = cell.initialized();
        match cell.get_or_try_init(|| fetch(cluster, api_version)).await {
            Ok(kinds) => match kinds.get(kind) {
                Some(resource) => Ok(Some(resource.clone())),
                // It may have come since, with its definition.
                None => {
                    self.versions().remove(api_version);
                    match is_old {
                        true => Ok(fetch(cluster, api_version).await?.get(kind).cloned()),
                        false => Ok(None),
                    }
                }
            },
            Err(failure) if failure.is_not_served() => self.confirm(cluster).await.map(|()| None),
            Err(failure) => Err(failure),
        }
    }

    /// Makes sure that it was an API server that said 404: what stands in front of one uses the same words.
    async fn confirm(&self, cluster: &Cluster) -> Result<(), Failure> {
        let ask = async || {
            let groups: Groups = cluster.get("/apis", JSON).await?;
            match groups.kind == "APIGroupList" {
                true => Ok(()),
                false => Err(Failure::Invalid {
                    message: format!("the answer to /apis is a {}, not a list of API groups", groups.kind),
                    remedy: Some(
                        "check the `server` of the kubeconfig: it must be the address of an API server".to_owned(),
                    ),
                }),
            }
        };
        self.confirmed.get_or_try_init(ask).await.copied()
    }

    /// The same type in another version, where the server does not know the one that is asked for: it is served no more, or
    /// not yet. The version that the server prefers comes first.
    ///
    /// # Errors
    /// If the server does not say.
    pub async fn find_other(
        &self,
        cluster: &Cluster,
        api_version: &str,
        kind: &str,
    ) -> Result<Option<Arc<Resource>>, Failure> {
        let Some((group, _)) = api_version.split_once('/') else { return Ok(None) };
        let group: Group = match cluster.get(&format!("/apis/{}", encoded(group)), JSON).await {
            Ok(group) => group,
            Err(failure) if failure.is_not_served() => return self.confirm(cluster).await.map(|()| None),
            Err(failure) => return Err(failure),
        };
        for GroupVersion { group_version } in &group.versions {
            if group_version != api_version
                && let Some(found) = self.find(cluster, group_version, kind).await?
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn versions(&self) -> std::sync::MutexGuard<'_, HashMap<Arc<str>, Arc<OnceCell<Kinds>>>> {
        self.versions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The types of an API version, each with what may be done with it.
///
/// # Errors
/// If the server does not say.
pub async fn served(cluster: &Cluster, api_version: &str) -> Result<Vec<(Resource, Vec<String>)>, Failure> {
    let list: List = cluster.get(&version_path(api_version), JSON).await?;
    let resource = |entry: Entry| {
        let resource = Resource {
            api_version: api_version.into(),
            kind: entry.kind.into(),
            plural: entry.name,
            is_namespaced: entry.namespaced,
        };
        (resource, entry.verbs)
    };
    // With a slash: a subresource, such as `deployments/scale`.
    Ok(list.resources.into_iter().filter(|entry| !entry.name.contains('/')).map(resource).collect())
}

async fn fetch(cluster: &Cluster, api_version: &str) -> Result<Kinds, Failure> {
    let resources = served(cluster, api_version).await?.into_iter();
    Ok(Arc::new(resources.map(|(resource, _)| (resource.kind.to_string(), Arc::new(resource))).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_api_and_every_name_is_encoded() {
        let resource = |api_version: &str, plural: &str, is_namespaced| Resource {
            api_version: api_version.into(),
            kind: "X".into(),
            plural: plural.into(),
            is_namespaced,
        };
        let pods = resource("v1", "pods", true);
        assert_eq!(pods.collection(None), "/api/v1/pods");
        assert_eq!(pods.object(Some("a"), "b"), "/api/v1/namespaces/a/pods/b");
        let roles = resource("rbac.authorization.k8s.io/v1", "clusterroles", false);
        assert_eq!(
            roles.object(Some("left out"), "system:a/../b?"),
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Aa%2F..%2Fb%3F"
        );
    }
}

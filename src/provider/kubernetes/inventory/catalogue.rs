//! Every type of object that lives in namespaces and that somebody may write.

use std::collections::HashSet;
use std::sync::Arc;

use futures::future::join_all;
use serde::Deserialize;

use crate::client::{Cluster, JSON};
use crate::discovery::{Resource, served};
use crate::error::{Failed as _, Failure};
use crate::types::object::split_api_version;
use tenantry_provider::contract::ProviderError;

/// What a type has to allow: without `create` nobody asked for its objects (`PodMetrics`).
const VERBS: [&str; 2] = ["list", "create"];

/// An old group, of which every type is served by another one too.
const FORMER: &str = "extensions";

pub struct Types {
    /// Each group and kind once, in the version that the server prefers.
    pub namespaced: Vec<Arc<Resource>>,
    /// API versions that the server names and does not explain.
    pub unread: Vec<ProviderError>,
}

/// `APIVersions` of `meta/v1`.
#[derive(Deserialize)]
struct Versions {
    versions: Vec<String>,
}

/// `APIGroupList` of `meta/v1`.
#[derive(Deserialize)]
struct Groups {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    name: String,
    versions: Vec<Version>,
    preferred_version: Option<Version>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    group_version: String,
}

/// # Errors
/// If the server does not say which groups it has.
pub async fn types(cluster: &Cluster) -> Result<Types, Failure> {
    let core: Versions = cluster.get("/api", JSON).await?;
    let mut groups = cluster.get::<Groups>("/apis", JSON).await?.groups;
    groups.sort_by_key(|group| group.name == FORMER);
    let mut versions = core.versions;
    for group in groups {
        let preferred = group.preferred_version.map(|version| version.group_version);
        let others = group.versions.into_iter().map(|version| version.group_version);
        versions.extend(preferred.iter().cloned().chain(others.filter(|version| Some(version) != preferred.as_ref())));
    }
    let answers = join_all(versions.iter().map(|version| served(cluster, version))).await;
    let mut types = Types { namespaced: Vec::new(), unread: Vec::new() };
    let mut known = HashSet::new();
    for (version, answer) in versions.iter().zip(answers) {
        match answer {
            Ok(resources) => {
                for (resource, verbs) in resources {
                    let is_wanted = resource.is_namespaced
                        && VERBS.iter().all(|verb| verbs.iter().any(|known| known == verb))
                        && known.insert((split_api_version(version).0.to_owned(), resource.kind.clone()));
                    if is_wanted {
                        types.namespaced.push(Arc::new(resource));
                    }
                }
            }
            // Gone since it was named.
            Err(failure) if failure.is_not_served() => {}
            Err(failure) => {
                types.unread.push(failure.into_provider_error(format!("listing the types of {version}")));
            }
        }
    }
    Ok(types)
}

/// The type of namespaces themselves.
pub fn namespace() -> Resource {
    Resource { api_version: "v1".into(), kind: "Namespace".into(), plural: "namespaces".into(), is_namespaced: false }
}

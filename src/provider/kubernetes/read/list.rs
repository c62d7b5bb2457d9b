//! All objects of a type, page by page.

use serde::Deserialize;
use serde_json::Value as Json;

use crate::client::{Cluster, encoded};
use crate::error::Failure;
use tenantry_transport::Pages;

/// Objects on one page: what `kubectl` asks for, and small enough for etcd and for a slow line.
const PAGE: usize = 500;

/// How often a list is begun again that has grown too old while it was paged.
const STARTS: usize = 3;

/// `meta/v1` List.
#[derive(Deserialize)]
struct Page {
    kind: String,
    metadata: PageMetadata,
    /// An answer without this field says nothing about what there is.
    items: Json,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageMetadata {
    #[serde(default, rename = "continue")]
    next: Option<String>,
    #[serde(default)]
    resource_version: String,
}

/// Reads every object below a path, which carries a label or not.
///
/// # Errors
/// If any page is refused or breaks off: half a list is none.
pub async fn list(
    cluster: &Cluster,
    collection: &str,
    selector: Option<&str>,
    accept: &str,
) -> Result<Vec<Json>, Failure> {
    let mut starts = 0;
    loop {
        starts += 1;
        match pages(cluster, collection, selector, accept).await {
            Err(failure) if failure.is_expired() && starts < STARTS => {}
            other => return other,
        }
    }
}

async fn pages(
    cluster: &Cluster,
    collection: &str,
    selector: Option<&str>,
    accept: &str,
) -> Result<Vec<Json>, Failure> {
    let mut query = format!("?limit={PAGE}");
    if let Some(selector) = selector {
        query.push_str(&format!("&labelSelector={}", encoded(selector)));
    }
    let unreadable = |what: String| Failure::Invalid {
        message: format!("the answer to a list of {collection} {what}"),
        remedy: Some("check the `server` of the kubeconfig: it must be the address of an API server".to_owned()),
    };
    let mut all = Vec::new();
    let mut next: Option<String> = None;
    let mut turned = Pages::default();
    loop {
        let token = next.as_deref().map(|token| format!("&continue={}", encoded(token))).unwrap_or_default();
        let page: Json = cluster.get(&format!("{collection}{query}{token}"), accept).await?;
        let page: Page = serde_json::from_value(page).map_err(|_| unreadable("is not a list".to_owned()))?;
        let Page { kind, metadata, items } = page;
        if !kind.ends_with("List") {
            return Err(unreadable(format!("is a {kind}")));
        }
        let before = all.len();
        match items {
            Json::Array(items) => all.extend(items),
            // So a server writes a list of metadata in which there is nothing; the version shows that it is one.
            Json::Null if !metadata.resource_version.is_empty() => {}
            _ => return Err(unreadable("has no list of objects".to_owned())),
        }
        next = metadata.next.filter(|token| !token.is_empty());
        let Some(token) = &next else { return Ok(all) };
        let items = all[before..].iter().map(|item: &Json| item.get("metadata").map(Json::to_string));
        turned
            .turn(items, token.as_str())
            .map_err(|endless| unreadable(format!("is not a complete list: {endless}")))?;
    }
}

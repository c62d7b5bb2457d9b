//! All objects of a type, page by page.

use serde::Deserialize;
use serde_json::Value as Json;

use crate::client::{Cluster, encoded};
use crate::error::Failure;

/// Objects on one page: what `kubectl` asks for, and small enough for etcd and for a slow line.
const PAGE: usize = 500;

/// How often a list is begun again that has grown too old while it was paged.
const STARTS: usize = 3;

/// `meta/v1` List.
#[derive(Deserialize)]
struct Page {
    kind: String,
    #[serde(default)]
    metadata: PageMetadata,
    #[serde(default)]
    items: Option<Vec<Json>>,
}

#[derive(Default, Deserialize)]
struct PageMetadata {
    #[serde(default, rename = "continue")]
    next: Option<String>,
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
    let mut all = Vec::new();
    let mut next: Option<String> = None;
    loop {
        let token = next.as_deref().map(|token| format!("&continue={}", encoded(token))).unwrap_or_default();
        let page: Page = cluster.get(&format!("{collection}{query}{token}"), accept).await?;
        if !page.kind.ends_with("List") {
            return Err(Failure::Unreachable(format!(
                "the server answered a {} where a list was asked for",
                page.kind
            )));
        }
        all.extend(page.items.unwrap_or_default());
        next = page.metadata.next.filter(|token| !token.is_empty());
        if next.is_none() {
            return Ok(all);
        }
    }
}

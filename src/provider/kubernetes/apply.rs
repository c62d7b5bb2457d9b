//! Server-side apply of one object.
//!
//! The field manager is always `tenantry`: so the server knows which fields are ours, takes away what is applied no more, and
//! refuses what another manager owns.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Method, StatusCode};
use serde_json::{Value as Json, json};

use super::client::{APPLY, Answer, Ask, Cluster, Expected, JSON};
use super::discovery::Resource;
use super::error::Failure;
use super::mark::{MANAGER, marked};
use super::types::object;
use tenantry_core::model::mark::Mark;
use tenantry_core::model::value::{Map, Value};

/// What to apply.
pub struct Apply<'a> {
    pub resource: &'a Resource,
    pub spec: &'a Map,
    /// `None` while the object is being taken over.
    pub mark: Option<&'a Mark>,
    /// Of the object that is to be changed. With it, nothing is made, and no other object of the name is changed.
    pub uid: Option<&'a str>,
    /// With it, an object that was written since is not changed.
    pub resource_version: Option<&'a str>,
    /// Fields that other managers own are taken over.
    pub force: bool,
    pub dry_run: bool,
}

/// What the server made of it.
pub struct Applied {
    pub object: Json,
    pub is_new: bool,
}

/// # Errors
/// If the server refuses, by 409 with a cause for each field where others own what differs.
pub async fn apply(cluster: &Cluster, request: &Apply<'_>) -> Result<Applied, Failure> {
    let Apply { resource, spec, mark, uid, resource_version, force, dry_run } = request;
    let name = object::name(spec).unwrap_or_default();
    let dry_run = if *dry_run { "&dryRun=All" } else { "" };
    let path =
        format!("{}?fieldManager={MANAGER}&force={force}{dry_run}", resource.object(object::namespace(spec), name));
    let written = to_write(spec);
    let mut body = Value::from(mark.map_or_else(|| written.clone(), |mark| marked(&written, mark))).to_json();
    if let Some(uid) = uid {
        body["metadata"]["uid"] = (*uid).into();
    }
    if let Some(version) = resource_version {
        body["metadata"]["resourceVersion"] = (*version).into();
    }
    let answer = send(cluster, &path, &body).await?;
    Ok(Applied { object: answer.body, is_new: answer.status == StatusCode::CREATED })
}

/// Gives an object back that turned out to be somebody else's: every field that we added goes away again, the mark too.
///
/// # Errors
/// If the server refuses.
pub async fn release(cluster: &Cluster, resource: &Resource, spec: &Map) -> Result<(), Failure> {
    let (namespace, name) = (object::namespace(spec), object::name(spec).unwrap_or_default());
    let mut body = json!({
        "apiVersion": &*resource.api_version, "kind": &*resource.kind, "metadata": {"name": name},
    });
    if let Some(namespace) = namespace {
        body["metadata"]["namespace"] = namespace.into();
    }
    let path = format!("{}?fieldManager={MANAGER}&force=false", resource.object(namespace, name));
    send(cluster, &path, &body).await.map(|_| ())
}

async fn send(cluster: &Cluster, path: &str, body: &Json) -> Result<Answer<Json>, Failure> {
    let ask = Ask { method: Method::PATCH, path, accept: JSON, content_type: Some(APPLY) };
    let text = |pointer: &str| body.pointer(pointer).and_then(Json::as_str);
    let expected = Expected {
        api_version: text("/apiVersion").unwrap_or_default(),
        kind: text("/kind").unwrap_or_default(),
        namespace: text("/metadata/namespace"),
        name: text("/metadata/name").unwrap_or_default(),
    };
    cluster.write(&ask, body, &expected).await
}

/// An object as it is sent.
///
/// A Secret's `stringData` goes as `data`: the server would move it there itself, but record that `stringData` is ours, and
/// so never take away a key that is no longer asked for.
pub fn to_write(spec: &Map) -> Map {
    let Some(texts) = spec.get("stringData").and_then(Value::as_map) else { return spec.clone() };
    if spec.get("kind").and_then(Value::as_str) != Some("Secret")
        || spec.get("apiVersion").and_then(Value::as_str) != Some("v1")
    {
        return spec.clone();
    }
    let mut data = spec.get("data").and_then(Value::as_map).cloned().unwrap_or_default();
    for (name, value) in texts.iter() {
        let encoded = match value {
            Value::Text(text) => STANDARD.encode(text.as_bytes()).into(),
            // For the server to refuse.
            other => other.clone(),
        };
        data = data.with(name, encoded);
    }
    spec.without("stringData").with("data", data.into())
}

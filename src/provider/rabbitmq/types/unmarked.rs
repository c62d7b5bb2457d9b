//! What the API has no room for a mark on. The file of such a kind is all that there is of it: its spec, where the API has it
//! and how, and what is different about writing it.

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use crate::client::Client;
use crate::error::{Failed as _, Failure};
use tenantry_core::model::value::Map;
use tenantry_provider::contract::Step;

/// The spec of a kind without room for a mark.
#[async_trait]
pub trait Unmarked: DeserializeOwned + Send + Sync {
    /// The name of its list among the definitions.
    const LIST: &'static str;
    /// Whether it is written in several requests: a part that is not there is what an earlier attempt has not come to.
    const IN_PARTS: bool = false;

    /// The spec of what the API has.
    fn of_api(object: &Json) -> Map;

    /// The specs in its list among the definitions.
    fn among(list: &[Json]) -> Vec<Map> {
        list.iter().map(Self::of_api).collect()
    }

    fn path(&self) -> Vec<&str>;

    fn body(&self) -> Json;

    /// What is there of what a step is about.
    async fn current(&self, client: &Client, step: &Step) -> Result<Option<Current>, Failure> {
        let Some(found) = client.get(&self.path()).await?.map(|object| Self::of_api(&object)) else { return Ok(None) };
        match step.kind.identity.iter().all(|field| found.get(field) == step.spec().get(field)) {
            true => Ok(Some(found.into())),
            false => Err(another()),
        }
    }

    async fn put(&self, client: &Client) -> Result<(), Failure> {
        client.put(&self.path(), &self.body()).await
    }

    async fn remove(&self, client: &Client, found: &Current) -> Result<(), Failure> {
        let _ = found;
        client.delete(&self.path()).await
    }
}

/// What is there of a resource.
pub struct Current {
    pub spec: Map,
    /// How the API calls a binding.
    pub key: String,
}

impl From<Map> for Current {
    fn from(spec: Map) -> Self {
        Self { spec, key: String::new() }
    }
}

/// The failure of an answer that is about something else than was asked.
pub fn another() -> Failure {
    Failure::invalid("the answer is about another resource; check that `url` is the address of the management API")
}

/// A list, which is empty where there is nothing that it could belong to.
pub async fn list(client: &Client, path: &[&str]) -> Result<Vec<Json>, Failure> {
    match client.get(path).await? {
        None => Ok(Vec::new()),
        Some(Json::Array(items)) => Ok(items),
        Some(_) => Err(Failure::invalid(format!("the answer to {} is not a list", path.join("/")))),
    }
}

//! What the limits of virtual hosts and those of users have in common. They are set one by one.

use std::sync::Arc;

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

use super::check_names;
use super::unmarked::{Current, Unmarked, list};
use crate::client::Client;
use crate::error::Failure;
use tenantry_core::model::kind::Problem;
use tenantry_core::model::value::{Map, Value};
use tenantry_provider::contract::Step;

/// A field of a spec and what the API calls it.
pub type Limit = (&'static str, &'static str);

/// Stands for a limit that is not set.
pub const UNLIMITED: i64 = -1;

pub fn unlimited() -> i64 {
    UNLIMITED
}

/// The spec of a kind that is limits.
pub trait Limits: DeserializeOwned + Send + Sync {
    const LIST: &'static str;
    const KNOWN: &'static [Limit];
    /// The field of the spec that names whom they are for.
    const OWNER: &'static str;

    /// Whom an object of the list is about, and its limits.
    fn listed(object: &Json) -> (&Json, &Json);

    fn path(&self) -> Vec<&str>;

    /// The limits, as the API calls them.
    fn body(&self) -> Json;
}

pub fn check<Spec: Limits>(spec: &Map) -> Vec<Problem> {
    let mut problems = check_names(spec, &[Spec::OWNER]);
    if Spec::KNOWN.iter().all(|(field, _)| spec.get(field).and_then(Value::as_integer) == Some(UNLIMITED)) {
        let message = "it limits nothing, and the server cannot distinguish that from no limits";
        problems.push(Problem::error("", message).help("set a limit of 0 or more, or remove the resource"));
    }
    problems
}

/// The limits that are set, as a spec; `None` if none of those that are known is.
fn spec_of<Spec: Limits>(owner: &str, limits: &Json) -> Option<Map> {
    let limit = |of_api: &str| limits.get(of_api).and_then(Json::as_i64).filter(|limit| *limit > UNLIMITED);
    let is_limited = Spec::KNOWN.iter().any(|(_, of_api)| limit(of_api).is_some());
    let known =
        Spec::KNOWN.iter().map(|(field, of_api)| (Arc::from(*field), Value::from(limit(of_api).unwrap_or(UNLIMITED))));
    let owner = (Arc::from(Spec::OWNER), Value::from(owner));
    is_limited.then(|| known.chain([owner]).collect())
}

#[async_trait]
impl<Spec: Limits> Unmarked for Spec {
    const LIST: &'static str = Spec::LIST;
    const IN_PARTS: bool = true;

    fn of_api(object: &Json) -> Map {
        let (owner, limits) = Spec::listed(object);
        spec_of::<Spec>(owner.as_str().unwrap_or_default(), limits).unwrap_or_default()
    }

    fn among(list: &[Json]) -> Vec<Map> {
        list.iter().map(Self::of_api).filter(|spec| !spec.is_empty()).collect()
    }

    fn path(&self) -> Vec<&str> {
        Limits::path(self)
    }

    fn body(&self) -> Json {
        Limits::body(self)
    }

    async fn current(&self, client: &Client, _: &Step) -> Result<Option<Current>, Failure> {
        let path = Limits::path(self);
        let found = list(client, &path).await?;
        let limits = found.first().and_then(|of_owner| of_owner.get("value"));
        Ok(limits.and_then(|limits| spec_of::<Spec>(path.last()?, limits)).map(Into::into))
    }

    async fn put(&self, client: &Client) -> Result<(), Failure> {
        for (limit, value) in Limits::body(self).as_object().into_iter().flatten() {
            let path = [&Limits::path(self)[..], &[limit]].concat();
            match value.as_i64() {
                Some(value) if value > UNLIMITED => client.put(&path, &json!({"value": value})).await?,
                _ => client.delete(&path).await?,
            }
        }
        Ok(())
    }

    async fn remove(&self, client: &Client, _: &Current) -> Result<(), Failure> {
        for (_, limit) in Spec::KNOWN {
            client.delete(&[&Limits::path(self)[..], &[limit]].concat()).await?;
        }
        Ok(())
    }
}

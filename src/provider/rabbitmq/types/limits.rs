//! What the limits of virtual hosts and those of users have in common. They are set one by one.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::check_names;
use super::unmarked::{Current, Unmarked, list};
use crate::client::Client;
use crate::error::Failure;
use tenantry_core::model::kind::Problem;
use tenantry_core::model::spec::Fields;
use tenantry_core::model::value::{Map, Value};

/// A field of a spec and what the API calls it.
pub type Limit = (&'static str, &'static str);

/// Stands for a limit that is not set.
pub const UNLIMITED: i64 = -1;

pub fn unlimited() -> i64 {
    UNLIMITED
}

pub fn normalise(spec: &Map, limits: &[Limit]) -> Map {
    let mut fields = Fields::of(spec);
    for (field, _) in limits {
        fields.default(field, UNLIMITED);
    }
    fields.build()
}

pub fn check(spec: &Map, owner: &str, limits: &[Limit]) -> Vec<Problem> {
    let mut problems = check_names(spec, &[owner]);
    if limits.iter().all(|(field, _)| spec.get(field).and_then(Value::as_integer) == Some(UNLIMITED)) {
        let message = "it limits nothing, and the server cannot tell such limits from none";
        problems.push(Problem::error("", message).help("set a limit of 0 or more, or leave the resource out"));
    }
    problems
}

/// Whether any of the limits that are known is set.
pub fn are_set(values: &Json, limits: &[Limit]) -> bool {
    limits.iter().any(|(_, of_api)| set(values, of_api).is_some())
}

fn set(values: &Json, of_api: &str) -> Option<i64> {
    values.get(of_api)?.as_i64().filter(|limit| *limit > UNLIMITED)
}

/// The limits in the field `at` of an object, whose owner stands in its field `named`, as a spec.
pub fn of_api(object: &Json, at: &str, named: &str, owner: &str, limits: &[Limit]) -> Map {
    let name = object.get(named).and_then(Json::as_str).unwrap_or_default();
    spec(owner, name, &object[at], limits)
}

fn spec(owner: &str, name: &str, values: &Json, limits: &[Limit]) -> Map {
    let of_limit = |(field, of_api): &Limit| Some((Arc::from(*field), Value::from(set(values, of_api)?)));
    let owner = (Arc::from(owner), Value::from(name));
    normalise(&limits.iter().filter_map(of_limit).chain([owner]).collect(), limits)
}

pub async fn current<Spec: Unmarked>(
    client: &Client,
    wanted: &Spec,
    owner: &str,
    limits: &[Limit],
) -> Result<Option<Current>, Failure> {
    let path = wanted.path();
    let found = list(client, &path).await?;
    let values = found.first().and_then(|of_owner| of_owner.get("value")).filter(|values| are_set(values, limits));
    Ok(values.map(|values| spec(owner, path.last().copied().unwrap_or_default(), values, limits).into()))
}

pub async fn put(client: &Client, wanted: &impl Unmarked) -> Result<(), Failure> {
    for (limit, value) in wanted.body().as_object().into_iter().flatten() {
        let path = [&wanted.path()[..], &[limit]].concat();
        match value.as_i64() {
            Some(value) if value > UNLIMITED => client.put(&path, &json!({"value": value})).await?,
            _ => client.delete(&path).await?,
        }
    }
    Ok(())
}

pub async fn remove(client: &Client, wanted: &impl Unmarked) -> Result<(), Failure> {
    for limit in wanted.body().as_object().into_iter().flat_map(serde_json::Map::keys) {
        client.delete(&[&wanted.path()[..], &[limit]].concat()).await?;
    }
    Ok(())
}

//! Everything that has no room for a mark.

use serde_json::{Value as Json, json};

use super::{another, vanished};
use crate::client::Client;
use crate::error::Failure;
use crate::types::{binding, exchange, limits, permission, policy, queue, text, topic_permission};
use tenantry_core::diff::{Difference, compare};
use tenantry_core::model::value::{Map, Value};
use tenantry_provider::contract::{Step, StepAction};

pub async fn write(client: &Client, step: &Step) -> Result<(), Failure> {
    let spec = step.spec();
    let found = current(client, step).await?;
    match (&step.action, &found) {
        (StepAction::Delete { .. }, None) => return Ok(()),
        (StepAction::Delete { .. }, Some(found)) => return remove(client, step.kind.name, spec, found).await,
        (StepAction::Update { .. }, None) => return Err(vanished()),
        (StepAction::Create { .. }, Some(found)) => {
            let differences = compare(&step.kind, &step.kind.normal(spec), &step.kind.normal(&found.spec), Some(spec));
            // Limits are set one by one: one that is not set is what an earlier attempt has not come to.
            let is_begun = step.kind.name.ends_with("_limits");
            let is_unset = |field: &Difference| is_begun && field.before == Some(limits::UNLIMITED.into());
            match differences.iter().find(|field| !is_unset(field)) {
                Some(first) => {
                    let message = format!("it exists already, and {} differs", &first.pointer[1..]);
                    return Err(Failure::Conflict(message));
                }
                None if differences.is_empty() => return Ok(()),
                None => {}
            }
        }
        _ => {}
    }
    put(client, step.kind.name, spec).await
}

/// What is there of a resource.
struct Current {
    spec: Map,
    /// How the API calls a binding.
    key: String,
}

async fn current(client: &Client, step: &Step) -> Result<Option<Current>, Failure> {
    let (kind, spec) = (step.kind.name, step.spec());
    let plain = async |path: Vec<&str>, of_api: fn(&Json) -> Map| -> Result<Option<Current>, Failure> {
        let found = client.get(&path).await?.map(|object| of_api(&object));
        let is_asked = |found: &Map| step.kind.identity.iter().all(|field| found.get(field) == spec.get(field));
        match found {
            Some(found) if !is_asked(&found) => Err(another()),
            found => Ok(found.map(|spec| Current { spec, key: String::new() })),
        }
    };
    let limited = async |path: &[&str], owner: &str, known: &[(&str, &str)]| -> Result<Option<Current>, Failure> {
        let found = list(client, path).await?;
        let set = found.first().and_then(|of_owner| of_owner.get("value"));
        let set = set.and_then(|set| limits::of_api(owner, text(spec, owner), set, known));
        Ok(set.map(|spec| Current { spec, key: String::new() }))
    };
    match kind {
        "rabbitmq.permission" => plain(permission::path(spec), permission::of_api).await,
        "rabbitmq.policy" => plain(policy::path(spec), policy::of_api).await,
        "rabbitmq.exchange" => plain(exchange::path(spec), exchange::of_api).await,
        "rabbitmq.queue" => plain(queue::path(spec), queue::of_api).await,
        "rabbitmq.vhost_limits" => limited(&["vhost-limits", text(spec, "vhost")], "vhost", limits::OF_VHOST).await,
        "rabbitmq.user_limits" => limited(&["user-limits", text(spec, "user")], "user", limits::OF_USER).await,
        "rabbitmq.topic_permission" => {
            let all = topic_permissions(client, spec).await?;
            let found = all.into_iter().find(|found| text(found, "exchange") == text(spec, "exchange"));
            Ok(found.map(|spec| Current { spec, key: String::new() }))
        }
        "rabbitmq.binding" => {
            let all = list(client, &binding::path(spec)).await?;
            let wanted =
                |found: &Map| ["routingKey", "arguments"].iter().all(|field| found.get(field) == spec.get(field));
            let found = all.iter().find_map(|object| {
                let found = binding::of_api(object);
                let key = object.get("properties_key").and_then(Json::as_str)?.to_owned();
                wanted(&found).then_some(Current { spec: found, key })
            });
            Ok(found)
        }
        other => Err(Failure::Invalid(format!("RabbitMQ has no kind {other}"))),
    }
}

/// A list, which is empty where there is nothing that it could belong to.
async fn list(client: &Client, path: &[&str]) -> Result<Vec<Json>, Failure> {
    match client.get(path).await? {
        None => Ok(Vec::new()),
        Some(Json::Array(items)) => Ok(items),
        Some(_) => Err(Failure::Invalid(format!("the answer to {} is not a list", path.join("/")))),
    }
}

async fn topic_permissions(client: &Client, spec: &Map) -> Result<Vec<Map>, Failure> {
    Ok(list(client, &topic_permission::path(spec)).await?.iter().map(topic_permission::of_api).collect())
}

async fn put(client: &Client, kind: &str, spec: &Map) -> Result<(), Failure> {
    match kind {
        "rabbitmq.permission" => client.put(&permission::path(spec), &permission::body(spec)).await,
        "rabbitmq.topic_permission" => client.put(&topic_permission::path(spec), &topic_permission::body(spec)).await,
        "rabbitmq.policy" => client.put(&policy::path(spec), &policy::body(spec)).await,
        "rabbitmq.exchange" => client.put(&exchange::path(spec), &exchange::body(spec)).await,
        "rabbitmq.queue" => client.put(&queue::path(spec), &queue::body(spec)).await,
        "rabbitmq.binding" => client.post(&binding::path(spec), &binding::body(spec)).await,
        "rabbitmq.vhost_limits" => {
            set_limits(client, "vhost-limits", text(spec, "vhost"), spec, limits::OF_VHOST).await
        }
        _ => set_limits(client, "user-limits", text(spec, "user"), spec, limits::OF_USER).await,
    }
}

async fn set_limits(
    client: &Client,
    sort: &str,
    owner: &str,
    spec: &Map,
    known: &[(&str, &str)],
) -> Result<(), Failure> {
    for (field, of_api) in known {
        match spec.get(field).and_then(Value::as_integer) {
            Some(limit) if limit >= 0 => client.put(&[sort, owner, of_api], &json!({"value": limit})).await?,
            _ => client.delete(&[sort, owner, of_api]).await?,
        }
    }
    Ok(())
}

async fn remove(client: &Client, kind: &str, spec: &Map, found: &Current) -> Result<(), Failure> {
    match kind {
        "rabbitmq.permission" => client.delete(&permission::path(spec)).await,
        "rabbitmq.policy" => client.delete(&policy::path(spec)).await,
        "rabbitmq.exchange" => client.delete(&exchange::path(spec)).await,
        "rabbitmq.queue" => client.delete(&queue::path(spec)).await,
        "rabbitmq.binding" => {
            let mut path = binding::path(spec);
            path.push(&found.key);
            client.delete(&path).await
        }
        "rabbitmq.topic_permission" => {
            // The API only takes all of them away; those for other exchanges are given back at once.
            let others = topic_permissions(client, spec).await?;
            client.delete(&topic_permission::path(spec)).await?;
            for other in others.iter().filter(|other| text(other, "exchange") != text(spec, "exchange")) {
                client.put(&topic_permission::path(spec), &topic_permission::body(other)).await?;
            }
            Ok(())
        }
        "rabbitmq.vhost_limits" => {
            for (_, limit) in limits::OF_VHOST {
                client.delete(&["vhost-limits", text(spec, "vhost"), limit]).await?;
            }
            Ok(())
        }
        _ => {
            for (_, limit) in limits::OF_USER {
                client.delete(&["user-limits", text(spec, "user"), limit]).await?;
            }
            Ok(())
        }
    }
}

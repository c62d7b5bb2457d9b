//! `rabbitmq.binding`.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::unmarked::{Current, Unmarked, list};
use super::{check_names, reference, spec_of};
use crate::client::Client;
use crate::error::Failure;
use tenantry_core::model::kind::{FieldReference, Kind};
use tenantry_core::model::value::Map;
use tenantry_kit::{Stakes, describe};
use tenantry_provider::contract::Step;

/// A binding of a queue or an exchange to an exchange. All of it is its identity.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "rabbitmq.binding")]
pub struct BindingSpec {
    /// The virtual host of both.
    pub vhost: String,
    /// The exchange that messages come from.
    pub source: String,
    /// The queue or exchange that they go to.
    pub destination: String,
    /// Whether the destination is a queue or an exchange.
    #[serde(default = "queue")]
    pub destination_type: DestinationType,
    /// Which messages pass, as the sort of the source compares it.
    #[serde(default)]
    pub routing_key: String,
    /// For a source that compares headers, such as `x-match`.
    #[serde(default)]
    pub arguments: serde_json::Map<String, Json>,
}

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum DestinationType {
    Queue,
    Exchange,
}

fn queue() -> DestinationType {
    DestinationType::Queue
}

/// Only the order is inferred: whether the destination is a queue or an exchange is another field's word.
const fn optional(pointer: &'static str, kind: &'static str) -> FieldReference {
    FieldReference { pointer, kind, required: false }
}

pub const NAME: &str = "rabbitmq.binding";

pub fn kind() -> Kind {
    Kind {
        references: const {
            &[
                reference("/vhost", "rabbitmq.vhost"),
                optional("/source", "rabbitmq.exchange"),
                optional("/destination", "rabbitmq.queue"),
                optional("/destination", "rabbitmq.exchange"),
            ]
        },
        check: |spec| check_names(spec, &["vhost", "source", "destination"]),
        ..describe::<BindingSpec>(
            NAME,
            "A binding of a queue or an exchange to an exchange of a RabbitMQ broker.",
            &["vhost", "source", "destinationType", "destination", "routingKey", "arguments"],
            Stakes { loses_data: false, bills: false },
        )
    }
}

#[async_trait]
impl Unmarked for BindingSpec {
    const LIST: &'static str = "bindings";

    fn of_api(object: &Json) -> Map {
        let names = [
            ("vhost", "vhost"),
            ("source", "source"),
            ("destination", "destination"),
            ("destinationType", "destination_type"),
            ("routingKey", "routing_key"),
            ("arguments", "arguments"),
        ];
        spec_of(object, &names)
    }

    /// Of all bindings between two ends.
    fn path(&self) -> Vec<&str> {
        let sort = match self.destination_type {
            DestinationType::Exchange => "e",
            DestinationType::Queue => "q",
        };
        vec!["bindings", &self.vhost, "e", &self.source, sort, &self.destination]
    }

    fn body(&self) -> Json {
        serde_json::json!({"routing_key": self.routing_key, "arguments": self.arguments})
    }

    async fn current(&self, client: &Client, step: &Step) -> Result<Option<Current>, Failure> {
        let is_wanted =
            |found: &Map| ["routingKey", "arguments"].iter().all(|field| found.get(field) == step.spec().get(field));
        let all = list(client, &self.path()).await?;
        Ok(all.iter().find_map(|object| {
            let spec = Self::of_api(object);
            let key = object.get("properties_key").and_then(Json::as_str)?.to_owned();
            is_wanted(&spec).then_some(Current { spec, key })
        }))
    }

    async fn put(&self, client: &Client) -> Result<(), Failure> {
        client.post(&self.path(), &self.body()).await
    }

    async fn remove(&self, client: &Client, found: &Current) -> Result<(), Failure> {
        client.delete(&[&self.path()[..], &[&found.key]].concat()).await
    }
}

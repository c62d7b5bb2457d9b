//! `rabbitmq.binding`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;

use super::{check_names, json, plain, reference, spec_of, text};
use tenantry_core::model::kind::{FieldReference, Kind};
use tenantry_core::model::spec::Fields;
use tenantry_core::model::value::Map;

/// A binding of a queue or an exchange to an exchange. All of it is its identity.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "rabbitmq.binding")]
#[expect(dead_code, reason = "the schema is made of it; fields are read from the map")]
pub struct BindingSpec {
    pub vhost: String,
    /// The exchange that messages come from.
    pub source: String,
    /// The queue or exchange that they go to.
    pub destination: String,
    #[serde(default = "queue")]
    pub destination_type: DestinationType,
    #[serde(default)]
    pub routing_key: String,
    #[serde(default)]
    pub arguments: serde_json::Map<String, Json>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
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
        normalise: |spec| {
            let mut fields = Fields::of(spec);
            fields.default("destinationType", "queue");
            fields.default("routingKey", "");
            fields.default("arguments", Map::default());
            fields.build()
        },
        check: |spec| check_names(spec, &["vhost", "source", "destination"]),
        ..plain(
            "rabbitmq.binding",
            "A binding of a queue or an exchange to an exchange of a RabbitMQ broker.",
            schemars::schema_for!(BindingSpec),
            &["vhost", "source", "destinationType", "destination", "routingKey", "arguments"],
        )
    }
}

pub fn of_api(object: &Json) -> Map {
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
pub fn path(spec: &Map) -> Vec<&str> {
    let sort = if text(spec, "destinationType") == "exchange" { "e" } else { "q" };
    vec!["bindings", text(spec, "vhost"), "e", text(spec, "source"), sort, text(spec, "destination")]
}

pub fn body(spec: &Map) -> Json {
    serde_json::json!({"routing_key": text(spec, "routingKey"), "arguments": json(spec, "arguments")})
}

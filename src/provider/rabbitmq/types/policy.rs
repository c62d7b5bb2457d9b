//! `rabbitmq.policy`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;

use super::{check_names, json, plain, reference, spec_of, text};
use tenantry_core::model::kind::Kind;
use tenantry_core::model::spec::Fields;
use tenantry_core::model::value::{Map, Value};

/// Arguments for all queues and exchanges whose names match.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "rabbitmq.policy")]
#[expect(dead_code, reason = "the schema is made of it; fields are read from the map")]
pub struct PolicySpec {
    pub vhost: String,
    pub name: String,
    /// A regular expression over names.
    pub pattern: String,
    #[serde(default = "all")]
    pub apply_to: ApplyTo,
    /// Of several that match the highest counts.
    #[serde(default)]
    pub priority: i64,
    /// Such as `max-length`, `message-ttl`, `dead-letter-exchange`.
    #[schemars(extend("minProperties" = 1))]
    pub definition: serde_json::Map<String, Json>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApplyTo {
    All,
    Queues,
    Exchanges,
    ClassicQueues,
    QuorumQueues,
    Streams,
}

fn all() -> ApplyTo {
    ApplyTo::All
}

pub fn kind() -> Kind {
    Kind {
        references: const { &[reference("/vhost", "rabbitmq.vhost")] },
        normalise: |spec| {
            let mut fields = Fields::of(spec);
            fields.default("applyTo", "all");
            fields.default("priority", 0);
            fields.build()
        },
        check: |spec| check_names(spec, &["vhost", "name"]),
        ..plain(
            "rabbitmq.policy",
            "Arguments for the queues and exchanges of a virtual host whose names match.",
            schemars::schema_for!(PolicySpec),
            &["vhost", "name"],
        )
    }
}

pub fn of_api(object: &Json) -> Map {
    let names = [
        ("vhost", "vhost"),
        ("name", "name"),
        ("pattern", "pattern"),
        ("applyTo", "apply-to"),
        ("priority", "priority"),
        ("definition", "definition"),
    ];
    spec_of(object, &names)
}

pub fn path(spec: &Map) -> Vec<&str> {
    vec!["policies", text(spec, "vhost"), text(spec, "name")]
}

pub fn body(spec: &Map) -> Json {
    serde_json::json!({
        "pattern": text(spec, "pattern"),
        "apply-to": text(spec, "applyTo"),
        "priority": spec.get("priority").and_then(Value::as_integer).unwrap_or_default(),
        "definition": json(spec, "definition"),
    })
}

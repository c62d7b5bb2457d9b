//! `rabbitmq.exchange`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;

use super::{check_names, check_reserved, json, name_limit, plain, reference, spec_of, text};
use tenantry_core::model::kind::Kind;
use tenantry_core::model::spec::Fields;
use tenantry_core::model::value::Map;

/// An exchange. Nothing of it can change.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "rabbitmq.exchange")]
#[expect(dead_code, reason = "the schema is made of it; fields are read from the map")]
pub struct ExchangeSpec {
    pub vhost: String,
    pub name: String,
    /// `direct`, `fanout`, `topic`, `headers`, or one that a plugin brings.
    #[serde(default = "direct", rename = "type")]
    pub sort: String,
    /// Whether it outlives the broker.
    #[serde(default = "yes")]
    pub durable: bool,
    #[serde(default)]
    pub auto_delete: bool,
    /// Whether only other exchanges may publish to it.
    #[serde(default)]
    pub internal: bool,
    #[serde(default)]
    pub arguments: serde_json::Map<String, Json>,
}

fn direct() -> String {
    "direct".to_owned()
}

fn yes() -> bool {
    true
}

pub fn kind() -> Kind {
    Kind {
        immutable: &["/type", "/durable", "/autoDelete", "/internal", "/arguments"],
        name_limits: const { &[name_limit("/name")] },
        references: const { &[reference("/vhost", "rabbitmq.vhost")] },
        normalise: |spec| {
            let mut fields = Fields::of(spec);
            fields.default("type", "direct");
            fields.default("durable", true);
            fields.default("autoDelete", false);
            fields.default("internal", false);
            fields.default("arguments", Map::default());
            fields.build()
        },
        check: |spec| {
            let mut problems = check_names(spec, &["vhost", "name", "type"]);
            problems.extend(check_reserved(spec, "name"));
            problems
        },
        ..plain(
            "rabbitmq.exchange",
            "An exchange of a virtual host of a RabbitMQ broker.",
            schemars::schema_for!(ExchangeSpec),
            &["vhost", "name"],
        )
    }
}

pub fn of_api(object: &Json) -> Map {
    let names = [
        ("vhost", "vhost"),
        ("name", "name"),
        ("type", "type"),
        ("durable", "durable"),
        ("autoDelete", "auto_delete"),
        ("internal", "internal"),
        ("arguments", "arguments"),
    ];
    spec_of(object, &names)
}

pub fn path(spec: &Map) -> Vec<&str> {
    vec!["exchanges", text(spec, "vhost"), text(spec, "name")]
}

pub fn body(spec: &Map) -> Json {
    serde_json::json!({
        "type": text(spec, "type"),
        "durable": json(spec, "durable"),
        "auto_delete": json(spec, "autoDelete"),
        "internal": json(spec, "internal"),
        "arguments": json(spec, "arguments"),
    })
}

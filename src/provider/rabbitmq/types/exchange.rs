//! `rabbitmq.exchange`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;

use super::unmarked::Unmarked;
use super::{check_names, check_reserved, name_limit, reference, spec_of};
use tenantry_core::model::kind::Kind;
use tenantry_core::model::value::Map;
use tenantry_kit::{Stakes, describe};

/// An exchange. None of its properties can change.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "rabbitmq.exchange")]
pub struct ExchangeSpec {
    /// Its virtual host.
    pub vhost: String,
    /// The exchange's name.
    pub name: String,
    /// `direct`, `fanout`, `topic`, `headers`, or one that a plugin brings.
    #[serde(default = "direct", rename = "type")]
    pub sort: String,
    /// Whether it survives a restart of the broker.
    #[serde(default = "yes")]
    pub durable: bool,
    /// Whether it is deleted once nothing is bound to it any more.
    #[serde(default)]
    pub auto_delete: bool,
    /// Whether only other exchanges may publish to it.
    #[serde(default)]
    pub internal: bool,
    /// Such as `alternate-exchange`.
    #[serde(default)]
    pub arguments: serde_json::Map<String, Json>,
}

fn direct() -> String {
    "direct".to_owned()
}

fn yes() -> bool {
    true
}

pub const NAME: &str = "rabbitmq.exchange";

pub fn kind() -> Kind {
    Kind {
        immutable: &["/type", "/durable", "/autoDelete", "/internal", "/arguments"],
        name_limits: const { &[name_limit("/name")] },
        references: const { &[reference("/vhost", "rabbitmq.vhost")] },
        check: |spec| {
            let mut problems = check_names(spec, &["vhost", "name", "type"]);
            problems.extend(check_reserved(spec, "name"));
            problems
        },
        ..describe::<ExchangeSpec>(
            NAME,
            "An exchange of a virtual host of a RabbitMQ broker.",
            &["vhost", "name"],
            Stakes { loses_data: false, bills: false },
        )
    }
}

impl Unmarked for ExchangeSpec {
    const LIST: &'static str = "exchanges";

    fn of_api(object: &Json) -> Map {
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

    fn path(&self) -> Vec<&str> {
        vec!["exchanges", &self.vhost, &self.name]
    }

    fn body(&self) -> Json {
        serde_json::json!({
            "type": self.sort,
            "durable": self.durable,
            "auto_delete": self.auto_delete,
            "internal": self.internal,
            "arguments": self.arguments,
        })
    }
}

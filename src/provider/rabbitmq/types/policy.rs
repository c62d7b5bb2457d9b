//! `rabbitmq.policy`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::unmarked::Unmarked;
use super::{check_names, reference, spec_of};
use tenantry_core::model::kind::Kind;
use tenantry_core::model::value::Map;
use tenantry_kit::{Stakes, describe};

/// Arguments for all queues and exchanges whose names match.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "rabbitmq.policy")]
pub struct PolicySpec {
    /// Its virtual host.
    pub vhost: String,
    /// The policy's name.
    pub name: String,
    /// A regular expression over names.
    pub pattern: String,
    /// What it applies to.
    #[serde(default = "all")]
    pub apply_to: ApplyTo,
    /// If several policies match, the one with the highest priority applies.
    #[serde(default)]
    pub priority: i64,
    /// Such as `max-length`, `message-ttl`, `dead-letter-exchange`.
    #[schemars(extend("minProperties" = 1))]
    pub definition: serde_json::Map<String, Json>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
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

pub const NAME: &str = "rabbitmq.policy";

pub fn kind() -> Kind {
    Kind {
        references: const { &[reference("/vhost", "rabbitmq.vhost")] },
        check: |spec| check_names(spec, &["vhost", "name"]),
        ..describe::<PolicySpec>(
            NAME,
            "Arguments for the queues and exchanges of a virtual host whose names match.",
            &["vhost", "name"],
            Stakes { loses_data: false, bills: false },
        )
    }
}

impl Unmarked for PolicySpec {
    const LIST: &'static str = "policies";

    fn of_api(object: &Json) -> Map {
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

    fn path(&self) -> Vec<&str> {
        vec!["policies", &self.vhost, &self.name]
    }

    fn body(&self) -> Json {
        serde_json::json!({
            "pattern": self.pattern,
            "apply-to": self.apply_to,
            "priority": self.priority,
            "definition": self.definition,
        })
    }
}

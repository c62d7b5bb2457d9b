//! `rabbitmq.vhost`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;

use super::{check_names, name_limit};
use crate::mark::parse_description;
use tenantry_core::model::kind::{Batch, Kind, MarkPlace};
use tenantry_core::model::mark::Mark;
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::{Stakes, describe};

/// A virtual host: a namespace for queues, exchanges and permissions.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "rabbitmq.vhost")]
pub struct VhostSpec {
    /// The virtual host's name.
    pub name: String,
    /// For people.
    #[serde(default)]
    pub description: String,
}

pub const NAME: &str = "rabbitmq.vhost";

pub fn kind() -> Kind {
    Kind {
        // Everything in it.
        mark: MarkPlace::TargetShared,
        batch: Batch::Sequence,
        name_limits: const { &[name_limit("/name")] },
        check: |spec| check_names(spec, &["name"]),
        ..describe::<VhostSpec>(
            NAME,
            "A virtual host of a RabbitMQ broker.",
            &["name"],
            Stakes { loses_data: true, bills: false },
        )
    }
}

/// What the API says of a virtual host, as a spec and its mark.
pub fn of_api(object: &Json) -> (Map, Option<Mark>) {
    let (description, mark) = parse_description(object.get("description").and_then(Json::as_str).unwrap_or_default());
    let name = object.get("name").and_then(Json::as_str).unwrap_or_default();
    let fields = [("name", Value::from(name)), ("description", Value::from(description))];
    (fields.into_iter().map(|(name, value)| (name.into(), value)).collect(), mark)
}

impl VhostSpec {
    pub fn path(&self) -> [&str; 2] {
        ["vhosts", &self.name]
    }
}

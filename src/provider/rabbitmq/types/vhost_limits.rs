//! `rabbitmq.vhost_limits`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::limits::{self, Limit, Limits};
use super::reference;
use tenantry_core::model::kind::Kind;
use tenantry_kit::{Stakes, describe};

/// Limits of a virtual host. -1 is no limit.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "rabbitmq.vhost_limits")]
pub struct VhostLimitsSpec {
    /// The virtual host.
    pub vhost: String,
    /// The most connections at a time; -1 is without a limit.
    #[serde(default = "limits::unlimited")]
    #[schemars(range(min = -1))]
    pub max_connections: i64,
    /// The most queues; -1 is without a limit.
    #[serde(default = "limits::unlimited")]
    #[schemars(range(min = -1))]
    pub max_queues: i64,
}

pub const NAME: &str = "rabbitmq.vhost_limits";

pub fn kind() -> Kind {
    Kind {
        references: const { &[reference("/vhost", "rabbitmq.vhost")] },
        check: |spec| limits::check::<VhostLimitsSpec>(spec),
        ..describe::<VhostLimitsSpec>(
            NAME,
            "Limits of a virtual host of a RabbitMQ broker.",
            &["vhost"],
            Stakes { loses_data: false, bills: false },
        )
    }
}

impl Limits for VhostLimitsSpec {
    const LIST: &'static str = "parameters";
    const KNOWN: &'static [Limit] = &[("maxConnections", "max-connections"), ("maxQueues", "max-queues")];
    const OWNER: &'static str = "vhost";

    fn listed(object: &Json) -> (&Json, &Json) {
        // Other parameters stand in the same list.
        let limits = if object["component"] == "vhost-limits" { &object["value"] } else { &Json::Null };
        (&object["vhost"], limits)
    }

    fn path(&self) -> Vec<&str> {
        vec!["vhost-limits", &self.vhost]
    }

    fn body(&self) -> Json {
        json!({"max-connections": self.max_connections, "max-queues": self.max_queues})
    }
}

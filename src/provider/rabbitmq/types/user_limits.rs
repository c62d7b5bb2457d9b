//! `rabbitmq.user_limits`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::limits::{self, Limit, Limits};
use super::reference;
use tenantry_core::model::kind::Kind;
use tenantry_kit::{Stakes, describe};

/// Limits of a user. -1 is no limit.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "rabbitmq.user_limits")]
pub struct UserLimitsSpec {
    /// The user.
    pub user: String,
    /// With 0 the user cannot connect, for a suspended tenant.
    #[serde(default = "limits::unlimited")]
    #[schemars(range(min = -1))]
    pub max_connections: i64,
    /// The most channels at a time; -1 is without a limit.
    #[serde(default = "limits::unlimited")]
    #[schemars(range(min = -1))]
    pub max_channels: i64,
}

pub const NAME: &str = "rabbitmq.user_limits";

pub fn kind() -> Kind {
    Kind {
        references: const { &[reference("/user", "rabbitmq.user")] },
        check: |spec| limits::check::<UserLimitsSpec>(spec),
        ..describe::<UserLimitsSpec>(
            NAME,
            "Limits of a user of a RabbitMQ broker.",
            &["user"],
            Stakes { loses_data: false, bills: false },
        )
    }
}

impl Limits for UserLimitsSpec {
    const LIST: &'static str = "users";
    const KNOWN: &'static [Limit] = &[("maxConnections", "max-connections"), ("maxChannels", "max-channels")];
    const OWNER: &'static str = "user";

    fn listed(object: &Json) -> (&Json, &Json) {
        (&object["name"], &object["limits"])
    }

    fn path(&self) -> Vec<&str> {
        vec!["user-limits", &self.user]
    }

    fn body(&self) -> Json {
        json!({"max-connections": self.max_connections, "max-channels": self.max_channels})
    }
}

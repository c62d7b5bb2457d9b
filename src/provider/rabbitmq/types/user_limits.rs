//! `rabbitmq.user_limits`.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::limits::{self, Limit};
use super::reference;
use super::unmarked::{Current, Unmarked};
use crate::client::Client;
use crate::error::Failure;
use tenantry_core::model::kind::Kind;
use tenantry_core::model::value::Map;
use tenantry_kit::describe;
use tenantry_provider::contract::Step;

/// What a user may have at most. -1 is no limit.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "rabbitmq.user_limits")]
pub struct UserLimitsSpec {
    pub user: String,
    /// Zero keeps it from connecting at all, for a tenant that is suspended.
    #[serde(default = "limits::unlimited")]
    #[schemars(range(min = -1))]
    pub max_connections: i64,
    #[serde(default = "limits::unlimited")]
    #[schemars(range(min = -1))]
    pub max_channels: i64,
}

const LIMITS: &[Limit] = &[("maxConnections", "max-connections"), ("maxChannels", "max-channels")];

pub const NAME: &str = "rabbitmq.user_limits";

pub fn kind() -> Kind {
    Kind {
        references: const { &[reference("/user", "rabbitmq.user")] },
        normalise: |spec| limits::normalise(spec, LIMITS),
        check: |spec| limits::check(spec, "user", LIMITS),
        ..describe::<UserLimitsSpec>(NAME, "What a user of a RabbitMQ broker may have at most.", &["user"])
    }
}

#[async_trait]
impl Unmarked for UserLimitsSpec {
    const LIST: &'static str = "users";
    const IN_PARTS: bool = true;

    fn of_api(object: &Json) -> Map {
        limits::of_api(object, "limits", "name", "user", LIMITS)
    }

    fn among(list: &[Json]) -> Vec<Map> {
        list.iter().filter(|object| limits::are_set(&object["limits"], LIMITS)).map(Self::of_api).collect()
    }

    fn path(&self) -> Vec<&str> {
        vec!["user-limits", &self.user]
    }

    fn body(&self) -> Json {
        json!({"max-connections": self.max_connections, "max-channels": self.max_channels})
    }

    async fn current(&self, client: &Client, _: &Step) -> Result<Option<Current>, Failure> {
        limits::current(client, self, "user", LIMITS).await
    }

    async fn put(&self, client: &Client) -> Result<(), Failure> {
        limits::put(client, self).await
    }

    async fn remove(&self, client: &Client, _: &Current) -> Result<(), Failure> {
        limits::remove(client, self).await
    }
}

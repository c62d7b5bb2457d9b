//! `rabbitmq.vhost_limits`.

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

/// What a virtual host may have at most. -1 is no limit.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "rabbitmq.vhost_limits")]
pub struct VhostLimitsSpec {
    pub vhost: String,
    #[serde(default = "limits::unlimited")]
    #[schemars(range(min = -1))]
    pub max_connections: i64,
    #[serde(default = "limits::unlimited")]
    #[schemars(range(min = -1))]
    pub max_queues: i64,
}

const LIMITS: &[Limit] = &[("maxConnections", "max-connections"), ("maxQueues", "max-queues")];

pub const NAME: &str = "rabbitmq.vhost_limits";

pub fn kind() -> Kind {
    Kind {
        references: const { &[reference("/vhost", "rabbitmq.vhost")] },
        normalise: |spec| limits::normalise(spec, LIMITS),
        check: |spec| limits::check(spec, "vhost", LIMITS),
        ..describe::<VhostLimitsSpec>(NAME, "What a virtual host of a RabbitMQ broker may have at most.", &["vhost"])
    }
}

#[async_trait]
impl Unmarked for VhostLimitsSpec {
    const LIST: &'static str = "parameters";
    const IN_PARTS: bool = true;

    fn of_api(object: &Json) -> Map {
        limits::of_api(object, "value", "vhost", "vhost", LIMITS)
    }

    fn among(list: &[Json]) -> Vec<Map> {
        let limited = list.iter().filter(|object| object["component"] == "vhost-limits");
        limited.filter(|object| limits::are_set(&object["value"], LIMITS)).map(Self::of_api).collect()
    }

    fn path(&self) -> Vec<&str> {
        vec!["vhost-limits", &self.vhost]
    }

    fn body(&self) -> Json {
        json!({"max-connections": self.max_connections, "max-queues": self.max_queues})
    }

    async fn current(&self, client: &Client, _: &Step) -> Result<Option<Current>, Failure> {
        limits::current(client, self, "vhost", LIMITS).await
    }

    async fn put(&self, client: &Client) -> Result<(), Failure> {
        limits::put(client, self).await
    }

    async fn remove(&self, client: &Client, _: &Current) -> Result<(), Failure> {
        limits::remove(client, self).await
    }
}

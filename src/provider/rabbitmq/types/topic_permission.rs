//! `rabbitmq.topic_permission`.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;

use super::unmarked::{Current, Unmarked, list};
use super::{check_names, reference, spec_of};
use crate::client::Client;
use crate::error::Failure;
use tenantry_core::model::kind::Kind;
use tenantry_core::model::value::Map;
use tenantry_kit::{Stakes, describe, parse};
use tenantry_provider::contract::Step;

/// Which routing keys a user may use with a topic exchange, as regular expressions.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "rabbitmq.topic_permission")]
pub struct TopicPermissionSpec {
    /// The exchange's virtual host.
    pub vhost: String,
    /// The user who gets the permissions.
    pub user: String,
    /// The topic exchange.
    pub exchange: String,
    /// Routing keys that it may publish with.
    #[serde(default)]
    pub write: String,
    /// Routing keys that it may bind with.
    #[serde(default)]
    pub read: String,
}

pub const NAME: &str = "rabbitmq.topic_permission";

pub fn kind() -> Kind {
    Kind {
        references: const { &[reference("/vhost", "rabbitmq.vhost"), reference("/user", "rabbitmq.user")] },
        check: |spec| check_names(spec, &["vhost", "user", "exchange"]),
        reviewed: &["/write", "/read"],
        ..describe::<TopicPermissionSpec>(
            NAME,
            "Which routing keys a user may use with a topic exchange of a RabbitMQ broker.",
            &["vhost", "user", "exchange"],
            Stakes { loses_data: false, bills: false },
        )
    }
}

/// The API has no address for one of them, only for all of a user in a virtual host.
#[async_trait]
impl Unmarked for TopicPermissionSpec {
    const LIST: &'static str = "topic_permissions";

    fn of_api(object: &Json) -> Map {
        spec_of(object, &["vhost", "user", "exchange", "write", "read"].map(|field| (field, field)))
    }

    fn path(&self) -> Vec<&str> {
        vec!["topic-permissions", &self.vhost, &self.user]
    }

    fn body(&self) -> Json {
        serde_json::json!({"exchange": self.exchange, "write": self.write, "read": self.read})
    }

    async fn current(&self, client: &Client, _: &Step) -> Result<Option<Current>, Failure> {
        let all = list(client, &self.path()).await?;
        let found = all.iter().find(|object| object["exchange"] == *self.exchange);
        Ok(found.map(|object| Self::of_api(object).into()))
    }

    async fn remove(&self, client: &Client, _: &Current) -> Result<(), Failure> {
        // The API only takes all of them away; those for other exchanges are given back at once.
        let all = list(client, &self.path()).await?;
        let all: Vec<Self> = all.iter().map(|object| parse(&Self::of_api(object))).collect::<Result<_, _>>()?;
        client.delete(&self.path()).await?;
        for other in all.iter().filter(|other| other.exchange != self.exchange) {
            other.put(client).await?;
        }
        Ok(())
    }
}

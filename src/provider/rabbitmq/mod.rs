//! RabbitMQ, by its management API: virtual hosts, users, permissions, exchanges, queues, bindings, policies, limits.
//!
//! ```text
//! types/   what each kind's spec is, how the API says it, and what the planner has to know of it
//! read/    two requests, whatever the number of tenants: the definitions, and the virtual hosts with what those lack
//! write/   one resource at a time: look, then put
//! ```
//!
//! Marks stand in the description of a virtual host and among the tags of a user ([`mark`]); the others have no room for
//! one and rely on the inventory. Passwords are sent as salted hashes ([`password`]).

mod client;
mod error;
mod mark;
mod password;
mod read;
mod types;
mod write;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use client::Client;
use tenantry_core::model::kind::Kind;
use tenantry_kit::{InTurn, ProviderKind as _};
use tenantry_provider::contract::{Provider, ProviderError, Reader, Settings, Writer};

/// The RabbitMQ provider. Tried with version 3.10.
pub struct RabbitMq;

/// The settings of a RabbitMQ target.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the schema is made of it; values are read through `Settings::text`")]
struct RabbitMqSettings {
    /// The management API: `https://user:password@host:15671`, as `env:NAME` or `file:PATH` unless it is without a
    /// password.
    url: String,
    /// A PEM file with the only certificates to trust, relative to the estate's folder. Needs `https://`.
    roots: Option<String>,
    /// Whether `http://` may be a server on another machine: everybody on the network between can then read what is sent,
    /// including the password.
    #[serde(default)]
    plaintext: bool,
    /// The maximum number of requests per second, reads and writes together.
    #[serde(default = "default_requests_per_second")]
    #[schemars(range(min = 1, max = 1000))]
    requests_per_second: u32,
}

fn default_requests_per_second() -> u32 {
    client::REQUESTS_PER_SECOND
}

impl Provider for RabbitMq {
    fn name(&self) -> &'static str {
        "rabbitmq"
    }

    fn placement_key(&self) -> &'static str {
        "broker"
    }

    fn kinds(&self) -> Vec<Kind> {
        types::RabbitMqKind::descriptions()
    }

    fn settings_schema(&self) -> schemars::Schema {
        schemars::schema_for!(RabbitMqSettings)
    }

    fn reader(&self, settings: &Settings) -> Result<Box<dyn Reader>, ProviderError> {
        Ok(Box::new(read::RabbitMqReader::new(Arc::new(Client::new(settings)?))))
    }

    fn writer(&self, settings: &Settings) -> Result<Box<dyn Writer>, ProviderError> {
        Ok(Box::new(InTurn(write::RabbitMqWriter::new(Arc::new(Client::new(settings)?)))))
    }
}

//! Redis: keys, hashes and the users of its access control lists.
//!
//! ```text
//! types/   what each kind's spec is, and what the planner has to know of it
//! read/    keys in pages of one pipeline each, all users in one request
//! write/   compare and set under `WATCH` for keys; one `ACL SETUSER` for a user
//! ```
//!
//! A user carries its mark in a selector that grants nothing ([`mark`]); keys have no room for one and rely on the
//! inventory. Passwords are sent as their SHA-256, which is what the server keeps of them.

mod acl;
mod connection;
mod error;
mod mark;
mod read;
mod rules;
mod scan;
mod types;
mod write;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use connection::Connections;
use tenantry_core::model::kind::Kind;
use tenantry_core::rules::RuleSet;
use tenantry_kit::{InTurn, ProviderKind as _};
use tenantry_provider::contract::{Provider, ProviderError, Reader, Settings, Writer};

/// The Redis provider. Tried with Redis 7.0; needs 7.0 or newer, or Valkey, and no cluster.
pub struct Redis;

/// The settings of a Redis target.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the schema is made of it; values are read through `Settings::text`")]
struct RedisSettings {
    /// `rediss://user:password@host:port/database`, or `redis://` without TLS, as `env:NAME` or `file:PATH` unless it is
    /// without a password.
    url: String,
    /// A PEM file with the only certificates to trust, relative to the estate's folder. Needs `rediss://`.
    roots: Option<String>,
    /// Whether `redis://` may be a server on another machine: everybody on the network between can then read what is sent,
    /// including the password.
    #[serde(default)]
    plaintext: bool,
}

impl Provider for Redis {
    fn name(&self) -> &'static str {
        "redis"
    }

    fn placement_key(&self) -> &'static str {
        "cache"
    }

    fn kinds(&self) -> Vec<Kind> {
        types::RedisKind::descriptions()
    }

    fn rules(&self) -> Option<RuleSet> {
        Some(rules::rules())
    }

    fn settings_schema(&self) -> schemars::Schema {
        schemars::schema_for!(RedisSettings)
    }

    fn reader(&self, settings: &Settings) -> Result<Box<dyn Reader>, ProviderError> {
        Ok(Box::new(read::RedisReader::new(Arc::new(Connections::new(settings)?))))
    }

    fn writer(&self, settings: &Settings) -> Result<Box<dyn Writer>, ProviderError> {
        Ok(Box::new(InTurn(write::RedisWriter::new(Arc::new(Connections::new(settings)?)))))
    }
}

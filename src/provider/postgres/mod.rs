//! PostgreSQL: databases, roles, schemas, extensions, scripts, privileges, row security, rows.
//!
//! ```text
//! types/   what each kind's spec is, and what the planner has to know of it
//! read/    the catalogue → observations: a fixed number of queries for each database, whatever the number of tenants
//! write/   steps → one transaction
//! ```
//!
//! Marks stand in comments ([`mark`]); grants, rows and extensions have no room for one and rely on the inventory. Passwords
//! are sent as verifiers ([`scram`]). Everything is read with an empty search path, so that what the server prints of
//! an expression or a type does not depend on who asks.

mod connection;
mod error;
mod heard;
mod mark;
mod quote;
mod read;
mod rules;
mod scram;
mod statements;
mod types;
mod write;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use connection::Connections;
use tenantry_core::model::kind::Kind;
use tenantry_core::rules::RuleSet;
use tenantry_kit::ProviderKind as _;
use tenantry_kit::settings::invalid;
use tenantry_provider::contract::{Provider, ProviderError, Reader, Settings, Writer};

/// The PostgreSQL provider. Tried with version 15; needs 14 or newer.
pub struct Postgres;

/// The settings of a PostgreSQL target.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the schema is made of it; values are read through `Settings::text`")]
struct PostgresSettings {
    /// `postgres://user:password@host:port/database?sslmode=verify-full`, as `env:NAME` or `file:PATH` unless it is without a
    /// password.
    url: String,
    /// A PEM file with the only certificates to trust, relative to the estate's folder.
    roots: Option<String>,
    /// The schema for records of scripts; created when the first script runs.
    #[serde(default = "default_bookkeeping_schema")]
    bookkeeping_schema: String,
}

fn default_bookkeeping_schema() -> String {
    "tenantry".to_owned()
}

impl Provider for Postgres {
    fn name(&self) -> &'static str {
        "postgres"
    }

    fn placement_key(&self) -> &'static str {
        "database"
    }

    fn kinds(&self) -> Vec<Kind> {
        types::PostgresKind::descriptions()
    }

    fn rules(&self) -> Option<RuleSet> {
        Some(rules::rules())
    }

    fn settings_schema(&self) -> schemars::Schema {
        schemars::schema_for!(PostgresSettings)
    }

    fn reader(&self, settings: &Settings) -> Result<Box<dyn Reader>, ProviderError> {
        let connections = Arc::new(Connections::new(settings)?);
        Ok(Box::new(read::PostgresReader::new(connections, bookkeeping_schema(settings)?)))
    }

    fn writer(&self, settings: &Settings) -> Result<Box<dyn Writer>, ProviderError> {
        let connections = Arc::new(Connections::new(settings)?);
        Ok(Box::new(write::PostgresWriter::new(connections, bookkeeping_schema(settings)?)))
    }
}

fn bookkeeping_schema(settings: &Settings) -> Result<Arc<str>, ProviderError> {
    let name = settings.text("bookkeeping_schema").map_or_else(default_bookkeeping_schema, str::to_owned);
    if name.is_empty() || name.len() > 63 || name.contains('\0') || name.starts_with("pg_") {
        return Err(invalid(settings, "`bookkeeping_schema` is not a valid name of a schema"));
    }
    Ok(name.into())
}

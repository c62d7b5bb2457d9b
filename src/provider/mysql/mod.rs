//! MySQL and MariaDB: databases, users, privileges, rows, scripts.
//!
//! ```text
//! types/   what each kind's spec is, and what the planner has to know of it
//! read/    a fixed number of queries for each kind, whatever the number of tenants
//! write/   one statement after the other: data definition ends every transaction here
//! ```
//!
//! MySQL has room for a mark on a user and MariaDB on a database, and neither on the other's: where there is none, the mark
//! is a row of a table of Tenantry's own on the same server ([`mark`]). Privileges and rows rely on the inventory.
//! Passwords are sent as the server keeps them ([`password`]).

mod connection;
mod error;
mod mark;
mod password;
mod quote;
mod read;
mod rules;
mod statements;
mod types;
mod write;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use connection::Connections;
use tenantry_core::model::kind::Kind;
use tenantry_core::rules::RuleSet;
use tenantry_kit::settings::invalid;
use tenantry_kit::{InTurn, ProviderKind as _};
use tenantry_provider::contract::{Provider, ProviderError, Reader, Settings, Writer};

/// The MySQL provider. Tried with MariaDB 10.11 and MySQL 9.7; needs MariaDB 10.5 or MySQL 8.0.
pub struct MySql;

/// The settings of a MySQL or MariaDB target.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the schema is made of it; values are read through `Settings::text`")]
struct MySqlSettings {
    /// `mysql://user:password@host:port?ssl-mode=VERIFY_IDENTITY`, as `env:NAME` or `file:PATH` unless it is without a
    /// password.
    url: String,
    /// A PEM file with certificates to trust besides those of the system, relative to the estate's folder.
    roots: Option<String>,
    /// Which product the server is, for checks without it: `mysql` takes names of users of 32 characters, `mariadb` of 80.
    server: Option<ServerName>,
    /// The database for records of scripts and for marks that have no other place; created when the first one is written.
    #[serde(default = "default_bookkeeping_database")]
    bookkeeping_database: String,
}

/// The product of a target.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum ServerName {
    MySql,
    MariaDb,
}

fn default_bookkeeping_database() -> String {
    "tenantry".to_owned()
}

impl Provider for MySql {
    fn name(&self) -> &'static str {
        "mysql"
    }

    fn placement_key(&self) -> &'static str {
        "mysql"
    }

    fn kinds(&self) -> Vec<Kind> {
        types::MySqlKind::descriptions()
    }

    fn rules(&self) -> Option<RuleSet> {
        Some(rules::rules())
    }

    fn settings_schema(&self) -> schemars::Schema {
        schemars::schema_for!(MySqlSettings)
    }

    fn reader(&self, settings: &Settings) -> Result<Box<dyn Reader>, ProviderError> {
        let connections = Arc::new(Connections::new(settings)?);
        Ok(Box::new(read::MySqlReader::new(connections, bookkeeping_database(settings)?)))
    }

    fn writer(&self, settings: &Settings) -> Result<Box<dyn Writer>, ProviderError> {
        let connections = Arc::new(Connections::new(settings)?);
        Ok(Box::new(InTurn(write::MySqlWriter::new(connections, bookkeeping_database(settings)?))))
    }
}

fn bookkeeping_database(settings: &Settings) -> Result<Arc<str>, ProviderError> {
    let name = settings.text("bookkeeping_database").map_or_else(default_bookkeeping_database, str::to_owned);
    if name.is_empty() || name.len() > 64 || name.contains('\0') || types::is_system_database(&name) {
        return Err(invalid(settings, "`bookkeeping_database` is not a valid name of a database"));
    }
    Ok(name.into())
}

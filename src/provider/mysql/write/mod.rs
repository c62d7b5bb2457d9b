//! The writing half: one step after the other.
//!
//! Data definition ends every transaction here, so nothing is all or nothing but a single statement. What is to be changed
//! is looked at first: so a repeated step finds its own work and goes on from there, and somebody else's is a conflict.

mod database;
mod grant;
mod row;
mod script;
mod user;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use sqlx::{MySqlConnection, Row as _};

use super::connection::{Connections, Session};
use super::error::{Failed as _, Failure};
use super::mark;
use super::quote::{quote_identifier, quote_qualified};
use super::read::script::TABLE as SCRIPTS;
use super::types::MySqlKind;
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::{ProviderKind as _, Steps, within};
use tenantry_provider::contract::{CommitGuard, Step, Written};
use tenantry_provider::notices::note;

pub struct MySqlWriter {
    connections: Arc<Connections>,
    bookkeeping: Arc<str>,
    /// Whether the tables of the bookkeeping database were made or seen.
    is_prepared: AtomicBool,
}

impl MySqlWriter {
    pub fn new(connections: Arc<Connections>, bookkeeping: Arc<str>) -> Self {
        Self { connections, bookkeeping, is_prepared: AtomicBool::new(false) }
    }

    async fn write(&self, step: &Step, guard: &dyn CommitGuard) -> Result<(), Failure> {
        let kind = MySqlKind::of(step.kind.name)?;
        let mut session = self.connections.acquire().await?;
        if let Some(reason) = session.server.changes_names(kind, step.spec()) {
            return Err(Failure::invalid(reason));
        }
        if !step.is_delete() && keeps_records(kind) && !self.is_prepared.load(Ordering::Relaxed) {
            prepare(&mut session.connection, &self.bookkeeping).await?;
            self.is_prepared.store(true, Ordering::Relaxed);
        }
        // The server ends a session that is silent for so long: what a process sends after it was stopped, when its lock may
        // be another run's, is not carried out.
        let grace = guard.grace().as_secs().max(1);
        execute(&mut session.connection, format!("SET SESSION wait_timeout = {grace}")).await?;
        guard.check().await?;
        match kind {
            MySqlKind::Database => database::write(&mut session, &self.bookkeeping, step).await?,
            MySqlKind::User => user::write(&mut session, &self.bookkeeping, step).await?,
            MySqlKind::Grant => grant::write(&mut session.connection, step).await?,
            MySqlKind::Row => row::write(&mut session.connection, step, guard).await?,
            MySqlKind::Script => session = script::write(&self.connections, session, &self.bookkeeping, step).await?,
        }
        execute(&mut session.connection, "SET SESSION wait_timeout = DEFAULT".to_owned()).await?;
        self.connections.release(session);
        Ok(())
    }
}

#[async_trait]
impl Steps for MySqlWriter {
    type Failure = Failure;
    const ASKS_GUARD: bool = true;

    async fn step(&self, step: &Step, guard: &dyn CommitGuard) -> Result<Written, Failure> {
        within(self.connections.timeouts().write, self.write(step, guard)).await?;
        Ok(Written::default())
    }

    fn attempted(&self, step: &Step) -> String {
        step.attempted(step.identity.trim_matches('/'))
    }
}

/// Whether a kind may need a table of the bookkeeping database.
fn keeps_records(kind: MySqlKind) -> bool {
    match kind {
        MySqlKind::Database | MySqlKind::User | MySqlKind::Script => true,
        MySqlKind::Grant | MySqlKind::Row => false,
    }
}

/// Makes the bookkeeping database and its tables where they are missing.
async fn prepare(connection: &mut MySqlConnection, bookkeeping: &str) -> Result<(), Failure> {
    let database = quote_identifier(bookkeeping)?;
    let (marks, scripts) = (quote_qualified(bookkeeping, mark::TABLE)?, quote_qualified(bookkeeping, SCRIPTS)?);
    let exact = "CHARACTER SET utf8mb4 COLLATE utf8mb4_bin";
    for sql in [
        format!("CREATE DATABASE IF NOT EXISTS {database} {exact}"),
        format!(
            "CREATE TABLE IF NOT EXISTS {marks} (kind varchar(16) NOT NULL, name varchar(128) NOT NULL, \
             host varchar(255) NOT NULL, estate varchar(255) NOT NULL, address text NOT NULL, secret_hash varchar(64), \
             password varchar(64), PRIMARY KEY (kind, name, host)) ENGINE=InnoDB {exact}"
        ),
        format!(
            "CREATE TABLE IF NOT EXISTS {scripts} (estate varchar(255) NOT NULL, address varchar(500) NOT NULL, \
             database_name varchar(64) NOT NULL, name varchar(64) NOT NULL, checksum char(64) NOT NULL, \
             check_query mediumtext, run_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP, PRIMARY KEY (estate, address), \
             KEY (database_name, name)) ENGINE=InnoDB {exact}"
        ),
    ] {
        execute(connection, sql).await?;
    }
    Ok(())
}

/// Runs a statement that binds nothing.
async fn execute(connection: &mut MySqlConnection, sql: String) -> Result<(), Failure> {
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(connection).await?;
    Ok(())
}

/// Runs a statement and notes what the server warns of.
async fn execute_heard(connection: &mut MySqlConnection, sql: String) -> Result<(), Failure> {
    execute(connection, sql).await?;
    hear(connection).await;
    Ok(())
}

/// Notes what the server warned of in the statement before. The driver does not say whether there is anything.
///
/// The statement is done by then, so a failure here must not make its step a failed one. If the connection is lost, the next
/// statement says so.
async fn hear(connection: &mut MySqlConnection) {
    if let Err(error) = warnings(connection).await {
        tracing::warn!("the server's warnings could not be read: {error}");
    }
}

async fn warnings(connection: &mut MySqlConnection) -> Result<(), sqlx::Error> {
    for row in sqlx::raw_sql("SHOW WARNINGS").fetch_all(connection).await? {
        let text = |index: usize| row.try_get_unchecked::<String, _>(index);
        let code: u32 = row.try_get_unchecked(1)?;
        note(&format!("{} {code}: {}", text(0)?, text(2)?));
    }
    Ok(())
}

/// A text of a spec; empty where it is missing.
fn text<'a>(spec: &'a Map, field: &str) -> &'a str {
    spec.get(field).and_then(Value::as_str).unwrap_or_default()
}

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
use sqlx::MySqlConnection;

use super::connection::{Connections, Session};
use super::error::Failure;
use super::mark::{self, same_owner};
use super::quote::{quote_identifier, quote_qualified};
use super::read::script::TABLE as SCRIPTS;
use crate::core::model::mark::Mark;
use crate::core::model::value::{Map, Value};
use crate::provider::contract::{ProviderError, Step, StepAction, WriteError, Writer, Written};

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

    async fn step(&self, step: &Step) -> Result<(), Failure> {
        let mut session = self.connections.acquire().await?;
        let is_delete = matches!(step.action, StepAction::Delete { .. });
        if !is_delete && keeps_records(step) && !self.is_prepared.load(Ordering::Relaxed) {
            prepare(&mut session.connection, &self.bookkeeping).await?;
            self.is_prepared.store(true, Ordering::Relaxed);
        }
        let is_clean = match step.kind.name {
            "mysql.database" => database::write(&mut session, &self.bookkeeping, step).await.map(|()| true),
            "mysql.user" => user::write(&mut session, &self.bookkeeping, step).await.map(|()| true),
            "mysql.grant" => grant::write(&mut session.connection, step).await.map(|()| true),
            "mysql.row" => row::write(&mut session.connection, step).await.map(|()| true),
            // It may change settings of the session for good.
            "mysql.script" => script::write(&mut session.connection, &self.bookkeeping, step).await.map(|()| false),
            other => Err(Failure::Invalid(format!("MySQL has no kind {other}"))),
        }?;
        if is_clean {
            self.connections.release(session);
        }
        Ok(())
    }
}

#[async_trait]
impl Writer for MySqlWriter {
    async fn write(&self, batch: &[Step]) -> Result<Vec<Written>, WriteError> {
        let mut done = Vec::with_capacity(batch.len());
        for (index, step) in batch.iter().enumerate() {
            match self.step(step).await {
                Ok(()) => done.push(Written::default()),
                Err(failure) => {
                    let mut error = failure.into_provider_error(attempted(step));
                    mask(&mut error, batch);
                    return Err(WriteError { step: index, done, error });
                }
            }
        }
        Ok(done)
    }
}

/// Whether a step may need a table of the bookkeeping database.
fn keeps_records(step: &Step) -> bool {
    matches!(step.kind.name, "mysql.database" | "mysql.user" | "mysql.script")
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

/// The spec that a step is about.
fn spec_of(step: &Step) -> &Map {
    match &step.action {
        StepAction::Create { spec, .. } | StepAction::Update { spec, .. } => spec,
        StepAction::Delete { before } => &before.spec,
    }
}

/// A text of a spec; empty where it is missing.
fn text<'a>(spec: &'a Map, field: &str) -> &'a str {
    spec.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// A spec of a step with its types.
fn parse<T: serde::de::DeserializeOwned>(spec: &Map) -> Result<T, Failure> {
    // The parser's own message may quote values.
    super::types::parse(spec)
        .map_err(|_| Failure::Invalid("the spec does not follow the schema of its kind".to_owned()))
}

/// Whether a step may change a resource that exists and carries `current`.
///
/// # Errors
/// A conflict that names whose it is.
fn check_owner(step: &Step, current: Option<&Mark>) -> Result<(), Failure> {
    let is_ours = current.is_some_and(|mark| same_owner(mark, &step.mark));
    let is_as_planned = match &step.action {
        StepAction::Create { .. } | StepAction::Delete { .. } => false,
        // Adopted, or renamed in the estate: what the plan saw is still there.
        StepAction::Update { before, .. } => match (&before.mark, current) {
            (None, None) => true,
            (Some(seen), Some(current)) => same_owner(seen, current),
            _ => false,
        },
    };
    if is_ours || is_as_planned {
        return Ok(());
    }
    Err(Failure::Conflict(match current {
        Some(mark) => format!("it carries the mark of {} in estate \"{}\"", mark.address, mark.estate),
        None => "it exists and carries no mark".to_owned(),
    }))
}

/// The conflict of an update whose resource is gone.
fn vanished() -> Failure {
    Failure::Conflict("it no longer exists; plan again".to_owned())
}

/// What a step does, for messages.
fn attempted(step: &Step) -> String {
    let verb = match step.action {
        StepAction::Create { .. } => "creating",
        StepAction::Update { .. } => "updating",
        StepAction::Delete { .. } => "deleting",
    };
    let noun = step.kind.name.rsplit('.').next().unwrap_or(step.kind.name).replace('_', " ");
    format!("{verb} {noun} \"{}\"", step.identity.trim_matches('/'))
}

/// Takes the values of secrets out of an error, should the server have quoted one.
fn mask(error: &mut ProviderError, batch: &[Step]) {
    for step in batch {
        let (StepAction::Create { spec, secrets } | StepAction::Update { spec, secrets, .. }) = &step.action else {
            continue;
        };
        let spec = Value::from(spec.clone());
        for pointer in secrets {
            if let Some(secret) = spec.pointer(pointer).and_then(Value::as_str)
                && !secret.is_empty()
            {
                error.cause = error.cause.replace(secret, "(secret)");
            }
        }
    }
}

//! The writing half: a batch of steps as one transaction.
//!
//! Statements that bind nothing are collected and sent together, in order; the number of statements that were completed tells
//! which step failed. What is to be changed is looked at first, in the same transaction: so a repeated step finds its
//! own work and goes on from there, and somebody else's resource is a conflict.
//!
//! A transaction keeps those of other runs for the same owner waiting, ends by itself if nothing happens in it for a while,
//! and is committed only while the run holds its lock: see [`CommitGuard`].
//!
//! Steps of several databases cannot be one transaction: the engine hands them over one database after the other. Roles,
//! which belong to no database, join their neighbours.

mod database;
mod extension;
mod grant;
mod lock;
mod login;
mod policy;
mod role;
mod row;
mod schema;
mod script;
mod sessions;
mod transaction;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use login::Login;

use super::connection::Connections;
use super::error::{Failed as _, Failure};
use super::heard::listening;
use super::types::{self, PostgresKind};
use tenantry_core::model::value::Value;
use tenantry_kit::{ProviderKind as _, failed};
use tenantry_provider::contract::{CommitGuard, Step, WriteError, Writer, Written};
use tenantry_provider::notices::{heard, take, without_secrets};
use tokio::sync::OnceCell;
use transaction::{Committed, Transaction};

pub struct PostgresWriter {
    connections: Arc<Connections>,
    bookkeeping_schema: Arc<str>,
    /// What we may do, asked once.
    login: OnceCell<Login>,
    /// Databases whose table of scripts was seen.
    prepared: Mutex<HashSet<Arc<str>>>,
}

/// A failure with the index of its step.
#[derive(Debug)]
struct StepFailure {
    step: usize,
    failure: Failure,
}

/// Turns failures into those of one step.
trait OfStep<T> {
    fn of_step(self, step: usize) -> Result<T, StepFailure>;
}

impl<T, E: Into<Failure>> OfStep<T> for Result<T, E> {
    fn of_step(self, step: usize) -> Result<T, StepFailure> {
        self.map_err(|failure| StepFailure { step, failure: failure.into() })
    }
}

impl PostgresWriter {
    pub fn new(connections: Arc<Connections>, bookkeeping_schema: Arc<str>) -> Self {
        Self { connections, bookkeeping_schema, login: OnceCell::new(), prepared: Mutex::default() }
    }

    /// Returns what the server said of each step beside success.
    async fn write_all(&self, batch: &[Step], guard: &dyn CommitGuard) -> Result<Vec<Vec<String>>, StepFailure> {
        // The server would cut it off, and make something else of that name.
        let too_long = |step: &Step| step.kind.too_long(step.spec()).filter(|_| !step.is_delete());
        if let Some((index, why)) = batch.iter().enumerate().find_map(|(index, step)| Some((index, too_long(step)?))) {
            return Err(Failure::invalid(why)).of_step(index);
        }
        if let [step] = batch
            && of(0, step)? == PostgresKind::Database
        {
            return database::write(&self.connections, &self.login, step, guard)
                .await
                .map(|()| vec![take()])
                .of_step(0);
        }
        let database = database_of(batch, self.connections.main_database())?;
        match self.write_within(&database, batch, guard).await {
            // With the database everything in it is gone.
            Err(error) if error.failure.sqlstate() == Some("3D000") && batch.iter().all(Step::is_delete) => {
                Ok(vec![Vec::new(); batch.len()])
            }
            other => other,
        }
    }

    async fn write_within(
        &self,
        database: &Arc<str>,
        steps: &[Step],
        guard: &dyn CommitGuard,
    ) -> Result<Vec<Vec<String>>, StepFailure> {
        let mut session = self.connections.acquire(database).await.of_step(0)?;
        if let Some(script) = steps.iter().position(|step| step.kind.name == types::script::NAME) {
            let is_prepared = self.prepared().contains(database);
            if !is_prepared {
                let ready = script::prepare(&mut session.connection, &self.bookkeeping_schema, &steps[script]);
                if ready.await.of_step(script)? {
                    self.prepared().insert(database.clone());
                }
            }
        }
        let login = self.login.get_or_try_init(|| Login::fetch(&mut session.connection)).await.of_step(0)?.clone();
        role::clear_elsewhere(&self.connections, &mut session.connection, &login, steps, guard).await?;
        let schema = &self.bookkeeping_schema;
        let began = Transaction::begin(&mut session.connection, database, schema, &login, steps, guard.grace());
        let mut transaction = began.await.of_step(0)?;
        for (index, step) in steps.iter().enumerate() {
            match of(index, step)? {
                PostgresKind::Role => role::write(&mut transaction, index, step).await,
                PostgresKind::Schema => schema::write(&mut transaction, index, step).await,
                PostgresKind::Extension => extension::write(&mut transaction, index, step).await,
                PostgresKind::Script => script::write(&mut transaction, index, step).await,
                PostgresKind::Grant => grant::write(&mut transaction, index, step).await,
                PostgresKind::Policy => policy::write(&mut transaction, index, step).await,
                PostgresKind::Row => row::write(&mut transaction, index, step).await,
                PostgresKind::Database => {
                    Err(Failure::invalid("a database cannot be part of a transaction")).of_step(index)
                }
            }?;
            transaction.hear(index);
        }
        let Committed { is_clean, mut notices, login, ended } = transaction.commit(guard).await?;
        for (step, notice) in sessions::end(&mut session.connection, &login, &ended).await {
            notices[step].push(notice);
        }
        if is_clean {
            self.connections.release(session).await;
        }
        Ok(notices)
    }

    fn prepared(&self) -> std::sync::MutexGuard<'_, HashSet<Arc<str>>> {
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Writer for PostgresWriter {
    async fn write_guarded(&self, batch: &[Step], guard: &dyn CommitGuard) -> Result<Vec<Written>, WriteError> {
        // What was not committed by then never is: the connection is dropped, and the server rolls back.
        let late = self.connections.timeouts().write;
        let write = Box::pin(heard(listening(self.write_all(batch, guard))));
        let written = tokio::time::timeout(late, write).await.map(|(written, _)| written);
        match written.unwrap_or(Err(Failure::late(late)).of_step(0)) {
            Ok(notices) => {
                let secrets: Vec<Arc<str>> = batch.iter().flat_map(Step::secret_values).collect();
                let masked = |notices| without_secrets(notices, secrets.iter().cloned());
                let written = |notices| Written { notices: masked(notices), ..Written::default() };
                Ok(notices.into_iter().map(written).collect())
            }
            Err(StepFailure { step, failure }) => {
                let attempted = batch[step].attempted(batch[step].identity.trim_matches('/'));
                let hidden = batch.iter().flat_map(Step::secret_values);
                Err(failed(failure.into_provider_error(attempted), step, Vec::new(), hidden))
            }
        }
    }
}

/// The kind of a step.
fn of(index: usize, step: &Step) -> Result<PostgresKind, StepFailure> {
    PostgresKind::of(step.kind.name).of_step(index)
}

/// The database that all steps of a batch are in.
fn database_of(batch: &[Step], main: &Arc<str>) -> Result<Arc<str>, StepFailure> {
    let mut found: Option<&str> = None;
    let in_database = batch.iter().enumerate().filter(|(_, step)| step.kind.name != types::role::NAME);
    for (index, step) in in_database {
        let database = step.spec().get("database").and_then(Value::as_str).unwrap_or(main);
        if found.is_some_and(|found| found != database) {
            let reason = "steps on several databases cannot be one transaction".to_owned();
            return Err(Failure::invalid(reason)).of_step(index);
        }
        found = Some(database);
    }
    Ok(found.map_or_else(|| main.clone(), Into::into))
}

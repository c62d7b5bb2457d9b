//! The contract, kept once for both databases.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use secrecy::SecretString;
use sqlx::sqlite::SqliteConnectOptions;
use tokio::sync::Mutex;

use super::connection::{Link, Parameter, Purpose, Row, Target, Work};
use super::contract::{
    Fence, FencingToken, HistoryQuery, JournalEntry, Lock, LockRequest, PhaseTransition, RunBegun, RunId, RunOutcome,
    StepBegun, StepEnded, Store, StoreError,
};
use super::inventory::Unpacker;
use super::journal::{self, Draft, Line, Tip, number};
use super::writer::{Command, Reply, Writer};
use super::{OpenMode, locks, postgres, sqlite, statements};
use tenantry_core::model::address::Owner;
use tenantry_core::model::resource::Applied;

/// The store in an SQLite file.
pub type SqliteStore = SqlStore<sqlx::Sqlite>;

/// The store in a PostgreSQL database.
pub type PostgresStore = SqlStore<sqlx::Postgres>;

/// Rows of the inventory that are fetched as one text of about a megabyte.
const INVENTORY_ROWS: i64 = 2_000;

/// Entries of the journal that are verified in one go, so that a long journal is never held in memory as a whole.
const JOURNAL_ROWS: i64 = 5_000;

/// A store in a database of the sort `D`.
pub struct SqlStore<D> {
    location: Arc<str>,
    reader: Mutex<Link>,
    /// Nothing if the store was opened for reading only.
    writer: Option<Writer>,
    database: PhantomData<fn() -> D>,
}

impl SqliteStore {
    /// Opens the file at `path`.
    ///
    /// Has to be called within a Tokio runtime, on which the writer's task lives as long as the store.
    ///
    /// # Errors
    /// [`StoreError::Newer`] for a file of a later version, [`StoreError::Full`] if there is no room to create it,
    /// [`StoreError::Failed`] if it cannot be opened, is damaged, or belongs to another program.
    pub async fn open(path: &Path, mode: OpenMode) -> Result<Self, StoreError> {
        Self::open_with(path, mode, sqlite::writing(path)).await
    }

    pub(super) async fn open_with(
        path: &Path,
        mode: OpenMode,
        writing: SqliteConnectOptions,
    ) -> Result<Self, StoreError> {
        let location: Arc<str> = path.display().to_string().into();
        if mode == OpenMode::ReadWrite {
            sqlite::create(&location, path).await?;
            let mut writer = Link::new(location.clone(), Target::Sqlite(writing.clone()));
            sqlite::migrate(&location, &mut writer, Purpose::Write).await?;
            let reader = Link::new(location.clone(), Target::Sqlite(writing));
            return Ok(Self::new(location, reader, Some(writer)));
        }
        let target = match sqlite::exists(&location, path).await? {
            true => Target::Sqlite(sqlite::reading(path)),
            false => Target::Nothing,
        };
        let mut reader = Link::new(location.clone(), target);
        sqlite::migrate(&location, &mut reader, Purpose::Read).await?;
        Ok(Self::new(location, reader, None))
    }
}

impl PostgresStore {
    /// Opens the store of the database at `url`, in the schema `tenantry_store`.
    ///
    /// Has to be called within a Tokio runtime, on which the writer's task lives as long as the store.
    ///
    /// # Errors
    /// [`StoreError::Newer`] for a store of a later version, [`StoreError::Failed`] if the server cannot be reached,
    /// refuses, or does not let the tables be created.
    pub async fn open(url: &SecretString, mode: OpenMode) -> Result<Self, StoreError> {
        let (options, location) = postgres::options(url)?;
        let location: Arc<str> = location.into();
        let mut reader = Link::new(location.clone(), Target::Postgres(options.clone()));
        // Looked at by reading first: the tables may belong to another role than the one that uses them.
        let found = postgres::format(&location, &mut reader, Purpose::Read).await?;
        if mode == OpenMode::ReadOnly {
            let reader = match found {
                Some(_) => reader,
                None => Link::new(location.clone(), Target::Nothing),
            };
            return Ok(Self::new(location, reader, None));
        }
        let mut writer = Link::new(location.clone(), Target::Postgres(options));
        if found.is_none() {
            postgres::format(&location, &mut writer, Purpose::Write).await?;
        }
        Ok(Self::new(location, reader, Some(writer)))
    }
}

impl<D> SqlStore<D> {
    fn new(location: Arc<str>, reader: Link, writer: Option<Link>) -> Self {
        Self { location, reader: Mutex::new(reader), writer: writer.map(Writer::start), database: PhantomData }
    }

    fn failed(&self, attempted: &'static str, cause: impl std::fmt::Display) -> StoreError {
        StoreError::Failed { location: self.location.to_string(), attempted, cause: cause.to_string() }
    }

    async fn write(&self, command: Command) -> Result<Reply, StoreError> {
        let Some(writer) = &self.writer else {
            return Err(self.failed("writing", "it was opened for reading only"));
        };
        let reply = writer.submit(command).await;
        reply.unwrap_or_else(|| Err(self.failed("writing", "it is being closed")))
    }

    /// Reads within one consistent view.
    async fn read<T>(&self, body: impl AsyncFnOnce(&mut Work<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut reader = self.reader.lock().await;
        let done = view(&mut reader, body).await;
        if done.is_err() {
            reader.reset();
        }
        done
    }

    async fn append(
        &self,
        fence: Option<&Fence>,
        drafts: impl IntoIterator<Item = Result<Draft, serde_json::Error>>,
    ) -> Result<(), StoreError> {
        let drafts: Result<Vec<_>, _> = drafts.into_iter().collect();
        let drafts = drafts.map_err(|error| self.failed("journalling", error))?;
        self.write(Command::Append { fence: fence.cloned(), drafts }).await.map(drop)
    }
}

#[async_trait]
impl<D> Store for SqlStore<D> {
    async fn inventory(&self) -> Result<Vec<Applied>, StoreError> {
        let attempted = "reading the inventory";
        let part = |row: Row<'_>| Ok((row.integer(0)?, row.integer(1)?, row.text(2)?.to_owned()));
        let read = async |work: &mut Work<'_>| {
            let mut unpacker = Unpacker::default();
            let mut last = 0;
            loop {
                let parameters = [last.into(), INVENTORY_ROWS.into()];
                let parts = work.fetch(attempted, statements::INVENTORY, parameters, part).await?;
                for (_, end, packed) in &parts {
                    last = *end;
                    unpacker.add(packed).map_err(|cause| work.failed(attempted, cause))?;
                }
                if parts.iter().all(|(rows, ..)| *rows < INVENTORY_ROWS) {
                    return Ok(unpacker);
                }
            }
        };
        Ok(self.read(read).await?.finish())
    }

    async fn phases(&self) -> Result<BTreeMap<Arc<str>, Arc<str>>, StoreError> {
        let phase = |row: Row<'_>| Ok((row.text(0)?.into(), row.text(1)?.into()));
        let read = async |work: &mut Work<'_>| work.fetch("reading phases", statements::PHASES, [], phase).await;
        Ok(self.read(read).await?.into_iter().collect())
    }

    async fn open_steps(&self) -> Result<Vec<StepBegun>, StoreError> {
        let step = |row: Row<'_>| serde_json::from_str(row.text(0)?).map_err(|error| sqlx::Error::Decode(error.into()));
        self.read(async |work: &mut Work<'_>| work.fetch("reading open steps", statements::OPEN_STEPS, [], step).await)
            .await
    }

    async fn begin_run(&self, run: &RunBegun) -> Result<RunId, StoreError> {
        let draft = journal::run_begun(run).map_err(|error| self.failed("journalling", error))?;
        Ok(self.write(Command::BeginRun(draft)).await?.run)
    }

    async fn end_run(&self, run: RunId, at: Timestamp, outcome: &RunOutcome) -> Result<(), StoreError> {
        self.append(None, [journal::run_ended(run, at, *outcome)]).await
    }

    async fn lock(&self, request: &LockRequest<'_>) -> Result<BTreeMap<Owner, FencingToken>, StoreError> {
        let LockRequest { owners, holder, now, lease } = *request;
        let expires = now.checked_add(lease).unwrap_or(Timestamp::MAX);
        let command = Command::Lock { owners: owners.to_vec(), holder: holder.to_owned(), now, expires };
        Ok(self.write(command).await?.tokens)
    }

    async fn renew(&self, holder: &str, now: Timestamp, until: Timestamp) -> Result<(), StoreError> {
        self.write(Command::Renew { holder: holder.to_owned(), now, until }).await.map(drop)
    }

    async fn release(&self, holder: &str) -> Result<(), StoreError> {
        self.write(Command::Release { holder: holder.to_owned() }).await.map(drop)
    }

    async fn locks(&self, now: Timestamp) -> Result<Vec<Lock>, StoreError> {
        self.read(async |work: &mut Work<'_>| locks::held(work, now).await).await
    }

    async fn unlock(&self, owners: &[Owner], at: Timestamp, actor: &str) -> Result<Vec<Lock>, StoreError> {
        let command = Command::Unlock { owners: owners.to_vec(), at, actor: actor.to_owned() };
        Ok(self.write(command).await?.removed)
    }

    async fn begin(&self, fence: &Fence, steps: &[StepBegun]) -> Result<(), StoreError> {
        self.append(Some(fence), steps.iter().map(|step| journal::step_begun(fence, step))).await
    }

    async fn finish(&self, fence: &Fence, steps: &[StepEnded]) -> Result<(), StoreError> {
        self.append(Some(fence), steps.iter().map(|step| journal::step_ended(fence, step))).await
    }

    async fn enter_phase(&self, fence: &Fence, transition: &PhaseTransition) -> Result<(), StoreError> {
        self.append(Some(fence), [journal::phase_entered(fence, transition)]).await
    }

    async fn history(&self, query: &HistoryQuery) -> Result<Vec<JournalEntry>, StoreError> {
        let attempted = "reading the journal";
        let HistoryQuery { owner, run, limit } = query;
        let limit = limit.and_then(|limit| i64::try_from(limit).ok()).unwrap_or(i64::MAX);
        let owner = owner.as_ref().map(|owner| Parameter::Text(owner.to_string()));
        // No run has a number beyond what a database can hold.
        let run = run.map(|run| Parameter::Integer(i64::try_from(run).unwrap_or(i64::MAX)));
        let sql = match (&run, &owner) {
            (None, None) => statements::HISTORY,
            (None, Some(_)) => statements::HISTORY_OF_OWNER,
            (Some(_), None) => statements::HISTORY_OF_RUN,
            (Some(_), Some(_)) => statements::HISTORY_OF_RUN_AND_OWNER,
        };
        let parameters = [Some(limit.into()), run, owner].into_iter().flatten();
        let lines = self.read(async |work: &mut Work<'_>| work.fetch(attempted, sql, parameters, line).await).await?;
        lines.into_iter().map(|line| line.into_entry().map_err(|cause| self.failed(attempted, cause))).collect()
    }

    async fn verify_journal(&self) -> Result<u64, StoreError> {
        let attempted = "verifying the journal";
        let end = self.read(async |work: &mut Work<'_>| end_of_journal(work, attempted).await).await?;
        let mut tip = Tip::start();
        // A view of its own for each part, so that no writer has to wait for the whole: entries do not change.
        while tip.sequence < end.sequence {
            let parameters = [tip.sequence.into(), end.sequence.into(), JOURNAL_ROWS.into()];
            let entries = statements::ENTRIES_AFTER;
            let lines =
                self.read(async |work: &mut Work<'_>| work.fetch(attempted, entries, parameters, line).await).await?;
            if lines.is_empty() {
                return Err(StoreError::Tampered { sequence: number(tip.sequence + 1) });
            }
            lines.iter().try_for_each(|line| tip.follow(line))?;
        }
        match tip == end {
            true => Ok(number(tip.sequence)),
            false => Err(StoreError::Tampered { sequence: number(tip.sequence) }),
        }
    }

    fn location(&self) -> String {
        self.location.to_string()
    }
}

async fn view<T>(
    reader: &mut Link,
    body: impl AsyncFnOnce(&mut Work<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let mut work = reader.begin(Purpose::Read).await?;
    let read = body(&mut work).await?;
    work.end().await?;
    Ok(read)
}

fn line(row: Row<'_>) -> Result<Line, sqlx::Error> {
    Ok(Line {
        sequence: row.integer(0)?,
        run: row.optional_integer(1)?,
        at: row.text(2)?.to_owned(),
        event: row.text(3)?.to_owned(),
        owner: row.optional_text(4)?.map(str::to_owned),
        detail: row.text(5)?.to_owned(),
        hash: row.text(6)?.to_owned(),
    })
}

/// Where the journal ends by the store's own count, which is kept apart from it.
async fn end_of_journal(work: &mut Work<'_>, attempted: &'static str) -> Result<Tip, StoreError> {
    let ends = work
        .fetch(attempted, statements::END_OF_JOURNAL, [], |row| {
            Ok((Tip { sequence: row.integer(0)?, hash: row.text(1)?.to_owned() }, row.integer(2)?))
        })
        .await?;
    let (end, last) =
        ends.into_iter().next().ok_or_else(|| work.failed(attempted, "the store has lost its counters"))?;
    match last > end.sequence {
        true => Err(StoreError::Tampered { sequence: number(end.sequence + 1) }),
        false => Ok(end),
    }
}

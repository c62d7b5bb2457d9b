//! The implementation of the contract for both databases.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use secrecy::SecretString;
use sqlx::sqlite::SqliteConnectOptions;
use tokio::sync::Mutex;

use tenantry_core::lifecycle::TenantRecords;
use tenantry_core::model::address::Owner;
use tenantry_core::model::resource::{Applied, TargetName};

use crate::connection::{Link, NO_SCOPE, Parameter, Purpose, Row, Target, Work};
use crate::contract::{
    Fence, FencingToken, HistoryQuery, JournalEntry, JournalEvent, JournalHead, KnownTarget, Lock, LockRequest, Note,
    PhaseTransition, RecordForgotten, RecordMoved, RunBegun, RunId, RunOutcome, RunRecord, Scope, StepBegun, StepEnded,
    Store, StoreError, TargetAccepted, Unlock,
};
use crate::journal::{self, Draft, Line, Tip, number};
use crate::records::{self, JOURNAL_ROWS, Records, line};
use crate::writer::{Command, Reply, Writer};
use crate::{OpenMode, locks, postgres, sqlite, statements};

/// The store in an SQLite file.
pub type SqliteStore = SqlStore<sqlx::Sqlite>;

/// The store in a PostgreSQL database.
pub type PostgresStore = SqlStore<sqlx::Postgres>;

/// A store in a database of the sort `D`.
pub struct SqlStore<D> {
    location: Arc<str>,
    scope: Scope,
    reader: Mutex<Link>,
    /// `None` if the store was opened for reading only.
    writer: Option<Writer>,
    database: PhantomData<fn() -> D>,
}

impl SqliteStore {
    /// Opens the file at `path` for the records of one scope.
    ///
    /// Must be called within a Tokio runtime, on which the writer's task runs as long as the store exists.
    ///
    /// # Errors
    /// [`StoreError::Newer`] for a file of a later version, [`StoreError::Full`] if there is no room to create it,
    /// [`StoreError::Unattributed`] for a file of an earlier format that does not say whose a record is,
    /// [`StoreError::Failed`] if it cannot be opened, is damaged, or belongs to another program.
    pub async fn open(path: &Path, scope: &Scope, mode: OpenMode) -> Result<Self, StoreError> {
        Self::open_with(path, scope, mode, sqlite::writing(path)).await
    }

    pub(super) async fn open_with(
        path: &Path,
        scope: &Scope,
        mode: OpenMode,
        writing: SqliteConnectOptions,
    ) -> Result<Self, StoreError> {
        let location: Arc<str> = path.display().to_string().into();
        if mode == OpenMode::ReadWrite {
            sqlite::create(&location, path).await?;
            let mut writer = Link::new(location.clone(), Target::Sqlite(writing.clone()));
            let number = sqlite::prepare(&location, &mut writer, path, scope).await?;
            let reader = Link::new(location.clone(), Target::Sqlite(writing));
            return Ok(Self::new(location, scope, number, reader, Some(writer)));
        }
        let target = match sqlite::exists(&location, path).await? {
            true => Target::Sqlite(sqlite::reading(path)),
            false => Target::Nothing,
        };
        let mut reader = Link::new(location.clone(), target);
        match sqlite::look(&location, &mut reader, scope).await? {
            sqlite::Found::Current(number) => Ok(Self::new(location, scope, number.unwrap_or(NO_SCOPE), reader, None)),
            sqlite::Found::Earlier(earlier) => {
                let records = earlier.attribute(&location, scope)?;
                Self::of_earlier(location, scope, &records).await
            }
        }
    }
}

impl PostgresStore {
    /// Opens the store of the database at `url`, in the schema `tenantry_store`, for the records of one scope.
    ///
    /// Must be called within a Tokio runtime, on which the writer's task runs as long as the store exists.
    ///
    /// # Errors
    /// [`StoreError::Newer`] for a store of a later version, [`StoreError::Unattributed`] for one of an earlier format that
    /// does not say whose a record is, [`StoreError::Failed`] if the server cannot be reached, refuses, or does not let the
    /// tables be created.
    pub async fn open(url: &SecretString, scope: &Scope, mode: OpenMode) -> Result<Self, StoreError> {
        let (options, location) = postgres::options(url)?;
        let location: Arc<str> = location.into();
        let mut reader = Link::new(location.clone(), Target::Postgres(options.clone()));
        // Looked at by reading first: the tables may belong to another role than the one that uses them.
        let found = postgres::look(&location, &mut reader, scope, mode).await?;
        if mode == OpenMode::ReadOnly {
            return match found {
                postgres::Found::Nothing => {
                    let nothing = Link::new(location.clone(), Target::Nothing);
                    Ok(Self::new(location, scope, NO_SCOPE, nothing, None))
                }
                postgres::Found::Current(number) => {
                    Ok(Self::new(location, scope, number.unwrap_or(NO_SCOPE), reader, None))
                }
                postgres::Found::Earlier(earlier) => {
                    let records = earlier.attribute(&location, scope)?;
                    Self::of_earlier(location, scope, &records).await
                }
            };
        }
        let mut writer = Link::new(location.clone(), Target::Postgres(options));
        let number = match found {
            postgres::Found::Current(Some(number)) => number,
            _ => postgres::prepare(&location, &mut writer, scope).await?,
        };
        Ok(Self::new(location, scope, number, reader, Some(writer)))
    }
}

impl<D> SqlStore<D> {
    fn new(location: Arc<str>, scope: &Scope, number: i64, mut reader: Link, writer: Option<Link>) -> Self {
        reader.choose(number);
        let writer = writer.map(|mut writer| {
            writer.choose(number);
            Writer::start(writer)
        });
        Self { location, scope: scope.clone(), reader: Mutex::new(reader), writer, database: PhantomData }
    }

    /// Records of an earlier format, to be read as if they were of the current one.
    async fn of_earlier(location: Arc<str>, scope: &Scope, records: &[Records]) -> Result<Self, StoreError> {
        let (bytes, number) = sqlite::migrated(&location, records, scope).await?;
        let reader = Link::new(location.clone(), Target::Copy(bytes));
        Ok(Self::new(location, scope, number.unwrap_or(NO_SCOPE), reader, None))
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
    fn scope(&self) -> &Scope {
        &self.scope
    }

    async fn inventory(&self) -> Result<Vec<Applied>, StoreError> {
        Ok(self.read(async |work: &mut Work<'_>| records::inventory(work).await).await?.finish())
    }

    async fn tenants(&self) -> Result<TenantRecords, StoreError> {
        self.read(async |work: &mut Work<'_>| records::tenants(work).await).await
    }

    async fn open_steps(&self) -> Result<Vec<StepBegun>, StoreError> {
        let step = |row: Row<'_>| serde_json::from_str(row.text(2)?).map_err(|error| sqlx::Error::Decode(error.into()));
        let read = async |work: &mut Work<'_>| {
            let parameters = [work.scope()];
            work.fetch("reading open steps", statements::OPEN_STEPS, parameters, step).await
        };
        self.read(read).await
    }

    async fn targets(&self) -> Result<BTreeMap<TargetName, KnownTarget>, StoreError> {
        Ok(self.read(async |work: &mut Work<'_>| records::targets(work).await).await?.into_iter().collect())
    }

    async fn accept_target(&self, accepted: &TargetAccepted) -> Result<(), StoreError> {
        self.append(None, [journal::target_accepted(accepted)]).await
    }

    async fn note(&self, note: &Note) -> Result<(), StoreError> {
        self.append(None, [journal::noted(note)]).await
    }

    async fn begin_run(&self, run: &RunBegun) -> Result<RunId, StoreError> {
        let scope = Scope { estate: run.estate.clone(), environment: run.environment.clone() };
        if scope != self.scope {
            let (found, wanted) = (Box::new(self.scope.clone()), Box::new(scope));
            return Err(StoreError::OtherScope { subject: format!("the store at {}", self.location), found, wanted });
        }
        let draft = journal::run_begun(run).map_err(|error| self.failed("journalling", error))?;
        Ok(self.write(Command::BeginRun(draft)).await?.run)
    }

    async fn end_run(&self, run: RunId, at: Timestamp, outcome: &RunOutcome) -> Result<(), StoreError> {
        self.append(None, [journal::run_ended(run, at, *outcome)]).await
    }

    async fn lock(&self, request: &LockRequest<'_>) -> Result<BTreeMap<Owner, FencingToken>, StoreError> {
        let LockRequest { owners, holder, now, lease } = *request;
        let expires = now.checked_add(lease).unwrap_or(Timestamp::MAX);
        let command = Command::Lock { owners: owners.to_vec(), holder: holder.clone(), now, expires };
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

    async fn unlock(&self, request: &Unlock<'_>) -> Result<Vec<Lock>, StoreError> {
        let Unlock { owners, holder, at, actor } = *request;
        let (holder, actor) = (holder.map(str::to_owned), actor.to_owned());
        Ok(self.write(Command::Unlock { owners: owners.to_vec(), holder, at, actor }).await?.removed)
    }

    async fn check(&self, fence: &Fence, until: Timestamp) -> Result<(), StoreError> {
        let fence = Fence { now: fence.now.max(until), ..fence.clone() };
        let fallen = self.read(async |work: &mut Work<'_>| locks::fallen(work, std::iter::once(&fence)).await).await?;
        match fallen.as_slice() {
            [false] => Ok(()),
            _ => Err(StoreError::LeaseLost(fence.owner)),
        }
    }

    async fn begin(&self, fence: &Fence, steps: &[StepBegun]) -> Result<(), StoreError> {
        self.append(Some(fence), steps.iter().map(|step| journal::step_begun(fence, step))).await
    }

    async fn finish(&self, fence: &Fence, steps: &[StepEnded]) -> Result<(), StoreError> {
        self.append(Some(fence), steps.iter().map(|step| journal::step_ended(fence, step))).await
    }

    async fn move_records(&self, fence: &Fence, moved: &[RecordMoved]) -> Result<(), StoreError> {
        self.append(Some(fence), moved.iter().map(|moved| journal::record_moved(fence, moved))).await
    }

    async fn forget(&self, fence: &Fence, forgotten: &[RecordForgotten]) -> Result<(), StoreError> {
        self.append(Some(fence), forgotten.iter().map(|forgotten| journal::record_forgotten(fence, forgotten))).await
    }

    async fn forgotten(&self) -> Result<Vec<RecordForgotten>, StoreError> {
        let attempted = "reading what was forgotten";
        let read = async |work: &mut Work<'_>| {
            let event = Parameter::Text(JournalEvent::Forgotten.as_str().to_owned());
            work.fetch(attempted, statements::HISTORY_OF_EVENT, [work.scope(), i64::MAX.into(), event], line).await
        };
        let lines = self.read(read).await?;
        let forgotten = |line: Line| serde_json::from_str(&line.detail).map_err(|error| self.failed(attempted, error));
        lines.into_iter().map(forgotten).collect()
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
        let run = run.map(|run| Parameter::Integer(i64::try_from(run.0).unwrap_or(i64::MAX)));
        let sql = match (&run, &owner) {
            (None, None) => statements::HISTORY,
            (None, Some(_)) => statements::HISTORY_OF_OWNER,
            (Some(_), None) => statements::HISTORY_OF_RUN,
            (Some(_), Some(_)) => statements::HISTORY_OF_RUN_AND_OWNER,
        };
        let read = async |work: &mut Work<'_>| {
            let parameters = [Some(work.scope()), Some(limit.into()), run, owner].into_iter().flatten();
            work.fetch(attempted, sql, parameters, line).await
        };
        let lines = self.read(read).await?;
        lines.into_iter().map(|line| line.into_entry().map_err(|cause| self.failed(attempted, cause))).collect()
    }

    async fn runs(&self, limit: u64) -> Result<Vec<RunRecord>, StoreError> {
        let attempted = "reading the runs";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let read = async |work: &mut Work<'_>| {
            let event = Parameter::Text(JournalEvent::RunBegun.as_str().to_owned());
            let parameters = [work.scope(), limit.into(), event];
            let begun = work.fetch(attempted, statements::HISTORY_OF_EVENT, parameters, line).await?;
            let oldest = begun.iter().filter_map(|line| line.run).min().unwrap_or_default();
            let since = |work: &Work<'_>| [work.scope(), oldest.into()];
            let parameters = since(work);
            let ended = work.fetch(attempted, statements::ENDS_OF_RUNS, parameters, line).await?;
            let parameters = since(work);
            let size = |row: Row<'_>| Ok((row.integer(0)?, (row.integer(1)?, row.integer(2)?)));
            let sizes = work.fetch(attempted, statements::SIZES_OF_RUNS, parameters, size).await?;
            Ok((begun, ended, sizes))
        };
        let (begun, ended, sizes) = self.read(read).await?;
        let entry = |line: Line| line.into_entry().map_err(|cause| self.failed(attempted, cause));
        let ended = ended.into_iter().map(entry).collect::<Result<Vec<_>, _>>()?;
        let mut ended: BTreeMap<Option<RunId>, JournalEntry> =
            ended.into_iter().map(|entry| (entry.run, entry)).collect();
        let sizes: BTreeMap<u64, (u64, u64)> =
            sizes.into_iter().map(|(run, (steps, owners))| (number(run), (number(steps), number(owners)))).collect();
        let record = |line: Line| {
            let entry = entry(line)?;
            let run = entry.run.unwrap_or_default();
            let begun: RunBegun =
                serde_json::from_value(entry.detail).map_err(|error| self.failed(attempted, error))?;
            let end = ended.remove(&Some(run));
            let outcome = end.as_ref().and_then(|end| serde_json::from_value(end.detail.get("outcome")?.clone()).ok());
            let (steps, owners) = sizes.get(&run.0).copied().unwrap_or_default();
            Ok(RunRecord {
                run,
                begun: entry.at,
                ended: end.map(|end| end.at),
                outcome,
                actor: begun.actor,
                command: begun.command,
                revision: begun.revision,
                approvals: begun.approvals,
                owners,
                steps,
            })
        };
        begun.into_iter().map(record).collect()
    }

    async fn last(&self, event: JournalEvent) -> Result<Option<JournalEntry>, StoreError> {
        let attempted = "reading the journal";
        let read = async |work: &mut Work<'_>| {
            let parameters = [work.scope(), 1.into(), Parameter::Text(event.as_str().to_owned())];
            work.fetch(attempted, statements::HISTORY_OF_EVENT, parameters, line).await
        };
        let line = self.read(read).await?.into_iter().next();
        line.map(|line| line.into_entry().map_err(|cause| self.failed(attempted, cause))).transpose()
    }

    async fn verify_journal(&self) -> Result<u64, StoreError> {
        let attempted = "verifying the journal";
        let read = async |work: &mut Work<'_>| {
            let end = end_of_journal(work, attempted).await?;
            check_traces(work, attempted, &end).await?;
            Ok(end)
        };
        let end = self.read(read).await?;
        let mut tip = Tip::start();
        // A view of its own for each part, so that no writer has to wait for the whole: entries do not change.
        while tip.sequence < end.sequence {
            let read = async |work: &mut Work<'_>| {
                let parameters = [work.scope(), tip.sequence.into(), end.sequence.into(), JOURNAL_ROWS.into()];
                work.fetch(attempted, statements::ENTRIES_AFTER, parameters, line).await
            };
            let lines = self.read(read).await?;
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

    async fn head(&self) -> Result<JournalHead, StoreError> {
        let attempted = "reading the end of the journal";
        Ok(self.read(async |work: &mut Work<'_>| end_of_journal(work, attempted).await).await?.head())
    }

    async fn contains(&self, head: &JournalHead) -> Result<bool, StoreError> {
        let Ok(sequence) = i64::try_from(head.length) else { return Ok(false) };
        if sequence == 0 {
            return Ok(*head == Tip::start().head());
        }
        let read = async |work: &mut Work<'_>| {
            let parameters = [work.scope(), sequence.into()];
            let hash = |row: Row<'_>| Ok(row.text(0)?.to_owned());
            work.fetch("looking for an entry of the journal", statements::HASH_OF_ENTRY, parameters, hash).await
        };
        Ok(self.read(read).await?.first().is_some_and(|hash| **hash == *head.hash))
    }

    async fn export(&self) -> Result<Records, StoreError> {
        let scope = self.scope.clone();
        let records = self.read(async |work: &mut Work<'_>| Records::read(work, scope).await).await?;
        records.verify()?;
        Ok(records)
    }

    async fn import(&self, records: &Records) -> Result<(), StoreError> {
        if *records.scope() != self.scope {
            let (found, wanted) = (Box::new(records.scope().clone()), Box::new(self.scope.clone()));
            return Err(StoreError::OtherScope { subject: "the export".into(), found, wanted });
        }
        records.verify()?;
        self.write(Command::Import(Box::new(records.clone()))).await.map(drop)
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

/// Where the journal ends by the store's own count, checked against its last entry.
async fn end_of_journal(work: &mut Work<'_>, attempted: &'static str) -> Result<Tip, StoreError> {
    let end = records::counters(work, attempted).await?.map_or_else(Tip::start, |(tip, ..)| tip);
    records::check_end(work, attempted, &end).await?;
    Ok(end)
}

/// Checks that every record came from an entry that the journal has.
async fn check_traces(work: &mut Work<'_>, attempted: &'static str, end: &Tip) -> Result<(), StoreError> {
    let parameters = [work.scope()];
    let traces = work.fetch(attempted, statements::LAST_TRACE, parameters, |row| row.integer(0)).await?;
    match traces.first() {
        Some(last) if *last > end.sequence => Err(StoreError::Tampered { sequence: number(end.sequence + 1) }),
        _ => Ok(()),
    }
}

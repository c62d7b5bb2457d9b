//! The contract of every store: Tenantry's own record.
//!
//! Three things live here. The *journal* is append-only and hash-chained. The *inventory* says what was last applied at
//! each address. *Locks* keep two applies from one tenant. One contract, two implementations: SQLite beside the estate,
//! PostgreSQL where several runners share a store.
//!
//! Several estates and environments may share one database. A store is opened for one [`Scope`], and no method reads or
//! writes what belongs to another. Each scope has a journal, counters and locks of its own, so that a run in one
//! environment never waits for a run in another.
//!
//! Fencing: acquiring a lock returns a token that is higher than every token before it. [`Store::begin`] and [`Store::finish`]
//! take the token and refuse it, in the same transaction as their own write, once another holder has the lock or the lease has
//! run out. So a runner that was suspended beyond its lease stops at its next step.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use tenantry_core::fingerprint::Fingerprint;
use tenantry_core::lifecycle::{TenantRecord, TenantRecords};
use tenantry_core::model::address::{Address, Owner};
use tenantry_core::model::document::{Phase, Terms};
use tenantry_core::model::resource::{Applied, Identity, TargetName};
use tenantry_core::model::secret::SecretVersion;
use tenantry_core::model::value::Value;
use tenantry_core::plan::{Action, Why};
pub use tenantry_core::plan::{JournalHead, TaskId};

use crate::records::Records;

/// A number that grows with every acquisition of a lock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FencingToken(pub u64);

impl fmt::Display for FencingToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The estate and environment that a store is opened for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scope {
    pub estate: Arc<str>,
    /// `None` if no environment was chosen.
    pub environment: Option<Arc<str>>,
}

impl Scope {
    pub fn new(estate: impl Into<Arc<str>>, environment: Option<&str>) -> Self {
        Self { estate: estate.into(), environment: environment.map(Into::into) }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.environment {
            Some(environment) => write!(formatter, "estate `{}`, environment `{environment}`", self.estate),
            None => write!(formatter, "estate `{}` without an environment", self.estate),
        }
    }
}

/// The record that survives a run.
///
/// Every method that writes is one transaction of its own, durable when it returns.
#[async_trait]
pub trait Store: Send + Sync {
    /// Whose records these are.
    fn scope(&self) -> &Scope;

    /// Everything that was last applied, in order of address.
    async fn inventory(&self) -> Result<Vec<Applied>, StoreError>;

    /// How each tenant was last applied. Tenants that were never applied are not among them.
    async fn tenants(&self) -> Result<TenantRecords, StoreError>;

    /// Steps that any run began and did not finish, for example because of a crash; oldest first.
    async fn open_steps(&self) -> Result<Vec<StepBegun>, StoreError>;

    /// The systems that targets were when they were last accepted, by the targets' names.
    async fn targets(&self) -> Result<BTreeMap<TargetName, KnownTarget>, StoreError>;

    /// Journals that a target is this system, and records it in place of any other.
    async fn accept_target(&self, accepted: &TargetAccepted) -> Result<(), StoreError>;

    /// Journals something that belongs to no run.
    async fn note(&self, note: &Note) -> Result<(), StoreError>;

    /// Opens a run and returns its number.
    ///
    /// # Errors
    /// [`StoreError::OtherScope`] if the run is of another estate or environment than the store was opened for.
    /// [`StoreError::Tampered`] if the journal does not end where the store's own count says.
    async fn begin_run(&self, run: &RunBegun) -> Result<RunId, StoreError>;

    /// Closes a run.
    async fn end_run(&self, run: RunId, at: Timestamp, outcome: &RunOutcome) -> Result<(), StoreError>;

    /// Takes the locks of all `owners`, or none.
    ///
    /// # Errors
    /// [`StoreError::Locked`] names the first that another holder has.
    async fn lock(&self, request: &LockRequest<'_>) -> Result<BTreeMap<Owner, FencingToken>, StoreError>;

    /// Extends the lease of every lock that `holder` has to `until`.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] if one of them is gone.
    async fn renew(&self, holder: &str, now: Timestamp, until: Timestamp) -> Result<(), StoreError>;

    /// Releases every lock of `holder`. It is not an error if there is none.
    async fn release(&self, holder: &str) -> Result<(), StoreError>;

    /// Every lock whose lease has not run out at `now`.
    async fn locks(&self, now: Timestamp) -> Result<Vec<Lock>, StoreError>;

    /// Removes locks, and journals each. Returns those that were removed.
    async fn unlock(&self, request: &Unlock<'_>) -> Result<Vec<Lock>, StoreError>;

    /// Checks that a lock is still held, and that its lease ends after `until`. Writes nothing.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] if not.
    async fn check(&self, fence: &Fence, until: Timestamp) -> Result<(), StoreError>;

    /// Journals that steps of one owner are about to be written.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] if the token is not the lock's current one; nothing is journalled then.
    async fn begin(&self, fence: &Fence, steps: &[StepBegun]) -> Result<(), StoreError>;

    /// Journals how steps ended and brings the inventory up to date, in one transaction.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] if the token is not the lock's current one; nothing is journalled then.
    async fn finish(&self, fence: &Fence, steps: &[StepEnded]) -> Result<(), StoreError>;

    /// Journals records that move to other addresses and moves them, all in one transaction. Open steps stay as they are.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] if the token is not the lock's current one; nothing is journalled then.
    async fn move_records(&self, fence: &Fence, moved: &[RecordMoved]) -> Result<(), StoreError>;

    /// Journals resources that are no longer managed and removes their records, all in one transaction. Open steps at their
    /// addresses are closed.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] if the token is not the lock's current one; nothing is journalled then.
    async fn forget(&self, fence: &Fence, forgotten: &[RecordForgotten]) -> Result<(), StoreError>;

    /// Everything that was ever forgotten, newest first. What is managed again since is among it.
    async fn forgotten(&self) -> Result<Vec<RecordForgotten>, StoreError>;

    /// Journals that a tenant has reached a phase.
    async fn enter_phase(&self, fence: &Fence, transition: &PhaseTransition) -> Result<(), StoreError>;

    /// The journal, newest first.
    async fn history(&self, query: &HistoryQuery) -> Result<Vec<JournalEntry>, StoreError>;

    /// The newest runs, newest first.
    async fn runs(&self, limit: u64) -> Result<Vec<RunRecord>, StoreError>;

    /// The newest entry of one type.
    async fn last(&self, event: JournalEvent) -> Result<Option<JournalEntry>, StoreError>;

    /// Follows the hash chain through the whole journal and returns the number of entries.
    ///
    /// # Errors
    /// [`StoreError::Tampered`] at the first entry whose hash does not fit.
    async fn verify_journal(&self) -> Result<u64, StoreError>;

    /// The head of the journal.
    ///
    /// # Errors
    /// [`StoreError::Tampered`] if the last entry is not the one that the store's own count names.
    async fn head(&self) -> Result<JournalHead, StoreError>;

    /// Whether the journal still has all entries up to `head`.
    async fn contains(&self, head: &JournalHead) -> Result<bool, StoreError>;

    /// Everything that the store holds, except for locks.
    async fn export(&self) -> Result<Records, StoreError>;

    /// Imports all records of another store, after verifying its journal. Writes no entry of its own, so that an export of this
    /// store is the same as the imported one.
    ///
    /// # Errors
    /// [`StoreError::NotEmpty`] if this scope holds something. [`StoreError::OtherScope`] if the export is of another
    /// scope. [`StoreError::Tampered`] if its journal is not one chain.
    async fn import(&self, records: &Records) -> Result<(), StoreError>;

    /// Where the store is, without credentials, for messages.
    fn location(&self) -> String;
}

/// Number of a run, counted from 1 in each scope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub u64);

impl fmt::Display for RunId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The system behind a target, as it was last accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KnownTarget {
    /// What distinguishes the system, such as a system identifier or an account; `None` if it was accepted without a
    /// fingerprint.
    pub fingerprint: Option<Fingerprint>,
    /// When it was accepted.
    pub since: Timestamp,
}

/// The acceptance of a target as a system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetAccepted {
    /// Who accepted it: user@host.
    pub actor: Arc<str>,
    pub at: Timestamp,
    /// `None` if the target does not tell.
    pub fingerprint: Option<Fingerprint>,
    /// What the target was before; `None` for a target that is seen for the first time.
    pub instead_of: Option<Fingerprint>,
    /// `None` if a person accepted it outside a run.
    #[serde(skip)]
    pub run: Option<RunId>,
    pub target: TargetName,
}

/// Something that belongs to no run and is put on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    DriftReported(DriftReported),
    SecretShown(SecretShown),
}

/// A secret that was handed to somebody. Its value is not part of the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretShown {
    /// Who asked for it: user@host.
    pub actor: Arc<str>,
    pub at: Timestamp,
    pub name: Arc<str>,
    pub owner: Owner,
    pub to: ShownTo,
    pub version: SecretVersion,
}

/// Where a secret value was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ShownTo {
    /// The clipboard of a terminal.
    Clipboard,
    Terminal,
    /// A pipe or a file.
    Pipe,
}

/// A message about drift that was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DriftReported {
    /// Who ran it: user@host.
    pub actor: Arc<str>,
    pub at: Timestamp,
    /// Of the set of drifted resources and of what was done to them; `None` if there was none left.
    pub digest: Option<Arc<str>>,
    /// The number of drifted resources.
    pub resources: u64,
}

/// A lock that a write depends on.
#[derive(Clone, Debug)]
pub struct Fence {
    pub run: RunId,
    pub owner: Owner,
    /// As the lock was given.
    pub token: FencingToken,
    /// The time that the lease is compared with.
    pub now: Timestamp,
}

/// A run at its beginning.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunBegun {
    /// Who ran it, as far as the system tells: user@host.
    pub actor: Arc<str>,
    /// Names of the approvals that the plan uses.
    pub approvals: Vec<Arc<str>>,
    pub at: Timestamp,
    /// `apply`, `import` or another command.
    pub command: Arc<str>,
    pub environment: Option<Arc<str>>,
    pub estate: Arc<str>,
    /// Digest of the plan.
    pub plan: Arc<str>,
    /// The commit of the repository, if it is one.
    pub revision: Option<Arc<str>>,
}

/// A run at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RunOutcome {
    Done,
    Partly,
    Interrupted,
    Failed,
}

/// A task of a run that is about to write.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepBegun {
    pub action: Action,
    pub address: Address,
    pub at: Timestamp,
    pub generation: u64,
    pub idempotency_key: Arc<str>,
    pub identity: Identity,
    pub kind: Arc<str>,
    /// What is about to be written, as [`Applied::spec`] would have it; `None` for a deletion. It is kept while the step is
    /// open, so that what an interrupted write may have left is known, and is not part of the journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<Arc<str>>,
    pub target: TargetName,
    /// `None` in entries of versions that did not number tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
}

/// A task of a run that has written, or failed to.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepEnded {
    pub action: Action,
    pub address: Address,
    pub at: Timestamp,
    pub generation: u64,
    pub identity: Identity,
    pub result: StepResult,
    /// Pointers to the sensitive fields of what was written; `None` in entries of versions that did not record them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sensitive: Option<Vec<Arc<str>>>,
    /// `None` in entries of versions that did not number tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
}

/// How a step ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StepResult {
    /// The inventory has this record now.
    Applied(Applied),
    /// The address is removed from the inventory.
    Removed,
    /// Nothing was written, for this reason. The step is closed; the inventory stays.
    Failed(Arc<str>),
}

/// A record that moved to the address that wants its resource, before anything was written there.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordMoved {
    /// The record at its new address.
    pub applied: Applied,
    pub at: Timestamp,
    /// The address that had it.
    pub from: Address,
    /// Whether that address has no record any more, because no other one moves there.
    pub vacates: bool,
}

/// A resource that is left as it is in its target and no longer managed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordForgotten {
    /// Who asked for it: user@host.
    pub actor: Arc<str>,
    /// The address that it had.
    pub address: Address,
    pub at: Timestamp,
    pub identity: Identity,
    pub kind: Arc<str>,
    pub target: TargetName,
}

/// A tenant's phase and tier, as applied. The phase may be the one that it was in before.
///
/// Nothing outside the store changes with it, so that the task is begun and ended by one entry.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PhaseTransition {
    pub at: Timestamp,
    /// When it entered the phase; `None` in entries of versions that did not record it: then it is `at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entered: Option<Timestamp>,
    /// `None` for a tenant that is applied for the first time.
    pub from: Option<Phase>,
    /// Days that its data is kept, if it leaves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<u32>,
    /// Since when it is in the phase, as expressions know it; `None` in entries of versions that did not record it: then it is
    /// `at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// `None` in entries of versions that did not number tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    pub tenant: Arc<str>,
    /// The tier that the tenant is on from now, with its price; `None` in entries of versions that did not record it, and
    /// where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<Terms>,
    pub to: Phase,
    /// When the trial ended that it left by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial_ended: Option<Timestamp>,
    /// The resolved tenant without its contacts, where a policy compares tenants with what they were before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Value>,
    /// Why it is suspended or leaves, if its document said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Why>,
}

impl PhaseTransition {
    /// A transition of which nothing more is known.
    pub fn new(tenant: impl Into<Arc<str>>, from: Option<Phase>, to: Phase, at: Timestamp) -> Self {
        let (entered, retention_days, since, task) = (None, None, None, None);
        let (terms, trial_ended, values, why, tenant) = (None, None, None, None, tenant.into());
        Self { at, entered, from, retention_days, since, task, tenant, terms, to, trial_ended, values, why }
    }

    /// What the store knows of the tenant from now on.
    pub fn record(self) -> TenantRecord {
        TenantRecord {
            phase: self.to,
            since: Some(self.since.unwrap_or(self.at)),
            entered: Some(self.entered.unwrap_or(self.at)),
            terms: self.terms,
            trial_ended: self.trial_ended,
            retention_days: self.retention_days,
            values: self.values,
        }
    }
}

/// Who takes locks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Unique to the run: actor, process and a random part.
    pub name: Arc<str>,
    /// `None` if the system does not reveal it.
    pub process: Option<Process>,
}

impl From<&str> for Holder {
    fn from(name: &str) -> Self {
        Self { name: name.into(), process: None }
    }
}

/// A process, identified among all processes of all machines.
///
/// A number alone is not enough: it is reused, and each container of a machine has its own numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Process {
    /// The machine, since it was last started.
    pub boot: Arc<str>,
    /// The namespace of the number.
    pub namespace: Arc<str>,
    /// Number of the user that it runs as: processes of others may be hidden.
    pub user: u32,
    pub id: u32,
    /// When it was started, in the system's own unit.
    pub started: u64,
}

/// What to lock.
#[derive(Clone, Debug)]
pub struct LockRequest<'a> {
    pub owners: &'a [Owner],
    pub holder: &'a Holder,
    pub now: Timestamp,
    pub lease: SignedDuration,
}

/// Which locks to remove.
#[derive(Clone, Copy, Debug)]
pub struct Unlock<'a> {
    pub owners: &'a [Owner],
    /// Only locks of this holder; `None` to remove locks of any holder.
    pub holder: Option<&'a str>,
    pub at: Timestamp,
    /// Who removes them: user@host.
    pub actor: &'a str,
}

/// A lock that is held.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Lock {
    pub owner: Owner,
    pub holder: Arc<str>,
    /// The holder's process, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
    pub token: FencingToken,
    pub acquired: Timestamp,
    pub expires: Timestamp,
}

/// Which entries of the journal to show.
#[derive(Clone, Debug, Default)]
pub struct HistoryQuery {
    pub owner: Option<Owner>,
    pub run: Option<RunId>,
    /// The maximum number of entries to return; `None` for all.
    pub limit: Option<u64>,
}

/// The type of an entry of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum JournalEvent {
    RunBegun,
    StepBegun,
    StepEnded,
    PhaseEntered,
    RunEnded,
    /// The record of a resource moved to the address that wants it.
    RecordMoved,
    /// A resource is no longer managed; it was left as it is.
    Forgotten,
    /// A lock was taken away from its holder.
    Unlocked,
    /// A target is another system than before, or is seen for the first time.
    TargetAccepted,
    /// People were told of drift.
    DriftReported,
    /// The value of a secret was shown to somebody.
    SecretShown,
    /// The records were migrated to a new format.
    Migrated,
}

impl JournalEvent {
    pub const ALL: [Self; 12] = [
        Self::RunBegun,
        Self::StepBegun,
        Self::StepEnded,
        Self::PhaseEntered,
        Self::RunEnded,
        Self::RecordMoved,
        Self::Forgotten,
        Self::Unlocked,
        Self::TargetAccepted,
        Self::DriftReported,
        Self::SecretShown,
        Self::Migrated,
    ];

    /// What has happened, for the page of events.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::RunBegun => "A run begins: who, from which commit, with which plan and Approvals.",
            Self::StepBegun => {
                "A change is written next. If the run ends before the step does, the next one looks for it."
            }
            Self::StepEnded => "How a change ended.",
            Self::PhaseEntered => "A tenant entered its phase, and on which tier and price it is.",
            Self::RunEnded => "How the run ended.",
            Self::RecordMoved => "The record of a resource moved to the address that wants it.",
            Self::Forgotten => "A resource is no longer managed; it was left as it is.",
            Self::Unlocked => "A lock was taken away from its holder.",
            Self::TargetAccepted => "A target is another system than before, or is seen for the first time.",
            Self::DriftReported => "People were told of drift.",
            Self::SecretShown => "The value of a secret was shown to somebody.",
            Self::Migrated => "The records were migrated to a new format.",
        }
    }

    /// The name in the journal.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RunBegun => "runBegun",
            Self::StepBegun => "stepBegun",
            Self::StepEnded => "stepEnded",
            Self::PhaseEntered => "phaseEntered",
            Self::RunEnded => "runEnded",
            Self::RecordMoved => "recordMoved",
            Self::Forgotten => "forgotten",
            Self::Unlocked => "unlocked",
            Self::TargetAccepted => "targetAccepted",
            Self::DriftReported => "driftReported",
            Self::SecretShown => "secretShown",
            Self::Migrated => "migrated",
        }
    }

    /// The event of a name in the journal.
    pub fn from_name(name: &str) -> Option<Self> {
        serde_json::from_value(name.into()).ok()
    }
}

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JournalEntry {
    pub sequence: u64,
    pub run: Option<RunId>,
    pub at: Timestamp,
    pub event: JournalEvent,
    pub owner: Option<Owner>,
    /// The event's own fields.
    pub detail: serde_json::Value,
    /// SHA-256 over the hash of the entry before and this entry's canonical JSON, in hexadecimal.
    pub hash: Arc<str>,
}

/// A run, as the journal has it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunRecord {
    pub run: RunId,
    pub begun: Timestamp,
    /// `None` if it was interrupted before it could say so, or goes on.
    pub ended: Option<Timestamp>,
    pub outcome: Option<RunOutcome>,
    pub actor: Arc<str>,
    pub command: Arc<str>,
    /// The commit of the repository, if it was one.
    pub revision: Option<Arc<str>>,
    /// Names of the approvals that its plan used.
    pub approvals: Vec<Arc<str>>,
    /// The number of owners of which something was written.
    pub owners: u64,
    /// The number of steps that ended, well or not, and of records that were forgotten.
    pub steps: u64,
}

/// A failure of the store.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{owner} is locked by {holder} until {expires}", owner = .0.owner, holder = .0.holder, expires = .0.expires)]
    Locked(Box<Lock>),
    #[error("the lock of {0} expired or was taken over by another run")]
    LeaseLost(Owner),
    #[error("the journal was changed at entry {sequence}: its hash does not follow from the entry before")]
    Tampered { sequence: u64 },
    /// Of a store, or of an export.
    #[error("{subject} has records of {found}, not of {wanted}")]
    OtherScope { subject: String, found: Box<Scope>, wanted: Box<Scope> },
    #[error("the store at {location} already has records of {scope}")]
    NotEmpty { location: String, scope: Box<Scope> },
    #[error("the store at {location} has an earlier format and does not say to which environment {what} belongs")]
    Unattributed { location: String, what: String, environments: Vec<Scope> },
    #[error("the export cannot be read: line {line}: {cause}")]
    Export { line: usize, cause: String },
    #[error("the store at {location} has format {found}, which is newer than the {supported} that this version reads")]
    Newer { location: String, found: u32, supported: u32 },
    #[error("the store at {location} is full: {cause}")]
    Full { location: String, cause: String },
    #[error("the store at {location} failed while {attempted}: {cause}")]
    Failed { location: String, attempted: &'static str, cause: String },
}

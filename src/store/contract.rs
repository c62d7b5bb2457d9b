//! What every store keeps: Tenantry's own record.
//!
//! Three things live here. The *journal* is append-only and hash-chained. The *inventory* says what was last applied at
//! each address. *Locks* keep two applies from one tenant. One contract, two implementations: SQLite beside the estate,
//! PostgreSQL where several runners share a store.
//!
//! Fencing: whoever acquires a lock gets a token that is higher than every token before it. [`Store::begin`] and
//! [`Store::finish`] take the token and refuse it, in the same transaction as their own write, once another holder has
//! the lock or the lease has run out. So a runner that was suspended beyond its lease stops at its next step.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use tenantry_core::model::address::{Address, Owner};
use tenantry_core::model::resource::Applied;

/// A number that grows with every acquisition of a lock.
pub type FencingToken = u64;

/// The record that survives a run.
///
/// Every method that writes is one transaction of its own, durable when it returns.
#[async_trait]
pub trait Store: Send + Sync {
    /// Everything that was last applied, in order of address.
    async fn inventory(&self) -> Result<Vec<Applied>, StoreError>;

    /// The phase that each tenant was last applied in. Tenants that were never applied are not among them.
    async fn phases(&self) -> Result<BTreeMap<Arc<str>, Arc<str>>, StoreError>;

    /// Steps that were begun and never finished, by any run, oldest first: what a crash leaves.
    async fn open_steps(&self) -> Result<Vec<StepBegun>, StoreError>;

    /// Opens a run and returns its number.
    async fn begin_run(&self, run: &RunBegun) -> Result<RunId, StoreError>;

    /// Closes a run.
    async fn end_run(&self, run: RunId, at: Timestamp, outcome: &RunOutcome) -> Result<(), StoreError>;

    /// Takes the locks of all `owners` or of none.
    ///
    /// # Errors
    /// [`StoreError::Locked`] names the first that another holder has.
    async fn lock(&self, request: &LockRequest<'_>) -> Result<BTreeMap<Owner, FencingToken>, StoreError>;

    /// Extends the lease of every lock that `holder` has to `until`.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] if one of them is gone.
    async fn renew(&self, holder: &str, now: Timestamp, until: Timestamp) -> Result<(), StoreError>;

    /// Gives up every lock that `holder` has. Not having one is no error.
    async fn release(&self, holder: &str) -> Result<(), StoreError>;

    /// Every lock whose lease has not run out at `now`.
    async fn locks(&self, now: Timestamp) -> Result<Vec<Lock>, StoreError>;

    /// Removes locks whoever holds them, and journals it. Returns those that were there.
    async fn unlock(&self, owners: &[Owner], at: Timestamp, actor: &str) -> Result<Vec<Lock>, StoreError>;

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

    /// Journals that a tenant has reached a phase.
    async fn enter_phase(&self, fence: &Fence, transition: &PhaseTransition) -> Result<(), StoreError>;

    /// The journal, newest first.
    async fn history(&self, query: &HistoryQuery) -> Result<Vec<JournalEntry>, StoreError>;

    /// Follows the hash chain through the whole journal and returns the number of entries.
    ///
    /// # Errors
    /// [`StoreError::Tampered`] at the first entry whose hash does not fit.
    async fn verify_journal(&self) -> Result<u64, StoreError>;

    /// Where the store is, without credentials, for messages.
    fn location(&self) -> String;
}

/// Number of a run, counted from 1.
pub type RunId = u64;

/// Who may write for an owner.
#[derive(Clone, Debug)]
pub struct Fence {
    pub run: RunId,
    pub owner: Owner,
    pub token: FencingToken,
    /// Against which the lease is checked.
    pub now: Timestamp,
}

/// A run at its beginning.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunBegun {
    pub at: Timestamp,
    /// `apply`, `import` or another command.
    pub command: Arc<str>,
    pub estate: Arc<str>,
    pub environment: Option<Arc<str>>,
    /// The commit of the repository, if it is one.
    pub revision: Option<Arc<str>>,
    /// Who ran it, as far as the system tells: user@host.
    pub actor: Arc<str>,
    /// Digest of the plan.
    pub plan: Arc<str>,
    /// Names of the approvals that the plan uses.
    pub approvals: Vec<Arc<str>>,
}

/// A run at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RunOutcome {
    Done,
    Partly,
    Interrupted,
    Failed,
}

/// A step about to be written.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepBegun {
    pub at: Timestamp,
    pub address: Address,
    pub kind: Arc<str>,
    pub target: Arc<str>,
    pub identity: Arc<str>,
    /// `create`, `update`, `delete` or `adopt`.
    pub action: Arc<str>,
    pub generation: u64,
    pub idempotency_key: Arc<str>,
    /// What is about to be written, as [`Applied::spec`] would have it; nothing of a deletion. It is kept while the step is
    /// open, so that what an interrupted write may have left is known, and is not part of the journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<Arc<str>>,
}

/// A step that was written, or failed.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepEnded {
    pub at: Timestamp,
    pub address: Address,
    pub identity: Arc<str>,
    pub action: Arc<str>,
    pub generation: u64,
    pub result: StepResult,
}

/// How a step ended.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StepResult {
    /// The inventory holds this from now on.
    Applied(Applied),
    /// The inventory forgets the address.
    Removed,
    /// Nothing was written, for this reason. The step is closed; the inventory stays.
    Failed(Arc<str>),
}

/// A tenant's phase, as applied.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PhaseTransition {
    pub at: Timestamp,
    pub tenant: Arc<str>,
    /// Nothing for a tenant that is applied for the first time.
    pub from: Option<Arc<str>>,
    pub to: Arc<str>,
}

/// What to lock.
#[derive(Clone, Debug)]
pub struct LockRequest<'a> {
    pub owners: &'a [Owner],
    /// Unique to the run: actor, process and a random part.
    pub holder: &'a str,
    pub now: Timestamp,
    pub lease: SignedDuration,
}

/// A lock that is held.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Lock {
    pub owner: Owner,
    pub holder: Arc<str>,
    pub token: FencingToken,
    pub acquired: Timestamp,
    pub expires: Timestamp,
}

/// Which entries of the journal to show.
#[derive(Clone, Debug, Default)]
pub struct HistoryQuery {
    pub owner: Option<Owner>,
    pub run: Option<RunId>,
    /// The most entries to return; all if nothing.
    pub limit: Option<u64>,
}

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JournalEntry {
    pub sequence: u64,
    pub run: Option<RunId>,
    pub at: Timestamp,
    /// `runBegun`, `stepBegun`, `stepEnded`, `phaseEntered`, `runEnded` or `unlocked`.
    pub event: Arc<str>,
    pub owner: Option<Owner>,
    /// The event's own fields.
    pub detail: serde_json::Value,
    /// SHA-256 over the hash of the entry before and this entry's canonical JSON, in hexadecimal.
    pub hash: Arc<str>,
}

/// A store that cannot do what was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{owner} is locked by {holder} until {expires}", owner = .0.owner, holder = .0.holder, expires = .0.expires)]
    Locked(Box<Lock>),
    #[error("the lock of {0} was lost to another run or ran out")]
    LeaseLost(Owner),
    #[error("the journal was changed at entry {sequence}: its hash does not follow from the entry before")]
    Tampered { sequence: u64 },
    #[error("the store at {location} has format {found}, which is newer than the {supported} that this version reads")]
    Newer { location: String, found: u32, supported: u32 },
    #[error("the store at {location} is full: {cause}")]
    Full { location: String, cause: String },
    #[error("the store at {location} cannot be used while {attempted}: {cause}")]
    Failed { location: String, attempted: &'static str, cause: String },
}

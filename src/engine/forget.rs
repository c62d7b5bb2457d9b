//! `forget`: stops managing resources, and leaves them as they are.
//!
//! Flow: the caller shows what would be forgotten and asks. Then the locks of the owners are taken, the store is read again, and
//! the records that are still the ones that were shown are removed, each with an entry in the journal.
//!
//! Guaranteed: no target is asked or written. What was forgotten is not managed again by its mark alone: see
//! [`forgotten`](super::forgotten).

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::EngineError;
use super::apply::heartbeat;
use super::observe::by_address;
use super::plan::unfinished;
use super::targets::Targets;
use tenantry_core::model::address::{Address, Owner};
use tenantry_core::model::names::hex;
use tenantry_core::model::resource::Applied;
use tenantry_store::contract::{
    Fence, FencingToken, Holder, LockRequest, RecordForgotten, RunBegun, RunId, RunOutcome, Store, StoreError,
};

/// How many entries go into the journal at a time.
const AT_ONCE: usize = 200;

/// What to forget, and for whom.
pub struct Request<'a> {
    pub targets: &'a Targets<'a>,
    pub store: &'a dyn Store,
    /// The records that were shown, as [`on_record`] returned them.
    pub records: &'a [Applied],
    /// user@host.
    pub actor: Arc<str>,
    /// Under a name that is unique to this run.
    pub holder: Holder,
    pub revision: Option<Arc<str>>,
    /// The system's clock.
    pub clock: &'a (dyn Fn() -> Timestamp + Sync),
}

/// What was forgotten.
pub struct Forgotten {
    pub run: RunId,
    pub resources: usize,
    /// What is no longer on record as it was shown, and was left alone.
    pub changed: Vec<Address>,
}

/// Everything that can be forgotten, in order of address: what is on record, and what a run began to create and did not record.
///
/// # Errors
/// If the store cannot be read.
pub async fn on_record(store: &dyn Store) -> Result<Vec<Applied>, StoreError> {
    let inventory = by_address(store.inventory().await?);
    let unfinished = unfinished(&store.open_steps().await?, &inventory);
    let mut records: Vec<Applied> = inventory.into_values().chain(unfinished).collect();
    records.sort_by(|a, b| (&a.address, &a.identity).cmp(&(&b.address, &b.identity)));
    Ok(records)
}

/// Forgets what was shown, as far as it has not changed.
///
/// # Errors
/// If a lock is held, or the store does not work: what was forgotten until then stays forgotten.
pub async fn forget(request: &Request<'_>) -> Result<Forgotten, EngineError> {
    let Request { targets, store, records, holder, clock, .. } = request;
    let mut owners: Vec<Owner> = records.iter().map(|applied| applied.address.owner.clone()).collect();
    owners.dedup();
    let lease = SignedDuration::from_secs(i64::from(targets.environment.limits.lease_seconds));
    let tokens = store.lock(&LockRequest { owners: &owners, holder, now: clock(), lease }).await?;
    let lost = CancellationToken::new();
    let forgotten = tokio::select! {
        forgotten = forget_locked(request, &tokens) => forgotten,
        () = heartbeat(*store, &holder.name, *clock, lease, &lost) => unreachable!("the heartbeat goes on until it is dropped"),
    };
    let released = store.release(&holder.name).await;
    let forgotten = forgotten?;
    released?;
    Ok(forgotten)
}

async fn forget_locked(
    request: &Request<'_>,
    tokens: &BTreeMap<Owner, FencingToken>,
) -> Result<Forgotten, EngineError> {
    let Request { targets, store, records, actor, holder: _, revision, clock } = request;
    let now = on_record(*store).await?;
    let place = |applied: &Applied| {
        let Applied { address, target, kind, identity, .. } = applied;
        (address.clone(), target.clone(), kind.clone(), identity.clone())
    };
    let places: HashSet<_> = now.iter().map(place).collect();
    let is_same = |shown: &&Applied| places.contains(&place(shown));
    let (same, changed): (Vec<&Applied>, Vec<&Applied>) = records.iter().partition(is_same);
    let run = store
        .begin_run(&RunBegun {
            actor: actor.clone(),
            approvals: Vec::new(),
            at: clock(),
            command: "forget".into(),
            environment: targets.environment.name.clone(),
            estate: targets.environment.estate.clone(),
            plan: digest(&same).into(),
            revision: revision.clone(),
        })
        .await?;
    let mut by_owner: BTreeMap<&Owner, Vec<RecordForgotten>> = BTreeMap::new();
    for Applied { address, identity, kind, target, .. } in same.iter().copied() {
        by_owner.entry(&address.owner).or_default().push(RecordForgotten {
            actor: actor.clone(),
            address: address.clone(),
            at: clock(),
            identity: identity.clone(),
            kind: kind.clone(),
            target: target.clone(),
        });
    }
    for (owner, forgotten) in &by_owner {
        let token = tokens.get(*owner).copied().ok_or_else(|| StoreError::LeaseLost((*owner).clone()))?;
        for some in forgotten.chunks(AT_ONCE) {
            let fence = Fence { run, owner: (*owner).clone(), token, now: clock() };
            store.forget(&fence, some).await?;
        }
    }
    let outcome = if changed.is_empty() { RunOutcome::Done } else { RunOutcome::Partly };
    store.end_run(run, clock(), &outcome).await?;
    let changed = changed.into_iter().map(|applied| applied.address.clone()).collect();
    Ok(Forgotten { run, resources: same.len(), changed })
}

/// The digest of the records, in place of a plan's.
fn digest(records: &[&Applied]) -> String {
    let mut digest = Sha256::new();
    for Applied { address, target, kind, identity, .. } in records {
        digest.update(format!("{address}\n{target}\n{kind}\n{identity}\n"));
    }
    hex(&digest.finalize())
}

//! `apply`: lock → still fresh? → journal, write, journal → verify.
//!
//! Flow: the locks of all owners are taken at once. Everything the plan touches is observed again, and each change is
//! held against what is there now (`Fresh::judge`). Secrets that are missing are generated and stored. Then the estate's
//! own resources are written, the tiers', and the tenants' side by side; deletions afterwards, in the opposite order.
//! Whatever was written is observed once more.
//!
//! Guaranteed: nothing is written that was not journalled before; a failure stops its tenant's dependents and nothing
//! else; after a crash at any point one more run reaches the same end. Assumed: the store and the secret store work; if
//! the store fails in the middle, the run stops before the next write.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use super::EngineError;
use super::observe::{by_address, observe};
use super::run::Run;
use super::secrets::{EarlierOwners, SecretValues};
use super::targets::Targets;
use crate::core::diff::{self, Known, Verdict};
use crate::core::model::address::Address;
use crate::core::model::kind::{Catalogue, MarkPlace};
use crate::core::model::mark::Mark;
use crate::core::model::resource::{Applied, Desired, Observations, Observed, Present};
use crate::core::model::value::Value;
use crate::core::plan::{Action, Change, Plan, json};
use crate::core::policy;
use crate::secret::contract::SecretStore;
use crate::store::contract::{LockRequest, RunBegun, RunOutcome, Store, StoreError};

/// What a run needs besides the plan.
pub struct Request<'a> {
    pub plan: &'a Plan,
    pub targets: &'a Targets<'a>,
    pub store: &'a dyn Store,
    pub secrets: &'a dyn SecretStore,
    /// Who runs it: user@host.
    pub actor: Arc<str>,
    /// Unique to this run.
    pub holder: String,
    /// The system's clock: leases are real time, whatever `--now` says.
    pub clock: &'a (dyn Fn() -> Timestamp + Sync),
    /// When this is cancelled, what is in flight is finished and nothing else begun.
    pub cancel: CancellationToken,
    pub progress: &'a dyn Progress,
}

/// Told of everything that happens, as it happens.
pub trait Progress: Send + Sync {
    fn event(&self, event: &Event<'_>);
}

/// Something that happened.
#[derive(Debug, serde::Serialize)]
#[serde(tag = "event", rename_all = "camelCase")]
pub enum Event<'a> {
    #[serde(rename_all = "camelCase")]
    RunBegun {
        run: u64,
        changes: usize,
        simulated: bool,
    },
    StepBegun {
        address: &'a Address,
        action: Action,
    },
    StepEnded {
        address: &'a Address,
        action: Action,
        result: &'a Outcome,
    },
    PhaseEntered {
        tenant: &'a str,
        phase: &'a str,
    },
    /// The target asks to wait, or a request is tried again.
    #[serde(rename_all = "camelCase")]
    Retrying {
        target: &'a str,
        reason: String,
        after_milliseconds: u64,
    },
    RunEnded {
        run: u64,
        outcome: RunOutcome,
    },
}

/// How a change ended.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(tag = "outcome", content = "reason", rename_all = "camelCase")]
pub enum Outcome {
    Done,
    /// It was so already: an earlier run got that far.
    AlreadyDone,
    Failed(String),
    /// The resource changed since the plan was made.
    Stale(String),
    /// Something that it needs was not done.
    Skipped(String),
    /// The run was interrupted before its turn.
    Interrupted,
}

impl Outcome {
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done | Self::AlreadyDone)
    }
}

/// What a run came to.
pub struct Report {
    pub run: u64,
    /// Every change with how it ended, in order of address.
    pub outcomes: BTreeMap<Address, (Action, Outcome)>,
    pub interrupted: bool,
}

impl Report {
    pub fn outcome(&self) -> RunOutcome {
        let done = self.outcomes.values().filter(|(_, outcome)| outcome.is_done()).count();
        if self.interrupted {
            RunOutcome::Interrupted
        } else if done == self.outcomes.len() {
            RunOutcome::Done
        } else if done == 0 {
            RunOutcome::Failed
        } else {
            RunOutcome::Partly
        }
    }
}

/// A change that may be written.
pub struct Ready<'a> {
    pub change: &'a Change,
    /// What was just observed; nothing of something that is created.
    pub present: Option<Present>,
    /// Of a replacement under another name: the old one, deleted afterwards.
    pub replaced: Option<Present>,
    /// Everything is as it should be and only the record is missing.
    pub only_record: bool,
}

/// Applies a plan.
///
/// # Errors
/// If nothing could be done at all: the plan is refused or of another estate, a lock is held, the store does not work.
pub async fn apply(request: &Request<'_>) -> Result<Report, EngineError> {
    let Request { plan, targets, store, secrets, actor, holder, clock, cancel, progress } = request;
    check_plan(plan, targets, clock())?;
    let owners = plan.owners();
    let lease = SignedDuration::from_secs(i64::from(targets.environment.limits.lease_seconds));
    let tokens = store.lock(&LockRequest { owners: &owners, holder, now: clock(), lease }).await?;
    let lost = CancellationToken::new();
    let locked = async {
        let run = store
            .begin_run(&RunBegun {
                at: clock(),
                command: "apply".into(),
                estate: plan.estate.clone(),
                environment: plan.environment.clone(),
                revision: plan.revision.clone(),
                actor: actor.clone(),
                plan: json::digest(plan).into(),
                approvals: plan.approvals.keys().cloned().collect(),
            })
            .await?;
        progress.event(&Event::RunBegun { run, changes: plan.changes.len(), simulated: plan.simulated });
        let fresh = Fresh::read(plan, targets, *store).await?;
        let mut outcomes: BTreeMap<Address, (Action, Outcome)> = BTreeMap::new();
        let mut ready: Vec<Ready<'_>> = Vec::with_capacity(plan.changes.len());
        for change in &plan.changes {
            match fresh.judge(change) {
                Ok(judged) => ready.push(judged),
                Err(outcome) => {
                    outcomes.insert(change.address.clone(), (change.action, outcome));
                }
            }
        }
        let specs = ready.iter().filter(|ready| !ready.only_record).filter_map(|ready| ready.change.after.as_ref());
        let values = SecretValues::ensure(*secrets, specs, &earlier_owners(plan)).await?;
        let mut writing = Run::new(request, run, &tokens, values, &fresh.inventory, outcomes, lost.clone());
        writing.write_all(ready).await;
        let failure = writing.store_failure();
        let written = writing.finish();
        let mut report = Report { run, outcomes: written, interrupted: cancel.is_cancelled() };
        if failure.is_none() {
            verify(request, &mut report).await?;
        }
        let outcome = report.outcome();
        let ended = store.end_run(run, clock(), &outcome).await;
        progress.event(&Event::RunEnded { run, outcome });
        match failure {
            Some(failure) => Err(failure.into()),
            None => ended.map(|()| report).map_err(EngineError::from),
        }
    };
    let result = tokio::select! {
        result = locked => result,
        () = heartbeat(*store, holder, *clock, lease, &lost) => unreachable!("the heartbeat goes on until it is dropped"),
    };
    let released = store.release(holder).await;
    let report = result?;
    released?;
    Ok(report)
}

fn check_plan(plan: &Plan, targets: &Targets<'_>, now: Timestamp) -> Result<(), EngineError> {
    let environment = targets.environment;
    let called = |estate: &str, environment: Option<&str>| match environment {
        Some(environment) => format!("estate `{estate}`, environment `{environment}`"),
        None => format!("estate `{estate}`"),
    };
    let made = called(&plan.estate, plan.environment.as_deref());
    let here = called(&environment.estate, environment.name.as_deref());
    if made != here {
        return Err(EngineError::OtherEstate { made, here });
    }
    if plan.simulated != environment.is_simulated() {
        let word = |simulated| if simulated { "the sandbox" } else { "real targets" };
        return Err(EngineError::OtherEstate {
            made: word(plan.simulated).into(),
            here: word(environment.is_simulated()).into(),
        });
    }
    if plan.is_refused() {
        return Err(EngineError::Refused);
    }
    for (name, expires) in &plan.approvals {
        if policy::expiry(expires).is_none_or(|until| now >= until) {
            return Err(EngineError::ApprovalExpired { name: name.to_string(), expires: expires.to_string() });
        }
    }
    Ok(())
}

/// Extends the leases at a third of their length, so that two beats may be missed.
async fn heartbeat(
    store: &dyn Store,
    holder: &str,
    clock: &(dyn Fn() -> Timestamp + Sync),
    lease: SignedDuration,
    lost: &CancellationToken,
) {
    let third = lease.unsigned_abs() / 3;
    loop {
        tokio::time::sleep(third).await;
        let now = clock();
        let until = now.checked_add(lease).unwrap_or(now);
        if let Err(StoreError::LeaseLost(_)) = store.renew(holder, now, until).await {
            lost.cancel();
        }
        // Any other failure may pass before the lease ends; if it does not, the store refuses the next step.
    }
}

/// What is there now.
struct Fresh {
    estate: Arc<str>,
    catalogue: Arc<Catalogue>,
    observed: Observations,
    inventory: BTreeMap<Address, Applied>,
    begun: HashSet<(Address, Arc<str>)>,
    desired: HashMap<Address, Desired>,
}

impl Fresh {
    async fn read(plan: &Plan, targets: &Targets<'_>, store: &dyn Store) -> Result<Self, EngineError> {
        let inventory = by_address(store.inventory().await?);
        let begun = store.open_steps().await?.into_iter().map(|step| (step.address, step.identity)).collect();
        let desired: HashMap<Address, Desired> = plan
            .changes
            .iter()
            .filter_map(|change| Some((change.address.clone(), desired_of(change, targets)?)))
            .collect();
        let observed = observe(targets, desired.values(), inventory.values()).await;
        let catalogue = targets.catalogue.clone();
        Ok(Self { estate: plan.estate.clone(), catalogue, observed, inventory, begun, desired })
    }

    fn observed(&self, change: &Change, identity: &str) -> Observed {
        let of_kind =
            self.observed.iter().find(|((target, kind), _)| *target == change.target && **kind == *change.kind);
        match of_kind {
            Some((_, observation)) => observation.get(identity),
            None => Observed::Unknown("its target was not asked".into()),
        }
    }

    /// Holds a change against what is there now.
    fn judge<'a>(&self, change: &'a Change) -> Result<Ready<'a>, Outcome> {
        let ready = |present| Ready { change, present, replaced: None, only_record: false };
        let stale = |why: &str| Err(Outcome::Stale(format!("{why} since the plan was made; plan again")));
        let unknown = |reason: &str| Err(Outcome::Skipped(format!("its state is unknown: {reason}")));
        if change.action != Action::Forget
            && self.inventory.get(&change.address).map_or(0, |applied| applied.generation) >= change.generation
        {
            // Another run wrote here; if it came to the same end there is nothing left to do.
            return match (&change.identity, self.desired.get(&change.address)) {
                (Some(identity), Some(desired)) => match self.verdict(desired, &self.observed(change, identity), false)
                {
                    Verdict::Unchanged => Err(Outcome::AlreadyDone),
                    _ => stale("it was written by another run"),
                },
                _ => stale("it was written by another run"),
            };
        }
        let Some(identity) = &change.identity else {
            let replaced = change.replaces.as_ref().map(|old| self.judge_old(change, old)).transpose()?.flatten();
            return Ok(Ready { replaced, ..ready(None) });
        };
        let observed = match change.replaces.as_ref() {
            Some(old) => return self.judge_renaming(change, identity, old),
            None => self.observed(change, identity),
        };
        match (change.action, observed) {
            (_, Observed::Unknown(reason)) => unknown(&reason),
            (Action::Create, Observed::Absent) => Ok(ready(None)),
            (Action::Delete | Action::Forget, Observed::Absent) => Ok(ready(None)),
            (Action::Forget, Observed::Present(_)) => stale("it came back"),
            (_, Observed::Absent) => stale("it was deleted"),
            (Action::Delete, Observed::Present(present)) => {
                if !self.owns(change, identity, &present) {
                    return stale("its mark was changed");
                }
                match self.is_as_planned(change, &present) {
                    true => Ok(ready(Some(present))),
                    false => stale("it was changed"),
                }
            }
            (_, Observed::Present(present)) => {
                let Some(desired) = self.desired.get(&change.address) else { return stale("its kind is not known") };
                let besides: Vec<Arc<str>> = change.fields.iter().map(|field| field.path.clone()).collect();
                let applied = self.applied(desired);
                let owned = diff::owned(&desired.kind, &present.spec, &desired.spec, applied, &besides);
                let verdict = self.verdict(desired, &Observed::Present(present.clone()), writes_secret(change));
                match (change.action, &change.before, verdict) {
                    (_, _, Verdict::Blocked { reason, .. }) => Err(Outcome::Stale(format!("{reason}; plan again"))),
                    (_, _, Verdict::Unchanged | Verdict::Record { .. }) => {
                        Ok(Ready { change, present: Some(present), replaced: None, only_record: true })
                    }
                    (Action::Create, ..) => stale("it appeared"),
                    (_, Some(before), _) if **before == owned => Ok(ready(Some(present))),
                    _ => stale("it was changed"),
                }
            }
        }
    }

    fn judge_renaming<'a>(&self, change: &'a Change, new: &str, old: &str) -> Result<Ready<'a>, Outcome> {
        let stale = |why: &str| Err(Outcome::Stale(format!("{why} since the plan was made; plan again")));
        let desired = self.desired.get(&change.address);
        let present = match self.observed(change, new) {
            Observed::Unknown(reason) => return Err(Outcome::Skipped(format!("its state is unknown: {reason}"))),
            Observed::Absent => None,
            Observed::Present(present) => {
                match desired.map(|desired| self.verdict(desired, &Observed::Present(present.clone()), false)) {
                    Some(Verdict::Blocked { .. }) | None => return stale("another resource of the new name appeared"),
                    // An earlier run was interrupted between making the new one and deleting the old one.
                    Some(_) => Some(present),
                }
            }
        };
        let settled = match (&present, desired) {
            (Some(present), Some(desired)) => {
                let verdict = self.verdict(desired, &Observed::Present(present.clone()), false);
                matches!(verdict, Verdict::Unchanged | Verdict::Record { .. })
            }
            _ => false,
        };
        Ok(Ready { change, only_record: settled, present, replaced: self.judge_old(change, old)? })
    }

    /// What is there of the old one that a replacement deletes.
    fn judge_old(&self, change: &Change, old: &str) -> Result<Option<Present>, Outcome> {
        let stale = |what: &str| Err(Outcome::Stale(format!("{what} was changed since the plan was made; plan again")));
        match self.observed(change, old) {
            Observed::Unknown(reason) => Err(Outcome::Skipped(format!("its state is unknown: {reason}"))),
            Observed::Absent => Ok(None),
            Observed::Present(present) if !self.owns(change, old, &present) => stale("the mark of the old one"),
            Observed::Present(present) if !self.is_as_planned(change, &present) => stale("the old one"),
            Observed::Present(present) => Ok(Some(present)),
        }
    }

    /// Whether what is to be deleted has every owned field as the plan saw it.
    fn is_as_planned(&self, change: &Change, present: &Present) -> bool {
        let Some(before) = &change.before else { return true };
        match self.catalogue.get(&change.kind) {
            Some(kind) => diff::owned(kind, &present.spec, before, None, &[]) == **before,
            None => **before == *present.spec,
        }
    }

    fn owns(&self, change: &Change, identity: &str, present: &Present) -> bool {
        let desired = self.desired.get(&change.address);
        match &present.mark {
            Some(Mark { estate, address, .. }) => {
                *estate == self.estate
                    && (*address == change.address
                        || desired.is_some_and(|desired| desired.previously.contains(address)))
            }
            None => {
                let mut addresses = std::iter::once(&change.address).chain(&change.renamed_from);
                let in_inventory = addresses.any(|address| {
                    let applied = self.inventory.get(address);
                    applied.is_some_and(|applied| *applied.kind == *change.kind && *applied.identity == *identity)
                });
                in_inventory && self.catalogue.get(&change.kind).is_some_and(|kind| kind.mark == MarkPlace::Inventory)
            }
        }
    }

    fn applied(&self, desired: &Desired) -> Option<&Applied> {
        let addresses = std::iter::once(&desired.address).chain(&desired.previously);
        addresses.into_iter().find_map(|address| self.inventory.get(address))
    }

    fn verdict(&self, desired: &Desired, observed: &Observed, writes_secret: bool) -> Verdict {
        let applied = self.applied(desired);
        let begun = desired
            .identity
            .as_ref()
            .is_some_and(|identity| self.begun.contains(&(desired.address.clone(), identity.clone())));
        let mark = match observed {
            Observed::Present(present) => present.mark.as_ref(),
            _ => None,
        };
        // Secrets are judged by the plan: here, whatever hash there is counts as the right one unless the plan writes it.
        let secret_hash = mark.filter(|_| !writes_secret).and_then(|mark| mark.secret_hash.as_deref());
        diff::diff(&Known { estate: &self.estate, desired, observed, applied, begun, secret_hash })
    }
}

/// The names that owners had before, as far as something of theirs is renamed.
fn earlier_owners(plan: &Plan) -> EarlierOwners {
    let mut earlier = EarlierOwners::new();
    for change in &plan.changes {
        if let Some(old) = change.renamed_from.as_ref().filter(|old| old.owner != change.address.owner) {
            let owners = earlier.entry(change.address.owner.clone()).or_default();
            if !owners.contains(&old.owner) {
                owners.push(old.owner.clone());
            }
        }
    }
    earlier
}

/// Whether a change is about a secret's value: its rotation, or a value that was changed outside.
fn writes_secret(change: &Change) -> bool {
    change.fields.iter().any(|field| field.after.as_ref().is_some_and(Value::has_secret))
}

/// What a change asks for, as if it came from the repository.
fn desired_of(change: &Change, targets: &Targets<'_>) -> Option<Desired> {
    let kind = targets.catalogue.get(&change.kind)?;
    let spec = change.after.clone()?;
    Some(Desired {
        address: change.address.clone(),
        kind: kind.clone(),
        target: change.target.clone(),
        identity: change.identity.clone(),
        spec,
        sensitive: change.sensitive.as_slice().into(),
        protect: change.protected,
        adopt: change.action == Action::Adopt,
        depends_on: change.depends_on.clone(),
        previously: change.renamed_from.iter().cloned().collect(),
        origin: crate::core::diagnostics::Origin {
            file: crate::core::diagnostics::FileId(0),
            span: crate::core::diagnostics::Span::default(),
        },
    })
}

/// Observes what was written; what did not come out as planned is a failure after all.
async fn verify(request: &Request<'_>, report: &mut Report) -> Result<(), EngineError> {
    let Request { plan, targets, store, .. } = request;
    let done: HashSet<Address> = report
        .outcomes
        .iter()
        .filter(|(_, (_, outcome))| *outcome == Outcome::Done)
        .map(|(address, _)| address.clone())
        .collect();
    if done.is_empty() {
        return Ok(());
    }
    let inventory = by_address(store.inventory().await?);
    let written: Vec<&Change> = plan.changes.iter().filter(|change| done.contains(&change.address)).collect();
    let desired: HashMap<Address, Desired> =
        written.iter().filter_map(|change| Some((change.address.clone(), desired_of(change, targets)?))).collect();
    let fresh = Fresh {
        estate: plan.estate.clone(),
        catalogue: targets.catalogue.clone(),
        observed: observe(targets, desired.values(), inventory.values()).await,
        inventory,
        begun: HashSet::new(),
        desired,
    };
    for change in written {
        let Some(identity) = &change.identity else { continue };
        let Some(desired) = fresh.desired.get(&change.address) else { continue };
        let observed = fresh.observed(change, identity);
        let problem = match fresh.verdict(desired, &observed, false) {
            Verdict::Unchanged | Verdict::Record { .. } => continue,
            // What could not be read again was still written.
            Verdict::Blocked { .. } if matches!(observed, Observed::Unknown(_)) => continue,
            Verdict::Blocked { reason, .. } => reason,
            Verdict::Create { .. } => "it is not there".to_owned(),
            Verdict::Update(update) | Verdict::Replace(update) => {
                let fields: Vec<&str> = update
                    .differences
                    .iter()
                    // An output that was not known when the plan was made is compared in the next plan.
                    .filter(|difference| !difference.after.as_ref().is_some_and(Value::has_deferred))
                    .map(|difference| &*difference.pointer)
                    .collect();
                if fields.is_empty() {
                    continue;
                }
                format!("{} did not come out as written", fields.join(", "))
            }
        };
        let reason = format!("it was written, but observed again {problem}");
        report.outcomes.insert(change.address.clone(), (change.action, Outcome::Failed(reason)));
    }
    Ok(())
}

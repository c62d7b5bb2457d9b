//! `apply`: lock → still fresh? → journal, write, journal → verify.
//!
//! Flow: the locks of all owners are taken at once. Everything the plan touches is observed again, and each change is held
//! against what is there now (`Fresh::judge`); a target that is another system than the plan was made for ends the run before
//! it begins, and one that is seen for the first time is remembered. Records move to the addresses that want their resources.
//! Secrets that are missing are generated and stored. Then the estate's own resources are written, the tiers', and the tenants'
//! side by side; deletions afterwards, in the opposite order. Everything that was written is observed again, until it is ready
//! or a time limit is over. Then tenants enter their phases. In a rollout the tenants of a wave are observed before those of the
//! next are written, and only if all is well does the next begin.
//!
//! Guaranteed: every write is journalled before it begins; a failure stops its dependents within the tenant and nothing else;
//! after a crash at any point one more run reaches the same end. Assumed: the store and the secret store work; if the store
//! fails during a run, the run stops before the next write.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, OnceLock};

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use super::EngineError;
use super::fresh::{Fresh, Ready};
use super::outcome::{Outcomes, Report, Stopped};
use super::records;
use super::request::{Event, Request};
use super::run::{Run, Stages};
use super::secrets::{EarlierOwners, SecretValues};
use super::systems;
use super::targets::Targets;
use super::verify::{Verified, verify};
use tenantry_core::diff::{Difference, Update};
use tenantry_core::lifecycle::TenantRecords;
use tenantry_core::model::address::{Address, Owner};
use tenantry_core::model::document::Phase;
use tenantry_core::model::resource::{Inventory, Present};
use tenantry_core::model::time;
use tenantry_core::outcome::{Outcome, Stale};
use tenantry_core::plan::{Action, Cause, Change, FieldChange, Granted, Plan, Reason, Transition, Work, json};
use tenantry_store::contract::{LockRequest, RunBegun, Store, StoreError};

/// Applies a plan.
///
/// # Errors
/// If nothing could be done: the plan is refused or of another estate, a lock is held, or the store does not work.
pub async fn apply(request: &Request<'_>) -> Result<Report, EngineError> {
    let Request { plan, targets, store, secrets, actor, holder, now, clock, cancel, progress } = request;
    check_plan(plan, targets, *now, clock())?;
    if let Some(head) = &plan.journal
        && !store.contains(head).await?
    {
        return Err(EngineError::OtherJournal { location: store.location(), length: head.length });
    }
    let owners = plan.owners();
    let lease = SignedDuration::from_secs(i64::from(targets.environment.limits.lease_seconds));
    let tokens = store.lock(&LockRequest { owners: &owners, holder, now: clock(), lease }).await?;
    let lost = CancellationToken::new();
    let locked = async {
        let mut fresh = Fresh::read(plan, targets, *store).await?;
        let run = store
            .begin_run(&RunBegun {
                actor: actor.clone(),
                approvals: plan.approvals.keys().cloned().collect(),
                at: clock(),
                command: "apply".into(),
                environment: plan.environment.clone(),
                estate: plan.estate.clone(),
                plan: json::digest(plan).into(),
                revision: plan.revision.clone(),
            })
            .await?;
        progress.event(&Event::RunBegun { run, changes: plan.changes.len(), simulated: plan.simulated });
        systems::accept(*store, fresh.systems.to_accept(), actor, clock(), Some(run)).await?;
        let by = (run, &tokens, clock());
        let others = records::follow(*store, plan, &targets.catalogue, by, &mut fresh.inventory).await?;
        let elsewhere = elsewhere(plan, &store.tenants().await?);
        let is_elsewhere = |owner: &Owner| owner.tenant().is_some_and(|tenant| elsewhere.contains(&**tenant));
        let mut outcomes = Outcomes::new();
        let mut ready: Vec<Ready<'_>> = Vec::with_capacity(plan.changes.len());
        for change in &plan.changes {
            let judged = match others.contains(&change.address) {
                _ if is_elsewhere(&change.address.owner) => Err(Outcome::Stale(Stale::OtherPhase)),
                true => Err(Outcome::Stale(Stale::WrittenByAnotherRun)),
                false => fresh.judge(change),
            };
            match judged {
                Ok(mut judged) => {
                    fresh.mark(&mut judged);
                    ready.push(judged);
                }
                Err(outcome) => {
                    outcomes.insert(change.address.clone(), (change.action(), outcome));
                }
            }
        }
        let specs = ready.iter().filter(|ready| !ready.only_record).filter_map(|ready| ready.change.work.after());
        let values = SecretValues::ensure(*secrets, specs, &earlier_owners(plan)).await?;
        // What was observed is looked at no more, and a large estate has a lot of it.
        let Fresh { inventory, .. } = fresh;
        // Outlives the run, which writes it last.
        let again: Vec<OnceLock<Vec<Change>>> =
            std::iter::repeat_with(OnceLock::new).take(plan.waves.len() + 1).collect();
        let mut writing = Run::new(request, run, &tokens, values, &inventory, outcomes, lost.clone());
        writing.keep_phases(&elsewhere);
        let stages = writing.stages(ready);
        let stopped = roll_out(request, &writing, &stages, &inventory, &again).await?;
        let (outcomes, notices) = (writing.take_outcomes(), writing.take_notices());
        let mut report = Report { run, outcomes, notices, interrupted: cancel.is_cancelled(), stopped };
        if writing.store_failure().is_none() {
            let last = &again[plan.waves.len()];
            let renamed = settle(request, &writing, &inventory, None, last, &mut report.outcomes).await?;
            report.notices.extend(writing.take_notices());
            writing.close(&report.outcomes, &renamed).await;
            writing.enter_phases(&report.outcomes).await;
        }
        let failure = writing.store_failure();
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
        () = heartbeat(*store, &holder.name, *clock, lease, &lost) => unreachable!("the heartbeat goes on until it is dropped"),
    };
    let released = store.release(&holder.name).await;
    let report = result?;
    released?;
    Ok(report)
}

/// The tenants that are in another phase than the plan knew: what is right for one that leaves is wrong for one that has come
/// back since, and its data would be gone.
fn elsewhere<'p>(plan: &'p Plan, records: &TenantRecords) -> BTreeSet<&'p str> {
    let entering = plan.transitions.iter().filter(|transition| {
        let Transition { tenant, from, to, renamed, .. } = transition;
        let phase = records.get(tenant).map(|record| record.phase);
        // A name that was deleted may be another customer's now, who is new to the plan.
        let is_reused = from.is_none() && phase == Some(Phase::Deleted);
        !renamed && phase != *from && phase != Some(*to) && !is_reused
    });
    let ending = plan.changes.iter().filter(|change| change.reason == Reason::TenantDeleted);
    let ending = ending.filter_map(|change| change.address.owner.tenant());
    let has_come_back = |tenant: &&'p Arc<str>| records.get(&***tenant).is_some_and(|record| !record.phase.leaves());
    let names = entering.map(|transition| &transition.tenant).chain(ending.filter(has_come_back));
    names.map(|tenant| &**tenant).collect()
}

/// Writes everything, and the tenants wave by wave. Each wave but the last is verified before the next begins. Returns where the
/// rollout stopped, if it did.
async fn roll_out<'a>(
    request: &'a Request<'a>,
    writing: &Run<'a>,
    stages: &Stages<'a>,
    inventory: &Inventory,
    again: &'a [OnceLock<Vec<Change>>],
) -> Result<Option<Stopped>, EngineError> {
    let Request { plan, cancel, progress, .. } = request;
    let waves = &plan.waves;
    let mut stopped: Option<Stopped> = None;
    writing.write_shared(stages).await;
    for (at, parts) in stages.waves.iter().enumerate() {
        let Some(wave) = waves.get(at) else {
            writing.write_tenants(parts).await;
            continue;
        };
        if let Some(stopped) = &stopped {
            writing.hold(wave, stopped);
            continue;
        }
        let number = at + 1;
        progress.event(&Event::WaveBegun { wave: number, of: waves.len(), tenants: wave.tenants.len() });
        writing.write_tenants(parts).await;
        // An interrupted run says of everything else that it was interrupted.
        if number == waves.len() || cancel.is_cancelled() || writing.store_failure().is_some() {
            continue;
        }
        let is_in = |address: &Address| address.owner.tenant().is_some_and(|tenant| wave.tenants.contains(tenant));
        let addresses = plan.changes.iter().map(|change| &change.address);
        let written: HashSet<&Address> = addresses.filter(|address| is_in(address)).collect();
        let mut outcomes = writing.take_outcomes();
        settle(request, writing, inventory, Some(&written), &again[at], &mut outcomes).await?;
        writing.put_outcomes(outcomes);
        if let Some(undone) = writing.undone_in(wave).filter(|_| !cancel.is_cancelled()) {
            progress.event(&Event::WaveStopped { wave: number, undone: &undone, held: waves.len() - number });
            stopped = Some(Stopped { wave: number, undone });
        }
    }
    writing.end_shared(stages).await;
    Ok(stopped)
}

/// Verifies what was written, and writes once more what its target has made otherwise than it was asked for. Returns the
/// addresses of resources whose name changed and whose old one is gone.
async fn settle<'a>(
    request: &Request<'a>,
    writing: &Run<'a>,
    inventory: &Inventory,
    only: Option<&HashSet<&Address>>,
    again: &'a OnceLock<Vec<Change>>,
    outcomes: &mut Outcomes,
) -> Result<HashSet<&'a Address>, EngineError> {
    let Verified { renamed, unlike } = verify(request, inventory, only, outcomes).await?;
    if unlike.is_empty() || request.cancel.is_cancelled() {
        return Ok(renamed);
    }
    let (changes, seen): (Vec<Change>, Vec<Present>) = unlike.into_iter().map(brought_to_wish).unzip();
    let changes = again.get_or_init(|| changes);
    let ready = changes.iter().zip(seen);
    let ready =
        ready.map(|(change, present)| Ready { change, present: Some(present), replaced: None, only_record: false });
    writing.write_again(ready.collect()).await;
    let written: HashSet<&Address> = changes.iter().map(|change| &change.address).collect();
    for (address, (_, outcome)) in writing.take_outcomes() {
        outcomes.insert(address, (Action::Create, outcome));
    }
    verify(request, inventory, Some(&written), outcomes).await?;
    Ok(renamed)
}

/// The change that brings a new resource to what is wanted, where the target has made it with more, and what was seen of it.
///
/// What a target adds by itself, as default privileges do, shows only once the resource is there.
fn brought_to_wish((change, update): (&Change, Update)) -> (Change, Present) {
    let Update { differences, present, .. } = update;
    let fields = differences.into_iter().map(|Difference { pointer, before, after, .. }| FieldChange {
        path: pointer,
        before,
        after,
        // The target added it, and nobody else.
        outside: false,
        by: None,
        becomes: None,
    });
    let work = match (&change.work, change.work.identity()) {
        (Work::Create { after, .. }, Some(identity)) => Work::Update {
            identity: identity.clone(),
            before: present.spec.clone(),
            after: after.clone(),
            fields: fields.collect(),
        },
        (other, _) => other.clone(),
    };
    let generation = change.generation + 1;
    (Change { work, generation, cause: Cause::Unfinished, reason: Reason::WriteUnfinished, ..change.clone() }, present)
}

/// How much later the clock of the machine may be that a plan was made on.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_mins(5);

fn check_plan(plan: &Plan, targets: &Targets<'_>, now: Timestamp, clock: Timestamp) -> Result<(), EngineError> {
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
    // What is due on a later day must not be done today.
    let made_for: Option<Timestamp> = plan.created_at.parse().ok();
    if !plan.simulated && made_for.is_none_or(|time| time > clock.checked_add(CLOCKS_DIFFER).unwrap_or(clock)) {
        return Err(EngineError::MadeForLater { time: plan.created_at.to_string() });
    }
    if plan.secrets_unread {
        return Err(EngineError::SecretsUnread);
    }
    for (name, Granted { expires, .. }) in &plan.approvals {
        if time::until(expires).is_none_or(|end| now >= end) {
            return Err(EngineError::ApprovalExpired { name: name.to_string(), expires: expires.to_string() });
        }
    }
    Ok(())
}

/// Extends the leases at a third of their length, so that two beats may be missed.
pub async fn heartbeat(
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

/// The earlier names of owners with renamed resources.
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

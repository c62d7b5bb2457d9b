//! Observes what was written: it must be as it was written, and finally ready or gone.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::EngineError;
use super::forgotten::Forgotten;
use super::fresh::{Fresh, desired_of};
use super::observe::{by_address, observe_in};
use super::outcome::Outcomes;
use super::plan::begun;
use super::request::{Event, Request};
use tenantry_core::collections;
use tenantry_core::diff::{Update, Verdict};
use tenantry_core::fingerprint::Systems;
use tenantry_core::model::address::Address;
use tenantry_core::model::resource::{Applied, Desired, Identity, Inventory, Observed, Present, TargetName};
use tenantry_core::model::unknown::Unknown;
use tenantry_core::model::value::Value;
use tenantry_core::outcome::{Outcome, Pending, Wrong};
use tenantry_core::plan::{Action, Change, Hindrance, Work};

/// The first pause between two observations. Most resources are ready within a few seconds.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The result of observing a written resource.
pub enum Sight {
    Settled,
    Pending(Arc<str>),
    /// Its state is unknown: a write counts as done, and a deletion is not known to be complete.
    Unknown(Unknown),
    /// It is there, and not as it was written.
    Unlike(Box<Update>),
    Wrong(Wrong),
}

/// What was found of everything that was written.
#[derive(Default)]
pub struct Verified<'p> {
    /// The resources whose name changed and whose old one is gone.
    pub renamed: HashSet<&'p Address>,
    /// New resources that came with more, or with something else, than was asked for, as a target's own defaults bring it.
    pub unlike: Vec<(&'p Change, Update)>,
}

/// Observes everything that was written until all of it is ready, or until a time limit. A resource that differs from what was
/// written is wrong; one that is not ready is pending. `before` is the inventory when the run began; `only` narrows it down.
pub async fn verify<'p>(
    request: &Request<'p>,
    before: &Inventory,
    only: Option<&HashSet<&Address>>,
    outcomes: &mut Outcomes,
) -> Result<Verified<'p>, EngineError> {
    let mut verified = Verified::default();
    // Of what was written by an earlier run, only the old name is a question.
    let is_done = |change: &&Change| match outcomes.get(&change.address) {
        Some((_, Outcome::Done)) => true,
        Some((_, Outcome::AlreadyDone)) => change.work.replaces().is_some(),
        _ => false,
    };
    let is_asked = |change: &&Change| only.is_none_or(|only| only.contains(&change.address));
    let mut looked_at: Vec<&Change> = request.plan.changes.iter().filter(is_asked).filter(is_done).collect();
    let patience = Duration::from_secs(request.targets.environment.limits.ready_seconds.into());
    let deadline = Instant::now() + patience;
    let mut pause = FIRST_PAUSE;
    while !looked_at.is_empty() {
        let fresh = look(request, before, &looked_at).await?;
        let mut pending: Vec<(&Change, Arc<str>)> = Vec::new();
        for change in looked_at {
            if let Some(old) = change.work.replaces()
                && matches!(sight_of_end(&fresh, change, old, &fresh.observed(change, old)), Sight::Settled)
            {
                verified.renamed.insert(&change.address);
            }
            match sight(&fresh, change) {
                Sight::Settled => {}
                Sight::Pending(reason) => pending.push((change, reason)),
                Sight::Unknown(cause) => {
                    let outcome = Outcome::Pending(Pending::NotVerified { cause });
                    outcomes.insert(change.address.clone(), (change.action(), outcome));
                }
                Sight::Unlike(update) => {
                    let wrong = Wrong::Differs { fields: known_fields(&update) };
                    outcomes.insert(change.address.clone(), (change.action(), Outcome::Wrong(wrong)));
                    // What a customer is charged for is changed by nobody but a plan.
                    let bills = request.targets.catalogue.get(&change.kind).is_some_and(|kind| kind.bills);
                    if change.action() == Action::Create && !bills {
                        verified.unlike.push((change, *update));
                    }
                }
                Sight::Wrong(wrong) => {
                    outcomes.insert(change.address.clone(), (change.action(), Outcome::Wrong(wrong)));
                }
            }
        }
        let Some((_, reason)) = pending.first() else { return Ok(verified) };
        let now = Instant::now();
        if now >= deadline || request.cancel.is_cancelled() {
            for (change, message) in pending {
                let outcome = Outcome::Pending(Pending::NotReady { message });
                outcomes.insert(change.address.clone(), (change.action(), outcome));
            }
            return Ok(verified);
        }
        request.progress.event(&Event::Waiting { resources: pending.len(), reason });
        tokio::select! {
            () = tokio::time::sleep(pause.min(deadline - now)) => {}
            () = request.cancel.cancelled() => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
        looked_at = pending.into_iter().map(|(change, _)| change).collect();
    }
    Ok(verified)
}

async fn look(request: &Request<'_>, before: &Inventory, changes: &[&Change]) -> Result<Fresh, EngineError> {
    let Request { targets, store, .. } = request;
    let inventory = by_address(store.inventory().await?);
    let desired: collections::HashMap<Address, Desired> = changes
        .iter()
        .filter_map(|change| Some((change.address.clone(), desired_of(change, &targets.catalogue)?)))
        .collect();
    // What was deleted, also for another name, is looked for by the name that it had, whatever is recorded by now. The rest is
    // asked for as well: what is there may be judged by what else the estate has, such as privileges in a schema that is to be
    // exclusive.
    let is_deleted = |change: &&&Change| change.work.after().is_none() || change.work.replaces().is_some();
    let known = changes.iter().filter(is_deleted).filter_map(|change| {
        std::iter::once(&change.address).chain(&change.renamed_from).find_map(|address| before.get(address))
    });
    // What was never put on record is known by its step, which stays open until it is seen to be gone.
    let open = store.open_steps().await?;
    let unfinished: Vec<Applied> = changes.iter().filter_map(|change| unrecorded(change, before)).collect();
    let known = inventory.values().chain(known).chain(&unfinished);
    let involved: BTreeSet<TargetName> = changes.iter().map(|change| change.target.clone()).collect();
    let observed = observe_in(targets, &involved, desired.values(), known).await;
    Ok(Fresh {
        scope: targets.environment.scope(),
        catalogue: targets.catalogue.clone(),
        observed,
        // What was written carries its mark by now.
        forgotten: Forgotten::new(),
        systems: Systems::default(),
        inventory,
        // Of what was deleted or has another name: its step ends once that is seen.
        begun: begun(&open),
        desired,
    })
}

/// A deleted resource that was not recorded, as the inventory would have it.
fn unrecorded(change: &Change, before: &Inventory) -> Option<Applied> {
    let Work::Delete { identity, before: spec } = &change.work else { return None };
    change.record(before).is_none().then(|| Applied {
        address: change.address.clone(),
        kind: change.kind.clone(),
        marked: None,
        target: change.target.clone(),
        identity: identity.clone(),
        spec: Value::Map(spec.clone()).to_json().to_string().into(),
        outputs: "{}".into(),
        generation: change.generation,
        protect: false,
        depends_on: Vec::new(),
    })
}

/// The result for one written change.
pub fn sight(fresh: &Fresh, change: &Change) -> Sight {
    let Some(identity) = change.work.identity() else { return Sight::Settled };
    let observed = fresh.observed(change, identity);
    let Some(desired) = fresh.desired.get(&change.address) else {
        return sight_of_end(fresh, change, identity, &observed);
    };
    match fresh.verdict(desired, &observed, false) {
        Verdict::Unchanged | Verdict::Record { .. } => match observed {
            Observed::Present(Present { pending: Some(reason), .. }) => Sight::Pending(reason),
            _ => change.work.replaces().map_or(Sight::Settled, |old| sight_of_replaced(fresh, change, old)),
        },
        // What could not be read again was still written.
        Verdict::Blocked(_) if matches!(observed, Observed::Unknown(_)) => Sight::Settled,
        Verdict::Blocked(Hindrance::NotOurs { cause }) => Sight::Wrong(Wrong::NotOurs { cause }),
        Verdict::Blocked(cause) => Sight::Wrong(Wrong::Blocked { cause }),
        Verdict::Create { .. } => Sight::Wrong(Wrong::Missing),
        Verdict::Update(update) | Verdict::Replace(update) if known_fields(&update).is_empty() => Sight::Settled,
        Verdict::Update(update) => Sight::Unlike(Box::new(update)),
        Verdict::Replace(update) => Sight::Wrong(Wrong::Differs { fields: known_fields(&update) }),
    }
}

/// What differs. An output that was not known when the plan was made is compared in the next plan.
fn known_fields(update: &Update) -> Vec<Arc<str>> {
    let is_known = |value: Option<&Value>| !value.is_some_and(Value::has_deferred);
    let known = update.differences.iter().filter(|difference| is_known(difference.after.as_ref()));
    known.map(|difference| difference.pointer.clone()).collect()
}

/// A resource whose name changed is done when the one with the old name is gone.
fn sight_of_replaced(fresh: &Fresh, change: &Change, old: &Identity) -> Sight {
    match sight_of_end(fresh, change, old, &fresh.observed(change, old)) {
        Sight::Wrong(_) | Sight::Unlike(_) => Sight::Wrong(Wrong::OldStillThere { old: old.clone() }),
        other => other,
    }
}

/// A deletion is complete if the resource is gone, or if somebody else has created another one meanwhile.
fn sight_of_end(fresh: &Fresh, change: &Change, identity: &Identity, observed: &Observed) -> Sight {
    let present = match observed {
        Observed::Unknown(cause) => return Sight::Unknown(cause.clone()),
        Observed::Absent => return Sight::Settled,
        Observed::Present(present) => present,
    };
    match (&present.pending, fresh.owns(change, identity, present)) {
        (Some(reason), true) => Sight::Pending(reason.clone()),
        (None, true) => Sight::Wrong(Wrong::StillThere),
        (_, false) => Sight::Settled,
    }
}

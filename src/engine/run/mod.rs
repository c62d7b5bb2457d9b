//! One run's writing: owners side by side, each owner's batches one after the other.

mod batch;
mod captured;
mod endings;
mod guard;
mod heard;
mod journal;
mod open;
mod prepare;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use futures::stream::{self, StreamExt as _};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use super::fresh::Ready;
use super::outcome::{Notices, Outcomes, Stopped};
use super::request::{Event, Request};
use super::secrets::SecretValues;
use batch::batches;
use endings::{Ending, endings, needed_before};
use open::Open;
use prepare::Prepared;
use tenantry_core::model::address::{Address, Owner};
use tenantry_core::model::resource::{Inventory, TargetName};
use tenantry_core::model::secret::SecretVersion;
use tenantry_core::model::value::Map;
use tenantry_core::outcome::{Outcome, Skip};
use tenantry_core::plan::passes::billing::is_growth;
use tenantry_core::plan::{Action, Change, Task, TaskId, Transition, Wave, Why};
use tenantry_secret::Masker;
use tenantry_store::contract::{
    Fence, FencingToken, PhaseTransition, RunId, StepBegun, StepEnded, StepResult, StoreError,
};

/// Everything that the owners' tasks share.
#[expect(clippy::struct_field_names, reason = "`run` is the run's number in the journal")]
pub struct Run<'a> {
    request: &'a Request<'a>,
    run: RunId,
    tokens: &'a BTreeMap<Owner, FencingToken>,
    secrets: RwLock<SecretValues>,
    masker: RwLock<Masker>,
    /// The highest version of every secret that is stored, once something has to be stored beside it.
    versions: OnceCell<Mutex<Versions>>,
    targets: HashMap<TargetName, Result<Open, String>>,
    /// What each resource told of itself, from the inventory and from this run.
    outputs: Mutex<HashMap<Address, Arc<Map>>>,
    outcomes: Mutex<Outcomes>,
    notices: Mutex<Notices>,
    /// The first failure of the store: after it, nothing more is written.
    failure: Mutex<Option<StoreError>>,
    /// The lease is gone.
    lost: CancellationToken,
    /// Of what ends, by deletion or because it is replaced under another name: the changes of what needed it when it was
    /// last written. Unless they are done, it stays.
    needed_by: HashMap<&'a Address, Vec<&'a Address>>,
    inventory: &'a Inventory,
    /// Every address that the plan changes something at.
    tasks: HashMap<&'a Address, TaskId>,
    /// What was deleted by this run. It stays on record until the target says that it is gone.
    deleted: Mutex<HashSet<&'a Address>>,
    /// The records of resources whose name changed. They are written once the old resource is gone.
    replaced: Mutex<HashMap<&'a Address, Vec<StepEnded>>>,
    by_owner: HashMap<&'a Owner, Vec<&'a Change>>,
    /// Tenants that enter no phase: those of waves that do not begin, and those that are in another phase than the plan knew.
    held: Mutex<HashSet<&'a str>>,
    /// Of each tenant, the changes of what it is billed by.
    bills: HashMap<&'a Owner, Vec<&'a Change>>,
}

/// Everything that a run writes, in the order of its stages.
pub struct Stages<'a> {
    /// The estate's own, and the tiers'.
    shared: Vec<Part<'a>>,
    /// The tenants': as many as the plan has waves, and one if it has none.
    pub waves: Vec<Vec<Part<'a>>>,
}

/// What is written for one owner, and what comes to its end afterwards.
pub struct Part<'a> {
    owner: Owner,
    writes: Vec<Ready<'a>>,
    endings: Vec<Ending<'a>>,
}

/// Versions of secrets by owner and name.
type Versions = BTreeMap<(Owner, Arc<str>), SecretVersion>;

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> Run<'a> {
    pub fn new(
        request: &'a Request<'a>,
        run: RunId,
        tokens: &'a BTreeMap<Owner, FencingToken>,
        secrets: SecretValues,
        inventory: &'a Inventory,
        outcomes: Outcomes,
        lost: CancellationToken,
    ) -> Self {
        let masker = Masker::new(secrets.values());
        let outputs = inventory.values().filter_map(|applied| {
            let kind = request.targets.catalogue.get(&applied.kind);
            Some((applied.address.clone(), Arc::new(applied.outputs_value(kind.map(|kind| &**kind))?)))
        });
        let plan = request.plan;
        let ends = |change: &&Change| change.action() == Action::Delete || change.work.replaces().is_some();
        let ending = || plan.changes.iter().filter(ends);
        let mut needed_by: HashMap<&Address, Vec<&Address>> =
            ending().map(|change| (&change.address, Vec::new())).collect();
        // What needed it may know it by its earlier address.
        let now: HashMap<&Address, &Address> =
            ending().filter_map(|change| Some((change.renamed_from.as_ref()?, &change.address))).collect();
        let mut by_owner: HashMap<&Owner, Vec<&Change>> = HashMap::new();
        let mut bills: HashMap<&Owner, Vec<&Change>> = HashMap::new();
        for change in &plan.changes {
            let is_billed = request.targets.catalogue.get(&change.kind).is_some_and(|kind| kind.bills);
            if is_billed && change.address.owner.tenant().is_some() {
                bills.entry(&change.address.owner).or_default().push(change);
            }
            by_owner.entry(&change.address.owner).or_default().push(change);
            for needed in needed_before(inventory, change) {
                if let Some(users) = needed_by.get_mut(now.get(needed).copied().unwrap_or(needed)) {
                    users.push(&change.address);
                }
            }
        }
        Self {
            request,
            run,
            tokens,
            secrets: RwLock::new(secrets),
            masker: RwLock::new(masker),
            versions: OnceCell::new(),
            targets: HashMap::new(),
            outputs: Mutex::new(outputs.collect()),
            outcomes: Mutex::new(outcomes),
            notices: Mutex::default(),
            failure: Mutex::new(None),
            lost,
            needed_by,
            inventory,
            tasks: plan
                .tasks()
                .filter_map(|(id, task)| match task {
                    Task::Write(change) => Some((&change.address, id)),
                    Task::EnterPhase(_) => None,
                })
                .collect(),
            deleted: Mutex::default(),
            replaced: Mutex::default(),
            by_owner,
            held: Mutex::default(),
            bills,
        }
    }

    pub fn store_failure(&self) -> Option<StoreError> {
        locked(&self.failure).clone()
    }

    /// Gives back what was taken and verified: what comes later may need it.
    pub fn put_outcomes(&self, outcomes: Outcomes) {
        locked(&self.outcomes).extend(outcomes);
    }

    /// How every change ended, as far as this run wrote it.
    pub fn take_outcomes(&self) -> Outcomes {
        std::mem::take(&mut *locked(&self.outcomes))
    }

    /// Sorts what is to be written into its stages, and opens the targets.
    pub fn stages(&mut self, ready: Vec<Ready<'a>>) -> Stages<'a> {
        self.open(&ready);
        let (deletions, writes): (Vec<Ready<'a>>, Vec<Ready<'a>>) =
            ready.into_iter().partition(|ready| matches!(ready.change.action(), Action::Delete | Action::Forget));
        let mut by_owner: BTreeMap<Owner, (Vec<Ready<'a>>, Vec<Ready<'a>>)> = BTreeMap::new();
        for write in writes {
            by_owner.entry(write.change.address.owner.clone()).or_default().0.push(write);
        }
        for deletion in deletions {
            by_owner.entry(deletion.change.address.owner.clone()).or_default().1.push(deletion);
        }
        let plan = &self.request.plan.waves;
        let last = plan.len().saturating_sub(1);
        let mut stages = Stages { shared: Vec::new(), waves: plan.iter().map(|_| Vec::new()).collect() };
        if plan.is_empty() {
            stages.waves.push(Vec::new());
        }
        for (owner, (writes, deletions)) in by_owner {
            let endings = endings(self.inventory, &writes, deletions);
            let stage = match owner.tenant() {
                None => &mut stages.shared,
                Some(tenant) => {
                    let wave = plan.iter().position(|wave| wave.tenants.contains(tenant));
                    &mut stages.waves[wave.unwrap_or(last)]
                }
            };
            stage.push(Part { owner, writes, endings });
        }
        stages
    }

    /// Writes what tenants share, before the first of them.
    pub async fn write_shared(&self, stages: &Stages<'a>) {
        for Part { owner, writes, .. } in &stages.shared {
            self.owner(owner, writes).await;
        }
    }

    /// Writes and ends what tenants have, side by side.
    pub async fn write_tenants(&self, parts: &[Part<'a>]) {
        let parallelism = self.request.targets.environment.limits.parallelism;
        stream::iter(parts)
            .for_each_concurrent(parallelism, |Part { owner, writes, endings }| async move {
                self.owner(owner, writes).await;
                self.end_all(owner, writes, endings).await;
            })
            .await;
    }

    /// Ends what tenants shared, after the last of them.
    pub async fn end_shared(&self, stages: &Stages<'a>) {
        for Part { owner, writes, endings } in stages.shared.iter().rev() {
            self.end_all(owner, writes, endings).await;
        }
    }

    /// Leaves out the tenants of a wave, because the rollout stopped.
    pub fn hold(&self, wave: &'a Wave, stopped: &Stopped) {
        locked(&self.held).extend(wave.tenants.iter().map(|tenant| &**tenant));
        let Stopped { wave: number, undone } = stopped;
        for tenant in &wave.tenants {
            for change in self.by_owner.get(&Owner::Tenant(tenant.clone())).into_iter().flatten() {
                // What was judged before, such as a stale change, has its own reason.
                if !locked(&self.outcomes).contains_key(&change.address) {
                    let skip = Skip::EarlierWave { wave: *number, undone: undone.clone() };
                    self.end(change, Outcome::Skipped(skip));
                }
            }
        }
    }

    /// Leaves tenants in the phases that they are in.
    pub fn keep_phases(&self, tenants: &BTreeSet<&'a str>) {
        locked(&self.held).extend(tenants);
    }

    /// What of a wave is not done, or not verified.
    pub fn undone_in(&self, wave: &Wave) -> Option<Address> {
        let outcomes = locked(&self.outcomes);
        let is_in = |address: &Address| address.owner.tenant().is_some_and(|tenant| wave.tenants.contains(tenant));
        let is_settled = |address: &Address| outcomes.get(address).is_some_and(|(_, outcome)| outcome.is_settled());
        let plan = self.request.plan;
        let needed = plan.changes.iter().filter(|change| !change.optional);
        let changed = needed.map(|change| &change.address).filter(|address| !is_settled(address));
        let blocked = plan.blocked.iter().map(|blocked| &blocked.address);
        changed.chain(blocked).find(|address| is_in(address)).cloned()
    }

    /// Writes once more what the target has made otherwise than it was asked for.
    pub async fn write_again(&self, ready: Vec<Ready<'a>>) {
        let mut by_owner: BTreeMap<Owner, Vec<Ready<'a>>> = BTreeMap::new();
        for one in ready {
            by_owner.entry(one.change.address.owner.clone()).or_default().push(one);
        }
        for (owner, writes) in &by_owner {
            self.owner(owner, writes).await;
        }
    }

    async fn end_all(&self, owner: &Owner, writes: &[Ready<'a>], endings: &[Ending<'a>]) {
        for ending in endings {
            match ending {
                Ending::Deleted(deletions) => self.owner(owner, deletions).await,
                Ending::Replaced(at) => self.replaced(owner, &writes[*at]).await,
            }
        }
    }

    /// Writes some of one owner's changes, in their order.
    async fn owner(&self, owner: &Owner, ready: &[Ready<'a>]) {
        let kind_of = |change: &Change| self.request.targets.catalogue.get(&change.kind).cloned();
        for batch in batches(ready, &kind_of) {
            let mut prepared: Vec<Prepared<'_, 'a>> = Vec::with_capacity(batch.len());
            for ready in batch {
                if let Some(outcome) = self.hindrance(ready.change) {
                    self.end(ready.change, outcome);
                    continue;
                }
                let proven = match self.prepare(ready) {
                    Ok(prepared) => self.prove(ready.change, &prepared.steps).await.map(|()| prepared),
                    Err(reason) => Err(reason),
                };
                match proven {
                    Ok(proven) => prepared.push(proven),
                    Err(reason) => self.end(ready.change, Outcome::Failed(reason)),
                }
            }
            if !prepared.is_empty() {
                self.batch(owner, &prepared).await;
            }
        }
    }

    /// Why a change's turn has not come, or will not.
    fn hindrance(&self, change: &Change) -> Option<Outcome> {
        if self.request.cancel.is_cancelled() || self.lost.is_cancelled() {
            return Some(Outcome::Interrupted);
        }
        if locked(&self.failure).is_some() {
            return Some(Outcome::Skipped(Skip::StoreFailed));
        }
        let outcomes = locked(&self.outcomes);
        let undone = |address: &Address| outcomes.get(address).filter(|(_, outcome)| !outcome.is_done());
        let bills = self.bills.get(&change.address.owner).map_or(&[][..], Vec::as_slice);
        let is_bill = bills.iter().any(|bill| bill.address == change.address);
        if change.action() == Action::Delete {
            let mut users = self.needed_by.get(&change.address).into_iter().flatten();
            if let Some(user) = users.find(|address| undone(address).is_some()) {
                return Some(Outcome::Skipped(Skip::NeededByUndone { user: (*user).clone() }));
            }
            // Nothing is taken away that is still billed.
            let is_unsettled = |bill: &&&Change| bill.action() != Action::Create && undone(&bill.address).is_some();
            let bill = bills.iter().find(is_unsettled).filter(|_| !is_bill);
            return bill.map(|bill| Outcome::Skipped(Skip::StillBilled { bill: bill.address.clone() }));
        }
        let needed = change.depends_on.iter().find(|needed| undone(needed).is_some());
        if let Some(needed) = needed {
            return Some(Outcome::Skipped(Skip::NeedsUndone { needed: needed.clone() }));
        }
        // A customer pays for nothing that is not there.
        let tenant = change.address.owner.tenant();
        let shrinks = tenant.is_some_and(|tenant| self.request.plan.shrinking.contains(tenant));
        let mut others = self.by_owner.get(&change.address.owner).into_iter().flatten();
        let grows = is_bill && is_growth(change, shrinks);
        let lacks = |other: &&&Change| !other.optional && undone(&other.address).is_some();
        let undone_other = grows.then(|| others.find(lacks)).flatten();
        undone_other.map(|other| Outcome::Skipped(Skip::NotBilled { undone: other.address.clone() }))
    }

    fn end(&self, change: &Change, outcome: Outcome) {
        let event = Event::StepEnded { address: &change.address, action: change.action(), result: &outcome };
        self.request.progress.event(&event);
        locked(&self.outcomes).insert(change.address.clone(), (change.action(), outcome));
    }

    fn task_of(&self, change: &Change) -> Option<TaskId> {
        self.tasks.get(&change.address).copied()
    }

    fn fence(&self, owner: &Owner) -> Fence {
        Fence {
            run: self.run,
            owner: owner.clone(),
            token: *self.tokens.get(owner).expect("every owner of the plan is locked"),
            now: (self.request.clock)(),
        }
    }

    fn store_failed<'c>(&self, error: StoreError, changes: impl Iterator<Item = &'c Change>) {
        for change in changes {
            self.end(change, Outcome::Failed(error.to_string()));
        }
        if matches!(error, StoreError::LeaseLost(_)) {
            self.lost.cancel();
        }
        locked(&self.failure).get_or_insert(error);
    }

    /// Puts on record what verification told: what was deleted and is gone leaves the inventory; what did not come out as
    /// written is open again, so that the next run finishes it and nobody calls it drift. `renamed` are those whose name changed
    /// and whose old one is gone.
    pub async fn close(&self, outcomes: &Outcomes, renamed: &HashSet<&Address>) {
        let deleted = std::mem::take(&mut *locked(&self.deleted));
        let mut replaced = std::mem::take(&mut *locked(&self.replaced));
        let written = |change: &Change| change.action() != Action::Forget && !deleted.contains(&change.address);
        for (owner, changes) in &self.by_owner {
            let settled = || {
                let is_settled = |at: &Address| outcomes.get(at).is_some_and(|(_, outcome)| outcome.is_settled());
                changes.iter().filter(move |change| is_settled(&change.address))
            };
            let mut gone: Vec<StepEnded> = settled()
                .filter(|change| deleted.contains(&change.address))
                .filter_map(|change| Some(self.record(change, change.work.identity()?, StepResult::Removed)))
                .collect();
            // Whether the new one is ready is another question.
            let renamed = changes.iter().filter(|change| renamed.contains(&change.address));
            gone.extend(renamed.filter_map(|change| replaced.remove(&change.address)).flatten());
            let wrong: Vec<StepBegun> = changes
                .iter()
                .filter(|change| written(change))
                .filter(|change| outcomes.get(&change.address).is_some_and(|(_, outcome)| outcome.is_wrong()))
                .filter_map(|change| self.begun_again(change))
                .collect();
            let fence = self.fence(owner);
            let mut closed = Ok(());
            if !gone.is_empty() {
                closed = self.request.store.finish(&fence, &gone).await;
            }
            if !wrong.is_empty() && closed.is_ok() {
                closed = self.request.store.begin(&fence, &wrong).await;
            }
            if let Err(error) = closed {
                return self.store_failed(error, std::iter::empty());
            }
        }
    }

    /// Records the phases of those tenants whose every change is done, verified and ready.
    pub async fn enter_phases(&self, outcomes: &Outcomes) {
        let parallelism = self.request.targets.environment.limits.parallelism;
        let reached = self.request.plan.tasks().filter_map(|(id, task)| {
            let Task::EnterPhase(transition) = task else { return None };
            let owner = Owner::Tenant(transition.tenant.clone());
            let mut changes = self.by_owner.get(&owner).into_iter().flatten();
            let is_settled = |change: &&Change| {
                change.optional || outcomes.get(&change.address).is_some_and(|(_, outcome)| outcome.is_settled())
            };
            let is_held = locked(&self.held).contains(&*transition.tenant);
            (!is_held && changes.all(is_settled)).then_some((id, transition))
        });
        stream::iter(reached)
            .for_each_concurrent(parallelism, |(id, transition)| self.enter_phase(id, transition))
            .await;
    }

    async fn enter_phase(&self, task: TaskId, transition: &Transition) {
        if self.request.cancel.is_cancelled() || self.lost.is_cancelled() || locked(&self.failure).is_some() {
            return;
        }
        let Transition {
            tenant,
            from,
            to,
            before: _,
            after,
            since,
            entered,
            by_itself: _,
            trial_ended,
            retention_days,
            why,
            renamed: _,
            values,
        } = transition;
        let at = (self.request.clock)();
        let entered = PhaseTransition {
            at,
            // Its data is kept from now on, however long ago the plan was made. In the sandbox the time is the one that was asked
            // for.
            entered: Some(entered.unwrap_or(if self.request.plan.simulated { self.request.now } else { at })),
            from: *from,
            retention_days: *retention_days,
            since: since.or_else(|| self.request.plan.created_at.parse().ok()).or(Some(at)),
            task: Some(task),
            tenant: tenant.clone(),
            terms: after.clone(),
            to: *to,
            trial_ended: *trial_ended,
            values: values.clone(),
            // Who asked is personal, and is told by the repository.
            why: why.clone().filter(|_| transition.enters()).map(|why| Why { requested_by: None, ..why }),
        };
        let owner = Owner::Tenant(tenant.clone());
        match self.request.store.enter_phase(&self.fence(&owner), &entered).await {
            Ok(()) => {
                if transition.enters() || transition.is_only_renamed() {
                    self.request.progress.event(&Event::PhaseEntered { tenant, phase: *to });
                }
                if let Some((_, tier)) = transition.tiers() {
                    self.request.progress.event(&Event::TierEntered { tenant, tier });
                }
            }
            Err(error) => self.store_failed(error, std::iter::empty()),
        }
    }
}

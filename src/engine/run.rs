//! One run's writing: owners side by side, each owner's batches one after the other.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use futures::stream::{self, StreamExt as _};
use governor::{DefaultDirectRateLimiter, Quota};
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::apply::{Event, Outcome, Ready, Request};
use super::batch::batches;
use super::secrets::SecretValues;
use crate::core::desired::topological;
use crate::core::diff;
use crate::core::model::address::{Address, Owner};
use crate::core::model::kind::Kind;
use crate::core::model::mark::Mark;
use crate::core::model::names::hex;
use crate::core::model::resource::{Applied, Present};
use crate::core::model::value::{Map, Value};
use crate::core::plan::{Action, Change, FieldChange, Transition};
use crate::provider::contract::{ErrorClass, ProviderError, Step, StepAction, WriteError, Writer, Written};
use crate::secret::Masker;
use crate::store::contract::{
    Fence, FencingToken, PhaseTransition, RunId, StepBegun, StepEnded, StepResult, StoreError,
};

/// How often a request is tried again that may succeed later. With the delays below, about half a minute in all: longer
/// than a failover takes, and shorter than a pipeline's patience.
const RETRIES: usize = 6;
const FIRST_DELAY: Duration = Duration::from_millis(200);
const LONGEST_DELAY: Duration = Duration::from_secs(15);

/// A target while it is written to.
struct Open {
    writer: Box<dyn Writer>,
    concurrency: Semaphore,
    rate: Option<DefaultDirectRateLimiter>,
}

/// Everything that the owners' tasks share.
#[expect(clippy::struct_field_names, reason = "`run` is the run's number in the journal")]
pub struct Run<'a> {
    request: &'a Request<'a>,
    run: RunId,
    tokens: &'a BTreeMap<Owner, FencingToken>,
    secrets: SecretValues,
    masker: Masker,
    targets: HashMap<Arc<str>, Result<Open, String>>,
    /// What each resource told of itself, from the inventory and from this run.
    outputs: Mutex<HashMap<Address, Arc<Map>>>,
    outcomes: Mutex<BTreeMap<Address, (Action, Outcome)>>,
    /// The first failure of the store: after it, nothing more is written.
    failure: Mutex<Option<StoreError>>,
    /// The lease is gone.
    lost: CancellationToken,
    /// Of what ends, by deletion or because it is replaced under another name: the changes of what needed it when it was
    /// last written. Unless they are done, it stays.
    needed_by: HashMap<&'a Address, Vec<&'a Address>>,
    inventory: &'a BTreeMap<Address, Applied>,
    by_owner: HashMap<&'a Owner, Vec<&'a Change>>,
    transitions: HashMap<&'a Arc<str>, &'a Transition>,
    blocked: HashSet<&'a Owner>,
}

/// A change whose steps have every value in its place.
struct Prepared<'r, 'a> {
    ready: &'r Ready<'a>,
    /// None where only the record is missing.
    steps: Vec<Step>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> Run<'a> {
    pub fn new(
        request: &'a Request<'a>,
        run: RunId,
        tokens: &'a BTreeMap<Owner, FencingToken>,
        secrets: SecretValues,
        inventory: &'a BTreeMap<Address, Applied>,
        outcomes: BTreeMap<Address, (Action, Outcome)>,
        lost: CancellationToken,
    ) -> Self {
        let masker = Masker::new(secrets.values());
        let outputs = inventory.values().filter(|applied| &*applied.outputs != "{}").filter_map(|applied| {
            match serde_json::from_str(&applied.outputs) {
                Ok(Value::Map(outputs)) => Some((applied.address.clone(), outputs)),
                _ => None,
            }
        });
        let plan = request.plan;
        let ends = |change: &&Change| change.action == Action::Delete || change.replaces.is_some();
        let ending = || plan.changes.iter().filter(ends);
        let mut needed_by: HashMap<&Address, Vec<&Address>> =
            ending().map(|change| (&change.address, Vec::new())).collect();
        // What needed it may know it by its earlier address.
        let now: HashMap<&Address, &Address> =
            ending().filter_map(|change| Some((change.renamed_from.as_ref()?, &change.address))).collect();
        let mut by_owner: HashMap<&Owner, Vec<&Change>> = HashMap::new();
        for change in &plan.changes {
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
            secrets,
            masker,
            targets: HashMap::new(),
            outputs: Mutex::new(outputs.collect()),
            outcomes: Mutex::new(outcomes),
            failure: Mutex::new(None),
            lost,
            needed_by,
            inventory,
            by_owner,
            transitions: plan.transitions.iter().map(|transition| (&transition.tenant, transition)).collect(),
            blocked: plan.blocked.iter().map(|blocked| &blocked.address.owner).collect(),
        }
    }

    pub fn store_failure(&self) -> Option<StoreError> {
        locked(&self.failure).clone()
    }

    pub fn finish(self) -> BTreeMap<Address, (Action, Outcome)> {
        self.outcomes.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes everything: what is shared first, deletions of it last.
    pub async fn write_all(&mut self, ready: Vec<Ready<'a>>) {
        self.open(&ready);
        let (deletions, writes): (Vec<Ready<'a>>, Vec<Ready<'a>>) =
            ready.into_iter().partition(|ready| matches!(ready.change.action, Action::Delete | Action::Forget));
        let mut by_owner: BTreeMap<Owner, (Vec<Ready<'a>>, Vec<Ready<'a>>)> = BTreeMap::new();
        for transition in &self.request.plan.transitions {
            by_owner.entry(Owner::Tenant(transition.tenant.clone())).or_default();
        }
        for write in writes {
            by_owner.entry(write.change.address.owner.clone()).or_default().0.push(write);
        }
        for deletion in deletions {
            by_owner.entry(deletion.change.address.owner.clone()).or_default().1.push(deletion);
        }
        let owners = by_owner.into_iter().map(|(owner, (writes, deletions))| {
            let endings = endings(self.inventory, &writes, deletions);
            (owner, writes, endings)
        });
        let (shared, tenants): (Vec<_>, Vec<_>) = owners.partition(|(owner, ..)| owner.tenant().is_none());
        let this = &*self;
        for (owner, writes, _) in &shared {
            this.owner(owner, writes).await;
        }
        let parallelism = self.request.targets.environment.limits.parallelism;
        stream::iter(&tenants)
            .for_each_concurrent(parallelism, |(owner, writes, endings)| async move {
                this.owner(owner, writes).await;
                this.end_all(owner, writes, endings).await;
                this.enter_phase(owner).await;
            })
            .await;
        for (owner, writes, endings) in shared.iter().rev() {
            this.end_all(owner, writes, endings).await;
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

    fn open(&mut self, ready: &[Ready<'_>]) {
        let writes = |ready: &&Ready<'_>| !ready.only_record || ready.replaced.is_some();
        let targets: HashSet<&Arc<str>> = ready.iter().filter(writes).map(|ready| &ready.change.target).collect();
        for target in targets {
            let table = self.request.targets.environment.targets.get(target);
            let concurrency = table
                .and_then(|table| table.concurrency)
                .unwrap_or(self.request.targets.environment.limits.parallelism);
            let rate = table.and_then(|table| table.rate).and_then(std::num::NonZeroU32::new);
            let open =
                self.request.targets.writer(target).map_err(|error| super::observe::describe(&error)).map(|writer| {
                    Open {
                        writer,
                        concurrency: Semaphore::new(concurrency.max(1)),
                        rate: rate.map(|rate| DefaultDirectRateLimiter::direct(Quota::per_second(rate))),
                    }
                });
            self.targets.insert(target.clone(), open);
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
                match self.prepare(ready) {
                    Ok(steps) => prepared.push(Prepared { ready, steps }),
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
            return Some(Outcome::Skipped("the store does not work any more".into()));
        }
        let outcomes = locked(&self.outcomes);
        let undone = |address: &Address| outcomes.get(address).filter(|(_, outcome)| !outcome.is_done());
        if change.action == Action::Delete {
            let mut users = self.needed_by.get(&change.address).into_iter().flatten();
            let user = users.find(|address| undone(address).is_some());
            return user.map(|user| Outcome::Skipped(format!("{user}, which needs it, was not done")));
        }
        change
            .depends_on
            .iter()
            .find(|needed| undone(needed).is_some())
            .map(|needed| Outcome::Skipped(format!("it needs {needed}, which was not done")))
    }

    fn end(&self, change: &Change, outcome: Outcome) {
        let event = Event::StepEnded { address: &change.address, action: change.action, result: &outcome };
        self.request.progress.event(&event);
        locked(&self.outcomes).insert(change.address.clone(), (change.action, outcome));
    }

    fn fence(&self, owner: &Owner) -> Fence {
        Fence {
            run: self.run,
            owner: owner.clone(),
            token: self.tokens.get(owner).copied().unwrap_or_default(),
            now: (self.request.clock)(),
        }
    }

    /// Journals, writes, journals.
    async fn batch(&self, owner: &Owner, prepared: &[Prepared<'_, 'a>]) {
        let changes = || prepared.iter().map(|prepared| prepared.ready.change);
        let begun: Vec<StepBegun> = prepared.iter().map(|prepared| self.begun(prepared)).collect();
        if let Err(error) = self.request.store.begin(&self.fence(owner), &begun).await {
            return self.store_failed(error, changes());
        }
        for change in changes() {
            self.request.progress.event(&Event::StepBegun { address: &change.address, action: change.action });
        }
        let steps: Vec<Step> = prepared.iter().flat_map(|prepared| prepared.steps.iter().cloned()).collect();
        let target = &prepared[0].ready.change.target;
        let results = self.write(target, &steps).await;
        let mut ended = Vec::with_capacity(prepared.len());
        let mut outcomes = Vec::with_capacity(prepared.len());
        let at = (self.request.clock)();
        let ended_with = |change: &Change, result| StepEnded {
            at,
            address: change.address.clone(),
            identity: change.identity.clone().unwrap_or_default(),
            action: change.action.as_str().into(),
            generation: change.generation,
            result,
        };
        match results {
            Ok(written) => {
                let mut written = written.into_iter();
                for Prepared { ready, steps } in prepared {
                    let outputs = steps.iter().map(|_| written.next().unwrap_or_default()).last();
                    let outputs = outputs.map_or_else(
                        || ready.present.as_ref().map(|present| Map::clone(&present.outputs)).unwrap_or_default(),
                        |written| written.outputs,
                    );
                    let applied = self.applied(ready, outputs);
                    // A replaced resource stays open, and on record under its old name, until the old one is gone.
                    if ready.replaced.is_none() {
                        ended.push(ended_with(ready.change, applied));
                        if let Some(old) = &ready.change.renamed_from {
                            ended.push(StepEnded {
                                address: old.clone(),
                                ..ended_with(ready.change, StepResult::Removed)
                            });
                        }
                    }
                    outcomes.push((ready.change, if ready.only_record { Outcome::AlreadyDone } else { Outcome::Done }));
                }
            }
            Err((failed, error)) => {
                let mut why = self.masker.mask(&error.to_string()).into_owned();
                if let Some(remedy) = &error.remedy {
                    why = format!("{why} ({remedy})");
                }
                let culprit = culprit(prepared, failed);
                for Prepared { ready, steps } in prepared {
                    let change = ready.change;
                    if steps.is_empty() {
                        let outputs =
                            ready.present.as_ref().map(|present| Map::clone(&present.outputs)).unwrap_or_default();
                        ended.push(ended_with(change, self.applied(ready, outputs)));
                        outcomes.push((change, Outcome::AlreadyDone));
                        continue;
                    }
                    let outcome = match culprit {
                        Some(culprit) if culprit.address != change.address => {
                            Outcome::Skipped(format!("{} failed, and the two are one transaction", culprit.address))
                        }
                        _ => Outcome::Failed(why.clone()),
                    };
                    // Whether a request that got no answer was carried out is not known: the step stays open, so that
                    // the next run takes what it finds for ours.
                    if !error.class.is_transient() {
                        let (Outcome::Skipped(reason) | Outcome::Failed(reason)) = &outcome else { continue };
                        ended.push(ended_with(change, StepResult::Failed(reason.as_str().into())));
                    }
                    outcomes.push((change, outcome));
                }
            }
        }
        if let Err(error) = self.request.store.finish(&self.fence(owner), &ended).await {
            return self.store_failed(error, changes());
        }
        for (change, outcome) in outcomes {
            self.end(change, outcome);
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

    fn begun(&self, Prepared { ready: Ready { change, .. }, steps }: &Prepared<'_, 'a>) -> StepBegun {
        // A name that the plan did not know is known by now.
        let identity = change.identity.as_ref().or(steps.last().map(|step| &step.identity));
        StepBegun {
            at: (self.request.clock)(),
            address: change.address.clone(),
            kind: change.kind.clone(),
            target: change.target.clone(),
            identity: identity.cloned().unwrap_or_default(),
            action: change.action.as_str().into(),
            generation: change.generation,
            idempotency_key: self.idempotency_key(change),
        }
    }

    fn idempotency_key(&self, change: &Change) -> Arc<str> {
        let text = format!("{}\n{}\n{}", self.request.plan.estate, change.address, change.generation);
        hex(&Sha256::digest(text.as_bytes())).into()
    }

    fn output(&self, address: &Address, name: &str) -> Option<Value> {
        locked(&self.outputs).get(address).and_then(|outputs| outputs.get(name)).cloned()
    }

    /// What the inventory holds afterwards.
    fn applied(&self, ready: &Ready<'_>, outputs: Map) -> StepResult {
        let change = ready.change;
        let Some(after) = &change.after else { return StepResult::Removed };
        let text = |map: &Map| Arc::from(serde_json::to_string(map).expect("specs and outputs have texts for keys"));
        let outputs_text = text(&outputs);
        let kind = self.request.targets.catalogue.get(&change.kind);
        let resolved = after_with(after, &mut |deferred| {
            // Outputs are written as they turned out; secrets stay references.
            let known = !deferred.has_secret();
            known.then(|| self.secrets.resolve(deferred, &|address, name| self.output(address, name))).flatten()
        });
        let identity =
            change.identity.clone().or_else(|| kind.and_then(|kind| kind.identity_of(&resolved))).unwrap_or_default();
        if !outputs.is_empty() {
            locked(&self.outputs).insert(change.address.clone(), Arc::new(outputs));
        }
        StepResult::Applied(Applied {
            address: change.address.clone(),
            kind: change.kind.clone(),
            target: change.target.clone(),
            identity,
            spec: text(&resolved),
            outputs: outputs_text,
            generation: change.generation,
            protect: change.protected,
            depends_on: change.depends_on.clone(),
        })
    }

    /// The steps of a change, with every value in its place. None where only the record is missing.
    fn prepare(&self, ready: &Ready<'_>) -> Result<Vec<Step>, String> {
        let Ready { change, present, replaced: _, only_record } = ready;
        if *only_record || change.action == Action::Forget || (change.action == Action::Delete && present.is_none()) {
            return Ok(Vec::new());
        }
        let kind = self.request.targets.catalogue.get(&change.kind).ok_or("its kind is not known")?;
        let Some(after) = &change.after else {
            let before = present.clone().unwrap_or_default();
            return Ok(vec![self.step(change, kind, None, StepAction::Delete { before })?]);
        };
        let mut unresolved = None;
        let mut secrets = Vec::new();
        Value::Map(after.clone()).for_each_leaf(&mut |pointer, value| {
            if matches!(value, Value::Deferred(deferred) if deferred.has_secret()) {
                secrets.push(pointer.to_owned());
            }
        });
        let spec = after_with(after, &mut |deferred| {
            let value = self.secrets.resolve(deferred, &|address, name| self.output(address, name));
            if value.is_none() {
                unresolved.get_or_insert_with(|| deferred.to_string());
            }
            value
        });
        if let Some(unresolved) = unresolved {
            return Err(format!("{unresolved} is still not known"));
        }
        let create = |spec: Map| StepAction::Create { spec, secrets: secrets.clone() };
        let update = |spec: Map, before: Present| {
            let (removed, changed) = change.fields.iter().partition::<Vec<_>, _>(|field| field.after.is_none());
            let pointers = |fields: Vec<&FieldChange>| fields.iter().map(|field| field.path.to_string()).collect();
            StepAction::Update {
                spec,
                before,
                changed: pointers(changed),
                removed: pointers(removed),
                secrets: secrets.clone(),
            }
        };
        let mut steps = Vec::with_capacity(2);
        match (change.action, present) {
            (Action::Replace, Some(before)) if change.replaces.is_none() => {
                steps.push(self.step(change, kind, None, StepAction::Delete { before: before.clone() })?);
                steps.push(self.step(change, kind, Some(after), create(spec))?);
            }
            (Action::Replace, Some(before)) => {
                // The new one is there already, and not as it should be: what differs from the old one says nothing of it.
                let normal = (kind.normalise)(&spec);
                let differences = diff::compare(kind, &normal, &before.spec, None);
                let changed: Vec<String> =
                    differences.iter().map(|difference| difference.pointer.to_string()).collect();
                if changed.iter().any(|pointer| kind.immutable.contains(&pointer.as_str())) {
                    steps.push(self.step(change, kind, None, StepAction::Delete { before: before.clone() })?);
                    steps.push(self.step(change, kind, Some(after), create(spec))?);
                } else {
                    let (before, secrets) = (before.clone(), secrets.clone());
                    let action = StepAction::Update { spec, before, changed, removed: Vec::new(), secrets };
                    steps.push(self.step(change, kind, Some(after), action)?);
                }
            }
            (Action::Update | Action::Adopt, Some(before)) => {
                steps.push(self.step(change, kind, Some(after), update(spec, before.clone()))?);
            }
            _ => steps.push(self.step(change, kind, Some(after), create(spec))?),
        }
        Ok(steps)
    }

    fn step(
        &self,
        change: &Change,
        kind: &Arc<Kind>,
        after: Option<&Arc<Map>>,
        action: StepAction,
    ) -> Result<Step, String> {
        let identity = match (&action, &change.identity) {
            (_, Some(identity)) => identity.clone(),
            (StepAction::Create { spec, .. } | StepAction::Update { spec, .. }, None) => {
                kind.identity_of(&(kind.normalise)(spec)).ok_or("its name is still not known")?
            }
            (StepAction::Delete { .. }, None) => return Err("its name is not known".into()),
        };
        let secret_hash = after.and_then(|after| self.secrets.hash(after, &|address, name| self.output(address, name)));
        // What is deleted carries the mark that it was given, which a rename may not have changed yet.
        let address = match &action {
            StepAction::Delete { before: Present { mark: Some(mark), .. } } => mark.address.clone(),
            _ => change.address.clone(),
        };
        let mark = Mark { estate: self.request.plan.estate.clone(), address, secret_hash: secret_hash.map(Into::into) };
        Ok(Step { kind: kind.clone(), identity, action, mark, idempotency_key: self.idempotency_key(change) })
    }

    /// One batch, with its target's limits and as many tries as make sense.
    async fn write(&self, target: &Arc<str>, steps: &[Step]) -> Result<Vec<Written>, (usize, ProviderError)> {
        if steps.is_empty() {
            return Ok(Vec::new());
        }
        let open = match self.targets.get(target) {
            Some(Ok(open)) => open,
            Some(Err(reason)) => {
                return Err((0, ProviderError::new(ErrorClass::Fatal, format!("opening target `{target}`"), reason)));
            }
            None => {
                return Err((
                    0,
                    ProviderError::new(ErrorClass::Fatal, format!("opening target `{target}`"), "it was not opened"),
                ));
            }
        };
        let mut delays = ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(FIRST_DELAY)
            .with_max_delay(LONGEST_DELAY)
            .with_max_times(RETRIES)
            .build();
        loop {
            if let Some(rate) = &open.rate {
                for _ in steps {
                    rate.until_ready().await;
                }
            }
            let result = {
                let _permit = open.concurrency.acquire().await;
                open.writer.write(steps).await
            };
            let WriteError { step, error } = match result {
                Ok(written) => return Ok(written),
                Err(error) => error,
            };
            let delay = match (error.class, delays.next()) {
                (ErrorClass::Throttled { retry_after: Some(wait) }, Some(delay)) => wait.max(delay.min(FIRST_DELAY)),
                (class, Some(delay)) if class.is_transient() => delay,
                _ => return Err((step, error)),
            };
            if self.request.cancel.is_cancelled() || self.lost.is_cancelled() {
                return Err((step, error));
            }
            self.request.progress.event(&Event::Retrying {
                target,
                reason: self.masker.mask(&error.to_string()).into_owned(),
                after_milliseconds: u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
            });
            tokio::time::sleep(delay).await;
        }
    }

    /// Deletes the old one of what was replaced under another name.
    async fn replaced(&self, owner: &Owner, ready: &Ready<'a>) {
        let (Some(old), Some(before)) = (&ready.change.replaces, &ready.replaced) else { return };
        let change = ready.change;
        let user = {
            let outcomes = locked(&self.outcomes);
            let is_done = |address: &Address| outcomes.get(address).is_none_or(|(_, outcome)| outcome.is_done());
            if !is_done(&change.address) {
                return;
            }
            let mut users = self.needed_by.get(&change.address).into_iter().flatten();
            users.find(|address| !is_done(address)).copied()
        };
        let Some(kind) = self.request.targets.catalogue.get(&change.kind) else { return };
        let outputs = locked(&self.outputs).get(&change.address).map(|outputs| Map::clone(outputs)).unwrap_or_default();
        let applied = self.applied(ready, outputs);
        // A name that the plan did not know may have turned out to be the old one.
        let is_same = matches!(&applied, StepResult::Applied(applied) if applied.identity == *old);
        let old_change = Change { identity: Some(old.clone()), after: None, ..change.clone() };
        let step = match user {
            _ if is_same => Ok(None),
            Some(user) => Err(format!("{user}, which needs it, was not done")),
            None => self.step(&old_change, kind, None, StepAction::Delete { before: before.clone() }).map(Some),
        };
        let deleted = match step {
            Ok(step) => {
                let steps: Vec<Step> = step.into_iter().collect();
                self.write(&change.target, &steps)
                    .await
                    .map_err(|(_, error)| self.masker.mask(&error.to_string()).into_owned())
            }
            Err(reason) => Err(reason),
        };
        if let Err(reason) = deleted {
            return self.end(change, Outcome::Failed(format!("the old one, `{old}`, was not deleted: {reason}")));
        }
        let ended_with = |address: &Address, result| StepEnded {
            at: (self.request.clock)(),
            address: address.clone(),
            identity: change.identity.clone().unwrap_or_default(),
            action: change.action.as_str().into(),
            generation: change.generation,
            result,
        };
        let mut ended = vec![ended_with(&change.address, applied)];
        ended.extend(change.renamed_from.iter().map(|old| ended_with(old, StepResult::Removed)));
        if let Err(error) = self.request.store.finish(&self.fence(owner), &ended).await {
            self.store_failed(error, std::iter::once(change));
        }
    }

    /// A tenant whose every change is done has reached its phase.
    async fn enter_phase(&self, owner: &Owner) {
        let Some(transition) = owner.tenant().and_then(|tenant| self.transitions.get(tenant)) else { return };
        let done = {
            let outcomes = locked(&self.outcomes);
            let changes = self.by_owner.get(owner).into_iter().flatten();
            changes
                .into_iter()
                .all(|change| outcomes.get(&change.address).is_some_and(|(_, outcome)| outcome.is_done()))
        };
        let blocked = self.blocked.contains(owner);
        if !done || blocked || self.request.cancel.is_cancelled() || self.lost.is_cancelled() {
            return;
        }
        let entered = PhaseTransition {
            at: (self.request.clock)(),
            tenant: transition.tenant.clone(),
            from: transition.from.clone(),
            to: transition.to.clone(),
        };
        match self.request.store.enter_phase(&self.fence(owner), &entered).await {
            Ok(()) => {
                self.request.progress.event(&Event::PhaseEntered { tenant: &transition.tenant, phase: &transition.to });
            }
            Err(error) => self.store_failed(error, std::iter::empty()),
        }
    }
}

/// The change whose step failed, of several that went out together.
fn culprit<'a>(prepared: &[Prepared<'_, 'a>], failed: usize) -> Option<&'a Change> {
    let mut before = 0;
    prepared.iter().find_map(|prepared| {
        before += prepared.steps.len();
        (failed < before).then_some(prepared.ready.change)
    })
}

/// Something of an owner that comes to its end.
enum Ending<'a> {
    /// No longer asked for: some at a time.
    Deleted(Vec<Ready<'a>>),
    /// The old one of what was replaced under another name, by its place among the writes.
    Replaced(usize),
}

/// What a resource needed when it was last written.
fn needed_before<'a>(inventory: &'a BTreeMap<Address, Applied>, change: &'a Change) -> &'a [Address] {
    let mut addresses = std::iter::once(&change.address).chain(&change.renamed_from);
    match addresses.find_map(|address| inventory.get(address)) {
        Some(applied) => &applied.depends_on,
        None if change.action == Action::Delete => &change.depends_on,
        None => &[],
    }
}

/// All endings of one owner, each before those of what it needed.
fn endings<'a>(
    inventory: &BTreeMap<Address, Applied>,
    writes: &[Ready<'a>],
    deletions: Vec<Ready<'a>>,
) -> Vec<Ending<'a>> {
    let replaced = writes.iter().enumerate().filter(|(_, ready)| ready.replaced.is_some());
    let changes: Vec<&Change> = deletions
        .iter()
        .rev()
        .map(|ready| ready.change)
        .chain(replaced.clone().map(|(_, ready)| ready.change))
        .collect();
    let addresses = |(at, change): (usize, &&'a Change)| {
        std::iter::once(&change.address).chain(&change.renamed_from).map(move |address| (address, at))
    };
    let places: HashMap<&Address, usize> = changes.iter().enumerate().flat_map(addresses).collect();
    let needed = |change: &&Change| {
        needed_before(inventory, change).iter().filter_map(|needed| places.get(needed).copied()).collect()
    };
    let needs: Vec<Vec<usize>> = changes.iter().map(needed).collect();
    // A circle can only come from a damaged store, and then any order is as good as another.
    let order = topological(&needs).unwrap_or_else(|_| (0..changes.len()).collect());
    let deleted = deletions.into_iter().rev().map(|ready| Ending::Deleted(vec![ready]));
    let mut all: Vec<Option<Ending<'a>>> =
        deleted.chain(replaced.map(|(at, _)| Ending::Replaced(at))).map(Some).collect();
    let mut endings: Vec<Ending<'a>> = Vec::new();
    for ending in order.into_iter().rev().filter_map(|at| all[at].take()) {
        match (endings.last_mut(), ending) {
            (Some(Ending::Deleted(together)), Ending::Deleted(next)) => together.extend(next),
            (_, ending) => endings.push(ending),
        }
    }
    endings
}

/// A spec with those deferred values replaced that can be.
fn after_with(spec: &Arc<Map>, resolve: &mut impl FnMut(&crate::core::model::value::Deferred) -> Option<Value>) -> Map {
    let resolved = Value::Map(spec.clone()).try_map_deferred(&mut |deferred| {
        Ok::<_, std::convert::Infallible>(
            resolve(deferred).unwrap_or_else(|| Value::Deferred(Arc::new(deferred.clone()))),
        )
    });
    match resolved {
        Ok(Value::Map(map)) => Map::clone(&map),
        Ok(_) => Map::default(),
    }
}

//! Journal, write, journal: nothing is written that was not put on record before.

use super::super::fresh::Ready;
use super::super::request::Event;
use super::captured::untold;
use super::prepare::{NAMELESS, Prepared};
use super::{Run, locked};
use tenantry_core::model::address::{Address, Owner};
use tenantry_core::model::kind::Batch;
use tenantry_core::model::resource::{Applied, Identity};
use tenantry_core::model::value::Map;
use tenantry_core::outcome::{Outcome, Skip};
use tenantry_core::plan::{Action, Change};
use tenantry_provider::contract::{Step, StepAction, WriteError, Written};
use tenantry_store::contract::{StepBegun, StepEnded, StepResult};

/// What is put on record of some changes, and how each ended.
#[derive(Default)]
struct Ended<'a> {
    records: Vec<StepEnded>,
    outcomes: Vec<(&'a Change, Outcome)>,
}

impl<'a> Run<'a> {
    /// Writes changes that go out together. Where one of a sequence fails, what does not need it goes on.
    pub(super) async fn batch(&self, owner: &Owner, prepared: &[Prepared<'_, 'a>]) {
        let begun: Vec<StepBegun> = prepared.iter().map(|prepared| self.begun(prepared)).collect();
        let guard = self.guard(owner);
        if let Err(error) = self.request.store.begin(&guard.fence(), &begun).await {
            return self.store_failed(error, prepared.iter().map(|prepared| prepared.ready.change));
        }
        let guard = guard.confirmed();
        for Prepared { ready, .. } in prepared {
            let change = ready.change;
            self.request.progress.event(&Event::StepBegun { address: &change.address, action: change.action() });
        }
        let mut rest: Vec<&Prepared<'_, 'a>> = prepared.iter().collect();
        while let Some(first) = rest.first() {
            let steps: Vec<Step> = rest.iter().flat_map(|prepared| prepared.steps.iter().cloned()).collect();
            let mut ended = Ended::default();
            let next = match self.write(&guard, &first.ready.change.target, &steps).await {
                Ok(written) => {
                    self.end_done(&rest, written, &mut ended).await;
                    Vec::new()
                }
                Err(failure) if steps.iter().any(|step| step.kind.batch == Batch::Sequence) => {
                    let (done, culprit, next) = around(&rest, failure.step);
                    self.end_done(done, failure.done.clone(), &mut ended).await;
                    let before = done.iter().map(|prepared| prepared.steps.len()).sum();
                    self.end_failed(culprit, &failure, None, &mut ended, before);
                    next.to_vec()
                }
                Err(failure) => {
                    let (_, culprit, _) = around(&rest, failure.step);
                    let culprit = culprit.first().map(|prepared| &prepared.ready.change.address);
                    self.end_failed(&rest, &failure, culprit, &mut ended, 0);
                    Vec::new()
                }
            };
            let Ended { records, outcomes } = ended;
            if let Err(error) = self.request.store.finish(&self.fence(owner), &records).await {
                return self.store_failed(error, rest.iter().map(|prepared| prepared.ready.change));
            }
            outcomes.into_iter().for_each(|(change, outcome)| self.end(change, outcome));
            rest = match self.without_hindered(owner, next).await {
                Some(rest) => rest,
                None => return,
            };
        }
    }

    /// Leaves out those that were begun, were not written, and cannot be any more. Nothing if the store failed.
    async fn without_hindered<'r>(
        &self,
        owner: &Owner,
        begun: Vec<&'r Prepared<'r, 'a>>,
    ) -> Option<Vec<&'r Prepared<'r, 'a>>> {
        let mut kept = Vec::with_capacity(begun.len());
        for prepared in begun {
            let change = prepared.ready.change;
            let Some(outcome) = self.hindrance(change) else {
                kept.push(prepared);
                continue;
            };
            let record = self.record(change, &prepared.identity, StepResult::Failed("it was not written".into()));
            if let Err(error) = self.request.store.finish(&self.fence(owner), &[record]).await {
                self.store_failed(error, std::iter::once(change));
                return None;
            }
            self.end(change, outcome);
        }
        Some(kept)
    }

    pub(super) fn record(&self, change: &Change, identity: &Identity, result: StepResult) -> StepEnded {
        StepEnded {
            action: change.action(),
            address: change.address.clone(),
            at: (self.request.clock)(),
            generation: change.generation,
            identity: identity.clone(),
            result,
            sensitive: Some(change.sensitive.clone()),
            task: self.task_of(change),
        }
    }

    async fn end_done(&self, done: &[&Prepared<'_, 'a>], mut written: Vec<Written>, ended: &mut Ended<'a>) {
        let kept = self.keep(done, &mut written).await;
        let why = kept.err().unwrap_or_else(|| "its target did not tell it".to_owned());
        let mut written = written.into_iter();
        for prepared in done {
            let Prepared { ready, steps, .. } = prepared;
            let told: Vec<Written> = written.by_ref().take(steps.len()).collect();
            self.hear(ready.change, &told);
            let Some(last) = told.into_iter().last() else {
                self.end_recorded(prepared, ended);
                continue;
            };
            // The step stays open: the next run finds that nothing is on record, and has another one made.
            if let Some(name) = untold(steps, &last.outputs) {
                let reason = format!("it was written, but its {name} is not kept: {why}; the next apply makes another");
                ended.outcomes.push((ready.change, Outcome::Failed(reason)));
                continue;
            }
            self.end_written(prepared, last.outputs, ended);
        }
    }

    /// Of what only the record was missing.
    fn end_recorded(&self, prepared: &Prepared<'_, 'a>, ended: &mut Ended<'a>) {
        let present = prepared.ready.present.as_ref();
        let outputs = present.map(|present| Map::clone(&present.outputs)).unwrap_or_default();
        self.end_written(prepared, outputs, ended);
    }

    fn end_written(&self, Prepared { ready, identity, .. }: &Prepared<'_, 'a>, outputs: Map, ended: &mut Ended<'a>) {
        let change = ready.change;
        let applied = self.applied(change, identity, outputs);
        if change.action() == Action::Delete && ready.present.is_some() {
            locked(&self.deleted).insert(&change.address);
        } else if ready.replaced.is_none() || self.kept(ready).is_some() {
            ended.records.push(self.record(change, identity, applied));
            ended.records.extend(self.old_address(change, identity));
        }
        // A replaced resource stays open, and on record under its old name, until the old one is gone.
        ended.outcomes.push((ready.change, if ready.only_record { Outcome::AlreadyDone } else { Outcome::Done }));
    }

    /// The end of the record at the address that something moved from, unless something else is written there, or the record
    /// has moved before.
    fn old_address(&self, change: &Change, identity: &Identity) -> Option<StepEnded> {
        let own = self.inventory.get(&change.address);
        let has_moved =
            |own: &Applied| (&own.target, &own.kind, &own.identity) == (&change.target, &change.kind, identity);
        if own.is_some_and(has_moved) {
            return None;
        }
        let old = change.renamed_from.as_ref().filter(|old| !self.tasks.contains_key(old))?;
        Some(StepEnded { address: old.clone(), ..self.record(change, identity, StepResult::Removed) })
    }

    /// Before something is deleted for another to come in its place: whether the target would take that one. A transaction
    /// keeps the old one where the new one is refused.
    pub(super) async fn prove(&self, change: &Change, steps: &[Step]) -> Result<(), String> {
        let [old, new] = steps else { return Ok(()) };
        if !old.is_delete() || matches!(new.kind.batch, Batch::Transaction { .. }) {
            return Ok(());
        }
        let Some(Ok(open)) = self.targets.get(&change.target) else { return Ok(()) };
        open.prove(new).await.map_err(|error| {
            let remedy = error.remedy.as_ref().map(|remedy| format!(" ({remedy})")).unwrap_or_default();
            let why = self.mask(&error.to_string());
            // An outage says nothing of the new one.
            match error.class.is_transient() {
                true => format!("whether the target would take the new one is not known, so the old one stays: {why}"),
                false => format!("the target would refuse the new one, so the old one stays: {why}{remedy}"),
            }
        })
    }

    /// `culprit` is the one that failed, where all are one transaction; `before` is how many steps came before `failed`.
    fn end_failed(
        &self,
        failed: &[&Prepared<'_, 'a>],
        failure: &WriteError,
        culprit: Option<&Address>,
        ended: &mut Ended<'a>,
        before: usize,
    ) {
        let error = &failure.error;
        let mut why = self.mask(&error.to_string());
        if let Some(remedy) = &error.remedy {
            why = format!("{why} ({remedy})");
        }
        for prepared in failed {
            let change = prepared.ready.change;
            if prepared.steps.is_empty() {
                self.end_recorded(prepared, ended);
                continue;
            }
            let is_half_done = culprit.is_none_or(|culprit| *culprit == change.address)
                && is_past_deletion(prepared, failure.step.saturating_sub(before))
                && !prepared.steps.iter().any(|step| matches!(step.kind.batch, Batch::Transaction { .. }));
            let (outcome, reason) = match culprit {
                _ if is_half_done => {
                    let reason = format!("the old one was deleted, and the new one was refused: {why}");
                    (Outcome::HalfDone(reason.clone()), reason)
                }
                Some(culprit) if *culprit != change.address => {
                    let reason = format!("{culprit} failed, and the two are one transaction");
                    (Outcome::Skipped(Skip::SameTransaction { failed: culprit.clone() }), reason)
                }
                _ => (Outcome::Failed(why.clone()), why.clone()),
            };
            // Whether a request that got no answer was carried out is not known: the step stays open, so that the next
            // run takes what it finds for ours.
            // So does a replacement that stands half-way.
            if !error.class.is_transient() && !error.is_in_doubt && !is_half_done {
                ended.records.push(self.record(change, &prepared.identity, StepResult::Failed(reason.into())));
            }
            ended.outcomes.push((change, outcome));
        }
    }

    /// Deletes the old one of what was replaced under another name.
    pub(super) async fn replaced(&self, owner: &Owner, ready: &Ready<'a>) {
        let (Some(old), Some(before)) = (ready.change.work.replaces(), &ready.replaced) else { return };
        let change = ready.change;
        if self.kept(ready).is_some() {
            return;
        }
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
        let Some(identity) = self.identity_of(change) else {
            return self.end(change, Outcome::Failed(NAMELESS.into()));
        };
        let applied = self.applied(change, &identity, outputs);
        let stays =
            |why: String| self.end(change, Outcome::Failed(format!("the old one, `{old}`, was not deleted: {why}")));
        if let Some(user) = user {
            return stays(format!("{user}, which needs it, was not done"));
        }
        let delete = self.step_at(change, kind, old.clone(), None, StepAction::Delete { before: before.clone() });
        match self.write(&self.guard(owner), &change.target, &[delete]).await {
            Ok(told) => self.hear(change, &told),
            Err(failure) => return stays(self.mask(&failure.error.to_string())),
        }
        // It stays on record under its old name until the target says that this is gone.
        let mut ended = vec![self.record(change, &identity, applied)];
        ended.extend(self.old_address(change, &identity));
        locked(&self.replaced).insert(&change.address, ended);
    }
}

/// Whether the step of a change that failed comes after one that deleted what was there.
fn is_past_deletion(prepared: &Prepared<'_, '_>, failed: usize) -> bool {
    prepared.steps.iter().take(failed).any(Step::is_delete)
}

/// Those before the one that a step belongs to, that one, and those after it.
fn around<'r, 's, 'a>(
    prepared: &'s [&'r Prepared<'r, 'a>],
    step: usize,
) -> (&'s [&'r Prepared<'r, 'a>], &'s [&'r Prepared<'r, 'a>], &'s [&'r Prepared<'r, 'a>]) {
    let mut steps = 0;
    let at = prepared.iter().position(|prepared| {
        steps += prepared.steps.len();
        step < steps
    });
    let at = at.unwrap_or_else(|| prepared.len().saturating_sub(1));
    let (before, from) = prepared.split_at(at);
    let (one, after) = from.split_at(from.len().min(1));
    (before, one, after)
}

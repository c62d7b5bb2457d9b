//! Whether a change of a plan still fits the current state.

use std::collections::HashMap;
use std::sync::Arc;

use super::EngineError;
use super::forgotten::{self, Forgotten};
use super::observe::{Seen, accepted, by_address, observe};
use super::plan::{begun, unfinished};
use super::targets::Targets;
use tenantry_core::collections;
use tenantry_core::diagnostics::{FileId, Origin, Span};
use tenantry_core::diff::{self, Known, Secret, Verdict};
use tenantry_core::fingerprint::Systems;
use tenantry_core::model::address::Address;
use tenantry_core::model::kind::{Catalogue, MarkPlace};
use tenantry_core::model::resource::{Applied, Begun, Desired, Identity, Inventory, Observations, Observed, Present};
use tenantry_core::model::unknown::Unknown;
use tenantry_core::model::value::Value;
use tenantry_core::outcome::{Outcome, Skip, Stale};
use tenantry_core::ownership::{self, Claim};
use tenantry_core::plan::{Action, Change, Plan};
use tenantry_store::contract::Store;

/// A change that may be written.
pub struct Ready<'a> {
    pub change: &'a Change,
    /// The observed state; `None` for a creation.
    pub present: Option<Present>,
    /// For a replacement under another name: the old resource, which is deleted afterwards.
    pub replaced: Option<Present>,
    /// Everything is as desired and only the record is missing.
    pub only_record: bool,
}

/// The current state.
pub struct Fresh {
    /// The estate and environment, as marks name them.
    pub scope: Arc<str>,
    pub catalogue: Arc<Catalogue>,
    pub observed: Observations,
    /// The marks that forgotten resources still carry.
    pub forgotten: Forgotten,
    /// Which systems the targets are.
    pub systems: Systems,
    pub inventory: Inventory,
    pub begun: HashMap<(Address, Identity), Begun>,
    pub desired: collections::HashMap<Address, Desired>,
}

impl Fresh {
    /// # Errors
    /// If the store cannot be read, or a target is another system than the plan was made for, or than was accepted.
    pub async fn read(plan: &Plan, targets: &Targets<'_>, store: &dyn Store) -> Result<Self, EngineError> {
        let accepted = accepted(store).await?;
        let inventory = by_address(store.inventory().await?);
        let open = store.open_steps().await?;
        let (begun, unfinished) = (begun(&open), unfinished(&open, &inventory));
        let desired: collections::HashMap<Address, Desired> = plan
            .changes
            .iter()
            .filter_map(|change| Some((change.address.clone(), desired_of(change, &targets.catalogue)?)))
            .collect();
        let Seen { mut observed, told } =
            observe(targets, desired.values(), inventory.values().chain(&unfinished)).await;
        let systems = Systems::new(told, &accepted);
        if let Some(other) = systems.other_than(&plan.targets) {
            return Err(EngineError::OtherSystem(other));
        }
        systems.distrust(&mut observed);
        let scope = targets.environment.scope();
        let forgotten = forgotten::unmark(store, &scope, &inventory, &begun, &mut observed).await?;
        let catalogue = targets.catalogue.clone();
        Ok(Self { scope, catalogue, observed, forgotten, systems, inventory, begun, desired })
    }

    pub fn observed(&self, change: &Change, identity: &str) -> Observed {
        let of_kind =
            self.observed.iter().find(|((target, kind), _)| *target == change.target && **kind == *change.kind);
        match of_kind {
            Some((_, observation)) => observation.get(identity),
            None => Observed::Unknown(Unknown::NotAsked),
        }
    }

    /// Gives the mark back to what a change adopts, if it was forgotten: whoever writes it is told what it carries.
    pub fn mark(&self, ready: &mut Ready<'_>) {
        let Ready { change, present: Some(present), .. } = ready else { return };
        let Some(identity) = change.work.identity() else { return };
        if present.mark.is_none() {
            let place = (change.target.clone(), change.kind.clone(), identity.clone());
            present.mark = self.forgotten.get(&place).cloned();
        }
    }

    /// Compares a change with the current state.
    pub fn judge<'a>(&self, change: &'a Change) -> Result<Ready<'a>, Outcome> {
        let ready = |present| Ready { change, present, replaced: None, only_record: false };
        let stale = |why| Err(Outcome::Stale(why));
        if change.action() != Action::Forget
            && self.inventory.get(&change.address).map_or(0, |applied| applied.generation) >= change.generation
        {
            // Another run wrote here; if it came to the same end there is nothing left to do.
            return match (change.work.identity(), self.desired.get(&change.address)) {
                (Some(identity), Some(desired)) => match self.verdict(desired, &self.observed(change, identity), false)
                {
                    Verdict::Unchanged => Err(Outcome::AlreadyDone),
                    _ => stale(Stale::WrittenByAnotherRun),
                },
                _ => stale(Stale::WrittenByAnotherRun),
            };
        }
        let Some(identity) = change.work.identity() else {
            let replaced = change.work.replaces().map(|old| self.judge_old(change, old)).transpose()?.flatten();
            return Ok(Ready { replaced, ..ready(None) });
        };
        let observed = match change.work.replaces() {
            Some(old) => return self.judge_renaming(change, identity, old),
            None => self.observed(change, identity),
        };
        match (change.action(), observed) {
            (_, Observed::Unknown(cause)) => Err(unknown(cause)),
            (Action::Create, Observed::Absent) => Ok(ready(None)),
            (Action::Delete | Action::Forget, Observed::Absent) => Ok(ready(None)),
            (Action::Forget, Observed::Present(_)) => stale(Stale::CameBack),
            (_, Observed::Absent) => stale(Stale::Deleted),
            (Action::Delete, Observed::Present(present)) => {
                if !self.owns(change, identity, &present) {
                    return stale(Stale::MarkChanged);
                }
                match self.is_as_planned(change, &present) {
                    true => Ok(ready(Some(present))),
                    false => stale(Stale::Changed),
                }
            }
            (_, Observed::Present(present)) => {
                let Some(desired) = self.desired.get(&change.address) else { return stale(Stale::UnknownKind) };
                let besides: Vec<Arc<str>> = change.work.fields().iter().map(|field| field.path.clone()).collect();
                let applied = self.applied(desired);
                let owned = diff::owned(&desired.kind, &present.spec, &desired.spec, applied, &besides);
                let verdict = self.verdict(desired, &Observed::Present(present.clone()), writes_secret(change));
                match (change.action(), change.work.before(), verdict) {
                    (_, _, Verdict::Blocked(cause)) => stale(Stale::Blocked { cause }),
                    (_, _, Verdict::Unchanged | Verdict::Record { .. }) => {
                        Ok(Ready { change, present: Some(present), replaced: None, only_record: true })
                    }
                    (Action::Create, ..) => stale(Stale::Appeared),
                    (_, Some(before), _) if **before == owned => Ok(ready(Some(present))),
                    _ => stale(Stale::Changed),
                }
            }
        }
    }

    fn judge_renaming<'a>(&self, change: &'a Change, new: &str, old: &str) -> Result<Ready<'a>, Outcome> {
        let desired = self.desired.get(&change.address);
        let present = match self.observed(change, new) {
            Observed::Unknown(cause) => return Err(unknown(cause)),
            Observed::Absent => None,
            Observed::Present(present) => {
                match desired.map(|desired| self.verdict(desired, &Observed::Present(present.clone()), false)) {
                    Some(Verdict::Blocked(_)) | None => return Err(Outcome::Stale(Stale::NewNameTaken)),
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

    /// The observed old resource that a replacement deletes.
    fn judge_old(&self, change: &Change, old: &str) -> Result<Option<Present>, Outcome> {
        match self.observed(change, old) {
            Observed::Unknown(cause) => Err(unknown(cause)),
            Observed::Absent => Ok(None),
            Observed::Present(present) if !self.owns(change, old, &present) => {
                Err(Outcome::Stale(Stale::OldMarkChanged))
            }
            Observed::Present(present) if !self.is_as_planned(change, &present) => {
                Err(Outcome::Stale(Stale::OldChanged))
            }
            Observed::Present(present) => Ok(Some(present)),
        }
    }

    /// Whether the resource to delete has every owned field as the plan saw it.
    fn is_as_planned(&self, change: &Change, present: &Present) -> bool {
        // Nothing goes with it that nobody has seen.
        if present.takes_along.iter().any(|taken| !change.takes_along.contains(taken)) {
            return false;
        }
        let Some(before) = change.work.before() else { return true };
        match self.catalogue.get(&change.kind) {
            Some(kind) => diff::owned(kind, &present.spec, before, None, &[]) == **before,
            None => **before == *present.spec,
        }
    }

    /// Whether the existing resource with an identity of a change is ours to delete.
    pub fn owns(&self, change: &Change, identity: &str, present: &Present) -> bool {
        let Some(kind) = self.catalogue.get(&change.kind) else { return false };
        let earlier: Vec<Address> = change.renamed_from.iter().cloned().collect();
        let mut addresses = std::iter::once(&change.address).chain(&change.renamed_from);
        let recorded = addresses.clone().filter_map(|address| self.inventory.get(address));
        let is_it = |applied: &&Applied| *applied.kind == *change.kind && *applied.identity == *identity;
        let claim = Claim {
            scope: &self.scope,
            kind,
            address: &change.address,
            earlier: &earlier,
            recorded: recorded.into_iter().find(is_it),
            begun: addresses.any(|address| self.begun.contains_key(&(address.clone(), identity.into()))),
        };
        ownership::of_deleted(&claim, present).is_ours()
    }

    /// The record of a desired resource, or the one at its address.
    fn applied(&self, desired: &Desired) -> Option<&Applied> {
        let records = || {
            let addresses = std::iter::once(&desired.address).chain(&desired.previously);
            addresses.filter_map(|address| self.inventory.get(address))
        };
        let is_it = |applied: &&Applied| {
            applied.target == desired.target
                && *applied.kind == *desired.kind.name
                && Some(&applied.identity) == desired.identity.as_ref()
        };
        records().find(is_it).or_else(|| records().next())
    }

    pub fn verdict(&self, desired: &Desired, observed: &Observed, writes_secret: bool) -> Verdict {
        let applied = self.applied(desired);
        let mut addresses = std::iter::once(&desired.address).chain(&desired.previously);
        let begun = desired
            .identity
            .as_ref()
            .and_then(|identity| addresses.find_map(|address| self.begun.get(&(address.clone(), identity.clone()))));
        let mark = match observed {
            Observed::Present(present) => present.mark.as_ref(),
            _ => None,
        };
        // Secrets are judged by the plan: here, whatever hash there is counts as the right one unless the plan writes it.
        let told = match desired.kind.mark {
            MarkPlace::Inventory => Some(""),
            _ => mark.and_then(|mark| mark.secret_hash.as_deref()),
        };
        let secret = Secret::Hash(told.filter(|_| !writes_secret));
        let scope = &self.scope;
        diff::diff(&Known { scope, desired, earlier: &desired.previously, observed, applied, begun, secret })
    }
}

fn unknown(cause: Unknown) -> Outcome {
    Outcome::Skipped(Skip::StateUnknown { cause })
}

/// Whether a change concerns a secret's value: its rotation, or a value that was changed outside.
fn writes_secret(change: &Change) -> bool {
    change.work.fields().iter().any(|field| field.after.as_ref().is_some_and(Value::has_secret))
}

/// The desired resource of a change.
pub fn desired_of(change: &Change, catalogue: &Catalogue) -> Option<Desired> {
    let kind = catalogue.get(&change.kind)?;
    let spec = kind.normal_shared(change.work.after()?);
    Some(Desired {
        address: change.address.clone(),
        kind: kind.clone(),
        target: change.target.clone(),
        identity: change.work.identity().cloned(),
        spec,
        sensitive: change.sensitive.as_slice().into(),
        protect: change.protected,
        optional: false,
        adopt: change.action() == Action::Adopt,
        depends_on: change.depends_on.clone(),
        previously: change.renamed_from.iter().cloned().collect(),
        origin: Origin { file: FileId(0), span: Span::default() },
    })
}

//! The results of the passes of a plan so far.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::build::Inputs;
use super::{Blocked, Change, Finding, Hindrance, Retained, Transition};
use crate::collections::{HashMap, HashSet};
use crate::model::address::{Address, Owner};
use crate::model::kind::Kind;
use crate::model::resource::{Applied, Desired, Identity, Observed, Present, TargetName};

/// What identifies a real resource: target, kind, identity.
pub type Place<'a> = (&'a TargetName, &'a str, &'a Identity);

/// Indexes over the inputs that several passes use.
pub struct Index<'a> {
    /// The estate and environment, as marks name them.
    pub scope: Arc<str>,
    pub desired: HashMap<&'a Address, &'a Desired>,
    /// The desired resources by target, kind and identity. A resource in it is never deleted.
    pub wanted: HashMap<Place<'a>, &'a Desired>,
    /// Addresses that desired resources had before, as far as what is on record there may still be theirs.
    pub earlier: HashSet<&'a Address>,
    /// Recorded resources whose mark has not followed their record.
    pub marked_elsewhere: HashSet<Place<'a>>,
    /// What carries the mark of an address and is neither wanted nor recorded there, by target, kind and address: a resource
    /// that somebody has renamed, or a copy of one.
    pub elsewhere: HashMap<(&'a TargetName, &'static str, &'a Address), &'a Identity>,
}

impl<'a> Index<'a> {
    pub fn of(inputs: &Inputs<'a>) -> Self {
        let all = || inputs.desired.iter().flat_map(|owner| &owner.resources);
        let mut index = Self {
            elsewhere: HashMap::default(),
            marked_elsewhere: inputs
                .inventory
                .values()
                .filter(|applied| applied.marked.is_some())
                .map(|applied| (&applied.target, &*applied.kind, &applied.identity))
                .collect(),
            scope: inputs.scope(),
            desired: all().map(|desired| (&desired.address, desired)).collect(),
            wanted: all()
                .filter_map(|desired| Some(((&desired.target, desired.kind.name, desired.identity.as_ref()?), desired)))
                .collect(),
            earlier: all()
                .filter(|desired| !is_on_record(inputs, desired))
                .flat_map(|desired| &desired.previously)
                .collect(),
        };
        index.elsewhere = index.found_elsewhere(inputs);
        index
    }

    fn found_elsewhere(
        &self,
        inputs: &Inputs<'a>,
    ) -> HashMap<(&'a TargetName, &'static str, &'a Address), &'a Identity> {
        let mut elsewhere = HashMap::default();
        for ((target, kind), observation) in inputs.observed {
            for (identity, observed) in &observation.resources {
                let Observed::Present(Present { mark: Some(mark), .. }) = observed else { continue };
                let recorded = inputs.inventory.get(&mark.address);
                let is_recorded =
                    recorded.is_some_and(|applied| applied.identity == *identity && applied.target == *target);
                let place = (target, *kind, identity);
                let is_known =
                    is_recorded || self.wanted.contains_key(&place) || self.marked_elsewhere.contains(&place);
                if mark.is_of(&self.scope) && !is_known {
                    // In order of identity, whatever order they were told in.
                    let at = elsewhere.entry((target, *kind, &mark.address)).or_insert(identity);
                    *at = (*at).min(identity);
                }
            }
        }
        elsewhere
    }

    /// What a recorded resource that is gone is called now, if somebody has renamed it.
    pub fn renamed(&self, kind: &Kind, applied: &Applied) -> Option<&'a Identity> {
        self.elsewhere.get(&(&applied.target, kind.name, &applied.address)).copied()
    }

    /// Whether the owner of a resource may be without it.
    pub fn is_optional(&self, address: &Address) -> bool {
        self.desired.get(address).is_some_and(|desired| desired.optional)
    }

    /// Whether any desired resource is the recorded one.
    pub fn wants(&self, applied: &Applied) -> bool {
        self.wanted.contains_key(&(&applied.target, &*applied.kind, &applied.identity))
    }
}

/// Whether a resource is recorded at its own address. Then a record at an earlier address is of another resource.
pub fn is_on_record(inputs: &Inputs<'_>, desired: &Desired) -> bool {
    inputs.inventory.get(&desired.address).is_some_and(|applied| {
        applied.target == desired.target
            && *applied.kind == *desired.kind.name
            && Some(&applied.identity) == desired.identity.as_ref()
    })
}

/// The results so far.
#[derive(Default)]
pub struct Draft {
    pub changes: Vec<Change>,
    pub blocked: Vec<Blocked>,
    /// Deletions that wait until their tenant's data was kept long enough, and those of what that data needs.
    pub kept: Vec<Blocked>,
    pub findings: Vec<Finding>,
    pub transitions: Vec<Transition>,
    pub retained: Vec<Retained>,
    pub unchanged: usize,
    /// Resources that would move to another target or kind, by that move.
    pub relocations: BTreeMap<Hindrance, Vec<Address>>,
    /// Existing resources that are not ready, by kind, target and reason.
    pub pending: BTreeMap<(Arc<str>, TargetName, Arc<str>), Vec<Address>>,
    /// Owners with resources that are not ready or not gone, and are not changed by this plan.
    pub unready: BTreeSet<Owner>,
    /// Changes that targets will make by themselves on a later day.
    pub scheduled: BTreeMap<Address, Arc<str>>,
    /// Old identities that a replacement deletes.
    pub replaced: HashSet<(TargetName, &'static str, Identity)>,
}

impl Draft {
    /// Adds the results for other owners.
    pub fn merge(&mut self, other: Self) {
        let Self {
            changes,
            blocked,
            kept,
            findings,
            transitions,
            retained,
            unchanged,
            relocations,
            pending,
            unready,
            scheduled,
            replaced,
        } = other;
        self.changes.extend(changes);
        self.blocked.extend(blocked);
        self.kept.extend(kept);
        self.findings.extend(findings);
        self.transitions.extend(transitions);
        self.retained.extend(retained);
        self.unchanged += unchanged;
        for (way, addresses) in relocations {
            self.relocations.entry(way).or_default().extend(addresses);
        }
        for (reason, addresses) in pending {
            self.pending.entry(reason).or_default().extend(addresses);
        }
        self.unready.extend(unready);
        self.scheduled.extend(scheduled);
        self.replaced.extend(replaced);
    }

    pub fn block(&mut self, desired: &Desired, reason: Hindrance) {
        self.blocked.push(Blocked {
            address: desired.address.clone(),
            kind: desired.kind.name.into(),
            target: desired.target.clone(),
            identity: desired.identity.clone(),
            code: reason.code().0.into(),
            reason,
        });
    }

    /// Removes the changes that something hinders, and blocks their addresses.
    pub fn block_changes(&mut self, hindrance: impl Fn(&Change) -> Option<Hindrance>) {
        let hindered = self.take_changes(hindrance);
        self.blocked.extend(hindered);
    }

    /// Removes the deletions that wait for the end of a retention.
    pub fn keep_changes(&mut self, hindrance: impl Fn(&Change) -> Option<Hindrance>) {
        let kept = self.take_changes(hindrance);
        self.kept.extend(kept);
    }

    fn take_changes(&mut self, hindrance: impl Fn(&Change) -> Option<Hindrance>) -> Vec<Blocked> {
        let mut taken = Vec::new();
        let mut rest = Vec::with_capacity(self.changes.len());
        for change in std::mem::take(&mut self.changes) {
            match hindrance(&change) {
                Some(reason) => taken.push(blocked(change, reason)),
                None => rest.push(change),
            }
        }
        self.changes = rest;
        taken
    }
}

/// Turns a change into a block.
pub fn blocked(change: Change, reason: Hindrance) -> Blocked {
    Blocked {
        address: change.address,
        kind: change.kind,
        target: change.target,
        identity: change.work.identity().cloned(),
        code: reason.code().0.into(),
        reason,
    }
}

//! Nothing is deleted with what holds it, unless it is deleted itself.
//!
//! A prefix of a bucket is emptied with everything below it, whoever needs that: so it stays while any resource below it is
//! desired, or is on record and not deleted by the same plan.

use std::collections::BTreeSet;

use super::super::build::Inputs;
use super::super::draft::{Draft, Index};
use super::super::{Change, Hindrance, Work};
use crate::model::address::Address;
use crate::model::kind::Kind;
use crate::model::resource::{Identity, TargetName};

/// The places of resources that are not deleted, in their order.
type Kept<'a> = Vec<(&'a TargetName, String, &'a Address)>;

/// Blocks the deletion of what holds something that is kept.
pub fn run(inputs: &Inputs<'_>, index: &Index<'_>, draft: &mut Draft) {
    if !draft.changes.iter().any(|change| ending(inputs, change).is_some()) {
        return;
    }
    let deleted: BTreeSet<(TargetName, &str, Identity)> = draft.changes.iter().filter_map(deleted).collect();
    let kept = kept(inputs, index, &deleted);
    draft.block_changes(|change| {
        let place = ending(inputs, change)?;
        let first = kept.partition_point(|(target, of, _)| (*target, &**of) < (&change.target, &*place));
        let (target, of, address) = kept.get(first)?;
        let is_below = **target == change.target && of.starts_with(&place);
        is_below.then(|| Hindrance::HoldsKept { kept: (*address).clone() })
    });
}

/// The place of what a change deletes with everything below it.
fn ending(inputs: &Inputs<'_>, change: &Change) -> Option<String> {
    let kind = inputs.catalogue.get(&change.kind).filter(|kind| kind.holds_others())?;
    match &change.work {
        Work::Delete { before, .. } => kind.place_of(&kind.normal(before)),
        Work::Replace { old: Some(_), before, .. } => kind.place_of(&kind.normal(before)),
        _ => None,
    }
}

/// What a change takes away, under which name.
fn deleted(change: &Change) -> Option<(TargetName, &str, Identity)> {
    let identity = match &change.work {
        Work::Delete { identity, .. } | Work::Forget { identity } => identity,
        Work::Replace { old: Some(old), .. } => old,
        _ => return None,
    };
    Some((change.target.clone(), &change.kind, identity.clone()))
}

fn kept<'a>(inputs: &Inputs<'a>, index: &Index<'a>, deleted: &BTreeSet<(TargetName, &str, Identity)>) -> Kept<'a> {
    let wanted = index.wanted.values();
    let mut kept: Kept<'a> = wanted
        .filter_map(|desired| Some((&desired.target, desired.kind.place_of(&desired.spec)?, &desired.address)))
        .collect();
    for applied in inputs.inventory.values() {
        let kind: Option<&Kind> = inputs.catalogue.get(&applied.kind).map(|kind| &**kind);
        let Some(kind) = kind.filter(|kind| kind.nesting.is_some()) else { continue };
        let is_deleted = deleted.contains(&(applied.target.clone(), &*applied.kind, applied.identity.clone()));
        if is_deleted || index.wants(applied) {
            continue;
        }
        if let Some(place) = applied.spec_value().and_then(|spec| kind.place_of(&kind.normal(&spec))) {
            kept.push((&applied.target, place, &applied.address));
        }
    }
    kept.sort_unstable();
    kept
}

//! Identity before address: if the inventory has a resource at another address with the target, kind and identity of a desired
//! resource, it is that resource. Its id was renamed, or two ids were swapped.
//!
//! Runs before the targets are read, so that a reader knows which marks it may find.

use super::super::draft::Place;
use crate::collections::HashMap;
use crate::desired::OwnerResources;
use crate::model::address::Address;
use crate::model::resource::{Applied, Desired, Inventory};

/// Adds to every desired resource the address at which the inventory has it, and that which its mark still names, if it is
/// another address.
pub fn add(owners: &mut [OwnerResources], inventory: &Inventory) {
    for (owner, at, from) in find(owners, inventory) {
        owners[owner].resources[at].previously.push(from);
    }
    if inventory.values().all(|applied| applied.marked.is_none()) {
        return;
    }
    for desired in owners.iter_mut().flat_map(|owner| &mut owner.resources) {
        let recorded = inventory.get(&desired.address).filter(|applied| Some(place_of(applied)) == wanted_by(desired));
        desired.previously.extend(recorded.and_then(|applied| applied.marked.as_deref()).cloned());
    }
}

/// Every move: the place of the desired resource in `owners`, and the address from which it moves.
fn find(owners: &[OwnerResources], inventory: &Inventory) -> Vec<(usize, usize, Address)> {
    let is_recorded = |desired: &Desired| {
        let own = std::iter::once(&desired.address).chain(&desired.previously);
        own.filter_map(|address| inventory.get(address)).any(|applied| Some(place_of(applied)) == wanted_by(desired))
    };
    let unrecorded = |desired: &Desired| desired.identity.is_some() && !is_recorded(desired);
    let searched: Vec<(usize, usize, &Desired)> = owners
        .iter()
        .enumerate()
        .flat_map(|(owner, of)| of.resources.iter().enumerate().map(move |(at, desired)| (owner, at, desired)))
        .filter(|(_, _, desired)| unrecorded(desired))
        .collect();
    if searched.is_empty() {
        return Vec::new();
    }
    let recorded: HashMap<Place<'_>, &Applied> =
        inventory.values().map(|applied| (place_of(applied), applied)).collect();
    let wanted: HashMap<&Address, Option<Place<'_>>> = owners
        .iter()
        .flat_map(|owner| &owner.resources)
        .map(|desired| (&desired.address, wanted_by(desired)))
        .collect();
    let moved = |(owner, at, desired): &(usize, usize, &Desired)| {
        let applied = recorded.get(&wanted_by(desired)?)?;
        // Where the other address wants it as well, one of the two is wrong, and that is said elsewhere.
        let is_claimed = wanted.get(&applied.address).is_some_and(|wanted| *wanted == Some(place_of(applied)));
        (!is_claimed).then(|| (*owner, *at, applied.address.clone()))
    };
    searched.iter().filter_map(moved).collect()
}

fn place_of(applied: &Applied) -> Place<'_> {
    (&applied.target, &applied.kind, &applied.identity)
}

fn wanted_by(desired: &Desired) -> Option<Place<'_>> {
    Some((&desired.target, desired.kind.name, desired.identity.as_ref()?))
}

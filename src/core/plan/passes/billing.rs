//! What is not billed: a customer pays for nothing that is not there.
//!
//! Kinds that charge a customer say so. While something of a tenant is blocked, what it is billed does not grow; once the
//! tenant shrinks (it is suspended, or leaves), its bill is the first thing that changes, whatever becomes of the rest. While
//! that bill is blocked, nothing of the tenant is deleted.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::super::build::Inputs;
use super::super::draft::Draft;
use super::super::{Action, Blocked, Change, Hindrance};
use crate::model::address::{Address, Owner};
use crate::model::document::Phase;

/// Runs after it is known what waits for something blocked: a tenant lacks that as well.
pub fn run(inputs: &Inputs<'_>, draft: &mut Draft) {
    let lacking = by_tenant(draft, |one| !bills(inputs, &one.kind));
    if !lacking.is_empty() {
        draft.block_changes(|change| {
            let blocked = lacking.get(&change.address.owner)?;
            let grows = bills(inputs, &change.kind) && is_growth(change, shrinks(inputs, &change.address.owner));
            grows.then(|| Hindrance::NotBilled { blocked: blocked.clone() })
        });
    }
    // What is not on record is not billed yet.
    let still = by_tenant(draft, |one| bills(inputs, &one.kind) && inputs.inventory.contains_key(&one.address));
    if !still.is_empty() {
        draft.block_changes(|change| {
            let bill = still.get(&change.address.owner)?;
            let takes = change.action() == Action::Delete && !bills(inputs, &change.kind);
            takes.then(|| Hindrance::StillBilled { bill: bill.clone() })
        });
    }
}

/// The first of what is blocked, of each tenant.
fn by_tenant(draft: &Draft, counts: impl Fn(&Blocked) -> bool) -> HashMap<Owner, Address> {
    let mut found: HashMap<Owner, Address> = HashMap::new();
    for one in draft.blocked.iter().filter(|one| one.address.owner.tenant().is_some() && counts(one)) {
        found.entry(one.address.owner.clone()).or_insert_with(|| one.address.clone());
    }
    found
}

/// Whether a kind charges a customer.
pub fn bills(inputs: &Inputs<'_>, kind: &str) -> bool {
    inputs.catalogue.get(kind).is_some_and(|kind| kind.bills)
}

/// Whether a change of a kind that bills may have a customer billed for more. `shrinks` is whether its tenant's phase gives
/// something up: then only what is not there yet is more.
pub fn is_growth(change: &Change, shrinks: bool) -> bool {
    match change.action() {
        Action::Create => true,
        Action::Update | Action::Replace => !shrinks,
        Action::Adopt => !shrinks && !change.work.fields().is_empty(),
        Action::Move | Action::Delete | Action::Forget => false,
    }
}

/// Whether the phase that is asked for gives something up. It says so of every run in that phase, not only of the one that
/// enters it: what is blocked may keep a tenant from entering it for long.
pub fn shrinks(inputs: &Inputs<'_>, owner: &Owner) -> bool {
    let phase = owner.tenant().and_then(|tenant| inputs.phases.get(tenant));
    phase.is_some_and(|phase| matches!(phase, Phase::Suspended | Phase::Deleting | Phase::Deleted))
}

/// The tenants of some changes whose bill shrinks with their phase.
pub fn shrinking(inputs: &Inputs<'_>, changes: &[Change]) -> BTreeSet<Arc<str>> {
    let billed = changes.iter().filter(|change| bills(inputs, &change.kind));
    let owners = billed.map(|change| &change.address.owner).filter(|owner| shrinks(inputs, owner));
    owners.filter_map(|owner| owner.tenant().cloned()).collect()
}

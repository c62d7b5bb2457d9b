//! Blocks billing changes: a customer pays only for resources that exist.
//!
//! Kinds say whether they charge a customer. While a resource of a tenant is blocked, its bill does not grow; when the tenant
//! shrinks (it is suspended, or leaves), its bill changes first, whatever happens to its other resources. While the bill is
//! blocked, no resource of the tenant is deleted.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::super::build::Inputs;
use super::super::draft::{Draft, Index};
use super::super::{Action, Blocked, Change, Hindrance};
use crate::model::address::{Address, Owner};
use crate::model::document::Phase;

/// Runs after it is known what waits for something blocked: a tenant lacks that as well.
pub fn run(inputs: &Inputs<'_>, index: &Index<'_>, draft: &mut Draft) {
    let lacking = by_tenant(draft, |one| !bills(inputs, &one.kind) && !index.is_optional(&one.address));
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

/// The first blocked resource of each tenant that counts.
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

/// Whether a change of a kind that bills may increase the bill. `shrinks` is whether its tenant shrinks with its phase: then only
/// a new resource increases it.
pub fn is_growth(change: &Change, shrinks: bool) -> bool {
    match change.action() {
        Action::Create => true,
        Action::Update | Action::Replace => !shrinks,
        Action::Adopt => !shrinks && !change.work.fields().is_empty(),
        Action::Move | Action::Delete | Action::Forget => false,
    }
}

/// Whether a tenant shrinks with the phase that the repository asks for. This holds for every run in that phase, not only for the
/// one that enters it, because a blocked resource may delay the transition for long.
pub fn shrinks(inputs: &Inputs<'_>, owner: &Owner) -> bool {
    let life = owner.tenant().and_then(|tenant| inputs.lives.get(tenant));
    life.is_some_and(|life| matches!(life.phase, Phase::Suspended | Phase::Deleting | Phase::Deleted))
}

/// The tenants of some changes whose bill shrinks with their phase.
pub fn shrinking(inputs: &Inputs<'_>, changes: &[Change]) -> BTreeSet<Arc<str>> {
    let billed = changes.iter().filter(|change| bills(inputs, &change.kind));
    let owners = billed.map(|change| &change.address.owner).filter(|owner| shrinks(inputs, owner));
    owners.filter_map(|owner| owner.tenant().cloned()).collect()
}

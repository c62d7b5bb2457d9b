//! What was forgotten, and still carries our mark.
//!
//! `tenantry forget` writes to no target, so the mark of what it leaves stays. From then on this mark counts for nothing: the
//! resource is one without a mark for everybody who decides by observations, which is why this is done to the observation
//! itself, once. It is managed again if it is on record again, because `adopt: true` took it over.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tenantry_core::model::address::Address;
use tenantry_core::model::mark::Mark;
use tenantry_core::model::resource::{Begun, Identity, Inventory, Observations, Observed, TargetName};
use tenantry_store::contract::{RecordForgotten, Store, StoreError};

/// The marks that forgotten resources carry, by target, kind and identity.
pub type Forgotten = HashMap<(TargetName, Arc<str>, Identity), Mark>;

/// Takes the marks from the observations of everything that was forgotten and is not on record again, and returns them.
///
/// The journal is read only if something carries our mark without being on record, which is rare.
///
/// # Errors
/// If the store cannot be read.
pub async fn unmark(
    store: &dyn Store,
    scope: &str,
    inventory: &Inventory,
    begun: &HashMap<(Address, Identity), Begun>,
    observed: &mut Observations,
) -> Result<Forgotten, StoreError> {
    let recorded: HashSet<(&TargetName, &str, &Identity)> =
        inventory.values().map(|applied| (&applied.target, &*applied.kind, &applied.identity)).collect();
    let mut unrecorded: Vec<(TargetName, &'static str, Identity)> = Vec::new();
    for ((target, kind), observation) in &*observed {
        for (identity, seen) in &observation.resources {
            if let Observed::Present(present) = seen
                && let Some(mark) = &present.mark
                && mark.is_of(scope)
                && !recorded.contains(&(target, *kind, identity))
                && !begun.contains_key(&(mark.address.clone(), identity.clone()))
            {
                unrecorded.push((target.clone(), *kind, identity.clone()));
            }
        }
    }
    let mut unmarked = Forgotten::new();
    if unrecorded.is_empty() {
        return Ok(unmarked);
    }
    let forgotten: HashSet<(TargetName, Arc<str>, Identity)> = store
        .forgotten()
        .await?
        .into_iter()
        .map(|RecordForgotten { target, kind, identity, .. }| (target, kind, identity))
        .collect();
    for (target, kind, identity) in unrecorded {
        let place = (target.clone(), Arc::from(kind), identity.clone());
        if !forgotten.contains(&place) {
            continue;
        }
        let observation = observed.get_mut(&(target, kind));
        if let Some(Observed::Present(present)) = observation.and_then(|of| of.resources.get_mut(&identity))
            && let Some(mark) = present.mark.take()
        {
            unmarked.insert(place, mark);
        }
    }
    Ok(unmarked)
}

//! Moves the records of a plan to the addresses that want their resources, before anything is written.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use jiff::Timestamp;
use tenantry_core::model::address::{Address, Owner};
use tenantry_core::model::kind::{Catalogue, MarkPlace};
use tenantry_core::model::resource::{Applied, Inventory};
use tenantry_core::plan::{Plan, RecordMove};
use tenantry_store::contract::{Fence, FencingToken, RecordMoved, RunId, Store, StoreError};

/// Moves the records in the store and in `inventory`, which is what the store holds.
///
/// Returns the addresses whose records are not those that the plan was made with. Then no record moves.
pub async fn follow<'p>(
    store: &dyn Store,
    plan: &'p Plan,
    catalogue: &Catalogue,
    (run, tokens, now): (RunId, &BTreeMap<Owner, FencingToken>, Timestamp),
    inventory: &mut Inventory,
) -> Result<HashSet<&'p Address>, StoreError> {
    let moves = &plan.record_moves;
    let is_at = |inventory: &Inventory, address: &Address, record: &RecordMove| {
        inventory.get(address).is_some_and(|applied| {
            (&applied.target, &applied.kind, &applied.identity) == (&record.target, &record.kind, &record.identity)
        })
    };
    // An earlier run of this plan has moved them.
    if moves.iter().all(|record| is_at(inventory, &record.to, record)) {
        return Ok(HashSet::new());
    }
    let left: BTreeSet<&Address> = moves.iter().map(|record| &record.from).collect();
    let fits = |record: &RecordMove| {
        let is_free = left.contains(&record.to) || !inventory.contains_key(&record.to);
        is_free && is_at(inventory, &record.from, record)
    };
    let Some(owner) = moves.first().map(|record| &record.to.owner).filter(|_| moves.iter().all(fits)) else {
        return Ok(moves.iter().flat_map(|record| [&record.from, &record.to]).collect());
    };
    let taken: BTreeSet<&Address> = moves.iter().map(|record| &record.to).collect();
    let records: Vec<RecordMoved> = moves
        .iter()
        .filter_map(|record| {
            let applied = inventory.get(&record.from)?;
            let generation = inventory.get(&record.to).map_or(0, |there| there.generation).max(applied.generation);
            let has_mark = catalogue.get(&record.kind).is_some_and(|kind| kind.mark != MarkPlace::Inventory);
            let marked = applied.marked.clone().or_else(|| has_mark.then(|| Box::new(record.from.clone())));
            // It may have come back to where its mark still is.
            let marked = marked.filter(|marked| **marked != record.to);
            Some(RecordMoved {
                applied: Applied { address: record.to.clone(), generation, marked, ..applied.clone() },
                at: now,
                from: record.from.clone(),
                vacates: !taken.contains(&record.from),
            })
        })
        .collect();
    let token = tokens.get(owner).copied().ok_or_else(|| StoreError::LeaseLost(owner.clone()))?;
    store.move_records(&Fence { run, owner: owner.clone(), token, now }, &records).await?;
    for RecordMoved { from, vacates, .. } in &records {
        if *vacates {
            inventory.shift_remove(from);
        }
    }
    for RecordMoved { applied, .. } in records {
        inventory.insert(applied.address.clone(), applied);
    }
    inventory.sort_unstable_keys();
    Ok(HashSet::new())
}

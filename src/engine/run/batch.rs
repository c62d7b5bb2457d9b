//! Which steps of one owner go out together.

use super::super::apply::Ready;
use tenantry_core::model::address::Address;
use tenantry_core::model::kind::{Batch, Kind};
use tenantry_core::model::value::{Part, Value};
use tenantry_core::plan::{Action, Change};

/// The most steps in one batch: enough for any sane tenant, and a transaction that still ends soon.
const MOST: usize = 200;

/// Cuts changes, which stay in their order, into batches: of one target, and of kinds that go out in the same way. What
/// needs an output of another change waits until that one's batch has ended, and so does what is proven before the old one
/// goes: the target may judge it by what comes before.
pub fn batches<'r, 'a>(
    ready: &'r [Ready<'a>],
    kind_of: &dyn Fn(&Change) -> Option<std::sync::Arc<Kind>>,
) -> Vec<&'r [Ready<'a>]> {
    let mut batches = Vec::new();
    let mut start = 0;
    for (index, next) in ready.iter().enumerate() {
        let current = &ready[start..index];
        let Some(first) = current.first() else { continue };
        // What is only struck from the record goes out with anything.
        let way = |ready: &Ready<'_>| match ready.change.action() {
            Action::Forget => None,
            _ => Some(kind_of(ready.change).map_or(Batch::Single, |kind| kind.batch)),
        };
        let parted = match (current.iter().rev().find_map(way), way(next)) {
            (Some(Batch::Single), _) | (_, Some(Batch::Single)) => true,
            (Some(before), Some(after)) => before != after,
            _ => false,
        };
        let cut = next.change.target != first.change.target
            || parted
            || is_proven(next, way(next))
            || current.len() >= MOST
            || needs_output_of(next.change, current);
        if cut {
            batches.push(current);
            start = index;
        }
    }
    if start < ready.len() {
        batches.push(&ready[start..]);
    }
    batches
}

/// Whether the old one of a replacement is deleted first, and stays where the new one would be refused.
fn is_proven(ready: &Ready<'_>, way: Option<Batch>) -> bool {
    way != Some(Batch::Transaction) && ready.present.is_some() && ready.change.action() == Action::Replace
}

fn needs_output_of(change: &Change, batch: &[Ready<'_>]) -> bool {
    let Some(after) = change.work.after() else { return false };
    let mut needs = false;
    let in_batch = |address: &Address| batch.iter().any(|ready| ready.change.address == *address);
    Value::Map(after.clone()).for_each_leaf(&mut |_, value| {
        if let Value::Deferred(deferred) = value {
            needs |=
                deferred.parts.iter().any(|part| matches!(part, Part::Output { address, .. } if in_batch(address)));
        }
    });
    needs
}

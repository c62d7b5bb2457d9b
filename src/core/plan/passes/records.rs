//! Records that move to the address that wants their resource before anything is written.
//!
//! An address has one record. Where another resource is about to be recorded at it, because two ids were swapped or a chain of
//! them was renamed, the record that it has now would be lost if the run ended before the other address is written, or if that
//! one is not part of the plan. A resource with the mark of another address and without a record is nobody's.

use super::super::build::Inputs;
use super::super::draft::Index;
use super::super::{Change, RecordMove};
use crate::collections::HashSet;
use crate::model::address::Address;
use crate::model::resource::Applied;

/// The records that the writes of a plan would displace, and those that these displace in turn. Those of addresses that are not
/// part of the plan are among them.
pub fn run(inputs: &Inputs<'_>, index: &Index<'_>, changes: &[Change]) -> Vec<RecordMove> {
    let mut moves = Vec::new();
    let mut moved: HashSet<&Address> = HashSet::default();
    for change in changes.iter().filter(|change| change.work.after().is_some()) {
        let mut next = displaced(inputs, index, &change.address);
        let mut chain = Vec::new();
        while let Some((applied, to)) = next.filter(|(applied, _)| moved.insert(&applied.address)) {
            chain.push(RecordMove {
                from: applied.address.clone(),
                to: to.clone(),
                kind: applied.kind.clone(),
                target: applied.target.clone(),
                identity: applied.identity.clone(),
            });
            next = displaced(inputs, index, to);
        }
        // What its last address replaces stays on record there until it is deleted.
        let is_free = |address: &Address| inputs.inventory.get(address).is_none_or(|applied| index.wants(applied));
        if chain.last().is_some_and(|last| is_free(&last.to)) {
            moves.append(&mut chain);
        }
    }
    moves
}

/// The record at an address whose resource another address wants, and that address.
fn displaced<'a>(inputs: &Inputs<'a>, index: &Index<'a>, at: &Address) -> Option<(&'a Applied, &'a Address)> {
    let applied = inputs.inventory.get(at)?;
    let wanted = index.wanted.get(&(&applied.target, &*applied.kind, &applied.identity))?;
    (wanted.address != *at).then_some((applied, &wanted.address))
}

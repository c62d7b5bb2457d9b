//! What comes to its end in a run, and in which order.

use std::collections::HashMap;

use super::super::fresh::Ready;
use tenantry_core::desired::topological;
use tenantry_core::model::address::Address;
use tenantry_core::model::resource::Inventory;
use tenantry_core::plan::{Action, Change};

/// Something of an owner that comes to its end.
pub enum Ending<'a> {
    /// No longer asked for: some at a time.
    Deleted(Vec<Ready<'a>>),
    /// The old one of what was replaced under another name, by its place among the writes.
    Replaced(usize),
}

/// What a resource needed when it was last written.
pub fn needed_before<'a>(inventory: &'a Inventory, change: &'a Change) -> &'a [Address] {
    match change.record(inventory) {
        Some(applied) => &applied.depends_on,
        None if change.action() == Action::Delete => &change.depends_on,
        None => &[],
    }
}

/// All endings of one owner, each before those of what it needed.
pub fn endings<'a>(inventory: &Inventory, writes: &[Ready<'a>], deletions: Vec<Ready<'a>>) -> Vec<Ending<'a>> {
    let replaced = writes.iter().enumerate().filter(|(_, ready)| ready.replaced.is_some());
    let changes: Vec<&Change> = deletions
        .iter()
        .rev()
        .map(|ready| ready.change)
        .chain(replaced.clone().map(|(_, ready)| ready.change))
        .collect();
    let addresses = |(at, change): (usize, &&'a Change)| {
        std::iter::once(&change.address).chain(&change.renamed_from).map(move |address| (address, at))
    };
    let places: HashMap<&Address, usize> = changes.iter().enumerate().flat_map(addresses).collect();
    let needed = |change: &&Change| {
        needed_before(inventory, change).iter().filter_map(|needed| places.get(needed).copied()).collect()
    };
    let needs: Vec<Vec<usize>> = changes.iter().map(needed).collect();
    // A circle can only come from a damaged store, and then any order is as good as another.
    let order = topological(&needs).unwrap_or_else(|_| (0..changes.len()).collect());
    let deleted = deletions.into_iter().rev().map(|ready| Ending::Deleted(vec![ready]));
    let mut all: Vec<Option<Ending<'a>>> =
        deleted.chain(replaced.map(|(at, _)| Ending::Replaced(at))).map(Some).collect();
    let mut endings: Vec<Ending<'a>> = Vec::new();
    for ending in order.into_iter().rev().filter_map(|at| all[at].take()) {
        match (endings.last_mut(), ending) {
            (Some(Ending::Deleted(together)), Ending::Deleted(next)) => together.extend(next),
            (_, ending) => endings.push(ending),
        }
    }
    endings
}

//! Blocks changes that depend on something blocked.

use std::collections::{HashMap, HashSet};

use super::super::build::Inputs;
use super::super::draft::{Draft, blocked as blocked_change};
use super::super::{Action, Change, Hindrance};
use crate::model::address::Address;

/// Blocks what needs something blocked, transitively. What a blocked resource needs is not deleted, and neither is what data needs
/// that is kept.
pub fn run(inputs: &Inputs<'_>, draft: &mut Draft) {
    keep_needed(inputs, draft);
    if draft.blocked.is_empty() {
        return;
    }
    let mut blocked: HashSet<Address> = draft.blocked.iter().map(|blocked| blocked.address.clone()).collect();
    let mut kept_alive: HashSet<Address> = HashSet::new();
    for address in &blocked {
        if let Some(applied) = inputs.inventory.get(address) {
            kept_alive.extend(applied.depends_on.iter().cloned());
        }
    }
    loop {
        let (stopped, kept): (Vec<Change>, Vec<Change>) =
            std::mem::take(&mut draft.changes).into_iter().partition(|change| match change.action() {
                Action::Delete => kept_alive.contains(&change.address),
                Action::Forget => false,
                _ => change.depends_on.iter().any(|needed| blocked.contains(needed)),
            });
        draft.changes = kept;
        if stopped.is_empty() {
            return;
        }
        for change in stopped {
            let needed = change.depends_on.iter().find(|needed| blocked.contains(*needed));
            let reason = match needed.filter(|_| change.action() != Action::Delete) {
                Some(needed) => Hindrance::NeedsBlocked { needed: needed.clone() },
                None => Hindrance::NeededByBlocked,
            };
            blocked.insert(change.address.clone());
            kept_alive.extend(change.depends_on.iter().cloned());
            draft.blocked.push(blocked_change(change, reason));
        }
    }
}

/// Keeps what kept data needs, transitively, for the same time.
fn keep_needed(inputs: &Inputs<'_>, draft: &mut Draft) {
    let mut looked_at = 0;
    while looked_at < draft.kept.len() {
        let mut needed: HashMap<Address, Hindrance> = HashMap::new();
        for kept in &draft.kept[looked_at..] {
            let applied = inputs.inventory.get(&kept.address);
            for needs in applied.into_iter().flat_map(|applied| &applied.depends_on) {
                needed.insert(needs.clone(), kept.reason.clone());
            }
        }
        looked_at = draft.kept.len();
        draft.keep_changes(|change| needed.get(&change.address).filter(|_| change.action() == Action::Delete).cloned());
    }
}

//! Blocks changes that depend on something blocked.

use std::collections::HashSet;

use super::super::build::Inputs;
use super::super::draft::{Draft, blocked as blocked_change};
use super::super::{Action, Change, Hindrance};
use crate::model::address::Address;

/// Blocks what needs something blocked, transitively. What a blocked resource needs is not deleted.
pub fn run(inputs: &Inputs<'_>, draft: &mut Draft) {
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

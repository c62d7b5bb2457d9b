//! The order of execution: by owner, in order of creation, deletions last and in reverse.
//!
//! Billing comes last when a tenant grows and first when it shrinks, without `dependsOn`; what depends on it stays behind it.

use std::collections::{HashMap, HashSet};

use super::super::build::Inputs;
use super::super::{Action, Change};
use super::billing::{bills, is_growth, shrinks};
use crate::desired::topological;
use crate::model::address::Address;

/// Puts changes in their order.
pub fn run(inputs: &Inputs<'_>, changes: Vec<Change>) -> Vec<Change> {
    let (deletions, mut writes): (Vec<Change>, Vec<Change>) =
        changes.into_iter().partition(|change| matches!(change.action(), Action::Delete | Action::Forget));
    writes.sort_by(|a, b| a.address.owner.cmp(&b.address.owner));
    let is_billed = |change: &Change| bills(inputs, &change.kind);
    let mut ordered: Vec<Change> = Vec::with_capacity(writes.len() + deletions.len());
    let mut rest = writes.into_iter().peekable();
    while let Some(first) = rest.next() {
        let owner = first.address.owner.clone();
        let mut of_owner = vec![first];
        while let Some(next) = rest.next_if(|next| next.address.owner == owner) {
            of_owner.push(next);
        }
        if !of_owner.iter().any(is_billed) {
            ordered.extend(of_owner);
            continue;
        }
        let shrinks = shrinks(inputs, &owner);
        let first = with_needs(&of_owner, |change| is_billed(change) && !is_growth(change, shrinks));
        let last = with_users(&of_owner, |change| is_billed(change) && is_growth(change, shrinks));
        let (before, rest) = part(of_owner, |change| first.contains(&change.address));
        let (between, after) = part(rest, |change| !last.contains(&change.address));
        ordered.extend(before);
        ordered.extend(between);
        ordered.extend(after);
    }
    ordered.extend(in_reverse(deletions, is_billed));
    ordered
}

fn part(changes: Vec<Change>, is_first: impl Fn(&Change) -> bool) -> (Vec<Change>, Vec<Change>) {
    changes.into_iter().partition(|change| is_first(change))
}

/// Some changes and everything among the others that needs one of them. Changes are in an order in which each comes after what
/// it needs.
fn with_users(changes: &[Change], is_some: impl Fn(&Change) -> bool) -> HashSet<Address> {
    let mut found: HashSet<Address> = HashSet::new();
    for change in changes {
        if is_some(change) || change.depends_on.iter().any(|needed| found.contains(needed)) {
            found.insert(change.address.clone());
        }
    }
    found
}

/// Some changes and everything among the others that one of them needs.
fn with_needs(changes: &[Change], is_some: impl Fn(&Change) -> bool) -> HashSet<Address> {
    let mut found: HashSet<Address> = HashSet::new();
    for change in changes.iter().rev() {
        if is_some(change) || found.contains(&change.address) {
            found.insert(change.address.clone());
            found.extend(change.depends_on.iter().cloned());
        }
    }
    found
}

/// Deletions, each before those of what it needed.
fn in_reverse(deletions: Vec<Change>, is_billed: impl Fn(&Change) -> bool) -> Vec<Change> {
    let positions: HashMap<&Address, usize> =
        deletions.iter().enumerate().map(|(index, change)| (&change.address, index)).collect();
    let needs: Vec<Vec<usize>> = deletions
        .iter()
        .map(|change| change.depends_on.iter().filter_map(|needed| positions.get(needed).copied()).collect())
        .collect();
    // The stored dependencies come from plans that had an order; a circle can only come from a damaged store, and then
    // any order is as good as another.
    let order = topological(&needs).unwrap_or_else(|_| (0..deletions.len()).collect());
    let mut ranks = vec![0; deletions.len()];
    order.iter().enumerate().for_each(|(rank, index)| ranks[*index] = rank);
    // What is billed, and what needs it, goes first: the customer stops paying before anything is taken away.
    let mut is_first = vec![false; deletions.len()];
    for index in &order {
        is_first[*index] = is_billed(&deletions[*index]) || needs[*index].iter().any(|needed| is_first[*needed]);
    }
    let mut ranked: Vec<(bool, usize, Change)> =
        deletions.into_iter().enumerate().map(|(index, change)| (!is_first[index], ranks[index], change)).collect();
    ranked.sort_by(|(a_last, a_rank, a), (b_last, b_rank, b)| {
        b.address.owner.cmp(&a.address.owner).then(a_last.cmp(b_last)).then(b_rank.cmp(a_rank))
    });
    ranked.into_iter().map(|(_, _, change)| change).collect()
}

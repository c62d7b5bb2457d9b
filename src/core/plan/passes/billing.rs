//! Blocks billing changes: a customer pays only for resources that exist.
//!
//! Kinds say whether they charge a customer. While a resource of a tenant is blocked, its bill does not grow; when the tenant
//! shrinks (it is suspended, or leaves), its bill changes first.

use std::collections::HashMap;

use super::super::build::Inputs;
use super::super::draft::Draft;
use super::super::{Action, Change, Hindrance, Transition};
use crate::model::address::{Address, Owner};
use crate::model::document::Phase;

pub fn run(inputs: &Inputs<'_>, draft: &mut Draft) {
    let mut blocked: HashMap<Owner, Address> = HashMap::new();
    for one in &draft.blocked {
        if one.address.owner.tenant().is_some() && !bills(inputs, &one.kind) {
            blocked.entry(one.address.owner.clone()).or_insert_with(|| one.address.clone());
        }
    }
    if blocked.is_empty() {
        return;
    }
    let transitions = std::mem::take(&mut draft.transitions);
    draft.block_changes(|change| {
        let blocked = blocked.get(&change.address.owner)?;
        let is_growth = is_billed(inputs, change) && !shrinks(&transitions, &change.address.owner);
        is_growth.then(|| Hindrance::NotBilled { blocked: blocked.clone() })
    });
    draft.transitions = transitions;
}

/// Whether a kind charges a customer.
pub fn bills(inputs: &Inputs<'_>, kind: &str) -> bool {
    inputs.catalogue.get(kind).is_some_and(|kind| kind.bills)
}

/// Whether a change affects what a customer is billed.
fn is_billed(inputs: &Inputs<'_>, change: &Change) -> bool {
    matches!(change.action(), Action::Create | Action::Update | Action::Replace) && bills(inputs, &change.kind)
}

/// Whether a tenant shrinks with its phase.
pub fn shrinks(transitions: &[Transition], owner: &Owner) -> bool {
    let entered = transitions.iter().find(|transition| owner.tenant() == Some(&transition.tenant));
    entered.is_some_and(|entered| matches!(entered.to, Phase::Suspended | Phase::Deleting | Phase::Deleted))
}

//! Rules for keys that the product shares with the estate, one file each.

mod counter;

use tenantry_core::rules::{Findings, OwnerView, RuleSet};

use crate::types::key;

/// The rules of this provider.
pub fn rules() -> RuleSet {
    RuleSet { rules: vec![&counter::RULE], check, claims: |_| Vec::new() }
}

fn check(view: &OwnerView<'_>, findings: &mut Findings<'_>) {
    view.of(key::NAME).for_each(|key| counter::check(key, findings));
}

//! Rules for resources of REST APIs, one file each.

mod other_api;

use tenantry_core::rules::{Findings, OwnerView, RuleSet};

use crate::types::{MARKED, UNMARKED};

/// The rules of this provider.
pub fn rules() -> RuleSet {
    RuleSet { rules: vec![&other_api::RULE], check, claims: |_| Vec::new() }
}

fn check(view: &OwnerView<'_>, findings: &mut Findings<'_>) {
    for kind in [MARKED, UNMARKED] {
        view.of(kind).for_each(|desired| other_api::check(desired, findings));
    }
}

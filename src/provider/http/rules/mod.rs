//! Rules for resources of REST APIs, one file each.

mod image;
mod other_api;

use tenantry_core::rules::{Findings, OwnerView, RuleSet};

use crate::types::{MARKED, UNMARKED};

/// The rules of this provider.
pub fn rules() -> RuleSet {
    RuleSet { rules: vec![&other_api::RULE, &image::RULE], check, claims: |_| Vec::new() }
}

fn check(view: &OwnerView<'_>, findings: &mut Findings<'_>) {
    for kind in [MARKED, UNMARKED] {
        for desired in view.of(kind) {
            other_api::check(desired, findings);
            image::check(desired, findings);
        }
    }
}

//! Rules for what Stripe takes and bills otherwise than is meant, one file each.

mod amount;
mod feature;
mod intervals;
mod lookup;
mod price;

use tenantry_core::rules::{Findings, OwnerView, RuleSet};

/// The rules of this provider.
pub fn rules() -> RuleSet {
    RuleSet {
        rules: vec![&price::RULE, &intervals::RULE, &amount::RULE, &feature::RULE],
        check,
        claims: |_| Vec::new(),
    }
}

fn check(view: &OwnerView<'_>, findings: &mut Findings<'_>) {
    price::check(view, findings);
    intervals::check(view, findings);
    amount::check(view, findings);
    feature::check(view, findings);
}

//! Rules for what one server of this family takes and another does not, or what fails later, one file each.

mod migration;
mod user_name;

use tenantry_core::rules::{Findings, OwnerView, RuleSet};

use crate::types::{grant, user};

/// The rules of this provider.
pub fn rules() -> RuleSet {
    RuleSet { rules: vec![&user_name::RULE, &migration::RULE, &user_name::OF_SERVER], check, claims: |_| Vec::new() }
}

fn check(view: &OwnerView<'_>, findings: &mut Findings<'_>) {
    view.of(user::NAME).for_each(|user| user_name::check(view, user, findings));
    view.of(grant::NAME).for_each(|grant| migration::check(grant, findings));
}

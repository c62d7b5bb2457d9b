//! Rules for policies that say less, or more, than is meant, one file each.

mod account;
mod effect;
mod other_bucket;
mod statement;

use tenantry_core::model::value::Value;
use tenantry_core::rules::{Findings, OwnerView, RuleSet};

use crate::types::{bucket, user};
use statement::statements;

/// The rules of this provider.
pub fn rules() -> RuleSet {
    RuleSet { rules: vec![&other_bucket::RULE, &effect::RULE, &account::RULE], check, claims: |_| Vec::new() }
}

fn check(view: &OwnerView<'_>, findings: &mut Findings<'_>) {
    for desired in view.of(bucket::NAME) {
        let name = desired.spec.get("name").and_then(Value::as_str);
        for statement in statements(desired) {
            if let Some(name) = name {
                other_bucket::check(desired, name, &statement, findings);
            }
            effect::check(desired, &statement, findings);
            account::check(desired, &statement, findings);
        }
    }
    for desired in view.of(user::NAME) {
        statements(desired).iter().for_each(|statement| effect::check(desired, statement, findings));
    }
}

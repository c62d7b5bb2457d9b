//! Rules for what PostgreSQL takes and what isolates nobody, one file each.

mod condition;
mod enabled;
mod forced;
mod quotes;
mod setting;

use tenantry_core::model::resource::Desired;
use tenantry_core::rules::{Findings, OwnerView, Rule, RuleSet};

type Check = fn(&Desired, &mut Findings<'_>);

/// Rules that look at one row security policy.
const POLICIES: &[(&Rule, Check)] = &[
    (&forced::RULE, forced::check),
    (&enabled::RULE, enabled::check),
    (&condition::RULE, condition::check),
    (&setting::RULE, setting::check),
];

/// The rules of this provider.
pub fn rules() -> RuleSet {
    let rules = POLICIES.iter().map(|(rule, _)| *rule).chain([&quotes::RULE]).collect();
    RuleSet { rules, check, claims: |_| Vec::new() }
}

fn check(view: &OwnerView<'_>, findings: &mut Findings<'_>) {
    for policy in view.of(crate::types::policy::NAME) {
        for (rule, check) in POLICIES {
            if findings.is_on(rule) {
                check(policy, findings);
            }
        }
    }
    forced::check_scripts(view, findings);
    view.of(crate::types::script::NAME).for_each(|script| setting::check(script, findings));
    if findings.is_on(&quotes::RULE) {
        quotes::check(view, findings);
    }
}

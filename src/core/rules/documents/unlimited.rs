//! A number that stands for no limit, where values are the user's own.

use crate::diagnostics::codes;
use crate::model::clear::words;
use crate::model::config::Level;
use crate::model::quantity::Quota;
use crate::model::value::Value;
use crate::rules::{Findings, Inputs, Rule};

pub const RULE: Rule = Rule {
    code: codes::NUMBER_FOR_UNLIMITED,
    level: Level::Warning,
    cause: "Each system has its own number for no limit. One that is written into a value goes into each of them as it is, and means nothing or everything there.",
    example: "
kind: Tier
metadata: {name: enterprise}
spec: {rank: 3, quotas: {users: 0}, values: {max_projects: -1}}   # meant: unlimited",
    remedy: "Make it a quota and write `unlimited`; `unlimited(quota, VALUE)` in a blueprint writes what each system needs.",
};

/// Words that make a limit of a value.
const LIMITS: [&str; 5] = ["limit", "limits", "max", "maximum", "quota"];

/// Quotas of which nobody sells none.
const NEVER_NONE: [&str; 6] = ["members", "records", "rows", "seats", "storage", "users"];

/// Whether a quota is none of what nobody sells none of.
fn is_none_at_all(name: &str, quota: &Quota) -> bool {
    is_zero(quota) && words(name).iter().any(|word| NEVER_NONE.contains(&&**word))
}

fn is_zero(quota: &Quota) -> bool {
    matches!(quota, Quota::Limited(quantity) if quantity.value() == 0)
}

pub fn check(inputs: &Inputs<'_>, findings: &mut Findings<'_>) {
    for tenant in &inputs.estate.tenants {
        for (name, _) in tenant.spec.quotas.iter().filter(|(name, quota)| is_none_at_all(name, quota)) {
            let message = format!("the quota `{name}` of tenant `{}` is 0, which allows none", tenant.metadata.name);
            let origin = tenant.positions.origin(&format!("/spec/quotas/{name}"));
            findings.add_at(&RULE, origin, "none at all", message, "write `unlimited` if there is no limit");
        }
    }
    let highest = inputs.estate.tiers.iter().map(|tier| tier.spec.rank).max();
    for tier in &inputs.estate.tiers {
        for (name, _) in tier.spec.quotas.iter().filter(|(name, quota)| is_none_at_all(name, quota)) {
            // With a lower rank that has more, the finding is that one's.
            let is_compared = inputs.estate.tiers.iter().any(|lower| {
                lower.spec.rank < tier.spec.rank && lower.spec.quotas.get(name).is_some_and(|quota| !is_zero(quota))
            });
            if is_compared || Some(tier.spec.rank) != highest {
                continue;
            }
            let message = format!("the quota `{name}` of tier `{}` is 0, which allows none", tier.metadata.name);
            let origin = tier.positions.origin(&format!("/spec/quotas/{name}"));
            let help = "write `unlimited` if there is no limit";
            findings.add_at(&RULE, origin, "none at all", message, help);
        }
    }
    let tiers =
        inputs.estate.tiers.iter().map(|tier| ("tier", &tier.metadata.name, &tier.spec.values, &tier.positions));
    let tenants = inputs.estate.tenants.iter();
    let tenants = tenants.map(|tenant| ("tenant", &tenant.metadata.name, &tenant.spec.values, &tenant.positions));
    for (sort, name, values, positions) in tiers.chain(tenants) {
        for (key, value) in values {
            value.for_each_leaf(&mut |pointer, leaf| {
                let whole = format!("/{key}{pointer}");
                if *leaf != Value::Integer(-1)
                    || !whole.split('/').any(|key| words(key).iter().any(|word| LIMITS.contains(&&**word)))
                {
                    return;
                }
                let message =
                    format!("`values{}` of {sort} `{name}` is -1, which is not a limit", whole.replace('/', "."));
                let origin = positions.origin(&format!("/spec/values{whole}"));
                findings.add_at(&RULE, origin, "no limit is meant", message, "make it a quota and write `unlimited`");
            });
        }
    }
}

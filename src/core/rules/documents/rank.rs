//! A higher rank with a lower quota.

use std::collections::BTreeMap;

use crate::diagnostics::codes;
use crate::model::clear::words;
use crate::model::config::Level;
use crate::model::document::{Document, TierSpec};
use crate::model::quantity::Quota;
use crate::rules::{Findings, Inputs, Rule};

pub const RULE: Rule = Rule {
    code: codes::RANK_AND_QUOTA,
    level: Level::Warning,
    cause: "The rank is the order of upgrades. A tenant that upgrades would get less of this quota, and one that downgrades more.",
    example: "
kind: Tier
metadata: {name: standard}
spec: {rank: 1, quotas: {users: 25}}
---
kind: Tier
metadata: {name: enterprise}
spec: {rank: 3, quotas: {users: 0}}   # meant: unlimited",
    remedy: "Raise the quota, write `unlimited` if there is no limit, or change the ranks.",
};

/// Words of names of quotas of which less is better, such as the hours until an answer.
const LESS_IS_BETTER: [&str; 11] =
    ["cooldown", "delay", "interval", "latency", "min", "minimum", "notice", "response", "timeout", "ttl", "window"];

pub fn check(inputs: &Inputs<'_>, findings: &mut Findings<'_>) {
    let mut tiers: Vec<&Document<TierSpec>> = inputs.estate.tiers.iter().collect();
    tiers.sort_by_key(|tier| tier.spec.rank);
    // Of each quota, the highest of the ranks below, and the tier that has it.
    let mut highest: BTreeMap<&str, (&Quota, &Document<TierSpec>)> = BTreeMap::new();
    for of_one_rank in tiers.chunk_by(|one, other| one.spec.rank == other.spec.rank) {
        for tier in of_one_rank {
            for (name, quota) in &tier.spec.quotas {
                if words(name).iter().any(|word| LESS_IS_BETTER.contains(&&**word)) {
                    continue;
                }
                let Some((most, lower)) = highest.get(&**name).filter(|(most, _)| is_less(quota, most)) else {
                    continue;
                };
                let place = format!("/spec/quotas/{name}");
                let message = format!(
                    "tier `{}` has rank {} and a quota `{name}` of {}, but tier `{}` of rank {} has {}",
                    tier.metadata.name,
                    tier.spec.rank,
                    readable(quota),
                    lower.metadata.name,
                    lower.spec.rank,
                    readable(most)
                );
                let help = match quota {
                    Quota::Limited(quantity) if quantity.value() == 0 => "write `unlimited` if there is no limit",
                    _ => "raise the quota, or change the ranks",
                };
                findings.add_at(&RULE, tier.positions.origin(&place), "lower than in a lower rank", message, help);
                findings.related(lower.positions.origin(&place), "higher here");
            }
        }
        for tier in of_one_rank {
            for (name, quota) in &tier.spec.quotas {
                let entry = highest.entry(name).or_insert((quota, tier));
                if is_less(entry.0, quota) {
                    *entry = (quota, tier);
                }
            }
        }
    }
}

fn is_less(one: &Quota, other: &Quota) -> bool {
    match (one, other) {
        (Quota::Limited(_), Quota::Unlimited) => true,
        (Quota::Limited(one), Quota::Limited(other)) => one.value() < other.value(),
        (Quota::Unlimited, _) => false,
    }
}

fn readable(quota: &Quota) -> String {
    match quota {
        Quota::Unlimited => "unlimited".to_owned(),
        Quota::Limited(quantity) => quantity.to_string(),
    }
}

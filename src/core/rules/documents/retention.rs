//! How long the data of a deleted tenant is kept.

use crate::diagnostics::codes;
use crate::model::clear::words;
use crate::model::config::Level;
use crate::model::document::Phase;
use crate::rules::{Findings, Inputs, Rule};

pub const RULE: Rule = Rule {
    code: codes::RETENTION_OUT_OF_RANGE,
    level: Level::Warning,
    cause: "The data of a deleted tenant is usually kept for 30 to 90 days: long enough to take a deletion back, and short enough for the right to erasure.",
    example: "
kind: Tier
metadata: {name: starter}
spec: {rank: 1, values: {deletion: {retention_days: 7}}}",
    remedy: "Write 30 to 90, or switch the rule off if a contract or law says otherwise.",
};

pub fn check(inputs: &Inputs<'_>, findings: &mut Findings<'_>) {
    let tiers = inputs.estate.tiers.iter();
    let tiers = tiers.map(|tier| ("tier", &tier.metadata.name, &tier.spec.values, &tier.positions, false));
    let tenants = inputs.estate.tenants.iter().map(|tenant| {
        let deleting = matches!(tenant.spec.phase, Phase::Deleting | Phase::Deleted);
        ("tenant", &tenant.metadata.name, &tenant.spec.values, &tenant.positions, deleting)
    });
    for (sort, name, values, positions, deleting) in tiers.chain(tenants) {
        for (key, value) in values {
            value.for_each_leaf(&mut |pointer, leaf| {
                let whole = format!("/{key}{pointer}");
                let Some(days) = leaf.as_integer().filter(|days| !(30..=90).contains(days)) else { return };
                // Of a tenant that is being deleted, retention can only be that.
                let is_short = deleting && days < 30 && is_retention(&whole);
                if !is_short && !is_retention_of_deleted(&whole) {
                    return;
                }
                let path = whole.replace('/', ".");
                let message = format!("`values{path}` of {sort} `{name}` keeps deleted data for {days} days");
                let origin = positions.origin(&format!("/spec/values{whole}"));
                findings.add_at(
                    &RULE,
                    origin,
                    "usual are 30 to 90 days",
                    message,
                    "write 30 to 90, or switch the rule off",
                );
            });
        }
    }
}

/// Whether a value of the tenant is called retention in days: one in a group of settings may be that of something else.
fn is_retention(pointer: &str) -> bool {
    let words = words(pointer);
    pointer.matches('/').count() == 1
        && words.iter().any(|word| matches!(&**word, "retention" | "grace"))
        && words.last().is_some_and(|last| last == "days")
}

/// Whether a value is days of retention after a deletion: of logs or backups it says nothing.
fn is_retention_of_deleted(pointer: &str) -> bool {
    let all: Vec<String> = pointer.split('/').flat_map(words).collect();
    let has = |names: &[&str]| all.iter().any(|word| names.contains(&&**word));
    has(&["retention", "grace"])
        && all.last().is_some_and(|last| last == "days")
        && has(&["delete", "deleted", "deleting", "deletion", "offboarding", "erasure"])
}

#[cfg(test)]
mod tests {
    use super::is_retention_of_deleted;

    #[test]
    fn only_the_retention_of_what_is_deleted_counts() {
        for pointer in ["/soft_delete_retention_days", "/deletion/retentionDays", "/offboarding/grace_days"] {
            assert!(is_retention_of_deleted(pointer), "{pointer}");
        }
        for pointer in ["/log_retention_days", "/retention_days", "/deletion/hours", "/deletion/retention"] {
            assert!(!is_retention_of_deleted(pointer), "{pointer}");
        }
    }
}

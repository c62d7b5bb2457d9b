//! Rules for keys that the product shares with the estate, one file each.

mod counter;

use tenantry_core::rules::RuleSet;

/// The rules of this provider.
pub fn rules() -> RuleSet {
    RuleSet { rules: vec![&counter::RULE], check: counter::check, claims: |_| Vec::new() }
}

//! A feature that the tenant's own tier does not have.

use crate::collections::{HashMap, HashSet};
use crate::diagnostics::codes;
use crate::model::config::Level;
use crate::rules::{Findings, Inputs, Rule};

pub const RULE: Rule = Rule {
    code: codes::FEATURE_OF_OTHER_TIER,
    level: Level::Warning,
    cause: "A tenant gets the feature without being on a tier that has it, so it may not be paid for.",
    example: "
kind: Tenant
metadata: {name: acme}
spec: {tier: standard, features: [dedicated_support]}   # a feature of `enterprise`",
    remedy: "Remove the feature, change the tier, add the feature to the tier, or list it in `rules.add_ons` if tenants of any tier may have it.",
};

pub fn check(inputs: &Inputs<'_>, findings: &mut Findings<'_>) {
    let add_ons = &inputs.estate.config.rules.add_ons;
    let mut of_tier: HashMap<&str, HashSet<&str>> = HashMap::default();
    let mut has_it: HashMap<&str, &str> = HashMap::default();
    for tier in &inputs.estate.tiers {
        let features = of_tier.entry(tier.metadata.name.as_str()).or_default();
        for feature in &tier.spec.features {
            features.insert(feature);
            has_it.entry(feature).or_insert(tier.metadata.name.as_str());
        }
    }
    for tenant in &inputs.estate.tenants {
        let tier = tenant.spec.tier.as_str();
        let Some(own) = of_tier.get(tier) else { continue };
        for (index, feature) in tenant.spec.features.iter().enumerate() {
            // What no tier has is an error of its own.
            let Some(other) =
                has_it.get(&**feature).filter(|_| !own.contains(&**feature) && !add_ons.contains(feature))
            else {
                continue;
            };
            let name = &tenant.metadata.name;
            let message = format!(
                "tenant `{name}` has the feature `{feature}`, which tier `{other}` has, and its own tier `{tier}` has not"
            );
            let help = format!(
                "remove it, move the tenant to `{other}`, or add it to `rules.add_ons` in tenantry.toml if tenants of any tier may have it"
            );
            let origin = tenant.positions.origin(&format!("/spec/features/{index}"));
            findings.add_at(&RULE, origin, format!("not a feature of `{tier}`"), message, help);
        }
    }
}

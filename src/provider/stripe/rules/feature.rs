//! A feature that nothing makes.

use crate::types::{feature, product};
use tenantry_core::diagnostics::{codes, nearest};
use tenantry_core::model::config::Level;
use tenantry_core::model::value::Value;
use tenantry_core::rules::{Findings, OwnerView, Rule, is_elsewhere};

pub const RULE: Rule = Rule {
    code: codes::FEATURE_NOT_MADE,
    level: Level::Warning,
    cause: "A product cannot have a feature that does not exist: it is not written, nor are its prices and who pays them.",
    example: "
kind: stripe.product
spec: {features: [sso, audit-log], …}   # and no stripe.feature with `lookupKey: audit-log`",
    remedy: "Add the feature to a blueprint of the estate, or correct its lookup key. If it was made in the dashboard, list it in `rules.elsewhere`, such as `stripe.feature/audit-*`.",
};

pub fn check(view: &OwnerView<'_>, findings: &mut Findings<'_>) {
    if !findings.is_on(&RULE) {
        return;
    }
    for product in view.of(product::NAME) {
        let named = product.spec.get("features").and_then(Value::as_list).unwrap_or_default();
        let mut known: Vec<&str> = view
            .known(feature::NAME, &product.target)
            .filter_map(|feature| feature.spec.get("lookupKey").and_then(Value::as_str))
            .collect();
        known.sort_unstable();
        for (index, named) in named.iter().enumerate() {
            let Some(key) = named.as_str().filter(|key| !key.starts_with("feat_")) else { continue };
            if known.binary_search(&key).is_ok() || is_elsewhere(view.settings, &format!("stripe.feature/{key}")) {
                continue;
            }
            let help = match nearest(key, known.iter().copied()) {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => format!(
                    "add a stripe.feature with `lookupKey: {key}`, or list `stripe.feature/{key}` in `rules.elsewhere` of tenantry.toml"
                ),
            };
            let message = format!("nothing makes a feature with the lookup key `{key}`");
            findings.add(&RULE, product, format!("/features/{index}"), message, help);
        }
    }
}

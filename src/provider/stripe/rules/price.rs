//! A price that nothing makes.

use super::lookup::{find, named};
use crate::types::{price, subscription};
use tenantry_core::diagnostics::{codes, nearest};
use tenantry_core::model::config::Level;
use tenantry_core::model::value::Value;
use tenantry_core::rules::{Findings, OwnerView, Rule, is_elsewhere};

pub const RULE: Rule = Rule {
    code: codes::PRICE_NOT_MADE,
    level: Level::Warning,
    cause: "A subscription cannot be created with a price that does not exist: the tenant is applied up to its bill, and is not billed.",
    example: "
kind: stripe.subscription
spec: {price: starter_annual, …}   # and no stripe.price with `lookupKey: starter_annual`",
    remedy: "Add the price to the blueprint of the estate, the tier or the tenant, or correct its lookup key. If it was made in the dashboard, list it in `rules.elsewhere`, such as `stripe.price/starter_*`.",
};

pub fn check(view: &OwnerView<'_>, findings: &mut Findings<'_>) {
    if !findings.is_on(&RULE) {
        return;
    }
    for subscription in view.of(subscription::NAME) {
        for named in named(subscription) {
            // One known after apply is made; one by its id exists.
            let Some(key) = named.value.as_str().filter(|key| !key.starts_with("price_")) else { continue };
            if find(view, subscription, named.value).is_some()
                || is_elsewhere(view.settings, &format!("stripe.price/{key}"))
            {
                continue;
            }
            let mut known: Vec<&str> = view
                .known(price::NAME, &subscription.target)
                .filter_map(|price| price.spec.get("lookupKey").and_then(Value::as_str))
                .collect();
            known.sort_unstable();
            known.dedup();
            let help = match nearest(key, known.iter().copied()) {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None if known.is_empty() || known.len() > 12 => format!(
                    "add a stripe.price with `lookupKey: {key}`, or list `stripe.price/{key}` in `rules.elsewhere` of tenantry.toml"
                ),
                None => format!(
                    "prices of the estate are {}; list `stripe.price/{key}` in `rules.elsewhere` of tenantry.toml if it was made elsewhere",
                    known.join(", ")
                ),
            };
            let message = format!("nothing makes a price with the lookup key `{key}`");
            findings.add(&RULE, subscription, named.pointer, message, help);
        }
    }
}

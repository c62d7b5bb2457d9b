//! An amount that is probably written in cents.

use crate::money;
use crate::types::price;
use tenantry_core::diagnostics::codes;
use tenantry_core::model::config::Level;
use tenantry_core::model::value::Value;
use tenantry_core::rules::documents::{in_cents, is_probably_cents};
use tenantry_core::rules::{Findings, OwnerView, Rule};

pub const RULE: Rule = Rule {
    code: codes::PRICE_IN_CENTS,
    level: Level::Warning,
    cause: "Stripe's API takes cents; a `stripe.price` takes the main unit of the currency, and sends the cents itself. An amount in cents charges a hundred times too much.",
    example: "
kind: stripe.price
spec: {lookupKey: starter, currency: usd, amount: \"4900\", interval: month, …}   # meant: $49",
    remedy: "Write `\"49.00\"`. If the large amount is meant, write its decimals: `\"4900.00\"`.",
};

pub fn check(view: &OwnerView<'_>, findings: &mut Findings<'_>) {
    if !findings.is_on(&RULE) {
        return;
    }
    for price in view.of(price::NAME) {
        // As it is written: the normal form has decimals. What comes from a tier is checked there.
        let written = view.template(price).and_then(|template| template.get("amount")).and_then(Value::as_str);
        let currency = price.spec.get("currency").and_then(Value::as_str).unwrap_or_default();
        let Some(amount) =
            written.filter(|amount| money::decimals(currency).allowed == 2 && is_probably_cents(amount, currency))
        else {
            continue;
        };
        let meant = in_cents(amount);
        let message = format!("the amount is {amount} {currency}, which looks like cents");
        let help = format!("write \"{meant}\" if cents are meant, and else \"{amount}.00\"");
        findings.add(&RULE, price, "/amount", message, help);
    }
}

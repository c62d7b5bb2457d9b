//! An amount that is probably written in cents.

use crate::money;
use crate::types::{coupon, price};
use tenantry_core::diagnostics::codes;
use tenantry_core::model::config::Level;
use tenantry_core::model::resource::Desired;
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
        // As it is written: the normal form has decimals. What comes from a tenant's tier is checked there.
        let Some(template) = view.template(price) else { continue };
        let tiers = template.get("tiers").and_then(Value::as_list).unwrap_or_default();
        let of_tiers = tiers.iter().enumerate().flat_map(|(index, tier)| {
            let amount = move |field: &str| Some((format!("/tiers/{index}/{field}"), tier.get(field)?.as_str()?));
            ["amount", "flatAmount"].into_iter().filter_map(amount)
        });
        let of_all = template.get("amount").and_then(Value::as_str).map(|amount| ("/amount".to_owned(), amount));
        for (pointer, amount) in of_all.into_iter().chain(of_tiers) {
            told(price, &pointer, amount, findings);
        }
    }
    for coupon in view.of(coupon::NAME) {
        let written = view.template(coupon).and_then(|template| template.get("amountOff")).and_then(Value::as_str);
        if let Some(amount) = written {
            told(coupon, "/amountOff", amount, findings);
        }
    }
}

fn told(desired: &Desired, pointer: &str, amount: &str, findings: &mut Findings<'_>) {
    let currency = desired.spec.get("currency").and_then(Value::as_str).unwrap_or_default();
    if money::decimals(currency).allowed != 2 || !is_probably_cents(amount, currency) {
        return;
    }
    let meant = in_cents(amount);
    let message = format!("the amount is {amount} {currency}, which looks like cents");
    let help = format!("write \"{meant}\" if cents are meant, and else \"{amount}.00\"");
    findings.add(&RULE, desired, pointer, message, help);
}

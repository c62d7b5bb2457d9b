//! Prices of one subscription with different intervals.

use super::lookup::{find, named};
use crate::types::subscription;
use tenantry_core::diagnostics::codes;
use tenantry_core::model::config::Level;
use tenantry_core::model::resource::Desired;
use tenantry_core::model::value::Value;
use tenantry_core::rules::{Findings, OwnerView, Rule};

pub const RULE: Rule = Rule {
    code: codes::INTERVALS_DIFFER,
    level: Level::Warning,
    cause: "All prices of a subscription are billed in one rhythm. Stripe refuses a yearly price beside one that is metered by the month.",
    example: "
- {id: base,  kind: stripe.price, spec: {lookupKey: base, interval: year, …}}
- {id: calls, kind: stripe.price, spec: {lookupKey: calls, interval: month, usage: metered, …}}
- {id: subscription, kind: stripe.subscription, spec: {price: base, addOns: [calls], …}}",
    remedy: "Give all prices one interval, or make a second subscription for the metered ones.",
};

pub fn check(view: &OwnerView<'_>, findings: &mut Findings<'_>) {
    if !findings.is_on(&RULE) {
        return;
    }
    for subscription in view.of(subscription::NAME) {
        let priced = named(subscription).into_iter();
        let mut priced = priced.filter_map(|named| Some((named.pointer, find(view, subscription, named.value)?)));
        let Some((_, main)) = priced.next() else { continue };
        for (pointer, other) in priced {
            let (one, another) = (interval(main), interval(other));
            if let (Some(one), Some(another)) = (one, another)
                && one != another
            {
                let message = format!(
                    "price `{}` is billed every {another}, and price `{}` of the same subscription every {one}",
                    other.address.id, main.address.id
                );
                let help = "give all prices one interval, or make a second subscription for the others";
                findings.add(&RULE, subscription, pointer, message, help);
            }
        }
    }
}

/// How often a price is paid, such as `month` or `3 months`; `None` if it is paid once, or not known yet.
fn interval(price: &Desired) -> Option<String> {
    let interval = price.spec.get("interval").and_then(Value::as_str)?;
    match price.spec.get("intervalCount").and_then(Value::as_integer) {
        None | Some(1) => Some(interval.to_owned()),
        Some(count) => Some(format!("{count} {interval}s")),
    }
}

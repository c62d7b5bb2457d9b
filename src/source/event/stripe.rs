//! Stripe's events (<https://docs.stripe.com/api/events/types>): those of subscriptions, and failed payments of their invoices.
//!
//! Only what a subscription is now is read from an event, never what it was before, because events come in any order and more than
//! once (<https://docs.stripe.com/webhooks#event-ordering>).

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value as Json;

use super::{Event, Read, Refused, What};
use tenantry_core::model::config::{EventsTable, StripeEvents, StripePhases};
use tenantry_core::model::document::Phase;

pub fn read(json: &Json, table: &EventsTable) -> Result<Read, Refused> {
    let Some(rules) = &table.stripe else {
        let help = "add the table [events.stripe] with `secret`, and with `prices` for the tiers";
        return Err(Refused::new("tenantry.toml does not say how events of Stripe are to be read", help));
    };
    let text = |pointer: &str| json.pointer(pointer).and_then(Json::as_str);
    let missing = |field: &str| {
        let help = "give the body of the webhook's request as it was received";
        Refused::new(format!("the event of Stripe has no `{field}`"), help)
    };
    let id = text("/id").ok_or_else(|| missing("id"))?.to_owned();
    let sort = text("/type").ok_or_else(|| missing("type"))?;
    let what = match sort {
        "customer.subscription.created" => What::Created,
        "customer.subscription.updated" | "customer.subscription.paused" | "customer.subscription.resumed" => {
            What::Updated
        }
        "customer.subscription.deleted" => What::Cancelled,
        "invoice.payment_failed" if is_of_subscription(&json["data"]["object"]) => What::PaymentFailed,
        _ => return Ok(Read::Other { id, sort: sort.to_owned() }),
    };
    let second = json["created"].as_i64().ok_or_else(|| missing("created"))?;
    let time = Timestamp::from_second(second).map_err(|_| missing("created"))?;
    let object = &json["data"]["object"];
    let customer = id_of(&object["customer"]);
    let metadata = |key: &str| {
        // An invoice repeats the subscription's metadata, since 2025-03-31 below `parent`.
        let places = ["/metadata", "/parent/subscription_details/metadata", "/subscription_details/metadata"];
        let places = if what == What::PaymentFailed { &places[1..] } else { &places[..1] };
        places.iter().find_map(|place| object.pointer(place)?.get(key)?.as_str().map(str::to_owned))
    };
    let is_current = matches!(what, What::Created | What::Updated);
    Ok(Read::Event(Box::new(Event {
        tier: if is_current { tier(object, rules)? } else { None },
        phase: object["status"].as_str().filter(|_| is_current).and_then(|status| phase(&rules.phases, status)),
        tenant: rules.metadata.as_deref().and_then(metadata),
        external: rules.customer.as_ref().zip(customer).map(|(field, id)| (field.to_string(), id.to_owned())),
        display_name: rules.display_name.as_deref().and_then(metadata),
        set: Vec::new(),
        id,
        time,
        what,
    })))
}

/// The id of an object that an answer has as its id or, expanded, as a whole.
fn id_of(json: &Json) -> Option<&str> {
    json.as_str().or_else(|| json.get("id")?.as_str())
}

/// An invoice of a single payment is about no tier.
fn is_of_subscription(invoice: &Json) -> bool {
    let places = ["/parent/subscription_details/subscription", "/subscription"];
    places.iter().any(|place| invoice.pointer(place).is_some_and(|found| id_of(found).is_some()))
}

/// The tier that is sold at one of the subscription's prices. Others may be for what is metered or added.
fn tier(subscription: &Json, rules: &StripeEvents) -> Result<Option<String>, Refused> {
    if rules.prices.is_empty() {
        return Ok(None);
    }
    let (mut tiers, mut ids) = (BTreeSet::new(), Vec::new());
    for item in subscription.pointer("/items/data").and_then(Json::as_array).into_iter().flatten() {
        let price = &item["price"];
        let names = [id_of(price), price["lookup_key"].as_str(), id_of(&price["product"])];
        let sold = rules.prices.iter().find(|known| names.contains(&Some(&known.price)));
        tiers.extend(sold.map(|sold| sold.tier.to_string()));
        ids.extend(id_of(price).map(str::to_owned));
    }
    let mut found = tiers.iter();
    match (found.next(), found.next()) {
        (Some(tier), None) => Ok(Some(tier.clone())),
        (None, _) => Err(Refused::new(
            format!("no tier is sold at the subscription's prices: {}", ids.join(", ")),
            "add an entry [[events.stripe.prices]] with `price` and `tier` to tenantry.toml",
        )),
        (Some(one), Some(other)) => Err(Refused::new(
            format!("the subscription has the prices of several tiers: {one} and {other}"),
            "keep one of them in the subscription",
        )),
    }
}

fn phase(phases: &StripePhases, status: &str) -> Option<Phase> {
    let StripePhases { incomplete, incomplete_expired, trialing, active, past_due, unpaid, paused } = phases;
    match status {
        "incomplete" => *incomplete,
        "incomplete_expired" => *incomplete_expired,
        "trialing" => *trialing,
        "active" => *active,
        "past_due" => *past_due,
        "unpaid" => *unpaid,
        "paused" => *paused,
        _ => None,
    }
}

//! What a subscription schedule says of the time after the period that has been paid for.
//!
//! A schedule has phases, each with items of its own; what is one phase's end is the next one's start
//! (<https://docs.stripe.com/billing/subscriptions/subscription-schedules>). Ours has two: the period that runs, as it was
//! paid for, and what comes then. Its phases name prices by id only, so the names that the spec has for them are noted in
//! its metadata.

use serde_json::{Value as Json, json};

use super::form::Form;
use super::mark;

/// With what the notes of names begin: the place of an item, as in `tenantry_price_0`. Their value is `price_…=name`.
const NAMES: &str = "tenantry_price_";

/// An item of a phase: Stripe's id of its price, and how many units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub price: String,
    pub quantity: Option<u64>,
}

/// The schedule of a subscription, if it was answered whole.
pub fn of(subscription: &Json) -> Option<&Json> {
    subscription.get("schedule").filter(|schedule| schedule.is_object())
}

/// Whether a subscription's schedule is of the estate that the subscription is of: by its mark or, between its creation,
/// which cannot mark it, and the request after that, because the subscription says that one is to be made in this period.
pub fn is_ours(subscription: &Json) -> bool {
    let (Some(schedule), Some(owner)) = (of(subscription), mark::read(subscription)) else { return false };
    match mark::read(schedule) {
        Some(mark) => mark.is_of(&owner.estate) || owner.is_of(&mark.estate),
        None => {
            let end = schedule.pointer("/current_phase/end_date").and_then(Json::as_i64);
            let noted = mark::note(subscription, mark::LATER);
            noted.is_some() && noted == end.map(|end| end.to_string()).as_deref()
        }
    }
}

/// Whether a subscription has a schedule that carries its mark.
pub fn is_marked(subscription: &Json) -> bool {
    of(subscription).is_some_and(|schedule| mark::read(schedule).is_some())
}

/// The second of the epoch at which the period ends that runs. Each item tells it, since they may differ.
pub fn period_end(subscription: &Json) -> Option<i64> {
    let items = subscription.pointer("/items/data").and_then(Json::as_array)?;
    items.iter().filter_map(|item| item.get("current_period_end")?.as_i64()).min()
}

/// The phase that comes after this one, and the second of the epoch at which it begins.
pub fn next_phase(subscription: &Json) -> Option<(&Json, i64)> {
    let schedule = of(subscription).filter(|_| is_ours(subscription))?;
    let end = schedule.pointer("/current_phase/end_date")?.as_i64()?;
    let phases = schedule.get("phases")?.as_array()?;
    let next = phases.iter().find(|phase| phase.get("start_date").and_then(Json::as_i64) == Some(end))?;
    Some((next, end))
}

pub fn items(phase: &Json) -> Vec<Item> {
    let items = phase.get("items").and_then(Json::as_array).into_iter().flatten();
    let item = |item: &Json| {
        let price = item.get("price")?;
        let price = price.as_str().or_else(|| price.get("id")?.as_str())?.to_owned();
        Some(Item { price, quantity: item.get("quantity").and_then(Json::as_u64) })
    };
    items.filter_map(item).collect()
}

/// Whether a subscription ends with its period because a date says so, as Stripe's portal does it where billing is flexible
/// (<https://docs.stripe.com/changelog/basil/2025-05-28/cancel-at-enums>). A later date is a contract of somebody else's.
pub fn ends_by_date(subscription: &Json) -> bool {
    let is_flagged = subscription.get("cancel_at_period_end").and_then(Json::as_bool) == Some(true);
    let date = subscription.get("cancel_at").and_then(Json::as_i64).filter(|_| !is_flagged);
    date.zip(period_end(subscription)).is_some_and(|(date, end)| date <= end)
}

/// A subscription with the items that it has from the next period on, if that is known to be others.
pub fn after_this_period(subscription: &Json) -> Option<Json> {
    let (phase, _) = next_phase(subscription)?;
    let notes = of(subscription)?.get("metadata").and_then(Json::as_object);
    let name = |price: &str| {
        let mut notes = notes?.iter().filter(|(key, _)| key.starts_with(NAMES));
        notes.find_map(|(_, note)| note.as_str()?.strip_prefix(price)?.strip_prefix('='))
    };
    let items = items(phase).into_iter().map(
        |Item { price, quantity }| json!({"price": {"id": price, "lookup_key": name(&price)}, "quantity": quantity}),
    );
    let mut later = subscription.clone();
    later["items"] = json!({"data": items.collect::<Vec<_>>()});
    Some(later)
}

/// When a change that waits takes effect, in words.
pub fn coming(subscription: &Json) -> Option<String> {
    let (_, begins) = next_phase(subscription)?;
    let day = jiff::Timestamp::from_second(begins).ok()?.strftime("%Y-%m-%d");
    Some(format!("its price changes on {day}, when the period that was paid for ends"))
}

/// Notes what the spec calls each price.
pub fn names<'a>(items: impl Iterator<Item = (&'a Item, &'a str)>) -> Form {
    let mut form = Form::new();
    for (index, (item, name)) in items.enumerate() {
        form.set(format!("metadata[{NAMES}{index}]"), format!("{}={name}", item.price));
    }
    form
}

/// What a price costs in a year, in millionths of a millionth of the currency's smallest unit; `None` if that depends on
/// how much is used.
pub fn yearly(price: &Json, quantity: u64) -> Option<i128> {
    let text = |pointer: &str| price.pointer(pointer).and_then(Json::as_str);
    if text("/billing_scheme") == Some("tiered") {
        return None;
    }
    let decimal = text("/unit_amount_decimal").map(str::to_owned);
    let amount = decimal.or_else(|| price.get("unit_amount")?.as_i64().map(|amount| amount.to_string()))?;
    let (whole, fraction) = amount.split_once('.').unwrap_or((&amount, ""));
    let amount: i128 = format!("{whole}{fraction:0<12.12}").parse().ok()?;
    let times = match text("/recurring/interval")? {
        "day" => 365,
        "week" => 52,
        "month" => 12,
        _ => 1,
    };
    let count =
        price.pointer("/recurring/interval_count").and_then(Json::as_u64).filter(|count| *count > 0).unwrap_or(1);
    Some(amount * i128::from(quantity) * times / i128::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscription(schedule_metadata: Json, own_note: bool) -> Json {
        let mut metadata = json!({"tenantry_estate": "shop", "tenantry_address": "acme/subscription"});
        if own_note {
            metadata["tenantry_later"] = "86400".into();
        }
        json!({"metadata": metadata, "items": {"data": []}, "schedule": {
        "metadata": schedule_metadata, "current_phase": {"start_date": 0, "end_date": 86_400},
        "phases": [
            {"start_date": 0, "end_date": 86_400, "items": [{"price": "price_pro", "quantity": 1}]},
            {"start_date": 86_400, "end_date": 172_800, "items": [{"price": "price_basic", "quantity": 2}]},
        ]}})
    }

    #[test]
    fn what_comes_is_known_from_a_schedule_of_ours_only() {
        let ours = json!({"tenantry_estate": "shop", "tenantry_address": "acme/subscription", "tenantry_price_0": "price_basic=basic"});
        let later = after_this_period(&subscription(ours.clone(), false)).expect("it changes");
        assert_eq!(
            later["items"]["data"][0],
            json!({"price": {"id": "price_basic", "lookup_key": "basic"}, "quantity": 2})
        );
        assert!(coming(&subscription(ours, false)).is_some_and(|reason| reason.contains("1970-01-02")));
        assert_eq!(after_this_period(&subscription(json!({}), false)), None);
        assert!(after_this_period(&subscription(json!({}), true)).is_some());
        let mut long_ago = subscription(json!({}), true);
        long_ago["metadata"]["tenantry_later"] = "3600".into();
        assert_eq!(after_this_period(&long_ago), None);
        let theirs = json!({"tenantry_estate": "other", "tenantry_address": "acme/subscription"});
        assert_eq!(after_this_period(&subscription(theirs, true)), None);
    }

    #[test]
    fn prices_are_compared_by_what_they_cost_in_a_year() {
        let price = |amount: &str, interval: &str| json!({"billing_scheme": "per_unit", "unit_amount_decimal": amount, "recurring": {"interval": interval, "interval_count": 1}});
        assert_eq!(yearly(&price("4900", "month"), 2), yearly(&price("117600", "year"), 1));
        assert!(yearly(&price("0.5", "month"), 1) < yearly(&price("0.500000000001", "month"), 1));
        assert!(yearly(&price("49000", "year"), 1) < yearly(&price("4900", "month"), 1));
        assert_eq!(yearly(&json!({"billing_scheme": "tiered", "unit_amount": null}), 1), None);
    }
}

//! The prices that a subscription names.

use crate::types::price;
use tenantry_core::model::resource::Desired;
use tenantry_core::model::value::{Part, Value};
use tenantry_core::rules::OwnerView;

/// A price of a subscription: its pointer and name.
pub struct Named<'a> {
    pub pointer: String,
    pub value: &'a Value,
}

/// Every price that a subscription names.
pub fn named(subscription: &Desired) -> Vec<Named<'_>> {
    let main = subscription.spec.get("price").map(|value| Named { pointer: "/price".to_owned(), value });
    let add_ons = subscription.spec.get("addOns").and_then(Value::as_list).unwrap_or_default();
    let add_ons = add_ons.iter().enumerate();
    let add_ons = add_ons.map(|(index, value)| Named { pointer: format!("/addOns/{index}"), value });
    main.into_iter().chain(add_ons).collect()
}

/// The price that is meant, if the estate makes it: by its lookup key, or by its output `id`.
pub fn find<'a>(view: &OwnerView<'a>, subscription: &'a Desired, value: &Value) -> Option<&'a Desired> {
    let mut prices = view.known(price::NAME, &subscription.target);
    match value {
        Value::Text(key) => prices.find(|price| price.spec.get("lookupKey").and_then(Value::as_str) == Some(key)),
        Value::Deferred(deferred) => match deferred.parts.as_slice() {
            [Part::Output { address, .. }] => prices.find(|price| price.address == *address),
            _ => None,
        },
        _ => None,
    }
}

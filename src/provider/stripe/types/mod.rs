//! The kinds of this provider: their specs, and what the planner has to know about them.
//!
//! Normalising works on the map and not on the typed spec, because a desired spec may still hold deferred values.

pub mod coupon;
pub mod customer;
pub mod feature;
pub mod meter;
pub mod price;
pub mod product;
pub mod subscription;
pub mod webhook_endpoint;

use std::collections::BTreeMap;

use super::mark;
use tenantry_core::model::kind::{FieldReference, NameLimit};
use tenantry_core::model::spec::Problems;
use tenantry_core::model::value::{Map, Value, push_token};

tenantry_kit::kinds! {
    /// The kinds of this provider, in the order in which they depend on each other.
    pub enum StripeKind of "Stripe" {
        Feature = feature,
        Product = product,
        Meter = meter,
        Price = price,
        Coupon = coupon,
        Customer = customer,
        Subscription = subscription,
        WebhookEndpoint = webhook_endpoint,
    }
}

/// The user's own metadata, beside which the mark stands.
pub type Metadata = BTreeMap<String, String>;

/// The output that every kind has whose ids Stripe invents.
const ID: &[(&str, &str)] = &[("id", "Stripe's own id of it")];

/// Names of ours stand in metadata.
const KEY_LIMIT: NameLimit =
    NameLimit { pointer: "/key", bytes: mark::MOST_VALUE, source: "the values of Stripe's metadata" };

const fn reference(pointer: &'static str, kind: &'static str) -> FieldReference {
    FieldReference { pointer, kind, required: true }
}

fn check_name(problems: &mut Problems, spec: &Map, field: &str) {
    if spec.get(field).and_then(Value::as_str).is_some_and(|name| name.trim().is_empty()) {
        problems.add(format!("/{field}"), "a name cannot be empty");
    }
}

fn check_metadata(problems: &mut Problems, spec: &Map) {
    let Some(Value::Map(metadata)) = spec.get("metadata") else { return };
    if metadata.len() > mark::USER_KEYS {
        let message =
            format!("at most {} keys are allowed; Stripe allows fifty, and Tenantry needs the others", mark::USER_KEYS);
        problems.add("/metadata", message);
    }
    for (key, value) in metadata.iter() {
        let mut pointer = "/metadata".to_owned();
        push_token(&mut pointer, key);
        if key.starts_with(mark::PREFIX) {
            problems.add(&pointer, format!("keys that begin with {} are reserved for the mark", mark::PREFIX));
        }
        if key.is_empty() || key.chars().count() > mark::MOST_KEY || key.contains(['[', ']']) {
            problems.add(&pointer, format!("a key has 1 to {} characters and no brackets", mark::MOST_KEY));
        }
        if value.as_str().is_some_and(|text| text.is_empty() || text.chars().count() > mark::MOST_VALUE) {
            problems.add(&pointer, format!("a value has 1 to {} characters", mark::MOST_VALUE));
        }
    }
}

/// An amount that the currency cannot have.
fn check_amount(
    problems: &mut Problems,
    pointer: &str,
    amount: Option<&Value>,
    currency: Option<&str>,
    has_fractions: bool,
) {
    let (Some(Value::Text(amount)), Some(currency)) = (amount, currency) else { return };
    let Some(used) = super::money::decimals_used(amount) else {
        return problems.add(pointer, format!("`{amount}` is not a valid amount; write it like `4999.00`"));
    };
    let decimals = super::money::decimals(currency);
    let allowed = decimals.allowed + if has_fractions { super::money::FRACTION_DECIMALS } else { 0 };
    if used > allowed {
        let currency = currency.to_uppercase();
        let decimals_of = |count| if count == 1 { "1 decimal".to_owned() } else { format!("{count} decimals") };
        let (used, allowed) = (decimals_of(used), decimals.allowed);
        problems.add(pointer, format!("`{amount}` has {used}, but {currency} has {allowed}"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use tenantry_kit::ProviderKind as _;
    use tenantry_provider::descriptions::{assert_defaults, assert_pointers, assert_samples};

    fn samples() -> Vec<(&'static str, serde_json::Value)> {
        vec![
            ("stripe.feature", json!({"lookupKey": "sso", "name": "Single sign-on", "metadata": {"a": "b"}})),
            (
                "stripe.product",
                json!({"key": "pro", "name": "Pro", "description": "", "features": ["sso", "audit"], "metadata": {"a": "b"}}),
            ),
            ("stripe.meter", json!({"eventName": "calls", "displayName": "Calls"})),
            (
                "stripe.price",
                json!({"lookupKey": "pro_monthly", "product": "pro", "currency": "USD", "amount": "49.9",
                "interval": "month"}),
            ),
            ("stripe.coupon", json!({"key": "welcome", "percentOff": "12.50", "duration": "once"})),
            ("stripe.customer", json!({"key": "acme", "name": "Acme", "email": "a@example.com"})),
            (
                "stripe.subscription",
                json!({"key": "acme", "customer": "acme", "price": "pro_monthly", "trialDays": 14}),
            ),
            (
                "stripe.webhook_endpoint",
                json!({"key": "main", "url": "https://example.com/hook", "enabledEvents": ["b", "a"]}),
            ),
        ]
    }

    #[test]
    fn every_kind_has_a_sample_that_its_schema_accepts_raw_and_normalised() {
        assert_samples(&StripeKind::descriptions(), &samples());
    }

    #[test]
    fn pointers_of_a_description_lead_to_fields() {
        assert_pointers(&StripeKind::descriptions());
    }

    #[test]
    fn the_schema_says_what_an_absent_field_is() {
        assert_defaults(&StripeKind::descriptions());
    }

    #[test]
    fn metadata_leaves_room_for_the_mark() {
        let problems = |metadata: serde_json::Value| {
            let Value::Map(spec) = Value::from(json!({"key": "a", "name": "A", "metadata": metadata})) else {
                panic!()
            };
            (product::kind().check)(&product::kind().normal(&spec))
                .into_iter()
                .map(|problem| problem.pointer)
                .collect::<Vec<_>>()
        };
        assert_eq!(problems(json!({"seats": "3"})), [""; 0]);
        assert_eq!(problems(json!({"tenantry_key": "x"})), ["/metadata/tenantry_key"]);
        assert_eq!(problems(json!({"a[b]": "x", "c": ""})), ["/metadata/a[b]", "/metadata/c"]);
    }
}

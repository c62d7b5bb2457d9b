//! Stripe's objects as specs.

use std::collections::HashMap;

use serde_json::Value as Json;

use super::super::lists::List;
use super::super::types::StripeKind;
use super::super::{features, mark, money, schedule};
use tenantry_core::model::value::{Map, Value};

/// Names of meters by Stripe's id.
pub type Meters = HashMap<String, String>;

pub fn meters(list: &List) -> Meters {
    list.iter().map(|entry| (entry.id().to_owned(), entry.name.clone())).collect()
}

/// A spec that says what an object is. Not normalised.
///
/// # Errors
/// In words, if something is missing without which it cannot be told.
pub fn spec_of(
    kind: StripeKind,
    object: &Json,
    meters: &Meters,
    wanted: Option<&Map>,
    estate: &str,
) -> Result<Map, String> {
    let mut fields = Fields { object, fields: Vec::new() };
    match kind {
        StripeKind::Feature => fields.texts(&[("lookupKey", "lookup_key"), ("name", "name")]),
        StripeKind::Product => {
            fields.name("key");
            fields.texts(PRODUCT);
            let attached = features::of(object).map(|keys| Value::list(keys.map(Value::from)));
            fields.set("features", attached);
        }
        StripeKind::Customer => {
            fields.name("key");
            fields.texts(CUSTOMER);
            fields.choice("taxExempt", "/tax_exempt");
            fields.address();
            fields.json("preferredLocales", "/preferred_locales");
        }
        StripeKind::Price => price(&mut fields, meters, wanted, estate)?,
        StripeKind::Subscription => subscription(&mut fields, wanted, estate)?,
        StripeKind::Meter => {
            fields.texts(&[
                ("eventName", "event_name"),
                ("displayName", "display_name"),
                ("aggregation", "default_aggregation/formula"),
                ("customerKey", "customer_mapping/event_payload_key"),
                ("valueKey", "value_settings/event_payload_key"),
            ]);
        }
        StripeKind::Coupon => {
            fields.name("key");
            fields.texts(&[("name", "name"), ("currency", "currency"), ("duration", "duration")]);
            let percent = object.get("percent_off").and_then(Json::as_f64);
            fields.set("percentOff", percent.map(|percent| percent.to_string().into()));
            let currency = object.get("currency").and_then(Json::as_str).unwrap_or_default();
            let amount = object.get("amount_off").and_then(Json::as_i64).map(|amount| amount.to_string());
            fields.set("amountOff", amount.and_then(|amount| money::from_smallest(&amount, currency)).map(Value::from));
            fields.json("months", "/duration_in_months");
            fields.json("maxRedemptions", "/max_redemptions");
        }
        StripeKind::WebhookEndpoint => {
            fields.name("key");
            fields.texts(&[("url", "url"), ("apiVersion", "api_version"), ("description", "description")]);
            fields.json("enabledEvents", "/enabled_events");
            let status = object.get("status").and_then(Json::as_str);
            fields.set("disabled", Some((status == Some("disabled")).into()));
        }
    }
    if kind != StripeKind::Meter {
        fields.metadata();
    }
    Ok(fields.fields.into_iter().map(|(name, value)| (name.into(), value)).collect())
}

/// Why an object is not ready yet.
pub fn pending(kind: StripeKind, object: &Json) -> Option<&'static str> {
    let is_unpaid =
        kind == StripeKind::Subscription && object.get("status").is_some_and(|status| status == "incomplete");
    is_unpaid.then_some("its first invoice has not been paid")
}

/// What becomes of an object by itself.
pub fn scheduled(kind: StripeKind, object: &Json) -> Option<String> {
    (kind == StripeKind::Subscription).then(|| schedule::coming(object))?
}

/// Fields that are a text here and there.
pub const PRODUCT: &[(&str, &str)] = &[
    ("name", "name"),
    ("description", "description"),
    ("unitLabel", "unit_label"),
    ("statementDescriptor", "statement_descriptor"),
    ("taxCode", "tax_code"),
    ("url", "url"),
];
pub const CUSTOMER: &[(&str, &str)] =
    &[("name", "name"), ("email", "email"), ("phone", "phone"), ("description", "description")];
pub const ADDRESS: &[(&str, &str)] = &[
    ("line1", "line1"),
    ("line2", "line2"),
    ("city", "city"),
    ("state", "state"),
    ("postalCode", "postal_code"),
    ("country", "country"),
];

/// A name of Stripe's such as `keep_as_draft`, as it is written here.
pub fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |text, word| {
        let (initial, rest) = word.split_at(word.len().min(1));
        text + &initial.to_uppercase() + rest
    })
}

/// A name as Stripe has it: `keepAsDraft` is `keep_as_draft`.
pub fn snake(name: &str) -> String {
    name.chars().fold(String::new(), |mut text, character| {
        if character.is_ascii_uppercase() {
            text.push('_');
        }
        text.push(character.to_ascii_lowercase());
        text
    })
}

struct Fields<'a> {
    object: &'a Json,
    fields: Vec<(&'static str, Value)>,
}

impl Fields<'_> {
    fn set(&mut self, field: &'static str, value: Option<Value>) {
        if let Some(value) = value {
            self.fields.push((field, value));
        }
    }

    fn text_at(&self, pointer: &str) -> Option<&str> {
        self.object.pointer(pointer).and_then(Json::as_str).filter(|text| !text.is_empty())
    }

    /// The name of ours; Stripe's id of what has none.
    fn name(&mut self, field: &'static str) {
        let name = mark::read(self.object).and_then(|_| mark::note(self.object, mark::KEY));
        let name = name.or(self.text_at("/id")).map(Value::from);
        self.set(field, name);
    }

    fn texts(&mut self, names: &[(&'static str, &str)]) {
        for (field, path) in names {
            let text = self.text_at(&format!("/{path}")).map(Value::from);
            self.set(field, text);
        }
    }

    fn choice(&mut self, field: &'static str, pointer: &str) {
        let choice = self.text_at(pointer).map(|text| camel(text).into());
        self.set(field, choice);
    }

    fn json(&mut self, field: &'static str, pointer: &str) {
        let value = self.object.pointer(pointer).filter(|value| !value.is_null()).map(Value::from);
        self.set(field, value);
    }

    fn address(&mut self) {
        let parts = ADDRESS.iter().filter_map(|(field, name)| {
            let text = self.text_at(&format!("/address/{name}"))?;
            Some((*field, Value::from(text)))
        });
        let address = Value::map(parts.collect::<Vec<_>>());
        self.set("address", Some(address));
    }

    fn metadata(&mut self) {
        let metadata = self.object.get("metadata").and_then(Json::as_object).into_iter().flatten();
        let theirs = metadata.filter(|(key, _)| !key.starts_with(mark::PREFIX));
        let map = Value::map(theirs.map(|(key, value)| (key.as_str(), Value::from(value))));
        self.set("metadata", Some(map));
    }
}

/// An amount: Stripe has it twice, as an integer and as a decimal.
fn amount(object: &Json, name: &str, currency: &str) -> Option<Value> {
    let decimal = object.get(format!("{name}_decimal")).and_then(Json::as_str).map(str::to_owned);
    let integer = || object.get(name).and_then(Json::as_i64).map(|amount| amount.to_string());
    money::from_smallest(&decimal.or_else(integer)?, currency).map(Value::from)
}

/// The name of an object that another one refers to, expanded or not. One of another estate is called by its name where it is
/// wanted so.
fn referred(object: Option<&Json>, wanted: Option<&Value>, estate: &str) -> Option<String> {
    match object? {
        Json::String(id) => Some(id.clone()),
        object => {
            let is_ours = mark::read(object).is_some_and(|mark| mark.is_of(estate));
            let is_wanted = |name: &str| wanted.and_then(Value::as_str) == Some(name);
            let name = mark::note(object, mark::KEY).filter(|name| is_ours || is_wanted(name));
            name.or(object.get("id").and_then(Json::as_str)).map(str::to_owned)
        }
    }
}

fn price(fields: &mut Fields<'_>, meters: &Meters, wanted: Option<&Map>, estate: &str) -> Result<(), String> {
    let object = fields.object;
    fields.texts(&[("lookupKey", "lookup_key"), ("currency", "currency"), ("nickname", "nickname")]);
    fields.set(
        "product",
        referred(object.get("product"), wanted.and_then(|wanted| wanted.get("product")), estate).map(Value::from),
    );
    let currency = object.get("currency").and_then(Json::as_str).unwrap_or_default();
    if object.get("billing_scheme").and_then(Json::as_str) == Some("tiered") {
        let Some(tiers) = object.get("tiers").and_then(Json::as_array) else {
            return Err("Stripe returned a tiered price without its tiers".to_owned());
        };
        let tiers = tiers.iter().map(|tier| {
            let parts = [
                ("upTo", tier.get("up_to").filter(|up_to| up_to.is_number()).map(Value::from)),
                ("amount", amount(tier, "unit_amount", currency)),
                ("flatAmount", amount(tier, "flat_amount", currency)),
            ];
            Value::map(parts.into_iter().filter_map(|(name, value)| Some((name, value?))))
        });
        fields.set("tiers", Some(Value::list(tiers)));
        fields.choice("tiersMode", "/tiers_mode");
    } else {
        fields.set("amount", amount(object, "unit_amount", currency));
    }
    fields.choice("interval", "/recurring/interval");
    fields.json("intervalCount", "/recurring/interval_count");
    fields.choice("usage", "/recurring/usage_type");
    let meter = object.pointer("/recurring/meter").and_then(Json::as_str);
    fields.set("meter", meter.map(|id| meters.get(id).map_or(id, String::as_str).into()));
    fields.choice("taxBehavior", "/tax_behavior");
    Ok(())
}

/// The prices of a subscription.
pub struct Prices<'a> {
    /// Items with the name that their price has here: the main one first, then the others.
    pub items: Vec<(&'a Json, String)>,
}

/// Sorts a subscription's items: which is the one of `price`, and what each price is called in the words of what is wanted.
///
/// A price is known by its lookup key, by the one that it had before that moved on, or by its id.
pub fn prices_of<'a>(object: &'a Json, wanted: Option<&Map>) -> Prices<'a> {
    let wants = |field: &str| wanted.and_then(|wanted| wanted.get(field));
    let price = wants("price");
    let add_ons = wants("addOns").and_then(Value::as_list).unwrap_or_default();
    let names = |item: &'a Json| -> Vec<&'a str> {
        let text = |name: &str| item.get("price").and_then(|price| price.get(name)?.as_str());
        let noted = item.get("price").and_then(|price| mark::note(price, mark::KEY));
        [text("lookup_key"), noted, text("id")].into_iter().flatten().collect()
    };
    let called = |item: &'a Json, wanted: Option<&Value>| {
        let text = wanted.and_then(Value::as_str);
        names(item).into_iter().find(|name| Some(*name) == text)
    };
    // What is only known after apply is an id too.
    let named_by_id = price.is_none_or(|price| price.as_str().is_none_or(|text| text.starts_with("price_")));
    let any_name = |item: &'a Json| {
        let mut names = names(item).into_iter();
        let name = if wanted.is_some() && named_by_id { names.last() } else { names.next() };
        name.unwrap_or_default().to_owned()
    };
    let mut rest: Vec<&'a Json> =
        object.pointer("/items/data").and_then(Json::as_array).into_iter().flatten().collect();
    let mut items = Vec::with_capacity(rest.len());
    let is_add_on = |item: &&'a Json| add_ons.iter().find_map(|add_on| called(item, Some(add_on)));
    let main = rest.iter().position(|item| called(item, price).is_some());
    let main = main.or_else(|| rest.iter().position(|item| is_add_on(item).is_none()));
    if let Some(main) = main {
        let item = rest.remove(main);
        items.push((item, called(item, price).map_or_else(|| any_name(item), str::to_owned)));
    }
    for item in rest {
        let name = is_add_on(&item).map_or_else(|| any_name(item), str::to_owned);
        items.push((item, name));
    }
    Prices { items }
}

fn subscription(fields: &mut Fields<'_>, wanted: Option<&Map>, estate: &str) -> Result<(), String> {
    let object = fields.object;
    if object.pointer("/items/has_more").and_then(Json::as_bool) == Some(true) {
        return Err("it has more prices than Stripe returns at once".to_owned());
    }
    fields.name("key");
    fields.set(
        "customer",
        referred(object.get("customer"), wanted.and_then(|wanted| wanted.get("customer")), estate).map(Value::from),
    );
    // What waits for the end of the period counts: it is on its way.
    let later = schedule::after_this_period(object);
    let prices = prices_of(later.as_ref().unwrap_or(object), wanted).items;
    if let Some((item, name)) = prices.first() {
        fields.set("price", Some(name.as_str().into()));
        fields.set("quantity", item.get("quantity").filter(|quantity| quantity.is_number()).map(Value::from));
    }
    let add_ons = prices.iter().skip(1).map(|(_, name)| Value::from(name.as_str()));
    fields.set("addOns", Some(Value::list(add_ons)));
    fields.choice("collectionMethod", "/collection_method");
    fields.json("daysUntilDue", "/days_until_due");
    let ends = object.get("cancel_at_period_end").and_then(Json::as_bool).unwrap_or(false);
    fields.set("cancelAtPeriodEnd", Some((ends || schedule::ends_by_date(object)).into()));
    fields.choice("pauseCollection", "/pause_collection/behavior");
    let on_delete = mark::note(object, mark::ON_DELETE).map(Value::from);
    fields.set("onDelete", on_delete);
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_go_there_and_back() {
        for (ours, theirs) in
            [("keepAsDraft", "keep_as_draft"), ("void", "void"), ("chargeAutomatically", "charge_automatically")]
        {
            assert_eq!(camel(theirs), ours);
            assert_eq!(snake(ours), theirs);
        }
    }

    #[test]
    fn whoever_pays_an_earlier_amount_is_seen_under_the_lookup_key() {
        let mark = json!({"tenantry_key": "pro", "tenantry_estate": "shop", "tenantry_address": "tier:pro/price"});
        let subscription = json!({"items": {"data": [
            {"id": "si_1", "price": {"id": "price_calls", "lookup_key": "calls"}},
            {"id": "si_2", "price": {"id": "price_old", "lookup_key": null, "metadata": mark}},
        ]}});
        let names = |wanted: serde_json::Value| -> Vec<String> {
            let Value::Map(wanted) = Value::from(wanted) else { panic!("a map") };
            prices_of(&subscription, Some(&wanted)).items.into_iter().map(|(_, name)| name).collect()
        };
        assert_eq!(names(json!({"price": "pro", "addOns": ["calls"]})), ["pro", "calls"]);
        assert_eq!(names(json!({"price": "price_new", "addOns": ["calls"]})), ["price_old", "calls"]);
        assert_eq!(names(json!({"price": "max", "addOns": ["calls"]})), ["pro", "calls"]);
    }
}

//! Specs as parameters of Stripe's requests.

use serde_json::Value as Json;

use super::super::api::{Failed as _, Failure};
use super::super::form::Form;
use super::super::money;
use super::super::read::{ADDRESS, CUSTOMER, PRODUCT, snake};
use super::super::types::{
    StripeKind,
    coupon::CouponSpec,
    meter::MeterSpec,
    price::{PriceSpec, TiersMode},
};
use super::StripeWriter;
use tenantry_core::model::value::{Map, Value, unescape_token};
use tenantry_kit::{ProviderKind as _, parse};
use tenantry_provider::contract::Step;

/// What the parameters are for.
pub(super) enum Changed<'a> {
    New,
    From {
        object: &'a Json,
        /// Pointers of what is no longer asked for.
        removed: &'a [String],
    },
}

impl Changed<'_> {
    pub fn is_new(&self) -> bool {
        matches!(self, Self::New)
    }

    fn removed(&self) -> &[String] {
        match self {
            Self::New => &[],
            Self::From { removed, .. } => removed,
        }
    }

    fn is_removed(&self, field: &str) -> bool {
        self.removed().iter().any(|pointer| pointer.strip_prefix('/') == Some(field))
    }
}

fn text<'a>(spec: &'a Map, field: &str) -> Option<&'a str> {
    spec.get(field).and_then(Value::as_str)
}

/// Fields that are texts: set, or cleared where they were asked for once.
fn texts(form: &mut Form, spec: &Map, changed: &Changed<'_>, names: &[(&str, &str)]) {
    for (field, name) in names {
        match text(spec, field) {
            Some(text) => form.set(*name, text),
            None if changed.is_removed(field) => form.set(*name, ""),
            None => {}
        }
    }
}

fn list(form: &mut Form, spec: &Map, field: &str, name: &str) {
    for (index, item) in spec.get(field).and_then(Value::as_list).unwrap_or_default().iter().enumerate() {
        form.set(format!("{name}[{index}]"), item.as_str().unwrap_or_default());
    }
}

pub(super) fn metadata(form: &mut Form, spec: &Map, changed: &Changed<'_>) {
    if let Some(Value::Map(metadata)) = spec.get("metadata") {
        for (key, value) in metadata.iter() {
            form.set(format!("metadata[{key}]"), value.as_str().unwrap_or_default());
        }
    }
    for key in changed.removed().iter().filter_map(|pointer| pointer.strip_prefix("/metadata/")) {
        form.set(format!("metadata[{}]", unescape_token(key)), "");
    }
}

impl StripeWriter {
    /// What is sent for a spec, besides the mark.
    pub(super) async fn parameters(&self, step: &Step, spec: &Map, changed: &Changed<'_>) -> Result<Form, Failure> {
        let mut form = Form::new();
        let kind = StripeKind::of(step.kind.name)?;
        match kind {
            StripeKind::Feature => {
                texts(&mut form, spec, changed, &[("name", "name")]);
                if changed.is_new() {
                    texts(&mut form, spec, changed, &[("lookupKey", "lookup_key")]);
                }
            }
            StripeKind::Product => {
                texts(&mut form, spec, changed, PRODUCT);
                // What it needs is there before it is made.
                for feature in spec.get("features").and_then(Value::as_list).unwrap_or_default() {
                    let feature = feature.as_str().unwrap_or_default();
                    self.id(StripeKind::Feature, "feat_", &step.mark.estate, feature).await?;
                }
            }
            StripeKind::Customer => customer(&mut form, spec, changed),
            StripeKind::Price => self.price(&mut form, step, spec, changed).await?,
            StripeKind::Subscription => self.subscription(&mut form, step, spec, changed).await?,
            StripeKind::Meter => meter(&mut form, &parse(spec)?, changed),
            StripeKind::Coupon => coupon(&mut form, &parse(spec)?, spec, changed)?,
            StripeKind::WebhookEndpoint => webhook_endpoint(&mut form, spec, changed),
        }
        if kind != StripeKind::Meter {
            metadata(&mut form, spec, changed);
        }
        Ok(form)
    }

    async fn price(&self, form: &mut Form, step: &Step, spec: &Map, changed: &Changed<'_>) -> Result<(), Failure> {
        texts(form, spec, changed, &[("nickname", "nickname")]);
        if !changed.is_new() {
            return Ok(());
        }
        let price: PriceSpec = parse(spec)?;
        let estate = &step.mark.estate;
        let currency = price.currency.to_ascii_lowercase();
        let product = self.id(StripeKind::Product, "prod_", estate, &price.product).await?;
        form.set("currency", &currency);
        form.set("product", product);
        form.set("lookup_key", &price.lookup_key);
        form.set("tax_behavior", spelled(&price.tax_behavior)?);
        if let Some(interval) = &price.interval {
            form.set("recurring[interval]", spelled(interval)?);
            form.set("recurring[interval_count]", price.interval_count.unwrap_or(1).to_string());
            if let Some(usage) = &price.usage {
                form.set("recurring[usage_type]", spelled(usage)?);
            }
        }
        if let Some(meter) = &price.meter {
            form.set("recurring[meter]", self.id(StripeKind::Meter, "mtr_", estate, meter).await?);
        }
        if let Some(amount) = &price.amount {
            set_amount(form, "unit_amount", amount, &currency)?;
        }
        if let Some(tiers) = &price.tiers {
            form.set("billing_scheme", "tiered");
            form.set("tiers_mode", spelled(&price.tiers_mode.unwrap_or(TiersMode::Graduated))?);
            for (index, tier) in tiers.iter().enumerate() {
                let up_to = tier.up_to.map_or_else(|| "inf".to_owned(), |up_to| up_to.to_string());
                form.set(format!("tiers[{index}][up_to]"), up_to);
                for (name, amount) in [("unit_amount", &tier.amount), ("flat_amount", &tier.flat_amount)] {
                    if let Some(amount) = amount {
                        let mut part = Form::new();
                        set_amount(&mut part, "", amount, &currency)?;
                        form.extend(part.below(&format!("tiers[{index}]"), name));
                    }
                }
            }
        }
        Ok(())
    }
}

/// A choice of a spec as Stripe has it.
pub(super) fn spelled(choice: &impl serde::Serialize) -> Result<String, Failure> {
    match serde_json::to_value(choice) {
        Ok(Json::String(name)) => Ok(snake(&name)),
        _ => Err(Failure::invalid("a value that is not one of the choices")),
    }
}

/// An amount in the smallest unit: whole as an integer, otherwise as a decimal.
fn set_amount(form: &mut Form, name: &str, amount: &str, currency: &str) -> Result<(), Failure> {
    let smallest = money::to_smallest(amount, currency)
        .ok_or_else(|| Failure::invalid("an amount that is not a decimal number"))?;
    let suffix = if smallest.contains('.') { "_decimal" } else { "" };
    form.set(format!("{name}{suffix}"), smallest);
    Ok(())
}

fn customer(form: &mut Form, spec: &Map, changed: &Changed<'_>) {
    texts(form, spec, changed, CUSTOMER);
    if let Some(tax_exempt) = text(spec, "taxExempt") {
        form.set("tax_exempt", tax_exempt);
    }
    let address = spec.get("address").and_then(Value::as_map);
    for (field, name) in ADDRESS {
        if let Some(text) = address.and_then(|address| text(address, field)) {
            form.set(format!("address[{name}]"), text);
        }
    }
    if changed.is_removed("address") {
        form.set("address", "");
    }
    list(form, spec, "preferredLocales", "preferred_locales");
    if changed.is_removed("preferredLocales") {
        form.set("preferred_locales", "");
    }
}

/// Whether a customer's address has parts that are not wanted. Only the whole of it can be emptied
/// (<https://docs.stripe.com/api/customers/update>): what is wanted is set again after that.
pub(super) fn has_unwanted_parts(object: &Json, spec: &Map) -> bool {
    let Some(address) = spec.get("address").and_then(Value::as_map) else { return false };
    let has = |name: &str| {
        object.pointer(&format!("/address/{name}")).and_then(Json::as_str).is_some_and(|text| !text.is_empty())
    };
    ADDRESS.iter().any(|(field, name)| has(name) && text(address, field).is_none())
}

fn meter(form: &mut Form, meter: &MeterSpec, changed: &Changed<'_>) {
    form.set("display_name", &meter.display_name);
    if changed.is_new() {
        form.set("event_name", &meter.event_name);
        form.set("default_aggregation[formula]", spelled(&meter.aggregation).unwrap_or_default());
        form.set("customer_mapping[type]", "by_id");
        form.set("customer_mapping[event_payload_key]", &meter.customer_key);
        form.set("value_settings[event_payload_key]", &meter.value_key);
    }
}

fn coupon(form: &mut Form, coupon: &CouponSpec, spec: &Map, changed: &Changed<'_>) -> Result<(), Failure> {
    texts(form, spec, changed, &[("name", "name")]);
    if !changed.is_new() {
        return Ok(());
    }
    form.set("duration", spelled(&coupon.duration)?);
    if let Some(percent) = &coupon.percent_off {
        form.set("percent_off", percent);
    }
    if let (Some(amount), Some(currency)) = (&coupon.amount_off, &coupon.currency) {
        let currency = currency.to_ascii_lowercase();
        set_amount(form, "amount_off", amount, &currency)?;
        form.set("currency", currency);
    }
    for (name, number) in [("duration_in_months", coupon.months), ("max_redemptions", coupon.max_redemptions)] {
        if let Some(number) = number {
            form.set(name, number.to_string());
        }
    }
    Ok(())
}

fn webhook_endpoint(form: &mut Form, spec: &Map, changed: &Changed<'_>) {
    texts(form, spec, changed, &[("url", "url"), ("description", "description")]);
    list(form, spec, "enabledEvents", "enabled_events");
    if changed.is_new() {
        texts(form, spec, changed, &[("apiVersion", "api_version")]);
    }
    let disabled = spec.get("disabled").and_then(Value::as_bool).unwrap_or(false);
    // A new one is enabled, and the parameter is not known there.
    if !changed.is_new() {
        form.set("disabled", disabled.to_string());
    }
}

//! Subscriptions: their prices, and their end.

use serde_json::Value as Json;

use super::super::api::{Failed as _, Failure};
use super::super::form::Form;
use super::super::lists::{Entry, State};
use super::super::mark;
use super::super::read::prices_of;
use super::super::schedule;
use super::StripeWriter;
use super::parameters::{Changed, spelled};
use crate::types::StripeKind;
use crate::types::subscription::{OnDelete, PauseCollection, SubscriptionSpec};
use tenantry_core::model::value::Map;
use tenantry_kit::parse;
use tenantry_provider::contract::{Step, StepAction};

/// A price that is wanted: Stripe's id of it, and how many units.
pub(super) struct Wanted {
    pub price: String,
    pub quantity: Option<u64>,
    /// What the spec calls it.
    pub name: String,
}

impl StripeWriter {
    pub(super) async fn subscription(
        &self,
        form: &mut Form,
        step: &Step,
        spec: &Map,
        changed: &Changed<'_>,
    ) -> Result<(), Failure> {
        let subscription: SubscriptionSpec = parse(spec)?;
        let current = match changed {
            Changed::New => None,
            Changed::From { object, .. } => Some(*object),
        };
        let wanted = self.wanted(step, &subscription, current, spec).await?;
        form.set("collection_method", spelled(&subscription.collection_method)?);
        if let Some(days) = subscription.days_until_due {
            form.set("days_until_due", days.to_string());
        }
        let on_delete = match subscription.on_delete {
            OnDelete::CancelNow => "cancelNow",
            OnDelete::CancelAtPeriodEnd => "cancelAtPeriodEnd",
        };
        form.set(format!("metadata[{}]", mark::ON_DELETE), on_delete);
        let flag = |name: &str| current.and_then(|object| object.get(name)).and_then(Json::as_bool).unwrap_or(false);
        if current.is_some_and(schedule::ends_by_date) {
            if !subscription.cancel_at_period_end {
                form.set("cancel_at", "");
            }
        } else if flag("cancel_at_period_end") != subscription.cancel_at_period_end {
            form.set("cancel_at_period_end", subscription.cancel_at_period_end.to_string());
        }
        let Some(object) = current else {
            let customer = self.id(StripeKind::Customer, "cus_", &step.mark.estate, &subscription.customer).await?;
            form.set("customer", customer);
            for (index, item) in wanted.iter().enumerate() {
                item.set(form, index, None);
            }
            if let Some(days) = subscription.trial_days.filter(|days| *days > 0) {
                form.set("trial_period_days", days.to_string());
            }
            if let Some(coupon) = &subscription.coupon {
                let coupon = self.id(StripeKind::Coupon, "", &step.mark.estate, coupon).await?;
                form.set("discounts[0][coupon]", coupon);
            }
            return Ok(());
        };
        for note in [mark::ENDING, mark::DELETED] {
            if mark::note(object, note).is_some() {
                form.set(format!("metadata[{note}]"), "");
            }
        }
        let paused = object.pointer("/pause_collection/behavior").and_then(Json::as_str);
        match (subscription.pause_collection, paused) {
            (PauseCollection::None, None) => {}
            (PauseCollection::None, Some(_)) => form.set("pause_collection", ""),
            (behavior, _) => form.set("pause_collection[behavior]", spelled(&behavior)?),
        }
        let later = self.later(step, spec, object).await?;
        // What is to be made is noted until it carries the mark itself.
        let end = later.as_ref().filter(|_| !schedule::is_marked(object)).and_then(|_| schedule::period_end(object));
        match end {
            Some(end) => form.set(format!("metadata[{}]", mark::LATER), end.to_string()),
            None if mark::note(object, mark::LATER).is_some() => form.set(format!("metadata[{}]", mark::LATER), ""),
            None => {}
        }
        if later.is_some() {
            return Ok(());
        }
        if set_items(form, object, spec, &wanted) {
            form.set("proration_behavior", spelled(&subscription.proration_behavior)?);
        }
        Ok(())
    }

    /// Every price that is wanted, the main one first. Who has an earlier price of a lookup key keeps it.
    pub(super) async fn wanted(
        &self,
        step: &Step,
        subscription: &SubscriptionSpec,
        current: Option<&Json>,
        spec: &Map,
    ) -> Result<Vec<Wanted>, Failure> {
        let kept = current.map(|object| prices_of(object, Some(spec)).items).unwrap_or_default();
        let mut wanted = Vec::with_capacity(1 + subscription.add_ons.len());
        let names = std::iter::once(&subscription.price).chain(&subscription.add_ons);
        for (index, name) in names.enumerate() {
            let kept = kept.iter().find(|(_, called)| called == name).and_then(|(item, _)| price_id(item));
            let price = match kept {
                Some(price) => price.to_owned(),
                None => self.id(StripeKind::Price, "price_", &step.mark.estate, name).await?,
            };
            wanted.push(Wanted { price, quantity: subscription.quantity.filter(|_| index == 0), name: name.clone() });
        }
        Ok(wanted)
    }

    /// Takes away prices that are no longer wanted, once those that are wanted are there.
    pub(super) async fn drop_items(&self, step: &Step, entry: &Entry, spec: &Map) -> Result<(), Failure> {
        let subscription: SubscriptionSpec = parse(spec)?;
        let wanted = self.wanted(step, &subscription, Some(&entry.object), spec).await?;
        let items = prices_of(&entry.object, Some(spec)).items;
        let unwanted = items.iter().skip(1).map(|(item, _)| item);
        let unwanted: Vec<&str> = unwanted
            .filter(|item| !wanted.iter().any(|wanted| price_id(item) == Some(&wanted.price)))
            .filter_map(|item| item.get("id")?.as_str())
            .collect();
        if unwanted.is_empty() {
            return Ok(());
        }
        // The rest of their period is billed as that of the others.
        let billed = Form::new().with("proration_behavior", spelled(&subscription.proration_behavior)?);
        for item in &unwanted {
            self.api.delete("subscription_items", item, &billed).await?;
        }
        // What the list had of it is no longer so.
        self.forget(StripeKind::Subscription).await;
        Ok(())
    }

    /// A subscription of this very mark that was deleted and still runs.
    pub(super) async fn ending(&self, step: &Step, name: &str) -> Result<Option<Entry>, Failure> {
        let estate = step.mark.estate.clone();
        let ending = self
            .look(StripeKind::Subscription, |list| {
                let mut named = list.named(&estate, name).iter();
                named
                    .find(|entry| {
                        entry.state == State::Ending
                            && step.check_owner(entry.mark.as_ref()).map_err(Failure::conflict).is_ok()
                    })
                    .cloned()
            })
            .await?;
        let Some(entry) = ending else { return Ok(None) };
        let StepAction::Create { spec, .. } = &step.action else { return Ok(None) };
        // Another customer's goes on to its end.
        Ok(match self.fixed(step, &entry, spec).await? {
            None => Some(entry),
            Some(_) => None,
        })
    }

    /// Ends a subscription at once. The note keeps it from counting as one that was to end and has ended by itself.
    pub(super) async fn cancel(&self, entry: &Entry) -> Result<(), Failure> {
        let note = Form::new().with(format!("metadata[{}]", mark::DELETED), "true");
        match self.api.update("subscriptions", entry.id(), &note).await {
            // It has ended meanwhile, which the deletion finds too.
            Err(failure) if matches!(failure.status(), Some(400 | 404)) => {}
            other => _ = other?,
        }
        self.api.delete("subscriptions", entry.id(), &Form::new()).await.map(|_| ())
    }

    pub(super) async fn cancel_at_period_end(&self, entry: &Entry) -> Result<(), Failure> {
        let form = Form::new().with("cancel_at_period_end", "true").with(format!("metadata[{}]", mark::ENDING), "true");
        let object = self.api.update("subscriptions", entry.id(), &form).await?;
        self.put(StripeKind::Subscription, object).await
    }
}

impl Wanted {
    fn set(&self, form: &mut Form, index: usize, item: Option<&str>) {
        if let Some(item) = item {
            form.set(format!("items[{index}][id]"), item);
        }
        form.set(format!("items[{index}][price]"), &self.price);
        if let Some(quantity) = self.quantity {
            form.set(format!("items[{index}][quantity]"), quantity.to_string());
        }
    }
}

fn price_id(item: &Json) -> Option<&str> {
    item.pointer("/price/id").and_then(Json::as_str)
}

/// Sets what differs among the items; whether anything does.
fn set_items(form: &mut Form, object: &Json, spec: &Map, wanted: &[Wanted]) -> bool {
    let items = prices_of(object, Some(spec)).items;
    let mut index = 0;
    for (place, wanted) in wanted.iter().enumerate() {
        let same = items.iter().map(|(item, _)| *item).find(|item| price_id(item) == Some(&wanted.price));
        let item = same.or_else(|| items.first().map(|(item, _)| *item).filter(|_| place == 0));
        let has = |item: &Json| item.get("quantity").and_then(Json::as_u64);
        let is_same = same.is_some_and(|item| wanted.quantity.is_none() || has(item) == wanted.quantity);
        if !is_same {
            wanted.set(form, index, item.and_then(|item| item.get("id")?.as_str()));
            index += 1;
        }
    }
    index > 0
}

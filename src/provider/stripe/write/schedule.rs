//! Subscriptions that are there: what changes at once, and what waits for the end of the period.
//!
//! What costs less waits, unless the spec says otherwise: the period has been paid for. A schedule holds it. The schedule is
//! made from the subscription as it is, which changes nothing, and then gets its second phase: a run that is cut short in
//! between leaves a schedule that the next one finds at the subscription.

use serde_json::Value as Json;

use super::super::api::{Failed as _, Failure, Posted};
use super::super::form::Form;
use super::super::lists::Entry;
use super::super::mark;
use super::super::schedule::{self, Item};
use super::parameters::Changed;
use super::subscription::Wanted;
use super::{ATTEMPTS, StripeWriter, id_of, name_of, written};
use crate::types::StripeKind;
use crate::types::subscription::{OnDowngrade, SubscriptionSpec};
use tenantry_core::model::value::Map;
use tenantry_kit::parse;
use tenantry_provider::contract::{Step, Written};

const SUBSCRIPTIONS: &str = "subscriptions";
const SCHEDULES: &str = "subscription_schedules";

impl StripeWriter {
    /// Brings a subscription that is there to what a spec says, now or at the end of its period.
    pub(super) async fn bring_subscription(
        &self,
        step: &Step,
        entry: &Entry,
        spec: &Map,
        removed: &[String],
    ) -> Result<Written, Failure> {
        let mut entry = entry.clone();
        self.expand_schedule(&mut entry.object).await?;
        let later = self.later(step, spec, &entry.object).await?;
        let is_scheduled = schedule::of(&entry.object).is_some();
        if later.is_some() && is_scheduled && !schedule::is_ours(&entry.object) {
            let reason = "another subscription schedule, which this estate does not manage, sets its prices from the next period on; release that schedule";
            return Err(Failure::conflict(reason));
        }
        let planned = schedule::next_phase(&entry.object).map(|(phase, _)| schedule::items(phase));
        let is_planned = later.is_some() && planned == later.as_ref().map(|later| items(later));
        if later.is_none() {
            self.release(&mut entry.object).await?;
        }
        let changed = Changed::From { object: &entry.object, removed };
        let mut form = self.parameters(step, spec, &changed).await?;
        form.extend(mark::parameters(&step.mark, &name_of(step)).map_err(Failure::invalid)?);
        form.set("expand[]", "schedule");
        let object = self.api.update(SUBSCRIPTIONS, entry.id(), &form).await?;
        match &later {
            Some(later) if !is_planned => self.schedule(step, object, later).await?,
            _ => self.put(StripeKind::Subscription, object).await?,
        }
        if later.is_none() {
            self.drop_items(step, &entry, spec).await?;
        }
        Ok(written(step, entry.id()))
    }

    /// What a subscription shall have from the next period on, where that has to wait: it costs less than what was paid for.
    pub(super) async fn later(&self, step: &Step, spec: &Map, object: &Json) -> Result<Option<Vec<Wanted>>, Failure> {
        let subscription: SubscriptionSpec = parse(spec)?;
        let is_paid = object.get("status").and_then(Json::as_str) == Some("active");
        let waits = subscription.on_downgrade == OnDowngrade::PeriodEnd && !subscription.cancel_at_period_end;
        if !is_paid || !waits {
            return Ok(None);
        }
        let mut wanted = self.wanted(step, &subscription, Some(object), spec).await?;
        let there: Vec<&Json> = object.pointer("/items/data").and_then(Json::as_array).into_iter().flatten().collect();
        let main = there.iter().find(|item| price_of(item) == Some(&wanted[0].price)).or(there.first());
        let main = main.and_then(|item| item.get("quantity")?.as_u64());
        let (mut costs, mut cost) = (Some(0), Some(0));
        for (place, wanted) in wanted.iter_mut().enumerate() {
            let same = there.iter().find(|item| price_of(item) == Some(&wanted.price));
            let listed =
                self.look(StripeKind::Price, |list| list.of_id(&wanted.price).map(|entry| entry.object.clone()));
            let price = match same.and_then(|item| item.get("price")) {
                Some(price) => Some(price.clone()),
                None => listed.await?,
            };
            let Some(price) = price else { return Ok(None) };
            if is_metered(&price) {
                wanted.quantity = None;
                continue;
            }
            let has = same.and_then(|item| item.get("quantity")?.as_u64());
            let quantity = wanted.quantity.or(if place == 0 { main } else { has }).unwrap_or(1);
            wanted.quantity = Some(quantity);
            costs = add(costs, schedule::yearly(&price, quantity));
        }
        for item in &there {
            let Some(price) = item.get("price").filter(|price| !is_metered(price)) else { continue };
            let quantity = item.get("quantity").and_then(Json::as_u64).unwrap_or(1);
            cost = add(cost, schedule::yearly(price, quantity));
        }
        let (Some(costs), Some(cost)) = (costs, cost) else { return Ok(None) };
        Ok((costs < cost).then_some(wanted))
    }

    /// Puts the schedule itself in the place of its id, with which a subscription is answered that was just written.
    async fn expand_schedule(&self, object: &mut Json) -> Result<(), Failure> {
        if let Some(id) = object.get("schedule").and_then(Json::as_str) {
            object["schedule"] = self.api.get(SCHEDULES, id).await?.unwrap_or_default();
        }
        Ok(())
    }

    /// Takes a schedule of ours away. The subscription goes on as it is.
    pub(super) async fn release(&self, object: &mut Json) -> Result<(), Failure> {
        self.expand_schedule(object).await?;
        let Some(schedule) = schedule::of(object).filter(|_| schedule::is_ours(object)) else { return Ok(()) };
        let release = format!("{}/release", id_of(schedule));
        match self.api.update(SCHEDULES, &release, &Form::new()).await {
            Ok(_) => {}
            // Another run may have done so, or its last phase has ended.
            Err(failure) if failure.status() == Some(400) => {
                let now = self.api.get(SCHEDULES, id_of(schedule)).await?;
                if now.is_some_and(|now| is_active(&now)) {
                    return Err(failure);
                }
            }
            Err(failure) => return Err(failure),
        }
        object["schedule"] = Json::Null;
        Ok(())
    }

    /// Lets a subscription have other items from the next period on.
    async fn schedule(&self, step: &Step, mut object: Json, later: &[Wanted]) -> Result<(), Failure> {
        let schedule = match schedule::of(&object) {
            Some(schedule) => schedule.clone(),
            None => self.scheduled(step, id_of(&object)).await?,
        };
        let form = self.phases(step, &object, &schedule, later).await?;
        let schedule = self.api.update(SCHEDULES, id_of(&schedule), &form).await?;
        if mark::note(&object, mark::LATER).is_some() {
            // From here on its own mark tells, and one that somebody else makes later is not taken for it.
            let done = Form::new().with(format!("metadata[{}]", mark::LATER), "");
            object = self.api.update(SUBSCRIPTIONS, id_of(&object), &done).await?;
        }
        object["schedule"] = schedule;
        self.put(StripeKind::Subscription, object).await
    }

    /// A schedule that says that a subscription goes on as it is. There is at most one for each.
    async fn scheduled(&self, step: &Step, subscription: &str) -> Result<Json, Failure> {
        let form = Form::new().with("from_subscription", subscription);
        let is_its = |schedule: &Json| {
            is_active(schedule) && schedule.get("subscription").and_then(Json::as_str) == Some(subscription)
        };
        let mut last = None;
        for attempt in 0..ATTEMPTS {
            match self.api.create(SCHEDULES, &form, &step.idempotency_key, attempt).await {
                Ok(Posted { object, replayed: false }) => return Ok(object),
                Ok(Posted { object, .. }) => match self.api.get(SCHEDULES, id_of(&object)).await? {
                    Some(object) if is_its(&object) => return Ok(object),
                    _ => {}
                },
                Err(Failure::Refused { status, replayed, .. }) if replayed || status == 400 => {
                    // Another run was faster: what it made is at the subscription.
                    let object = self.api.get(SUBSCRIPTIONS, subscription).await?;
                    let id = object.as_ref().and_then(|object| object.get("schedule")?.as_str());
                    if let Some(id) = id
                        && let Some(schedule) = self.api.get(SCHEDULES, id).await?
                        && mark::read(&schedule).is_none_or(|mark| mark.is_of(&step.mark.estate))
                    {
                        return Ok(schedule);
                    }
                    let refused = Failure::Refused { status, code: None, message: REFUSED.to_owned(), replayed };
                    if !replayed {
                        return Err(refused);
                    }
                    last = Some(refused);
                }
                Err(failure) => return Err(failure),
            }
        }
        Err(last.unwrap_or_else(|| {
            Failure::conflict("it was scheduled and released too often within a day; try again tomorrow")
        }))
    }

    /// The period that runs, as it was paid for, and after that what is wanted, for one period and on.
    async fn phases(
        &self,
        step: &Step,
        subscription: &Json,
        schedule: &Json,
        later: &[Wanted],
    ) -> Result<Form, Failure> {
        let begins = schedule.pointer("/current_phase/start_date").and_then(Json::as_i64);
        let phases = schedule.get("phases").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
        let current = phases.iter().find(|phase| phase.get("start_date").and_then(Json::as_i64) == begins);
        let Some(current) = current.filter(|_| begins.is_some()) else {
            return Err(Failure::Unreadable(
                "Stripe returned a subscription schedule without its current phase".into(),
            ));
        };
        let mut form = Form::new().with("end_behavior", "release").with("proration_behavior", "none");
        form.extend(mark::parameters(&step.mark, &name_of(step)).map_err(Failure::invalid)?);
        let wanted = items(later);
        form.extend(schedule::names(wanted.iter().zip(later.iter().map(|later| later.name.as_str()))));
        for field in ["start_date", "end_date", "trial_end"] {
            if let Some(second) = current.get(field).and_then(Json::as_i64) {
                form.set(format!("phases[0][{field}]"), second.to_string());
            }
        }
        set_items(&mut form, 0, &schedule::items(current));
        set_items(&mut form, 1, &wanted);
        // What a phase does not say, it does not have.
        for phase in 0..2 {
            for field in ["collection_method", "default_payment_method", "description"] {
                // As the subscription has it by now.
                let now = subscription.get(field).or(current.get(field)).and_then(id_or_text);
                if let Some(text) = now.filter(|_| current.get(field).and_then(id_or_text).is_some()) {
                    form.set(format!("phases[{phase}][{field}]"), text);
                }
            }
            if let Some(days) = current.pointer("/invoice_settings/days_until_due").and_then(Json::as_u64) {
                let days = subscription.get("days_until_due").and_then(Json::as_u64).unwrap_or(days);
                form.set(format!("phases[{phase}][invoice_settings][days_until_due]"), days.to_string());
            }
            let rates = current.get("default_tax_rates").and_then(Json::as_array).into_iter().flatten();
            for (index, rate) in rates.filter_map(id_or_text).enumerate() {
                form.set(format!("phases[{phase}][default_tax_rates][{index}]"), rate);
            }
        }
        let discounts = current.get("discounts").and_then(Json::as_array).into_iter().flatten();
        for (index, discount) in discounts.enumerate() {
            let named = ["discount", "promotion_code", "coupon"]
                .iter()
                .find_map(|name| Some((name, id_or_text(discount.get(name)?)?)));
            let Some((name, id)) = named else { continue };
            for phase in 0..2 {
                form.set(format!("phases[{phase}][discounts][{index}][{name}]"), id);
            }
        }
        form.set("phases[1][proration_behavior]", "none");
        let id = wanted[0].price.clone();
        let recurring = self.look(StripeKind::Price, |list| list.of_id(&id)?.object.get("recurring").cloned()).await?;
        if let Some(recurring) = recurring
            && let (Some(interval), Some(count)) = (
                recurring.get("interval").and_then(Json::as_str),
                recurring.get("interval_count").and_then(Json::as_u64),
            )
        {
            form.set("phases[1][duration][interval]", interval);
            form.set("phases[1][duration][interval_count]", count.to_string());
        }
        Ok(form)
    }
}

const REFUSED: &str = "Stripe did not create a schedule for the subscription";

fn is_active(schedule: &Json) -> bool {
    matches!(schedule.get("status").and_then(Json::as_str), Some("active" | "not_started"))
}

/// A text, or the id of an object that was answered in its place.
fn id_or_text(value: &Json) -> Option<&str> {
    value.as_str().or_else(|| value.get("id")?.as_str())
}

fn is_metered(price: &Json) -> bool {
    price.pointer("/recurring/usage_type").and_then(Json::as_str) == Some("metered")
}

fn price_of(item: &Json) -> Option<&str> {
    item.pointer("/price/id").and_then(Json::as_str)
}

fn add(sum: Option<i128>, more: Option<i128>) -> Option<i128> {
    Some(sum? + more?)
}

fn items(wanted: &[Wanted]) -> Vec<Item> {
    wanted.iter().map(|wanted| Item { price: wanted.price.clone(), quantity: wanted.quantity }).collect()
}

fn set_items(form: &mut Form, phase: usize, items: &[Item]) {
    for (index, item) in items.iter().enumerate() {
        form.set(format!("phases[{phase}][items][{index}][price]"), &item.price);
        if let Some(quantity) = item.quantity {
            form.set(format!("phases[{phase}][items][{index}][quantity]"), quantity.to_string());
        }
    }
}

//! The writing half: one step, a few requests.
//!
//! What is there is listed once for each kind that a run writes or refers to, and kept up to date with what is written. A step
//! looks there first, so that a repeated one finds its own work. What creates carries an idempotency key: it is what keeps
//! two runs, or a run and the remains of one that was killed, from making a thing twice.
//!
//! Nothing is proven before a replacement. A price needs no proof: the new one is made before the old one is archived. A coupon,
//! a meter, a webhook endpoint and a subscription of another customer are made after the old one has gone, and Stripe has no
//! dry run: whatever were tried would be real, and stay if the process is killed (a coupon that anybody may redeem, an
//! endpoint that events are sent to). What can be judged without Stripe is judged by the checks of the kinds.

mod feature;
mod parameters;
mod price;
mod schedule;
mod subscription;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, hash_map};
use std::sync::Arc;

use async_trait::async_trait;
use secrecy::SecretString;
use serde_json::Value as Json;
use tokio::sync::Mutex;

use super::api::{Api, Failed as _, Failure, Posted};
use super::form::Form;
use super::lists::{Entry, List, is_current, path};
use super::mark;
use super::read::{Meters, spec_of};
use super::types::StripeKind;
use parameters::Changed;
use tenantry_core::diff::compare;
use tenantry_core::model::kind::MarkPlace;
use tenantry_core::model::value::{Map, Value, is_within, readable_pointer};
use tenantry_kit::{ProviderKind as _, Steps, failed, write_in_turn};
use tenantry_provider::contract::{CommitGuard, ErrorClass, Step, StepAction, WriteError, Writer, Written};
use tenantry_transport::traced;

/// How many answers from the past a creation passes by. Each was a failure, or made something that is gone by now.
pub const ATTEMPTS: usize = 12;

/// The field of what Stripe tells only once.
const SECRET: &str = "secret";

pub struct StripeWriter {
    api: Arc<Api>,
    lists: Mutex<HashMap<StripeKind, List>>,
}

impl StripeWriter {
    pub fn new(api: Arc<Api>) -> Self {
        Self { api, lists: Mutex::default() }
    }

    /// Looks something up in the list of a kind, which is read when it is first needed.
    async fn look<T>(&self, kind: StripeKind, look: impl FnOnce(&mut List) -> T) -> Result<T, Failure> {
        let mut lists = self.lists.lock().await;
        Ok(look(match lists.entry(kind) {
            hash_map::Entry::Occupied(read) => read.into_mut(),
            hash_map::Entry::Vacant(new) => new.insert(List::read(&self.api, kind).await?),
        }))
    }

    /// Reads a list again at its next use.
    async fn forget(&self, kind: StripeKind) {
        self.lists.lock().await.remove(&kind);
    }

    async fn current(&self, kind: StripeKind, estate: &str, name: &str) -> Result<Option<Entry>, Failure> {
        let found = self.look(kind, |list| list.current(estate, name).map(Option::<&Entry>::cloned)).await?;
        found.map_err(Failure::conflict)
    }

    async fn put(&self, kind: StripeKind, object: Json) -> Result<(), Failure> {
        self.look(kind, |list| if is_current(&object) { list.put(object) } else { list.take(id_of(&object)) }).await
    }

    /// Stripe's id of something that a spec names. An id is itself.
    async fn id(&self, kind: StripeKind, prefix: &str, estate: &str, name: &str) -> Result<String, Failure> {
        for is_last in [false, true] {
            let meant =
                self.look(kind, |list| list.meant(estate, name).map(|entry| entry.map(|entry| entry.id().to_owned())));
            if let Some(id) = meant.await?.map_err(Failure::conflict)? {
                return Ok(id);
            }
            if name.starts_with(prefix) {
                return Ok(name.to_owned());
            }
            // Another run may have made it since.
            if !is_last {
                self.forget(kind).await;
            }
        }
        Err(Failure::invalid(format!("it needs the {} `{name}`, which does not exist", kind.name())))
    }

    async fn write(&self, step: &Step) -> Result<Written, Failure> {
        let kind = StripeKind::of(step.kind.name)?;
        let name = name_of(step);
        let estate = &*step.mark.estate;
        let found = self.current(kind, estate, &name).await?;
        match &step.action {
            StepAction::Create { spec, .. } => {
                let Some(entry) = found else { return self.create(step, spec, &name).await };
                if step.kind.mark == MarkPlace::Target {
                    step.check_owner(entry.mark.as_ref()).map_err(Failure::conflict)?;
                } else if kind == StripeKind::Meter && is_another_meter(&entry, spec) {
                    return Err(Failure::conflict(
                        "a meter with its event name already exists, with another display name",
                    ));
                }
                self.bring(step, &entry, spec, &[]).await
            }
            StepAction::Update { spec, removed, .. } => {
                let Some(entry) = found else {
                    return Err(Failure::vanished());
                };
                if step.kind.mark == MarkPlace::Target {
                    step.check_owner(entry.mark.as_ref()).map_err(Failure::conflict)?;
                }
                self.bring(step, &entry, spec, removed).await
            }
            StepAction::Delete { .. } => {
                let Some(entry) = found else { return Ok(Written::default()) };
                if step.kind.mark == MarkPlace::Target {
                    step.check_owner(entry.mark.as_ref()).map_err(Failure::conflict)?;
                }
                self.delete(step, &entry).await.map(|()| Written::default())
            }
        }
    }

    async fn create(&self, step: &Step, spec: &Map, name: &str) -> Result<Written, Failure> {
        let kind = StripeKind::of(step.kind.name)?;
        match kind {
            StripeKind::Subscription => {
                if let Some(entry) = self.ending(step, name).await? {
                    return self.bring(step, &entry, spec, &[]).await;
                }
            }
            StripeKind::Meter => {
                if let Some(object) = self.reactivated(spec, name).await? {
                    let entry = Entry::of(kind, object).ok_or_else(nameless)?;
                    return self.bring(step, &entry, spec, &[]).await;
                }
            }
            StripeKind::Feature => {
                if let Some(object) = self.unarchived(name).await? {
                    let entry = Entry::of(kind, object).ok_or_else(nameless)?;
                    return self.bring(step, &entry, spec, &[]).await;
                }
            }
            StripeKind::Product
            | StripeKind::Price
            | StripeKind::Coupon
            | StripeKind::Customer
            | StripeKind::WebhookEndpoint => {}
        }
        let mut form = self.parameters(step, spec, &Changed::New).await?;
        if step.kind.mark == MarkPlace::Target {
            form.extend(mark::parameters(&step.mark, name).map_err(Failure::invalid)?);
        }
        let mut object = match self.make(step, name, &form).await {
            Err(refused) if kind == StripeKind::Price && refused.status() == Some(400) => {
                self.make_with_key(step, name, form, refused).await?
            }
            other => other?,
        };
        let id = id_of(&object).to_owned();
        let captured = captured(step, &mut object);
        self.put(kind, object.clone()).await?;
        // What the requests that make these know no parameter for.
        let flag = |field: &str, usual: Value| spec.get(field).is_some_and(|value| *value != usual);
        let has_more = match kind {
            StripeKind::Subscription => flag("pauseCollection", "none".into()),
            StripeKind::WebhookEndpoint => flag("disabled", false.into()),
            StripeKind::Product => spec.contains("features"),
            StripeKind::Feature | StripeKind::Meter | StripeKind::Price | StripeKind::Coupon | StripeKind::Customer => {
                false
            }
        };
        if has_more {
            let entry = Entry::of(kind, object).ok_or_else(nameless)?;
            self.bring(step, &entry, spec, &[]).await?;
        }
        Ok(Written { captured, ..written(step, &id) })
    }

    /// Creates an object, whatever the answers from the past to the same request were.
    async fn make(&self, step: &Step, name: &str, form: &Form) -> Result<Json, Failure> {
        let kind = StripeKind::of(step.kind.name)?;
        let mut last = None;
        for attempt in 0..ATTEMPTS {
            match self.api.create(path(kind), form, &step.idempotency_key, attempt).await {
                Ok(Posted { object, replayed: false }) => return Ok(object),
                // It was made before; whether it is still there is another question.
                Ok(Posted { object: answered, .. }) => match self.api.get(path(kind), id_of(&answered)).await? {
                    Some(mut object) if is_current(&object) => {
                        // Told with the creation only, and again with its repeated answer.
                        if let (Some(fields), Some(secret)) = (object.as_object_mut(), answered.get(SECRET)) {
                            fields.insert(SECRET.to_owned(), secret.clone());
                        }
                        return Ok(object);
                    }
                    _ => {}
                },
                // An earlier failure of Stripe's, which may have made something all the same.
                Err(Failure::Refused { status, replayed: true, .. }) if status >= 500 => {
                    self.forget(kind).await;
                    if let Some(entry) = self.current(kind, &step.mark.estate, name).await? {
                        step.check_owner(entry.mark.as_ref()).map_err(Failure::conflict)?;
                        return Ok(entry.object);
                    }
                }
                // An earlier refusal, for reasons that may be gone.
                Err(failure @ Failure::Refused { replayed: true, .. }) => last = Some(failure),
                // The id was chosen by us, and an answer was lost.
                Err(failure) if failure.code() == Some("resource_already_exists") => {
                    self.forget(kind).await;
                    let Some(entry) = self.current(kind, &step.mark.estate, name).await? else { return Err(failure) };
                    step.check_owner(entry.mark.as_ref()).map_err(Failure::conflict)?;
                    return Ok(entry.object);
                }
                Err(failure) => return Err(failure),
            }
        }
        Err(last.unwrap_or_else(|| {
            Failure::conflict("it was created and deleted too often within a day; try again tomorrow")
        }))
    }

    /// Brings an object that is there to what a spec says.
    async fn bring(&self, step: &Step, entry: &Entry, spec: &Map, removed: &[String]) -> Result<Written, Failure> {
        let kind = StripeKind::of(step.kind.name)?;
        if let Some(fields) = self.fixed(step, entry, spec).await? {
            if kind == StripeKind::Price {
                return self.replace_price(step, spec).await;
            }
            return Err(Failure::conflict(format!("it exists with another {fields}, which cannot change")));
        }
        if kind == StripeKind::Subscription {
            return self.bring_subscription(step, entry, spec, removed).await;
        }
        let changed = Changed::From { object: &entry.object, removed };
        let mut form = self.parameters(step, spec, &changed).await?;
        if step.kind.mark == MarkPlace::Target {
            form.extend(mark::parameters(&step.mark, &name_of(step)).map_err(Failure::invalid)?);
        }
        if kind == StripeKind::Customer && parameters::has_unwanted_parts(&entry.object, spec) {
            self.api.update(path(kind), entry.id(), &Form::new().with("address", "")).await?;
        }
        let object = self.api.update(path(kind), entry.id(), &form).await?;
        self.put(kind, object).await?;
        match kind {
            StripeKind::Price => self.archive_superseded(step).await?,
            StripeKind::Product => self.bring_features(step, entry.id(), spec).await?,
            _ => {}
        }
        Ok(written(step, entry.id()))
    }

    /// Fields that cannot change and are not as a spec says.
    async fn fixed(&self, step: &Step, entry: &Entry, spec: &Map) -> Result<Option<String>, Failure> {
        if step.kind.immutable.is_empty() {
            return Ok(None);
        }
        let meters: Meters = match entry.object.pointer("/recurring/meter").and_then(Json::as_str) {
            Some(_) => {
                self.look(StripeKind::Meter, |list| {
                    list.iter().map(|meter| (meter.id().to_owned(), meter.name.clone())).collect()
                })
                .await?
            }
            None => Meters::new(),
        };
        let mut object = entry.object.clone();
        let kind = StripeKind::of(step.kind.name)?;
        match kind {
            StripeKind::Price => self.expand(&mut object, "product", StripeKind::Product).await?,
            StripeKind::Subscription => self.expand(&mut object, "customer", StripeKind::Customer).await?,
            StripeKind::Feature
            | StripeKind::Product
            | StripeKind::Meter
            | StripeKind::Coupon
            | StripeKind::Customer
            | StripeKind::WebhookEndpoint => {}
        }
        let observed = spec_of(kind, &object, &meters, Some(spec), &step.mark.estate);
        let observed = step.kind.canonical(&observed.map_err(Failure::Unreadable)?);
        let spec = step.kind.normal(spec);
        let differences = compare(&step.kind, &spec, &observed, Some(&spec));
        let is_fixed = |pointer: &str| step.kind.immutable.iter().any(|fixed| is_within(pointer, fixed));
        let fields: Vec<String> = differences
            .iter()
            .filter(|difference| is_fixed(&difference.pointer))
            .map(|difference| readable_pointer(&difference.pointer))
            .collect();
        Ok((!fields.is_empty()).then(|| fields.join(", ")))
    }

    async fn delete(&self, step: &Step, entry: &Entry) -> Result<(), Failure> {
        let kind = StripeKind::of(step.kind.name)?;
        let path = path(kind);
        if kind == StripeKind::Subscription {
            // What a schedule manages is ended through it, or not at all.
            let mut object = entry.object.clone();
            self.release(&mut object).await?;
        }
        let archive = Form::new().with("active", "false");
        match kind {
            StripeKind::Price | StripeKind::Feature => self.api.update(path, entry.id(), &archive).await.map(|_| ())?,
            StripeKind::Product => match self.api.delete(path, entry.id(), &Form::new()).await {
                // It has prices, if only archived ones: then it can only be archived itself.
                Err(failure) if failure.status() == Some(400) => {
                    self.api.update(path, entry.id(), &archive).await.map(|_| ())?;
                }
                other => other.map(|_| ())?,
            },
            StripeKind::Meter => {
                self.api.update(path, &format!("{}/deactivate", entry.id()), &Form::new()).await.map(|_| ())?;
            }
            StripeKind::Subscription if mark::note(&entry.object, mark::ON_DELETE) == Some("cancelAtPeriodEnd") => {
                return self.cancel_at_period_end(entry).await;
            }
            StripeKind::Subscription => self.cancel(entry).await?,
            StripeKind::Coupon | StripeKind::Customer | StripeKind::WebhookEndpoint => {
                self.api.delete(path, entry.id(), &Form::new()).await.map(|_| ())?;
            }
        }
        self.look(kind, |list| list.take(entry.id())).await
    }

    /// An inactive meter of the same name and the same way of counting, active again.
    async fn reactivated(&self, spec: &Map, name: &str) -> Result<Option<Json>, Failure> {
        let inactive = self.api.list("billing/meters", &Form::new().with("status", "inactive")).await?;
        let same = |object: &Json| {
            let text = |pointer: &str| object.pointer(pointer).and_then(Json::as_str);
            let wants = |field: &str| spec.get(field).and_then(Value::as_str);
            text("/event_name") == Some(name)
                && text("/default_aggregation/formula") == wants("aggregation")
                && text("/customer_mapping/event_payload_key") == wants("customerKey")
                && text("/value_settings/event_payload_key") == wants("valueKey")
        };
        let Some(meter) = inactive.iter().find(|object| same(object)) else { return Ok(None) };
        let verb = format!("{}/reactivate", id_of(meter));
        self.api.update("billing/meters", &verb, &Form::new()).await.map(Some)
    }
}

#[async_trait]
impl Steps for StripeWriter {
    type Failure = Failure;

    async fn step(&self, step: &Step, _: &dyn CommitGuard) -> Result<Written, Failure> {
        self.write(step).await
    }

    fn attempted(&self, step: &Step) -> String {
        step.attempted(&name_of(step))
    }

    /// What was not answered may have been done all the same: whoever tries again has to look first. What creates is
    /// answered again by its idempotency key, with what is told only once.
    async fn failed(&self, step: &Step, failure: Failure, is_written: bool) -> (Failure, bool) {
        let is_told_again = matches!(step.action, StepAction::Create { .. }) && !step.kind.captures.is_empty();
        if (is_written || failure.class() == ErrorClass::Retryable)
            && !is_told_again
            && let Ok(kind) = StripeKind::of(step.kind.name)
        {
            self.forget(kind).await;
        }
        (failure, is_written)
    }
}

#[async_trait]
impl Writer for StripeWriter {
    async fn write_guarded(&self, batch: &[Step], guard: &dyn CommitGuard) -> Result<Vec<Written>, WriteError> {
        // A replaced price keeps its lookup key answering all the time: the new one first, the old one afterwards.
        let [before, after] = batch else { return write_in_turn(self, batch, guard).await };
        let (StepAction::Delete { .. }, StepAction::Create { spec, .. }) = (&before.action, &after.action) else {
            return write_in_turn(self, batch, guard).await;
        };
        if before.kind.name != StripeKind::Price.name() || before.identity != after.identity {
            return write_in_turn(self, batch, guard).await;
        }
        if let Err(lost) = guard.check().await {
            return Err(lost.of_step(0, Vec::new(), self.attempted(before)));
        }
        match traced(self.replace_owned_price(before, after, spec)).await {
            (Ok(written), _) => Ok(vec![Written::default(), written]),
            (Err(failure), is_written) => {
                let (failure, is_in_doubt) = self.failed(after, failure, is_written).await;
                let error = failure.into_provider_error(self.attempted(after));
                // Nothing was deleted before it.
                let mut failed = failed(error, 0, Vec::new(), after.secret_values());
                failed.error.is_in_doubt = is_in_doubt;
                Err(failed)
            }
        }
    }
}

/// Whether a meter, which has no room for a mark, is not what an earlier attempt of this creation made.
fn is_another_meter(entry: &Entry, spec: &Map) -> bool {
    let is_active = entry.object.get("status").and_then(Json::as_str) == Some("active");
    let wanted = spec.get("displayName").and_then(Value::as_str);
    is_active && entry.object.get("display_name").and_then(Json::as_str) != wanted
}

fn id_of(object: &Json) -> &str {
    object.get("id").and_then(Json::as_str).unwrap_or_default()
}

/// The name in the spec that a step is about.
fn name_of(step: &Step) -> String {
    let name = step.spec().get(step.kind.identity[0]).and_then(Value::as_str);
    name.map_or_else(|| step.identity.replace("%2F", "/").replace("%25", "%"), str::to_owned)
}

fn written(step: &Step, id: &str) -> Written {
    let outputs =
        if step.kind.outputs.is_empty() { Map::default() } else { Map::from_fields([("id".into(), id.into())]) };
    Written { outputs, ..Written::default() }
}

/// Takes out what Stripe tells once.
fn captured(step: &Step, object: &mut Json) -> BTreeMap<Cow<'static, str>, SecretString> {
    let told = object.as_object_mut().and_then(|fields| fields.remove(SECRET));
    let told = told.as_ref().and_then(Json::as_str);
    step.kind.captures.iter().filter_map(|capture| Some((capture.name.clone(), SecretString::from(told?)))).collect()
}

fn nameless() -> Failure {
    Failure::Unreadable("Stripe returned an object without a name".to_owned())
}

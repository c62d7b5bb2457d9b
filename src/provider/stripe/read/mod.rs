//! The reading half: the lists of the kinds that are asked for, each read once.
//!
//! A kind whose list failed is unknown, and no other.

mod objects;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::{join_all, try_join_all};
use serde_json::Value as Json;

pub use objects::{ADDRESS, CUSTOMER, Meters, PRODUCT, prices_of, snake, spec_of};

use super::api::{self, Api, Failed as _, Failure};
use super::features;
use super::lists::{Entry, List, State};
use super::types::StripeKind;
use tenantry_core::fingerprint::Fingerprint;
use tenantry_core::model::kind::{Kind, MarkPlace};
use tenantry_core::model::mark::is_of;
use tenantry_core::model::resource::{Identity, KindObservation, Observed, Present};
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::{Kinds, ProviderKind as _};
use tenantry_provider::contract::{ObserveRequest, ProviderError, Reader};

pub struct StripeReader {
    api: Arc<Api>,
    kinds: Kinds<StripeKind>,
}

impl StripeReader {
    pub fn new(api: Arc<Api>) -> Self {
        Self { api, kinds: Kinds::default() }
    }

    /// A kind's list, with what has ended where that matters.
    async fn list(&self, kind: StripeKind, request: &ObserveRequest<'_>) -> Result<List, Failure> {
        let mut list = List::read(&self.api, kind).await?;
        if kind == StripeKind::Product {
            self.add_features(&mut list, request).await?;
        }
        let mut wanted = request.wanted.get(kind.name()).into_iter().flatten().map(|desired| &*desired.spec);
        let is_missing = |spec: &Map| {
            let key = spec.get("key").and_then(Value::as_str).unwrap_or_default();
            matches!(list.current(request.estate, key), Ok(None))
        };
        if kind == StripeKind::Subscription && wanted.any(|spec| is_to_end(spec) && is_missing(spec)) {
            list.add_ended(&self.api).await?;
        }
        Ok(list)
    }

    /// Adds to the products whose specs name features those that they have.
    async fn add_features(&self, list: &mut List, request: &ObserveRequest<'_>) -> Result<(), Failure> {
        let name = StripeKind::Product.name();
        let wanted = request.wanted.get(name).into_iter().flatten().map(|desired| &*desired.spec);
        let known = request.known.get(name).into_iter().flatten().map(|known| &known.spec);
        let naming = wanted.chain(known).filter(|spec| spec.contains("features"));
        let keys = naming.filter_map(|spec| spec.get("key").and_then(Value::as_str));
        let products: Vec<Json> = keys
            .filter_map(|key| list.current(request.estate, key).ok().flatten())
            .map(|entry| entry.object.clone())
            .collect();
        let reads = products.into_iter().map(|mut product| async move {
            let id = product.get("id").and_then(Json::as_str).unwrap_or_default();
            let attached = features::list(&self.api, id).await?;
            features::put(&mut product, &attached);
            Ok::<Json, Failure>(product)
        });
        for product in try_join_all(reads).await? {
            list.put(product);
        }
        Ok(())
    }

    /// The names of meters by id, where prices refer to any.
    async fn meters(&self, prices: &List, meters: Option<&List>) -> Result<Meters, Failure> {
        if !prices.iter().any(|entry| entry.object.pointer("/recurring/meter").is_some_and(|meter| !meter.is_null())) {
            return Ok(Meters::new());
        }
        match meters {
            Some(meters) => Ok(objects::meters(meters)),
            None => Ok(objects::meters(&List::read(&self.api, StripeKind::Meter).await?)),
        }
    }
}

/// All that a list says of a kind.
fn observation(
    (variant, kind): (StripeKind, &Kind),
    list: &List,
    meters: &Result<Meters, Failure>,
    request: &ObserveRequest<'_>,
) -> KindObservation {
    let mut observation = KindObservation::default();
    let wanted = request.wanted.get(kind.name).into_iter().flatten();
    let wanted = wanted.filter_map(|desired| Some((desired.identity.as_ref()?, &*desired.spec)));
    let known = request.known.get(kind.name).into_iter().flatten();
    let known = known.map(|known| (known.identity, &known.spec));
    for (identity, spec) in wanted.chain(known) {
        let name = spec.get(kind.identity[0]).and_then(Value::as_str).unwrap_or_default();
        let observed = match list.current(request.estate, name) {
            Err(reason) => Observed::Unknown(reason.into()),
            Ok(None) => ended(kind, list, request, spec).map_or(Observed::Absent, Observed::Present),
            Ok(Some(entry)) => present((variant, kind), entry, list, meters, Some(spec), request.estate),
        };
        observation.resources.insert(identity.clone(), observed);
    }
    let marked = list.iter().filter(|entry| {
        entry.state == State::Current && entry.mark.as_ref().is_some_and(|mark| mark.is_of(request.estate))
    });
    for entry in marked {
        let name = Map::from_fields([(kind.identity[0].into(), entry.name.as_str().into())]);
        let Some(identity): Option<Identity> = kind.identity_of(&kind.normal(&name)) else { continue };
        observation
            .resources
            .entry(identity)
            .or_insert_with(|| present((variant, kind), entry, list, meters, None, request.estate));
    }
    observation
}

/// Whether a spec wants a subscription to end with its period.
fn is_to_end(spec: &Map) -> bool {
    spec.get("cancelAtPeriodEnd").and_then(Value::as_bool) == Some(true)
}

/// A subscription that was to end and has ended is as it is wanted: made anew, it would be paid for once more.
fn ended(kind: &Kind, list: &List, request: &ObserveRequest<'_>, spec: &Map) -> Option<Present> {
    let name = spec.get(kind.identity[0]).and_then(Value::as_str).unwrap_or_default();
    let wanted = request.wanted.get(kind.name).into_iter().flatten();
    let is_wanted = wanted.map(|desired| &*desired.spec).any(|wanted| std::ptr::eq(wanted, spec));
    let entry = list.ended(request.estate, name).filter(|_| is_wanted && is_to_end(spec))?;
    Some(Present {
        spec: Arc::new(kind.write_only.iter().fold(spec.clone(), |spec, pointer| spec.without(&pointer[1..]))),
        mark: entry.mark.clone(),
        outputs: Arc::new(Map::from_fields([("id".into(), entry.id().into())])),
        ..Present::default()
    })
}

/// What is there under a name, in the words of `spec`, which says what is wanted there.
fn present(
    (variant, kind): (StripeKind, &Kind),
    entry: &Entry,
    list: &List,
    meters: &Result<Meters, Failure>,
    spec: Option<&Map>,
    estate: &str,
) -> Observed {
    let meters = match meters {
        Ok(meters) => meters,
        Err(failure) => return Observed::Unknown(unlisted("meters", failure).into()),
    };
    let mut observed = match spec_of(variant, &entry.object, meters, spec, estate) {
        Ok(observed) => observed,
        Err(reason) => return Observed::Unknown(reason.into()),
    };
    if variant == StripeKind::Price {
        let mark = entry.mark.as_ref();
        let superseded = superseded(list, mark.map(|mark| &*mark.estate), &entry.name);
        observed = observed.with("superseded", Value::list(superseded.map(|entry| entry.id().into())).as_set());
    }
    let outputs =
        if kind.outputs.is_empty() { Map::default() } else { Map::from_fields([("id".into(), entry.id().into())]) };
    Observed::Present(Present {
        spec: Arc::new(kind.canonical(&observed)),
        mark: entry.mark.clone().filter(|_| kind.mark == MarkPlace::Target),
        outputs: Arc::new(outputs),
        pending: objects::pending(variant, &entry.object).map(Into::into),
        scheduled: objects::scheduled(variant, &entry.object).map(Into::into),
        ..Present::default()
    })
}

/// Earlier prices of a name that a run left active when it was cut short.
pub fn superseded<'a>(list: &'a List, estate: Option<&'a str>, name: &'a str) -> impl Iterator<Item = &'a Entry> {
    list.named("", name).iter().filter(move |entry| {
        entry.state == State::Superseded
            && estate.is_some_and(|estate| {
                entry.mark.as_ref().is_some_and(|mark| mark.is_of(estate) || is_of(estate, &mark.estate))
            })
    })
}

fn unlisted(what: &str, failure: &Failure) -> Arc<str> {
    format!("listing {what} of Stripe: {failure}").into()
}

#[async_trait]
impl Reader for StripeReader {
    async fn observe(&self, request: &ObserveRequest<'_>) -> BTreeMap<&'static str, KindObservation> {
        let asked: BTreeSet<&'static str> = request.wanted.keys().chain(request.known.keys()).copied().collect();
        let kinds = asked.iter().filter_map(|name| StripeKind::of(name).ok());
        let lists = join_all(kinds.map(async |kind| (kind, self.list(kind, request).await))).await;
        let lists: BTreeMap<StripeKind, Result<List, Failure>> = lists.into_iter().collect();
        let meters = match lists.get(&StripeKind::Price) {
            Some(Ok(prices)) => {
                self.meters(prices, lists.get(&StripeKind::Meter).and_then(|list| list.as_ref().ok())).await
            }
            _ => Ok(Meters::new()),
        };
        let mut observations = BTreeMap::new();
        for name in asked {
            let kind = self.kinds.get(name);
            let observation = match kind.and_then(|kind| Some((kind, lists.get(&kind.0)?))) {
                Some((kind, Ok(list))) => observation(kind, list, &meters, request),
                Some((_, Err(failure))) => {
                    let what = name.trim_start_matches("stripe.").replace('_', " ");
                    KindObservation::unknown(unlisted(&format!("{what}s"), failure))
                }
                None => KindObservation::unknown(format!("Stripe has no kind {name}")),
            };
            observations.insert(name, observation);
        }
        observations
    }

    /// The account of the key, and its mode: live and test objects of an account never meet.
    async fn identify(&self) -> Result<Option<Fingerprint>, ProviderError> {
        let attempted = format!("reading the account of Stripe at {}", self.api.location());
        let account = self.api.account().await.map_err(|failure| failure.into_provider_error(attempted))?;
        Ok(Fingerprint::new(format!("account {account}, {} mode", api::mode(self.api.is_live()))))
    }

    async fn probe(&self) -> Result<String, ProviderError> {
        let location = self.api.location();
        let attempted = format!("connecting to Stripe at {location}");
        self.api.probe().await.map_err(|failure| failure.into_provider_error(attempted))?;
        Ok(format!("Stripe at {location}, API version {}", api::VERSION))
    }
}

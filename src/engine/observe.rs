//! One bulk read per target, all targets at once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;

use super::targets::Targets;
use super::trace::timed;
use tenantry_core::collections;
use tenantry_core::fingerprint::{Accepted, Told};
use tenantry_core::model::address::Address;
use tenantry_core::model::resource::{
    Applied, Desired, Identity, Inventory, KindObservation, Observations, TargetName,
};
use tenantry_provider::contract::{ErrorClass, Known, ObserveRequest, ProviderError, Reader, Trial, TrialRequest};
use tenantry_provider::timeouts::seconds;
use tenantry_store::contract::{Store, StoreError};

/// What is read from one target.
struct Asked<'a> {
    wanted: BTreeMap<&'static str, Vec<&'a Desired>>,
    known: BTreeMap<&'static str, Vec<Known<'a>>>,
    recorded: HashMap<(&'static str, &'a Identity), &'a Applied>,
}

/// The observed resources and the fingerprints of the targets.
pub struct Seen {
    pub observed: Observations,
    pub told: BTreeMap<TargetName, Told>,
}

/// Observes everything that is desired or recorded in every target, and asks each target for its fingerprint at the same time.
/// If a target cannot be read, all its kinds are unknown; the others are not affected.
pub async fn observe<'a>(
    targets: &Targets<'_>,
    desired: impl IntoIterator<Item = &'a Desired>,
    known: impl IntoIterator<Item = &'a Applied>,
) -> Seen {
    let all = targets.names().cloned().collect();
    look(targets, &all, desired, known, true).await
}

/// As [`observe`], in some targets only, whose fingerprints were read before.
pub async fn observe_in<'a>(
    targets: &Targets<'_>,
    names: &BTreeSet<TargetName>,
    desired: impl IntoIterator<Item = &'a Desired>,
    known: impl IntoIterator<Item = &'a Applied>,
) -> Observations {
    look(targets, names, desired, known, false).await.observed
}

/// Asks each target what it would refuse of its trials; beside them stands what else the plan changes there. A target that
/// does not answer in time refuses nothing: applying tells.
pub async fn refusals(
    targets: &Targets<'_>,
    tried: BTreeMap<&TargetName, (Vec<Trial<'_>>, Vec<&Desired>)>,
) -> HashMap<Address, Arc<str>> {
    let scope = targets.environment.scope();
    let answers =
        tried.into_iter().filter(|(_, (trials, _))| !trials.is_empty()).map(|(target, (trials, changing))| {
            let scope = &scope;
            async move {
                let Ok(reader) = targets.reader(target) else { return Vec::new() };
                let request = TrialRequest { estate: scope, trials, changing };
                let answer = tokio::time::timeout(targets.timeouts(target).read, reader.refusals(&request)).await;
                let refused = answer.unwrap_or_default().into_iter();
                refused.filter_map(|(at, why)| Some((request.trials.get(at)?.desired.address.clone(), why))).collect()
            }
        });
    join_all(answers).await.into_iter().flatten().collect()
}

/// The accepted fingerprints.
///
/// # Errors
/// If the store cannot be read.
pub async fn accepted(store: &dyn Store) -> Result<BTreeMap<TargetName, Accepted>, StoreError> {
    Ok(store.targets().await?.into_iter().map(|(target, known)| (target, known.fingerprint)).collect())
}

/// Asks one target for its fingerprint.
pub async fn ask(targets: &Targets<'_>, target: &str) -> Told {
    match targets.reader(target) {
        Ok(reader) => told(&*reader, targets.timeouts(target).read).await,
        Err(error) => Told::Unasked(describe(&error).into()),
    }
}

async fn told(reader: &dyn Reader, within: Duration) -> Told {
    let words = |error: &ProviderError| -> Arc<str> {
        match &error.remedy {
            Some(remedy) => format!("{error}; {remedy}").into(),
            None => error.to_string().into(),
        }
    };
    match tokio::time::timeout(within, reader.identify()).await {
        Ok(Ok(Some(fingerprint))) => Told::Is(fingerprint),
        Ok(Ok(None)) => Told::Nothing,
        Ok(Err(error)) if error.class == ErrorClass::Denied => Told::Denied(words(&error)),
        Ok(Err(error)) => Told::Unasked(words(&error)),
        Err(_) => Told::Unasked(late(within).into()),
    }
}

async fn look<'a>(
    targets: &Targets<'_>,
    names: &BTreeSet<TargetName>,
    desired: impl IntoIterator<Item = &'a Desired>,
    known: impl IntoIterator<Item = &'a Applied>,
    asks: bool,
) -> Seen {
    let mut requests: BTreeMap<TargetName, Asked<'a>> = BTreeMap::new();
    let empty = |name: &TargetName| {
        // Every kind of the provider is asked for, so that marks are found that nothing else knows of.
        let provider = targets.environment.targets.get(name).map(|table| table.provider.clone()).unwrap_or_default();
        let kinds = targets.catalogue.iter().filter(move |kind| *kind.provider() == *provider);
        kinds.map(|kind| (kind.name, Vec::new())).collect()
    };
    let request = |name: &TargetName| Asked { wanted: empty(name), known: BTreeMap::new(), recorded: HashMap::new() };
    for name in names {
        requests.insert(name.clone(), request(name));
    }
    let mut wanted: collections::HashSet<(&TargetName, &'static str, &Identity)> = collections::HashSet::default();
    for desired in desired {
        let request = requests.entry(desired.target.clone()).or_insert_with(|| request(&desired.target));
        let of_kind = request.wanted.entry(desired.kind.name).or_default();
        if let Some(identity) = &desired.identity {
            wanted.insert((&desired.target, desired.kind.name, identity));
            of_kind.push(desired);
        }
    }
    for applied in known {
        let Some(kind) = targets.catalogue.get(&applied.kind) else { continue };
        // A target that is not configured any more is not asked, and so stays unknown.
        let Some(request) = requests.get_mut(&applied.target) else { continue };
        if wanted.contains(&(&applied.target, kind.name, &applied.identity)) {
            request.recorded.insert((kind.name, &applied.identity), applied);
            continue;
        }
        let spec = applied.spec_value().unwrap_or_default();
        request.known.entry(kind.name).or_default().push(Known { identity: &applied.identity, spec });
    }
    drop(wanted);
    let answers = join_all(requests.into_iter().map(|(target, request)| async move {
        let Asked { wanted, known, recorded } = request;
        let scope = targets.environment.scope();
        let request = ObserveRequest { estate: &scope, wanted, known, recorded };
        let kinds: BTreeSet<&'static str> = request.wanted.keys().chain(request.known.keys()).copied().collect();
        let unknown = |reason: Arc<str>| -> BTreeMap<_, _> {
            kinds.iter().map(|kind| (*kind, KindObservation::unknown(reason.clone()))).collect()
        };
        let (answer, told) = match targets.reader(&target) {
            Ok(reader) => {
                // Each request has its own end; so many of them, or a list without one, have this.
                let within = targets.timeouts(&target).read;
                let told = async { if asks { Some(told(&*reader, within).await) } else { None } };
                let answer = async {
                    let answer = tokio::time::timeout(within, reader.observe(&request)).await;
                    answer.unwrap_or_else(|_| unknown(late(within).into()))
                };
                let answer = timed(tracing::info_span!("read", target = &*target), answer, found);
                futures::join!(answer, told)
            }
            Err(error) => {
                let reason: Arc<str> = describe(&error).into();
                (unknown(reason.clone()), asks.then_some(Told::Unasked(reason)))
            }
        };
        (target, kinds, answer, told)
    }))
    .await;
    let mut seen = Seen { observed: Observations::new(), told: BTreeMap::new() };
    for (target, kinds, mut answer, told) in answers {
        for kind in kinds {
            let observation =
                answer.remove(kind).unwrap_or_else(|| KindObservation::unknown("the provider returned no result"));
            seen.observed.insert((target.clone(), kind), observation);
        }
        seen.told.extend(told.map(|told| (target, told)));
    }
    seen
}

/// What was read, in numbers.
fn found(answer: &BTreeMap<&'static str, KindObservation>) -> String {
    let resources: usize = answer.values().map(|observation| observation.resources.len()).sum();
    let kinds = answer.keys().copied().collect::<Vec<_>>().join(", ");
    format!("{resources} of {kinds} looked at")
}

fn late(within: Duration) -> String {
    format!(
        "reading the target took longer than {}; allow more time with `timeouts.read_seconds` in its table",
        seconds(within)
    )
}

/// An error with what caused it, in one line.
pub fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// The inventory by address.
pub fn by_address(inventory: Vec<Applied>) -> Inventory {
    inventory.into_iter().map(|applied| (applied.address.clone(), applied)).collect()
}

//! What tests against real servers share: desired resources without an engine, and the steps that write them.

pub mod api_proxy;
pub mod guard;
pub mod kubernetes;
pub mod objects;
pub mod postgres;
pub mod proxy;
pub mod s3;
pub mod server;
pub mod stripe;
pub mod stripe_schedules;
pub mod target;
pub mod tcp;
pub mod tls;
pub mod vendors;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tenantry_core::diagnostics::{FileId, Origin, Severity, Span};
use tenantry_core::model::kind::{Catalogue, Kind};
use tenantry_core::model::mark::Mark;
use tenantry_core::model::resource::{Applied, Desired, KindObservation, Observed, Present};
use tenantry_core::model::value::{Map, Value};
use tenantry_core::plan::json::Written;
use tenantry_provider::contract::{Known, ObserveRequest, Provider, Reader, Step, StepAction};

pub const ESTATE: &str = "shop";

/// A plan in one of its forms, to look into.
pub fn as_json(plan: Written<'_>) -> serde_json::Value {
    serde_json::to_value(plan).expect("a plan is JSON")
}

/// JSON as the fields of a spec.
pub fn map(json: serde_json::Value) -> Map {
    match Value::from(json) {
        Value::Map(map) => Map::clone(&map),
        other => panic!("{other:?} is no map"),
    }
}

/// Makes desired resources and steps as the engine would.
pub struct Workbench {
    catalogue: Catalogue,
}

impl Workbench {
    pub fn new(provider: &dyn Provider) -> Self {
        Self { catalogue: Catalogue::new(provider.kinds()) }
    }

    pub fn kind(&self, name: &str) -> Arc<Kind> {
        self.catalogue.get(name).unwrap_or_else(|| panic!("no kind {name}")).clone()
    }

    /// A desired resource, checked and normalised.
    pub fn desired(&self, kind: &str, address: &str, spec: serde_json::Value) -> Desired {
        let kind = self.kind(kind);
        let written = map(spec);
        let errors: Vec<String> = jsonschema::validator_for(kind.schema.as_value())
            .expect("a valid schema")
            .iter_errors(&Value::from(written.clone()).to_json())
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{errors:?}");
        let spec = kind.normal(&written);
        let refused: Vec<_> =
            (kind.check)(&spec).into_iter().filter(|problem| problem.severity == Severity::Error).collect();
        assert_eq!(refused, []);
        Desired {
            address: address.parse().expect("an address"),
            identity: kind.identity_of(&spec),
            kind,
            target: "main".into(),
            spec,
            sensitive: Arc::new([]),
            protect: false,
            optional: false,
            adopt: false,
            depends_on: Vec::new(),
            previously: Vec::new(),
            origin: Origin { file: FileId(0), span: Span::default() },
        }
    }
}

/// The mark that a resource is to carry. Secrets are hashed by their length here: enough to differ.
pub fn mark(desired: &Desired) -> Mark {
    let secrets = secret_values(desired);
    let hash = (!secrets.is_empty()).then(|| format!("hash-{}", secrets.concat().len()).into());
    Mark { estate: ESTATE.into(), address: desired.address.clone(), secret_hash: hash }
}

fn secret_values(desired: &Desired) -> Vec<String> {
    let spec = Value::from(Map::clone(&desired.spec));
    let pointers = desired.kind.write_only.iter();
    pointers.filter_map(|pointer| spec.pointer(pointer)?.as_str().map(str::to_owned)).collect()
}

fn secrets(desired: &Desired) -> Vec<String> {
    desired
        .kind
        .write_only
        .iter()
        .filter(|pointer| desired.spec.contains(&pointer[1..]))
        .map(|p| (*p).to_owned())
        .collect()
}

fn step(desired: &Desired, action: StepAction) -> Step {
    Step {
        kind: desired.kind.clone(),
        identity: desired.identity.clone().expect("an identity"),
        action,
        mark: mark(desired),
        idempotency_key: format!("{}/1", desired.address).into(),
    }
}

pub fn create(desired: &Desired) -> Step {
    step(desired, StepAction::Create { spec: Map::clone(&desired.spec), secrets: secrets(desired) })
}

/// An update of what was observed to what is desired. `removed` are pointers that are no longer asked for.
pub fn update(desired: &Desired, before: &Present, removed: &[&str]) -> Step {
    let mut changed: Vec<String> = desired
        .spec
        .iter()
        .filter(|(field, value)| {
            before.spec.get(field) != Some(value) && !secrets(desired).contains(&format!("/{field}"))
        })
        .map(|(field, _)| format!("/{field}"))
        .collect();
    if before.mark.as_ref().and_then(|mark| mark.secret_hash.clone()) != mark(desired).secret_hash {
        changed.extend(secrets(desired));
    }
    let action = StepAction::Update {
        spec: Map::clone(&desired.spec),
        before: before.clone(),
        applied: Some(Map::clone(&before.spec)),
        changed,
        removed: removed.iter().map(|pointer| (*pointer).to_owned()).collect(),
        secrets: secrets(desired),
    };
    step(desired, action)
}

pub fn delete(desired: &Desired, before: &Present) -> Step {
    let mut step = step(desired, StepAction::Delete { before: before.clone() });
    step.mark.secret_hash = None;
    step
}

/// Asks a reader for some resources, and for others that are no longer asked for.
pub async fn observe(
    reader: &dyn Reader,
    desired: &[&Desired],
    known: &[&Desired],
) -> BTreeMap<&'static str, KindObservation> {
    let mut request =
        ObserveRequest { estate: ESTATE, wanted: BTreeMap::new(), known: BTreeMap::new(), recorded: HashMap::new() };
    // As if all of it had been written as it is desired.
    let records: Vec<Applied> = desired.iter().filter_map(|desired| record(desired)).collect();
    for desired in desired {
        request.wanted.entry(desired.kind.name).or_default().push(desired);
        let record = records.iter().find(|record| record.address == desired.address);
        request.recorded.extend(record.map(|record| ((desired.kind.name, &record.identity), record)));
    }
    for known in known {
        let identity = known.identity.as_ref().expect("an identity");
        let known_resource = Known { identity, spec: Map::clone(&known.spec) };
        request.known.entry(known.kind.name).or_default().push(known_resource);
        request.wanted.entry(known.kind.name).or_default();
    }
    reader.observe(&request).await
}

fn record(desired: &Desired) -> Option<Applied> {
    Some(Applied {
        address: desired.address.clone(),
        depends_on: Vec::new(),
        marked: None,
        generation: 1,
        identity: desired.identity.clone()?,
        kind: desired.kind.name.into(),
        outputs: "{}".into(),
        protect: false,
        spec: Value::from(Map::clone(&desired.spec)).to_json().to_string().into(),
        target: desired.target.clone(),
    })
}

/// The spec as it is to be observed: without what the target never gives back.
pub fn observable(desired: &Desired) -> Map {
    desired.kind.write_only.iter().fold(Map::clone(&desired.spec), |spec, pointer| spec.without(&pointer[1..]))
}

/// What was observed of a resource that has to be there.
#[track_caller]
pub fn present(observed: Observed) -> Present {
    match observed {
        Observed::Present(present) => present,
        other => panic!("not present: {other:?}"),
    }
}

/// Why something is unknown, as a user reads it.
pub fn said(cause: &tenantry_core::model::unknown::Unknown) -> String {
    tenantry_render::hindrance::unknown(cause)
}

//! A simulated world that begins with what is on record, so that a change can be played through where the targets cannot be
//! asked: on a pull request of somebody who is given no credentials.
//!
//! The records say what was last written, and what each target told of it. A secret is only named there, so that every one
//! gets a value of its own, which opens nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::secrets::{EarlierOwners, SecretValues, references};
use super::targets::{Targets, failed};
use super::{EngineError, systems};
use tenantry_core::fingerprint::Accepted;
use tenantry_core::model::kind::Kind;
use tenantry_core::model::mark::Mark;
use tenantry_core::model::resource::{Applied, TargetName};
use tenantry_core::model::value::{Deferred, Map, Value};
use tenantry_provider::contract::{Step, StepAction};
use tenantry_secret::contract::SecretStore;
use tenantry_store::contract::Store;

/// Fills the sandbox of `targets`, which must be simulated and empty, with everything on record, and says so in `store`, which
/// must hold the same records.
///
/// What has a kind that this build does not know is left out: nobody can plan it.
///
/// # Errors
/// If sandbox, store or secret store cannot be written.
pub async fn begin(
    targets: &Targets<'_>,
    store: &dyn Store,
    secrets: &dyn SecretStore,
    actor: &Arc<str>,
    at: Timestamp,
) -> Result<(), EngineError> {
    let inventory = store.inventory().await?;
    let known: Vec<(&Applied, &Arc<Kind>, Arc<Map>)> = inventory
        .iter()
        .filter_map(|applied| {
            let kind = targets.catalogue.get(&applied.kind)?;
            Some((applied, kind, Arc::new(with_references(&applied.spec_value()?))))
        })
        .collect();
    let values =
        SecretValues::ensure(secrets, known.iter().map(|(_, _, spec)| spec), &EarlierOwners::default()).await?;
    // Those that a target told once.
    let mut captured = BTreeSet::new();
    for outputs in known.iter().filter_map(|(applied, kind, _)| applied.outputs_value(Some(kind))) {
        references(&outputs, &mut captured);
    }
    let told = captured.into_iter().map(|reference| (reference.clone(), format!("rehearsed {reference}").into()));
    secrets.put(told.collect()).await?;

    let scope = targets.environment.scope();
    let mut by_target: BTreeMap<&TargetName, Vec<(Step, Map)>> = BTreeMap::new();
    for (applied, kind, spec) in &known {
        let seed = seed(applied, kind, spec, &scope, &values);
        by_target.entry(&applied.target).or_default().push(seed);
    }
    for (target, seeds) in by_target {
        targets.sandbox.seed(target, &seeds).await.map_err(|error| failed(target, error))?;
    }
    let mut simulated: BTreeMap<TargetName, Accepted> = BTreeMap::new();
    for target in store.targets().await?.into_keys().filter(|target| targets.environment.targets.contains_key(target)) {
        let told = targets.reader(&target)?.identify().await.map_err(|error| failed(&target, error))?;
        simulated.insert(target, told);
    }
    systems::accept(store, simulated, actor, at, None).await?;
    Ok(())
}

/// One resource as the step that would have made it, with what its target told of it.
fn seed(applied: &Applied, kind: &Arc<Kind>, spec: &Arc<Map>, scope: &Arc<str>, values: &SecretValues) -> (Step, Map) {
    let nothing = |_: &_, _: &str| None;
    let mut secrets = Vec::new();
    Value::Map(spec.clone()).for_each_leaf(&mut |pointer, value| {
        if value.has_secret() {
            secrets.push(pointer.to_owned());
        }
    });
    let clear = Value::Map(spec.clone()).try_map_deferred(&mut |deferred| {
        let value = values.resolve(deferred, &nothing);
        Ok::<_, std::convert::Infallible>(value.unwrap_or_else(|| deferred.to_string().into()))
    });
    let clear = match clear {
        Ok(Value::Map(clear)) => Map::clone(&clear),
        _ => Map::default(),
    };
    let step = Step {
        kind: kind.clone(),
        identity: applied.identity.clone(),
        action: StepAction::Create { spec: clear, secrets },
        mark: Mark {
            estate: scope.clone(),
            address: applied.marked.as_deref().unwrap_or(&applied.address).clone(),
            secret_hash: values.hash(spec, &nothing).map(Into::into),
        },
        idempotency_key: "".into(),
    };
    let outputs = applied.outputs_value(Some(kind)).unwrap_or_default();
    let told = outputs.iter().filter(|(_, value)| !matches!(value, Value::Deferred(_) | Value::Null));
    (step, Map::from_fields(told.map(|(name, value)| (name.clone(), value.clone()))))
}

/// A spec of the inventory with the references to secrets that its texts name.
fn with_references(spec: &Map) -> Map {
    Map::from_fields(spec.iter().map(|(name, value)| (name.clone(), referring(value))))
}

fn referring(value: &Value) -> Value {
    match value {
        Value::Text(text) => {
            Deferred::from_text(text).map_or_else(|| value.clone(), |deferred| Value::Deferred(Arc::new(deferred)))
        }
        Value::List(items) => Value::List(items.iter().map(referring).collect()),
        Value::Map(map) => Value::Map(Arc::new(with_references(map))),
        other => other.clone(),
    }
}

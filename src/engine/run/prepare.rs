//! From a change to the steps that a target is given, and to what is kept of it afterwards.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::super::apply::Ready;
use super::{Run, locked};
use tenantry_core::diff;
use tenantry_core::model::address::Address;
use tenantry_core::model::kind::Kind;
use tenantry_core::model::mark::Mark;
use tenantry_core::model::names::hex;
use tenantry_core::model::resource::{Applied, Present};
use tenantry_core::model::value::{Deferred, Map, Part, Value};
use tenantry_core::plan::{Action, Change, FieldChange};
use tenantry_provider::contract::{Step, StepAction};
use tenantry_store::contract::{StepBegun, StepResult};

/// A change whose steps have every value in its place.
pub struct Prepared<'r, 'a> {
    pub ready: &'r Ready<'a>,
    /// None where only the record is missing.
    pub steps: Vec<Step>,
}

impl<'a> Run<'a> {
    /// The steps of a change, with every value in its place. None where only the record is missing.
    pub(super) fn prepare(&self, ready: &Ready<'_>) -> Result<Vec<Step>, String> {
        let Ready { change, present, replaced: _, only_record } = ready;
        if *only_record || change.action == Action::Forget || (change.action == Action::Delete && present.is_none()) {
            return Ok(Vec::new());
        }
        let kind = self.request.targets.catalogue.get(&change.kind).ok_or("its kind is not known")?;
        let Some(after) = &change.after else {
            let before = present.clone().unwrap_or_default();
            return Ok(vec![self.step(change, kind, None, StepAction::Delete { before })?]);
        };
        let after = &self.settled(after);
        let mut unresolved = None;
        let mut secrets = Vec::new();
        Value::Map(after.clone()).for_each_leaf(&mut |pointer, value| {
            if matches!(value, Value::Deferred(deferred) if deferred.has_secret()) {
                secrets.push(pointer.to_owned());
            }
        });
        let spec = after_with(after, &mut |deferred| {
            let value = self.resolve(deferred);
            if value.is_none() {
                unresolved.get_or_insert_with(|| not_known(deferred));
            }
            value
        });
        if let Some(unresolved) = unresolved {
            return Err(unresolved);
        }
        let create = |spec: Map| StepAction::Create { spec, secrets: secrets.clone() };
        let update = |spec: Map, before: Present| {
            let (removed, changed) = change.fields.iter().partition::<Vec<_>, _>(|field| field.after.is_none());
            let pointers = |fields: Vec<&FieldChange>| fields.iter().map(|field| field.path.to_string()).collect();
            StepAction::Update {
                spec,
                before,
                applied: self.applied_before(change),
                changed: pointers(changed),
                removed: pointers(removed),
                secrets: secrets.clone(),
            }
        };
        let mut steps = Vec::with_capacity(2);
        match (change.action, present) {
            (Action::Replace, Some(before)) if change.replaces.is_none() => {
                steps.push(self.step(change, kind, None, StepAction::Delete { before: before.clone() })?);
                steps.push(self.step(change, kind, Some(after), create(spec))?);
            }
            (Action::Replace, Some(before)) => {
                // The new one is there already, and not as it should be: what differs from the old one says nothing of it.
                let normal = kind.normal(&spec);
                let differences = diff::compare(kind, &normal, &before.spec, None);
                let changed: Vec<String> =
                    differences.iter().map(|difference| difference.pointer.to_string()).collect();
                if changed.iter().any(|pointer| kind.is_immutable(&normal, pointer)) {
                    steps.push(self.step(change, kind, None, StepAction::Delete { before: before.clone() })?);
                    steps.push(self.step(change, kind, Some(after), create(spec))?);
                } else {
                    let (before, secrets) = (before.clone(), secrets.clone());
                    let action =
                        StepAction::Update { spec, before, applied: None, changed, removed: Vec::new(), secrets };
                    steps.push(self.step(change, kind, Some(after), action)?);
                }
            }
            (Action::Update | Action::Adopt | Action::Move, Some(before)) => {
                steps.push(self.step(change, kind, Some(after), update(spec, before.clone()))?);
            }
            _ => steps.push(self.step(change, kind, Some(after), create(spec))?),
        }
        Ok(steps)
    }

    pub(super) fn step(
        &self,
        change: &Change,
        kind: &Arc<Kind>,
        after: Option<&Arc<Map>>,
        action: StepAction,
    ) -> Result<Step, String> {
        let identity = match (&action, &change.identity) {
            (_, Some(identity)) => identity.clone(),
            (StepAction::Create { spec, .. } | StepAction::Update { spec, .. }, None) => {
                kind.identity_of(&kind.normal(spec)).ok_or("its name is still not known")?
            }
            (StepAction::Delete { .. }, None) => return Err("its name is not known".into()),
        };
        let outputs = |address: &Address, name: &str| self.output(address, name);
        let secret_hash = after.and_then(|after| self.with_secrets(|secrets| secrets.hash(after, &outputs)));
        // What is deleted carries the mark that it was given, which a rename may not have changed yet.
        let address = match &action {
            StepAction::Delete { before: Present { mark: Some(mark), .. } } => mark.address.clone(),
            _ => change.address.clone(),
        };
        let mark = Mark {
            estate: self.request.targets.environment.scope(),
            address,
            secret_hash: secret_hash.map(Into::into),
        };
        Ok(Step { kind: kind.clone(), identity, action, mark, idempotency_key: self.idempotency_key(change) })
    }

    pub(super) fn begun(&self, Prepared { ready: Ready { change, .. }, steps }: &Prepared<'_, 'a>) -> StepBegun {
        // A name that the plan did not know is known by now.
        let identity = change.identity.as_ref().or(steps.last().map(|step| &step.identity));
        StepBegun {
            at: (self.request.clock)(),
            address: change.address.clone(),
            kind: change.kind.clone(),
            target: change.target.clone(),
            identity: identity.cloned().unwrap_or_default(),
            action: change.action,
            generation: change.generation,
            idempotency_key: self.idempotency_key(change),
            spec: self.text_of(change),
        }
    }

    /// The beginning of a write that did not come out as written, for the run that finishes it.
    pub(super) fn begun_again(&self, change: &Change) -> StepBegun {
        let recorded = change.record(self.inventory).map(|applied| applied.identity.clone());
        StepBegun {
            at: (self.request.clock)(),
            address: change.address.clone(),
            kind: change.kind.clone(),
            target: change.target.clone(),
            identity: change.identity.clone().or(recorded).unwrap_or_default(),
            action: Action::Update,
            generation: change.generation,
            idempotency_key: self.idempotency_key(change),
            spec: self.text_of(change),
        }
    }

    /// What is written, as the inventory has it: outputs as they turned out, secrets as references.
    fn recorded_spec(&self, after: &Arc<Map>) -> Map {
        after_with(&self.settled(after), &mut |deferred| {
            let known = !deferred.has_secret();
            known.then(|| self.resolve(deferred)).flatten()
        })
    }

    fn text_of(&self, change: &Change) -> Option<Arc<str>> {
        Some(text(&self.recorded_spec(change.after.as_ref()?)))
    }

    fn idempotency_key(&self, change: &Change) -> Arc<str> {
        let text = format!("{}\n{}\n{}", self.request.plan.estate, change.address, change.generation);
        hex(&Sha256::digest(text.as_bytes())).into()
    }

    pub(super) fn output(&self, address: &Address, name: &str) -> Option<Value> {
        locked(&self.outputs).get(address).and_then(|outputs| outputs.get(name)).cloned()
    }

    /// What was last written at a change's address, or at the one it had before.
    fn applied_before(&self, change: &Change) -> Option<Map> {
        change.record(self.inventory)?.spec_value()
    }

    /// What the inventory holds afterwards.
    pub(super) fn applied(&self, ready: &Ready<'_>, outputs: Map) -> StepResult {
        let change = ready.change;
        let Some(after) = &change.after else { return StepResult::Removed };
        let kind = self.request.targets.catalogue.get(&change.kind);
        let outputs = self.with_earlier(change, kind, outputs);
        let outputs_text = text(&outputs);
        let resolved = self.recorded_spec(after);
        let identity = change
            .identity
            .clone()
            .or_else(|| kind.and_then(|kind| kind.identity_of(&kind.normal(&resolved))))
            .unwrap_or_default();
        if !outputs.is_empty() {
            locked(&self.outputs).insert(change.address.clone(), Arc::new(outputs));
        }
        StepResult::Applied(Applied {
            address: change.address.clone(),
            kind: change.kind.clone(),
            target: change.target.clone(),
            identity,
            spec: text(&resolved),
            outputs: outputs_text,
            generation: change.generation,
            protect: change.protected,
            depends_on: change.depends_on.clone(),
        })
    }
}

fn text(map: &Map) -> Arc<str> {
    serde_json::to_string(map).expect("specs and outputs have texts for keys").into()
}

/// Why a spec cannot be written yet.
fn not_known(deferred: &Deferred) -> String {
    let captured = deferred.parts.iter().any(|part| matches!(part, Part::Secret(secret) if secret.is_captured()));
    match captured {
        true => format!("{deferred} is not in the secret store, and its target does not tell it again"),
        false => format!("{deferred} is still not known"),
    }
}

/// A spec with those deferred values replaced that can be.
pub(super) fn after_with(spec: &Arc<Map>, resolve: &mut impl FnMut(&Deferred) -> Option<Value>) -> Map {
    let resolved = Value::Map(spec.clone()).try_map_deferred(&mut |deferred| {
        Ok::<_, std::convert::Infallible>(
            resolve(deferred).unwrap_or_else(|| Value::Deferred(Arc::new(deferred.clone()))),
        )
    });
    match resolved {
        Ok(Value::Map(map)) => Map::clone(&map),
        Ok(_) => Map::default(),
    }
}

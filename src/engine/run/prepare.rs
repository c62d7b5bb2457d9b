//! From a change to the steps that a target is given, and to what is kept of it afterwards.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::super::fresh::Ready;
use super::{Run, locked};
use tenantry_core::diff::{self, Difference};
use tenantry_core::model::address::Address;
use tenantry_core::model::kind::Kind;
use tenantry_core::model::mark::Mark;
use tenantry_core::model::names::hex;
use tenantry_core::model::resource::{Applied, Identity, Present};
use tenantry_core::model::value::{Deferred, Map, Part, Value};
use tenantry_core::plan::{Action, Change, FieldChange, Work};
use tenantry_provider::contract::{Step, StepAction};
use tenantry_store::contract::{StepBegun, StepResult};

/// A change whose steps have every value in its place.
pub struct Prepared<'r, 'a> {
    pub ready: &'r Ready<'a>,
    /// Of what the change is about.
    pub identity: Identity,
    /// None where only the record is missing.
    pub steps: Vec<Step>,
}

/// Why a change cannot be written yet.
pub const NAMELESS: &str = "its name is still not known";

/// A spec with every value in the clear.
struct Clear {
    /// As the plan has it, with the versions of secrets settled.
    after: Arc<Map>,
    spec: Map,
    /// Pointers to the secret fields of the spec.
    secrets: Vec<String>,
}

impl<'a> Run<'a> {
    /// A change with every value in its place.
    pub(super) fn prepare<'r>(&self, ready: &'r Ready<'a>) -> Result<Prepared<'r, 'a>, String> {
        let steps = self.steps(ready)?;
        let identity = steps.last().map(|step| step.identity.clone()).or_else(|| self.identity_of(ready.change));
        Ok(Prepared { ready, identity: identity.ok_or(NAMELESS)?, steps })
    }

    fn steps(&self, ready: &Ready<'_>) -> Result<Vec<Step>, String> {
        let Ready { change, present, replaced: _, only_record } = ready;
        if *only_record {
            return Ok(Vec::new());
        }
        let kind = self.request.targets.catalogue.get(&change.kind).ok_or("its kind is not known")?;
        match (&change.work, present) {
            (Work::Forget { .. }, _) | (Work::Delete { .. }, None) => Ok(Vec::new()),
            (Work::Delete { .. }, Some(before)) => {
                Ok(vec![self.step(change, kind, None, StepAction::Delete { before: before.clone() })?])
            }
            (Work::Create { after, .. } | Work::Replace { after, .. }, None) => {
                if let Some(before) = self.kept(ready) {
                    return self.in_its_place(change, kind, after, before, self.applied_before(change));
                }
                let (after, create) = self.creation(after)?;
                Ok(vec![self.step(change, kind, Some(&after), create)?])
            }
            (Work::Replace { old: None, after, .. }, Some(before)) => self.anew(change, kind, after, before),
            (Work::Replace { old: Some(_), after, .. }, Some(before)) => {
                // The new one is there already, and not as it should be: what was written to the old one says nothing of it.
                self.in_its_place(change, kind, after, before, None)
            }
            (Work::Update { after, .. } | Work::Adopt { after, .. } | Work::Move { after, .. }, Some(before)) => {
                let Clear { after, spec, secrets } = self.clear(after)?;
                let (removed, changed) =
                    change.work.fields().iter().partition::<Vec<_>, _>(|field| field.after.is_none());
                let pointers = |fields: Vec<&FieldChange>| fields.iter().map(|field| field.path.to_string()).collect();
                let action = StepAction::Update {
                    spec,
                    before: before.clone(),
                    applied: self.applied_before(change),
                    changed: pointers(changed),
                    removed: pointers(removed),
                    secrets,
                };
                Ok(vec![self.step(change, kind, Some(&after), action)?])
            }
            (Work::Create { .. }, Some(_)) => Err("a resource of this name exists already".into()),
            (Work::Update { .. } | Work::Adopt { .. } | Work::Move { .. }, None) => {
                Err("it is not there any more".into())
            }
        }
    }

    /// The old one of a replacement whose name the plan did not know, if what it depends on has turned out such that the name
    /// stays: nothing of it ends.
    pub(super) fn kept<'r>(&self, ready: &'r Ready<'_>) -> Option<&'r Present> {
        let Work::Replace { identity: None, old: Some(old), .. } = &ready.change.work else { return None };
        let before = ready.replaced.as_ref()?;
        (self.identity_of(ready.change)? == *old).then_some(before)
    }

    /// A resource that has its name already brought to what is asked for, made anew where that is the only way.
    fn in_its_place(
        &self,
        change: &Change,
        kind: &Arc<Kind>,
        after: &Arc<Map>,
        before: &Present,
        applied: Option<Map>,
    ) -> Result<Vec<Step>, String> {
        let Clear { after: settled, spec, secrets } = self.clear(after)?;
        let normal = kind.normal(&spec);
        let differences = diff::compare(kind, &normal, &before.spec, applied.as_ref());
        if differences.iter().any(|difference| kind.is_immutable(&normal, &difference.pointer)) {
            return self.anew(change, kind, after, before);
        }
        let (removed, changed) =
            differences.into_iter().partition::<Vec<_>, _>(|difference| difference.after.is_none());
        let pointers = |differences: Vec<Difference>| {
            differences.iter().map(|difference| difference.pointer.to_string()).collect()
        };
        let action = StepAction::Update {
            spec,
            before: before.clone(),
            applied,
            changed: pointers(changed),
            removed: pointers(removed),
            secrets,
        };
        Ok(vec![self.step(change, kind, Some(&settled), action)?])
    }

    /// The old one deleted and the new one made under the same name.
    fn anew(&self, change: &Change, kind: &Arc<Kind>, after: &Arc<Map>, before: &Present) -> Result<Vec<Step>, String> {
        let (after, create) = self.creation(after)?;
        Ok(vec![
            self.step(change, kind, None, StepAction::Delete { before: before.clone() })?,
            self.step(change, kind, Some(&after), create)?,
        ])
    }

    fn creation(&self, after: &Arc<Map>) -> Result<(Arc<Map>, StepAction), String> {
        let Clear { after, spec, secrets } = self.clear(after)?;
        Ok((after, StepAction::Create { spec, secrets }))
    }

    /// Puts every value in its place.
    fn clear(&self, after: &Arc<Map>) -> Result<Clear, String> {
        if !has_deferred(after) {
            return Ok(Clear { after: after.clone(), spec: Map::clone(after), secrets: Vec::new() });
        }
        let after = self.settled(after);
        let mut unresolved = None;
        let mut secrets = Vec::new();
        Value::Map(after.clone()).for_each_leaf(&mut |pointer, value| {
            if matches!(value, Value::Deferred(deferred) if deferred.has_secret()) {
                secrets.push(pointer.to_owned());
            }
        });
        let spec = after_with(&after, &mut |deferred| {
            let value = self.resolve(deferred);
            if value.is_none() {
                unresolved.get_or_insert_with(|| not_known(deferred));
            }
            value
        });
        match unresolved {
            Some(unresolved) => Err(unresolved),
            None => Ok(Clear { after, spec, secrets }),
        }
    }

    /// A step at the name of what a change is about.
    fn step(
        &self,
        change: &Change,
        kind: &Arc<Kind>,
        after: Option<&Arc<Map>>,
        action: StepAction,
    ) -> Result<Step, String> {
        let identity = match (&action, change.work.identity()) {
            (_, Some(identity)) => identity.clone(),
            (StepAction::Create { spec, .. } | StepAction::Update { spec, .. }, None) => {
                kind.identity_of(&kind.normal(spec)).ok_or(NAMELESS)?
            }
            (StepAction::Delete { .. }, None) => return Err(NAMELESS.into()),
        };
        Ok(self.step_at(change, kind, identity, after, action))
    }

    pub(super) fn step_at(
        &self,
        change: &Change,
        kind: &Arc<Kind>,
        identity: Identity,
        after: Option<&Arc<Map>>,
        action: StepAction,
    ) -> Step {
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
        Step { kind: kind.clone(), identity, action, mark, idempotency_key: self.idempotency_key(change) }
    }

    pub(super) fn begun(&self, Prepared { ready, identity, .. }: &Prepared<'_, 'a>) -> StepBegun {
        self.beginning(ready.change, identity.clone(), ready.change.action())
    }

    /// The beginning of a write that did not come out as written, for the run that finishes it. Nothing of what never had a
    /// name, which cannot have been written.
    pub(super) fn begun_again(&self, change: &Change) -> Option<StepBegun> {
        let recorded = || change.record(self.inventory).map(|applied| applied.identity.clone());
        let identity = self.identity_of(change).or_else(recorded)?;
        Some(self.beginning(change, identity, Action::Update))
    }

    fn beginning(&self, change: &Change, identity: Identity, action: Action) -> StepBegun {
        StepBegun {
            action,
            address: change.address.clone(),
            at: (self.request.clock)(),
            generation: change.generation,
            idempotency_key: self.idempotency_key(change),
            identity,
            kind: change.kind.clone(),
            spec: self.text_of(change),
            target: change.target.clone(),
            task: self.task_of(change),
        }
    }

    /// The name of what a change is about. One that the plan did not know is known once what it is made of was written.
    pub(super) fn identity_of(&self, change: &Change) -> Option<Identity> {
        let computed = || {
            let kind = self.request.targets.catalogue.get(&change.kind)?;
            kind.identity_of(&kind.normal(&self.recorded_spec(change.work.after()?)))
        };
        change.work.identity().cloned().or_else(computed)
    }

    /// What is written, as the inventory has it: outputs as they turned out, secrets as references.
    fn recorded_spec(&self, after: &Arc<Map>) -> Map {
        after_with(&self.settled(after), &mut |deferred| {
            let known = !deferred.has_secret();
            known.then(|| self.resolve(deferred)).flatten()
        })
    }

    fn recorded_text(&self, after: &Arc<Map>) -> Arc<str> {
        if has_deferred(after) { text(&self.recorded_spec(after)) } else { text(after) }
    }

    fn text_of(&self, change: &Change) -> Option<Arc<str>> {
        Some(self.recorded_text(change.work.after()?))
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
    pub(super) fn applied(&self, change: &Change, identity: &Identity, outputs: Map) -> StepResult {
        let Some(after) = change.work.after() else { return StepResult::Removed };
        let kind = self.request.targets.catalogue.get(&change.kind);
        let outputs = self.with_earlier(change, kind, outputs);
        let outputs_text = text(&outputs);
        let spec = self.recorded_text(after);
        if !outputs.is_empty() {
            locked(&self.outputs).insert(change.address.clone(), Arc::new(outputs));
        }
        StepResult::Applied(Applied {
            address: change.address.clone(),
            marked: None,
            kind: change.kind.clone(),
            target: change.target.clone(),
            identity: identity.clone(),
            spec,
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

fn has_deferred(spec: &Map) -> bool {
    spec.iter().any(|(_, value)| value.has_deferred())
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

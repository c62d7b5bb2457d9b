//! Secrets that a target makes and tells only once: into the secret store before anything else is written.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use secrecy::SecretString;

use super::super::secrets::SecretValues;
use super::prepare::{Prepared, after_with};
use super::{Run, Versions, locked};
use tenantry_core::model::address::Address;
use tenantry_core::model::kind::{Capture, Kind};
use tenantry_core::model::secret::{SecretReference, SecretVersion};
use tenantry_core::model::value::{Deferred, Map, Part, Value};
use tenantry_core::plan::{Action, Change};
use tenantry_provider::contract::{Step, StepAction, Written};
use tenantry_secret::contract::SecretStoreError;

fn reference_to(reference: SecretReference) -> Value {
    Value::Deferred(Arc::new(Deferred { parts: vec![Part::Secret(reference)] }))
}

impl<'a> Run<'a> {
    /// Stores what was told, and puts references to it among the outputs. What could not be stored is not among them.
    pub(super) async fn keep(&self, done: &[&Prepared<'_, 'a>], written: &mut [Written]) -> Result<(), String> {
        let steps = done.iter().flat_map(|prepared| prepared.steps.iter().map(|_| &prepared.ready.change.address));
        let told: Vec<(&Address, &mut Written)> =
            steps.zip(written.iter_mut()).filter(|(_, written)| !written.captured.is_empty()).collect();
        if told.is_empty() {
            return Ok(());
        }
        let stored = self.store_all(told).await;
        stored.map_err(|error| self.mask(&error.to_string()))
    }

    async fn store_all(&self, told: Vec<(&Address, &mut Written)>) -> Result<(), SecretStoreError> {
        let store = self.request.secrets;
        // Listed once: nobody else stores what belongs to an owner whose lock is held.
        let versions = self
            .versions
            .get_or_try_init(|| async {
                let mut versions = Versions::new();
                for SecretReference { owner, name, version } in store.list().await? {
                    let highest = versions.entry((owner, name)).or_insert(version);
                    *highest = version.max(*highest);
                }
                Ok::<_, SecretStoreError>(Mutex::new(versions))
            })
            .await?;
        let mut new: BTreeMap<SecretReference, SecretString> = BTreeMap::new();
        let mut places = Vec::with_capacity(told.len());
        for (address, written) in told {
            let mut outputs = written.outputs.clone();
            for (name, value) in &written.captured {
                let mut reference = SecretReference::captured(address, name, SecretVersion::FIRST);
                {
                    let mut versions = locked(versions);
                    let entry = versions.entry((reference.owner.clone(), reference.name.clone()));
                    let newest = entry.and_modify(|highest| *highest = highest.next()).or_insert(SecretVersion::FIRST);
                    reference.version = *newest;
                }
                new.insert(reference.clone(), value.clone());
                outputs = outputs.with(name, reference_to(reference));
            }
            places.push((written, outputs));
        }
        // From here on no message may show them, whether or not they can be stored.
        self.masker.write().unwrap_or_else(PoisonError::into_inner).extend(new.values());
        let stored = store.put(new).await?;
        let key = store.hash_key().await?;
        self.secrets.write().unwrap_or_else(PoisonError::into_inner).add(stored, key);
        for (written, outputs) in places {
            written.outputs = outputs;
        }
        Ok(())
    }

    /// Outputs with what was told earlier and still counts; null for what was told to somebody else.
    pub(super) fn with_earlier(&self, change: &Change, kind: Option<&Arc<Kind>>, outputs: Map) -> Map {
        let Some((kind, after)) = kind.zip(change.work.after()) else { return outputs };
        let mut outputs = outputs;
        for capture in kind.captures_of(after).iter().filter(|capture| capture.is_told(after)) {
            let name = &*capture.name;
            if outputs.contains(name) || matches!(change.action(), Action::Create | Action::Replace) {
                continue;
            }
            let known = change.record(self.inventory).and_then(|applied| applied.outputs_value(Some(kind)));
            match known.as_ref().and_then(|outputs| outputs.get(name)) {
                Some(value) => outputs = outputs.with(name, value.clone()),
                None if change.action() == Action::Adopt => outputs = outputs.with(name, Value::Null),
                None => {}
            }
        }
        outputs
    }

    /// A spec in which outputs that turned out to be secrets are references to these, with what else is known beside a
    /// reference in its place: as the next plan will have it.
    pub(super) fn settled(&self, spec: &Arc<Map>) -> Arc<Map> {
        if !spec.iter().any(|(_, value)| value.has_deferred()) {
            return spec.clone();
        }
        let settled = after_with(spec, &mut |deferred| {
            let parts = deferred.parts.iter().flat_map(|part| match part {
                Part::Output { address, name } => match self.output(address, name) {
                    Some(Value::Deferred(secret)) => secret.parts.clone(),
                    Some(Value::Text(known)) => vec![Part::Text(known)],
                    Some(known) => vec![Part::Text(known.to_json().to_string().into())],
                    None => vec![part.clone()],
                },
                other => vec![other.clone()],
            });
            let settled = Deferred { parts: parts.collect() };
            settled.has_secret().then(|| Value::Deferred(Arc::new(settled)))
        });
        Arc::new(settled)
    }

    pub(super) fn mask(&self, text: &str) -> String {
        self.masker.read().unwrap_or_else(PoisonError::into_inner).mask(text).into_owned()
    }

    pub(super) fn resolve(&self, deferred: &Deferred) -> Option<Value> {
        self.with_secrets(|secrets| secrets.resolve(deferred, &|address, name| self.output(address, name)))
    }

    pub(super) fn with_secrets<T>(&self, read: impl FnOnce(&SecretValues) -> T) -> T {
        read(&self.secrets.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The name of a secret that a finished change should have brought, and did not.
pub(super) fn untold(steps: &[Step], outputs: &Map) -> Option<String> {
    let step = steps.last()?;
    let is_due = |pointers: &[String], capture: &Capture| pointers.iter().any(|pointer| capture.is_renewed_by(pointer));
    let captures = step.kind.captures_of(step.spec());
    let mut due = captures.iter().filter(|capture| match &step.action {
        StepAction::Create { spec, .. } => capture.is_told(spec),
        StepAction::Update { spec, changed, .. } => capture.is_told(spec) && is_due(changed, capture),
        StepAction::Delete { .. } => false,
    });
    due.find(|capture| !outputs.contains(&capture.name)).map(|capture| capture.name.to_string())
}

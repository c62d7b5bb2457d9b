//! Secrets on their way: found or generated, put into specs, hashed for marks.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};

use crate::core::model::address::Address;
use crate::core::model::secret::SecretReference;
use crate::core::model::value::{Deferred, Map, Part, Value};
use crate::secret::contract::{SecretStore, SecretStoreError};
use crate::secret::{Alphabet, generate, keyed_hash};

/// The values that a run needs.
#[derive(Default)]
pub struct SecretValues {
    values: BTreeMap<SecretReference, SecretString>,
    key: Option<SecretString>,
}

/// Every reference to a secret in a spec.
fn references(spec: &Map, found: &mut BTreeSet<SecretReference>) {
    Value::from(spec.clone()).for_each_leaf(&mut |_, value| {
        if let Value::Deferred(deferred) = value {
            found.extend(deferred.parts.iter().filter_map(|part| match part {
                Part::Secret(reference) => Some(reference.clone()),
                _ => None,
            }));
        }
    });
}

/// Whether a spec refers to a secret.
fn has_secret(value: &Value) -> bool {
    match value {
        Value::Deferred(deferred) => deferred.has_secret(),
        Value::List(items) => items.iter().any(has_secret),
        Value::Map(map) => map.iter().any(|(_, value)| has_secret(value)),
        _ => false,
    }
}

impl SecretValues {
    /// Reads what exists of all that `specs` refer to.
    pub async fn read<'a>(
        store: &dyn SecretStore,
        specs: impl Iterator<Item = &'a Arc<Map>>,
    ) -> Result<Self, SecretStoreError> {
        let wanted = wanted(specs);
        if wanted.is_empty() {
            return Ok(Self::default());
        }
        let wanted: Vec<SecretReference> = wanted.into_iter().collect();
        Ok(Self { values: store.get(&wanted).await?, key: store.hash_key().await? })
    }

    /// Reads what exists of all that `specs` refer to, and generates and stores the rest.
    pub async fn ensure<'a>(
        store: &dyn SecretStore,
        specs: impl Iterator<Item = &'a Arc<Map>>,
    ) -> Result<Self, SecretStoreError> {
        let wanted: Vec<SecretReference> = wanted(specs).into_iter().collect();
        if wanted.is_empty() {
            return Ok(Self::default());
        }
        let mut values = store.get(&wanted).await?;
        let missing: BTreeMap<SecretReference, SecretString> = wanted
            .into_iter()
            .filter(|reference| !values.contains_key(reference))
            .map(|reference| Ok((reference, generate(Alphabet::ALPHANUMERIC, generate::LENGTH)?)))
            .collect::<Result<_, SecretStoreError>>()?;
        if !missing.is_empty() {
            values.extend(store.put(missing).await?);
        }
        Ok(Self { values, key: store.hash_key().await? })
    }

    /// The keyed hash of all secret values of a spec; nothing if there are none, or one does not exist yet.
    pub fn hash(&self, spec: &Map, outputs: &dyn Fn(&Address, &str) -> Option<Value>) -> Option<String> {
        let key = self.key.as_ref()?;
        let spec = Value::from(spec.clone());
        if !has_secret(&spec) {
            return None;
        }
        let mut parts: Vec<(String, SecretString)> = Vec::new();
        let mut complete = true;
        spec.for_each_leaf(&mut |pointer, value| {
            if let Value::Deferred(deferred) = value
                && deferred.has_secret()
            {
                match self.resolve(deferred, outputs) {
                    Some(Value::Text(text)) => parts.push((pointer.to_owned(), SecretString::from(text.to_string()))),
                    _ => complete = false,
                }
            }
        });
        complete.then(|| keyed_hash(key, parts.iter().map(|(pointer, value)| (pointer.as_str(), value))))
    }

    /// A deferred value as it is written; nothing if a part of it is not known.
    pub fn resolve(&self, deferred: &Deferred, outputs: &dyn Fn(&Address, &str) -> Option<Value>) -> Option<Value> {
        if let [Part::Output { address, name }] = deferred.parts.as_slice() {
            return outputs(address, name);
        }
        let mut text = String::new();
        for part in &deferred.parts {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Secret(reference) => text.push_str(self.values.get(reference)?.expose_secret()),
                Part::Output { address, name } => match outputs(address, name)? {
                    Value::Text(value) => text.push_str(&value),
                    other => text.push_str(&other.to_json().to_string()),
                },
            }
        }
        Some(text.into())
    }

    /// Every value, for masking.
    pub fn values(&self) -> impl Iterator<Item = &SecretString> {
        self.values.values()
    }
}

fn wanted<'a>(specs: impl Iterator<Item = &'a Arc<Map>>) -> BTreeSet<SecretReference> {
    let mut found = BTreeSet::new();
    for spec in specs {
        if spec.iter().any(|(_, value)| has_secret(value)) {
            references(spec, &mut found);
        }
    }
    found
}

/// Hashes by address of every resource whose spec has secrets.
pub fn hashes<'a>(
    secrets: &SecretValues,
    specs: impl Iterator<Item = (&'a Address, &'a Arc<Map>)>,
) -> HashMap<Address, Arc<str>> {
    // What refers to an output that is not known yet is about to be written anyway.
    let nothing = |_: &Address, _: &str| None;
    specs.filter_map(|(address, spec)| Some((address.clone(), secrets.hash(spec, &nothing)?.into()))).collect()
}

//! Reads or generates secrets, puts them into specs, and hashes them for marks.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};

use tenantry_core::model::address::{Address, Owner};
use tenantry_core::model::secret::SecretReference;
use tenantry_core::model::value::{Deferred, Map, Part, Value};
use tenantry_secret::contract::{SecretStore, SecretStoreError};
use tenantry_secret::{Alphabet, generate, keyed_hash};

/// The values that a run needs.
#[derive(Default)]
pub struct SecretValues {
    values: BTreeMap<SecretReference, SecretString>,
    key: Option<SecretString>,
}

/// Adds every secret that a spec, or what a target returned, refers to.
pub fn references(spec: &Map, found: &mut BTreeSet<SecretReference>) {
    Value::from(spec.clone()).for_each_leaf(&mut |_, value| {
        if let Value::Deferred(deferred) = value {
            found.extend(deferred.secrets().cloned());
        }
    });
}

/// The earlier names of owners, by their present names.
pub type EarlierOwners = BTreeMap<Owner, Vec<Owner>>;

impl SecretValues {
    /// Reads the existing secrets that `specs` refer to.
    pub async fn read<'a>(
        store: &dyn SecretStore,
        specs: impl Iterator<Item = &'a Arc<Map>>,
        earlier: &EarlierOwners,
    ) -> Result<Self, SecretStoreError> {
        let wanted = wanted(specs);
        if wanted.is_empty() {
            return Ok(Self::default());
        }
        let (mut values, inherited) = find(store, &wanted, earlier).await?;
        values.extend(inherited);
        Ok(Self { values, key: store.hash_key().await? })
    }

    /// The secrets that `specs` refer to and that do not exist, without one-time secrets, which Tenantry cannot generate.
    pub fn missing<'a>(&self, specs: impl Iterator<Item = &'a Arc<Map>>) -> BTreeSet<SecretReference> {
        let is_missing = |reference: &SecretReference| !reference.is_captured() && !self.values.contains_key(reference);
        wanted(specs).into_iter().filter(is_missing).collect()
    }

    /// Reads the secrets that `specs` refer to, and generates and stores the missing ones.
    pub async fn ensure<'a>(
        store: &dyn SecretStore,
        specs: impl Iterator<Item = &'a Arc<Map>>,
        earlier: &EarlierOwners,
    ) -> Result<Self, SecretStoreError> {
        let wanted = wanted(specs);
        if wanted.is_empty() {
            return Ok(Self::default());
        }
        let (mut values, mut missing) = find(store, &wanted, earlier).await?;
        // What a target told once nobody else can make.
        for reference in wanted.into_iter().filter(|reference| !reference.is_captured()) {
            if !values.contains_key(&reference) && !missing.contains_key(&reference) {
                missing.insert(reference, generate(Alphabet::ALPHANUMERIC, generate::LENGTH)?);
            }
        }
        if !missing.is_empty() {
            values.extend(store.put(missing).await?);
        }
        Ok(Self { values, key: store.hash_key().await? })
    }

    /// Adds values that were stored meanwhile, and the key that the store has since then.
    pub fn add(&mut self, values: BTreeMap<SecretReference, SecretString>, key: Option<SecretString>) {
        self.values.extend(values);
        self.key = key;
    }

    /// The keyed hash of all secret values of a spec; `None` if there are none, or one does not exist yet.
    pub fn hash(&self, spec: &Map, outputs: &dyn Fn(&Address, &str) -> Option<Value>) -> Option<String> {
        let key = self.key.as_ref()?;
        let spec = Value::from(spec.clone());
        if !spec.has_secret() {
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

    /// A deferred value as it is written; `None` if a part of it is not known.
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

/// Reads secrets, and missing ones under the earlier names of their owners. The latter are returned separately, because they
/// must still be stored under the new name.
async fn find(
    store: &dyn SecretStore,
    wanted: &BTreeSet<SecretReference>,
    earlier: &EarlierOwners,
) -> Result<(BTreeMap<SecretReference, SecretString>, BTreeMap<SecretReference, SecretString>), SecretStoreError> {
    let earlier_of = |new: &SecretReference| {
        let owners = earlier.get(&new.owner).into_iter().flatten();
        owners.map(|owner| SecretReference { owner: owner.clone(), ..new.clone() }).collect::<Vec<_>>()
    };
    let asked: BTreeSet<SecretReference> = wanted.iter().flat_map(earlier_of).chain(wanted.iter().cloned()).collect();
    let mut values = store.get(&asked.into_iter().collect::<Vec<_>>()).await?;
    let mut inherited = BTreeMap::new();
    for new in wanted.iter().filter(|new| !values.contains_key(new)) {
        if let Some(value) = earlier_of(new).iter().find_map(|old| values.get(old)) {
            inherited.insert(new.clone(), value.clone());
        }
    }
    values.retain(|reference, _| wanted.contains(reference));
    Ok((values, inherited))
}

fn wanted<'a>(specs: impl Iterator<Item = &'a Arc<Map>>) -> BTreeSet<SecretReference> {
    let mut found = BTreeSet::new();
    for spec in specs {
        if spec.iter().any(|(_, value)| value.has_secret()) {
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

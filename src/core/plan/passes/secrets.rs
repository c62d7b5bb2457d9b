//! Resources whose secret was lost: they were written with a secret that the secret store does not have.
//!
//! In a fresh checkout, or with another store, every password and key would be generated again and differ from those in use.
//! Such a change has its own reason, and a guard refuses it without an Approval. The same holds for a new resource with a secret
//! that another resource has.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::super::build::Inputs;
use super::super::draft::{Draft, Index};
use super::super::{Action, Change, Reason};
use crate::model::address::{Address, Owner};
use crate::model::resource::{Applied, Observed, Present};
use crate::model::secret::SecretReference;
use crate::model::value::{Map, Part, Value};

pub fn run(inputs: &Inputs<'_>, index: &Index<'_>, draft: &mut Draft) {
    let missing: HashMap<String, &SecretReference> =
        inputs.secrets.missing().map(|reference| (reference.to_string(), reference)).collect();
    let users = if missing.is_empty() { HashMap::new() } else { users(inputs, draft) };
    for change in &mut draft.changes {
        let Some(after) = change.work.after() else { continue };
        let begun = || {
            let identity = change.work.identity().cloned()?;
            inputs.begun.get(&(change.address.clone(), identity))
        };
        let lost = match &change.reason {
            // An interrupted run may have been told it and not kept it; without one, the record was lost.
            Reason::SecretNotKept { secret } if begun().is_none() => Some(secret.clone()),
            _ if missing.is_empty() => None,
            _ => lost(inputs, index, change, &wanted(after, &missing), &users),
        };
        if let Some(secret) = lost {
            change.reason = Reason::SecretLost { secret };
        }
    }
}

/// The missing secrets that a spec refers to.
fn wanted<'m>(after: &Arc<Map>, missing: &HashMap<String, &'m SecretReference>) -> BTreeSet<&'m SecretReference> {
    let mut wanted = BTreeSet::new();
    Value::Map(after.clone()).for_each_leaf(&mut |_, value| {
        if let Value::Deferred(deferred) = value {
            for part in &deferred.parts {
                if let Part::Secret(reference) = part {
                    wanted.extend(missing.get(&reference.to_string()).copied());
                }
            }
        }
    });
    wanted
}

/// What stays there with the secrets that it was written with, by its owner.
fn users<'a>(inputs: &Inputs<'a>, draft: &Draft) -> HashMap<&'a Owner, Vec<&'a Applied>> {
    let is_not_there = |change: &&Change| matches!(change.action(), Action::Create | Action::Delete | Action::Forget);
    let gone: HashSet<&Address> = draft.changes.iter().filter(is_not_there).map(|change| &change.address).collect();
    let mut users: HashMap<&Owner, Vec<&Applied>> = HashMap::new();
    for applied in inputs.inventory.values().filter(|applied| !gone.contains(&applied.address)) {
        let owner = &applied.address.owner;
        users.entry(inputs.renamed.get(owner).unwrap_or(owner)).or_default().push(applied);
    }
    users
}

/// The name of a missing secret that the resource of a change, or another one that is there, was written with.
fn lost(
    inputs: &Inputs<'_>,
    index: &Index<'_>,
    change: &Change,
    wanted: &BTreeSet<&SecretReference>,
    users: &HashMap<&Owner, Vec<&Applied>>,
) -> Option<Arc<str>> {
    let was_written = |reference: &&&SecretReference| {
        let texts = texts(inputs, reference);
        match change.record(inputs.inventory) {
            Some(applied) if change.action() != Action::Create && names(applied, &texts) => true,
            None if change.action() != Action::Create && has_hash(inputs, index, change) => true,
            _ => users.get(&reference.owner).into_iter().flatten().any(|applied| names(applied, &texts)),
        }
    };
    wanted.iter().find(was_written).map(|reference| reference.name.clone())
}

/// A reference as records have it, also from when its owner had another name.
fn texts(inputs: &Inputs<'_>, reference: &SecretReference) -> Vec<String> {
    let earlier = inputs.renamed.iter().filter(|(_, new)| **new == reference.owner).map(|(old, _)| old);
    let owners = std::iter::once(&reference.owner).chain(earlier);
    owners.map(|owner| SecretReference { owner: owner.clone(), ..reference.clone() }.to_string()).collect()
}

/// Whether the record of a resource refers to a secret.
fn names(applied: &Applied, texts: &[String]) -> bool {
    let mut found = false;
    if let Some(spec) = applied.spec_value() {
        Value::from(spec).for_each_leaf(&mut |_, value| {
            let text = value.as_str().unwrap_or_default();
            found |= texts.iter().any(|reference| text.contains(reference));
        });
    }
    found
}

/// Whether the mark on a resource says that it was written with a secret.
fn has_hash(inputs: &Inputs<'_>, index: &Index<'_>, change: &Change) -> bool {
    let present = || {
        let desired = index.desired.get(&change.address)?;
        let observation = inputs.observed.get(&(desired.target.clone(), desired.kind.name))?;
        match observation.resources.get(desired.identity.as_ref()?)? {
            Observed::Present(Present { mark: Some(mark), .. }) => mark.secret_hash.clone(),
            _ => None,
        }
    };
    present().is_some()
}

//! Resources whose secret was lost: they were written with a secret that the secret store does not have.
//!
//! In a fresh checkout, or with another store, every password and key would be generated again and differ from those in use.
//! Such a change has its own reason, and a guard refuses it without an Approval.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::super::build::Inputs;
use super::super::draft::{Draft, Index};
use super::super::{Action, Change, Reason};
use crate::model::resource::{Applied, Observed, Present};
use crate::model::secret::SecretReference;
use crate::model::value::{Map, Part, Value};

pub fn run(inputs: &Inputs<'_>, index: &Index<'_>, draft: &mut Draft) {
    let missing: HashMap<String, &SecretReference> =
        inputs.missing_secrets.iter().map(|reference| (reference.to_string(), reference)).collect();
    for change in &mut draft.changes {
        let is_written = matches!(change.action(), Action::Update | Action::Replace | Action::Adopt | Action::Move);
        let Some(after) = change.work.after().filter(|_| is_written) else { continue };
        let begun = || {
            let identity = change.work.identity().cloned()?;
            inputs.begun.get(&(change.address.clone(), identity))
        };
        let lost = match &change.reason {
            // An interrupted run may have been told it and not kept it; without one, the record was lost.
            Reason::SecretNotKept { secret } if begun().is_none() => Some(secret.clone()),
            _ if missing.is_empty() => None,
            _ => lost(inputs, index, change, after, &missing),
        };
        if let Some(secret) = lost {
            change.reason = Reason::SecretLost { secret };
        }
    }
}

/// The name of a missing secret that the resource of a change was written with.
fn lost(
    inputs: &Inputs<'_>,
    index: &Index<'_>,
    change: &Change,
    after: &Arc<Map>,
    missing: &HashMap<String, &SecretReference>,
) -> Option<Arc<str>> {
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
    let was_written = |reference: &&SecretReference| match change.record(inputs.inventory) {
        Some(applied) => names(applied, reference),
        None => has_hash(inputs, index, change),
    };
    wanted.into_iter().find(was_written).map(|reference| reference.name.clone())
}

/// Whether the record of a resource refers to a secret.
fn names(applied: &Applied, reference: &SecretReference) -> bool {
    let text = reference.to_string();
    let mut found = false;
    if let Some(spec) = applied.spec_value() {
        Value::from(spec).for_each_leaf(&mut |_, value| {
            found |= value.as_str().is_some_and(|value| value.contains(&text));
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

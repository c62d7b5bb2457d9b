//! What only one owner can have: the same claim of two is a finding.

use super::findings::{Found, Where};
use super::{Inputs, Levels, Rule};
use crate::collections::HashMap;
use crate::diagnostics::Label;
use crate::model::config::Level;
use crate::model::resource::Desired;
use std::sync::Arc;

/// What a resource claims for itself alone within its target.
pub struct Claim {
    pub rule: &'static Rule,
    /// What it is, such as `example.com/shop`.
    pub name: String,
    /// Pointer of the field, relative to the spec.
    pub pointer: String,
    /// What to do if somebody else has it.
    pub help: &'static str,
}

pub(super) fn check(inputs: &Inputs<'_>, levels: &Levels<'_>) -> Vec<Found> {
    let mut taken: HashMap<(&str, &'static str, String), &Desired> = HashMap::default();
    let mut found = Vec::new();
    for desired in inputs.owners.iter().flat_map(|owner| &owner.resources) {
        for Claim { rule, name, pointer, help } in inputs.sets.iter().flat_map(|set| (set.claims)(desired)) {
            if levels.of(rule) == Level::Off {
                continue;
            }
            let first = *taken.entry((&desired.target, rule.code.0, name.clone())).or_insert(desired);
            if first.address.owner == desired.address.owner {
                continue;
            }
            let related = (first.origin != desired.origin)
                .then(|| Label { origin: first.origin, text: format!("of {}", first.address) });
            found.push(Found {
                rule,
                place: Where::Resource {
                    address: desired.address.clone(),
                    kind: desired.kind.name,
                    origin: desired.origin,
                    pointer,
                    spec: Arc::new(desired.spec.clone()),
                },
                message: format!("`{name}` is claimed by {} too", first.address),
                label: String::new(),
                help: help.to_owned(),
                related,
            });
        }
    }
    found
}

//! Problems of owners' resources, reported once for all owners.

use std::collections::BTreeMap;

use crate::diagnostics::{Diagnostic, Origin, codes};
use crate::model::address::Owner;

/// Problems by place: one mistake in a blueprint is one message, however many owners it concerns.
#[derive(Default)]
pub struct Problems(BTreeMap<ProblemKey, (Diagnostic, Vec<Owner>)>);

/// Place, code and message.
type ProblemKey = (Option<Origin>, codes::Code, String);

impl Problems {
    pub fn add(&mut self, diagnostic: Diagnostic, owner: &Owner) {
        let place = diagnostic.label.as_ref().map(|label| label.origin);
        let key = (place, diagnostic.code, diagnostic.message.clone());
        let (_, owners) = self.0.entry(key).or_insert_with(|| (diagnostic, Vec::new()));
        if owners.last() != Some(owner) {
            owners.push(owner.clone());
        }
    }

    /// Adds one that may differ from others only in the names that it quotes, because it is about one line of a blueprint.
    pub fn add_alike(&mut self, diagnostic: Diagnostic, owner: &Owner) {
        let place = diagnostic.label.as_ref().map(|label| label.origin);
        let words: String = diagnostic.message.split('`').step_by(2).collect();
        let key = (place, diagnostic.code, words);
        let (_, owners) = self.0.entry(key).or_insert_with(|| (diagnostic, Vec::new()));
        if owners.last() != Some(owner) {
            owners.push(owner.clone());
        }
    }

    /// How many different ones there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    pub fn merge(&mut self, other: Self) {
        for (key, (diagnostic, owners)) in other.0 {
            self.0.entry(key).or_insert_with(|| (diagnostic, Vec::new())).1.extend(owners);
        }
    }

    pub fn into_diagnostics(self) -> impl Iterator<Item = Diagnostic> {
        self.0.into_values().map(|(mut diagnostic, owners)| {
            let who = match owners.as_slice() {
                [] => return diagnostic,
                [one] => format!("for {one}"),
                [one, two] => format!("for {one} and {two}"),
                [one, more @ ..] => format!("for {one} and {} more", more.len()),
            };
            match &mut diagnostic.label {
                Some(label) if label.text.is_empty() => label.text = who,
                Some(label) => label.text = format!("{} ({who})", label.text),
                None => diagnostic.message = format!("{} ({who})", diagnostic.message),
            }
            diagnostic
        })
    }
}

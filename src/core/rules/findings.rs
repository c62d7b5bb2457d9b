//! What rules find, before it has its level and its place in a file.

use std::sync::Arc;

use super::{Levels, Rule};
use crate::diagnostics::{Label, Origin};
use crate::model::address::Address;
use crate::model::config::Level;
use crate::model::normal::Normal;
use crate::model::resource::Desired;

/// Collects findings. A rule that is off finds nothing.
pub struct Findings<'a> {
    levels: &'a Levels<'a>,
    found: Vec<Found>,
}

/// One finding.
pub(super) struct Found {
    pub rule: &'static Rule,
    pub place: Where,
    /// What is wrong, in one sentence without a full stop; for a resource without its kind and id.
    pub message: String,
    /// A few words at the place.
    pub label: String,
    pub help: String,
    pub related: Option<Label>,
}

/// What a finding is about.
pub(super) enum Where {
    Document(Origin),
    Resource {
        address: Address,
        kind: &'static str,
        /// Of the resource as a whole.
        origin: Origin,
        /// Relative to the spec, in its normal form.
        pointer: String,
        spec: Arc<Normal>,
    },
}

impl<'a> Findings<'a> {
    pub(super) fn new(levels: &'a Levels<'a>) -> Self {
        Self { levels, found: Vec::new() }
    }

    /// Whether a rule is checked at all.
    pub fn is_on(&self, rule: &Rule) -> bool {
        self.levels.of(rule) != Level::Off
    }

    /// Adds a finding about a resource: at a pointer of its spec, what is wrong, and what to do.
    pub fn add(
        &mut self,
        rule: &'static Rule,
        desired: &Desired,
        pointer: impl Into<String>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        if self.is_on(rule) {
            let place = Where::Resource {
                address: desired.address.clone(),
                kind: desired.kind.name,
                origin: desired.origin,
                pointer: pointer.into(),
                spec: Arc::new(desired.spec.clone()),
            };
            let (message, help) = (message.into(), help.into());
            self.found.push(Found { rule, place, message, label: String::new(), help, related: None });
        }
    }

    /// Adds a finding about a document: the place with a few words about it, what is wrong, and what to do.
    pub fn add_at(
        &mut self,
        rule: &'static Rule,
        origin: Origin,
        label: impl Into<String>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        if self.is_on(rule) {
            let place = Where::Document(origin);
            let (message, label, help) = (message.into(), label.into(), help.into());
            self.found.push(Found { rule, place, message, label, help, related: None });
        }
    }

    /// Adds another place to the last finding.
    pub fn related(&mut self, origin: Origin, text: impl Into<String>) {
        if let Some(last) = self.found.last_mut() {
            last.related = Some(Label { origin, text: text.into() });
        }
    }

    pub(super) fn into_found(self) -> Vec<Found> {
        self.found
    }
}

//! Drift: what was changed outside Tenantry, told apart from everything else that a plan finds.
//!
//! A plan has one change for a resource, whoever caused it. Here each field is asked for its cause, and rules leave out fields
//! that others may change. A rule is about what is reported, not about what is written: `apply` restores the field as before,
//! because the repository still asks for it.

pub mod json;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::diagnostics::{Code, codes};
use crate::model::config::IgnoreRule;
use crate::model::names::hex;
use crate::model::time::until;
use crate::model::value::{Value, readable_pointer};
use crate::plan::{Action, Blocked, Cause, Change, FieldChange, Finding, Hindrance, Plan};
use crate::policy;

/// What a drift run found, in the order of the plan.
pub struct Drift<'p> {
    pub plan: &'p Plan,
    /// Resources that somebody else changed or deleted.
    pub drifted: Vec<Drifted<'p>>,
    /// Of the same, what a rule leaves out: a resource as a whole, or fields of one that drifted otherwise.
    pub ignored: Vec<Ignored<'p>>,
    /// What the repository changed, and `apply` will write.
    pub pending: Vec<&'p Change>,
    /// What an earlier run of Tenantry began and did not finish.
    pub unfinished: Vec<&'p Change>,
    /// What could not be read.
    pub unknown: Vec<&'p Blocked>,
    /// What is blocked for another reason.
    pub blocked: Vec<&'p Blocked>,
    /// Findings about what is in the targets.
    pub findings: Vec<&'p Finding>,
    /// Rules that have expired and no longer leave anything out.
    pub expired: Vec<&'p IgnoreRule>,
}

/// A resource that somebody else changed.
pub struct Drifted<'p> {
    pub change: &'p Change,
    pub state: State,
    /// The fields that somebody else changed; none if it was deleted.
    pub fields: Vec<&'p FieldChange>,
}

/// What somebody did to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// Fields have other values.
    Changed,
    /// It is gone.
    Deleted,
}

/// What a rule leaves out.
pub struct Ignored<'p> {
    pub change: &'p Change,
    pub fields: Vec<&'p FieldChange>,
    pub rule: &'p IgnoreRule,
}

/// Sorts what a plan found by its cause.
pub fn of<'p>(plan: &'p Plan, rules: &'p [IgnoreRule], now: Timestamp) -> Drift<'p> {
    let is_expired = |rule: &IgnoreRule| until(&rule.expires).is_none_or(|end| now >= end);
    let (expired, rules): (Vec<_>, Vec<_>) = rules.iter().partition(|rule| is_expired(rule));
    let is_unknown = |blocked: &&Blocked| matches!(blocked.reason, Hindrance::StateUnknown { .. });
    let (unknown, blocked) = plan.blocked.iter().partition(is_unknown);
    let mut drift = Drift {
        plan,
        drifted: Vec::new(),
        ignored: Vec::new(),
        pending: Vec::new(),
        unfinished: Vec::new(),
        unknown,
        blocked,
        findings: plan
            .findings
            .iter()
            .filter(|finding| ABOUT_TARGETS.iter().any(|code| *finding.code == *code.0))
            .collect(),
        expired,
    };
    for change in &plan.changes {
        match change.cause {
            Cause::Pending => drift.pending.push(change),
            Cause::Unfinished => drift.unfinished.push(change),
            Cause::Drift | Cause::Both => drift.add(change, &rules),
        }
    }
    drift
}

impl<'p> Drift<'p> {
    fn add(&mut self, change: &'p Change, rules: &[&'p IgnoreRule]) {
        if change.cause == Cause::Both {
            self.pending.push(change);
        }
        if change.action() == Action::Create {
            return self.drifted.push(Drifted { change, state: State::Deleted, fields: Vec::new() });
        }
        let mut left = Vec::new();
        let mut ignored: Vec<Ignored<'p>> = Vec::new();
        for field in change.work.fields().iter().filter(|field| field.outside) {
            let rule = rules.iter().copied().find(|rule| is_about(rule, change, field));
            match (rule, ignored.iter_mut().find(|entry| rule.is_some_and(|rule| std::ptr::eq(entry.rule, rule)))) {
                (Some(_), Some(entry)) => entry.fields.push(field),
                (Some(rule), None) => ignored.push(Ignored { change, fields: vec![field], rule }),
                (None, _) => left.push(field),
            }
        }
        if !left.is_empty() || ignored.is_empty() {
            self.drifted.push(Drifted { change, state: State::Changed, fields: left });
        }
        self.ignored.extend(ignored);
    }

    /// Names the set of drifted resources with what was done to each: another set, or another value of a field, has another
    /// digest. A plan without drift has none.
    pub fn digest(&self) -> Option<String> {
        if self.drifted.is_empty() {
            return None;
        }
        let mut hasher = Sha256::new();
        for Drifted { change, state, fields } in &self.drifted {
            hasher.update(format!("{} {state:?}\n", change.address));
            for field in fields {
                let found = field.before.as_ref().map(Value::to_json);
                hasher.update(format!("  {} {}\n", field.path, found.unwrap_or_default()));
            }
        }
        Some(hex(&hasher.finalize()))
    }
}

fn is_about(rule: &IgnoreRule, change: &Change, field: &FieldChange) -> bool {
    let is_one =
        |pattern: &Option<Arc<str>>, text: &str| pattern.as_ref().is_none_or(|pattern| policy::matches(pattern, text));
    let (readable, asked) = (readable_pointer(&field.path), readable(&rule.field));
    let is_it = readable.strip_prefix(&*asked).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    is_one(&rule.kind, &change.kind) && is_one(&rule.address, &change.address.to_string()) && is_it
}

/// A field as reports show it, also if it is given as a JSON pointer.
fn readable(field: &str) -> Cow<'_, str> {
    if field.starts_with('/') { readable_pointer(field).into() } else { field.into() }
}

/// Findings about what is in the targets. Others are about what `apply` would do.
const ABOUT_TARGETS: [Code; 9] = [
    codes::CONFLICT,
    codes::COPIED_MARK,
    codes::RECREATES_DATA,
    codes::OWNERSHIP_UNKNOWN,
    codes::NOT_READY,
    codes::SECRET_LOST,
    codes::UNRECORDED,
    codes::OTHER_SYSTEM,
    codes::FINGERPRINT_UNTOLD,
];

//! The content of rendered drift, independent of its format.
//!
//! A plan shows what is there and what apply would make of it. Drift is read the other way: a field shows what was written and
//! what somebody made of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::difference::{self, Difference};
use crate::plan::view::id;
use crate::{hindrance, words};
use tenantry_core::drift::{Drift, Drifted, State};
use tenantry_core::model::address::Owner;
use tenantry_core::model::config::IgnoreRule;
use tenantry_core::model::kind::readable_identity;
use tenantry_core::model::resource::Author;
use tenantry_core::model::value::readable_pointer;
use tenantry_core::plan::sensitive::{self, masked};
use tenantry_core::plan::{Blocked, Change, FieldChange, Place};

/// The content of rendered drift.
pub struct DriftView<'p> {
    pub drift: &'p Drift<'p>,
    pub title: String,
    pub groups: Vec<Group<'p>>,
    /// What rules leave out: the rule, and resources with their fields.
    pub ignored: Vec<(String, Vec<String>)>,
    /// What could not be read, by the reason.
    pub unknown: Vec<(String, Vec<&'p Blocked>)>,
    /// What is blocked otherwise, by the reason.
    pub blocked: Vec<(String, Vec<&'p Blocked>)>,
    /// Counts of everything, in one sentence.
    pub counts: String,
}

/// One owner, or several with the same drift.
pub struct Group<'p> {
    pub owners: Vec<&'p Owner>,
    pub resources: Vec<ResourceView<'p>>,
}

/// A resource, as the first owner of a group has it.
pub struct ResourceView<'p> {
    pub state: State,
    /// The address within its owner.
    pub id: String,
    pub kind: &'p str,
    /// The name in the target; `None` in a group, whose members have different ones.
    pub name: Option<String>,
    /// Where the repository asks for it, unless that differs within the group.
    pub place: Option<&'p Place>,
    pub fields: Vec<FieldView>,
}

/// A field that somebody changed.
pub struct FieldView {
    pub name: String,
    /// From what was written to what is there.
    pub difference: Difference,
    /// Who did it, in a phrase, if the target tells.
    pub by: Option<String>,
}

impl<'p> DriftView<'p> {
    /// `reveal`: whether sensitive values are shown.
    pub fn new(drift: &'p Drift<'p>, reveal: bool) -> Self {
        Self {
            drift,
            title: title(drift),
            groups: groups(drift, reveal),
            ignored: ignored(drift),
            unknown: by_reason(&drift.unknown),
            blocked: by_reason(&drift.blocked),
            counts: counts(drift),
        }
    }
}

/// The past participle of what was done.
pub fn word(state: State) -> &'static str {
    match state {
        State::Changed => "changed",
        State::Deleted => "deleted",
    }
}

fn title(drift: &Drift<'_>) -> String {
    let plan = drift.plan;
    let mut text = format!("Drift of estate {}", plan.estate);
    if let Some(environment) = &plan.environment {
        let _ = write!(text, ", environment {environment}");
    }
    if let Some(revision) = &plan.revision {
        let _ = write!(text, ", from {}", revision.get(..12).unwrap_or(revision));
    }
    text
}

fn groups<'p>(drift: &'p Drift<'p>, reveal: bool) -> Vec<Group<'p>> {
    let mut owners: BTreeMap<&Owner, Vec<&'p Drifted<'p>>> = BTreeMap::new();
    for drifted in &drift.drifted {
        owners.entry(&drifted.change.address.owner).or_default().push(drifted);
    }
    let mut groups: Vec<(Vec<&Owner>, Vec<&'p Drifted<'p>>)> = Vec::new();
    let mut by_signature: BTreeMap<String, usize> = BTreeMap::new();
    for (owner, drifted) in owners {
        let group = *by_signature.entry(signature(&drifted)).or_insert_with(|| {
            groups.push((Vec::new(), drifted));
            groups.len() - 1
        });
        groups[group].0.push(owner);
    }
    let view = |(owners, drifted): (Vec<&'p Owner>, Vec<&'p Drifted<'p>>)| {
        let is_alone = owners.len() == 1;
        Group { resources: drifted.into_iter().map(|drifted| resource(drifted, is_alone, reveal)).collect(), owners }
    };
    groups.into_iter().map(view).collect()
}

/// What two owners must have in common to be shown as one.
fn signature(drifted: &[&Drifted<'_>]) -> String {
    let mut text = String::new();
    for Drifted { change, state, fields } in drifted {
        let _ = write!(text, "{}{:?} {} {state:?};", change.address.id, change.address.each, change.kind);
        for field in fields {
            let _ = write!(text, "{} {:?} {:?} {:?};", field.path, field.before, field.after, field.by);
        }
    }
    text
}

fn resource<'p>(drifted: &'p Drifted<'p>, is_alone: bool, reveal: bool) -> ResourceView<'p> {
    let change = drifted.change;
    ResourceView {
        state: drifted.state,
        id: id(change),
        kind: &change.kind,
        name: is_alone.then(|| change.work.identity().map(|name| readable_identity(name))).flatten(),
        place: change.origin.as_ref().filter(|_| is_alone),
        fields: drifted.fields.iter().map(|field| self::field(change, field, reveal)).collect(),
    }
}

fn field(change: &Change, field: &FieldChange, reveal: bool) -> FieldView {
    let is_hidden = !reveal && sensitive::covers(&change.sensitive, &field.path);
    let (written, found) = (field.after.as_ref(), field.before.as_ref());
    let difference = match is_hidden {
        false => difference::of(written, found),
        true => difference::of(masked(written).as_ref(), masked(found).as_ref()),
    };
    FieldView { name: readable_pointer(&field.path), difference, by: field.by.as_ref().map(by) }
}

/// `by kubectl-edit at 2026-11-30T08:00:00Z`.
fn by(Author { name, at }: &Author) -> String {
    match at {
        Some(at) => format!("by {name} at {at}"),
        None => format!("by {name}"),
    }
}

fn ignored(drift: &Drift<'_>) -> Vec<(String, Vec<String>)> {
    let mut rules: Vec<(&IgnoreRule, Vec<String>)> = Vec::new();
    for entry in &drift.ignored {
        let fields: Vec<String> = entry.fields.iter().map(|field| readable_pointer(&field.path)).collect();
        let line = format!("{} {}", entry.change.address, fields.join(", "));
        match rules.iter_mut().find(|(rule, _)| std::ptr::eq(*rule, entry.rule)) {
            Some((_, lines)) => lines.push(line),
            None => rules.push((entry.rule, vec![line])),
        }
    }
    let sentence = |rule: &IgnoreRule| format!("until {}, {}: {}", rule.expires, rule.owner, rule.reason);
    rules.into_iter().map(|(rule, lines)| (sentence(rule), lines)).collect()
}

fn by_reason<'p>(blocked: &[&'p Blocked]) -> Vec<(String, Vec<&'p Blocked>)> {
    let mut reasons: BTreeMap<(&str, String), Vec<&'p Blocked>> = BTreeMap::new();
    for entry in blocked {
        reasons.entry((&entry.code, hindrance::sentence(&entry.reason))).or_default().push(entry);
    }
    reasons.into_iter().map(|((_, reason), entries)| (reason, entries)).collect()
}

fn counts(drift: &Drift<'_>) -> String {
    let of = |state: State| drift.drifted.iter().filter(|drifted| drifted.state == state).count();
    let (changed, deleted) = (of(State::Changed), of(State::Deleted));
    let mut parts = Vec::new();
    match (changed, deleted) {
        (0, 0) => parts.push("No drift".to_owned()),
        (changed, 0) => parts.push(format!("{} changed outside Tenantry", words::count(changed, "resource"))),
        (0, deleted) => parts.push(format!("{} deleted outside Tenantry", words::count(deleted, "resource"))),
        (changed, deleted) => {
            parts.push(format!("{} changed and {deleted} deleted outside Tenantry", words::count(changed, "resource")));
        }
    }
    let others = [
        (drift.ignored.len(), "ignored by rules"),
        (drift.pending.len(), "pending in the repository"),
        (drift.unfinished.len(), "left unfinished by a run"),
        (drift.unknown.len(), "unknown"),
        (drift.blocked.len(), "blocked"),
        (drift.plan.unchanged, "as desired"),
    ];
    parts.extend(others.into_iter().filter(|(count, _)| *count > 0).map(|(count, words)| format!("{count} {words}")));
    format!("{}.", parts.join(", "))
}

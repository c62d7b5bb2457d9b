//! The content of a rendered plan, independent of its format.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::fate::{self, Effect};
use crate::difference::{self, Difference};
use crate::{hindrance, reason, words};
use tenantry_core::diagnostics::codes;
use tenantry_core::model::address::Owner;
use tenantry_core::model::config::WaveTable;
use tenantry_core::model::kind::{at, readable_identity};
use tenantry_core::model::value::{Value, is_within, readable_pointer};
use tenantry_core::plan::sensitive::{self, MASK, masked};
use tenantry_core::plan::{Action, Blocked, Cause, Change, Finding, Narrowing, Place, Plan, Transition, Wave};

/// What is said of a plan that was made without the secret store.
pub const SECRETS_UNREAD: &str = "Values of secrets were not compared, because the identity of the secret store is not at hand. \
    This plan cannot be applied.";

/// How a plan is looked at.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// Whether personal and other sensitive values are shown. References to secrets never hold one.
    pub reveal: bool,
    /// Whether each owner is shown, even if others have the same changes.
    pub expand: bool,
    /// Whether all fields of new resources are shown, and not only those that grant rights or cost money.
    pub contents: bool,
    /// Pointers of the fields of a kind that are shown of every new resource.
    pub reviewed: &'a dyn Fn(&str) -> &'static [&'static str],
    /// Pointers of the fields of a kind that are SQL: what would run is shown as a whole.
    pub sql: &'a dyn Fn(&str) -> Vec<String>,
}

/// The content of a rendered plan.
pub struct PlanView<'p> {
    pub plan: &'p Plan,
    /// What it is a plan for.
    pub title: String,
    /// The systems with changes, by the names of their targets, if the targets reveal which system they are.
    pub systems: Vec<(&'p str, &'p str)>,
    /// What the plan is restricted to, as a sentence without its full stop.
    pub narrowed: Option<String>,
    /// The waves that tenants are changed in: whom each is about, and the tenants.
    pub waves: Vec<(String, Vec<String>)>,
    /// What happens to tenants as a whole.
    pub effects: Vec<Effect>,
    pub groups: Vec<Group<'p>>,
    /// Addresses at which nothing is done, by the reason for it.
    pub blocked: Vec<(String, Vec<&'p Blocked>)>,
    /// Whether one of them is blocked because its target did not answer.
    pub is_unknown: bool,
    /// Findings that the blocked resources do not show already.
    pub findings: Vec<&'p Finding>,
    /// Counts of everything, in one sentence.
    pub counts: String,
}

/// What is said of waves: where they begin.
pub const WAVES: &str = "Each wave begins once the one before is done and verified";

/// Whom a wave is about.
pub fn wave(of: &WaveTable) -> String {
    match of {
        WaveTable::Tier(tier) => format!("tier {tier}"),
        WaveTable::Tenants(share) => format!("{share} of the tenants"),
        WaveTable::Rest(_) => "the rest".to_owned(),
    }
}

/// One owner, or several with the same changes.
pub struct Group<'p> {
    /// At least one.
    pub owners: Vec<Owner>,
    pub transition: Option<&'p Transition>,
    pub changes: Vec<ChangeView<'p>>,
    /// Resources of which only the record changes, where there are several.
    pub records: Vec<String>,
    /// Fields that are not the same in all members, with the resource that they are of.
    pub differing: Vec<String>,
}

/// A change, as the first owner of a group has it.
pub struct ChangeView<'p> {
    pub action: Action,
    /// The address within its owner.
    pub id: String,
    pub kind: &'p str,
    /// The name in the target; `None` in a group, whose members have different ones.
    pub name: Option<String>,
    /// Why, unless that is obvious or differs within the group.
    pub reason: Option<String>,
    /// Where to edit it, unless that differs within the group.
    pub place: Option<&'p Place>,
    pub fields: Vec<(String, Difference)>,
    pub scripts: Vec<Script<'p>>,
    /// What is in a resource that is created: field and value.
    pub contents: Vec<(String, String)>,
    pub loses_data: bool,
}

/// SQL that would run.
pub struct Script<'p> {
    pub field: String,
    /// Whose it is, in a group.
    pub whose: Option<&'p Owner>,
    /// `None` if it is masked.
    pub text: Option<&'p str>,
}

impl<'p> PlanView<'p> {
    pub fn new(plan: &'p Plan, view: View<'_>) -> Self {
        let of_tenants: BTreeMap<Owner, &Transition> =
            plan.transitions.iter().map(|entry| (Owner::Tenant(entry.tenant.clone()), entry)).collect();
        let mut blocked: BTreeMap<(&str, String), Vec<&Blocked>> = BTreeMap::new();
        for entry in &plan.blocked {
            blocked.entry((&entry.code, hindrance::sentence(&entry.reason))).or_default().push(entry);
        }
        let involved = |target: &str| plan.changes.iter().any(|change| *change.target == *target);
        Self {
            plan,
            title: title(plan),
            systems: plan
                .targets
                .iter()
                .filter(|(target, _)| !plan.simulated && involved(target))
                .map(|(target, fingerprint)| (&**target, fingerprint.as_str()))
                .collect(),
            narrowed: plan.narrowed.as_ref().map(narrowed),
            waves: plan
                .waves
                .iter()
                .zip(1..)
                .map(|(Wave { of, tenants }, number)| {
                    (format!("Wave {number}, {}", wave(of)), tenants.iter().map(ToString::to_string).collect())
                })
                .collect(),
            effects: fate::effects(plan),
            groups: groups(plan, &of_tenants, view),
            blocked: blocked.into_iter().map(|((_, reason), entries)| (reason, entries)).collect(),
            is_unknown: plan.blocked.iter().any(|blocked| *blocked.code == *codes::UNKNOWN_STATE.0),
            findings: said(&plan.findings).collect(),
            counts: counts(plan),
        }
    }
}

impl Group<'_> {
    /// What the owners are, in the plural.
    pub fn noun(&self) -> &'static str {
        match &self.owners {
            owners if owners.iter().all(|owner| owner.tenant().is_some()) => "tenants",
            owners if owners.iter().all(|owner| matches!(owner, Owner::Tier(_))) => "tiers",
            _ => "owners",
        }
    }

    /// What happens to the tenants as a whole, in phrases.
    pub fn fate(&self) -> Vec<String> {
        let mut phrases = self.transition.map(fate::phrases).unwrap_or_default();
        let lost: Vec<&str> =
            self.changes.iter().filter(|change| change.destroys_data()).map(|change| &*change.id).collect();
        if !lost.is_empty() {
            phrases.push(format!("loses the data of {}", lost.join(", ")));
        }
        phrases
    }

    /// How many resources of each owner are created, updated and so on.
    pub fn counts(&self) -> Vec<String> {
        let counted = Action::ALL
            .into_iter()
            .map(|action| (self.changes.iter().filter(|change| change.action == action).count(), action));
        counted
            .filter(|(count, _)| *count > 0)
            .map(|(count, action)| format!("{count} to {}", action.as_str()))
            .collect()
    }

    /// Whether more happens than that a tenant is new.
    pub fn is_grave(&self) -> bool {
        self.transition.is_some_and(|transition| transition.from.is_some() && !transition.is_only_renamed())
            || self.changes.iter().any(ChangeView::destroys_data)
    }
}

impl ChangeView<'_> {
    fn destroys_data(&self) -> bool {
        self.action.destroys() && self.loses_data
    }
}

/// The findings that the list of blocked resources does not show already.
pub fn said(findings: &[Finding]) -> impl Iterator<Item = &Finding> {
    findings.iter().filter(|finding| *finding.code != *codes::UNKNOWN_STATE.0)
}

fn title(plan: &Plan) -> String {
    let mut text = format!("Plan for estate {}", plan.estate);
    if let Some(environment) = &plan.environment {
        let _ = write!(text, ", environment {environment}");
    }
    if let Some(revision) = &plan.revision {
        let _ = write!(text, ", at {}", revision.get(..12).unwrap_or(revision));
    }
    text
}

/// What is left out is said too: somebody who reads the plan did not necessarily choose.
fn narrowed(narrowing: &Narrowing) -> String {
    let Narrowing { tenants, tier, changed_since } = narrowing;
    let mut parts = Vec::new();
    if !tenants.is_empty() {
        parts.push(format!("tenants {}", tenants.join(", ")));
    }
    parts.extend(tier.as_ref().map(|tier| format!("tenants of tier {tier}")));
    parts.extend(changed_since.as_ref().map(|rev| format!("what the changes since {rev} can touch")));
    format!("Narrowed to {}; everything else is left out", parts.join(", and of them "))
}

fn groups<'p>(plan: &'p Plan, of_tenants: &BTreeMap<Owner, &'p Transition>, view: View<'_>) -> Vec<Group<'p>> {
    let mut owners: BTreeMap<&Owner, Vec<&'p Change>> = BTreeMap::new();
    for change in &plan.changes {
        owners.entry(&change.address.owner).or_default().push(change);
    }
    for owner in of_tenants.keys() {
        owners.entry(owner).or_default();
    }
    let mut members: Vec<Vec<&Owner>> = Vec::new();
    let mut by_signature: BTreeMap<String, usize> = BTreeMap::new();
    for (owner, changes) in &owners {
        let mut signature = signature(changes, of_tenants.get(owner).copied());
        if view.expand {
            let _ = write!(signature, "{owner}");
        }
        let group = *by_signature.entry(signature).or_insert_with(|| {
            members.push(Vec::new());
            members.len() - 1
        });
        members[group].push(owner);
    }
    members
        .into_iter()
        .map(|members| {
            let changes: Vec<&[&'p Change]> = members.iter().map(|owner| owners[owner].as_slice()).collect();
            let transition = members.first().and_then(|owner| of_tenants.get(owner).copied());
            group(members.into_iter().cloned().collect(), &changes, transition, view)
        })
        .collect()
}

/// What two owners must have in common to be shown as one.
fn signature(changes: &[&Change], transition: Option<&Transition>) -> String {
    let mut text = String::new();
    if let Some(transition) = transition {
        let Transition {
            tenant: _,
            from,
            to,
            before,
            after,
            by_itself,
            retention_days,
            why,
            since: _,
            entered: _,
            trial_ended: _,
            renamed: _,
            values: _,
        } = transition;
        let _ = write!(text, "{from:?}→{to} {before:?}→{after:?} {by_itself:?} {why:?} {retention_days:?};");
    }
    for change in changes {
        let Change { address, kind, work, cause, protected, loses_data, .. } = change;
        let action = work.action();
        let _ = write!(text, "{}{:?} {kind} {action:?} {cause:?} {protected}{loses_data};", address.id, address.each);
        for field in work.fields() {
            let _ = write!(text, "{} {:?} {:?};", field.path, field.before, field.after);
        }
    }
    text
}

/// `changes` are those of each owner, the same ones at the same places.
fn group<'p>(
    owners: Vec<Owner>,
    changes: &[&[&'p Change]],
    transition: Option<&'p Transition>,
    view: View<'_>,
) -> Group<'p> {
    let first = changes.first().copied().unwrap_or_default();
    // One that only changes the record says so itself; several are one line.
    let are_told_apart = first.iter().filter(|change| change.is_only_record()).count() >= 2;
    let differing = if owners.len() > 1 { differing(changes) } else { Vec::new() };
    let mut group = Group { owners, transition, changes: Vec::new(), records: Vec::new(), differing };
    for (at, change) in first.iter().enumerate() {
        if are_told_apart && change.is_only_record() {
            group.records.push(id(change));
        } else {
            let alike: Vec<&Change> = changes.iter().filter_map(|changes| changes.get(at).copied()).collect();
            group.changes.push(self::change(change, &alike, view));
        }
    }
    group
}

/// The fields in which members of a group differ, each with the resource that it is of.
fn differing(changes: &[&[&Change]]) -> Vec<String> {
    let mut differing = Vec::new();
    for (at, first) in changes.first().copied().unwrap_or_default().iter().enumerate() {
        let spec = |change: &Change| change.work.after().or(change.work.before()).cloned();
        let Some(spec_of_first) = spec(first) else { continue };
        let others: Vec<_> = changes.iter().skip(1).filter_map(|changes| spec(changes.get(at)?)).collect();
        // What is not the same object in memory is compared field by field.
        Value::Map(spec_of_first).for_each(&is_in_one_line, &mut |pointer, value| {
            if others.iter().any(|other| self::at(other, pointer) != Some(value)) {
                differing.push(format!("{}.{}", id(first), readable_pointer(pointer)));
            }
        });
    }
    differing
}

/// The resource within its owner.
pub fn id(change: &Change) -> String {
    match &change.address.each {
        Some(each) => format!("{}[{each:?}]", change.address.id),
        None => change.address.id.to_string(),
    }
}

/// `alike` are the same change of all owners of a group.
fn change<'p>(change: &'p Change, alike: &[&Change], view: View<'_>) -> ChangeView<'p> {
    let Change { kind, work, .. } = change;
    let action = work.action();
    let is_alone = alike.len() < 2;
    // That a new tenant's resources do not exist yet goes without saying.
    let is_obvious = action == Action::Create && change.cause == Cause::Pending;
    let has_one_reason = !is_obvious && alike.iter().all(|other| other.reason == change.reason);
    let has_one_place = alike.iter().all(|other| other.origin == change.origin);
    let name = || match work.identity() {
        Some(identity) => readable_identity(identity),
        None => "(name known after apply)".to_owned(),
    };
    let sql = (view.sql)(kind);
    let is_sql = |path: &str| sql.iter().any(|sql| *sql == path);
    let is_hidden = |path: &str| !view.reveal && sensitive::covers(&change.sensitive, path);
    let shown_fields = work.fields().iter().filter(|field| !(field.after.is_some() && is_sql(&field.path)));
    ChangeView {
        action,
        id: id(change),
        kind,
        name: is_alone.then(name),
        reason: has_one_reason.then(|| reason::sentence(&change.reason)),
        place: change.origin.as_ref().filter(|_| has_one_reason && has_one_place),
        fields: shown_fields
            .map(|field| {
                let difference = match is_hidden(&field.path) {
                    false => difference::of_field(field),
                    true => {
                        difference::of(masked(field.before.as_ref()).as_ref(), masked(field.after.as_ref()).as_ref())
                    }
                };
                (readable_pointer(&field.path), difference)
            })
            .collect(),
        scripts: sql.iter().filter_map(|path| script(change, path, is_alone, is_hidden(path))).collect(),
        contents: match action {
            Action::Create => {
                let reviewed = (view.reviewed)(kind);
                let is_shown = |path: &str, value: &Value| {
                    let is_reviewed = reviewed.iter().any(|pointer| is_within(path, pointer));
                    !is_sql(path) && (view.contents || is_reviewed && !is_nothing(value))
                };
                contents(change, alike, &is_shown, &is_hidden)
            }
            _ => Vec::new(),
        },
        loses_data: change.loses_data,
    }
}

/// What would run, if anything would.
fn script<'p>(change: &'p Change, path: &str, is_alone: bool, is_hidden: bool) -> Option<Script<'p>> {
    let is_new = matches!(change.action(), Action::Create | Action::Replace);
    if !is_new && !change.work.fields().iter().any(|field| *field.path == *path) {
        return None;
    }
    let text = at(change.work.after()?, path)?.as_str()?;
    Some(Script {
        field: readable_pointer(path),
        whose: (!is_alone).then_some(&change.address.owner),
        text: (!is_hidden).then_some(text.trim_end()),
    })
}

/// The fields of a new resource. In a group, a value is shown if all members have it.
fn contents(
    change: &Change,
    alike: &[&Change],
    is_shown: &dyn Fn(&str, &Value) -> bool,
    is_hidden: &dyn Fn(&str) -> bool,
) -> Vec<(String, String)> {
    let Some(after) = change.work.after() else { return Vec::new() };
    let mut contents = Vec::new();
    Value::Map(after.clone()).for_each(&is_in_one_line, &mut |pointer, value| {
        if value.is_null() || !is_shown(pointer, value) {
            return;
        }
        let others = alike.iter().filter_map(|other| other.work.after());
        let is_shared = others.into_iter().all(|other| at(other, pointer) == Some(value));
        let shown = match value {
            _ if !is_shared => "(differs)".to_owned(),
            Value::Deferred(deferred) => deferred.to_string(),
            _ if is_hidden(pointer) => MASK.to_owned(),
            value => difference::shortened(&difference::in_one_line(value)),
        };
        contents.push((readable_pointer(pointer), shown));
    });
    contents
}

/// Whether a value is shown in one line: a list without maps or lists in it is.
fn is_in_one_line(value: &Value) -> bool {
    let is_nested = |item: &Value| matches!(item, Value::Map(_) | Value::List(_));
    match value {
        Value::Map(_) => false,
        Value::List(items) => !items.iter().any(is_nested),
        _ => true,
    }
}

/// A value that grants no rights.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Text(text) => text.is_empty(),
        Value::List(items) => items.is_empty(),
        _ => false,
    }
}

fn counts(plan: &Plan) -> String {
    let summary = plan.summary();
    let mut parts: Vec<String> = [
        (summary.create, "to create"),
        (summary.update, "to update"),
        (summary.replace, "to replace"),
        (summary.delete, "to delete"),
        (summary.adopt, "to adopt"),
        (summary.moved, "to move"),
        (summary.forget, "to forget"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, words)| format!("{count} {words}"))
    .collect();
    if parts.is_empty() && plan.transitions.is_empty() {
        parts.push("nothing to do".into());
    }
    let counted = |is_so: &dyn Fn(&Transition) -> bool| plan.transitions.iter().filter(|one| is_so(one)).count();
    let is_price = |one: &Transition| !one.enters() && one.before.is_some() && one.before != one.after;
    for (count, noun) in [
        (counted(&|one| one.enters() || one.is_only_renamed()), "phase change"),
        (counted(&|one| one.tiers().is_some()), "tier change"),
        (counted(&|one| is_price(one) && one.tiers().is_none()), "price change"),
    ] {
        if count > 0 {
            parts.push(words::count(count, noun));
        }
    }
    parts.push(format!("{} unchanged", summary.unchanged));
    if summary.drifted > 0 {
        parts.push(format!("{} drifted", summary.drifted));
    }
    if summary.blocked > 0 {
        parts.push(format!("{} blocked", summary.blocked));
    }
    let refused = if plan.is_refused() { " Refused by a guard: apply would write nothing." } else { "" };
    format!("{}.{refused}", parts.join(", "))
}

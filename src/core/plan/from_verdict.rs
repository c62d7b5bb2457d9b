//! A verdict on one resource → the change that is planned, with its reason.

use std::sync::Arc;

use super::build::Inputs;
use super::draft::Draft;
use super::{Cause, Change, FieldChange, Hindrance, Reason, Work, sensitive};
use crate::diff::{self, Update};
use crate::model::address::Owner;
use crate::model::kind::{self, Capture, readable_identity};
use crate::model::resource::{Applied, Begun, BegunWrite, Desired, Identity, Observed, Present};
use crate::model::unknown::Unknown;
use crate::model::value::{self, Map, readable_pointer};
use crate::ownership::{self, Claim};

/// The message about an existing resource that conflicts with a desired one.
pub fn conflict(desired: &Desired, hindrance: &Hindrance) -> Option<String> {
    let name = readable_identity(desired.identity.as_deref().unwrap_or_default());
    let existing = format!("{}: {} `{name}` exists in `{}`", desired.address, desired.kind.name, desired.target);
    match hindrance {
        Hindrance::NotOurs { cause } => Some(format!("{existing}, but {cause}")),
        Hindrance::CannotAdopt { fields } => {
            let fields: Vec<String> = fields.iter().map(|field| readable_pointer(field)).collect();
            Some(format!("{existing} and cannot be taken over: {} cannot be changed", fields.join(", ")))
        }
        _ => None,
    }
}

/// The remedy for an existing resource that conflicts with a desired one.
pub fn conflict_help(desired: &Desired, observed: &Observed) -> &'static str {
    match observed {
        Observed::Present(present) if present.mark.is_some() => {
            "choose another name; a resource with another mark is never taken over. If this is the same resource under a new id, write the old id under `previously`"
        }
        _ if desired.adopt => "choose another name, or write the fields that cannot change as they are in the target",
        _ => "choose another name, or write `adopt: true` on the resource to take it over",
    }
}

/// A resource whose name in the target changes is recreated; the old one is deleted when the new one exists.
pub fn replace_identity(inputs: &Inputs<'_>, desired: &Desired, old: &Applied, change: &mut Change, draft: &mut Draft) {
    let observation = inputs.observed.get(&(desired.target.clone(), desired.kind.name));
    let observed = observation.map_or(Observed::Unknown(Unknown::NotAsked), |all| all.get(&old.identity));
    let Observed::Present(present) = observed else { return };
    let claim = Claim {
        scope: &inputs.scope(),
        kind: &desired.kind,
        address: &desired.address,
        earlier: &desired.previously,
        recorded: Some(old),
        begun: false,
    };
    if !ownership::of(&claim, &present).is_ours() {
        return;
    }
    change.reason = Reason::IdentityChanged { from: old.identity.clone() };
    change.takes_along = present.takes_along.clone();
    change.work = Work::Replace {
        identity: desired.identity.clone(),
        old: Some(old.identity.clone()),
        before: Arc::new(diff::owned_before(&desired.kind, &present, old)),
        after: desired.spec.shared(),
        fields: diff::compare(&desired.kind, &desired.spec, &present.spec, None)
            .into_iter()
            .map(|difference| field(difference, &present))
            .collect(),
    };
    draft.replaced.insert((desired.target.clone(), desired.kind.name, old.identity.clone()));
}

/// The change for a desired resource that does not exist.
pub fn created(desired: &Desired, applied: Option<&Applied>, begun: Option<&Begun>, cause: Cause) -> Change {
    let reason = match cause {
        Cause::Pending => Reason::Wanted,
        Cause::Both => Reason::DeletedOutsideAndChanged,
        Cause::Drift => Reason::DeletedOutside,
        Cause::Unfinished if begun.is_some_and(|begun| begun.write == BegunWrite::Replace) => {
            Reason::ReplacementUnfinished
        }
        Cause::Unfinished => Reason::WriteUnfinished,
    };
    let work = Work::Create { identity: desired.identity.clone(), after: desired.spec.shared() };
    change(desired, applied, work, cause, reason)
}

/// The change for a resource that is as desired, but not in the inventory. A marked resource is not adopted: if its mark is
/// removed meanwhile, somebody else did that.
pub fn adopted_on_record(
    inputs: &Inputs<'_>,
    desired: &Desired,
    applied: Option<&Applied>,
    identity: &Identity,
    present: &Present,
) -> Change {
    let work = Work::Adopt {
        identity: identity.clone(),
        before: owned(desired, applied, present),
        after: desired.spec.shared(),
        fields: Vec::new(),
    };
    recorded(inputs, desired, applied, work, Reason::RecordMissing)
}

/// The change for a resource that is as desired, but whose record is incomplete.
pub fn put_on_record(
    inputs: &Inputs<'_>,
    desired: &Desired,
    applied: Option<&Applied>,
    identity: &Identity,
    present: &Present,
) -> Change {
    let work = Work::Update {
        identity: identity.clone(),
        before: owned(desired, applied, present),
        after: desired.spec.shared(),
        fields: Vec::new(),
    };
    recorded(inputs, desired, applied, work, Reason::RecordOutdated)
}

fn owned(desired: &Desired, applied: Option<&Applied>, present: &Present) -> Arc<Map> {
    Arc::new(diff::owned(&desired.kind, &present.spec, &desired.spec, applied, &[]))
}

fn recorded(inputs: &Inputs<'_>, desired: &Desired, applied: Option<&Applied>, work: Work, reason: Reason) -> Change {
    let mut change = change(desired, applied, work, Cause::Pending, reason);
    change.origin = (inputs.place)(&desired.address, "");
    change
}

fn field(difference: diff::Difference, present: &Present) -> FieldChange {
    let diff::Difference { pointer, before, after, drift, pending: _ } = difference;
    let author = present.authors.iter().find(|(field, _)| value::is_within(&pointer, field));
    let by = author.filter(|_| drift).map(|(_, author)| author.clone());
    let becomes = present.becomes.iter().find(|(field, _)| after.is_none() && *field == pointer);
    let becomes = becomes.map(|(_, value)| value.clone());
    FieldChange { path: pointer, before, after, outside: drift, by, becomes }
}

/// The change for an existing resource.
pub fn updated(
    inputs: &Inputs<'_>,
    desired: &Desired,
    applied: Option<&Applied>,
    identity: &Identity,
    replaces: bool,
    update: Update,
) -> Change {
    let is_renamed = |old: &Owner| inputs.renamed.get(old) == Some(&desired.address.owner);
    let reason = reason_of(desired, applied, replaces, &update, is_renamed);
    let Update { differences, cause, adopts, moved_from, marks: _, present } = update;
    let besides: Vec<Arc<str>> = differences.iter().map(|difference| difference.pointer.clone()).collect();
    let before = Arc::new(diff::owned(&desired.kind, &present.spec, &desired.spec, applied, &besides));
    let first = differences.first().map_or("", |difference| &*difference.pointer);
    let origin = (inputs.place)(&desired.address, first);
    let (identity, after) = (identity.clone(), desired.spec.shared());
    let fields: Vec<FieldChange> = differences.into_iter().map(|difference| field(difference, &present)).collect();
    let work = match &moved_from {
        _ if replaces && !fields.is_empty() => {
            Work::Replace { identity: Some(identity), old: None, before, after, fields }
        }
        _ if adopts => Work::Adopt { identity, before, after, fields },
        Some(_) if fields.is_empty() => Work::Move { identity, before, after },
        _ => Work::Update { identity, before, after, fields },
    };
    let mut change = change(desired, applied, work, cause, reason);
    if replaces {
        change.takes_along = present.takes_along.clone();
    }
    change.origin = origin;
    change.renamed_from = moved_from.or(change.renamed_from);
    change
}

fn reason_of(
    desired: &Desired,
    applied: Option<&Applied>,
    replaces: bool,
    update: &Update,
    is_renamed: impl Fn(&Owner) -> bool,
) -> Reason {
    let Update { differences, cause, adopts, moved_from, marks, present } = update;
    let immutable = differences.iter().find(|difference| desired.kind.is_immutable(&desired.spec, &difference.pointer));
    let captures = desired.kind.captures_of(&desired.spec);
    let is_named = |capture: &&Capture| differences.iter().any(|field| *field.pointer == *capture.pointer());
    if let Some(capture) = captures.iter().find(is_named)
        && (immutable.is_none() || capture.replaces)
    {
        let secret = Arc::from(&*capture.name);
        return match renewed_by(capture, desired, applied) {
            Some(field) => Reason::SecretRenewed { secret, field: field.into() },
            None => Reason::SecretNotKept { secret },
        };
    }
    if let Some(difference) = immutable.filter(|_| replaces) {
        return Reason::Immutable { field: difference.pointer.clone() };
    }
    match (cause, moved_from) {
        _ if *adopts => Reason::Adopted,
        // Of a tenant's new name every one of its resources tells.
        (_, Some(old)) if differences.is_empty() && old.id == desired.address.id && is_renamed(&old.owner) => {
            Reason::MovedWithOwner { from: old.owner.clone() }
        }
        (_, Some(old)) if differences.is_empty() => Reason::Moved { from: old.clone() },
        (_, None) if differences.is_empty() && *marks && present.mark.is_none() => Reason::MarkRemoved,
        (_, None) if differences.is_empty() && *marks => Reason::MarkOutdated,
        (_, None) if differences.is_empty() && present.unclaimed => Reason::WrittenByOthers,
        (Cause::Drift, _) => Reason::ChangedOutside,
        (Cause::Both, _) => Reason::ChangedOnBothSides,
        (Cause::Unfinished, _) => Reason::WriteUnfinished,
        (Cause::Pending, _) => Reason::ChangedInRepository,
    }
}

/// The field whose change asks for a new one-time secret, if the repository has changed it.
fn renewed_by(capture: &Capture, desired: &Desired, applied: Option<&Applied>) -> Option<&'static str> {
    let (field, before) = capture.field.zip(applied?.spec_value())?;
    // It may not have been asked for before.
    (kind::at(&desired.spec, field) != kind::at(&before, field)).then_some(field)
}

/// A change with everything that does not depend on the observed state.
fn change(desired: &Desired, applied: Option<&Applied>, work: Work, cause: Cause, reason: Reason) -> Change {
    let generation = applied.map_or(0, |applied| applied.generation) + 1;
    Change {
        address: desired.address.clone(),
        kind: desired.kind.name.into(),
        target: desired.target.clone(),
        work,
        cause,
        reason,
        sensitive: sensitive::of(desired),
        depends_on: desired.depends_on.clone(),
        protected: desired.protect,
        optional: desired.optional,
        loses_data: desired.kind.loses_data_of(&desired.spec),
        takes_along: Arc::default(),
        origin: None,
        renamed_from: applied.map(|applied| &applied.address).filter(|old| **old != desired.address).cloned(),
        generation,
    }
}

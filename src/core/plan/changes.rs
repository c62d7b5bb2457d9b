//! A verdict on one resource → the change that is planned, with its reason.

use std::sync::Arc;

use super::build::{Draft, Inputs};
use super::{Action, Cause, Change, FieldChange, sensitive};
use crate::diff::{self, Update};
use crate::model::kind::{self, Capture, MarkPlace, readable_identity};
use crate::model::resource::{Applied, Desired, Observed};
use crate::model::value::readable_pointer;

/// What to do about something that stands where a resource is wanted.
pub fn conflict_help(desired: &Desired, observed: &Observed) -> &'static str {
    match observed {
        Observed::Present(present) if present.mark.is_some() => {
            "choose another name; what carries another mark is never taken over"
        }
        _ if desired.adopt => "choose another name, or ask for what cannot change as it is there",
        _ => "choose another name, or write `adopt: true` on the resource to take it over",
    }
}

/// A resource whose name in the target changes is made anew; the old one is deleted once the new one is there.
pub fn replace_identity(inputs: &Inputs<'_>, desired: &Desired, old: &Applied, change: &mut Change, draft: &mut Draft) {
    let observation = inputs.observed.get(&(desired.target.clone(), desired.kind.name));
    let observed =
        observation.map_or(Observed::Unknown("its target was not asked".into()), |all| all.get(&old.identity));
    let Observed::Present(present) = observed else { return };
    let ours = match &present.mark {
        Some(mark) => {
            *mark.estate == **inputs.estate
                && (mark.address == desired.address || desired.previously.contains(&mark.address))
        }
        None => desired.kind.mark == MarkPlace::Inventory && !diff::is_another(&desired.kind, old, &present),
    };
    if !ours {
        return;
    }
    change.action = Action::Replace;
    change.reason = format!("its name in the target changes from `{}`", readable_identity(&old.identity)).into();
    change.before = Some(Arc::new(diff::owned_before(&desired.kind, &present, old)));
    change.replaces = Some(old.identity.clone());
    change.fields = diff::compare(&desired.kind, &desired.spec, &present.spec, None).into_iter().map(field).collect();
    draft.replaced.insert((desired.target.clone(), desired.kind.name, old.identity.clone()));
}

fn field(difference: diff::Difference) -> FieldChange {
    FieldChange { path: difference.pointer, before: difference.before, after: difference.after }
}

/// What something that exists is to become.
pub fn updated(
    inputs: &Inputs<'_>,
    desired: &Desired,
    applied: Option<&Applied>,
    action: Action,
    update: Update,
) -> Change {
    let Update { differences, cause, adopts, renamed_from, present } = update;
    let mut change = change(desired, applied, action, cause);
    let besides: Vec<Arc<str>> = differences.iter().map(|difference| difference.pointer.clone()).collect();
    change.before = Some(Arc::new(diff::owned(&desired.kind, &present.spec, &desired.spec, applied, &besides)));
    let immutable = differences.iter().find(|difference| desired.kind.is_immutable(&desired.spec, &difference.pointer));
    let captures = desired.kind.captures_of(&desired.spec);
    let lost = captures.iter().find(|capture| besides.iter().any(|path| **path == *capture.pointer()));
    change.reason = match (action, cause, &renamed_from) {
        _ if lost.is_some_and(|capture| immutable.is_none() || capture.replaces) => {
            let name = lost.map_or("", |capture| &capture.name);
            match lost.and_then(|capture| renewed_by(capture, desired, applied)) {
                Some(field) => format!("its {name} is made anew, because its {field} has changed").into(),
                None => format!("its {name} was told only once and is not on record").into(),
            }
        }
        (Action::Replace, _, _) => {
            let field = immutable.map_or_else(|| "a field".into(), |difference| readable_pointer(&difference.pointer));
            format!("its {field} cannot change while it lives").into()
        }
        _ if adopts => "exists without a mark and is taken over".into(),
        // Of a tenant's new name every one of its resources tells.
        (_, _, Some(old)) if differences.is_empty() && old.owner != desired.address.owner => {
            format!("renamed with its owner, which was {}", old.owner).into()
        }
        (_, _, Some(old)) if differences.is_empty() => format!("renamed from {}", old.id).into(),
        (_, Cause::Drift, _) => "changed outside Tenantry".into(),
        (_, Cause::Both, _) => "changed in the repository and outside Tenantry".into(),
        (_, Cause::Pending, _) => "changed in the repository".into(),
    };
    let first = differences.first().map_or("", |difference| &*difference.pointer);
    change.origin = (inputs.place)(&desired.address, first);
    change.fields = differences.into_iter().map(field).collect();
    change.renamed_from = renamed_from.or(change.renamed_from);
    change
}

/// The field that asks for another one of what is told once, if the repository has changed it.
fn renewed_by(capture: &Capture, desired: &Desired, applied: Option<&Applied>) -> Option<String> {
    let (field, before) = capture.field.zip(applied?.spec_value())?;
    let written = kind::at(&before, field)?;
    (kind::at(&desired.spec, field) != Some(written)).then(|| readable_pointer(field))
}

/// A change with all but what depends on what is there.
pub fn change(desired: &Desired, applied: Option<&Applied>, action: Action, cause: Cause) -> Change {
    let generation = applied.map_or(0, |applied| applied.generation) + 1;
    Change {
        address: desired.address.clone(),
        kind: desired.kind.name.into(),
        target: desired.target.clone(),
        identity: desired.identity.clone(),
        action,
        cause,
        reason: "".into(),
        before: None,
        after: Some(desired.spec.shared()),
        fields: Vec::new(),
        sensitive: sensitive::of(desired),
        depends_on: desired.depends_on.clone(),
        protected: desired.protect,
        loses_data: desired.kind.loses_data_of(&desired.spec),
        origin: None,
        renamed_from: applied.map(|applied| &applied.address).filter(|old| **old != desired.address).cloned(),
        replaces: None,
        generation,
    }
}

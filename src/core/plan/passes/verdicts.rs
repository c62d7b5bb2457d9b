//! What to do about each desired resource.

use std::borrow::Cow;
use std::sync::Arc;

use super::super::build::Inputs;
use super::super::draft::{Draft, Index, is_on_record};
use super::super::from_verdict::{
    adopted_on_record, conflict, conflict_help, created, put_on_record, replace_identity, updated,
};
use super::super::{Cause, Change, FieldChange, Finding, Hindrance};
use crate::desired::OwnerResources;
use crate::diagnostics::{Severity, codes};
use crate::diff::{self, Known, Verdict};
use crate::model::address::Address;
use crate::model::kind::readable_identity;
use crate::model::resource::{Applied, Begun, Desired, Identity, Observed, Present};
use crate::model::unknown::Unknown;

pub fn run(inputs: &Inputs<'_>, index: &Index<'_>, draft: &mut Draft) {
    let owners: Vec<&OwnerResources> = inputs.desired.iter().filter(|owner| (inputs.selected)(&owner.owner)).collect();
    let chunk = owners.len().div_ceil(inputs.threads.max(1)).max(1);
    let parts: Vec<Draft> = std::thread::scope(|threads| {
        let part = |owners: &[&OwnerResources]| {
            let mut draft = Draft::default();
            for desired in owners.iter().flat_map(|owner| &owner.resources) {
                resource(inputs, index, desired, &mut draft);
            }
            draft
        };
        let workers: Vec<_> = owners.chunks(chunk).map(|owners| threads.spawn(move || part(owners))).collect();
        let parts = workers.into_iter().map(std::thread::ScopedJoinHandle::join);
        parts.map(|part| part.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    for part in parts {
        draft.merge(part);
    }
}

/// The records at the address of a desired resource, and at its earlier addresses.
fn records<'a>(inputs: &Inputs<'a>, desired: &'a Desired) -> impl Iterator<Item = &'a Applied> {
    std::iter::once(&desired.address).chain(&desired.previously).filter_map(|at| inputs.inventory.get(at))
}

/// The record of a desired resource: the same resource at any address, or else what was applied at its address and is not
/// desired elsewhere.
fn applied_of<'a>(inputs: &Inputs<'a>, index: &Index<'_>, desired: &'a Desired) -> Option<&'a Applied> {
    let own = records(inputs, desired).find(|applied| is_it(applied, desired));
    own.or_else(|| records(inputs, desired).find(|applied| !index.wants(applied)))
}

fn is_it(applied: &Applied, desired: &Desired) -> bool {
    applied.target == desired.target
        && *applied.kind == *desired.kind.name
        && Some(&applied.identity) == desired.identity.as_ref()
}

/// What was applied at the address of a desired resource under another name and is no longer desired.
fn old_identity<'a>(inputs: &Inputs<'a>, index: &Index<'_>, desired: &'a Desired) -> Option<&'a Applied> {
    if is_on_record(inputs, desired) {
        return None;
    }
    records(inputs, desired).find(|applied| {
        Some(&applied.identity) != desired.identity.as_ref()
            && applied.target == desired.target
            && *applied.kind == *desired.kind.name
            && !index.wants(applied)
    })
}

fn begun_of<'a>(inputs: &Inputs<'a>, desired: &Desired) -> Option<&'a Begun> {
    let identity = desired.identity.as_ref()?;
    let mut addresses = std::iter::once(&desired.address).chain(&desired.previously);
    addresses.find_map(|address| inputs.begun.get(&(address.clone(), identity.clone())))
}

/// The earlier addresses of a resource. A mark of ours also names one if nothing else claims it, when the inventory was lost.
fn earlier<'d>(
    inputs: &Inputs<'_>,
    index: &Index<'_>,
    desired: &'d Desired,
    observed: &Observed,
) -> Cow<'d, [Address]> {
    if let Observed::Present(Present { mark: Some(mark), .. }) = observed
        && mark.is_of(&index.scope)
        && mark.address != desired.address
        && !desired.previously.contains(&mark.address)
        && !index.desired.contains_key(&mark.address)
        && !index.earlier.contains(&mark.address)
        && !inputs.inventory.contains_key(&mark.address)
    {
        return desired.previously.iter().cloned().chain([mark.address.clone()]).collect();
    }
    Cow::Borrowed(&desired.previously)
}

fn resource(inputs: &Inputs<'_>, index: &Index<'_>, desired: &Desired, draft: &mut Draft) {
    let is_elsewhere = |applied: &&Applied| {
        (applied.target != desired.target || *applied.kind != *desired.kind.name) && !index.wants(applied)
    };
    if let Some(applied) = records(inputs, desired).find(is_elsewhere) {
        return relocated(desired, applied, draft);
    }
    let applied = applied_of(inputs, index, desired);
    let observation = inputs.observed.get(&(desired.target.clone(), desired.kind.name));
    let observed = match (&desired.identity, observation) {
        // What has no name yet cannot exist yet.
        (None, _) => Cow::Owned(Observed::Absent),
        (Some(identity), Some(observation)) => observation.look(identity),
        (Some(_), None) => Cow::Owned(Observed::Unknown(Unknown::NotAsked)),
    };
    if let Observed::Present(present) = &*observed {
        if let Some(what) = &present.scheduled {
            draft.scheduled.insert(desired.address.clone(), what.clone());
        }
        if let Some(reason) = &present.pending {
            let reason = (desired.kind.name.into(), desired.target.clone(), reason.clone());
            draft.pending.entry(reason).or_default().push(desired.address.clone());
        }
    }
    // Of what the repository itself has renamed, the old one is known.
    if matches!(*observed, Observed::Absent)
        && desired.kind.loses_data_of(&desired.spec)
        && let Some(recorded) = records(inputs, desired).find(|applied| is_it(applied, desired))
        && let Some(to) = index.renamed(&desired.kind, recorded)
    {
        draft.findings.push(renamed(&desired.address, desired.kind.name, &recorded.identity, to));
        return draft.block(desired, Hindrance::Renamed { to: to.clone() });
    }
    let earlier = earlier(inputs, index, desired, &observed);
    let begun = begun_of(inputs, desired);
    let verdict = diff::diff(&Known {
        scope: &index.scope,
        desired,
        earlier: &earlier,
        observed: &observed,
        applied,
        begun,
        secret: inputs.secrets.of(&desired.address),
    });
    if let Some(message) = refusal(inputs, desired, &verdict) {
        let words = format!("{}: `{}` would refuse it: {message}", desired.address, desired.target);
        let mut finding = Finding::new(codes::REFUSED_BY_TARGET, Severity::Error, words).of(&desired.address);
        finding = finding.help("correct the resource in the blueprint, or what refuses it in the target");
        finding.origin = (inputs.place)(&desired.address, "");
        draft.findings.push(finding);
        return draft.block(desired, Hindrance::Refused { message });
    }
    let mut change = match (verdict, &desired.identity) {
        (Verdict::Unchanged, _) => {
            draft.unchanged += 1;
            return;
        }
        (Verdict::Blocked(hindrance), _) => {
            if let Some(message) = conflict(desired, &hindrance) {
                let finding = Finding::new(hindrance.code(), Severity::Error, message).of(&desired.address);
                let mut finding = finding.help(conflict_help(desired, &observed));
                finding.origin = (inputs.place)(&desired.address, "");
                draft.findings.push(finding);
            }
            return draft.block(desired, hindrance);
        }
        (Verdict::Record { present }, Some(identity)) => {
            let is_known = begun.is_none()
                && applied.is_some_and(|applied| applied.address == desired.address && is_it(applied, desired));
            match is_known {
                true => put_on_record(inputs, desired, applied, identity, &present),
                false => adopted_on_record(inputs, desired, applied, identity, &present),
            }
        }
        (Verdict::Create { cause }, _) => {
            warn_of_lost_data(desired, cause, draft);
            created(desired, applied, begun, cause)
        }
        (Verdict::Update(update), Some(identity)) => updated(inputs, desired, applied, identity, false, update),
        (Verdict::Replace(update), Some(identity)) => updated(inputs, desired, applied, identity, true, update),
        (Verdict::Record { .. } | Verdict::Update(_) | Verdict::Replace(_), None) => {
            unreachable!("what has no name yet was not found")
        }
    };
    let captures = desired.kind.captures_of(&desired.spec);
    let is_told = |field: &FieldChange| captures.iter().any(|capture| *capture.pointer() == *field.path);
    // Repeated under its old key, the interrupted write could be answered with what was made then.
    if let Some(begun) = begun.filter(|_| change.work.fields().iter().any(is_told)) {
        change.generation = change.generation.max(begun.generation + 1);
    }
    // The numbers of the writes at an address only ever rise, whatever was there before.
    if let Some(own) = inputs.inventory.get(&desired.address) {
        change.generation = change.generation.max(own.generation + 1);
    }
    // Also where a run was interrupted after it made the new one and before it deleted the old one.
    if let Some(old) = old_identity(inputs, index, desired) {
        replace_identity(inputs, desired, old, &mut change, draft);
    }
    if change.origin.is_none() {
        change.origin = (inputs.place)(&desired.address, first_field(&change));
    }
    draft.changes.push(change);
}

/// Why the target would refuse what is to be done.
fn refusal(inputs: &Inputs<'_>, desired: &Desired, verdict: &Verdict) -> Option<Arc<str>> {
    let refused = inputs.refused?;
    match verdict {
        Verdict::Update(update) => update.present.refused.clone(),
        Verdict::Create { .. } | Verdict::Replace(_) => refused.get(&desired.address).cloned(),
        Verdict::Unchanged | Verdict::Record { .. } | Verdict::Blocked(_) => None,
    }
}

/// What is said of a resource that somebody has renamed in its target.
pub fn renamed(address: &Address, kind: &str, from: &Identity, to: &Identity) -> Finding {
    let (from, to) = (readable_identity(from), readable_identity(to));
    let message = format!(
        "{address}: {kind} `{from}` is now called `{to}`, which has its mark and its data; it is not made anew"
    );
    Finding::new(codes::RECREATES_DATA, Severity::Error, message).of(address).help(format!(
        "rename it back to `{from}` in its target, or follow: write the name `{to}` in the repository. If `{to}` is only a copy, remove its mark"
    ))
}

fn first_field(change: &Change) -> &str {
    change.work.fields().first().map_or("", |field| &*field.path)
}

fn relocated(desired: &Desired, applied: &Applied, draft: &mut Draft) {
    let way = if applied.target == desired.target {
        Hindrance::KindChanged { from: applied.kind.clone(), to: desired.kind.name.into() }
    } else {
        Hindrance::TargetChanged { from: applied.target.clone(), to: desired.target.clone() }
    };
    draft.block(desired, way.clone());
    draft.relocations.entry(way).or_default().push(desired.address.clone());
}

fn warn_of_lost_data(desired: &Desired, cause: Cause, draft: &mut Draft) {
    let was_deleted = matches!(cause, Cause::Drift | Cause::Both);
    if was_deleted && desired.kind.loses_data_of(&desired.spec) {
        let message = format!("{} was deleted outside Tenantry and would be created empty", desired.address);
        let finding = Finding::new(codes::RECREATES_DATA, Severity::Warning, message)
            .of(&desired.address)
            .help("if its data is still needed, restore it from a backup first");
        draft.findings.push(finding);
    }
}

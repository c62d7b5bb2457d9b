//! Resources that exist and are no longer desired.
//!
//! The most dangerous part of a plan, and so the most careful: a resource is not deleted because a document is missing, if it
//! is not known to be ours, or if its state is unknown.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::build::Inputs;
use super::super::draft::{Draft, Index};
use super::super::{Blocked, Cause, Change, Finding, Hindrance, Reason, Work, sensitive};
use super::verdicts::renamed;
use crate::diagnostics::{Severity, codes};
use crate::diff;
use crate::model::address::{Address, Owner};
use crate::model::document::{Allowance, Phase};
use crate::model::kind::{Kind, MarkPlace};
use crate::model::resource::{Applied, BegunWrite, Identity, KindObservation, Observed, Present, TargetName};
use crate::model::unknown::Unknown;
use crate::model::value::Map;
use crate::ownership::{self, Claim, NotOurs, Ownership};
use crate::policy;

/// Adds to the draft every resource with a record or a mark that the repository no longer has, except those that are desired at
/// another address (by target, kind and identity).
pub fn run(inputs: &Inputs<'_>, index: &Index<'_>, draft: &mut Draft) {
    let mut vanished: BTreeMap<Owner, usize> = BTreeMap::new();
    for applied in inputs.inventory.values() {
        let address = &applied.address;
        let is_kept = index.desired.contains_key(address) || index.earlier.contains(address) || index.wants(applied);
        if is_kept || !(inputs.selected)(&address.owner) {
            continue;
        }
        if has_vanished(inputs, &address.owner) {
            *vanished.entry(address.owner.clone()).or_default() += 1;
            draft.blocked.push(blocked(applied, Hindrance::TenantVanished));
            continue;
        }
        orphan(inputs, index, applied, Source::Inventory, draft);
    }
    // A run was interrupted after it created a resource and before it could record it, and the repository no longer has it.
    for made in inputs.unfinished {
        let Applied { address, .. } = made;
        let is_kept = index.desired.contains_key(address) || index.earlier.contains(address) || index.wants(made);
        if is_kept || inputs.inventory.contains_key(address) || !(inputs.selected)(&address.owner) {
            continue;
        }
        if has_vanished(inputs, &address.owner) {
            *vanished.entry(address.owner.clone()).or_default() += 1;
            draft.blocked.push(blocked(made, Hindrance::TenantVanished));
            continue;
        }
        orphan(inputs, index, made, Source::OpenStep, draft);
    }
    // Marks that the inventory does not know: it was lost, or a backup copied them.
    for ((target, kind), observation) in inputs.observed {
        for (identity, present, address) in unknown_marks(inputs, index, draft, (target, kind), observation) {
            // Told already, with what can be done about it.
            let is_it = |blocked: &Blocked| {
                blocked.address == address && matches!(&blocked.reason, Hindrance::Renamed { to } if *to == *identity)
            };
            if draft.blocked.iter().any(is_it) {
                continue;
            }
            if index.desired.contains_key(&address) || inputs.inventory.contains_key(&address) {
                let message = format!(
                    "{kind} `{identity}` in `{target}` carries the mark of {address}, which is another resource"
                );
                let loses_data =
                    inputs.catalogue.get(kind).is_some_and(|kind| kind.loses_data_of(&kind.normal(&present.spec)));
                let help = match loses_data {
                    true => {
                        "it is not changed; a backup or a clone copies marks. Remove the mark by hand, not the resource: its data may be nowhere else"
                    }
                    false => {
                        "it is not changed; a backup or a clone copies marks. Remove the mark or the resource by hand"
                    }
                };
                draft
                    .findings
                    .push(Finding::new(codes::COPIED_MARK, Severity::Warning, message).of(&address).help(help));
                continue;
            }
            let found = found(target, kind, identity, present, &address);
            if has_vanished(inputs, &address.owner) {
                *vanished.entry(address.owner.clone()).or_default() += 1;
                draft.blocked.push(blocked(&found, Hindrance::TenantVanished));
            } else {
                orphan(inputs, index, &found, Source::Mark, draft);
            }
        }
    }
    for (owner, count) in vanished {
        let what = if count == 1 { "1 resource is".to_owned() } else { format!("{count} resources are") };
        draft.findings.push(
            Finding::refusal(
                codes::TENANT_VANISHED,
                format!("tenant {owner} no longer has a document, but {what} left"),
            )
            .help("restore its document; to remove the tenant, take it through `phase: deleting` to `phase: deleted`"),
        );
    }
}

/// Resources that carry our mark, are not desired, not recorded, and not about to be replaced: in order of identity.
fn unknown_marks<'o>(
    inputs: &Inputs<'_>,
    index: &Index<'_>,
    draft: &Draft,
    (target, kind): (&TargetName, &'static str),
    observation: &'o KindObservation,
) -> Vec<(&'o Identity, &'o Present, Address)> {
    let scope = inputs.scope();
    let is_unfinished = |identity: &Identity, address: &Address| {
        let is_it = |made: &Applied| made.address == *address && made.identity == *identity && made.target == *target;
        inputs.unfinished.iter().any(is_it)
    };
    let is_unknown = |identity: &Identity, address: &Address| {
        let recorded = inputs.inventory.get(address);
        recorded.is_none_or(|applied| applied.identity != *identity || applied.target != *target)
            && !draft.replaced.contains(&(target.clone(), kind, identity.clone()))
            && !index.wanted.contains_key(&(target, kind, identity))
            && !index.marked_elsewhere.contains(&(target, kind, identity))
            && !index.earlier.contains(address)
            && !is_unfinished(identity, address)
            && (inputs.selected)(&address.owner)
    };
    let mut found: Vec<(&Identity, &Present, Address)> = observation
        .resources
        .iter()
        .filter_map(|(identity, observed)| match observed {
            Observed::Present(present) => present.mark.as_ref().map(|mark| (identity, present, mark)),
            _ => None,
        })
        .filter(|(identity, _, mark)| mark.is_of(&scope) && is_unknown(identity, &mark.address))
        .map(|(identity, present, mark)| (identity, present, mark.address.clone()))
        .collect();
    found.sort_by_key(|(identity, ..)| *identity);
    found
}

/// The record that the inventory would have of a resource that is known only by its mark.
fn found(target: &TargetName, kind: &str, identity: &Identity, present: &Present, address: &Address) -> Applied {
    Applied {
        address: address.clone(),
        kind: kind.into(),
        marked: None,
        target: target.clone(),
        identity: identity.clone(),
        spec: serde_json::to_string(&*present.spec).expect("a spec has texts for keys").into(),
        outputs: "{}".into(),
        generation: 0,
        protect: false,
        depends_on: Vec::new(),
    }
}

/// Whether an owner is a tenant whose document is gone without having passed through `deleted`.
fn has_vanished(inputs: &Inputs<'_>, owner: &Owner) -> bool {
    owner.tenant().is_some_and(|tenant| !inputs.lives.contains_key(tenant)) && !inputs.renamed.contains_key(owner)
}

fn blocked(applied: &Applied, reason: Hindrance) -> Blocked {
    Blocked {
        address: applied.address.clone(),
        kind: applied.kind.clone(),
        target: applied.target.clone(),
        identity: Some(applied.identity.clone()),
        code: reason.code().0.into(),
        reason,
    }
}

/// Whether deleting it destroys data, by the observed spec or the last written one.
fn loses_data(kind: &Kind, applied: &Applied, present: Option<&Present>) -> bool {
    let loses = |spec: &Map| kind.loses_data_of(&kind.normal(spec));
    present.is_some_and(|present| loses(&present.spec)) || applied.spec_value().is_some_and(|spec| loses(&spec))
}

/// Why a resource may not be deleted.
struct Stop {
    hindrance: Hindrance,
    message: String,
    help: &'static str,
}

/// What a resource that is no longer desired is known by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Inventory,
    /// A step that was begun to create it and whose end is not known.
    OpenStep,
    /// Only its mark in the target.
    Mark,
}

/// Plans the deletion of one resource.
fn orphan(inputs: &Inputs<'_>, index: &Index<'_>, applied: &Applied, source: Source, draft: &mut Draft) {
    let Applied { address, kind: kind_name, target, identity, .. } = applied;
    let stop = |draft: &mut Draft, Stop { hindrance, message, help }: Stop| {
        let finding = Finding::new(hindrance.code(), Severity::Error, format!("{address}: {message}"));
        let mut finding = finding.of(address).help(help);
        finding.origin = (inputs.place)(address, "");
        draft.findings.push(finding);
        draft.blocked.push(blocked(applied, hindrance));
    };
    let Some(kind) = inputs.catalogue.get(kind_name) else {
        let message = format!("it is of kind `{kind_name}`, which this version does not know");
        let help = "use the version of Tenantry that applied it";
        let hindrance = Hindrance::StateUnknown { cause: Unknown::UnknownKind { kind: kind_name.clone() } };
        return stop(draft, Stop { hindrance, message, help });
    };
    let observed = match inputs.observed.get(&(target.clone(), kind.name)) {
        Some(observation) => observation.get(identity),
        None => Observed::Unknown(Unknown::NotConfigured { target: target.clone() }),
    };
    let present = match observed {
        Observed::Unknown(cause) => {
            draft.blocked.push(blocked(applied, Hindrance::StateUnknown { cause }));
            return;
        }
        Observed::Absent => {
            let spec = applied.spec_value().unwrap_or_default();
            // Its data is still there, under another name.
            if kind.loses_data_of(&kind.normal(&spec))
                && let Some(to) = index.renamed(kind, applied)
            {
                draft.findings.push(renamed(address, kind.name, identity, to));
                draft.blocked.push(blocked(applied, Hindrance::Renamed { to: to.clone() }));
                return;
            }
            None
        }
        Observed::Present(present) => Some(present),
    };
    let begun = inputs.begun.get(&(address.clone(), identity.clone()));
    if let Some(present) = &present {
        if let Some(found) = stands_against(inputs, applied, kind, source, begun.is_some(), present) {
            return stop(draft, found);
        }
        // Its deletion goes on by itself. It stays on record until the target says that it is gone.
        if let Some(reason) = present.pending.as_ref().filter(|_| begun.is_some_and(|b| b.write == BegunWrite::Delete))
        {
            let of = (kind_name.clone(), target.clone(), reason.clone());
            draft.pending.entry(of).or_default().push(address.clone());
            return;
        }
    }
    draft.changes.push(ended(inputs, applied, kind, present.as_ref()));
}

/// What prevents the deletion of an existing resource.
fn stands_against(
    inputs: &Inputs<'_>,
    applied: &Applied,
    kind: &Kind,
    source: Source,
    begun: bool,
    present: &Present,
) -> Option<Stop> {
    let Applied { address, kind: kind_name, identity, .. } = applied;
    let scope = inputs.scope();
    let claim = Claim { scope: &scope, kind, address, earlier: &[], recorded: Some(applied), begun };
    let cause = match ownership::of_deleted(&claim, present) {
        // The step may not have been carried out, and what exists may be somebody else's.
        _ if source == Source::OpenStep && present.mark.is_none() && !is_as_begun(kind, applied, present) => {
            NotOurs::Another
        }
        Ownership::Ours { .. } | Ownership::Moved { .. } if source != Source::Mark => return None,
        Ownership::Ours { .. } | Ownership::Moved { .. } => {
            if policy::allows(inputs.approvals, inputs.now, Allowance::Delete, address) {
                return None;
            }
            let message = format!(
                "{kind_name} `{identity}` carries the mark of this estate and is no longer wanted, but the store has no record of it, so it is not deleted"
            );
            let help = "restore the store of this environment (`tenantry store import`, or `tenantry import --inventory` if there is no export). To delete the resource without it, add an Approval with `allow: [delete]` for its address";
            return Some(Stop { hindrance: Hindrance::NotRecorded, message, help });
        }
        Ownership::NotOurs(cause) => cause,
    };
    let message = format!("{kind_name} `{identity}` is no longer wanted, but {cause}, so it is not deleted");
    let help = match kind.mark {
        MarkPlace::Inventory => {
            "delete it by hand if nobody needs it; the next apply then removes it from the inventory"
        }
        _ => "delete it by hand, or restore its mark; once it is deleted, the next apply removes it from the inventory",
    };
    Some(Stop { hindrance: Hindrance::UnwantedNotOurs { cause }, message, help })
}

/// Whether a resource without a mark is what a step was to create.
fn is_as_begun(kind: &Kind, begun: &Applied, present: &Present) -> bool {
    let spec = begun.spec_value();
    spec.is_some_and(|spec| diff::compare(kind, &kind.normal(&spec), &present.spec, None).is_empty())
}

/// The change that deletes a resource, or removes it from the inventory if it is already gone.
fn ended(inputs: &Inputs<'_>, applied: &Applied, kind: &Kind, present: Option<&Present>) -> Change {
    let Applied { address, kind: kind_name, target, identity, generation, protect, depends_on, .. } = applied;
    let is_deleted = address
        .owner
        .tenant()
        .and_then(|tenant| inputs.lives.get(tenant))
        .is_some_and(|life| life.phase == Phase::Deleted);
    let identity = identity.clone();
    let work = match present {
        Some(present) => Work::Delete { identity, before: Arc::new(diff::owned_before(kind, present, applied)) },
        None => Work::Forget { identity },
    };
    // Which of its fields are personal is not on record, so none is shown but its name.
    let sensitive = work.before().map(|before| sensitive::unless_recorded(Some(kind), before)).unwrap_or_default();
    let origin = match is_deleted {
        true => (inputs.place)(&Address { owner: address.owner.clone(), id: "".into(), each: None }, "/spec/phase"),
        false => (inputs.place)(address, ""),
    };
    Change {
        address: address.clone(),
        kind: kind_name.clone(),
        target: target.clone(),
        work,
        cause: Cause::Pending,
        reason: match (present, is_deleted) {
            (None, _) => Reason::Gone,
            (Some(_), true) => Reason::TenantDeleted,
            (Some(_), false) => Reason::NotWanted,
        },
        sensitive,
        depends_on: depends_on.clone(),
        protected: *protect,
        optional: false,
        loses_data: loses_data(kind, applied, present),
        takes_along: present.map(|present| present.takes_along.clone()).unwrap_or_default(),
        origin,
        renamed_from: None,
        generation: generation + 1,
    }
}

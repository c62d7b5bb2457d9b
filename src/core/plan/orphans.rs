//! What exists and is no longer asked for.
//!
//! The most dangerous part of a plan, and so the most careful: nothing is deleted because a document disappeared, nothing
//! that cannot be shown to be ours, nothing whose state is unknown.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::build::{Draft, Inputs};
use super::{Action, Blocked, Cause, Change, Finding, sensitive};
use crate::diagnostics::{Severity, codes};
use crate::diff;
use crate::model::address::{Address, Owner};
use crate::model::kind::{Kind, MarkPlace};
use crate::model::resource::{Applied, Observed, Present};
use crate::model::value::Map;

/// Adds to the draft whatever the inventory or a mark knows and the repository does not ask for.
pub fn plan(inputs: &Inputs<'_>, draft: &mut Draft) {
    let desired: HashMap<&Address, _> =
        inputs.desired.iter().flat_map(|owner| &owner.resources).map(|desired| (&desired.address, desired)).collect();
    let renamed: HashSet<&Address> =
        inputs.desired.iter().flat_map(|owner| &owner.resources).flat_map(|desired| &desired.previously).collect();
    let mut vanished: BTreeMap<Owner, usize> = BTreeMap::new();

    for applied in inputs.inventory.values() {
        let address = &applied.address;
        if desired.contains_key(address) || renamed.contains(address) || !(inputs.selected)(&address.owner) {
            continue;
        }
        if has_vanished(inputs, &address.owner) {
            *vanished.entry(address.owner.clone()).or_default() += 1;
            draft.blocked.push(blocked(applied, codes::TENANT_VANISHED, "its tenant's document is gone"));
            continue;
        }
        orphan(inputs, applied, draft);
    }

    // Marks that the inventory does not know: it was lost, or a backup copied them.
    for ((target, kind), observation) in inputs.observed {
        let mut marked: Vec<_> = observation
            .resources
            .iter()
            .filter_map(|(identity, observed)| match observed {
                Observed::Present(present) => present.mark.as_ref().map(|mark| (identity, present, mark)),
                _ => None,
            })
            .filter(|(_, _, mark)| *mark.estate == **inputs.estate && (inputs.selected)(&mark.address.owner))
            .filter(|(identity, _, mark)| {
                inputs
                    .inventory
                    .get(&mark.address)
                    .is_none_or(|applied| applied.identity != **identity || applied.target != *target)
                    && !draft.replaced.contains(&(target.clone(), *kind, (*identity).clone()))
            })
            .collect();
        marked.sort_by_key(|(identity, _, _)| *identity);
        for (identity, present, mark) in marked {
            let address = &mark.address;
            let wanted = desired.get(address);
            let is_wanted = wanted.is_some_and(|desired| {
                desired.target == *target && desired.kind.name == *kind && desired.identity.as_ref() == Some(identity)
            });
            if is_wanted || renamed.contains(address) {
                continue;
            }
            if wanted.is_some() || inputs.inventory.contains_key(address) {
                draft.findings.push(
                    Finding::new(
                        codes::COPIED_MARK,
                        Severity::Warning,
                        format!(
                            "{kind} `{identity}` in `{target}` carries the mark of {address}, which is another resource"
                        ),
                    )
                    .of(address)
                    .help(
                        "it is left alone; a backup or a clone copies marks. Remove the mark or the resource by hand",
                    ),
                );
                continue;
            }
            let found = Applied {
                address: address.clone(),
                kind: (*kind).into(),
                target: target.clone(),
                identity: identity.clone(),
                spec: serde_json::to_string(&*present.spec).unwrap_or_default().into(),
                outputs: "{}".into(),
                generation: 0,
                protect: false,
                depends_on: Vec::new(),
            };
            if has_vanished(inputs, &address.owner) {
                *vanished.entry(address.owner.clone()).or_default() += 1;
                draft.blocked.push(blocked(&found, codes::TENANT_VANISHED, "its tenant has no document"));
            } else {
                orphan(inputs, &found, draft);
            }
        }
    }

    for (owner, count) in vanished {
        let what = if count == 1 { "1 resource is".to_owned() } else { format!("{count} resources are") };
        draft.findings.push(
            Finding::refusal(
                codes::TENANT_VANISHED,
                format!("tenant {owner} has no document any more, but {what} still there"),
            )
            .help("restore its document; to remove the tenant, take it through `phase: deleting` to `phase: deleted`"),
        );
    }
}

/// Whether an owner is a tenant whose document is gone without having passed through `deleted`.
fn has_vanished(inputs: &Inputs<'_>, owner: &Owner) -> bool {
    owner.tenant().is_some_and(|tenant| !inputs.phases.contains_key(tenant)) && !inputs.renamed.contains_key(owner)
}

fn blocked(applied: &Applied, code: crate::diagnostics::Code, reason: impl Into<Arc<str>>) -> Blocked {
    Blocked {
        address: applied.address.clone(),
        kind: applied.kind.clone(),
        target: applied.target.clone(),
        identity: Some(applied.identity.clone()),
        code: code.0.into(),
        reason: reason.into(),
    }
}

/// Whether what is there, or what was written, says that its end destroys data.
fn loses_data(kind: &Kind, applied: &Applied, present: Option<&Present>) -> bool {
    let loses = |spec: &Map| kind.loses_data_of(&kind.normal(spec));
    present.is_some_and(|present| loses(&present.spec)) || applied.spec_value().is_some_and(|spec| loses(&spec))
}

/// Plans the end of one resource.
fn orphan(inputs: &Inputs<'_>, applied: &Applied, draft: &mut Draft) {
    let Applied { address, kind: kind_name, target, identity, spec: _, outputs: _, generation, protect, depends_on } =
        applied;
    let stop = |draft: &mut Draft, code, reason: String, help: &str| {
        draft.findings.push(Finding::new(code, Severity::Error, format!("{address}: {reason}")).of(address).help(help));
        draft.blocked.push(blocked(applied, code, reason));
    };
    let Some(kind) = inputs.catalogue.get(kind_name) else {
        let reason = format!("it is of kind `{kind_name}`, which this version does not know");
        return stop(draft, codes::UNKNOWN_STATE, reason, "use the version of Tenantry that applied it");
    };
    let observed = match inputs.observed.get(&(target.clone(), kind.name)) {
        Some(observation) => observation.get(identity),
        None => Observed::Unknown(format!("target `{target}` is not configured").into()),
    };
    let present = match observed {
        Observed::Unknown(reason) => {
            draft.blocked.push(blocked(applied, codes::UNKNOWN_STATE, reason));
            return;
        }
        Observed::Absent => None,
        Observed::Present(present) => Some(present),
    };
    if let Some(present) = &present {
        let ours = match &present.mark {
            Some(mark) => *mark.estate == **inputs.estate && mark.address == *address,
            // What an interrupted run made in its place is ours as well.
            None => {
                let begun = inputs.begun.contains_key(&(address.clone(), identity.clone()));
                kind.mark == MarkPlace::Inventory && (begun || !diff::is_another(kind, applied, present))
            }
        };
        if !ours {
            let whose = match &present.mark {
                None if kind.mark == MarkPlace::Inventory => "it is another one than was made here".to_owned(),
                Some(mark) => format!("it carries the mark of {} in estate `{}`", mark.address, mark.estate),
                None => "it carries no mark".to_owned(),
            };
            let reason = format!("{kind_name} `{identity}` is no longer asked for, but {whose}, so it is not deleted");
            let help = match kind.mark {
                MarkPlace::Inventory => "delete it by hand if nobody needs it; once it is gone it is forgotten",
                _ => "delete it by hand, or give the mark back; once it is gone it is forgotten",
            };
            return stop(draft, codes::OWNERSHIP_UNKNOWN, reason, help);
        }
    }
    let deleted = address
        .owner
        .tenant()
        .and_then(|tenant| inputs.phases.get(tenant))
        .is_some_and(|phase| phase.as_str() == "deleted");
    let reason = match (&present, deleted) {
        (None, _) => "no longer asked for, and gone already",
        (Some(_), true) => "its tenant is deleted",
        (Some(_), false) => "no longer asked for",
    };
    let before = present.as_ref().map(|present| Arc::new(diff::owned_before(kind, present, applied)));
    // Which of its fields are personal is not on record, so none is shown but its name.
    let sensitive = before.as_ref().map(|before| sensitive::unless_recorded(Some(kind), before)).unwrap_or_default();
    let origin = match deleted {
        true => (inputs.place)(&Address { owner: address.owner.clone(), id: "".into(), each: None }, "/spec/phase"),
        false => (inputs.place)(address, ""),
    };
    draft.changes.push(Change {
        address: address.clone(),
        kind: kind_name.clone(),
        target: target.clone(),
        identity: Some(identity.clone()),
        action: if present.is_some() { Action::Delete } else { Action::Forget },
        cause: Cause::Pending,
        reason: reason.into(),
        before,
        after: None,
        fields: Vec::new(),
        sensitive,
        depends_on: depends_on.clone(),
        protected: *protect,
        loses_data: kind.loses_data || loses_data(kind, applied, present.as_ref()),
        origin,
        renamed_from: None,
        replaces: None,
        generation: generation + 1,
    });
}

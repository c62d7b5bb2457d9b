//! Which tenants enter a phase or another tier, and which cannot: the table of transitions decides about phases.

use std::collections::BTreeSet;

use super::super::build::Inputs;
use super::super::draft::Draft;
use super::super::{Finding, Hindrance, Transition};
use crate::diagnostics::codes;
use crate::model::address::{Address, Owner};
use crate::model::document::Phase;

pub fn run(inputs: &Inputs<'_>, draft: &mut Draft) {
    let mut refused: BTreeSet<Owner> = BTreeSet::new();
    let changing: BTreeSet<Owner> = draft.changes.iter().map(|change| change.address.owner.clone()).collect();
    for (tenant, phase) in inputs.phases {
        let owner = Owner::Tenant(tenant.clone());
        if !(inputs.selected)(&owner) {
            continue;
        }
        let earlier = || inputs.renamed.iter().filter(|(_, new)| **new == owner).filter_map(|(old, _)| old.tenant());
        let own = inputs.applied_phases.get(tenant);
        let from = own.or_else(|| earlier().find_map(|name| inputs.applied_phases.get(name))).copied();
        let after = inputs.terms.get(tenant);
        let recorded = inputs.applied_terms.get(tenant);
        // A phase that is on record under an earlier name only is entered under the new one, which outlives `previously`.
        let is_due = match (own == Some(phase), recorded) {
            (false, _) => true,
            (true, Some(recorded)) => *phase != Phase::Deleted && after.is_some_and(|after| after != recorded),
            // Terms that are not on record are recorded with the tenant's next change, and are no change by themselves.
            (true, None) => after.is_some() && changing.contains(&owner),
        };
        if !is_due {
            continue;
        }
        if own == Some(phase) || phase.may_follow(from) {
            let before = recorded.or_else(|| earlier().find_map(|name| inputs.applied_terms.get(name)));
            let (before, after) = (before.cloned(), after.cloned());
            draft.transitions.push(Transition { tenant: tenant.clone(), from, to: *phase, before, after });
            continue;
        }
        // A tenant that is gone and was never known here needs nothing, so there is nothing to refuse.
        if from.is_none() && !changing.contains(&owner) {
            continue;
        }
        let mut finding = match from {
            Some(from) => {
                let next: Vec<&str> = from.next().iter().map(|phase| phase.as_str()).collect();
                Finding::refusal(
                    codes::PHASE_TRANSITION,
                    format!("tenant {tenant} cannot go from phase `{from}` to `{phase}`"),
                )
                .help(match next.as_slice() {
                    [] => "`deleted` is final; add a returning customer as a new tenant".to_owned(),
                    next => format!("from `{from}` a tenant goes to {}", next.join(" or ")),
                })
            }
            None => Finding::refusal(
                codes::PHASE_TRANSITION,
                format!("tenant {tenant} is new and cannot begin in phase `{phase}`"),
            )
            .help("begin with trial, active or suspended"),
        };
        finding.origin = (inputs.place)(&Address { owner: owner.clone(), id: "".into(), each: None }, "/spec/phase");
        draft.findings.push(finding);
        refused.insert(owner);
    }
    draft.block_changes(|change| refused.contains(&change.address.owner).then_some(Hindrance::PhaseTransition));
}

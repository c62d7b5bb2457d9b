//! Which tenants enter a phase or another tier, and which cannot: the table of transitions decides about phases, retention and
//! legal holds about the last one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::build::Inputs;
use super::super::draft::Draft;
use super::super::{Action, Change, Finding, Hindrance, Retained, Transition};
use crate::diagnostics::{Severity, codes};
use crate::lifecycle::{Life, TenantRecord};
use crate::model::address::{Address, Owner};
use crate::model::document::Phase;
use crate::model::time::{day, days_after};

/// How long before its end a trial is spoken of.
const DAYS_BEFORE_THE_END: u32 = 3;

pub fn run(inputs: &Inputs<'_>, draft: &mut Draft) {
    let mut refused: BTreeMap<Owner, Hindrance> = BTreeMap::new();
    let changing: BTreeSet<Owner> = draft.changes.iter().map(|change| change.address.owner.clone()).collect();
    for (tenant, life) in inputs.lives {
        let owner = Owner::Tenant(tenant.clone());
        if !(inputs.selected)(&owner) {
            continue;
        }
        let earlier = || inputs.renamed.iter().filter(|(_, new)| **new == owner).filter_map(|(old, _)| old.tenant());
        let own = inputs.records.get(tenant).filter(|record| !is_another(life, record));
        let record = own.or_else(|| earlier().find_map(|name| inputs.records.get(name)));
        let of = Tenant { inputs, name: tenant, life, own, record, is_changing: changing.contains(&owner) };
        draft.findings.extend(of.trial());
        if let Some((finding, hindrance)) = of.refusal() {
            draft.findings.push(finding);
            refused.insert(owner, hindrance);
            continue;
        }
        draft.transitions.extend(of.transition());
        draft.retained.extend(of.retained());
    }
    draft.block_changes(|change| refused.get(&change.address.owner).cloned());
    keep_data(inputs, draft);
}

/// Leaves out what would destroy the data of a tenant that leaves, or is under a legal hold.
fn keep_data(inputs: &Inputs<'_>, draft: &mut Draft) {
    let kept = |change: &Change| {
        let life = inputs.lives.get(change.address.owner.tenant()?)?;
        let destroys = change.action().destroys() && change.loses_data;
        let kept = destroys.then(|| life.keeps_data(inputs.now)).flatten()?;
        Some((life, Hindrance::from(kept)))
    };
    // A blueprint that asks for nothing in this phase is no mistake: what it no longer asks for goes when its time has come.
    draft.keep_changes(|change| {
        let (_, hindrance) = kept(change).filter(|(life, _)| life.phase == Phase::Deleting)?;
        (change.action() == Action::Delete).then_some(hindrance)
    });
    // What is replaced while its tenant leaves needs an Approval as ever.
    let is_strict = |hindrance: &Hindrance| !matches!(hindrance, Hindrance::Retained { .. });
    draft.block_changes(|change| kept(change).map(|(_, hindrance)| hindrance).filter(is_strict));
}

/// Whether a record is of another customer, who had the name before.
fn is_another(life: &Life, record: &TenantRecord) -> bool {
    record.phase == Phase::Deleted && !life.is_gone
}

/// What is decided about one tenant.
struct Tenant<'a> {
    inputs: &'a Inputs<'a>,
    name: &'a Arc<str>,
    life: &'a Life,
    /// What is on record under its own name.
    own: Option<&'a TenantRecord>,
    /// As above, or under an earlier name.
    record: Option<&'a TenantRecord>,
    is_changing: bool,
}

impl Tenant<'_> {
    /// What is said of a trial that ends soon or has ended.
    fn trial(&self) -> Option<Finding> {
        let (now, end) = (self.inputs.now, self.life.trial_ends?);
        let tenant = self.name;
        let (message, help) = if end > now {
            if days_after(now, DAYS_BEFORE_THE_END) < end {
                return None;
            }
            let then = "the tier's `onTrialEnd` says what happens then";
            (format!("the trial of tenant {tenant} ends at {end}"), then)
        } else {
            let now = match self.life.phase {
                Phase::Suspended => ", so the tenant is suspended",
                Phase::Active => ", so the tenant is active and pays",
                Phase::Trial | Phase::Deleting | Phase::Deleted => "",
            };
            let help = "write the phase that the tenant is to be in from now on: active, suspended or deleting";
            (format!("the trial of tenant {tenant} ended at {end}{now}"), help)
        };
        Some(self.at_phase(Finding::new(codes::TRIAL_ENDS, Severity::Warning, message).help(help)))
    }

    /// Why the tenant cannot be in the phase that it is to be in, if it cannot.
    fn refusal(&self) -> Option<(Finding, Hindrance)> {
        let Self { name: tenant, life, own, record, .. } = self;
        let to = life.phase;
        let from = record.map(|record| record.phase);
        if own.is_some_and(|own| own.phase == to) {
            return None;
        }
        if !to.may_follow(from) {
            // A tenant that is gone and was never known here needs nothing, so there is nothing to refuse.
            let is_nothing = from.is_none() && !self.is_changing;
            return (!is_nothing).then(|| (self.at_phase(self.not_in_the_table(from)), Hindrance::PhaseTransition));
        }
        let is_left = from == Some(Phase::Deleting);
        if to == Phase::Deleted && is_left {
            let kept = life.keeps_data(self.inputs.now)?;
            let hindrance = Hindrance::from(kept);
            let finding = match &hindrance {
                Hindrance::LegalHold { until } => {
                    let reason = life.hold.as_ref().map(|hold| &*hold.reason).unwrap_or_default();
                    let end = until.as_ref().map(|until| format!(" until {until}")).unwrap_or_default();
                    let message = format!("tenant {tenant} cannot be deleted: it is under a legal hold{end}: {reason}");
                    Finding::refusal(codes::LEGAL_HOLD, message)
                        .help("no Approval lifts a legal hold; remove `legalHold` from the tenant's document once it has ended")
                }
                _ => {
                    let until = life.deletion_due.map(|due| format!(" before {due}")).unwrap_or_default();
                    let days = life.retention_days;
                    let message = format!(
                        "tenant {tenant} cannot be deleted{until}: its data is kept for {days} days after access has ended"
                    );
                    Finding::refusal(codes::RETAINED, message)
                        .help("no Approval shortens the retention; leave the tenant in phase `deleting` until then")
                }
            };
            return Some((self.at_phase(finding), hindrance));
        }
        let due = record.and_then(|record| record.entered).filter(|_| is_left && !life.leaves());
        let due = due.map(|entered| days_after(entered, life.retention_days)).filter(|due| *due <= self.inputs.now)?;
        let message = format!("tenant {tenant} cannot come back: the retention of its data ended on {}", day(due));
        let finding = Finding::refusal(codes::PHASE_TRANSITION, message)
            .help("its data may be gone in part; finish the deletion, and add the customer as a new tenant");
        Some((self.at_phase(finding), Hindrance::PhaseTransition))
    }

    fn not_in_the_table(&self, from: Option<Phase>) -> Finding {
        let Self { name: tenant, life, .. } = self;
        let to = life.phase;
        let Some(from) = from else {
            let message = format!("tenant {tenant} is new and cannot begin in phase `{to}`");
            return Finding::refusal(codes::PHASE_TRANSITION, message).help("begin with trial, active or suspended");
        };
        let next: Vec<&str> = from.next().iter().map(|phase| phase.as_str()).collect();
        if next.is_empty() {
            let message = format!("a tenant called {tenant} was deleted, so none can be in phase `{to}`");
            return Finding::refusal(codes::NAME_REUSED, message).help(
                "its data is gone. If another customer shall have the name, say `reuseName: true` in the tenant's spec; otherwise give it another name",
            );
        }
        let message = format!("tenant {tenant} cannot go from phase `{from}` to `{to}`");
        Finding::refusal(codes::PHASE_TRANSITION, message)
            .help(format!("from `{from}` a tenant goes to {}", next.join(" or ")))
    }

    /// The transition to the phase or tier that the tenant is to be in, if it is due.
    fn transition(&self) -> Option<Transition> {
        let Self { inputs, name: tenant, life, own, record, is_changing } = self;
        let to = life.phase;
        let after = inputs.terms.get(*tenant);
        let terms = own.and_then(|own| own.terms.as_ref());
        let values = inputs.values.and_then(|values| values.get(*tenant));
        // A phase that is on record under an earlier name only is entered under the new one, which outlives `previously`.
        let is_due = match (own.is_some_and(|own| own.phase == to), terms) {
            (false, _) => to.may_follow(record.map(|record| record.phase)),
            // Until when it may come back, and when its data may be deleted, follows from what is on record.
            (true, _) if to == Phase::Deleting && own.is_some_and(|own| own.is_outdated(life)) => true,
            _ if to == Phase::Deleted => false,
            (true, _) if values.is_some_and(|values| own.is_none_or(|own| own.values.as_ref() != Some(values))) => true,
            (true, Some(terms)) => after.is_some_and(|after| after != terms),
            // Terms that are not on record are recorded with the tenant's next change, and are no change by themselves.
            (true, None) => after.is_some() && *is_changing,
        };
        if !is_due {
            return None;
        }
        let before = terms.or_else(|| record.and_then(|record| record.terms.as_ref()));
        let stays = record.filter(|record| record.phase == to);
        Some(Transition {
            tenant: (*tenant).clone(),
            from: record.map(|record| record.phase),
            to,
            before: before.cloned(),
            after: after.cloned(),
            since: stays.and_then(|record| record.since),
            entered: stays.and_then(|record| record.entered),
            by_itself: life.by_itself,
            trial_ended: life.by_itself.and(life.trial_ends),
            retention_days: (to == Phase::Deleting).then_some(life.retention_days),
            why: inputs.why.get(*tenant).cloned(),
            renamed: own.is_none() && record.is_some(),
            values: values.cloned(),
        })
    }

    fn retained(&self) -> Option<Retained> {
        let Life { phase, deletion_due, retention_days, hold, .. } = self.life;
        let days = (*phase == Phase::Deleting).then_some(*retention_days);
        (days.is_some() || hold.is_some()).then(|| Retained {
            tenant: self.name.clone(),
            days,
            due: deletion_due.filter(|_| days.is_some()),
            hold: hold.clone(),
            resources: Vec::new(),
        })
    }

    fn at_phase(&self, finding: Finding) -> Finding {
        let document = Address { owner: Owner::Tenant(self.name.clone()), id: "".into(), each: None };
        Finding { origin: (self.inputs.place)(&document, "/spec/phase"), ..finding }
    }
}

//! Desired × observed × applied → a plan.
//!
//! Synchronous and without IO. Same input, same plan: everything is in order of owner, and within an owner in order of
//! creation, deletions last and in reverse.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::changes::{change, conflict_help, replace_identity, updated};
use super::orphans;
use super::{Action, Blocked, Cause, Change, FieldChange, Finding, Place, Plan, Transition};
use crate::desired::OwnerResources;
use crate::diagnostics::{Code, Severity, codes};
use crate::diff::{self, Known, Verdict};
use crate::model::address::{Address, Owner};
use crate::model::config::LimitsTable;
use crate::model::document::{ApprovalSpec, Document, Phase};
use crate::model::kind::Catalogue;
use crate::model::resource::{Applied, Desired, Observations, Observed, Present, TargetName};
use crate::policy;

/// Everything that a plan is made from.
pub struct Inputs<'a> {
    pub estate: &'a Arc<str>,
    pub environment: Option<&'a Arc<str>>,
    pub revision: Option<&'a Arc<str>>,
    /// RFC 3339; also what approvals are checked against.
    pub now: jiff::Timestamp,
    pub simulated: bool,
    pub catalogue: &'a Catalogue,
    pub limits: &'a LimitsTable,
    pub approvals: &'a [Document<ApprovalSpec>],
    pub desired: &'a [OwnerResources],
    /// The phase that each tenant's document asks for.
    pub phases: &'a BTreeMap<Arc<str>, Phase>,
    /// Earlier names of tenants and tiers, with what they are called now.
    pub renamed: &'a BTreeMap<Owner, Owner>,
    /// The phase that each tenant was last applied in.
    pub applied_phases: &'a BTreeMap<Arc<str>, Arc<str>>,
    pub inventory: &'a BTreeMap<Address, Applied>,
    /// Addresses with a write that was begun and never seen to end, and the identity it was for, with its generation.
    pub begun: &'a HashMap<(Address, Arc<str>), u64>,
    pub observed: &'a Observations,
    pub secret_hashes: &'a HashMap<Address, Arc<str>>,
    /// Which owners the plan is for.
    pub selected: &'a dyn Fn(&Owner) -> bool,
    /// Where a user would edit a field of a desired resource: address, pointer.
    pub place: &'a dyn Fn(&Address, &str) -> Option<Place>,
}

/// Makes a plan.
pub fn build(inputs: &Inputs<'_>) -> Plan {
    let mut draft = Draft::default();
    for owner in inputs.desired.iter().filter(|owner| (inputs.selected)(&owner.owner)) {
        for desired in &owner.resources {
            resource(inputs, desired, &mut draft);
        }
    }
    orphans::plan(inputs, &mut draft);
    let transitions = transitions(inputs, &mut draft);
    block_unselected(inputs, &mut draft);
    block_dependents(inputs, &mut draft);
    report_unknown(&mut draft);
    report_moves(&mut draft);
    let unready = report_pending(&mut draft);
    report_scheduled(&mut draft);

    let existing = inputs.inventory.len();
    let verdict = policy::guard(&policy::Guarded {
        changes: &draft.changes,
        approvals: inputs.approvals,
        limits: inputs.limits,
        existing,
        now: inputs.now,
        tenants: inputs.phases.len(),
        applied_tenants: inputs.applied_phases.values().filter(|phase| &***phase != Phase::Deleted.as_str()).count(),
    });
    draft.findings.extend(verdict.findings);

    let mut transitions = transitions;
    let mut held: BTreeSet<&Owner> = draft.blocked.iter().map(|blocked| &blocked.address.owner).collect();
    held.extend(unready.iter());
    // A tenant is in a phase once all of it is; what is blocked or not ready is not.
    transitions.retain(|transition| !held.contains(&Owner::Tenant(transition.tenant.clone())));
    let mut changes = order(draft.changes);
    changes.shrink_to_fit();
    draft.blocked.sort_by(|a, b| a.address.cmp(&b.address));
    draft.findings.sort_by(|a, b| {
        (!a.refuses, a.severity, &a.code, &a.address, &a.message)
            .cmp(&(!b.refuses, b.severity, &b.code, &b.address, &b.message))
    });
    Plan {
        estate: inputs.estate.clone(),
        environment: inputs.environment.cloned(),
        revision: inputs.revision.cloned(),
        created_at: inputs.now.to_string().into(),
        simulated: inputs.simulated,
        changes,
        blocked: draft.blocked,
        findings: draft.findings,
        transitions,
        approvals: verdict.approvals,
        unchanged: draft.unchanged,
        journal: None,
    }
}

/// What has been found so far.
#[derive(Default)]
pub struct Draft {
    pub changes: Vec<Change>,
    pub blocked: Vec<Blocked>,
    pub findings: Vec<Finding>,
    pub unchanged: usize,
    /// Resources that would move to another target or kind, by the words for it.
    moves: BTreeMap<String, Vec<Address>>,
    /// What is there and not ready, by kind, target and reason.
    pending: BTreeMap<(&'static str, TargetName, Arc<str>), Vec<Address>>,
    /// What becomes of resources by themselves at a later day.
    scheduled: BTreeMap<Address, Arc<str>>,
    /// Old identities that a replacement deletes.
    pub replaced: HashSet<(Arc<str>, &'static str, Arc<str>)>,
}

impl Draft {
    pub fn block(&mut self, desired: &Desired, code: Code, reason: impl Into<Arc<str>>) {
        self.blocked.push(Blocked {
            address: desired.address.clone(),
            kind: desired.kind.name.into(),
            target: desired.target.clone(),
            identity: desired.identity.clone(),
            code: code.0.into(),
            reason: reason.into(),
        });
    }
}

/// What was last applied at an address, or at one that it had before.
fn applied_at<'a>(inputs: &Inputs<'a>, desired: &Desired) -> Option<&'a Applied> {
    std::iter::once(&desired.address).chain(&desired.previously).find_map(|address| inputs.inventory.get(address))
}

fn resource(inputs: &Inputs<'_>, desired: &Desired, draft: &mut Draft) {
    let applied = applied_at(inputs, desired);
    if let Some(applied) = applied
        && (applied.target != desired.target || *applied.kind != *desired.kind.name)
    {
        let (what, from, to) = if applied.target == desired.target {
            ("kind", &*applied.kind, desired.kind.name)
        } else {
            ("target", &*applied.target, &*desired.target)
        };
        let way = format!("from {what} `{from}` to `{to}`");
        draft.block(desired, codes::TARGET_CHANGED, format!("it would move {way}"));
        draft.moves.entry(way).or_default().push(desired.address.clone());
        return;
    }
    let observation = inputs.observed.get(&(desired.target.clone(), desired.kind.name));
    let observed = match (&desired.identity, observation) {
        // What has no name yet cannot exist yet.
        (None, _) => Observed::Absent,
        (Some(identity), Some(observation)) => observation.get(identity),
        (Some(_), None) => Observed::Unknown("its target was not asked".into()),
    };
    let begun = desired.identity.as_ref().and_then(|identity| {
        std::iter::once(&desired.address)
            .chain(&desired.previously)
            .find_map(|address| inputs.begun.get(&(address.clone(), identity.clone())))
    });
    let known = Known {
        estate: inputs.estate,
        desired,
        observed: &observed,
        applied,
        begun: begun.is_some(),
        secret_hash: inputs.secret_hashes.get(&desired.address).map(|hash| &**hash),
    };
    let renamed_identity = applied.filter(|applied| Some(&applied.identity) != desired.identity.as_ref());
    if let Observed::Present(Present { scheduled: Some(what), .. }) = &observed {
        draft.scheduled.insert(desired.address.clone(), what.clone());
    }
    if let Observed::Present(Present { pending: Some(reason), .. }) = &observed {
        let reason = (desired.kind.name, desired.target.clone(), reason.clone());
        draft.pending.entry(reason).or_default().push(desired.address.clone());
    }
    match diff::diff(&known) {
        Verdict::Unchanged => draft.unchanged += 1,
        Verdict::Record { present } => {
            let known = applied
                .filter(|applied| applied.address == desired.address && renamed_identity.is_none() && begun.is_none());
            // What was never lost is not taken over again: if its mark goes meanwhile, that is somebody's doing.
            let (action, reason) = match known {
                Some(_) => (Action::Update, "its protection or what it needs is put on record"),
                None => (Action::Adopt, "it is ours already, and the inventory does not have it"),
            };
            let mut change = change(desired, applied, action, Cause::Pending);
            change.reason = reason.into();
            change.before = Some(Arc::new(diff::owned(&desired.kind, &present.spec, &desired.spec, applied, &[])));
            change.origin = (inputs.place)(&desired.address, "");
            if let Some(old) = renamed_identity {
                replace_identity(inputs, desired, old, &mut change, draft);
            }
            draft.changes.push(change);
        }
        Verdict::Blocked { code, reason } if code == codes::UNKNOWN_STATE => draft.block(desired, code, reason),
        Verdict::Blocked { code, reason } => {
            let mut finding =
                Finding::new(code, Severity::Error, format!("{}: {reason}", desired.address)).of(&desired.address);
            finding.origin = (inputs.place)(&desired.address, "");
            finding.help = (code == codes::CONFLICT).then(|| conflict_help(desired, &observed).to_owned());
            draft.findings.push(finding);
            draft.block(desired, code, reason);
        }
        Verdict::Create { cause } => {
            let mut change = change(desired, applied, Action::Create, cause);
            change.fields = Vec::new();
            change.reason = match (cause, renamed_identity) {
                (Cause::Pending, Some(_)) => "its name in the target changed".into(),
                (Cause::Pending, None) => "asked for and not there yet".into(),
                (Cause::Both, _) => "changed in the repository and deleted outside Tenantry".into(),
                (Cause::Drift, _) => "deleted outside Tenantry".into(),
            };
            if cause != Cause::Pending && desired.kind.loses_data_of(&desired.spec) {
                draft.findings.push(
                    Finding::new(
                        codes::RECREATES_DATA,
                        Severity::Warning,
                        format!("{} disappeared outside Tenantry and would come back empty", desired.address),
                    )
                    .of(&desired.address)
                    .help("restore it from a backup first if its data is still needed"),
                );
            }
            if let Some(old) = renamed_identity {
                replace_identity(inputs, desired, old, &mut change, draft);
            }
            let first = change.fields.first().map_or("", |field| &*field.path);
            change.origin = (inputs.place)(&desired.address, first);
            draft.changes.push(change);
        }
        verdict @ (Verdict::Update(_) | Verdict::Replace(_)) => {
            let (update, replaces) = match verdict {
                Verdict::Replace(update) if !update.differences.is_empty() => (update, true),
                Verdict::Replace(update) | Verdict::Update(update) => (update, false),
                _ => return,
            };
            let action = match (replaces, update.adopts) {
                (true, _) => Action::Replace,
                (false, true) => Action::Adopt,
                (false, false) => Action::Update,
            };
            let mut change = updated(inputs, desired, applied, action, update);
            let captures = desired.kind.captures_of(&desired.spec);
            let is_told = |field: &FieldChange| captures.iter().any(|capture| *capture.pointer() == *field.path);
            // Repeated under its old key, the interrupted write could be answered with what was made then.
            if let Some(begun) = begun.filter(|_| change.fields.iter().any(is_told)) {
                change.generation = change.generation.max(begun + 1);
            }
            // A run was interrupted after it made the new one and before it deleted the old one.
            if let Some(old) = renamed_identity {
                replace_identity(inputs, desired, old, &mut change, draft);
            }
            draft.changes.push(change);
        }
    }
}

fn transitions(inputs: &Inputs<'_>, draft: &mut Draft) -> Vec<Transition> {
    let mut transitions = Vec::new();
    let mut refused: BTreeSet<Owner> = BTreeSet::new();
    for (tenant, phase) in inputs.phases {
        let owner = Owner::Tenant(tenant.clone());
        if !(inputs.selected)(&owner) {
            continue;
        }
        let mut earlier = inputs.renamed.iter().filter(|(_, new)| **new == owner).filter_map(|(old, _)| old.tenant());
        let own = inputs.applied_phases.get(tenant);
        let applied = own.or_else(|| earlier.find_map(|name| inputs.applied_phases.get(name)));
        let from = applied.and_then(|name| Phase::named(name));
        // A phase that is on record under an earlier name only is entered under the new one, which outlives `previously`.
        if own.is_some() && from == Some(*phase) {
            continue;
        }
        if phase.may_follow(from) {
            transitions.push(Transition { tenant: tenant.clone(), from: applied.cloned(), to: phase.as_str().into() });
            continue;
        }
        // A tenant that is gone and was never known here needs nothing, so there is nothing to refuse.
        if from.is_none() && !draft.changes.iter().any(|change| change.address.owner == owner) {
            continue;
        }
        let mut finding = match from {
            Some(from) => {
                let next: Vec<&str> = from.next().iter().map(|phase| phase.as_str()).collect();
                Finding::refusal(
                    codes::PHASE_TRANSITION,
                    format!("tenant {tenant} cannot go from phase `{}` to `{}`", from.as_str(), phase.as_str()),
                )
                .help(match next.as_slice() {
                    [] => "`deleted` is final: a returning customer is a new tenant".to_owned(),
                    next => format!("from `{}` a tenant goes to {}", from.as_str(), next.join(" or ")),
                })
            }
            None => Finding::refusal(
                codes::PHASE_TRANSITION,
                format!("tenant {tenant} was never applied and cannot begin in phase `{}`", phase.as_str()),
            )
            .help("begin with trial, active or suspended"),
        };
        finding.origin = (inputs.place)(&Address { owner: owner.clone(), id: "".into(), each: None }, "/spec/phase");
        draft.findings.push(finding);
        refused.insert(owner);
    }
    let (kept, stopped): (Vec<Change>, Vec<Change>) =
        std::mem::take(&mut draft.changes).into_iter().partition(|change| !refused.contains(&change.address.owner));
    draft.changes = kept;
    draft.blocked.extend(
        stopped
            .into_iter()
            .map(|change| block(change, codes::PHASE_TRANSITION, "its tenant's phase cannot be reached")),
    );
    transitions
}

pub fn block(change: Change, code: Code, reason: impl Into<Arc<str>>) -> Blocked {
    Blocked {
        address: change.address,
        kind: change.kind,
        target: change.target,
        identity: change.identity,
        code: code.0.into(),
        reason: reason.into(),
    }
}

/// One finding for each way that resources would move, however many would.
fn report_moves(draft: &mut Draft) {
    for (way, moved) in std::mem::take(&mut draft.moves) {
        let finding = |message| Finding::new(codes::TARGET_CHANGED, Severity::Error, message);
        let finding = match moved.as_slice() {
            [one] => finding(format!("{one} would move {way}, and what it holds would not move with it")).of(one),
            many => finding(format!(
                "{} resources would move {way}, and what they hold would not move with them",
                many.len()
            )),
        };
        let help = "put back what chose the old one, or give new resources other ids and keep the old ones until their \
                    data has moved";
        draft.findings.push(finding.help(help));
    }
}

/// One finding for each kind, target and reason. Returns the owners of what is not ready and is not about to be written:
/// that is looked at again when it was.
fn report_pending(draft: &mut Draft) -> BTreeSet<Owner> {
    let written: HashSet<&Address> = draft.changes.iter().map(|change| &change.address).collect();
    let mut owners = BTreeSet::new();
    for ((kind, target, reason), mut addresses) in std::mem::take(&mut draft.pending) {
        addresses.retain(|address| !written.contains(address));
        owners.extend(addresses.iter().map(|address| address.owner.clone()));
        let finding =
            |what: String| Finding::new(codes::NOT_READY, Severity::Warning, format!("{what} not ready yet: {reason}"));
        draft.findings.extend(match addresses.as_slice() {
            [] => None,
            [one] => Some(finding(format!("{one} is")).of(one)),
            [one, more @ ..] => Some(finding(format!("{one} and {} more of {kind} in `{target}` are", more.len()))),
        });
    }
    owners
}

/// What is about to be changed may be scheduled otherwise afterwards.
fn report_scheduled(draft: &mut Draft) {
    let written: HashSet<&Address> = draft.changes.iter().map(|change| &change.address).collect();
    for (address, what) in std::mem::take(&mut draft.scheduled) {
        if !written.contains(&address) {
            let finding =
                Finding::new(codes::SCHEDULED, Severity::Warning, format!("{address} is as asked for: {what}"));
            draft.findings.push(finding.of(&address));
        }
    }
}

/// One finding for each target and reason, however many resources it hits.
fn report_unknown(draft: &mut Draft) {
    let mut reasons: BTreeMap<(Arc<str>, Arc<str>), usize> = BTreeMap::new();
    for blocked in draft.blocked.iter().filter(|blocked| *blocked.code == *codes::UNKNOWN_STATE.0) {
        *reasons.entry((blocked.target.clone(), blocked.reason.clone())).or_default() += 1;
    }
    for ((target, reason), count) in reasons {
        let what = if count == 1 { "1 resource".to_owned() } else { format!("{count} resources") };
        let message = format!("target `{target}`: the state of {what} could not be told: {reason}");
        draft.findings.push(
            Finding::new(codes::UNKNOWN_STATE, Severity::Error, message)
                .help("nothing is created or deleted there; `tenantry doctor` shows whether the target answers"),
        );
    }
}

/// What needs something that is not there yet, and is not selected to be made, has to wait for it. So has the end of what
/// something needs that is not selected.
fn block_unselected(inputs: &Inputs<'_>, draft: &mut Draft) {
    let deletes = draft.changes.iter().any(|change| change.action == Action::Delete);
    // What was renamed is selected by its new name.
    let is_selected = |owner: &Owner| (inputs.selected)(inputs.renamed.get(owner).unwrap_or(owner));
    let left = inputs.inventory.values().filter(|applied| deletes && !is_selected(&applied.address.owner));
    let needed: HashMap<&Address, &Address> =
        left.flat_map(|applied| applied.depends_on.iter().map(move |needed| (needed, &applied.address))).collect();
    let hindrance = |change: &Change| match change.action {
        Action::Delete => needed.get(&change.address).map(|user| format!("{user}, which needs it, was not selected")),
        _ => {
            let waits =
                |needed: &&Address| !(inputs.selected)(&needed.owner) && !inputs.inventory.contains_key(*needed);
            let missing = change.after.as_ref().and_then(|_| change.depends_on.iter().find(waits));
            missing.map(|missing| format!("it needs {missing}, which is not there yet and was not selected"))
        }
    };
    let (waiting, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut draft.changes)
        .into_iter()
        .map(|change| (hindrance(&change), change))
        .partition(|(hindrance, _)| hindrance.is_some());
    draft.changes = kept.into_iter().map(|(_, change)| change).collect();
    draft.blocked.extend(
        waiting
            .into_iter()
            .filter_map(|(hindrance, change)| Some(block(change, codes::DEPENDS_ON_BLOCKED, hindrance?))),
    );
}

/// What needs something blocked is blocked, and so on. What something blocked needs is not deleted.
fn block_dependents(inputs: &Inputs<'_>, draft: &mut Draft) {
    if draft.blocked.is_empty() {
        return;
    }
    let mut blocked: HashSet<Address> = draft.blocked.iter().map(|blocked| blocked.address.clone()).collect();
    let mut kept_alive: HashSet<Address> = HashSet::new();
    for address in &blocked {
        if let Some(applied) = inputs.inventory.get(address) {
            kept_alive.extend(applied.depends_on.iter().cloned());
        }
    }
    loop {
        let (stopped, kept): (Vec<Change>, Vec<Change>) =
            std::mem::take(&mut draft.changes).into_iter().partition(|change| match change.action {
                Action::Delete => kept_alive.contains(&change.address),
                Action::Forget => false,
                _ => change.depends_on.iter().any(|needed| blocked.contains(needed)),
            });
        draft.changes = kept;
        if stopped.is_empty() {
            return;
        }
        for change in stopped {
            let reason = match change.action {
                Action::Delete => "something that needs it cannot be deleted".to_owned(),
                _ => {
                    let needed = change.depends_on.iter().find(|needed| blocked.contains(*needed));
                    format!("it needs {}, which is blocked", needed.map(ToString::to_string).unwrap_or_default())
                }
            };
            blocked.insert(change.address.clone());
            kept_alive.extend(change.depends_on.iter().cloned());
            draft.blocked.push(block(change, codes::DEPENDS_ON_BLOCKED, reason));
        }
    }
}

/// By owner, in order of creation, deletions last and in reverse.
fn order(changes: Vec<Change>) -> Vec<Change> {
    let (mut deletions, mut writes): (Vec<Change>, Vec<Change>) =
        changes.into_iter().partition(|change| matches!(change.action, Action::Delete | Action::Forget));
    writes.sort_by(|a, b| a.address.owner.cmp(&b.address.owner));
    let positions: HashMap<Address, usize> =
        deletions.iter().enumerate().map(|(index, change)| (change.address.clone(), index)).collect();
    let needs: Vec<Vec<usize>> = deletions
        .iter()
        .map(|change| change.depends_on.iter().filter_map(|needed| positions.get(needed).copied()).collect())
        .collect();
    // The stored dependencies come from plans that had an order; a circle can only come from a damaged store, and then
    // any order is as good as another.
    let order = crate::desired::topological(&needs).unwrap_or_else(|_| (0..deletions.len()).collect());
    let mut by_rank: Vec<(usize, Change)> = Vec::with_capacity(deletions.len());
    let mut ranks = vec![0; deletions.len()];
    order.iter().enumerate().for_each(|(rank, index)| ranks[*index] = rank);
    by_rank.extend(deletions.drain(..).enumerate().map(|(index, change)| (ranks[index], change)));
    by_rank.sort_by(|(a_rank, a), (b_rank, b)| b.address.owner.cmp(&a.address.owner).then(b_rank.cmp(a_rank)));
    writes.extend(by_rank.into_iter().map(|(_, change)| change));
    writes
}

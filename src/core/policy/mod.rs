//! Guards, policies, and the Approvals that lift them.
//!
//! A guard is a built-in refusal ([`guard`]). A policy is one that the user writes: [`compile`] parses its rules, [`evaluate`]
//! computes one of them, [`values`] has the variables, [`check`] runs all of them over a plan, and [`examples`] over the tests
//! beside them.
//!
//! A guard refuses a whole plan, not one change of it: if data would be lost, a person should check the plan first. A narrower
//! plan (`--tenant`) may still be applied.

mod check;
pub mod compile;
pub mod evaluate;
pub mod examples;
#[cfg(test)]
#[path = "tests.rs"]
mod over_plans;
pub mod unused;
pub mod values;

pub use check::{Context, check};
pub use compile::Policies;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::diagnostics::{Code, Severity, codes};
use crate::model::address::{Address, Owner};
use crate::model::config::LimitsTable;
use crate::model::document::{Allowance, ApprovalSpec, Document};
use crate::model::time::until;
use crate::model::value::readable_pointer;
use crate::plan::{Action, Change, Finding, Granted, Reason};

/// The inputs of the guards.
pub struct Guarded<'a> {
    pub changes: &'a [Change],
    /// Whether a kind charges a customer.
    pub bills: &'a dyn Fn(&str) -> bool,
    /// Whether the inventory has the resource of a change.
    pub is_recorded: &'a dyn Fn(&Change) -> bool,
    pub approvals: &'a [Document<ApprovalSpec>],
    pub limits: &'a LimitsTable,
    /// Resources in the inventory.
    pub existing: usize,
    pub now: Timestamp,
    /// Tenants that have a document.
    pub tenants: usize,
    /// Tenants that were applied and not deleted since.
    pub applied_tenants: usize,
    /// Whether an owner is a tenant that the estate deletes by itself, because its data was kept as long as a person said in its
    /// document: a standing permission, so that neither its resources nor their number need an Approval.
    pub is_due: &'a dyn Fn(&Owner) -> bool,
}

/// The result of the guards.
#[derive(Default)]
pub struct Verdict {
    pub findings: Vec<Finding>,
    /// Approvals that were needed, by their names.
    pub approvals: BTreeMap<Arc<str>, Granted>,
}

/// Runs every guard.
pub fn guard(guarded: &Guarded<'_>) -> Verdict {
    let mut verdict = Verdict::default();
    empty_estate(guarded, &mut verdict);
    destruction(guarded, &mut verdict);
    cascade(guarded, &mut verdict);
    mass_change(guarded, &mut verdict);
    lost_secrets(guarded, &mut verdict);
    unrecorded_bills(guarded, &mut verdict);
    verdict
}

fn empty_estate(guarded: &Guarded<'_>, verdict: &mut Verdict) {
    if guarded.tenants == 0 && guarded.applied_tenants > 0 {
        let applied = guarded.applied_tenants;
        let message = format!("the estate has no tenants, although {applied} were applied");
        verdict.findings.push(
            Finding::refusal(codes::EMPTY_ESTATE, message)
                .help("check `-C` and `--rev`; probably the wrong folder or revision was read"),
        );
    }
}

/// Refuses to delete a data-bearing or protected resource without an Approval.
fn destruction(guarded: &Guarded<'_>, verdict: &mut Verdict) {
    for change in guarded.changes.iter().filter(|change| change.action().destroys()) {
        if !(change.loses_data || change.protected) || (guarded.is_due)(&change.address.owner) {
            continue;
        }
        let (code, why) = if change.loses_data {
            (codes::DATA_LOSS, "would destroy data")
        } else {
            (codes::PROTECTED, "would destroy a protected resource")
        };
        let verb = if change.action() == Action::Replace { "replacing" } else { "deleting" };
        let cause = match &change.reason {
            Reason::Immutable { field } => {
                format!(": its {} cannot change on a live resource", readable_pointer(field))
            }
            _ => String::new(),
        };
        let message = format!("{verb} {} {why}{cause}", change.address);
        let help = format!(
            "if this is intended, add a document of kind Approval with `allow: [delete]` and `addresses: ['{}']`",
            change.address
        );
        require(guarded, verdict, Allowance::Delete, change, code, message, help);
    }
}

/// Shows what a target destroys beside what is deleted, and refuses it without an Approval of its own: whoever allowed the
/// deletion may not have known of it.
fn cascade(guarded: &Guarded<'_>, verdict: &mut Verdict) {
    let takes = |change: &&Change| change.action().destroys() && !change.takes_along.is_empty();
    for change in guarded.changes.iter().filter(takes) {
        let along = change.takes_along.join(", ");
        let message = format!("deleting {} would also destroy {along}", change.address);
        if allows(guarded.approvals, guarded.now, Allowance::Cascade, &change.address) {
            verdict
                .findings
                .push(Finding::new(codes::DATA_LOSS, Severity::Warning, message.clone()).of(&change.address));
        }
        let help = format!(
            "remove what depends on it first. If it shall go too, add an Approval with `allow: [cascade]` and `addresses: ['{}']`",
            change.address
        );
        require(guarded, verdict, Allowance::Cascade, change, codes::DATA_LOSS, message, help);
    }
}

/// Refuses to generate a secret again because the store that had it is missing.
fn lost_secrets(guarded: &Guarded<'_>, verdict: &mut Verdict) {
    for change in guarded.changes {
        let Reason::SecretLost { secret } = &change.reason else { continue };
        let message = match change.action() {
            Action::Create => format!(
                "{} is to be created with the secret `{secret}`, which other resources have and the secret store has not",
                change.address
            ),
            _ => format!("{} exists, but its secret `{secret}` is not in the secret store", change.address),
        };
        let help = format!(
            "restore the secret store that this environment was applied with (see the table [secrets]). To generate a new secret instead, add an Approval with `allow: [rotateSecret]` and `addresses: ['{}']`",
            change.address
        );
        require(guarded, verdict, Allowance::RotateSecret, change, codes::SECRET_LOST, message, help);
    }
}

/// Refuses to change a bill because of a mark alone: the store was lost, or it is another one.
fn unrecorded_bills(guarded: &Guarded<'_>, verdict: &mut Verdict) {
    let writes = |change: &&Change| matches!(change.action(), Action::Update | Action::Replace);
    for change in guarded.changes.iter().filter(writes).filter(|change| (guarded.bills)(&change.kind)) {
        if change.work.fields().is_empty() || (guarded.is_recorded)(change) {
            continue;
        }
        let message = format!(
            "{} carries the mark of this estate, but the store has no record of it, and the change affects billing",
            change.address
        );
        let help = format!(
            "restore the store of this environment (`tenantry store import`, or `tenantry import --inventory` if there is no export). If the change is intended, add an Approval with `allow: [bill]` and `addresses: ['{}']`",
            change.address
        );
        require(guarded, verdict, Allowance::Bill, change, codes::UNRECORDED, message, help);
    }
}

/// Refuses a change that no Approval allows.
fn require(
    guarded: &Guarded<'_>,
    verdict: &mut Verdict,
    allowance: Allowance,
    change: &Change,
    code: Code,
    message: String,
    help: String,
) {
    let not = match approval(guarded.approvals, guarded.now, allowance, &change.address) {
        Approved::By(name, granted) => {
            verdict.approvals.insert(name, granted);
            return;
        }
        Approved::Not(not) => not,
    };
    let mut finding = Finding::refusal(code, message).of(&change.address).help(help);
    finding.origin.clone_from(&change.origin);
    verdict.findings.push(finding);
    for finding in not.iter().map(NotCounted::finding) {
        if !verdict.findings.contains(&finding) {
            verdict.findings.push(finding);
        }
    }
}

/// Refuses more deletions than the limit without an Approval for that too.
fn mass_change(guarded: &Guarded<'_>, verdict: &mut Verdict) {
    let mut counted = 0;
    let mut used = BTreeMap::new();
    let mut not_counted = Vec::new();
    let counts = |change: &&Change| change.action().destroys() && !(guarded.is_due)(&change.address.owner);
    for change in guarded.changes.iter().filter(counts) {
        match approval(guarded.approvals, guarded.now, Allowance::MassDelete, &change.address) {
            Approved::By(name, granted) => {
                used.insert(name, granted);
            }
            Approved::Not(not) => {
                counted += 1;
                not_counted.extend(not);
            }
        }
    }
    let limit = guarded.limits.max_deletes.of(guarded.existing);
    let all = guarded.changes.iter().filter(|change| change.action().destroys()).count();
    if all > limit {
        verdict.approvals.extend(used);
    }
    if counted > limit {
        let resources = if counted == 1 { "resource" } else { "resources" };
        let message = format!("the plan deletes {counted} {resources}; the limit is {limit}");
        verdict.findings.push(Finding::refusal(codes::MASS_CHANGE, message).help(
            "if this is intended, add a document of kind Approval with `allow: [massDelete]` and the addresses, or raise limits.max_deletes",
        ));
        for finding in not_counted.iter().filter(|not| !matches!(not.why, Why::Expired(_))).map(NotCounted::finding) {
            if !verdict.findings.contains(&finding) {
                verdict.findings.push(finding);
            }
        }
    }
}

/// Whether an Approval that has not expired allows something at an address.
pub fn allows(approvals: &[Document<ApprovalSpec>], now: Timestamp, allowance: Allowance, address: &Address) -> bool {
    matches!(approval(approvals, now, allowance, address), Approved::By(..))
}

/// The Approvals of an estate as they count: in the sandbox, those that are not committed too, because nothing real is at
/// stake there.
pub fn counting(approvals: &[Document<ApprovalSpec>], simulated: bool) -> Vec<Document<ApprovalSpec>> {
    let mut approvals = approvals.to_vec();
    if simulated {
        approvals.iter_mut().for_each(|approval| approval.spec.file.uncommitted = None);
    }
    approvals
}

enum Approved {
    By(Arc<str>, Granted),
    /// By none; with those that would allow it if they counted.
    Not(Vec<NotCounted>),
}

/// An Approval that fits and does not count.
#[derive(Clone, Debug, PartialEq)]
struct NotCounted {
    name: Arc<str>,
    path: Arc<str>,
    why: Why,
}

#[derive(Clone, Debug, PartialEq)]
enum Why {
    Expired(Arc<str>),
    Uncommitted(Arc<str>),
    /// It is in none of the files that are asked for.
    OtherFile(Arc<str>),
}

impl NotCounted {
    fn finding(&self) -> Finding {
        let Self { name, path, why } = self;
        let warning = |code, why: String, help: &str| {
            let message = format!("Approval `{name}` would allow this, but {why}");
            Finding::new(code, Severity::Warning, message).help(help)
        };
        match why {
            Why::Expired(expires) => warning(
                codes::APPROVAL_EXPIRED,
                format!("it expired at {expires}"),
                "renew it if the change is still intended",
            ),
            Why::Uncommitted(why) => warning(
                codes::APPROVAL_UNCOMMITTED,
                format!("its file {path} {why}"),
                "commit it, so that it goes through the same review as everything else",
            ),
            Why::OtherFile(files) => warning(
                codes::APPROVAL_OF_OTHER_FILE,
                format!("it is in {path}, and the policy asks for one in {files}"),
                "ask the owners of these files for the Approval",
            ),
        }
    }
}

fn approval(approvals: &[Document<ApprovalSpec>], now: Timestamp, allowance: Allowance, address: &Address) -> Approved {
    let address = address.to_string();
    let fits = |spec: &ApprovalSpec| {
        spec.allow.contains(&allowance) && spec.addresses.iter().any(|glob| matches(glob, &address))
    };
    granted(approvals, now, &[], fits)
}

/// The first Approval that fits and counts. `files` are patterns of the files whose Approvals count; none for all.
fn granted(
    approvals: &[Document<ApprovalSpec>],
    now: Timestamp,
    files: &[Arc<str>],
    fits: impl Fn(&ApprovalSpec) -> bool,
) -> Approved {
    let mut not = Vec::new();
    for document in approvals.iter().filter(|document| fits(&document.spec)) {
        let ApprovalSpec { expires, reason, file, .. } = &document.spec;
        let name = document.metadata.name.shared();
        let is_owned = files.is_empty() || !file.is_linked && files.iter().any(|glob| matches(glob, &file.path));
        let why = if until(expires).is_none_or(|end| now >= end) {
            Why::Expired(expires.clone())
        } else if let Some(why) = &file.uncommitted {
            Why::Uncommitted(why.clone())
        } else if !is_owned {
            Why::OtherFile(files.join(" or ").into())
        } else {
            return Approved::By(name, Granted { expires: expires.clone(), reason: reason.clone() });
        };
        not.push(NotCounted { name, path: file.path.clone(), why });
    }
    Approved::Not(not)
}

/// Whether a text matches a pattern in which `*` matches any characters.
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(rest) = pieces.next().and_then(|first| text.strip_prefix(first)) else { return false };
    if !pattern.contains('*') {
        return rest.is_empty();
    }
    let mut rest = rest;
    let mut last = "";
    for piece in pieces {
        last = piece;
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    // The last piece has to stand at the very end, wherever else it was found first.
    last.is_empty() || rest.is_empty() || text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text, fits) in [
            ("acme/*", "acme/schema", true),
            ("acme/*", "acme-two/schema", false),
            ("*/schema", "acme/schema", true),
            ("*/schema", "acme/schema_two", false),
            ("acme/schema", "acme/schema", true),
            ("acme/schema", "acme/schema2", false),
            ("*", "anything/at[all]", true),
            ("a*b*c", "aXXbYYc", true),
            ("a*b*c", "aXXcYYb", false),
            ("*ab", "abxab", true),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }
}

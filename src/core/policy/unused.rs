//! Approvals that stay open although nothing needs them.

use jiff::{SignedDuration, Timestamp};

use super::matches;
use crate::diagnostics::{Severity, codes};
use crate::model::address::Address;
use crate::model::document::{ApprovalSpec, Document};
use crate::model::time::until;
use crate::plan::{Finding, Plan};

/// An Approval that is needed soon is given a while before. One that nothing needs and that counts for longer than this stays
/// open for whatever comes.
const SOON: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The inputs.
pub struct Unused<'a> {
    pub approvals: &'a [Document<ApprovalSpec>],
    pub now: Timestamp,
    /// Every address that is desired or on record.
    pub addresses: &'a mut dyn Iterator<Item = &'a Address>,
}

/// Finds the Approvals that count and that a plan of the whole estate does not use: of which no address exists, or which
/// expire only later than [`SOON`]. It looks at all addresses once, for the few Approvals that are unused.
pub fn find(unused: Unused<'_>, plan: &mut Plan) {
    let Unused { approvals, now, addresses } = unused;
    let mut left: Vec<(&Document<ApprovalSpec>, Timestamp, bool)> = approvals
        .iter()
        .filter(|approval| !plan.approvals.contains_key(approval.metadata.name.as_str()))
        .filter(|approval| approval.spec.file.uncommitted.is_none())
        .filter_map(|approval| Some((approval, until(&approval.spec.expires)?, false)))
        .filter(|(_, until, _)| now < *until)
        .collect();
    if left.is_empty() {
        return;
    }
    let mut mark = |address: &Address| {
        let text = address.to_string();
        for (approval, _, exists) in left.iter_mut().filter(|(_, _, exists)| !exists) {
            // What is given for the plan as a whole names no resource.
            *exists = approval.spec.addresses.iter().any(|glob| **glob == *"plan" || matches(glob, &text));
        }
    };
    addresses.for_each(&mut mark);
    plan.changes.iter().map(|change| &change.address).for_each(&mut mark);
    for (approval, until, exists) in left {
        let name = &approval.metadata.name;
        let message = if !exists {
            format!("Approval `{name}` matches no resource, neither in the repository nor in the inventory")
        } else if until.duration_since(now) > SOON {
            format!("nothing in this plan needs Approval `{name}`, and it counts until {}", approval.spec.expires)
        } else {
            continue;
        };
        let help = format!("remove it from {}, or let it expire sooner", approval.spec.file.path);
        plan.findings.push(Finding::new(codes::APPROVAL_UNUSED, Severity::Warning, message).help(help));
    }
}

//! One finding for many resources that share a reason.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::super::Finding;
use super::super::draft::Draft;
use crate::diagnostics::{Severity, codes};
use crate::model::address::Address;
use crate::model::resource::TargetName;

pub fn run(draft: &mut Draft) {
    unknown(draft);
    relocations(draft);
    pending(draft);
    scheduled(draft);
}

/// One finding for each way that resources would move, however many would.
fn relocations(draft: &mut Draft) {
    for (way, moved) in std::mem::take(&mut draft.relocations) {
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

/// One finding for each kind, target and reason. What is about to be written is looked at again when it was.
fn pending(draft: &mut Draft) {
    let written: HashSet<&Address> = draft.changes.iter().map(|change| &change.address).collect();
    for ((kind, target, reason), mut addresses) in std::mem::take(&mut draft.pending) {
        addresses.retain(|address| !written.contains(address));
        draft.unready.extend(addresses.iter().map(|address| address.owner.clone()));
        let finding =
            |what: String| Finding::new(codes::NOT_READY, Severity::Warning, format!("{what} not ready yet: {reason}"));
        draft.findings.extend(match addresses.as_slice() {
            [] => None,
            [one] => Some(finding(format!("{one} is")).of(one)),
            [one, more @ ..] => Some(finding(format!("{one} and {} more of {kind} in `{target}` are", more.len()))),
        });
    }
}

/// What is about to be changed may be scheduled otherwise afterwards.
fn scheduled(draft: &mut Draft) {
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
fn unknown(draft: &mut Draft) {
    let mut reasons: BTreeMap<(TargetName, Arc<str>), usize> = BTreeMap::new();
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

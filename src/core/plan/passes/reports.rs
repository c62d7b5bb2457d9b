//! One finding for many resources with the same reason.

use std::collections::{BTreeMap, HashSet};

use super::super::draft::{Draft, Index};
use super::super::{Finding, Hindrance};
use crate::diagnostics::{Severity, codes};
use crate::model::address::Address;
use crate::model::resource::TargetName;
use crate::model::unknown::Unknown;

pub fn run(index: &Index<'_>, draft: &mut Draft) {
    unknown(draft);
    relocations(draft);
    pending(index, draft);
    scheduled(draft);
}

/// One finding for each move to another target or kind, for any number of resources.
fn relocations(draft: &mut Draft) {
    for (way, moved) in std::mem::take(&mut draft.relocations) {
        let finding = |message| Finding::new(way.code(), Severity::Error, message);
        let way = match &way {
            Hindrance::KindChanged { from, to } => format!("from kind `{from}` to `{to}`"),
            Hindrance::TargetChanged { from, to } => format!("from target `{from}` to `{to}`"),
            _ => continue,
        };
        let finding = match moved.as_slice() {
            [one] => finding(format!("{one} would move {way}, but its data would not move with it")).of(one),
            many => {
                finding(format!("{} resources would move {way}, but their data would not move with them", many.len()))
            }
        };
        let help = "undo the change, or add new resources with other ids and keep the old ones until their data has been moved";
        draft.findings.push(finding.help(help));
    }
}

/// One finding for each kind, target and reason. Resources that this plan changes are left out; they are observed again after
/// the write.
fn pending(index: &Index<'_>, draft: &mut Draft) {
    let written: HashSet<&Address> = draft.changes.iter().map(|change| &change.address).collect();
    for ((kind, target, reason), mut addresses) in std::mem::take(&mut draft.pending) {
        addresses.retain(|address| !written.contains(address));
        let held = addresses.iter().filter(|address| !index.is_optional(address));
        draft.unready.extend(held.map(|address| address.owner.clone()));
        let finding =
            |what: String| Finding::new(codes::NOT_READY, Severity::Warning, format!("{what} not ready yet: {reason}"));
        draft.findings.extend(match addresses.as_slice() {
            [] => None,
            [one] => Some(finding(format!("{one} is")).of(one)),
            [one, more @ ..] => Some(finding(format!("{one} and {} more of {kind} in `{target}` are", more.len()))),
        });
    }
}

/// Resources that this plan changes are left out, because the schedule may change.
fn scheduled(draft: &mut Draft) {
    let written: HashSet<&Address> = draft.changes.iter().map(|change| &change.address).collect();
    for (address, what) in std::mem::take(&mut draft.scheduled) {
        if !written.contains(&address) {
            let finding = Finding::new(codes::SCHEDULED, Severity::Warning, format!("{address} is as desired: {what}"));
            draft.findings.push(finding.of(&address));
        }
    }
}

/// One finding for each target and reason, for any number of resources.
fn unknown(draft: &mut Draft) {
    let mut causes: BTreeMap<(&TargetName, &Unknown), usize> = BTreeMap::new();
    let Draft { blocked, findings, .. } = draft;
    for blocked in &*blocked {
        if let Hindrance::StateUnknown { cause } = &blocked.reason {
            *causes.entry((&blocked.target, cause)).or_default() += 1;
        }
    }
    for ((target, cause), count) in causes {
        let what = if count == 1 { "1 resource".to_owned() } else { format!("{count} resources") };
        let why = cause.message().map(|message| format!(": {message}")).unwrap_or_default();
        let message = format!("target `{target}`: the state of {what} is unknown{why}");
        findings.push(
            Finding::new(codes::UNKNOWN_STATE, Severity::Error, message)
                .help("nothing is created or deleted there; `tenantry doctor` shows whether the target answers"),
        );
    }
}

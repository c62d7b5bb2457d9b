//! Drift as a JUnit test report: a case for each owner, so that a pipeline shows who drifted.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::view::{DriftView, word};
use crate::difference::{Difference, Line};
use crate::hindrance;
use crate::junit::{Case, Verdict, report as whole};
use tenantry_core::model::address::Owner;
use tenantry_core::plan::Blocked;

/// The whole report. `owners` are all owners of the estate, `seconds` the duration of the run.
pub fn report<'a>(view: &DriftView<'_>, owners: impl IntoIterator<Item = &'a Owner>, seconds: f64) -> String {
    let mut told: BTreeMap<&Owner, Told> = owners.into_iter().map(|owner| (owner, Told::default())).collect();
    for group in &view.groups {
        for owner in &group.owners {
            let told = told.entry(owner).or_default();
            for resource in &group.resources {
                let _ = writeln!(told.drift, "{} {} {}", word(resource.state), resource.id, resource.kind);
                for field in &resource.fields {
                    let by = field.by.as_ref().map(|by| format!(" {by}")).unwrap_or_default();
                    let change = match &field.difference {
                        Difference::Values { before, after } => format!(": {before} → {after}"),
                        Difference::Lines(lines) => lines.iter().map(line).collect(),
                    };
                    let _ = writeln!(told.drift, "  {}{change}{by}", field.name);
                }
            }
        }
    }
    for Blocked { address, reason, .. } in view.drift.unknown.iter().chain(&view.drift.blocked) {
        let told = told.entry(&address.owner).or_default();
        let _ = writeln!(told.unknown, "{address}: {}", hindrance::sentence(reason));
    }
    let case = |(owner, Told { drift, unknown }): (&Owner, Told)| Case {
        name: owner.to_string(),
        verdict: match (drift.is_empty(), unknown.is_empty()) {
            (true, true) => Verdict::Passed(String::new()),
            (false, _) => Verdict::Failure("changed outside Tenantry", format!("{drift}{unknown}")),
            (true, false) => Verdict::Error("not known", unknown),
        },
    };
    let cases: Vec<Case> = told.into_iter().map(case).collect();
    whole(&view.title, &view.drift.plan.estate, &cases, Some(seconds))
}

fn line(line: &Line) -> String {
    format!("\n    {} {}", line.sign.symbol(), line.text)
}

/// What is to be said of one owner.
#[derive(Default)]
struct Told {
    drift: String,
    unknown: String,
}

//! Drift as a JUnit test report: a case for each owner, so that a pipeline shows who drifted.
//!
//! The form is that of <https://github.com/testmoapp/junitxml>, which test reporters have in common.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::view::{DriftView, word};
use crate::difference::Difference;
use crate::hindrance;
use crate::visible::visible;
use tenantry_core::model::address::Owner;
use tenantry_core::plan::Blocked;

/// The whole report. `owners` are all owners of the estate, `seconds` the duration of the run.
pub fn report<'a>(view: &DriftView<'_>, owners: impl IntoIterator<Item = &'a Owner>, seconds: f64) -> String {
    let mut cases: BTreeMap<&Owner, Case> = owners.into_iter().map(|owner| (owner, Case::default())).collect();
    for group in &view.groups {
        for owner in &group.owners {
            let case = cases.entry(owner).or_default();
            for resource in &group.resources {
                let _ = writeln!(case.drift, "{} {} {}", word(resource.state), resource.id, resource.kind);
                for field in &resource.fields {
                    let by = field.by.as_ref().map(|by| format!(" {by}")).unwrap_or_default();
                    let change = match &field.difference {
                        Difference::Values { before, after } => format!(": {before} → {after}"),
                        Difference::Lines(lines) => {
                            let line =
                                |line: &crate::difference::Line| format!("\n    {} {}", line.sign.symbol(), line.text);
                            lines.iter().map(line).collect()
                        }
                    };
                    let _ = writeln!(case.drift, "  {}{change}{by}", field.name);
                }
            }
        }
    }
    for Blocked { address, reason, .. } in view.drift.unknown.iter().chain(&view.drift.blocked) {
        let case = cases.entry(&address.owner).or_default();
        let _ = writeln!(case.unknown, "{}: {}", address, hindrance::sentence(reason));
    }
    let count = |is: fn(&Case) -> bool| cases.values().filter(|case| is(case)).count();
    let failures = count(|case| !case.drift.is_empty());
    let errors = count(|case| case.drift.is_empty() && !case.unknown.is_empty());
    let totals = format!("tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\" time=\"{seconds:.3}\"", cases.len());
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {totals}>\n  <testsuite name=\"{}\" {totals}>\n",
        escaped(&view.title)
    );
    let class = escaped(&view.drift.plan.estate);
    for (owner, Case { drift, unknown }) in &cases {
        let _ = write!(xml, "    <testcase classname=\"{class}\" name=\"{}\"", escaped(&owner.to_string()));
        let (element, message, text) = match (drift.is_empty(), unknown.is_empty()) {
            (true, true) => {
                xml.push_str("/>\n");
                continue;
            }
            (false, _) => ("failure", "changed outside Tenantry", format!("{drift}{unknown}")),
            (true, false) => ("error", "not known", unknown.clone()),
        };
        let text: String = text.lines().map(|line| format!("{}\n", escaped(line))).collect();
        let _ = write!(xml, ">\n      <{element} message=\"{message}\">{text}</{element}>\n    </testcase>\n");
    }
    xml.push_str("  </testsuite>\n</testsuites>\n");
    xml
}

/// What is to be said of one owner.
#[derive(Default)]
struct Case {
    drift: String,
    unknown: String,
}

/// A text as XML has it. Control characters, which XML 1.0 has no form for, are visible.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in visible(text).chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_text() {
        assert_eq!(escaped("a<b> & \"c\"\u{1b}[31m"), r"a&lt;b&gt; &amp; &quot;c&quot;\u{1b}[31m");
    }
}

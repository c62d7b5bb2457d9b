//! Issues as a JUnit test report: a case for each file of the estate, which fails if the file has an error.

use std::collections::BTreeMap;

use super::{Issue, Level};
use crate::junit::{Case, Verdict, report as whole};

/// The whole report. `files` are all files that were checked.
pub fn report<'a>(title: &str, class: &str, files: impl IntoIterator<Item = &'a String>, issues: &[Issue]) -> String {
    let mut cases: BTreeMap<String, Vec<&Issue>> = files.into_iter().map(|file| (file.clone(), Vec::new())).collect();
    for issue in issues {
        let file = issue.place.as_ref().map_or("(the estate)", |place| &place.file);
        cases.entry(file.to_owned()).or_default().push(issue);
    }
    let cases = cases.into_iter().map(|(name, issues)| {
        let line = |issue: &&Issue| {
            let line = issue.place.as_ref().map(|place| format!("{}: ", place.line)).unwrap_or_default();
            format!("{line}{}: {}\n", issue.code, issue.text())
        };
        let text: String = issues.iter().map(line).collect();
        let verdict = match issues.iter().map(|issue| issue.level).min() {
            Some(Level::Error) => Verdict::Failure("not valid", text),
            // A warning fails nothing, and is still to be read.
            Some(_) => Verdict::Passed(text),
            None => Verdict::Passed(String::new()),
        };
        Case { name, verdict }
    });
    whole(title, class, &cases.collect::<Vec<_>>(), None)
}

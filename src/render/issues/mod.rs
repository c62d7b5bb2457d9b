//! Problems of an estate and findings of a plan, for tools that show them beside the line.
//!
//! ```text
//! diagnostics, findings ── issues ──┬── github   annotations of a workflow
//!                                   ├── sarif    for code scanning
//!                                   └── junit    for a test report
//! ```

pub mod github;
pub mod junit;
pub mod sarif;

use std::path::Path;

use crate::visible::visible;
use crate::{hindrance, words};
use tenantry_core::diagnostics::{Diagnostic, Severity, SourceFiles};
use tenantry_core::diagnostics::{Origin, Span, codes};
use tenantry_core::plan::{Finding, Plan};

/// One thing to show.
#[derive(Clone, Debug, PartialEq)]
pub struct Issue {
    /// The diagnostic code, such as `TY0405`.
    pub code: String,
    pub level: Level,
    /// In one sentence.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    pub place: Option<Location>,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Error,
    Warning,
    Note,
}

/// A place in a file. Lines and columns are counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// Relative to where the command was started, with slashes.
    pub file: String,
    pub line: usize,
    /// Column, and the line and column behind the end; `None` if only the line is known.
    pub columns: Option<(usize, usize, usize)>,
}

impl From<Severity> for Level {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Error => Self::Error,
            Severity::Warning => Self::Warning,
        }
    }
}

impl Issue {
    /// The message with the remedy, in one line.
    pub fn text(&self) -> String {
        let help = self.help.as_ref().map(|help| format!(". Help: {help}")).unwrap_or_default();
        visible(&format!("{}{help}", self.message)).into_owned()
    }
}

/// The problems of an estate in a folder.
pub fn of_diagnostics(diagnostics: &[Diagnostic], files: &SourceFiles, estate: &Path) -> Vec<Issue> {
    let issue = |diagnostic: &Diagnostic| {
        let place = diagnostic.label.as_ref().map(|label| {
            let Origin { file, span } = label.origin;
            let (line, column) = files.line_column(label.origin);
            let end = span.end.max(span.start);
            let (end_line, end_column) = files.line_column(Origin { file, span: Span { start: end, end } });
            let file = within(estate, &files.get(file).path);
            Location { file, line, columns: Some((column, end_line, end_column)) }
        });
        Issue {
            code: diagnostic.code.0.to_owned(),
            level: diagnostic.severity.into(),
            message: diagnostic.message.clone(),
            help: diagnostic.help.clone(),
            place,
        }
    };
    diagnostics.iter().map(issue).collect()
}

/// What a reviewer has to know of a plan: findings, what is destroyed, what is blocked.
pub fn of_plan(plan: &Plan, estate: &Path) -> Vec<Issue> {
    let place = |place: &tenantry_core::plan::Place| Location {
        file: within(estate, &place.file),
        line: place.line,
        columns: None,
    };
    let finding = |finding: &Finding| Issue {
        code: finding.code.to_string(),
        level: if finding.refuses { Level::Error } else { finding.severity.into() },
        message: finding.sentence().into_owned(),
        help: finding.help.clone(),
        place: finding.origin.as_ref().map(place),
    };
    let mut issues: Vec<Issue> = plan.findings.iter().map(finding).collect();
    issues.extend(plan.changes.iter().filter(|change| change.action().destroys()).map(|change| Issue {
        code: if change.loses_data { codes::DATA_LOSS.0.to_owned() } else { "plan".to_owned() },
        level: Level::Warning,
        message: format!(
            "{} would be {}{}",
            change.address,
            words::done(change.action()),
            if change.loses_data { "; the data in it would be lost" } else { "" }
        ),
        help: None,
        place: change.origin.as_ref().map(place),
    }));
    // A finding says more of what is blocked for the same reason.
    let is_told = |code: &str| plan.findings.iter().any(|finding| *finding.code == *code);
    issues.extend(plan.blocked.iter().filter(|blocked| !is_told(&blocked.code)).map(|blocked| Issue {
        code: blocked.code.to_string(),
        level: Level::Warning,
        message: format!("{} is blocked: {}", blocked.address, hindrance::sentence(&blocked.reason)),
        help: None,
        place: None,
    }));
    issues
}

/// A file of the estate, from where the command was started.
pub fn within(estate: &Path, file: &str) -> String {
    let path = if estate == Path::new(".") { Path::new(file).to_owned() } else { estate.join(file) };
    path.to_string_lossy().replace('\\', "/")
}

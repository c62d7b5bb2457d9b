//! What is wrong with an estate, where, and what to do about it.
//!
//! A diagnostic has a stable code from the table in [`codes`], a summary that never varies with the input beyond the names in
//! it, labels that point at places in files, and a remedy. To add one: add its code to the table, then build it with
//! [`Diagnostic::error`] or [`Diagnostic::warning`]. Everything is collected before anything is reported; the order is by file,
//! position and code. `render` renders them.

pub mod codes;
mod files;
pub mod remedies;

pub use codes::Code;
pub use files::{FileId, Origin, SourceFile, SourceFiles, Span};

/// How bad it is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Error,
    Warning,
}

/// One problem.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostic {
    pub code: Code,
    pub severity: Severity,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// The place, with a few words about its content.
    pub label: Option<Label>,
    /// Other places that belong to it, such as the first of two documents with one name.
    pub related: Vec<Label>,
    /// What to do.
    pub help: Option<String>,
}

/// A place with a text about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    pub origin: Origin,
    pub text: String,
}

impl Diagnostic {
    pub fn error(code: Code, message: impl Into<String>) -> Self {
        Self { code, severity: Severity::Error, message: message.into(), label: None, related: Vec::new(), help: None }
    }

    pub fn warning(code: Code, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    #[must_use]
    pub fn at(mut self, origin: Origin, text: impl Into<String>) -> Self {
        self.label = Some(Label { origin, text: text.into() });
        self
    }

    #[must_use]
    pub fn related(mut self, origin: Origin, text: impl Into<String>) -> Self {
        self.related.push(Label { origin, text: text.into() });
        self
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Puts diagnostics into the order in which they are reported, and removes repetitions.
pub fn sort(diagnostics: &mut Vec<Diagnostic>) {
    diagnostics.sort_by(|a, b| {
        let key = |diagnostic: &Diagnostic| {
            let place = diagnostic.label.as_ref().map(|label| (label.origin.file, label.origin.span.start));
            (place.is_none(), place, diagnostic.code, diagnostic.message.clone())
        };
        key(a).cmp(&key(b))
    });
    diagnostics.dedup();
}

/// Whether any of them is an error.
pub fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
}

/// The name among `known` that was probably meant.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        // A short word has too many neighbours for more than one slip.
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count().max(name.chars().count()) / 3).max(1))
        .min()
        .map(|(_, candidate)| candidate)
}

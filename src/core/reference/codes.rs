//! The page of all codes.

use std::fmt::Write as _;

use super::{GENERATED, cell};
use crate::diagnostics::codes::{self, Code};
use crate::diagnostics::remedies;

/// The ranges of codes, with what they are about.
const RANGES: [(&str, &str); 7] = [
    ("TY00", "Files"),
    ("TY01", "Documents"),
    ("TY02", "References between documents"),
    ("TY03", "Expressions and specs"),
    ("TY04", "Plans"),
    ("TY05", "Imports"),
    ("TY06", "Rules"),
];

/// The page.
pub fn page() -> String {
    let mut page = format!(
        "# Codes\n\n{GENERATED}\n\n\
         Every problem and every finding has a code. A code never gets another meaning. The message has the place and what is \
         wrong there; this page has what a code means in general, how it comes about, and what helps.\n"
    );
    for (range, title) in RANGES {
        let _ = write!(page, "\n## {title}\n\n");
        let mut within: Vec<_> = codes::ALL.iter().filter(|(code, _)| code.0.starts_with(range)).collect();
        within.sort();
        if range == "TY06" {
            page.push_str("Their causes, examples and remedies are on the page of [findings](../findings.md).\n\n| code | meaning |\n|---|---|\n");
            for (code, meaning) in within {
                let _ = writeln!(page, "| [`{code}`](../findings.md#{}) | {} |", code.0.to_lowercase(), cell(meaning));
            }
            continue;
        }
        page.push_str("| code | meaning | how it comes about | what helps |\n|---|---|---|---|\n");
        for (code, meaning) in within {
            let (cause, remedy) = remedies::of(*code).unwrap_or_default();
            let _ = writeln!(page, "| `{code}` | {} | {} | {} |", cell(meaning), cell(cause), cell(remedy));
        }
    }
    page
}

/// Codes that the page has no cause and no remedy for, and texts for codes that do not exist.
pub fn gaps() -> Vec<Code> {
    let is_rule = |code: &Code| codes::of_rules().any(|(rule, _)| rule == *code);
    let silent =
        codes::ALL.iter().map(|(code, _)| *code).filter(|code| !is_rule(code) && remedies::of(*code).is_none());
    let elsewhere = codes::ALL.iter().map(|(code, _)| *code);
    let unknown = elsewhere.filter(|code| !RANGES.iter().any(|(range, _)| code.0.starts_with(range)));
    silent.chain(unknown).collect()
}

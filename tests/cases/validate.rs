//! Every folder of `tests/cases/validate/` is laid over `_base/`, a small estate in which nothing is wrong, and validated:
//! `expected.txt` is what a user is told.

use std::path::Path;

use crate::command::{Said, files, run};
use crate::{expected, lay_over};

/// Validates one case, and returns what is not as it should be.
pub fn play(case: &Path) -> Result<(), String> {
    let root = case.parent().expect("a case is in a folder");
    let estate = assert_fs::TempDir::new().expect("a temporary folder");
    lay_over(&root.join("_base"), estate.path());
    lay_over(&case.join("estate"), estate.path());
    let before = files(estate.path());
    let Said { exit, out, err } = run(estate.path(), &["validate"]);
    let json = run(estate.path(), &["validate", "--format", "json"]);
    let mut wrong = Vec::new();
    let mut must = |holds: bool, what: String| {
        if !holds {
            wrong.push(what);
        }
    };
    must(files(estate.path()) == before, "validating wrote something".into());
    must(json.exit == exit, format!("the exit code depends on the format: {exit} and {}", json.exit));
    must(json.err.is_empty(), format!("what is said as JSON is said again: {}", json.err));
    let diagnostics = json.json()["diagnostics"].as_array().cloned().expect("a list of diagnostics");
    for diagnostic in &diagnostics {
        must(diagnostic["file"].is_string(), format!("no place in {diagnostic}"));
        must(diagnostic["help"].is_string(), format!("no remedy in {diagnostic}"));
        let message = diagnostic["message"].as_str().expect("a message is a text");
        must(err.contains(message), format!("said as JSON and not to people: {message}"));
    }
    let told = format!("{out}{err}--- exit code {exit}\n");
    wrong.extend(expected(&case.join("expected.txt"), &told));
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

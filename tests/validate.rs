//! Every folder of `tests/cases/validate/` is laid over `_base/`, a small estate in which nothing is wrong, and validated:
//! `expected.txt` is what a user is told.

mod command;

use std::path::{Path, PathBuf};

use command::{Said, files, lay_over, run};

/// Set to `1` to rewrite what is expected.
const BLESS: &str = "TENANTRY_BLESS";

#[expect(clippy::disallowed_methods, reason = "what a test run is to do is asked of its environment")]
fn blesses() -> bool {
    std::env::var_os(BLESS).is_some()
}

#[test]
fn every_case_is_told_as_expected() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/validate");
    let mut cases: Vec<PathBuf> = std::fs::read_dir(&root)
        .expect("the cases are there")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.is_dir() && !path.ends_with("_base"))
        .collect();
    cases.sort();
    assert!(!cases.is_empty(), "no cases in {}", root.display());
    let mut wrong = Vec::new();
    for case in &cases {
        let name = case.file_name().expect("a folder has a name").to_string_lossy();
        let estate = assert_fs::TempDir::new().expect("a temporary folder");
        lay_over(&root.join("_base"), estate.path());
        lay_over(&case.join("estate"), estate.path());
        let before = files(estate.path());
        let Said { exit, out, err } = run(estate.path(), &["validate"]);
        let json = run(estate.path(), &["validate", "--format", "json"]);
        let mut must = |holds: bool, what: String| {
            if !holds {
                wrong.push(format!("=== {name}: {what}"));
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
        let expected = case.join("expected.txt");
        if blesses() {
            std::fs::write(&expected, &told).expect("the expectation can be written");
        } else if std::fs::read_to_string(&expected).unwrap_or_default() != told {
            wrong.push(format!("=== {name}\n{told}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "told otherwise than expected (`{BLESS}=1 cargo test --test validate` rewrites):\n{}",
        wrong.join("\n")
    );
}

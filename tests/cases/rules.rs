//! Every folder of `tests/cases/rules/` is about one rule, whose code begins its name. It has two estates, each laid over
//! `_base/`: one in which the rule `fires`, and nothing else is wrong, and one in which everything is `silent`. `expected.txt` is
//! what a user is told of the first.

use std::path::Path;

use crate::command::{Said, files, run};
use crate::{expected, lay_over};

/// Checks the two estates of one rule, and the levels of the first, and returns what is not as it should be.
pub fn play(case: &Path) -> Result<(), String> {
    let name = case.file_name().expect("a folder has a name").to_string_lossy();
    let code = name.get(..6).expect("a folder begins with a code");
    let default = tenantry_registry::rules().into_iter().find(|rule| rule.code.0 == code);
    let default = default.ok_or_else(|| format!("there is no rule {code}"))?.level;
    let mut wrong = Vec::new();
    let mut must = |holds: bool, what: String| {
        if !holds {
            wrong.push(what);
        }
    };

    let told = validated(case, "fires", "", "human");
    let (exit, found) = findings(case, "fires", "");
    let is_error = default == tenantry_core::model::config::Level::Error;
    must(exit == i32::from(is_error) && told.exit == exit, format!("exit code {exit} with the default level"));
    must(!found.is_empty(), "it does not fire".into());
    for finding in &found {
        must(finding["code"] == code, format!("another finding: {finding}"));
        must(finding["file"].is_string() && finding["help"].is_string(), format!("no place or remedy: {finding}"));
        let message = finding["message"].as_str().expect("a message is a text");
        must(told.err.contains(message), format!("said as JSON and not to people: {message}"));
    }

    let (exit, of_off) = findings(case, "fires", &format!("{code} = \"off\""));
    must(exit == 0 && of_off.is_empty(), format!("switched off, it ends with {exit}: {of_off:?}"));
    let other = if is_error { "warning" } else { "error" };
    let (exit, of_other) = findings(case, "fires", &format!("{code} = \"{other}\""));
    must(exit == i32::from(!is_error) && of_other.len() == found.len(), format!("as {other}, it ends with {exit}"));
    let (exit, silent) = findings(case, "silent", "");
    must(exit == 0 && silent.is_empty(), format!("not silent: {silent:?}"));

    let expectation = format!("{}{}--- exit code {}\n", told.out, told.err, told.exit);
    wrong.extend(expected(&case.join("expected.txt"), &expectation));
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

/// The exit code and the findings of one of the estates.
fn findings(case: &Path, which: &str, level: &str) -> (i32, Vec<serde_json::Value>) {
    let said = validated(case, which, level, "json");
    let json = said.json();
    (said.exit, json["diagnostics"].as_array().cloned().expect("a list of diagnostics"))
}

/// Validates one of the estates with a line in the table `[rules]`.
fn validated(case: &Path, which: &str, level: &str, format: &str) -> Said {
    let estate = assert_fs::TempDir::new().expect("a temporary folder");
    lay_over(&case.parent().expect("a case is in a folder").join("_base"), estate.path());
    lay_over(&case.join(which), estate.path());
    if !level.is_empty() {
        let path = estate.path().join("tenantry.toml");
        let text = std::fs::read_to_string(&path).expect("a configuration");
        let text = match text.contains("[rules]") {
            true => text.replace("[rules]", &format!("[rules]\n{level}")),
            false => format!("{text}\n[rules]\n{level}\n"),
        };
        std::fs::write(&path, text).expect("a configuration can be written");
    }
    let before = files(estate.path());
    let said = run(estate.path(), &["validate", "--format", format]);
    assert_eq!(files(estate.path()), before, "validating wrote something");
    said
}

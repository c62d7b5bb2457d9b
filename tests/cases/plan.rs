//! Every folder of `tests/cases/plan/` is a story: what was applied, what happened meanwhile, what is asked for now, and
//! what is planned and done about it.
//!
//! | file | meaning |
//! |---|---|
//! | `_base/` | the estate that all cases begin with |
//! | `before/`, `before-2/`, … | laid over it one after the other, each applied |
//! | `drift.sql` | what happens to the simulated world then |
//! | `sandbox.db` | stands in the place of the simulated world then |
//! | `estate/` | laid over it at last, and planned |
//! | `case.toml` | what else is special: see [`Case`] |
//! | `plan.txt`, `plan.json` | what `plan` says |
//! | `apply.txt` | what `apply` says, one owner after the other |
//!
//! Of every case it is checked that planning writes nothing, that what is refused is not applied, and that after an apply
//! there is nothing left to do.

use std::path::{Path, PathBuf};

use crate::command::{self, Said, change_world, files, run, run_at, wait};
use crate::{expected, lay_over};

/// What is special about a case.
#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Case {
    /// Nothing was applied before.
    fresh: bool,
    /// Arguments of `plan` and `apply`.
    arguments: Vec<String>,
    /// The time of `plan` and `apply`.
    now: Option<String>,
    /// Documents that are not in `estate/`.
    removed: Vec<PathBuf>,
    /// Something is left to do after the apply, for a reason that the case is about.
    unfinished: bool,
}

/// Plays one case, and returns what is not as it should be.
pub fn play(folder: &Path) -> Result<(), String> {
    let root = folder.parent().expect("a case is in a folder");
    let case: Case = match std::fs::read_to_string(folder.join("case.toml")) {
        Ok(text) => toml::from_str(&text).map_err(|error| format!("case.toml: {error}"))?,
        Err(_) => Case::default(),
    };
    let temporary = assert_fs::TempDir::new().expect("a temporary folder");
    let estate = temporary.path();
    lay_over(&root.join("_base"), estate);
    let mut before = Vec::new();
    for number in 1.. {
        let next = folder.join(if number == 1 { "before".into() } else { format!("before-{number}") });
        if !next.is_dir() {
            break;
        }
        before.push(next);
    }
    for over in before.iter().map(Some).chain((before.is_empty() && !case.fresh).then_some(None)) {
        if let Some(over) = over {
            lay_over(over, estate);
        }
        let said = run(estate, &["apply", "--auto-approve"]);
        if said.exit != 0 {
            return Err(format!("what comes before cannot be applied\n{}{}", said.out, said.err));
        }
    }
    if let Ok(statements) = std::fs::read_to_string(folder.join("drift.sql")) {
        wait(change_world(estate, &statements));
    }
    if let Ok(world) = std::fs::read(folder.join("sandbox.db")) {
        std::fs::write(estate.join(".tenantry/default/sandbox.db"), world).expect("the world can be written");
    }
    for removed in &case.removed {
        std::fs::remove_file(estate.join(removed)).map_err(|error| format!("{}: {error}", removed.display()))?;
    }
    if folder.join("estate").is_dir() {
        lay_over(&folder.join("estate"), estate);
    }

    let now = case.now.as_deref().unwrap_or(command::NOW);
    let command = |words: &[&str]| -> Said {
        let arguments: Vec<&str> = words.iter().copied().chain(case.arguments.iter().map(String::as_str)).collect();
        let Said { exit, out, err } = run_at(estate, now, &arguments);
        // Where the case is played is nobody's business.
        let neutral = |text: String| text.replace(&estate.display().to_string(), "ESTATE");
        Said { exit, out: neutral(out), err: neutral(err) }
    };
    let mut wrong = Vec::new();
    let untouched = files(estate);
    let planned = command(&["plan"]);
    let json = command(&["plan", "--format", "json"]);
    if untouched != files(estate) {
        wrong.push("planning wrote something".to_owned());
    }
    if planned.exit != json.exit {
        wrong.push(format!("the exit code depends on the format: {} and {}", planned.exit, json.exit));
    }
    if json != command(&["plan", "--format", "json"]) {
        wrong.push("planned again, it is another plan".to_owned());
    }
    let applied = command(&["apply", "--auto-approve", "--parallelism", "1"]);
    if planned.exit == 3 && files(estate) != untouched {
        wrong.push("a refused plan wrote something".to_owned());
    }
    let again = command(&["plan", "--detailed-exitcode"]);
    if applied.exit == 0 && again.exit != 0 && !case.unfinished {
        wrong.push(format!("after it was applied there is still something to do\n{}", again.out));
    }
    // The plan is in `plan.txt` already.
    let applied = Said { out: applied.out.replace(&planned.out, ""), ..applied };
    for (file, text) in
        [("plan.txt", transcript(&planned)), ("plan.json", json.out.clone()), ("apply.txt", transcript(&applied))]
    {
        wrong.extend(expected(&folder.join(file), &text));
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

/// Both streams and the exit code, as one text.
fn transcript(said: &Said) -> String {
    let Said { exit, out, err } = said;
    let err = if err.is_empty() { String::new() } else { format!("--- stderr\n{err}") };
    format!("{out}{err}--- exit code {exit}\n")
}

//! Every folder of `tests/cases/SORT/` is a test of its own, called `SORT::folder`: run one with
//! `cargo test --test cases plan::adopt`. So is every page of the documentation that has examples: `pages::docs::drift`.
//!
//! With `TENANTRY_BLESS=1`, what is expected is written anew from what is said.

#[path = "../command/mod.rs"]
#[allow(dead_code, reason = "the other test program uses the rest")]
mod command;
mod pages;
mod plan;
mod rules;
mod source;
mod validate;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

/// Set to `1` to rewrite what is expected.
const BLESS: &str = "TENANTRY_BLESS";

/// Plays the case of a folder and says what is not as it should be.
type Play = fn(&Path) -> Result<(), String>;

const SORTS: &[(&str, Play)] =
    &[("plan", plan::play), ("rules", rules::play), ("source", source::play), ("validate", validate::play)];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut trials = Vec::new();
    for (sort, play) in SORTS {
        let cases = cases(&root.join(sort));
        assert!(!cases.is_empty(), "no cases of {sort} in {}", root.display());
        trials.extend(cases.into_iter().map(|case| {
            let name = case.file_name().expect("a folder has a name").to_string_lossy();
            Trial::test(format!("{sort}::{name}"), move || play(&case).map_err(Failed::from))
        }));
    }
    let pages = pages::all();
    assert!(!pages.is_empty(), "no page has examples");
    trials.extend(
        pages.into_iter().map(|(name, page)| {
            Trial::test(format!("pages::{name}"), move || pages::play(&page).map_err(Failed::from))
        }),
    );
    trials.push(Trial::test("pages::compare", || pages::check().map_err(Failed::from)));
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// The folders of a sort, without what all of its cases begin with.
fn cases(sort: &Path) -> Vec<PathBuf> {
    let mut cases: Vec<PathBuf> = std::fs::read_dir(sort)
        .expect("the cases are there")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.is_dir() && !path.ends_with("_base"))
        .collect();
    cases.sort();
    cases
}

/// Lays the files of a folder over those of another.
fn lay_over(from: &Path, to: &Path) {
    for (name, content) in command::files(from) {
        let target = to.join(name);
        std::fs::create_dir_all(target.parent().expect("a file is in a folder")).expect("folders can be made");
        std::fs::write(target, content).expect("files can be written");
    }
}

/// What differs from what a file expects, as a text; or rewrites the file.
#[expect(clippy::disallowed_methods, reason = "what a test run is to do is asked of its environment")]
fn expected(file: &Path, told: &str) -> Option<String> {
    if std::env::var_os(BLESS).is_some() {
        std::fs::write(file, told).expect("the expectation can be written");
        return None;
    }
    if std::fs::read_to_string(file).unwrap_or_default() == told {
        return None;
    }
    let name = file.file_name().expect("a file has a name").to_string_lossy();
    Some(format!("{name} is otherwise than expected (`{BLESS}=1 cargo test --test cases` rewrites):\n{told}"))
}

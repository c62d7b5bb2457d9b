//! Every folder of `tests/cases/source/` is an estate (`estate/`) with what is said of it (`expected.txt`).

use std::collections::BTreeSet;
use std::path::Path;

use tenantry_core::diagnostics::{codes, has_errors};
use tenantry_render::diagnostics::write_text;
use tenantry_render::page::Page;
use tenantry_source::{Loaded, Options, Place, load};

/// Set to `1` to rewrite what is expected.
const BLESS: &str = "TENANTRY_BLESS";

/// What a user is told, or a summary of what was read.
fn told(loaded: &Loaded) -> String {
    let mut text = Vec::new();
    write_text(&mut Page::new(&mut text), &loaded.diagnostics, &loaded.files, false).expect("writing to memory");
    let mut text = String::from_utf8(text).expect("messages are UTF-8");
    if let Some(estate) = &loaded.estate {
        let names = |names: Vec<&str>| if names.is_empty() { "none".to_owned() } else { names.join(" ") };
        text.push_str(&format!(
            "estate {}\ntenants: {}\ntiers: {}\nblueprints: {}\napprovals: {}\n",
            estate.config.estate.name,
            names(estate.tenants.iter().map(|document| document.metadata.name.as_str()).collect()),
            names(estate.tiers.iter().map(|document| document.metadata.name.as_str()).collect()),
            names(estate.blueprints.iter().map(|document| document.metadata.name.as_str()).collect()),
            names(estate.approvals.iter().map(|document| document.metadata.name.as_str()).collect()),
        ));
    }
    text
}

#[expect(clippy::disallowed_methods, reason = "tests are told by the environment to rewrite what they expect")]
#[test]
fn every_case_is_told_as_expected() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/source");
    let mut cases: Vec<_> = std::fs::read_dir(&root)
        .expect("the cases are there")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.is_dir())
        .collect();
    cases.sort();
    assert!(!cases.is_empty(), "no cases in {}", root.display());
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for case in &cases {
        let name = case.file_name().expect("a folder has a name").to_string_lossy();
        let options = Options { threads: 2, ..Options::default() };
        let loaded = load(&Place::Directory(case.join("estate")), options);
        assert_eq!(
            loaded.estate.is_none(),
            has_errors(&loaded.diagnostics),
            "{name}: an estate and errors exclude each other"
        );
        for diagnostic in &loaded.diagnostics {
            assert!(diagnostic.help.is_some(), "{name}: no remedy in {diagnostic:?}");
            seen.insert(diagnostic.code.0);
            let needs_no_place = diagnostic.code == codes::ESTATE_MISSING;
            assert!(diagnostic.label.is_some() || needs_no_place, "{name}: no place in {diagnostic:?}");
        }
        // The folder of the checkout is nobody's business.
        let told = told(&loaded).replace(&format!("{}/", case.display()), "");
        let expected = case.join("expected.txt");
        if std::env::var_os(BLESS).is_some() {
            std::fs::write(&expected, &told).expect("the expectation can be written");
        } else if std::fs::read_to_string(&expected).unwrap_or_default() != told {
            wrong.push(format!("=== {name}\n{told}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "told otherwise than expected (`{BLESS}=1 cargo test --test source` rewrites):\n{}",
        wrong.join("\n")
    );
}

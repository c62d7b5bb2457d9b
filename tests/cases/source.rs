//! Every folder of `tests/cases/source/` is an estate (`estate/`) with what is said of it (`expected.txt`).

use std::path::Path;

use tenantry_core::diagnostics::{codes, has_errors};
use tenantry_render::diagnostics::write_text;
use tenantry_render::page::Page;
use tenantry_source::{Loaded, Options, Place, load};

use crate::expected;

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

/// Reads one case, and returns what is not as it should be.
pub fn play(case: &Path) -> Result<(), String> {
    let options = Options { threads: 2, ..Options::default() };
    let loaded = load(&Place::Directory(case.join("estate")), options);
    let mut wrong = Vec::new();
    if loaded.estate.is_none() != has_errors(&loaded.diagnostics) {
        wrong.push("an estate and errors exclude each other".to_owned());
    }
    for diagnostic in &loaded.diagnostics {
        if diagnostic.help.is_none() {
            wrong.push(format!("no remedy in {diagnostic:?}"));
        }
        let needs_no_place = diagnostic.code == codes::ESTATE_MISSING;
        if diagnostic.label.is_none() && !needs_no_place {
            wrong.push(format!("no place in {diagnostic:?}"));
        }
    }
    // The folder of the checkout is nobody's business.
    let told = told(&loaded).replace(&format!("{}/", case.display()), "");
    wrong.extend(expected(&case.join("expected.txt"), &told));
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

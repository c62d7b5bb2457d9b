//! The documentation says what is so, as far as a program can tell.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tenantry_core::diagnostics::codes;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page, with its text.
fn pages() -> Vec<(PathBuf, String)> {
    fn collect(folder: &Path, pages: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                collect(&path, pages);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    let mut pages: Vec<PathBuf> = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|name| root().join(name)).into();
    collect(&root().join("docs"), &mut pages);
    pages.sort();
    assert!(pages.len() > 10, "{pages:?}");
    pages.into_iter().map(|page| (page.clone(), std::fs::read_to_string(&page).expect("a page"))).collect()
}

/// What the links of a page lead to.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link)
}

#[test]
fn every_link_leads_somewhere() {
    let mut lost = Vec::new();
    for (page, text) in pages() {
        let folder = page.parent().expect("a folder");
        for link in links(&text).filter(|link| !link.starts_with("https://") && !link.starts_with('#')) {
            let path = link.split('#').next().unwrap_or_default();
            if !folder.join(path).exists() {
                lost.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(lost.is_empty(), "these links lead nowhere:\n{}", lost.join("\n"));
}

/// The words that look like a code.
fn codes_in(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("TY")
        .filter_map(|(at, _)| text.get(at..at + 6))
        .filter(|word| word[2..].bytes().all(|byte| byte.is_ascii_digit()))
}

#[test]
fn every_code_that_is_named_exists() {
    let known: BTreeSet<&str> = codes::ALL.iter().map(|(code, _)| code.0).collect();
    for (page, text) in pages() {
        let unknown: Vec<&str> = codes_in(&text).filter(|code| !known.contains(code)).collect();
        assert!(unknown.is_empty(), "{} names {unknown:?}", page.display());
    }
    assert_eq!(codes_in("a TY0102, TYPE, refused[TY9999]").collect::<Vec<_>>(), ["TY0102", "TY9999"]);
}

#[test]
fn every_provider_has_a_page_that_names_all_kinds_and_fields() {
    for provider in tenantry_registry::providers() {
        let page = root().join(format!("docs/providers/{}.md", provider.name()));
        let text = std::fs::read_to_string(&page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
        let words: BTreeSet<&str> = text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.')).collect();
        for kind in provider.kinds() {
            assert!(words.contains(kind.name), "{} does not name {}", page.display(), kind.name);
            let fields = kind.schema.as_value()["properties"].as_object().expect("a spec has fields");
            let missing: Vec<&String> = fields.keys().filter(|field| !words.contains(field.as_str())).collect();
            assert!(missing.is_empty(), "{} does not name {missing:?} of {}", page.display(), kind.name);
        }
    }
}

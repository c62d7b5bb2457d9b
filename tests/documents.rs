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

/// Every file of sources.
fn sources() -> Vec<(PathBuf, String)> {
    fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                collect(&path, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    let mut files = Vec::new();
    collect(&root().join("src"), &mut files);
    files.sort();
    files.into_iter().map(|file| (file.clone(), std::fs::read_to_string(&file).expect("a file"))).collect()
}

/// What the command says of itself, or of one of its commands; nothing if there is no such command.
fn help(words: &[&str]) -> Option<String> {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_tenantry")).args(words).arg("--help").output();
    let output = output.expect("the command starts");
    output.status.success().then(|| String::from_utf8(output.stdout).expect("text"))
}

#[test]
fn every_command_that_is_named_exists() {
    let mut wrong = BTreeSet::new();
    let mut named = 0;
    for (file, text) in pages().into_iter().chain(sources()) {
        // `tenantry WORD… --option`, as messages and pages write a command that can be typed.
        let spans = text.split("`tenantry ").skip(1).filter_map(|rest| rest.split_once('`'));
        for (span, _) in spans {
            let is_word = |word: &&str| word.chars().all(|c| c.is_ascii_lowercase()) && !word.is_empty();
            let words: Vec<&str> = span.split_whitespace().take_while(is_word).collect();
            let Some(first) = words.first() else { continue };
            named += 1;
            // What follows the command's name may be an argument.
            let said = help(&words).or_else(|| help(&[first]));
            let options = span.split_whitespace().filter(|word| word.starts_with("--"));
            let missing = match &said {
                None => Some(*first),
                Some(said) => options.map(|option| option.trim_end_matches('…')).find(|option| !said.contains(*option)),
            };
            if let Some(missing) = missing {
                wrong.insert(format!("{}: `tenantry {span}`: there is no `{missing}`", file.display()));
            }
        }
    }
    assert!(named > 10, "only {named} commands are named");
    assert!(wrong.is_empty(), "{}", wrong.into_iter().collect::<Vec<_>>().join("\n"));
}

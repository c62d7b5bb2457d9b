//! The borders between the rooms of `src/` (see `docs/architecture.md`), read from the sources themselves.
//!
//! Every path that code names (`use` trees and paths in expressions and types) is resolved to where it leads, and held
//! against one table. Comments and texts do not count.

#[path = "rooms/paths.rs"]
mod paths;

use std::path::{Path, PathBuf};

use paths::{Named, paths};

/// What a room may know.
struct Rule {
    /// The rooms that the rule is for. Of several that fit the longest counts.
    room: &'static str,
    /// The rooms that it may use besides itself.
    knows: &'static [&'static str],
    /// Paths outside the crate that it must not name; those of its tests are free.
    must_not: &'static [&'static [&'static str]],
}

const NETWORK: &[&str] = &["tokio", "reqwest", "sqlx", "git2", "std::net"];
const SURROUNDINGS: &[&str] =
    &["std::env", "std::process", "std::os", "std::io::stdin", "std::io::stdout", "std::io::stderr"];
const FILES: &[&str] = &["std::fs", "std::io::stdin"];
/// With a leading `*` whatever comes before: `use jiff::Timestamp` makes it `Timestamp::now`.
/// The runtime's own clock, which only measures how long something waits, is not among them: who may not wait may not use
/// the runtime either.
const CLOCK: &[&str] = &["*Timestamp::now", "*Zoned::now", "*SystemTime", "std::time::Instant", "*Instant::elapsed"];
const CHANCE: &[&str] = &["rand", "getrandom"];
const TERMINAL: &[&str] = &[
    "anstream",
    "anstyle",
    "annotate_snippets",
    "clap",
    "indicatif",
    "std::io::stdin",
    "std::io::stdout",
    "std::io::stderr",
];
const YAML: &[&str] = &["saphyr", "saphyr_parser", "serde_yaml", "yaml_serde"];

const RULES: &[Rule] = &[
    Rule { room: "core", knows: &[], must_not: &[NETWORK, SURROUNDINGS, FILES, CLOCK, CHANCE, TERMINAL, YAML] },
    Rule { room: "source", knows: &["core"], must_not: &[CLOCK, CHANCE, TERMINAL] },
    Rule { room: "secret", knows: &["core"], must_not: &[CLOCK, TERMINAL, YAML] },
    Rule { room: "store", knows: &["core"], must_not: &[TERMINAL, YAML] },
    Rule { room: "render", knows: &["core"], must_not: &[NETWORK, SURROUNDINGS, FILES, CLOCK, CHANCE, YAML] },
    // Every provider. None knows another.
    Rule {
        room: "provider::*",
        knows: &["core", "provider::contract", "provider::descriptions", "provider::transport"],
        must_not: &[SURROUNDINGS, TERMINAL, YAML],
    },
    // Requests over HTTP, for those that need them.
    Rule {
        room: "provider::transport",
        knows: &["core", "provider::contract"],
        must_not: &[SURROUNDINGS, TERMINAL, YAML],
    },
    // Objects as files are YAML; that of the estate stays as unknown to it as to the others. A cluster can keep secrets, so
    // it keeps the contract of secret stores.
    Rule {
        room: "provider::kubernetes",
        knows: &["core", "provider::contract", "secret"],
        must_not: &[SURROUNDINGS, TERMINAL],
    },
    Rule {
        room: "provider::contract",
        knows: &["core"],
        must_not: &[NETWORK, SURROUNDINGS, FILES, CLOCK, CHANCE, TERMINAL, YAML],
    },
    // The one place that names them all.
    Rule {
        room: "provider::registry",
        knows: &["core", "provider"],
        must_not: &[NETWORK, SURROUNDINGS, FILES, CLOCK, CHANCE, TERMINAL, YAML],
    },
    // It keeps simulated secrets as well, and so keeps the contract of secret stores.
    Rule {
        room: "provider::sandbox",
        knows: &["core", "provider::contract", "secret"],
        must_not: &[SURROUNDINGS, CLOCK, TERMINAL, YAML],
    },
    Rule { room: "provider", knows: &[], must_not: &[NETWORK, SURROUNDINGS, FILES, CLOCK, CHANCE, TERMINAL, YAML] },
    Rule {
        room: "engine",
        knows: &["core", "provider", "secret", "store"],
        must_not: &[SURROUNDINGS, CLOCK, CHANCE, TERMINAL, YAML],
    },
    Rule { room: "cli", knows: &["core", "source", "provider", "secret", "store", "engine", "render"], must_not: &[] },
    Rule { room: "main", knows: &["cli"], must_not: &[] },
    // Declares the rooms and uses none.
    Rule { room: "lib", knows: &[], must_not: &[] },
];

/// A file is read in one sitting.
const MOST_LINES: usize = 700;

fn rule_for(module: &[String]) -> Option<&'static Rule> {
    let fits = |rule: &Rule| {
        let steps: Vec<&str> = rule.room.split("::").collect();
        steps.len() <= module.len() && steps.iter().zip(module).all(|(step, name)| *step == "*" || step == name)
    };
    // An exact name counts more than a star of the same length.
    RULES.iter().filter(|rule| fits(rule)).max_by_key(|rule| (rule.room.split("::").count(), !rule.room.contains('*')))
}

fn is_below(path: &[String], room: &str) -> bool {
    let steps: Vec<&str> = room.split("::").collect();
    steps.len() <= path.len() && steps.iter().zip(path).all(|(step, name)| step == name)
}

fn is_outside(path: &[String], pattern: &str) -> bool {
    match pattern.strip_prefix('*') {
        Some(pattern) => {
            let steps: Vec<&str> = pattern.split("::").collect();
            path.windows(steps.len()).any(|window| window.iter().zip(&steps).all(|(name, step)| name == step))
        }
        None => is_below(path, pattern),
    }
}

/// The module that a file is: `core/diff/mod.rs` is `core::diff`.
fn module_of(file: &Path) -> Vec<String> {
    let mut module: Vec<String> =
        file.with_extension("").components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    if module.last().is_some_and(|name| name == "mod") {
        module.pop();
    }
    module
}

/// Every border that a file crosses. `file` is relative to `src/`.
fn breaches(file: &Path, text: &str) -> Vec<String> {
    let module = module_of(file);
    let Some(rule) = rule_for(&module) else {
        return vec![format!("{}: no rule says what this room may know", file.display())];
    };
    // A room of a provider is the provider, whatever the rule's star stands for.
    let room = &module[..rule.room.split("::").count()];
    let mut breaches = Vec::new();
    for Named { path, inside, in_test, line } in paths(&module, text) {
        let written = path.join("::");
        let crossed = if inside {
            let own = path.len() >= room.len() && path[..room.len()] == *room;
            !(own || path.is_empty() || rule.knows.iter().any(|known| is_below(&path, known)))
        } else {
            !in_test && rule.must_not.iter().any(|names| names.iter().any(|pattern| is_outside(&path, pattern)))
        };
        if crossed {
            let prefix = if inside { "crate::" } else { "" };
            breaches.push(format!("{}:{line}: `{}` must not use {prefix}{written}", file.display(), rule.room));
        }
    }
    breaches
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    for entry in entries {
        if entry.is_dir() {
            files_below(&entry, found);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            found.push(entry);
        }
    }
}

/// Every source file, relative to `src/`, with its text.
fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    files_below(&root, &mut files);
    assert!(files.len() > 50, "only {} files below {}", files.len(), root.display());
    files
        .into_iter()
        .map(|file| {
            let text = std::fs::read_to_string(&file).expect("a source is UTF-8");
            (file.strip_prefix(&root).expect("below src").to_owned(), text)
        })
        .collect()
}

#[test]
fn no_room_knows_more_than_it_may() {
    let found: Vec<String> = sources().iter().flat_map(|(file, text)| breaches(file, text)).collect();
    assert!(found.is_empty(), "borders are crossed:\n{}", found.join("\n"));
}

#[test]
fn every_file_can_be_read_in_one_sitting() {
    let long: Vec<String> = sources()
        .iter()
        .map(|(file, text)| (file, text.lines().count()))
        .filter(|(_, lines)| *lines > MOST_LINES)
        .map(|(file, lines)| format!("{}: {lines} lines, at most {MOST_LINES}", file.display()))
        .collect();
    assert!(long.is_empty(), "split these:\n{}", long.join("\n"));
}

#[test]
fn every_folder_begins_with_its_page() {
    let sources = sources();
    let folders: std::collections::BTreeSet<&Path> =
        sources.iter().filter_map(|(file, _)| file.parent()).filter(|folder| !folder.as_os_str().is_empty()).collect();
    let page_of = |folder: &Path| {
        let pages = [folder.join("mod.rs"), folder.with_extension("rs")];
        sources.iter().find(|(file, _)| pages.contains(file)).map(|(_, text)| text)
    };
    for folder in folders {
        let page = page_of(folder);
        assert!(page.is_some_and(|text| text.starts_with("//! ")), "src/{} has no page (`//! …`)", folder.display());
    }
    let (_, page) = sources.iter().find(|(file, _)| file == Path::new("lib.rs")).expect("lib.rs");
    assert!(page.starts_with("//! "), "src/lib.rs has no page");
}

#[test]
fn a_crossed_border_is_found() {
    for (file, text, crossed) in [
        ("core/mod.rs", "use crate::store;", "crate::store"),
        ("core/plan/mod.rs", "use crate::store::Store;", "crate::store::Store"),
        ("core/plan/mod.rs", "use crate::{core::diff, engine::{self, apply}};", "crate::engine"),
        ("core/plan/build.rs", "use super::super::super::store as record;", "crate::store"),
        ("core/mod.rs", "fn f() -> crate::render::style::Label { todo() }", "crate::render::style::Label"),
        ("core/mod.rs", "use std::{collections::BTreeMap, fs::{self, File}};", "std::fs"),
        ("core/mod.rs", "fn f() { let _ = std::env::var(\"HOME\"); }", "std::env::var"),
        ("core/mod.rs", "use jiff::Timestamp; fn f() { Timestamp::now(); }", "Timestamp::now"),
        ("core/mod.rs", "fn f() -> u8 { rand::random() }", "rand::random"),
        (
            "core/mod.rs",
            "/* not this: crate::cli */ async fn f() { tokio::task::yield_now().await }",
            "tokio::task::yield_now",
        ),
        ("source/yaml.rs", "use crate::provider::contract::Kind;", "crate::provider::contract::Kind"),
        ("secret/mod.rs", "use crate::store::contract::Store;", "crate::store::contract::Store"),
        ("store/mod.rs", "use crate::engine::run;", "crate::engine::run"),
        ("provider/postgres/read/mod.rs", "use super::super::sandbox::World;", "crate::provider::sandbox::World"),
        ("provider/postgres/mod.rs", "use crate::provider::registry;", "crate::provider::registry"),
        ("provider/other/mod.rs", "use crate::provider::postgres::Postgres;", "crate::provider::postgres::Postgres"),
        ("provider/other/mod.rs", "use crate::secret::contract::SecretStore;", "crate::secret::contract::SecretStore"),
        ("provider/other/mod.rs", "use saphyr_parser::Parser;", "saphyr_parser::Parser"),
        ("provider/other/mod.rs", "fn f() { indicatif::ProgressBar::new(1); }", "indicatif::ProgressBar::new"),
        ("render/plan.rs", "use crate::engine::apply::Report;", "crate::engine::apply::Report"),
        ("engine/run.rs", "use crate::cli::output::Output;", "crate::cli::output::Output"),
        ("engine/run.rs", "use crate::source;", "crate::source"),
        ("main.rs", "use tenantry::engine::apply;", "crate::engine::apply"),
        ("lib.rs", "pub mod core; pub use core::plan::Plan; use crate::core::plan::Plan;", "crate::core::plan::Plan"),
        ("attic/mod.rs", "", "no rule"),
    ] {
        let found = breaches(Path::new(file), text);
        assert!(found.iter().any(|breach| breach.contains(crossed)), "{file}: {text}\nfound {found:?}");
    }
}

#[test]
fn what_is_allowed_is_no_breach() {
    for (file, text) in [
        (
            "core/plan/build.rs",
            "use super::{Action, super::diff}; use crate::core::model::value::Value; use cel::Program;",
        ),
        (
            "core/mod.rs",
            "// use crate::store::Store;\n/// See [`crate::cli`] and std::fs.\n/* a /* nested */ crate::engine */",
        ),
        (
            "core/mod.rs",
            "const A: &str = \"crate::cli::x\"; const B: &str = r#\"std::fs \"quoted\" crate::store\"#; const C: char = '\"';",
        ),
        ("core/mod.rs", "fn f<'a>(a: &'a str) -> &'a str { a } // 'b: std::net"),
        ("core/mod.rs", "#[cfg(test)]\nmod tests { use super::*; use std::fs; fn f() { std::time::Instant::now(); } }"),
        ("core/model/value.rs", "mod deep { use super::super::address::Address; }"),
        ("provider/other/read.rs", "use super::types::Spec; use crate::provider::contract::Reader; use sqlx::Row;"),
        ("provider/sandbox/secrets.rs", "use crate::secret::contract::SecretStore;"),
        ("provider/mod.rs", "pub mod contract; pub mod postgres;"),
        ("cli/apply.rs", "use crate::{engine, render, store}; use clap::Parser;"),
        ("main.rs", "fn main() { tenantry::cli::main() }"),
    ] {
        assert_eq!(breaches(Path::new(file), text), [""; 0], "{file}: {text}");
    }
}

/// What `#[cfg(test)]` covers ends with its block.
#[test]
fn only_tests_may_touch_the_world() {
    let text = "#[cfg(test)]\nmod tests { mod deep { use std::fs; } }\nuse std::env;";
    let found = breaches(Path::new("core/mod.rs"), text);
    assert_eq!(found, ["core/mod.rs:3: `core` must not use std::env"]);
}

//! What the compiler cannot see of the borders between the rooms of `src/` (see `docs/architecture.md`).
//!
//! Each room is a crate. Which crates it depends on is read from its manifest and compared with one table; so are the paths
//! outside the workspace that its sources name, such as the clock or the network. Comments and texts do not count.

#[path = "rooms/paths.rs"]
mod paths;

use std::path::{Path, PathBuf};

use paths::{Named, paths};

/// What a room may know.
struct Rule {
    /// Its folder below `src/`. A star stands for any name; an exact name counts more.
    room: &'static str,
    /// The crates of the workspace that its manifest may name.
    knows: &'static [&'static str],
    /// Paths outside the workspace that it must not name; those of its tests are free.
    must_not: &'static [&'static [&'static str]],
}

const NETWORK: &[&str] = &["tokio", "reqwest", "sqlx", "git2", "std::net"];
const CONNECTIONS: &[&str] = &["tokio::net", "reqwest", "sqlx", "git2", "std::net"];
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

const REQUESTS: &[&str] = &["reqwest"];

/// What of the contract's crate only tests may name: it writes whether or not a lock is held.
const SUITE: &str = "tenantry_provider::conformance";

const RULES: &[Rule] = &[
    Rule { room: "core", knows: &[], must_not: &[NETWORK, SURROUNDINGS, FILES, CLOCK, CHANCE, TERMINAL, YAML] },
    Rule { room: "source", knows: &["core"], must_not: &[CLOCK, CHANCE, TERMINAL, REQUESTS] },
    Rule { room: "secret", knows: &["core"], must_not: &[CLOCK, TERMINAL, YAML, REQUESTS] },
    Rule { room: "store", knows: &["core"], must_not: &[TERMINAL, YAML, REQUESTS] },
    Rule { room: "render", knows: &["core"], must_not: &[NETWORK, SURROUNDINGS, FILES, CLOCK, CHANCE, YAML] },
    // The contract. It joins nothing and reaches nothing; its suite waits for what a target takes time to do.
    Rule {
        room: "provider",
        knows: &["core"],
        must_not: &[CONNECTIONS, SURROUNDINGS, FILES, CLOCK, CHANCE, TERMINAL, YAML],
    },
    // Every provider. None knows another, and none sends a request past the shared transport.
    Rule {
        room: "provider/*",
        knows: &["core", "kit", "provider", "transport"],
        must_not: &[SURROUNDINGS, TERMINAL, YAML, REQUESTS],
    },
    // The one crate that sends requests over HTTP.
    Rule { room: "provider/transport", knows: &["core", "provider"], must_not: &[SURROUNDINGS, TERMINAL, YAML] },
    // What every provider is made with. It opens nothing itself.
    Rule {
        room: "provider/kit",
        knows: &["core", "provider", "transport"],
        must_not: &[CONNECTIONS, SURROUNDINGS, FILES, CHANCE, TERMINAL, YAML],
    },
    // Objects as files are YAML; the estate's own YAML stays as unknown to it as to the others. A cluster can keep secrets, so
    // it keeps the contract of secret stores.
    Rule {
        room: "provider/kubernetes",
        knows: &["core", "kit", "provider", "transport", "secret"],
        must_not: &[SURROUNDINGS, TERMINAL, REQUESTS],
    },
    // The one crate that names them all.
    Rule {
        room: "provider/registry",
        knows: &["core", "provider", "http", "kubernetes", "mysql", "postgres", "rabbitmq", "redis", "s3", "stripe"],
        must_not: &[NETWORK, SURROUNDINGS, FILES, CLOCK, CHANCE, TERMINAL, YAML],
    },
    // It keeps simulated secrets as well, and so keeps the contract of secret stores.
    Rule {
        room: "provider/sandbox",
        knows: &["core", "provider", "secret"],
        must_not: &[SURROUNDINGS, CLOCK, TERMINAL, YAML, REQUESTS],
    },
    // It knows no provider by name; the sandbox stands in for all of them.
    Rule {
        room: "engine",
        knows: &["core", "provider", "sandbox", "secret", "store"],
        must_not: &[SURROUNDINGS, CLOCK, CHANCE, TERMINAL, YAML, REQUESTS],
    },
    Rule {
        room: "import",
        knows: &["core", "kubernetes"],
        must_not: &[NETWORK, SURROUNDINGS, CLOCK, CHANCE, TERMINAL, YAML],
    },
    Rule {
        room: "cli",
        knows: &[
            "core",
            "engine",
            "import",
            "kubernetes",
            "provider",
            "registry",
            "render",
            "sandbox",
            "secret",
            "source",
            "store",
            "transport",
        ],
        must_not: &[REQUESTS],
    },
];

/// A file is read in one sitting.
const MOST_LINES: usize = 700;

fn rule_for(room: &Path) -> Option<&'static Rule> {
    let steps: Vec<_> = room.components().map(|step| step.as_os_str().to_string_lossy().into_owned()).collect();
    let fits = |rule: &Rule| {
        let names: Vec<&str> = rule.room.split('/').collect();
        names.len() == steps.len() && names.iter().zip(&steps).all(|(name, step)| *name == "*" || name == step)
    };
    // An exact name counts more than a star.
    RULES.iter().filter(|rule| fits(rule)).max_by_key(|rule| !rule.room.contains('*'))
}

/// The room that a file belongs to: the nearest folder that has a manifest.
fn room_of(file: &Path, rooms: &[PathBuf]) -> Option<PathBuf> {
    file.ancestors().skip(1).find(|folder| rooms.iter().any(|room| room == folder)).map(Path::to_owned)
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

/// Every path that a file of a room names and must not. `file` is relative to `src/`.
fn breaches(room: &Path, file: &Path, text: &str) -> Vec<String> {
    let Some(rule) = rule_for(room) else {
        return vec![format!("{}: no rule says what this room may know", file.display())];
    };
    let crossed = |named: &Named| {
        let mut names = rule.must_not.iter().flat_map(|names| names.iter().copied()).chain([SUITE]);
        let mut is_forbidden = || names.any(|name| is_outside(&named.path, name));
        !named.inside && !named.in_test && is_forbidden()
    };
    let breach = |Named { path, line, .. }: Named| {
        format!("{}:{line}: `{}` must not use {}", file.display(), rule.room, path.join("::"))
    };
    paths(&module_of(file), text).into_iter().filter(crossed).map(breach).collect()
}

/// Every crate of the workspace that a room's manifest names and must not. Those of its tests are free.
fn wrong_dependencies(room: &Path, manifest: &str) -> Vec<String> {
    let Some(rule) = rule_for(room) else {
        return vec![format!("{}: no rule says what this room may know", room.display())];
    };
    let manifest: toml::Table = manifest.parse().expect("a manifest");
    let dependencies = manifest.get("dependencies").and_then(toml::Value::as_table);
    let names = dependencies.into_iter().flat_map(|table| table.keys());
    let own = names.filter_map(|name| name.strip_prefix("tenantry-"));
    own.filter(|name| !rule.knows.contains(name))
        .map(|name| format!("{}: `{}` must not depend on tenantry-{name}", room.display(), rule.room))
        .collect()
}

/// The rooms: every folder below `src/` that has a manifest, relative to it.
fn rooms() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut manifests = Vec::new();
    files_below(&root, "toml", &mut manifests);
    manifests.retain(|file| file.ends_with("Cargo.toml"));
    let room = |file: &PathBuf| {
        let folder = file.parent().and_then(|folder| folder.strip_prefix(&root).ok()).expect("below src");
        (folder.to_owned(), std::fs::read_to_string(file).expect("a manifest"))
    };
    manifests.iter().map(room).collect()
}

fn files_below(folder: &Path, wanted: &str, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    for entry in entries {
        if entry.is_dir() {
            files_below(&entry, wanted, found);
        } else if entry.extension().is_some_and(|extension| extension == wanted) {
            found.push(entry);
        }
    }
}

/// Every source file, relative to `src/`, with its text.
fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    files_below(&root, "rs", &mut files);
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
fn no_room_depends_on_more_than_it_may() {
    let rooms = rooms();
    assert!(rooms.len() > 15, "only {} rooms", rooms.len());
    let found: Vec<String> = rooms.iter().flat_map(|(room, manifest)| wrong_dependencies(room, manifest)).collect();
    assert!(found.is_empty(), "borders are crossed:\n{}", found.join("\n"));
}

#[test]
fn no_room_touches_what_it_must_not() {
    let rooms: Vec<PathBuf> = rooms().into_iter().map(|(room, _)| room).collect();
    let mut found = Vec::new();
    for (file, text) in sources() {
        match room_of(&file, &rooms) {
            Some(room) => found.extend(breaches(&room, &file, &text)),
            // The package itself: its page and its entry point.
            None => assert!(["lib.rs", "main.rs"].iter().any(|name| file == Path::new(name)), "{}", file.display()),
        }
    }
    assert!(found.is_empty(), "borders are crossed:\n{}", found.join("\n"));
}

/// Streams, and what writes to them by itself. Whatever is printed goes through the one file that has them, which shows
/// what would otherwise act on a terminal.
const STREAMS: &[&str] = &["std::io::stdout", "std::io::stderr", "*io::stdout", "*io::stderr", "anstream", "indicatif"];
/// The files that may name them.
const PRINTERS: &[(&str, &[&str])] = &[
    ("cli/output.rs", STREAMS),
    // Draws a bar, whose texts it shows as lines are shown.
    ("cli/progress.rs", &["indicatif"]),
    // Only asks what was chosen.
    ("cli/arguments/mod.rs", &["anstream"]),
];

/// Every place of a file that prints past the one that may.
fn printing(file: &Path, text: &str) -> Vec<String> {
    let allowed = PRINTERS.iter().find(|(printer, _)| file == Path::new(printer)).map_or(&[][..], |(_, names)| names);
    let prints = |named: &Named| {
        let names = STREAMS.iter().filter(|name| !allowed.contains(name));
        !named.in_test && names.into_iter().any(|name| is_outside(&named.path, name))
    };
    let found = paths(&module_of(file), text).into_iter().filter(prints);
    found.map(|named| format!("{}:{}: {}", file.display(), named.line, named.path.join("::"))).collect()
}

#[test]
fn nothing_is_printed_but_where_it_is_made_visible() {
    let found: Vec<String> = sources().iter().flat_map(|(file, text)| printing(file, text)).collect();
    assert!(found.is_empty(), "goes past `cli/output.rs`:\n{}", found.join("\n"));
    let past = "fn f() { let _ = writeln!(std::io::stderr(), \"{}\", 1); }";
    assert_eq!(printing(Path::new("cli/apply.rs"), past).len(), 1);
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
    for (room, file, text, crossed) in [
        ("core", "core/mod.rs", "use std::{collections::BTreeMap, fs::{self, File}};", "std::fs"),
        ("core", "core/mod.rs", "fn f() { let _ = std::env::var(\"HOME\"); }", "std::env::var"),
        ("core", "core/mod.rs", "use jiff::Timestamp; fn f() { Timestamp::now(); }", "Timestamp::now"),
        ("core", "core/mod.rs", "fn f() -> u8 { rand::random() }", "rand::random"),
        (
            "core",
            "core/mod.rs",
            "/* not this: std::net */ async fn f() { tokio::task::yield_now().await }",
            "tokio::task::yield_now",
        ),
        ("provider/other", "provider/other/mod.rs", "use saphyr_parser::Parser;", "saphyr_parser::Parser"),
        ("provider/other", "provider/other/read.rs", "fn f() { reqwest::get(\"\"); }", "reqwest::get"),
        ("provider/other", "provider/other/mod.rs", "fn f() { indicatif::ProgressBar::new(1); }", "indicatif::"),
        (
            "engine",
            "engine/run/mod.rs",
            "use tenantry_provider::{conformance::WriteUnguarded as _, contract::Writer};",
            "tenantry_provider::conformance::WriteUnguarded",
        ),
        ("attic", "attic/mod.rs", "", "no rule"),
    ] {
        let found = breaches(Path::new(room), Path::new(file), text);
        assert!(found.iter().any(|breach| breach.contains(crossed)), "{file}: {text}\nfound {found:?}");
    }
    for (room, dependency) in [
        ("core", "store"),
        ("source", "provider"),
        ("secret", "store"),
        ("store", "engine"),
        ("provider/postgres", "sandbox"),
        ("provider/postgres", "registry"),
        ("provider/other", "postgres"),
        ("provider/other", "secret"),
        ("render", "engine"),
        ("engine", "cli"),
        ("engine", "kubernetes"),
    ] {
        let manifest = format!("[dependencies]\ntenantry-{dependency}.workspace = true\n");
        assert_eq!(wrong_dependencies(Path::new(room), &manifest).len(), 1, "{room} on {dependency}");
    }
}

#[test]
fn what_is_allowed_is_no_breach() {
    for (room, file, text) in [
        ("core", "core/plan/build.rs", "use super::{Action, super::diff}; use cel::Program;"),
        ("core", "core/mod.rs", "// use rand::Rng;\n/// See std::fs.\n/* a /* nested */ std::env */"),
        (
            "core",
            "core/mod.rs",
            "const A: &str = \"std::fs::x\"; const B: &str = r#\"std::fs \"quoted\"\"#; const C: char = '\"';",
        ),
        ("core", "core/mod.rs", "fn f<'a>(a: &'a str) -> &'a str { a } // 'b: std::net"),
        (
            "core",
            "core/mod.rs",
            "#[cfg(test)]\nmod tests { use super::*; use std::fs; fn f() { std::time::Instant::now(); } }",
        ),
        ("provider/other", "provider/other/read.rs", "use super::types::Spec; use sqlx::Row;"),
        ("provider/transport", "provider/transport/mod.rs", "use reqwest::Client;"),
    ] {
        assert_eq!(breaches(Path::new(room), Path::new(file), text), [""; 0], "{file}: {text}");
    }
    let manifest =
        "[dependencies]\ntenantry-core.workspace = true\n[dev-dependencies]\ntenantry-cli.workspace = true\n";
    assert_eq!(wrong_dependencies(Path::new("provider/other"), manifest), [""; 0]);
}

/// What `#[cfg(test)]` covers ends with its block.
#[test]
fn only_tests_may_touch_the_world() {
    let text = "#[cfg(test)]\nmod tests { mod deep { use std::fs; } }\nuse std::env;";
    let found = breaches(Path::new("core"), Path::new("core/mod.rs"), text);
    assert_eq!(found, ["core/mod.rs:3: `core` must not use std::env"]);
}

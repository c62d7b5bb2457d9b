//! The documentation says what is so, as far as a program can tell.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tenantry_core::diagnostics::codes;
use tenantry_core::model::kind::Kind;
use tenantry_source::TargetForms;

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

/// A page's lines that are not within a fenced block.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_fence && !is_code
    })
}

/// What the links of a page lead to.
fn links(text: &str) -> Vec<String> {
    let text = prose(text).collect::<Vec<_>>().join("\n");
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    targets.map(|(link, _)| link.to_owned()).collect()
}

/// The anchors of a page's headings, as GitHub and mdBook make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    for heading in prose(text).filter(|line| line.starts_with('#')) {
        let title = heading.trim_start_matches('#').trim().to_lowercase();
        // Of a link, only the words are shown.
        let title: String =
            title.split("](").map(|part| part.rsplit_once(')').map_or(part, |(_, rest)| rest)).collect();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | ' '));
        let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let mut name = anchor.clone();
        let mut number = 0;
        while !anchors.insert(name) {
            number += 1;
            name = format!("{anchor}-{number}");
        }
    }
    anchors
}

#[test]
fn every_link_leads_somewhere() {
    let mut lost = Vec::new();
    let (pages, docs) = (pages(), root().join("docs"));
    for (page, text) in &pages {
        let folder = page.parent().expect("a folder");
        for link in links(text).iter().filter(|link| !link.starts_with("https://")) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { page.clone() } else { folder.join(path) };
            let Ok(target) = target.canonicalize() else {
                lost.push(format!("{}: {link}", page.display()));
                continue;
            };
            // The book makes pages of its own pages only.
            let is_of_book = target.starts_with(&docs) && !target.ends_with("SUMMARY.md");
            if page.starts_with(&docs) && link.contains(".md") && !is_of_book {
                lost.push(format!("{}: {link}: the book has no such page", page.display()));
            }
            let text = pages.iter().find(|(page, _)| *page == target).map(|(_, text)| text);
            if !anchor.is_empty() && text.is_some_and(|text| !anchors(text).contains(anchor)) {
                lost.push(format!("{}: {link}: the page has no such heading", page.display()));
            }
        }
    }
    assert!(lost.is_empty(), "these links lead nowhere:\n{}", lost.join("\n"));
}

#[test]
fn headings_have_the_anchors_that_they_are_linked_with() {
    let page = "# A `b.c`: d/e\n## Two\n```\n# no heading\n```\n## Two\n### [Link](x.md) too\n";
    assert_eq!(anchors(page).into_iter().collect::<Vec<_>>(), ["a-bc-de", "link-too", "two", "two-1"]);
    assert_eq!(links("[a](b.md#c) `x`\n```\n[no](link)\n```\n[d](e)"), ["b.md#c", "e"]);
}

#[test]
fn every_page_is_in_the_book_once() {
    let docs = root().join("docs");
    let contents = std::fs::read_to_string(docs.join("SUMMARY.md")).expect("the book's contents");
    let mut listed = links(&contents);
    listed.sort();
    let within = pages().into_iter().filter_map(|(page, _)| page.strip_prefix(&docs).ok().map(Path::to_owned));
    let mut written: Vec<String> = within.map(|page| page.to_string_lossy().into_owned()).collect();
    written.retain(|page| page != "SUMMARY.md");
    written.sort();
    assert_eq!(listed, written);
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
fn every_field_that_a_kind_describes_exists() {
    let described = |kind: &Kind| {
        let lists = [kind.reviewed, kind.write_only, kind.sensitive, kind.owned_by_key, kind.immutable];
        lists.concat()
    };
    for provider in tenantry_registry::providers() {
        for kind in provider.kinds() {
            // The spec of an object of Kubernetes is the object, whose schema is the cluster's.
            let Some(fields) = kind.schema.as_value()["properties"].as_object().filter(|_| kind.by_spec.is_none())
            else {
                continue;
            };
            for pointer in described(&kind) {
                let field = pointer.split('/').nth(1).expect("a pointer begins with a slash");
                assert!(fields.contains_key(field), "{} has no field {pointer}", kind.name);
            }
        }
    }
}

/// Every schema that is published, with its file.
fn schemas() -> Vec<(&'static str, serde_json::Value)> {
    let providers = tenantry_registry::providers();
    let settings = providers.iter().map(|provider| (provider.name(), provider.settings_schema()));
    tenantry_source::schemas::schemas(&TargetForms::new(settings))
}

#[expect(clippy::disallowed_methods, reason = "tests are told by the environment to rewrite what they expect")]
#[test]
fn the_schemas_in_the_repository_are_current() {
    /// Set to `1` to rewrite the files.
    const BLESS: &str = "TENANTRY_BLESS";
    let mut stale = Vec::new();
    for (name, schema) in schemas() {
        let text = format!("{schema:#}\n");
        let path = root().join("schemas").join(name);
        if std::fs::read_to_string(&path).ok().as_ref() == Some(&text) {
            continue;
        }
        if std::env::var_os(BLESS).is_some() {
            std::fs::write(&path, text).expect("the schema can be written");
        } else {
            stale.push(name);
        }
    }
    assert!(stale.is_empty(), "{stale:?} are not current: run `{BLESS}=1 cargo test --test all documents` and commit");
}

/// Providers as pages call them.
const PROVIDERS: [(&str, &str); 8] = [
    ("http", "any REST API"),
    ("kubernetes", "Kubernetes"),
    ("mysql", "MySQL and MariaDB"),
    ("postgres", "PostgreSQL"),
    ("rabbitmq", "RabbitMQ"),
    ("redis", "Redis"),
    ("s3", "S3"),
    ("stripe", "Stripe"),
];

/// Every page that the code describes itself with.
fn generated() -> Vec<(String, String)> {
    use tenantry_core::reference;
    let providers = tenantry_registry::providers();
    let settings = providers.iter().map(|provider| (provider.name(), provider.settings_schema()));
    let targets = TargetForms::new(settings);
    let mut pages = vec![
        ("findings.md".to_owned(), tenantry_core::rules::page::markdown(&tenantry_registry::rules())),
        ("reference/codes.md".to_owned(), reference::codes::page()),
        ("reference/commands.md".to_owned(), tenantry_cli::reference::commands()),
        ("reference/configuration.md".to_owned(), tenantry_source::reference::configuration(&targets)),
        ("reference/document-fields.md".to_owned(), tenantry_source::reference::documents()),
        ("reference/environment-variables.md".to_owned(), tenantry_cli::reference::environment_variables()),
        ("reference/events.md".to_owned(), tenantry_cli::reference::events()),
        ("reference/exit-codes.md".to_owned(), tenantry_cli::reference::exit_codes()),
        ("reference/functions.md".to_owned(), tenantry_core::expression::page::page()),
        ("reference/metrics.md".to_owned(), tenantry_render::drift::metrics::page()),
    ];
    let all: Vec<Kind> = providers.iter().flat_map(|provider| provider.kinds()).collect();
    pages.push(("reference/kinds.md".to_owned(), reference::kinds::index(&all)));
    for provider in &providers {
        let name = provider.name();
        let title = PROVIDERS.iter().find(|(known, _)| *known == name).map(|(_, title)| *title);
        let title = title.unwrap_or_else(|| panic!("{name} has no title here"));
        pages.push((format!("reference/{name}.md"), reference::kinds::page(title, name, &provider.kinds())));
    }
    pages
}

#[expect(clippy::disallowed_methods, reason = "tests are told by the environment to rewrite what they expect")]
#[test]
fn generated_pages_are_current() {
    let mut stale = Vec::new();
    for (name, text) in generated() {
        let path = root().join("docs").join(&name);
        if std::fs::read_to_string(&path).ok().as_ref() == Some(&text) {
            continue;
        }
        if std::env::var_os("TENANTRY_BLESS").is_some() {
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(&path, text).expect("the page can be written");
        } else {
            stale.push(name);
        }
    }
    assert!(
        stale.is_empty(),
        "{stale:?} in docs/ are not current: run `TENANTRY_BLESS=1 cargo test --workspace --test all documents` and commit"
    );
}

#[test]
fn the_reference_describes_every_field() {
    let mut bare = Vec::new();
    for (name, text) in generated() {
        for row in text.lines().filter(|line| line.starts_with("| `") && line.ends_with("|  |")) {
            bare.push(format!("docs/{name}: {row}"));
        }
    }
    assert!(bare.is_empty(), "a doc comment is missing:\n{}", bare.join("\n"));
}

#[test]
fn every_variable_that_is_read_is_described() {
    let page = tenantry_cli::reference::environment_variables();
    let mut undescribed = BTreeSet::new();
    for (file, text) in
        sources().into_iter().filter(|(file, _)| !file.components().any(|part| part.as_os_str() == "tests"))
    {
        for (at, _) in text.match_indices("\"TENANTRY_") {
            let name: String = text[at + 1..].chars().take_while(|c| c.is_ascii_uppercase() || *c == '_').collect();
            // Compiled for tests only.
            if name != "TENANTRY_HALT_AT" && !page.contains(&format!("| `{name}` |")) {
                undescribed.insert(format!("{}: {name}", file.display()));
            }
        }
    }
    assert!(undescribed.is_empty(), "{undescribed:#?}");
}

#[test]
fn every_code_of_a_rule_has_one_rule_with_its_text_and_a_case() {
    let rules = tenantry_registry::rules();
    let codes: Vec<&str> = rules.iter().map(|rule| rule.code.0).collect();
    let known: Vec<&str> = codes::of_rules().map(|(code, _)| code.0).collect();
    assert_eq!(codes, known);
    let cases: BTreeSet<String> = std::fs::read_dir(root().join("tests/cases/rules"))
        .expect("cases")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().chars().take(6).collect())
        .collect();
    for rule in rules {
        let code = rule.code.0;
        for text in [rule.cause, rule.example, rule.remedy] {
            assert!(!text.trim().is_empty() && text.lines().all(|line| line == line.trim_end()), "{code}: {text}");
        }
        assert!(rule.cause.ends_with('.') && rule.remedy.ends_with('.'), "{code}");
        assert!(cases.contains(code), "{code} has no case in tests/cases/rules");
    }
}

#[test]
fn every_schema_is_a_valid_schema_that_describes_every_field() {
    let mut bare = Vec::new();
    for (name, schema) in schemas() {
        assert!(jsonschema::meta::is_valid(&schema), "{name}");
        for (definition, body) in schema["$defs"].as_object().into_iter().flatten() {
            for (field, property) in body["properties"].as_object().into_iter().flatten() {
                if property.get("description").is_none() && property.get("$ref").is_none() {
                    bare.push(format!("{name}: {definition}.{field}"));
                }
            }
        }
    }
    assert!(bare.is_empty(), "{bare:#?}");
}

/// What a provider does not know is refused before anything is connected, which it can only be where the form is closed.
#[test]
fn the_settings_of_every_provider_are_closed_and_described() {
    for provider in tenantry_registry::providers() {
        let schema = serde_json::Value::from(provider.settings_schema());
        assert_eq!(schema["additionalProperties"], false, "{}", provider.name());
    }
    let config = schemas().into_iter().find(|(name, _)| *name == "tenantry.v1.schema.json").expect("published").1;
    let validator = jsonschema::validator_for(&config).expect("a valid schema");
    let target = |target: serde_json::Value| {
        validator.is_valid(&serde_json::json!({"estate": {"name": "shop"}, "targets": {"db": target}}))
    };
    assert!(target(serde_json::json!({"provider": "postgres", "url": "env:URL", "sandbox": true})));
    assert!(!target(serde_json::json!({"provider": "postgres", "url": "env:URL", "sanbox": true})));
    assert!(!target(serde_json::json!({"provider": "postgres", "url": 5})));
    let part = |part: serde_json::Value| {
        let environments = serde_json::json!({"prod": {"targets": {"db": part}}});
        validator.is_valid(&serde_json::json!({"estate": {"name": "shop"}, "environments": environments}))
    };
    assert!(part(serde_json::json!({"sandbox": false, "url": "env:URL"})));
    assert!(!part(serde_json::json!({"sanbox": false})));
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

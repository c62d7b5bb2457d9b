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

#[expect(clippy::disallowed_methods, reason = "tests are told by the environment to rewrite what they expect")]
#[test]
fn the_page_of_findings_is_current() {
    let path = root().join("docs/findings.md");
    let text = tenantry_core::rules::page::markdown(&tenantry_registry::rules());
    if std::env::var_os("TENANTRY_BLESS").is_some() {
        std::fs::write(&path, &text).expect("the page can be written");
    }
    let current = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(current == text, "docs/findings.md is not current: run `TENANTRY_BLESS=1 cargo test --test all documents`");
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

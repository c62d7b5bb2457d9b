//! Whatever stands in a file, reading it ends with an estate or with messages, never with a panic.

use std::fs;

use assert_fs::TempDir;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use tenantry_core::diagnostics::has_errors;
use tenantry_render::diagnostics::{write_json, write_text};
use tenantry_render::page::Page;
use tenantry_source::{Options, Place, load};

const CONFIG: &str = "[estate]\nname = \"shop\"\n[limits]\nmax_deletes = \"5%\"\n[targets.db]\nprovider = \"postgres\"\nurl = \"env:URL\"\n";

const DOCUMENTS: &str = "apiVersion: tenantry.dev/v1
kind: Tenant
metadata: {name: acme, labels: {région: \"é\"}, previously: [old]}
spec:
  displayName: Acme
  tier: pro
  phase: active
  quotas: {users: 150, storage: 500Gi}
  values: &v {a: [1, 2.5, yes, ~], b: *v2}
---
apiVersion: tenantry.dev/v1
kind: Tier
metadata: {name: pro}
spec: {rank: 1, blueprints: [saas], price: {currency: usd, amount: \"1.00\", interval: month}}
---
apiVersion: tenantry.dev/v1
kind: Blueprint
metadata: {name: saas}
spec:
  scope: tenant
  resources:
    - id: schema
      kind: postgres.schema
      when: \"${tenant.phase == 'active'}\"
      forEach: [a, b]
      spec: {name: |
        text
      }
";

/// Pieces that mean something to YAML, TOML or the reader.
fn fragment() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "\n",
            "  ",
            "- ",
            ": ",
            "? ",
            "[",
            "]",
            "{",
            "}",
            ",",
            "&a ",
            "*a",
            "!!int ",
            "!x ",
            "|\n",
            ">-\n",
            "'",
            "\"",
            "# ",
            "---\n",
            "...\n",
            "%TAG ! x\n",
            "<<: ",
            "~",
            "yes",
            "1e999",
            ".nan",
            "99999999999999999999",
            "\t",
            "\r",
            "\r\n",
            "é",
            "\u{feff}",
            "\u{9b}",
            "\0",
            "= ",
            "\"\"\"",
            "apiVersion: tenantry.dev/v1\n",
            "kind: Tenant\n",
            "null",
            "\u{1f600}",
            "\\",
            "0x",
            "spec:",
            "metadata:",
            "quotas: {a: -1}",
            "/",
            "~1",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,5}",
        any::<char>().prop_map(String::from),
    ]
}

/// A text of which some ranges were removed, repeated or replaced.
fn mutated(text: &'static str) -> impl Strategy<Value = String> {
    prop::collection::vec((any::<prop::sample::Index>(), 0_usize..20, fragment(), any::<bool>()), 1..6).prop_map(
        move |changes| {
            changes.into_iter().fold(text.to_owned(), |text, (at, length, replacement, keep)| {
                let characters: Vec<char> = text.chars().collect();
                let start = at.index(characters.len() + 1);
                let end = (start + length).min(characters.len());
                let kept: String = if keep { characters[start..end].iter().collect() } else { String::new() };
                characters[..start].iter().collect::<String>()
                    + &replacement
                    + &kept
                    + &characters[end..].iter().collect::<String>()
            })
        },
    )
}

fn check(config: &str, document: &[u8], schema: Option<&str>) {
    let folder = TempDir::new().expect("a temporary folder");
    fs::create_dir(folder.path().join("tenants")).expect("a folder");
    fs::create_dir(folder.path().join("schemas")).expect("a folder");
    fs::write(folder.path().join("tenantry.toml"), config).expect("written");
    fs::write(folder.path().join("tenants/a.yaml"), document).expect("written");
    if let Some(schema) = schema {
        fs::write(folder.path().join("schemas/tenant.schema.json"), schema).expect("written");
    }
    let loaded = load(&Place::Directory(folder.path().to_owned()), Options { threads: 1, ..Options::default() });
    assert_eq!(loaded.estate.is_some(), !has_errors(&loaded.diagnostics));
    let mut out = Vec::new();
    write_text(&mut Page::new(&mut out), &loaded.diagnostics, &loaded.files, false).expect("writing to memory");
    write_json(&mut out, &loaded.diagnostics, &loaded.files).expect("writing to memory");
    let out = String::from_utf8(out).expect("messages are UTF-8");
    let control = out.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(control, None, "messages hold no control characters");
    for diagnostic in &loaded.diagnostics {
        assert!(
            !diagnostic.message.contains("cannot be read: "),
            "what passes the checks has its type: {diagnostic:?}"
        );
        let label = diagnostic.label.as_ref().expect("a place");
        let length = loaded.files.get(label.origin.file).text.len();
        assert!(label.origin.span.start as usize <= length && label.origin.span.end as usize <= length);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases.max(512),
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("tests/source/properties.seeds"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_text_is_read_or_refused(fragments in prop::collection::vec(fragment(), 0..60)) {
        let text = fragments.concat();
        check(CONFIG, text.as_bytes(), None);
        check(&text, DOCUMENTS.as_bytes(), Some(&text));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check(CONFIG, &bytes, None);
    }

    #[test]
    fn changed_documents_are_read_or_refused(text in mutated(DOCUMENTS)) {
        check(CONFIG, text.as_bytes(), Some(r#"{"properties": {"a": {"items": {"type": "integer"}}, "b": {"anyOf": [{"type": "string"}, {"required": ["c"]}]}}, "required": ["d"]}"#));
    }

    #[test]
    fn a_changed_configuration_is_read_or_refused(text in mutated(CONFIG)) {
        check(&text, DOCUMENTS.as_bytes(), None);
    }
}

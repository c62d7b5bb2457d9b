//! What a terminal and a log get to see: nothing that acts on them, and nothing personal, whichever command says it.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use assert_fs::TempDir;

use crate::command::{Said, run};

/// Clears the screen, sets a title, begins a line of its own, and turns the reading direction.
const NAME: &str = "Acme\u{1b}[2J\u{1b}]0;owned\u{7}\r\n0 to delete.\u{9b}31m\u{202e}dtL\u{200b}";
const MAIL: &str = "ann.example@tenant.example";
const LITERAL: &str = "literal-of-a-secret";

const TARGETS: &str = r#"
[estate]
name = "shown"
[targets.billing]
provider = "stripe"
sandbox = true
[targets.cluster]
provider = "kubernetes"
sandbox = true
"#;

const BLUEPRINT: &str = r#"
apiVersion: tenantry.dev/v1
kind: Blueprint
metadata: {name: saas}
spec:
  scope: tenant
  resources:
    - id: customer
      kind: stripe.customer
      spec: {key: "${tenant.name}", name: "${tenant.displayName}", email: "${tenant.contacts.primary.email}"}
    - id: space
      kind: kubernetes.object
      spec: {apiVersion: v1, kind: Namespace, metadata: {name: "${tenant.name}"}}
    - id: settings
      kind: kubernetes.object
      spec:
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: settings, namespace: "${tenant.name}"}
        data: {owner: "${tenant.contacts.primary.email}", title: "${tenant.displayName}"}
    - id: credentials
      kind: kubernetes.object
      spec:
        apiVersion: v1
        kind: Secret
        metadata: {name: credentials, namespace: "${tenant.name}"}
        stringData: {token: literal-of-a-secret}
"#;

fn estate(targets: &str, blueprint: &str, name: &str) -> TempDir {
    let folder = TempDir::new().expect("a folder");
    let tenant = serde_json::json!({
        "apiVersion": "tenantry.dev/v1", "kind": "Tenant", "metadata": {"name": "acme"},
        "spec": {
            "displayName": name, "tier": "basic", "phase": "active",
            "contacts": {"primary": {"name": "Ann", "email": MAIL}},
        },
    });
    let tier =
        "apiVersion: tenantry.dev/v1\nkind: Tier\nmetadata: {name: basic}\nspec: {rank: 1, blueprints: [saas]}\n";
    std::fs::create_dir_all(folder.path().join("tenants")).expect("a folder");
    for (file, text) in [
        ("tenantry.toml", targets),
        ("tenants/blueprint.yaml", blueprint),
        ("tenants/tier.yaml", tier),
        // JSON is YAML, with everything hidden in it as an escape.
        ("tenants/acme.yaml", &escaped(&tenant)),
    ] {
        std::fs::write(folder.path().join(file), text).expect("a file");
    }
    folder
}

fn escaped(json: &serde_json::Value) -> String {
    let mut text = Vec::new();
    tenantry_render::json::write_pretty(&mut text, json).expect("memory takes all");
    String::from_utf8(text).expect("JSON is UTF-8")
}

/// With colours, as a terminal would get it: only those of the table of colours are left.
fn assert_harmless(arguments: &[&str], said: &Said) {
    for text in [&said.out, &said.err] {
        let mut plain = String::new();
        let mut rest = text.as_str();
        while let Some(at) = rest.find("\u{1b}[") {
            plain.push_str(&rest[..at]);
            let end = rest[at..].find('m').map(|end| at + end).unwrap_or_default();
            let colour = rest.get(at + 2..end).unwrap_or("none");
            assert!(colour.chars().all(|c| c.is_ascii_digit() || c == ';'), "{arguments:?}: {text:?}");
            rest = &rest[end + 1..];
        }
        plain.push_str(rest);
        let hidden = plain.chars().find(|c| *c != '\n' && tenantry_render::visible::is_hidden(*c));
        assert_eq!(hidden, None, "{arguments:?}: {text:?}");
        assert!(!plain.lines().any(|line| line.starts_with("0 to delete.")), "{arguments:?}: {text:?}");
    }
}

fn said(folder: &Path, arguments: &[&str]) -> Said {
    let said = run(folder, arguments);
    assert_harmless(arguments, &said);
    said
}

#[test]
fn nothing_that_is_printed_acts_on_a_terminal_or_tells_what_is_personal() {
    let folder = estate(TARGETS, BLUEPRINT, NAME);
    let folder = folder.path();
    let colours = ["--color", "always"];
    let all = |arguments: &[&'static str]| [arguments, &colours[..]].concat();
    let mut everything = String::new();
    let mut keep = |said: Said| {
        everything.push_str(&said.out);
        everything.push_str(&said.err);
        said
    };
    for arguments in
        [&["validate"][..], &["plan"], &["plan", "--format", "json"], &["list"], &["list", "--format", "json"]]
    {
        assert_eq!(keep(said(folder, &all(arguments))).exit, 0, "{arguments:?}");
    }
    assert!(keep(said(folder, &all(&["list"]))).out.contains("Acme\\u{1b}[2J\\u{1b}]0;owned\\u{7}\\r\\n0 to delete."));
    let listed = keep(said(folder, &["list", "--format", "json"]));
    assert!(listed.out.contains("\\u009b31m\\u202edtL\\u200b"), "{}", listed.out);
    assert_eq!(listed.json()[0]["displayName"], NAME);
    assert_eq!(keep(said(folder, &all(&["apply", "--auto-approve"]))).exit, 0);
    for arguments in [
        &["history"][..],
        &["history", "--format", "json"],
        &["history", "acme", "--format", "json"],
        &["show", "acme"],
        &["show", "acme", "--format", "json"],
        &["show", "acme/customer"],
        &["show", "acme/credentials"],
        &["doctor"],
        &["drift", "--format", "json"],
    ] {
        assert_eq!(keep(said(folder, &all(arguments))).exit, 0, "{arguments:?}");
    }
    // What was personal once stays so, whatever the blueprint says of it now.
    let blueprint = BLUEPRINT
        .replace("owner: \"${tenant.contacts.primary.email}\", ", "")
        .replace("stringData: {token: literal-of-a-secret}", "type: Opaque");
    std::fs::write(folder.join("tenants/blueprint.yaml"), blueprint).expect("a file");
    keep(said(folder, &["show", "acme/settings"]));
    assert_eq!(said(folder, &all(&["apply", "--auto-approve", "--format", "json"])).exit, 0);
    for arguments in [&["history", "--format", "json"][..], &["history"], &["show", "acme/settings"]] {
        assert_eq!(keep(said(folder, &all(arguments))).exit, 0, "{arguments:?}");
    }
    for personal in [MAIL, LITERAL] {
        let lines: Vec<&str> = everything.lines().filter(|line| line.contains(personal)).collect();
        assert_eq!(lines, [""; 0], "{personal} is told");
    }
}

#[test]
fn an_error_in_the_estate_is_shown_with_what_is_hidden_in_it() {
    let hidden = BLUEPRINT.replace("kind: stripe.customer", "kind: \"stripe.\u{202e}custommer\"");
    let folder = estate(TARGETS, &hidden, "Acme");
    let said = said(folder.path(), &["validate", "--color", "always"]);
    assert_eq!(said.exit, 1);
    assert!(said.err.contains("stripe.\\u{202e}custommer"), "{}", said.err);
    let usage = crate::command::run(folder.path(), &["plan", "--tier", "a\u{1b}[2J\u{202e}"]);
    assert_harmless(&["plan", "--tier"], &usage);
    assert!(usage.err.contains("a\\u{1b}[2J\\u{202e}"), "{}", usage.err);
}

#[test]
fn the_words_of_a_server_are_shown_and_not_obeyed() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port of this machine");
    let port = listener.local_addr().expect("bound").port();
    // Answers whatever it is asked with an error that would clear the screen. It ends with the test.
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut asked = [0; 4096];
                while stream.read(&mut asked).is_ok_and(|read| read > 0) {
                    let answer = "-ERR \u{1b}[2J\u{1b}]0;owned\u{7} no \u{202e}such\u{9b}31m user\r\n".repeat(8);
                    if stream.write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
        }
    });
    let targets = format!(
        "[estate]\nname = \"shown\"\n[secrets]\nidentity = \"env:NONE\"\n[targets.cache]\nprovider = \"redis\"\nurl = \"redis://127.0.0.1:{port}\"\n"
    );
    let blueprint = "apiVersion: tenantry.dev/v1\nkind: Blueprint\nmetadata: {name: saas}\nspec:\n  scope: tenant\n  resources:\n    - {id: key, kind: redis.key, spec: {key: a, value: b}}\n";
    let folder = estate(&targets, blueprint, "Acme");
    let said = said(folder.path(), &["doctor", "--color", "always"]);
    assert_eq!(said.exit, 1);
    assert!(said.out.contains("\\u{1b}[2J\\u{1b}]0;owned\\u{7} no \\u{202e}such"), "{}", said.out);
}

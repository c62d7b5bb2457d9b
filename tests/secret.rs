//! `secret`: a value is shown to those who ask for it, on purpose, and the journal knows.

use std::fs;

use serde_json::Value as Json;
use sqlx::Connection as _;

use crate::review::Estate;

fn estate() -> Estate {
    let estate = Estate::new();
    let login = "${secret('login', 2)}";
    estate.edit(
        "tenants/blueprints.yaml",
        "spec: {name: \"${ident(tenant.name)}\"}",
        &format!("spec: {{name: \"${{ident(tenant.name)}}\", login: true, password: \"{login}\"}}"),
    );
    estate.apply();
    estate
}

/// The value, as the simulated store has it.
async fn value(estate: &Estate, owner: &str) -> String {
    let path = estate.path().join(".tenantry/default/sandbox.db");
    let mut world = sqlx::SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.expect("a world");
    let query = sqlx::query_scalar("SELECT value FROM secrets WHERE owner = ? AND name = 'login'").bind(owner);
    query.fetch_one(&mut world).await.expect("a secret")
}

#[tokio::test]
async fn a_value_goes_into_a_pipe_only_if_somebody_says_so() {
    let estate = estate();
    let refused = estate.run(&["secret", "show", "ant/login"]);
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(64), 0));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--to-pipe"));
    assert!(!estate.stdout(&["history"]).contains("secretShown"));

    let shown = estate.run(&["secret", "show", "ant/login", "--to-pipe"]);
    let value = value(&estate, "ant").await;
    assert_eq!((shown.status.code(), String::from_utf8_lossy(&shown.stdout)), (Some(0), value.as_str().into()));
    assert!(!String::from_utf8_lossy(&shown.stderr).contains(&value));
    let json: Json =
        serde_json::from_str(&estate.stdout(&["secret", "show", "ant/login", "--to-pipe", "--format", "json"]))
            .expect("JSON");
    assert_eq!((json["value"].as_str(), json["secret"]["version"].as_u64()), (Some(value.as_str()), Some(2)));
}

#[tokio::test]
async fn the_journal_knows_who_asked_and_not_the_value() {
    let estate = estate();
    estate.run(&["secret", "show", "bee/login", "--to-pipe"]);
    let history = estate.stdout(&["history", "bee"]);
    assert!(history.contains("secret login v2 shown to tester@example (pipe)"), "{history}");
    assert!(!estate.stdout(&["history", "ant"]).contains("secretShown"), "it belongs to its owner");
    assert!(estate.run(&["history", "--verify"]).status.success());
    let value = value(&estate, "bee").await;
    for file in ["store.db", "store.db-wal"] {
        let bytes = fs::read(estate.path().join(".tenantry/default").join(file)).unwrap_or_default();
        assert!(!bytes.windows(value.len()).any(|window| window == value.as_bytes()), "{file} has the value");
    }
}

#[test]
fn a_list_has_names_and_versions_and_no_values() {
    let estate = estate();
    let list = estate.stdout(&["secret", "list"]);
    assert_eq!(list.lines().count(), 5, "{list}");
    let one = estate.stdout(&["secret", "list", "ant"]);
    assert_eq!(
        one.lines().last().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).as_deref(),
        Some("ant login 2 Tenantry"),
        "{one}"
    );
}

#[test]
fn a_secret_that_does_not_exist_is_told_with_what_was_probably_meant() {
    let estate = estate();
    for (arguments, help) in [
        (&["ant/logn"][..], "did you mean `ant/login`?"),
        (&["ant/login", "--secret-version", "1"], "it has version 2"),
        (&["nobody"], "`tenantry secret list`"),
    ] {
        let output = estate.run(&[&["secret", "show", "--to-pipe"], arguments].concat());
        assert_eq!((output.status.code(), output.stdout.len()), (Some(64), 0), "{arguments:?}");
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(err.contains(help), "{arguments:?}: {err}");
    }
    assert!(!estate.stdout(&["history"]).contains("secretShown"));
}

#[test]
fn a_value_is_copied_to_a_terminal_only() {
    let estate = estate();
    let refused = estate.run(&["secret", "copy", "ant/login"]);
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(64), 0), "{refused:?}");
    let err = String::from_utf8_lossy(&refused.stderr);
    assert!(err.contains("no terminal") || err.contains("no clipboard"), "{err}");
    assert!(!estate.stdout(&["history"]).contains("secretShown"));
}

/// Runs the command on a terminal of its own, answers its question, and returns what the terminal got.
#[cfg(target_os = "linux")]
fn on_a_terminal(estate: &Estate, term: &str, command: &str, answer: &str) -> String {
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    let mut child = Command::new("script")
        .args(["-qec", &format!("{} {command}", env!("CARGO_BIN_EXE_tenantry")), "/dev/null"])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("TERM", term)
        .env("TENANTRY_ACTOR", "tester@example")
        .current_dir(estate.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("`script` of util-linux is there");
    writeln!(child.stdin.take().expect("a pipe"), "{answer}").expect("it listens");
    String::from_utf8_lossy(&child.wait_with_output().expect("it ends").stdout).into_owned()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_copied_value_is_on_the_clipboard_and_nowhere_else() {
    use base64::Engine as _;
    let estate = estate();
    let value = value(&estate, "ant").await;
    let sequence = format!("\x1b]52;c;{}\x07", base64::prelude::BASE64_STANDARD.encode(&value));

    let not_asked_for = on_a_terminal(&estate, "xterm-256color", "secret copy ant/login", "no");
    assert!(not_asked_for.contains("Type `yes` to copy it"), "{not_asked_for}");
    assert!(!not_asked_for.contains("]52;"), "{not_asked_for}");
    let incapable = on_a_terminal(&estate, "dumb", "secret copy ant/login", "yes");
    assert!(incapable.contains("(`TERM=dumb`) has no clipboard") && !incapable.contains("]52;"), "{incapable}");
    assert!(!estate.stdout(&["history"]).contains("secretShown"));

    // Even if stdout is a file, the value goes to the terminal.
    let copied = on_a_terminal(&estate, "xterm-256color", "secret copy ant/login --format json > out.json", "yes");
    assert!(copied.contains(&sequence), "{copied}");
    assert!(!copied.contains(&value), "{copied}");
    let out = fs::read_to_string(estate.path().join("out.json")).expect("reads");
    let json: Json = serde_json::from_str(&out).expect("JSON");
    assert_eq!((json["to"].as_str(), json["secret"]["version"].as_u64()), (Some("clipboard"), Some(2)), "{out}");
    let history = estate.stdout(&["history", "ant"]);
    assert!(history.contains("secret login v2 shown to tester@example (clipboard)"), "{history}");
}

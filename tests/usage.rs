//! The command line itself: names that do not exist, the log, completions, manual pages, outputs and expressions.

use std::io::Write as _;
use std::process::{Output, Stdio};

use serde_json::{Value as Json, json};
use sqlx::Connection as _;

use crate::command::tenantry;
use crate::review::Estate;

fn said(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_mistyped_name_is_bad_input_and_has_a_suggestion() {
    let estate = Estate::new();
    estate.edit("tenantry.toml", "[targets.main]", "[environments.production]\n\n[targets.main]");
    for (arguments, suggestion) in [
        (&["plan", "--env", "prodution"][..], "did you mean `production`?"),
        (&["plan", "--env", "nope"], "environments are production"),
        (&["plan", "--tier", "lagre"], "did you mean `large`?"),
        (&["plan", "--tenant", "bea"], "did you mean `bee`?"),
        (&["plan", "--tenant", "ant", "--tenant", "zebra*"], "no tenant matches `zebra*`"),
        (&["plan", "--tenant", "dog", "--tier", "small"], "no tenant matches the selection"),
        (&["show", "bea"], "did you mean `bee`?"),
        (&["show", "bee/rle"], "did you mean `bee/role`?"),
        (&["explain", "bee/rle"], "did you mean `bee/role`?"),
        (&["output", "dig"], "did you mean `dog`?"),
        (&["console", "tier:lage", "tier.name"], "did you mean `tier:large`?"),
        (&["history", "catt"], "did you mean `cat`?"),
        (&["secret", "list", "catt"], "did you mean `cat`?"),
        (&["unlock", "catt"], "did you mean `cat`?"),
    ] {
        let (exit, text) = said(&estate.run(arguments));
        assert_eq!(exit, Some(64), "{arguments:?}: {text}");
        assert!(text.contains(suggestion), "{arguments:?}: {text}");
    }
    let without = Estate::new();
    let (exit, text) = said(&without.run(&["list", "--env", "production"]));
    assert_eq!(exit, Some(64), "{text}");
    assert!(text.contains("[environments.NAME]"), "{text}");
}

const FAREWELL: &str = "apiVersion: tenantry.dev/v1\nkind: Approval\nmetadata: {name: farewell}\nspec:\n  reason: it moved on\n  \
    expires: \"2100-01-01\"\n  allow: [delete, massDelete]\n  addresses: [\"bee/*\"]\n";

#[test]
fn the_history_of_what_is_gone_is_still_shown() {
    let estate = Estate::new();
    estate.apply();
    let at_once = "[offboarding]\nretention_days = 0\nmin_retention_days = 0\n\n[targets.main]";
    estate.edit("tenantry.toml", "[targets.main]", at_once);
    // As a tenant that left: nothing of it is asked for, and nothing is there any more.
    estate.write("tenants/approvals.yaml", FAREWELL);
    for (from, to) in [("active", "deleting"), ("deleting", "deleted")] {
        estate.edit("tenants/bee.yaml", &format!("phase: {from}"), &format!("phase: {to}"));
        estate.apply();
    }
    estate.remove("tenants/bee.yaml");
    let output = estate.run(&["history", "bee"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("bee/role"));
}

#[test]
fn stdout_is_not_a_file_to_write() {
    let estate = Estate::new();
    for arguments in [&["drift", "--junit", "-"][..], &["drift", "--metrics", "-"], &["plan", "--out", "-"]] {
        let (exit, text) = said(&estate.run(arguments));
        assert_eq!(exit, Some(64), "{arguments:?}: {text}");
        assert!(text.contains("write the name of a file"), "{arguments:?}: {text}");
        assert!(!estate.path().join("-").exists());
    }
}

/// With a secret in a role's password.
fn with_secret() -> Estate {
    let estate = Estate::new();
    estate.edit(
        "tenants/blueprints.yaml",
        "spec: {name: \"${ident(tenant.name)}\"}",
        "spec: {name: \"${ident(tenant.name)}\", login: true, password: \"${secret('login')}\"}",
    );
    estate.apply();
    estate
}

/// The value of ant's secret, as the simulated store has it.
async fn value(estate: &Estate) -> String {
    let path = estate.path().join(".tenantry/default/sandbox.db");
    let mut world = sqlx::SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.expect("a world");
    let query = sqlx::query_scalar("SELECT value FROM secrets WHERE owner = 'ant' AND name = 'login'");
    query.fetch_one(&mut world).await.expect("a secret")
}

#[tokio::test]
async fn the_log_says_what_is_asked_and_how_long_it_takes_and_no_secret() {
    let estate = with_secret();
    let value = value(&estate).await;
    let quiet = said(&estate.run(&["plan"])).1;
    assert_eq!(quiet, "");
    let (exit, log) = said(&estate.run(&["plan", "-v"]));
    assert_eq!(exit, Some(0), "{log}");
    let read = log.lines().find(|line| line.contains("read{target=\"main\"}")).unwrap_or_else(|| panic!("{log}"));
    assert!(read.contains("looked at in ") && read.ends_with(" ms"), "{read}");
    let more = said(&estate.run(&["plan", "-vv"])).1;
    assert!(more.contains("store: ") && more.lines().count() > log.lines().count(), "{more}");
    let chosen = tenantry(estate.path()).arg("plan").env("TENANTRY_LOG", "info").output().expect("runs");
    assert!(said(&chosen).1.contains("read{target=\"main\"}"));
    let wrong = tenantry(estate.path()).arg("plan").env("TENANTRY_LOG", "a=b=c").output().expect("runs");
    assert!(said(&wrong).1.contains("TENANTRY_LOG is `a=b=c`, which is not valid"), "{wrong:?}");

    // The secret is written anew, with everything that there is to be logged.
    estate.edit("tenants/blueprints.yaml", "secret('login')", "secret('login', 2)");
    let everything = tenantry(estate.path())
        .args(["apply", "--auto-approve", "-vvv"])
        .env("TENANTRY_LOG", "trace")
        .output()
        .expect("the command runs");
    let (exit, log) = said(&everything);
    assert_eq!(exit, Some(0), "{log}");
    assert!(log.contains("write{target=\"main\" of=\"ant/role"), "{log}");
    let path = estate.path().join(".tenantry/default/sandbox.db");
    let mut world = sqlx::SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.expect("a world");
    let values: Vec<String> =
        sqlx::query_scalar("SELECT value FROM secrets").fetch_all(&mut world).await.expect("values");
    assert!(values.len() >= 8 && values.contains(&value), "each has two versions");
    for value in values {
        assert!(!log.contains(&value), "the log has a secret");
    }
}

#[tokio::test]
async fn an_application_gets_references_and_values_only_if_somebody_says_so() {
    let estate = with_secret();
    let value = value(&estate).await;
    let text = estate.stdout(&["output", "ant"]);
    assert!(text.contains("ant/role  postgres.role ant in target main\n"), "{text}");
    assert!(text.contains("  password = secret(ant/login, v1)\n"), "{text}");
    assert!(!text.contains(&value) && !text.contains("bee"), "{text}");
    let json: Json = serde_json::from_str(&estate.stdout(&["output", "ant", "--format", "json"])).expect("JSON");
    let password = json!({"owner": "ant", "name": "login", "version": 1});
    assert_eq!(json["resources"]["role"]["secrets"]["password"], password, "{json}");
    assert_eq!((&json["owner"], &json["resources"]["row"]["kind"]), (&json!("ant"), &json!("postgres.row")));

    let refused = estate.run(&["output", "ant", "--secrets"]);
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(64), 0));
    assert!(said(&refused).1.contains("tenantry output ant --secrets --to-pipe"), "{refused:?}");
    assert!(!estate.stdout(&["history", "ant"]).contains("secretShown"));
    let shown = estate.stdout(&["output", "ant", "--secrets", "--to-pipe", "--format", "json"]);
    let json: Json = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(json["resources"]["role"]["secrets"]["password"]["value"].as_str(), Some(value.as_str()));
    let history = estate.stdout(&["history", "ant"]);
    assert!(history.contains("secret login v1 shown to tester@example (pipe)"), "{history}");
    let nothing = Estate::new();
    let empty = nothing.run(&["output", "ant"]);
    assert_eq!((empty.status.code(), empty.stdout.len()), (Some(0), 0));
    assert!(said(&empty).1.contains("Nothing was applied for ant."));
}

#[test]
fn the_console_answers_expressions_of_arguments_and_of_stdin() {
    let estate = with_secret();
    let answer = |expression: &str| estate.stdout(&["console", "dog", expression]);
    assert_eq!(answer("tenant.tier"), "large\n");
    assert_eq!(answer("${tenant.quotas.users * 2}"), "200\n");
    assert_eq!(answer("resources.reports.name"), "reports_dog\n");
    assert_eq!(answer("resources.role.password"), "secret(dog/login, v1)\n");
    assert_eq!(answer("tier.values"), "{\"unused\":1}\n");
    assert_eq!(estate.stdout(&["console", "tier:small", "tier.rank"]), "1\n");
    assert_eq!(estate.stdout(&["console", "estate", "estate.name"]), "shop\n");

    let with_lines = |arguments: &[&str], lines: &str| {
        let mut command = tenantry(estate.path());
        let mut child = command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command runs");
        child.stdin.take().expect("a pipe").write_all(lines.as_bytes()).expect("it reads");
        child.wait_with_output().expect("it ends")
    };
    let lines = "tenant.name\n\n# a remark\ntenant.nmae\nsize(tenant.name) + 1\n";
    let output = with_lines(&["console", "ant"], lines);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "ant\n4\n");
    let (exit, text) = said(&output);
    assert_eq!(exit, Some(1), "one of them failed: {text}");
    assert!(text.contains("error: tenant.nmae: ") && text.contains("name"), "{text}");
    let json = with_lines(&["console", "ant", "--format", "json"], lines);
    let answers: Vec<Json> =
        String::from_utf8_lossy(&json.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(answers[0], json!({"expression": "tenant.name", "value": "ant"}));
    assert!(answers[1]["error"].is_string() && answers[2]["value"] == json!(4), "{answers:?}");
}

#[test]
fn personal_data_does_not_get_through_the_console_into_a_file() {
    let estate = Estate::new();
    estate.edit(
        "tenants/ant.yaml",
        "phase: active}",
        "phase: active, contacts: {main: {name: Ann, email: ann@example.com}}}",
    );
    estate.edit(
        "tenants/blueprints.yaml",
        "title: \"${tenant.displayName}\"",
        "title: \"to ${tenant.contacts.main.email}\"",
    );
    for tenant in ["bee", "cat", "dog"] {
        let contact = "phase: active, contacts: {main: {name: X, email: x@example.com}}}";
        estate.edit(&format!("tenants/{tenant}.yaml"), "phase: active}", contact);
    }
    for expression in [
        "tenant.contacts.main.email",
        "tenant",
        "resources.row.columns.title",
        "resources.row",
        "\"x\" + tenant.contacts.main.email",
    ] {
        let output = estate.run(&["console", "ant", expression]);
        assert_eq!(output.status.code(), Some(0), "{expression}: {output:?}");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!text.contains("example.com") && !text.contains("Ann"), "{expression}: {text}");
        assert!(text.contains("(sensitive)"), "{expression}: {text}");
    }
}

#[test]
fn a_shell_is_told_the_names_of_the_estate() {
    let estate = Estate::new();
    estate.edit("tenantry.toml", "[targets.main]", "[environments.production]\n\n[targets.main]");
    let bash = |words: &[&str]| -> Vec<String> {
        let mut command = tenantry(estate.path());
        let at = (words.len() - 1).to_string();
        command.env("COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", at).env("_CLAP_IFS", "\n");
        let output = command.arg("--").args(words).output().expect("the command runs");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).lines().map(|line| line.trim().to_owned()).collect()
    };
    assert_eq!(bash(&["tenantry", "plan", "--tenant", "b"]), ["bee"]);
    assert_eq!(bash(&["tenantry", "plan", "--tier", ""]), ["small", "large"]);
    assert_eq!(bash(&["tenantry", "plan", "--env", "p"]), ["production"]);
    assert_eq!(bash(&["tenantry", "explain", "dog/r"]), ["dog/role", "dog/row", "dog/reports"]);
    assert_eq!(bash(&["tenantry", "history", "tier:l"]), ["tier:large"]);
    assert!(bash(&["tenantry", "show", "c"]).contains(&"cat".to_owned()));
    assert_eq!(bash(&["tenantry", "-C", "elsewhere", "plan", "--tenant", "b"]), [""; 0], "there is no estate");
    let elsewhere = estate.path().display().to_string();
    assert_eq!(bash(&["tenantry", "-C", &elsewhere, "plan", "--tenant", "b"]), ["bee"]);
    assert!(bash(&["tenantry", "hist"]).contains(&"history".to_owned()));
    for (shell, part) in [("bash", "complete -o nospace"), ("zsh", "#compdef tenantry"), ("fish", "complete ")] {
        let script = estate.stdout(&["completions", shell]);
        assert!(script.contains(part) && script.contains("COMPLETE"), "{shell}: {script}");
    }
}

#[test]
fn there_is_a_manual_page_for_each_command() {
    let estate = Estate::new();
    let folder = estate.path().join("share/man1");
    let output = estate.run(&["man", &folder.display().to_string()]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    for (page, part) in [
        ("tenantry.1", "tenantry\\-plan(1)"),
        ("tenantry-plan.1", "\\-\\-changed\\-since"),
        ("tenantry-secret-show.1", "\\-\\-to\\-pipe"),
        ("tenantry-console.1", "EXPRESSION"),
    ] {
        let text = std::fs::read_to_string(folder.join(page)).unwrap_or_else(|error| panic!("{page}: {error}"));
        assert!(text.contains(part), "{page}: {text}");
    }
}

#[test]
fn the_version_is_there_for_programs() {
    let estate = Estate::new();
    let json: Json = serde_json::from_str(&estate.stdout(&["version", "--format", "json"])).expect("JSON");
    assert_eq!(json["version"], env!("CARGO_PKG_VERSION"));
    assert!(
        json["planFormat"].is_u64() && json["providers"].as_array().is_some_and(|all| all.contains(&json!("postgres")))
    );
    assert!(estate.stdout(&["version"]).starts_with(&format!("tenantry {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn one_is_said_in_the_singular() {
    let estate = Estate::new();
    for name in ["bee", "cat", "dog"] {
        estate.remove(&format!("tenants/{name}.yaml"));
    }
    let text = estate.stdout(&["doctor"]);
    assert!(text.contains("shop, 1 tenant\n"), "{text}");
    assert!(text.contains("0 secrets"), "{text}");
}

#[test]
fn an_interrupted_run_has_one_line_for_each_tenant() {
    let estate = Estate::new();
    for number in 0..60 {
        estate.tenant(&format!("t{number:02}"), "large", "Many");
    }
    let mut command = tenantry(estate.path());
    command.args(["apply", "--auto-approve", "--parallelism", "1"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the command runs");
    // Once the first tenants are being written, most are not.
    let mut said = std::io::BufReader::new(child.stderr.take().expect("a pipe"));
    let mut line = String::new();
    while !line.contains("ant/") {
        line.clear();
        assert!(std::io::BufRead::read_line(&mut said, &mut line).expect("it says something") > 0, "it ended");
    }
    let signal =
        std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill runs");
    assert!(signal.success());
    let rest = std::io::read_to_string(&mut said).expect("it ends");
    let output = child.wait_with_output().expect("it ends");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(5), "{text}\n{rest}");
    let report = text.split("phase changes").nth(1).expect("a report");
    assert!(report.contains("\nt59: 0 of 3 changes done, 3 not begun\n"), "{report}");
    assert!(!report.contains("t59/") && !rest.contains("t59/"), "not one for each change: {report}\n{rest}");
    assert!(report.contains("Interrupted: "), "{report}");
    assert!(estate.run(&["apply", "--auto-approve", "-q"]).status.success(), "the next one continues");
}

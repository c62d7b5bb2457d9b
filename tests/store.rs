//! The store through the command: environments that share one, locks, exports, and a journal that is not what it was.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::command::{Said, run, tenantry, wait};
use assert_fs::TempDir;
use jiff::{SignedDuration, Timestamp};
use tenantry_core::model::address::Owner;
use tenantry_store::contract::{LockRequest, Scope, Store as _};
use tenantry_store::{OpenMode, SqliteStore};

const BLUEPRINT: &str = "apiVersion: tenantry.dev/v1
kind: Tier
metadata: {name: standard}
spec: {rank: 1, blueprints: [saas]}
---
apiVersion: tenantry.dev/v1
kind: Blueprint
metadata: {name: saas}
spec:
  scope: tenant
  resources:
    - {id: schema, kind: postgres.schema, spec: {name: \"t_${ident(tenant.name)}\"}}
";
const ROLE: &str = "    - {id: role, kind: postgres.role, spec: {name: \"r_${ident(tenant.name)}\"}}\n";
const TENANT: &str = "apiVersion: tenantry.dev/v1
kind: Tenant
metadata: {name: acme}
spec: {displayName: Acme, tier: standard, phase: active}
";

fn estate(more: &str) -> TempDir {
    let folder = TempDir::new().expect("a folder");
    let config = format!("[estate]\nname = \"shop\"\n{more}[targets.main]\nprovider = \"postgres\"\nsandbox = true\n");
    std::fs::create_dir(folder.path().join("tenants")).expect("a folder");
    std::fs::write(folder.path().join("tenantry.toml"), config).expect("writes");
    std::fs::write(folder.path().join("tenants/acme.yaml"), TENANT).expect("writes");
    write_blueprint(folder.path(), "");
    folder
}

fn write_blueprint(folder: &Path, more: &str) {
    std::fs::write(folder.join("tenants/saas.yaml"), format!("{BLUEPRINT}{more}")).expect("writes");
}

fn done(said: &Said) {
    assert_eq!(said.exit, 0, "{said:#?}");
}

#[test]
fn environments_that_share_a_store_do_not_see_each_other() {
    let estate = estate("[store]\npath = \"shared.db\"\n[environments.staging]\n[environments.production]\n");
    let folder = estate.path();
    write_blueprint(folder, ROLE);
    done(&run(folder, &["--env", "staging", "apply", "--auto-approve"]));
    // Production has a tree without the role, and never made one.
    write_blueprint(folder, "");
    let plan = run(folder, &["--env", "production", "plan"]);
    done(&plan);
    assert!(plan.out.contains("1 to create") && !plan.out.contains("role"), "{}", plan.out);
    done(&run(folder, &["--env", "production", "apply", "--auto-approve"]));
    let history = run(folder, &["--env", "production", "history"]);
    assert!(history.out.contains("acme/schema") && !history.out.contains("acme/role"), "{}", history.out);

    write_blueprint(folder, ROLE);
    let plan = run(folder, &["--env", "staging", "plan", "--detailed-exitcode"]);
    assert_eq!(plan.exit, 0, "staging is as it was: {plan:#?}");
    assert!(run(folder, &["--env", "staging", "history", "--verify"]).out.contains("the journal is complete"));
}

fn store(folder: &Path, mode: OpenMode) -> SqliteStore {
    let path = folder.join(".tenantry/default/store.db");
    wait(SqliteStore::open(&path, &Scope::new("shop", None), mode)).expect("the store opens")
}

/// A run of somebody else that holds the lock of the tenant.
fn lock_elsewhere(folder: &Path) {
    wait(async {
        let path = folder.join(".tenantry/default/store.db");
        let store = SqliteStore::open(&path, &Scope::new("shop", None), OpenMode::ReadWrite).await.expect("opens");
        let owners = [Owner::from("acme")];
        let (holder, now) = ("somebody@elsewhere".into(), now());
        let lease = SignedDuration::from_secs(3600);
        store.lock(&LockRequest { owners: &owners, holder: &holder, now, lease }).await.expect("it is free");
    });
}

fn release_elsewhere(folder: &Path) {
    wait(async {
        let path = folder.join(".tenantry/default/store.db");
        let store = SqliteStore::open(&path, &Scope::new("shop", None), OpenMode::ReadWrite).await.expect("opens");
        store.release("somebody@elsewhere").await.expect("released");
    });
}

#[expect(clippy::disallowed_methods, reason = "leases are real time")]
fn now() -> Timestamp {
    Timestamp::now()
}

#[test]
fn a_held_lock_is_refused_with_a_command_that_works() {
    let estate = estate("");
    let folder = estate.path();
    lock_elsewhere(folder);
    let refused = run(folder, &["apply", "--auto-approve"]);
    assert_eq!(refused.exit, 4, "{refused:#?}");
    let hint = refused.err.rsplit('`').nth(1).expect("a command").to_owned();
    assert_eq!(hint, "tenantry unlock acme --force");
    let arguments: Vec<&str> = hint.split(' ').skip(1).collect();
    done(&run(folder, &arguments));
    done(&run(folder, &["apply", "--auto-approve"]));
}

#[test]
fn a_held_lock_is_waited_for_as_long_as_allowed() {
    let estate = estate("");
    let folder = estate.path();
    lock_elsewhere(folder);
    let begun = Instant::now();
    let refused = run(folder, &["apply", "--auto-approve", "--lock-timeout", "1s"]);
    assert_eq!(refused.exit, 4, "{refused:#?}");
    assert!(refused.err.contains("Waiting for the lock of acme, held by somebody@elsewhere"), "{refused:#?}");
    assert!(begun.elapsed() >= Duration::from_secs(1));

    let mut child = tenantry(folder)
        .args(["apply", "--auto-approve", "--lock-timeout", "10m"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let said = until(&mut child, "Waiting for the lock of acme");
    release_elsewhere(folder);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{said}");
}

/// Reads what a command says on stderr until a line holds a text.
fn until(child: &mut Child, text: &str) -> String {
    let mut lines = BufReader::new(child.stderr.as_mut().expect("a pipe"));
    let mut said = String::new();
    while !said.contains(text) {
        let read = lines.read_line(&mut said).expect("reads");
        assert!(read > 0, "it never said `{text}`: {said}");
    }
    said
}

#[test]
fn a_second_interrupt_leaves_no_lock_behind() {
    let estate = estate("");
    let folder = estate.path();
    // It halts in the middle of its journal, so that the first interrupt finds something in flight.
    let mut child = tenantry(folder)
        .args(["apply", "--auto-approve"])
        .env("TENANTRY_HALT_AT", "3")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    until(&mut child, "halted");
    assert_eq!(wait(store(folder, OpenMode::ReadOnly).locks(now())).expect("reads").len(), 1);
    interrupt(&child);
    until(&mut child, "press Ctrl-C again");
    interrupt(&child);
    let mut rest = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut rest).expect("reads");
    assert_eq!(child.wait().expect("it ends").code(), Some(5), "{rest}");
    assert!(wait(store(folder, OpenMode::ReadOnly).locks(now())).expect("reads").is_empty(), "{rest}");
    done(&run(folder, &["apply", "--auto-approve"]));
}

fn interrupt(child: &Child) {
    let sent = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(sent.expect("kill starts").success());
}

#[test]
fn unlocking_what_does_not_exist_is_an_error() {
    let estate = estate("");
    let folder = estate.path();
    done(&run(folder, &["apply", "--auto-approve"]));
    let refused = run(folder, &["unlock", "acmee", "--force"]);
    assert_eq!(refused.exit, 64, "{refused:#?}");
    assert!(refused.err.contains("did you mean `acme`?"), "{}", refused.err);
    let unlocked = run(folder, &["unlock", "acme", "tier:standard", "estate", "--force"]);
    done(&unlocked);
    assert!(unlocked.err.contains("None of the 3 owners is locked"), "{}", unlocked.err);
}

#[test]
fn an_export_restores_what_was_lost() {
    let estate = estate("");
    let folder = estate.path();
    done(&run(folder, &["apply", "--auto-approve"]));
    done(&run(folder, &["store", "export", "records.jsonl"]));
    let exported = std::fs::read_to_string(folder.join("records.jsonl")).expect("reads");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(folder.join("records.jsonl")).expect("exists").permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    let again = run(folder, &["store", "export", "records.jsonl"]);
    assert_eq!(again.exit, 1, "nothing is overwritten: {again:#?}");
    let refused = run(folder, &["store", "import", "records.jsonl"]);
    assert_eq!(refused.exit, 1, "{refused:#?}");
    assert!(refused.err.contains("already has records"), "{}", refused.err);

    std::fs::remove_file(folder.join(".tenantry/default/store.db")).expect("the store is lost");
    done(&run(folder, &["store", "import", "records.jsonl"]));
    let plan = run(folder, &["plan", "--detailed-exitcode"]);
    assert_eq!(plan.exit, 0, "{plan:#?}");
    done(&run(folder, &["history", "--verify"]));
    done(&run(folder, &["store", "export", "again.jsonl"]));
    assert_eq!(std::fs::read_to_string(folder.join("again.jsonl")).expect("reads"), exported);
    assert_eq!(std::fs::read_dir(folder).expect("reads").count(), 5, "no unfinished file is left");

    std::fs::write(folder.join("cut.jsonl"), &exported[..exported.len() / 2]).expect("writes");
    std::fs::remove_file(folder.join(".tenantry/default/store.db")).expect("the store is lost");
    let cut = run(folder, &["store", "import", "cut.jsonl"]);
    assert_eq!(cut.exit, 1, "{cut:#?}");
}

/// A program that reads the journal knows of each entry what of the plan it belongs to.
#[test]
fn the_journal_has_the_tasks_of_the_plan_in_its_order() {
    let estate = estate("");
    let folder = estate.path();
    write_blueprint(folder, ROLE);
    let plan = run(folder, &["plan", "--format", "json"]).json();
    let changes = plan["changes"].as_array().expect("a list");
    let planned: Vec<&str> = changes.iter().map(|change| change["address"].as_str().expect("an address")).collect();
    done(&run(folder, &["apply", "--auto-approve"]));
    let history = run(folder, &["history", "--format", "json"]).json();
    let entries = history.as_array().expect("a list");
    let tasks = |event: &str| {
        let entries = entries.iter().filter(|entry| entry["event"] == event);
        let mut tasks: Vec<(u64, String)> = entries
            .map(|entry| {
                let detail = &entry["detail"];
                let what =
                    detail["address"].as_str().or_else(|| detail["tenant"].as_str()).expect("an address or tenant");
                (detail["task"].as_u64().expect("a task"), what.to_owned())
            })
            .collect();
        tasks.sort();
        tasks
    };
    let expected: Vec<(u64, String)> = (1..).zip(planned.iter().map(|address| (*address).to_owned())).collect();
    assert_eq!(expected.len(), 2);
    assert_eq!((tasks("stepBegun"), tasks("stepEnded")), (expected.clone(), expected));
    assert_eq!(tasks("phaseEntered"), [(3, "acme".to_owned())]);
}

#[test]
fn a_journal_that_lost_its_end_refuses_what_was_planned_with_it() {
    let estate = estate("");
    let folder = estate.path();
    let path = folder.join(".tenantry/default/store.db");
    done(&run(folder, &["apply", "--auto-approve"]));
    let earlier = std::fs::read(&path).expect("reads");
    write_blueprint(folder, ROLE);
    done(&run(folder, &["apply", "--auto-approve"]));
    let verified = run(folder, &["history", "--verify"]);
    let head = verified.out.trim().rsplit(' ').next().expect("a head").to_owned();
    write_blueprint(folder, "");
    done(&run(folder, &["plan", "--out", "plan.json"]));
    done(&run(folder, &["history", "--verify", "--head", &head]));

    // A whole journal, but not all of it: only what was noted elsewhere tells.
    std::fs::write(&path, earlier).expect("writes");
    done(&run(folder, &["history", "--verify"]));
    let missing = run(folder, &["history", "--verify", "--head", &head]);
    assert_eq!(missing.exit, 1, "{missing:#?}");
    let refused = run(folder, &["apply", "plan.json"]);
    assert_eq!(refused.exit, 4, "{refused:#?}");
    assert!(refused.err.contains("journal"), "{}", refused.err);
}

/// A variable of the environment must not stop an apply half-way in a build that is given away.
#[test]
fn no_release_build_has_a_hook_for_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).expect("reads");
    let manifest: toml::Table = manifest.parse().expect("TOML");
    let names = |pointer: &[&str]| {
        let found =
            pointer.iter().try_fold(&toml::Value::Table(manifest.clone()), |table, key| table.get(key)).cloned();
        found.map(|value| value.to_string()).unwrap_or_default()
    };
    for pointer in
        [&["features"][..], &["dependencies", "tenantry-cli"], &["workspace", "dependencies", "tenantry-cli"]]
    {
        assert!(!names(pointer).contains("test-hooks"), "{pointer:?} switches it on");
    }
    let gate = "#[cfg(all(feature = \"test-hooks\", debug_assertions))]";
    for (file, uses) in [("src/store/mod.rs", "pub mod halt;"), ("src/cli/session.rs", "TENANTRY_HALT_AT")] {
        let text = std::fs::read_to_string(root.join(file)).expect("reads");
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let at = lines.iter().position(|line| line.contains(uses)).expect("it is there");
        assert_eq!(lines[at - 1], gate, "{file}: `{uses}` is compiled into every build");
        assert_eq!(lines.iter().filter(|line| line.contains(uses)).count(), 1);
    }
}

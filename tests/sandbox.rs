//! The sandbox where it has to do what targets do.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;

use assert_fs::TempDir;

use crate::command::{change_world, run, tenantry, wait};

fn estate(resources: &str) -> String {
    format!(
        "apiVersion: tenantry.dev/v1\nkind: Tier\nmetadata: {{name: standard}}\nspec: {{rank: 1, blueprints: [saas]}}\n---\n\
         apiVersion: tenantry.dev/v1\nkind: Tenant\nmetadata: {{name: acme}}\n\
         spec: {{displayName: Acme, tier: standard, phase: active}}\n---\n\
         apiVersion: tenantry.dev/v1\nkind: Blueprint\nmetadata: {{name: saas}}\nspec:\n  scope: tenant\n  resources:\n{resources}"
    )
}

fn object(id: &str, kind: &str, namespace: &str) -> String {
    format!(
        "    - {{id: {id}, kind: kubernetes.object, spec: {{apiVersion: v1, kind: {kind}, metadata: {{name: {id}{namespace}}}}}}}\n"
    )
}

/// Objects of a cluster go out one after the other, and each stands for itself.
#[test]
fn a_sequence_that_fails_half_way_keeps_what_came_before_and_has_it_on_record() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path();
    std::fs::create_dir(path.join("tenants")).expect("a folder");
    let config = "[estate]\nname = \"shop\"\n[targets.main]\nprovider = \"kubernetes\"\nsandbox = true\n";
    std::fs::write(path.join("tenantry.toml"), config).expect("writes");
    let write = |resources: &[String]| {
        std::fs::write(path.join("tenants/all.yaml"), estate(&resources.concat())).expect("writes");
    };
    let space = object("space", "Namespace", "");
    let config = |id: &str, namespace: &str| object(id, "ConfigMap", &format!(", namespace: {namespace}"));
    write(std::slice::from_ref(&space));
    let applied = run(path, &["apply", "--auto-approve"]);
    assert_eq!(applied.exit, 0, "{applied:#?}");
    write(&[space, config("first", "default"), config("second", "space"), config("third", "default")]);
    assert_eq!(run(path, &["plan", "--out", "plan.json"]).exit, 0);
    // Behind everybody's back, and after the plan: only the write finds out.
    wait(change_world(path, "DELETE FROM resources WHERE identity LIKE '%Namespace%'"));
    let partly = run(path, &["apply", "plan.json"]);
    assert_eq!(partly.exit, 5, "{partly:#?}");
    for line in ["+ acme/first: created", "+ acme/second: failed: ", "+ acme/third: created"] {
        assert!(partly.out.contains(line), "{line}\n{}", partly.out);
    }
    assert!(partly.out.contains("space") && !partly.out.contains("the provider answered for"), "{}", partly.out);
    // What is there is on record as well, and is not written again.
    let plan = run(path, &["plan"]);
    assert!(plan.out.contains("+ create  second kubernetes.object"), "{}", plan.out);
    assert!(plan.out.contains("2 to create, 2 unchanged, 1 drifted."), "{}", plan.out);
    let again = run(path, &["apply", "--auto-approve"]);
    assert_eq!(again.exit, 0, "{again:#?}");
    assert_eq!(run(path, &["plan", "--detailed-exitcode"]).exit, 0);
}

/// A grant has no room for a mark, so only the step that was begun tells of it.
#[test]
fn what_a_killed_run_made_goes_once_nobody_asks_for_it() {
    let role = "    - {id: role, kind: postgres.role, spec: {name: reader}}\n    \
                - {id: schema, kind: postgres.schema, spec: {name: sales}}\n";
    let grant = "    - {id: grant, kind: postgres.grant, spec: {role: reader, on: schema, schema: sales, privileges: [USAGE]}}\n";
    for point in 0.. {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path();
        std::fs::create_dir(path.join("tenants")).expect("a folder");
        let config = "[estate]\nname = \"shop\"\n[targets.main]\nprovider = \"postgres\"\nsandbox = true\n";
        std::fs::write(path.join("tenantry.toml"), config).expect("writes");
        let write = |resources: &str| std::fs::write(path.join("tenants/all.yaml"), estate(resources)).expect("writes");
        write(role);
        assert_eq!(run(path, &["apply", "--auto-approve"]).exit, 0);
        write(&format!("{role}{grant}"));
        let mut child = tenantry(path)
            .args(["apply", "--auto-approve", "--quiet"])
            .env("TENANTRY_HALT_AT", point.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        let mut said = String::new();
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe"));
        while !said.contains("halted") && lines.read_line(&mut said).expect("reads") > 0 {}
        child.kill().expect("it is killed");
        child.wait().expect("it has ended");
        write(role);
        let applied = run(path, &["apply", "--auto-approve"]);
        assert_eq!(applied.exit, 0, "killed at {point}: {applied:#?}");
        let left = wait(count_in_world(path, "SELECT count(*) FROM resources WHERE kind = 'postgres.grant'"));
        assert_eq!(left, 0, "killed at {point}: {applied:#?}");
        let plan = run(path, &["plan", "--detailed-exitcode"]);
        assert_eq!(plan.exit, 0, "killed at {point}: {plan:#?}");
        if !said.contains("halted") {
            break;
        }
    }
}

async fn count_in_world(estate: &Path, query: &'static str) -> i64 {
    use sqlx::{ConnectOptions as _, Connection as _};
    let file = estate.join(".tenantry/default/sandbox.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    let mut connection = options.connect().await.expect("the world opens");
    let count = sqlx::query_scalar(query).fetch_one(&mut connection).await.expect("it counts");
    connection.close().await.expect("the world closes");
    count
}

/// A row has no room for a mark: without its record nobody would ever look for the old one again.
#[test]
fn what_has_another_name_stays_on_record_until_the_old_one_is_gone() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path();
    std::fs::create_dir(path.join("tenants")).expect("a folder");
    let config = "[estate]\nname = \"shop\"\n[targets.main]\nprovider = \"postgres\"\nsandbox = true\n";
    std::fs::write(path.join("tenantry.toml"), config).expect("writes");
    let approval = "---\napiVersion: tenantry.dev/v1\nkind: Approval\nmetadata: {name: rows}\n\
                    spec: {reason: renumbered, expires: \"2030-01-01\", allow: [delete], addresses: [acme/row]}\n";
    let write = |id: &str| {
        let row = format!(
            "    - {{id: row, kind: postgres.row, spec: {{table: plans, key: {{id: {id}}}, columns: {{size: 1}}}}}}\n"
        );
        std::fs::write(path.join("tenants/all.yaml"), estate(&row) + approval).expect("writes");
    };
    write("first");
    assert_eq!(run(path, &["apply", "--auto-approve"]).exit, 0);
    write("second");
    assert_eq!(run(path, &["apply", "--auto-approve"]).exit, 0, "where the deletion has its effect");
    assert_eq!(run(path, &["plan", "--detailed-exitcode"]).exit, 0);
    // A deletion that is answered with success, and has none.
    wait(execute_in_world(
        path,
        "CREATE TRIGGER kept BEFORE DELETE ON resources WHEN old.kind = 'postgres.row' BEGIN SELECT RAISE(IGNORE); END",
    ));
    write("third");
    let applied = run(path, &["apply", "--auto-approve"]);
    assert_eq!(applied.exit, 5, "{applied:#?}");
    assert!(applied.out.contains("was deleted, but it still exists"), "{}", applied.out);
    wait(execute_in_world(path, "DROP TRIGGER kept"));
    let again = run(path, &["apply", "--auto-approve"]);
    assert_eq!(again.exit, 0, "{again:#?}");
    assert_eq!(wait(count_in_world(path, "SELECT count(*) FROM resources WHERE kind = 'postgres.row'")), 1);
    assert_eq!(run(path, &["plan", "--detailed-exitcode"]).exit, 0);
}

async fn execute_in_world(estate: &Path, statement: &'static str) {
    use sqlx::{ConnectOptions as _, Connection as _};
    let file = estate.join(".tenantry/default/sandbox.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    let mut connection = options.connect().await.expect("the world opens");
    sqlx::raw_sql(statement).execute(&mut connection).await.expect("it is done");
    connection.close().await.expect("the world closes");
}

//! `drift --accept`.

use std::fs;

use crate::command::{change_world, files};
use crate::review::Estate;

use super::Flow;

/// Four rows as they were changed by hand, each of which the repository has in another way.
async fn drifted(sql: &str) -> Estate {
    let estate = Estate::new();
    estate.edit("tenants/dog.yaml", "phase: active", "phase: active, quotas: {users: 150}");
    let pool = "\n    - {id: pool, kind: postgres.role, spec: {name: pool, connectionLimit: 5}}  # for everybody";
    estate.edit("tenants/blueprints.yaml", "spec: {name: app}}", &format!("spec: {{name: app}}}}{pool}"));
    estate.apply();
    change_world(estate.path(), sql).await;
    estate
}

fn row(tenant: &str, column: &str, value: &str) -> String {
    format!(
        "UPDATE resources SET spec = json_set(spec, '$.columns.{column}', {value}) WHERE kind = 'postgres.row' AND identity LIKE '%\"{tenant}\"%'"
    )
}

#[tokio::test]
async fn a_value_of_the_tenant_s_own_is_written_into_its_document() {
    let sql = format!("{};\n{}", row("dog", "users", "175"), row("dog", "title", "'Dog & \"Sons\"'"));
    let estate = drifted(&sql).await;
    let output = estate.run(&["drift", "--accept", "dog/row"]);
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{out}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(out, "tenants/dog.yaml\naccepted: dog/row.columns.title\naccepted: dog/row.columns.users\n");
    let text = fs::read_to_string(estate.path().join("tenants/dog.yaml")).expect("the file is there");
    assert!(
        text.contains("{displayName: \"Dog & \\\"Sons\\\"\", tier: large, phase: active, quotas: {users: 175}}"),
        "{text}"
    );
    let output = estate.run(&["drift"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    let plan = estate.stdout(&["plan"]);
    assert!(plan.contains("the inventory is brought up to date; the target stays as it is"), "{plan}");
    assert!(plan.ends_with("1 to update, 10 unchanged.\n"), "{plan}");
}

#[tokio::test]
async fn a_value_of_several_is_not_written_and_its_place_is_named() {
    let sql = format!(
        "{};\n{};\nUPDATE resources SET spec = json_set(spec, '$.connectionLimit', 9) WHERE kind = 'postgres.role' AND identity = 'cat'",
        row("ant", "users", "11"),
        row("ant", "title", "'Ants'"),
    );
    let estate = drifted(&sql).await;
    let before = files(&estate.path().join("tenants"));
    let output = estate.run(&["drift", "--accept", "cat/role"]);
    assert_eq!(output.status.code(), Some(1));
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        out,
        "left: cat/role.connectionLimit: no document has it; it is a default, or part of a list (tenants/blueprints.yaml:16)\n"
    );
    assert_eq!(files(&estate.path().join("tenants")), before, "nothing was written");
    let output = estate.run(&["drift", "--accept", "ant/row"]);
    assert_eq!(output.status.code(), Some(5), "one of two");
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        out,
        "tenants/ant.yaml\naccepted: ant/row.columns.title\nleft: ant/row.columns.users: the tier small has it for 3 tenants; \
         for this tenant alone: `tenantry edit ant quotas.users=VALUE` (tenants/tiers.yaml:7)\n"
    );
    let output = estate.run(&["drift", "--accept", "bee/row"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&output.stderr).contains("`bee/row` has not drifted"));
}

#[tokio::test]
async fn nothing_sensitive_is_written() {
    let estate = Estate::new();
    estate.edit(
        "tenants/blueprints.yaml",
        "      kind: postgres.row\n",
        "      kind: postgres.row\n      sensitive: [/columns/title]\n",
    );
    estate.apply();
    change_world(estate.path(), &row("dog", "title", "'hunter2'")).await;
    let before = files(&estate.path().join("tenants"));
    let output = estate.run(&["drift", "--accept", "dog/row", "--format", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(out.contains("it is sensitive") && !out.contains("hunter2"), "{out}");
    assert_eq!(files(&estate.path().join("tenants")), before);
}

#[tokio::test]
async fn what_somebody_deleted_is_left_and_the_line_is_named() {
    let estate = drifted("DELETE FROM resources WHERE kind = 'postgres.role' AND identity = 'cat'").await;
    let output = estate.run(&["drift", "--accept", "cat/role"]);
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        out,
        "left: cat/role: somebody deleted it; to leave it so, no longer ask for it (tenants/blueprints.yaml:16)\n"
    );
}

#[tokio::test]
async fn a_plain_value_of_the_estate_s_own_blueprint_is_written_into_it() {
    let estate =
        drifted("UPDATE resources SET spec = json_set(spec, '$.connectionLimit', 50) WHERE identity = 'pool'").await;
    let output = estate.run(&["drift", "--accept", "estate/pool"]);
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{out}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(out, "tenants/blueprints.yaml\naccepted: estate/pool.connectionLimit\n");
    let text = fs::read_to_string(estate.path().join("tenants/blueprints.yaml")).expect("the file is there");
    assert!(text.contains("{name: pool, connectionLimit: 50}}  # for everybody\n"), "{text}");
    assert_eq!(estate.run(&["drift"]).status.code(), Some(0));
}

#[tokio::test]
async fn several_documents_of_one_file_are_edited_at_once() {
    let estate = Estate::new();
    let text =
        |name: &str| fs::read_to_string(estate.path().join(format!("tenants/{name}.yaml"))).expect("the file is there");
    let both = format!("{}---\n{}", text("ant"), text("bee"));
    ["ant", "bee"].iter().for_each(|name| estate.remove(&format!("tenants/{name}.yaml")));
    estate.write("tenants/both.yaml", &both);
    estate.apply();
    let sql = format!("{};\n{}", row("ant", "title", "'A longer title'"), row("bee", "title", "'B'"));
    change_world(estate.path(), &sql).await;
    let output = estate.run(&["drift", "--accept", "ant/row", "--accept", "bee/row"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let edited = both.replace("displayName: \"ant\"", "displayName: \"A longer title\"").replace("\"bee\"", "\"B\"");
    assert_eq!(fs::read_to_string(estate.path().join("tenants/both.yaml")).expect("the file is there"), edited);
}

#[tokio::test]
async fn what_is_accepted_on_a_branch_is_a_commit_there_and_leaves_the_work_tree() {
    let flow = Flow::new();
    flow.estate.apply();
    change_world(flow.path(), &row("dog", "users", "175")).await;
    let before = files(&flow.path().join("tenants"));
    flow.run(&["drift", "--branch", "drift/dog"]).fails(64, "`--branch` and `--commit` are for what `--accept` writes");
    let out = flow.run(&["drift", "--accept", "dog/row", "--branch", "drift/dog"]).ok();
    assert!(out.starts_with("tenants/dog.yaml\naccepted: dog/row.columns.users\ncommitted as "), "{out}");
    assert!(out.ends_with(" on the branch drift/dog\n"), "{out}");
    assert_eq!(files(&flow.path().join("tenants")), before);
    assert_eq!(flow.status(), []);
    assert!(flow.read_at("drift/dog", "tenants/dog.yaml").contains("    users: 175   # negotiated\n"));
    assert_eq!(flow.changed_lines("drift/dog"), (1, 1));
    let message = flow.tip("drift/dog").message().expect("text").to_owned();
    assert_eq!(message, "Accept what was changed outside\n\n- dog/row.columns.users\n");
    // Read from the branch, it is accepted there already.
    flow.run(&["drift", "--accept", "dog/row", "--branch", "main"]).fails(1, "the branch `main` is checked out");
    let json = flow.run(&["drift", "--accept", "dog/row", "--commit", "--format", "json"]).ok();
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["branch"], "main", "{json}");
    assert!(flow.read("tenants/dog.yaml").contains("users: 175"));
    assert_eq!(flow.status(), []);
    assert_eq!(flow.run(&["drift"]).exit, 0);
}

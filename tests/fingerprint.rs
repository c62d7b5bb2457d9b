//! A target that is another system than it was: nothing is planned for it until a person accepts it.

use std::path::Path;

use crate::command::{Said, files, run};
use assert_fs::TempDir;

const DOCUMENTS: &str = "apiVersion: tenantry.dev/v1
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
    - {id: role, kind: postgres.role, spec: {name: \"r_${ident(tenant.name)}\"}}
    - {id: key, kind: redis.key, spec: {key: \"quota:${tenant.name}\", value: 10}}
---
apiVersion: tenantry.dev/v1
kind: Tenant
metadata: {name: acme}
spec: {displayName: Acme, tier: standard, phase: active}
";
const GLOBEX: &str = "apiVersion: tenantry.dev/v1
kind: Tenant
metadata: {name: globex}
spec: {displayName: Globex, tier: standard, phase: active}
";
const CONFIG: &str = "[estate]\nname = \"shop\"
[targets.main]\nprovider = \"postgres\"\nsandbox = true
[targets.cache]\nprovider = \"redis\"\nsandbox = true
";
const WORLD: &str = ".tenantry/default/sandbox.db";

fn estate() -> TempDir {
    let folder = TempDir::new().expect("a folder");
    std::fs::create_dir(folder.path().join("tenants")).expect("a folder");
    std::fs::write(folder.path().join("tenantry.toml"), CONFIG).expect("writes");
    std::fs::write(folder.path().join("tenants/all.yaml"), DOCUMENTS).expect("writes");
    folder
}

fn add_globex(folder: &Path) {
    std::fs::write(folder.join("tenants/globex.yaml"), GLOBEX).expect("writes");
}

fn expect(exit: i32, folder: &Path, arguments: &[&str]) -> Said {
    let said = run(folder, arguments);
    assert_eq!(said.exit, exit, "{arguments:?}: {said:#?}");
    said
}

/// Puts the world of another estate, of the same form, in the place of this one's.
fn swap(folder: &Path) {
    let other = estate();
    expect(0, other.path(), &["apply", "--auto-approve"]);
    // What the other estate made is not ours.
    std::fs::copy(other.path().join(WORLD), folder.join(WORLD)).expect("copies");
    crate::command::wait(crate::command::change_world(folder, "DELETE FROM resources"));
}

/// The actions and codes of a plan.
fn planned(said: &Said) -> (Vec<String>, Vec<String>) {
    let plan = said.json();
    let texts = |list: &str, field: &str| {
        let items = plan[list].as_array().expect("a list").iter();
        items.map(|item| item[field].as_str().expect("a text").to_owned()).collect::<Vec<_>>()
    };
    (texts("changes", "action"), texts("findings", "code"))
}

/// Events of the journal, oldest first, with what they are about.
fn accepted(folder: &Path) -> Vec<(String, serde_json::Value)> {
    let entries = expect(0, folder, &["history", "--format", "json"]).json();
    let entries = entries.as_array().expect("a list").iter().rev();
    let accepted = entries.filter(|entry| entry["event"] == "targetAccepted");
    accepted
        .map(|entry| (entry["detail"]["target"].as_str().expect("a name").to_owned(), entry["detail"].clone()))
        .collect()
}

#[test]
fn a_target_is_remembered_by_the_first_apply_and_by_no_plan() {
    let estate = estate();
    let folder = estate.path();
    expect(0, folder, &["plan"]);
    expect(0, folder, &["drift"]);
    assert!(!folder.join(".tenantry").exists(), "planning leaves something behind");
    expect(0, folder, &["apply", "--auto-approve"]);
    let names: Vec<_> = accepted(folder).into_iter().map(|(target, _)| target).collect();
    assert_eq!(names, ["cache", "main"]);
    // Once it is known there is nothing more to be said of it.
    let before = files(folder);
    let said = expect(0, folder, &["plan", "--detailed-exitcode"]);
    assert!(!format!("{}{}", said.out, said.err).contains("sandbox "), "{said:#?}");
    assert_eq!(files(folder), before);
    add_globex(folder);
    expect(0, folder, &["apply", "--auto-approve"]);
    assert_eq!(accepted(folder).len(), 2);
}

#[test]
fn nothing_is_planned_for_another_system_until_a_person_accepts_it() {
    let estate = estate();
    let folder = estate.path();
    expect(0, folder, &["apply", "--auto-approve"]);
    swap(folder);
    add_globex(folder);

    let (actions, codes) = planned(&expect(3, folder, &["plan", "--format", "json"]));
    assert_eq!(actions, [""; 0]);
    assert_eq!(codes.iter().filter(|code| *code == "TY0421").count(), 2, "{codes:?}");
    let drift = expect(3, folder, &["drift", "--format", "json"]).json();
    assert_eq!(drift["drifted"], serde_json::json!([]));
    let findings = drift["findings"].as_array().expect("findings").iter();
    assert_eq!(findings.filter(|finding| finding["code"] == "TY0421").count(), 2, "{drift}");
    let said = expect(3, folder, &["plan"]);
    assert!(said.out.contains("refused[TY0421]: target `main` was sandbox "), "{said:#?}");
    assert!(said.out.contains(" and is now sandbox "), "{said:#?}");
    assert!(said.out.contains("`tenantry target accept main`"), "{said:#?}");
    let world = std::fs::read(folder.join(WORLD)).expect("reads");
    expect(3, folder, &["apply", "--auto-approve"]);
    assert_eq!(std::fs::read(folder.join(WORLD)).expect("reads"), world, "something was written");

    // Nobody is there to be asked.
    let said = expect(64, folder, &["target", "accept", "main"]);
    assert!(said.err.contains("target `main` was sandbox "), "{said:#?}");
    assert!(said.err.contains("`tenantry target accept main --auto-approve`"), "{said:#?}");
    expect(3, folder, &["plan"]);

    let said = expect(0, folder, &["target", "accept", "main", "--auto-approve", "--format", "json"]).json();
    assert_eq!(said["target"], "main");
    assert_ne!(said["fingerprint"], said["insteadOf"]);
    // One of two is not enough.
    let said = expect(3, folder, &["plan", "--format", "json"]);
    assert_eq!(planned(&said).1.iter().filter(|code| *code == "TY0421").count(), 1);
    expect(0, folder, &["target", "accept", "cache", "--auto-approve"]);
    let again = expect(0, folder, &["target", "accept", "cache", "--auto-approve"]);
    assert!(again.err.contains("already accepted"), "{again:#?}");

    let (actions, _) = planned(&expect(0, folder, &["plan", "--format", "json"]));
    assert_eq!(actions, ["create"; 4]);
    expect(0, folder, &["apply", "--auto-approve"]);
    expect(0, folder, &["plan", "--detailed-exitcode"]);
    let (target, detail) = accepted(folder).remove(2);
    assert_eq!((&*target, &detail["actor"]), ("main", &"tester@example".into()));
    assert_eq!(detail["insteadOf"], accepted(folder)[1].1["fingerprint"]);
}

#[test]
fn a_saved_plan_is_stale_where_a_target_is_another_system() {
    let estate = estate();
    let folder = estate.path();
    expect(0, folder, &["apply", "--auto-approve"]);
    add_globex(folder);
    expect(0, folder, &["plan", "--out", "saved.json"]);
    swap(folder);
    let said = expect(4, folder, &["apply", "saved.json"]);
    assert!(said.err.contains("was sandbox ") && said.err.contains("target accept"), "{said:#?}");

    // Accepted since: it is still not the system that was planned for.
    for target in ["main", "cache"] {
        expect(0, folder, &["target", "accept", target, "--auto-approve"]);
    }
    let said = expect(4, folder, &["apply", "saved.json"]);
    assert!(said.err.contains("and is now sandbox "), "{said:#?}");
    let (actions, _) = planned(&expect(0, folder, &["plan", "--format", "json"]));
    assert_eq!(actions, ["create"; 4], "something was written");
}

#[test]
fn a_target_that_is_gone_is_not_the_one_that_was_accepted() {
    let estate = estate();
    let folder = estate.path();
    expect(0, folder, &["apply", "--auto-approve"]);
    std::fs::remove_file(folder.join(WORLD)).expect("removes");
    let said = expect(3, folder, &["plan", "--format", "json"]);
    assert_eq!(planned(&said).0, [""; 0]);
    let said = expect(3, folder, &["plan"]);
    assert!(said.out.contains("the system that answers now has no fingerprint"), "{said:#?}");
    for target in ["main", "cache"] {
        expect(0, folder, &["target", "accept", target, "--auto-approve"]);
    }
    assert_eq!(planned(&expect(0, folder, &["plan", "--format", "json"])).0, ["create"; 2]);
}

/// As after an update from a version that remembered nothing.
#[test]
fn an_apply_that_has_nothing_to_do_remembers_all_the_same() {
    let estate = estate();
    let folder = estate.path();
    expect(0, folder, &["apply", "--auto-approve"]);
    crate::command::wait(crate::command::change_store(folder, "DELETE FROM targets"));
    let said = expect(0, folder, &["apply", "--auto-approve"]);
    assert!(said.err.contains("Nothing to apply."), "{said:#?}");
    assert_eq!(accepted(folder).len(), 4);
    swap(folder);
    expect(3, folder, &["plan"]);
}

#[test]
fn doctor_tells_which_system_each_target_is() {
    let estate = estate();
    let folder = estate.path();
    expect(0, folder, &["doctor"]);
    expect(0, folder, &["apply", "--auto-approve"]);
    let said = expect(0, folder, &["doctor"]);
    let fingerprint = accepted(folder)[1].1["fingerprint"].as_str().expect("a text").to_owned();
    assert!(said.out.contains(&format!("{fingerprint}, accepted at ")), "{said:#?}");
    swap(folder);
    let said = expect(1, folder, &["doctor"]);
    assert!(said.out.contains(&format!("target `main` was {fingerprint} and is now sandbox ")), "{said:#?}");
    assert!(said.out.contains("`tenantry target accept main`"), "{said:#?}");
}

#[test]
fn a_target_that_does_not_exist_is_not_accepted() {
    let estate = estate();
    let said = expect(64, estate.path(), &["target", "accept", "mian", "--auto-approve"]);
    assert!(said.err.contains("did you mean `main`?"), "{said:#?}");
}

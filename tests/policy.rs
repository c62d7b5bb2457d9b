//! `tenantry policy`, the policies that ship with Tenantry, and Approvals in Git.

use std::fs;
use std::path::Path;
use std::process::Command;

use assert_fs::TempDir;

use crate::command::{Said, run, run_at};

/// Writes files below a folder.
fn write(folder: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().expect("files lie in folders")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
}

const POLICY: &str = "\
apiVersion: tenantry.dev/v1
kind: Policy
metadata: {name: users}
spec:
  values: {most: 50}
  rules:
    - id: most
      each: tenant
      only: {tiers: [small]}
      expression: tenant.quotas.users <= values.most
      message: \"${tenant.name} has ${tenant.quotas.users} users\"
      enforcement: deny
    - id: never-broken
      each: change
      expression: \"true\"
      message: never
      enforcement: approval
      approvers: [policies/approvals/*]
  tests:
    - name: few
      given: {tenant: {tier: small, quotas: {users: 5}}}
      expect: pass
    - name: many
      given: {tenant: {name: acme, tier: small, quotas: {users: 51}}}
      expect: deny
      message: acme has 51 users
";

#[test]
fn every_policy_of_the_library_has_tests_that_pass_and_break_each_rule() {
    let folder = TempDir::new().expect("a temporary folder");
    let said = run(folder.path(), &["policy", "test", "--library", "--format", "json"]);
    let json = said.json();
    assert_eq!((said.exit, &json["failed"]), (0, &0.into()), "{json:#}");
    assert!(json["passed"].as_u64().expect("a number") >= 45, "{}", json["passed"]);
    assert_eq!(json["policiesWithoutTests"], serde_json::json!([]));
    assert_eq!(json["rulesThatNoTestBreaks"], serde_json::json!([]), "a rule that never refuses shows nothing");
    let listed = run(folder.path(), &["policy", "list", "--library", "--format", "json"]).json();
    let names: Vec<&str> =
        listed.as_array().expect("a list").iter().filter_map(|policy| policy["name"].as_str()).collect();
    assert_eq!(
        names,
        [
            "blast-radius",
            "deletion-windows",
            "features-of-tier",
            "no-literal-secrets",
            "no-public-bucket",
            "quota-increase",
            "reserved-subdomains",
            "residency",
            "row-security-forced",
            "suspension-reason",
            "unique-domains"
        ]
    );
    // What is listed is what is added, by the same name.
    for name in names {
        let estate = TempDir::new().expect("a temporary folder");
        write(estate.path(), &[("tenantry.toml", "[estate]\nname = \"shop\"\n")]);
        let added = run(estate.path(), &["policy", "add", name]);
        assert_eq!((added.exit, added.out), (0, format!("policies/{name}.yaml\n")), "{}", added.err);
        let again = run(estate.path(), &["policy", "add", name]);
        assert!(again.exit == 1 && again.err.contains("exists; nothing was written"), "{again:?}");
        let tested = run(estate.path(), &["policy", "test"]);
        assert!(tested.exit == 0 && tested.out.contains(" 0 failed"), "{tested:?}");
        let valid = run(estate.path(), &["validate"]);
        assert_eq!(valid.exit, 0, "{valid:?}");
    }
}

#[test]
fn tests_of_policies_fail_with_the_reason_and_name_what_is_untested() {
    let folder = TempDir::new().expect("a temporary folder");
    let broken = POLICY.replace("acme has 51 users", "acme has 52 users");
    write(
        folder.path(),
        &[("p/users.yaml", POLICY), ("p/broken.yaml", &broken.replace("{name: users}", "{name: broken}"))],
    );
    let said = run(folder.path(), &["policy", "test", "p/users.yaml"]);
    assert_eq!(said.exit, 0, "{said:?}");
    assert_eq!(
        said.out,
        "users\n  passed  few\n  passed  many\n\
         warning: no test of policy `users` breaks the rule `never-broken` (p/users.yaml:13)\n\
         1 policy: 2 passed, 0 failed\n"
    );
    let said = run(folder.path(), &["policy", "test", "p"]);
    assert_eq!(said.exit, 1, "{said:?}");
    let reason = "expected the message \"acme has 52 users\" (most: deny: acme has 51 users)";
    assert!(said.out.contains(&format!("  failed  many\n          {reason}\n")), "{}", said.out);
    assert!(said.out.ends_with("2 policies: 3 passed, 1 failed\n"), "{}", said.out);
    let junit = run(folder.path(), &["policy", "test", "p", "--format", "junit"]);
    assert_eq!(junit.exit, 1);
    assert!(junit.out.contains("tests=\"4\" failures=\"1\""), "{}", junit.out);
    assert!(junit.out.contains("name=\"broken: many\""), "{}", junit.out);
    let json = run(folder.path(), &["policy", "test", "p", "--format", "json"]).json();
    assert_eq!((&json["passed"], &json["failed"]), (&3.into(), &1.into()));
    let of_json: Vec<&str> =
        json["tests"].as_array().expect("a list").iter().filter_map(|test| test["failure"].as_str()).collect();
    assert_eq!(of_json, [reason]);
    // An expectation that is too weak fails too.
    write(folder.path(), &[("q.yaml", &POLICY.replace("expect: deny", "expect: warn"))]);
    let said = run(folder.path(), &["policy", "test", "q.yaml"]);
    assert!(said.exit == 1 && said.out.contains("expected warn, but it is deny"), "{said:?}");
    // A rule that is not well formed is an error with its place, not a failed test.
    write(
        folder.path(),
        &[("r.yaml", &POLICY.replace("tenant.quotas.users <= values.most", "tenant.quota.users <= 5"))],
    );
    let said = run(folder.path(), &["policy", "test", "r.yaml"]);
    assert!(said.exit == 1 && said.err.contains("r.yaml:10:19"), "{said:?}");
}

#[test]
fn rules_are_listed_with_what_they_are_for() {
    let estate = TempDir::new().expect("a temporary folder");
    write(estate.path(), &[("tenantry.toml", "[estate]\nname = \"shop\"\n"), ("policies/users.yaml", POLICY)]);
    let said = run(estate.path(), &["policy", "list"]);
    assert_eq!(
        said.out,
        "POLICY  RULE          ENFORCEMENT                      EVALUATED FOR              TESTS  FILE\n\
         users   most          deny                             each tenant on tier small  2      policies/users.yaml:7\n\
         users   never-broken  approval (policies/approvals/*)  each change                2      policies/users.yaml:13\n"
    );
    let mistyped = run(estate.path(), &["policy", "add", "no-public-buckets"]);
    assert!(mistyped.exit == 64 && mistyped.err.contains("did you mean `no-public-bucket`?"), "{mistyped:?}");
}

const SIMULATED: &str = "[estate]\nname = \"shop\"\n[targets.main]\nprovider = \"postgres\"\nsandbox = true\n";

/// A real target that nothing uses. With it, the estate is not all sandbox.
const REAL: &str = "[targets.real]\nprovider = \"redis\"\nurl = \"env:NOWHERE\"\n";

/// An estate in the sandbox.
fn estate() -> TempDir {
    let estate = TempDir::new().expect("a temporary folder");
    let document = |kind: &str, name: &str, spec: &str| {
        format!("apiVersion: tenantry.dev/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n")
    };
    write(
        estate.path(),
        &[
            ("tenantry.toml", SIMULATED),
            ("tenants/tier.yaml", &document("Tier", "small", "{rank: 1, blueprints: [saas]}")),
            (
                "tenants/saas.yaml",
                &document(
                    "Blueprint",
                    "saas",
                    "{scope: tenant, resources: [{id: schema, kind: postgres.schema, spec: {name: \"${ident(tenant.name)}\"}}]}",
                ),
            ),
            ("tenants/acme.yaml", &document("Tenant", "acme", "{displayName: Acme, tier: small, phase: active}")),
            (".gitignore", ".tenantry/\n*-draft.yaml\n"),
        ],
    );
    estate
}

const APPROVAL: &str = "\
apiVersion: tenantry.dev/v1
kind: Approval
metadata: {name: acme-leaves}
spec: {allow: [delete, massDelete], addresses: ['acme/*'], reason: agreed, expires: 2026-01-20}
";

fn git(folder: &Path, arguments: &[&str]) {
    let mut command = Command::new("git");
    command.current_dir(folder).args(["-c", "user.name=T", "-c", "user.email=t@example.com"]).args(arguments);
    let output = command.output().expect("git starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn an_approval_counts_only_once_it_is_committed() {
    let estate = estate();
    let folder = estate.path();
    assert_eq!(run(folder, &["apply", "--auto-approve"]).exit, 0);
    write(folder, &[("tenantry.toml", &format!("{SIMULATED}{REAL}"))]);
    git(folder, &["init", "-q", "-b", "main"]);
    git(folder, &["add", "."]);
    git(folder, &["commit", "-q", "-m", "A tenant"]);
    let blueprint = fs::read_to_string(folder.join("tenants/saas.yaml")).expect("a blueprint");
    let without = format!("{}resources: []}}\n", blueprint.split("resources:").next().expect("a beginning"));
    write(folder, &[("tenants/saas.yaml", &without)]);
    let planned =
        |arguments: &[&str]| -> Said { run_at(folder, "2026-01-10T00:00:00Z", &[&["plan"], arguments].concat()) };
    assert_eq!(planned(&[]).exit, 3, "without any Approval");

    let why = "Approval `acme-leaves` would allow this, but its file policies/acme.yaml is not committed";
    write(folder, &[("policies/acme.yaml", APPROVAL)]);
    let said = planned(&[]);
    assert!(said.exit == 3 && said.out.contains("warning[TY0444]") && said.out.contains(why), "{said:?}");
    git(folder, &["add", "policies"]);
    assert!(planned(&[]).exit == 3 && planned(&[]).out.contains(why), "an index is no commit");
    git(folder, &["commit", "-q", "-m", "Allow it"]);
    let said = planned(&[]);
    assert!(said.exit == 0 && said.out.contains("Uses the Approval acme-leaves"), "{said:?}");

    // Edited after it was reviewed, it does not count, however harmless the edit; what else is edited does not matter.
    write(folder, &[("policies/acme.yaml", &format!("# wider\n{APPROVAL}"))]);
    let said = planned(&[]);
    assert!(said.exit == 3 && said.out.contains("policies/acme.yaml has uncommitted changes"), "{said:?}");
    let sandbox = planned(&["--sandbox"]);
    assert!(!sandbox.out.contains("TY0444"), "{sandbox:?}");
    let committed = planned(&["--rev", "HEAD"]);
    assert!(!committed.out.contains("TY0444"), "{committed:?}");
    // An ignored file is in no commit.
    git(folder, &["checkout", "-q", "policies"]);
    fs::rename(folder.join("policies/acme.yaml"), folder.join("policies/acme-draft.yaml")).expect("renamed");
    let said = planned(&[]);
    assert!(
        said.exit == 3 && said.out.contains("policies/acme-draft.yaml is ignored by Git and in no commit"),
        "{said:?}"
    );
    // Without a repository nothing can be committed.
    fs::rename(folder.join("policies/acme-draft.yaml"), folder.join("policies/acme.yaml")).expect("renamed");
    fs::remove_dir_all(folder.join(".git")).expect("removed");
    assert_eq!(planned(&[]).exit, 0);
}

#[test]
fn a_policy_is_shown_in_every_format() {
    let estate = estate();
    let policy = POLICY
        .replace("only: {tiers: [small]}", "when: \"true\"")
        .replace("tenant.quotas.users <= values.most", "tenant.name != 'acme'");
    let policy = policy
        .replace("${tenant.quotas.users} users", "no users")
        .split("  tests:")
        .next()
        .expect("a policy")
        .to_owned();
    write(estate.path(), &[("policies/users.yaml", &policy)]);
    let planned = |format: &str| run(estate.path(), &["plan", "--format", format]);
    for (format, text) in [
        ("human", "refused[TY0440]: policy `users`: acme has no users (tenants/acme.yaml:3)"),
        ("markdown", "**refused** <code>TY0440</code>: policy <code>users</code>&#58; acme has no users"),
        ("html", "policy <code>users</code>: acme has no users"),
        ("github", "policy `users`: acme has no users"),
        ("sarif", "policy `users`: acme has no users"),
    ] {
        let said = planned(format);
        assert!(said.exit == 3 && said.out.contains(text), "{format}: {said:?}");
    }
    let said = planned("json");
    let finding = &said.json()["findings"][0];
    assert_eq!(said.exit, 3);
    assert_eq!((&finding["policy"], &finding["message"]), (&"users".into(), &"acme has no users".into()));
    assert_eq!(finding["help"], "see rule `most` in policies/users.yaml:7");
}

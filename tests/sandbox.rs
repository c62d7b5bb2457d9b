//! The sandbox where it has to do what targets do.

use assert_fs::TempDir;

use crate::command::{change_world, run, wait};

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

//! Existing tenants become an estate: small folders for the form, real ones for the proof.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::command::{Said, files, run};
use assert_fs::TempDir;
use secrecy::ExposeSecret as _;

fn lay(folder: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
}

fn read(folder: &Path, path: &str) -> String {
    std::fs::read_to_string(folder.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The manifests of a small tenant.
fn tenant(name: &str, team: &str, pods: &str, more: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {name}\n  labels: {{team: {team}}}\n---\n\
         apiVersion: v1\nkind: ResourceQuota\nmetadata: {{name: quota, namespace: {name}}}\nspec:\n  hard: {{pods: {pods}, requests.cpu: 2000m}}\n---\n\
         apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {{name: {name}-admin, namespace: {name}}}\n\
         roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: admin}}\n\
         subjects:\n- {{apiGroup: rbac.authorization.k8s.io, kind: Group, name: {team}}}\n\
         - {{apiGroup: rbac.authorization.k8s.io, kind: Group, name: platform}}\n{more}"
    )
}

#[test]
fn tenants_become_blueprint_tiers_and_values() {
    let folder = TempDir::new().expect("a folder");
    let rules = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: rules, namespace: gamma}\ndata:\n  expr: \"sum(${job})\"\n  \"on\": \"yes\"\n";
    lay(
        folder.path(),
        &[
            ("live/alpha/all.yaml", &tenant("alpha", "red", "10", "")),
            ("live/beta/all.yaml", &tenant("beta", "blue", "10", "")),
            ("live/gamma/all.yaml", &tenant("gamma", "green", "40", rules)),
            ("live/delta/all.yaml", &tenant("delta", "grey", "40", "")),
        ],
    );
    let said = run(folder.path(), &["import", "manifests", "live", "--out", "estate", "--name", "small"]);
    assert_eq!(said.exit, 0, "{said:#?}");
    let estate = folder.path().join("estate");
    insta::assert_snapshot!(said.out, @"13 objects of 4 tenants became 1 blueprint, 4 resources and 2 tiers; the estate reproduces each of them");
    insta::assert_snapshot!(read(&estate, "tenants/blueprints/tenant.yaml"), @r#"
    # yaml-language-server: $schema=../../schemas/blueprint.v1.schema.json
    # The resources of every tenant. Imported from existing objects; `adopt` takes them over.
    apiVersion: tenantry.dev/v1
    kind: Blueprint
    metadata: {name: tenant}
    spec:
      scope: tenant
      resources:
        - id: namespace
          kind: kubernetes.object
          adopt: true
          spec:
            apiVersion: v1
            kind: Namespace
            metadata:
              name: "${tenant.name}"
              labels: {team: "${tenant.values.namespace.team}"}
        - id: resource_quota
          kind: kubernetes.object
          adopt: true
          spec:
            apiVersion: v1
            kind: ResourceQuota
            metadata: {name: quota, namespace: "${tenant.name}"}
            spec:
              hard: {pods: "${tenant.values.resource_quota.pods}", requests.cpu: "2"}
        - id: role_binding
          kind: kubernetes.object
          adopt: true
          spec:
            apiVersion: rbac.authorization.k8s.io/v1
            kind: RoleBinding
            metadata: {name: "${tenant.name}-admin", namespace: "${tenant.name}"}
            roleRef: {kind: ClusterRole, name: admin, apiGroup: rbac.authorization.k8s.io}
            subjects: "${tenant.values.role_binding.subjects.map(it, {'name': it, 'apiGroup': 'rbac.authorization.k8s.io', 'kind': 'Group'})}"
        # 1 object of 1 tenant, each a value as a whole.
        - id: objects
          forEach: "${tenant.values.objects.map(name, name)}"
          kind: kubernetes.object
          adopt: true
          spec:
            apiVersion: "${tenant.values.objects[each].apiVersion}"
            kind: "${tenant.values.objects[each].kind}"
            metadata: "${tenant.values.objects[each].metadata}"
            data: "${tenant.values.objects[each].data}"
    "#);
    insta::assert_snapshot!(read(&estate, "tenants/tiers.yaml"), @r#"
    # yaml-language-server: $schema=../schemas/document.v1.schema.json
    # 2 tenants are on it.
    apiVersion: tenantry.dev/v1
    kind: Tier
    metadata: {name: standard}
    spec:
      rank: 1
      blueprints: [tenant]
      # The values of most of its tenants; a tenant's own values override them. null: most tenants have none.
      values:
        objects: {}
        resource_quota: {pods: "10"}
    ---
    # 2 tenants are on it.
    apiVersion: tenantry.dev/v1
    kind: Tier
    metadata: {name: large}
    spec:
      rank: 2
      blueprints: [tenant]
      # The values of most of its tenants; a tenant's own values override them. null: most tenants have none.
      values:
        objects: {}
        resource_quota: {pods: "40"}
    "#);
    insta::assert_snapshot!(read(&estate, "tenants/customers/gamma.yaml"), @r#"
    # yaml-language-server: $schema=../../schemas/tenant.v1.schema.json
    apiVersion: tenantry.dev/v1
    kind: Tenant
    metadata: {name: gamma}
    spec:
      displayName: gamma
      tier: large
      phase: active
      values:
        namespace: {team: green}
        objects:
          config_map/rules:
            apiVersion: v1
            kind: ConfigMap
            metadata: {name: rules, namespace: gamma}
            data: {expr: "sum(${job})", "on": "yes"}
        role_binding:
          subjects: [green, platform]
    "#);

    let valid = run(folder.path(), &["validate", "-C", "estate"]);
    assert_eq!((valid.exit, valid.err.as_str()), (0, ""), "{valid:#?}");
    assert!(valid.out.contains("4 tenants"), "{valid:#?}");

    // What is there is not written over.
    let before = files(&estate);
    let again = run(folder.path(), &["import", "manifests", "live", "--out", "estate"]);
    assert!(again.exit == 1 && again.err.contains("already exists"), "{again:#?}");
    assert_eq!(files(&estate), before);
}

#[test]
fn in_flat_files_the_namespace_tells_the_tenant() {
    let folder = TempDir::new().expect("a folder");
    let all = format!("{}---\n{}", tenant("alpha", "red", "10", ""), tenant("beta", "blue", "10", ""));
    lay(folder.path(), &[("live/all.yaml", &all)]);
    let said = run(folder.path(), &["import", "manifests", "live", "-C", "estate", "--name", "flat"]);
    assert_eq!(said.exit, 0, "{said:#?}");
    assert!(said.out.contains("6 objects of 2 tenants"), "{said:#?}");
}

#[test]
fn what_cannot_be_taken_is_named_with_its_place() {
    let folder = TempDir::new().expect("a folder");
    let alpha = tenant("alpha", "red", "10", "");
    lay(
        folder.path(),
        &[
            ("live/alpha/all.yaml", &alpha),
            ("live/beta/all.yaml", &tenant("beta", "blue", "10", "")),
            ("live/beta/values.yaml", "replicas: 3\n"),
            ("live/beta/broken.yaml", "kind: [\n"),
            (
                "live/beta/twice.yaml",
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: beta}\ndata: {a: x, a: y}\n",
            ),
            ("live/beta/wrong.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: No_Name, namespace: beta}\n"),
            (
                "live/beta/invented.yaml",
                "apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: j-, namespace: beta}\n",
            ),
            (
                "live/beta/quota.yaml",
                "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: quota}\nspec:\n  hard: {pods: 5, requests.cpu: 2}\n",
            ),
            ("live/gamma/theirs.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: beta}\n"),
            (
                "live/beta/secret.yaml",
                "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: beta}\nstringData: {password: hunter2}\n",
            ),
            ("live/beta/list.yaml", "apiVersion: v1\nkind: List\nitems:\n- text\n"),
            ("live/role.yaml", "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: all}\n"),
        ],
    );
    let said = run(folder.path(), &["import", "manifests", "live", "--out", "estate", "--name", "odd"]);
    assert_eq!(said.exit, 5, "{said:#?}");
    let written = files(&folder.path().join("estate"));
    assert!(written.values().all(|text| !String::from_utf8_lossy(text).contains("hunter2")), "a secret is not copied");
    insta::assert_snapshot!(said.err, @r"
    warning[TY0501]: ResourceQuota beta quota appears twice with different content
     --> beta/all.yaml:7:1
      |
    7 | apiVersion: v1
      | ^^^^^^^^^^^^^^ not taken over
      |
     ::: beta/quota.yaml:1:1
      |
    1 | apiVersion: v1
      | -------------- the one that was taken
      |
      = help: the later one was taken, as `kubectl apply` does; remove one of them

    error[TY0101]: the file is not valid YAML
     --> beta/broken.yaml:2:1
      |
    2 |
      | ^ while parsing a node, did not find expected node content
      |
      = help: check the indentation, the quotation marks and the brackets around this place; quote texts that contain special characters

    warning[TY0501]: this object has no name
     --> beta/invented.yaml:1:1
      |
    1 | apiVersion: batch/v1
      | ^^^^^^^^^^^^^^^^^^^^ not taken over
      |
      = help: write `name`; an object whose name the server generates (`generateName`) cannot be taken over

    warning[TY0501]: an item of this list is not a Kubernetes object
     --> beta/list.yaml:1:1
      |
    1 | apiVersion: v1
      | ^^^^^^^^^^^^^^ not taken over
      |
      = help: a Kubernetes object has apiVersion and kind

    warning[TY0502]: this object has no namespace; it was taken into `beta`
     --> beta/quota.yaml:1:1
      |
    1 | apiVersion: v1
      | ^^^^^^^^^^^^^^ `kubectl apply --namespace` does the same

    warning[TY0501]: this Secret holds values, which everybody could read in the estate
     --> beta/secret.yaml:1:1
      |
    1 | apiVersion: v1
      | ^^^^^^^^^^^^^^ not taken over
      |
      = help: add it to the blueprint with secret(…), or let an ExternalSecret fetch it

    warning[TY0104]: the key `a` appears twice in one mapping
     --> beta/twice.yaml:4:14
      |
    4 | data: {a: x, a: y}
      |        -     ^ again here
      |        |
      |        first here
      |
      = help: the later one was taken, as kubectl does

    warning[TY0501]: this document is not a Kubernetes object
     --> beta/values.yaml:1:1
      |
    1 | replicas: 3
      | ^^^^^^^^^^^ not taken over
      |
      = help: a Kubernetes object has apiVersion and kind

    warning[TY0501]: the name of a ConfigMap must have only lower-case letters, digits, hyphens and dots, and each part must begin and end with a letter or digit (metadata.name)
     --> beta/wrong.yaml:1:1
      |
    1 | apiVersion: v1
      | ^^^^^^^^^^^^^^ not taken over
      |
      = help: shorten it with dnsLabel(…), which keeps names apart by a hash

    warning[TY0501]: ConfigMap beta c already belongs to tenant `beta`
     --> gamma/theirs.yaml:1:1
      |
    1 | apiVersion: v1
      | ^^^^^^^^^^^^^^ not taken over
      |
     ::: beta/twice.yaml:1:1
      |
    1 | apiVersion: v1
      | -------------- the one that was taken
      |
      = help: an object has one owner: remove it from one of the tenants, or add it to a blueprint of scope `estate`

    warning[TY0501]: this object has no namespace, so it belongs to no tenant
     --> role.yaml:1:1
      |
    1 | apiVersion: rbac.authorization.k8s.io/v1
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ not taken over
      |
      = help: move it to the folder of its tenant, or add it to a blueprint of scope `estate`

    Look at it with `tenantry validate` and `tenantry plan`; the target is simulated except in the environment `production`.
    ");
}

/// YAML keeps the zero of 49.0, a document of an estate does not, and to a server both are one number.
#[test]
fn a_number_with_a_zero_behind_its_point_is_imported() {
    let folder = TempDir::new().expect("a folder");
    for tenant in ["ant", "bee"] {
        let live = folder.path().join("live").join(tenant);
        std::fs::create_dir_all(&live).expect("a folder");
        let order = if tenant == "ant" { "49.0" } else { "50.5" };
        let objects = format!(
            "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {tenant}}}\n---\napiVersion: projectcalico.org/v3\n\
             kind: NetworkPolicy\nmetadata: {{name: egress, namespace: {tenant}}}\n\
             spec: {{order: {order}, weights: [1.0, 2.0], types: [Egress]}}\n"
        );
        std::fs::write(live.join("objects.yaml"), objects).expect("a file");
    }
    let said = run(folder.path(), &["import", "manifests", "live", "--out", "estate", "--name", "platform"]);
    assert_eq!(said.exit, 0, "{said:#?}");
    assert!(said.out.starts_with("4 objects of 2 tenants became 1 blueprint"), "{said:#?}");
    let valid = run(folder.path(), &["validate", "-C", "estate"]);
    assert_eq!((valid.exit, valid.err.as_str()), (0, ""), "{valid:#?}");
}

#[test]
fn nothing_to_take_is_an_error() {
    let folder = TempDir::new().expect("a folder");
    std::fs::create_dir(folder.path().join("live")).expect("a folder");
    let said = run(folder.path(), &["import", "manifests", "live", "--out", "estate"]);
    assert!(said.exit == 1 && said.err.contains("no object"), "{said:#?}");
    let said = run(folder.path(), &["import", "manifests", "nowhere", "--out", "estate"]);
    assert_eq!(said.exit, 64, "{said:#?}");
    assert!(!folder.path().join("estate").exists());
}

/// The folder of real namespaces, where there is one.
#[expect(clippy::disallowed_methods, reason = "the environment names the folder")]
fn namespaces(test: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("TENANTRY_SAMPLE_NAMESPACES").map(PathBuf::from).filter(|folder| folder.is_dir());
    if folder.is_none() {
        // Past the test runner, which shows nothing of a test that passes.
        let _ = writeln!(std::io::stderr(), "{test} skipped: TENANTRY_SAMPLE_NAMESPACES names no folder of namespaces");
    }
    folder
}

/// 209 tenants of a public cloud platform: imported, which proves every object, and then kept as files of a folder.
#[test]
fn real_tenants_are_imported_and_live_in_a_folder() {
    let Some(namespaces) = namespaces("real_tenants_are_imported_and_live_in_a_folder") else { return };
    let folder = TempDir::new().expect("a folder");
    let estate = folder.path().join("estate");
    let from = namespaces.to_str().expect("a path of text");
    let said = run(folder.path(), &["import", "manifests", from, "--out", "estate", "--name", "platform"]);
    // One of two objects of one name is left out, and said so.
    assert_eq!(said.exit, 5, "{said:#?}");
    assert!(said.out.starts_with("1666 objects of 209 tenants became 1 blueprint"), "{said:#?}");
    assert_eq!(said.err.matches("TY0501").count(), 1, "{}", said.err);
    let valid = run(folder.path(), &["validate", "-C", "estate"]);
    assert_eq!((valid.exit, valid.err.as_str()), (0, ""), "{valid:#?}");
    assert!(valid.out.contains("209 tenants") && valid.out.contains("1666 resources"), "{valid:#?}");

    let config = read(&estate, "tenantry.toml");
    let config = config.replace("# directory = \"../gitops/tenants\"", "directory = \"../objects\"");
    std::fs::write(estate.join("tenantry.toml"), config).expect("a configuration");
    let identity = tenantry_secret::new_identity().0;
    let real = |arguments: &[&str]| {
        let mut command = crate::command::tenantry(&estate);
        command.args(["--env", "production"]).args(arguments).env("TENANTRY_AGE_IDENTITY", identity.expose_secret());
        Said::of(command.output().expect("the command starts"))
    };
    let applied = real(&["apply", "--auto-approve", "--quiet"]);
    assert_eq!(applied.exit, 0, "{}\n{}", applied.out, applied.err);
    assert!(applied.out.contains("1666 changes done"), "{}", applied.out);
    let plan = real(&["plan", "--detailed-exitcode"]);
    assert_eq!(plan.exit, 0, "{}\n{}", plan.out, plan.err);

    // And taken over from there it is the same estate again, but for the names in it.
    let objects = files(&folder.path().join("objects"));
    assert_eq!(objects.len(), 1666 + 209 + 1, "objects, a list for each tenant, and one of these");
    for (path, text) in objects.iter().take(40) {
        assert!(std::str::from_utf8(text).is_ok_and(|text| text.contains("kind: ")), "{}", path.display());
    }
    std::fs::remove_file(folder.path().join("objects").join(objects.keys().nth(9).expect("a file"))).expect("removed");
    let drift = real(&["drift"]);
    assert_eq!(drift.exit, 2, "{}\n{}", drift.out, drift.err);
}

//! Fields that the blueprint gives up: known as ours by the server's own record, whatever the store knows, and taken away.

use serde_json::{Value as Json, json};
use tenantry_core::model::value::Map;
use tenantry_provider::contract::StepAction;

use super::estate::Checkout;
use crate::support::kubernetes::{World, object, on_server, with};
use crate::support::{create, present, update};

/// A tenant with something of every sort that can be given up.
const SHARED: &str = r#"    - id: namespace
      kind: kubernetes.object
      spec: {apiVersion: v1, kind: Namespace, metadata: {name: "${tenant.name}"}}
    - id: firewall
      kind: kubernetes.object
      spec:
        apiVersion: networking.k8s.io/v1
        kind: NetworkPolicy
        metadata: {name: firewall, namespace: "${tenant.name}"}
        spec:
          podSelector: {}
          policyTypes: [Ingress]
          ingress: [{from: [{podSelector: {}}]}]
    - id: helpers
      kind: kubernetes.object
      spec:
        apiVersion: rbac.authorization.k8s.io/v1
        kind: RoleBinding
        metadata: {name: helpers, namespace: "${tenant.name}"}
        roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
        subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: leaver}]
    - id: tokens
      kind: kubernetes.object
      spec:
        apiVersion: v1
        kind: Secret
        metadata: {name: tokens, namespace: "${tenant.name}"}
        stringData:
          current: fresh-token
          leaked: stale-token
    - id: quota
      kind: kubernetes.object
      spec:
        apiVersion: v1
        kind: ResourceQuota
        metadata: {name: quota, namespace: "${tenant.name}"}
        spec:
          hard:
            pods: 10
            services: 3
    - id: settings
      kind: kubernetes.object
      spec:
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: settings, namespace: "${tenant.name}"}
        data: {mode: live}
    - id: web
      kind: kubernetes.object
      spec:
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: web, namespace: "${tenant.name}", annotations: {tenantry.dev/wait: "false"}}
        spec:
          selector: {matchLabels: {app: web}}
          template:
            metadata: {labels: {app: web}}
            spec:
              containers:
                - name: web
                  image: "web:1"
                  env:
                    - {name: MODE, value: live}
"#;

/// Where the objects of the blueprint are.
fn paths(tenant: &str) -> [String; 6] {
    [
        format!("/apis/networking.k8s.io/v1/namespaces/{tenant}/networkpolicies/firewall"),
        format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{tenant}/rolebindings/helpers"),
        format!("/api/v1/namespaces/{tenant}/secrets/tokens"),
        format!("/api/v1/namespaces/{tenant}/resourcequotas/quota"),
        format!("/api/v1/namespaces/{tenant}/configmaps/settings"),
        format!("/apis/apps/v1/namespaces/{tenant}/deployments/web"),
    ]
}

#[test]
fn what_is_ours_in_the_cluster_and_named_nowhere_goes_away_without_a_store() {
    on_server("what_is_ours_in_the_cluster_and_named_nowhere_goes_away_without_a_store", async |world| {
        let estate = Checkout::made_of(world, "lost", SHARED, &[("l1", "standard")]);
        let tenant = world.name("l1");
        estate.expect(0, &["apply", "--auto-approve"]);
        let [firewall, helpers, tokens, quota, settings, web] = paths(&tenant);
        // What others add stays theirs.
        world.by_hand("PATCH", &format!("{settings}?fieldManager=team"), json!({"data": {"theirs": "1"}})).await;
        // Another machine, another checkout: the record of what was applied is gone.
        std::fs::remove_dir_all(estate.folder.path().join(".tenantry")).expect("a store");
        estate.edit("          ingress: [{from: [{podSelector: {}}]}]\n", "");
        estate.edit("        subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: leaver}]\n", "");
        estate.edit("          leaked: stale-token\n", "");
        estate.edit("            services: 3\n", "");
        estate.edit("        data: {mode: live}\n", "");
        estate.edit("                  env:\n                    - {name: MODE, value: live}\n", "");

        let shown = estate.expect(0, &["plan"]);
        assert!(!shown.contains("stale-token") && !shown.contains("c3RhbGUtdG9rZW4"), "{shown}");
        let plan: Json = serde_json::from_str(&estate.expect(0, &["plan", "--format", "json"])).expect("a plan");
        assert!(!plan.to_string().contains("stale-token"), "{plan}");
        let fields = |id: &str| -> Vec<String> {
            let address = format!("{tenant}/{id}");
            let changes = plan["changes"].as_array().expect("changes");
            let change = changes.iter().find(|change| change["address"] == *address).expect("a change");
            let fields = change["fields"].as_array().expect("fields").iter();
            fields.map(|field| field["path"].as_str().expect("a path").to_owned()).collect()
        };
        assert_eq!(fields("firewall"), ["/spec/ingress"]);
        assert_eq!(fields("helpers"), ["/subjects"]);
        assert_eq!(fields("tokens"), ["/stringData/leaked"]);
        assert_eq!(fields("quota"), ["/spec/hard/services"]);
        assert_eq!(fields("settings"), ["/data"]);
        assert_eq!(fields("web"), ["/spec/template/spec/containers"]);
        assert_eq!(plan["summary"]["drifted"], 0, "{plan}");

        estate.settle();
        assert_eq!(world.get(&firewall).await["spec"].get("ingress"), None);
        assert_eq!(world.get(&helpers).await.get("subjects"), None);
        assert_eq!(world.get(&tokens).await["data"], json!({"current": "ZnJlc2gtdG9rZW4="}));
        assert_eq!(world.get(&quota).await["spec"]["hard"], json!({"pods": "10"}));
        assert_eq!(world.get(&settings).await["data"], json!({"theirs": "1"}));
        let pod = world.get(&web).await["spec"]["template"]["spec"].clone();
        assert_eq!(pod["containers"][0].get("env"), None);
    });
}

#[test]
fn what_a_killed_apply_wrote_and_the_next_commit_drops_goes_away() {
    on_server("what_a_killed_apply_wrote_and_the_next_commit_drops_goes_away", async |world| {
        let trials: Vec<(u64, String)> = (0..8).map(|point| (point, format!("g{point}"))).collect();
        let written: Vec<(String, bool)> = std::thread::scope(|scope| {
            let runs: Vec<_> = trials
                .iter()
                .map(|(point, tenant)| {
                    scope.spawn(move || {
                        let estate = Checkout::made_of(world, tenant, SHARED, &[(tenant, "standard")]);
                        let halted = estate.kill_at(*point);
                        estate.edit("            services: 3\n", "");
                        estate.edit("          leaked: stale-token\n", "");
                        estate.apply_again();
                        assert_eq!(estate.plan(), Vec::<String>::new(), "killed at point {point}");
                        (world.name(tenant), halted)
                    })
                })
                .collect();
            runs.into_iter().map(|run| run.join().expect("no panic")).collect()
        });
        assert!(written.iter().any(|(_, halted)| *halted));
        for (tenant, _) in written {
            let [_, _, tokens, quota, ..] = paths(&tenant);
            assert_eq!(world.get(&quota).await["spec"]["hard"], json!({"pods": "10"}), "{tenant}");
            assert_eq!(world.get(&tokens).await["data"], json!({"current": "ZnJlc2gtdG9rZW4="}), "{tenant}");
        }
    });
}

#[test]
fn what_was_mended_by_hand_then_named_and_then_dropped_goes_away() {
    on_server("what_was_mended_by_hand_then_named_and_then_dropped_goes_away", async |world| {
        let estate = Checkout::made_of(world, "hand", SHARED, &[("h1", "standard")]);
        let [_, _, tokens, _, settings, web] = paths(&world.name("h1"));
        estate.expect(0, &["apply", "--auto-approve"]);
        // At night, by hand.
        let by = "fieldManager=kubectl-patch";
        world.by_hand("PATCH", &format!("{settings}?{by}"), json!({"data": {"retries": "5"}})).await;
        world.by_hand("PATCH", &format!("{tokens}?{by}"), json!({"data": {"spare": "c3BhcmU="}})).await;
        let mut pod = world.get(&web).await["spec"]["template"]["spec"]["containers"].clone();
        pod[0]["env"].as_array_mut().expect("a list").push(json!({"name": "RETRIES", "value": "5"}));
        let edit = json!({"spec": {"template": {"spec": {"containers": pod}}}});
        world.by_hand("PATCH", &format!("{web}?{by}"), edit).await;
        assert_eq!(estate.plan(), Vec::<String>::new(), "what nobody asks for is somebody else's");

        // In the morning, as it should have been done.
        estate.edit("data: {mode: live}", "data: {mode: live, retries: \"5\"}");
        estate.edit("          leaked: stale-token\n", "          leaked: stale-token\n          spare: spare\n");
        let mode = "                    - {name: MODE, value: live}\n";
        estate.edit(mode, &format!("{mode}                    - {{name: RETRIES, value: \"5\"}}\n"));
        let planned = estate.plan();
        assert!(planned.len() == 3 && planned.iter().all(|change| change.ends_with(" update pending")), "{planned:?}");
        let shown = estate.expect(0, &["plan"]);
        assert!(shown.contains("written by somebody else"), "{shown}");
        estate.expect(0, &["drift"]);
        estate.settle();
        for path in [&settings, &tokens, &web] {
            let object = world.get(path).await;
            let entries = object["metadata"]["managedFields"].as_array().expect("a record");
            let ours = entries.iter().find(|entry| entry["manager"] == "tenantry").expect("our entry").to_string();
            let names = ["f:retries", "f:spare", "RETRIES"];
            assert!(names.iter().any(|name| ours.contains(name)), "{path}: {ours}");
        }

        // Later it is not needed any more.
        estate.edit("data: {mode: live, retries: \"5\"}", "data: {mode: live}");
        estate.edit("          spare: spare\n", "");
        estate.edit(&format!("{mode}                    - {{name: RETRIES, value: \"5\"}}\n"), mode);
        assert_eq!(estate.plan().len(), 3);
        estate.settle();
        assert_eq!(world.get(&settings).await["data"], json!({"mode": "live"}));
        assert_eq!(world.get(&tokens).await["data"].get("spare"), None);
        let env = world.get(&web).await["spec"]["template"]["spec"]["containers"][0]["env"].clone();
        assert_eq!(env, json!([{"name": "MODE", "value": "live"}]));
    });
}

#[test]
fn what_another_manager_applies_stays_when_the_blueprint_gives_it_up() {
    on_server("what_another_manager_applies_stays_when_the_blueprint_gives_it_up", async |world| {
        let estate = Checkout::made_of(world, "both", SHARED, &[("b1", "standard")]);
        let tenant = world.name("b1");
        let [.., settings, _] = paths(&tenant);
        estate.expect(0, &["apply", "--auto-approve"]);
        let theirs = with(object("v1", "ConfigMap", Some(&tenant), "settings"), json!({"data": {"mode": "live"}}));
        world.by_hand("PATCH", &format!("{settings}?fieldManager=flux&force=false"), theirs).await;
        assert_eq!(estate.plan(), Vec::<String>::new());
        estate.edit("data: {mode: live}", "data: {other: \"1\"}");
        estate.expect(0, &["apply", "--auto-approve"]);
        assert_eq!(world.get(&settings).await["data"], json!({"mode": "live", "other": "1"}));
        assert_eq!(estate.plan(), Vec::<String>::new());
    });
}

/// A step that removes fields as if the store had them on record.
async fn remove(world: &World, desired: &tenantry_core::model::resource::Desired, before: Json, removed: &[&str]) {
    let mut seen = present(world.observe(desired).await);
    seen.spec = std::sync::Arc::new(crate::support::map(before));
    let mut step = update(desired, &seen, removed);
    if let StepAction::Update { applied, .. } = &mut step.action {
        *applied = Some(Map::clone(&seen.spec));
    }
    world.write(&[step]).await;
}

#[test]
fn a_field_that_was_written_by_hand_and_never_applied_is_removed_by_name() {
    on_server("a_field_that_was_written_by_hand_and_never_applied_is_removed_by_name", async |world| {
        let namespace = world.namespace("a").await;
        let settings = |data: Json| with(object("v1", "ConfigMap", Some(&namespace), "c"), json!({"data": data}));
        let desired = world.desired("acme/c", settings(json!({"a": "1"})));
        world.create(&[&desired]).await;
        let path = format!("/api/v1/namespaces/{namespace}/configmaps/c");
        let edit = json!({"data": {"hand": "2", "keep": "3"}});
        world.by_hand("PATCH", &format!("{path}?fieldManager=kubectl-edit"), edit).await;
        remove(world, &desired, settings(json!({"a": "1", "hand": "2"})), &["/data/hand"]).await;
        assert_eq!(world.get(&path).await["data"], json!({"a": "1", "keep": "3"}));
        world.assert_settled(&[&desired]).await;

        // What another manager applies, and what the server fills in by itself, is not removed.
        let theirs = settings(json!({"applied": "4"}));
        world.by_hand("PATCH", &format!("{path}?fieldManager=flux&force=false"), theirs).await;
        let before = settings(json!({"a": "1", "applied": "4"}));
        remove(world, &desired, before, &["/data/applied"]).await;
        assert_eq!(world.get(&path).await["data"]["applied"], "4");
        let service = |spec: Json| with(object("v1", "Service", Some(&namespace), "s"), json!({"spec": spec}));
        let desired = world.desired("acme/s", service(json!({"ports": [{"port": 80}], "selector": {"app": "web"}})));
        world.write(&[create(&desired)]).await;
        let before = service(json!({"ports": [{"port": 80}], "selector": {"app": "web"}, "sessionAffinity": "None"}));
        remove(world, &desired, before, &["/spec/sessionAffinity"]).await;
        world.assert_settled(&[&desired]).await;
    });
}

#[test]
fn a_field_that_was_changed_away_and_back_by_hand_becomes_ours_again() {
    on_server("a_field_that_was_changed_away_and_back_by_hand_becomes_ours_again", async |world| {
        let estate = Checkout::made_of(world, "back", SHARED, &[("a1", "standard")]);
        let [.., settings, _] = paths(&world.name("a1"));
        estate.expect(0, &["apply", "--auto-approve"]);
        for mode in ["debug", "live"] {
            let edit = json!({"data": {"mode": mode}});
            world.by_hand("PATCH", &format!("{settings}?fieldManager=kubectl-edit"), edit).await;
        }
        assert_eq!(estate.plan(), [format!("{}/settings update pending", world.name("a1"))]);
        estate.settle();
        estate.edit("        data: {mode: live}\n", "");
        estate.expect(0, &["apply", "--auto-approve"]);
        assert_eq!(world.get(&settings).await.get("data"), None);
    });
}

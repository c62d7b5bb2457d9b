//! What the server refuses is told by the plan, and what it cannot be asked yet is not.

use serde_json::{Value as Json, json};

use super::estate::Checkout;
use crate::support::kubernetes::on_server;

const REFUSED: &str = r#"    - id: namespace
      kind: kubernetes.object
      spec: {apiVersion: v1, kind: Namespace, metadata: {name: "${tenant.name}"}}
    - id: disk
      kind: kubernetes.object
      spec:
        apiVersion: v1
        kind: PersistentVolumeClaim
        metadata: {name: disk, namespace: "${tenant.name}", annotations: {tenantry.dev/wait: "false"}}
        spec: {accessModes: [ReadWriteOnce], storageClassName: none, resources: {requests: {storage: 2Gi}}}
    - id: settings
      kind: kubernetes.object
      spec:
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: settings, namespace: "${tenant.name}"}
        immutable: true
        data: {mode: live}
    - id: web
      kind: kubernetes.object
      spec:
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: web, namespace: "${tenant.name}", annotations: {tenantry.dev/wait: "false"}}
        spec:
          replicas: 4
          minReadySeconds: 7
          selector: {matchLabels: {app: web}}
          template:
            metadata: {labels: {app: web}}
            spec: {containers: [{name: web, image: "web:1"}]}
"#;

/// Another object of the tenant, at the end of the blueprint.
const MORE: &str = r#"    - id: gate
      kind: kubernetes.object
      spec:
        apiVersion: v1
        kind: Service
        metadata: {name: gate, namespace: "${tenant.name}"}
        spec: {selector: {app: web}, ports: [{port: 80}, {port: 81}]}
"#;

fn json_plan(estate: &Checkout) -> Json {
    let output = estate.run(&["plan", "--format", "json"]);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// The messages of what the server would refuse.
fn refusals(plan: &Json) -> Vec<String> {
    let findings = plan["findings"].as_array().expect("findings").iter();
    let refused = findings.filter(|finding| finding["code"] == "TY0423");
    refused.map(|finding| finding["message"].as_str().expect("a message").to_owned()).collect()
}

#[test]
fn an_update_that_the_server_would_refuse_is_a_finding_of_the_plan() {
    on_server("an_update_that_the_server_would_refuse_is_a_finding_of_the_plan", async |world| {
        let estate = Checkout::made_of(world, "updates", REFUSED, &[("r1", "standard")]);
        let tenant = world.name("r1");
        estate.expect(0, &["apply", "--auto-approve"]);
        for size in ["3Gi", "1Gi"] {
            estate.edit("storage: 2Gi", &format!("storage: {size}"));
            let plan = json_plan(&estate);
            let [told] = &refusals(&plan)[..] else { panic!("{plan}") };
            assert!(told.starts_with(&format!("{tenant}/disk: ")), "{told}");
            assert!(told.contains("spec is immutable after creation") || told.contains("can not be less"), "{told}");
            assert!(!told.contains('\n') && told.len() < 400, "{told}");
            assert_eq!(plan["summary"]["blocked"], 1, "{plan}");
            assert_eq!(plan["changes"], json!([]));
            estate.edit(&format!("storage: {size}"), "storage: 2Gi");
        }
        assert_eq!(refusals(&json_plan(&estate)), Vec::<String>::new());
    });
}

#[test]
fn a_creation_that_the_server_would_refuse_is_a_finding_of_the_plan() {
    on_server("a_creation_that_the_server_would_refuse_is_a_finding_of_the_plan", async |world| {
        // Nothing is there yet: the server cannot be asked, and nothing is said.
        let estate = Checkout::made_of(world, "creations", &format!("{REFUSED}{MORE}"), &[("r2", "standard")]);
        assert_eq!(refusals(&json_plan(&estate)), Vec::<String>::new());
        let estate = Checkout::made_of(world, "creations", REFUSED, &[("r2", "standard")]);
        estate.expect(0, &["apply", "--auto-approve"]);
        // A port without a name, of two.
        estate.edit(
            "            spec: {containers: [{name: web, image: \"web:1\"}]}\n",
            &format!("            spec: {{containers: [{{name: web, image: \"web:1\"}}]}}\n{MORE}"),
        );
        let plan = json_plan(&estate);
        let [told] = &refusals(&plan)[..] else { panic!("{plan}") };
        assert!(told.contains("/gate: ") && told.contains("spec.ports[0].name: Required value"), "{told}");
        assert!(!told.contains('\n'), "{told}");
        let shown = estate.run(&["plan"]);
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        assert!(shown.contains("spec.ports[0].name: Required value"), "{shown}");
        estate.edit("ports: [{port: 80}, {port: 81}]", "ports: [{name: a, port: 80}, {name: b, port: 81}]");
        assert_eq!(refusals(&json_plan(&estate)), Vec::<String>::new());
        estate.settle();
    });
}

#[test]
fn what_is_made_in_the_same_plan_is_not_reported_as_missing() {
    on_server("what_is_made_in_the_same_plan_is_not_reported_as_missing", async |world| {
        let estate = Checkout::made_of(world, "together", REFUSED, &[("r3", "standard")]);
        estate.expect(0, &["apply", "--auto-approve"]);
        // Into a namespace of the same plan, and of a type that the same plan defines.
        let (group, space) = (format!("{}.example.com", world.name("new")), world.name("later"));
        let more = format!(
            r#"    - id: space
      kind: kubernetes.object
      spec: {{apiVersion: v1, kind: Namespace, metadata: {{name: {space}}}}}
    - id: inside
      kind: kubernetes.object
      spec: {{apiVersion: v1, kind: ConfigMap, metadata: {{name: inside, namespace: {space}}}, data: {{a: "1"}}}}
    - id: definition
      kind: kubernetes.object
      spec:
        apiVersion: apiextensions.k8s.io/v1
        kind: CustomResourceDefinition
        metadata: {{name: gears.{group}}}
        spec:
          group: {group}
          scope: Namespaced
          names: {{kind: Gear, plural: gears}}
          versions:
            - name: v1
              served: true
              storage: true
              schema: {{openAPIV3Schema: {{type: object, x-kubernetes-preserve-unknown-fields: true}}}}
    - id: gear
      kind: kubernetes.object
      spec: {{apiVersion: {group}/v1, kind: Gear, metadata: {{name: gear, namespace: "${{tenant.name}}"}}}}
"#
        );
        let last = "            spec: {containers: [{name: web, image: \"web:1\"}]}\n";
        estate.edit(last, &format!("{last}{more}"));
        assert_eq!(refusals(&json_plan(&estate)), Vec::<String>::new());
        estate.settle();
    });
}

#[test]
fn what_a_changed_definition_may_allow_is_not_reported() {
    on_server("what_a_changed_definition_may_allow_is_not_reported", async |world| {
        let estate = Checkout::made_of(world, "defined", REFUSED, &[("r8", "standard")]);
        let group = format!("{}.example.com", world.name("cogs"));
        let last = "            spec: {containers: [{name: web, image: \"web:1\"}]}\n";
        let more = format!(
            r#"    - id: definition
      kind: kubernetes.object
      spec:
        apiVersion: apiextensions.k8s.io/v1
        kind: CustomResourceDefinition
        metadata: {{name: cogs.{group}}}
        spec:
          group: {group}
          scope: Namespaced
          names: {{kind: Cog, plural: cogs}}
          versions:
            - name: v1
              served: true
              storage: true
              schema: {{openAPIV3Schema: {{type: object, properties: {{teeth: {{type: integer, maximum: 40}}}}}}}}
    - id: cog
      kind: kubernetes.object
      spec: {{apiVersion: {group}/v1, kind: Cog, metadata: {{name: cog, namespace: "${{tenant.name}}"}}, teeth: 12}}
"#
        );
        estate.edit(last, &format!("{last}{more}"));
        estate.expect(0, &["apply", "--auto-approve"]);
        estate.edit("teeth: 12", "teeth: 60");
        let told = refusals(&json_plan(&estate));
        assert!(told.len() == 1 && told[0].contains("should be less than or equal to 40"), "{told:?}");
        estate.edit("maximum: 40", "maximum: 80");
        let plan = json_plan(&estate);
        assert_eq!(refusals(&plan), Vec::<String>::new());
        assert_eq!(plan["summary"]["update"], 2, "{plan}");
    });
}

#[test]
fn what_is_no_longer_immutable_is_replaced_and_says_so() {
    on_server("what_is_no_longer_immutable_is_replaced_and_says_so", async |world| {
        let estate = Checkout::made_of(world, "open", REFUSED, &[("r4", "standard")]);
        let path = format!("/api/v1/namespaces/{}/configmaps/settings", world.name("r4"));
        estate.expect(0, &["apply", "--auto-approve"]);
        estate.edit("        immutable: true\n        data: {mode: live}\n", "        data: {mode: changed}\n");
        let plan = json_plan(&estate);
        assert_eq!(plan["summary"]["replace"], 1, "{plan}");
        estate.expect(0, &["apply", "--auto-approve"]);
        let live = world.get(&path).await;
        assert_eq!((live.get("immutable"), &live["data"]), (None, &json!({"mode": "changed"})));
        assert_eq!(estate.plan(), Vec::<String>::new());
        // Nor can what somebody else has closed be changed: the plan says what the server says.
        world.by_hand("PATCH", &format!("{path}?fieldManager=team"), json!({"immutable": true})).await;
        estate.edit("data: {mode: changed}", "data: {mode: third}");
        let told = refusals(&json_plan(&estate));
        assert!(told.len() == 1 && told[0].contains("immutable"), "{told:?}");
    });
}

#[test]
fn a_field_that_is_left_out_says_what_the_server_sets() {
    on_server("a_field_that_is_left_out_says_what_the_server_sets", async |world| {
        let estate = Checkout::made_of(world, "left-out", REFUSED, &[("r5", "standard")]);
        let path = format!("/apis/apps/v1/namespaces/{}/deployments/web", world.name("r5"));
        estate.expect(0, &["apply", "--auto-approve"]);
        estate.edit("          replicas: 4\n          minReadySeconds: 7\n", "");
        let shown = estate.expect(0, &["plan"]);
        assert!(shown.contains("so the target sets 1"), "{shown}");
        let plan = json_plan(&estate);
        let fields = plan["changes"][0]["fields"].as_array().expect("fields");
        let of = |path: &str| fields.iter().find(|field| field["path"] == path).expect("a field");
        assert_eq!(of("/spec/replicas")["becomes"], 1, "{plan}");
        assert_eq!(of("/spec/minReadySeconds").get("becomes"), None, "{plan}");
        estate.expect(0, &["apply", "--auto-approve"]);
        assert_eq!(world.get(&path).await["spec"]["replicas"], 1);
        assert_eq!(estate.plan(), Vec::<String>::new());
    });
}

#[test]
fn a_map_that_is_taken_over_whole_is_shown_by_its_fields() {
    on_server("a_map_that_is_taken_over_whole_is_shown_by_its_fields", async |world| {
        let estate = Checkout::made_of(world, "whole", REFUSED, &[("r6", "standard")]);
        let tenant = world.name("r6");
        let last = "            spec: {containers: [{name: web, image: \"web:1\"}]}\n";
        let policy = r#"    - id: firewall
      kind: kubernetes.object
      spec:
        apiVersion: networking.k8s.io/v1
        kind: NetworkPolicy
        metadata: {name: firewall, namespace: "${tenant.name}"}
        spec: {podSelector: {}, policyTypes: [Ingress]}
"#;
        estate.edit(last, &format!("{last}{policy}"));
        estate.expect(0, &["apply", "--auto-approve"]);
        let path = format!("/apis/networking.k8s.io/v1/namespaces/{tenant}/networkpolicies/firewall");
        let edit = json!({"spec": {"podSelector": {"matchLabels": {"app": "none"}}}});
        world.by_hand("PATCH", &format!("{path}?fieldManager=kubectl-edit"), edit).await;
        let plan = json_plan(&estate);
        let fields = &plan["changes"][0]["fields"];
        // A server that merges a selector cannot take it back, and then nothing is said.
        if !fields.is_null() {
            assert_eq!(fields[0]["path"], "/spec/podSelector/matchLabels", "{plan}");
            assert_eq!(fields[0]["before"], json!({"app": "none"}), "{plan}");
            estate.expect(0, &["apply", "--auto-approve"]);
            assert_eq!(world.get(&path).await["spec"]["podSelector"], json!({}));
        }
        assert_eq!(estate.plan(), Vec::<String>::new());
    });
}

#[test]
fn base64_with_line_breaks_comes_out_as_it_was_written() {
    on_server("base64_with_line_breaks_comes_out_as_it_was_written", async |world| {
        let estate = Checkout::made_of(world, "wrapped", REFUSED, &[("r7", "standard")]);
        let last = "            spec: {containers: [{name: web, image: \"web:1\"}]}\n";
        let secret = r#"    - id: pair
      kind: kubernetes.object
      spec:
        apiVersion: v1
        kind: Secret
        metadata: {name: pair, namespace: "${tenant.name}"}
        data:
          text: |
            Zmlyc3QgbGluZQpz
            ZWNvbmQgbGluZQo=
          bytes: "//79\r\n/Pv6\r\n"
"#;
        estate.edit(last, &format!("{last}{secret}"));
        estate.settle();
        let live = world.get(&format!("/api/v1/namespaces/{}/secrets/pair", world.name("r7"))).await;
        assert_eq!(live["data"], json!({"text": "Zmlyc3QgbGluZQpzZWNvbmQgbGluZQo=", "bytes": "//79/Pv6"}));
    });
}

#[test]
fn a_field_of_another_manager_is_a_finding_of_the_plan() {
    on_server("a_field_of_another_manager_is_a_finding_of_the_plan", async |world| {
        let estate =
            Checkout::made_of(world, "owned", &REFUSED.replace("          replicas: 4\n", ""), &[("r9", "standard")]);
        let tenant = world.name("r9");
        estate.expect(0, &["apply", "--auto-approve"]);
        let scaled = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": tenant},
            "spec": {"replicas": 7},
        });
        let path = format!("/apis/apps/v1/namespaces/{tenant}/deployments/web");
        world.by_hand("PATCH", &format!("{path}?fieldManager=autoscaler&force=true"), scaled).await;
        estate.edit("          minReadySeconds: 7\n", "          minReadySeconds: 7\n          replicas: 3\n");
        let told = refusals(&json_plan(&estate));
        assert!(told.len() == 1 && told[0].contains("`spec.replicas` is managed by `autoscaler`"), "{told:?}");
        // Also where nothing is on record of what was applied.
        std::fs::remove_dir_all(estate.folder.path().join(".tenantry")).expect("a store");
        assert_eq!(refusals(&json_plan(&estate)), told);
        estate.edit("{name: web, namespace: \"${tenant.name}\", annotations: {tenantry.dev/wait: \"false\"}}", "{name: web, namespace: \"${tenant.name}\", annotations: {tenantry.dev/wait: \"false\", tenantry.dev/force-conflicts: \"true\"}}");
        assert_eq!(refusals(&json_plan(&estate)), Vec::<String>::new());
        estate.expect(0, &["apply", "--auto-approve"]);
        assert_eq!(world.get(&path).await["spec"]["replicas"], 3);
        assert_eq!(estate.plan(), Vec::<String>::new());
    });
}

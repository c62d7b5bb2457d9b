//! Fields that the blueprint newly names, where the server had its default: asked for, and nobody's doing.

use serde_json::Value as Json;

use super::estate::Checkout;
use crate::support::kubernetes::on_server;

const DEFAULTED: &str = r#"    - id: namespace
      kind: kubernetes.object
      spec: {apiVersion: v1, kind: Namespace, metadata: {name: "${tenant.name}"}}
    - id: gate
      kind: kubernetes.object
      spec:
        apiVersion: v1
        kind: Service
        metadata: {name: gate, namespace: "${tenant.name}"}
        spec:
          ports: [{port: 443}]
          selector: {app: gate}
    - id: peers
      kind: kubernetes.object
      spec:
        apiVersion: v1
        kind: Service
        metadata: {name: peers, namespace: "${tenant.name}"}
        spec:
          selector: {app: peers}
          ports: [{port: 7000}]
    - id: members
      kind: kubernetes.object
      spec:
        apiVersion: apps/v1
        kind: StatefulSet
        metadata: {name: members, namespace: "${tenant.name}", annotations: {tenantry.dev/wait: "false"}}
        spec:
          serviceName: peers
          selector: {matchLabels: {app: peers}}
          template: {metadata: {labels: {app: peers}}, spec: {containers: [{name: c, image: "c:1"}]}}
"#;

#[test]
fn a_default_that_the_blueprint_newly_names_is_pending_and_no_drift() {
    on_server("a_default_that_the_blueprint_newly_names_is_pending_and_no_drift", async |world| {
        let estate = Checkout::made_of(world, "named", DEFAULTED, &[("n1", "standard")]);
        let tenant = world.name("n1");
        estate.settle();

        estate.edit("          ports: [{port: 443}]\n", "          type: NodePort\n          ports: [{port: 443}]\n");
        estate
            .edit("          ports: [{port: 7000}]\n", "          clusterIP: None\n          ports: [{port: 7000}]\n");
        estate.edit("          serviceName: peers\n", "          serviceName: peers\n          replicas: 2\n");
        let drift = estate.expect(0, &["drift"]);
        assert!(!drift.contains("outside"), "{drift}");
        let shown = estate.expect(0, &["plan"]);
        assert!(!shown.contains("outside"), "{shown}");
        let plan: Json = serde_json::from_str(&estate.expect(0, &["plan", "--format", "json"])).expect("a plan");
        assert_eq!(plan["summary"]["drifted"], 0, "{plan}");
        let planned: Vec<(&str, &str)> = plan["changes"]
            .as_array()
            .expect("changes")
            .iter()
            .map(|change| (change["action"].as_str().expect("an action"), change["cause"].as_str().expect("a cause")))
            .collect();
        assert_eq!(planned.len(), 3, "{plan}");
        assert!(planned.iter().all(|(_, cause)| *cause == "pending"), "{planned:?}");
        assert_eq!(planned.iter().filter(|(action, _)| *action == "replace").count(), 1, "of what cannot change");

        // Naming the very default asks for nothing.
        estate.edit("          clusterIP: None\n", "");
        estate.edit("          type: NodePort\n", "          type: ClusterIP\n          sessionAffinity: None\n");
        estate.edit("          replicas: 2\n", "          podManagementPolicy: OrderedReady\n");
        estate.expect(0, &["drift"]);
        let shown = estate.expect(0, &["plan"]);
        assert!(!shown.contains("outside") && !shown.contains("replace"), "{shown}");
        estate.settle();
        estate.edit("          sessionAffinity: None\n", "");
        estate.edit("          podManagementPolicy: OrderedReady\n", "          podManagementPolicy: Parallel\n");
        let shown = estate.expect(3, &["plan"]);
        assert!(shown.contains("replace") && !shown.contains("outside"), "{shown}");
        estate.edit("          podManagementPolicy: Parallel\n", "");
        estate
            .edit("          ports: [{port: 7000}]\n", "          clusterIP: None\n          ports: [{port: 7000}]\n");
        estate.settle();
        let peers = world.get(&format!("/api/v1/namespaces/{tenant}/services/peers")).await;
        assert_eq!(peers["spec"]["clusterIP"], "None");
    });
}

//! Items of lists whose key was edited by hand: put right, and neither doubled nor stuck.

use serde_json::{Value as Json, json};

use super::estate::Checkout;
use crate::support::kubernetes::{World, on_server};

const KEYED: &str = r#"    - id: namespace
      kind: kubernetes.object
      spec: {apiVersion: v1, kind: Namespace, metadata: {name: "${tenant.name}"}}
    - id: dns
      kind: kubernetes.object
      spec:
        apiVersion: v1
        kind: Service
        metadata: {name: dns, namespace: "${tenant.name}"}
        spec:
          selector: {app: web}
          ports:
            - {name: dns, port: 53}
            - {name: metrics, port: 9153, targetPort: 9153}
    - id: plain
      kind: kubernetes.object
      spec:
        apiVersion: v1
        kind: Service
        metadata: {name: plain, namespace: "${tenant.name}"}
        spec: {selector: {app: web}, ports: [{port: 8000}]}
    - id: web
      kind: kubernetes.object
      spec:
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: web, namespace: "${tenant.name}", annotations: {tenantry.dev/wait: "false"}}
        spec:
          replicas: 0
          selector: {matchLabels: {app: web}}
          template:
            metadata: {labels: {app: web}}
            spec:
              volumes: [{name: cache, emptyDir: {}}]
              containers:
                - name: web
                  image: "web:1"
                  ports: [{containerPort: 8000}, {name: admin, containerPort: 9000}]
                  env: [{name: MODE, value: live}, {name: LEVEL, value: info}]
                  volumeMounts: [{name: cache, mountPath: /cache}]
                - {name: agent, image: "agent:1"}
"#;

fn service(tenant: &str, name: &str) -> String {
    format!("/api/v1/namespaces/{tenant}/services/{name}")
}

fn deployment(tenant: &str) -> String {
    format!("/apis/apps/v1/namespaces/{tenant}/deployments/web")
}

/// Puts an object as somebody would who edits it.
async fn edit(world: &World, path: &str, change: impl FnOnce(&mut Json)) {
    let mut object = world.get(path).await;
    change(&mut object);
    object["metadata"].as_object_mut().expect("metadata").remove("managedFields");
    world.by_hand("PUT", &format!("{path}?fieldManager=kubectl-edit"), object).await;
}

/// Applies once, finds nothing to do afterwards, and returns the object.
async fn repaired(world: &World, estate: &Checkout, path: &str) -> Json {
    assert_eq!(estate.plan().len(), 1, "{path}: the edit is one change");
    estate.expect(0, &["apply", "--auto-approve"]);
    assert_eq!(estate.plan(), Vec::<String>::new(), "{path}");
    world.get(path).await
}

/// A field of each item, sorted.
fn of_each(list: &Json, field: &str) -> Vec<Json> {
    let mut found: Vec<Json> = list.as_array().expect("a list").iter().map(|item| item[field].clone()).collect();
    found.sort_by_key(|value| (value.as_i64(), value.to_string()));
    found
}

#[test]
fn ports_of_a_service_whose_key_was_edited_are_put_right() {
    on_server("ports_of_a_service_whose_key_was_edited_are_put_right", async |world| {
        let estate = Checkout::made_of(world, "ports", KEYED, &[("k1", "standard")]);
        let tenant = world.name("k1");
        estate.expect(0, &["apply", "--auto-approve"]);
        let (dns, plain) = (service(&tenant, "dns"), service(&tenant, "plain"));

        // The protocol is half of the key, and named by nobody.
        edit(world, &dns, |service| service["spec"]["ports"][0]["protocol"] = "UDP".into()).await;
        let shown = estate.expect(0, &["plan"]);
        assert!(shown.contains("UDP"), "{shown}");
        let live = repaired(world, &estate, &dns).await;
        assert_eq!(of_each(&live["spec"]["ports"], "port"), [json!(53), json!(9153)]);
        assert_eq!(of_each(&live["spec"]["ports"], "protocol"), [json!("TCP"), json!("TCP")]);

        edit(world, &dns, |service| service["spec"]["ports"][1]["port"] = 9253.into()).await;
        let live = repaired(world, &estate, &dns).await;
        assert_eq!(of_each(&live["spec"]["ports"], "port"), [json!(53), json!(9153)]);

        // Both at once, and one without a name.
        edit(world, &dns, |service| {
            service["spec"]["ports"][0]["port"] = 54.into();
            service["spec"]["ports"][1]["protocol"] = "SCTP".into();
        })
        .await;
        let live = repaired(world, &estate, &dns).await;
        assert_eq!(of_each(&live["spec"]["ports"], "port"), [json!(53), json!(9153)]);
        assert_eq!(of_each(&live["spec"]["ports"], "protocol"), [json!("TCP"), json!("TCP")]);
        edit(world, &plain, |service| service["spec"]["ports"][0]["port"] = 8001.into()).await;
        let live = repaired(world, &estate, &plain).await;
        assert_eq!(of_each(&live["spec"]["ports"], "port"), [json!(8000)]);
        // The blueprint can go on.
        estate.edit("{port: 8000}]}", "{name: http, port: 8000}]}");
        estate.settle();
    });
}

#[test]
fn containers_and_what_is_in_them_are_put_right() {
    on_server("containers_and_what_is_in_them_are_put_right", async |world| {
        let estate = Checkout::made_of(world, "containers", KEYED, &[("k2", "standard")]);
        let tenant = world.name("k2");
        estate.expect(0, &["apply", "--auto-approve"]);
        let web = deployment(&tenant);
        let pod = |live: &Json| live["spec"]["template"]["spec"].clone();

        edit(world, &web, |web| {
            let containers = web["spec"]["template"]["spec"]["containers"].as_array_mut().expect("containers");
            containers[0]["name"] = "renamed".into();
            // Somebody's own, which nobody asks for.
            containers.push(json!({"name": "injected", "image": "proxy:1"}));
        })
        .await;
        let shown = estate.expect(0, &["plan"]);
        assert!(shown.contains("renamed") && !shown.contains("injected"), "{shown}");
        let live = pod(&repaired(world, &estate, &web).await);
        let names = of_each(&live["containers"], "name");
        assert_eq!(names, [json!("agent"), json!("injected"), json!("web")]);

        edit(world, &web, |web| {
            let containers = web["spec"]["template"]["spec"]["containers"].as_array_mut().expect("containers");
            let container = containers.iter_mut().find(|container| container["name"] == "web").expect("ours");
            container["env"][0]["name"] = "MODUS".into();
            container["ports"][0]["containerPort"] = 8001.into();
            container["volumeMounts"][0]["mountPath"] = "/tmp/cache".into();
        })
        .await;
        let live = pod(&repaired(world, &estate, &web).await);
        let containers = live["containers"].as_array().expect("containers");
        let container = containers.iter().find(|container| container["name"] == "web").expect("ours");
        let names = of_each(&container["env"], "name");
        assert_eq!(names, [json!("LEVEL"), json!("MODE")]);
        let ports = of_each(&container["ports"], "containerPort");
        assert_eq!(ports, [json!(8000), json!(9000)]);
        assert_eq!(of_each(&container["volumeMounts"], "mountPath"), [json!("/cache")]);

        // What somebody adds to a list of ours, and does not make of an item of ours, stays.
        edit(world, &web, |web| {
            let containers = web["spec"]["template"]["spec"]["containers"].as_array_mut().expect("containers");
            let container = containers.iter_mut().find(|container| container["name"] == "web").expect("ours");
            container["env"].as_array_mut().expect("variables").push(json!({"name": "THEIRS", "value": "1"}));
        })
        .await;
        assert_eq!(estate.plan(), Vec::<String>::new());
    });
}

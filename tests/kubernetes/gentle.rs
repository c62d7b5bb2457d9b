//! What a run asks of the server: pages where there is nothing to do; of each object that it writes one dry run at most, and two
//! requests to write it.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::estate::Checkout;
use crate::support::api_proxy::{ApiProxy, Fate};
use crate::support::kubernetes::{World, object, on_server, with};

const GENTLE: &str = r#"    - id: namespace
      kind: kubernetes.object
      adopt: true
      spec: {apiVersion: v1, kind: Namespace, metadata: {name: "${tenant.name}"}}
    - id: settings
      kind: kubernetes.object
      adopt: true
      spec:
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: settings, namespace: "${tenant.name}"}
        data: {mode: live, level: info}
    - id: quota
      kind: kubernetes.object
      spec:
        apiVersion: v1
        kind: ResourceQuota
        metadata: {name: quota, namespace: "${tenant.name}"}
        spec: {hard: {pods: 10}}
    - id: web
      kind: kubernetes.object
      spec:
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: web, namespace: "${tenant.name}", annotations: {tenantry.dev/wait: "false"}}
        spec:
          replicas: 2
          selector: {matchLabels: {app: web}}
          template:
            metadata: {labels: {app: web}}
            spec: {containers: [{name: web, image: "web:1"}]}
"#;

/// Requests about single objects, by path; `kube-system` tells which cluster it is.
fn by_object(proxy: &ApiProxy) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for request in proxy.take() {
        let path = request.split([' ', '?']).nth(1).expect("a path").to_owned();
        let parts: Vec<&str> = path.split('/').skip_while(|part| !part.starts_with('v')).skip(1).collect();
        let is_object = matches!(parts[..], ["namespaces", name] if name != "kube-system")
            || matches!(parts[..], ["namespaces", _, _, _]);
        if is_object || !request.starts_with("GET ") {
            all.entry(path).or_default().push(request);
        }
    }
    all
}

fn is_gentle(requests: &[String]) -> bool {
    let tried = requests.iter().filter(|request| request.contains("dryRun=All")).count();
    tried <= 1 && requests.len() - tried <= 2
}

async fn behind_proxy(world: &World, name: &str, tenants: &[(&str, &str)]) -> (Checkout, ApiProxy) {
    let proxy = world.proxy(|_| Fate::Pass).await;
    let mut estate = Checkout::made_of(world, name, GENTLE, tenants);
    let config = estate.folder.path().join("kubeconfig");
    std::fs::write(&config, world.settings_at(proxy.port).text("kubeconfig").expect("a kubeconfig")).expect("a file");
    estate.kubeconfig = config.to_string_lossy().into_owned();
    (estate, proxy)
}

/// Runs a command without keeping the proxy from its work.
fn run(estate: &Checkout, arguments: &[&str]) {
    tokio::task::block_in_place(|| estate.expect(0, arguments));
}

#[test]
fn nothing_is_asked_of_single_objects_where_there_is_nothing_to_do_and_little_where_there_is() {
    let name = "nothing_is_asked_of_single_objects_where_there_is_nothing_to_do_and_little_where_there_is";
    on_server(name, async |world| {
        let (estate, proxy) = behind_proxy(world, "gentle", &[("g1", "standard"), ("g2", "standard")]).await;
        let check = |most: usize, objects: usize, what: &str| {
            let asked = by_object(&proxy);
            assert_eq!(asked.len(), objects, "{what}: {asked:#?}");
            assert!(asked.values().all(|requests| requests.len() <= most && is_gentle(requests)), "{what}: {asked:#?}");
        };
        run(&estate, &["apply", "--auto-approve"]);
        check(2, 8, "made with its namespace");
        run(&estate, &["plan"]);
        check(0, 0, "nothing to do");
        run(&estate, &["drift"]);
        check(0, 0, "no drift");
        run(&estate, &["apply", "--auto-approve"]);
        check(0, 0, "nothing to apply");

        // One dry run, and the write.
        estate.edit("pods: 10", "pods: 12");
        run(&estate, &["apply", "--auto-approve"]);
        check(2, 2, "changed");
        for tenant in ["g1", "g2"].map(|tenant| world.name(tenant)) {
            let path = format!("/apis/apps/v1/namespaces/{tenant}/deployments/web?fieldManager=kubectl-edit");
            world.by_hand("PATCH", &path, json!({"spec": {"replicas": 5}})).await;
        }
        run(&estate, &["apply", "--auto-approve"]);
        // Its controller writes as well, so it is looked at again.
        check(3, 2, "put right");
        run(&estate, &["plan"]);
        check(0, 0, "nothing to do any more");
    });
}

#[test]
fn an_adoption_takes_two_requests() {
    on_server("an_adoption_takes_two_requests", async |world| {
        let (estate, proxy) = behind_proxy(world, "taken", &[("g3", "standard")]).await;
        let tenant = world.name("g3");
        let namespace = object("v1", "Namespace", None, &tenant);
        world.by_hand("POST", "/api/v1/namespaces?fieldManager=kubectl-client-side-apply", namespace).await;
        let theirs = json!({"data": {"mode": "live", "level": "info", "theirs": "1"}});
        let theirs = with(object("v1", "ConfigMap", Some(&tenant), "settings"), theirs);
        let path = format!("/api/v1/namespaces/{tenant}/configmaps");
        world.by_hand("POST", &format!("{path}?fieldManager=kubectl-client-side-apply"), theirs).await;
        run(&estate, &["apply", "--auto-approve"]);
        let asked = by_object(&proxy);
        assert!(asked.values().all(|requests| is_gentle(requests)), "{asked:#?}");
        let of_settings = &asked[&format!("{path}/settings")];
        assert_eq!(of_settings.len(), 2, "{of_settings:?}");
        let live = world.get(&format!("{path}/settings")).await;
        let managers: Vec<(&str, &Json)> = live["metadata"]["managedFields"]
            .as_array()
            .expect("a record")
            .iter()
            .map(|entry| (entry["manager"].as_str().expect("a manager"), &entry["fieldsV1"]["f:data"]))
            .collect();
        let theirs = managers.iter().find(|(manager, _)| *manager == "kubectl-client-side-apply").expect("their own");
        assert!(theirs.1.get("f:theirs").is_some() && theirs.1.get("f:mode").is_none(), "{managers:?}");
        run(&estate, &["plan"]);
        assert!(by_object(&proxy).is_empty());
    });
}

//! Before an object is deleted for another in its place, the server says whether it would take that one.

use serde_json::{Value as Json, json};
use tenantry_core::model::resource::Desired;
use tenantry_kubernetes::Kubernetes;
use tenantry_provider::contract::{Provider as _, ProviderError};

use super::estate::Checkout;
use crate::support::create;
use crate::support::kubernetes::{World, object, on_server, with};

const SERVED: &str = r#"    - id: namespace
      kind: kubernetes.object
      spec: {apiVersion: v1, kind: Namespace, metadata: {name: "${tenant.name}"}}
    - id: worker
      kind: kubernetes.object
      spec:
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: worker, namespace: "${tenant.name}", annotations: {tenantry.dev/wait: "false"}}
        spec:
          selector: {matchLabels: {part: worker}}
          template:
            metadata: {labels: {part: worker}}
            spec: {containers: [{name: worker, image: "worker:1", imagePullPolicy: Always}]}
    - id: certificate
      kind: kubernetes.object
      spec:
        apiVersion: v1
        kind: Secret
        metadata: {name: certificate, namespace: "${tenant.name}"}
        type: Opaque
        stringData: {tls.crt: "${secret('crt')}"}
    - id: auditors
      kind: kubernetes.object
      spec:
        apiVersion: rbac.authorization.k8s.io/v1
        kind: RoleBinding
        metadata: {name: auditors, namespace: "${tenant.name}"}
        roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
        subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: auditors}]
"#;

#[test]
fn a_replacement_that_the_server_would_refuse_deletes_nothing() {
    on_server("a_replacement_that_the_server_would_refuse_deletes_nothing", async |world| {
        let estate = Checkout::made_of(world, "proven", SERVED, &[("p1", "standard")]);
        let tenant = world.name("p1");
        estate.expect(0, &["apply", "--auto-approve"]);
        let paths = [
            format!("/apis/apps/v1/namespaces/{tenant}/deployments/worker"),
            format!("/api/v1/namespaces/{tenant}/secrets/certificate"),
            format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{tenant}/rolebindings/auditors"),
        ];
        let mut before = Vec::new();
        for path in &paths {
            before.push(world.get(path).await["metadata"]["uid"].clone());
        }
        estate.edit("part: worker", "part: jobs");
        estate.edit("imagePullPolicy: Always", "imagePullPolicy: Alwys");
        estate.edit("type: Opaque", "type: kubernetes.io/tls");
        estate.edit("name: view}", "name: edit}");
        estate.edit("kind: Group,", "kind: Grp,");
        // What the server can be asked before is told by the plan; a secret is not known there.
        let plan = estate.run(&["plan", "--format", "json"]);
        let plan: Json = serde_json::from_slice(&plan.stdout).expect("a plan");
        let addresses = |of: &str| -> Vec<String> {
            let all = plan[of].as_array().expect("a list").iter();
            all.map(|one| one["address"].as_str().expect("an address").replace(&format!("{tenant}/"), "")).collect()
        };
        assert_eq!(
            (addresses("blocked"), addresses("changes")),
            (vec!["auditors".to_owned(), "worker".to_owned()], vec!["certificate".to_owned()])
        );
        let output = estate.run(&["apply", "--auto-approve"]);
        let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(5), "{told}");
        for words in ["so the old one stays", "Alwys", "tls.key", "Grp"] {
            assert!(told.contains(words), "{words}: {told}");
        }
        // The message is about the object, not about how it was tried.
        assert!(!told.contains("worker-") && !told.contains("certificate-"), "{told}");
        for (path, uid) in paths.iter().zip(&before) {
            assert_eq!(world.get(path).await["metadata"]["uid"], *uid, "{path}");
        }
        estate.expect(0, &["drift"]);

        // Mended, each is replaced.
        estate.edit("imagePullPolicy: Alwys", "imagePullPolicy: Always");
        estate.edit("tls.crt: \"${secret('crt')}\"}", "tls.crt: none, tls.key: none}");
        estate.edit("kind: Grp,", "kind: Group,");
        estate.settle();
        for (path, uid) in paths.iter().zip(&before) {
            assert_ne!(world.get(path).await["metadata"]["uid"], *uid, "{path}");
        }
    });
}

async fn prove(world: &World, desired: &Desired) -> Result<(), ProviderError> {
    world.writer().prove(&create(desired)).await
}

/// Asserts that the server would take one object and refuse another, and that it keeps neither.
async fn tried(world: &World, good: Json, bad: Json, words: &str) {
    let (good, bad) = (world.desired("acme/tried", good), world.desired("acme/tried", bad));
    let kind = good.identity.as_deref().expect("an identity").to_owned();
    prove(world, &good).await.unwrap_or_else(|error| panic!("{kind}: {error}"));
    let refused = prove(world, &bad).await.expect_err(&kind);
    assert!(refused.to_string().contains(words), "{kind}: {refused}");
}

fn job(namespace: &str, retries: i32) -> Json {
    let pod = json!({"restartPolicy": "Never", "containers": [{"name": "c", "image": "c:1"}]});
    let labels = json!({"job-name": "import", "app": "import"});
    with(
        object("batch/v1", "Job", Some(namespace), "import"),
        json!({"spec": {"backoffLimit": retries, "template": {"metadata": {"labels": labels}, "spec": pod}}}),
    )
}

#[test]
fn a_trial_collides_with_nothing_that_lives() {
    on_server("a_trial_collides_with_nothing_that_lives", async |world| {
        let namespace = world.namespace("a").await;
        let in_namespace = |api_version: &str, kind: &str, fields: Json| {
            with(object(api_version, kind, Some(&namespace), "tried"), fields)
        };

        // The living one holds the node port and the address.
        let service = |spec: Json| with(object("v1", "Service", Some(&namespace), "web"), json!({"spec": spec}));
        let ports = |port: u16| json!([{"port": 80, "nodePort": port}]);
        let mut living = service(json!({"type": "NodePort", "ports": [{"port": 80}]}));
        living = world.by_hand("POST", &format!("/api/v1/namespaces/{namespace}/services"), living).await;
        let held = u16::try_from(living["spec"]["ports"][0]["nodePort"].as_u64().expect("a port")).expect("a port");
        let address = living["spec"]["clusterIP"].clone();
        tried(
            world,
            service(json!({"type": "NodePort", "ports": ports(held), "clusterIP": address})),
            service(json!({"type": "NodePrt", "ports": ports(held), "clusterIP": address})),
            "NodePrt",
        )
        .await;

        tried(world, job(&namespace, 3), job(&namespace, -3), "backoffLimit").await;
        let config = |data: Json| in_namespace("v1", "ConfigMap", json!({"immutable": true, "data": data}));
        tried(world, config(json!({"a": "1"})), config(json!({"a b": "1"})), "a b").await;
        let quota = |scope: &str| {
            in_namespace("v1", "ResourceQuota", json!({"spec": {"hard": {"pods": "1"}, "scopes": [scope]}}))
        };
        tried(world, quota("BestEffort"), quota("Beste"), "Beste").await;
        // A field that no version of the type has.
        let deployment = |policy: &str| {
            let container = json!({"name": "c", "image": "c:1", policy: "Always"});
            let template = json!({"metadata": {"labels": {"app": "c"}}, "spec": {"containers": [container]}});
            let spec = json!({"selector": {"matchLabels": {"app": "c"}}, "template": template});
            in_namespace("apps/v1", "Deployment", json!({"spec": spec}))
        };
        tried(world, deployment("imagePullPolicy"), deployment("imagePulPolicy"), "imagePulPolicy").await;

        let name = world.name("tried");
        let whole = |api_version: &str, kind: &str, fields: Json| with(object(api_version, kind, None, &name), fields);
        let role = |kind: &str| {
            let group = "rbac.authorization.k8s.io";
            whole(
                "rbac.authorization.k8s.io/v1",
                "ClusterRoleBinding",
                json!({
                    "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "view"},
                    "subjects": [{"apiGroup": group, "kind": kind, "name": "ann"}],
                }),
            )
        };
        tried(world, role("User"), role("Usr"), "Usr").await;
        let storage = |mode: &str| {
            whole("storage.k8s.io/v1", "StorageClass", json!({"provisioner": "x.io/y", "volumeBindingMode": mode}))
        };
        tried(world, storage("Immediate"), storage("Sometimes"), "Sometimes").await;
    });
}

#[test]
fn a_name_that_is_made_of_the_content_is_made_of_it_in_a_trial_too() {
    on_server("a_name_that_is_made_of_the_content_is_made_of_it_in_a_trial_too", async |world| {
        let group = format!("g{}.example.com", world.suffix);
        let definition = |scope: &str| {
            let version = json!({"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}});
            with(
                object("apiextensions.k8s.io/v1", "CustomResourceDefinition", None, &format!("gadgets.{group}")),
                json!({"spec": {
                    "group": group, "scope": scope, "names": {"kind": "Gadget", "plural": "gadgets"},
                    "versions": [version],
                }}),
            )
        };
        world.create(&[&world.desired("acme/gadgets", definition("Cluster"))]).await;
        tried(world, definition("Namespaced"), definition("Galactic"), "Galactic").await;
        let classes = "/apis/scheduling.k8s.io/v1/priorityclasses";
        let class = |name: &str, policy: &str| {
            with(
                object("scheduling.k8s.io/v1", "PriorityClass", None, name),
                json!({"value": 1000, "globalDefault": true, "preemptionPolicy": policy}),
            )
        };
        let name = world.name("urgent");
        // A cluster has one default, which another test program may have.
        let (made, _) = world.try_by_hand("POST", classes, class(&name, "Never")).await;
        tried(world, class(&name, "PreemptLowerPriority"), class(&name, "Perhaps"), "Perhaps").await;
        let left = world.get(classes).await;
        let names =
            left["items"].as_array().expect("classes").iter().filter_map(|item| item["metadata"]["name"].as_str());
        assert_eq!(names.filter(|left| left.contains(&world.suffix)).count(), usize::from(made < 300));
        world.try_by_hand("DELETE", &format!("{classes}/{name}"), Json::Null).await;
        let kept = world.get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions").await;
        let kept =
            kept["items"].as_array().expect("definitions").iter().filter_map(|item| item["metadata"]["name"].as_str());
        assert_eq!(kept.filter(|kept| kept.contains(&group)).count(), 1, "a trial keeps nothing");
    });
}

#[test]
fn a_quota_that_the_living_object_fills_does_not_keep_it() {
    on_server("a_quota_that_the_living_object_fills_does_not_keep_it", async |world| {
        let namespace = world.namespace("a").await;
        let limits = json!({"spec": {"hard": {"persistentvolumeclaims": "1", "requests.storage": "10Gi"}}});
        let quota = with(object("v1", "ResourceQuota", Some(&namespace), "small"), limits);
        world.create(&[&world.desired("acme/small", quota)]).await;
        let claim = |size: &str| {
            let spec = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}});
            with(object("v1", "PersistentVolumeClaim", Some(&namespace), "disk"), json!({"spec": spec}))
        };
        let path = format!("/api/v1/namespaces/{namespace}");
        for _ in 0..100 {
            // The quota counts once its controller has seen it.
            if world.get(&format!("{path}/resourcequotas/small")).await["status"]["hard"].is_object() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        world.create(&[&world.desired("acme/disk", claim("8Gi"))]).await;
        tried(world, claim("9Gi"), claim("11Gi"), "exceeded quota").await;
    });
}

#[test]
fn a_user_of_certain_names_only_may_replace_what_it_may_write() {
    on_server("a_user_of_certain_names_only_may_replace_what_it_may_write", async |world| {
        let namespace = world.namespace("a").await;
        let config = |name: &str| {
            let fields = json!({"immutable": true, "data": {"a": "1"}});
            world.desired("acme/c", with(object("v1", "ConfigMap", Some(&namespace), name), fields))
        };
        let writer = Kubernetes.writer(&world.restricted()).expect("valid settings");
        let denied = writer.prove(&create(&config("mine"))).await.expect_err("no rights at all");
        assert_eq!(denied.class, tenantry_provider::contract::ErrorClass::Denied, "{denied}");
        let rules = json!([{
            "apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["mine"], "verbs": ["create", "patch", "get", "delete"],
        }]);
        let group = "/apis/rbac.authorization.k8s.io/v1";
        let role =
            with(object("rbac.authorization.k8s.io/v1", "Role", Some(&namespace), "mine"), json!({"rules": rules}));
        world.by_hand("POST", &format!("{group}/namespaces/{namespace}/roles"), role).await;
        let binding = with(
            object("rbac.authorization.k8s.io/v1", "RoleBinding", Some(&namespace), "mine"),
            json!({
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "mine"},
                "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "restricted"}],
            }),
        );
        world.by_hand("POST", &format!("{group}/namespaces/{namespace}/rolebindings"), binding).await;
        let mut proven = Err(String::new());
        for _ in 0..100 {
            proven = writer.prove(&create(&config("mine"))).await.map_err(|error| error.to_string());
            if proven.is_ok() {
                break;
            }
            // The authorizer learns of a binding in its own time.
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        assert_eq!(proven, Ok(()));
        writer.prove(&create(&config("other"))).await.expect_err("no right on this name");
    });
}

//! What is deleted and does not go.

use crate::support::said;
use serde_json::json;
use tenantry_core::model::resource::Observed;

use crate::support::kubernetes::{object, on_server};
use crate::support::{create, delete, present};

#[test]
fn a_namespace_that_hangs_is_explained() {
    on_server("a_namespace_that_hangs_is_explained", async |world| {
        let name = world.name("stuck");
        let namespace = world.desired("acme/ns", object("v1", "Namespace", None, &name));
        world.create(&[&namespace]).await;
        let path = format!("/api/v1/namespaces/{name}/configmaps");
        let mut held = object("v1", "ConfigMap", Some(&name), "held");
        held["metadata"]["finalizers"] = json!(["example.io/keep"]);
        world.by_hand("POST", &path, held).await;
        let before = present(world.observe(&namespace).await);
        world.write(&[delete(&namespace, &before)]).await;
        world.write(&[delete(&namespace, &before)]).await;

        let mut told = String::new();
        for _ in 0..200 {
            told = present(world.observe_known(&namespace).await).pending.expect("it is still there").to_string();
            if told.contains("example.io/keep") {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        assert!(told.contains("example.io/keep") && told.contains("configmaps"), "{told}");
        match world.observe(&namespace).await {
            Observed::Unknown(reason) => assert!(said(&reason).contains("being deleted"), "{reason:?}"),
            other => panic!("{other:?}"),
        }
        let inside = world.desired("acme/c", object("v1", "ConfigMap", Some(&name), "late"));
        let error = world.try_write(&[create(&inside)]).await.expect_err("the namespace ends").error;
        assert!(error.class.is_transient(), "{error}");

        let patch = json!({"metadata": {"finalizers": null}});
        world.by_hand("PATCH", &format!("{path}/held"), patch).await;
        for _ in 0..300 {
            if world.observe(&namespace).await == Observed::Absent {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("it is still there: {:?}", world.observe_known(&namespace).await);
    });
}

#[test]
fn what_replaces_an_object_waits_for_the_old_one_to_go() {
    on_server("what_replaces_an_object_waits_for_the_old_one_to_go", async |world| {
        let namespace = world.namespace("a").await;
        let path = format!("/api/v1/namespaces/{namespace}/configmaps/c");
        let mut json = object("v1", "ConfigMap", Some(&namespace), "c");
        json["metadata"]["finalizers"] = json!(["example.io/slow"]);
        let desired = world.desired("acme/c", json);
        world.create(&[&desired]).await;
        let old = world.get(&path).await["metadata"]["uid"].clone();
        let before = present(world.observe(&desired).await);
        let replaced = async { world.write(&[delete(&desired, &before), create(&desired)]).await };
        let released = async {
            while world.get(&path).await["metadata"].get("deletionTimestamp").is_none() {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            world.by_hand("PATCH", &path, json!({"metadata": {"finalizers": null}})).await;
        };
        futures::future::join(replaced, released).await;
        assert_ne!(world.get(&path).await["metadata"]["uid"], old);
        world.by_hand("PATCH", &path, json!({"metadata": {"finalizers": null}})).await;
    });
}

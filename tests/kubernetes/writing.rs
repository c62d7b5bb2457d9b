//! What the server refuses, and what is not written over.

use serde_json::json;
use tenantry_kubernetes::Kubernetes;
use tenantry_provider::conformance::WriteUnguarded as _;
use tenantry_provider::contract::{ErrorClass, Provider as _};

use crate::support::api_proxy::Fate;
use crate::support::kubernetes::{object, on_server, with};
use crate::support::{create, delete, present, update};

#[test]
fn a_sequence_tells_what_was_done_before_the_step_that_failed() {
    on_server("a_sequence_tells_what_was_done_before_the_step_that_failed", async |world| {
        let namespace = world.namespace("a").await;
        let good = world.desired("acme/good", object("v1", "ConfigMap", Some(&namespace), "good"));
        let spec = json!({"spec": {"hard": {"pods": "5"}, "scopes": ["Nonsense"]}});
        let bad = world.desired("acme/bad", with(object("v1", "ResourceQuota", Some(&namespace), "bad"), spec));
        let after = world.desired("acme/after", object("v1", "ConfigMap", Some(&namespace), "after"));
        let error =
            world.try_write(&[create(&good), create(&bad), create(&after)]).await.expect_err("an invalid object");
        assert_eq!((error.step, error.done.len(), error.error.class), (1, 1, ErrorClass::Fatal));
        assert!(error.error.cause.contains("spec.scopes") && error.error.cause.contains("Nonsense"), "{}", error.error);
        world.assert_settled(&[&good]).await;
        assert_eq!(world.observe(&after).await, tenantry_core::model::resource::Observed::Absent);
    });
}

#[test]
fn an_object_without_its_namespace_says_what_is_missing() {
    on_server("an_object_without_its_namespace_says_what_is_missing", async |world| {
        let config = world.desired("acme/c", object("v1", "ConfigMap", Some(&world.name("missing")), "c"));
        let error = world.try_write(&[create(&config)]).await.expect_err("no namespace").error;
        assert_eq!(error.class, ErrorClass::Fatal);
        assert!(error.remedy.as_deref().is_some_and(|remedy| remedy.contains("Namespace")), "{error:?}");
    });
}

#[test]
fn an_object_that_took_the_place_of_another_is_left_alone() {
    on_server("an_object_that_took_the_place_of_another_is_left_alone", async |world| {
        let namespace = world.namespace("a").await;
        let config = with(object("v1", "ConfigMap", Some(&namespace), "c"), json!({"data": {"a": "1"}}));
        let desired = world.desired("acme/c", config.clone());
        world.create(&[&desired]).await;
        let before = present(world.observe(&desired).await);
        let path = format!("/api/v1/namespaces/{namespace}/configmaps");
        world.by_hand("DELETE", &format!("{path}/c"), serde_json::Value::Null).await;
        let gone = world.try_write(&[update(&desired, &before, &[])]).await.expect_err("it is gone").error;
        assert_eq!(gone.class, ErrorClass::Conflict, "{gone}");
        world.write(&[delete(&desired, &before)]).await;
        world.by_hand("POST", &path, config).await;
        for step in [update(&desired, &before, &[]), delete(&desired, &before), create(&desired)] {
            let error = world.try_write(&[step]).await.expect_err("it is somebody else's").error;
            assert_eq!(error.class, ErrorClass::Conflict, "{error}");
        }
        let live = world.get(&format!("{path}/c")).await;
        assert_eq!(live["metadata"].get("labels"), None);
    });
}

#[test]
fn an_object_that_appears_at_the_same_moment_is_given_back() {
    on_server("an_object_that_appears_at_the_same_moment_is_given_back", async |world| {
        let namespace = world.namespace("a").await;
        let path = format!("/api/v1/namespaces/{namespace}/configmaps");
        let theirs =
            with(object("v1", "ConfigMap", Some(&namespace), "c"), json!({"data": {"same": "1", "theirs": "2"}}));
        world.by_hand("POST", &path, theirs).await;
        let before = world.get(&format!("{path}/c")).await;
        // As if it had not been there yet when the writer looked.
        let proxy = world.proxy(|request| {
            if request.starts_with("GET ") && request.ends_with("/configmaps/c") {
                return Fate::Answer("404 Not Found", "", json!({"kind": "Status", "code": 404}).to_string());
            }
            Fate::Pass
        });
        let writer = Kubernetes.writer(&world.settings_at(proxy.await.port)).expect("valid settings");
        let mut ours =
            with(object("v1", "ConfigMap", Some(&namespace), "c"), json!({"data": {"same": "1", "ours": "3"}}));
        // Nor may what takes fields over from others take them from an object that nobody has seen.
        let mut forced = ours.clone();
        forced["metadata"]["annotations"] = json!({"tenantry.dev/force-conflicts": "true"});
        forced["data"]["theirs"] = "taken".into();
        for ours in [ours.take(), forced] {
            let error = writer.write(&[create(&world.desired("acme/c", ours))]).await.expect_err("it is theirs").error;
            assert_eq!(error.class, ErrorClass::Conflict, "{error}");
            let after = world.get(&format!("{path}/c")).await;
            assert_eq!((&after["data"], after["metadata"].get("labels")), (&before["data"], None));
        }
    });
}

#[test]
fn a_refusal_quotes_no_secret() {
    on_server("a_refusal_quotes_no_secret", async |world| {
        let namespace = world.namespace("a").await;
        let secret = with(
            object("v1", "Secret", Some(&namespace), "s"),
            json!({"type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": "hunter2-is-no-json"}}),
        );
        let error = world.try_write(&[create(&world.desired("acme/s", secret))]).await.expect_err("no JSON").error;
        let told = format!("{error:?}");
        assert!(!told.contains("hunter2") && !told.contains("aHVudGVyMi"), "{told}");
        let config = with(
            object("v1", "Service", Some(&namespace), "x"),
            json!({"spec": {"ports": [{"port": 80}], "type": "hunter2-type"}}),
        );
        let mut step = create(&world.desired("acme/x", config));
        if let tenantry_provider::contract::StepAction::Create { secrets, .. } = &mut step.action {
            secrets.push("/spec/type".to_owned());
        }
        let error = world.try_write(&[step]).await.expect_err("no such type").error;
        assert!(error.cause.contains("(secret)") && !error.cause.contains("hunter2"), "{error}");
    });
}

#[test]
fn a_deprecated_version_is_told_with_the_step_that_used_it() {
    on_server("a_deprecated_version_is_told_with_the_step_that_used_it", async |world| {
        let namespace = world.namespace("a").await;
        let group = format!("{}.example.com", world.name("old"));
        let version = |name: &str, warning: Option<&str>| {
            let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
            let mut version = json!({"name": name, "served": true, "storage": warning.is_none(), "schema": schema});
            if let Some(warning) = warning {
                version["deprecated"] = true.into();
                version["deprecationWarning"] = warning.into();
            }
            version
        };
        let spec = json!({
            "group": group, "scope": "Namespaced", "names": {"kind": "Widget", "plural": "widgets"},
            "versions": [version("v1alpha1", Some("say \"v1\", and soon")), version("v1", None)],
        });
        let definition =
            object("apiextensions.k8s.io/v1", "CustomResourceDefinition", None, &format!("widgets.{group}"));
        let definition = world.desired("acme/definition", with(definition, json!({"spec": spec})));
        let widget = |version: &str, name: &str| {
            world.desired(
                &format!("acme/{name}"),
                object(&format!("{group}/{version}"), "Widget", Some(&namespace), name),
            )
        };
        let (old, new) = (widget("v1alpha1", "old"), widget("v1", "new"));
        let written = world.writer().write(&[create(&definition), create(&old), create(&new)]).await;
        let written = written.unwrap_or_else(|error| panic!("{error}"));
        let said: Vec<Vec<String>> = written.into_iter().map(|written| written.notices).collect();
        let expected: [&[&str]; 3] = [&[], &["Warning: say \"v1\", and soon"], &[]];
        assert_eq!(said, expected);
        let before = present(world.observe(&definition).await);
        world.write(&[delete(&definition, &before)]).await;
    });
}

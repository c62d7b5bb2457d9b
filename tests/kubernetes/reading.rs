//! What observing costs, and what is absent, unmarked or not known.

use crate::support::said;
use std::collections::BTreeSet;

use serde_json::json;
use tenantry_core::model::resource::{Desired, Observed};
use tenantry_kubernetes::Kubernetes;
use tenantry_provider::contract::Provider as _;

use crate::support::api_proxy::Fate;
use crate::support::kubernetes::{World, object, on_server, with};
use crate::support::objects::definition;
use crate::support::{ESTATE, create, delete, observe, present, update};

/// As many config maps and quotas as tenants, in a namespace for each.
fn tenants(world: &World, count: usize) -> Vec<Desired> {
    let mut all = Vec::new();
    for index in 0..count {
        let namespace = world.name(&format!("t{index}"));
        let tenant = format!("t{index}");
        all.push(world.desired(&format!("{tenant}/ns"), object("v1", "Namespace", None, &namespace)));
        let config = with(object("v1", "ConfigMap", Some(&namespace), "settings"), json!({"data": {"a": "1"}}));
        all.push(world.desired(&format!("{tenant}/config"), config));
        let quota =
            with(object("v1", "ResourceQuota", Some(&namespace), "quota"), json!({"spec": {"hard": {"pods": 5}}}));
        all.push(world.desired(&format!("{tenant}/quota"), quota));
    }
    all
}

#[test]
fn the_number_of_requests_depends_on_types_and_never_on_objects() {
    on_server("the_number_of_requests_depends_on_types_and_never_on_objects", async |world| {
        let proxy = world.proxy(|_| Fate::Pass).await;
        let desired = tenants(world, 12);
        let mut counts = BTreeSet::new();
        for few in [6, desired.len()] {
            let wanted: Vec<&Desired> = desired.iter().take(few).collect();
            let mut of_stage = Vec::new();
            for is_there in [false, true] {
                if is_there {
                    let steps: Vec<_> = wanted.iter().map(|desired| create(desired)).collect();
                    world.write(&steps).await;
                }
                proxy.take();
                let reader = Kubernetes.reader(&world.settings_at(proxy.port)).expect("valid settings");
                let answer = observe(&*reader, &wanted, &[]).await.remove("kubernetes.object").expect("an answer");
                let present = wanted.iter().filter(|desired| {
                    matches!(answer.get(desired.identity.as_deref().expect("an identity")), Observed::Present(_))
                });
                assert_eq!(present.count() == few, is_there);
                let asked = proxy.take();
                assert!(asked.iter().all(|request| request.starts_with("GET ")), "{asked:?}");
                of_stage.push(asked.len());
            }
            counts.insert(of_stage);
        }
        // Discovery of one API version; then a list with the label for each of three types, and where something is missing
        // one of bare metadata. In the second round half of it is there and half is missing.
        assert_eq!(counts.into_iter().collect::<Vec<_>>(), [[7, 4]]);
    });
}

#[test]
fn what_is_there_without_our_mark_is_found_and_what_is_not_there_is_absent() {
    on_server("what_is_there_without_our_mark_is_found_and_what_is_not_there_is_absent", async |world| {
        let namespace = world.namespace("a").await;
        let path = format!("/api/v1/namespaces/{namespace}/configmaps");
        let foreign =
            with(object("v1", "ConfigMap", Some(&namespace), "foreign"), json!({"data": {"a": "theirs", "b": "2"}}));
        world.by_hand("POST", &path, foreign.clone()).await;
        let found = world.desired("acme/foreign", with(foreign, json!({"data": {"a": "ours"}})));
        let absent = world.desired("acme/absent", object("v1", "ConfigMap", Some(&namespace), "absent"));
        let observed = present(world.observe(&found).await);
        assert_eq!(observed.mark, None);
        let data = tenantry_core::model::value::Value::from((*observed.spec).clone());
        assert_eq!(data.pointer("/data/a").and_then(|value| value.as_str()), Some("theirs"));
        assert_eq!(world.observe(&absent).await, Observed::Absent);
        let elsewhere = world.desired("acme/else", object("v1", "ConfigMap", Some(&world.name("nowhere")), "x"));
        assert_eq!(world.observe(&elsewhere).await, Observed::Absent);
    });
}

#[test]
fn a_marked_object_that_nobody_asks_for_is_listed() {
    on_server("a_marked_object_that_nobody_asks_for_is_listed", async |world| {
        let namespace = world.namespace("a").await;
        let object_of =
            |name: &str| world.desired(&format!("acme/{name}"), object("v1", "ConfigMap", Some(&namespace), name));
        let (asked, left) = (object_of("asked"), object_of("left"));
        world.create(&[&asked, &left]).await;
        let answer = observe(&*world.reader(), &[&asked], &[]).await.remove("kubernetes.object").expect("an answer");
        let found = present(answer.get(left.identity.as_deref().expect("an identity")));
        assert_eq!(
            found.mark.map(|mark| (mark.estate.to_string(), mark.address)),
            Some((ESTATE.to_owned(), left.address))
        );
        assert!(answer.incomplete.is_none());
    });
}

#[test]
fn a_type_that_the_cluster_does_not_know_is_unknown_unless_its_definition_is_asked_for_too() {
    let name = "a_type_that_the_cluster_does_not_know_is_unknown_unless_its_definition_is_asked_for_too";
    on_server(name, async |world| {
        let group = format!("c{}.example.com", world.suffix);
        let namespace = world.namespace("a").await;
        let definition = world.desired("estate/definition", definition(&group, "Widget"));
        let widget =
            with(object(&format!("{group}/v1"), "Widget", Some(&namespace), "w"), json!({"spec": {"size": 3}}));
        let widget = world.desired("acme/widget", widget);
        match world.observe(&widget).await {
            Observed::Unknown(reason) => {
                assert!(said(&reason).contains("does not know the kind `Widget`"), "{reason:?}");
            }
            other => panic!("{other:?}"),
        }
        let answer = observe(&*world.reader(), &[&definition, &widget], &[]).await;
        assert_eq!(answer["kubernetes.object"].get(widget.identity.as_deref().expect("an identity")), Observed::Absent);
        // Both in one batch: the writer waits until the type is served.
        world.create(&[&definition, &widget]).await;
        world.assert_settled(&[&definition, &widget]).await;
        let other = object(&format!("{group}/v1"), "Other", Some(&namespace), "w");
        let error = world.try_write(&[create(&world.desired("acme/other", other))]).await;
        let error = error.expect_err("an unknown kind").error;
        assert!(error.remedy.as_deref().is_some_and(|remedy| remedy.contains("CustomResourceDefinition")), "{error:?}");
    });
}

#[test]
fn readiness_is_observed_with_the_reason() {
    on_server("readiness_is_observed_with_the_reason", async |world| {
        let namespace = world.namespace("a").await;
        let deployment = |name: &str, annotations: serde_json::Value| {
            let mut deployment = object("apps/v1", "Deployment", Some(&namespace), name);
            deployment["metadata"]["annotations"] = annotations;
            let spec = json!({"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": {
                "metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "web", "image": "web:1"}]},
            }});
            world.desired(&format!("acme/{name}"), with(deployment, json!({"spec": spec})))
        };
        let (watched, unwatched) =
            (deployment("watched", json!({})), deployment("unwatched", json!({"tenantry.dev/wait": "false"})));
        world.create(&[&watched, &unwatched]).await;
        world.assert_settled(&[&watched, &unwatched]).await;
        // There is no node that could run it.
        let reason = present(world.observe(&watched).await).pending.expect("not ready");
        assert!(reason.contains("pods") || reason.contains("not processed"), "{reason}");
        assert_eq!(present(world.observe(&unwatched).await).pending, None);
    });
}

#[test]
fn credentials_may_come_from_a_command() {
    on_server("credentials_may_come_from_a_command", async |world| {
        let text = std::fs::read_to_string(&world.kubeconfig).expect("a kubeconfig");
        let mut config: serde_json::Value = serde_yaml::from_str(&text).expect("YAML");
        let token = config["users"][0]["user"]["token"].take();
        let api_version = "client.authentication.k8s.io/v1beta1";
        let credential = json!({"apiVersion": api_version, "kind": "ExecCredential", "status": {"token": token}});
        let exec = json!({
            "apiVersion": api_version, "command": "printf", "args": ["%s", credential.to_string()],
            "interactiveMode": "Never",
        });
        config["users"][0]["user"] = json!({"exec": exec});
        let mut settings = world.settings("", "admin");
        settings.values.remove("kubeconfig");
        settings.secrets.insert("kubeconfig".to_owned(), config.to_string().into());
        let reader = Kubernetes.reader(&settings).expect("valid settings");
        let absent = world.desired("acme/ns", object("v1", "Namespace", None, &world.name("none")));
        assert_eq!(world.observe_with(&*reader, &absent).await, Observed::Absent);

        config["users"][0]["user"]["exec"]["command"] = "no-such-command".into();
        settings.secrets.insert("kubeconfig".to_owned(), config.to_string().into());
        let reader = Kubernetes.reader(&settings).expect("valid settings");
        match world.observe_with(&*reader, &absent).await {
            Observed::Unknown(reason) => assert!(said(&reason).contains("no-such-command"), "{reason:?}"),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_command_for_credentials_that_fails_is_told_without_what_it_was_given_or_printed() {
    on_server("a_command_for_credentials_that_fails_is_told_without_what_it_was_given_or_printed", async |world| {
        let text = std::fs::read_to_string(&world.kubeconfig).expect("a kubeconfig");
        let mut config: serde_json::Value = serde_yaml::from_str(&text).expect("YAML");
        let absent = world.desired("acme/ns", object("v1", "Namespace", None, &world.name("none")));
        for (script, told) in [
            ("echo hunter2-output; echo you have to log in first >&2; exit 3", "you have to log in first"),
            ("echo 'hunter2-output: ['", "not an ExecCredential"),
            ("echo '{\"kind\": \"ExecCredential\", \"status\": \"hunter2-output\"}'", "not an ExecCredential"),
        ] {
            config["users"][0]["user"] = json!({"exec": {
                "apiVersion": "client.authentication.k8s.io/v1beta1", "interactiveMode": "Never",
                "command": "sh", "args": ["-c", script, "hunter2-argument"],
                "env": [{"name": "KEY", "value": "hunter2-variable"}],
            }});
            let mut settings = world.settings("", "admin");
            settings.values.remove("kubeconfig");
            settings.secrets.insert("kubeconfig".to_owned(), config.to_string().into());
            let reader = Kubernetes.reader(&settings).expect("valid settings");
            match world.observe_with(&*reader, &absent).await {
                Observed::Unknown(reason) => {
                    let reason = said(&reason);
                    assert!(reason.contains("`sh`") && reason.contains(told), "{reason}");
                    assert!(!reason.contains("hunter2"), "{reason}");
                }
                other => panic!("{other:?}"),
            }
        }
    });
}

#[test]
fn what_was_written_in_a_version_that_is_served_no_more_is_not_taken_for_gone() {
    let name = "what_was_written_in_a_version_that_is_served_no_more_is_not_taken_for_gone";
    on_server(name, async |world| {
        let group = format!("v{}.example.com", world.suffix);
        let namespace = world.namespace("a").await;
        let served = |old: bool, new: bool| {
            let mut definition = definition(&group, "Widget");
            let mut version = definition["spec"]["versions"][0].clone();
            definition["spec"]["versions"][0]["served"] = new.into();
            (version["name"], version["served"], version["storage"]) = (json!("v1alpha1"), json!(old), json!(false));
            definition["spec"]["versions"].as_array_mut().expect("versions").push(version);
            definition
        };
        let of_type = world.desired("estate/definition", served(true, true));
        let widget = |version: &str| {
            let object = object(&format!("{group}/{version}"), "Widget", Some(&namespace), "w");
            world.desired("acme/widget", with(object, json!({"spec": {"size": 3}})))
        };
        let old = widget("v1alpha1");
        world.create(&[&of_type, &old]).await;
        world.assert_settled(&[&old]).await;

        // The old version ends with its tenant.
        let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.{group}");
        world.by_hand("PATCH", &path, json!({"spec": served(false, true)["spec"]})).await;
        is_served(world, &format!("/apis/{group}/v1alpha1"), false).await;
        let of_type = world.desired("estate/definition", served(false, true));
        let identity = old.identity.clone().expect("an identity");
        let observed = async |wanted: &[&Desired], known: &[&Desired]| {
            observe(&*world.reader(), wanted, known).await["kubernetes.object"].get(&identity)
        };
        let found = present(observed(&[&of_type], &[&old]).await);
        assert_eq!(found.mark.as_ref().map(|mark| &mark.address), Some(&old.address));
        // Asked for in it, it is not known how it is: nor is it missing.
        for of_type in [&[&of_type][..], &[]] {
            match observed(&[of_type, &[&old]].concat(), &[]).await {
                Observed::Unknown(reason) => assert!(said(&reason).contains(&format!("{group}/v1")), "{reason:?}"),
                other => panic!("{other:?}"),
            }
        }
        world.write(&[delete(&old, &found)]).await;
        let path = format!("/apis/{group}/v1/namespaces/{namespace}/widgets/w");
        assert_eq!(world.try_by_hand("GET", &path, json!(null)).await.0, 404);
    });
}

#[test]
fn an_object_goes_over_to_the_version_that_its_definition_is_to_serve() {
    on_server("an_object_goes_over_to_the_version_that_its_definition_is_to_serve", async |world| {
        let group = format!("w{}.example.com", world.suffix);
        let namespace = world.namespace("a").await;
        let named = |version: &str| {
            let mut definition = definition(&group, "Widget");
            definition["spec"]["versions"][0]["name"] = version.into();
            definition
        };
        let widget = |version: &str| {
            let object = object(&format!("{group}/{version}"), "Widget", Some(&namespace), "w");
            world.desired("acme/widget", with(object, json!({"spec": {"size": 3}})))
        };
        let (before, old) = (world.desired("estate/definition", named("v1alpha1")), widget("v1alpha1"));
        world.create(&[&before, &old]).await;

        let mut both = named("v1");
        let mut version = both["spec"]["versions"][0].clone();
        (version["name"], version["storage"]) = ("v1alpha1".into(), false.into());
        both["spec"]["versions"].as_array_mut().expect("versions").push(version);
        let (after, new) = (world.desired("estate/definition", both), widget("v1"));
        let answer =
            observe(&*world.reader(), &[&after, &new], &[]).await.remove("kubernetes.object").expect("an answer");
        let found = |desired: &Desired| present(answer.get(desired.identity.as_deref().expect("an identity")));
        let differences = tenantry_core::diff::compare(&new.kind, &new.spec, &found(&new).spec, Some(&old.spec));
        let differing: Vec<&str> = differences.iter().map(|difference| &*difference.pointer).collect();
        assert_eq!(differing, ["/apiVersion"]);
        world.write(&[update(&after, &found(&after), &[]), update(&new, &found(&new), &[])]).await;
        world.assert_settled(&[&after, &new]).await;
    });
}

async fn is_served(world: &World, path: &str, expected: bool) {
    for _ in 0..300 {
        if (world.try_by_hand("GET", path, json!(null)).await.0 == 200) == expected {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{path}");
}

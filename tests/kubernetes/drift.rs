//! What others do to an object, and what becomes of it.

use serde_json::{Value as Json, json};
use tenantry_core::diff::{compare, compare_owned};
use tenantry_core::model::resource::{Desired, Observed, Present};
use tenantry_core::model::value::Value;
use tenantry_provider::contract::{ErrorClass, StepAction};

use crate::support::kubernetes::{World, object, on_server, with};
use crate::support::{create, present, update};

/// The pointers that differ.
fn differing(desired: &Desired, present: &Present) -> Vec<String> {
    let differences = compare_owned(&desired.kind, &desired.spec, present, Some(&desired.spec));
    differences.iter().map(|difference| difference.pointer.to_string()).collect()
}

async fn observed(world: &World, desired: &Desired) -> Present {
    present(world.observe(desired).await)
}

/// An update as the engine would send it: with what was applied before.
async fn repair(world: &World, desired: &Desired, applied: &Desired, removed: &[&str]) -> Result<(), String> {
    let before = observed(world, desired).await;
    let mut step = update(desired, &before, removed);
    if let StepAction::Update { applied: was, .. } = &mut step.action {
        *was = Some((*applied.spec).clone());
    }
    let result = world.try_write(&[step]).await;
    result.map_err(|error| format!("{:?}: {} {:?}", error.error.class, error.error, error.error.remedy))
}

fn deployment(namespace: &str, spec: Json) -> Json {
    let mut whole = json!({
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{
                "name": "web", "image": "web:1", "ports": [{"containerPort": 80}],
                "env": [{"name": "MODE", "value": "live"}, {"name": "OLD", "value": "1"}],
            }]},
        },
    });
    for (name, value) in spec.as_object().expect("fields") {
        whole[name] = value.clone();
    }
    with(object("apps/v1", "Deployment", Some(namespace), "web"), json!({"spec": whole}))
}

/// Who is named for which field, with a time for each.
fn edited_by(present: &Present) -> Vec<String> {
    let authors = present.authors.iter();
    authors
        .map(|(field, author)| {
            let at = author.at.as_deref().expect("a time");
            assert!(at.parse::<jiff::Timestamp>().is_ok(), "{at}");
            format!("{field} by {}", author.name)
        })
        .collect()
}

#[test]
fn an_edit_shows_as_the_fields_that_were_edited_and_is_repaired() {
    on_server("an_edit_shows_as_the_fields_that_were_edited_and_is_repaired", async |world| {
        let namespace = world.namespace("a").await;
        let desired = world.desired("acme/web", deployment(&namespace, json!({"replicas": 2})));
        world.create(&[&desired]).await;
        world.assert_settled(&[&desired]).await;

        let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments/web");
        let edit = json!({"spec": {"replicas": 5, "paused": true}});
        world.by_hand("PATCH", &format!("{path}?fieldManager=kubectl-edit"), edit).await;
        // `paused` is nobody's business but that of who set it.
        let edited = observed(world, &desired).await;
        assert_eq!(differing(&desired, &edited), ["/spec/replicas"]);
        assert_eq!(edited_by(&edited), ["/spec/replicas by kubectl-edit"]);
        repair(world, &desired, &desired, &[]).await.expect("what was ours is put right");
        world.assert_settled(&[&desired]).await;
        assert_eq!(world.get(&path).await["spec"]["paused"], true);

        // A strategic merge by the name of the container, as `kubectl set image` does.
        let image = world.get(&path).await;
        let mut containers = image["spec"]["template"]["spec"]["containers"].clone();
        containers[0]["image"] = "web:hacked".into();
        containers[0]["env"][0]["value"] = "debug".into();
        let edit = json!({"spec": {"template": {"spec": {"containers": containers}}}});
        world.by_hand("PATCH", &format!("{path}?fieldManager=kubectl-edit"), edit).await;
        let edited = observed(world, &desired).await;
        assert_eq!(differing(&desired, &edited), ["/spec/template/spec/containers"]);
        assert_eq!(edited_by(&edited), ["/spec/template/spec/containers by kubectl-edit"]);
        repair(world, &desired, &desired, &[]).await.expect("what was ours is put right");
        world.assert_settled(&[&desired]).await;
        assert_eq!(edited_by(&observed(world, &desired).await), [""; 0], "nobody is named for what is as desired");
    });
}

#[test]
fn what_others_add_is_left_alone_and_what_they_replace_whole_is_not() {
    on_server("what_others_add_is_left_alone_and_what_they_replace_whole_is_not", async |world| {
        let namespace = world.namespace("a").await;
        let path = format!("/api/v1/namespaces/{namespace}/configmaps/c");
        let config = with(object("v1", "ConfigMap", Some(&namespace), "c"), json!({"data": {"a": "1"}}));
        let desired = world.desired("acme/c", config);
        world.create(&[&desired]).await;
        let edit = json!({"metadata": {"labels": {"team": "blue"}, "annotations": {"n": "1"}}, "data": {"b": "2"}});
        world.by_hand("PATCH", &format!("{path}?fieldManager=team"), edit).await;
        world.assert_settled(&[&desired]).await;

        let spec = json!({"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"ports": [{"port": 80}]}]});
        let policy =
            with(object("networking.k8s.io/v1", "NetworkPolicy", Some(&namespace), "p"), json!({"spec": spec}));
        let policy = world.desired("acme/p", policy);
        world.create(&[&policy]).await;
        world.assert_settled(&[&policy]).await;
        let path = format!("/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies/p");
        let edit = json!({"spec": {"ingress": [{"ports": [{"port": 80}, {"port": 22}]}]}});
        world.by_hand("PATCH", &format!("{path}?fieldManager=kubectl-edit"), edit).await;
        assert_eq!(differing(&policy, &observed(world, &policy).await), ["/spec/ingress"]);
        repair(world, &policy, &policy, &[]).await.expect("what was ours is put right");
        world.assert_settled(&[&policy]).await;
        // It selects every pod, and afterwards only some: the map has gained a field, and the policy lost its meaning.
        let edit = json!({"spec": {"podSelector": {"matchLabels": {"app": "none"}}}});
        world.by_hand("PATCH", &format!("{path}?fieldManager=kubectl-edit"), edit).await;
        let selector = world.get(&path).await["spec"]["podSelector"].clone();
        assert_eq!(selector, json!({"matchLabels": {"app": "none"}}));
        let found = differing(&policy, &observed(world, &policy).await);
        repair(world, &policy, &policy, &[]).await.expect("what was ours is put right");
        let repaired = world.get(&path).await["spec"]["podSelector"].clone();
        // Whether the server replaces a selector whole is up to its version; what is told has to fit what can be done.
        match repaired == json!({}) {
            true => assert_eq!(found, ["/spec/podSelector/matchLabels"]),
            false => assert_eq!(found, Vec::<String>::new()),
        }
        world.assert_settled(&[&policy]).await;
    });
}

#[test]
fn a_deleted_object_is_absent_and_made_again() {
    on_server("a_deleted_object_is_absent_and_made_again", async |world| {
        let namespace = world.namespace("a").await;
        let desired = world.desired("acme/c", object("v1", "ConfigMap", Some(&namespace), "c"));
        world.create(&[&desired]).await;
        world.by_hand("DELETE", &format!("/api/v1/namespaces/{namespace}/configmaps/c"), Json::Null).await;
        assert_eq!(world.observe(&desired).await, Observed::Absent);
        world.create(&[&desired]).await;
        world.assert_settled(&[&desired]).await;
    });
}

#[test]
fn a_field_that_the_blueprint_no_longer_names_goes_away() {
    on_server("a_field_that_the_blueprint_no_longer_names_goes_away", async |world| {
        let namespace = world.namespace("a").await;
        let before = world.desired("acme/web", deployment(&namespace, json!({"replicas": 2, "minReadySeconds": 7})));
        world.create(&[&before]).await;
        let mut json = deployment(&namespace, json!({"replicas": 2}));
        json["spec"]["template"]["spec"]["containers"][0]["env"] = json!([{"name": "MODE", "value": "live"}]);
        let after = world.desired("acme/web", json);
        let found = compare(&after.kind, &after.spec, &observed(world, &after).await.spec, Some(&before.spec));
        let found: Vec<_> = found.iter().map(|found| (&*found.pointer, found.after.is_some())).collect();
        assert_eq!(found, [("/spec/minReadySeconds", false), ("/spec/template/spec/containers", true)]);
        repair(world, &after, &before, &["/spec/minReadySeconds"]).await.expect("fields go away");
        world.assert_settled(&[&after]).await;
        let live = world.get(&format!("/apis/apps/v1/namespaces/{namespace}/deployments/web")).await;
        assert_eq!(live["spec"].get("minReadySeconds"), None);
        assert_eq!(live["spec"]["template"]["spec"]["containers"][0]["env"].as_array().map(Vec::len), Some(1));

        let secret = |data: Json| {
            world.desired("acme/s", with(object("v1", "Secret", Some(&namespace), "s"), json!({"stringData": data})))
        };
        let (before, after) = (secret(json!({"kept": "1", "gone": "2"})), secret(json!({"kept": "1"})));
        world.create(&[&before]).await;
        repair(world, &after, &before, &["/stringData/gone"]).await.expect("a key goes away");
        let live = world.get(&format!("/api/v1/namespaces/{namespace}/secrets/s")).await;
        assert_eq!(live["data"], json!({"kept": "MQ=="}));
    });
}

#[test]
fn a_field_of_another_manager_is_a_conflict_that_names_it_unless_the_object_says_to_take_it() {
    let name = "a_field_of_another_manager_is_a_conflict_that_names_it_unless_the_object_says_to_take_it";
    on_server(name, async |world| {
        let namespace = world.namespace("a").await;
        let first = world.desired("acme/web", deployment(&namespace, json!({})));
        world.create(&[&first]).await;
        let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments/web");
        let scaled = with(object("apps/v1", "Deployment", Some(&namespace), "web"), json!({"spec": {"replicas": 7}}));
        world.by_hand("PATCH", &format!("{path}?fieldManager=autoscaler&force=true"), scaled).await;
        world.assert_settled(&[&first]).await;

        let second = world.desired("acme/web", deployment(&namespace, json!({"replicas": 3})));
        let refused = repair(world, &second, &first, &[]).await.expect_err("a conflict");
        assert!(refused.starts_with(&format!("{:?}", ErrorClass::Conflict)), "{refused}");
        assert!(refused.contains("`spec.replicas` is managed by `autoscaler`"), "{refused}");
        assert!(refused.contains("tenantry.dev/force-conflicts"), "{refused}");
        assert_eq!(world.get(&path).await["spec"]["replicas"], 7);

        let mut json = deployment(&namespace, json!({"replicas": 3}));
        json["metadata"]["annotations"] = json!({"tenantry.dev/force-conflicts": "true"});
        let third = world.desired("acme/web", json);
        repair(world, &third, &first, &[]).await.expect("the object says to take it over");
        assert_eq!(world.get(&path).await["spec"]["replicas"], 3);
        world.assert_settled(&[&third]).await;
    });
}

#[test]
fn an_adopted_object_becomes_ours_with_every_field_that_is_asked_for() {
    on_server("an_adopted_object_becomes_ours_with_every_field_that_is_asked_for", async |world| {
        let namespace = world.namespace("a").await;
        let path = format!("/api/v1/namespaces/{namespace}/configmaps");
        let theirs = with(object("v1", "ConfigMap", Some(&namespace), "c"), json!({"data": {"a": "theirs", "b": "2"}}));
        world.by_hand("POST", &format!("{path}?fieldManager=kubectl"), theirs).await;
        let config = with(object("v1", "ConfigMap", Some(&namespace), "c"), json!({"data": {"a": "ours"}}));
        let mut desired = world.desired("acme/c", config);
        let refused = world.try_write(&[create(&desired)]).await.expect_err("it exists").error;
        assert_eq!(refused.class, ErrorClass::Conflict);
        assert!(refused.cause.contains("carries no mark"), "{refused}");
        desired.adopt = true;
        let before = observed(world, &desired).await;
        world.write(&[update(&desired, &before, &[])]).await;
        world.assert_settled(&[&desired]).await;
        let live = world.get(&format!("{path}/c")).await;
        assert_eq!(live["data"], json!({"a": "ours", "b": "2"}));
    });
}

#[test]
fn what_was_adopted_and_is_no_longer_named_goes_away_like_anything_else_of_ours() {
    let name = "what_was_adopted_and_is_no_longer_named_goes_away_like_anything_else_of_ours";
    on_server(name, async |world| {
        let namespace = world.namespace("a").await;
        let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments");
        let env = |names: &[&str]| -> Json {
            let env: Vec<Json> = names.iter().map(|name| json!({"name": name, "value": "1"})).collect();
            let pod = json!({"containers": [{"name": "web", "image": "web:1", "env": env}]});
            deployment(
                &namespace,
                json!({"replicas": 2, "template": {"metadata": {"labels": {"app": "web"}}, "spec": pod}}),
            )
        };
        world
            .by_hand(
                "POST",
                &format!("{path}?fieldManager=kubectl-client-side-apply"),
                env(&["KEPT", "GONE", "THEIRS"]),
            )
            .await;
        let mut desired = world.desired("acme/web", env(&["KEPT", "GONE"]));
        desired.adopt = true;
        let before = observed(world, &desired).await;
        world.write(&[update(&desired, &before, &[])]).await;
        world.assert_settled(&[&desired]).await;

        let fewer = world.desired("acme/web", env(&["KEPT"]));
        assert_eq!(differing(&fewer, &observed(world, &fewer).await), ["/spec/template/spec/containers"]);
        repair(world, &fewer, &desired, &[]).await.expect("it is ours");
        let live = world.get(&format!("{path}/web")).await;
        let env = live["spec"]["template"]["spec"]["containers"][0]["env"].as_array().expect("a list");
        let left: Vec<&str> = env.iter().filter_map(|env| env["name"].as_str()).collect();
        assert_eq!(left, ["KEPT", "THEIRS"]);
        world.assert_settled(&[&fewer]).await;
    });
}

#[test]
fn a_secret_that_somebody_wrote_over_loses_its_hash() {
    on_server("a_secret_that_somebody_wrote_over_loses_its_hash", async |world| {
        use std::sync::Arc;
        use tenantry_core::model::secret::{SecretReference, SecretVersion};
        use tenantry_core::model::value::{Deferred, Part};

        let namespace = world.namespace("a").await;
        let written = world.desired(
            "acme/s",
            with(object("v1", "Secret", Some(&namespace), "s"), json!({"stringData": {"password": "hunter2"}})),
        );
        let mut step = create(&written);
        step.mark.secret_hash = Some("k1:abc".into());
        world.write(&[step]).await;
        let mut desired = world.desired("acme/s", object("v1", "Secret", Some(&namespace), "s"));
        let owner = desired.address.owner.clone();
        let secret = Part::Secret(SecretReference { owner, name: "password".into(), version: SecretVersion::FIRST });
        let reference = Value::Deferred(Arc::new(Deferred { parts: vec![secret] }));
        let spec = Value::from((*desired.spec).clone()).with_pointer("/stringData/password", reference);
        desired.spec = desired.kind.normal(spec.as_map().expect("a map"));
        let hash = |found: Present| found.mark.expect("a mark").secret_hash;
        assert_eq!(hash(observed(world, &desired).await).as_deref(), Some("k1:abc"));
        let path = format!("/api/v1/namespaces/{namespace}/secrets/s?fieldManager=kubectl-edit");
        world.by_hand("PATCH", &path, json!({"metadata": {"labels": {"x": "y"}}})).await;
        assert_eq!(hash(observed(world, &desired).await).as_deref(), Some("k1:abc"));
        world.by_hand("PATCH", &path, json!({"data": {"password": "b3RoZXI="}})).await;
        assert_eq!(hash(observed(world, &desired).await), None);
    });
}

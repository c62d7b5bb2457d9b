//! A server that is down, slow, broken or says no: unknown, never absent.

use crate::support::said;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::json;
use tenantry_core::model::resource::{Desired, Observed};
use tenantry_kubernetes::Kubernetes;
use tenantry_provider::conformance::WriteUnguarded as _;
use tenantry_provider::contract::{ErrorClass, Provider as _};

use crate::support::api_proxy::Fate;
use crate::support::kubernetes::{World, object, on_server, with};
use crate::support::{create, observe};

/// A config map that exists and one that does not.
async fn two(world: &World) -> (Desired, Desired) {
    let namespace = world.namespace("a").await;
    let config = |name: &str| world.desired(&format!("acme/{name}"), object("v1", "ConfigMap", Some(&namespace), name));
    let (there, absent) = (config("there"), config("absent"));
    world.create(&[&there]).await;
    (there, absent)
}

/// What is observed of two objects through a proxy, as words.
async fn through(
    world: &World,
    desired: [&Desired; 2],
    decide: impl Fn(&str) -> Fate + Send + Sync + 'static,
) -> [String; 2] {
    let proxy = world.proxy(decide).await;
    let reader = Kubernetes.reader(&world.settings_at(proxy.port)).expect("valid settings");
    let answer = observe(&*reader, &desired, &[]).await.remove("kubernetes.object").expect("an answer");
    desired.map(|desired| match answer.get(desired.identity.as_deref().expect("an identity")) {
        Observed::Absent => "absent".to_owned(),
        Observed::Present(_) => "present".to_owned(),
        Observed::Unknown(reason) => format!("unknown: {}", said(&reason)),
    })
}

fn assert_unknown(observed: &[String; 2], word: &str) {
    for observed in observed {
        assert!(observed.starts_with("unknown: ") && observed.contains(word), "{observed}");
    }
}

#[test]
fn half_an_answer_is_none() {
    on_server("half_an_answer_is_none", async |world| {
        let (there, absent) = two(world).await;
        let cut = |request: &str| if request.contains("labelSelector") { Fate::Cut } else { Fate::Pass };
        assert_unknown(&through(world, [&there, &absent], cut).await, "reading ConfigMap of v1");
        // What carries the label was read whole, but of what is missing nobody can say whether it is there.
        let cut = |request: &str| {
            if request.contains("configmaps?limit=500") && !request.contains("label") { Fate::Cut } else { Fate::Pass }
        };
        assert_unknown(&through(world, [&there, &absent], cut).await, "reading ConfigMap of v1");
        assert_eq!(through(world, [&there, &absent], |_| Fate::Pass).await, ["present", "absent"]);
    });
}

#[test]
fn a_list_that_grows_too_old_is_begun_again_and_one_that_fails_on_its_second_page_is_none() {
    let name = "a_list_that_grows_too_old_is_begun_again_and_one_that_fails_on_its_second_page_is_none";
    on_server(name, async |world| {
        let (there, absent) = two(world).await;
        let page = |next: &str| {
            json!({"kind": "ConfigMapList", "apiVersion": "v1", "metadata": {"continue": next}, "items": []})
                .to_string()
        };
        let gone = || {
            let status = json!({"kind": "Status", "code": 410, "reason": "Expired", "message": "The provided continue parameter is too old"});
            Fate::Answer("410 Gone", "", status.to_string())
        };
        let starts = Arc::new(AtomicUsize::new(0));
        let counted = starts.clone();
        let observed = through(world, [&there, &absent], move |request| {
            let is_first = |request: &str| request.contains("labelSelector") && !request.contains("continue=");
            if is_first(request) && counted.fetch_add(1, Ordering::Relaxed) == 0 {
                return Fate::Answer("200 OK", "", page("more"));
            }
            if request.contains("continue=more") { gone() } else { Fate::Pass }
        });
        assert_eq!(observed.await, ["present", "absent"]);
        assert!(starts.load(Ordering::Relaxed) >= 2);

        let observed = through(world, [&there, &absent], move |request| {
            if request.contains("continue=more") {
                return Fate::Answer("500 Internal Server Error", "", "etcd is unhappy".to_owned());
            }
            if request.contains("labelSelector") { Fate::Answer("200 OK", "", page("more")) } else { Fate::Pass }
        });
        assert_unknown(&observed.await, "etcd is unhappy");
    });
}

#[test]
fn a_server_that_is_too_busy_is_asked_again_and_then_unknown() {
    on_server("a_server_that_is_too_busy_is_asked_again_and_then_unknown", async |world| {
        let (there, absent) = two(world).await;
        let busy = || Fate::Answer("429 Too Many Requests", "retry-after: 0\r\n", "slow down".to_owned());
        let refused = AtomicBool::new(false);
        let once = move |request: &str| {
            if request.contains("labelSelector") && !refused.swap(true, Ordering::Relaxed) {
                busy()
            } else {
                Fate::Pass
            }
        };
        assert_eq!(through(world, [&there, &absent], once).await, ["present", "absent"]);
        let always = move |request: &str| if request.contains("labelSelector") { busy() } else { Fate::Pass };
        assert_unknown(&through(world, [&there, &absent], always).await, "slow down");

        let proxy = world.proxy(move |request| {
            if request.starts_with("PATCH") {
                Fate::Answer("429 Too Many Requests", "retry-after: 7\r\n", String::new())
            } else {
                Fate::Pass
            }
        });
        let writer = Kubernetes.writer(&world.settings_at(proxy.await.port)).expect("valid settings");
        let error = writer.write(&[create(&absent)]).await.expect_err("throttled").error;
        assert_eq!(error.class, ErrorClass::Throttled { retry_after: Some(std::time::Duration::from_secs(7)) });
    });
}

#[test]
fn one_type_that_fails_makes_no_other_unknown() {
    on_server("one_type_that_fails_makes_no_other_unknown", async |world| {
        let (there, _) = two(world).await;
        let secret = world.desired("acme/s", object("v1", "Secret", Some(&world.name("a")), "s"));
        let observed = through(world, [&there, &secret], |request| {
            if request.contains("/secrets") {
                Fate::Answer("503 Service Unavailable", "", "not now".to_owned())
            } else {
                Fate::Pass
            }
        });
        let [there, secret] = observed.await;
        assert_eq!(there, "present");
        assert!(secret.starts_with("unknown: ") && secret.contains("not now"), "{secret}");
    });
}

#[test]
fn what_a_user_may_not_do_is_named_with_the_verb() {
    on_server("what_a_user_may_not_do_is_named_with_the_verb", async |world| {
        let (there, absent) = two(world).await;
        let reader = Kubernetes.reader(&world.restricted()).expect("valid settings");
        match world.observe_with(&*reader, &there).await {
            Observed::Unknown(reason) => {
                assert!(said(&reason).contains("the verb `list` on `configmaps`"), "{reason:?}");
            }
            other => panic!("{other:?}"),
        }
        // The rights of the documentation's example for reading.
        let role = with(
            object("rbac.authorization.k8s.io/v1", "ClusterRole", None, &world.name("reads")),
            json!({"rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}]}),
        );
        world.by_hand("POST", "/apis/rbac.authorization.k8s.io/v1/clusterroles", role).await;
        let binding = with(
            object("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", None, &world.name("reads")),
            json!({
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": world.name("reads")},
                "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "restricted"}],
            }),
        );
        world.by_hand("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding).await;
        let may_read = async || matches!(world.observe_with(&*reader, &absent).await, Observed::Absent);
        for _ in 0..100 {
            if may_read().await {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        assert!(may_read().await);
        // Something seems to differ, and a dry run is denied: then what seems so counts.
        let edited = with(object("v1", "ConfigMap", Some(&world.name("a")), "there"), json!({"data": {"a": "new"}}));
        let edited = world.desired("acme/there", edited);
        assert!(matches!(world.observe_with(&*reader, &edited).await, Observed::Present(_)));
        let writer = Kubernetes.writer(&world.restricted()).expect("valid settings");
        let error = writer.write(&[create(&absent)]).await.expect_err("denied").error;
        assert_eq!(error.class, ErrorClass::Denied);
        assert!(error.remedy.as_deref().is_some_and(|remedy| remedy.contains("`get` on `configmaps`")), "{error:?}");
    });
}

#[test]
fn a_server_that_is_not_there_is_unknown_and_says_where_it_should_be() {
    on_server("a_server_that_is_not_there_is_unknown_and_says_where_it_should_be", async |world| {
        let reader = Kubernetes.reader(&world.settings_at(9)).expect("valid settings");
        let error = reader.probe().await.expect_err("nobody listens there");
        assert_eq!(error.class, ErrorClass::Retryable);
        assert!(error.to_string().contains("127.0.0.1:9"), "{error}");
        let version = world.reader().probe().await.expect("it answers");
        assert!(version.starts_with("Kubernetes v1."), "{version}");
    });
}

#[test]
fn settings_that_lead_nowhere_say_so_and_quote_nothing() {
    on_server("settings_that_lead_nowhere_say_so_and_quote_nothing", async |world| {
        let error = |settings| Kubernetes.reader(&settings).err().expect("refused").to_string();
        let mut settings = world.settings_at(9);
        settings.values.insert("context".to_owned(), "elsewhere".into());
        assert!(error(settings.clone()).contains("no context `elsewhere`; its contexts are: here"));
        settings.secrets.insert("kubeconfig".to_owned(), "users:\n- hunter2: [".to_owned().into());
        assert!(!error(settings.clone()).contains("hunter2"));
        settings.secrets.clear();
        settings.values.insert("kubeconfig".to_owned(), "no/such/file".into());
        assert!(error(settings).contains("/no/such/file cannot be read"));
    });
}

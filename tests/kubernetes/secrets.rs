//! Secrets that are kept in the cluster.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use tenantry_core::model::address::Owner;
use tenantry_core::model::secret::{SecretReference, SecretVersion};
use tenantry_kubernetes::KubernetesSecrets;
use tenantry_secret::contract::SecretStore as _;

use crate::support::api_proxy::Fate;
use crate::support::kubernetes::{World, on_server};

fn reference(owner: &str, name: &str) -> SecretReference {
    SecretReference { owner: Owner::from(owner), name: name.into(), version: SecretVersion::FIRST }
}

fn values(values: &[(&str, &str, &str)]) -> BTreeMap<SecretReference, SecretString> {
    values.iter().map(|(owner, name, value)| (reference(owner, name), (*value).into())).collect()
}

fn plain(secrets: &BTreeMap<SecretReference, SecretString>) -> Vec<(String, String)> {
    secrets.iter().map(|(reference, value)| (reference.to_string(), value.expose_secret().to_owned())).collect()
}

fn store(world: &World, namespace: &str) -> KubernetesSecrets {
    store_of(world, crate::support::ESTATE, namespace)
}

fn store_of(world: &World, estate: &str, namespace: &str) -> KubernetesSecrets {
    let mut settings = world.settings(&world.kubeconfig, "admin");
    settings.estate = estate.into();
    KubernetesSecrets::new(&settings, namespace).expect("valid settings")
}

#[test]
fn what_was_put_is_there_for_everyone() {
    on_server("what_was_put_is_there_for_everyone", async |world| {
        let namespace = world.namespace("vault").await;
        let first = store(world, &namespace);
        assert!(first.put(BTreeMap::new()).await.expect("nothing to do").is_empty());
        assert!(first.hash_key().await.expect("reads").is_none());
        assert!(first.list().await.expect("reads").is_empty());

        let odd = "\"q\\\n\u{0}ü'";
        let put = values(&[
            ("acme", "db", "one"),
            ("acme", "odd", odd),
            ("tier:pro", "db", "two"),
            ("estate", "db", "three"),
        ]);
        assert_eq!(plain(&first.put(put.clone()).await.expect("stores")), plain(&put));
        let key = first.hash_key().await.expect("reads").expect("there is one now");

        // What is stored stays; what is new is added.
        let second = store(world, &namespace);
        let again = values(&[("acme", "db", "another"), ("acme", "new", "four"), ("bolt", "db", "five")]);
        let stored = second.put(again).await.expect("stores");
        assert_eq!(stored[&reference("acme", "db")].expose_secret(), "one");
        assert_eq!(
            second.hash_key().await.expect("reads").map(|key| key.expose_secret().to_owned()).as_deref(),
            Some(key.expose_secret())
        );
        let asked = [reference("acme", "odd"), reference("bolt", "db"), reference("bolt", "none")];
        assert_eq!(
            plain(&first.get(&asked).await.expect("reads")),
            [
                ("secret(acme/odd, v1)".to_owned(), odd.to_owned()),
                ("secret(bolt/db, v1)".to_owned(), "five".to_owned()),
            ]
        );
        let listed: Vec<String> = first.list().await.expect("reads").iter().map(ToString::to_string).collect();
        assert_eq!(
            listed,
            [
                "secret(estate/db, v1)",
                "secret(tier:pro/db, v1)",
                "secret(acme/db, v1)",
                "secret(acme/new, v1)",
                "secret(acme/odd, v1)",
                "secret(bolt/db, v1)",
            ]
        );

        // Anybody with the right to it can read a value with kubectl.
        let secret = world.get(&format!("/api/v1/namespaces/{namespace}/secrets/tenantry-shop-acme")).await;
        assert_eq!(secret["data"]["db.v1"], STANDARD.encode("one"));
    });
}

#[test]
fn runs_that_store_at_once_agree() {
    on_server("runs_that_store_at_once_agree", async |world| {
        let namespace = world.namespace("vault").await;
        let runs: Vec<(KubernetesSecrets, String)> =
            (0..6).map(|run| (store(world, &namespace), format!("of run {run}"))).collect();
        let puts = runs.iter().map(|(store, value)| {
            let own = format!("own-{}", value.replace(' ', "-"));
            store.put(values(&[("acme", "db", value), ("acme", &own, value)]))
        });
        let stored = futures::future::join_all(puts).await;
        let chosen: Vec<String> = stored
            .into_iter()
            .map(|stored| stored.expect("stores")[&reference("acme", "db")].expose_secret().to_owned())
            .collect();
        assert!(chosen.iter().all(|value| *value == chosen[0]), "{chosen:?}");
        let all = runs[0].0.list().await.expect("reads");
        assert_eq!(all.len(), 7, "{all:?}");
    });
}

#[test]
fn what_goes_wrong_is_said_without_a_value() {
    on_server("what_goes_wrong_is_said_without_a_value", async |world| {
        let put = values(&[("acme", "db", "hunter2")]);
        let missing = store(world, &world.name("nowhere"));
        let error = missing.put(put.clone()).await.expect_err("there is no namespace").to_string();
        assert!(error.contains("kubectl create namespace") && !error.contains("hunter2"), "{error}");

        let namespace = world.namespace("vault").await;
        let denied = KubernetesSecrets::new(&world.restricted(), &namespace).expect("valid settings");
        let error = denied.get(&[reference("acme", "db")]).await.expect_err("denied").to_string();
        assert!(error.contains("`list` on `secrets`"), "{error}");

        let down = KubernetesSecrets::new(&world.settings_at(9), &namespace).expect("valid settings");
        assert!(down.get(&[reference("acme", "db")]).await.is_err());
        assert!(down.hash_key().await.is_err());

        let store = store(world, &namespace);
        store.put(put).await.expect("stores");
        let path = format!("/api/v1/namespaces/{namespace}/secrets/tenantry-shop-acme");
        world.by_hand("PATCH", &path, json!({"metadata": {"annotations": {"tenantry.dev/owner": null}}})).await;
        let error = store.get(&[reference("acme", "db")]).await.expect_err("damaged").to_string();
        assert!(error.contains("tenantry-shop-acme") && !error.contains("hunter2"), "{error}");
    });
}

/// The values of secrets are read in one list, whatever the number of owners.
#[test]
fn one_list_reads_everything() {
    on_server("one_list_reads_everything", async |world| {
        let namespace = world.namespace("vault").await;
        let owners: Vec<String> = (0..40).map(|number| format!("tenant-{number}")).collect();
        let put: Vec<(&str, &str, &str)> = owners.iter().map(|owner| (&**owner, "db", "x")).collect();
        store(world, &namespace).put(values(&put)).await.expect("stores");
        let proxy = world.proxy(|_| Fate::Pass).await;
        let counted = KubernetesSecrets::new(&world.settings_at(proxy.port), &namespace).expect("valid settings");
        let asked: Vec<SecretReference> = owners.iter().map(|owner| reference(owner, "db")).collect();
        assert_eq!(counted.get(&asked).await.expect("reads").len(), 40);
        let requests = proxy.take();
        assert_eq!(requests.len(), 1, "{requests:?}");
    });
}

#[test]
fn another_estates_secrets_of_the_same_name_are_left_alone() {
    on_server("another_estates_secrets_of_the_same_name_are_left_alone", async |world| {
        let namespace = world.namespace("vault").await;
        // Both would call the Secret `tenantry-shop-eu-acme`.
        let (first, second) = (store_of(world, "shop", &namespace), store_of(world, "shop-eu", &namespace));
        first.put(values(&[("eu-acme", "db", "one")])).await.expect("stores");
        let refused = second.put(values(&[("acme", "db", "two")])).await.expect_err("it is another estate's");
        let told = format!("{refused}");
        assert!(told.contains("tenantry-shop-eu-acme") && told.contains("another `namespace`"), "{told}");
        assert!(!told.contains("one") && !told.contains("two"), "{told}");
        let kept = first.get(&[reference("eu-acme", "db")]).await.expect("reads");
        assert_eq!(plain(&kept), [("secret(eu-acme/db, v1)".to_owned(), "one".to_owned())]);
    });
}

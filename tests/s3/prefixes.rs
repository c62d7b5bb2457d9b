//! Prefixes of shared buckets: what is in place, what is new, and what is emptied.

use futures::StreamExt as _;
use futures::stream;
use std::collections::{BTreeMap, HashMap};

use serde_json::json;
use tenantry_core::model::resource::{Desired, Observed, Present};
use tenantry_provider::contract::{ErrorClass, ObserveRequest, WriteError};

use crate::support::s3::{World, on_servers};
use crate::support::server::Reply;
use crate::support::{ESTATE, delete, observe};

/// A versioned bucket, with the parts of two tenants of which one begins like the other.
async fn shared(world: &World) -> (String, Desired, Desired, Desired) {
    let name = world.name("shared");
    let bucket = world.desired("bucket", "estate/files", json!({"name": name, "versioning": true}));
    let part = |tenant: &str| {
        let spec = json!({"bucket": name, "prefix": format!("tenants/{tenant}/")});
        world.desired("prefix", &format!("{tenant}/files"), spec)
    };
    let (acme, corp) = (part("acme"), part("acme-corp"));
    world.create(&[&bucket, &acme, &corp]).await;
    (name, bucket, acme, corp)
}

/// What is seen of one that nobody wants any more.
async fn left(world: &World, known: &Desired) -> Observed {
    let observed = observe(&*world.reader(), &[], &[known]).await;
    observed[known.kind.name].get(known.identity.as_deref().expect("an identity"))
}

/// What is seen of one that is wanted and that nothing knows yet.
async fn new(world: &World, wanted: &Desired) -> Observed {
    let request = ObserveRequest {
        estate: ESTATE,
        wanted: BTreeMap::from([(wanted.kind.name, vec![wanted])]),
        known: BTreeMap::new(),
        recorded: HashMap::new(),
    };
    let observed = world.reader().observe(&request).await;
    observed[wanted.kind.name].get(wanted.identity.as_deref().expect("an identity"))
}

async fn found(world: &World, known: &Desired) -> Present {
    match left(world, known).await {
        Observed::Present(present) => present,
        other => panic!("{other:?}"),
    }
}

async fn versions(world: &World, name: &str) -> String {
    world.raw("GET", &format!("/{name}?versions"), &[], "").await.1
}

#[test]
fn a_tenant_leaves_a_shared_bucket_with_all_its_versions_and_uploads_and_nobody_else_does() {
    let test = "a_tenant_leaves_a_shared_bucket_with_all_its_versions_and_uploads_and_nobody_else_does";
    on_servers(test, async |world: &World| {
        let (name, _, acme, corp) = shared(world).await;
        // In place, an empty one is there; nobody wants it any more, and there is nothing to lose.
        world.assert_settled(&[&acme]).await;
        assert_eq!(left(world, &acme).await, Observed::Absent);
        for (path, method) in [
            ("tenants/acme/logo%20%C3%A9.svg", "PUT"),
            ("tenants/acme/logo%20%C3%A9.svg", "PUT"),
            ("tenants/acme/old.csv", "PUT"),
            ("tenants/acme/old.csv", "DELETE"),
            ("tenants/acme-corp/logo.svg", "PUT"),
            ("tenants/acme", "PUT"),
            ("tenants/bolt/acme/a", "PUT"),
        ] {
            world.do_raw(method, &format!("/{name}/{path}"), if method == "PUT" { "x" } else { "" }).await;
        }
        for path in ["tenants/acme/big.bin", "tenants/acme-corp/big.bin"] {
            world.do_raw("POST", &format!("/{name}/{path}?uploads"), "").await;
        }
        let before = found(world, &acme).await;
        assert_eq!(*before.spec, *acme.spec);
        world.write(&delete(&acme, &before)).await;
        world.write(&delete(&acme, &before)).await;
        assert_eq!(left(world, &acme).await, Observed::Absent);
        let left_there = versions(world, &name).await;
        for gone in ["tenants/acme/logo", "tenants/acme/old"] {
            assert!(!left_there.contains(gone), "{gone}: {left_there}");
        }
        for kept in ["tenants/acme-corp/logo.svg", "<Key>tenants/acme</Key>", "tenants/bolt/acme/a"] {
            assert!(left_there.contains(kept), "{kept}: {left_there}");
        }
        let uploads = world.raw("GET", &format!("/{name}?uploads"), &[], "").await.1;
        assert!(
            !uploads.contains("tenants/acme/big.bin") && uploads.contains("tenants/acme-corp/big.bin"),
            "{uploads}"
        );
        found(world, &corp).await;
    });
}

#[test]
fn what_is_below_a_new_prefix_has_to_be_adopted_and_one_in_place_costs_a_request_for_each_bucket() {
    let test = "what_is_below_a_new_prefix_has_to_be_adopted_and_one_in_place_costs_a_request_for_each_bucket";
    on_servers(test, async |world: &World| {
        let (name, _, acme, corp) = shared(world).await;
        world.do_raw("PUT", &format!("/{name}/tenants/bolt/a"), "x").await;
        // Nothing is on record: what is empty may be made, and what holds something is somebody's.
        let bolt = world.desired("prefix", "bolt/files", json!({"bucket": name, "prefix": "tenants/bolt/"}));
        assert_eq!(new(world, &acme).await, Observed::Absent);
        assert!(matches!(new(world, &bolt).await, Observed::Present(_)));
        world.take();
        let observed = observe(&*world.reader(), &[&acme, &corp, &bolt], &[]).await;
        let asked = world.take();
        let there = observed["s3.prefix"].resources.values().filter(|one| matches!(one, Observed::Present(_))).count();
        assert_eq!(there, 3);
        assert_eq!(asked.len(), 1, "{asked:?}");
        // With its bucket it is gone.
        let gone = world.desired("prefix", "acme/gone", json!({"bucket": world.name("none"), "prefix": "tenants/a/"}));
        assert_eq!(world.observe(&gone).await, Observed::Absent);
        assert_eq!(new(world, &gone).await, Observed::Absent);
    });
}

#[test]
fn a_prefix_of_more_than_a_page_is_emptied_although_one_object_is_locked() {
    let test = "a_prefix_of_more_than_a_page_is_emptied_although_one_object_is_locked";
    on_servers(test, async |world: &World| {
        let name = world.name("locked");
        let bucket =
            world.desired("bucket", "estate/files", json!({"name": name, "versioning": true, "objectLock": {}}));
        let acme = world.desired("prefix", "acme/files", json!({"bucket": name, "prefix": "t/acme/"}));
        world.create(&[&bucket, &acme]).await;
        let written = (0..1100).map(|number| {
            let path = format!("/{name}/t/acme/{number:04}.txt");
            async move { world.do_raw("PUT", &path, "x").await }
        });
        stream::iter(written).buffer_unordered(16).collect::<Vec<()>>().await;
        world.do_raw("PUT", &format!("/{name}/t/acme-corp/a"), "x").await;
        let hold = |status: &str| format!("<LegalHold><Status>{status}</Status></LegalHold>");
        let held = format!("/{name}/t/acme/0003.txt?legal-hold");
        world.do_raw("PUT", &held, &hold("ON")).await;
        let before = found(world, &acme).await;
        let refused: WriteError = world.try_write(&delete(&acme, &before)).await.expect_err("one is locked");
        let said = refused.error.to_string();
        assert_eq!(refused.error.class, ErrorClass::Conflict, "{said}");
        assert!(said.contains("0003.txt") && said.contains("legal hold is removed"), "{said}");
        let left_there = versions(world, &name).await;
        assert_eq!(left_there.matches("<Key>t/acme/").count(), 1, "only the locked one stays");
        assert!(left_there.contains("t/acme-corp/a"), "{left_there}");
        world.do_raw("PUT", &held, &hold("OFF")).await;
        world.write(&delete(&acme, &before)).await;
        assert_eq!(left(world, &acme).await, Observed::Absent);
    });
}

#[test]
fn a_server_that_lists_more_than_the_prefix_loses_nothing() {
    on_servers("a_server_that_lists_more_than_the_prefix_loses_nothing", async |world: &World| {
        let (name, _, acme, _) = shared(world).await;
        world.do_raw("PUT", &format!("/{name}/tenants/bolt/a"), "x").await;
        // What a server answers that does not know the parameter.
        let all = versions(world, &name).await;
        world.decide(move |asked| {
            let is_listing =
                asked.method == "GET" && asked.query.contains("versions") && asked.query.contains("prefix");
            is_listing.then(|| {
                let reply = Reply { body: all.clone().into_bytes(), ..Reply::empty(200) };
                reply.header("content-type", "application/xml")
            })
        });
        let seen = left(world, &acme).await;
        assert!(matches!(&seen, Observed::Unknown(_)), "{seen:?}");
        let before = Present { spec: acme.spec.shared(), ..Present::default() };
        let refused = world.try_write(&delete(&acme, &before)).await.expect_err("the listing is not of the prefix");
        assert!(refused.error.to_string().contains("tenants/bolt/a"), "{refused}");
        world.heal();
        assert!(versions(world, &name).await.contains("tenants/bolt/a"));
    });
}

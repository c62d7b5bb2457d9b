//! Objects: drift, conflicts, and how few requests they need.

use serde_json::json;
use tenantry_core::model::resource::{Desired, Observed};
use tenantry_provider::contract::ErrorClass;

use crate::support::s3::{World, on_servers};
use crate::support::server::Reply;
use crate::support::{create, observe, present};

#[test]
fn drift_of_content_and_headers_is_found_and_repaired() {
    on_servers("drift_of_content_and_headers_is_found_and_repaired", async |world: &World| {
        let name = world.name("objects");
        let bucket = world.desired("bucket", "acme/files", json!({"name": name}));
        let logo =
            world.desired("object", "acme/logo", json!({"bucket": name, "key": "a/logo.svg", "content": "<svg/>"}));
        let spec = json!({"bucket": name, "key": "a/data", "contentBase64": "AAECAw==", "cacheControl": "no-store"});
        let data = world.desired("object", "acme/data", spec);
        world.create(&[&bucket, &logo, &data]).await;
        world.assert_settled(&[&logo, &data]).await;
        world.do_raw("PUT", &format!("/{name}/a/logo.svg"), "<svg></svg>").await;
        world.assert_repairs(&logo, "content").await;
        world.do_raw("PUT", &format!("/{name}/a/data"), "\u{0}\u{1}\u{2}\u{3}").await;
        world.assert_repairs(&data, "c").await;
        world.do_raw("DELETE", &format!("/{name}/a/logo.svg"), "").await;
        assert_eq!(world.observe(&logo).await, Observed::Absent);
        world.create(&[&logo]).await;
        world.remove(&[&logo, &data, &bucket]).await;
        assert_eq!(world.observe(&logo).await, Observed::Absent, "with the bucket it is gone");
    });
}

#[test]
fn an_object_of_somebody_else_is_a_conflict() {
    on_servers("an_object_of_somebody_else_is_a_conflict", async |world: &World| {
        let name = world.name("owner");
        let bucket = world.desired("bucket", "acme/files", json!({"name": name}));
        let spec = json!({"bucket": name, "key": "x.txt", "content": "ours"});
        let ours = world.desired("object", "acme/x", spec.clone());
        world.create(&[&bucket]).await;
        world.do_raw("PUT", &format!("/{name}/x.txt"), "theirs").await;
        let error = world.try_write(&create(&ours)).await.expect_err("it is there, with another content");
        assert_eq!(error.error.class, ErrorClass::Conflict);
        world.do_raw("DELETE", &format!("/{name}/x.txt"), "").await;
        let theirs = world.desired("object", "other/x", spec);
        world.create(&[&theirs]).await;
        let error = world.try_write(&create(&ours)).await.expect_err("it carries another mark");
        assert_eq!(error.error.class, ErrorClass::Conflict);
        assert!(error.to_string().contains("other/x"), "{error}");
        world.remove(&[&theirs, &bucket]).await;
    });
}

#[test]
fn as_many_requests_as_pages_however_many_objects() {
    on_servers("as_many_requests_as_pages_however_many_objects", async |world: &World| {
        let name = world.name("many");
        let bucket = world.desired("bucket", "acme/files", json!({"name": name}));
        world.create(&[&bucket]).await;
        let objects: Vec<Desired> = (0..40)
            .map(|index| {
                let spec = json!({"bucket": name, "key": format!("tenants/t{index:02}/logo.svg"), "content": "<svg/>"});
                world.desired("object", &format!("t{index:02}/logo"), spec)
            })
            .collect();
        world.create(&objects.iter().collect::<Vec<_>>()).await;
        let counts = [1, 10, 40].map(|count| objects.iter().take(count).collect::<Vec<&Desired>>());
        for some in counts {
            world.take();
            let observed = observe(&*world.reader(), &some, &[]).await;
            let asked = world.take();
            assert_eq!(asked.len(), 1, "{} objects: {asked:?}", some.len());
            for object in some {
                world.assert_is(object, observed["s3.object"].get(object.identity.as_deref().expect("an identity")));
            }
        }
        let before = present(world.observe(&bucket).await);
        world.write(&crate::support::delete(&bucket, &before)).await;
    });
}

#[test]
fn a_listing_of_several_pages_is_walked_and_shortened() {
    on_servers("a_listing_of_several_pages_is_walked_and_shortened", async |world: &World| {
        let name = world.name("pages");
        let make = |key: &str| {
            let spec = json!({"bucket": name, "key": key, "content": "x"});
            world.desired("object", &format!("acme/{}", key.replace(['/', '.'], "_")), spec)
        };
        // A server that gives pages of two: a hundred objects of the product between the first and the last of ours.
        let mut keys: Vec<String> = ["a1.txt", "a2.txt", "a3.txt", "a4.txt", "z.txt"].map(str::to_owned).to_vec();
        keys.extend((100..200).map(|index| format!("m/{index}.txt")));
        keys.sort();
        world.decide(move |asked| {
            if asked.method != "GET" || asked.parameter("list-type").is_none() {
                return None;
            }
            let after = asked.parameter("start-after").unwrap_or_default();
            let mut rest = keys.iter().filter(|key| **key > after);
            let page: Vec<_> = rest.by_ref().take(2).collect();
            let contents = page.iter().map(|key| {
                format!("<Contents><Key>{key}</Key><ETag>\"9dd4e461268c8034f5c8564e155c67a6\"</ETag></Contents>")
            });
            let body = format!(
                "<ListBucketResult>{}<IsTruncated>{}</IsTruncated></ListBucketResult>",
                contents.collect::<String>(),
                rest.next().is_some()
            );
            Some(Reply { body: body.into_bytes(), ..Reply::empty(200) }.header("content-type", "application/xml"))
        });
        world.take();
        let objects = ["a1.txt", "a2.txt", "a4.txt", "z.txt"].map(make);
        let observed = observe(&*world.reader(), &objects.each_ref(), &[]).await;
        for object in &objects {
            world.assert_is(object, observed["s3.object"].get(object.identity.as_deref().expect("an identity")));
        }
        let asked = world.take();
        assert_eq!(asked.len(), 3, "what lies between is skipped: {asked:?}");
    });
}

//! What cannot be read is unknown, never absent.

use crate::support::said;
use serde_json::json;
use tenantry_core::model::resource::{Desired, Observed};
use tenantry_provider::contract::Provider as _;
use tenantry_s3::S3;

use crate::support::observe;
use crate::support::s3::{World, error, on_servers};
use crate::support::server::{Cut, Reply};

async fn made(world: &World) -> [Desired; 2] {
    let name = world.name("reading");
    let bucket = world.desired("bucket", "acme/files", json!({"name": name, "versioning": true}));
    let object = world.desired("object", "acme/logo", json!({"bucket": name, "key": "logo.svg", "content": "<svg/>"}));
    world.create(&[&bucket, &object]).await;
    [bucket, object]
}

#[test]
fn what_is_denied_broken_or_no_s3_is_unknown() {
    on_servers("what_is_denied_broken_or_no_s3_is_unknown", async |world: &World| {
        let resources = made(world).await;
        let page = || {
            Reply { body: b"<html>Sign in</html>".to_vec(), ..Reply::empty(200) }.header("content-type", "text/html")
        };
        let cut =
            || Reply { body: b"<ListBucketResult><Name>b</Name>".to_vec(), cut: Cut::HalfWay, ..Reply::empty(200) };
        let half = || Reply { body: b"<Tagging><TagSet>".to_vec(), ..Reply::empty(200) };
        for (case, status, why) in [("denied", 403, "AccessDenied"), ("failing", 500, "InternalError")] {
            world.decide(move |asked| (asked.path != "/").then(|| error(status, why)));
            for resource in &resources {
                let Observed::Unknown(reason) = world.observe(resource).await else {
                    panic!("{case}: {}", resource.address)
                };
                let reason = said(&reason);
                assert!(reason.contains(why), "{case}: {reason}");
            }
        }
        for reply in [page(), cut(), half()] {
            world.decide(move |_| Some(reply.clone()));
            for resource in &resources {
                let observed = world.observe(resource).await;
                assert!(matches!(observed, Observed::Unknown(_)), "{observed:?}");
            }
        }
        world.heal();
        world.assert_settled(&[&resources[0], &resources[1]]).await;
        world.remove(&[&resources[1], &resources[0]]).await;
    });
}

#[test]
fn a_wrong_key_is_told_with_what_to_do_and_not_repeated() {
    on_servers("a_wrong_key_is_told_with_what_to_do_and_not_repeated", async |world: &World| {
        // The replica believes whoever goes by the name of its root.
        if !world.is_seaweedfs {
            return;
        }
        let [bucket, object] = made(world).await;
        let reader = S3.reader(&world.settings(&world.url, "hunter2-wrong")).expect("valid settings");
        for resource in [&bucket, &object] {
            let observed = observe(&*reader, &[resource], &[]).await;
            let Observed::Unknown(why) =
                observed[resource.kind.name].get(resource.identity.as_deref().expect("an identity"))
            else {
                panic!("{}", resource.address)
            };
            let why = said(&why);
            assert!(why.contains("secret_access_key") && !why.contains("hunter2"), "{why}");
        }
        let error = reader.probe().await.expect_err("the key is wrong");
        assert!(!format!("{error:?}").contains("hunter2"));
        assert!(world.reader().probe().await.expect("it answers").contains("region us-east-1"));
        world.remove(&[&object, &bucket]).await;
    });
}

#[test]
fn a_bucket_costs_its_tags_and_what_is_asked_for() {
    on_servers("a_bucket_costs_its_tags_and_what_is_asked_for", async |world: &World| {
        let make = |index: usize| {
            let spec = json!({"name": world.name(&format!("cost{index}")), "versioning": true, "lifecycle": []});
            world.desired("bucket", &format!("t{index}/files"), spec)
        };
        let buckets: Vec<Desired> = (0..3).map(make).collect();
        world.create(&buckets.iter().collect::<Vec<_>>()).await;
        world.take();
        let observed = observe(&*world.reader(), &buckets.iter().collect::<Vec<_>>(), &[]).await;
        for bucket in &buckets {
            world.assert_is(bucket, observed["s3.bucket"].get(bucket.identity.as_deref().expect("an identity")));
        }
        let asked = world.take();
        let ours: Vec<_> = asked.iter().filter(|asked| asked.contains("/cost")).collect();
        assert_eq!(ours.len(), 3 * 3, "{ours:?}");
        // One list of buckets, whatever their number.
        assert_eq!(asked.iter().filter(|asked| *asked == "GET /").count(), 1, "{asked:?}");
        world.remove(&buckets.iter().collect::<Vec<_>>()).await;
    });
}

#[test]
fn a_bucket_with_our_mark_is_found_unasked() {
    on_servers("a_bucket_with_our_mark_is_found_unasked", async |world: &World| {
        let bucket = world.desired("bucket", "acme/files", json!({"name": world.name("orphan")}));
        world.create(&[&bucket]).await;
        let other = world.desired("bucket", "acme/other", json!({"name": world.name("other")}));
        let observed = observe(&*world.reader(), &[&other], &[]).await;
        let found = observed["s3.bucket"].get(bucket.identity.as_deref().expect("an identity"));
        world.assert_is(&bucket, found);
        world.remove(&[&bucket]).await;
    });
}

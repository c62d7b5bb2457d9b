//! Drift of every setting, what is taken out of a spec, conflicts, and the end of a bucket.

use std::time::Duration;

use serde_json::json;
use tenantry_core::model::resource::{Desired, Observed};
use tenantry_core::model::value::Value;
use tenantry_provider::conformance::WriteUnguarded as _;
use tenantry_provider::contract::{ErrorClass, Writer};

use crate::support::s3::{World, error, on_servers};
use crate::support::{create, delete, present, update};

fn full(world: &World, name: &str) -> serde_json::Value {
    let mut spec = json!({
        "name": name, "versioning": true, "tags": {"team": "a"}, "encryption": {"algorithm": "AES256"},
        "policy": {"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject",
            "Resource": format!("arn:aws:s3:::{name}/frozen/*")}},
        "cors": [{"origins": ["https://a.example"], "methods": ["GET"]}],
        "lifecycle": [{"id": "old", "expireNoncurrentAfterDays": 7}],
    });
    if !world.is_seaweedfs {
        spec["publicAccessBlock"] = json!({});
    }
    spec
}

#[test]
fn drift_of_every_setting_is_found_and_repaired() {
    on_servers("drift_of_every_setting_is_found_and_repaired", async |world: &World| {
        let name = world.name("drift");
        let bucket = world.desired("bucket", "acme/files", full(world, &name));
        world.create(&[&bucket]).await;
        world.assert_settled(&[&bucket]).await;

        let path = |query: &str| format!("/{name}?{query}");
        let suspended = "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>";
        world.do_raw("PUT", &path("versioning"), suspended).await;
        world.assert_repairs(&bucket, "versioning").await;
        let policy = format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"AWS":"*"}},"Action":"s3:GetObject","Resource":"arn:aws:s3:::{name}/*","Condition":{{"IpAddress":{{"aws:SourceIp":"10.0.0.0/8"}}}}}}]}}"#
        );
        world.do_raw("PUT", &path("policy"), &policy).await;
        world.assert_repairs(&bucket, "policy").await;
        let cors = "<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod>\
                    </CORSRule></CORSConfiguration>";
        world.do_raw("PUT", &path("cors"), cors).await;
        world.assert_repairs(&bucket, "cors").await;
        world.do_raw("DELETE", &path("lifecycle"), "").await;
        world.assert_repairs(&bucket, "lifecycle").await;
        if world.is_seaweedfs {
            world.do_raw("DELETE", &path("encryption"), "").await;
            world.assert_repairs(&bucket, "encryption").await;
        } else {
            world.do_raw("DELETE", &path("publicAccessBlock"), "").await;
            world.assert_repairs(&bucket, "publicAccessBlock").await;
        }
        world.remove(&[&bucket]).await;
    });
}

#[test]
fn a_policy_of_the_same_meaning_is_no_drift() {
    on_servers("a_policy_of_the_same_meaning_is_no_drift", async |world: &World| {
        let name = world.name("meaning");
        let bucket = world.desired("bucket", "acme/files", full(world, &name));
        world.create(&[&bucket]).await;
        let policy = format!(
            r#"{{"Statement":[{{"Resource":["arn:aws:s3:::{name}/frozen/*"],"Action":["s3:PutObject"],"Principal":{{"AWS":["*"]}},"Effect":"Deny"}}],"Version":"2012-10-17"}}"#
        );
        world.do_raw("PUT", &format!("/{name}?policy"), &policy).await;
        world.assert_settled(&[&bucket]).await;
        world.remove(&[&bucket]).await;
    });
}

#[test]
fn tags_of_others_stay_and_lost_marks_show() {
    on_servers("tags_of_others_stay_and_lost_marks_show", async |world: &World| {
        let name = world.name("tags");
        let bucket = world.desired("bucket", "acme/files", json!({"name": name, "tags": {"team": "a", "tier": "pro"}}));
        world.create(&[&bucket]).await;
        let (_, tagging) = world.raw("GET", &format!("/{name}?tagging"), &[], "").await;
        let more = tagging.replace("<TagSet>", "<TagSet><Tag><Key>cost</Key><Value>7</Value></Tag>");
        let more = more.replace("<Value>pro</Value>", "<Value>free</Value>");
        world.do_raw("PUT", &format!("/{name}?tagging"), &more).await;
        world.assert_repairs(&bucket, "tags/tier").await;
        let less = world.desired("bucket", "acme/files", json!({"name": name, "tags": {"team": "a"}}));
        let before = present(world.observe(&less).await);
        world.write(&update(&less, &before, &["/tags/tier"])).await;
        let found = present(world.observe(&less).await);
        let tags = found.spec.get("tags").expect("tags").to_json();
        assert_eq!(tags, json!({"team": "a", "cost": "7"}));

        world.do_raw("DELETE", &format!("/{name}?tagging"), "").await;
        assert_eq!(present(world.observe(&less).await).mark, None);
        let error = world.try_write(&delete(&less, &found)).await.expect_err("it is not ours any more");
        assert_eq!(error.error.class, ErrorClass::Conflict);
        world.do_raw("DELETE", &format!("/{name}"), "").await;
    });
}

#[test]
fn what_is_taken_out_of_a_spec_is_taken_away_and_what_protects_stays() {
    on_servers("what_is_taken_out_of_a_spec_is_taken_away", async |world: &World| {
        let name = world.name("less");
        let bucket = world.desired("bucket", "acme/files", full(world, &name));
        world.create(&[&bucket]).await;
        let bare = world.desired("bucket", "acme/files", json!({"name": name, "tags": {"team": "a"}}));
        // The settings that were asked for once are still read.
        let before = present(world.observe(&bare).await);
        let fields = ["policy", "cors", "lifecycle", "encryption", "versioning", "publicAccessBlock"];
        let removed: Vec<String> =
            fields.iter().filter(|field| before.spec.contains(field)).map(|field| format!("/{field}")).collect();
        assert_eq!(removed.len(), if world.is_seaweedfs { 5 } else { 6 });
        world.write(&update(&bare, &before, &removed.iter().map(String::as_str).collect::<Vec<_>>())).await;
        let after = present(world.observe(&bare).await);
        assert_eq!(*after.spec, *bare.spec);
        for setting in ["policy", "cors", "lifecycle"] {
            assert_eq!(world.raw("GET", &format!("/{name}?{setting}"), &[], "").await.0, 404, "{setting}");
        }
        let (_, versioning) = world.raw("GET", &format!("/{name}?versioning"), &[], "").await;
        assert!(versioning.contains("Enabled"), "{versioning}");
        if !world.is_seaweedfs {
            let (_, block) = world.raw("GET", &format!("/{name}?publicAccessBlock"), &[], "").await;
            assert_eq!(block.matches("true").count(), 4, "{block}");
        }
        world.remove(&[&bare]).await;
    });
}

#[test]
fn a_bucket_of_somebody_else_is_a_conflict() {
    on_servers("a_bucket_of_somebody_else_is_a_conflict", async |world: &World| {
        let name = world.name("theirs");
        let bucket = world.desired("bucket", "acme/files", json!({"name": name}));
        // As AWS answers for the bucket of another account.
        let path = format!("/{name}");
        world.decide(move |asked| {
            (asked.path == path).then(|| match asked.method.as_str() {
                "PUT" => error(409, "BucketAlreadyExists"),
                _ => error(403, "AccessDenied"),
            })
        });
        let found = present(world.observe(&bucket).await);
        assert_eq!(found.mark, None, "it is there, and not ours");
        let error = world.try_write(&create(&bucket)).await.expect_err("it is somebody else's");
        assert_eq!(error.error.class, ErrorClass::Conflict, "{error}");
        assert!(error.to_string().contains("somebody else"), "{error}");
        world.heal();

        // Made by hand in the same account.
        world.do_raw("PUT", &format!("/{name}"), "").await;
        let error = world.try_write(&create(&bucket)).await.expect_err("nobody marked it");
        assert_eq!(error.error.class, ErrorClass::Conflict, "{error}");
        // Adopted it becomes ours.
        let found = present(world.observe(&bucket).await);
        world.write(&update(&bucket, &found, &[])).await;
        world.assert_settled(&[&bucket]).await;
        world.remove(&[&bucket]).await;
    });
}

#[test]
fn two_who_make_it_at_once_make_one() {
    on_servers("two_who_make_it_at_once_make_one", async |world: &World| {
        let name = world.name("race");
        let bucket = world.desired("bucket", "acme/files", json!({"name": name, "tags": {"team": "a"}}));
        let (one, other) = (world.writer(), world.writer());
        let steps = [create(&bucket)];
        // A server that makes it for one may tell the other for a moment that there is none; the engine tries that again.
        let write = async |writer: &dyn Writer| {
            for _ in 0..20 {
                match writer.write(&steps).await {
                    Err(error) if error.error.class == ErrorClass::Retryable => {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                    settled => return settled,
                }
            }
            writer.write(&steps).await
        };
        let (one, other) = futures::join!(write(&*one), write(&*other));
        assert!(one.is_ok() || other.is_ok(), "{one:?} {other:?}");
        // Whoever came second may have found it before it was marked; then it says so and writes nothing.
        for result in [one, other] {
            assert!(
                result.as_ref().map_or_else(|error| error.error.class == ErrorClass::Conflict, |_| true),
                "{result:?}"
            );
        }
        world.assert_settled(&[&bucket]).await;
        world.remove(&[&bucket]).await;
    });
}

#[test]
fn what_fails_between_making_and_marking_is_tried_again() {
    on_servers("what_fails_between_making_and_marking_is_tried_again", async |world: &World| {
        let name = world.name("half");
        let bucket = world.desired("bucket", "acme/files", json!({"name": name, "versioning": true}));
        let writer = world.writer();
        for (status, code) in [(500, "InternalError"), (404, "NoSuchBucket")] {
            world.decide(move |asked| {
                let is_setting = asked.query.starts_with("tagging") || asked.query.starts_with("versioning");
                (asked.method == "PUT" && is_setting).then(|| error(status, code))
            });
            let failed = writer.write(&[create(&bucket)]).await.expect_err("the server fails");
            assert_eq!(failed.error.class, ErrorClass::Retryable, "{code}");
        }
        world.heal();
        writer.write(&[create(&bucket)]).await.expect("its own bucket");
        world.assert_settled(&[&bucket]).await;
        world.remove(&[&bucket]).await;
    });
}

#[test]
fn a_bucket_that_was_made_and_not_finished_is_told_as_made() {
    on_servers("a_bucket_that_was_made_and_not_finished_is_told_as_made", async |world: &World| {
        let bucket = world.desired("bucket", "acme/files", json!({"name": world.name("half"), "versioning": true}));
        for (refused, says) in
            [("tagging", "its tags could not be set"), ("versioning", "its versioning could not be set")]
        {
            let bucket = world.desired(
                "bucket",
                "acme/files",
                json!({"name": world.name(&format!("half-{refused}")), "versioning": true}),
            );
            world.decide(move |asked| {
                // A server that takes no tags with the creation.
                let has_tags = String::from_utf8_lossy(&asked.body).contains("<Tags>");
                match asked.method == "PUT" {
                    true if asked.query.contains(refused) => Some(error(403, "AccessDenied")),
                    true if asked.query.is_empty() && has_tags => Some(error(400, "MalformedXML")),
                    _ => None,
                }
            });
            let failed = world.try_write(&create(&bucket)).await.expect_err("a part of it is refused").error;
            assert!(failed.to_string().contains("the bucket was created, but"), "{failed}");
            assert!(failed.to_string().contains(says), "{failed}");
            assert_eq!(failed.class, ErrorClass::Denied);
            assert_eq!(
                world
                    .raw(
                        "HEAD",
                        &format!("/{}", bucket.spec.get("name").and_then(Value::as_str).expect("a name")),
                        &[],
                        ""
                    )
                    .await
                    .0,
                200
            );
            world.heal();
        }
        // One that could not be made at all is not told so.
        world.decide(|asked| (asked.method == "PUT").then(|| error(403, "AccessDenied")));
        let failed = world.try_write(&create(&bucket)).await.expect_err("it is refused").error;
        assert!(!failed.to_string().contains("was created"), "{failed}");
    });
}

#[test]
fn a_bucket_is_emptied_of_versions_markers_and_uploads_before_it_goes() {
    on_servers("a_bucket_is_emptied", async |world: &World| {
        let name = world.name("full");
        let bucket = world.desired("bucket", "acme/files", json!({"name": name, "versioning": true}));
        world.create(&[&bucket]).await;
        for version in ["one", "two"] {
            world.do_raw("PUT", &format!("/{name}/a%20b/c.txt"), version).await;
        }
        world.do_raw("DELETE", &format!("/{name}/a%20b/c.txt"), "").await;
        world.do_raw("PUT", &format!("/{name}/d%26%3C.txt"), "x").await;
        world.do_raw("POST", &format!("/{name}/upload?uploads"), "").await;
        world.take();
        world.remove(&[&bucket]).await;
        let asked = world.take();
        assert_eq!(
            asked.iter().filter(|asked| asked.starts_with("POST ") && asked.contains("delete")).count(),
            1,
            "{asked:?}"
        );
        assert_eq!(world.raw("HEAD", &format!("/{name}"), &[], "").await.0, 404);
    });
}

#[test]
fn a_locked_object_keeps_its_bucket_and_says_until_when() {
    on_servers("a_locked_object_keeps_its_bucket", async |world: &World| {
        let name = world.name("locked");
        let spec = json!({"name": name, "versioning": true, "objectLock": {"mode": "governance", "days": 1}});
        let bucket: Desired = world.desired("bucket", "acme/files", spec);
        world.create(&[&bucket]).await;
        world.assert_settled(&[&bucket]).await;
        world.do_raw("PUT", &format!("/{name}/ledger"), "x").await;
        let before = present(world.observe(&bucket).await);
        let error = world.try_write(&delete(&bucket, &before)).await.expect_err("it is locked");
        assert_eq!(error.error.class, ErrorClass::Conflict, "{error}");
        assert!(error.to_string().contains("locked until 20"), "{error}");
        assert!(matches!(world.observe(&bucket).await, Observed::Present(_)));
    });
}

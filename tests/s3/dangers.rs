//! Servers that take a request for a setting that they do not know as one for the bucket.

use crate::support::said;
use serde_json::json;
use tenantry_core::model::resource::Observed;

use crate::support::s3::{World, on_servers};
use crate::support::server::Reply;
use crate::support::{create, present, update};

fn listing() -> Reply {
    let body = b"<ListBucketResult><Name>b</Name><IsTruncated>false</IsTruncated></ListBucketResult>".to_vec();
    Reply { body, ..Reply::empty(200) }.header("content-type", "application/xml")
}

#[test]
fn what_a_server_does_not_know_is_neither_set_nor_taken_away() {
    on_servers("what_a_server_does_not_know_is_neither_set_nor_taken_away", async |world: &World| {
        let name = world.name("danger");
        let spec = json!({"name": name, "encryption": {"algorithm": "AES256"}, "cors": [{"origins": ["*"], "methods": ["GET"]}]});
        let bucket = world.desired("bucket", "acme/files", spec);
        world.create(&[&bucket]).await;
        let seen = present(world.observe(&bucket).await);
        for query in ["encryption", "cors"] {
            // It lists the bucket instead, and would delete it next.
            world.decide(move |asked| {
                let is_it = asked.query.trim_end_matches('=') == query;
                (is_it && asked.method == "GET").then(listing)
            });
            world.take();
            let Observed::Unknown(why) = world.observe(&bucket).await else { panic!("it cannot be told") };
            let why = said(&why);
            assert!(why.contains("this server does not support"), "{why}");
            let bare = world.desired("bucket", "acme/files", json!({"name": name}));
            let pointer = format!("/{query}");
            let error = world.try_write(&update(&bare, &seen, &[&pointer])).await.expect_err("not with this server");
            assert!(error.to_string().contains("this server does not support"), "{error}");
            let error = world.try_write(&create(&bucket)).await.expect_err("not with this server");
            assert!(error.to_string().contains("this server does not support"), "{error}");
            let asked = world.take();
            let forbidden = |asked: &&String| {
                asked.starts_with("DELETE ")
                    || (asked.starts_with("PUT ") && asked.trim_end_matches('=').ends_with(query))
            };
            assert_eq!(asked.iter().find(forbidden), None);
            world.heal();
        }
        world.assert_settled(&[&bucket]).await;
        world.remove(&[&bucket]).await;
    });
}

#[test]
fn a_bucket_that_went_with_a_setting_is_told_of() {
    on_servers("a_bucket_that_went_with_a_setting_is_told_of", async |world: &World| {
        let name = world.name("gone");
        let bucket = world.desired(
            "bucket",
            "acme/files",
            json!({"name": name, "cors": [{"origins": ["*"], "methods": ["GET"]}]}),
        );
        world.create(&[&bucket]).await;
        let seen = present(world.observe(&bucket).await);
        world.decide(|asked| (asked.method == "HEAD").then(|| Reply::empty(404)));
        let bare = world.desired("bucket", "acme/files", json!({"name": name}));
        let error = world.try_write(&update(&bare, &seen, &["/cors"])).await.expect_err("the bucket seems to be gone");
        assert!(error.to_string().contains("deleted the bucket"), "{error}");
        world.heal();
        world.remove(&[&bucket]).await;
    });
}

#[test]
fn what_a_real_server_cannot_do_is_named() {
    on_servers("what_a_real_server_cannot_do_is_named", async |world: &World| {
        if !world.is_seaweedfs {
            return;
        }
        let name = world.name("cannot");
        let bucket = world.desired("bucket", "acme/files", json!({"name": name, "publicAccessBlock": {}}));
        let error = world.try_write(&create(&bucket)).await.expect_err("SeaweedFS has none");
        assert!(error.to_string().contains("this server does not support public access block"), "{error}");
        let Observed::Unknown(why) = world.observe(&bucket).await else { panic!("it cannot be told") };
        let why = said(&why);
        assert!(why.contains("this server does not support public access block"), "{why}");
        // Left out of the spec, all is well.
        let bare = world.desired("bucket", "acme/files", json!({"name": name}));
        world.remove(&[&bare]).await;
    });
}

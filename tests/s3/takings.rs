//! What others have written or made meanwhile stays theirs.

use serde_json::json;
use tenantry_core::model::resource::Observed;
use tenantry_provider::contract::ErrorClass;

use crate::support::s3::{World, error, on_servers};
use crate::support::{create, delete, observe, present, update};

async fn keys(world: &World, name: &str) -> Vec<String> {
    let answer = world.iam(&[("Action", "ListAccessKeys"), ("UserName", name)]).await;
    answer.split("<AccessKeyId>").skip(1).filter_map(|rest| rest.split('<').next()).map(str::to_owned).collect()
}

#[test]
fn what_a_customer_has_written_over_an_object_is_not_deleted() {
    on_servers("what_a_customer_has_written_over_an_object_is_not_deleted", async |world: &World| {
        let name = world.name("over");
        let bucket = world.desired("bucket", "acme/files", json!({"name": name}));
        let logo =
            world.desired("object", "acme/logo", json!({"bucket": name, "key": "logo.svg", "content": "<svg/>"}));
        world.create(&[&bucket, &logo]).await;
        let planned = present(world.observe(&logo).await);
        world.do_raw("PUT", &format!("/{name}/logo.svg"), "<svg>their own</svg>").await;
        for before in [planned, present(world.observe(&logo).await)] {
            let error = world.try_write(&delete(&logo, &before)).await.expect_err("it is the customer's by now");
            assert_eq!(error.error.class, ErrorClass::Conflict, "{error}");
        }
        assert_eq!(world.raw("GET", &format!("/{name}/logo.svg"), &[], "").await.1, "<svg>their own</svg>");
        // A copy of what was written here, such as a backup that was put back, is ours whether or not it carries the mark.
        world.do_raw("PUT", &format!("/{name}/logo.svg"), "<svg/>").await;
        world.remove(&[&logo, &bucket]).await;
    });
}

#[test]
fn a_key_that_somebody_makes_after_a_refusal_stays_theirs() {
    on_servers("a_key_that_somebody_makes_after_a_refusal_stays_theirs", async |world: &World| {
        let name = world.name("full");
        let user = world.desired("user", "acme/user", json!({"name": name, "accessKey": {}}));
        world.decide(|asked| {
            let is_it = String::from_utf8_lossy(&asked.body).contains("Action=CreateAccessKey");
            is_it.then(|| error(409, "LimitExceeded"))
        });
        let refused = world.try_write(&create(&user)).await.expect_err("there are as many as can be");
        assert_eq!(refused.error.class, ErrorClass::Conflict, "{refused}");
        world.heal();
        world.iam(&[("Action", "CreateAccessKey"), ("UserName", name.as_str())]).await;
        let theirs = keys(world, &name).await;
        let found = present(world.observe(&user).await);
        world.write(&update(&user, &found, &[])).await;
        let both = keys(world, &name).await;
        assert!(both.len() == 2 && both.contains(&theirs[0]), "{both:?}");
        world.remove(&[&user]).await;
    });
}

#[test]
fn a_user_that_somebody_makes_at_the_same_time_is_a_conflict() {
    on_servers("a_user_that_somebody_makes_at_the_same_time_is_a_conflict", async |world: &World| {
        let name = world.name("race");
        let user = world.desired("user", "acme/user", json!({"name": name, "accessKey": {}}));
        world.iam(&[("Action", "CreateUser"), ("UserName", name.as_str())]).await;
        // When it was looked for, it was not there yet.
        let looks = std::sync::atomic::AtomicUsize::new(0);
        world.decide(move |asked| {
            let is_look = String::from_utf8_lossy(&asked.body).contains("Action=GetUser&");
            let is_first = is_look && looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
            is_first.then(|| error(404, "NoSuchEntity"))
        });
        let refused = world.try_write(&create(&user)).await.expect_err("it is somebody else's");
        assert_eq!(refused.error.class, ErrorClass::Conflict, "{refused}");
        world.heal();
        assert_eq!(present(world.observe(&user).await).mark, None);
        assert_eq!(keys(world, &name).await, [""; 0]);
        world.iam(&[("Action", "DeleteUser"), ("UserName", name.as_str())]).await;
    });
}

#[test]
fn a_list_of_buckets_that_does_not_go_on_is_incomplete() {
    on_servers("a_list_of_buckets_that_does_not_go_on_is_incomplete", async |world: &World| {
        let bucket = world.desired("bucket", "acme/files", json!({"name": world.name("listed")}));
        world.create(&[&bucket]).await;
        world.decide(|asked| {
            let body = "<ListAllMyBucketsResult><Buckets></Buckets><ContinuationToken>same</ContinuationToken></ListAllMyBucketsResult>";
            (asked.path == "/" && asked.method == "GET").then(|| {
                let reply = crate::support::server::Reply { body: body.as_bytes().to_vec(), ..crate::support::server::Reply::empty(200) };
                reply.header("content-type", "application/xml")
            })
        });
        let observed = observe(&*world.reader(), &[&bucket], &[]).await;
        assert!(observed["s3.bucket"].incomplete.is_some());
        world.heal();
        world.remove(&[&bucket]).await;
    });
}

#[test]
fn buckets_of_another_region_are_not_ours_and_no_gap() {
    on_servers("buckets_of_another_region_are_not_ours_and_no_gap", async |world: &World| {
        let bucket = world.desired("bucket", "acme/files", json!({"name": world.name("near")}));
        let far = world.desired("bucket", "acme/far", json!({"name": world.name("far")}));
        world.create(&[&bucket, &far]).await;
        let path = format!("/{}", world.name("far"));
        world.decide(move |asked| (asked.path == path).then(|| error(400, "AuthorizationHeaderMalformed")));
        let observed = observe(&*world.reader(), &[&bucket], &[]).await;
        assert_eq!(observed["s3.bucket"].incomplete, None);
        assert!(matches!(world.observe(&far).await, Observed::Unknown(_)), "asked for, it has to be told of");
        world.heal();
        world.remove(&[&bucket, &far]).await;
    });
}

#[test]
fn what_somebody_writes_after_the_plan_is_not_overwritten() {
    on_servers("what_somebody_writes_after_the_plan_is_not_overwritten", async |world: &World| {
        let name = world.name("late");
        let bucket = world.desired("bucket", "acme/files", json!({"name": name}));
        let make = |content: &str| {
            let spec = json!({"bucket": name, "key": "logo.svg", "content": content});
            world.desired("object", "acme/logo", spec)
        };
        let (first, second) = (make("<svg/>"), make("<svg></svg>"));
        world.create(&[&bucket, &first]).await;
        let planned = present(world.observe(&second).await);
        world.do_raw("PUT", &format!("/{name}/logo.svg"), "<svg>their own</svg>").await;
        let error = world.try_write(&update(&second, &planned, &[])).await.expect_err("it is another one by now");
        assert_eq!(error.error.class, ErrorClass::Conflict, "{error}");
        assert_eq!(world.raw("GET", &format!("/{name}/logo.svg"), &[], "").await.1, "<svg>their own</svg>");
        // Planned again, it is drift that shows, and is repaired.
        let planned = present(world.observe(&second).await);
        world.write(&update(&second, &planned, &[])).await;
        world.assert_settled(&[&second]).await;
        world.remove(&[&second, &bucket]).await;
    });
}

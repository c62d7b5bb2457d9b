//! Users: drift, keys that are told once, conflicts, and how few requests they need.

use secrecy::ExposeSecret as _;
use serde_json::{Value as Json, json};
use tenantry_core::model::resource::{Desired, Observed};
use tenantry_provider::contract::ErrorClass;

use crate::support::s3::{World, error, on_servers};
use crate::support::{create, delete, observe, present, update};

fn policy(action: &str) -> Json {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "arn:aws:s3:::*"}]})
}

/// The ids of a user's access keys.
async fn keys(world: &World, name: &str) -> Vec<String> {
    let answer = world.iam(&[("Action", "ListAccessKeys"), ("UserName", name)]).await;
    let ids = answer.split("<AccessKeyId>").skip(1).filter_map(|rest| rest.split('<').next());
    ids.map(str::to_owned).collect()
}

#[test]
fn drift_of_a_user_is_found_and_repaired() {
    on_servers("drift_of_a_user_is_found_and_repaired", async |world: &World| {
        let name = world.name("app");
        let spec = json!({"name": name, "policy": policy("s3:GetObject"), "accessKey": {}, "tags": {"team": "a"}});
        let user = world.desired("user", "acme/user", spec);
        assert_eq!(world.observe(&user).await, Observed::Absent);
        world.create(&[&user, &user]).await;
        let found = world.assert_is(&user, world.observe(&user).await);
        let id = found.outputs.get("accessKeyId").and_then(|id| id.as_str()).expect("a key").to_owned();
        assert_eq!(keys(world, &name).await, std::slice::from_ref(&id), "one key, however often it is made");

        let other = policy("s3:*").to_string();
        let named = [("UserName", name.as_str()), ("PolicyName", "tenantry")];
        world.iam(&[&[("Action", "PutUserPolicy"), ("PolicyDocument", other.as_str())], &named[..]].concat()).await;
        world.assert_repairs(&user, "policy").await;
        world.iam(&[&[("Action", "DeleteUserPolicy")], &named[..]].concat()).await;
        world.assert_repairs(&user, "policy").await;
        let tag = [("Tags.member.1.Key", "team"), ("Tags.member.1.Value", "z"), ("UserName", name.as_str())];
        world.iam(&[&[("Action", "TagUser")], &tag[..]].concat()).await;
        world.assert_repairs(&user, "tags").await;
        world.iam(&[("Action", "DeleteAccessKey"), ("UserName", name.as_str()), ("AccessKeyId", id.as_str())]).await;
        world.assert_repairs(&user, "accessKey").await;
        assert_ne!(keys(world, &name).await, [id]);

        let less = world.desired("user", "acme/user", json!({"name": name, "tags": {"team": "a"}}));
        let before = present(world.observe(&user).await);
        world.write(&update(&less, &before, &["/policy", "/accessKey"])).await;
        let left = world.assert_is(&less, world.observe(&less).await);
        assert!(!left.spec.contains("policy") && !left.spec.contains("accessKey"), "{:?}", left.spec);
        assert_eq!(keys(world, &name).await, [""; 0]);
        world.remove(&[&less]).await;
    });
}

#[test]
fn a_rotated_key_leaves_the_one_before_it_for_a_while() {
    on_servers("a_rotated_key_leaves_the_one_before_it_for_a_while", async |world: &World| {
        let name = world.name("rotated");
        let with = |key: Json| world.desired("user", "acme/user", json!({"name": name, "accessKey": key}));
        let mut told = Vec::new();
        let mut there = Vec::new();
        let first = with(json!({}));
        let written = world.write(&create(&first)).await;
        let secret = |written: &tenantry_provider::contract::Written| {
            assert!(!format!("{written:?}").contains("SecretString(\""), "it is in no text");
            written.captured.get("secretAccessKey").map(|secret| secret.expose_secret().to_owned())
        };
        told.extend(secret(&written));
        there.push(keys(world, &name).await);
        for rotation in [2, 3] {
            let next = with(json!({"rotation": rotation}));
            let before = present(world.observe(&next).await);
            told.extend(secret(&world.write(&update(&next, &before, &[])).await));
            world.assert_settled(&[&next]).await;
            there.push(keys(world, &name).await);
        }
        assert_eq!(there.iter().map(Vec::len).collect::<Vec<_>>(), [1, 2, 2]);
        assert!(there[1].contains(&there[0][0]), "the one before is still good");
        assert!(!there[2].contains(&there[0][0]), "the oldest has gone");
        let last = with(json!({"rotation": 3, "keepPrevious": false}));
        let before = present(world.observe(&last).await);
        assert_eq!(secret(&world.write(&update(&last, &before, &[])).await), None, "nothing new is told");
        world.assert_settled(&[&last]).await;
        assert_eq!(keys(world, &name).await.len(), 1);
        told.sort();
        told.dedup();
        assert_eq!(told.len(), 3, "each key has a secret of its own");
        world.remove(&[&last]).await;
    });
}

#[test]
fn a_key_that_nobody_was_told_of_is_replaced() {
    on_servers("a_key_that_nobody_was_told_of_is_replaced", async |world: &World| {
        let name = world.name("lost");
        let user = world.desired("user", "acme/user", json!({"name": name, "accessKey": {}}));
        // The key is made, and the run ends before it is noted.
        world.decide(|asked| {
            let body = String::from_utf8_lossy(&asked.body);
            let notes = body.contains("Action=TagUser") && body.contains("access-key") && !body.contains("making");
            notes.then(|| error(400, "AsTheTestWants"))
        });
        world.try_write(&create(&user)).await.expect_err("the run ends");
        let orphan = keys(world, &name).await;
        assert_eq!(orphan.len(), 1);
        world.heal();
        let found = present(world.observe(&user).await);
        assert!(!found.spec.contains("accessKey"), "what is not noted counts for nothing");
        let written = world.write(&update(&user, &found, &[])).await;
        assert!(written.captured.contains_key("secretAccessKey"));
        let there = keys(world, &name).await;
        assert!(there.len() == 1 && there != orphan, "{there:?}");

        // It is noted, and the run ends before its secret is kept: the next one asks for another.
        let mut step = update(&user, &present(world.observe(&user).await), &[]);
        if let tenantry_provider::contract::StepAction::Update { changed, .. } = &mut step.action {
            *changed = vec!["/secretAccessKey".to_owned()];
        }
        let written = world.write(&step).await;
        assert!(written.captured.contains_key("secretAccessKey"));
        let again = keys(world, &name).await;
        assert!(again.len() == 1 && again != there, "{again:?}");
        world.assert_settled(&[&user]).await;
        world.remove(&[&user]).await;
    });
}

#[test]
fn somebody_elses_user_and_keys_are_left_alone() {
    on_servers("somebody_elses_user_and_keys_are_left_alone", async |world: &World| {
        let name = world.name("theirs");
        world.iam(&[("Action", "CreateUser"), ("UserName", name.as_str())]).await;
        world.iam(&[("Action", "CreateAccessKey"), ("UserName", name.as_str())]).await;
        let theirs = keys(world, &name).await;
        let user = world.desired("user", "acme/user", json!({"name": name, "accessKey": {}}));
        let found = present(world.observe(&user).await);
        assert_eq!(found.mark, None);
        for step in [create(&user), delete(&user, &found)] {
            let error = world.try_write(&step).await.expect_err("it is somebody else's");
            assert_eq!(error.error.class, ErrorClass::Conflict, "{error}");
        }
        assert_eq!(keys(world, &name).await, theirs);
        // Taken over, it keeps the key that it has, even if the first run ends before it has noted its own.
        world.decide(|asked| {
            let body = String::from_utf8_lossy(&asked.body);
            let notes = body.contains("Action=TagUser") && body.contains("access-key") && !body.contains("making");
            notes.then(|| error(400, "AsTheTestWants"))
        });
        world.try_write(&update(&user, &found, &[])).await.expect_err("the run ends");
        world.heal();
        let found = present(world.observe(&user).await);
        world.write(&update(&user, &found, &[])).await;
        let both = keys(world, &name).await;
        assert!(both.len() == 2 && both.contains(&theirs[0]), "{both:?}");
        world.assert_settled(&[&user]).await;
        let none = world.desired("user", "acme/user", json!({"name": name}));
        let before = present(world.observe(&none).await);
        world.write(&update(&none, &before, &["/accessKey"])).await;
        assert_eq!(keys(world, &name).await, theirs, "our own goes, theirs stays");
        world.remove(&[&user]).await;
    });
}

#[test]
fn users_come_from_one_listing_where_the_server_has_it() {
    on_servers("users_come_from_one_listing_where_the_server_has_it", async |world: &World| {
        let users: Vec<Desired> = (0..12)
            .map(|index| {
                let spec = json!({"name": world.name(&format!("many{index}")), "policy": policy("s3:GetObject")});
                world.desired("user", &format!("t{index}/user"), spec)
            })
            .collect();
        world.create(&users.iter().collect::<Vec<_>>()).await;
        let mut counts = Vec::new();
        for count in [1, 12] {
            let some: Vec<&Desired> = users.iter().take(count).collect();
            world.take();
            let observed = observe(&*world.reader(), &some, &[]).await;
            counts.push(world.take().len());
            for user in some {
                world.assert_is(user, observed["s3.user"].get(user.identity.as_deref().expect("an identity")));
            }
        }
        if !world.is_seaweedfs {
            assert_eq!(counts, [1, 1]);
        }
        world.remove(&users.iter().collect::<Vec<_>>()).await;
    });
}

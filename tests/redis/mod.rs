//! The Redis provider against a real server.

mod spelling;

use crate::support::said;
use std::collections::{BTreeMap, HashMap};
use std::process::{Child, Command, Stdio};

use crate::support::target::{Target, on_server};
use crate::support::tcp::TcpProxy;
use crate::support::tls;
use crate::support::{ESTATE, create, delete, observe, present, update};
use redis::aio::MultiplexedConnection;
use redis::{Client, cmd};
use serde_json::json;
use tenantry_core::model::resource::{Desired, Observed};
use tenantry_core::model::value::Value;
use tenantry_provider::conformance::WriteUnguarded as _;
use tenantry_provider::contract::{ErrorClass, ObserveRequest, StepAction};
use tenantry_redis::Redis;

fn on_redis(name: &str, test: impl AsyncFnOnce(&Target)) {
    on_server(
        name,
        Redis,
        |_| json!({}),
        test,
        async |target: &Target| {
            let mut connection = connect(&target.url).await.expect("the server answers");
            let pattern = format!("*{}*", target.suffix);
            let keys: Vec<String> = cmd("KEYS").arg(pattern).query_async(&mut connection).await.expect("keys");
            for key in keys {
                cmd("DEL").arg(key).exec_async(&mut connection).await.expect("it is deleted");
            }
            let users: Vec<String> = cmd("ACL").arg("USERS").query_async(&mut connection).await.expect("users");
            for user in users.iter().filter(|user| user.ends_with(&target.suffix)) {
                cmd("ACL").arg("DELUSER").arg(user).exec_async(&mut connection).await.expect("it is deleted");
            }
        },
    );
}

async fn connect(url: &str) -> redis::RedisResult<MultiplexedConnection> {
    Client::open(url)?.get_multiplexed_async_connection().await
}

/// Runs a command behind the provider's back.
async fn by_hand(target: &Target, command: &str) -> redis::Value {
    let mut connection = connect(&target.url).await.expect("the server answers");
    let mut words = command.split(' ');
    let mut command = cmd(words.next().expect("a command"));
    for word in words {
        command.arg(word);
    }
    command.query_async(&mut connection).await.expect("the server does it")
}

/// What a tenant of a shared server is made of.
fn tenant(target: &Target, name: &str) -> Vec<Desired> {
    let prefix = target.name(name);
    let user = json!({
        "name": prefix, "password": "hunter2", "keys": [format!("{prefix}:*")], "commands": ["+@read", "+@write"],
    });
    let quota = json!({"key": format!("{prefix}:quota"), "value": 100});
    let settings = json!({"key": format!("{prefix}:settings"), "fields": {"seats": 5, "plan": "pro"}});
    vec![
        target.desired("acl_user", &format!("{name}/user"), user),
        target.desired("key", &format!("{name}/quota"), quota),
        target.desired("hash", &format!("{name}/settings"), settings),
    ]
}

#[test]
fn drift_of_every_kind_shows_and_is_repaired() {
    on_redis("drift_of_every_kind_shows_and_is_repaired", async |target| {
        let wanted = tenant(target, "acme");
        target.create(&wanted.iter().collect::<Vec<_>>()).await;
        target.create(&wanted.iter().collect::<Vec<_>>()).await;
        target.assert_settled(&wanted.iter().collect::<Vec<_>>()).await;
        let name = target.name("acme");
        for (index, drift) in [
            (0, format!("ACL SETUSER {name} ~other:*")),
            (0, format!("ACL SETUSER {name} +@admin")),
            (0, format!("ACL SETUSER {name} off")),
            (0, format!("ACL SETUSER {name} nopass")),
            (0, format!("ACL SETUSER {name} >another")),
            (0, format!("ACL SETUSER {name} (~other:*)")),
            (1, format!("SET {name}:quota 99")),
            (1, format!("EXPIRE {name}:quota 500")),
            (2, format!("HSET {name}:settings seats 6")),
            (2, format!("HDEL {name}:settings plan")),
        ] {
            by_hand(target, &drift).await;
            target.assert_repairs(&wanted[index], &drift).await;
        }
        by_hand(target, &format!("HSET {name}:settings logins 7")).await;
        target.assert_settled(&[&wanted[2]]).await;
        for desired in &wanted {
            target.assert_deletes(desired).await;
        }
    });
}

#[test]
fn a_field_that_is_no_longer_asked_for_is_removed_and_others_stay() {
    on_redis("a_field_that_is_no_longer_asked_for_is_removed_and_others_stay", async |target| {
        let key = target.name("settings");
        let first = json!({"key": key, "fields": {"a": 1, "b": 2}, "expire": 600});
        let first = target.desired("hash", "acme/hash", first);
        target.create(&[&first]).await;
        by_hand(target, &format!("HSET {key} theirs 3")).await;
        let second = target.desired("hash", "acme/hash", json!({"key": key, "fields": {"a": 1}, "expire": 600}));
        let before = present(target.observe(&first).await);
        target.write(&[update(&second, &before, &["/fields/b"])]).await;
        target.assert_settled(&[&second]).await;
        let fields = by_hand(target, &format!("HKEYS {key}")).await;
        let fields: Vec<String> = redis::from_redis_value(fields).expect("texts");
        assert_eq!(fields, ["a", "theirs"]);
    });
}

#[test]
fn what_counts_down_at_run_time_is_left_alone() {
    on_redis("what_counts_down_at_run_time_is_left_alone", async |target| {
        let key = target.name("left");
        let wanted = |value: i64| {
            target.desired("key", "acme/left", json!({"key": key, "value": value, "createOnly": true, "expire": 3600}))
        };
        target.create(&[&wanted(100)]).await;
        by_hand(target, &format!("DECRBY {key} 30")).await;
        target.assert_settled(&[&wanted(100)]).await;
        let before = present(target.observe(&wanted(200)).await);
        target.write(&[update(&wanted(200), &before, &[])]).await;
        assert_eq!(by_hand(target, &format!("GET {key}")).await, redis::Value::BulkString(b"70".to_vec()));
        by_hand(target, &format!("DEL {key}")).await;
        assert_eq!(target.observe(&wanted(200)).await, Observed::Absent);
        let kind = target.bench.kind("redis.key");
        assert!(kind.loses_data_of(&wanted(1).spec) && !kind.loses_data_of(&tenant(target, "x")[1].spec));
    });
}

#[test]
fn the_number_of_round_trips_does_not_depend_on_the_number_of_tenants() {
    on_redis("the_number_of_round_trips_does_not_depend_on_the_number_of_tenants", async |target| {
        let proxy = TcpProxy::start(target.host()).await;
        let mut wanted = Vec::new();
        let mut numbers = Vec::new();
        for count in [10, 90] {
            for number in wanted.len() / 3..count {
                let resources = tenant(target, &format!("t{number}"));
                target.create(&resources.iter().collect::<Vec<_>>()).await;
                wanted.extend(resources);
            }
            let reader = target.reader_at(&target.url_at(proxy.port));
            proxy.take_round_trips();
            let observations = observe(&*reader, &wanted.iter().collect::<Vec<_>>(), &[]).await;
            for desired in &wanted {
                let observed = observations[desired.kind.name].get(desired.identity.as_deref().expect("an identity"));
                target.assert_is(desired, observed);
            }
            numbers.push(proxy.take_round_trips());
        }
        assert_eq!(numbers[0], numbers[1]);
        assert!((3..15).contains(&numbers[0]), "{numbers:?}");
    });
}

#[test]
fn an_outage_is_unknown_and_never_absent() {
    on_redis("an_outage_is_unknown_and_never_absent", async |target| {
        let wanted = tenant(target, "acme");
        target.create(&wanted.iter().collect::<Vec<_>>()).await;
        let answer = target.assert_outage_is_unknown(&wanted).await;
        assert!(answer.starts_with("Redis 7") && !answer.contains(":tenantry@"), "{answer}");
    });
}

#[test]
fn a_server_whose_certificate_does_not_verify_is_not_talked_to() {
    on_redis("a_server_whose_certificate_does_not_verify_is_not_talked_to", async |target| {
        let port = tls::in_front_of(target.host()).await;
        let url = target.url_at(port).replace("redis://", "rediss://");
        tls::assert_verified(target, &url, &tenant(target, "acme")[1]).await;
    });
}

#[test]
fn what_may_not_be_read_is_unknown_and_the_rest_is_not() {
    on_redis("what_may_not_be_read_is_unknown_and_the_rest_is_not", async |target| {
        let wanted = tenant(target, "acme");
        target.create(&wanted.iter().collect::<Vec<_>>()).await;
        let prefix = target.name("acme");
        let other = target.desired("key", "acme/other", json!({"key": target.name("other"), "value": "x"}));
        target.create(&[&other]).await;
        let observer = target.name("observer");
        by_hand(target, &format!("ACL SETUSER {observer} on >x ~{prefix}:* +@read +@keyspace +@connection")).await;
        let reader = target.reader_at(&target.url_as(&observer, "x"));
        let mut asked: Vec<&Desired> = wanted.iter().collect();
        asked.push(&other);
        let observations = observe(&*reader, &asked, &[]).await;
        let of =
            |desired: &Desired| observations[desired.kind.name].get(desired.identity.as_deref().expect("an identity"));
        target.assert_is(&wanted[1], of(&wanted[1]));
        target.assert_is(&wanted[2], of(&wanted[2]));
        assert!(
            matches!(of(&other), Observed::Unknown(reason) if said(&reason).contains("NOPERM")),
            "{:?}",
            of(&other)
        );
        assert!(matches!(of(&wanted[0]), Observed::Unknown(reason) if said(&reason).contains("allow the user")));
        let writer = target.writer_at(&target.url_as(&observer, "x"));
        let error = writer.write(&[create(&wanted[1])]).await.expect_err("it may not").error;
        assert_eq!(error.class, ErrorClass::Denied, "{error}");
        let error = target.reader_at(&target.url_as(&observer, "wrong")).probe().await.expect_err("it may not log in");
        assert_eq!(error.class, ErrorClass::Denied, "{error}");
    });
}

#[test]
fn what_is_not_ours_is_a_conflict() {
    on_redis("what_is_not_ours_is_a_conflict", async |target| {
        let wanted = tenant(target, "acme");
        let name = target.name("acme");
        by_hand(target, &format!("ACL SETUSER {name} on ~theirs:*")).await;
        by_hand(target, &format!("SET {name}:quota 1")).await;
        by_hand(target, &format!("RPUSH {name}:settings a")).await;
        for desired in &wanted {
            let error = target.try_write(&[create(desired)]).await.expect_err("it is not ours").error;
            assert_eq!(error.class, ErrorClass::Conflict, "{error}");
        }
        let found = present(target.observe(&wanted[0]).await);
        assert_eq!(found.mark, None);
        let error = target.try_write(&[delete(&wanted[0], &found)]).await.expect_err("it is not ours").error;
        assert!(error.to_string().contains("carries no mark"), "{error}");
        // Adopted: the plan saw it without a mark.
        target.write(&[update(&wanted[0], &found, &[])]).await;
        target.assert_settled(&[&wanted[0]]).await;
        let observed = target.observe(&wanted[2]).await;
        assert!(
            matches!(&observed, Observed::Unknown(reason) if said(reason).contains("holds a list")),
            "{observed:?}"
        );
        let gone = target.desired("key", "acme/gone", json!({"key": format!("{name}:gone"), "value": 1}));
        let error = target.try_write(&[update(&gone, &found, &[])]).await.expect_err("it is gone").error;
        assert_eq!(error.class, ErrorClass::Conflict, "{error}");
    });
}

#[test]
fn a_password_logs_in_and_never_travels() {
    on_redis("a_password_logs_in_and_never_travels", async |target| {
        let proxy = TcpProxy::start(target.host()).await;
        let writer = target.writer_at(&target.url_at(proxy.port));
        let user = &tenant(target, "acme")[0];
        writer.write(&[create(user)]).await.expect("it is written");
        assert!(proxy.has_seen(b"SETUSER") && !proxy.has_seen(b"hunter2"));
        let name = target.name("acme");
        let mut connection = connect(&target.url_as(&name, "hunter2")).await.expect("the password logs in");
        cmd("SET").arg(format!("{name}:x")).arg(1).exec_async(&mut connection).await.expect("within its prefix");
        let error = cmd("SET").arg("elsewhere").arg(1).exec_async(&mut connection).await.expect_err("outside of it");
        assert_eq!(error.code(), Some("NOPERM"));

        // Access ends at once, for those who are logged in too.
        let spec = |enabled: bool| Value::from(user.spec.with("enabled", enabled.into())).to_json();
        let off = target.desired("acl_user", "acme/user", spec(false));
        let before = present(target.observe(user).await);
        target.write(&[update(&off, &before, &[])]).await;
        assert!(cmd("GET").arg(format!("{name}:x")).exec_async(&mut connection).await.is_err());
        assert!(connect(&target.url_as(&name, "hunter2")).await.is_err());

        // Without a password in the spec the one that is there is kept, and taken away when it is no longer asked for.
        let mut without = spec(true);
        without.as_object_mut().expect("an object").remove("password");
        let without = target.desired("acl_user", "acme/user", without);
        let before = present(target.observe(&without).await);
        target.write(&[update(&without, &before, &[])]).await;
        assert!(connect(&target.url_as(&name, "hunter2")).await.is_ok());
        target.write(&[update(&without, &before, &["/password"])]).await;
        assert!(connect(&target.url_as(&name, "hunter2")).await.is_err());
    });
}

#[test]
fn tenantry_does_not_lock_itself_out() {
    on_redis("tenantry_does_not_lock_itself_out", async |target| {
        let own = target.desired("acl_user", "acme/user", json!({"name": "tenantry", "enabled": false}));
        let observed = target.observe(&own).await;
        assert!(matches!(&observed, Observed::Unknown(reason) if said(reason).contains("lock it out")), "{observed:?}");
        let error = target.try_write(&[create(&own)]).await.expect_err("it is refused").error;
        assert_eq!(error.class, ErrorClass::Fatal);
        assert!(connect(&target.url).await.is_ok());
    });
}

#[test]
fn what_carries_the_mark_is_listed_though_nobody_asks() {
    on_redis("what_carries_the_mark_is_listed_though_nobody_asks", async |target| {
        let wanted = tenant(target, "acme");
        target.create(&[&wanted[0]]).await;
        let mut foreign = create(&tenant(target, "other")[0]);
        foreign.mark.estate = "shop-2".into();
        target.write(&[foreign]).await;
        let asked = target.desired("acl_user", "x/user", json!({"name": target.name("x")}));
        let observations = observe(&*target.reader(), &[&asked], &[]).await;
        let resources = &observations["redis.acl_user"].resources;
        assert!(resources.contains_key(wanted[0].identity.as_ref().expect("an identity")));
        assert!(!resources.contains_key(target.name("other").as_str()), "of another estate");
    });
}

#[test]
fn a_time_that_has_passed_is_an_error_and_not_a_key() {
    on_redis("a_time_that_has_passed_is_an_error_and_not_a_key", async |target| {
        let late = json!({"key": target.name("late"), "value": 1, "expire": "2020-01-01T00:00:00Z"});
        let late = target.desired("key", "acme/late", late);
        let error = target.try_write(&[create(&late)]).await.expect_err("it ended").error;
        assert!(error.to_string().contains("has passed"), "{error}");
        assert_eq!(target.observe(&late).await, Observed::Absent);
    });
}

/// A server of the test's own, which ends with it.
struct OwnServer(Child);

impl Drop for OwnServer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn without_a_file_for_users_they_are_written_all_the_same() {
    on_redis("without_a_file_for_users_they_are_written_all_the_same", async |target| {
        let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir", "/"]);
        let _server = OwnServer(command.stdout(Stdio::null()).spawn().expect("redis-server is installed"));
        let url = format!("redis://127.0.0.1:{port}");
        while connect(&url).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        let (user, writer) = (&tenant(target, "acme")[0], target.writer_at(&url));
        writer.write(&[create(user)]).await.expect("it is written");
        let observations = observe(&*target.reader_at(&url), &[user], &[]).await;
        target.assert_is(user, observations["redis.acl_user"].get(user.identity.as_deref().expect("an identity")));
        // Here `default` is who Tenantry logs in as.
        let own = target.desired("acl_user", "acme/default", json!({"name": "default"}));
        let StepAction::Create { spec, .. } = create(&own).action else { panic!("a creation") };
        assert_eq!(spec.get("name"), Some(&"default".into()));
        let error = writer.write(&[create(&own)]).await.expect_err("it is refused").error;
        assert!(error.to_string().contains("lock it out"), "{error}");
    });
}

#[test]
fn a_sequence_says_what_was_done_before_it_failed() {
    on_redis("a_sequence_says_what_was_done_before_it_failed", async |target| {
        let user = |name: &str| target.desired("acl_user", &format!("{name}/user"), json!({"name": target.name(name)}));
        by_hand(target, &format!("ACL SETUSER {} off", target.name("b"))).await;
        let users = [user("a"), user("b"), user("c")];
        let error = target.writer().write(&users.each_ref().map(create)).await.expect_err("b is not ours");
        assert_eq!((error.step, error.done.len()), (1, 1));
        target.assert_settled(&[&users[0]]).await;
        assert_eq!(target.observe(&users[2]).await, Observed::Absent);
    });
}

async fn keys_like(target: &Target, pattern: &str) -> Vec<String> {
    let mut connection = connect(&target.url).await.expect("the server answers");
    let mut keys: Vec<String> = cmd("KEYS").arg(pattern).query_async(&mut connection).await.expect("keys");
    keys.sort();
    keys
}

/// What is seen of a resource that is wanted and that nothing knows yet.
async fn seen_new(target: &Target, wanted: &Desired) -> Observed {
    let request = ObserveRequest {
        estate: ESTATE,
        wanted: BTreeMap::from([(wanted.kind.name, vec![wanted])]),
        known: BTreeMap::new(),
        recorded: HashMap::new(),
    };
    let observed = target.reader().observe(&request).await;
    observed[wanted.kind.name].get(wanted.identity.as_deref().expect("an identity"))
}

#[test]
fn a_tenant_leaves_a_shared_cache_with_every_key_and_nobody_else_does() {
    on_redis("a_tenant_leaves_a_shared_cache_with_every_key_and_nobody_else_does", async |target| {
        // Every character of a prefix stands for itself.
        let prefix = target.name("t[ab]?\\x");
        let acme = target.desired("prefix", "acme/cache", json!({"prefix": format!("{prefix}:")}));
        assert_eq!(seen_new(target, &acme).await, Observed::Absent);
        target.create(&[&acme]).await;
        target.assert_settled(&[&acme]).await;
        assert_eq!(target.observe_known(&acme).await, Observed::Absent);
        let mut connection = connect(&target.url).await.expect("the server answers");
        let mut pipeline = redis::Pipeline::new();
        for number in 0..2500 {
            pipeline.cmd("SET").arg(format!("{prefix}:session:{number}")).arg("x").arg("EX").arg(3600).ignore();
        }
        pipeline.cmd("RPUSH").arg(format!("{prefix}:queue")).arg("a").ignore();
        pipeline.cmd("XADD").arg(format!("{prefix}:log")).arg("*").arg("a").arg("b").ignore();
        pipeline.cmd("SET").arg([format!("{prefix}:").as_bytes(), b"\xff\x00"].concat()).arg("x").ignore();
        // What a pattern that is not escaped would take along, and what only begins alike.
        let others =
            [target.name("ta0x") + ":a", target.name("t[ab]?x") + ":a", format!("{prefix}-2:a"), prefix.clone()];
        for other in &others {
            pipeline.cmd("SET").arg(other).arg("x").ignore();
        }
        pipeline.exec_async(&mut connection).await.expect("written");
        assert!(matches!(seen_new(target, &acme).await, Observed::Present(_)));
        let Observed::Present(before) = target.observe_known(&acme).await else { panic!("it is filled") };
        target.write(&[delete(&acme, &before), delete(&acme, &before)]).await;
        assert_eq!(target.observe_known(&acme).await, Observed::Absent);
        let mut wanted = others.to_vec();
        wanted.sort();
        assert_eq!(keys_like(target, &format!("*{}*", target.suffix)).await, wanted);
    });
}

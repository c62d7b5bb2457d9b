//! The RabbitMQ provider against a real server.

mod answers;
mod proven;

use crate::support::said;
use crate::support::target::{Target, on_server};
use crate::support::tcp::TcpProxy;
use crate::support::tls;
use crate::support::{create, delete, observe, present, update};
use serde_json::{Value as Json, json};
use tenantry_core::diff::compare;
use tenantry_core::model::resource::{Desired, Observed};
use tenantry_provider::conformance::WriteUnguarded as _;
use tenantry_provider::contract::ErrorClass;
use tenantry_rabbitmq::RabbitMq;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn on_rabbitmq(name: &str, test: impl AsyncFnOnce(&Target)) {
    on_server(
        name,
        RabbitMq,
        |_| json!({}),
        test,
        async |target: &Target| {
            for list in ["vhosts", "users"] {
                // While another test's virtual host is being deleted the server may answer that there is none.
                let mut all = Json::Null;
                for _ in 0..100 {
                    all = by_hand(target, "GET", list, &Json::Null).await.1;
                    if all.is_array() {
                        break;
                    }
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
                for name in all.as_array().expect("a list").iter().filter_map(|item| item["name"].as_str()) {
                    if name.ends_with(&target.suffix) {
                        by_hand(target, "DELETE", &format!("{list}/{name}"), &Json::Null).await;
                    }
                }
            }
        },
    );
}

/// A request behind the provider's back: the status and the answer.
async fn by_hand(target: &Target, method: &str, path: &str, body: &Json) -> (u16, Json) {
    request(&target.url, method, path, body).await
}

async fn request(url: &str, method: &str, path: &str, body: &Json) -> (u16, Json) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let method = method.parse().expect("a method");
    let mut request = reqwest::Client::new().request(method, format!("{url}/api/{path}"));
    if !body.is_null() {
        request = request.json(body);
    }
    let response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    (status, serde_json::from_str(&response.text().await.expect("a text")).unwrap_or(Json::Null))
}

/// What a tenant of a shared broker is made of.
fn tenant(target: &Target, name: &str) -> Vec<Desired> {
    let own = target.name(name);
    let of = |id: &str| format!("{name}/{id}");
    let make = |kind: &str, spec: Json| target.desired(kind, &of(kind), spec);
    vec![
        make("vhost", json!({"name": own, "description": "Ask Ann."})),
        make("user", json!({"name": own, "password": "hunter2", "tags": ["management"]})),
        make("vhost_limits", json!({"vhost": own, "maxQueues": 50})),
        make("user_limits", json!({"user": own, "maxConnections": 5})),
        make("permission", json!({"vhost": own, "user": own, "configure": "^$", "write": ".*", "read": ".*"})),
        make("topic_permission", json!({"vhost": own, "user": own, "exchange": "orders", "write": "^eu"})),
        make("policy", json!({"vhost": own, "name": "all", "pattern": ".*", "definition": {"max-length": 100}})),
        make("exchange", json!({"vhost": own, "name": "orders", "type": "topic"})),
        make("queue", json!({"vhost": own, "name": "orders", "arguments": {"x-max-length": 10}})),
        make("binding", json!({"vhost": own, "source": "orders", "destination": "orders", "routingKey": "eu.#"})),
    ]
}

fn all(wanted: &[Desired]) -> Vec<&Desired> {
    wanted.iter().collect()
}

#[test]
fn drift_of_every_kind_shows_and_is_repaired() {
    on_rabbitmq("drift_of_every_kind_shows_and_is_repaired", async |target| {
        let wanted = tenant(target, "acme");
        target.create(&all(&wanted)).await;
        target.create(&all(&wanted)).await;
        target.assert_settled(&all(&wanted)).await;
        let own = target.name("acme");
        let description = json!({"description": "[tenantry estate=shop address=acme/vhost]"});
        let permission = json!({"configure": ".*", "write": "", "read": ""});
        let policy = json!({"pattern": "^x", "definition": {"max-length": 5}});
        for (index, method, path, body) in [
            (0, "PUT", format!("vhosts/{own}"), description),
            (1, "PUT", format!("users/{own}"), json!({"password": "y", "tags": tags_of(target, &own).await})),
            // The mark goes with what is set by hand.
            (0, "PUT", format!("vhosts/{own}"), json!({"description": "Ask Ben."})),
            (1, "PUT", format!("users/{own}"), json!({"password": "hunter2", "tags": "monitoring"})),
            (2, "PUT", format!("vhost-limits/{own}/max-queues"), json!({"value": 9})),
            (3, "PUT", format!("user-limits/{own}/max-channels"), json!({"value": 9})),
            (4, "PUT", format!("permissions/{own}/{own}"), permission),
            (
                5,
                "PUT",
                format!("topic-permissions/{own}/{own}"),
                json!({"exchange": "orders", "write": "", "read": ".*"}),
            ),
            (6, "PUT", format!("policies/{own}/all"), policy),
        ] {
            let (status, answer) = by_hand(target, method, &path, &body).await;
            assert!(status < 300, "{path}: {answer}");
            target.assert_repairs(&wanted[index], &path).await;
        }
        // Nothing of these can change, but they can be gone.
        for (index, path) in [
            (9, format!("bindings/{own}/e/orders/q/orders/eu.%23")),
            (8, format!("queues/{own}/orders")),
            (7, format!("exchanges/{own}/orders")),
        ] {
            by_hand(target, "DELETE", &path, &Json::Null).await;
            assert_eq!(target.observe(&wanted[index]).await, Observed::Absent, "{path}");
        }
        target.create(&[&wanted[7], &wanted[8], &wanted[9]]).await;
        target.assert_settled(&all(&wanted)).await;
        for desired in wanted.iter().rev() {
            target.assert_deletes(desired).await;
        }
    });
}

async fn tags_of(target: &Target, user: &str) -> String {
    let (_, user) = by_hand(target, "GET", &format!("users/{user}"), &Json::Null).await;
    let tags = user["tags"].as_array().expect("a list").iter().map(|tag| tag.as_str().expect("a text"));
    tags.collect::<Vec<_>>().join(",")
}

#[test]
fn a_queue_of_another_form_needs_a_new_one_and_is_a_conflict() {
    on_rabbitmq("a_queue_of_another_form_needs_a_new_one_and_is_a_conflict", async |target| {
        let wanted = tenant(target, "acme");
        target.create(&all(&wanted)).await;
        let own = target.name("acme");
        let longer = json!({"vhost": own, "name": "orders", "arguments": {"x-max-length": 20}});
        let longer = target.desired("queue", "acme/queue", longer);
        let found = present(target.observe(&longer).await);
        let differences = compare(&longer.kind, &longer.spec, &found.spec, Some(&wanted[8].spec));
        let pointers: Vec<&str> = differences.iter().map(|difference| &*difference.pointer).collect();
        assert_eq!(pointers, ["/arguments/x-max-length"]);
        assert!(longer.kind.is_immutable(&longer.spec, pointers[0]) && longer.kind.loses_data_of(&longer.spec));
        let error = target.try_write(&[create(&longer)]).await.expect_err("it is another").error;
        assert_eq!(error.class, ErrorClass::Conflict, "{error}");
        // The server itself refuses too, should somebody have come in between.
        let error = target.try_write(&[update(&longer, &found, &[])]).await.expect_err("it is another").error;
        assert_eq!(error.class, ErrorClass::Conflict, "{error}");
        assert!(error.to_string().contains("inequivalent arg") && error.remedy.is_some(), "{error}");
        target.write(&[delete(&wanted[8], &found), create(&longer)]).await;
        target.assert_settled(&[&longer]).await;
    });
}

#[test]
fn the_number_of_requests_does_not_depend_on_the_number_of_tenants() {
    on_rabbitmq("the_number_of_requests_does_not_depend_on_the_number_of_tenants", async |target| {
        let proxy = TcpProxy::start(target.host()).await;
        let mut wanted = Vec::new();
        let mut numbers = Vec::new();
        for count in [2, 12] {
            for number in wanted.len() / 10..count {
                let resources = tenant(target, &format!("t{number}"));
                target.create(&all(&resources)).await;
                wanted.extend(resources);
            }
            let reader = target.reader_at(&target.url_at(proxy.port));
            proxy.take_round_trips();
            let observations = observe(&*reader, &all(&wanted), &[]).await;
            for desired in &wanted {
                let observed = observations[desired.kind.name].get(desired.identity.as_deref().expect("an identity"));
                target.assert_is(desired, observed);
            }
            numbers.push(proxy.take_round_trips());
        }
        assert_eq!(numbers, [2, 2]);
    });
}

#[test]
fn a_server_whose_certificate_does_not_verify_is_not_talked_to() {
    on_rabbitmq("a_server_whose_certificate_does_not_verify_is_not_talked_to", async |target| {
        let port = tls::in_front_of(target.host()).await;
        let url = target.url_at(port).replace("http://", "https://");
        tls::assert_verified(target, &url, &tenant(target, "acme")[0]).await;
    });
}

#[test]
fn an_outage_is_unknown_and_never_absent() {
    on_rabbitmq("an_outage_is_unknown_and_never_absent", async |target| {
        let answer = target.assert_outage_is_unknown(&tenant(target, "acme")).await;
        assert!(answer.starts_with("RabbitMQ 3.10") && !answer.contains(":tenantry@"), "{answer}");
    });
}

#[test]
fn who_may_not_read_everything_is_told_so() {
    on_rabbitmq("who_may_not_read_everything_is_told_so", async |target| {
        let own = target.name("observer");
        by_hand(target, "PUT", &format!("users/{own}"), &json!({"password": "x", "tags": "monitoring"})).await;
        let wanted = tenant(target, "acme");
        let url = target.url_as(&own, "x");
        let observations = observe(&*target.reader_at(&url), &all(&wanted), &[]).await;
        let observed = observations["rabbitmq.queue"].get(wanted[8].identity.as_deref().expect("an identity"));
        assert!(
            matches!(&observed, Observed::Unknown(reason) if said(reason).contains("the tag `administrator`")),
            "{observed:?}"
        );
        let error = target.writer_at(&url).write(&[create(&wanted[0])]).await.expect_err("it may not").error;
        assert_eq!(error.class, ErrorClass::Denied, "{error}");
        let error = target.reader_at(&target.url_as(&own, "wrong")).probe().await.expect_err("a wrong password");
        assert_eq!(error.class, ErrorClass::Denied, "{error}");
    });
}

#[test]
fn what_is_not_ours_is_a_conflict() {
    on_rabbitmq("what_is_not_ours_is_a_conflict", async |target| {
        let wanted = tenant(target, "acme");
        let own = target.name("acme");
        by_hand(target, "PUT", &format!("vhosts/{own}"), &json!({"description": "Theirs", "tags": "a,b"})).await;
        by_hand(target, "PUT", &format!("users/{own}"), &json!({"password": "x", "tags": ""})).await;
        for desired in &wanted[..2] {
            let found = present(target.observe(desired).await);
            assert_eq!(found.mark, None);
            for step in [create(desired), delete(desired, &found)] {
                let error = target.try_write(&[step]).await.expect_err("it is not ours").error;
                assert_eq!(error.class, ErrorClass::Conflict, "{error}");
                assert!(error.to_string().contains("carries no mark"), "{error}");
            }
            // Adopted: the plan saw it without a mark.
            target.write(&[update(desired, &found, &[])]).await;
            target.assert_settled(&[desired]).await;
        }
        let (_, vhost) = by_hand(target, "GET", &format!("vhosts/{own}"), &Json::Null).await;
        assert_eq!(vhost["tags"], json!(["a", "b"]));
        assert_eq!(vhost["description"], "Ask Ann.\n[tenantry estate=shop address=acme/vhost]");
    });
}

#[test]
fn a_password_logs_in_and_never_travels() {
    on_rabbitmq("a_password_logs_in_and_never_travels", async |target| {
        let proxy = TcpProxy::start(target.host()).await;
        let writer = target.writer_at(&target.url_at(proxy.port));
        let user = &tenant(target, "acme")[1];
        writer.write(&[create(user)]).await.expect("it is written");
        assert!(proxy.has_seen(b"password_hash") && !proxy.has_seen(b"hunter2"));
        let url = target.url_as(&target.name("acme"), "hunter2");
        assert_eq!(request(&url, "GET", "whoami", &Json::Null).await.0, 200);

        // Without a password in the spec the one that is there is kept, and taken away when it is no longer asked for.
        let without = target.desired("user", "acme/user", json!({"name": target.name("acme"), "tags": ["monitoring"]}));
        let before = present(target.observe(&without).await);
        target.write(&[update(&without, &before, &[])]).await;
        target.assert_settled(&[&without]).await;
        assert_eq!(request(&url, "GET", "whoami", &Json::Null).await.0, 200);
        target.write(&[update(&without, &before, &["/password"])]).await;
        assert_eq!(request(&url, "GET", "whoami", &Json::Null).await.0, 401);
    });
}

#[test]
fn topic_permissions_for_other_exchanges_outlive_the_end_of_one() {
    on_rabbitmq("topic_permissions_for_other_exchanges_outlive_the_end_of_one", async |target| {
        let wanted = tenant(target, "acme");
        target.create(&all(&wanted)).await;
        let own = target.name("acme");
        let other = json!({"vhost": own, "user": own, "exchange": "amq.topic", "read": "^x"});
        let other = target.desired("topic_permission", "acme/other", other);
        target.create(&[&other]).await;
        target.assert_deletes(&wanted[5]).await;
        target.assert_settled(&[&other]).await;
    });
}

#[test]
fn what_carries_the_mark_is_listed_though_nobody_asks() {
    on_rabbitmq("what_carries_the_mark_is_listed_though_nobody_asks", async |target| {
        let wanted = tenant(target, "acme");
        target.create(&[&wanted[0], &wanted[1]]).await;
        let mut foreign = create(&tenant(target, "other")[0]);
        foreign.mark.estate = "shop-2".into();
        target.write(&[foreign]).await;
        let asked = tenant(target, "x");
        let observations = observe(&*target.reader(), &[&asked[0], &asked[1]], &[]).await;
        for desired in &wanted[..2] {
            let resources = &observations[desired.kind.name].resources;
            assert!(resources.contains_key(desired.identity.as_ref().expect("an identity")), "{}", desired.address);
        }
        assert!(!observations["rabbitmq.vhost"].resources.contains_key(target.name("other").as_str()));
    });
}

/// A server that answers everything with the same page.
async fn answering(page: &'static str) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            let _ = client.read(&mut request).await;
            let _ = client.write_all(page.as_bytes()).await;
        }
    });
    port
}

#[test]
fn an_answer_of_another_sort_tells_nothing() {
    on_rabbitmq("an_answer_of_another_sort_tells_nothing", async |target| {
        let queue = &tenant(target, "acme")[8];
        let identity = queue.identity.as_deref().expect("an identity");
        for (page, class, words) in [
            (
                "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 15\r\nconnection: close\r\n\r\n<html>Hi</html>",
                ErrorClass::Fatal,
                "check the address in `url`",
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}",
                ErrorClass::Fatal,
                "no list of queues",
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 90\r\nconnection: close\r\n\r\n{\"qu",
                ErrorClass::Retryable,
                "the answer broke off",
            ),
            (
                "HTTP/1.1 429 Slow\r\nretry-after: 3600\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
                ErrorClass::Throttled { retry_after: Some(std::time::Duration::from_secs(3600)) },
                "slow down",
            ),
            (
                "HTTP/1.1 404 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
                ErrorClass::Fatal,
                "no management API",
            ),
        ] {
            let url = format!("http://tenantry:tenantry@127.0.0.1:{}", answering(page).await);
            let observations = observe(&*target.reader_at(&url), &[queue], &[]).await;
            let observed = observations["rabbitmq.queue"].get(identity);
            assert!(matches!(&observed, Observed::Unknown(reason) if said(reason).contains(words)), "{observed:?}");
            let error = target.reader_at(&url).probe().await.expect_err("it is none");
            assert_eq!(error.class, class, "{error}");
        }
    });
}

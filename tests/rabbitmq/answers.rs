//! What an answer does not say.

use crate::support::said;
use serde_json::json;
use tenantry_core::model::resource::{Desired, Observed, Present};
use tenantry_provider::conformance::WriteUnguarded as _;
use tenantry_provider::contract::ErrorClass;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{answering, by_hand, on_rabbitmq, tenant};
use crate::support::tcp::TcpProxy;
use crate::support::{create, delete, observe, update};

fn seen(desired: &Desired) -> Present {
    Present { spec: desired.spec.shared(), mark: Some(crate::support::mark(desired)), ..Present::default() }
}

/// Whoever stands in front of the server, and does not find it, says 404 as well.
#[test]
fn a_404_that_is_not_the_servers_own_is_no_end() {
    on_rabbitmq("a_404_that_is_not_the_servers_own_is_no_end", async |target| {
        let wanted = tenant(target, "acme");
        for page in [
            "HTTP/1.1 404 No\r\ncontent-type: text/plain\r\ncontent-length: 21\r\nconnection: close\r\n\r\ndefault backend - 404",
            "HTTP/1.1 404 No\r\ncontent-type: application/json\r\ncontent-length: 30\r\nconnection: close\r\n\r\n{\"message\":\"no Route matched\"}",
            "HTTP/1.1 404 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        ] {
            let writer = target.writer_at(&format!("http://tenantry:tenantry@127.0.0.1:{}", answering(page).await));
            for desired in &wanted {
                let before = seen(desired);
                for step in [delete(desired, &before), create(desired), update(desired, &before, &[])] {
                    let error = writer.write(&[step]).await.expect_err("nothing was done").error;
                    assert_eq!(error.class, ErrorClass::Fatal, "{error}");
                    assert!(error.to_string().contains("no management API"), "{error}");
                }
            }
        }
        // The server's own.
        for desired in &wanted {
            target.write(&[delete(desired, &seen(desired))]).await;
        }
    });
}

/// A server that answers each path with a text.
async fn serving(answers: &'static [(&'static str, &'static str)]) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            let length = client.read(&mut request).await.unwrap_or_default();
            let request = String::from_utf8_lossy(&request[..length]).into_owned();
            let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
            let answer = answers.iter().find(|(known, _)| *known == path).map_or("", |(_, answer)| answer);
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length:";
            let _ = client.write_all(format!("{head} {}\r\n\r\n{answer}", answer.len()).as_bytes()).await;
        }
    });
    port
}

/// The exchanges that definitions have.
const OUTER: &str = r#"{"exchanges": [{"vhost": "acme", "name": "outer", "type": "fanout", "durable": true,
    "auto_delete": false, "arguments": {}}]}"#;

/// All exchanges.
const ALL: &str = r#"[{"vhost": "acme", "name": "outer", "type": "fanout", "durable": true, "auto_delete": false,
    "internal": false, "arguments": {}}, {"vhost": "acme", "name": "inner", "type": "fanout", "durable": true,
    "auto_delete": false, "internal": true, "arguments": {}}]"#;

/// From version 4.3 on the definitions leave them out, and do not say of the others that they are none
/// (`rabbit_definitions:list_exchanges` in the server's source).
#[test]
fn an_internal_exchange_is_there_though_the_definitions_leave_it_out() {
    on_rabbitmq("an_internal_exchange_is_there_though_the_definitions_leave_it_out", async |target| {
        let exchange = |name: &str, internal: bool| {
            let spec = json!({"vhost": "acme", "name": name, "type": "fanout", "internal": internal});
            target.desired("exchange", &format!("acme/{name}"), spec)
        };
        let (inner, outer, gone) = (exchange("inner", true), exchange("outer", false), exchange("gone", true));
        let read = async |port: u16, asked: &[&Desired]| {
            let reader = target.reader_at(&format!("http://a:b@127.0.0.1:{port}"));
            let observations = observe(&*reader, asked, &[]).await;
            let of =
                |desired: &&Desired| observations["rabbitmq.exchange"].get(desired.identity.as_deref().expect("one"));
            asked.iter().map(of).collect::<Vec<_>>()
        };
        let port = serving(&[("/api/definitions", OUTER), ("/api/exchanges", ALL)]).await;
        let found = read(port, &[&inner, &outer, &gone]).await;
        target.assert_is(&inner, found[0].clone());
        target.assert_is(&outer, found[1].clone());
        assert_eq!(found[2], Observed::Absent);
        // Nobody asks for one that is internal, and so nobody needs the other list.
        let port = serving(&[("/api/definitions", OUTER)]).await;
        target.assert_is(&outer, read(port, &[&outer]).await[0].clone());
        assert!(matches!(read(port, &[&inner]).await[0], Observed::Unknown(_)));
    });
}

/// Definitions without anything in them.
const NOTHING: &str = r#"{"users": [], "vhosts": [], "permissions": [], "topic_permissions": [], "parameters": [],
    "policies": [], "queues": [], "exchanges": [], "bindings": []}"#;

/// Every broker has a user, or a virtual host: an answer without any is of something else, or of a moment in its start.
#[test]
fn definitions_without_anything_in_them_are_no_end_of_everything() {
    on_rabbitmq("definitions_without_anything_in_them_are_no_end_of_everything", async |target| {
        let wanted = tenant(target, "acme");
        let port = serving(&[("/api/definitions", NOTHING), ("/api/vhosts", "[]")]).await;
        let reader = target.reader_at(&format!("http://a:b@127.0.0.1:{port}"));
        let asked: Vec<&Desired> = wanted.iter().collect();
        let observations = observe(&*reader, &asked, &[]).await;
        for desired in wanted {
            let found = observations[desired.kind.name].get(desired.identity.as_deref().expect("one"));
            assert!(matches!(found, Observed::Unknown(_)), "{}: {found:?}", desired.address);
        }
    });
}

/// What stands in front of a server that is starting, or that throttles, answers with a page for people.
#[test]
fn a_page_of_a_balancer_says_whether_to_try_again() {
    on_rabbitmq("a_page_of_a_balancer_says_whether_to_try_again", async |target| {
        let queue = &tenant(target, "acme")[8];
        let identity = queue.identity.as_deref().expect("an identity");
        for (page, class) in [
            (
                "HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\ncontent-length: 17\r\nconnection: close\r\n\r\n<h1>502 Bad Gatew",
                ErrorClass::Retryable,
            ),
            (
                "HTTP/1.1 429 Slow\r\ncontent-type: text/html\r\nretry-after: 3600\r\ncontent-length: 5\r\nconnection: close\r\n\r\n<html",
                ErrorClass::Throttled { retry_after: Some(std::time::Duration::from_secs(3600)) },
            ),
            (
                "HTTP/1.1 401 No\r\ncontent-type: text/html\r\ncontent-length: 5\r\nconnection: close\r\n\r\n<html",
                ErrorClass::Denied,
            ),
        ] {
            let url = format!("http://tenantry:tenantry@127.0.0.1:{}", answering(page).await);
            let error = target.writer_at(&url).write(&[create(queue)]).await.expect_err("it is none").error;
            assert_eq!(error.class, class, "{error}");
            let observations = observe(&*target.reader_at(&url), &[queue], &[]).await;
            assert!(matches!(observations["rabbitmq.queue"].get(identity), Observed::Unknown(_)));
        }
    });
}

/// Limits are set one by one: what came of an attempt that was not answered is no conflict for the next.
#[test]
fn limits_that_were_set_half_are_set_wholly() {
    on_rabbitmq("limits_that_were_set_half_are_set_wholly", async |target| {
        let wanted = tenant(target, "acme");
        target.create(&[&wanted[0], &wanted[1]]).await;
        let own = target.name("acme");
        for (sort, spec, half) in [
            ("vhost", json!({"vhost": own, "maxConnections": 5, "maxQueues": 9}), "max-connections"),
            ("user", json!({"user": own, "maxConnections": 5, "maxChannels": 9}), "max-connections"),
        ] {
            let limits = target.desired(&format!("{sort}_limits"), &format!("acme/{sort}_limits"), spec);
            let path = format!("{sort}-limits/{own}/{half}");
            by_hand(target, "PUT", &path, &json!({"value": 5})).await;
            target.create(&[&limits]).await;
            target.assert_settled(&[&limits]).await;
            by_hand(target, "PUT", &path, &json!({"value": 6})).await;
            let error = target.try_write(&[create(&limits)]).await.expect_err("it is another").error;
            assert_eq!(error.class, ErrorClass::Conflict, "{error}");
        }
    });
}

/// Between the look and the request somebody could make another of that name.
#[test]
fn what_is_gone_is_not_deleted_once_more() {
    on_rabbitmq("what_is_gone_is_not_deleted_once_more", async |target| {
        let wanted = tenant(target, "acme");
        let proxy = TcpProxy::start(target.host()).await;
        let writer = target.writer_at(&target.url_at(proxy.port));
        for desired in &wanted {
            writer.write(&[delete(desired, &seen(desired))]).await.expect("it is gone");
        }
        assert!(proxy.has_seen(b"GET /api/vhosts") && !proxy.has_seen(b"DELETE /api"));
    });
}

#[test]
fn the_user_that_we_log_in_as_is_left_alone() {
    on_rabbitmq("the_user_that_we_log_in_as_is_left_alone", async |target| {
        let own = target.url.split("://").nth(1).and_then(|rest| rest.split(':').next()).expect("a user");
        let own = target.desired("user", "acme/own", json!({"name": own}));
        let Observed::Unknown(reason) = target.observe(&own).await else { panic!("it is known") };
        let reason = said(&reason);
        assert!(reason.contains("logs in as"), "{reason}");
        for step in [create(&own), update(&own, &seen(&own), &[]), delete(&own, &seen(&own))] {
            let error = target.try_write(&[step]).await.expect_err("it is our own").error;
            assert!(error.to_string().contains("could lock it out"), "{error}");
        }
        assert!(target.reader().probe().await.is_ok(), "it still logs in");
    });
}

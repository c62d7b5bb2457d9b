//! Lists that do not come to an end, or end before their time.

use crate::support::said;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value as Json, json};
use tenantry_core::model::resource::Observed;

use crate::answers::subjects::{Subject, api, kubernetes, stripe};
use crate::support::server::{Asked, Reply, Server};

fn port(server: &Server) -> u16 {
    server.url.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port")
}

/// Asks for a resource that is not on any page, and says why it is unknown and how many pages were asked for.
async fn given_up(
    subject: &Subject,
    answer: impl Fn(usize, &Asked) -> Reply + Send + Sync + 'static,
) -> (String, usize) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let server = Server::start(move |asked| {
        let reply = answer(counted.fetch_add(1, Ordering::Relaxed), &asked);
        async move { reply }
    })
    .await;
    match subject.observe(port(&server)).await {
        Observed::Unknown(reason) => (said(&reason), count.load(Ordering::Relaxed)),
        other => panic!("{}: {other:?} of a list that was not read to its end", subject.name),
    }
}

fn by_token() -> Subject {
    let paging = json!({"by": "token", "parameter": "after", "nextAt": "/next"});
    api(json!({"list": {"path": "/projects", "itemsAt": "/data", "paging": paging}}))
}

fn by_link() -> Subject {
    api(json!({"list": {"path": "/projects", "itemsAt": "/data", "paging": {"by": "link"}, "absent": [404]}}))
}

fn other() -> Json {
    json!({"id": "1", "name": "other"})
}

#[tokio::test]
async fn a_token_that_comes_again_ends_the_reading() {
    let (reason, count) =
        given_up(&by_token(), |_, _| Reply::json(200, &json!({"data": [other()], "next": "a"}))).await;
    assert!(reason.contains("leads back") && count == 2, "{reason} {count}");
    // A new one each time, and nothing new with it.
    let (reason, count) =
        given_up(&by_token(), |number, _| Reply::json(200, &json!({"data": [other()], "next": number.to_string()})))
            .await;
    assert!(reason.contains("brought nothing new") && count < 20, "{reason} {count}");
}

#[tokio::test]
async fn an_empty_page_is_not_the_last_one_if_it_names_another() {
    let subject = by_token();
    let server = Server::start(|asked: Asked| async move {
        Reply::json(
            200,
            &match asked.parameter("after") {
                None => json!({"data": [], "next": "2"}),
                Some(_) => json!({"data": [{"id": "7", "name": "acme"}]}),
            },
        )
    })
    .await;
    assert!(matches!(subject.observe(port(&server)).await, Observed::Present(_)));
}

#[tokio::test]
async fn a_link_that_leads_nowhere_takes_no_page_away() {
    for to in ["/projects?page=2", "/gone", "http://[broken"] {
        let (reason, _) = given_up(&by_link(), move |number, _| match number {
            0 => Reply::json(200, &json!({"data": [other()]})).header("link", format!("<{to}>; rel=\"next\"")),
            _ => Reply::json(404, &json!({"detail": "no such page"})),
        })
        .await;
        assert!(!reason.is_empty(), "{reason}");
    }
    let (reason, count) = given_up(&by_link(), |_, asked| {
        let link = format!("<{}>; rel=\"next\"", asked.path);
        Reply::json(200, &json!({"data": [other()]})).header("link", link)
    })
    .await;
    assert!(reason.contains("leads back") && count == 2, "{reason} {count}");
}

#[tokio::test]
async fn vendors_lists_come_to_an_end_too() {
    let customer = json!({"id": "cus_1", "object": "customer", "metadata": {}});
    let (reason, count) = given_up(&stripe(), move |_, asked| {
        let data = if asked.path.ends_with("/customers") { json!([customer]) } else { json!([]) };
        let has_more = data != json!([]);
        Reply::json(200, &json!({"object": "list", "data": data, "has_more": has_more}))
    })
    .await;
    assert!(reason.contains("leads back") && count < 20, "{reason} {count}");
    // It does not say whether it goes on.
    let (reason, _) = given_up(&stripe(), |_, _| Reply::json(200, &json!({"object": "list", "data": []}))).await;
    assert!(reason.contains("is not a list"), "{reason}");

    let (reason, count) = given_up(&kubernetes(), |_, asked| {
        if asked.path == "/api/v1" {
            return Reply::json(200, &crate::answers::writes::core_types());
        }
        let metadata = json!({"resourceVersion": "1", "continue": "again"});
        Reply::json(200, &json!({"kind": "ConfigMapList", "apiVersion": "v1", "metadata": metadata, "items": []}))
    })
    .await;
    assert!(reason.contains("leads back") && count < 20, "{reason} {count}");
}

//! Answers that are none, and credentials that must not travel.

use crate::support::said;
use std::sync::{Arc, Mutex};

use serde_json::{Value as Json, json};
use tenantry_core::model::resource::{Desired, Observed};
use tenantry_http::Http;
use tenantry_provider::conformance::WriteUnguarded as _;
use tenantry_provider::contract::{ErrorClass, Provider as _};

use crate::support::server::{Asked, Reply, Server};
use crate::support::vendors::{Api, Vendor};
use crate::support::{create, observe};

fn folder(api: &Api) -> Desired {
    api.bench.desired(
        "http.unmarked",
        "acme/folder",
        json!({"use": "grafana.folder", "name": "acme", "fields": {"title": "Acme"}}),
    )
}

async fn unknown(api: &Api, desired: &Desired) -> String {
    let observed = observe(&*api.reader(), &[desired], &[]).await;
    match observed[desired.kind.name].get(desired.identity.as_deref().expect("an identity")) {
        Observed::Unknown(reason) => said(&reason),
        other => panic!("{other:?} is no outage"),
    }
}

#[tokio::test]
async fn what_is_no_answer_is_unknown_and_says_why() {
    let api = Api::start(Vendor::Grafana).await;
    let desired = folder(&api);
    let html =
        || Reply { body: b"<html>Log in</html>".to_vec(), ..Reply::empty(200) }.header("content-type", "text/html");
    let cases: Vec<(Reply, &str)> = vec![
        (html(), "not JSON but text/html"),
        (Reply::json(200, &json!({"message": "hello"})), "has no list"),
        (
            Reply::json(403, &json!({"message": "Permissions needed: folders:read"})),
            "Permissions needed: folders:read (status 403)",
        ),
        (Reply::json(500, &json!({"message": "boom"})), "boom (status 500)"),
        (Reply { body: b"<html>Bad gateway</html>".to_vec(), ..Reply::empty(502) }, "status 502"),
        (Reply::empty(302).header("location", "https://evil.example/login"), "redirects to evil.example"),
        (Reply::empty(302).header("location", "/api/folders"), "too many redirects"),
        (Reply { body: vec![b'x'; 33 << 20], ..Reply::empty(200) }, "longer than"),
    ];
    for (reply, says) in cases {
        let status = reply.status;
        api.state().fault = Some(Box::new(move |_| Some(reply.clone())));
        let reason = unknown(&api, &desired).await;
        assert!(reason.contains(says), "{status}: {reason}");
        assert!(!reason.contains("YWRtaW4"), "{reason}");
        let error = api.writer().write(&[create(&desired)]).await.expect_err("nothing is written");
        let class = match status {
            403 => ErrorClass::Denied,
            500.. => ErrorClass::Retryable,
            _ => ErrorClass::Fatal,
        };
        assert_eq!(error.error.class, class, "{error}");
    }
    assert_eq!(api.state().objects, [Json::Null; 0]);
}

#[tokio::test]
async fn an_api_that_throttles_is_waited_for() {
    let api = Api::start(Vendor::Grafana).await;
    let desired = folder(&api);
    let count = Arc::new(Mutex::new(0));
    api.state().fault = Some(Box::new(move |_| {
        let mut count = count.lock().expect("no panic");
        *count += 1;
        (*count % 2 == 1).then(|| Reply::json(429, &json!({})).header("retry-after", "0.05"))
    }));
    api.writer().write(&[create(&desired)]).await.expect("it is made");
}

/// A second host that notes what it is sent.
async fn elsewhere() -> (Server, Arc<Mutex<Vec<Asked>>>) {
    let noted = Arc::new(Mutex::new(Vec::new()));
    let shared = noted.clone();
    let server = Server::start(move |asked| {
        shared.lock().expect("no panic").push(asked);
        async { Reply::json(200, &json!([])) }
    })
    .await;
    (server, noted)
}

#[tokio::test]
async fn credentials_go_to_no_other_host() {
    let api = Api::start(Vendor::Webhooks).await;
    let (other, noted) = elsewhere().await;
    let spec = json!({"use": "webhook.subscription", "name": "acme", "parameters": {"collection": "hooks"}});
    let desired = api.bench.desired("http.resource", "acme/hook", spec);
    let to = other.url.clone();
    let link = format!("<{}/hooks?from=1>; rel=\"next\"", other.url);
    for reply in
        [Reply::empty(307).header("location", format!("{to}/hooks")), Reply::json(200, &json!([])).header("link", link)]
    {
        api.state().fault = Some(Box::new(move |_| Some(reply.clone())));
        let reason = unknown(&api, &desired).await;
        assert!(reason.contains("redirects to 127.0.0.1"), "{reason}");
    }
    assert!(noted.lock().expect("no panic").is_empty());
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_again_when_it_ended() {
    let tokens = Arc::new(Mutex::new(Vec::new()));
    let shared = tokens.clone();
    let issuer = Server::start(move |asked: Asked| {
        let mut tokens = shared.lock().expect("no panic");
        // tenantry:pass%word in basic authentication.
        assert_eq!(asked.header("authorization"), Some("Basic dGVuYW50cnk6cGFzcyV3b3Jk"));
        assert_eq!(String::from_utf8_lossy(&asked.body), "grant_type=client_credentials&scope=read+write");
        let token = format!("token-{}", tokens.len());
        tokens.push(token.clone());
        async move { Reply::json(200, &json!({"access_token": token, "token_type": "Bearer", "expires_in": 3600})) }
    })
    .await;
    let shared = tokens.clone();
    let ended = Arc::new(Mutex::new(false));
    let has_ended = ended.clone();
    let server = Server::start(move |asked: Asked| {
        let newest = format!("Bearer {}", shared.lock().expect("no panic").last().expect("a token"));
        let mut ended = has_ended.lock().expect("no panic");
        let is_refused = asked.header("authorization") != Some(&newest) || std::mem::take(&mut *ended);
        async move {
            if is_refused { Reply::json(401, &json!({"message": "expired"})) } else { Reply::json(200, &json!([])) }
        }
    })
    .await;
    let api = Api::start(Vendor::Grafana).await;
    let mut settings = api.settings();
    settings.values = json!({"url": server.url, "auth": "client_credentials", "token_url": issuer.url, "client_id": "tenantry", "scope": "read write"})
        .as_object()
        .expect("an object")
        .clone();
    settings.secrets = [("client_secret".to_owned(), "pass%word".to_owned().into())].into();
    let reader = Http.reader(&settings).expect("valid settings");
    let desired = folder(&api);
    for tokens_until_now in [1, 1, 2] {
        if tokens_until_now == 2 {
            *ended.lock().expect("no panic") = true;
        }
        let observed = observe(&*reader, &[&desired], &[]).await;
        assert_eq!(observed["http.unmarked"].get(desired.identity.as_deref().expect("an identity")), Observed::Absent);
        assert_eq!(tokens.lock().expect("no panic").len(), tokens_until_now);
    }
}

#[tokio::test]
async fn settings_that_make_no_sense_are_refused() {
    let api = Api::start(Vendor::Grafana).await;
    for (values, says) in [
        (json!({"url": "http://grafana.example"}), "must begin with https"),
        (json!({"url": "https://user:word@grafana.example"}), "must not have a user"),
        (json!({"url": "https://grafana.example", "auth": "bearer"}), "`auth` needs `token`"),
        (json!({"url": "https://grafana.example", "auth": "magic"}), "cannot be `magic`"),
        (json!({"url": "https://grafana.example", "roots": "/nowhere.pem"}), "cannot be used"),
    ] {
        let mut settings = api.settings();
        settings.values = values.as_object().expect("an object").clone();
        settings.secrets.clear();
        let error = Http.reader(&settings).err().expect("it is refused");
        assert!(error.cause.contains(says), "{error}");
    }
}

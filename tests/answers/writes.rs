//! Writes that are not answered as they should be: what is sent again, and what stays in doubt.

use std::sync::{Arc, Mutex};

use serde_json::{Value as Json, json};
use tenantry_core::model::resource::{Observed, Present};
use tenantry_provider::conformance::WriteUnguarded as _;
use tenantry_provider::contract::{ErrorClass, ProviderError, Step, Writer};

use crate::answers::subjects::{Subject, api, api_unmarked, kubernetes, rabbitmq, s3, stripe};
use crate::support::server::{Asked, Cut, Reply, Server};
use crate::support::{create, delete, mark};

/// A server that notes what would change something.
struct Noting {
    server: Server,
    writes: Arc<Mutex<Vec<Asked>>>,
}

impl Noting {
    /// `answer` is given the number of writes so far.
    async fn start(answer: impl Fn(usize, &Asked) -> Reply + Send + Sync + 'static) -> Self {
        let writes = Arc::new(Mutex::new(Vec::new()));
        let noted = writes.clone();
        let server = Server::start(move |asked: Asked| {
            let mut writes = noted.lock().expect("no panic");
            let reply = answer(writes.len(), &asked);
            if asked.method != "GET" && asked.method != "HEAD" {
                writes.push(asked);
            }
            async move { reply }
        })
        .await;
        Self { server, writes }
    }

    fn port(&self) -> u16 {
        self.server.url.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port")
    }

    fn writer(&self, subject: &Subject) -> Box<dyn Writer> {
        subject.writer(self.port())
    }

    fn count(&self) -> usize {
        self.writes.lock().expect("no panic").len()
    }
}

async fn refused(writer: &dyn Writer, step: Step) -> ProviderError {
    writer.write(&[step]).await.expect_err("it is not done").error
}

/// Types of `v1`, as an API server tells them.
pub fn core_types() -> Json {
    let resource = json!({"name": "configmaps", "namespaced": true, "kind": "ConfigMap", "verbs": ["list"]});
    json!({"kind": "APIResourceList", "groupVersion": "v1", "resources": [resource]})
}

fn busy() -> Reply {
    Reply::json(503, &json!({"message": "try later"})).header("retry-after", "0")
}

/// What the list of our API has once something was made.
fn listed(made: bool) -> Reply {
    let labels = json!({"tenantry_estate": "shop", "tenantry_address": "acme/it"});
    let object = json!({"id": "1", "name": "acme", "title": "Acme", "labels": labels});
    Reply::json(200, &json!({"data": if made { vec![object] } else { Vec::new() }}))
}

#[tokio::test]
async fn what_may_have_been_made_is_not_made_again() {
    let subject = api(json!({}));
    let cut = || Reply { cut: Cut::HalfWay, ..Reply::json(201, &json!({"id": "1", "name": "acme", "title": "Acme"})) };
    let garbage = || Reply { body: b"<html>".to_vec(), ..Reply::empty(201) }.header("content-type", "text/html");
    for reply in
        [busy(), cut(), garbage(), Reply::json(500, &json!({})), Reply { cut: Cut::BeforeIt, ..Reply::empty(201) }]
    {
        let is_found = Arc::new(Mutex::new(false));
        let found = is_found.clone();
        let status = reply.status;
        let server = Noting::start(move |_, asked| match asked.method.as_str() {
            "GET" => listed(*found.lock().expect("no panic")),
            "POST" => reply.clone(),
            _ => Reply::json(200, &json!({"id": "1", "name": "acme", "title": "Acme"})),
        })
        .await;
        let writer = server.writer(&subject);
        let error = refused(&*writer, create(&subject.desired)).await;
        assert!(error.is_in_doubt && server.count() == 1, "{status}: {error}");
        // Tried again, it looks and finds nothing: nobody knows, and it is not made a second time.
        let error = refused(&*writer, create(&subject.desired)).await;
        assert!(error.is_in_doubt && error.class == ErrorClass::Retryable && server.count() == 1, "{status}: {error}");
        assert!(error.to_string().contains("the request is not sent again"), "{error}");
        // It turns up, with the mark of this very step.
        *is_found.lock().expect("no panic") = true;
        writer.write(&[create(&subject.desired)]).await.expect("it is there");
        let posted = server.writes.lock().expect("no panic").iter().filter(|asked| asked.method == "POST").count();
        assert_eq!(posted, 1, "{status}");
    }
}

#[tokio::test]
async fn what_was_refused_is_not_in_doubt() {
    let subject = api(json!({}));
    for (status, class) in [(403, ErrorClass::Denied), (422, ErrorClass::Fatal), (423, ErrorClass::Retryable)] {
        let server = Noting::start(move |_, asked| match asked.method.as_str() {
            "GET" => listed(false),
            _ => Reply::json(status, &json!({"message": "no"})),
        })
        .await;
        let writer = server.writer(&subject);
        for times in 1..3 {
            let error = refused(&*writer, create(&subject.desired)).await;
            assert_eq!((error.class, error.is_in_doubt, server.count()), (class, false, times), "{error}");
        }
    }
}

#[tokio::test]
async fn an_idempotency_key_of_the_api_lets_it_be_sent_again() {
    let create_call = json!({"method": "POST", "path": "/projects", "idempotencyKey": "X-Request-Key"});
    let subject = api(json!({"create": create_call}));
    let server = Noting::start(|count, asked| match (asked.method.as_str(), count) {
        ("GET", _) => listed(false),
        (_, 0) => busy(),
        _ => Reply::json(201, &json!({"id": "1", "name": "acme", "title": "Acme"})),
    })
    .await;
    server.writer(&subject).write(&[create(&subject.desired)]).await.expect("it is made");
    let writes = server.writes.lock().expect("no panic");
    let keys: Vec<_> = writes.iter().map(|asked| asked.header("x-request-key")).collect();
    assert_eq!(keys, [Some("acme/it/1"); 2]);
}

#[tokio::test]
async fn an_empty_list_with_other_fields_is_not_googles_empty_list() {
    let list = json!({"path": "/projects", "itemsAt": "/data", "omitsEmpty": true, "incompleteAt": "/unreachable",
        "paging": {"by": "token", "parameter": "page", "nextAt": "/next"}});
    let subject = api(json!({"list": list}));
    for (answer, is_absent) in [
        (json!({}), true),
        (json!({"totalSize": 0, "next": ""}), true),
        (json!({"message": "hello"}), false),
        (json!({"items": [{"name": "acme"}]}), false),
        (json!({"data": null}), false),
        (json!({"data": [], "unreachable": ["eu-west-1"]}), false),
        (json!({"data": [], "unreachable": []}), true),
    ] {
        let reply = answer.clone();
        let server = Noting::start(move |_, _| Reply::json(200, &reply)).await;
        let observed = subject.observe(server.port()).await;
        assert_eq!(matches!(observed, Observed::Absent), is_absent, "{answer}: {observed:?}");
    }
}

fn seen(subject: &Subject) -> Present {
    let desired = &subject.desired;
    Present { spec: desired.spec.shared(), mark: Some(mark(desired)), ..Present::default() }
}

#[tokio::test]
async fn a_deletion_that_somebody_else_answers_is_none() {
    let unmarked = api_unmarked();
    let page =
        Reply { body: b"<html>Not found</html>".to_vec(), ..Reply::empty(404) }.header("content-type", "text/html");
    let text =
        Reply { body: b"default backend - 404".to_vec(), ..Reply::empty(404) }.header("content-type", "text/plain");
    for reply in [page, text] {
        let server = Noting::start(move |_, asked| match asked.method.as_str() {
            "GET" => listed(true),
            _ => reply.clone(),
        })
        .await;
        let error = refused(&*server.writer(&unmarked), delete(&unmarked.desired, &seen(&unmarked))).await;
        assert!(error.to_string().contains("404"), "{error}");
    }
}

const POLICY: &str = r#"{"vhost": "acme", "name": "p", "pattern": ".*", "apply-to": "all", "priority": 0,
    "definition": {"max-length": 1}}"#;

/// The management API answers a deletion with 204 and nothing else, and a PUT with 201 or 204.
#[tokio::test]
async fn a_broker_that_answers_200_to_a_write_is_none() {
    let spec = json!({"vhost": "acme", "name": "p", "pattern": ".*", "definition": {"max-length": 1}});
    let subject = rabbitmq("rabbitmq.policy", spec);
    for is_there in [true, false] {
        let server = Noting::start(move |_, asked| match (asked.method.as_str(), is_there) {
            ("GET", true) => Reply::json(200, &serde_json::from_str(POLICY).expect("JSON")),
            ("GET", false) => Reply::json(404, &json!({"error": "Object Not Found", "reason": "Not Found"})),
            _ => Reply::json(200, &json!({"ok": true})),
        })
        .await;
        let step = if is_there { delete(&subject.desired, &seen(&subject)) } else { create(&subject.desired) };
        let error = refused(&*server.writer(&subject), step).await;
        assert!(error.is_in_doubt && error.to_string().contains("did not come from the management API"), "{error}");
        assert_eq!(server.count(), 1);
    }
}

/// `[]` is what a gateway may answer to anything; a broker without any virtual host says so in its definitions too, and still has
/// users.
#[tokio::test]
async fn no_virtual_host_at_all_is_believed_only_with_the_definitions() {
    let subject = rabbitmq("rabbitmq.vhost", json!({"name": "acme"}));
    let definitions = |users: Json, vhosts: Json| {
        json!({"rabbit_version": "3.10.8", "users": users, "vhosts": vhosts, "permissions": [], "topic_permissions": [],
            "parameters": [], "policies": [], "queues": [], "exchanges": [], "bindings": []})
    };
    let ann = || json!([{"name": "ann", "password_hash": "", "tags": ["administrator"]}]);
    for (users, vhosts, is_absent) in
        [(ann(), json!([]), true), (ann(), json!([{"name": "/"}]), false), (json!([]), json!([]), false)]
    {
        let all = definitions(users, vhosts);
        let server = Noting::start(move |_, asked| match asked.path.as_str() {
            "/api/definitions" => Reply::json(200, &all),
            _ => Reply::json(200, &json!([])),
        })
        .await;
        // Asked for as the engine does: with another kind, which needs the definitions.
        let observed = subject.observe_with(server.port(), &["rabbitmq.queue"]).await;
        assert_eq!(matches!(observed, Observed::Absent), is_absent, "{observed:?}");
    }
}

/// Who may not see the definitions perhaps sees their own virtual hosts only.
#[tokio::test]
async fn a_user_that_sees_only_its_own_does_not_say_what_is_absent() {
    let subject = rabbitmq("rabbitmq.vhost", json!({"name": "acme"}));
    for (tags, is_absent) in
        [(json!(["management"]), false), (json!(["monitoring"]), true), (json!("administrator"), true)]
    {
        let server = Noting::start(move |_, asked| match asked.path.as_str() {
            "/api/whoami" => Reply::json(200, &json!({"name": "ann", "tags": tags})),
            "/api/vhosts" => Reply::json(200, &json!([{"name": "own", "description": ""}])),
            _ => Reply::json(401, &json!({"error": "not_authorised", "reason": "Not administrator user"})),
        })
        .await;
        let observed = subject.observe_with(server.port(), &["rabbitmq.queue"]).await;
        assert_eq!(matches!(observed, Observed::Absent), is_absent, "{observed:?}");
    }
}

#[tokio::test]
async fn an_answer_to_a_patch_that_is_not_the_object_leaves_it_in_doubt() {
    let subject = kubernetes();
    let absent = json!({"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404});
    for answer in [
        json!({"items": []}),
        json!({}),
        json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "other", "namespace": "acme", "uid": "1"}}),
    ] {
        let (absent, answer) = (absent.clone(), answer.clone());
        let server = Noting::start(move |_, asked| match (asked.method.as_str(), asked.path.as_str()) {
            ("GET", "/api/v1") => Reply::json(200, &core_types()),
            ("GET", _) => Reply::json(404, &absent),
            _ => Reply::json(200, &answer),
        })
        .await;
        let error = refused(&*server.writer(&subject), create(&subject.desired)).await;
        assert!(error.is_in_doubt && error.to_string().contains("not the requested ConfigMap `web`"), "{error}");
        // Its mark is not taken off again.
        assert_eq!(server.count(), 1);
    }
}

#[tokio::test]
async fn a_bucket_whose_tags_are_refused_is_in_doubt() {
    let subject = s3();
    let xml = |status: u16, code: &str| crate::support::s3::error(status, code);
    let server = Noting::start(move |count, asked| match (asked.method.as_str(), asked.query.is_empty()) {
        ("GET", _) if count == 0 => xml(404, "NoSuchBucket"),
        ("GET", _) => xml(404, "NoSuchTagSet"),
        ("PUT", true) => Reply::empty(200),
        _ => xml(403, "AccessDenied"),
    })
    .await;
    let writer = server.writer(&subject);
    let error = refused(&*writer, create(&subject.desired)).await;
    assert_eq!((error.class, error.is_in_doubt), (ErrorClass::Denied, true), "{error}");
}

#[tokio::test]
async fn a_customer_that_nobody_answers_is_in_doubt() {
    let subject = stripe();
    let server = Noting::start(|_, asked| match asked.method.as_str() {
        "GET" => Reply::json(200, &json!({"object": "list", "data": [], "has_more": false})),
        _ => Reply::json(200, &json!({"items": []})),
    })
    .await;
    let error = refused(&*server.writer(&subject), create(&subject.desired)).await;
    assert!(error.is_in_doubt && error.class == ErrorClass::Fatal, "{error}");
}

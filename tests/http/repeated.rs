//! Writes that were interrupted and are repeated, and writes that somebody else was faster with.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value as Json, json};
use tenantry_core::model::resource::{Desired, Observed};
use tenantry_provider::conformance::WriteUnguarded as _;
use tenantry_provider::contract::{ErrorClass, StepAction};

use crate::support::server::{Asked, Reply};
use crate::support::vendors::{Api, Vendor};
use crate::support::{create, delete, observe, present};

async fn observed(api: &Api, desired: &Desired) -> Observed {
    let observations = observe(&*api.reader(), &[desired], &[]).await;
    observations[desired.kind.name].get(desired.identity.as_deref().expect("an identity"))
}

/// The first requests that fit are answered so.
fn at_first(api: &Api, times: usize, fits: impl Fn(&Asked) -> bool + Send + Sync + 'static, reply: Reply) {
    let left = AtomicUsize::new(times);
    let spend = move || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
    api.state().fault = Some(Box::new(move |asked| (fits(asked) && spend()).then(|| reply.clone())));
}

fn about_operations(asked: &Asked) -> bool {
    asked.path.contains("/operations/")
}

fn out_of_order() -> Reply {
    Reply::json(503, &json!({"message": "try later"}))
}

#[tokio::test]
async fn what_was_made_before_the_answer_was_lost_is_found_by_the_next_try() {
    let api = Api::start(Vendor::Neon).await;
    let spec = json!({"use": "neon.branch", "name": "acme", "parameters": {"project": "p1"}});
    let desired = api.bench.desired("http.unmarked", "acme/branch", spec);
    let writer = api.writer();
    at_first(&api, 100, about_operations, out_of_order());
    let error = writer.write(&[create(&desired)]).await.expect_err("nobody says how it went").error;
    assert_eq!(error.class, ErrorClass::Retryable, "{error}");
    api.state().fault = None;
    let written = writer.write(&[create(&desired)]).await.expect("it is there");
    assert_eq!(api.state().objects.len(), 1);
    assert_eq!(written[0].outputs.get("id"), present(observed(&api, &desired).await).outputs.get("id"));
}

#[tokio::test]
async fn what_replaced_the_old_one_before_the_answer_was_lost_is_not_taken_for_anothers() {
    let api = Api::start(Vendor::Neon).await;
    let branch = json!({"use": "neon.branch", "name": "acme", "parameters": {"project": "p1"}});
    let branch = api.bench.desired("http.unmarked", "acme/branch", branch);
    let written = api.writer().write(&[create(&branch)]).await.expect("it is made");
    let id = written[0].outputs.get("id").expect("an id").to_json();
    let spec = json!({"use": "neon.endpoint", "name": id, "parameters": {"project": "p1"}});
    let desired = api.bench.desired("http.unmarked", "acme/endpoint", spec);
    api.writer().write(&[create(&desired)]).await.expect("it is made");
    let found = present(observed(&api, &desired).await);
    let steps = [delete(&desired, &found), create(&desired)];
    let writer = api.writer();
    let asked_before = AtomicUsize::new(0);
    // The operation of the deletion is told, that of the creation is not.
    api.state().fault = Some(Box::new(move |asked| {
        let is_later = about_operations(asked) && asked_before.fetch_add(1, Ordering::Relaxed) > 0;
        is_later.then(out_of_order)
    }));
    let error = writer.write(&steps).await.expect_err("nobody says how it went").error;
    assert_eq!(error.class, ErrorClass::Retryable, "{error}");
    api.state().fault = None;
    writer.write(&steps).await.expect("it is replaced");
    assert_eq!(api.state().neon.endpoints.len(), 1);
    assert_ne!(present(observed(&api, &desired).await).outputs.get("id"), found.outputs.get("id"));
}

#[tokio::test]
async fn an_operation_that_failed_leaves_open_whose_it_is() {
    let api = Api::start(Vendor::Neon).await;
    let spec = json!({"use": "neon.branch", "name": "acme", "parameters": {"project": "p1"}});
    let desired = api.bench.desired("http.unmarked", "acme/branch", spec);
    at_first(&api, 1, about_operations, Reply::json(403, &json!({"message": "no"})));
    let error = api.writer().write(&[create(&desired)]).await.expect_err("nobody says how it went").error;
    assert_eq!((error.class, error.is_in_doubt), (ErrorClass::Denied, true), "{error}");
    assert_eq!(api.state().objects.len(), 1);
    at_first(&api, 1, |asked| asked.method == "POST", Reply::json(403, &json!({"message": "no"})));
    let spec = json!({"use": "neon.branch", "name": "other", "parameters": {"project": "p1"}});
    let desired = api.bench.desired("http.unmarked", "acme/other", spec);
    let error = api.writer().write(&[create(&desired)]).await.expect_err("it is refused").error;
    assert_eq!((error.class, error.is_in_doubt), (ErrorClass::Denied, false), "{error}");
}

async fn secret(api: &Api) -> Json {
    let parameters = json!({"project": "p1"});
    let secret = json!({"use": "secretmanager.secret", "name": "acme-db", "parameters": parameters, "fields": {"replication": {"automatic": {}}}});
    let secret = api.bench.desired("http.resource", "acme/secret", secret);
    api.writer().write(&[create(&secret)]).await.expect("it is made");
    parameters
}

#[tokio::test]
async fn what_somebody_else_made_since_the_plan_is_not_written_over() {
    let api = Api::start(Vendor::SecretManager).await;
    let parameters = secret(&api).await;
    let policy = |member: &str| {
        let bindings = json!([{"role": "roles/secretmanager.secretAccessor", "members": [member]}]);
        json!({"use": "secretmanager.policy", "name": "acme-db", "parameters": parameters, "fields": {"bindings": bindings}})
    };
    let value = |text: &str| json!({"use": "secretmanager.version", "name": "acme-db", "parameters": parameters, "fields": {"payload": {"data": text}}});
    for (theirs, ours) in [(policy("user:them"), policy("user:us")), (value("theirs"), value("ours"))] {
        let theirs = api.bench.desired("http.unmarked", "other/it", theirs);
        let ours = api.bench.desired("http.unmarked", "acme/it", ours);
        api.writer().write(&[create(&theirs)]).await.expect("it is made");
        let before = present(observed(&api, &theirs).await);
        let error = api.writer().write(&[create(&ours)]).await.expect_err("they were faster").error;
        assert_eq!(error.class, ErrorClass::Conflict, "{error}");
        assert_eq!(present(observed(&api, &theirs).await), before);
    }
}

#[tokio::test]
async fn a_policy_with_conditions_can_be_changed_and_emptied() {
    let api = Api::start(Vendor::SecretManager).await;
    let parameters = secret(&api).await;
    let reader = json!({"role": "roles/secretmanager.secretAccessor", "members": ["user:a"]});
    let mut sometimes = reader.clone();
    sometimes["condition"] =
        json!({"title": "trial", "expression": "request.time < timestamp('2099-01-01T00:00:00Z')"});
    let policy = |bindings: Json| {
        let spec = json!({"use": "secretmanager.policy", "name": "acme-db", "parameters": parameters, "fields": {"bindings": bindings}});
        api.bench.desired("http.unmarked", "acme/policy", spec)
    };
    let conditional = policy(json!([sometimes]));
    api.writer().write(&[create(&conditional)]).await.expect("it is made");
    let found = present(observed(&api, &conditional).await);
    assert_eq!(
        found.spec.get("fields").and_then(|fields| fields.get("bindings")),
        conditional.spec.get("fields").and_then(|fields| fields.get("bindings"))
    );
    let plain = policy(json!([reader]));
    api.writer().write(&[crate::support::update(&plain, &found, &[])]).await.expect("it is changed");
    let found = present(observed(&api, &plain).await);
    api.writer().write(&[crate::support::update(&conditional, &found, &[])]).await.expect("it is changed back");
    let found = present(observed(&api, &conditional).await);
    api.writer().write(&[delete(&conditional, &found)]).await.expect("it is emptied");
    assert_eq!(observed(&api, &conditional).await, Observed::Absent);
}

#[tokio::test]
async fn no_part_of_a_secret_stands_in_an_error_that_quotes_it() {
    let api = Api::start(Vendor::SecretManager).await;
    let parameters = secret(&api).await;
    let key: String = (0..300).map(|number| format!("{number:04}")).collect();
    let spec = json!({"use": "secretmanager.version", "name": "acme-db", "parameters": parameters, "fields": {"payload": {"data": key}}});
    let desired = api.bench.desired("http.unmarked", "acme/value", spec);
    let mut step = create(&desired);
    let StepAction::Create { secrets, .. } = &mut step.action else { panic!("a creation") };
    *secrets = vec!["/fields/payload/data".to_owned()];
    let quotes = |asked: &Asked| {
        let data = asked.json()["payload"]["data"].as_str()?.to_owned();
        Some(Reply::json(
            400,
            &json!({"error": {"message": format!("Invalid value at 'payload.data' (TYPE_BYTES), \"{data}\"")}}),
        ))
    };
    api.state().fault = Some(Box::new(quotes));
    let error = api.writer().write(&[step]).await.expect_err("it is refused").error.to_string();
    // The beginning of its Base64 form.
    assert!(error.contains("Invalid value at") && !error.contains("MDAwMDAwMDEwMDAy"), "{error}");
}

#[tokio::test]
async fn a_page_for_people_does_not_say_that_something_is_absent() {
    let page = Reply { body: b"<html>Not found</html>".to_vec(), ..Reply::empty(404) }
        .header("content-type", "text/html; charset=UTF-8");
    let neon = Api::start(Vendor::Neon).await;
    let secrets = Api::start(Vendor::SecretManager).await;
    let role = json!({"use": "neon.role", "name": "app", "parameters": {"project": "p1", "branch": "br-1"}});
    let version = json!({"use": "secretmanager.version", "name": "acme-db", "parameters": {"project": "p1"}});
    for (api, spec) in [(&neon, role), (&secrets, version)] {
        let desired = api.bench.desired("http.unmarked", "acme/it", spec);
        assert_eq!(observed(api, &desired).await, Observed::Absent);
        let page = page.clone();
        api.state().fault = Some(Box::new(move |_| Some(page.clone())));
        let observed = observed(api, &desired).await;
        assert!(matches!(observed, Observed::Unknown(_)), "{observed:?}");
    }
}

//! `event`: signed, once, in order, on a branch.

use std::io::Write as _;
use std::process::Stdio;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value as Json, json};

use super::{DOG, Flow, Said};
use crate::command::{NOW, tenantry};

const BRANCH: &str = "tenantry/events";

const EVENTS: &str = r#"
[events]
external = "values.crm"
secret = "env:EVENT_SECRET"
phases = { cancelled = "suspended", payment_failed = "suspended" }

[events.stripe]
secret = "env:STRIPE_SECRET"
metadata = "tenant"
customer = "values.stripe"
display_name = "company"
phases = { active = "active" }
prices = [{ price = "small-monthly", tier = "small" }, { price = "large-monthly", tier = "large" }]
"#;

fn flow() -> Flow {
    let flow = Flow::new();
    let config = flow.read("tenantry.toml").replace("[targets.main]", &format!("{EVENTS}\n[targets.main]"));
    flow.estate.write("tenantry.toml", &config);
    flow.commit_all("Events");
    flow
}

/// `at` seconds after the tests' time.
fn signature(secret: &str, at: i64, body: &str) -> String {
    let time = (1_767_225_600 + at).to_string();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).expect("a key");
    mac.update(format!("{time}.{body}").as_bytes());
    let digits: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={time},v1={digits}")
}

impl Flow {
    fn event(&self, body: &str, arguments: &[&str]) -> Said {
        let mut command = tenantry(self.path());
        command
            .args(["event", "-", "--now", NOW])
            .args(arguments)
            .env("STRIPE_SECRET", "whsec_a")
            .env("EVENT_SECRET", "b");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the command starts");
        let written = child.stdin.take().expect("stdin").write_all(body.as_bytes());
        written.expect("the command reads");
        Said::of(child.wait_with_output().expect("the command ends"))
    }

    fn stripe(&self, event: &Json) -> Said {
        let body = event.to_string();
        self.event(&body, &["--signature", &signature("whsec_a", -5, &body)])
    }

    fn generic(&self, event: &Json) -> Said {
        self.event(&event.to_string(), &["--unsigned"])
    }
}

fn stripe(id: &str, sort: &str, second: i64, object: &Json) -> Json {
    json!({"id": id, "object": "event", "type": sort, "created": 1_767_000_000 + second, "data": {"object": object}})
}

fn subscription(customer: &str, price: &str) -> Json {
    let price = json!({"id": "price_1", "lookup_key": price, "product": "prod_1"});
    json!({"customer": customer, "status": "active", "metadata": {}, "items": {"data": [{"price": price}]}})
}

fn updated_of(flow: &Flow, id: &str, second: i64, price: &str) -> Said {
    flow.stripe(&stripe(id, "customer.subscription.updated", second, &subscription("cus_dog", price)))
}

#[test]
fn an_event_of_stripe_becomes_a_commit_on_a_branch() {
    let flow = flow();
    let event = stripe("evt_1", "customer.subscription.updated", 10, &subscription("cus_dog", "small-monthly"));
    let out = flow.stripe(&event).ok();
    assert!(out.starts_with("tenants/dog.yaml\ncommitted as "), "{out}");
    assert_eq!(flow.read_at(BRANCH, "tenants/dog.yaml"), DOG.replace("tier: large", "tier: small"));
    let tip = flow.tip(BRANCH);
    assert_eq!(
        tip.message().expect("UTF-8"),
        "Subscription updated for dog\n\nTenantry-Event: evt_1\nTenantry-Event-Time: 2025-12-29T09:20:10Z\nTenantry-Tenant: dog\n"
    );
    assert_eq!(tip.parent(0).expect("a parent").id(), flow.tip("main").id());
    assert_eq!((flow.read("tenants/dog.yaml").as_str(), flow.status()), (DOG, vec![]));
}

#[test]
fn an_event_is_taken_once_even_after_its_branch_was_merged() {
    let flow = flow();
    let event = stripe("evt_1", "customer.subscription.updated", 10, &subscription("cus_dog", "small-monthly"));
    flow.stripe(&event).ok();
    let tip = flow.tip(BRANCH).id();
    let again = flow.stripe(&event);
    assert!(again.err.contains("evt_1 was already taken"), "{}", again.err);
    assert_eq!((again.ok().as_str(), flow.tip(BRANCH).id()), ("", tip));
    // Squashed into main, as a forge does it, and the branch deleted.
    flow.estate.write("tenants/dog.yaml", &flow.read_at(BRANCH, "tenants/dog.yaml"));
    flow.commit_all(&format!("Events (#7)\n\n* {}", flow.tip(BRANCH).message().expect("UTF-8")));
    flow.repository.find_branch(BRANCH, git2::BranchType::Local).expect("it is there").delete().expect("deleted");
    assert!(flow.stripe(&event).err.contains("evt_1 was already taken"));
    assert!(flow.repository.find_branch(BRANCH, git2::BranchType::Local).is_err());
}

#[test]
fn a_history_that_was_cut_off_is_not_taken_for_the_whole() {
    let flow = flow();
    std::fs::write(flow.path().join(".git/shallow"), format!("{}\n", flow.tip("main").id())).expect("written");
    flow.generic(&json!({"id": "a", "time": NOW, "type": "payment.failed", "tenant": "dog"}))
        .fails(1, "this clone is shallow");
    assert!(flow.repository.find_branch(BRANCH, git2::BranchType::Local).is_err(), "nothing was written");
}

#[test]
fn an_older_event_does_not_undo_a_newer_one() {
    let flow = flow();
    let updated = |id: &str, second, price: &str| updated_of(&flow, id, second, price);
    updated("evt_2", 20, "small-monthly").ok();
    let late = updated("evt_1", 10, "large-monthly");
    assert!(late.err.contains("evt_1 is older than evt_2, which was already taken for dog"), "{}", late.err);
    late.ok();
    assert!(flow.read_at(BRANCH, "tenants/dog.yaml").contains("tier: small"));
    // Under another name too.
    let flow = self::flow();
    updated_of(&flow, "evt_2", 20, "small-monthly").ok();
    let text = flow.read_at(BRANCH, "tenants/dog.yaml").replace("name: dog", "name: wolf\n  previously: [dog]");
    flow.estate.write("tenants/dog.yaml", &text);
    flow.commit_all(&format!("Rename\n\n{}", flow.tip(BRANCH).message().expect("UTF-8")));
    flow.repository.find_branch(BRANCH, git2::BranchType::Local).expect("it is there").delete().expect("deleted");
    assert!(updated_of(&flow, "evt_1", 10, "large-monthly").err.contains("evt_1 is older than evt_2"));
}

#[test]
fn an_event_that_asks_for_nothing_new_counts_too() {
    let flow = flow();
    let updated = |id: &str, second, price: &str| updated_of(&flow, id, second, price);
    updated("evt_2", 20, "small-monthly").ok();
    let same = updated("evt_4", 40, "small-monthly");
    assert!(same.err.contains("only the event was recorded"), "{}", same.err);
    same.ok();
    assert!(updated("evt_3", 30, "large-monthly").err.contains("older than evt_4"));
    updated("evt_5", 50, "large-monthly").ok();
    assert!(flow.read_at(BRANCH, "tenants/dog.yaml").contains("tier: large"));
}

#[test]
fn a_failed_payment_and_the_end_of_a_subscription_lead_to_the_phases_of_the_configuration() {
    let flow = flow();
    let invoice = json!({"customer": "cus_dog", "parent": {"subscription_details": {"subscription": "sub_1"}}});
    flow.stripe(&stripe("evt_1", "invoice.payment_failed", 1, &invoice)).ok();
    assert!(flow.read_at(BRANCH, "tenants/dog.yaml").contains("phase: suspended"));
    flow.stripe(&stripe("evt_2", "customer.subscription.updated", 2, &subscription("cus_dog", "large-monthly"))).ok();
    assert_eq!(flow.read_at(BRANCH, "tenants/dog.yaml"), DOG, "they paid");
    flow.stripe(&stripe("evt_3", "customer.subscription.deleted", 3, &subscription("cus_dog", "large-monthly"))).ok();
    assert!(flow.read_at(BRANCH, "tenants/dog.yaml").contains("phase: suspended"));
    let other = flow.stripe(&stripe("evt_4", "customer.created", 4, &json!({"id": "cus_dog"})));
    assert!(other.err.contains("customer.created, which changes no tenant"), "{}", other.err);
    other.ok();
}

#[test]
fn only_signed_events_are_taken() {
    let flow = flow();
    let event = stripe("evt_1", "customer.subscription.updated", 1, &subscription("cus_dog", "small-monthly"));
    let body = event.to_string();
    let signed = |secret: &str, at: i64| signature(secret, at, &body);
    flow.event(&body, &[]).fails(3, "not taken without its signature");
    flow.event(&body, &["--unsigned"]).fails(3, "not taken without its signature");
    flow.event(&body, &["--signature", &signed("whsec_b", 0)]).fails(3, "the signature does not fit the event");
    flow.event(&body, &["--signature", &signed("whsec_a", -301)]).fails(3, "more than 300 seconds from now");
    flow.event(&body.replace("small", "large"), &["--signature", &signed("whsec_a", 0)]).fails(3, "does not fit");
    let generic = json!({"id": "e", "time": NOW, "type": "payment.failed", "tenant": "dog"}).to_string();
    flow.event(&generic, &[]).fails(3, "`--unsigned` takes the event without one");
    flow.event(&generic, &["--signature", &signature("whsec_a", 0, &generic)]).fails(3, "does not fit");
    assert!(flow.repository.find_branch(BRANCH, git2::BranchType::Local).is_err(), "nothing was written");
    flow.event(&generic, &["--signature", &signature("b", 0, &generic)]).ok();
    flow.event(&body, &["--signature", &signed("whsec_a", -300)]).ok();
}

#[test]
fn an_event_without_a_tenant_makes_one_and_the_next_event_finds_it() {
    let flow = flow();
    let mut created = subscription("cus_new", "small-monthly");
    created["metadata"] = json!({"company": "Øster Ærø A/S"});
    let out = flow.stripe(&stripe("evt_1", "customer.subscription.created", 1, &created)).ok();
    let path = out.lines().next().expect("a file").strip_suffix(" (new)").expect("it is new").to_owned();
    assert!(path.starts_with("tenants/oster-aero-a-s-"), "{path}");
    assert!(flow.read_at(BRANCH, &path).ends_with("tier: small\n  phase: active\n  values:\n    stripe: cus_new\n"));
    flow.stripe(&stripe("evt_2", "customer.subscription.updated", 2, &subscription("cus_new", "large-monthly"))).ok();
    assert!(flow.read_at(BRANCH, &path).contains("tier: large"));
    flow.stripe(&stripe("evt_3", "customer.subscription.updated", 3, &subscription("cus_x", "large-monthly")))
        .fails(1, "no tenant has it");
}

#[test]
fn the_branch_follows_what_was_merged_meanwhile() {
    let flow = flow();
    flow.generic(
        &json!({"id": "a", "time": NOW, "type": "subscription.updated", "external": "d-1", "set": {"quotas.users": 7}}),
    )
    .ok();
    flow.estate.tenant("bee", "large", "Bee");
    flow.commit_all("Edit bee");
    flow.generic(
        &json!({"id": "b", "time": NOW, "type": "subscription.updated", "tenant": "bee", "phase": "suspended"}),
    )
    .ok();
    assert_eq!(flow.read_at(BRANCH, "tenants/dog.yaml"), DOG.replace("150", "7"));
    let bee = flow.read_at(BRANCH, "tenants/bee.yaml");
    assert!(bee.contains("tier: large") && bee.contains("phase: suspended"), "{bee}");
    let base = flow.repository.merge_base(flow.tip(BRANCH).id(), flow.tip("main").id()).expect("a base");
    assert_eq!(base, flow.tip("main").id(), "a pull request shows nothing but the events");
    flow.estate.edit("tenants/dog.yaml", "150", "9");
    flow.commit_all("Edit dog");
    flow.generic(&json!({"id": "c", "time": NOW, "type": "payment.failed", "tenant": "dog"}))
        .fails(1, "changed the same lines");
}

#[test]
fn an_event_that_the_estate_would_not_stand_is_refused_with_the_reason() {
    let flow = flow();
    let event = |fields: Json| {
        let mut event = json!({"id": "e", "time": NOW, "type": "subscription.updated", "tenant": "dog"});
        event.as_object_mut().expect("a map").extend(fields.as_object().expect("fields").clone());
        flow.generic(&event)
    };
    event(json!({"tier": "lrage"})).fails(1, "did you mean `large`?");
    event(json!({"set": {"quotas.users": "many"}})).fails(1, "tenants/dog.yaml:11");
    event(json!({"tenant": "nobody"})).fails(1, "which does not exist");
    event(json!({"color": 1})).fails(1, "unknown field `color`");
    flow.event("{", &["--unsigned"]).fails(1, "the event is not JSON");
    assert!(flow.repository.find_branch(BRANCH, git2::BranchType::Local).is_err(), "nothing was written");
    let schema: Json = serde_json::from_str(&flow.run(&["schema", "event"]).ok()).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    assert!(validator.is_valid(&json!({"id": "e", "time": NOW, "type": "payment.failed", "tenant": "dog"})));
    assert!(!validator.is_valid(&json!({"id": "e", "time": NOW, "type": "payment.lost", "tenant": "dog"})));
}

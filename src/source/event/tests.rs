//! What events mean in an estate of three tenants.

use std::collections::BTreeMap;

use serde_json::json;

use super::super::load::of_texts;
use super::*;

const CONFIG: &str = r#"
[estate]
name = "shop"

[events]
external = "values.crm"
phases = { cancelled = "deleting", payment_failed = "suspended" }

[events.stripe]
secret = "env:SECRET"
metadata = "tenant"
customer = "values.stripe"
display_name = "company"
phases = { active = "active", past_due = "suspended", trialing = "trial" }
prices = [
  { price = "price_basic", tier = "basic" },
  { price = "pro-monthly", tier = "pro" },
  { price = "prod_pro", tier = "pro" },
]
"#;

fn tenant(name: &str, tier: &str, phase: &str, values: &str) -> String {
    format!(
        "apiVersion: tenantry.dev/v1\nkind: Tenant\nmetadata: {{name: {name}}}\nspec: {{displayName: X, tier: {tier}, phase: {phase}, values: {values}}}\n"
    )
}

fn estate() -> Estate {
    let tier = |name: &str| {
        format!(
            "apiVersion: tenantry.dev/v1\nkind: Tier\nmetadata: {{name: {name}}}\nspec: {{rank: 1, blueprints: []}}\n"
        )
    };
    let texts = [
        ("tenantry.toml", CONFIG.to_owned()),
        ("tenants/tiers.yaml", format!("{}---\n{}", tier("basic"), tier("pro"))),
        ("tenants/acme.yaml", tenant("acme", "basic", "active", "{stripe: cus_1, crm: 17}")),
        ("tenants/beta.yaml", tenant("beta", "pro", "suspended", "{stripe: cus_2, crm: b-1}")),
        ("tenants/gone.yaml", tenant("gone", "pro", "deleting", "{stripe: cus_3, crm: b-1}")),
    ];
    let texts: BTreeMap<String, String> = texts.map(|(path, text)| (path.to_owned(), text)).into();
    let loaded = of_texts(&texts);
    loaded.estate.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
}

fn told(event: &Json) -> String {
    let estate = estate();
    let table = &estate.config.events;
    let read = Body::parse(event.to_string().as_bytes()).and_then(|body| body.read(table));
    let event = match read {
        Ok(Read::Event(event)) => event,
        Ok(Read::Other { id, sort }) => return format!("{id}: nothing to do with {sort}"),
        Err(refused) => return format!("refused: {}; {}", refused.message, refused.help),
    };
    let changes = |changes: &[Change]| {
        let one = |change: &Change| match &change.to {
            Some(value) => format!(" {}={}", change.pointer, value.to_json()),
            None => format!(" {} removed", change.pointer),
        };
        changes.iter().map(one).collect::<String>()
    };
    match meaning(&estate, table, &event) {
        Ok(Meaning::Edit { tenant, changes: asked, notes }) => {
            let notes: String = notes.iter().map(|note| format!(" ({note})")).collect();
            format!("{}:{}{notes}", tenant.metadata.name, changes(&asked))
        }
        Ok(Meaning::New { name, display_name, tier, phase, values }) => {
            format!("new {name} \"{display_name}\" {tier} {}{}", phase.as_str(), changes(&values))
        }
        Err(refused) => format!("refused: {}; {}", refused.message, refused.help),
    }
}

fn stripe(sort: &str, object: Json) -> Json {
    json!({"id": "evt_1", "object": "event", "type": sort, "created": 1_767_225_600, "data": {"object": object}})
}

fn subscription(customer: &str, status: &str, price: Json, metadata: Json) -> Json {
    json!({"customer": customer, "status": status, "items": {"data": [{"price": price}]}, "metadata": metadata})
}

#[test]
fn events_of_stripe_mean_edits() {
    let basic = || json!({"id": "price_basic", "lookup_key": null, "product": "prod_basic"});
    let pro = |id: &str| json!({"id": id, "lookup_key": "pro-monthly", "product": {"id": "prod_x"}});
    let product = || json!({"id": "price_9", "lookup_key": null, "product": "prod_pro"});
    let updated = "customer.subscription.updated";
    let two = json!({"customer": "cus_1", "status": "active", "metadata": {}, "items": {"data": [{"price": basic()}, {"price": pro("p")}]}});
    let added = json!({"customer": "cus_1", "status": "active", "metadata": {}, "items": {"data": [{"price": {"id": "metered"}}, {"price": pro("p")}]}});
    let rows = [
        stripe(updated, subscription("cus_1", "active", pro("p"), json!({}))),
        stripe(updated, subscription("cus_2", "trialing", product(), json!({"tenant": "beta"}))),
        stripe(updated, subscription("cus_1", "canceled", basic(), json!({}))),
        stripe(updated, subscription("cus_1", "past_due", basic(), json!({"tenant": "beta"}))),
        stripe(updated, subscription("cus_9", "active", basic(), json!({"tenant": "beta"}))),
        stripe(updated, subscription("cus_9", "active", basic(), json!({}))),
        stripe(updated, subscription("cus_3", "active", basic(), json!({}))),
        stripe(updated, subscription("cus_1", "active", json!({"id": "other"}), json!({}))),
        stripe(updated, two),
        stripe(updated, added),
        stripe("customer.subscription.deleted", subscription("cus_1", "canceled", pro("p"), json!({}))),
        stripe(
            "customer.subscription.created",
            subscription("cus_9", "trialing", pro("p"), json!({"company": "Zoë's Bakery"})),
        ),
        stripe(
            "customer.subscription.created",
            subscription("cus_9", "active", pro("p"), json!({"company": "Zoë", "tenant": "kube-zoe"})),
        ),
        stripe("customer.subscription.created", subscription("cus_9", "active", pro("p"), json!({}))),
        stripe("customer.subscription.created", subscription("cus_2", "active", pro("p"), json!({"company": "Beta"}))),
        stripe("invoice.payment_failed", json!({"customer": "cus_1", "subscription": "sub_1"})),
        stripe(
            "invoice.payment_failed",
            json!({"customer": {"id": "cus_1"}, "parent": {"subscription_details": {"subscription": "sub_1", "metadata": {"tenant": "acme"}}}}),
        ),
        stripe("invoice.payment_failed", json!({"customer": "cus_3", "subscription": "sub_1"})),
        stripe("invoice.payment_failed", json!({"customer": "cus_1", "subscription": null})),
        stripe("customer.created", json!({"id": "cus_1"})),
        json!({"object": "event", "id": "evt_1"}),
        json!({"object": "event", "id": "evt_1\nTenantry-Event: x", "type": updated, "created": 1, "data": {"object": subscription("cus_1", "active", basic(), json!({}))}}),
    ];
    insta::assert_snapshot!(rows.iter().map(told).collect::<Vec<_>>().join("\n"), @r#"
    acme: /spec/tier="pro" /spec/phase="active"
    beta: /spec/tier="pro" (beta is in the phase suspended; an event does not lead from it to trial)
    acme: /spec/tier="basic"
    refused: the event names the tenant beta, but the sender's id of it is that of acme; correct the name in the sender's system, or the id in the tenant's document
    beta: /spec/tier="basic" /spec/phase="active"
    refused: the event is about a tenant with `cus_9` in `values.stripe`, but no tenant has it; write its name or id into the tenant's document; `tenantry list` shows the tenants
    gone: /spec/tier="basic" (gone is in the phase deleting; an event does not lead from it to active)
    refused: no tier is sold at the subscription's prices: other; add an entry [[events.stripe.prices]] with `price` and `tier` to tenantry.toml
    refused: the subscription has the prices of several tiers: basic and pro; keep one of them in the subscription
    acme: /spec/tier="pro" /spec/phase="active"
    acme: /spec/phase="deleting"
    new zoes-bakery-x7np "Zoë's Bakery" pro trial /spec/values/stripe="cus_9"
    refused: no tenant can have the name `kube-zoe`: it is reserved; choose another name
    refused: the event is about a tenant with `cus_9` in `values.stripe`, but no tenant has it; an event that creates a tenant needs the company's name, or create it with `tenantry new`
    beta: /spec/tier="pro" /spec/phase="active"
    acme: /spec/phase="suspended"
    acme: /spec/phase="suspended"
    gone: (gone is in the phase deleting; an event does not lead from it to suspended)
    evt_1: nothing to do with invoice.payment_failed
    evt_1: nothing to do with customer.created
    refused: the event of Stripe has no `type`; give the body of the webhook's request as it was received
    refused: the event's id is not valid; use up to 255 letters, digits, dots, colons, hyphens and underscores
    "#);
}

#[test]
fn events_of_the_generic_form_mean_edits() {
    let event = |fields: Json| {
        let mut event = json!({"id": "e-1", "time": "2026-01-01T00:00:00Z", "type": "subscription.updated"});
        for (key, value) in fields.as_object().expect("fields") {
            event[key] = value.clone();
        }
        event
    };
    let rows = [
        event(json!({"tenant": "acme", "tier": "pro", "set": {"quotas.users": 7, "values.note": null}})),
        event(json!({"external": "17", "phase": "trial"})),
        event(json!({"external": "b-1", "tier": "pro"})),
        event(json!({"external": "b-1", "tenant": "beta"})),
        event(json!({"type": "subscription.cancelled", "tenant": "acme"})),
        event(json!({"type": "payment.failed", "tenant": "acme", "phase": "active"})),
        event(json!({"type": "subscription.created", "external": "n-1", "tier": "basic", "displayName": "New & Co"})),
        event(
            json!({"type": "subscription.created", "tenant": "neu", "tier": "basic", "displayName": "Neu", "phase": "trial"}),
        ),
        event(json!({"type": "subscription.created", "tenant": "Neu", "tier": "basic", "displayName": "Neu"})),
        event(json!({"type": "subscription.created", "tenant": "neu", "displayName": "Neu"})),
        event(json!({"tenant": "acme", "tier": "bsic"})),
        event(json!({"tenant": "acme", "set": {"teir": "x"}})),
        event(json!({"tenant": "acme", "color": "red"})),
        event(json!({"tenant": "acme", "time": "yesterday"})),
        event(json!({"type": "subscription.paused", "tenant": "acme"})),
        event(json!({})),
        json!([]),
    ];
    insta::assert_snapshot!(rows.iter().map(told).collect::<Vec<_>>().join("\n"), @r#"
    acme: /spec/tier="pro" /spec/quotas/users=7 /spec/values/note removed
    acme: (acme is in the phase active; an event does not lead from it to trial)
    refused: 2 tenants have the sender's id: beta, gone; keep it in the document that it belongs to
    beta:
    acme: /spec/phase="deleting"
    acme: /spec/phase="active"
    new new-and-co-68c5 "New & Co" basic active /spec/values/crm="n-1"
    new neu "Neu" basic trial
    refused: no tenant can have the name `Neu`: a name has lower-case letters a-z, digits and hyphens only; this one has 'N'; choose another name
    refused: the event is about the tenant `neu`, which does not exist; an event that creates a tenant needs its tier
    refused: the event asks for the tier `bsic`, which does not exist; did you mean `basic`?
    refused: in `set` of the event: a tenant has no field `teir`; did you mean `tier`?
    refused: the event does not have the form of one: unknown field `color`, expected one of `id`, `time`, `type`, `tenant`, `external`, `displayName`, `tier`, `phase`, `set`; `tenantry schema event` shows the form
    refused: `yesterday` is not a time; write it in RFC 3339, such as 2026-01-31T12:00:00Z
    refused: the event does not have the form of one: unknown variant `subscription.paused`, expected one of `subscription.created`, `subscription.updated`, `subscription.cancelled`, `payment.failed`; `tenantry schema event` shows the form
    refused: the event does not name a tenant; write its name or id into the tenant's document; `tenantry list` shows the tenants
    refused: the event is not a JSON object; give the body of the webhook's request as it was received
    "#);
}

#[test]
fn what_was_taken_is_read_from_commits_even_if_they_were_squashed() {
    let name = |name: &str| Name::new(name).expect("a name");
    let event = |id: &str, time: &str| Event {
        id: id.to_owned(),
        time: time.parse().expect("a time"),
        what: What::Updated,
        tenant: None,
        external: None,
        display_name: None,
        tier: None,
        phase: None,
        set: Vec::new(),
    };
    let first = message(&event("a", "2026-01-01T00:00:00Z"), &name("acme"), true);
    let second = message(&event("b", "2026-01-03T00:00:00Z"), &name("acme"), false);
    let other = message(&event("c", "2026-01-09T00:00:00Z"), &name("beta"), true);
    insta::assert_snapshot!(second, @"
    Subscription updated for acme

    It changes nothing in the tenant's document.

    Tenantry-Event: b
    Tenantry-Event-Time: 2026-01-03T00:00:00Z
    Tenantry-Tenant: acme
    ");
    let squashed = format!("Events (#7)\n\n* {first}\n\n* {second}\n");
    let past = Past::of([squashed.as_str(), other.as_str(), "Fix a typo\n\nNo-Event: x"]);
    for id in ["a", "b", "c"] {
        assert!(past.has(id), "{id}");
    }
    assert!(!past.has("d"));
    let newer = |tenant: &str, time: &str| past.newer(&name(tenant), time.parse().expect("a time")).map(str::to_owned);
    assert_eq!(newer("acme", "2026-01-02T00:00:00Z").as_deref(), Some("b"));
    assert_eq!(newer("acme", "2026-01-03T00:00:00Z"), None, "Stripe's times are whole seconds: the same is not older");
    assert_eq!(newer("gamma", "2020-01-01T00:00:00Z"), None);
}

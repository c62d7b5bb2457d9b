//! Each kind's life: made, made again, changed, drifted, repaired, gone.

use secrecy::ExposeSecret as _;
use serde_json::json;
use tenantry_core::model::resource::{Desired, Observed};

use crate::support::stripe::{Fault, World, in_account};
use crate::support::{create, delete, observe, present, update};

/// Takes a resource from nothing to nothing. `drift` is a change behind our back: path and parameters.
async fn lifecycle(world: &World, first: &Desired, second: &Desired, path: &str, drift: &[(&str, &str)]) {
    assert_eq!(world.observe(first).await, Observed::Absent, "before");
    world.create(&[first]).await;
    let found = world.assert_is(first, world.observe(first).await);
    world.create(&[first]).await;
    world.assert_is(first, world.observe(first).await);
    let id = found.outputs.get("id").and_then(|id| id.as_str()).expect("an id").to_owned();

    for _ in 0..2 {
        world.write(update(second, &found, &[])).await;
        world.assert_is(second, world.observe(second).await);
    }

    world.by_hand("POST", &format!("{path}/{id}"), drift).await;
    let drifted = present(world.observe(second).await);
    assert_ne!(drifted.spec, second.spec.shared(), "drift by {drift:?}");
    world.write(update(second, &drifted, &[])).await;
    world.assert_is(second, world.observe(second).await);

    let known = present(
        observe(&*world.reader(), &[], &[second]).await[second.kind.name]
            .get(&second.identity.clone().expect("an identity")),
    );
    for _ in 0..2 {
        world.write(delete(second, &known)).await;
        assert_eq!(world.observe(second).await, Observed::Absent, "after");
    }
}

#[test]
fn a_customer() {
    in_account("a_customer", async |world| {
        let first = world.desired("customer", "acme/customer", json!({"key": "acme", "name": "Acme"}));
        let second = world.desired(
            "customer",
            "acme/customer",
            json!({
                "key": "acme", "name": "Acme Corp", "email": "billing@acme.example", "taxExempt": "reverse",
                "address": {"line1": "1 Street", "city": "Town", "country": "DE"}, "metadata": {"seats": "12"},
            }),
        );
        lifecycle(world, &first, &second, "customers", &[("email", "other@acme.example"), ("metadata[seats]", "")])
            .await;
        assert_eq!(world.all("customers").await.len(), 0);
    });
}

#[test]
fn a_product() {
    in_account("a_product", async |world| {
        let first = world.desired("product", "tier:pro/product", json!({"key": "pro", "name": "Pro"}));
        let second = world.desired(
            "product",
            "tier:pro/product",
            json!({"key": "pro", "name": "Professional", "description": "For teams", "unitLabel": "seat"}),
        );
        lifecycle(world, &first, &second, "products", &[("name", "Something else")]).await;
    });
}

#[test]
fn a_coupon() {
    in_account("a_coupon", async |world| {
        let first =
            world.desired("coupon", "estate/coupon", json!({"key": "welcome", "percentOff": "12.50", "name": "Hi"}));
        let second = world.desired(
            "coupon",
            "estate/coupon",
            json!({"key": "welcome", "percentOff": "12.5", "name": "Welcome", "metadata": {"campaign": "spring"}}),
        );
        lifecycle(world, &first, &second, "coupons", &[("name", "Hello")]).await;
        let amount = world.desired(
            "coupon",
            "estate/other",
            json!({"key": "ten", "amountOff": "10", "currency": "EUR", "duration": "repeating", "months": 3}),
        );
        world.create(&[&amount]).await;
        world.assert_is(&amount, world.observe(&amount).await);
    });
}

#[test]
fn a_meter() {
    in_account("a_meter", async |world| {
        let first = world.desired("meter", "estate/meter", json!({"eventName": "calls", "displayName": "Calls"}));
        let second = world.desired("meter", "estate/meter", json!({"eventName": "calls", "displayName": "API calls"}));
        lifecycle(world, &first, &second, "billing/meters", &[("display_name", "Other")]).await;
        // Made again, it is the same one: meters are not deleted, and its events are still there.
        world.create(&[&first]).await;
        world.assert_is(&first, world.observe(&first).await);
        assert_eq!(world.all("billing/meters").await.len(), 1);
    });
}

#[test]
fn a_webhook_endpoint_and_its_secret() {
    in_account("a_webhook_endpoint_and_its_secret", async |world| {
        let spec = |url: &str, events: &[&str]| json!({"key": "main", "url": url, "enabledEvents": events});
        let first = world.desired(
            "webhook_endpoint",
            "estate/hook",
            spec("https://shop.example/hook", &["invoice.paid", "customer.created"]),
        );
        let second = world.desired("webhook_endpoint", "estate/hook", spec("https://shop.example/other", &["*"]));
        let written = world.write(create(&first)).await;
        assert!(!format!("{written:?}").contains("whsec_"), "the signing secret is in no text");
        let secret = written.captured.get("signingSecret").expect("it is told once");
        assert_eq!(secret.expose_secret(), "whsec_never_to_be_seen");
        let found = present(world.observe(&first).await);
        world.write(delete(&first, &found)).await;
        lifecycle(world, &first, &second, "webhook_endpoints", &[("disabled", "true")]).await;
        let mut asleep = spec("https://shop.example/hook", &["*"]);
        asleep["disabled"] = true.into();
        let asleep = world.desired("webhook_endpoint", "estate/asleep", asleep);
        world.create(&[&asleep]).await;
        world.assert_is(&asleep, world.observe(&asleep).await);
    });
}

#[test]
fn fields_that_are_no_longer_asked_for_are_cleared() {
    in_account("fields_that_are_no_longer_asked_for_are_cleared", async |world| {
        let full = json!({
            "key": "acme", "name": "Acme", "description": "d", "address": {"line1": "1 Street"},
            "metadata": {"a": "1", "b": "2"},
        });
        let first = world.desired("customer", "acme/customer", full);
        world.create(&[&first]).await;
        let found = present(world.observe(&first).await);
        world
            .by_hand(
                "POST",
                &format!("customers/{}", found.outputs.get("id").and_then(|id| id.as_str()).expect("an id")),
                &[("metadata[theirs]", "x")],
            )
            .await;
        let less = json!({"key": "acme", "name": "Acme", "address": {"line1": "1 Street"}, "metadata": {"a": "1"}});
        let second = world.desired("customer", "acme/customer", less);
        let removed = ["/description", "/metadata/b"];
        world.write(update(&second, &found, &removed)).await;
        let left = present(world.observe(&second).await);
        assert_eq!(
            left.spec.get("metadata").map(tenantry_core::model::value::Value::to_json),
            Some(json!({"a": "1", "theirs": "x"}))
        );
        assert_eq!(left.spec.with("metadata", json!({"a": "1"}).into()), *second.spec);
    });
}

#[test]
fn an_address_loses_parts_and_then_all_of_it() {
    in_account("an_address_loses_parts_and_then_all_of_it", async |world| {
        let customer = |address: serde_json::Value| {
            let mut spec = json!({"key": "acme", "name": "Acme"});
            if !address.is_null() {
                spec["address"] = address;
            }
            world.desired("customer", "acme/customer", spec)
        };
        let full = customer(
            json!({"line1": "1 Street", "line2": "Floor 2", "city": "Town", "postalCode": "12345", "country": "DE"}),
        );
        world.create(&[&full]).await;
        let found = world.assert_is(&full, world.observe(&full).await);
        let less = customer(json!({"line1": "1 Street", "city": "Village", "country": "DE"}));
        for _ in 0..2 {
            world.write(update(&less, &found, &["/address/line2", "/address/postalCode"])).await;
            world.assert_is(&less, world.observe(&less).await);
        }
        // Emptied, and killed before it was set again: seen, and repaired.
        world.fail(|asked| {
            let is_second = asked.method == "POST" && String::from_utf8_lossy(&asked.body).contains("line1");
            if is_second { Fault::LoseRequest } else { Fault::None }
        });
        let short = customer(json!({"line1": "1 Street"}));
        let found = present(world.observe(&short).await);
        world
            .try_write(&[update(&short, &found, &["/address/city", "/address/country"])])
            .await
            .expect_err("it is killed");
        world.heal();
        let found = present(world.observe(&short).await);
        assert_eq!(found.spec.get("address"), None);
        world.write(update(&short, &found, &[])).await;
        world.assert_is(&short, world.observe(&short).await);
        let none = customer(serde_json::Value::Null);
        let found = present(world.observe(&none).await);
        world.write(update(&none, &found, &["/address"])).await;
        let found = world.assert_is(&none, world.observe(&none).await);
        assert_eq!(found.spec.get("address"), None);
        assert_eq!(world.all("customers").await.len(), 1);
    });
}

#[test]
fn one_that_exists_is_adopted_by_its_id() {
    in_account("one_that_exists_is_adopted_by_its_id", async |world| {
        let made = world.by_hand("POST", "customers", &[("name", "By hand")]).await;
        let id = made["id"].as_str().expect("an id");
        let desired = world.desired("customer", "acme/customer", json!({"key": id, "name": "Acme"}));
        let found = present(world.observe(&desired).await);
        assert_eq!(found.mark, None);
        world.write(update(&desired, &found, &[])).await;
        world.assert_is(&desired, world.observe(&desired).await);
        assert_eq!(world.all("customers").await.len(), 1);
    });
}

#[test]
fn two_estates_share_an_account() {
    in_account("two_estates_share_an_account", async |world| {
        let desired = world.desired("customer", "acme/customer", json!({"key": "acme", "name": "Acme"}));
        let mut theirs = create(&desired);
        theirs.mark.estate = "other".into();
        theirs.idempotency_key = "theirs".into();
        world.write(theirs).await;
        assert_eq!(world.observe(&desired).await, Observed::Absent);
        world.create(&[&desired]).await;
        world.assert_is(&desired, world.observe(&desired).await);
        assert_eq!(world.all("customers").await.len(), 2);
    });
}

#[test]
fn made_again_within_a_day_it_is_a_new_one() {
    in_account("made_again_within_a_day_it_is_a_new_one", async |world| {
        // The same idempotency key is answered with what was made at first, and is gone.
        let desired = world.desired("customer", "acme/customer", json!({"key": "acme", "name": "Acme"}));
        for _ in 0..3 {
            world.create(&[&desired]).await;
            let found = world.assert_is(&desired, world.observe(&desired).await);
            world.write(delete(&desired, &found)).await;
            assert_eq!(world.observe(&desired).await, Observed::Absent);
        }
    });
}

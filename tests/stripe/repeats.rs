//! What must not be billed twice, credited unasked, or taken from others.

use serde_json::{Value as Json, json};
use tenantry_core::model::resource::{Desired, Observed};
use tenantry_provider::conformance::WriteUnguarded as _;
use tenantry_provider::contract::ErrorClass;

use crate::support::stripe::{Fault, World, in_account};
use crate::support::{create, delete, observe, present, update};

async fn catalogue(world: &World) {
    let product = world.desired("product", "estate/product", json!({"key": "saas", "name": "Saas"}));
    world.create(&[&product]).await;
    for (lookup_key, amount) in [("basic", "19.00"), ("pro", "49.00"), ("support", "9.00")] {
        world.create(&[&price(world, lookup_key, amount)]).await;
    }
    world.create(&[&world.desired("customer", "acme/customer", json!({"key": "acme", "name": "Acme"}))]).await;
}

fn price(world: &World, lookup_key: &str, amount: &str) -> Desired {
    let spec =
        json!({"lookupKey": lookup_key, "product": "saas", "currency": "usd", "amount": amount, "interval": "month"});
    world.desired("price", &format!("estate/{lookup_key}"), spec)
}

fn subscription(world: &World, over: Json) -> Desired {
    let mut spec = json!({"key": "acme", "customer": "acme", "price": "pro", "collectionMethod": "sendInvoice", "daysUntilDue": 30});
    for (name, value) in over.as_object().expect("an object") {
        spec[name] = value.clone();
    }
    world.desired("subscription", "acme/subscription", spec)
}

async fn only(world: &World) -> Json {
    let all = world.all("subscriptions").await;
    assert_eq!(all.len(), 1);
    all[0].clone()
}

#[test]
fn what_was_to_end_and_has_ended_is_not_made_anew() {
    in_account("what_was_to_end_and_has_ended_is_not_made_anew", async |world| {
        catalogue(world).await;
        let last = subscription(world, json!({"cancelAtPeriodEnd": true}));
        world.create(&[&last]).await;
        world.assert_is(&last, world.observe(&last).await);
        let id = only(world).await["id"].as_str().expect("an id").to_owned();
        // As Stripe does when the period is over.
        world.by_hand("DELETE", &format!("subscriptions/{id}"), &[]).await;
        world.take_asked();
        world.assert_is(&last, world.observe(&last).await);
        assert_eq!(world.take_asked(), ["GET /v1/subscriptions", "GET /v1/subscriptions"], "whatever their number");
        // No longer wanted it is gone, and wanted without an end it is made.
        let observed = observe(&*world.reader(), &[], &[&last]).await;
        assert_eq!(observed["stripe.subscription"].get("acme"), Observed::Absent);
        let again = subscription(world, json!({}));
        assert_eq!(world.observe(&again).await, Observed::Absent);
        world.create(&[&again]).await;
        let found = world.assert_is(&again, world.observe(&again).await);
        // What was deleted has not ended by itself: wanted with an end from its beginning, there is to be a new one.
        world.write(delete(&again, &found)).await;
        assert_eq!(world.observe(&last).await, Observed::Absent);
    });
}

#[test]
fn an_option_that_goes_is_credited_as_the_spec_says() {
    in_account("an_option_that_goes_is_credited_as_the_spec_says", async |world| {
        catalogue(world).await;
        world.create(&[&subscription(world, json!({"addOns": ["support"]}))]).await;
        let before = (world.all("invoices").await.len(), world.all("invoiceitems").await.len());
        let less = subscription(world, json!({"onDowngrade": "now", "prorationBehavior": "none"}));
        let found = present(world.observe(&less).await);
        world.write(update(&less, &found, &[])).await;
        world.assert_is(&less, world.observe(&less).await);
        assert_eq!((world.all("invoices").await.len(), world.all("invoiceitems").await.len()), before);
    });
}

#[test]
fn an_option_whose_answer_is_lost_is_not_added_twice() {
    in_account("an_option_whose_answer_is_lost_is_not_added_twice", async |world| {
        catalogue(world).await;
        world.create(&[&subscription(world, json!({}))]).await;
        let more = subscription(world, json!({"addOns": ["support"]}));
        let found = present(world.observe(&more).await);
        let writer = world.writer();
        world.fail(|asked| if asked.method == "POST" { Fault::LoseAnswer } else { Fault::None });
        let lost = writer.write(&[update(&more, &found, &[])]).await.expect_err("the answer is lost");
        assert_eq!(lost.error.class, ErrorClass::Retryable);
        world.heal();
        // The engine tries again with the same writer.
        writer.write(&[update(&more, &found, &[])]).await.expect("it already exists");
        assert_eq!(only(world).await["items"]["data"].as_array().map(Vec::len), Some(2));
        world.assert_is(&more, world.observe(&more).await);
    });
}

#[test]
fn a_lookup_key_that_somebody_took_meanwhile_stays_theirs() {
    in_account("a_lookup_key_that_somebody_took_meanwhile_stays_theirs", async |world| {
        catalogue(world).await;
        let writer = world.writer();
        writer.write(&[create(&price(world, "pro", "49.00"))]).await.expect("it is there");
        // A long run has listed the prices; then somebody makes one.
        let products = world.all("products").await;
        let product = products[0]["id"].as_str().expect("an id");
        let parameters = [("product", product), ("currency", "usd"), ("unit_amount", "1"), ("lookup_key", "max")];
        let theirs = world.by_hand("POST", "prices", &parameters).await;
        let error = writer.write(&[create(&price(world, "max", "99.00"))]).await.expect_err("it is theirs");
        assert_eq!(error.error.class, ErrorClass::Conflict, "{error}");
        let now = world.by_hand("GET", &format!("prices/{}", theirs["id"].as_str().expect("an id")), &[]).await;
        assert_eq!(now["lookup_key"], "max");
    });
}

#[test]
fn a_schedule_of_somebody_else_is_theirs_after_one_of_ours_has_ended() {
    in_account("a_schedule_of_somebody_else_is_theirs_after_one_of_ours_has_ended", async |world| {
        catalogue(world).await;
        world.create(&[&subscription(world, json!({}))]).await;
        let basic = subscription(world, json!({"price": "basic"}));
        let found = present(world.observe(&basic).await);
        world.write(update(&basic, &found, &[])).await;
        let id = only(world).await["id"].as_str().expect("an id").to_owned();
        world.turn_period(&id).await;
        let ours = world.all("subscription_schedules").await[0]["id"].as_str().expect("an id").to_owned();
        world.by_hand("POST", &format!("subscription_schedules/{ours}/release"), &[]).await;
        world.assert_is(&basic, world.observe(&basic).await);
        // Somebody promises the customer something.
        let theirs = world.by_hand("POST", "subscription_schedules", &[("from_subscription", &id)]).await;
        world.assert_is(&basic, world.observe(&basic).await);
        let noted = subscription(world, json!({"price": "basic", "metadata": {"team": "a"}}));
        let found = present(world.observe(&noted).await);
        world.write(update(&noted, &found, &[])).await;
        let theirs = format!("subscription_schedules/{}", theirs["id"].as_str().expect("an id"));
        assert_eq!(world.by_hand("GET", &theirs, &[]).await["status"], "active");
    });
}

#[test]
fn a_subscription_that_ends_by_its_date_with_the_period_is_seen_to_end() {
    in_account("a_subscription_that_ends_by_its_date_with_the_period_is_seen_to_end", async |world| {
        catalogue(world).await;
        let running = subscription(world, json!({}));
        world.create(&[&running]).await;
        let path = format!("subscriptions/{}", only(world).await["id"].as_str().expect("an id"));
        let end = only(world).await["items"]["data"][0]["current_period_end"].as_i64().expect("a second");
        // A contract that ends later is the business of whoever made it.
        world.by_hand("POST", &path, &[("cancel_at", &(end + 86_400).to_string())]).await;
        world.assert_is(&running, world.observe(&running).await);
        // As Stripe's portal ends a subscription with flexible billing: by a date, without the flag.
        world.by_hand("POST", &path, &[("cancel_at", &end.to_string())]).await;
        let found = present(world.observe(&running).await);
        let ends = found.spec.get("cancelAtPeriodEnd").and_then(tenantry_core::model::value::Value::as_bool);
        assert_eq!(ends, Some(true));
        world.assert_is(&subscription(world, json!({"cancelAtPeriodEnd": true})), Observed::Present(found.clone()));
        world.write(update(&running, &found, &[])).await;
        world.assert_is(&running, world.observe(&running).await);
        assert_eq!(only(world).await["cancel_at"], Json::Null);
    });
}

#[test]
fn a_signing_secret_whose_answer_is_lost_is_told_again() {
    in_account("a_signing_secret_whose_answer_is_lost_is_told_again", async |world| {
        let hook = json!({"key": "main", "url": "https://shop.example", "enabledEvents": ["*"]});
        let hook = world.desired("webhook_endpoint", "estate/hook", hook);
        let writer = world.writer();
        world.fail(|asked| if asked.method == "POST" { Fault::LoseAnswer } else { Fault::None });
        writer.write(&[create(&hook)]).await.expect_err("the answer is lost");
        world.heal();
        let written = writer.write(&[create(&hook)]).await.expect("it is there");
        assert!(written[0].captured.contains_key("signingSecret"));
        assert_eq!(world.all("webhook_endpoints").await.len(), 1);
    });
}

#[test]
fn a_price_whose_former_one_is_archived_without_an_answer_is_tried_again() {
    in_account("a_price_whose_former_one_is_archived_without_an_answer_is_tried_again", async |world| {
        catalogue(world).await;
        let (old, new) = (price(world, "pro", "49.00"), price(world, "pro", "59.00"));
        let found = present(world.observe(&old).await);
        let mut made = create(&new);
        made.idempotency_key = "2".into();
        let steps = [delete(&old, &found), made];
        let writer = world.writer();
        for fault in [Fault::LoseRequest, Fault::LoseAnswer] {
            world.fail(move |asked| {
                let is_archived = String::from_utf8_lossy(&asked.body).contains("active=false");
                if is_archived { fault } else { Fault::None }
            });
            writer.write(&steps).await.expect_err("the answer is lost");
        }
        world.heal();
        writer.write(&steps).await.expect("it goes on");
        world.assert_is(&new, world.observe(&new).await);
    });
}

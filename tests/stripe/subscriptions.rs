//! Subscriptions: tiers, trials, pauses, ends.

use serde_json::{Value as Json, json};
use tenantry_core::model::resource::{Desired, Observed};

use crate::support::stripe::{World, in_account};
use crate::support::{create, delete, present, update};

/// A product with two prices and an add-on, and a customer.
async fn catalogue(world: &World) {
    let product = world.desired("product", "tier:pro/product", json!({"key": "pro", "name": "Pro"}));
    world.create(&[&product]).await;
    for (lookup_key, amount) in [("basic", "19.00"), ("pro", "49.00"), ("support", "9.00")] {
        let spec = json!({"lookupKey": lookup_key, "product": "pro", "currency": "usd", "amount": amount, "interval": "month"});
        world.create(&[&world.desired("price", &format!("tier:{lookup_key}/price"), spec)]).await;
    }
    world.create(&[&world.desired("customer", "acme/customer", json!({"key": "acme", "name": "Acme"}))]).await;
}

fn subscription(world: &World, over: Json) -> Desired {
    let mut spec = json!({"key": "acme", "customer": "acme", "price": "basic", "collectionMethod": "sendInvoice", "daysUntilDue": 30});
    for (name, value) in over.as_object().expect("an object") {
        spec[name] = value.clone();
    }
    world.desired("subscription", "acme/subscription", spec)
}

async fn change(world: &World, to: &Desired) {
    let found = present(world.observe(to).await);
    world.write(update(to, &found, &[])).await;
    world.assert_is(to, world.observe(to).await);
}

async fn only(world: &World) -> Json {
    let all = world.all("subscriptions").await;
    assert_eq!(all.len(), 1);
    all[0].clone()
}

#[test]
fn an_upgrade_a_quantity_and_an_add_on() {
    in_account("an_upgrade_a_quantity_and_an_add_on", async |world| {
        catalogue(world).await;
        let first = subscription(world, json!({"trialDays": 14}));
        assert_eq!(world.observe(&first).await, Observed::Absent);
        for _ in 0..2 {
            world.create(&[&first]).await;
            world.assert_is(&first, world.observe(&first).await);
        }
        assert_eq!(only(world).await["status"], "trialing");
        for over in [
            json!({"price": "pro", "prorationBehavior": "alwaysInvoice"}),
            json!({"price": "pro", "quantity": 5}),
            json!({"price": "pro", "quantity": 5, "addOns": ["support"]}),
            json!({"price": "basic", "quantity": 5, "addOns": ["support"], "prorationBehavior": "none"}),
            json!({"price": "basic", "quantity": 1}),
        ] {
            change(world, &subscription(world, over)).await;
        }
        assert_eq!(only(world).await["items"]["data"].as_array().map(Vec::len), Some(1));
    });
}

#[test]
fn paused_and_resumed_and_repaired() {
    in_account("paused_and_resumed_and_repaired", async |world| {
        catalogue(world).await;
        let running = subscription(world, json!({}));
        let paused = subscription(world, json!({"pauseCollection": "keepAsDraft"}));
        world.create(&[&running]).await;
        change(world, &paused).await;
        assert_eq!(only(world).await["pause_collection"]["behavior"], "keep_as_draft");
        change(world, &running).await;
        let id = only(world).await["id"].as_str().expect("an id").to_owned();
        world
            .by_hand(
                "POST",
                &format!("subscriptions/{id}"),
                &[("pause_collection[behavior]", "void"), ("cancel_at_period_end", "true")],
            )
            .await;
        let drifted = present(world.observe(&running).await);
        assert_ne!(drifted.spec, running.spec.shared());
        change(world, &running).await;
        assert_eq!(only(world).await["cancel_at_period_end"], false);
    });
}

#[test]
fn paused_from_the_beginning() {
    in_account("paused_from_the_beginning", async |world| {
        catalogue(world).await;
        let paused = subscription(world, json!({"pauseCollection": "markUncollectible"}));
        for _ in 0..2 {
            world.create(&[&paused]).await;
            world.assert_is(&paused, world.observe(&paused).await);
        }
        assert_eq!(only(world).await["pause_collection"]["behavior"], "mark_uncollectible");
    });
}

#[test]
fn cancelled_at_once_or_at_the_end_of_the_period() {
    in_account("cancelled_at_once_or_at_the_end_of_the_period", async |world| {
        catalogue(world).await;
        let late = subscription(world, json!({"onDelete": "cancelAtPeriodEnd"}));
        world.create(&[&late]).await;
        let found = world.assert_is(&late, world.observe(&late).await);
        for _ in 0..2 {
            world.write(delete(&late, &found)).await;
            assert_eq!(world.observe(&late).await, Observed::Absent);
        }
        let running = only(world).await;
        assert_eq!((&running["status"], &running["cancel_at_period_end"]), (&json!("active"), &json!(true)));
        // Wanted again before its end, it goes on.
        let now = subscription(world, json!({"quantity": 3}));
        world.create(&[&now]).await;
        let found = world.assert_is(&now, world.observe(&now).await);
        assert_eq!(only(world).await["id"], running["id"]);
        world.write(delete(&now, &found)).await;
        assert_eq!(world.observe(&now).await, Observed::Absent);
        assert_eq!(only(world).await["status"], "canceled");
        // And after its end it is a new one.
        world.create(&[&now]).await;
        world.assert_is(&now, world.observe(&now).await);
        assert_eq!(world.all("subscriptions").await.len(), 2);
    });
}

#[test]
fn a_new_amount_is_for_new_subscribers_or_for_all() {
    in_account("a_new_amount_is_for_new_subscribers_or_for_all", async |world| {
        catalogue(world).await;
        let spec = |amount: &str| json!({"lookupKey": "pro", "product": "pro", "currency": "usd", "amount": amount, "interval": "month"});
        let (old, new) = (
            world.desired("price", "tier:pro/price", spec("49.00")),
            world.desired("price", "tier:pro/price", spec("59.00")),
        );
        let by_key = subscription(world, json!({"price": "pro"}));
        world.create(&[&by_key]).await;
        let found = present(world.observe(&old).await);
        let mut made = create(&new);
        made.idempotency_key = "2".into();
        world.try_write(&[delete(&old, &found), made]).await.expect("it is replaced");
        // Asked for by lookup key, whoever pays the earlier amount goes on paying it, through other changes too.
        world.assert_is(&by_key, world.observe(&by_key).await);
        change(world, &subscription(world, json!({"price": "pro", "quantity": 2}))).await;
        assert_eq!(only(world).await["items"]["data"][0]["price"]["unit_amount"], 4900);
        // Asked for by id, the new amount is for all.
        let id = present(world.observe(&new).await).outputs.get("id").and_then(|id| id.as_str().map(str::to_owned));
        let by_id = subscription(world, json!({"price": id, "quantity": 2}));
        assert_ne!(present(world.observe(&by_id).await).spec, by_id.spec.shared());
        change(world, &by_id).await;
        assert_eq!(only(world).await["items"]["data"][0]["price"]["unit_amount"], 5900);
    });
}

#[test]
fn a_customer_or_a_price_that_is_not_there_is_named() {
    in_account("a_customer_or_a_price_that_is_not_there_is_named", async |world| {
        catalogue(world).await;
        let lost = subscription(world, json!({"price": "nothing"}));
        let error = world.try_write(&[create(&lost)]).await.expect_err("no such price");
        assert_eq!(
            error.error.to_string(),
            r#"creating subscription "acme": it needs the stripe.price `nothing`, which does not exist"#
        );
    });
}

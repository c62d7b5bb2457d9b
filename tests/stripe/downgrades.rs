//! What costs less waits for the end of the period; what costs more does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::join_all;
use serde_json::{Value as Json, json};
use tenantry_core::diff::compare;
use tenantry_core::model::resource::{Desired, Present};
use tenantry_provider::contract::ErrorClass;

use crate::support::stripe::{Fault, World, in_account};
use crate::support::{delete, present, update};

/// A product with three tiers, an option, and a customer.
async fn catalogue(world: &World) {
    let product = world.desired("product", "estate/product", json!({"key": "saas", "name": "Saas"}));
    world.create(&[&product]).await;
    let prices = [
        ("basic", "19.00", "month"),
        ("pro", "49.00", "month"),
        ("max", "99.00", "month"),
        ("support", "9.00", "month"),
        ("basic_yearly", "199.00", "year"),
    ];
    for (lookup_key, amount, interval) in prices {
        let spec = json!({"lookupKey": lookup_key, "product": "saas", "currency": "usd", "amount": amount, "interval": interval});
        world.create(&[&world.desired("price", &format!("estate/{lookup_key}"), spec)]).await;
    }
    world.create(&[&world.desired("customer", "acme/customer", json!({"key": "acme", "name": "Acme"}))]).await;
}

fn subscription(world: &World, over: Json) -> Desired {
    let mut spec = json!({"key": "acme", "customer": "acme", "price": "pro", "quantity": 2, "collectionMethod": "sendInvoice", "daysUntilDue": 30});
    for (name, value) in over.as_object().expect("an object") {
        spec[name] = value.clone();
    }
    world.desired("subscription", "acme/subscription", spec)
}

async fn change(world: &World, to: &Desired) -> Present {
    let found = present(world.observe(to).await);
    world.write(update(to, &found, &[])).await;
    world.assert_is(to, world.observe(to).await)
}

async fn only(world: &World) -> Json {
    let all = world.all("subscriptions").await;
    assert_eq!(all.len(), 1);
    all[0].clone()
}

/// What is paid for now: the amount and how many.
async fn pays(world: &World) -> (i64, i64) {
    let item = only(world).await["items"]["data"][0].clone();
    (item["price"]["unit_amount"].as_i64().expect("an amount"), item["quantity"].as_i64().expect("a number"))
}

async fn active_schedules(world: &World) -> usize {
    world.all("subscription_schedules").await.iter().filter(|schedule| schedule["status"] == "active").count()
}

async fn invoices(world: &World) -> usize {
    let all = world.all("invoices").await.len();
    let pending = world.all("invoiceitems").await.len();
    all + pending
}

#[test]
fn a_downgrade_waits_for_the_end_of_the_period_and_says_until_when() {
    in_account("a_downgrade_waits_for_the_end_of_the_period_and_says_until_when", async |world| {
        catalogue(world).await;
        world.create(&[&subscription(world, json!({}))]).await;
        let billed = invoices(world).await;
        let basic = subscription(world, json!({"price": "basic"}));
        // Twice, as a run that is repeated: there is one schedule.
        for _ in 0..2 {
            let found = change(world, &basic).await;
            let end = only(world).await["items"]["data"][0]["current_period_end"].as_i64().expect("a second");
            let day = jiff::Timestamp::from_second(end).expect("a time").strftime("%Y-%m-%d").to_string();
            let scheduled = found.scheduled.expect("it waits");
            assert_eq!(*scheduled, *format!("its price changes on {day}, when the period that was paid for ends"));
            assert_eq!(pays(world).await, (4900, 2), "what was paid for stays until then");
            assert_eq!(world.all("subscription_schedules").await.len(), 1);
        }
        assert_eq!(invoices(world).await, billed, "nothing is billed or credited");
        let schedule = world.all("subscription_schedules").await[0].clone();
        assert_eq!(schedule["phases"][0]["end_date"], schedule["phases"][1]["start_date"]);
        assert_eq!(schedule["end_behavior"], "release");
        assert_eq!(schedule["phases"][1]["proration_behavior"], "none");

        world.turn_period(only(world).await["id"].as_str().expect("an id")).await;
        let found = world.assert_is(&basic, world.observe(&basic).await);
        assert_eq!((found.scheduled, pays(world).await), (None, (1900, 2)));
        // The next change finds the way free.
        change(world, &subscription(world, json!({"price": "max"}))).await;
        assert_eq!((pays(world).await, active_schedules(world).await), ((9900, 2), 0));
    });
}

#[test]
fn an_upgrade_is_at_once_and_takes_back_what_waits() {
    in_account("an_upgrade_is_at_once_and_takes_back_what_waits", async |world| {
        catalogue(world).await;
        let pro = subscription(world, json!({}));
        world.create(&[&pro]).await;
        let basic = subscription(world, json!({"price": "basic"}));
        change(world, &basic).await;
        // Wanted as it was, there is nothing to wait for.
        let found = change(world, &pro).await;
        assert_eq!((found.scheduled, active_schedules(world).await), (None, 0));
        change(world, &basic).await;
        let found = change(world, &subscription(world, json!({"price": "max"}))).await;
        assert_eq!((found.scheduled, pays(world).await, active_schedules(world).await), (None, (9900, 2), 0));
        // Fewer cost less, and so does an option less, or the same by the year.
        let wanted = [
            json!({"price": "max", "quantity": 1}),
            json!({"price": "basic_yearly"}),
            json!({"price": "pro", "addOns": ["support"]}),
        ];
        for (index, over) in wanted.into_iter().enumerate() {
            let found = change(world, &subscription(world, over)).await;
            assert!(found.scheduled.is_some(), "case {index}");
            assert_eq!((pays(world).await, active_schedules(world).await), ((9900, 2), 1), "case {index}");
        }
        // At once where the spec says so, and where it ends anyway.
        let found = change(world, &subscription(world, json!({"onDowngrade": "now"}))).await;
        assert_eq!((found.scheduled, pays(world).await, active_schedules(world).await), (None, (4900, 2), 0));
        let found = change(world, &subscription(world, json!({"price": "basic", "cancelAtPeriodEnd": true}))).await;
        assert_eq!((found.scheduled, pays(world).await), (None, (1900, 2)));
    });
}

#[test]
fn in_a_trial_nothing_was_paid_for() {
    in_account("in_a_trial_nothing_was_paid_for", async |world| {
        catalogue(world).await;
        world.create(&[&subscription(world, json!({"trialDays": 14}))]).await;
        let found = change(world, &subscription(world, json!({"price": "basic"}))).await;
        assert_eq!((found.scheduled, pays(world).await, active_schedules(world).await), (None, (1900, 2), 0));
    });
}

#[test]
fn what_waits_is_repaired_changed_beside_and_ended() {
    in_account("what_waits_is_repaired_changed_beside_and_ended", async |world| {
        catalogue(world).await;
        world.create(&[&subscription(world, json!({}))]).await;
        let basic = subscription(world, json!({"price": "basic"}));
        change(world, &basic).await;
        let schedule = world.all("subscription_schedules").await[0].clone();
        let schedule = format!("subscription_schedules/{}", schedule["id"].as_str().expect("an id"));
        world.by_hand("POST", &format!("{schedule}/release"), &[]).await;
        let drifted = present(world.observe(&basic).await);
        let differences = compare(&basic.kind, &basic.spec, &drifted.spec, Some(&basic.spec));
        assert_eq!(differences.iter().map(|difference| &*difference.pointer).collect::<Vec<_>>(), ["/price"]);
        change(world, &basic).await;
        assert_eq!(active_schedules(world).await, 1);
        // Something else changes, and it still waits.
        let found = change(world, &subscription(world, json!({"price": "basic", "metadata": {"team": "a"}}))).await;
        assert!(found.scheduled.is_some());
        assert_eq!((active_schedules(world).await, pays(world).await), (1, (4900, 2)));
        let late = subscription(world, json!({"price": "basic", "onDelete": "cancelAtPeriodEnd"}));
        let found = change(world, &late).await;
        world.write(delete(&late, &found)).await;
        let ending = only(world).await;
        assert_eq!((&ending["status"], &ending["cancel_at_period_end"]), (&json!("active"), &json!(true)));
        assert_eq!(active_schedules(world).await, 0);
        // Wanted again before its end: it goes on, and what costs less waits again.
        world.create(&[&basic]).await;
        let found = world.assert_is(&basic, world.observe(&basic).await);
        assert!(found.scheduled.is_some());
        world.write(delete(&basic, &found)).await;
        assert_eq!((only(world).await["status"].clone(), active_schedules(world).await), (json!("canceled"), 0));
    });
}

#[test]
fn a_schedule_of_somebody_else_is_left_alone() {
    in_account("a_schedule_of_somebody_else_is_left_alone", async |world| {
        catalogue(world).await;
        world.create(&[&subscription(world, json!({}))]).await;
        let id = only(world).await["id"].as_str().expect("an id").to_owned();
        world.by_hand("POST", "subscription_schedules", &[("from_subscription", &id)]).await;
        let basic = subscription(world, json!({"price": "basic"}));
        let found = present(world.observe(&basic).await);
        let error = world.try_write(&[update(&basic, &found, &[])]).await.expect_err("it is another's");
        assert_eq!(error.error.class, ErrorClass::Conflict);
        assert!(error.to_string().contains("which this estate does not manage"), "{error}");
        assert_eq!((active_schedules(world).await, pays(world).await), (1, (4900, 2)));
    });
}

#[test]
fn whatever_is_lost_there_is_one_schedule() {
    for fault in [Fault::LoseAnswer, Fault::LoseRequest, Fault::HalfAnswer] {
        in_account("whatever_is_lost_there_is_one_schedule", async |world| {
            catalogue(world).await;
            world.create(&[&subscription(world, json!({}))]).await;
            let billed = invoices(world).await;
            let basic = subscription(world, json!({"price": "basic"}));
            let mut broke = 0;
            for at in 0.. {
                // The write of this number goes wrong, and the process dies with it.
                let count = Arc::new(AtomicUsize::new(0));
                let counted = count.clone();
                world.fail(move |asked| {
                    let is_it = asked.method != "GET" && counted.fetch_add(1, Ordering::Relaxed) == at;
                    if is_it { fault } else { Fault::None }
                });
                let found = present(world.observe(&basic).await);
                let is_done = world.try_write(&[update(&basic, &found, &[])]).await.is_ok();
                world.heal();
                assert!(world.all("subscription_schedules").await.len() <= 1, "{fault:?} at write {at}");
                assert_eq!(pays(world).await, (4900, 2), "{fault:?} at write {at}");
                if is_done {
                    break;
                }
                broke += 1;
            }
            assert!(broke >= 2, "{fault:?}: {broke}");
            let found = world.assert_is(&basic, world.observe(&basic).await);
            assert!(found.scheduled.is_some());
            assert_eq!(world.all("subscription_schedules").await.len(), 1);
            assert_eq!(invoices(world).await, billed);
        });
    }
}

#[test]
fn two_runs_at_once_make_one_schedule() {
    in_account("two_runs_at_once_make_one_schedule", async |world| {
        catalogue(world).await;
        world.create(&[&subscription(world, json!({}))]).await;
        let basic = subscription(world, json!({"price": "basic"}));
        let found = present(world.observe(&basic).await);
        let steps = ["1", "1", "2", "3"].map(|key| {
            let mut step = update(&basic, &found, &[]);
            step.idempotency_key = key.into();
            vec![step]
        });
        let results = join_all(steps.iter().map(|step| world.try_write(step))).await;
        assert!(results.iter().any(Result::is_ok), "{results:?}");
        assert_eq!(world.all("subscription_schedules").await.len(), 1);
        world.assert_is(&basic, world.observe(&basic).await);
    });
}

#[test]
fn reading_takes_the_same_requests_with_schedules_and_without() {
    in_account("reading_takes_the_same_requests_with_schedules_and_without", async |world| {
        catalogue(world).await;
        world.create(&[&subscription(world, json!({}))]).await;
        let basic = subscription(world, json!({"price": "basic"}));
        change(world, &basic).await;
        world.take_asked();
        world.observe(&basic).await;
        assert_eq!(world.take_asked(), ["GET /v1/subscriptions"]);
    });
}

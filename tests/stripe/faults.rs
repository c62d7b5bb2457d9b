//! Answers that are lost, processes that die, runs at once: never a second customer, price or subscription.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::join_all;
use serde_json::json;
use tenantry_core::model::resource::Desired;
use tenantry_provider::conformance::WriteUnguarded as _;

use crate::support::create;
use crate::support::stripe::{Fault, World, in_account};

/// One of each kind that Stripe would make twice.
fn wanted(world: &World) -> Vec<Desired> {
    [
        ("product", "tier:pro/product", json!({"key": "pro", "name": "Pro"})),
        ("meter", "estate/meter", json!({"eventName": "calls", "displayName": "Calls"})),
        (
            "price",
            "tier:pro/price",
            json!({"lookupKey": "pro", "product": "pro", "currency": "usd", "amount": "49.00", "interval": "month"}),
        ),
        ("coupon", "estate/coupon", json!({"key": "welcome", "percentOff": "10"})),
        ("customer", "acme/customer", json!({"key": "acme", "name": "Acme"})),
        (
            "subscription",
            "acme/subscription",
            json!({"key": "acme", "customer": "acme", "price": "pro", "coupon": "welcome", "trialDays": 7,
                "collectionMethod": "sendInvoice", "daysUntilDue": 30}),
        ),
        (
            "webhook_endpoint",
            "estate/hook",
            json!({"key": "main", "url": "https://shop.example", "enabledEvents": ["*"]}),
        ),
    ]
    .into_iter()
    .map(|(kind, address, spec)| world.desired(kind, address, spec))
    .collect()
}

async fn assert_one_of_each(world: &World, wanted: &[Desired], after: &str) {
    for path in ["products", "billing/meters", "prices", "coupons", "customers", "subscriptions", "webhook_endpoints"] {
        assert_eq!(world.all(path).await.len(), 1, "{path} after {after}");
    }
    for desired in wanted {
        world.assert_is(desired, world.observe(desired).await);
    }
}

/// Writes everything in order, as one process; stops at the first failure, as one that is killed.
async fn run(world: &World, wanted: &[Desired]) -> bool {
    let writer = world.writer();
    for desired in wanted {
        if writer.write(&[create(desired)]).await.is_err() {
            return false;
        }
    }
    true
}

#[test]
fn a_process_that_dies_at_any_request_leaves_nothing_to_be_made_twice() {
    for fault in [Fault::LoseAnswer, Fault::HalfAnswer, Fault::LoseRequest] {
        in_account("a_process_that_dies_at_any_request_leaves_nothing_to_be_made_twice", async |world| {
            let wanted = wanted(world);
            // From the point on nothing arrives any more, or no answer does: the process is as good as dead.
            for point in 0.. {
                let count = Arc::new(AtomicUsize::new(0));
                world.fail(move |_| match count.fetch_add(1, Ordering::Relaxed) {
                    number if number < point => Fault::None,
                    number if number == point => fault,
                    _ => Fault::LoseRequest,
                });
                let finished = run(world, &wanted).await;
                world.heal();
                if finished {
                    assert!(point > 7, "there are more requests than that");
                    break;
                }
            }
            assert!(run(world, &wanted).await);
            assert_one_of_each(world, &wanted, &format!("{fault:?}")).await;
        });
    }
}

#[test]
fn two_runs_at_once_make_one_of_each() {
    in_account("two_runs_at_once_make_one_of_each", async |world| {
        let wanted = wanted(world);
        for desired in &wanted {
            // Both have seen that there is none before either makes one.
            let writers: Vec<_> = (0..4).map(|_| world.writer()).collect();
            let results = join_all(writers.iter().map(async |writer| writer.write(&[create(desired)]).await)).await;
            for result in results {
                // The other's request may still be on its way: then this one is tried again later.
                if let Err(error) = result {
                    assert!(error.error.class.is_transient(), "{error}");
                }
            }
        }
        assert_one_of_each(world, &wanted, "four runs").await;
    });
}

#[test]
fn a_failure_that_stripe_remembers_is_not_the_last_word() {
    in_account("a_failure_that_stripe_remembers_is_not_the_last_word", async |world| {
        let wanted = wanted(world);
        assert!(run(world, &wanted[..5]).await);
        // A coupon that does not exist yet: refused, and remembered with the idempotency key.
        let spec = json!({"key": "acme", "customer": "acme", "price": "pro", "coupon": "later",
            "collectionMethod": "sendInvoice", "daysUntilDue": 30});
        let desired = world.desired("subscription", "acme/subscription", spec);
        for _ in 0..2 {
            world.try_write(&[create(&desired)]).await.expect_err("there is no such coupon");
        }
        world.create(&[&world.desired("coupon", "estate/later", json!({"key": "later", "percentOff": "5"}))]).await;
        world.create(&[&desired]).await;
        assert_eq!(world.all("subscriptions").await.len(), 1);
    });
}

//! How many requests there are, and what becomes of them when the server asks to slow down.

use std::time::Duration;

use futures::future::join_all;
use serde_json::json;
use tenantry_core::model::resource::{Desired, Observed};
use tenantry_provider::conformance::WriteUnguarded as _;

use crate::support::stripe::{World, in_account};
use crate::support::{create, observe};

fn customers(world: &World, count: usize) -> Vec<Desired> {
    let customer = |number| {
        let spec = json!({"key": format!("c{number}"), "name": format!("Customer {number}")});
        world.desired("customer", &format!("c{number}/customer"), spec)
    };
    (0..count).map(customer).collect()
}

#[test]
fn reading_takes_pages_and_writing_takes_one_request_each() {
    in_account("reading_takes_pages_and_writing_takes_one_request_each", async |world| {
        let desired = customers(world, 120);
        let writer = world.writer();
        world.take_asked();
        for desired in &desired[..90] {
            writer.write(&[create(desired)]).await.expect("it is made");
        }
        assert_eq!(world.take_asked().len(), 1 + 90, "one list, then one request each");
        let references: Vec<&Desired> = desired.iter().collect();
        for (count, pages) in [(10, 1), (90, 1)] {
            world.take_asked();
            observe(&*world.reader(), &references[..count], &[]).await;
            assert_eq!(world.take_asked().len(), pages, "{count} resources");
        }
        for desired in &desired[90..] {
            writer.write(&[create(desired)]).await.expect("it is made");
        }
        world.take_asked();
        let observed = observe(&*world.reader(), &references, &[]).await;
        assert_eq!(world.take_asked().len(), 2, "120 objects are two pages");
        for desired in &desired {
            let identity = desired.identity.as_deref().expect("an identity");
            assert!(matches!(observed["stripe.customer"].get(identity), Observed::Present(_)), "{identity}");
        }
    });
}

#[test]
fn a_server_that_throttles_half_of_the_time_costs_a_fifth_more_at_most() {
    in_account("a_server_that_throttles_half_of_the_time_costs_a_fifth_more_at_most", async |world| {
        let desired = customers(world, 150);
        let needed = desired.len() + 1;
        world.throttle(25, Duration::from_secs(1));
        let writer = world.writer();
        world.take_asked();
        // Eight tenants at a time, as the engine does.
        let lanes = (0..8).map(async |lane| {
            for desired in desired.iter().skip(lane).step_by(8) {
                writer.write(&[create(desired)]).await.expect("it is made");
            }
        });
        join_all(lanes).await;
        let (asked, throttled) = (world.take_asked().len(), world.take_throttled());
        world.heal();
        assert!(throttled > 0, "it never throttled");
        assert!(asked * 10 <= needed * 12, "{asked} requests for {needed}, {throttled} throttled");
        assert_eq!(observe(&*world.reader(), &[], &[]).await.len(), 0);
        let made = observe(&*world.reader(), &desired.iter().collect::<Vec<_>>(), &[]).await;
        assert_eq!(made["stripe.customer"].resources.len(), desired.len());
    });
}

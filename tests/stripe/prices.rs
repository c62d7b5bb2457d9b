//! Prices: amounts that never change.

use serde_json::json;
use tenantry_core::model::resource::{Desired, Observed};

use crate::support::stripe::{Fault, World, in_account};
use crate::support::{create, delete, present, update};

async fn product(world: &World) -> Desired {
    let product = world.desired("product", "tier:pro/product", json!({"key": "pro", "name": "Pro"}));
    world.create(&[&product]).await;
    product
}

fn price(world: &World, amount: &str) -> Desired {
    let spec =
        json!({"lookupKey": "pro_monthly", "product": "pro", "currency": "usd", "amount": amount, "interval": "month"});
    world.desired("price", "tier:pro/price", spec)
}

async fn by_active(world: &World) -> (usize, usize) {
    let prices = world.all("prices").await;
    let active = prices.iter().filter(|price| price["active"] == true).count();
    (active, prices.len() - active)
}

#[test]
fn a_new_amount_takes_the_lookup_key_over_and_archives_the_old() {
    in_account("a_new_amount_takes_the_lookup_key_over_and_archives_the_old", async |world| {
        let product = product(world).await;
        let (old, new) = (price(world, "49.90"), price(world, "59.90"));
        world.create(&[&old]).await;
        world.create(&[&old]).await;
        let found = world.assert_is(&old, world.observe(&old).await);
        assert_eq!(by_active(world).await, (1, 0));

        // As the engine replaces: deletion and creation in one batch.
        for _ in 0..2 {
            let mut made = create(&new);
            made.idempotency_key = "tier:pro/price/2".into();
            world.try_write(&[delete(&old, &found), made]).await.expect("it is replaced");
            let now = world.assert_is(&new, world.observe(&new).await);
            assert_ne!(now.outputs, found.outputs);
            assert_eq!(by_active(world).await, (1, 1));
        }
        // Back again within a day: a new one, not the archived one.
        let found = present(world.observe(&new).await);
        world.try_write(&[delete(&new, &found), create(&old)]).await.expect("it is replaced");
        world.assert_is(&old, world.observe(&old).await);
        assert_eq!(by_active(world).await, (1, 2));

        let found = present(world.observe(&old).await);
        world.write(delete(&old, &found)).await;
        assert_eq!(world.observe(&old).await, Observed::Absent);
        // With archived prices a product can only be archived.
        let found = present(world.observe(&product).await);
        world.write(delete(&product, &found)).await;
        assert_eq!(world.observe(&product).await, Observed::Absent);
        assert_eq!(world.all("products").await[0]["active"], false);
    });
}

/// The new one is made first: where it is refused, nothing was deleted, and nobody is told so.
#[test]
fn a_new_amount_that_is_refused_leaves_the_old_price_as_it_was() {
    in_account("a_new_amount_that_is_refused_leaves_the_old_price_as_it_was", async |world| {
        product(world).await;
        let (old, new) = (price(world, "49.90"), price(world, "59.90"));
        world.create(&[&old]).await;
        let found = present(world.observe(&old).await);
        world.fail(|asked| match (asked.method.as_str(), asked.path.as_str()) {
            ("POST", "/v1/prices") => Fault::Refuse(402),
            _ => Fault::None,
        });
        let failure = world.try_write(&[delete(&old, &found), create(&new)]).await.expect_err("it is refused");
        world.heal();
        assert_eq!(failure.step, 0, "{failure}");
        world.assert_is(&old, world.observe(&old).await);
        assert_eq!(by_active(world).await, (1, 0));
    });
}

#[test]
fn what_was_cut_short_between_the_two_is_seen_and_archived() {
    in_account("what_was_cut_short_between_the_two_is_seen_and_archived", async |world| {
        product(world).await;
        let (old, new) = (price(world, "49.90"), price(world, "59.90"));
        world.create(&[&old]).await;
        let found = present(world.observe(&old).await);
        // The process dies when the new one is there and the old one is not archived yet.
        world.fail(|asked| if asked.path.starts_with("/v1/prices/") { Fault::LoseRequest } else { Fault::None });
        let mut made = create(&new);
        made.idempotency_key = "tier:pro/price/2".into();
        world.try_write(&[delete(&old, &found), made.clone()]).await.expect_err("the archiving fails");
        world.heal();
        assert_eq!(by_active(world).await, (2, 0));
        let left = present(world.observe(&new).await);
        assert_ne!(left.spec, new.spec.shared(), "the superseded one shows");
        world.write(update(&new, &left, &[])).await;
        world.assert_is(&new, world.observe(&new).await);
        assert_eq!(by_active(world).await, (1, 1));
    });
}

#[test]
fn tiers_meters_and_fractions() {
    in_account("tiers_meters_and_fractions", async |world| {
        product(world).await;
        let meter = world.desired("meter", "estate/meter", json!({"eventName": "calls", "displayName": "Calls"}));
        world.create(&[&meter]).await;
        let specs = [
            json!({"lookupKey": "calls", "product": "pro", "currency": "usd", "amount": "0.00125", "interval": "month", "meter": "calls"}),
            json!({"lookupKey": "seats", "product": "pro", "currency": "jpy", "interval": "year", "tiersMode": "volume",
                "tiers": [{"upTo": 10, "amount": "500", "flatAmount": "0"}, {"amount": "400", "flatAmount": "1000"}]}),
            json!({"lookupKey": "setup", "product": "pro", "currency": "eur", "amount": "100"}),
        ];
        for spec in specs {
            let desired = world.desired("price", "tier:pro/price", spec);
            world.create(&[&desired]).await;
            world.assert_is(&desired, world.observe(&desired).await);
            world.create(&[&desired]).await;
            world.assert_is(&desired, world.observe(&desired).await);
        }
        assert_eq!(by_active(world).await, (3, 0));
    });
}

#[test]
fn the_lookup_key_of_somebody_else_is_a_conflict() {
    in_account("the_lookup_key_of_somebody_else_is_a_conflict", async |world| {
        let product = product(world).await;
        let id = present(world.observe(&product).await).outputs.get("id").and_then(|id| id.as_str().map(str::to_owned));
        let id = id.expect("an id");
        let parameters =
            [("product", id.as_str()), ("currency", "usd"), ("unit_amount", "1"), ("lookup_key", "pro_monthly")];
        world.by_hand("POST", "prices", &parameters).await;
        let error = world.try_write(&[create(&price(world, "49.90"))]).await.expect_err("a conflict");
        assert_eq!(error.error.to_string(), r#"creating price "pro_monthly": it exists and carries no mark"#);
    });
}

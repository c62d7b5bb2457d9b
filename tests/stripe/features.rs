//! Features, and the products that have them.

use serde_json::json;
use tenantry_core::model::resource::{Desired, Observed};

use crate::support::stripe::{World, in_account};
use crate::support::{create, delete, present, update};

fn feature(account: &World, key: &str) -> Desired {
    account.desired("feature", &format!("estate/{key}"), json!({"lookupKey": key, "name": key}))
}

async fn attached(account: &World, product: &str) -> Vec<String> {
    let all = account.all(&format!("products/{product}/features")).await;
    let key = |one: &serde_json::Value| one["entitlement_feature"]["lookup_key"].as_str().expect("a key").to_owned();
    let mut keys: Vec<String> = all.iter().map(key).collect();
    keys.sort();
    keys
}

#[test]
fn a_product_has_the_features_that_it_names() {
    in_account("a_product_has_the_features_that_it_names", async |account: &World| {
        let features = ["sso", "audit", "backup"].map(|key| feature(account, key));
        account.create(&features.each_ref()).await;
        let spec = json!({"key": "pro", "name": "Pro", "features": ["sso", "audit"]});
        let product = account.desired("product", "tier:pro/product", spec);
        account.create(&[&product]).await;
        account.create(&[&product]).await;
        let found = account.assert_is(&product, account.observe(&product).await);
        let id = found.outputs.get("id").and_then(|id| id.as_str()).expect("an id").to_owned();
        assert_eq!(attached(account, &id).await, ["audit", "sso"]);

        // One detached and another attached by hand.
        let path = format!("products/{id}/features");
        let all = account.all(&path).await;
        let sso = all.iter().find(|one| one["entitlement_feature"]["lookup_key"] == "sso").expect("it is attached");
        account.by_hand("DELETE", &format!("{path}/{}", sso["id"].as_str().expect("an id")), &[]).await;
        let backup = present(account.observe(&features[2]).await);
        let backup = backup.outputs.get("id").and_then(|id| id.as_str()).expect("an id").to_owned();
        account.by_hand("POST", &path, &[("entitlement_feature", &backup)]).await;
        let drifted = present(account.observe(&product).await);
        assert_eq!(
            drifted.spec.get("features").map(tenantry_core::model::value::Value::to_json),
            Some(json!(["audit", "backup"]))
        );
        account.write(update(&product, &drifted, &[])).await;
        account.assert_is(&product, account.observe(&product).await);
        assert_eq!(attached(account, &id).await, ["audit", "sso"]);

        // Of one that names none, nothing is read and nothing changes.
        account.take_asked();
        let silent = account.desired("product", "tier:pro/product", json!({"key": "pro", "name": "Pro plan"}));
        let before = present(account.observe(&silent).await);
        assert!(!account.take_asked().iter().any(|asked| asked.ends_with("/features")), "they were read");
        account.write(update(&silent, &before, &["/features"])).await;
        assert_eq!(attached(account, &id).await, ["audit", "sso"]);
        // One that names an empty list has none.
        let none =
            account.desired("product", "tier:pro/product", json!({"key": "pro", "name": "Pro plan", "features": []}));
        account.write(update(&none, &present(account.observe(&none).await), &[])).await;
        assert_eq!(attached(account, &id).await, [""; 0]);
    });
}

#[test]
fn a_feature_that_nobody_makes_leaves_no_product_behind() {
    in_account("a_feature_that_nobody_makes_leaves_no_product_behind", async |account: &World| {
        let spec = json!({"key": "pro", "name": "Pro", "features": ["sso"]});
        let product = account.desired("product", "tier:pro/product", spec);
        let refused = account.try_write(&[create(&product)]).await.expect_err("there is no such feature").error;
        assert!(refused.to_string().contains("stripe.feature `sso`"), "{refused}");
        assert_eq!(account.all("products").await.len(), 0);
    });
}

#[test]
fn an_archived_feature_comes_back_with_its_lookup_key() {
    in_account("an_archived_feature_comes_back_with_its_lookup_key", async |account: &World| {
        let sso = feature(account, "sso");
        account.create(&[&sso]).await;
        let made = account.assert_is(&sso, account.observe(&sso).await);
        account.write(delete(&sso, &made)).await;
        account.write(delete(&sso, &made)).await;
        assert_eq!(account.observe(&sso).await, Observed::Absent);
        let renamed = account.desired("feature", "estate/sso", json!({"lookupKey": "sso", "name": "Single sign-on"}));
        account.create(&[&renamed]).await;
        let again = account.assert_is(&renamed, account.observe(&renamed).await);
        assert_eq!(again.outputs, made.outputs, "Stripe keeps the lookup key with it");
    });
}

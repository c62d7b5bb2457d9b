//! Test and live mode are never mixed, and answers are not taken for what they are not.

use crate::support::said;
use serde_json::json;
use tenantry_core::model::resource::Observed;
use tenantry_provider::contract::{ErrorClass, Provider as _};
use tenantry_stripe::Stripe;

use crate::support::create;
use crate::support::stripe::{Fault, in_account};

#[test]
fn a_live_key_needs_the_target_to_say_so() {
    in_account("a_live_key_needs_the_target_to_say_so", async |world| {
        let refused = |key: &str, live: Option<bool>| {
            let mut settings = world.settings(key);
            if let Some(live) = live {
                settings.values.insert("live".to_owned(), live.into());
            }
            Stripe.reader(&settings).err().map(|error| error.cause)
        };
        assert!(refused("sk_live_x", None).is_some_and(|cause| cause.contains("`live = true`")));
        assert!(refused("rk_live_x", Some(false)).is_some_and(|cause| cause.contains("`live = true`")));
        assert!(refused("sk_test_x", Some(true)).is_some_and(|cause| cause.contains("test mode")));
        assert!(refused("pk_test_x", None).is_some_and(|cause| cause.contains("not a secret or restricted key")));
        assert_eq!(refused("sk_live_x", Some(true)), None);
        assert_eq!(refused("rk_test_x", None), None);
    });
}

#[test]
fn an_object_of_the_other_mode_is_not_believed() {
    in_account("an_object_of_the_other_mode_is_not_believed", async |world| {
        let desired = world.desired("customer", "acme/customer", json!({"key": "acme", "name": "Acme"}));
        world.create(&[&desired]).await;
        world.answer_live();
        let Observed::Unknown(reason) = world.observe(&desired).await else { panic!("it is believed") };
        let reason = said(&reason);
        assert!(reason.contains("the key is for test mode, but Stripe returned an object of live mode"), "{reason}");
        let error = world.try_write(&[create(&desired)]).await.expect_err("nothing is written");
        assert_eq!(error.error.class, ErrorClass::Fatal);
    });
}

#[test]
fn an_outage_a_denial_and_a_page_for_people_are_unknown() {
    in_account("an_outage_a_denial_and_a_page_for_people_are_unknown", async |world| {
        let desired = world.desired("customer", "acme/customer", json!({"key": "acme", "name": "Acme"}));
        for (fault, says) in [
            (Fault::Refuse(500), "status 500"),
            (Fault::Refuse(401), "status 401"),
            (Fault::Refuse(403), "status 403"),
            (Fault::LoseRequest, "error"),
            (Fault::HalfAnswer, "broke off"),
            (Fault::Html, "not JSON but text/html"),
        ] {
            world.fail(move |_| fault);
            let Observed::Unknown(reason) = world.observe(&desired).await else {
                panic!("{fault:?} is taken for an answer")
            };
            let reason = said(&reason);
            assert!(reason.contains(says), "{fault:?}: {reason}");
            assert!(!reason.contains("sk_test"), "{reason}");
        }
    });
}

#[test]
fn a_second_page_that_fails_leaves_nothing_absent() {
    in_account("a_second_page_that_fails_leaves_nothing_absent", async |world| {
        for number in 0..101 {
            let name = format!("customer {number}");
            world.by_hand("POST", "customers", &[("name", &name)]).await;
        }
        let desired = world.desired("customer", "acme/customer", json!({"key": "acme", "name": "Acme"}));
        world.fail(|asked| if asked.query.contains("starting_after") { Fault::Refuse(500) } else { Fault::None });
        assert!(matches!(world.observe(&desired).await, Observed::Unknown(_)));
        world.heal();
        assert_eq!(world.observe(&desired).await, Observed::Absent);
    });
}

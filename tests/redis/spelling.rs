//! What a value was before, told from what somebody else wrote.

use serde_json::{Value as Json, json};
use tenantry_core::diff::compare;

use super::{by_hand, on_redis};
use crate::support::present;

/// Redis keeps texts only. What was applied has to be known again after the repository asks for another type.
#[test]
fn a_value_that_changes_its_type_in_the_repository_is_no_drift() {
    on_redis("a_value_that_changes_its_type_in_the_repository_is_no_drift", async |target| {
        let wanted = |name: &str, value: &Json| {
            let (key, hash) = (target.name(name), target.name(&format!("{name}_hash")));
            [
                target.desired("key", &format!("acme/{name}"), json!({"key": key, "value": value})),
                target.desired("hash", &format!("acme/{name}_hash"), json!({"key": hash, "fields": {"limit": value}})),
            ]
        };
        let changes = [
            (json!(20), json!("unlimited")),
            (json!("unlimited"), json!(20)),
            (json!(20), json!(true)),
            (json!(true), json!(20)),
            (json!(false), json!("no")),
            (json!(1.5), json!("unlimited")),
            (json!(20), json!(1.5)),
            (json!("20"), json!("30")),
            (json!("pro"), json!("free")),
        ];
        for (number, (applied, asked)) in changes.iter().enumerate() {
            let name = format!("t{number}");
            let before = wanted(&name, applied);
            target.create(&[&before[0], &before[1]]).await;
            target.assert_settled(&[&before[0], &before[1]]).await;
            for (before, after) in before.iter().zip(&wanted(&name, asked)) {
                let found = present(target.observe(after).await);
                let differences = compare(&after.kind, &after.spec, &found.spec, Some(&before.spec));
                let causes: Vec<_> =
                    differences.iter().map(|difference| (difference.drift, difference.pending)).collect();
                assert_eq!(causes, [(false, true)], "{applied} to {asked}: {differences:?}");
            }
            by_hand(target, &format!("SET {} somebody", target.name(&name))).await;
            let after = &wanted(&name, asked)[0];
            let found = present(target.observe(after).await);
            let differences = compare(&after.kind, &after.spec, &found.spec, Some(&before[0].spec));
            assert!(differences.iter().all(|difference| difference.drift), "{applied} to {asked}: {differences:?}");
        }
    });
}

/// What the plan saw has to be there still when it is applied.
#[test]
fn a_key_that_ends_too_late_looks_the_same_a_while_later() {
    on_redis("a_key_that_ends_too_late_looks_the_same_a_while_later", async |target| {
        let wanted = |seconds: i64| {
            let spec = json!({"key": target.name("late"), "value": 1, "expire": seconds});
            target.desired("key", "acme/late", spec)
        };
        target.create(&[&wanted(3600)]).await;
        let before = present(target.observe(&wanted(60)).await);
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
        assert_eq!(present(target.observe(&wanted(60)).await), before);
        target.assert_repairs(&wanted(60), "a longer time").await;
    });
}

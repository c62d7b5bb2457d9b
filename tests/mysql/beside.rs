//! Privileges that somebody gives by hand, wherever they reach a tenant's database.

use serde_json::json;
use tenantry_core::model::resource::{Desired, Observed};

use super::safety::answer;
use super::{ITEMS, by_hand, on_mysql};
use crate::support::delete;
use crate::support::target::Target;

/// A database with a table, a user, and what that may do there.
async fn shop(target: &Target) -> (String, Desired) {
    let own = target.name("acme");
    let database = target.desired("database", "acme/database", json!({"name": own}));
    let user = target.desired("user", "acme/user", json!({"name": own, "password": "hunter2"}));
    let spec = json!({"user": own, "on": "database", "database": own, "privileges": ["SELECT", "INSERT"]});
    let grant = target.desired("grant", "acme/grant", spec);
    target.create(&[&database, &user, &grant]).await;
    by_hand(target, &format!("USE `{own}`; {ITEMS}")).await;
    (own, grant)
}

async fn grants(target: &Target, user: &str) -> Vec<String> {
    let told = answer(target, &format!("SHOW GRANTS FOR '{user}'@'%'")).await;
    told.into_iter().filter(|grant| !grant.contains("GRANT USAGE ON *.*")).collect()
}

#[test]
fn what_is_given_by_hand_is_drift_wherever_it_reaches_the_database() {
    on_mysql("what_is_given_by_hand_is_drift_wherever_it_reaches_the_database", async |target| {
        let (own, grant) = shop(target).await;
        let before = grants(target, &own).await;
        assert_eq!(before.len(), 1, "{before:?}");
        for drift in [
            // The usual way, in which `_` stands for any character.
            format!("GRANT ALL ON `{own}`.* TO '{own}'@'%' WITH GRANT OPTION"),
            format!("GRANT DROP, ALTER ON `{}%`.* TO '{own}'@'%'", &own[..own.len() - 2]),
            format!("GRANT UPDATE ON *.* TO '{own}'@'%'"),
            format!("GRANT DELETE ON `{own}`.items TO '{own}'@'%'"),
            format!("GRANT UPDATE (id) ON `{own}`.items TO '{own}'@'%'"),
            format!("GRANT DELETE ON `{}`.* TO '{own}'@'%'", own.replace('_', "\\_")),
        ] {
            by_hand(target, &drift).await;
            target.assert_repairs(&grant, &drift).await;
            assert_eq!(grants(target, &own).await, before, "{drift}");
        }
    });
}

#[test]
fn a_grant_that_is_removed_leaves_nothing_that_reached_its_object() {
    on_mysql("a_grant_that_is_removed_leaves_nothing_that_reached_its_object", async |target| {
        let (own, grant) = shop(target).await;
        for by in [format!("ALL ON `{own}`.*"), "SELECT ON *.*".to_owned(), format!("DELETE ON `{own}`.items")] {
            by_hand(target, &format!("GRANT {by} TO '{own}'@'%'")).await;
        }
        let Observed::Present(before) = target.observe_known(&grant).await else { panic!("it is there") };
        target.write(&[delete(&grant, &before), delete(&grant, &before)]).await;
        assert_eq!(target.observe_known(&grant).await, Observed::Absent);
        assert_eq!(grants(target, &own).await, [""; 0]);
        // What is given by hand afterwards is not gone with what was recorded.
        by_hand(target, &format!("GRANT SELECT ON `{own}`.* TO '{own}'@'%'")).await;
        let Observed::Present(again) = target.observe_known(&grant).await else { panic!("it still reaches it") };
        target.write(&[delete(&grant, &again)]).await;
        assert_eq!(grants(target, &own).await, [""; 0]);
    });
}

#[test]
fn what_other_grants_are_about_and_what_reaches_no_database_is_no_drift() {
    on_mysql("what_other_grants_are_about_and_what_reaches_no_database_is_no_drift", async |target| {
        let (own, grant) = shop(target).await;
        let more = |on: &str, privileges: &[&str]| {
            let mut spec = json!({"user": own, "on": on, "privileges": privileges});
            if on == "table" {
                spec["database"] = own.as_str().into();
                spec["table"] = "items".into();
            }
            target.desired("grant", &format!("acme/{on}"), spec)
        };
        let (table, server) = (more("table", &["DELETE"]), more("global", &["SELECT", "PROCESS"]));
        target.create(&[&table, &server]).await;
        target.assert_settled(&[&grant, &table, &server]).await;
        // Of another user, and of another database.
        let other = target.name("bolt");
        by_hand(target, &format!("CREATE USER '{other}'@'%'; GRANT ALL ON `{own}`.* TO '{other}'@'%'")).await;
        by_hand(target, &format!("GRANT ALL ON `{other}`.* TO '{own}'@'%'")).await;
        target.assert_settled(&[&grant, &table, &server]).await;
    });
}

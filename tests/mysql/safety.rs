//! What must not be touched, and what must not be taken for something else.

use crate::support::said;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value as Json, json};
use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Row as _};
use tenantry_core::model::resource::{Desired, Observed, Present};
use tenantry_provider::conformance::WriteUnguarded as _;
use tenantry_provider::contract::{ErrorClass, Step};

use super::{ITEMS, by_hand, connect, execute, is_mariadb, on_mysql, tenant};
use crate::support::target::Target;
use crate::support::{create, delete, observe, present, update};

/// What one query answers, as texts: a line a row.
pub async fn answer(target: &Target, sql: &str) -> Vec<String> {
    let mut admin = connect(&target.url).await.expect("the server answers");
    let rows = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_all(&mut admin).await.expect("an answer");
    rows.iter().map(|row| row.try_get_unchecked::<String, _>(0).expect("a text")).collect()
}

pub fn row(target: &Target, database: &str, table: &str, key: Json, columns: Json) -> Desired {
    let spec = json!({"database": database, "table": table, "key": key, "columns": columns});
    target.desired("row", "acme/row", spec)
}

fn seen(desired: &Desired) -> Present {
    Present { spec: desired.spec.shared(), ..Present::default() }
}

/// The server compares a number with the digits that a text begins with.
#[test]
fn a_text_that_only_begins_with_a_number_is_not_the_key_of_a_row() {
    on_mysql("a_text_that_only_begins_with_a_number_is_not_the_key_of_a_row", async |target| {
        let own = target.name("acme");
        let table = "CREATE TABLE numbered (id bigint PRIMARY KEY, since datetime, seats int)";
        let theirs = "INSERT INTO numbered VALUES (0, '2026-01-01', 1), (12, '2026-01-01', 1), (1000, '2026-01-01', 1)";
        by_hand(target, &format!("CREATE DATABASE `{own}`; USE `{own}`; {table}; {theirs}")).await;
        for key in
            [json!({"id": "12-acme"}), json!({"id": "acme"}), json!({"id": "1e3"}), json!({"since": "2026-01-01 x"})]
        {
            let wanted = row(target, &own, "numbered", key.clone(), json!({"seats": 9}));
            let observed = target.observe(&wanted).await;
            assert!(
                matches!(&observed, Observed::Unknown(reason) if said(reason).contains("key")),
                "{key}: {observed:?}"
            );
            let before = Present {
                spec: row(target, &own, "numbered", key.clone(), json!({"seats": 1})).spec.shared(),
                ..Present::default()
            };
            for step in [create(&wanted), update(&wanted, &before, &[]), delete(&wanted, &seen(&wanted))] {
                let error = target.try_write(&[step]).await.expect_err("it is no row's key").error;
                assert_eq!(error.class, ErrorClass::Fatal, "{key}: {error}");
            }
        }
        let all = answer(target, &format!("SELECT CONCAT(id, ' ', seats) FROM `{own}`.numbered ORDER BY id")).await;
        assert_eq!(all, ["0 1", "12 1", "1000 1"]);
        let wanted = row(target, &own, "numbered", json!({"id": "12"}), json!({"seats": 1}));
        target.assert_settled(&[&wanted]).await;
    });
}

#[test]
fn rows_that_share_a_key_are_left_alone_where_nothing_can_be_rolled_back() {
    on_mysql("rows_that_share_a_key_are_left_alone_where_nothing_can_be_rolled_back", async |target| {
        let own = target.name("acme");
        let table = "CREATE TABLE old (tenant varchar(20), seats int) ENGINE=MyISAM";
        by_hand(target, &format!("CREATE DATABASE `{own}`; USE `{own}`; {table}; INSERT INTO old VALUES ('acme', 1)"))
            .await;
        let wanted = row(target, &own, "old", json!({"tenant": "acme"}), json!({"seats": 1}));
        target.assert_settled(&[&wanted]).await;
        by_hand(target, &format!("INSERT INTO `{own}`.old VALUES ('acme', 2)")).await;
        let error = target.try_write(&[delete(&wanted, &seen(&wanted))]).await.expect_err("there are two").error;
        assert!(error.to_string().contains("2 rows"), "{error}");
        let all = answer(target, &format!("SELECT CONCAT(seats) FROM `{own}`.old ORDER BY seats")).await;
        assert_eq!(all, ["1", "2"]);
    });
}

#[test]
fn a_script_s_warnings_are_heard_statement_by_statement() {
    on_mysql("a_script_s_warnings_are_heard_statement_by_statement", async |target| {
        let own = target.name("acme");
        let database = target.desired("database", "acme/database", json!({"name": own}));
        let sql = "DROP TABLE IF EXISTS nothing; SET SESSION sql_mode = ''; CREATE TABLE w (a tinyint);\n\
            INSERT INTO w VALUES (999); -- too much; and\nINSERT INTO w VALUES (1)";
        let script = target.desired("script", "acme/script", json!({"name": "w", "database": own, "sql": sql}));
        let written = target.try_write(&[create(&database), create(&script)]).await.expect("it is written");
        assert_eq!(written[0].notices, [""; 0]);
        let said = &written[1].notices;
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].starts_with("Note 1051: ") && said[0].contains("nothing"), "{said:?}");
        assert!(said[1].starts_with("Warning 1264: Out of range"), "{said:?}");
        // Whole, where it cannot be taken apart: then it is the last statement that is asked about.
        let sql = "CREATE PROCEDURE p() BEGIN SELECT 1; END; DROP TABLE IF EXISTS nowhere";
        let whole = target.desired("script", "acme/whole", json!({"name": "p", "database": own, "sql": sql}));
        let written = target.try_write(&[create(&whole)]).await.expect("it is written");
        assert_eq!(written[0].notices.len(), 1, "{:?}", written[0].notices);
    });
}

fn as_of(estate: &str, mut step: Step) -> Step {
    step.mark.estate = estate.into();
    step
}

#[test]
fn of_two_estates_that_make_the_same_at_once_one_has_it() {
    on_mysql("of_two_estates_that_make_the_same_at_once_one_has_it", async |target| {
        let kind = if is_mariadb(target).await { "user" } else { "database" };
        let (ours, theirs) = (target.writer(), target.writer());
        // The tables of the bookkeeping database come first.
        target.create(&[&target.desired(kind, "first/it", json!({"name": target.name("first")}))]).await;
        for number in 0..20 {
            let wanted =
                target.desired(kind, &format!("t{number}/it"), json!({"name": target.name(&format!("t{number}"))}));
            let (first, second) = (as_of("shop", create(&wanted)), as_of("shop-2", create(&wanted)));
            let (first, second) =
                futures::join!(ours.write(std::slice::from_ref(&first)), theirs.write(std::slice::from_ref(&second)));
            let winner = match (first.is_ok(), second.is_ok()) {
                (true, false) => "shop",
                (false, true) => "shop-2",
                both => panic!("{both:?}: one of them makes it"),
            };
            let mark =
                present(target.observe(&wanted).await).mark.unwrap_or_else(|| panic!("{number}: no mark of {winner}"));
            assert_eq!(&*mark.estate, winner, "{number}");
        }
    });
}

#[test]
fn the_mark_of_another_estate_outlives_an_end_that_came_before() {
    on_mysql("the_mark_of_another_estate_outlives_an_end_that_came_before", async |target| {
        let kind = if is_mariadb(target).await { "user" } else { "database" };
        let wanted = target.desired(kind, "acme/it", json!({"name": target.name("acme")}));
        target.create(&[&wanted]).await;
        let before = present(target.observe(&wanted).await);
        target.write(&[delete(&wanted, &before)]).await;
        target.write(&[as_of("shop-2", create(&wanted))]).await;
        let error = target.try_write(&[delete(&wanted, &before)]).await.expect_err("it is another's now").error;
        assert_eq!(error.class, ErrorClass::Conflict, "{error}");
        // In the middle of being made: the mark is there, and what it is for is not yet.
        let name = target.name("acme");
        by_hand(
            target,
            &if kind == "user" { format!("DROP USER '{name}'@'%'") } else { format!("DROP DATABASE `{name}`") },
        )
        .await;
        target.write(&[delete(&wanted, &before)]).await;
        let marks = format!("SELECT estate FROM `tenantry_{}`.marks WHERE name = '{name}'", target.suffix);
        assert_eq!(answer(target, &marks).await, ["shop-2"]);
        let error = target.try_write(&[create(&wanted)]).await.expect_err("another makes it").error;
        assert_eq!(error.class, ErrorClass::Conflict, "{error}");
        assert!(error.to_string().contains("shop-2"), "{error}");
    });
}

#[test]
fn a_script_that_leaves_a_transaction_open_has_run() {
    on_mysql("a_script_that_leaves_a_transaction_open_has_run", async |target| {
        let own = target.name("acme");
        by_hand(target, &format!("CREATE DATABASE `{own}`; USE `{own}`; {ITEMS}")).await;
        // As dumps begin, and seldom end.
        for (name, begin) in
            [("begin", "START TRANSACTION"), ("manual", "SET autocommit = 0"), ("names", "SET NAMES latin1")]
        {
            let sql = format!("{begin}; INSERT INTO items (id) VALUES ('{name}')");
            let check = format!("SELECT COUNT(*) = 1 FROM `{own}`.items WHERE id = '{name}' AND 'é' <> ''");
            let spec = json!({"name": name, "database": own, "sql": sql, "check": check});
            let script = target.desired("script", &format!("acme/{name}"), spec);
            target.create(&[&script]).await;
            target.assert_settled(&[&script]).await;
        }
        assert_eq!(
            answer(target, &format!("SELECT id FROM `{own}`.items ORDER BY id")).await,
            ["begin", "manual", "names"]
        );
    });
}

#[test]
fn a_table_whose_columns_are_not_told_makes_no_other_unknown() {
    on_mysql("a_table_whose_columns_are_not_told_makes_no_other_unknown", async |target| {
        let wanted = tenant(target, "acme");
        target.create(&[&wanted[0], &wanted[2], &wanted[4]]).await;
        // The server takes this name in any case, and tells it in another.
        let key = json!({"CHARACTER_SET_NAME": "utf8mb4"});
        let other = row(target, "information_schema", "character_sets", key, json!({"MAXLEN": 4}));
        let observations = observe(&*target.reader(), &[&wanted[4], &other], &[]).await;
        let of = |desired: &Desired| observations["mysql.row"].get(desired.identity.as_deref().expect("an identity"));
        assert!(
            matches!(of(&other), Observed::Unknown(reason) if said(&reason).contains("does not show its columns")),
            "{:?}",
            of(&other)
        );
        assert!(observations["mysql.row"].incomplete.is_none());
        target.assert_is(&wanted[4], of(&wanted[4]));
    });
}

#[test]
fn privileges_of_several_names_are_one() {
    on_mysql("privileges_of_several_names_are_one", async |target| {
        let user = target.name("acme");
        target.create(&[&target.desired("user", "acme/user", json!({"name": user}))]).await;
        let mut names = vec![json!(["replication client", "replication slave"])];
        if is_mariadb(target).await {
            names.push(json!([
                "binlog monitor",
                "replication replica",
                "replica monitor",
                "replication replica admin"
            ]));
        }
        for privileges in names {
            let grant =
                target.desired("grant", "acme/grant", json!({"user": user, "on": "global", "privileges": privileges}));
            target.create(&[&grant]).await;
            target.assert_settled(&[&grant]).await;
            target.assert_deletes(&grant).await;
        }
    });
}

/// Connects whenever it is not connected, until it may not or has to stop.
async fn stubborn(url: String, stop: Arc<AtomicBool>) -> MySqlConnection {
    let mut connection = connect(&url).await.expect("it logs in");
    while !stop.load(Ordering::Relaxed) {
        if sqlx::query("SELECT 1").execute(&mut connection).await.is_err() {
            match connect(&url).await {
                Ok(another) => connection = another,
                Err(_) => break,
            }
        }
    }
    connection
}

/// Who comes back between the end of a connection and that of the user would keep what the user was allowed.
#[test]
fn who_connects_again_and_again_is_out_when_the_user_ends() {
    on_mysql("who_connects_again_and_again_is_out_when_the_user_ends", async |target| {
        let name = target.name("acme");
        let user = target.desired("user", "acme/user", json!({"name": name, "password": "hunter2"}));
        target.create(&[&user]).await;
        let stop = Arc::new(AtomicBool::new(false));
        let client = tokio::spawn(stubborn(target.url_as(&name, "hunter2"), stop.clone()));
        let before = present(target.observe(&user).await);
        // Users can be read and not changed for a while, which makes the time in between long.
        let mut admin = connect(&target.url).await.expect("the server answers");
        let users = if is_mariadb(target).await { "global_priv" } else { "user" };
        execute(&mut admin, &format!("LOCK TABLES mysql.{users} READ")).await;
        let steps = [delete(&user, &before)];
        let ended = async {
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            execute(&mut admin, "UNLOCK TABLES").await;
        };
        futures::join!(target.write(&steps), ended);
        stop.store(true, Ordering::Relaxed);
        let mut connection = client.await.expect("it ends");
        assert!(sqlx::query("SELECT 1").execute(&mut connection).await.is_err());
    });
}

#[test]
fn a_column_that_may_not_be_read_is_not_taken_for_a_missing_one() {
    on_mysql("a_column_that_may_not_be_read_is_not_taken_for_a_missing_one", async |target| {
        let wanted = tenant(target, "acme");
        target.create(&[&wanted[0], &wanted[2], &wanted[4]]).await;
        let (own, observer) = (target.name("acme"), target.name("observer"));
        let grant = format!("GRANT SELECT (id, note) ON `{own}`.items TO '{observer}'@'%'");
        by_hand(target, &format!("CREATE USER '{observer}'@'%' IDENTIFIED BY 'x'; {grant}")).await;
        let visible = row(target, &own, "items", json!({"id": "acme"}), json!({"note": null}));
        let reader = target.reader_at(&target.url_as(&observer, "x"));
        let observations = observe(&*reader, &[&wanted[4], &visible], &[]).await;
        let identity = wanted[4].identity.as_deref().expect("an identity");
        let observed = observe(&*reader, &[&wanted[4]], &[]).await["mysql.row"].get(identity);
        assert!(matches!(&observed, Observed::Unknown(reason) if said(reason).contains("seats")), "{observed:?}");
        assert!(observations["mysql.row"].incomplete.is_none());
        target.assert_is(&visible, observe(&*reader, &[&visible], &[]).await["mysql.row"].get(identity));
    });
}

/// MariaDB makes the user of a grant, without a password, unless it is told not to.
#[test]
fn a_grant_makes_no_user() {
    on_mysql("a_grant_makes_no_user", async |target| {
        let wanted = tenant(target, "acme");
        target.create(&[&wanted[0], &wanted[2]]).await;
        let own = target.name("acme");
        for object in [
            json!({"on": "global", "privileges": ["PROCESS"]}),
            json!({"on": "database", "database": own, "privileges": ["ALL"]}),
            json!({"on": "table", "database": own, "table": "items", "privileges": ["SELECT"]}),
        ] {
            let mut spec = object;
            spec["user"] = target.name("nobody").into();
            let grant = target.desired("grant", "acme/grant", spec);
            target.try_write(&[create(&grant)]).await.expect_err("there is no such user");
            let like = format!("SELECT User FROM mysql.user WHERE User = '{}'", target.name("nobody"));
            assert_eq!(answer(target, &like).await, [""; 0]);
        }
    });
}

#[test]
fn rows_of_many_tenants_are_made_at_once() {
    on_mysql("rows_of_many_tenants_are_made_at_once", async |target| {
        let own = target.name("shared");
        by_hand(target, &format!("CREATE DATABASE `{own}`; USE `{own}`; {ITEMS}")).await;
        let writer = target.writer();
        let rows: Vec<Desired> = (0..40)
            .map(|number| row(target, &own, "items", json!({"id": format!("t{number}")}), json!({"seats": 5})))
            .collect();
        let steps: Vec<Step> = rows.iter().map(create).collect();
        let written =
            futures::future::join_all(steps.iter().map(|step| writer.write(std::slice::from_ref(step)))).await;
        let refused: Vec<String> = written.into_iter().filter_map(Result::err).map(|error| error.to_string()).collect();
        assert_eq!(refused, [""; 0]);
    });
}

#[test]
fn many_tenants_come_and_go_at_once() {
    on_mysql("many_tenants_come_and_go_at_once", async |target| {
        let tenants: Vec<Vec<Desired>> = (0..20).map(|number| tenant(target, &format!("t{number}"))).collect();
        let writer = target.writer();
        let make = async |resources: &Vec<Desired>| {
            for desired in resources {
                writer.write(&[create(desired)]).await?;
            }
            let last = &resources[1];
            let before = present(target.observe(last).await);
            writer.write(&[update(last, &before, &[])]).await?;
            for desired in resources.iter().rev() {
                let before = present(target.observe_known(desired).await);
                writer.write(&[delete(desired, &before)]).await?;
            }
            Ok::<_, tenantry_provider::contract::WriteError>(())
        };
        let done = futures::future::join_all(tenants.iter().map(make)).await;
        let refused: Vec<String> = done.into_iter().filter_map(Result::err).map(|error| error.to_string()).collect();
        assert_eq!(refused, [""; 0]);
    });
}

/// With `partial_revokes` the server hides a database from who may read all others.
#[test]
fn a_database_that_is_hidden_is_not_taken_for_a_missing_one() {
    on_mysql("a_database_that_is_hidden_is_not_taken_for_a_missing_one", async |target| {
        let wanted = &tenant(target, "acme")[0];
        target.create(&[wanted]).await;
        let observer = target.name("observer");
        by_hand(
            target,
            &format!("CREATE USER '{observer}'@'%' IDENTIFIED BY 'x'; GRANT SELECT ON *.* TO '{observer}'@'%'"),
        )
        .await;
        let reader = target.reader_at(&target.url_as(&observer, "x"));
        let observations = observe(&*reader, &[wanted], &[]).await;
        let observed = observations["mysql.database"].get(wanted.identity.as_deref().expect("an identity"));
        if is_mariadb(target).await {
            target.assert_is(wanted, observed);
        } else {
            assert!(
                matches!(&observed, Observed::Unknown(reason) if said(reason).contains("SHOW DATABASES")),
                "{observed:?}"
            );
            by_hand(target, &format!("GRANT SHOW DATABASES ON *.* TO '{observer}'@'%'")).await;
            let observations = observe(&*reader, &[wanted], &[]).await;
            target.assert_is(wanted, observations["mysql.database"].get(wanted.identity.as_deref().expect("one")));
        }
    });
}

#[test]
fn the_user_that_we_log_in_as_is_left_alone() {
    on_mysql("the_user_that_we_log_in_as_is_left_alone", async |target| {
        let [name, other] = ["ops", "app"].map(|name| target.name(name));
        by_hand(
            target,
            &format!("CREATE USER '{name}'@'%' IDENTIFIED BY 'x'; GRANT ALL ON *.* TO '{name}'@'%' WITH GRANT OPTION"),
        )
        .await;
        let url = target.url_as(&name, "x");
        let own = target.desired("user", "acme/own", json!({"name": name, "locked": true}));
        let other = target.desired("user", "acme/app", json!({"name": other}));
        let observations = observe(&*target.reader_at(&url), &[&own, &other], &[]).await;
        let observed = |desired: &Desired| observations["mysql.user"].get(desired.identity.as_deref().expect("one"));
        assert!(matches!(observed(&own), Observed::Unknown(reason) if said(&reason).contains("logs in as")));
        assert_eq!(observed(&other), Observed::Absent);
        let before = seen(&own);
        for step in [create(&own), update(&own, &before, &[]), delete(&own, &before)] {
            let error = target.writer_at(&url).write(&[step]).await.expect_err("it is our own").error;
            assert!(error.to_string().contains("could lock it out"), "{error}");
        }
        connect(&url).await.expect("it still logs in");
    });
}

//! The MySQL provider against a real server, MariaDB or MySQL.

mod beside;
mod certificates;
mod fence;
mod folded;
mod quoting;
mod safety;
mod values;

use crate::support::said;
use crate::support::target::{Target, on_server};
use crate::support::tcp::TcpProxy;
use crate::support::{create, delete, observe, present, update};
use serde_json::{Value as Json, json};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Row as _};
use tenantry_core::model::resource::{Desired, Observed};
use tenantry_core::model::value::Value;
use tenantry_mysql::MySql;
use tenantry_provider::conformance::WriteUnguarded as _;
use tenantry_provider::contract::{ErrorClass, StepAction};

fn on_mysql(name: &str, test: impl AsyncFnOnce(&Target)) {
    // Tests have the same addresses in the same estate, and so would write over each other's records.
    let values = |suffix: &str| json!({"bookkeeping_database": format!("tenantry_{suffix}")});
    on_server(name, MySql, values, test, async |target: &Target| {
        let mut admin = connect(&target.url).await.expect("the server answers");
        let like = format!("%{}%", target.suffix);
        let names = async |admin: &mut MySqlConnection, sql: &'static str| -> Vec<(String, String)> {
            let rows = sqlx::query(sql).bind(&like).fetch_all(admin).await.expect("the server answers");
            let text = |row: &sqlx::mysql::MySqlRow, index: usize| row.try_get_unchecked(index).expect("a text");
            rows.iter().map(|row| (text(row, 0), text(row, 1))).collect()
        };
        let databases = "SELECT SCHEMA_NAME, '' FROM information_schema.SCHEMATA WHERE SCHEMA_NAME LIKE ?";
        for (name, _) in names(&mut admin, databases).await {
            execute(&mut admin, &format!("DROP DATABASE `{name}`")).await;
        }
        for (name, host) in names(&mut admin, "SELECT User, Host FROM mysql.user WHERE User LIKE ?").await {
            execute(&mut admin, &format!("DROP USER '{name}'@'{host}'")).await;
        }
    });
}

async fn connect(url: &str) -> Result<MySqlConnection, sqlx::Error> {
    url.parse::<MySqlConnectOptions>()?.disable_statement_logging().connect().await
}

async fn execute(connection: &mut MySqlConnection, sql: &str) {
    let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await;
    done.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// Runs statements as a superuser, behind the provider's back.
async fn by_hand(target: &Target, sql: &str) {
    execute(&mut connect(&target.url).await.expect("the server answers"), sql).await;
}

async fn is_mariadb(target: &Target) -> bool {
    target.reader().probe().await.expect("it answers").starts_with("MariaDB")
}

const ITEMS: &str =
    "CREATE TABLE IF NOT EXISTS items (id varchar(20) PRIMARY KEY, seats int, settings json, note text)";

/// What a tenant of a shared server is made of.
fn tenant(target: &Target, name: &str) -> Vec<Desired> {
    let own = target.name(name);
    let of = |id: &str| format!("{name}/{id}");
    let make = |kind: &str, spec: Json| target.desired(kind, &of(kind), spec);
    vec![
        make("database", json!({"name": own})),
        make("user", json!({"name": own, "password": "hunter2", "maxUserConnections": 9})),
        make(
            "script",
            json!({"name": "items", "database": own, "sql": ITEMS,
                "check": format!("SELECT COUNT(*) = 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = '{own}'")}),
        ),
        make("grant", json!({"user": own, "on": "database", "database": own, "privileges": ["SELECT", "INSERT"]})),
        make(
            "row",
            json!({"database": own, "table": "items", "key": {"id": name}, "columns": {"seats": 5, "settings": {"a": 1}}}),
        ),
    ]
}

fn all(wanted: &[Desired]) -> Vec<&Desired> {
    wanted.iter().collect()
}

#[test]
fn drift_of_every_kind_shows_and_is_repaired() {
    on_mysql("drift_of_every_kind_shows_and_is_repaired", async |target| {
        let wanted = tenant(target, "acme");
        target.create(&all(&wanted)).await;
        target.create(&all(&wanted)).await;
        target.assert_settled(&all(&wanted)).await;
        let own = target.name("acme");
        for (index, drift) in [
            (0, format!("ALTER DATABASE `{own}` CHARACTER SET latin1")),
            (1, format!("ALTER USER '{own}'@'%' ACCOUNT LOCK")),
            (1, format!("ALTER USER '{own}'@'%' REQUIRE SSL")),
            (1, format!("ALTER USER '{own}'@'%' WITH MAX_USER_CONNECTIONS 99")),
            (1, format!("ALTER USER '{own}'@'%' IDENTIFIED BY 'another'")),
            (2, format!("DROP TABLE `{own}`.items")),
            (3, format!("GRANT DELETE ON `{}`.* TO '{own}'@'%'", own.replace('_', "\\_"))),
            (3, format!("REVOKE INSERT ON `{}`.* FROM '{own}'@'%'", own.replace('_', "\\_"))),
            (3, format!("GRANT SELECT ON `{}`.* TO '{own}'@'%' WITH GRANT OPTION", own.replace('_', "\\_"))),
        ] {
            by_hand(target, &drift).await;
            target.assert_repairs(&wanted[index], &drift).await;
        }
        target.create(&[&wanted[4]]).await;
        for drift in ["seats = 6", "settings = '{\"a\": 2}'", "settings = NULL"] {
            by_hand(target, &format!("UPDATE `{own}`.items SET {drift}")).await;
            target.assert_repairs(&wanted[4], drift).await;
        }
        by_hand(target, &format!("UPDATE `{own}`.items SET note = 'theirs', settings = '{{ \"a\" : 1 }}'")).await;
        target.assert_settled(&[&wanted[4]]).await;
        for desired in wanted.iter().rev() {
            target.assert_deletes(desired).await;
        }
    });
}

#[test]
fn the_number_of_round_trips_does_not_depend_on_the_number_of_tenants() {
    on_mysql("the_number_of_round_trips_does_not_depend_on_the_number_of_tenants", async |target| {
        let shared = target.name("shared");
        by_hand(target, &format!("CREATE DATABASE `{shared}`; USE `{shared}`; {ITEMS}")).await;
        let proxy = TcpProxy::start(target.host()).await;
        let mut wanted = Vec::new();
        let mut numbers = Vec::new();
        for count in [3, 20] {
            for number in wanted.len() / 5..count {
                let mut resources = tenant(target, &format!("t{number}"));
                let row = json!({"database": shared, "table": "items", "key": {"id": format!("t{number}")},
                    "columns": {"seats": 5}});
                resources[4] = target.desired("row", &format!("t{number}/row"), row);
                target.create(&all(&resources)).await;
                wanted.extend(resources);
            }
            let url = format!("{}?ssl-mode=DISABLED", target.url_at(proxy.port));
            let reader = target.reader_at(&url);
            proxy.take_round_trips();
            let observations = observe(&*reader, &all(&wanted), &[]).await;
            for desired in &wanted {
                let observed = observations[desired.kind.name].get(desired.identity.as_deref().expect("an identity"));
                target.assert_is(desired, observed);
            }
            numbers.push(proxy.take_round_trips());
        }
        assert_eq!(numbers[0], numbers[1]);
        assert!((10..40).contains(&numbers[0]), "{numbers:?}");
    });
}

#[test]
fn an_outage_is_unknown_and_never_absent() {
    on_mysql("an_outage_is_unknown_and_never_absent", async |target| {
        let answer = target.assert_outage_is_unknown(&tenant(target, "acme")).await;
        assert!(answer.contains(" at root@127.0.0.1:") && !answer.contains(":root@"), "{answer}");
    });
}

#[test]
fn what_may_not_be_read_is_unknown_and_reading_takes_no_right_to_write() {
    on_mysql("what_may_not_be_read_is_unknown_and_reading_takes_no_right_to_write", async |target| {
        let mut wanted = tenant(target, "acme");
        let own = target.name("acme");
        wanted.push(target.desired(
            "grant",
            "acme/global",
            json!({"user": own, "on": "global", "privileges": ["PROCESS"]}),
        ));
        let table = json!({"user": own, "on": "table", "database": own, "table": "items", "privileges": ["DELETE"]});
        wanted.push(target.desired("grant", "acme/table", table));
        target.create(&all(&wanted)).await;
        let observer = target.name("obs");
        by_hand(target, &format!("CREATE USER '{observer}'@'%' IDENTIFIED BY 'x'")).await;
        let url = target.url_as(&observer, "x");
        let observations = observe(&*target.reader_at(&url), &all(&wanted), &[]).await;
        for desired in &wanted {
            let observed = observations[desired.kind.name].get(desired.identity.as_deref().expect("an identity"));
            assert!(matches!(&observed, Observed::Unknown(_)), "{}: {observed:?}", desired.address);
        }
        let error = target.writer_at(&url).write(&[create(&wanted[1])]).await.expect_err("it may not").error;
        assert_eq!(error.class, ErrorClass::Denied, "{error}");
        assert!(error.remedy.is_some());

        by_hand(target, &format!("GRANT SELECT, SHOW DATABASES ON *.* TO '{observer}'@'%'")).await;
        let observations = observe(&*target.reader_at(&url), &all(&wanted), &[]).await;
        for desired in &wanted {
            let observed = observations[desired.kind.name].get(desired.identity.as_deref().expect("an identity"));
            target.assert_is(desired, observed);
        }
        let error = target.writer_at(&url).write(&[create(&tenant(target, "x")[0])]).await.expect_err("it may not");
        assert_eq!(error.error.class, ErrorClass::Denied, "{error}");
        let error = target.reader_at(&target.url_as(&observer, "wrong")).probe().await.expect_err("a wrong password");
        assert_eq!(error.class, ErrorClass::Denied, "{error}");
    });
}

#[test]
fn what_is_not_ours_is_a_conflict() {
    on_mysql("what_is_not_ours_is_a_conflict", async |target| {
        let wanted = tenant(target, "acme");
        let own = target.name("acme");
        by_hand(target, &format!("CREATE DATABASE `{own}`; CREATE USER '{own}'@'%' IDENTIFIED BY 'x'")).await;
        for desired in &wanted[..2] {
            let found = present(target.observe(desired).await);
            assert_eq!(found.mark, None);
            for step in [create(desired), delete(desired, &found)] {
                let error = target.try_write(&[step]).await.expect_err("it is not ours").error;
                assert_eq!(error.class, ErrorClass::Conflict, "{error}");
                assert!(error.to_string().contains("carries no mark"), "{error}");
            }
            // Adopted: the plan saw it without a mark.
            target.write(&[update(desired, &found, &[])]).await;
            target.assert_settled(&[desired]).await;
            let gone = target.desired(&desired.kind.name[6..], "acme/gone", json!({"name": target.name("gone")}));
            let error = target.try_write(&[update(&gone, &found, &[])]).await.expect_err("it is gone").error;
            assert_eq!(error.class, ErrorClass::Conflict, "{error}");
        }
        target.create(&[&wanted[2]]).await;
        by_hand(target, &format!("INSERT INTO `{own}`.items (id, seats) VALUES ('acme', 1)")).await;
        by_hand(target, &format!("GRANT DROP ON `{}`.* TO '{own}'@'%'", own.replace('_', "\\_"))).await;
        for desired in &wanted[3..] {
            let error = target.try_write(&[create(desired)]).await.expect_err("it is not ours").error;
            assert_eq!(error.class, ErrorClass::Conflict, "{error}");
        }
    });
}

#[test]
fn a_password_logs_in_and_never_travels() {
    on_mysql("a_password_logs_in_and_never_travels", async |target| {
        let proxy = TcpProxy::start(target.host()).await;
        // MySQL takes a password that it does not know yet over TLS only; what was proven once it remembers.
        drop(connect(&target.url).await.expect("the server answers"));
        let writer = target.writer_at(&format!("{}?ssl-mode=DISABLED", target.url_at(proxy.port)));
        let user = &tenant(target, "acme")[1];
        writer.write(&[create(user)]).await.expect("it is written");
        assert!(proxy.has_seen(b"CREATE USER") && !proxy.has_seen(b"hunter2"));
        let url = target.url_as(&target.name("acme"), "hunter2");
        let mut open = connect(&url).await.expect("the password logs in");
        assert!(connect(&target.url_as(&target.name("acme"), "wrong")).await.is_err());

        // Access ends at once, for those who are logged in too.
        let spec = |locked: bool| Value::from(user.spec.with("locked", locked.into())).to_json();
        let locked = target.desired("user", "acme/user", spec(true));
        let before = present(target.observe(user).await);
        target.write(&[update(&locked, &before, &[])]).await;
        target.assert_settled(&[&locked]).await;
        assert!(sqlx::query("SELECT 1").execute(&mut open).await.is_err());
        assert!(connect(&url).await.is_err());

        // Without a password in the spec the one that is there is kept, and taken away when it is no longer asked for.
        let mut without = spec(false);
        without.as_object_mut().expect("an object").remove("password");
        let without = target.desired("user", "acme/user", without);
        let before = present(target.observe(&without).await);
        target.write(&[update(&without, &before, &[])]).await;
        target.assert_settled(&[&without]).await;
        assert!(connect(&url).await.is_ok());
        target.write(&[update(&without, &before, &["/password"])]).await;
        assert!(connect(&url).await.is_err());

        let silent = target.desired("user", "other/user", json!({"name": target.name("silent")}));
        target.create(&[&silent]).await;
        assert!(connect(&target.url_as(&target.name("silent"), "")).await.is_err(), "nobody knows its password");
    });
}

#[test]
fn a_grant_on_one_database_is_on_no_other() {
    on_mysql("a_grant_on_one_database_is_on_no_other", async |target| {
        let wanted = tenant(target, "acme");
        target.create(&all(&wanted)).await;
        let own = target.name("acme");
        let lookalike = own.replacen('_', "X", 1);
        by_hand(target, &format!("CREATE DATABASE `{lookalike}`; USE `{lookalike}`; {ITEMS}")).await;
        let mut tenant = connect(&target.url_as(&own, "hunter2")).await.expect("it logs in");
        execute(&mut tenant, &format!("SELECT * FROM `{own}`.items")).await;
        let read = format!("SELECT * FROM `{lookalike}`.items");
        assert!(sqlx::query(AssertSqlSafe(read)).execute(&mut tenant).await.is_err());
    });
}

#[test]
fn an_error_quotes_no_secret() {
    on_mysql("an_error_quotes_no_secret", async |target| {
        let wanted = tenant(target, "acme");
        target.create(&[&wanted[0], &wanted[2]]).await;
        let own = target.name("acme");
        let row = |columns: Json| {
            let row = json!({"database": own, "table": "items", "key": {"id": "x"}, "columns": columns});
            target.desired("row", "acme/row", row)
        };
        for columns in [json!({"seats": "hunter2"}), json!({"no_such_column_hunter2": 1})] {
            let mut step = create(&row(columns.clone()));
            if let StepAction::Create { secrets, .. } = &mut step.action {
                secrets.push("/columns/seats".to_owned());
            }
            let error = target.try_write(&[step]).await.expect_err("it does not fit").error;
            assert_eq!(error.class, ErrorClass::Fatal);
            assert!(columns.get("seats").is_none() || !format!("{error:?}").contains("hunter2"), "{error:?}");
        }
        by_hand(target, &format!("CREATE UNIQUE INDEX one ON `{own}`.items (seats)")).await;
        target.create(&[&row(json!({"seats": 777_777}))]).await;
        let other = json!({"database": own, "table": "items", "key": {"id": "y"}, "columns": {"seats": 777_777}});
        let other = target.desired("row", "acme/other", other);
        let error = target.try_write(&[create(&other)]).await.expect_err("the index").error;
        assert_eq!(error.class, ErrorClass::Conflict);
        assert!(!format!("{error:?}").contains("777777"), "{error:?}");
    });
}

#[test]
fn a_script_that_fails_half_way_runs_again() {
    on_mysql("a_script_that_fails_half_way_runs_again", async |target| {
        let wanted = tenant(target, "acme");
        target.create(&[&wanted[0]]).await;
        let own = target.name("acme");
        let sql = "CREATE TABLE IF NOT EXISTS a (id int); INSERT INTO missing VALUES (1)";
        let script = target.desired("script", "acme/half", json!({"name": "half", "database": own, "sql": sql}));
        let error = target.try_write(&[create(&script)]).await.expect_err("there is no such table").error;
        assert!(error.to_string().contains("doesn't exist"), "{error}");
        assert_eq!(target.observe(&script).await, Observed::Absent, "no record");
        by_hand(target, &format!("CREATE TABLE `{own}`.missing (id int)")).await;
        target.create(&[&script]).await;
        target.create(&[&script]).await;
        target.assert_settled(&[&script]).await;
        let count = format!("SELECT COUNT(*) FROM `{own}`.missing");
        let mut admin = connect(&target.url).await.expect("the server answers");
        let runs: i64 = sqlx::query_scalar(AssertSqlSafe(count)).fetch_one(&mut admin).await.expect("a number");
        assert_eq!(runs, 1);
        let wrong = json!({"name": "wrong", "database": own, "sql": "SELECT 1", "check": "SELECT false"});
        let wrong = target.desired("script", "acme/wrong", wrong);
        let error = target.try_write(&[create(&wrong)]).await.expect_err("its check").error;
        assert!(error.to_string().contains("check does not hold"), "{error}");
    });
}

#[test]
fn a_name_that_the_server_would_not_take_is_told_before() {
    on_mysql("a_name_that_the_server_would_not_take_is_told_before", async |target| {
        let long = format!("{}_{}", "n".repeat(30), target.suffix);
        let user = target.desired("user", "acme/user", json!({"name": long}));
        if is_mariadb(target).await {
            target.create(&[&user]).await;
            target.assert_settled(&[&user]).await;
        } else {
            let observed = target.observe(&user).await;
            assert!(matches!(&observed, Observed::Unknown(reason) if said(reason).contains("ident(tenant.name, 32)")));
            let error = target.try_write(&[create(&user)]).await.expect_err("it is too long").error;
            assert_eq!(error.class, ErrorClass::Fatal);
        }
    });
}

#[test]
fn what_carries_the_mark_is_listed_though_nobody_asks() {
    on_mysql("what_carries_the_mark_is_listed_though_nobody_asks", async |target| {
        let wanted = tenant(target, "acme");
        target.create(&all(&wanted[..3])).await;
        let mut foreign = create(&tenant(target, "other")[0]);
        foreign.mark.estate = "shop-2".into();
        target.write(&[foreign]).await;
        let asked = tenant(target, "x");
        let observations = observe(&*target.reader(), &all(&asked[..3]), &[]).await;
        for desired in &wanted[..3] {
            let resources = &observations[desired.kind.name].resources;
            assert!(resources.contains_key(desired.identity.as_ref().expect("an identity")), "{}", desired.address);
        }
        assert!(!observations["mysql.database"].resources.contains_key(target.name("other").as_str()));
    });
}

//! A login as services give that are run for their users: it makes roles and databases, and is no superuser.

use serde_json::json;
use sqlx::ConnectOptions as _;
use tenantry_core::model::resource::{Desired, Observed};
use tenantry_postgres::Postgres;
use tenantry_provider::contract::Provider as _;

use crate::support::postgres::{Login, World, execute, in_every_database};
use crate::support::{create, delete, observe, present, update};

/// What belongs to roles of the same run: a schema, what is made in it, a database.
fn bakery(world: &World) -> Vec<Desired> {
    let (owner, app, reader) = (world.name("baker"), world.name("till"), world.name("auditor"));
    let database = world.name("bakery");
    let of = |kind: &str, id: &str, spec: serde_json::Value| world.desired(kind, &format!("bakery/{id}"), spec);
    vec![
        of("role", "owner", json!({"name": owner})),
        of("role", "app", json!({"name": app, "login": true, "password": "x", "memberOf": [owner]})),
        of("role", "reader", json!({"name": reader, "settings": {"search_path": "oven, public"}})),
        of("schema", "schema", json!({"name": "oven", "owner": owner, "exclusive": true})),
        of("grant", "usage", json!({"role": reader, "on": "schema", "schema": "oven", "privileges": ["USAGE"]})),
        of(
            "grant",
            "later",
            json!({"role": reader, "on": "defaultTables", "schema": "oven", "grantor": owner, "privileges": ["SELECT"]}),
        ),
        of(
            "grant",
            "anywhere",
            json!({"role": reader, "on": "defaultSequences", "grantor": owner, "privileges": ["USAGE"]}),
        ),
        of(
            "script",
            "tables",
            json!({"name": "loaves", "schema": "oven", "sql": "CREATE TABLE loaves (id int PRIMARY KEY, shop text)"}),
        ),
        of("grant", "all", json!({"role": reader, "on": "allTables", "schema": "oven", "privileges": ["SELECT"]})),
        of(
            "rls_policy",
            "own",
            json!({"schema": "oven", "table": "loaves", "name": "own", "roles": [reader], "using": "shop = 'a'", "force": false}),
        ),
        of("row", "row", json!({"schema": "oven", "table": "loaves", "key": {"id": 1}, "columns": {"shop": "a"}})),
        of("grant", "connect", json!({"role": app, "on": "database", "privileges": ["CONNECT"]})),
        of("database", "database", json!({"name": database, "owner": owner, "connectionLimit": 9})),
    ]
}

async fn write_each(world: &World, steps: Vec<tenantry_provider::contract::Step>) {
    let (databases, others): (Vec<_>, Vec<_>) =
        steps.into_iter().partition(|step| step.kind.name == "postgres.database");
    world.write(&others).await;
    for step in databases {
        world.write(&[step]).await;
    }
}

#[test]
fn what_roles_of_the_same_run_own_is_made_drifts_and_goes() {
    in_every_database("what_roles_of_the_same_run_own_is_made_drifts_and_goes", async |world| {
        let wanted = bakery(world);
        let all: Vec<&Desired> = wanted.iter().collect();
        for _ in 0..2 {
            write_each(world, wanted.iter().map(create).collect()).await;
            world.assert_settled(&all).await;
            assert_eq!(world.memberships().await, "", "a membership was kept");
        }
        // Whoever it belongs to by hand, it is given back.
        let login = if world.login == Login::Limited { world.admin() } else { "postgres".to_owned() };
        world.by_hand(&format!("ALTER SCHEMA oven OWNER TO {login}")).await;
        let observations = observe(&*world.reader(), &all, &[]).await;
        let found = present(observations["postgres.schema"].get("/oven"));
        world.write(&[update(&wanted[3], &found, &[])]).await;
        world.assert_settled(&all).await;

        // A privilege that nobody planned does not stand in the way.
        world
            .by_hand(&format!("CREATE TABLE public.menu (); GRANT SELECT ON public.menu TO {}", world.name("auditor")))
            .await;
        if world.login == Login::Limited {
            world.by_hand(&format!("ALTER TABLE public.menu OWNER TO {}", world.admin())).await;
        }
        let mut steps = Vec::new();
        for desired in wanted.iter().rev() {
            steps.push(delete(desired, &present(world.observe_known(desired).await)));
        }
        let (databases, others): (Vec<_>, Vec<_>) =
            steps.into_iter().partition(|step| step.kind.name == "postgres.database");
        world.write(&databases).await;
        world.write(&others).await;
        for desired in &wanted {
            assert_eq!(world.observe_known(desired).await, Observed::Absent, "{}", desired.address);
        }
        assert_eq!(world.memberships().await, "", "a membership was kept");
    });
}

#[test]
fn a_batch_that_fails_keeps_no_membership() {
    in_every_database("a_batch_that_fails_keeps_no_membership", async |world| {
        let owner = world.name("baker");
        let role = world.desired("role", "acme/owner", json!({"name": owner}));
        let schema = world.desired("schema", "acme/schema", json!({"name": "oven", "owner": owner}));
        let wrong = world.desired("script", "acme/wrong", json!({"name": "w", "schema": "oven", "sql": "SELECT 1/0"}));
        world.create(&[&role]).await;
        assert!(world.try_write(&[create(&schema), create(&wrong)]).await.is_err());
        assert_eq!(world.memberships().await, "");
        assert_eq!(world.observe(&schema).await, Observed::Absent);
    });
}

#[test]
fn a_role_with_something_in_several_databases_goes_at_once() {
    in_every_database("a_role_with_something_in_several_databases_goes_at_once", async |world| {
        let (role, other) = (world.name("temp"), world.name("annex"));
        let wanted = world.desired("role", "acme/temp", json!({"name": role}));
        world.create(&[&wanted]).await;
        world.create(&[&world.desired("database", "acme/annex", json!({"name": other}))]).await;
        let grant = world.desired(
            "grant",
            "acme/later",
            json!({"database": other, "role": role, "on": "defaultTables", "privileges": ["SELECT"]}),
        );
        world.create(&[&grant]).await;
        let mut there = world.options().database(&other).connect().await.expect("the other database");
        let login = if world.login == Login::Limited { world.admin() } else { "postgres".to_owned() };
        execute(&mut there, &format!("CREATE SCHEMA s; CREATE TABLE s.t (); ALTER SCHEMA s OWNER TO {login}; ALTER TABLE s.t OWNER TO {login}; \
             GRANT SELECT ON s.t TO {role}; GRANT USAGE ON SCHEMA s TO {role}; GRANT CONNECT ON DATABASE {other} TO {role}")).await;
        drop(there);
        let found = present(world.observe_known(&wanted).await);
        world.write(&[delete(&wanted, &found)]).await;
        assert_eq!(world.observe_known(&wanted).await, Observed::Absent);
    });
}

#[test]
fn a_role_that_owns_something_elsewhere_is_kept_and_the_place_is_named() {
    in_every_database("a_role_that_owns_something_elsewhere_is_kept_and_the_place_is_named", async |world| {
        let (role, other) = (world.name("temp"), world.name("annex"));
        let wanted = world.desired("role", "acme/temp", json!({"name": role}));
        world.create(&[&wanted]).await;
        world.create(&[&world.desired("database", "acme/annex", json!({"name": other}))]).await;
        let mut there = world.options().database(&other).connect().await.expect("the other database");
        execute(&mut there, &format!("CREATE SCHEMA attic AUTHORIZATION {role}")).await;
        let found = present(world.observe_known(&wanted).await);
        let error = world.try_write(&[delete(&wanted, &found)]).await.expect_err("it owns a schema").error;
        assert!(error.cause.contains("schema attic") && error.cause.contains(&other), "{error}");
    });
}

#[test]
fn doctor_says_what_a_login_lacks() {
    in_every_database("doctor_says_what_a_login_lacks", async |world| {
        let answer = world.reader().probe().await.expect("it answers");
        assert_eq!(answer.contains("lacks"), world.login == Login::Limited, "{answer}");
        let name = world.name("nobody");
        world.by_hand(&format!("CREATE ROLE {name} LOGIN PASSWORD 'x'")).await;
        let reader = Postgres.reader(&world.settings(world.options().username(&name).password("x"))).expect("valid");
        let answer = reader.probe().await.expect("it answers");
        for what in ["CREATEROLE", "CREATEDB", "CREATE on the database", "pg_read_all_data", "pg_signal_backend"] {
            assert!(answer.contains(what), "{what}: {answer}");
        }
    });
}

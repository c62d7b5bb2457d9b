//! What is in a database: schemas, extensions, scripts, rows.

use crate::support::said;
use serde_json::json;
use tenantry_core::model::resource::Observed;
use tenantry_core::model::value::Value;
use tenantry_provider::contract::ErrorClass;

use crate::support::postgres::in_database;
use crate::support::{create, delete, observable, observe, present, update};

#[test]
fn schemas_live_through_everything() {
    in_database("schemas_live_through_everything", async |world| {
        let (one, two) = (world.name("one"), world.name("two"));
        world.by_hand(&format!("CREATE ROLE {one}; CREATE ROLE {two}")).await;
        let first = world.desired("schema", "acme/schema", json!({"name": "Acme \"Corp\"", "owner": one}));
        let second =
            world.desired("schema", "acme/schema", json!({"name": "Acme \"Corp\"", "owner": two, "exclusive": true}));
        world.lifecycle(&first, &second, "ALTER SCHEMA \"Acme \"\"Corp\"\"\" OWNER TO postgres").await;
    });
}

#[test]
fn a_schema_of_another_database_is_found_there_only() {
    in_database("a_schema_of_another_database_is_found_there_only", async |world| {
        let database = world.desired("database", "acme/db", json!({"name": world.name("db")}));
        let schema = world.desired("schema", "acme/schema", json!({"name": "app", "database": world.name("db")}));
        assert_eq!(world.observe(&schema).await, Observed::Absent, "no database, no schema");
        world.create(&[&database]).await;
        assert_eq!(world.observe(&schema).await, Observed::Absent);
        world.create(&[&schema]).await;
        world.assert_settled(&[&database, &schema]).await;
        let here = world.desired("schema", "acme/here", json!({"name": "app"}));
        assert_eq!(world.observe(&here).await, Observed::Absent);
        let before = present(world.observe(&database).await);
        world.write(&[delete(&database, &before)]).await;
        world.write(&[delete(&schema, &present_spec(&schema))]).await;
    });
}

fn present_spec(desired: &tenantry_core::model::resource::Desired) -> tenantry_core::model::resource::Present {
    tenantry_core::model::resource::Present { spec: desired.spec.shared(), ..Default::default() }
}

#[expect(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "CI is told by the environment, and a skipped test says so"
)]
#[test]
fn extensions_live_through_everything() {
    in_database("extensions_live_through_everything", async |world| {
        world.by_hand("CREATE SCHEMA extras").await;
        let first = world.desired("extension", "estate/fuzzy", json!({"name": "plpgsql"}));
        world.assert_settled(&[&first]).await;
        if !world.has_extension("citext").await {
            assert!(
                std::env::var("CI").as_deref() != Ok("true"),
                "the extension citext is not installed on this server"
            );
            eprintln!("the extension citext is not installed on this server; its changes were not tried");
            return;
        }
        let first = world.desired("extension", "estate/citext", json!({"name": "citext", "version": "1.5"}));
        let second = world.desired(
            "extension",
            "estate/citext",
            json!({"name": "citext", "version": "1.6", "schema": "extras"}),
        );
        world.lifecycle(&first, &second, "ALTER EXTENSION citext SET SCHEMA public").await;
    });
}

#[test]
fn scripts_live_through_everything() {
    in_database("scripts_live_through_everything", async |world| {
        world.by_hand("CREATE SCHEMA s").await;
        let first = world.desired(
            "script",
            "acme/tables",
            json!({"name": "tables", "schema": "s",
            "sql": "CREATE TABLE t (a int); -- 'quoted; COMMIT\nINSERT INTO t VALUES (1);"}),
        );
        let second = world.desired("script", "acme/tables", json!({"name": "tables", "schema": "s",
            "sql": "CREATE TABLE IF NOT EXISTS u (a int)", "check": "SELECT to_regclass('s.u') IS NOT NULL -- still there"}));
        world.lifecycle(&first, &second, "DROP TABLE s.u").await;
        // Deleting forgot the record and left the tables.
        world.by_hand("SELECT a FROM s.t; SELECT a FROM s.u").await;
    });
}

#[test]
fn a_script_runs_once_for_each_version() {
    in_database("a_script_runs_once_for_each_version", async |world| {
        world.by_hand("CREATE TABLE public.runs (n int)").await;
        let script = |sql: &str| world.desired("script", "acme/s", json!({"name": "s", "sql": sql}));
        let count = async || {
            let mut connection = world.connect().await;
            let query = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM public.runs");
            query.fetch_one(&mut connection).await.expect("a table")
        };
        let first = script("INSERT INTO runs VALUES (1)");
        world.create(&[&first]).await;
        world.create(&[&first]).await;
        assert_eq!(count().await, 1);
        let second = script("INSERT INTO runs VALUES (2)");
        let drifted = present(world.observe(&second).await);
        assert!(drifted.spec.get("sql").and_then(Value::as_str).expect("text").starts_with("(ran with checksum "));
        assert_eq!(drifted.spec.get("checksum"), first.spec.get("checksum"));
        world.write(&[update(&second, &drifted, &[])]).await;
        world.write(&[update(&second, &drifted, &[])]).await;
        assert_eq!(count().await, 2);
    });
}

#[test]
fn a_script_that_fails_leaves_nothing() {
    in_database("a_script_that_fails_leaves_nothing", async |world| {
        let schema = world.desired("schema", "acme/schema", json!({"name": "s"}));
        let wrong = world.desired("script", "acme/s", json!({"name": "s", "sql": "CREATE TABLE s.t (); SELECT 1/0"}));
        let error = world.try_write(&[create(&schema), create(&wrong)]).await.expect_err("division by zero");
        assert_eq!(error.step, 1);
        assert!(error.error.cause.contains("division by zero"), "{error}");
        assert_eq!(world.observe(&schema).await, Observed::Absent, "the whole batch was undone");
        let unkept = json!({"name": "s", "sql": "SELECT 1", "check": "SELECT false"});
        let unkept = world.desired("script", "acme/s", unkept);
        let error = world.try_write(&[create(&unkept)]).await.expect_err("the check does not hold");
        assert!(error.error.cause.contains("check does not hold"), "{error}");
        assert_eq!(world.observe(&unkept).await, Observed::Absent);
    });
}

#[test]
fn a_check_that_cannot_run_is_unknown_and_spoils_no_other() {
    in_database("a_check_that_cannot_run_is_unknown_and_spoils_no_other", async |world| {
        let script = |name: &str, check: &str| {
            world.desired("script", &format!("{name}/s"), json!({"name": name, "sql": "SELECT 1", "check": check}))
        };
        world
            .create(&[&script("good", "SELECT true"), &script("bad", "SELECT true"), &script("gone", "SELECT true")])
            .await;
        let good = script("good", "SELECT true");
        let bad = script("bad", "SELECT 1/0 = 1");
        let gone = script("gone", "SELECT a FROM public.dropped");
        let observations = observe(&*world.reader(), &[&good, &bad, &gone], &[]).await;
        let of = |desired: &tenantry_core::model::resource::Desired| {
            observations["postgres.script"].get(desired.identity.as_deref().expect("an identity"))
        };
        world.assert_is(&good, of(&good));
        assert!(matches!(of(&bad), Observed::Unknown(reason) if said(&reason).contains("division by zero")));
        assert_eq!(present(of(&gone)).spec.get("checked"), Some(&false.into()));
    });
}

const TABLE: &str = "CREATE SCHEMA s; CREATE TYPE s.size AS ENUM ('small', 'large'); CREATE TABLE s.tenants (
    id uuid PRIMARY KEY, seats int NOT NULL DEFAULT 1, price numeric(10, 2), ratio float8, is_on boolean, since timestamptz,
    day date, settings jsonb, raw json, tags text[], size s.size, slot interval, code char(4), label varchar(5), note text)";

#[test]
fn rows_live_through_everything() {
    in_database("rows_live_through_everything", async |world| {
        world.by_hand(TABLE).await;
        world
            .by_hand("INSERT INTO s.tenants (id, note) VALUES ('00000000-0000-0000-0000-000000000001', 'theirs')")
            .await;
        let row = |columns: serde_json::Value| {
            let key = json!({"id": "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"});
            world.desired("row", "acme/row", json!({"schema": "s", "table": "tenants", "key": key, "columns": columns}))
        };
        // Every value is spelled otherwise than the server would.
        let first = row(
            json!({"seats": "3", "price": 10, "ratio": 2, "is_on": "yes", "since": "2026-01-01T01:00:00+01:00",
            "day": "2026-01-31", "settings": {"a": {"b": 1.50}, "c": [1, null, "x"]}, "raw": {"k": "it's"}, "tags": ["a\"b", "c,d"],
            "size": "large", "slot": "90 minutes", "code": "ab", "label": "x'y\\z", "note": null}),
        );
        let second = row(
            json!({"seats": 4, "price": "99.90", "settings": {"a": {"b": 2}, "c": "y"}, "tags": [], "slot": "1 day", "note": ""}),
        );
        world.lifecycle(&first, &second, "UPDATE s.tenants SET price = 1, settings = '{}'").await;
        world.by_hand("DO $$ BEGIN ASSERT (SELECT note = 'theirs' FROM s.tenants); END $$").await;
    });
}

#[test]
fn columns_and_keys_of_others_are_left_alone() {
    in_database("columns_and_keys_of_others_are_left_alone", async |world| {
        world.by_hand(TABLE).await;
        let id = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
        let row = |columns: serde_json::Value| {
            world.desired(
                "row",
                "acme/row",
                json!({"schema": "s", "table": "tenants", "key": {"id": id}, "columns": columns}),
            )
        };
        let first = row(json!({"settings": {"theme": {"dark": true, "size": 1}, "old": 1}}));
        world.create(&[&first]).await;
        let theirs = r#"UPDATE s.tenants SET note = 'theirs', settings = settings || '{"theirs": 1.10, "big": 12345678901234567890.5}'"#;
        world.by_hand(theirs).await;
        let before = present(world.observe(&first).await);
        let settings = before.spec.get("columns").and_then(|columns| columns.pointer("/settings/theirs"));
        assert_eq!(settings, Some(&Value::Float(1.1)));
        let second = row(json!({"settings": {"theme": {"dark": false}}}));
        let step = update(&second, &before, &["/columns/settings/old", "/columns/settings/theme/size"]);
        world.write(&[step]).await;
        let expected = r#"{"theme": {"dark": false}, "theirs": 1.10, "big": 12345678901234567890.5}"#;
        world.by_hand(&format!(
            "DO $$ BEGIN ASSERT (SELECT note = 'theirs' AND settings::text = '{expected}'::jsonb::text FROM s.tenants); END $$"
        ))
        .await;
    });
}

#[test]
fn a_row_of_others_with_the_same_key_is_a_conflict() {
    in_database("a_row_of_others_with_the_same_key_is_a_conflict", async |world| {
        world.by_hand("CREATE TABLE public.t (id text, n int); INSERT INTO public.t VALUES ('a', 1), ('twice', 1), ('twice', 2)").await;
        let row =
            |id: &str| world.desired("row", "acme/row", json!({"table": "t", "key": {"id": id}, "columns": {"n": 5}}));
        let error = world.try_write(&[create(&row("a"))]).await.expect_err("another value is there").error;
        assert_eq!(error.class, ErrorClass::Conflict);
        assert!(
            matches!(world.observe(&row("twice")).await, Observed::Unknown(reason) if said(&reason).contains("2 rows"))
        );
        let before = present(world.observe(&row("a")).await);
        world.by_hand("DELETE FROM public.t").await;
        let error = world.try_write(&[update(&row("a"), &before, &[])]).await.expect_err("it is gone").error;
        assert_eq!(error.class, ErrorClass::Conflict);
    });
}

#[test]
fn tables_and_rows_that_are_missing_or_hidden() {
    in_database("tables_and_rows_that_are_missing_or_hidden", async |world| {
        let row = |table: &str, key: &str| {
            let spec = json!({"schema": "s", "table": table, "key": {"id": key}, "columns": {"n": 1}});
            world.desired("row", &format!("{table}-{key}/row").replace('_', "-"), spec)
        };
        assert_eq!(world.observe(&row("t", "1")).await, Observed::Absent, "no schema");
        let name = world.name("reader");
        world.by_hand("CREATE SCHEMA s; CREATE TABLE s.t (id int, n int); INSERT INTO s.t VALUES (1, 1)").await;
        world.by_hand("CREATE TABLE s.closed (id int, n int); CREATE TABLE s.filtered (id int, n int)").await;
        world.by_hand("ALTER TABLE s.filtered ENABLE ROW LEVEL SECURITY").await;
        world.by_hand(&format!("CREATE ROLE {name} LOGIN PASSWORD 'x'; GRANT USAGE ON SCHEMA s TO {name}")).await;
        world.by_hand(&format!("GRANT SELECT ON s.t, s.filtered TO {name}")).await;
        let settings = world.settings(world.options().username(&name).password("x"));
        let reader = tenantry_provider::contract::Provider::reader(&tenantry_postgres::Postgres, &settings);
        let rows =
            [row("t", "1"), row("t", "2"), row("t", "x"), row("closed", "1"), row("filtered", "1"), row("none", "1")];
        let observations = observe(&*reader.expect("valid"), &rows.iter().collect::<Vec<_>>(), &[]).await;
        let of = |index: usize| observations["postgres.row"].get(rows[index].identity.as_deref().expect("an identity"));
        assert_eq!(present(of(0)).spec, rows[0].spec.shared());
        assert_eq!(of(1), Observed::Absent);
        assert!(
            matches!(of(2), Observed::Unknown(reason) if said(&reason).contains("no integer")),
            "a key that cannot be"
        );
        assert!(
            matches!(of(3), Observed::Unknown(reason) if said(&reason).contains("permission denied")),
            "a table that is closed to us"
        );
        assert!(
            matches!(of(4), Observed::Unknown(reason) if said(&reason).contains("row-level security")),
            "rows that we may not see"
        );
        assert_eq!(of(5), Observed::Absent, "no table");
    });
}

#[test]
fn a_row_follows_the_script_that_makes_its_table() {
    in_database("a_row_follows_the_script_that_makes_its_table", async |world| {
        let schema = world.desired("schema", "acme/schema", json!({"name": "s"}));
        let script = json!({"name": "tables", "schema": "s", "sql": "CREATE TABLE t (id serial PRIMARY KEY, n int)"});
        let script = world.desired("script", "acme/tables", script);
        let row = world.desired(
            "row",
            "acme/row",
            json!({"schema": "s", "table": "t", "key": {"id": 7}, "columns": {"n": 1}}),
        );
        world.create(&[&schema, &script, &row]).await;
        world.assert_settled(&[&schema, &script, &row]).await;
        assert_eq!(*present(world.observe(&row).await).spec, observable(&row));
    });
}

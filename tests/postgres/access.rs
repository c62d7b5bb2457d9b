//! Who may do what: grants, exclusive schemas, row security.

use std::sync::Arc;

use serde_json::json;
use sqlx::{AssertSqlSafe, ConnectOptions as _};
use tenantry_core::model::resource::{Desired, Observed};
use tenantry_core::model::value::Value;
use tenantry_provider::conformance::WriteUnguarded as _;
use tenantry_provider::contract::ErrorClass;

use crate::support::postgres::{World, execute, in_database};
use crate::support::{create, delete, observable, observe, present, update};

fn grant(world: &World, role: &str, spec: serde_json::Value) -> Desired {
    let mut whole = json!({"role": role});
    whole.as_object_mut().expect("an object").extend(spec.as_object().expect("an object").clone());
    world.desired("grant", "acme/grant", whole)
}

const OBJECTS: &str = "CREATE SCHEMA s; CREATE TABLE s.one (); CREATE TABLE s.two (); CREATE SEQUENCE s.counter; \
    CREATE FUNCTION s.f(a int, VARIADIC b text[]) RETURNS int LANGUAGE sql AS 'SELECT 1'";

#[test]
fn grants_of_every_sort_live_through_everything() {
    in_database("grants_of_every_sort_live_through_everything", async |world| {
        world.by_hand(OBJECTS).await;
        let (role, maker) = (world.name("r"), world.name("maker"));
        world.by_hand(&format!("CREATE ROLE {role}; CREATE ROLE {maker}")).await;
        let database = world.database.clone();
        for (first, second, drift) in [
            (
                json!({"on": "schema", "schema": "s", "privileges": ["usage"]}),
                json!({"on": "schema", "schema": "s", "privileges": ["ALL"], "withGrantOption": true}),
                format!("REVOKE GRANT OPTION FOR CREATE ON SCHEMA s FROM {role}"),
            ),
            (
                json!({"on": "table", "schema": "s", "name": "one", "privileges": ["SELECT", "INSERT"]}),
                json!({"on": "table", "schema": "s", "name": "one", "privileges": ["SELECT"]}),
                format!("GRANT DELETE ON s.one TO {role}"),
            ),
            (
                json!({"on": "sequence", "schema": "s", "name": "counter", "privileges": ["USAGE"]}),
                json!({"on": "sequence", "schema": "s", "name": "counter", "privileges": ["USAGE", "SELECT"]}),
                format!("REVOKE USAGE ON SEQUENCE s.counter FROM {role}"),
            ),
            (
                json!({"on": "function", "schema": "s", "name": "f(int, text[])", "privileges": ["EXECUTE"]}),
                json!({"on": "function", "schema": "s", "name": "f(int, text[])", "privileges": ["EXECUTE"], "withGrantOption": true}),
                format!("REVOKE GRANT OPTION FOR EXECUTE ON FUNCTION s.f FROM {role}"),
            ),
            (
                json!({"on": "database", "privileges": ["CONNECT"]}),
                json!({"on": "database", "privileges": ["CONNECT", "TEMP"]}),
                format!("GRANT CREATE ON DATABASE {database} TO {role}"),
            ),
            (
                json!({"on": "allTables", "schema": "s", "privileges": ["SELECT"]}),
                json!({"on": "allTables", "schema": "s", "privileges": ["SELECT", "UPDATE"]}),
                "CREATE TABLE s.three ()".to_owned(),
            ),
            (
                json!({"on": "allSequences", "schema": "s", "privileges": ["ALL"]}),
                json!({"on": "allSequences", "schema": "s", "privileges": ["SELECT"]}),
                format!("GRANT UPDATE ON SEQUENCE s.counter TO {role}"),
            ),
            (
                json!({"on": "allFunctions", "schema": "s", "privileges": ["EXECUTE"]}),
                json!({"on": "allFunctions", "schema": "s", "privileges": ["EXECUTE"], "withGrantOption": true}),
                "CREATE FUNCTION s.g() RETURNS int LANGUAGE sql AS 'SELECT 1'".to_owned(),
            ),
            (
                json!({"on": "defaultTables", "schema": "s", "grantor": maker, "privileges": ["SELECT"]}),
                json!({"on": "defaultTables", "schema": "s", "grantor": maker, "privileges": ["SELECT", "INSERT"]}),
                format!("ALTER DEFAULT PRIVILEGES FOR ROLE {maker} IN SCHEMA s REVOKE INSERT ON TABLES FROM {role}"),
            ),
            (
                json!({"on": "defaultSequences", "grantor": maker, "privileges": ["USAGE"]}),
                json!({"on": "defaultSequences", "grantor": maker, "privileges": ["USAGE"], "withGrantOption": true}),
                format!("ALTER DEFAULT PRIVILEGES FOR ROLE {maker} GRANT SELECT ON SEQUENCES TO {role}"),
            ),
            (
                json!({"on": "defaultFunctions", "schema": "s", "privileges": ["EXECUTE"]}),
                json!({"on": "defaultFunctions", "schema": "s", "privileges": ["EXECUTE"], "withGrantOption": true}),
                format!(
                    "ALTER DEFAULT PRIVILEGES IN SCHEMA s REVOKE GRANT OPTION FOR EXECUTE ON FUNCTIONS FROM {role}"
                ),
            ),
        ] {
            world.lifecycle(&grant(world, &role, first), &grant(world, &role, second), &drift).await;
        }
    });
}

#[test]
fn grants_on_what_is_missing_are_absent() {
    in_database("grants_on_what_is_missing_are_absent", async |world| {
        let role = world.name("r");
        for (on, more) in [
            ("schema", json!({})),
            ("table", json!({"name": "t"})),
            ("function", json!({"name": "f(no_such_type)"})),
            ("allTables", json!({})),
            ("defaultTables", json!({})),
        ] {
            let privilege = match on {
                "schema" => "USAGE",
                "function" => "EXECUTE",
                _ => "SELECT",
            };
            let mut spec = json!({"on": on, "schema": "none", "privileges": [privilege]});
            spec.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            assert_eq!(
                world.observe(&grant(world, &role, spec.clone())).await,
                Observed::Absent,
                "{on}, nothing there"
            );
            let nobody = grant(world, "postgres", spec);
            assert_eq!(world.observe(&nobody).await, Observed::Absent, "{on}, no schema");
        }
    });
}

#[test]
fn a_grant_on_all_tables_holds_before_there_are_any() {
    in_database("a_grant_on_all_tables_holds_before_there_are_any", async |world| {
        let role = world.desired("role", "acme/role", json!({"name": world.name("r")}));
        let schema = world.desired("schema", "acme/schema", json!({"name": "s"}));
        let spec = json!({"on": "allTables", "schema": "s", "privileges": ["SELECT"]});
        let all = grant(world, &world.name("r"), spec);
        world.create(&[&role, &schema, &all]).await;
        world.assert_settled(&[&role, &schema, &all]).await;
        world.by_hand("CREATE TABLE s.t ()").await;
        assert_eq!(world.observe(&all).await, Observed::Absent, "a table without it");
        world.create(&[&all]).await;
        world.by_hand("CREATE TABLE s.u ()").await;
        let drifted = present(world.observe(&all).await);
        assert_eq!(drifted.spec.get("privileges"), Some(&Value::list([])));
        world.write(&[update(&all, &drifted, &[])]).await;
        world.assert_settled(&[&all]).await;
    });
}

#[test]
fn grants_on_one_and_on_all_tables_get_along() {
    in_database("grants_on_one_and_on_all_tables_get_along", async |world| {
        world.by_hand(OBJECTS).await;
        let role = world.name("r");
        world.by_hand(&format!("CREATE ROLE {role}")).await;
        let one = grant(world, &role, json!({"on": "table", "schema": "s", "name": "one", "privileges": ["INSERT"]}));
        let all = grant(world, &role, json!({"on": "allTables", "schema": "s", "privileges": ["SELECT"]}));
        world.create(&[&one, &all]).await;
        world.assert_settled(&[&one, &all]).await;
    });
}

#[test]
fn an_exclusive_schema_tells_of_everybody_else() {
    in_database("an_exclusive_schema_tells_of_everybody_else", async |world| {
        let (app, spy) = (world.name("app"), world.name("spy"));
        world.by_hand(&format!("CREATE ROLE {app}; CREATE ROLE {spy}")).await;
        let schema = world.desired("schema", "acme/schema", json!({"name": "s", "exclusive": true}));
        let usage = grant(world, &app, json!({"on": "schema", "schema": "s", "privileges": ["USAGE"]}));
        let tables = grant(world, &app, json!({"on": "allTables", "schema": "s", "privileges": ["SELECT"]}));
        world.create(&[&schema, &usage, &tables]).await;
        world.by_hand("CREATE TABLE s.t (); CREATE SEQUENCE s.q; CREATE FUNCTION s.f(a int) RETURNS int LANGUAGE sql AS 'SELECT 1'").await;
        world.by_hand(&format!("GRANT SELECT ON s.t TO {app}")).await;
        world.assert_settled(&[&schema, &usage, &tables]).await;

        world.by_hand(&format!(
            "GRANT USAGE ON SCHEMA s TO PUBLIC; GRANT SELECT, INSERT ON s.t TO {spy}; GRANT USAGE ON SEQUENCE s.q TO {app}; \
             GRANT EXECUTE ON FUNCTION s.f TO {spy}"
        ))
        .await;
        let observations = observe(&*world.reader(), &[&schema, &usage, &tables], &[]).await;
        let drifted = present(observations["postgres.schema"].get("/s"));
        assert_eq!(
            drifted.spec.get("foreignGrants").map(Value::to_json),
            Some(json!([
                format!("{app}: USAGE on sequence q"),
                "public: USAGE on schema",
                format!("{spy}: EXECUTE on routine f(a integer)"),
                format!("{spy}: INSERT, SELECT on table t"),
            ]))
        );
        world.write(&[update(&schema, &drifted, &[])]).await;
        world.assert_settled(&[&schema, &usage, &tables]).await;
    });
}

const TENANTS: &str = "CREATE SCHEMA s; CREATE TABLE s.notes (tenant text, body text); \
    INSERT INTO s.notes VALUES ('a', 'of a'), ('b', 'of b')";

fn policy(world: &World, spec: serde_json::Value) -> Desired {
    let mut whole = json!({"schema": "s", "table": "notes", "name": "own \"rows\""});
    whole.as_object_mut().expect("an object").extend(spec.as_object().expect("an object").clone());
    world.desired("rls_policy", "acme/policy", whole)
}

#[test]
fn policies_live_through_everything() {
    in_database("policies_live_through_everything", async |world| {
        world.by_hand(TENANTS).await;
        world
            .by_hand("CREATE FUNCTION s.current_tenant() RETURNS text LANGUAGE sql AS 'SELECT current_user::text'")
            .await;
        let role = world.name("r");
        world.by_hand(&format!("CREATE ROLE {role}")).await;
        // Spelled in no way that the server would print, with a name that is looked up in the table's schema.
        let first = policy(world, json!({"using": "tenant=current_tenant() and body<>'100%; it''s \\' -- fine"}));
        let second = policy(
            world,
            json!({"roles": [role], "using": "tenant IN ('a','b')", "withCheck": "true", "force": false}),
        );
        world.lifecycle(&first, &second, "ALTER POLICY \"own \"\"rows\"\"\" ON s.notes USING (tenant = 'a')").await;
        let mut connection = world.connect().await;
        let query = "SELECT relrowsecurity FROM pg_class WHERE oid = 's.notes'::regclass";
        let is_closed: bool = sqlx::query_scalar(query).fetch_one(&mut connection).await.expect("a table");
        assert!(is_closed, "deleting the last policy does not open the table");
    });
}

#[test]
fn row_security_isolates_tenants() {
    in_database("row_security_isolates_tenants", async |world| {
        world.by_hand(TENANTS).await;
        let mut batch = Vec::new();
        let mut wanted = Vec::new();
        for tenant in ["a", "b"] {
            let role = world.name(tenant);
            let of = |id: &str| format!("{tenant}/{id}");
            wanted.push(world.desired("role", &of("role"), json!({"name": role, "login": true, "password": "x"})));
            let usage = json!({"role": role, "on": "schema", "schema": "s", "privileges": ["USAGE"]});
            wanted.push(world.desired("grant", &of("usage"), usage));
            let access = json!({"role": role, "on": "table", "schema": "s", "name": "notes", "privileges": ["SELECT", "INSERT"]});
            wanted.push(world.desired("grant", &of("access"), access));
            let policy = json!({"schema": "s", "table": "notes", "name": tenant, "roles": [role], "using": format!("tenant = '{tenant}'")});
            wanted.push(world.desired("rls_policy", &of("policy"), policy));
        }
        batch.extend(wanted.iter().map(create));
        world.write(&batch).await;
        world.assert_settled(&wanted.iter().collect::<Vec<_>>()).await;
        for tenant in ["a", "b"] {
            let mut session =
                world.options().username(&world.name(tenant)).password("x").connect().await.expect("login");
            let bodies: Vec<String> =
                sqlx::query_scalar("SELECT body FROM s.notes").fetch_all(&mut session).await.expect("rows");
            assert_eq!(bodies, [format!("of {tenant}")]);
            execute(&mut session, &format!("INSERT INTO s.notes VALUES ('{tenant}', 'mine')")).await;
            let other = sqlx::raw_sql(AssertSqlSafe("INSERT INTO s.notes VALUES ('c', 'not mine')".to_owned()));
            assert!(other.execute(&mut session).await.is_err());
        }
    });
}

#[test]
fn a_policy_is_replaced_in_one_batch_and_sees_rows_switched_open() {
    in_database("a_policy_is_replaced_in_one_batch_and_sees_rows_switched_open", async |world| {
        world.by_hand(TENANTS).await;
        let first = policy(world, json!({"using": "true"}));
        let second = policy(world, json!({"command": "select", "permissive": false, "using": "true"}));
        world.create(&[&first]).await;
        let before = present(world.observe(&first).await);
        world.write(&[delete(&first, &before), create(&second)]).await;
        world.assert_settled(&[&second]).await;
        world.by_hand("ALTER TABLE s.notes DISABLE ROW LEVEL SECURITY").await;
        let drifted = present(world.observe(&second).await);
        assert_eq!(drifted.spec.get("enable"), Some(&false.into()));
        assert_ne!(*drifted.spec, observable(&second));
    });
}

#[test]
fn sixteen_batches_that_grant_on_one_object_all_succeed() {
    in_database("sixteen_batches_that_grant_on_one_object_all_succeed", async |world| {
        world.by_hand(OBJECTS).await;
        let writer: Arc<dyn tenantry_provider::contract::Writer> = Arc::from(world.writer());
        let database = world.database.clone();
        let group = world.name("group");
        world.by_hand(&format!("CREATE ROLE {group}")).await;
        let mut wanted = Vec::new();
        let mut batches = Vec::new();
        for tenant in 0..16 {
            let role = world.name(&format!("r{tenant}"));
            let of = |id: &str| format!("t{tenant}/{id}");
            let batch = [
                // The first script makes the table of records, for all of them at once.
                world.desired("script", &of("script"), json!({"name": role, "sql": "SELECT 1"})),
                world.desired("role", &of("role"), json!({"name": role, "memberOf": [group]})),
                world.desired(
                    "grant",
                    &of("usage"),
                    json!({"role": role, "on": "schema", "schema": "s", "privileges": ["USAGE"]}),
                ),
                world.desired(
                    "grant",
                    &of("one"),
                    json!({"role": role, "on": "table", "schema": "s", "name": "one", "privileges": ["SELECT"]}),
                ),
                world.desired(
                    "grant",
                    &of("all"),
                    json!({"role": role, "on": "allTables", "schema": "s", "privileges": ["SELECT"]}),
                ),
                world.desired(
                    "grant",
                    &of("connect"),
                    json!({"role": role, "on": "database", "privileges": ["CONNECT"]}),
                ),
                world.desired(
                    "grant",
                    &of("default"),
                    json!({"role": role, "on": "defaultTables", "schema": "s", "privileges": ["SELECT"]}),
                ),
            ];
            batches.push(batch.iter().map(create).collect::<Vec<_>>());
            wanted.extend(batch);
        }
        let tasks: Vec<_> = batches
            .into_iter()
            .map(|batch| {
                let writer = writer.clone();
                tokio::spawn(async move { writer.write(&batch).await })
            })
            .collect();
        for task in tasks {
            task.await.expect("no panic").unwrap_or_else(|error| panic!("in {database}: {error}"));
        }
        world.assert_settled(&wanted.iter().collect::<Vec<_>>()).await;
    });
}

#[test]
fn deleting_all_of_a_tenant_in_reverse_order_works() {
    in_database("deleting_all_of_a_tenant_in_reverse_order_works", async |world| {
        let role = world.name("r");
        let wanted = [
            world.desired("role", "acme/role", json!({"name": role, "login": true})),
            world.desired("schema", "acme/schema", json!({"name": "s", "owner": role})),
            world.desired(
                "script",
                "acme/tables",
                json!({"name": "t", "schema": "s", "sql": "CREATE TABLE t (id int)"}),
            ),
            world.desired(
                "grant",
                "acme/usage",
                json!({"role": role, "on": "allTables", "schema": "s", "privileges": ["SELECT"]}),
            ),
            world.desired(
                "grant",
                "acme/later",
                json!({"role": role, "on": "defaultTables", "privileges": ["SELECT"]}),
            ),
            world.desired(
                "rls_policy",
                "acme/policy",
                json!({"schema": "s", "table": "t", "name": "p", "roles": [role], "using": "true"}),
            ),
            world.desired("row", "acme/row", json!({"schema": "s", "table": "t", "key": {"id": 1}})),
        ];
        world.create(&wanted.iter().collect::<Vec<_>>()).await;
        world.assert_settled(&wanted.iter().collect::<Vec<_>>()).await;
        // Left on a table of others by the default privileges.
        world.by_hand("CREATE TABLE public.later ()").await;
        let mut batch = Vec::new();
        for desired in wanted.iter().rev() {
            batch.push(delete(desired, &present(world.observe_known(desired).await)));
        }
        world.write(&batch).await;
        for desired in &wanted {
            assert_eq!(world.observe_known(desired).await, Observed::Absent, "{}", desired.address);
        }
        world.write(&batch).await;
    });
}

#[test]
fn a_grant_to_a_role_that_is_missing_names_it() {
    in_database("a_grant_to_a_role_that_is_missing_names_it", async |world| {
        world.by_hand(OBJECTS).await;
        let role = world.name("nobody");
        let grant = grant(world, &role, json!({"on": "schema", "schema": "s", "privileges": ["USAGE"]}));
        let error = world.try_write(&[create(&grant)]).await.expect_err("no such role").error;
        assert_eq!(error.class, ErrorClass::Fatal);
        assert!(error.cause.contains(&format!("role \"{role}\" does not exist")), "{error}");
    });
}

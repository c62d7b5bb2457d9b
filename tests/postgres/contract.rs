//! What the contract asks of every provider, where PostgreSQL has its own way to break it.

use crate::support::said;
use serde_json::json;
use sqlx::postgres::PgSslMode;
use tenantry_core::model::resource::{Desired, Observed};
use tenantry_postgres::Postgres;
use tenantry_provider::conformance::WriteUnguarded as _;
use tenantry_provider::contract::{ErrorClass, Provider as _, StepAction};

use crate::support::postgres::{World, in_database};
use crate::support::proxy::Proxy;
use crate::support::{ESTATE, create, delete, observe, present, update};

/// What a tenant of a shared database is made of.
fn tenant(world: &World, name: &str) -> Vec<Desired> {
    let (role, schema) = (world.name(name), format!("tenant_{name}"));
    let of = |id: &str| format!("{name}/{id}");
    vec![
        world.desired(
            "role",
            &of("role"),
            json!({"name": role, "login": true, "settings": {"statement_timeout": "30s"}}),
        ),
        world.desired("schema", &of("schema"), json!({"name": schema, "exclusive": true})),
        world.desired(
            "grant",
            &of("usage"),
            json!({"role": role, "on": "schema", "schema": schema, "privileges": ["USAGE"]}),
        ),
        world.desired(
            "grant",
            &of("all"),
            json!({"role": role, "on": "allTables", "schema": schema, "privileges": ["SELECT"]}),
        ),
        world.desired(
            "grant",
            &of("new"),
            json!({"role": role, "on": "defaultTables", "schema": schema, "privileges": ["SELECT"]}),
        ),
        world.desired(
            "script",
            &of("script"),
            json!({"name": name, "schema": schema, "sql": "CREATE TABLE t ()",
            "check": format!("SELECT to_regclass('{schema}.t') IS NOT NULL")}),
        ),
        world.desired(
            "rls_policy",
            &of("policy"),
            json!({"schema": schema, "table": "t", "name": "p", "using": "true"}),
        ),
        world.desired(
            "row",
            &of("row"),
            json!({"table": "tenants", "key": {"id": name}, "columns": {"seats": 5, "settings": {"a": 1}}}),
        ),
    ]
}

const SHARED: &str = "CREATE TABLE public.tenants (id text PRIMARY KEY, seats int, settings jsonb)";

#[test]
fn the_number_of_queries_does_not_depend_on_the_number_of_tenants() {
    in_database("the_number_of_queries_does_not_depend_on_the_number_of_tenants", async |world| {
        world.by_hand(SHARED).await;
        let options = world.options();
        let proxy = Proxy::start(format!("{}:{}", options.get_host(), options.get_port())).await;
        let settings = world.settings(options.port(proxy.port).ssl_mode(PgSslMode::Disable));
        let mut numbers = Vec::new();
        let mut wanted = Vec::new();
        for count in [10, 90] {
            for number in wanted.len() / 8..count {
                let resources = tenant(world, &format!("t{number}"));
                world.create(&resources.iter().collect::<Vec<_>>()).await;
                wanted.extend(resources);
            }
            let reader = Postgres.reader(&settings).expect("valid settings");
            let observations = observe(&*reader, &wanted.iter().collect::<Vec<_>>(), &[]).await;
            for desired in &wanted {
                let observed = observations[desired.kind.name].get(desired.identity.as_deref().expect("an identity"));
                world.assert_is(desired, observed);
            }
            numbers.push(proxy.take_queries());
        }
        assert_eq!(numbers[0], numbers[1]);
        assert!((10..60).contains(&numbers[0]), "{numbers:?}");
    });
}

#[test]
fn credentials_that_only_read_are_enough_to_observe() {
    in_database("credentials_that_only_read_are_enough_to_observe", async |world| {
        world.by_hand(SHARED).await;
        let name = world.name("observer");
        world.by_hand(&format!("CREATE ROLE {name} LOGIN PASSWORD 'x'; GRANT pg_read_all_data TO {name}")).await;
        let mut wanted = tenant(world, "acme");
        let with_password = json!({"name": world.name("secretive"), "password": "y"});
        wanted.push(world.desired("role", "acme/secretive", with_password));
        world.create(&wanted.iter().collect::<Vec<_>>()).await;
        let reader =
            Postgres.reader(&world.settings(world.options().username(&name).password("x"))).expect("valid settings");
        let observations = observe(&*reader, &wanted.iter().collect::<Vec<_>>(), &[]).await;
        for desired in &wanted {
            let observed = observations[desired.kind.name].get(desired.identity.as_deref().expect("an identity"));
            world.assert_is(desired, observed);
            assert_eq!(observations[desired.kind.name].incomplete, None);
        }
        let writer =
            Postgres.writer(&world.settings(world.options().username(&name).password("x"))).expect("valid settings");
        let schema = world.desired("schema", "x/schema", json!({"name": "x"}));
        let error = writer.write(&[create(&schema)]).await.expect_err("it may not").error;
        assert_eq!(error.class, ErrorClass::Denied);
        assert!(error.remedy.is_some_and(|remedy| remedy.contains("CREATE on the database")));
    });
}

#[test]
fn what_carries_the_mark_is_listed_though_nobody_asks() {
    in_database("what_carries_the_mark_is_listed_though_nobody_asks", async |world| {
        world.by_hand(SHARED).await;
        let resources = tenant(world, "acme");
        world.create(&resources.iter().collect::<Vec<_>>()).await;
        let stranger = world.desired("schema", "other/schema", json!({"name": "stranger"}));
        let mut step = create(&stranger);
        step.mark.estate = "shop-2".into();
        world.write(&[step]).await;

        let asked = [
            world.desired("role", "x/role", json!({"name": world.name("x")})),
            world.desired("schema", "x/schema", json!({"name": "x"})),
            world.desired("script", "x/script", json!({"name": "x", "sql": "SELECT 1"})),
            world.desired("rls_policy", "x/policy", json!({"schema": "x", "table": "x", "name": "x", "using": "true"})),
        ];
        let observations = observe(&*world.reader(), &asked.iter().collect::<Vec<_>>(), &[]).await;
        for desired in resources.iter().filter(|desired| observations.contains_key(desired.kind.name)) {
            let observed = observations[desired.kind.name].get(desired.identity.as_deref().expect("an identity"));
            let mark = present(observed).mark.expect("a mark");
            assert_eq!((&*mark.estate, &mark.address), (ESTATE, &desired.address));
        }
        assert!(!observations["postgres.schema"].resources.contains_key("/stranger"), "of another estate");
        assert_eq!(observations["postgres.schema"].resources.len(), 2);
    });
}

#[test]
fn what_is_not_ours_is_a_conflict() {
    in_database("what_is_not_ours_is_a_conflict", async |world| {
        let role = world.name("r");
        world.by_hand(&format!("CREATE SCHEMA s; CREATE ROLE {role}; CREATE TABLE s.t ()")).await;
        world.by_hand("CREATE POLICY p ON s.t USING (true)").await;
        let theirs = [
            world.desired("schema", "acme/schema", json!({"name": "s"})),
            world.desired("role", "acme/role", json!({"name": role})),
            world.desired("rls_policy", "acme/p", json!({"schema": "s", "table": "t", "name": "p", "using": "true"})),
            world.desired("database", "acme/db", json!({"name": world.database})),
        ];
        for desired in &theirs {
            let found = present(world.observe(desired).await);
            assert_eq!(found.mark, None);
            for step in [create(desired), delete(desired, &found)] {
                let error = world.try_write(&[step]).await.expect_err("it is not ours").error;
                assert_eq!(error.class, ErrorClass::Conflict, "{error}");
                assert!(error.to_string().contains("carries no mark"), "{error}");
            }
            // Adopted: the plan saw it without a mark.
            world.write(&[update(desired, &found, &[])]).await;
            world.assert_settled(&[desired]).await;
            // Ours, but of another address: neither is it taken over nor deleted.
            let other = world.desired(desired.kind.name.trim_start_matches("postgres."), "other/x", spec_json(desired));
            let error = world.try_write(&[create(&other)]).await.expect_err("it is another's").error;
            assert!(error.to_string().contains(&format!("mark of {}", desired.address)), "{error}");
        }
    });
}

fn spec_json(desired: &Desired) -> serde_json::Value {
    tenantry_core::model::value::Value::from(tenantry_core::model::value::Map::clone(&desired.spec)).to_json()
}

#[test]
fn an_outage_is_unknown_and_never_absent() {
    in_database("an_outage_is_unknown_and_never_absent", async |world| {
        world.by_hand(SHARED).await;
        let resources = tenant(world, "acme");
        world.create(&resources.iter().collect::<Vec<_>>()).await;
        let options = world.options();
        let proxy = Proxy::start(format!("{}:{}", options.get_host(), options.get_port())).await;
        let settings = world.settings(options.port(proxy.port).ssl_mode(PgSslMode::Disable));
        let (reader, writer) = (Postgres.reader(&settings).expect("valid"), Postgres.writer(&settings).expect("valid"));
        let answer = reader.probe().await.expect("it answers");
        assert!(answer.starts_with("PostgreSQL ") && !answer.contains("postgres:postgres"), "{answer}");
        proxy.go_down();
        let observations = observe(&*reader, &resources.iter().collect::<Vec<_>>(), &[]).await;
        for desired in &resources {
            let observation = &observations[desired.kind.name];
            assert!(observation.incomplete.is_some());
            assert!(matches!(observation.get(desired.identity.as_deref().expect("an identity")), Observed::Unknown(_)));
        }
        let schema = world.desired("schema", "x/schema", json!({"name": "x"}));
        let error = writer.write(&[create(&schema)]).await.expect_err("it is down").error;
        assert_eq!(error.class, ErrorClass::Retryable, "{error}");
        assert_eq!(reader.probe().await.expect_err("it is down").class, ErrorClass::Retryable);

        let nowhere = world.settings(world.options().database("no_such_database"));
        let observations = observe(&*Postgres.reader(&nowhere).expect("valid"), &[&schema], &[]).await;
        assert!(
            matches!(observations["postgres.schema"].get("/x"), Observed::Unknown(reason) if said(&reason).contains("does not exist"))
        );
    });
}

#[test]
fn a_failed_step_is_named_and_nothing_of_its_batch_is_done() {
    in_database("a_failed_step_is_named_and_nothing_of_its_batch_is_done", async |world| {
        let schema = |name: &str, owner: Option<&str>| {
            let spec = json!({"name": name, "owner": owner});
            let mut spec = spec;
            spec.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
            world.desired("schema", &format!("{name}/schema"), spec)
        };
        let batch = [schema("a", None), schema("b", Some("no_such_role")), schema("c", None)];
        let error = world.try_write(&batch.each_ref().map(create)).await.expect_err("no such role");
        assert_eq!(error.step, 1);
        assert!(
            error.to_string().starts_with("creating schema \"b\": role \"no_such_role\" does not exist"),
            "{error}"
        );
        assert_eq!(world.observe(&batch[0]).await, Observed::Absent);
    });
}

#[test]
fn an_error_quotes_no_secret() {
    in_database("an_error_quotes_no_secret", async |world| {
        world.by_hand("CREATE TABLE public.t (id text PRIMARY KEY, n int, CHECK (id <> 'x'))").await;
        let row = json!({"table": "t", "key": {"id": "x"}, "columns": {"n": "hunter2"}});
        let row = world.desired("row", "acme/row", row);
        let mut step = create(&row);
        if let StepAction::Create { secrets, .. } = &mut step.action {
            secrets.push("/columns/n".to_owned());
        }
        let error = world.try_write(&[step]).await.expect_err("no integer");
        assert!(!format!("{error:?} {error}").contains("hunter2"), "{error:?}");
        assert!(error.to_string().contains("(secret)"), "{error}");
        let row = json!({"table": "t", "key": {"id": "x"}, "columns": {"n": 777_777}});
        let error =
            world.try_write(&[create(&world.desired("row", "acme/row", row))]).await.expect_err("the constraint");
        assert!(!format!("{error:?}").contains("777777"), "the server's detail would show the whole row: {error:?}");
    });
}

#[test]
fn a_kind_that_fails_makes_no_other_unknown() {
    in_database("a_kind_that_fails_makes_no_other_unknown", async |world| {
        let name = world.name("observer");
        world.by_hand(&format!("CREATE ROLE {name} LOGIN PASSWORD 'x'")).await;
        let schema = world.desired("schema", "acme/schema", json!({"name": "s"}));
        let script = world.desired("script", "acme/script", json!({"name": "s", "sql": "SELECT 1"}));
        world.create(&[&schema, &script]).await;
        let reader =
            Postgres.reader(&world.settings(world.options().username(&name).password("x"))).expect("valid settings");
        let observations = observe(&*reader, &[&schema, &script], &[]).await;
        world.assert_is(&schema, observations["postgres.schema"].get("/s"));
        let observed = observations["postgres.script"].get(script.identity.as_deref().expect("an identity"));
        assert!(
            matches!(observed, Observed::Unknown(reason) if said(&reason).contains("permission denied for schema tenantry"))
        );
        assert!(observations["postgres.script"].incomplete.is_some());
    });
}

#[test]
fn a_writer_that_is_no_superuser_does_all_of_a_tenant() {
    in_database("a_writer_that_is_no_superuser_does_all_of_a_tenant", async |world| {
        world.by_hand(SHARED).await;
        let name = world.name("writer");
        world
            .by_hand(&format!(
                "CREATE ROLE {name} LOGIN CREATEROLE PASSWORD 'x'; GRANT CREATE ON DATABASE {} TO {name}; \
                 GRANT SELECT, INSERT, UPDATE, DELETE ON public.tenants TO {name}",
                world.database
            ))
            .await;
        let settings = world.settings(world.options().username(&name).password("x"));
        let (reader, writer) = (Postgres.reader(&settings).expect("valid"), Postgres.writer(&settings).expect("valid"));
        let mut wanted = tenant(world, "acme");
        wanted.push(world.desired("role", "acme/other", json!({"name": world.name("other"), "password": "y"})));
        let batch: Vec<_> = wanted.iter().map(create).collect();
        for _ in 0..2 {
            writer.write(&batch).await.unwrap_or_else(|error| panic!("step {}: {error}", error.step));
        }
        let observations = observe(&*reader, &wanted.iter().collect::<Vec<_>>(), &[]).await;
        let mut batch = Vec::new();
        for desired in wanted.iter().rev() {
            let observed = observations[desired.kind.name].get(desired.identity.as_deref().expect("an identity"));
            batch.push(delete(desired, &world.assert_is(desired, observed)));
        }
        writer.write(&batch).await.unwrap_or_else(|error| panic!("step {}: {error}", error.step));
        for desired in &wanted {
            assert_eq!(world.observe_known(desired).await, Observed::Absent, "{}", desired.address);
        }
    });
}

#[test]
fn a_batch_in_another_database_is_one_transaction_with_its_roles() {
    in_database("a_batch_in_another_database_is_one_transaction_with_its_roles", async |world| {
        let (role, name) = (world.name("r"), world.name("db"));
        world.create(&[&world.desired("database", "acme/db", json!({"name": name}))]).await;
        let wanted = [
            world.desired("role", "acme/role", json!({"name": role})),
            world.desired("schema", "acme/schema", json!({"database": name, "name": "app", "owner": role})),
            world.desired(
                "script",
                "acme/t",
                json!({"database": name, "name": "t", "schema": "app", "sql": "CREATE TABLE t (id int)"}),
            ),
            world.desired(
                "row",
                "acme/row",
                json!({"database": name, "schema": "app", "table": "t", "key": {"id": 1}}),
            ),
            world.desired(
                "grant",
                "acme/connect",
                json!({"database": name, "role": role, "on": "database", "privileges": ["CONNECT"]}),
            ),
        ];
        let mut batch: Vec<_> = wanted.iter().map(create).collect();
        let wrong =
            json!({"database": name, "role": "no_such_role", "on": "schema", "schema": "app", "privileges": ["USAGE"]});
        batch.push(create(&world.desired("grant", "acme/wrong", wrong)));
        let error = world.try_write(&batch).await.expect_err("no such role");
        assert_eq!(error.step, 5);
        for desired in &wanted {
            assert_eq!(world.observe(desired).await, Observed::Absent, "{}", desired.address);
        }
        batch.pop();
        world.write(&batch).await;
        world.assert_settled(&wanted.iter().collect::<Vec<_>>()).await;
    });
}

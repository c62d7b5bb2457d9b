//! What belongs to the server: databases and roles.

use serde_json::json;
use sqlx::{ConnectOptions as _, Row as _};
use tenantry_core::model::resource::Observed;
use tenantry_provider::conformance::WriteUnguarded as _;
use tenantry_provider::contract::ErrorClass;

use crate::support::postgres::{execute, in_database};
use crate::support::proxy::Proxy;
use crate::support::{create, delete, mark, present, update};

#[test]
fn databases_live_through_everything() {
    in_database("databases_live_through_everything", async |world| {
        let (name, owner) = (world.name("db"), world.name("owner"));
        world.by_hand(&format!("CREATE ROLE {owner}")).await;
        let first =
            world.desired("database", "acme/db", json!({"name": name, "encoding": "utf-8", "locale": "C.UTF-8"}));
        let second = world.desired("database", "acme/db", json!({"name": name, "owner": owner, "connectionLimit": 7}));
        world.lifecycle(&first, &second, &format!("ALTER DATABASE {name} CONNECTION LIMIT 3")).await;
    });
}

#[test]
fn a_database_that_was_half_made_is_made_again() {
    in_database("a_database_that_was_half_made_is_made_again", async |world| {
        let desired = world.desired("database", "acme/db", json!({"name": world.name("db")}));
        world.create(&[&desired]).await;
        // As if the run had died before the renaming, once without and once with the mark.
        let mut admin = world.connect().await;
        for comment in ["COMMENT ON DATABASE {} IS NULL", "SELECT 1"] {
            let staging: String = sqlx::query_scalar(
                "SELECT 'tenantry_new_' || left(encode(sha256(convert_to('shop', 'UTF8') || '\\x00' || \
                 convert_to('acme/db', 'UTF8') || '\\x00' || convert_to($1, 'UTF8')), 'hex'), 24)",
            )
            .bind(world.name("db"))
            .fetch_one(&mut admin)
            .await
            .expect("a name");
            execute(&mut admin, &comment.replace("{}", &world.name("db"))).await;
            execute(&mut admin, &format!("ALTER DATABASE {} RENAME TO {staging}", world.name("db"))).await;
            assert_eq!(world.observe(&desired).await, Observed::Absent);
            world.create(&[&desired]).await;
            world.assert_settled(&[&desired]).await;
        }
    });
}

#[test]
fn a_database_in_use_is_not_dropped_by_force() {
    in_database("a_database_in_use_is_not_dropped_by_force", async |world| {
        let desired = world.desired("database", "acme/db", json!({"name": world.name("db")}));
        world.create(&[&desired]).await;
        let session = world.options().database(&world.name("db")).application_name("their app");
        let session = session.connect().await.expect("a session");
        let before = present(world.observe(&desired).await);
        let error = world.try_write(&[delete(&desired, &before)]).await.expect_err("in use").error;
        assert_eq!(error.class, ErrorClass::Conflict);
        assert!(error.to_string().contains("their app"), "{error}");
        world.assert_settled(&[&desired]).await;
        drop(session);
    });
}

#[test]
fn roles_live_through_everything() {
    in_database("roles_live_through_everything", async |world| {
        let (name, group, other) = (world.name("r"), world.name("group"), world.name("other"));
        world.by_hand(&format!("CREATE ROLE {group}; CREATE ROLE {other}")).await;
        let first = world.desired(
            "role",
            "acme/role",
            json!({"name": name, "login": true, "password": "one", "memberOf": [group],
            "settings": {"statement_timeout": "30s", "Search_Path": "\"$user\", public", "app.tenant": "it's \\ acme"},
            "validUntil": "2031-01-01T01:00:00+01:00", "connectionLimit": 3}),
        );
        let second = world.desired(
            "role",
            "acme/role",
            json!({"name": name, "memberOf": [other], "inherit": false,
            "createdb": true, "createrole": true, "bypassrls": true, "password": "three",
            "settings": {"statement_timeout": "1min", "search_path": ""}}),
        );
        world.lifecycle(&first, &second, &format!("ALTER ROLE {name} SET work_mem = '64MB'")).await;
    });
}

#[test]
fn drift_of_a_role_by_hand_is_seen() {
    in_database("drift_of_a_role_by_hand_is_seen", async |world| {
        let (name, group) = (world.name("r"), world.name("group"));
        let desired = world.desired("role", "acme/role", json!({"name": name, "login": true}));
        world.by_hand(&format!("CREATE ROLE {group}")).await;
        world.create(&[&desired]).await;
        for (drift, field) in [
            (format!("ALTER ROLE {name} SUPERUSER"), "superuser"),
            (format!("ALTER ROLE {name} REPLICATION"), "replication"),
            (format!("GRANT {group} TO {name}"), "memberOf"),
            (format!("ALTER ROLE {name} NOLOGIN"), "login"),
            (format!("ALTER ROLE {name} VALID UNTIL '2030-01-01'"), "validUntil"),
            (format!("ALTER ROLE {name} SET jit = off"), "settings"),
        ] {
            world.by_hand(&drift).await;
            let drifted = present(world.observe(&desired).await);
            assert_ne!(drifted.spec.get(field), desired.spec.get(field), "{drift}");
            world.write(&[update(&desired, &drifted, &[])]).await;
            world.assert_settled(&[&desired]).await;
        }
    });
}

#[test]
fn a_password_logs_in_and_never_travels() {
    in_database("a_password_logs_in_and_never_travels", async |world| {
        let name = world.name("r");
        let password = "correct-horse pässword I\u{AD}X";
        let desired = world.desired("role", "acme/role", json!({"name": name, "login": true, "password": password}));
        let options = world.options();
        let proxy = Proxy::start(format!("{}:{}", options.get_host(), options.get_port())).await;
        let through = world.settings(options.port(proxy.port).ssl_mode(sqlx::postgres::PgSslMode::Disable));
        let writer = tenantry_provider::contract::Provider::writer(&tenantry_postgres::Postgres, &through);
        writer.expect("valid settings").write(&[create(&desired)]).await.expect("written");

        let sent = String::from_utf8_lossy(&proxy.sent()).into_owned();
        assert!(sent.contains("SCRAM-SHA-256$4096:"), "the verifier was sent");
        assert!(!sent.contains("correct-horse"), "the password was not");
        let login = async |password: &str| world.options().username(&name).password(password).connect().await;
        login(password).await.expect("the password logs in");
        let error = login("wrong").await.expect_err("another does not");
        assert_eq!(
            error.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref(),
            Some("28P01"),
            "a server that asks"
        );
    });
}

#[test]
fn a_password_set_by_hand_is_seen_and_set_back() {
    in_database("a_password_set_by_hand_is_seen_and_set_back", async |world| {
        let name = world.name("r");
        let desired = world.desired("role", "acme/role", json!({"name": name, "login": true, "password": "ours"}));
        world.create(&[&desired]).await;
        for by_hand in ["PASSWORD 'ours'", "PASSWORD NULL", "PASSWORD 'theirs'"] {
            world.by_hand(&format!("ALTER ROLE {name} {by_hand}")).await;
            let drifted = present(world.observe(&desired).await);
            let found = drifted.mark.clone().expect("still marked");
            assert_eq!((found.address, found.secret_hash), (desired.address.clone(), None), "{by_hand}");
            world.write(&[update(&desired, &drifted, &[])]).await;
            world.assert_settled(&[&desired]).await;
        }
        world.options().username(&name).password("ours").connect().await.expect("the password logs in");

        let before = present(world.observe(&desired).await);
        let without = world.desired("role", "acme/role", json!({"name": name, "login": true}));
        world.write(&[update(&without, &before, &["/password"])]).await;
        world.assert_settled(&[&without]).await;
        assert!(world.options().username(&name).password("ours").connect().await.is_err(), "it was taken away");
    });
}

#[test]
fn a_role_that_owns_something_is_not_dropped() {
    in_database("a_role_that_owns_something_is_not_dropped", async |world| {
        let name = world.name("r");
        let desired = world.desired("role", "acme/role", json!({"name": name}));
        world.create(&[&desired]).await;
        // A privilege that nobody planned does not keep the role; a table does.
        world.by_hand(&format!("CREATE TABLE public.kept (); ALTER TABLE public.kept OWNER TO {name}")).await;
        world.by_hand(&format!("CREATE TABLE public.other (); GRANT SELECT ON public.other TO {name}")).await;
        let before = present(world.observe(&desired).await);
        let error = world.try_write(&[delete(&desired, &before)]).await.expect_err("it owns a table").error;
        assert_eq!(error.class, ErrorClass::Conflict);
        assert!(error.to_string().contains("table public.kept"), "{error}");
        world.by_hand("ALTER TABLE public.kept OWNER TO postgres").await;
        world.write(&[delete(&desired, &before)]).await;
        assert_eq!(world.observe(&desired).await, Observed::Absent);
    });
}

#[test]
fn words_of_a_person_in_a_comment_are_kept() {
    in_database("words_of_a_person_in_a_comment_are_kept", async |world| {
        let name = world.name("r");
        let desired = world.desired("role", "acme/role", json!({"name": name}));
        world.create(&[&desired]).await;
        let mut connection = world.connect().await;
        let query = "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = $1";
        let row = sqlx::query(query).bind(&name).fetch_one(&mut connection).await.expect("a role");
        let marked: String = row.get(0);
        execute(&mut connection, &format!("COMMENT ON ROLE {name} IS E'Ask Ann.\\n{marked}'")).await;
        let before = present(world.observe(&desired).await);
        let renamed = world.desired("role", "acme-corp/role", json!({"name": name, "login": true}));
        world.write(&[update(&renamed, &before, &[])]).await;
        let row = sqlx::query(query).bind(&name).fetch_one(&mut connection).await.expect("a role");
        assert_eq!(row.get::<String, _>(0), "Ask Ann.\n[tenantry estate=shop address=acme-corp/role]");
        assert_eq!(present(world.observe(&renamed).await).mark, Some(mark(&renamed)));
    });
}

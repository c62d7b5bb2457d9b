//! Who gets at something without being meant to, and whether what was taken away is gone.

use serde_json::json;
use sqlx::ConnectOptions as _;
use tenantry_core::model::resource::{Desired, Observed};
use tenantry_core::model::value::Value;
use tenantry_provider::contract::ErrorClass;

use crate::support::postgres::{Login, World, execute, in_every_database, on_both_servers};
use crate::support::{create, delete, observe, present, update};

fn privileges(observed: Observed) -> serde_json::Value {
    present(observed).spec.get("privileges").map(Value::to_json).unwrap_or_default()
}

/// A role that may give on what it has in a schema with two tables.
async fn with_lead(world: &World) -> (String, String) {
    let (lead, clerk) = (world.name("lead"), world.name("clerk"));
    world
        .by_hand(&format!(
            "CREATE ROLE {lead}; CREATE ROLE {clerk}; CREATE SCHEMA depot; CREATE TABLE depot.parts (id int, cost int); \
             CREATE TABLE depot.bins (id int); GRANT USAGE ON SCHEMA depot TO {lead}; \
             GRANT SELECT, UPDATE ON ALL TABLES IN SCHEMA depot TO {lead} WITH GRANT OPTION"
        ))
        .await;
    (lead, clerk)
}

#[test]
fn a_privilege_that_another_role_granted_is_taken_away_as_that_role() {
    on_both_servers("a_privilege_that_another_role_granted_is_taken_away_as_that_role", async |world| {
        let (lead, clerk) = with_lead(world).await;
        for spec in
            [json!({"on": "table", "schema": "depot", "name": "parts"}), json!({"on": "allTables", "schema": "depot"})]
        {
            let grant = |privileges: &[&str]| {
                let mut whole = json!({"role": clerk, "privileges": privileges});
                whole.as_object_mut().expect("an object").extend(spec.as_object().expect("an object").clone());
                world.desired("grant", "acme/grant", whole)
            };
            world.create(&[&grant(&["SELECT"])]).await;
            world
                .by_hand(&format!(
                    "SET ROLE {lead}; GRANT SELECT ON depot.parts TO {clerk}; GRANT UPDATE ON depot.parts TO {clerk} WITH GRANT OPTION"
                ))
                .await;
            // Too much, by another grantor.
            let wanted = grant(&["SELECT"]);
            let found = present(world.observe(&wanted).await);
            assert_eq!(found.spec.get("privileges").map(Value::to_json), Some(json!(["SELECT", "UPDATE"])));
            world.write(&[update(&wanted, &found, &[])]).await;
            world.assert_settled(&[&wanted]).await;
            // And gone altogether, whoever gave it.
            let known = present(world.observe_known(&wanted).await);
            world.write(&[delete(&wanted, &known)]).await;
            assert_eq!(world.observe_known(&wanted).await, Observed::Absent);
            let acl = world.ask("SELECT relacl::text FROM pg_class WHERE oid = 'depot.parts'::regclass").await;
            assert!(!acl.contains(&clerk), "{acl}");
        }
    });
}

#[test]
fn a_privilege_that_stays_is_named_with_who_granted_it() {
    in_every_database("a_privilege_that_stays_is_named_with_who_granted_it", async |world| {
        if world.login == Login::Superuser {
            return;
        }
        // The lead's table: the login may neither act as the lead nor become a member.
        let (lead, clerk) = with_lead(world).await;
        world.by_hand(&format!("ALTER ROLE {lead} SUPERUSER")).await;
        let admin = world.admin();
        world.by_hand(&format!("GRANT USAGE ON SCHEMA depot TO {admin}")).await;
        world.by_hand(&format!("SET ROLE {lead}; GRANT SELECT ON depot.parts TO {clerk}")).await;
        let spec = json!({"role": clerk, "on": "table", "schema": "depot", "name": "parts", "privileges": ["SELECT"]});
        let wanted = world.desired("grant", "acme/grant", spec);
        let known = present(world.observe_known(&wanted).await);
        let error = world.try_write(&[delete(&wanted, &known)]).await.expect_err("it may not").error;
        assert_ne!(error.class, ErrorClass::Retryable);
        assert!(error.cause.contains("SELECT on table depot.parts was granted by"), "{error}");
        assert!(matches!(world.observe_known(&wanted).await, Observed::Present(_)));
    });
}

#[test]
fn all_is_what_the_server_means_by_it() {
    on_both_servers("all_is_what_the_server_means_by_it", async |world| {
        let (_, clerk) = with_lead(world).await;
        for on in ["allTables", "defaultTables"] {
            let spec = json!({"role": clerk, "on": on, "schema": "depot", "privileges": ["ALL"]});
            let wanted = world.desired("grant", "acme/grant", spec);
            world.create(&[&wanted]).await;
            world.assert_settled(&[&wanted]).await;
        }
        let number = world.ask(
            "SELECT count(*)::text FROM pg_class c, aclexplode(c.relacl) a JOIN pg_roles r ON r.oid = a.grantee \
            WHERE c.oid = 'depot.bins'::regclass AND r.rolname LIKE 'clerk%'",
        );
        let expected = if world.version().await >= 170_000 { "8" } else { "7" };
        assert_eq!(number.await, expected);
        // By hand the same thing is no drift.
        world.by_hand(&format!("GRANT ALL ON depot.bins TO {clerk}")).await;
        let spec = json!({"role": clerk, "on": "allTables", "schema": "depot", "privileges": ["ALL"]});
        world.assert_settled(&[&world.desired("grant", "acme/grant", spec)]).await;
    });
}

#[test]
fn that_a_role_has_nothing_can_be_written() {
    on_both_servers("that_a_role_has_nothing_can_be_written", async |world| {
        let (_, clerk) = with_lead(world).await;
        let maker = world.name("maker");
        world.by_hand(&format!("CREATE ROLE {maker}")).await;
        for (spec, by_hand) in [
            (
                json!({"role": "PUBLIC", "on": "database"}),
                format!("GRANT CONNECT ON DATABASE {} TO PUBLIC", world.database),
            ),
            (
                json!({"role": clerk, "on": "table", "schema": "depot", "name": "bins"}),
                format!("GRANT DELETE ON depot.bins TO {clerk}"),
            ),
            (
                json!({"role": clerk, "on": "allTables", "schema": "depot"}),
                format!("GRANT DELETE ON depot.bins TO {clerk}"),
            ),
            (
                json!({"role": "public", "on": "defaultFunctions", "grantor": maker}),
                format!("ALTER DEFAULT PRIVILEGES FOR ROLE {maker} GRANT EXECUTE ON FUNCTIONS TO PUBLIC"),
            ),
        ] {
            let mut whole = json!({"privileges": []});
            whole.as_object_mut().expect("an object").extend(spec.as_object().expect("an object").clone());
            let wanted = world.desired("grant", "acme/none", whole);
            for _ in 0..2 {
                world.by_hand(&by_hand).await;
                let found = present(world.observe(&wanted).await);
                assert_ne!(found.spec.get("privileges").map(Value::to_json), Some(json!([])), "{by_hand}");
                world.write(&[update(&wanted, &found, &[])]).await;
                world.assert_settled(&[&wanted]).await;
            }
            assert_eq!(world.observe_known(&wanted).await, Observed::Absent);
        }
    });
}

#[test]
fn privileges_on_single_columns_are_seen_written_and_taken_away() {
    on_both_servers("privileges_on_single_columns_are_seen_written_and_taken_away", async |world| {
        let (_, clerk) = with_lead(world).await;
        let grant = |privileges: &[&str]| {
            let spec =
                json!({"role": clerk, "on": "table", "schema": "depot", "name": "parts", "privileges": privileges});
            world.desired("grant", "acme/grant", spec)
        };
        let first = grant(&["SELECT (id)"]);
        let second = grant(&["INSERT", "select (ID)", "UPDATE (id)"]);
        world.lifecycle(&first, &second, &format!("GRANT SELECT (cost) ON depot.parts TO {clerk}")).await;
        // Of a whole table a column says nothing more.
        let whole = grant(&["SELECT"]);
        world.create(&[&whole]).await;
        world.by_hand(&format!("GRANT SELECT (cost) ON depot.parts TO {clerk}")).await;
        world.assert_settled(&[&whole]).await;
        world.by_hand(&format!("GRANT UPDATE (cost) ON depot.parts TO {clerk}")).await;
        assert_eq!(privileges(world.observe(&whole).await), json!(["SELECT", "UPDATE (cost)"]));
    });
}

#[test]
fn default_privileges_of_several_makers_are_never_one_grant() {
    on_both_servers("default_privileges_of_several_makers_are_never_one_grant", async |world| {
        let (_, clerk) = with_lead(world).await;
        let (one, two) = (world.name("one"), world.name("two"));
        world.by_hand(&format!("CREATE ROLE {one}; CREATE ROLE {two}")).await;
        for (maker, privilege) in [(&one, "SELECT"), (&two, "DELETE")] {
            world
                .by_hand(&format!(
                    "ALTER DEFAULT PRIVILEGES FOR ROLE {maker} IN SCHEMA depot GRANT {privilege} ON TABLES TO {clerk}"
                ))
                .await;
        }
        let spec = json!({"role": clerk, "on": "defaultTables", "schema": "depot", "privileges": ["DELETE", "SELECT"]});
        let both = world.desired("grant", "acme/grant", spec);
        assert_ne!(privileges(world.observe(&both).await), json!(["DELETE", "SELECT"]), "nobody has said both");
        let found = present(world.observe(&both).await);
        world.write(&[update(&both, &found, &[])]).await;
        world.assert_settled(&[&both]).await;
        let spec =
            json!({"role": clerk, "on": "defaultTables", "schema": "depot", "grantor": two, "privileges": ["DELETE"]});
        world.assert_settled(&[&world.desired("grant", "acme/two", spec)]).await;
    });
}

#[test]
fn an_exclusive_schema_shows_every_way_in() {
    in_every_database("an_exclusive_schema_shows_every_way_in", async |world| {
        let (owner, app, spy) = (world.name("own"), world.name("app"), world.name("spy"));
        let wanted = [
            world.desired("role", "acme/owner", json!({"name": owner})),
            world.desired("role", "acme/app", json!({"name": app, "memberOf": [owner]})),
            world.desired("schema", "acme/vault", json!({"name": "vault", "owner": owner, "exclusive": true})),
            world.desired(
                "script",
                "acme/tables",
                json!({"name": "t", "schema": "vault", "sql": "CREATE TABLE vault.cards (id serial, pan text, tenant text); CREATE TABLE vault.log (id int)"}),
            ),
            world.desired("grant", "acme/usage", json!({"role": app, "on": "schema", "schema": "vault", "privileges": ["USAGE"]})),
            world.desired("grant", "acme/cards", json!({"role": app, "on": "table", "schema": "vault", "name": "cards", "privileges": ["SELECT"]})),
            world.desired("rls_policy", "acme/own", json!({"schema": "vault", "table": "cards", "name": "own", "using": "tenant = 'a'"})),
        ];
        let wanted: Vec<&Desired> = wanted.iter().collect();
        world.create(&wanted).await;
        world.assert_settled(&wanted).await;
        let granted_by =
            if world.login == Login::Limited { format!("SET ROLE {}; ", world.admin()) } else { String::new() };
        world.by_hand(&format!("{granted_by}CREATE ROLE {spy}")).await;
        let login = if world.login == Login::Limited { world.admin() } else { "postgres".to_owned() };
        for sql in [
            format!("GRANT SELECT (pan) ON vault.cards TO {spy}"),
            format!("GRANT UPDATE (pan) ON vault.cards TO {app}"),
            format!("ALTER DEFAULT PRIVILEGES FOR ROLE {login} IN SCHEMA vault GRANT SELECT ON TABLES TO {spy}"),
            format!("ALTER DEFAULT PRIVILEGES FOR ROLE {owner} GRANT SELECT ON TABLES TO {spy}"),
            format!("{granted_by}GRANT {owner} TO {spy}"),
            "CREATE POLICY wide ON vault.cards USING (true)".to_owned(),
            format!("ALTER TABLE vault.log OWNER TO {spy}"),
        ] {
            world.by_hand(&sql).await;
        }
        let observations = observe(&*world.reader(), &wanted, &[]).await;
        let drifted = present(observations["postgres.schema"].get("/vault"));
        assert_eq!(
            drifted.spec.get("foreignGrants").map(Value::to_json),
            Some(json!([
                format!("{app}: UPDATE (pan) on table cards"),
                "public: policy wide on table cards",
                format!("{spy}: SELECT (pan) on table cards"),
                format!("{spy}: SELECT on tables of any schema that {owner} will create"),
                format!("{spy}: SELECT on tables that {login} will create"),
                format!("{spy}: member of {owner}, which has the rights of the owner"),
                format!("{spy}: owner of table log"),
            ]))
        );
        world.write(&[update(wanted[2], &drifted, &[])]).await;
        world.assert_settled(&wanted).await;
        assert_eq!(world.memberships().await, "");
    });
}

#[test]
fn memberships_are_compared_with_their_options_and_taken_away_from_every_grantor() {
    on_both_servers("memberships_are_compared_with_their_options_and_taken_away_from_every_grantor", async |world| {
        let (app, staff, boss, other) =
            (world.name("app"), world.name("staff"), world.name("boss"), world.name("other"));
        world.by_hand(&format!("CREATE ROLE {staff}; CREATE ROLE {other}; CREATE ROLE {boss}; GRANT {other}, {staff} TO {boss} WITH ADMIN OPTION")).await;
        let wanted = world.desired("role", "acme/app", json!({"name": app, "memberOf": [staff]}));
        world.create(&[&wanted]).await;
        let mut drifts = vec![
            format!("GRANT {staff} TO {app} WITH ADMIN OPTION"),
            format!("SET ROLE {boss}; GRANT {other} TO {app}"),
            format!("GRANT {staff} TO {app} WITH ADMIN OPTION; SET ROLE {app}; GRANT {staff} TO {other}"),
        ];
        if world.version().await >= 160_000 {
            drifts.push(format!("GRANT {staff} TO {app} WITH INHERIT FALSE, SET FALSE"));
            drifts.push(format!("SET ROLE {boss}; GRANT {staff} TO {app} WITH ADMIN OPTION"));
        }
        for drift in drifts {
            world.by_hand(&drift).await;
            let found = present(world.observe(&wanted).await);
            assert_ne!(found.spec.get("memberOf"), wanted.spec.get("memberOf"), "{drift}");
            world.write(&[update(&wanted, &found, &[])]).await;
            world.assert_settled(&[&wanted]).await;
        }
    });
}

#[test]
fn what_is_set_by_hand_for_one_database_or_in_the_past_is_drift() {
    on_both_servers("what_is_set_by_hand_for_one_database_or_in_the_past_is_drift", async |world| {
        let app = world.name("app");
        let wanted = world.desired("role", "acme/app", json!({"name": app, "settings": {"app.tenant": "acme"}}));
        world.create(&[&wanted]).await;
        for drift in [
            format!("ALTER ROLE {app} VALID UNTIL '-infinity'"),
            format!("ALTER ROLE {app} IN DATABASE {} SET work_mem = '64MB'", world.database),
            format!("ALTER ROLE {app} SET \"App\".\"Tenant\" = 'other'"),
            format!("ALTER ROLE {app} SET \"My_App\".x = 'y'"),
        ] {
            world.by_hand(&drift).await;
            let found = present(world.observe(&wanted).await);
            assert_ne!(*found.spec, crate::support::observable(&wanted), "{drift}");
            world.write(&[update(&wanted, &found, &[])]).await;
            world.assert_settled(&[&wanted]).await;
        }
    });
}

#[test]
fn the_own_login_is_neither_changed_nor_locked_out() {
    in_every_database("the_own_login_is_neither_changed_nor_locked_out", async |world| {
        let own = if world.login == Login::Limited { world.admin() } else { "postgres".to_owned() };
        let wanted = world.desired("role", "acme/me", json!({"name": own}));
        assert!(matches!(world.observe(&wanted).await, Observed::Unknown(_)));
        assert!(matches!(world.observe_known(&wanted).await, Observed::Unknown(_)));
        let nothing = tenantry_core::model::resource::Present { spec: wanted.spec.shared(), ..Default::default() };
        for step in [create(&wanted), update(&wanted, &nothing, &[]), delete(&wanted, &nothing)] {
            let mut step = step;
            step.mark.estate = "shop".into();
            assert!(world.try_write(&[step]).await.is_err(), "{own} was changed");
        }
        if world.login == Login::Limited {
            world
                .by_hand(&format!(
                    "ALTER DATABASE {} OWNER TO postgres; GRANT CONNECT ON DATABASE {} TO {own} WITH GRANT OPTION",
                    world.database, world.database
                ))
                .await;
            let spec = json!({"role": own, "on": "database", "privileges": ["CONNECT"]});
            let grant = world.desired("grant", "acme/connect", spec);
            world.by_hand(&format!("REVOKE CONNECT ON DATABASE {} FROM PUBLIC", world.database)).await;
            let known = present(world.observe_known(&grant).await);
            assert!(world.try_write(&[delete(&grant, &known)]).await.is_err());
            assert!(matches!(world.observe(&grant).await, Observed::Present(_)), "it can still look");
        }
    });
}

#[test]
fn sessions_end_with_the_access() {
    in_every_database("sessions_end_with_the_access", async |world| {
        let app = world.name("app");
        let role =
            |login: bool| world.desired("role", "acme/app", json!({"name": app, "login": login, "password": "x"}));
        let is_open = async |session: &mut sqlx::PgConnection| sqlx::raw_sql("SELECT 1").execute(session).await.is_ok();
        world.create(&[&role(true)]).await;
        let mut session = world.options().username(&app).password("x").connect().await.expect("it logs in");
        let found = present(world.observe(&role(true)).await);
        world.write(&[update(&role(false), &found, &[])]).await;
        assert!(!is_open(&mut session).await, "it was left open when the login was taken away");

        let found = present(world.observe(&role(false)).await);
        world.write(&[update(&role(true), &found, &[])]).await;
        let mut session = world.options().username(&app).password("x").connect().await.expect("it logs in again");
        let found = present(world.observe_known(&role(true)).await);
        world.write(&[delete(&role(true), &found)]).await;
        assert!(!is_open(&mut session).await, "it was left open when the role was dropped");
        let mut admin = world.connect().await;
        execute(&mut admin, "SELECT 1").await;
    });
}

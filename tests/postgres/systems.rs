//! Another database under the same name: nothing is made there.

use assert_fs::TempDir;
use secrecy::ExposeSecret as _;
use sqlx::ConnectOptions as _;
use tenantry_postgres::Postgres;
use tenantry_provider::contract::{ErrorClass, Provider as _};

use crate::command::{Said, tenantry};
use crate::support::postgres::{World, in_database};

const DOCUMENTS: &str = "apiVersion: tenantry.dev/v1
kind: Tier
metadata: {name: standard}
spec: {rank: 1, blueprints: [saas]}
---
apiVersion: tenantry.dev/v1
kind: Blueprint
metadata: {name: saas}
spec:
  scope: tenant
  resources:
    - {id: schema, kind: postgres.schema, spec: {name: \"t_${ident(tenant.name)}\"}}
---
apiVersion: tenantry.dev/v1
kind: Tenant
metadata: {name: acme}
spec: {displayName: Acme, tier: standard, phase: active}
";
const CONFIG: &str = "[estate]\nname = \"systems\"\n[secrets]\nidentity = \"file:identity\"
[targets.main]\nprovider = \"postgres\"\nurl = \"env:DATABASE_URL\"\n";

#[test]
fn nothing_is_made_in_another_database_of_the_same_server() {
    in_database("nothing_is_made_in_another_database_of_the_same_server", async |database: &World| {
        let folder = TempDir::new().expect("a folder");
        std::fs::create_dir(folder.path().join("tenants")).expect("a folder");
        std::fs::write(folder.path().join("tenantry.toml"), CONFIG).expect("writes");
        std::fs::write(folder.path().join("tenants/all.yaml"), DOCUMENTS).expect("writes");
        let (identity, _) = tenantry_secret::new_identity();
        std::fs::write(folder.path().join("identity"), identity.expose_secret()).expect("writes");
        let second = database.name("second");
        database.by_hand(&format!("CREATE DATABASE {second}")).await;
        let url = |name: &str| database.options().database(name).to_url_lossy().to_string();
        let run = async |name: &str, arguments: &[&str]| {
            let mut command = tenantry(folder.path());
            command.env("DATABASE_URL", url(name)).args(arguments);
            Said::of(tokio::task::spawn_blocking(move || command.output()).await.expect("no panic").expect("it runs"))
        };
        let applied = run(&database.database, &["apply", "--auto-approve"]).await;
        assert_eq!(applied.exit, 0, "{applied:#?}");

        let refused = run(&second, &["apply", "--auto-approve"]).await;
        assert_eq!(refused.exit, 3, "{refused:#?}");
        let says = format!(", database {} and is now system ", database.database);
        assert!(refused.out.contains("refused[TY0421]: target `main` was system "), "{refused:#?}");
        assert!(refused.out.contains(&says), "{refused:#?}");
        let mut elsewhere = database.options().database(&second).connect().await.expect("the server answers");
        let made: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_namespace WHERE nspname = 't_acme'")
            .fetch_one(&mut elsewhere)
            .await
            .expect("reads");
        assert_eq!(made, 0);

        let accepted = run(&second, &["target", "accept", "main", "--auto-approve"]).await;
        assert_eq!(accepted.exit, 0, "{accepted:#?}");
        let applied = run(&second, &["apply", "--auto-approve"]).await;
        assert_eq!(applied.exit, 0, "{applied:#?}");
        let back = run(&database.database, &["plan"]).await;
        assert_eq!(back.exit, 3, "{back:#?}");
    });
}

#[test]
fn a_login_without_any_privilege_may_ask_and_one_that_may_not_is_denied() {
    in_database("a_login_without_any_privilege_may_ask_and_one_that_may_not_is_denied", async |database: &World| {
        let login = database.name("plain");
        database.by_hand(&format!("CREATE ROLE {login} LOGIN PASSWORD 'plain'")).await;
        let reader = || {
            let options = database.options().username(&login).password("plain");
            Postgres.reader(&database.settings(options)).expect("valid settings")
        };
        let (told, of_superuser) = (reader().identify().await, database.reader().identify().await);
        assert_eq!(told.expect("it may ask"), of_superuser.expect("it may ask"));

        database.by_hand("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC").await;
        let error = reader().identify().await.expect_err("it may not ask any more");
        assert_eq!(error.class, ErrorClass::Denied, "{error}");
    });
}

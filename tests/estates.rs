//! Whole estates on a real PostgreSQL, through the command line: the sample estate, and one of real tenants.

#[path = "../scripts/estate_from_namespaces.rs"]
mod estate_from_namespaces;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::postgres::{World, execute, in_database};
use crate::support::proxy::Proxy;
use assert_fs::TempDir;
use secrecy::ExposeSecret as _;
use sqlx::postgres::PgSslMode;
use sqlx::{ConnectOptions as _, PgConnection};

/// A checkout of an estate, with what its environment needs.
struct Checkout {
    folder: TempDir,
    url: String,
    identity: String,
    arguments: Vec<&'static str>,
}

impl Checkout {
    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_tenantry"))
            .env_clear()
            .env("TENANTRY_POSTGRES_URL", &self.url)
            .env("TENANTRY_AGE_IDENTITY", &self.identity)
            .arg("-C")
            .arg(self.folder.path())
            .args(&self.arguments)
            .args(arguments)
            .output()
            .expect("the program runs")
    }

    /// Runs a command that ends with `code`, and returns what it writes to stdout.
    fn expect(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{stdout}\n{stderr}");
        stdout.into_owned()
    }
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        std::fs::create_dir_all(to).expect("a folder");
        for entry in std::fs::read_dir(from).expect("a folder") {
            let entry = entry.expect("an entry");
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        std::fs::copy(from, to).expect("a copy");
    }
}

fn identity() -> String {
    tenantry_secret::new_identity().0.expose_secret().to_owned()
}

/// The server through a proxy that counts and keeps what is asked.
async fn through_proxy(world: &World) -> (Proxy, String) {
    let options = world.options();
    let proxy = Proxy::start(format!("{}:{}", options.get_host(), options.get_port())).await;
    let url = options.host("127.0.0.1").port(proxy.port).ssl_mode(PgSslMode::Disable).to_url_lossy().to_string();
    (proxy, url)
}

/// Roles belong to the server and outlive a test's database: those of an estate are removed before and after.
async fn remove_roles(connection: &mut PgConnection, estate: &str) {
    let roles: Vec<String> = sqlx::query_scalar(
        "SELECT rolname::text FROM pg_roles WHERE shobj_description(oid, 'pg_authid') ~ ('\\[tenantry estate=' || $1 || '[. ]')",
    )
    .bind(estate)
    .fetch_all(&mut *connection)
    .await
    .expect("roles are listed");
    for role in roles {
        execute(connection, &format!("DROP OWNED BY \"{role}\" CASCADE; DROP ROLE \"{role}\"")).await;
    }
}

async fn scalar(connection: &mut PgConnection, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(connection).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

#[test]
fn the_sample_estate_lives_on_a_real_server() {
    in_database("the_sample_estate_lives_on_a_real_server", async |world: &World| {
        let mut admin = world.connect().await;
        remove_roles(&mut admin, "harbour").await;
        let folder = TempDir::new().expect("a folder");
        for part in ["tenantry.toml", "tenants", "policies", "schemas"] {
            copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join(part), &folder.path().join(part));
        }
        let (proxy, url) = through_proxy(world).await;
        let estate = Checkout { folder, url, identity: identity(), arguments: vec!["--env", "local"] };

        let first = estate.expect(0, &["apply", "--auto-approve"]);
        assert!(first.contains("Applied: 185 changes done"), "{first}");
        let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'tenant\\_%'";
        assert_eq!(scalar(&mut admin, schemas).await, 12);
        let forced =
            "SELECT count(*) FROM pg_class WHERE relname = 'records' AND relrowsecurity AND relforcerowsecurity";
        assert_eq!(scalar(&mut admin, forced).await, 12);
        assert_eq!(scalar(&mut admin, "SELECT count(*) FROM control.tenants").await, 12);
        let may_log_in = "SELECT count(*) FROM pg_roles WHERE rolname LIKE '%\\_app' AND rolcanlogin AND shobj_description(oid, 'pg_authid') LIKE '%estate=harbour.local %'";
        assert_eq!(scalar(&mut admin, may_log_in).await, 11, "all but the suspended tenant's");

        isolated(world, &mut admin).await;

        let before = proxy.sent().len();
        estate.expect(0, &["apply", "--auto-approve"]);
        let asked = String::from_utf8_lossy(&proxy.sent()[before..]).to_uppercase();
        assert!(asked.contains("SELECT"), "the second apply looks");
        for writes in ["CREATE ", "ALTER ", "INSERT ", "UPDATE ", "DELETE ", "GRANT ", "REVOKE ", "COMMENT ", "DROP "] {
            assert!(
                !asked.contains(&format!("\0{writes}")) && !asked.contains(&format!("; {writes}")),
                "the second apply says {writes}"
            );
        }

        drifts(&estate, &mut admin).await;

        let tenant =
            std::fs::read_to_string(estate.folder.path().join("tenants/customers/ivory-press.yaml")).expect("a tenant");
        std::fs::write(
            estate.folder.path().join("tenants/customers/newcomer.yaml"),
            tenant.replace("ivory-press", "newcomer").replace("Ivory Press", "Newcomer"),
        )
        .expect("a tenant");
        execute(&mut admin, "CREATE SCHEMA tenant_newcomer").await;
        let conflict = estate.expect(5, &["plan"]);
        assert!(conflict.contains("TY0401") && conflict.contains("tenant_newcomer"), "{conflict}");
        estate.expect(5, &["apply", "--auto-approve"]);
        let owned = "SELECT count(*) FROM pg_namespace WHERE nspname = 'tenant_newcomer' AND obj_description(oid, 'pg_namespace') IS NULL";
        assert_eq!(scalar(&mut admin, owned).await, 1, "somebody else's schema is left alone");
        remove_roles(&mut admin, "harbour").await;
    });
}

/// One tenant's role reads its own rows and gets nothing of another's.
async fn isolated(world: &World, admin: &mut PgConnection) {
    for (tenant, role) in [("granite", "granite_bank_app"), ("kestrel", "kestrel_air_app")] {
        let schema = if tenant == "granite" { "tenant_granite_bank" } else { "tenant_kestrel_air" };
        let id = if tenant == "granite" { "granite-bank" } else { "kestrel-air" };
        execute(
            admin,
            &format!(
                "INSERT INTO {schema}.records (tenant_id, body) VALUES ('{id}', '{{}}'), ('someone-else', '{{}}')"
            ),
        )
        .await;
        let mut as_role = world.connect().await;
        execute(&mut as_role, &format!("SET ROLE {role}")).await;
        let rows: Vec<String> =
            sqlx::query_scalar("SELECT id FROM control.tenants").fetch_all(&mut as_role).await.expect("the register");
        assert_eq!(rows, [id], "the register shows a tenant itself only");
        let own = format!("SELECT count(*) FROM {schema}.records");
        let own: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(own)).fetch_one(&mut as_role).await.expect("own records");
        assert_eq!(own, 1, "forced row security hides rows that are not the tenant's");
        let other = if tenant == "granite" { "tenant_kestrel_air" } else { "tenant_granite_bank" };
        let denied =
            sqlx::raw_sql(sqlx::AssertSqlSafe(format!("SELECT * FROM {other}.records"))).execute(&mut as_role).await;
        let denied = denied.expect_err("another tenant's schema is closed").to_string();
        assert!(denied.contains("permission denied for schema"), "{denied}");
        let forged = format!("INSERT INTO {schema}.records (tenant_id, body) VALUES ('someone-else', '{{}}')");
        let forged = sqlx::raw_sql(sqlx::AssertSqlSafe(forged)).execute(&mut as_role).await;
        assert!(forged.expect_err("a forged row").to_string().contains("row-level security"));
    }
}

/// What is changed by hand is found as drift, one by one, and repaired.
async fn drifts(estate: &Checkout, admin: &mut PgConnection) {
    for (sql, address) in [
        ("ALTER ROLE fjord_energy_app CONNECTION LIMIT 7", "app_role"),
        ("ALTER ROLE fjord_energy_app PASSWORD 'chosen by hand'", "app_role"),
        ("DROP POLICY own_records ON tenant_kestrel_air.records", "records_isolation"),
        ("ALTER TABLE tenant_kestrel_air.records NO FORCE ROW LEVEL SECURITY", "records_isolation"),
        ("GRANT TRUNCATE ON control.tenants TO cobalt_foundry_app", "control_read"),
        ("GRANT CREATE ON SCHEMA tenant_ivory_press TO harvest_foods_app", "schema"),
        ("UPDATE control.tenants SET max_users = 9999 WHERE id = 'harvest-foods'", "registration"),
    ] {
        execute(admin, sql).await;
        let found = estate.expect(2, &["drift"]);
        assert!(found.contains(address) && found.contains(" outside Tenantry, "), "{sql}\n{found}");
        estate.expect(2, &["plan", "--detailed-exitcode"]);
        estate.expect(0, &["apply", "--auto-approve"]);
        let after = estate.expect(0, &["plan", "--detailed-exitcode"]);
        assert!(after.contains("nothing to do"), "{sql}\n{after}");
    }
}

/// The folder of real namespaces, where there is one.
#[expect(clippy::disallowed_methods, reason = "the environment names the folder")]
fn namespaces() -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os("TENANTRY_SAMPLE_NAMESPACES")?);
    folder.is_dir().then_some(folder)
}

#[test]
fn real_tenants_are_applied_and_plan_empty() {
    let Some(namespaces) = namespaces() else {
        // Past the test runner, which shows nothing of a test that passes.
        let _ = writeln!(
            std::io::stderr(),
            "real_tenants_are_applied_and_plan_empty skipped: TENANTRY_SAMPLE_NAMESPACES names no folder of namespaces"
        );
        return;
    };
    in_database("real_tenants_are_applied_and_plan_empty", async |world: &World| {
        let mut admin = world.connect().await;
        remove_roles(&mut admin, "namespaces").await;
        let (proxy, url) = through_proxy(world).await;
        let identity = identity();
        let mut queries = Vec::new();
        for limit in [10, usize::MAX] {
            let folder = TempDir::new().expect("a folder");
            let tenants = estate_from_namespaces::write_estate(&namespaces, folder.path(), limit).expect("an estate");
            let estate = Checkout { folder, url: url.clone(), identity: identity.clone(), arguments: Vec::new() };
            estate.expect(0, &["apply", "--auto-approve", "--quiet"]);
            proxy.take_queries();
            let plan = estate.expect(0, &["plan", "--detailed-exitcode"]);
            queries.push(proxy.take_queries());
            assert!(plan.contains(&format!("{} unchanged", 2 + 7 * tenants)), "{plan}");
            let registered = scalar(&mut admin, "SELECT count(*) FROM register.tenants").await;
            assert_eq!(registered, i64::try_from(tenants).expect("few"));
            if limit == usize::MAX {
                let isolated = "SELECT count(*) FROM pg_policy WHERE polname = 'own'";
                assert_eq!(scalar(&mut admin, isolated).await, registered);
            } else {
                execute(&mut admin, "DROP SCHEMA register CASCADE; DROP SCHEMA tenantry CASCADE").await;
                let schemas: Vec<String> = sqlx::query_scalar("SELECT nspname::text FROM pg_namespace WHERE obj_description(oid, 'pg_namespace') LIKE '%estate=namespaces %'")
                    .fetch_all(&mut admin)
                    .await
                    .expect("schemas");
                for schema in schemas {
                    execute(&mut admin, &format!("DROP SCHEMA \"{schema}\" CASCADE")).await;
                }
                remove_roles(&mut admin, "namespaces").await;
            }
        }
        assert_eq!(queries[0], queries[1], "the number of queries of a plan does not depend on the number of tenants");
        remove_roles(&mut admin, "namespaces").await;
    });
}

const TWO_DATABASES: &str = r#"apiVersion: tenantry.dev/v1
kind: Tier
metadata: {name: basic}
spec: {rank: 1, blueprints: [both]}
---
apiVersion: tenantry.dev/v1
kind: Tenant
metadata: {name: acme}
spec: {displayName: Acme, tier: basic, phase: active}
---
apiVersion: tenantry.dev/v1
kind: Blueprint
metadata: {name: both}
spec:
  scope: tenant
  resources:
    - id: ledger
      kind: postgres.script
      spec: {name: ledger, sql: "CREATE TABLE public.ledger (id int PRIMARY KEY, owner text)"}
    - id: entry
      kind: postgres.row
      dependsOn: [ledger]
      spec: {schema: public, table: ledger, key: {id: 1}, columns: {owner: acme}}
    - id: archive
      kind: postgres.script
      dependsOn: [entry]
      spec: {name: archive, database: ARCHIVE, sql: "CREATE TABLE public.archive (id no_such_type)"}
"#;

/// What was committed in one database stays done, is on record and is told, whatever the other one refuses.
#[test]
fn a_failure_in_one_database_says_nothing_of_another() {
    in_database("a_failure_in_one_database_says_nothing_of_another", async |world: &World| {
        let mut admin = world.connect().await;
        let archive = world.name("archive");
        execute(&mut admin, &format!("CREATE DATABASE {archive}")).await;
        let folder = TempDir::new().expect("a folder");
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("a file");
        write(
            "tenantry.toml",
            "[estate]\nname = \"books\"\n\n[targets.main]\nprovider = \"postgres\"\nurl = \"env:TENANTRY_POSTGRES_URL\"\n\n[secrets]\nidentity = \"env:TENANTRY_AGE_IDENTITY\"\n",
        );
        std::fs::create_dir(folder.path().join("tenants")).expect("a folder");
        let text = TWO_DATABASES.replace("ARCHIVE", &archive);
        write("tenants/all.yaml", &text);
        let url = world.options().to_url_lossy().to_string();
        let estate = Checkout { folder, url, identity: identity(), arguments: Vec::new() };

        let first = estate.expect(5, &["apply", "--auto-approve"]);
        assert_eq!(scalar(&mut admin, "SELECT count(*) FROM public.ledger").await, 1, "{first}");
        assert!(first.contains("2 changes done"), "{first}");
        assert!(!first.contains("one transaction"), "{first}");
        let planned = estate.expect(0, &["plan"]);
        assert!(planned.contains("1 to create") && planned.contains("2 unchanged"), "{planned}");

        std::fs::write(estate.folder.path().join("tenants/all.yaml"), text.replace("no_such_type", "int"))
            .expect("a file");
        estate.expect(0, &["apply", "--auto-approve"]);
        let last = estate.expect(0, &["plan", "--detailed-exitcode"]);
        assert!(last.contains("3 unchanged"), "{last}");
    });
}

/// What is measured has to keep up with what is valid.
#[test]
fn the_estate_of_the_benchmarks_is_valid() {
    let folder = TempDir::new().expect("a folder");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/bench/estate");
    for resources in ["all", "few"] {
        let made = Command::new("bash").arg(&script).arg(folder.path()).args(["2", "sandbox", resources]).output();
        let made = made.expect("bash runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let said = crate::command::run(folder.path(), &["validate"]);
        assert_eq!(said.exit, 0, "{resources}: {}", said.err);
        assert!(said.out.contains("2 tenants"), "{}", said.out);
    }
}

//! A database of its own for each test, on the server of `TENANTRY_POSTGRES_URL`.

use std::io::Write as _;
use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, PgConnection};
use tenantry_core::model::resource::{Desired, Observed, Present};
use tenantry_postgres::Postgres;
use tenantry_provider::conformance::WriteUnguarded as _;
use tenantry_provider::contract::{Provider as _, Reader, Settings, Step, WriteError, Writer};

use super::{Workbench, create, delete, mark, observable, observe, present, update};

const VARIABLE: &str = "TENANTRY_POSTGRES_URL";
/// A current server beside it.
const VARIABLE_18: &str = "TENANTRY_POSTGRES18_URL";

/// What the provider logs in as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    Superuser,
    /// Such a login as services give that are run for their users: it owns the database, and makes roles and databases.
    Limited,
}

/// A database, and whatever roles and databases have its suffix in their name.
pub struct World {
    pub bench: Workbench,
    pub suffix: String,
    pub database: String,
    pub login: Login,
    server: PgConnectOptions,
}

/// Runs a test in a database of its own, and removes it whatever came of the test.
pub fn in_database(name: &str, test: impl AsyncFnOnce(&World)) {
    on_server(VARIABLE, Login::Superuser, name, test);
}

/// The same on each server, as a superuser and as a login that is none.
pub fn in_every_database(name: &str, test: impl AsyncFn(&World)) {
    for variable in [VARIABLE, VARIABLE_18] {
        for login in [Login::Superuser, Login::Limited] {
            on_server(variable, login, name, &test);
        }
    }
}

/// The same on each server, as a superuser.
pub fn on_both_servers(name: &str, test: impl AsyncFn(&World)) {
    for variable in [VARIABLE, VARIABLE_18] {
        on_server(variable, Login::Superuser, name, &test);
    }
}

#[expect(clippy::disallowed_methods, reason = "the environment names the server")]
fn on_server(variable: &str, login: Login, name: &str, test: impl AsyncFnOnce(&World)) {
    let Some(url) = std::env::var(variable).ok().filter(|url| !url.is_empty()) else {
        let service = if variable == VARIABLE { "postgres" } else { "postgres18" };
        let advice = format!("{name} skipped: {variable} is not set; run `scripts/services up {service}` first");
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{advice}");
        // Past the test runner, which shows nothing of a test that passes.
        let _ = writeln!(std::io::stderr(), "{advice}");
        return;
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let server: PgConnectOptions = url.parse().expect(variable);
        let suffix = format!("{:08x}", rand::random::<u32>());
        let world = World {
            bench: Workbench::new(&Postgres),
            database: format!("test_{suffix}"),
            suffix,
            login,
            server: server.disable_statement_logging(),
        };
        let mut admin = world.server.connect().await.expect("the server answers");
        execute(&mut admin, &format!("CREATE DATABASE {}", world.database)).await;
        if login == Login::Limited {
            let name = world.admin();
            for sql in [
                format!("CREATE ROLE {name} LOGIN CREATEROLE CREATEDB PASSWORD 'x'"),
                format!("GRANT pg_read_all_data TO {name}"),
                format!("ALTER DATABASE {} OWNER TO {name}", world.database),
            ] {
                execute(&mut admin, &sql).await;
            }
        }
        let result = AssertUnwindSafe(test(&world)).catch_unwind().await;
        world.remove(&mut admin).await;
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    });
}

pub async fn execute(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(connection)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
}

impl World {
    /// A name that no other test uses.
    pub fn name(&self, name: &str) -> String {
        format!("{name}_{}", self.suffix)
    }

    pub fn desired(&self, kind: &str, address: &str, spec: serde_json::Value) -> Desired {
        self.bench.desired(&format!("postgres.{kind}"), address, spec)
    }

    pub fn options(&self) -> PgConnectOptions {
        self.server.clone().database(&self.database)
    }

    /// A connection of the test itself.
    pub async fn connect(&self) -> PgConnection {
        self.options().connect().await.expect("the server answers")
    }

    /// Runs statements as a superuser, behind the provider's back.
    pub async fn by_hand(&self, sql: &str) {
        execute(&mut self.connect().await, sql).await;
    }

    /// The login that is no superuser.
    pub fn admin(&self) -> String {
        self.name("admin")
    }

    /// As the provider logs in.
    pub fn as_login(&self) -> PgConnectOptions {
        match self.login {
            Login::Superuser => self.options(),
            Login::Limited => self.options().username(&self.admin()).password("x"),
        }
    }

    /// One text that the server answers to a superuser.
    pub async fn ask(&self, sql: &str) -> String {
        let mut connection = self.connect().await;
        let answer: Result<Option<String>, _> =
            sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut connection).await;
        answer.unwrap_or_else(|error| panic!("{sql}: {error}")).unwrap_or_default()
    }

    /// As `server_version_num` has it.
    pub async fn version(&self) -> i32 {
        self.ask("SELECT current_setting('server_version_num')").await.parse().expect("a number")
    }

    /// Memberships of the login that it did not have before: none may stay.
    pub async fn memberships(&self) -> String {
        self.ask(&format!(
            "SELECT string_agg(g.rolname, ',') FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid \
             JOIN pg_roles u ON u.oid = m.member WHERE u.rolname = '{}' AND g.rolname <> 'pg_read_all_data' \
             AND COALESCE((to_jsonb(m) ->> 'inherit_option')::bool OR (to_jsonb(m) ->> 'set_option')::bool, true)",
            self.admin()
        ))
        .await
    }

    /// Settings of a target whose URL has another user or port.
    #[expect(clippy::unused_self, reason = "asked of the world, like everything else")]
    pub fn settings(&self, options: PgConnectOptions) -> Settings {
        Settings {
            target: "main".into(),
            estate: super::ESTATE.into(),
            values: serde_json::Map::new(),
            secrets: [("url".to_owned(), options.to_url_lossy().to_string().into())].into(),
            concurrency: 4,
            timeouts: tenantry_provider::timeouts::Timeouts::default(),
            folder: std::path::PathBuf::new(),
        }
    }

    pub fn reader(&self) -> Box<dyn Reader> {
        Postgres.reader(&self.settings(self.as_login())).expect("valid settings")
    }

    pub fn writer(&self) -> Box<dyn Writer> {
        Postgres.writer(&self.settings(self.as_login())).expect("valid settings")
    }

    pub async fn write(&self, batch: &[Step]) {
        if let Err(error) = self.try_write(batch).await {
            panic!("step {}: {error} ({:?})", error.step, error.error.remedy);
        }
    }

    pub async fn try_write(&self, batch: &[Step]) -> Result<(), WriteError> {
        self.writer().write(batch).await.map(|_| ())
    }

    pub async fn create(&self, desired: &[&Desired]) {
        self.write(&desired.iter().map(|desired| create(desired)).collect::<Vec<_>>()).await;
    }

    pub async fn observe(&self, desired: &Desired) -> Observed {
        let observations = observe(&*self.reader(), &[desired], &[]).await;
        observations[desired.kind.name].get(desired.identity.as_deref().expect("an identity"))
    }

    /// As one that the repository no longer asks for.
    pub async fn observe_known(&self, desired: &Desired) -> Observed {
        let observations = observe(&*self.reader(), &[], &[desired]).await;
        observations[desired.kind.name].get(desired.identity.as_deref().expect("an identity"))
    }

    /// Asserts that a plan would be empty.
    #[track_caller]
    pub fn assert_is(&self, desired: &Desired, observed: Observed) -> Present {
        let Observed::Present(found) = observed else {
            panic!("{} on {:?}: {observed:?}", desired.address, self.login)
        };
        assert_eq!(*found.spec, observable(desired), "{} on {:?}", desired.address, self.login);
        if desired.kind.mark == tenantry_core::model::kind::MarkPlace::Target {
            assert_eq!(found.mark.as_ref(), Some(&mark(desired)), "{}", desired.address);
        } else {
            assert_eq!(found.mark, None);
        }
        found
    }

    pub async fn assert_settled(&self, desired: &[&Desired]) {
        let observations = observe(&*self.reader(), desired, &[]).await;
        for desired in desired {
            let observed = observations[desired.kind.name].get(desired.identity.as_deref().expect("an identity"));
            self.assert_is(desired, observed);
        }
    }

    /// Create, repeat, see drift, update, delete, repeat. `before` has to exist when it ends where it began.
    pub async fn lifecycle(&self, first: &Desired, second: &Desired, drift: &str) {
        assert_eq!(self.observe(first).await, Observed::Absent, "before");
        self.create(&[first]).await;
        let found = self.observe(first).await;
        let found = self.assert_is(first, found);
        self.create(&[first]).await;
        self.assert_settled(&[first]).await;

        self.write(&[update(second, &found, &[])]).await;
        self.assert_settled(&[second]).await;
        self.write(&[update(second, &found, &[])]).await;
        self.assert_settled(&[second]).await;

        self.by_hand(drift).await;
        let drifted = present(self.observe(second).await);
        assert_ne!(*drifted.spec, observable(second), "drift by {drift}");
        self.write(&[update(second, &drifted, &[])]).await;
        self.assert_settled(&[second]).await;

        let known = present(self.observe_known(second).await);
        self.write(&[delete(second, &known)]).await;
        assert_eq!(self.observe_known(second).await, Observed::Absent, "after");
        self.write(&[delete(second, &known)]).await;
    }

    /// Whether the server could install an extension.
    pub async fn has_extension(&self, name: &str) -> bool {
        let query = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = $1)");
        query.bind(name).fetch_one(&mut self.connect().await).await.expect("the server answers")
    }

    async fn remove(&self, admin: &mut PgConnection) {
        let like = format!("%{}", self.suffix);
        let databases: Vec<String> = sqlx::query_scalar("SELECT datname::text FROM pg_database WHERE datname LIKE $1")
            .bind(&like)
            .fetch_all(&mut *admin)
            .await
            .expect("the server answers");
        for database in databases {
            execute(admin, &format!("DROP DATABASE \"{database}\" WITH (FORCE)")).await;
        }
        let roles: Vec<String> = sqlx::query_scalar(
            "SELECT rolname::text FROM pg_roles WHERE rolname LIKE $1 ORDER BY rolname LIKE 'admin%', 1",
        )
        .bind(&like)
        .fetch_all(&mut *admin)
        .await
        .expect("the server answers");
        for role in roles {
            execute(admin, &format!("DROP OWNED BY \"{role}\"; DROP ROLE \"{role}\"")).await;
        }
    }
}

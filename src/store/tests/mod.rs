//! The contract, tested alike on SQLite and on PostgreSQL.
//!
//! PostgreSQL is tested where `TENANTRY_POSTGRES_URL` names a server on which databases may be created; each test makes
//! one of its own. Without it these tests say that they are skipped, and fail on CI.

mod crashes;
mod files;
mod format_1;
mod locks;
mod migration;
mod properties;
mod scopes;
mod steps;
mod verification;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp, ToSpan as _};
use secrecy::SecretString;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

use super::contract::{
    Fence, FencingToken, Holder, LockRequest, RunBegun, RunId, Scope, StepBegun, StepEnded, StepResult, Store,
    StoreError, TaskId, Unlock,
};
use super::{OpenMode, PostgresStore, SqliteStore};
use tenantry_core::model::address::Owner;
use tenantry_core::model::resource::Applied;
use tenantry_core::plan::Action;

/// Makes one test of each function for either database.
macro_rules! on_both {
    ($($test:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(&crate::tests::Place::sqlite()).await;
            })*
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                if let Some(place) = crate::tests::Place::postgres().await {
                    super::$test(&place).await;
                    place.remove().await;
                }
            })*
        }
    };
}
use on_both;

/// Where a test has its store.
pub enum Place {
    Sqlite(assert_fs::TempDir),
    Postgres { server: String, database: String },
}

impl Place {
    pub fn sqlite() -> Self {
        Self::Sqlite(assert_fs::TempDir::new().expect("a temporary folder"))
    }

    /// A database of its own; `None` if there is no server.
    #[expect(
        clippy::disallowed_methods,
        clippy::disallowed_macros,
        reason = "the environment names the server, and a skipped test says so"
    )]
    pub async fn postgres() -> Option<Self> {
        let Ok(server) = std::env::var("TENANTRY_POSTGRES_URL") else {
            let on_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
            assert!(!on_ci, "TENANTRY_POSTGRES_URL is not set, and nothing may be skipped on CI");
            eprintln!("skipped: TENANTRY_POSTGRES_URL is not set");
            return None;
        };
        let database = format!("tenantry_store_{:016x}", rand::random::<u64>());
        let place = Self::Postgres { server, database };
        place.administer("CREATE DATABASE").await;
        Some(place)
    }

    pub async fn remove(&self) {
        self.administer("DROP DATABASE IF EXISTS").await;
    }

    async fn administer(&self, command: &str) {
        let Self::Postgres { server, database } = self else { return };
        let options: sqlx::postgres::PgConnectOptions = server.parse().expect("TENANTRY_POSTGRES_URL is a URL");
        let mut connection = options.connect().await.expect("the server answers");
        let force = if command.starts_with("DROP") { " WITH (FORCE)" } else { "" };
        let sql = format!("{command} {database}{force}");
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.expect("databases may be made");
    }

    pub async fn open(&self, mode: OpenMode) -> Result<Arc<dyn Store>, StoreError> {
        self.open_for(&scope(), mode).await
    }

    pub async fn open_for(&self, scope: &Scope, mode: OpenMode) -> Result<Arc<dyn Store>, StoreError> {
        Ok(match self {
            Self::Sqlite(_) => Arc::new(SqliteStore::open(&self.path(), scope, mode).await?),
            Self::Postgres { .. } => Arc::new(PostgresStore::open(&self.url(), scope, mode).await?),
        })
    }

    pub async fn writing(&self) -> Arc<dyn Store> {
        self.open(OpenMode::ReadWrite).await.expect("the store opens")
    }

    pub fn path(&self) -> PathBuf {
        match self {
            Self::Sqlite(folder) => folder.path().join("state/store.db"),
            Self::Postgres { .. } => PathBuf::new(),
        }
    }

    fn url(&self) -> SecretString {
        match self {
            Self::Sqlite(_) => String::new().into(),
            Self::Postgres { server, database } => {
                let (before, query) = server.split_once('?').unwrap_or((server, ""));
                let end = before.match_indices('/').nth(2).map_or(before.len(), |(at, _)| at);
                format!("{}/{database}?{query}", &before[..end]).into()
            }
        }
    }

    /// Runs SQL behind the store's back.
    pub async fn raw(&self, sql: &str) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(_) => {
                let mut connection = super::sqlite::writing(&self.path()).connect().await?;
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
                connection.close().await
            }
            Self::Postgres { .. } => {
                let (options, _) = super::postgres::options(&self.url()).expect("a URL");
                let mut connection = options.connect().await?;
                sqlx::raw_sql("SET search_path TO tenantry_store").execute(&mut connection).await?;
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
                connection.close().await
            }
        }
    }
}

pub fn time(seconds: i64) -> Timestamp {
    let start: Timestamp = "2026-03-01T08:00:00Z".parse().expect("a time");
    start + seconds.seconds()
}

/// Whose records the tests are about, unless they say otherwise.
pub fn scope() -> Scope {
    Scope::new("demo", None)
}

/// The removal of locks whoever has them.
pub fn unlock<'a>(owners: &'a [Owner], at: Timestamp, actor: &'a str) -> Unlock<'a> {
    Unlock { owners, holder: None, at, actor }
}

pub fn owners(names: &[&str]) -> Vec<Owner> {
    names.iter().map(|name| Owner::from(*name)).collect()
}

pub async fn lock(store: &dyn Store, owner: &str, holder: &str, now: Timestamp) -> Result<FencingToken, StoreError> {
    let owners = owners(&[owner]);
    let holder = Holder::from(holder);
    let request = LockRequest { owners: &owners, holder: &holder, now, lease: SignedDuration::from_secs(60) };
    Ok(store.lock(&request).await?[&owners[0]])
}

pub async fn begin_run(store: &dyn Store) -> RunId {
    let run = RunBegun {
        at: time(0),
        command: "apply".into(),
        estate: store.scope().estate.clone(),
        environment: store.scope().environment.clone(),
        revision: Some("abc123".into()),
        actor: "me@here".into(),
        plan: "digest".into(),
        approvals: vec!["drop-acme".into()],
    };
    store.begin_run(&run).await.expect("a run begins")
}

/// A run with a lock on `owner`, and the fence for its steps.
pub async fn fence(store: &dyn Store, owner: &str) -> Fence {
    let run = begin_run(store).await;
    let token = lock(store, owner, &format!("run-{run}"), time(0)).await.expect("the lock is free");
    Fence { run, owner: Owner::from(owner), token, now: time(1) }
}

pub fn begun(address: &str, generation: u64) -> StepBegun {
    StepBegun {
        at: time(1),
        address: address.parse().expect("an address"),
        kind: "postgres.schema".into(),
        target: "main".into(),
        identity: format!("identity of {address}").into(),
        action: Action::Create,
        generation,
        idempotency_key: format!("{address}#{generation}").into(),
        spec: None,
        task: Some(TaskId::at(0)),
    }
}

pub fn ended(address: &str, generation: u64, result: StepResult) -> StepEnded {
    StepEnded {
        at: time(2),
        address: address.parse().expect("an address"),
        identity: format!("identity of {address}").into(),
        action: Action::Create,
        generation,
        sensitive: None,
        result,
        task: Some(TaskId::at(0)),
    }
}

pub fn applied(address: &str, generation: u64) -> Applied {
    Applied {
        address: address.parse().expect("an address"),
        kind: "postgres.schema".into(),
        marked: None,
        target: "main".into(),
        identity: format!("identity of {address}").into(),
        spec: format!(r#"{{"name":"tenant \"ü\" {generation}","n":1}}"#).into(),
        outputs: r#"{"id":"o-1"}"#.into(),
        generation,
        protect: generation.is_multiple_of(2),
        depends_on: vec!["estate/meter".parse().expect("an address")],
    }
}

/// Applies one resource as the engine does it: begin, finish.
pub async fn apply(store: &dyn Store, fence: &Fence, address: &str, generation: u64) {
    store.begin(fence, &[begun(address, generation)]).await.expect("the step begins");
    let result = StepResult::Applied(applied(address, generation));
    store.finish(fence, &[ended(address, generation, result)]).await.expect("the step ends");
}

/// Names and contents of everything in a folder.
pub fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).expect("the folder is readable");
    let mut contents: Vec<_> = entries
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let bytes = std::fs::read(&path).unwrap_or_default();
            (path, bytes)
        })
        .collect();
    contents.sort();
    contents
}

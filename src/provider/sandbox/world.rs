//! The file that the simulated world lives in.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Executor as _};
use tokio::sync::{Mutex, MutexGuard};

/// How the world is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A file that does not exist is an empty world, and none is made.
    ReadOnly,
    ReadWrite,
}

/// The simulated world. Clones share one connection.
#[derive(Clone)]
pub struct World {
    path: Arc<PathBuf>,
    mode: Mode,
    connection: Arc<Mutex<Option<SqliteConnection>>>,
}

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS resources (
        target TEXT NOT NULL, kind TEXT NOT NULL, identity TEXT NOT NULL, name TEXT NOT NULL,
        spec TEXT NOT NULL, mark TEXT, outputs TEXT NOT NULL,
        PRIMARY KEY (target, kind, identity)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS resources_by_name ON resources (target, kind, name);
    CREATE TABLE IF NOT EXISTS needs (
        target TEXT NOT NULL, kind TEXT NOT NULL, identity TEXT NOT NULL, needed_kind TEXT NOT NULL, needed_name TEXT NOT NULL,
        PRIMARY KEY (target, kind, identity, needed_kind, needed_name)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS needs_by_needed ON needs (target, needed_kind, needed_name);
    CREATE TABLE IF NOT EXISTS secrets (
        owner TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, value TEXT NOT NULL,
        PRIMARY KEY (owner, name, version)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS hash_key (value TEXT NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS identity (id TEXT NOT NULL) STRICT;
    INSERT INTO identity SELECT lower(hex(randomblob(8))) WHERE NOT EXISTS (SELECT 1 FROM identity);
";

impl World {
    /// Nothing is opened until it is needed.
    pub fn new(path: &Path, mode: Mode) -> Self {
        Self { path: Arc::new(path.to_owned()), mode, connection: Arc::default() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// By what this world is told from every other; nothing if it does not exist yet, or was last written by a version that
    /// gave it no id.
    ///
    /// # Errors
    /// Those of [`Self::connection`].
    pub async fn id(&self) -> Result<Option<String>, sqlx::Error> {
        let Some(mut connection) = self.connection().await? else { return Ok(None) };
        let table = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'identity'";
        if sqlx::query_scalar::<_, i64>(table).fetch_optional(&mut *connection).await?.is_none() {
            return Ok(None);
        }
        sqlx::query_scalar("SELECT id FROM identity").fetch_optional(&mut *connection).await
    }

    /// The connection; nothing if the world is only read and does not exist.
    ///
    /// # Errors
    /// If the file cannot be opened, or is no simulated world.
    pub async fn connection(&self) -> Result<Option<Connection<'_>>, sqlx::Error> {
        let mut connection = self.connection.lock().await;
        if connection.is_none() {
            if self.mode == Mode::ReadOnly && !self.path.exists() {
                return Ok(None);
            }
            if self.mode == Mode::ReadWrite
                && let Some(folder) = self.path.parent()
            {
                std::fs::create_dir_all(folder).map_err(sqlx::Error::Io)?;
            }
            // A rollback journal leaves no files beside the world that a reader would have to write. No synchronisation:
            // the world has to outlive the process, not the machine.
            let options = SqliteConnectOptions::new()
                .filename(&*self.path)
                .create_if_missing(self.mode == Mode::ReadWrite)
                .read_only(self.mode == Mode::ReadOnly)
                .journal_mode(SqliteJournalMode::Persist)
                .pragma("cache_size", "-32768")
                .synchronous(SqliteSynchronous::Off)
                .row_buffer_size(1000)
                .busy_timeout(std::time::Duration::from_secs(30))
                .disable_statement_logging();
            let options = if self.mode == Mode::ReadOnly {
                // Setting the journal mode would write.
                SqliteConnectOptions::new()
                    .filename(&*self.path)
                    .read_only(true)
                    .row_buffer_size(1000)
                    .busy_timeout(std::time::Duration::from_secs(30))
                    .disable_statement_logging()
            } else {
                options
            };
            let mut opened = options.connect().await?;
            if self.mode == Mode::ReadWrite {
                opened.execute(sqlx::AssertSqlSafe(TABLES)).await?;
            }
            *connection = Some(opened);
        }
        Ok(Some(Connection(connection)))
    }
}

/// The one connection, for as long as it is held.
pub struct Connection<'a>(MutexGuard<'a, Option<SqliteConnection>>);

impl std::ops::Deref for Connection<'_> {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        self.0.as_ref().expect("it was opened before it was handed out")
    }
}

impl std::ops::DerefMut for Connection<'_> {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        self.0.as_mut().expect("it was opened before it was handed out")
    }
}

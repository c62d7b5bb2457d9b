//! The store as one file beside the estate.
//!
//! It keeps a rollback journal, not a write-ahead log. With the latter even readers create files and write to them, and
//! what was committed is spread over three files until somebody tidies up; `plan` and `drift` may do neither, and people
//! copy and cache the one file. A write-ahead log would save three of four waits for the disk per transaction, which the
//! group commit of the writer saves already. Readers and the writer wait for each other only while a transaction ends.
//!
//! The journal is kept and its header overwritten (`PERSIST`), because with the default a power failure can bring a
//! deleted journal back, and it would undo a transaction that was already reported as durable.

use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteOwnedBuf, SqliteSynchronous};
use sqlx::{ConnectOptions as _, SqliteConnection};

use super::connection::{Link, Purpose, Work, failure};
use super::contract::StoreError;
use super::statements::{FORMAT, SQLITE_FORMAT_1};

/// How long to wait for another process that is writing. It waits for readers of ours as well, who take a second at
/// most, so anything that lasts a minute is stuck.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What is left of the rollback journal after a large transaction, in bytes.
const JOURNAL_LIMIT: &str = "4194304";

/// "tnty" in ASCII, as the first format writes it.
const APPLICATION: i64 = 1_953_395_833;

/// How to open the file for writing.
pub fn writing(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Persist)
        .synchronous(SqliteSynchronous::Full)
        .pragma("journal_size_limit", JOURNAL_LIMIT)
        .pragma("cache_size", "-32768")
        .busy_timeout(PATIENCE)
        .disable_statement_logging()
}

/// How to open the file for reading. Creates nothing beside it.
pub fn reading(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(PATIENCE).disable_statement_logging()
}

/// Whether there is a file that holds something.
///
/// # Errors
/// If that cannot be told, such as for lack of permission.
pub async fn exists(location: &str, path: &Path) -> Result<bool, StoreError> {
    match tokio::fs::metadata(path).await {
        Ok(metadata) => Ok(metadata.len() > 0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failure(location, "looking for it", &error.into())),
    }
}

/// Creates the folder and the file, for nobody but the user, where they are missing.
pub async fn create(location: &str, path: &Path) -> Result<(), StoreError> {
    let path = path.to_owned();
    let created = tokio::task::spawn_blocking(move || {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        // Only ever created and never just opened: closing a file gives up the locks that this process has on it.
        match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            created => created.map(drop),
        }
    });
    let created = created.await.unwrap_or_else(|error| Err(io::Error::other(error)));
    created.map_err(|error| match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            StoreError::Full { location: location.to_owned(), cause: error.to_string() }
        }
        _ => failure(location, "creating it", &error.into()),
    })
}

/// Checks the format, and brings it up to date if this is for writing.
pub async fn migrate(location: &str, link: &mut Link, purpose: Purpose) -> Result<(), StoreError> {
    let mut work = link.begin(purpose).await?;
    let found = pragma(&mut work, "PRAGMA user_version").await?;
    let application = pragma(&mut work, "PRAGMA application_id").await?;
    let objects = pragma(&mut work, "SELECT count(*) FROM sqlite_schema").await?;
    if application != APPLICATION && objects > 0 {
        return Err(work.failed("opening it", "it is a database of another program"));
    }
    let found = u32::try_from(found).unwrap_or(u32::MAX);
    if found > FORMAT {
        return Err(StoreError::Newer { location: location.to_owned(), found, supported: FORMAT });
    }
    if found < FORMAT && purpose == Purpose::Write {
        work.script("creating its tables", SQLITE_FORMAT_1).await?;
    }
    work.commit().await
}

async fn pragma(work: &mut Work<'_>, sql: &'static str) -> Result<i64, StoreError> {
    let values = work.fetch("looking at its format", sql, [], |row| row.integer(0)).await?;
    Ok(values.first().copied().unwrap_or_default())
}

/// A store that holds nothing, for reading where there is none.
pub async fn empty(location: &str) -> Result<SqliteConnection, StoreError> {
    let attempted = "reading an empty store";
    let mut connection = memory(location, attempted).await?;
    let created = sqlx::raw_sql(SQLITE_FORMAT_1).execute(&mut connection).await;
    created.map_err(|error| failure(location, attempted, &error))?;
    Ok(connection)
}

/// A copy of a database in memory.
pub async fn in_memory(location: &str, bytes: &[u8]) -> Result<SqliteConnection, StoreError> {
    let attempted = "reading it after a crash";
    if bytes.is_empty() {
        return empty(location).await;
    }
    let mut connection = memory(location, attempted).await?;
    let copy = SqliteOwnedBuf::try_from(bytes).map_err(|error| failure(location, attempted, &error))?;
    let loaded = connection.deserialize(None, copy, true).await;
    loaded.map_err(|error| failure(location, attempted, &error))?;
    Ok(connection)
}

async fn memory(location: &str, attempted: &'static str) -> Result<SqliteConnection, StoreError> {
    let connection = SqliteConnectOptions::new().disable_statement_logging().connect().await;
    connection.map_err(|error| failure(location, attempted, &error))
}

//! The store as one file beside the estate.
//!
//! It keeps a rollback journal, not a write-ahead log. With the latter even readers create files and write to them, and
//! what was committed is spread over three files until somebody tidies up; `plan` and `drift` may do neither, and people
//! copy and cache the one file. A write-ahead log would save three of four waits for the disk per transaction, which the
//! group commit of the writer saves already. Readers and the writer wait for each other only while a transaction ends.
//!
//! The journal is kept and its header overwritten (`PERSIST`), because with the default a power failure can bring a
//! deleted journal back, and it would undo a transaction that was already reported as durable.

use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteOwnedBuf, SqliteSynchronous};
use sqlx::{ConnectOptions as _, SqliteConnection};

use crate::connection::{Link, Purpose, Target, Work, failure};
use crate::contract::{Scope, StoreError};
use crate::formats::{self, FORMAT};
use crate::migration::Earlier;
use crate::records::{Records, add_scope, find_scope};

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

/// Whether there is a file with content.
///
/// # Errors
/// If that is not known, for example for lack of permission.
pub async fn exists(location: &str, path: &Path) -> Result<bool, StoreError> {
    match tokio::fs::metadata(path).await {
        Ok(metadata) => Ok(metadata.len() > 0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failure(location, "looking for it", &error.into())),
    }
}

/// Creates the folder and the file if they are missing, accessible only to the user.
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
    created.map_err(|error| io_failure(location, "creating it", error))
}

/// The state of a file for a scope.
pub enum Found {
    /// Records of the current format; nothing of this scope yet if there is no number.
    Current(Option<i64>),
    /// Records of an earlier format.
    Earlier(Earlier),
}

/// Determines that state, without writing.
pub async fn look(location: &str, link: &mut Link, scope: &Scope) -> Result<Found, StoreError> {
    let mut work = link.begin(Purpose::Read).await?;
    let found = match format(location, &mut work).await? {
        0 => Found::Current(None),
        FORMAT => Found::Current(find_scope(&mut work, scope).await?),
        _ => Found::Earlier(Earlier::read(&mut work).await?),
    };
    work.end().await?;
    Ok(found)
}

/// Creates the tables or brings them up to date, and returns the number of the scope. All in one transaction; before a
/// migration the file is copied, to lie beside it.
pub async fn prepare(location: &str, link: &mut Link, path: &Path, scope: &Scope) -> Result<i64, StoreError> {
    let mut work = link.begin(Purpose::Write).await?;
    match format(location, &mut work).await? {
        0 => work.script("creating its tables", formats::SQLITE).await?,
        FORMAT => {}
        earlier => {
            back_up(location, &mut work, path, earlier).await?;
            let records = Earlier::read(&mut work).await?.attribute(location, scope)?;
            work.script("migrating it", formats::SQLITE_DROP_FORMAT_1).await?;
            work.script("migrating it", formats::SQLITE).await?;
            write_all(&mut work, &records).await?;
        }
    }
    let number = match find_scope(&mut work, scope).await? {
        Some(number) => number,
        None => add_scope(&mut work, scope).await?,
    };
    work.commit().await?;
    Ok(number)
}

/// Records of an earlier format as a database of the current one, in memory; with the number of the scope.
pub async fn migrated(
    location: &Arc<str>,
    records: &[Records],
    scope: &Scope,
) -> Result<(Arc<[u8]>, Option<i64>), StoreError> {
    let attempted = "reading records of an earlier format";
    let mut link = Link::new(location.clone(), Target::Nothing);
    let mut work = link.begin(Purpose::Write).await?;
    write_all(&mut work, records).await?;
    let number = find_scope(&mut work, scope).await?;
    work.commit().await?;
    let mut work = link.begin(Purpose::Read).await?;
    let bytes = work.bytes(attempted).await?;
    let bytes = bytes.ok_or_else(|| work.failed(attempted, "there is not enough memory for a copy"))?;
    Ok((bytes, number))
}

/// Writes the records of every scope.
pub async fn write_all(work: &mut Work<'_>, records: &[Records]) -> Result<(), StoreError> {
    for records in records {
        let number = add_scope(work, records.scope()).await?;
        work.choose(number);
        records.write(work).await?;
    }
    Ok(())
}

/// The format of the tables; 0 if there are none.
async fn format(location: &str, work: &mut Work<'_>) -> Result<u32, StoreError> {
    let found = pragma(work, "PRAGMA user_version").await?;
    let application = pragma(work, "PRAGMA application_id").await?;
    let objects = pragma(work, "SELECT count(*) FROM sqlite_schema").await?;
    if application != APPLICATION && objects > 0 {
        return Err(work.failed("opening it", "it is the database of another program"));
    }
    let found = u32::try_from(found).unwrap_or(u32::MAX);
    if found > FORMAT {
        return Err(StoreError::Newer { location: location.to_owned(), found, supported: FORMAT });
    }
    Ok(found)
}

/// Copies the database to `FILE.format-N`, through a file that takes the place of an earlier copy only when it is whole.
async fn back_up(location: &str, work: &mut Work<'_>, path: &Path, format: u32) -> Result<(), StoreError> {
    let attempted = "copying it before its migration";
    let Some(bytes) = work.bytes(attempted).await? else { return Ok(()) };
    let beside = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let (copy, unfinished) = (beside(&format!(".format-{format}")), beside(".copy"));
    let to = copy.clone();
    let copied = tokio::task::spawn_blocking(move || {
        let mut file =
            std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        std::fs::rename(&unfinished, &to)
    });
    let copied = copied.await.unwrap_or_else(|error| Err(io::Error::other(error)));
    copied.map_err(|error| io_failure(location, attempted, error))?;
    tracing::warn!("the store was migrated to format {FORMAT}; a copy in the earlier format is in {}", copy.display());
    Ok(())
}

fn io_failure(location: &str, attempted: &'static str, error: io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            StoreError::Full { location: location.to_owned(), cause: error.to_string() }
        }
        _ => failure(location, attempted, &error.into()),
    }
}

async fn pragma(work: &mut Work<'_>, sql: &'static str) -> Result<i64, StoreError> {
    let values = work.fetch("reading its format", sql, [], |row| row.integer(0)).await?;
    Ok(values.first().copied().unwrap_or_default())
}

/// An empty store, for reading if there is none.
pub async fn empty(location: &str) -> Result<SqliteConnection, StoreError> {
    let attempted = "reading an empty store";
    let mut connection = memory(location, attempted).await?;
    let created = sqlx::raw_sql(formats::SQLITE).execute(&mut connection).await;
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

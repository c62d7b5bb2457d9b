//! A common interface to SQLite and PostgreSQL.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::TryStreamExt as _;
use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::sqlite::{SqliteConnectOptions, SqliteError, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, Postgres, Sqlite, SqliteConnection};

use crate::contract::StoreError;
use crate::rows::{Cell, Table, portions};
use crate::statements::{self, Statements};
use crate::{recovery, sqlite};

/// How long a server may take to answer a new connection. Longer than any handshake, shorter than a user's patience.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// After this time without use, a connection is tested before it is used. It is below the idle timeouts of common proxies, and
/// long enough that a running apply never tests.
const IDLE: Duration = Duration::from_secs(5);

/// The number of an empty scope. Numbers are counted from 1.
pub const NO_SCOPE: i64 = 0;

/// `SQLITE_READONLY_ROLLBACK`: a crashed transaction must be undone first, but this connection may not write.
const SQLITE_READONLY_ROLLBACK: &str = "776";

/// A connection that is restored when it is lost.
pub struct Link {
    location: Arc<str>,
    target: Target,
    /// The number of the scope that is worked on.
    scope: i64,
    connection: Option<Connection>,
    used: Instant,
    /// Something failed on the connection, so it may be lost or inside a transaction.
    broken: bool,
}

/// Where a [`Link`] connects to.
pub enum Target {
    Sqlite(SqliteConnectOptions),
    Postgres(PgConnectOptions),
    /// A store that does not exist, read as an empty one.
    Nothing,
    /// A store of an earlier format, read as it would be after its migration: the bytes of an SQLite database.
    Copy(Arc<[u8]>),
}

enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// What a transaction is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// One consistent view.
    Read,
    /// Exclusive among all writers until its end.
    Write,
}

/// A transaction. Dropping it undoes it.
pub struct Work<'c> {
    location: Arc<str>,
    scope: i64,
    transaction: Transaction<'c>,
    broken: &'c mut bool,
}

enum Transaction<'c> {
    Sqlite(sqlx::Transaction<'c, Sqlite>),
    Postgres(sqlx::Transaction<'c, Postgres>),
}

/// A value for a statement's placeholder.
pub enum Parameter {
    Integer(i64),
    Text(String),
}

/// A line of an answer.
pub enum Row<'r> {
    Sqlite(&'r SqliteRow),
    Postgres(&'r PgRow),
}

impl Link {
    pub fn new(location: Arc<str>, target: Target) -> Self {
        Self { location, target, scope: NO_SCOPE, connection: None, used: Instant::now(), broken: false }
    }

    /// Works on this scope from now on.
    pub fn choose(&mut self, scope: i64) {
        self.scope = scope;
    }

    /// Drops the connection, with any open transaction.
    pub fn reset(&mut self) {
        self.connection = None;
    }

    /// Connects.
    pub async fn connect(&mut self) -> Result<(), StoreError> {
        let attempted = "opening it";
        let connection = match &self.target {
            Target::Sqlite(options) => {
                Connection::Sqlite(options.connect().await.map_err(|error| failure(&self.location, attempted, &error))?)
            }
            Target::Postgres(options) => {
                let connecting = tokio::time::timeout(CONNECT_TIMEOUT, options.connect());
                let connection = connecting.await.map_err(|_| StoreError::Failed {
                    location: self.location.to_string(),
                    attempted,
                    cause: format!("there was no answer within {} seconds", CONNECT_TIMEOUT.as_secs()),
                })?;
                Connection::Postgres(connection.map_err(|error| failure(&self.location, attempted, &error))?)
            }
            Target::Nothing => Connection::Sqlite(sqlite::empty(&self.location).await?),
            Target::Copy(bytes) => Connection::Sqlite(sqlite::in_memory(&self.location, bytes).await?),
        };
        self.connection = Some(connection);
        self.broken = false;
        Ok(())
    }

    /// Begins a transaction.
    pub async fn begin(&mut self, purpose: Purpose) -> Result<Work<'_>, StoreError> {
        let attempted = match purpose {
            Purpose::Read => "beginning to read",
            Purpose::Write => "beginning to write",
        };
        self.revive(purpose).await?;
        self.used = Instant::now();
        let location = self.location.clone();
        let transaction = match &mut self.connection {
            Some(Connection::Sqlite(connection)) => {
                let statement = match purpose {
                    Purpose::Read => "BEGIN",
                    Purpose::Write => "BEGIN IMMEDIATE",
                };
                connection.begin_with(statement).await.map(Transaction::Sqlite)
            }
            Some(Connection::Postgres(connection)) => {
                let statement = match purpose {
                    Purpose::Read => statements::POSTGRES_BEGIN_READ,
                    Purpose::Write => statements::POSTGRES_BEGIN_WRITE,
                };
                connection.begin_with(statement).await.map(Transaction::Postgres)
            }
            None => Err(sqlx::Error::WorkerCrashed),
        };
        match transaction {
            Ok(transaction) => Ok(Work { location, scope: self.scope, transaction, broken: &mut self.broken }),
            Err(error) => {
                self.broken = true;
                Err(failure(&location, attempted, &error))
            }
        }
    }

    /// Ensures a working connection.
    async fn revive(&mut self, purpose: Purpose) -> Result<(), StoreError> {
        let usable = match &mut self.connection {
            None => false,
            Some(_) if self.broken => false,
            Some(Connection::Postgres(connection)) => {
                let trusted = purpose == Purpose::Write && self.used.elapsed() < IDLE;
                trusted || connection.ping().await.is_ok()
            }
            Some(Connection::Sqlite(_)) => true,
        };
        if !usable {
            self.connect().await?;
        }
        if purpose == Purpose::Read
            && let Target::Sqlite(options) = &self.target
            && let Some(Connection::Sqlite(connection)) = &mut self.connection
            && let Err(error) = sqlx::raw_sql("SELECT count(*) FROM sqlite_schema").execute(&mut *connection).await
        {
            let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
            if code.as_deref() != Some(SQLITE_READONLY_ROLLBACK) {
                return Err(failure(&self.location, "reading it", &error));
            }
            match recovery::committed(options.get_filename()).await {
                Ok(Some(bytes)) => *connection = sqlite::in_memory(&self.location, &bytes).await?,
                // Another process has repaired the file meanwhile.
                Ok(None) => {}
                Err(error) => return Err(failure(&self.location, "reading it after a crash", &error.into())),
            }
        }
        Ok(())
    }
}

impl Work<'_> {
    /// The statements in this database's dialect.
    pub fn statements(&self) -> &'static Statements {
        match self.transaction {
            Transaction::Sqlite(_) => &statements::SQLITE,
            Transaction::Postgres(_) => &statements::POSTGRES,
        }
    }

    pub fn location(&self) -> String {
        self.location.to_string()
    }

    /// The scope that is worked on, as the statements take it.
    pub fn scope(&self) -> Parameter {
        Parameter::Integer(self.scope)
    }

    /// Works on this scope until the end of the transaction.
    pub fn choose(&mut self, scope: i64) {
        self.scope = scope;
    }

    /// The whole database as the bytes of a file; `None` for a server's.
    pub async fn bytes(&mut self, attempted: &'static str) -> Result<Option<Arc<[u8]>>, StoreError> {
        let Transaction::Sqlite(transaction) = &mut self.transaction else { return Ok(None) };
        let copied = transaction.serialize(None).await;
        copied.map(|bytes| Some(Arc::from(&*bytes))).map_err(|error| self.broke(attempted, &error))
    }

    /// Runs a statement that has no answer.
    pub async fn execute(
        &mut self,
        attempted: &'static str,
        sql: &'static str,
        parameters: impl IntoIterator<Item = Parameter>,
    ) -> Result<(), StoreError> {
        let done = match &mut self.transaction {
            Transaction::Sqlite(transaction) => {
                let query = parameters.into_iter().fold(sqlx::query(sql), |query, parameter| match parameter {
                    Parameter::Integer(value) => query.bind(value),
                    Parameter::Text(value) => query.bind(value),
                });
                query.execute(&mut **transaction).await.map(drop)
            }
            Transaction::Postgres(transaction) => {
                let query = parameters.into_iter().fold(sqlx::query(sql), |query, parameter| match parameter {
                    Parameter::Integer(value) => query.bind(value),
                    Parameter::Text(value) => query.bind(value),
                });
                query.execute(&mut **transaction).await.map(drop)
            }
        };
        done.map_err(|error| self.broke(attempted, &error))
    }

    /// Writes rows into a table, in their order.
    pub async fn put<const N: usize>(
        &mut self,
        attempted: &'static str,
        table: &Table<N>,
        rows: &[[Cell<'_>; N]],
    ) -> Result<(), StoreError> {
        let mut rest = rows;
        for portion in portions(rows.len()) {
            let (rows, after) = rest.split_at(portion);
            rest = after;
            let done = match &mut self.transaction {
                Transaction::Sqlite(transaction) => {
                    let scope = Cell::Integer(self.scope);
                    let cells = rows.iter().flat_map(|row| std::iter::once(&scope).chain(row));
                    let query = sqlx::query(AssertSqlSafe(table.sqlite(rows.len())));
                    let query = cells.fold(query, |query, cell| match cell {
                        Cell::Integer(value) => query.bind(*value),
                        Cell::Text(value) => query.bind(*value),
                        Cell::Null => query.bind(None::<&str>),
                    });
                    query.execute(&mut **transaction).await.map(drop)
                }
                Transaction::Postgres(transaction) => {
                    let rows: Vec<&[Cell<'_>]> = rows.iter().map(|row| &row[..]).collect();
                    let list = serde_json::to_string(&rows).map_err(|error| StoreError::Failed {
                        location: self.location.to_string(),
                        attempted,
                        cause: error.to_string(),
                    })?;
                    let query = sqlx::query(AssertSqlSafe(table.postgres())).bind(list).bind(self.scope);
                    query.execute(&mut **transaction).await.map(drop)
                }
            };
            done.map_err(|error| self.broke(attempted, &error))?;
        }
        Ok(())
    }

    /// Runs a query and reads each line of the answer.
    pub async fn fetch<T: Send>(
        &mut self,
        attempted: &'static str,
        sql: &'static str,
        parameters: impl IntoIterator<Item = Parameter>,
        read: impl Fn(Row<'_>) -> Result<T, sqlx::Error> + Send,
    ) -> Result<Vec<T>, StoreError> {
        let began = Instant::now();
        let read: Result<Vec<T>, sqlx::Error> = match &mut self.transaction {
            Transaction::Sqlite(transaction) => {
                let query = parameters.into_iter().fold(sqlx::query(sql), |query, parameter| match parameter {
                    Parameter::Integer(value) => query.bind(value),
                    Parameter::Text(value) => query.bind(value),
                });
                let rows = query.fetch(&mut **transaction);
                rows.and_then(|row| std::future::ready(read(Row::Sqlite(&row)))).try_collect().await
            }
            Transaction::Postgres(transaction) => {
                let query = parameters.into_iter().fold(sqlx::query(sql), |query, parameter| match parameter {
                    Parameter::Integer(value) => query.bind(value),
                    Parameter::Text(value) => query.bind(value),
                });
                let rows = query.fetch(&mut **transaction);
                rows.and_then(|row| std::future::ready(read(Row::Postgres(&row)))).try_collect().await
            }
        };
        // Of what was read only how much: the rows have the values.
        if let Ok(rows) = &read {
            tracing::debug!("store: {attempted}: {} found in {} ms", rows.len(), began.elapsed().as_millis());
        }
        read.map_err(|error| self.broke(attempted, &error))
    }

    /// Runs a script of several statements.
    pub async fn script(&mut self, attempted: &'static str, sql: &'static str) -> Result<(), StoreError> {
        let done = match &mut self.transaction {
            Transaction::Sqlite(transaction) => sqlx::raw_sql(sql).execute(&mut **transaction).await.map(drop),
            Transaction::Postgres(transaction) => sqlx::raw_sql(sql).execute(&mut **transaction).await.map(drop),
        };
        done.map_err(|error| self.broke(attempted, &error))
    }

    /// Commits the transaction.
    pub async fn commit(self) -> Result<(), StoreError> {
        let began = Instant::now();
        let done = match self.transaction {
            Transaction::Sqlite(transaction) => transaction.commit().await,
            Transaction::Postgres(transaction) => transaction.commit().await,
        };
        tracing::debug!("store: committed in {} ms", began.elapsed().as_millis());
        done.map_err(|error| {
            *self.broken = true;
            failure(&self.location, "committing what was written", &error)
        })
    }

    fn broke(&mut self, attempted: &'static str, error: &sqlx::Error) -> StoreError {
        *self.broken = true;
        failure(&self.location, attempted, error)
    }

    /// Ends a transaction that has only read. A server keeps its view until it hears of the end, and a transaction that
    /// is merely dropped tells it with the next one.
    pub async fn end(self) -> Result<(), StoreError> {
        let done = match self.transaction {
            Transaction::Sqlite(transaction) => transaction.rollback().await,
            Transaction::Postgres(transaction) => transaction.rollback().await,
        };
        done.map_err(|error| {
            *self.broken = true;
            failure(&self.location, "finishing to read", &error)
        })
    }

    /// An error of this store that does not come from the database.
    pub fn failed(&self, attempted: &'static str, cause: impl std::fmt::Display) -> StoreError {
        StoreError::Failed { location: self.location.to_string(), attempted, cause: cause.to_string() }
    }
}

impl Row<'_> {
    pub fn text(&self, column: usize) -> Result<&str, sqlx::Error> {
        use sqlx::Row as _;
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
    }

    pub fn optional_text(&self, column: usize) -> Result<Option<&str>, sqlx::Error> {
        use sqlx::Row as _;
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
    }

    pub fn integer(&self, column: usize) -> Result<i64, sqlx::Error> {
        use sqlx::Row as _;
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
    }

    pub fn optional_integer(&self, column: usize) -> Result<Option<i64>, sqlx::Error> {
        use sqlx::Row as _;
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
    }
}

impl From<i64> for Parameter {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<String> for Parameter {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<&str> for Parameter {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

/// What a database's error means for the user of the store.
pub fn failure(location: &str, attempted: &'static str, error: &sqlx::Error) -> StoreError {
    let location = location.to_owned();
    let failed = |cause: String| StoreError::Failed { location: location.clone(), attempted, cause };
    let Some(database) = error.as_database_error() else {
        return failed(match error {
            sqlx::Error::Tls(_) => format!(
                "{error}: the certificate of a server on another machine is verified; name its authority with `sslrootcert=FILE` in the URL, or write `sslmode=disable` if the network between is trusted"
            ),
            error => error.to_string(),
        });
    };
    let code = database.code().unwrap_or_default();
    let message = database.message();
    if database.try_downcast_ref::<SqliteError>().is_none() {
        return match &*code {
            "53100" => StoreError::Full { location, cause: message.to_owned() },
            "25006" => failed(format!("{message}: the store was opened for reading only, or the server is a standby")),
            _ => failed(message.to_owned()),
        };
    }
    // The primary result code is the lowest byte of the extended one: https://www.sqlite.org/rescode.html
    match code.parse::<i32>().unwrap_or_default() & 0xff {
        5 => failed(format!("{message}: another process has held the file for {} seconds", sqlite::PATIENCE.as_secs())),
        8 | 14 => failed(format!("{message}: check the permissions of the file and its folder")),
        11 | 26 => failed(format!(
            "{message}: the file is damaged or not a store; restore a copy of it, or move it away and restore an export with `tenantry store import FILE`"
        )),
        13 => StoreError::Full { location, cause: message.to_owned() },
        _ => failed(message.to_owned()),
    }
}

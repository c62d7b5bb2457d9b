//! Scripts: the records that they ran, and whether what they did is still there.

use std::collections::BTreeSet;

use async_trait::async_trait;
use sqlx::{MySqlConnection, Row as _};

use super::{Scope, spec_of};
use crate::error::Failure;
use crate::quote::quote_qualified;
use tenantry_core::model::resource::Present;
use tenantry_core::model::value::Map;
use tenantry_kit::script::{Checks, Record, answers, ran};
use tenantry_kit::{Answers, Asked, Subject};

/// The table of records, in the bookkeeping database.
pub const TABLE: &str = "scripts";

/// All records, or those of one script. No table is no record.
pub async fn fetch(
    connection: &mut MySqlConnection,
    bookkeeping: &str,
    only: Option<(&str, &str)>,
) -> Result<Vec<Record>, Failure> {
    let table = quote_qualified(bookkeeping, TABLE)?;
    let filter = if only.is_some() { "WHERE database_name = ? AND name = ?" } else { "" };
    let sql = format!(
        "SELECT estate, address, database_name, name, checksum, check_query FROM {table} {filter} ORDER BY estate, address"
    );
    let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
    if let Some((database, name)) = only {
        query = query.bind(database).bind(name);
    }
    let rows = match query.fetch_all(connection).await.map_err(Failure::from) {
        Ok(rows) => rows,
        Err(failure) if failure.is_missing() => return Ok(Vec::new()),
        Err(failure) => return Err(failure),
    };
    let records = rows.iter().map(|row| {
        let text = |index: usize| row.try_get_unchecked::<String, _>(index);
        Ok(Record {
            estate: text(0)?,
            address: text(1)?,
            within: text(2)?,
            name: text(3)?,
            checksum: text(4)?,
            check: row.try_get_unchecked(5)?,
        })
    });
    Ok(records.collect::<Result<_, sqlx::Error>>()?)
}

pub async fn observe(connection: &mut MySqlConnection, scope: &Scope<'_>) -> Result<Answers, Failure> {
    let records = fetch(connection, scope.bookkeeping, None).await?;
    let Asked { description, estate, subjects, .. } = scope.asked;
    let name_of: for<'s> fn(&Subject<'s>) -> Option<(&'s str, &'s str)> =
        |subject| Some((subject.text("database").unwrap_or_default(), subject.text("name").unwrap_or_default()));
    let present = |record: &Record, asked: Option<&Map>, holds: Option<bool>| {
        let within = (!record.within.is_empty()).then(|| ("database", record.within.as_str().into()));
        let named = [("name", record.name.as_str().into())].into_iter().chain(within);
        let fields = named.chain(ran(record, asked, holds));
        Present { spec: spec_of(description, fields), mark: record.mark(), ..Present::default() }
    };
    answers(&mut Server(connection), &records, (description, estate, subjects), name_of, present).await
}

/// A connection on which checks are run.
pub struct Server<'a>(pub &'a mut MySqlConnection);

#[async_trait]
impl Checks for Server<'_> {
    type Failure = Failure;

    async fn holding(&mut self, queries: &[&str]) -> Result<Result<BTreeSet<usize>, Failure>, Failure> {
        match holding(self.0, queries).await {
            Err(failure) if failure.number().is_none() => Err(failure),
            other => Ok(other),
        }
    }

    /// A database, a table, a column, a function that does not exist.
    fn is_missing(failure: &Failure) -> bool {
        matches!(failure.number(), Some(1049 | 1146 | 1054 | 1305))
    }
}

/// Which of some checks hold, by index.
async fn holding(connection: &mut MySqlConnection, queries: &[&str]) -> Result<BTreeSet<usize>, Failure> {
    let parts = queries.iter().enumerate().map(|(index, query)| {
        // The line breaks keep a comment at the end of the query from swallowing the parenthesis.
        format!(
            "SELECT CAST({index} AS SIGNED) FROM DUAL WHERE EXISTS (WITH c (ok) AS (\n{query}\n) SELECT 1 FROM c WHERE c.ok)"
        )
    });
    let sql = parts.collect::<Vec<_>>().join("\nUNION ALL\n");
    let indexes: Vec<i64> =
        sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).persistent(false).fetch_all(connection).await?;
    Ok(indexes.into_iter().filter_map(|index| usize::try_from(index).ok()).collect())
}

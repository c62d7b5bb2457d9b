//! Scripts: the records that they ran, and whether what they did is still there.

use std::collections::BTreeSet;

use async_trait::async_trait;
use sqlx::{PgConnection, Row as _};

use super::{Report, Scope, attempt};
use crate::error::Failure;
use crate::quote::quote_qualified;
use tenantry_core::model::mark::names_of;
use tenantry_core::model::resource::{Observed, Present};
use tenantry_core::model::value::Map;
use tenantry_kit::script::{Checks, Record, answers, ran};
use tenantry_kit::{Answers, Subject};

/// The table of records, in the bookkeeping schema.
pub const TABLE: &str = "scripts";

/// Whether the table of records exists.
pub async fn table_exists(connection: &mut PgConnection, bookkeeping_schema: &str) -> Result<bool, Failure> {
    let query = "SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        WHERE n.nspname = $1::text::name AND c.relname = $2::text::name)";
    Ok(sqlx::query_scalar(query).bind(bookkeeping_schema).bind(TABLE).fetch_one(connection).await?)
}

/// The records of an estate or of one address of it, and others of the scripts that are named by schema and name.
pub async fn fetch(
    connection: &mut PgConnection,
    bookkeeping_schema: &str,
    estate: &str,
    address: Option<&str>,
    names: &[(String, String)],
) -> Result<Vec<Record>, Failure> {
    let table = quote_qualified(bookkeeping_schema, TABLE)?;
    let sql = format!(
        "SELECT s.estate, s.address, s.schema_name, s.name, s.checksum, s.check_query FROM {table} s \
         WHERE (s.estate = ANY($1) AND ($2::text IS NULL OR s.address = $2)) OR (s.schema_name, s.name) IN (SELECT * FROM ROWS FROM \
           (pg_catalog.unnest($3::text[]), pg_catalog.unnest($4::text[])) AS w (s, n)) \
         ORDER BY s.estate, s.address"
    );
    let estates: Vec<String> = names_of(estate).map(str::to_owned).collect();
    let (schemas, names): (Vec<String>, Vec<String>) = names.iter().cloned().unzip();
    let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(estates).bind(address).bind(schemas).bind(names);
    let rows = query.fetch_all(connection).await?;
    let records = rows.iter().map(|row| {
        Ok(Record {
            estate: row.try_get(0)?,
            address: row.try_get(1)?,
            within: row.try_get(2)?,
            name: row.try_get(3)?,
            checksum: row.try_get(4)?,
            check: row.try_get(5)?,
        })
    });
    Ok(records.collect::<Result<_, sqlx::Error>>()?)
}

pub async fn observe(connection: &mut PgConnection, scope: &Scope<'_>) -> Result<Answers, Failure> {
    if !table_exists(connection, scope.bookkeeping_schema).await? {
        return Ok(scope.all(&Observed::Absent));
    }
    let names: BTreeSet<(&str, &str)> = scope.subjects.iter().filter_map(name_of).collect();
    let names: Vec<_> = names.into_iter().map(|(schema, name)| (schema.to_owned(), name.to_owned())).collect();
    let records = fetch(connection, scope.bookkeeping_schema, scope.estate, None, &names).await?;
    let present = |record: &Record, asked: Option<&Map>, holds: Option<bool>| {
        let mut report = Report::new(asked);
        if let (None, Some(database)) = (asked, scope.database) {
            report.set("database", database);
        }
        if !record.within.is_empty() {
            report.set("schema", record.within.as_str());
        }
        report.set("name", record.name.as_str());
        for (field, value) in ran(record, asked, holds) {
            report.set(field, value);
        }
        Present { spec: report.build(), mark: record.mark(), ..Present::default() }
    };
    let asked = (scope.kind, scope.estate, scope.subjects.as_slice());
    answers(&mut Server(connection), &records, asked, name_of, present).await
}

fn name_of<'a>(subject: &Subject<'a>) -> Option<(&'a str, &'a str)> {
    Some((subject.text("schema").unwrap_or_default(), subject.text("name")?))
}

/// A connection on which checks are run.
pub struct Server<'a>(pub &'a mut PgConnection);

#[async_trait]
impl Checks for Server<'_> {
    type Failure = Failure;

    async fn holding(&mut self, queries: &[&str]) -> Result<Result<BTreeSet<usize>, Failure>, Failure> {
        let found = attempt(self.0, async |connection| holding(connection, queries).await).await?;
        Ok(found.map_err(Failure::Server))
    }

    fn is_missing(failure: &Failure) -> bool {
        matches!(failure.sqlstate(), Some("42P01" | "3F000" | "42703" | "42883" | "42704"))
    }
}

/// Which of some checks hold, by index.
async fn holding(connection: &mut PgConnection, queries: &[&str]) -> Result<BTreeSet<usize>, sqlx::Error> {
    let parts = queries.iter().enumerate().map(|(index, query)| {
        // The line breaks keep a comment at the end of the query from swallowing the parenthesis.
        format!("SELECT {index}::int8 WHERE EXISTS (SELECT FROM (\n{query}\n) AS c (ok) WHERE c.ok)")
    });
    let sql = parts.collect::<Vec<_>>().join("\nUNION ALL\n");
    let indexes: Vec<i64> =
        sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).persistent(false).fetch_all(connection).await?;
    Ok(indexes.into_iter().filter_map(|index| usize::try_from(index).ok()).collect())
}

//! Scripts: the records that they ran, and whether what they did is still there.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use sqlx::{PgConnection, Row as _};

use super::{Answers, Report, Scope, Subject, attempt};
use crate::error::Failure;
use crate::quote::quote_qualified;
use tenantry_core::model::mark::{Mark, is_of, names_of};
use tenantry_core::model::resource::{Observed, Present};

/// The table of records, in the bookkeeping schema.
pub const TABLE: &str = "scripts";

/// Checks that are put into one query. More would make a statement that is slow to plan.
const CHECKS_AT_A_TIME: usize = 100;

/// The record of a script that ran.
#[derive(Clone, Debug)]
pub struct Record {
    pub estate: String,
    pub address: String,
    /// Empty for none.
    pub schema: String,
    pub name: String,
    pub checksum: String,
    pub check: Option<String>,
}

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
            schema: row.try_get(2)?,
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
    let names: BTreeSet<(String, String)> = scope.subjects.iter().filter_map(name_of).collect();
    let names: Vec<_> = names.into_iter().collect();
    let records = fetch(connection, scope.bookkeeping_schema, scope.estate, None, &names).await?;
    let mut by_name: HashMap<(&str, &str), Vec<&Record>> = HashMap::new();
    for record in &records {
        by_name.entry((&record.schema, &record.name)).or_default().push(record);
    }

    let mut found: Vec<(&Subject<'_>, Option<&Record>)> = Vec::with_capacity(scope.subjects.len());
    for subject in &scope.subjects {
        let schema = subject.text("schema").unwrap_or_default();
        let of_name = subject.text("name").and_then(|name| by_name.get(&(schema, name)));
        // Two estates may keep a script of the same name; the subject's own record comes first.
        let record = of_name.and_then(|records| {
            let own = |record: &&&Record| {
                let address = subject.address.map(ToString::to_string);
                is_of(&record.estate, scope.estate) && address.is_none_or(|address| address == record.address)
            };
            records.iter().find(own).or(records.first()).copied()
        });
        found.push((subject, record));
    }
    let queries: BTreeSet<&str> =
        found.iter().filter(|(_, record)| record.is_some()).filter_map(|(subject, _)| subject.text("check")).collect();
    let checks = run_checks(connection, &queries.into_iter().collect::<Vec<_>>()).await?;

    let mut answers = Answers::with_capacity(found.len());
    for (subject, record) in &found {
        let observed = match record {
            None => Observed::Absent,
            Some(record) => match subject.text("check").and_then(|query| checks.get(query)) {
                Some(Check::Unknown(reason)) => Observed::Unknown(reason.clone().into()),
                Some(Check::Known(holds)) => Observed::Present(present(record, Some(subject), Some(*holds))),
                None => Observed::Present(present(record, Some(subject), None)),
            },
        };
        answers.push((subject.identity.clone(), observed));
    }
    let asked: BTreeSet<(&str, &str)> = names.iter().map(|(schema, name)| (schema.as_str(), name.as_str())).collect();
    for record in records.iter().filter(|record| is_of(&record.estate, scope.estate)) {
        if !asked.contains(&(&record.schema, &record.name)) {
            let mut present = present(record, None, None);
            if let Some(database) = scope.database {
                present.spec = Arc::new(present.spec.with("database", database.into()));
            }
            if let Some(identity) = scope.kind.identity_of(&scope.kind.normal(&present.spec)) {
                answers.push((identity, Observed::Present(present)));
            }
        }
    }
    Ok(answers)
}

fn name_of(subject: &Subject<'_>) -> Option<(String, String)> {
    Some((subject.text("schema").unwrap_or_default().to_owned(), subject.text("name")?.to_owned()))
}

impl Record {
    /// The record as a mark; nothing if its address is none.
    pub fn mark(&self) -> Option<Mark> {
        let address = self.address.parse().ok()?;
        Some(Mark { estate: self.estate.as_str().into(), address, secret_hash: None })
    }
}

fn present(record: &Record, asked: Option<&Subject<'_>>, holds: Option<bool>) -> Present {
    let Record { schema, name, checksum, check, .. } = record;
    let mut report = Report::new(asked.map(|subject| subject.spec));
    if !schema.is_empty() {
        report.set("schema", schema.as_str());
    }
    report.set("name", name.as_str());
    report.set("checksum", checksum.as_str());
    let wanted_checksum = asked.and_then(|subject| subject.text("checksum"));
    match asked.and_then(|subject| subject.spec.get("sql")) {
        Some(sql) if wanted_checksum == Some(checksum) => report.set("sql", sql.clone()),
        _ => report.set("sql", format!("(ran with checksum {checksum})")),
    }
    if let Some(check) = check {
        report.set("check", check.as_str());
    }
    if let Some(holds) = holds {
        report.set("checked", holds);
    }
    Present { spec: report.build(), mark: record.mark(), ..Present::default() }
}

/// What came of a check.
enum Check {
    Known(bool),
    Unknown(Arc<str>),
}

/// Runs checks, many in one query. Where such a query fails its checks run one by one, to find which it was.
async fn run_checks<'a>(
    connection: &mut PgConnection,
    queries: &[&'a str],
) -> Result<BTreeMap<&'a str, Check>, Failure> {
    let mut checks = BTreeMap::new();
    for chunk in queries.chunks(CHECKS_AT_A_TIME) {
        match attempt(connection, async |connection| holding(connection, chunk).await).await? {
            Ok(holding) => {
                checks.extend(
                    chunk.iter().enumerate().map(|(index, query)| (*query, Check::Known(holding.contains(&index)))),
                );
            }
            Err(_) => {
                for query in chunk {
                    let single = attempt(connection, async |connection| holding(connection, &[query]).await).await?;
                    let check = match single {
                        Ok(holding) => Check::Known(!holding.is_empty()),
                        Err(error) => failed_check(error),
                    };
                    checks.insert(*query, check);
                }
            }
        }
    }
    Ok(checks)
}

/// Whether one check holds. What it asks about may not exist.
///
/// # Errors
/// If it cannot be told.
pub async fn check_holds(connection: &mut PgConnection, query: &str) -> Result<bool, Failure> {
    match attempt(connection, async |connection| holding(connection, &[query]).await).await? {
        Ok(holding) => Ok(!holding.is_empty()),
        Err(error) => match failed_check(error) {
            Check::Known(holds) => Ok(holds),
            Check::Unknown(reason) => Err(Failure::Invalid(reason.to_string())),
        },
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

/// A check that asks about something that is not there does not hold; any other failure tells nothing.
fn failed_check(error: sqlx::Error) -> Check {
    let failure = Failure::Server(error);
    match failure.sqlstate() {
        Some("42P01" | "3F000" | "42703" | "42883" | "42704") => Check::Known(false),
        _ => Check::Unknown(format!("its check cannot run: {failure}").into()),
    }
}

//! Scripts: the records that they ran, and whether what they did is still there.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use sqlx::{MySqlConnection, Row as _};

use super::{Answers, Scope, Subject, spec_of};
use crate::error::Failure;
use crate::quote::quote_qualified;
use tenantry_core::model::kind::Kind;
use tenantry_core::model::mark::{Mark, is_of};
use tenantry_core::model::resource::{Observed, Present};
use tenantry_core::model::value::Value;

/// The table of records, in the bookkeeping database.
pub const TABLE: &str = "scripts";

/// Checks that are put into one query.
const CHECKS_AT_A_TIME: usize = 100;

/// The record of a script that ran.
#[derive(Clone, Debug)]
pub struct Record {
    pub estate: String,
    pub address: String,
    /// Empty for none.
    pub database: String,
    pub name: String,
    pub checksum: String,
    pub check: Option<String>,
}

impl Record {
    /// The record as a mark; nothing if its address is none.
    pub fn mark(&self) -> Option<Mark> {
        let address = self.address.parse().ok()?;
        Some(Mark { estate: self.estate.as_str().into(), address, secret_hash: None })
    }
}

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
            database: text(2)?,
            name: text(3)?,
            checksum: text(4)?,
            check: row.try_get_unchecked(5)?,
        })
    });
    Ok(records.collect::<Result<_, sqlx::Error>>()?)
}

pub async fn observe(connection: &mut MySqlConnection, scope: &Scope<'_>) -> Result<Answers, Failure> {
    let records = fetch(connection, scope.bookkeeping, None).await?;
    let mut by_name: HashMap<(&str, &str), Vec<&Record>> = HashMap::new();
    for record in &records {
        by_name.entry((&record.database, &record.name)).or_default().push(record);
    }
    let mut found: Vec<(&Subject<'_>, Option<&Record>)> = Vec::with_capacity(scope.subjects.len());
    let mut asked = BTreeSet::new();
    for subject in &scope.subjects {
        let name = (subject.text("database").unwrap_or_default(), subject.text("name").unwrap_or_default());
        asked.insert(name);
        // Two estates may keep a script of the same name; the subject's own record comes first.
        let record = by_name.get(&name).and_then(|records| {
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
                Some(Check::Known(holds)) => {
                    Observed::Present(present(scope.kind, record, Some(subject), Some(*holds)))
                }
                None => Observed::Present(present(scope.kind, record, Some(subject), None)),
            },
        };
        answers.push((subject.identity.clone(), observed));
    }
    for record in records.iter().filter(|record| is_of(&record.estate, scope.estate)) {
        if !asked.contains(&(record.database.as_str(), record.name.as_str())) {
            let present = present(scope.kind, record, None, None);
            if let Some(identity) = scope.kind.identity_of(&scope.kind.normal(&present.spec)) {
                answers.push((identity, Observed::Present(present)));
            }
        }
    }
    Ok(answers)
}

fn present(kind: &Kind, record: &Record, asked: Option<&Subject<'_>>, holds: Option<bool>) -> Present {
    let Record { database, name, checksum, check, .. } = record;
    let mut fields = vec![("name", Value::from(name.as_str())), ("checksum", checksum.as_str().into())];
    if !database.is_empty() {
        fields.push(("database", database.as_str().into()));
    }
    let wanted_checksum = asked.and_then(|subject| subject.text("checksum"));
    fields.push(match asked.and_then(|subject| subject.spec.get("sql")) {
        Some(sql) if wanted_checksum == Some(checksum) => ("sql", sql.clone()),
        _ => ("sql", format!("(ran with checksum {checksum})").into()),
    });
    if let Some(check) = check {
        fields.push(("check", check.as_str().into()));
    }
    if let Some(holds) = holds {
        fields.push(("checked", holds.into()));
    }
    Present { spec: spec_of(kind, fields), mark: record.mark(), ..Present::default() }
}

/// What came of a check.
enum Check {
    Known(bool),
    Unknown(Arc<str>),
}

/// Runs checks, many in one query. Where such a query fails its checks run one by one, to find which it was.
async fn run_checks<'a>(
    connection: &mut MySqlConnection,
    queries: &[&'a str],
) -> Result<BTreeMap<&'a str, Check>, Failure> {
    let mut checks = BTreeMap::new();
    for chunk in queries.chunks(CHECKS_AT_A_TIME) {
        match holding(connection, chunk).await {
            Ok(holding) => {
                let known = chunk.iter().enumerate();
                checks.extend(known.map(|(index, query)| (*query, Check::Known(holding.contains(&index)))));
            }
            Err(failure) if failure.number().is_none() => return Err(failure),
            Err(_) => {
                for query in chunk {
                    let check = match holding(connection, &[query]).await {
                        Ok(holding) => Check::Known(!holding.is_empty()),
                        Err(failure) if failure.number().is_none() => return Err(failure),
                        Err(failure) => failed_check(&failure),
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
pub async fn check_holds(connection: &mut MySqlConnection, query: &str) -> Result<bool, Failure> {
    match holding(connection, &[query]).await {
        Ok(holding) => Ok(!holding.is_empty()),
        Err(failure) if failure.number().is_none() => Err(failure),
        Err(failure) => match failed_check(&failure) {
            Check::Known(holds) => Ok(holds),
            Check::Unknown(reason) => Err(Failure::Invalid(reason.to_string())),
        },
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

/// A check that asks about something that is not there does not hold; any other failure tells nothing.
fn failed_check(failure: &Failure) -> Check {
    match failure.number() {
        // A database, a table, a column, a function that does not exist.
        Some(1049 | 1146 | 1054 | 1305) => Check::Known(false),
        _ => Check::Unknown(format!("its check cannot run: {failure}").into()),
    }
}

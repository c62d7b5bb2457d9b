//! Rows of tables that belong to the user: one query for each table and page, and one for what their columns are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sqlx::mysql::MySqlRow;
use sqlx::{MySqlConnection, Row as _};

use super::column::{self, Sort};
use super::{PAGE, Scope};
use crate::error::{Failed as _, Failure};
use crate::quote::{quote_identifier, quote_qualified};
use tenantry_core::model::resource::{Observed, Present};
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::{Answers, Subject};

/// What the server makes of a value, by its type and text.
type Taken = BTreeMap<(String, String), String>;

/// Rows of one table whose keys have the same columns.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    table: (String, String),
    key: Vec<String>,
}

pub async fn observe(connection: &mut MySqlConnection, scope: &Scope<'_>) -> Result<Answers, Failure> {
    let mut groups: BTreeMap<Group, Vec<&Subject<'_>>> = BTreeMap::new();
    let mut answers = Answers::new();
    for subject in &scope.asked.subjects {
        match group_of(subject) {
            Some(group) => groups.entry(group).or_default().push(subject),
            None => {
                answers.push((subject.identity.clone(), Observed::Unknown("its spec names no table or key".into())));
            }
        }
    }
    if groups.is_empty() {
        return Ok(answers);
    }
    let databases: BTreeSet<&str> = groups.keys().map(|group| group.table.0.as_str()).collect();
    let columns = column::fetch(connection, &databases.into_iter().collect::<Vec<_>>()).await?;
    for (group, subjects) in &mut groups {
        if let Some(of_table) = columns.get(&group.table) {
            // Among the others they would be taken for another row, and that row for theirs.
            subjects.retain(|subject| match misfit(subject.spec, of_table) {
                None => true,
                Some(reason) => {
                    answers.push((subject.identity.clone(), Observed::Unknown(reason.into())));
                    false
                }
            });
        }
        for page in subjects.chunks(PAGE) {
            let found = match columns.get(&group.table) {
                Some(of_table) => read_page(connection, group, page, of_table).await,
                // The list of columns leaves out what may not be read; so the table itself is asked.
                None => probe(connection, group)
                    .await
                    .map(|reason| page.iter().map(|_| Observed::Unknown(reason.clone().into())).collect()),
            };
            match found {
                Ok(observed) => {
                    answers.extend(page.iter().map(|subject| subject.identity.clone()).zip(observed));
                }
                Err(failure) if failure.is_missing() => {
                    answers.extend(page.iter().map(|subject| (subject.identity.clone(), Observed::Absent)));
                }
                Err(failure) if failure.number().is_some() => {
                    let (database, table) = &group.table;
                    let reason = failure.into_reason(format!("reading table `{database}`.`{table}`"));
                    answers.extend(
                        page.iter().map(|subject| (subject.identity.clone(), Observed::Unknown(reason.clone().into()))),
                    );
                }
                // The connection itself is gone.
                Err(failure) => return Err(failure),
            }
        }
    }
    Ok(answers)
}

/// Why the rows of a table are unknown that is there and whose columns are not told.
///
/// # Errors
/// If it cannot be read, or is not there.
async fn probe(connection: &mut MySqlConnection, group: &Group) -> Result<Arc<str>, Failure> {
    let (database, table) = &group.table;
    let sql = format!("SELECT 1 FROM {} LIMIT 1", quote_qualified(database, table)?);
    sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_optional(connection).await?;
    let hint = "write its name as the server has it, and grant SELECT on it to the user of the target's `url`";
    Ok(format!("reading table `{database}`.`{table}`: the server does not show its columns; {hint}").into())
}

/// Why a key can be that of no row of a table, if so.
pub fn misfit(spec: &Map, columns: &BTreeMap<String, Sort>) -> Option<String> {
    let mut key = spec.get("key")?.as_map()?.iter();
    let (name, _) = key.find(|(name, value)| column::find(columns, name).is_some_and(|sort| !sort.fits_key(value)))?;
    Some(format!(
        "the value of key column \"{name}\" does not have the column's type; the server would convert it to the key of another row"
    ))
}

fn group_of(subject: &Subject<'_>) -> Option<Group> {
    let key = subject.spec.get("key")?.as_map()?;
    let table = (subject.text("database")?.to_owned(), subject.text("table")?.to_owned());
    (!key.is_empty()).then(|| Group { table, key: key.iter().map(|(name, _)| name.to_string()).collect() })
}

fn wanted_columns<'a>(subject: &Subject<'a>) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let columns = subject.spec.get("columns").and_then(Value::as_map);
    columns.into_iter().flat_map(Map::iter).map(|(name, value)| (&**name, value))
}

async fn read_page(
    connection: &mut MySqlConnection,
    group: &Group,
    page: &[&Subject<'_>],
    columns: &BTreeMap<String, Sort>,
) -> Result<Vec<Observed>, Failure> {
    let names: BTreeSet<&str> = page.iter().flat_map(|subject| wanted_columns(subject)).map(|(name, _)| name).collect();
    let read: Vec<&str> = names.into_iter().filter(|name| column::find(columns, name).is_some()).collect();
    let sort_of = |name: &str| column::find(columns, name).unwrap_or(Sort::Other);
    let is_key = |name: &String| Ok(format!("{} = {}", quote_identifier(name)?, sort_of(name).placeholder()));
    let is_row = group.key.iter().map(is_key).collect::<Result<Vec<_>, Failure>>()?.join(" AND ");
    let cases = (0..page.len()).map(|index| format!("WHEN {is_row} THEN {index}")).collect::<Vec<_>>().join(" ");
    let any = vec![format!("({is_row})"); page.len()].join(" OR ");
    let mut selected = format!("CAST(CASE {cases} END AS SIGNED)");
    for name in &read {
        selected.push_str(&format!(", {}", sort_of(name).selected(&quote_identifier(name)?)));
    }
    let sql = format!("SELECT {selected} FROM {} WHERE {any}", quote_qualified(&group.table.0, &group.table.1)?);
    let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
    // Once for the cases and once for the condition.
    for subject in page.iter().chain(page) {
        let values = subject.spec.get("key").and_then(Value::as_map);
        for name in &group.key {
            query = query.bind(values.and_then(|values| sort_of(name).bind(values.get(name)?)));
        }
    }
    let rows = query.fetch_all(&mut *connection).await?;
    let mut found: Vec<Vec<&MySqlRow>> = vec![Vec::new(); page.len()];
    for row in &rows {
        let index: i64 = row.try_get_unchecked(0)?;
        if let Some(rows) = usize::try_from(index).ok().and_then(|index| found.get_mut(index)) {
            rows.push(row);
        }
    }
    let taken = taken(connection, page, &found, &read, columns).await?;
    page.iter().zip(found).map(|(subject, rows)| observed(subject, &rows, &read, columns, &taken)).collect()
}

/// What the server makes of those wanted values that the found ones may be spellings of.
async fn taken(
    connection: &mut MySqlConnection,
    page: &[&Subject<'_>],
    found: &[Vec<&MySqlRow>],
    read: &[&str],
    columns: &BTreeMap<String, Sort>,
) -> Result<Taken, Failure> {
    let mut questions = BTreeSet::new();
    for (subject, rows) in page.iter().zip(found) {
        let [row] = rows.as_slice() else { continue };
        for (name, wanted) in wanted_columns(subject) {
            let Some(index) = read.iter().position(|column| *column == name) else { continue };
            let text: Option<String> = row.try_get_unchecked(index + 1)?;
            questions.extend(column::find(columns, name).and_then(|sort| sort.question(wanted, text.as_deref())));
        }
    }
    let questions: Vec<(String, String)> = questions.into_iter().collect();
    let mut taken = Taken::new();
    for page in questions.chunks(PAGE) {
        let answers = column::taken(connection, page).await?;
        taken.extend(page.iter().cloned().zip(answers).filter_map(|(asked, answer)| Some((asked, answer?))));
    }
    Ok(taken)
}

fn observed(
    subject: &Subject<'_>,
    rows: &[&MySqlRow],
    read: &[&str],
    columns: &BTreeMap<String, Sort>,
    taken: &Taken,
) -> Result<Observed, Failure> {
    let row = match rows {
        [] => return Ok(Observed::Absent),
        [row] => row,
        several => return Ok(Observed::Unknown(format!("{} rows have this key", several.len()).into())),
    };
    let mut found = Vec::new();
    for (name, wanted) in wanted_columns(subject) {
        let Some(index) = read.iter().position(|column| *column == name) else {
            // The list leaves out what the table does not have and what may not be read alike.
            let message = format!("the server shows no column \"{name}\"; create it, or grant SELECT on it");
            return Ok(Observed::Unknown(message.into()));
        };
        let text: Option<String> = row.try_get_unchecked(index + 1)?;
        let sort = column::find(columns, name).unwrap_or(Sort::Other);
        let question = sort.question(wanted, text.as_deref());
        let is_spelling =
            question.and_then(|question| taken.get(&question)).is_some_and(|taken| Some(taken) == text.as_ref());
        let observed = if is_spelling { wanted.clone() } else { sort.observed(wanted, text.as_deref()) };
        found.push((Arc::from(name), observed));
    }
    let found: Map = found.into_iter().collect();
    let spec = Arc::new(subject.spec.with("columns", found.into()));
    Ok(Observed::Present(Present { spec, ..Present::default() }))
}

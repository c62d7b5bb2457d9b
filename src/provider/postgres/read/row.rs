//! Rows of tables that belong to the user: one query for each table, whatever the number of rows.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

use super::column::{self, Column};
use super::trial::{self, Tried};
use super::{PAGE, Scope, attempt};
use crate::error::{Failed as _, Failure};
use crate::quote::{quote_identifier, quote_qualified};
use tenantry_core::model::resource::{Observed, Present};
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::{Answers, Subject};

type Table = (String, String);
type Columns = HashMap<Table, BTreeMap<String, Column>>;

/// Rows of one table whose keys have the same columns.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    table: Table,
    key: Vec<String>,
}

/// A wanted value that the server has to compare: every type has spellings that only its own input knows.
struct Doubt {
    answer: usize,
    column: String,
    wanted: String,
    found: String,
}

/// Rows of one group, with the subjects they are for.
struct Query<'a> {
    group: &'a Group,
    subjects: Vec<&'a Subject<'a>>,
    key: Vec<&'a Column>,
    /// The wanted columns of any subject that the table has.
    read: Vec<&'a Column>,
}

pub async fn observe(connection: &mut PgConnection, scope: &Scope<'_>) -> Result<Answers, Failure> {
    let mut groups: BTreeMap<Group, Vec<&Subject<'_>>> = BTreeMap::new();
    let mut answers = Answers::new();
    for subject in &scope.subjects {
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
    let tables: Vec<Table> =
        groups.keys().map(|group| group.table.clone()).collect::<BTreeSet<_>>().into_iter().collect();
    let columns = columns_by_table(connection, &tables).await?;

    for (group, subjects) in &groups {
        let of_table = columns.get(&group.table);
        let key: Option<Vec<&Column>> =
            of_table.and_then(|columns| group.key.iter().map(|name| columns.get(name)).collect());
        let (Some(of_table), Some(key)) = (of_table, key) else {
            // Without the table, or a column of the key, there is no such row.
            answers.extend(subjects.iter().map(|subject| (subject.identity.clone(), Observed::Absent)));
            continue;
        };
        for page in subjects.chunks(PAGE) {
            let subjects = valid_keys(page, &key, &mut answers);
            let names: BTreeSet<&str> =
                subjects.iter().flat_map(|subject| wanted_columns(subject)).map(|(name, _)| name).collect();
            let read = names.into_iter().filter_map(|name| of_table.get(name)).collect();
            let mut query = Query { group, subjects, key: key.clone(), read };
            let mut found = attempt(connection, async |connection| query.fetch(connection).await).await?;
            if found.is_err() {
                // A key that is no value of its column's type makes the server refuse the question for all.
                query.subjects = castable(connection, &query.subjects, &key, &mut answers).await?;
                found = attempt(connection, async |connection| query.fetch(connection).await).await?;
            }
            match found {
                Ok(rows) => answers.extend(query.answers(connection, &rows).await?),
                Err(error) => {
                    let (schema, table) = &group.table;
                    let attempted = format!("reading table \"{schema}\".\"{table}\"");
                    let reason = Failure::Server(error).into_reason(attempted);
                    let unknown =
                        |subject: &&Subject<'_>| (subject.identity.clone(), Observed::Unknown(reason.clone().into()));
                    answers.extend(query.subjects.iter().map(unknown));
                }
            }
        }
    }
    Ok(answers)
}

/// The columns of some tables, by table and name.
pub async fn columns_by_table(connection: &mut PgConnection, tables: &[Table]) -> Result<Columns, Failure> {
    let mut columns = Columns::new();
    for (table, column) in column::fetch(connection, tables).await? {
        columns.entry(table).or_default().insert(column.name.clone(), column);
    }
    Ok(columns)
}

fn group_of(subject: &Subject<'_>) -> Option<Group> {
    let key = subject.spec.get("key")?.as_map()?;
    let table = (subject.text("schema")?.to_owned(), subject.text("table")?.to_owned());
    (!key.is_empty()).then(|| Group { table, key: key.iter().map(|(name, _)| name.to_string()).collect() })
}

fn wanted_columns<'a>(subject: &Subject<'a>) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let columns = subject.spec.get("columns").and_then(Value::as_map);
    columns.into_iter().flat_map(Map::iter).map(|(name, value)| (&**name, value))
}

/// The values of a subject's key as texts, in order of name.
fn key_texts(subject: &Subject<'_>, key: &[&Column]) -> Vec<Option<String>> {
    let values = subject.spec.get("key").and_then(Value::as_map);
    key.iter().map(|column| column.sort.bind(values?.get(&column.name)?)).collect()
}

/// Subjects whose keys can be asked for; the others are answered.
fn valid_keys<'a>(subjects: &[&'a Subject<'a>], key: &[&Column], answers: &mut Answers) -> Vec<&'a Subject<'a>> {
    let mut valid = Vec::with_capacity(subjects.len());
    for subject in subjects {
        let problem = key.iter().zip(key_texts(subject, key)).find_map(|(column, text)| {
            let problem = match &text {
                Some(text) if text.contains('\0') => "a text with a NUL character, which PostgreSQL cannot store",
                Some(text) => column.sort.problem(text)?,
                None => "missing",
            };
            Some(format!("the value of key column \"{}\" is {problem}", column.name))
        });
        match problem {
            Some(problem) => answers.push((subject.identity.clone(), Observed::Unknown(problem.into()))),
            None => valid.push(*subject),
        }
    }
    valid
}

/// Subjects whose keys the server takes; the others are answered.
async fn castable<'a>(
    connection: &mut PgConnection,
    subjects: &[&'a Subject<'a>],
    key: &[&Column],
    answers: &mut Answers,
) -> Result<Vec<&'a Subject<'a>>, Failure> {
    let mut left = subjects.to_vec();
    for (index, column) in key.iter().enumerate() {
        let text_of = |subject: &&Subject<'_>| key_texts(subject, key).into_iter().nth(index).flatten();
        let texts: BTreeSet<String> = left.iter().filter_map(text_of).collect();
        let texts: Vec<String> = texts.into_iter().collect();
        let question = format!("SELECT $1::text::{}::text", column.sql_type);
        let tried = trial::each(connection, &question, &texts).await?;
        let refused: HashMap<String, String> = texts
            .into_iter()
            .zip(tried)
            .filter_map(|(text, tried)| match tried {
                Tried::Refused(why) => Some((text, why)),
                Tried::Is(_) | Tried::Null => None,
            })
            .collect();
        left.retain(|subject| {
            let Some(why) = text_of(subject).and_then(|text| refused.get(&text)) else { return true };
            let reason = format!("the value of key column \"{}\" is none that it can hold: {why}", column.name);
            answers.push((subject.identity.clone(), Observed::Unknown(reason.into())));
            false
        });
    }
    Ok(left)
}

/// A column's value as text. Arrays come as JSON, which says what is an element.
pub fn selected(column: &Column, alias: &str) -> Result<String, Failure> {
    let name = quote_identifier(&column.name)?;
    Ok(column.sort.printed(&format!("{alias}.{name}")))
}

impl Query<'_> {
    async fn fetch(&self, connection: &mut PgConnection) -> Result<Vec<PgRow>, sqlx::Error> {
        let sql = self.sql().map_err(|failure| sqlx::Error::Encode(failure.into()))?;
        let mut arrays: Vec<Vec<Option<String>>> = vec![Vec::with_capacity(self.subjects.len()); self.key.len()];
        for subject in &self.subjects {
            for (array, text) in arrays.iter_mut().zip(key_texts(subject, &self.key)) {
                array.push(text);
            }
        }
        let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
        for array in arrays {
            query = query.bind(array);
        }
        query.fetch_all(connection).await
    }

    fn sql(&self) -> Result<String, Failure> {
        let (schema, table) = &self.group.table;
        let mut selected_columns = vec!["w.i".to_owned()];
        for column in &self.read {
            selected_columns.push(selected(column, "t")?);
        }
        let numbered = |form: &dyn Fn(usize, &Column) -> Result<String, Failure>| {
            self.key.iter().enumerate().map(|(index, column)| form(index, column)).collect::<Result<Vec<_>, _>>()
        };
        Ok(format!(
            "SELECT {} FROM (SELECT k.i, {} FROM ROWS FROM ({}) WITH ORDINALITY AS k ({}, i)) w JOIN {} t ON {}",
            selected_columns.join(", "),
            numbered(&|index, column| Ok(format!("k.k{index}::{} AS k{index}", column.sql_type)))?.join(", "),
            numbered(&|index, _| Ok(format!("pg_catalog.unnest(${}::text[])", index + 1)))?.join(", "),
            numbered(&|index, _| Ok(format!("k{index}")))?.join(", "),
            quote_qualified(schema, table)?,
            numbered(&|index, column| Ok(format!("t.{} = w.k{index}", quote_identifier(&column.name)?)))?.join(" AND "),
        ))
    }

    async fn answers(&self, connection: &mut PgConnection, rows: &[PgRow]) -> Result<Answers, Failure> {
        let mut found: Vec<Vec<&PgRow>> = vec![Vec::new(); self.subjects.len()];
        for row in rows {
            let ordinal: i64 = row.try_get(0)?;
            if let Some(rows) = usize::try_from(ordinal - 1).ok().and_then(|index| found.get_mut(index)) {
                rows.push(row);
            }
        }
        let mut specs: Vec<Option<BTreeMap<Arc<str>, Value>>> = Vec::with_capacity(found.len());
        let mut doubts = Vec::new();
        for (answer, (subject, rows)) in self.subjects.iter().zip(&found).enumerate() {
            let [row] = rows.as_slice() else {
                specs.push(None);
                continue;
            };
            let mut columns = BTreeMap::new();
            for (name, wanted) in wanted_columns(subject) {
                // A column that the table does not have is left out, and so shows as missing.
                let Some(index) = self.read.iter().position(|column| column.name == name) else { continue };
                let sort = self.read[index].sort;
                let text: Option<&str> = row.try_get(index + 1)?;
                let observed = sort.observed(wanted, text);
                if sort.is_settled_by_server()
                    && observed != *wanted
                    && let (Some(wanted), Some(found)) = (sort.bind(wanted), text)
                    && !wanted.contains('\0')
                {
                    doubts.push(Doubt { answer, column: name.to_owned(), wanted, found: found.to_owned() });
                }
                columns.insert(name.into(), observed);
            }
            specs.push(Some(columns));
        }
        self.settle(connection, doubts, &mut specs).await?;

        let answers = self.subjects.iter().zip(found).zip(specs).map(|((subject, rows), columns)| {
            let observed = match (rows.len(), columns) {
                (0, _) => Observed::Absent,
                (1, Some(columns)) => {
                    let columns: Map = columns.into_iter().collect();
                    let spec = Arc::new(subject.spec.with("columns", columns.into()));
                    Observed::Present(Present { spec, ..Present::default() })
                }
                (several, _) => Observed::Unknown(format!("{several} rows have this key").into()),
            };
            (subject.identity.clone(), observed)
        });
        Ok(answers.collect())
    }

    /// Asks the server what it makes of spellings that only it understands: one query for each such column with differences.
    async fn settle(
        &self,
        connection: &mut PgConnection,
        doubts: Vec<Doubt>,
        specs: &mut [Option<BTreeMap<Arc<str>, Value>>],
    ) -> Result<(), Failure> {
        for column in &self.read {
            let doubts: Vec<&Doubt> = doubts.iter().filter(|doubt| doubt.column == column.name).collect();
            if doubts.is_empty() {
                continue;
            }
            let wanted: Vec<String> = doubts.iter().map(|doubt| doubt.wanted.clone()).collect();
            // As the column would hold it, with its own scale.
            let held = |text: &str| column.sort.printed(&format!("{text}::{}", column.rounded_type));
            let sql = format!(
                "SELECT {} FROM pg_catalog.unnest($1::text[]) WITH ORDINALITY AS w (v, i) ORDER BY w.i",
                held("w.v")
            );
            let spelled: Result<Vec<Option<String>>, _> = attempt(connection, async |connection| {
                sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).bind(&wanted).fetch_all(connection).await
            })
            .await?;
            // A text that is no value of the type differs from every value, and says nothing of the others.
            let spelled = match spelled {
                Ok(spelled) => spelled,
                Err(_) => {
                    let question = format!("SELECT {}", held("$1::text"));
                    trial::each(connection, &question, &wanted).await?.into_iter().map(Tried::answer).collect()
                }
            };
            for (doubt, spelled) in doubts.iter().zip(spelled) {
                if spelled.as_ref() == Some(&doubt.found)
                    && let Some(columns) = &mut specs[doubt.answer]
                    && let Some((_, value)) =
                        wanted_columns(self.subjects[doubt.answer]).find(|(name, _)| *name == column.name)
                {
                    columns.insert(column.name.as_str().into(), value.clone());
                }
            }
        }
        Ok(())
    }
}

//! Rows, each in a transaction of its own.

use std::collections::BTreeMap;

use sqlx::mysql::MySqlArguments;
use sqlx::query::Query;
use sqlx::{Connection as _, MySql, MySqlConnection, Row as _};

use super::hear;
use crate::error::{Failed as _, Failure};
use crate::quote::{quote_identifier, quote_qualified};
use crate::read::column::{self, Sort};
use crate::read::row::misfit;
use crate::types::row::RowSpec;
use tenantry_core::model::value::Value;
use tenantry_kit::parse;
use tenantry_provider::contract::{CommitGuard, Step, StepAction};

/// A column with what it is to be; `None` for NULL.
struct Cell {
    name: String,
    quoted: String,
    sort: Sort,
    wanted: Value,
    bound: Option<String>,
}

impl Cell {
    /// Of a comparison, or of an update.
    fn assigned(&self) -> String {
        format!("{} = {}", self.quoted, self.sort.placeholder())
    }
}

fn cells(fields: &BTreeMap<String, Value>, sorts: &BTreeMap<String, Sort>) -> Result<Vec<Cell>, Failure> {
    let cells = fields.iter().map(|(name, wanted)| {
        let sort = column::find(sorts, name).unwrap_or(Sort::Other);
        let (quoted, bound) = (quote_identifier(name)?, sort.bind(wanted));
        Ok(Cell { name: name.clone(), quoted, sort, wanted: wanted.clone(), bound })
    });
    cells.collect()
}

fn bound<'q>(sql: String, cells: impl Iterator<Item = &'q Cell>) -> Query<'q, MySql, MySqlArguments> {
    let query = sqlx::query(sqlx::AssertSqlSafe(sql));
    cells.fold(query, |query, cell| query.bind(cell.bound.clone()))
}

pub async fn write(connection: &mut MySqlConnection, step: &Step, guard: &dyn CommitGuard) -> Result<(), Failure> {
    let RowSpec { database, table, key, columns: wanted } = parse(step.spec())?;
    let qualified = quote_qualified(&database, &table)?;
    let columns = column::fetch(connection, &[&database]).await?;
    let none = BTreeMap::new();
    let sorts = columns.get(&(database, table)).unwrap_or(&none);
    if let Some(reason) = misfit(step.spec(), sorts) {
        return Err(Failure::invalid(reason));
    }
    let (key, wanted) = (cells(&key, sorts)?, cells(&wanted, sorts)?);
    if key.is_empty() {
        return Err(Failure::invalid("its spec names no key"));
    }
    let is_row = key.iter().map(Cell::assigned).collect::<Vec<_>>().join(" AND ");

    let mut transaction = connection.begin().await?;
    let is_delete = matches!(step.action, StepAction::Delete { .. });
    let mut selected = vec!["1".to_owned()];
    if !is_delete {
        selected.extend(wanted.iter().map(|cell| cell.sort.selected(&cell.quoted)));
    }
    let look = format!("SELECT {} FROM {qualified} WHERE {is_row}", selected.join(", "));
    let mut rows = match bound(look.clone(), key.iter()).fetch_all(&mut *transaction).await.map_err(Failure::from) {
        // With the table every row of it is gone.
        Err(failure) if is_delete && failure.is_missing() => return Ok(()),
        rows => rows?,
    };
    // To lock what is not there would lock the gap, in which other tenants' rows are made at the same moment.
    if !rows.is_empty() {
        rows = bound(format!("{look} FOR UPDATE"), key.iter()).fetch_all(&mut *transaction).await?;
    }
    // Before one is deleted: not every engine can take back what it has deleted.
    if rows.len() > 1 {
        return Err(several(rows.len() as u64));
    }
    if is_delete {
        if !rows.is_empty() {
            bound(format!("DELETE FROM {qualified} WHERE {is_row}"), key.iter()).execute(&mut *transaction).await?;
            hear(&mut transaction).await;
        }
        guard.check().await?;
        transaction.commit().await?;
        return Ok(());
    }
    match (rows.as_slice(), &step.action) {
        ([], StepAction::Update { .. }) => return Err(Failure::vanished()),
        ([], _) => {
            let all: Vec<&Cell> = key.iter().chain(&wanted).collect();
            let names = all.iter().map(|cell| cell.quoted.as_str()).collect::<Vec<_>>().join(", ");
            let marks = all.iter().map(|cell| cell.sort.placeholder()).collect::<Vec<_>>().join(", ");
            let sql = format!("INSERT INTO {qualified} ({names}) VALUES ({marks})");
            bound(sql, all.into_iter()).execute(&mut *transaction).await?;
            hear(&mut transaction).await;
        }
        ([row], action) => {
            let mut changed = Vec::new();
            for (index, cell) in wanted.iter().enumerate() {
                let found: Option<String> = row.try_get_unchecked(index + 1)?;
                let question = cell.sort.question(&cell.wanted, found.as_deref());
                let taken = column::taken(&mut transaction, question.as_slice()).await?.pop().flatten();
                let is_spelling = taken.is_some() && taken == found;
                if !is_spelling && cell.sort.observed(&cell.wanted, found.as_deref()) != cell.wanted {
                    changed.push(cell);
                }
            }
            match (changed.first(), action) {
                (None, _) => {}
                (Some(cell), StepAction::Create { .. }) => {
                    let message = format!("the row exists, and column \"{}\" differs", cell.name);
                    return Err(Failure::conflict(message));
                }
                (Some(_), _) => {
                    let set = changed.iter().map(|cell| cell.assigned()).collect::<Vec<_>>().join(", ");
                    let sql = format!("UPDATE {qualified} SET {set} WHERE {is_row}");
                    bound(sql, changed.into_iter().chain(&key)).execute(&mut *transaction).await?;
                    hear(&mut transaction).await;
                }
            }
        }
        (rows, _) => return Err(several(rows.len() as u64)),
    }
    guard.check().await?;
    transaction.commit().await?;
    Ok(())
}

fn several(rows: u64) -> Failure {
    Failure::invalid(format!("{rows} rows have this key"))
}

//! Rows. Every value is bound, as text that the server casts to the column's type.

use std::borrow::Cow;
use std::collections::BTreeMap;

use sqlx::Row as _;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;

use super::transaction::Transaction;
use super::{OfStep, StepFailure};
use crate::error::{Failed as _, Failure};
use crate::quote::{quote_identifier, quote_qualified};
use crate::read::column::{Column, Sort};
use crate::read::row::{columns_by_table, selected};
use crate::types::row::RowSpec;
use tenantry_core::model::value::{Map, Value, unescape_token};
use tenantry_kit::parse;
use tenantry_provider::contract::{Step, StepAction};

/// A row with the types of its columns.
struct Target {
    /// Quoted.
    table: String,
    key: Vec<(Column, Value)>,
    columns: Vec<(Column, Value)>,
}

/// A statement and what is bound to it.
#[derive(Default)]
struct Bound {
    values: Vec<Option<String>>,
}

impl Bound {
    /// A placeholder for one value, cast to a type.
    fn bind(&mut self, value: Option<String>, sql_type: &str) -> String {
        self.values.push(value);
        format!("${}::text::{sql_type}", self.values.len())
    }

    fn query(self, sql: String) -> Query<'static, sqlx::Postgres, PgArguments> {
        self.values.into_iter().fold(sqlx::query(sqlx::AssertSqlSafe(sql)), Query::bind)
    }

    /// The condition for a row of this key.
    fn key(&mut self, target: &Target) -> Result<String, Failure> {
        let mut conditions = Vec::with_capacity(target.key.len());
        for (column, value) in &target.key {
            let placeholder = self.bind(column.sort.bind(value), &column.sql_type);
            conditions.push(format!("t.{} = {placeholder}", quote_identifier(&column.name)?));
        }
        Ok(conditions.join(" AND "))
    }
}

pub async fn write(transaction: &mut Transaction<'_>, index: usize, step: &Step) -> Result<(), StepFailure> {
    // The table may come from a step before.
    transaction.flush().await?;
    write_row(transaction, step).await.of_step(index)
}

async fn write_row(transaction: &mut Transaction<'_>, step: &Step) -> Result<(), Failure> {
    let spec = step.spec();
    let row: RowSpec = parse(spec)?;
    let name = (row.schema.clone(), row.table.clone());
    let columns = columns_by_table(&mut *transaction.connection, std::slice::from_ref(&name)).await?;
    let Some(columns) = columns.get(&name) else {
        if step.is_delete() {
            return Ok(());
        }
        return Err(Failure::invalid(format!("there is no table \"{}\".\"{}\"", name.0, name.1)));
    };
    let target = Target::of(&row, spec, columns, step.is_delete())?;
    if step.is_delete() {
        let mut bound = Bound::default();
        let sql = format!("DELETE FROM {} t WHERE {}", target.table, bound.key(&target)?);
        let done = bound.query(sql).execute(&mut *transaction.connection).await?;
        if done.rows_affected() == 0 && target.current(transaction).await?.is_some() {
            return Err(Failure::invalid("the row is still there: a trigger or rule kept it from being deleted"));
        }
        return Ok(());
    }
    match (target.current(transaction).await?, &step.action) {
        (None, StepAction::Update { .. }) => Err(Failure::vanished()),
        (None, _) => target.insert(transaction).await,
        (Some(current), StepAction::Update { removed, applied, .. }) => {
            target.update(transaction, &current, removed, applied.as_ref()).await
        }
        // Without a mark, a repetition of our own write is known by its result only.
        (Some(current), _) if current.iter().all(|found| found.is_equal) => Ok(()),
        (Some(_), _) => Err(Failure::conflict("a row with this key has other values")),
    }
}

/// What a row has in one wanted column.
struct Found {
    value: Value,
    is_equal: bool,
}

impl Target {
    fn of(row: &RowSpec, spec: &Map, columns: &BTreeMap<String, Column>, key_only: bool) -> Result<Self, Failure> {
        let typed = |field: &str| {
            let values = spec.get(field).and_then(Value::as_map).into_iter().flat_map(Map::iter);
            values
                .map(|(name, value)| {
                    let column = columns.get(&**name).ok_or_else(|| {
                        Failure::invalid(format!("table \"{}\".\"{}\" has no column \"{name}\"", row.schema, row.table))
                    })?;
                    Ok((column.clone(), value.clone()))
                })
                .collect::<Result<Vec<_>, Failure>>()
        };
        let key = typed("key")?;
        if key.is_empty() {
            return Err(Failure::invalid("its key names no column"));
        }
        let columns = if key_only { Vec::new() } else { typed("columns")? };
        Ok(Self { table: quote_qualified(&row.schema, &row.table)?, key, columns })
    }

    /// The row as it is, locked until the transaction ends; `None` if there is none.
    async fn current(&self, transaction: &mut Transaction<'_>) -> Result<Option<Vec<Found>>, Failure> {
        let mut bound = Bound::default();
        let mut columns = vec!["1".to_owned()];
        for (column, value) in &self.columns {
            columns.push(selected(column, "t")?);
            // Whether two spellings mean the same is what the server makes of them, with the column's own scale.
            columns.push(match column.sort.bind(value) {
                wanted @ Some(_) if column.sort.is_settled_by_server() => {
                    let placeholder = bound.bind(wanted, &column.rounded_type);
                    let (found, wanted) = (selected(column, "t")?, column.sort.printed(&placeholder));
                    format!("COALESCE({found} = {wanted}, false)")
                }
                _ => "false".to_owned(),
            });
        }
        let condition = bound.key(self)?;
        let sql = format!("SELECT {} FROM {} t WHERE {condition} FOR UPDATE", columns.join(", "), self.table);
        let rows = bound.query(sql).fetch_all(&mut *transaction.connection).await?;
        match rows.as_slice() {
            [] => Ok(None),
            [row] => Ok(Some(self.found(row)?)),
            several => Err(Failure::invalid(format!("{} rows have this key", several.len()))),
        }
    }

    fn found(&self, row: &PgRow) -> Result<Vec<Found>, Failure> {
        let mut found = Vec::with_capacity(self.columns.len());
        for (index, (column, wanted)) in self.columns.iter().enumerate() {
            let text: Option<&str> = row.try_get(1 + 2 * index)?;
            let is_same: bool = row.try_get(2 + 2 * index)?;
            let value = column.sort.observed(wanted, text);
            let is_equal = is_same || covers(&value, wanted);
            found.push(Found { value, is_equal });
        }
        Ok(found)
    }

    async fn insert(&self, transaction: &mut Transaction<'_>) -> Result<(), Failure> {
        let mut bound = Bound::default();
        let (mut names, mut values) = (Vec::new(), Vec::new());
        for (column, value) in self.key.iter().chain(&self.columns) {
            names.push(quote_identifier(&column.name)?);
            values.push(bound.bind(column.sort.bind(value), &column.sql_type));
        }
        let sql = format!("INSERT INTO {} ({}) VALUES ({})", self.table, names.join(", "), values.join(", "));
        bound.query(sql).execute(&mut *transaction.connection).await?;
        Ok(())
    }

    async fn update(
        &self,
        transaction: &mut Transaction<'_>,
        current: &[Found],
        removed: &[String],
        applied: Option<&Map>,
    ) -> Result<(), Failure> {
        let mut bound = Bound::default();
        let mut assignments = Vec::new();
        for ((column, wanted), found) in self.columns.iter().zip(current) {
            let name = quote_identifier(&column.name)?;
            let applied = applied.and_then(|applied| applied.get("columns")?.get(&column.name));
            let removed = removed_below(removed, &column.name, &found.value, applied);
            let assigned = match (&found.value, wanted) {
                (Value::Map(_), Value::Map(_)) if column.sort == Sort::Json => {
                    let mut expression = format!("t.{name}::jsonb");
                    for path in removed {
                        let path = bound.bind(Sort::Array.bind(&path), "text[]");
                        expression = format!("({expression} #- {path})");
                    }
                    for (path, value) in differences(&found.value, wanted) {
                        let path = bound.bind(Sort::Array.bind(&path), "text[]");
                        let value = bound.bind(Sort::Json.bind(&value), "jsonb");
                        expression = format!("pg_catalog.jsonb_set({expression}, {path}, {value}, true)");
                    }
                    format!("({expression})::{}", column.sql_type)
                }
                _ if found.is_equal => continue,
                _ => bound.bind(column.sort.bind(wanted), &column.sql_type),
            };
            assignments.push(format!("{name} = {assigned}"));
        }
        if assignments.is_empty() {
            return Ok(());
        }
        let condition = bound.key(self)?;
        let sql = format!("UPDATE {} t SET {} WHERE {condition}", self.table, assignments.join(", "));
        let done = bound.query(sql).execute(&mut *transaction.connection).await?;
        match done.rows_affected() {
            1 => Ok(()),
            // A trigger or rule kept it from being written.
            other => Err(Failure::invalid(format!("{other} rows were written instead of one"))),
        }
    }
}

/// Whether what was found has everything that is wanted. Of maps, keys beyond the wanted ones do not matter.
fn covers(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Map(found), Value::Map(wanted)) => {
            wanted.iter().all(|(key, wanted)| found.get(key).is_some_and(|found| covers(found, wanted)))
        }
        _ => found == wanted,
    }
}

/// Where a JSON object has to be set to become what is wanted, as paths and values; keys that nobody named stay as they are, to
/// the last digit.
fn differences(found: &Value, wanted: &Value) -> Vec<(Value, Value)> {
    fn walk(found: &Map, wanted: &Map, path: &mut Vec<Value>, differences: &mut Vec<(Value, Value)>) {
        for (key, wanted) in wanted.iter() {
            path.push(Value::Text(key.clone()));
            match (found.get(key), wanted) {
                (Some(Value::Map(found)), Value::Map(wanted)) => walk(found, wanted, path, differences),
                (Some(found), wanted) if found == wanted => {}
                _ => differences.push((Value::from(path.clone()), wanted.clone())),
            }
            path.pop();
        }
    }
    let mut differences = Vec::new();
    if let (Value::Map(found), Value::Map(wanted)) = (found, wanted) {
        walk(found, wanted, &mut Vec::new(), &mut differences);
    }
    differences
}

/// Paths within a column that are no longer asked for, of pointers such as `/columns/settings/theme`. Of an object only the
/// keys go that were ours, and the object itself if nothing else is in it: others may have put theirs beside them.
fn removed_below(removed: &[String], column: &str, found: &Value, applied: Option<&Value>) -> Vec<Value> {
    let mut paths = Vec::new();
    for pointer in removed {
        let Some(rest) = pointer.strip_prefix("/columns/") else { continue };
        let mut tokens = rest.split('/').map(unescape_token);
        if tokens.next().is_none_or(|name| name != column) {
            continue;
        }
        let tokens: Vec<String> = tokens.map(Cow::into_owned).collect();
        if tokens.is_empty() {
            continue;
        }
        let (mut found, mut applied) = (Some(found), applied);
        for token in &tokens {
            found = found.and_then(|value| value.get(token));
            applied = applied.and_then(|value| value.get(token));
        }
        let path: Vec<Value> = tokens.iter().map(|token| Value::from(token.as_str())).collect();
        ours(path, found, applied, &mut paths);
    }
    paths
}

/// Adds what is ours of an object at a path. Returns whether nothing is left there.
fn ours(path: Vec<Value>, found: Option<&Value>, applied: Option<&Value>, paths: &mut Vec<Value>) -> bool {
    let (Some(Value::Map(found)), Some(Value::Map(applied))) = (found, applied) else {
        paths.push(Value::from(path));
        return true;
    };
    let mut below = Vec::new();
    let mut is_whole = true;
    for (key, value) in found.iter() {
        let Some(applied) = applied.get(key) else {
            is_whole = false;
            continue;
        };
        let path = path.iter().cloned().chain([Value::Text(key.clone())]).collect();
        is_whole &= ours(path, Some(value), Some(applied), &mut below);
    }
    if is_whole {
        paths.push(Value::from(path));
    } else {
        paths.extend(below);
    }
    is_whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(json: serde_json::Value) -> Value {
        Value::from(json)
    }

    #[test]
    fn a_difference_is_set_where_it_is() {
        let found = value(serde_json::json!({"a": 1, "b": {"c": 2, "mine": 3}, "d": 4}));
        let wanted = value(serde_json::json!({"a": 1, "b": {"c": 5}, "d": {"e": 6}, "f": {"g": 7}}));
        let expected = serde_json::json!([[["b", "c"], 5], [["d"], {"e": 6}], [["f"], {"g": 7}]]);
        let found = differences(&found, &wanted).into_iter().map(|(path, value)| Value::list([path, value]));
        assert_eq!(Value::list(found).to_json(), expected);
    }

    #[test]
    fn removed_pointers_become_paths() {
        let removed = ["/columns/settings/a~1b/c", "/columns/settings", "/columns/other/x", "/key"].map(str::to_owned);
        let paths = removed_below(&removed, "settings", &value(serde_json::json!({})), None);
        assert_eq!(Value::from(paths).to_json(), serde_json::json!([["a/b", "c"]]));
    }

    #[test]
    fn what_others_have_put_into_our_object_stays() {
        let removed = ["/columns/cfg/limits".to_owned()];
        let paths = |found: serde_json::Value, applied: serde_json::Value| {
            Value::from(removed_below(&removed, "cfg", &value(found), Some(&value(applied)))).to_json()
        };
        let applied = || serde_json::json!({"limits": {"a": {"users": 5}, "b": 1}});
        assert_eq!(paths(applied(), applied()), serde_json::json!([["limits"]]));
        let with_theirs = serde_json::json!({"limits": {"a": {"users": 5, "theirs": 1}, "b": 1}});
        assert_eq!(paths(with_theirs, applied()), serde_json::json!([["limits", "a", "users"], ["limits", "b"]]));
        let beside = serde_json::json!({"limits": {"a": {"users": 5}, "b": 1, "theirs": {}}});
        assert_eq!(paths(beside, applied()), serde_json::json!([["limits", "a"], ["limits", "b"]]));
        // What is no object was ours as it was.
        assert_eq!(paths(serde_json::json!({"limits": [1]}), applied()), serde_json::json!([["limits"]]));
    }

    #[test]
    fn keys_beyond_the_wanted_ones_do_not_matter() {
        let found = value(serde_json::json!({"a": {"b": 1, "c": 2}, "d": 3}));
        assert!(covers(&found, &value(serde_json::json!({"a": {"b": 1}}))));
        assert!(!covers(&found, &value(serde_json::json!({"a": {"b": 2}}))));
        assert!(!covers(&found, &value(serde_json::json!({"e": 1}))));
    }
}

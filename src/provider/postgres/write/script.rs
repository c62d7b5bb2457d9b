//! Scripts, and the record that they ran.

use sqlx::PgConnection;

use super::lock;
use super::transaction::{OWN_PATH, Owned, Transaction};
use super::{OfStep, StepFailure};
use crate::error::{Failed as _, Failure};
use crate::quote::{quote_identifier, quote_qualified};
use crate::read::script::{self, Server, TABLE};
use crate::statements::check_script;
use crate::types::script::ScriptSpec;
use tenantry_core::model::mark::{is_of, names_of};
use tenantry_kit::parse;
use tenantry_kit::script::{Record, check_holds, checksum};
use tenantry_provider::contract::{Step, StepAction};

/// Makes the table of records where it is missing. Returns whether it is there now: a step that deletes makes none.
///
/// In a transaction of its own and under a lock: two sessions that create one schema at a time fail even with `IF NOT EXISTS`.
pub async fn prepare(connection: &mut PgConnection, bookkeeping_schema: &str, step: &Step) -> Result<bool, Failure> {
    if script::table_exists(connection, bookkeeping_schema).await? {
        return Ok(true);
    }
    if step.is_delete() {
        return Ok(false);
    }
    let schema = quote_identifier(bookkeeping_schema)?;
    let table = quote_qualified(bookkeeping_schema, TABLE)?;
    let key = lock::key(&format!("bookkeeping/{bookkeeping_schema}"));
    let sql = format!(
        "BEGIN; SELECT pg_catalog.pg_advisory_xact_lock({key}); CREATE SCHEMA IF NOT EXISTS {schema}; \
         CREATE TABLE IF NOT EXISTS {table} (estate text NOT NULL, address text NOT NULL, schema_name text NOT NULL, \
         name text NOT NULL, checksum text NOT NULL, check_query text, run_at timestamptz NOT NULL, \
         PRIMARY KEY (estate, address)); COMMIT"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(connection).await?;
    Ok(true)
}

pub async fn write(transaction: &mut Transaction<'_>, index: usize, step: &Step) -> Result<(), StepFailure> {
    match &step.action {
        StepAction::Create { spec, .. } | StepAction::Update { spec, .. } => {
            let spec: ScriptSpec = parse(spec).of_step(index)?;
            // What it makes in a schema needs what the owner of the schema may do there.
            if let Some(schema) = &spec.schema {
                transaction.act_for_owner(index, Owned::Schema(schema)).await?;
            }
            transaction.flush().await?;
            run(transaction, step, &spec).await.of_step(index)
        }
        StepAction::Delete { before } => {
            transaction.flush().await?;
            let text = |field: &str| before.spec.get(field).and_then(|value| value.as_str()).unwrap_or_default();
            forget(transaction, step, text("schema"), text("name")).await.of_step(index)
        }
    }
}

async fn run(transaction: &mut Transaction<'_>, step: &Step, spec: &ScriptSpec) -> Result<(), Failure> {
    let schema = spec.schema.clone().unwrap_or_default();
    let address = step.mark.address.to_string();
    let name = (schema.clone(), spec.name.clone());
    let records = script::fetch(
        &mut *transaction.connection,
        transaction.bookkeeping_schema,
        &step.mark.estate,
        Some(&address),
        std::slice::from_ref(&name),
    )
    .await?;
    let is_named = |record: &&Record| (&record.within, &record.name) == (&name.0, &name.1);
    let is_ours = |record: &&Record| is_of(&record.estate, &step.mark.estate) && record.address == address;
    let existing = records.iter().find(|record| is_named(record) && is_ours(record)).or(records.iter().find(is_named));
    match (existing, &step.action) {
        (Some(record), _) => step.check_owner(record.mark().as_ref()).map_err(Failure::conflict)?,
        (None, StepAction::Update { .. }) => return Err(Failure::vanished()),
        (None, _) => {}
    }

    let wanted = checksum(&spec.sql);
    let has_run = existing.is_some_and(|record| record.checksum == wanted);
    let holds = match (&spec.check, has_run) {
        (Some(check), true) => check_of(transaction, check).await?,
        _ => true,
    };
    if !has_run || !holds {
        execute(transaction, spec).await?;
        if let Some(check) = &spec.check
            && !check_of(transaction, check).await?
        {
            return Err(Failure::invalid("it ran, but its check does not hold afterwards; it was rolled back"));
        }
    }
    let other = existing.filter(|record| record.estate != *step.mark.estate || record.address != address);
    if let Some(other) = other {
        remove(transaction, &other.estate, &other.address, &name.0, &name.1).await?;
    }
    record(transaction, step, spec, &schema, &wanted).await
}

/// Whether a check holds for the reader, which has no search path.
async fn check_of(transaction: &mut Transaction<'_>, check: &str) -> Result<bool, Failure> {
    transaction.looking(async |connection| check_holds(&mut Server(connection), check).await).await
}

/// Runs the user's statements with the settings that the user would expect.
async fn execute(transaction: &mut Transaction<'_>, spec: &ScriptSpec) -> Result<(), Failure> {
    check_script(&spec.sql).map_err(Failure::invalid)?;
    let path = match &spec.schema {
        Some(schema) => quote_identifier(schema)?,
        None => "DEFAULT".to_owned(),
    };
    let before = format!("SET LOCAL search_path TO {path}; SET LOCAL row_security TO DEFAULT");
    sqlx::raw_sql(sqlx::AssertSqlSafe(before)).execute(&mut *transaction.connection).await?;
    // It may change settings of the session for good.
    transaction.is_clean = false;
    sqlx::raw_sql(sqlx::AssertSqlSafe(spec.sql.clone())).execute(&mut *transaction.connection).await?;
    let after = format!("RESET ROLE; {OWN_PATH}; SET LOCAL row_security TO off");
    sqlx::raw_sql(sqlx::AssertSqlSafe(after)).execute(&mut *transaction.connection).await?;
    Ok(())
}

async fn record(
    transaction: &mut Transaction<'_>,
    step: &Step,
    spec: &ScriptSpec,
    schema: &str,
    checksum: &str,
) -> Result<(), Failure> {
    let table = quote_qualified(transaction.bookkeeping_schema, TABLE)?;
    let sql = format!(
        "INSERT INTO {table} AS s (estate, address, schema_name, name, checksum, check_query, run_at) \
         VALUES ($1, $2, $3, $4, $5, $6, pg_catalog.now()) \
         ON CONFLICT (estate, address) DO UPDATE SET schema_name = excluded.schema_name, name = excluded.name, \
           checksum = excluded.checksum, check_query = excluded.check_query, run_at = excluded.run_at"
    );
    sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(&*step.mark.estate)
        .bind(step.mark.address.to_string())
        .bind(schema)
        .bind(&spec.name)
        .bind(checksum)
        .bind(spec.check.as_deref())
        .execute(&mut *transaction.connection)
        .await?;
    Ok(())
}

async fn forget(transaction: &mut Transaction<'_>, step: &Step, schema: &str, name: &str) -> Result<(), Failure> {
    if !script::table_exists(&mut *transaction.connection, transaction.bookkeeping_schema).await? {
        return Ok(());
    }
    for estate in names_of(&step.mark.estate) {
        remove(transaction, estate, &step.mark.address.to_string(), schema, name).await?;
    }
    Ok(())
}

/// Removes a record. By its name too: another script may have taken the address over.
async fn remove(
    transaction: &mut Transaction<'_>,
    estate: &str,
    address: &str,
    schema: &str,
    name: &str,
) -> Result<(), Failure> {
    let table = quote_qualified(transaction.bookkeeping_schema, TABLE)?;
    let sql =
        format!("DELETE FROM {table} s WHERE s.estate = $1 AND s.address = $2 AND s.schema_name = $3 AND s.name = $4");
    let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(estate).bind(address).bind(schema).bind(name);
    query.execute(&mut *transaction.connection).await?;
    Ok(())
}

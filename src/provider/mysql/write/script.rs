//! Scripts, and the record that they ran.

use sqlx::MySqlConnection;

use super::{Session, execute, execute_heard, text};
use crate::connection::Connections;
use crate::error::{Failed as _, Failure};
use crate::quote::{quote_identifier, quote_qualified};
use crate::read::script::{self, Server, TABLE};
use crate::statements::{check_script, statements};
use crate::types::script::ScriptSpec;
use tenantry_core::model::mark::{is_of, names_of};
use tenantry_kit::parse;
use tenantry_kit::script::{Record, check_holds, checksum};
use tenantry_provider::contract::{Step, StepAction};

/// Answers with a connection that is as it was.
pub async fn write(
    connections: &Connections,
    mut session: Session,
    bookkeeping: &str,
    step: &Step,
) -> Result<Session, Failure> {
    let connection = &mut session.connection;
    let spec = step.spec();
    let name = (text(spec, "database"), text(spec, "name"));
    let records = script::fetch(connection, bookkeeping, Some(name)).await?;
    let address = step.mark.address.to_string();
    let is_ours = |record: &&Record| is_of(&record.estate, &step.mark.estate) && record.address == address;
    let existing = records.iter().find(is_ours).or(records.first());
    let spec: ScriptSpec = match (&step.action, existing) {
        (StepAction::Delete { .. }, _) => {
            for name in names_of(&step.mark.estate) {
                forget(connection, bookkeeping, name, &address).await?;
            }
            return Ok(session);
        }
        (StepAction::Update { .. }, None) => return Err(Failure::vanished()),
        (StepAction::Create { spec, .. } | StepAction::Update { spec, .. }, _) => parse(spec)?,
    };
    if let Some(record) = existing {
        step.check_owner(record.mark().as_ref()).map_err(Failure::conflict)?;
    }
    let wanted = checksum(&spec.sql);
    let has_run = existing.is_some_and(|record| record.checksum == wanted);
    let holds = match (&spec.check, has_run) {
        (Some(check), true) => check_holds(&mut Server(connection), check).await?,
        _ => true,
    };
    if !has_run || !holds {
        session = run(connections, session, &spec).await?;
        if let Some(check) = &spec.check
            && !check_holds(&mut Server(&mut session.connection), check).await?
        {
            return Err(Failure::invalid("it ran, but its check does not hold afterwards"));
        }
    }
    if let Some(other) = existing.filter(|record| record.estate != *step.mark.estate || record.address != address) {
        forget(&mut session.connection, bookkeeping, &other.estate, &other.address).await?;
    }
    let table = quote_qualified(bookkeeping, TABLE)?;
    let sql = format!(
        "REPLACE INTO {table} (estate, address, database_name, name, checksum, check_query) VALUES (?, ?, ?, ?, ?, ?)"
    );
    sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(&*step.mark.estate)
        .bind(&address)
        .bind(name.0)
        .bind(name.1)
        .bind(&wanted)
        .bind(spec.check.as_deref())
        .execute(&mut session.connection)
        .await?;
    Ok(session)
}

/// Runs the user's statements with the settings that the user would expect, and goes on with another connection.
///
/// A script may leave a transaction open, tables locked, or settings changed, as dumps do: in the first the record that it
/// ran would be lost, and with it what it did.
async fn run(connections: &Connections, mut session: Session, spec: &ScriptSpec) -> Result<Session, Failure> {
    check_script(&spec.sql).map_err(Failure::invalid)?;
    let connection = &mut session.connection;
    if let Some(database) = &spec.database {
        execute(connection, format!("USE {}", quote_identifier(database)?)).await?;
    }
    execute(connection, "SET SESSION sql_mode = @@GLOBAL.sql_mode".to_owned()).await?;
    execute(connection, "SET SESSION sql_notes = DEFAULT".to_owned()).await?;
    // The server keeps the warnings of one statement until the next.
    for statement in statements(&spec.sql) {
        execute_heard(connection, statement.to_owned()).await?;
    }
    execute(connection, "COMMIT".to_owned()).await?;
    session.into_inner().close().await;
    connections.acquire().await
}

async fn forget(
    connection: &mut MySqlConnection,
    bookkeeping: &str,
    estate: &str,
    address: &str,
) -> Result<(), Failure> {
    let table = quote_qualified(bookkeeping, TABLE)?;
    let sql = format!("DELETE FROM {table} WHERE estate = ? AND address = ?");
    let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(estate).bind(address);
    match query.execute(connection).await.map_err(Failure::from) {
        Err(failure) if !failure.is_missing() => Err(failure),
        _ => Ok(()),
    }
}

//! Databases. `CREATE DATABASE` and `DROP DATABASE` cannot be part of a transaction.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};
use sqlx::{PgConnection, Row as _};

use crate::connection::Connections;
use crate::error::{Failed as _, Failure};
use crate::mark::Comment;
use crate::quote::{quote_identifier, quote_literal};
use crate::read::database::{self, DatabaseState};
use crate::types::database::{DatabaseSpec, STAGING_PREFIX};
use tenantry_core::model::names::hex;
use tenantry_core::model::value::Value;
use tenantry_kit::parse;
use tenantry_provider::contract::{CommitGuard, Step, StepAction};

pub async fn write(connections: &Connections, step: &Step, guard: &dyn CommitGuard) -> Result<(), Failure> {
    let mut session = connections.acquire(connections.main_database()).await?;
    let connection = &mut session.connection;
    let name = step.spec().get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let existing = database::fetch(connection, std::slice::from_ref(&name), None).await?.pop();
    if let Some(state) = &existing {
        step.check_owner(state.comment.mark.as_ref()).map_err(Failure::conflict)?;
    }
    guard.check().await?;
    match (&step.action, existing) {
        (StepAction::Create { spec, .. }, None) => create(connection, step, &parse(spec)?, guard).await?,
        (StepAction::Create { spec, .. } | StepAction::Update { spec, .. }, Some(state)) => {
            converge(connection, step, &parse(spec)?, &state).await?;
        }
        (StepAction::Update { .. }, None) => return Err(Failure::vanished()),
        (StepAction::Delete { .. }, Some(_)) => drop_database(connection, &name).await?,
        (StepAction::Delete { .. }, None) => {}
    }
    connections.release(session).await;
    Ok(())
}

async fn run(connection: &mut PgConnection, statement: String) -> Result<(), Failure> {
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(connection).await?;
    Ok(())
}

/// Makes the database under a name of its own, marks it, and renames it: whatever crash comes in between, the wanted name
/// stands for a marked database or for none.
async fn create(
    connection: &mut PgConnection,
    step: &Step,
    spec: &DatabaseSpec,
    guard: &dyn CommitGuard,
) -> Result<(), Failure> {
    let staging_name = staging_name(step, &spec.name);
    let staging = quote_identifier(&staging_name)?;
    let database = quote_identifier(&spec.name)?;
    // Left by a crash: it is empty, and its options may be those of an earlier spec.
    let is_left = "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_database WHERE datname = $1::text::name)";
    if sqlx::query_scalar(is_left).bind(&staging_name).fetch_one(&mut *connection).await? {
        run(connection, format!("DROP DATABASE IF EXISTS {staging}")).await?;
    }

    let mut statement = format!("CREATE DATABASE {staging} CONNECTION LIMIT {}", spec.connection_limit);
    if let Some(owner) = &spec.owner {
        statement.push_str(&format!(" OWNER {}", quote_identifier(owner)?));
    }
    if let Some(encoding) = &spec.encoding {
        statement.push_str(&format!(" ENCODING {}", quote_literal(encoding)?));
    }
    if let Some(locale) = &spec.locale {
        statement.push_str(&format!(" LOCALE {}", quote_literal(locale)?));
    }
    if spec.encoding.is_some() || spec.locale.is_some() {
        // The only template that may be given another encoding or locale.
        statement.push_str(" TEMPLATE template0");
    }
    match run(connection, statement).await {
        // Somebody looks into the template at this moment.
        Err(failure) if failure.sqlstate() == Some("55006") => return Err(Failure::busy(failure.to_string())),
        other => other?,
    }
    let comment = Comment::default().marked(&step.mark, BTreeMap::new());
    run(connection, format!("COMMENT ON DATABASE {staging} IS {}", quote_literal(&comment.render())?)).await?;
    guard.check().await?;
    run(connection, format!("ALTER DATABASE {staging} RENAME TO {database}")).await
}

/// A name that only this resource uses.
fn staging_name(step: &Step, name: &str) -> String {
    let digest = hex(&Sha256::digest(format!("{}\0{}\0{name}", step.mark.estate, step.mark.address)));
    format!("{STAGING_PREFIX}{}", &digest[..24])
}

async fn converge(
    connection: &mut PgConnection,
    step: &Step,
    spec: &DatabaseSpec,
    state: &DatabaseState,
) -> Result<(), Failure> {
    let database = quote_identifier(&spec.name)?;
    if spec.connection_limit != state.connection_limit {
        run(connection, format!("ALTER DATABASE {database} CONNECTION LIMIT {}", spec.connection_limit)).await?;
    }
    let comment = state.comment.marked(&step.mark, BTreeMap::new());
    if comment != state.comment {
        run(connection, format!("COMMENT ON DATABASE {database} IS {}", quote_literal(&comment.render())?)).await?;
    }
    if let Some(owner) = &spec.owner
        && *owner != state.owner
    {
        run(connection, format!("ALTER DATABASE {database} OWNER TO {}", quote_identifier(owner)?)).await?;
    }
    Ok(())
}

const SESSIONS_QUERY: &str = "
SELECT COALESCE(a.usename::text, 'unknown'), COALESCE(a.application_name, ''), pg_catalog.count(*)
FROM pg_catalog.pg_stat_activity a
WHERE a.datname = $1::text::name AND a.pid <> pg_catalog.pg_backend_pid()
GROUP BY 1, 2 ORDER BY 1, 2 LIMIT 5";

/// Never by force: whoever is connected works with the data.
async fn drop_database(connection: &mut PgConnection, name: &str) -> Result<(), Failure> {
    let dropped = run(connection, format!("DROP DATABASE IF EXISTS {}", quote_identifier(name)?)).await;
    let Err(failure) = dropped else { return Ok(()) };
    if failure.sqlstate() != Some("55006") {
        return Err(failure);
    }
    let rows = sqlx::query(SESSIONS_QUERY).bind(name).fetch_all(connection).await?;
    let mut sessions = Vec::with_capacity(rows.len());
    for row in &rows {
        let (user, application): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let count: i64 = row.try_get(2)?;
        let of = if application.is_empty() { String::new() } else { format!(" ({application})") };
        sessions.push(format!("{count} of {user}{of}"));
    }
    if sessions.is_empty() {
        return Err(Failure::busy(failure.to_string()));
    }
    Err(Failure::conflict(format!("sessions are connected to it: {}; end them first", sessions.join(", "))))
}

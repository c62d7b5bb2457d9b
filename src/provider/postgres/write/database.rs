//! Databases. `CREATE DATABASE` and `DROP DATABASE` cannot be part of a transaction.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};
use sqlx::{PgConnection, Row as _};
use tokio::sync::OnceCell;

use super::login::{Login, Standing};
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

pub async fn write(
    connections: &Connections,
    login: &OnceCell<Login>,
    step: &Step,
    guard: &dyn CommitGuard,
) -> Result<(), Failure> {
    let mut session = connections.acquire(connections.main_database()).await?;
    let connection = &mut session.connection;
    let login = login.get_or_try_init(|| Login::fetch(connection)).await?;
    let name = step.spec().get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let existing = database::fetch(connection, std::slice::from_ref(&name), None).await?.pop();
    if let Some(state) = &existing {
        step.check_owner(state.comment.mark.as_ref()).map_err(Failure::conflict)?;
    }
    guard.check().await?;
    match (&step.action, existing) {
        (StepAction::Create { spec, .. }, None) => create(connection, login, step, &parse(spec)?, guard).await?,
        (StepAction::Create { spec, .. } | StepAction::Update { spec, .. }, Some(state)) => {
            let spec: DatabaseSpec = parse(spec)?;
            if spec.connection_limit == 0 && spec.name == **connections.main_database() && !login.is_superuser {
                return Err(Failure::invalid("nobody could connect to it any more, and Tenantry itself does"));
            }
            converge(connection, login, step, &spec, &state).await?;
        }
        (StepAction::Update { .. }, None) => return Err(Failure::vanished()),
        (StepAction::Delete { .. }, Some(state)) => drop_owned(connection, login, &state).await?,
        (StepAction::Delete { .. }, None) => {}
    }
    connections.release(session).await;
    Ok(())
}

async fn run(connection: &mut PgConnection, statement: String) -> Result<(), Failure> {
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(connection).await?;
    Ok(())
}

/// Runs statements in one transaction, with the rights of some roles that we may grant ourselves, and that we have only there.
async fn run_for(
    connection: &mut PgConnection,
    login: &Login,
    roles: &[&str],
    statements: Vec<String>,
) -> Result<(), Failure> {
    let (mut all, mut after) = (vec!["BEGIN".to_owned()], Vec::new());
    for role in roles.iter().filter(|role| !login.is_superuser && ***role != *login.name) {
        if let Standing::MayJoin { before } = login.standing(connection, role).await? {
            all.push(login.join(role)?);
            after.push(login.leave(role, before)?);
        }
    }
    all.extend(statements);
    all.extend(after);
    all.push("COMMIT".to_owned());
    let done = run(connection, all.join(";\n")).await;
    if done.is_err() {
        run(connection, "ROLLBACK".to_owned()).await?;
    }
    done
}

/// Makes the database under a name of its own, marks it, and renames it: whatever crash comes in between, the wanted name
/// stands for a marked database or for none.
async fn create(
    connection: &mut PgConnection,
    login: &Login,
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
    let mut statements = vec![format!("COMMENT ON DATABASE {staging} IS {}", quote_literal(&comment.render())?)];
    let mut roles = Vec::new();
    if let Some(owner) = &spec.owner {
        statements.push(format!("ALTER DATABASE {staging} RENAME TO {database}"));
        statements.push(format!("ALTER DATABASE {database} OWNER TO {}", quote_identifier(owner)?));
        roles.push(owner.as_str());
    } else {
        statements.push(format!("ALTER DATABASE {staging} RENAME TO {database}"));
    }
    guard.check().await?;
    let made = run_for(connection, login, &roles, statements).await;
    if made.is_err() {
        // It is empty, and nobody knows its name.
        run(connection, format!("DROP DATABASE IF EXISTS {staging}")).await?;
    }
    made
}

/// A name that only this resource uses.
fn staging_name(step: &Step, name: &str) -> String {
    let digest = hex(&Sha256::digest(format!("{}\0{}\0{name}", step.mark.estate, step.mark.address)));
    format!("{STAGING_PREFIX}{}", &digest[..24])
}

async fn converge(
    connection: &mut PgConnection,
    login: &Login,
    step: &Step,
    spec: &DatabaseSpec,
    state: &DatabaseState,
) -> Result<(), Failure> {
    let database = quote_identifier(&spec.name)?;
    let mut statements = Vec::new();
    let mut roles = vec![state.owner.as_str()];
    if spec.connection_limit != state.connection_limit {
        statements.push(format!("ALTER DATABASE {database} CONNECTION LIMIT {}", spec.connection_limit));
    }
    let comment = state.comment.marked(&step.mark, BTreeMap::new());
    if comment != state.comment {
        statements.push(format!("COMMENT ON DATABASE {database} IS {}", quote_literal(&comment.render())?));
    }
    if let Some(owner) = &spec.owner
        && *owner != state.owner
    {
        statements.push(format!("ALTER DATABASE {database} OWNER TO {}", quote_identifier(owner)?));
        roles.push(owner);
    }
    if statements.is_empty() { Ok(()) } else { run_for(connection, login, &roles, statements).await }
}

/// Drops a database. A login that is no superuser has to own it, and dropping is no part of a transaction; so it becomes the
/// owner first, and stays it only if the database goes.
async fn drop_owned(connection: &mut PgConnection, login: &Login, state: &DatabaseState) -> Result<(), Failure> {
    let DatabaseState { name, owner, .. } = state;
    let takes_over = !login.is_superuser
        && *owner != login.name
        && matches!(login.standing(connection, owner).await?, Standing::MayJoin { .. });
    let database = quote_identifier(name)?;
    if takes_over {
        let statement = format!("ALTER DATABASE {database} OWNER TO CURRENT_USER");
        run_for(connection, login, &[owner], vec![statement]).await?;
    }
    let dropped = drop_database(connection, name).await;
    if takes_over && dropped.is_err() {
        let statement = format!("ALTER DATABASE {database} OWNER TO {}", quote_identifier(owner)?);
        if let Err(error) = run_for(connection, login, &[owner], vec![statement]).await {
            tracing::warn!("database \"{name}\" stays with the login of Tenantry: {error}");
        }
    }
    dropped
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

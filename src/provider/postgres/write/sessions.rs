//! Sessions of roles that lose their access. The server lets those go on that are open; so they are ended once the change is
//! committed, when nobody can open another.

use sqlx::PgConnection;

use super::login::{Login, Standing};
use crate::error::Failure;

/// A role that can no longer log in.
#[derive(Clone, Debug)]
pub struct Ended {
    pub step: usize,
    pub role: String,
    /// The number of the role, which its sessions keep when it is dropped.
    pub oid: i64,
}

const TERMINATE: &str = "
SELECT pg_catalog.count(*) FILTER (WHERE pg_catalog.pg_terminate_backend(a.pid))
FROM pg_catalog.pg_stat_activity a WHERE a.usesysid = $1::int8::oid AND a.pid <> pg_catalog.pg_backend_pid()";

/// Ends the sessions of a role within a transaction.
pub async fn terminate(connection: &mut PgConnection, oid: i64) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(TERMINATE).bind(oid).fetch_one(connection).await
}

/// Ends the sessions of roles outside a transaction. Returns what somebody has to read, with the index of its step.
///
/// A login that is no superuser needs the role's privileges for it. What it takes is never committed.
pub async fn end(connection: &mut PgConnection, login: &Login, ended: &[Ended]) -> Vec<(usize, String)> {
    let mut notices = Vec::new();
    for Ended { step, role, oid } in ended {
        if let Err(failure) = end_one(connection, login, role, *oid).await {
            notices.push((
                *step,
                format!(
                    "WARNING: role \"{role}\" has lost its access, but its open sessions could not be ended: {failure}; \
                     grant pg_signal_backend to the login of Tenantry, or end them by hand"
                ),
            ));
            if sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await.is_err() {
                break;
            }
        }
    }
    notices
}

async fn end_one(connection: &mut PgConnection, login: &Login, role: &str, oid: i64) -> Result<(), Failure> {
    sqlx::raw_sql("BEGIN").execute(&mut *connection).await?;
    if !login.is_superuser && matches!(login.standing(connection, role).await?, Standing::MayJoin { .. }) {
        sqlx::raw_sql(sqlx::AssertSqlSafe(login.join(role)?)).execute(&mut *connection).await?;
    }
    terminate(connection, oid).await?;
    sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await?;
    Ok(())
}

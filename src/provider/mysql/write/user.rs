//! Users.

use sqlx::{MySqlConnection, Row as _};

use super::{Session, execute, execute_heard, text};
use crate::connection::{Flavour, Open, Server};
use crate::error::{Failed as _, Failure};
use crate::mark::{self, Label};
use crate::password::{fingerprint, unknown_password, verifier};
use crate::quote::{quote_literal, quote_user};
use crate::read::user::{fetch, too_long};
use crate::types::user::{Tls, UserSpec};
use tenantry_kit::parse;
use tenantry_provider::contract::{OWN_USER, Step, StepAction};

pub async fn write(session: &mut Session, bookkeeping: &str, step: &Step) -> Result<(), Failure> {
    let spec = step.spec();
    let key = (text(spec, "name"), text(spec, "host"));
    if session.is_own(key.0, key.1) {
        return Err(Failure::invalid(OWN_USER));
    }
    let Open { connection, server: Server { flavour, .. }, .. } = &mut **session;
    let existing = fetch(connection, *flavour, bookkeeping, Some(key)).await?.into_values().next();
    if let Some(state) = &existing {
        step.check_owner(state.label.as_ref().map(|label| &label.mark)).map_err(Failure::conflict)?;
    }
    let user = quote_user(key.0, key.1)?;
    let in_table = *flavour == Flavour::MariaDb;
    let (spec, drops_password): (UserSpec, bool) = match &step.action {
        StepAction::Delete { .. } => {
            // What is not there now may be somebody else's in a moment.
            if existing.is_some() {
                end(connection, key.0, &user).await?;
            }
            return match in_table {
                true => mark::remove(connection, bookkeeping, "user", key, &step.mark).await,
                false => Ok(()),
            };
        }
        StepAction::Update { .. } if existing.is_none() => return Err(Failure::vanished()),
        StepAction::Update { spec, removed, .. } => {
            (parse(spec)?, removed.iter().any(|pointer| pointer == "/password"))
        }
        StepAction::Create { spec, .. } => (parse(spec)?, false),
    };
    if *flavour == Flavour::MySql
        && let Some(problem) = too_long(&spec.name)
    {
        return Err(Failure::invalid(problem));
    }

    let mut clauses = vec![user];
    let mut noted = None;
    let (unknown, is_given) = (unknown_password(), spec.password.is_some());
    let password = match &spec.password {
        Some(password) if password.is_empty() => return Err(Failure::invalid("its password is empty")),
        Some(password) => Some(password.as_str()),
        // Without one the server would let everybody in.
        None if drops_password || existing.is_none() => Some(unknown.as_str()),
        None => None,
    };
    if let Some(password) = password {
        let (plugin, text) = verifier(*flavour, password);
        clauses.push(match flavour {
            Flavour::MariaDb => format!("IDENTIFIED VIA {plugin} USING {}", quote_literal(&text)?),
            Flavour::MySql => format!("IDENTIFIED WITH {plugin} AS {}", quote_literal(&text)?),
        });
        noted = is_given.then(|| fingerprint(plugin, &text));
    }
    clauses.extend(options(&spec));
    let label = Label { mark: step.mark.clone(), password: noted };
    if in_table {
        mark::store(connection, bookkeeping, "user", key, &label).await?;
    } else {
        clauses.push(format!("ATTRIBUTE {}", quote_literal(&label.attribute())?));
    }
    let verb = if existing.is_some() { "ALTER" } else { "CREATE" };
    let made = execute_heard(connection, format!("{verb} USER {}", clauses.join(" "))).await;
    if in_table && existing.is_none() && made.as_ref().is_err_and(|failure| failure.number().is_some()) {
        // Somebody else made it in this moment, or nobody did: either way it is not ours.
        mark::remove(connection, bookkeeping, "user", key, &step.mark).await?;
    }
    made?;
    if spec.locked && existing.is_some_and(|state| !state.locked) {
        close_connections(connection, key.0).await;
    }
    Ok(())
}

fn options(spec: &UserSpec) -> Vec<String> {
    let tls = match spec.tls {
        Tls::None => "NONE",
        Tls::Any => "SSL",
        Tls::X509 => "X509",
    };
    vec![
        format!("REQUIRE {tls}"),
        format!(
            "WITH MAX_QUERIES_PER_HOUR {} MAX_UPDATES_PER_HOUR {} MAX_CONNECTIONS_PER_HOUR {} MAX_USER_CONNECTIONS {}",
            spec.max_queries_per_hour,
            spec.max_updates_per_hour,
            spec.max_connections_per_hour,
            spec.max_user_connections
        ),
        format!("ACCOUNT {}", if spec.locked { "LOCK" } else { "UNLOCK" }),
    ]
}

/// Takes a user away. It is locked first: who logs in between the end of its connections and its own would stay.
async fn end(connection: &mut MySqlConnection, name: &str, user: &str) -> Result<(), Failure> {
    match execute(connection, format!("ALTER USER {user} ACCOUNT LOCK")).await {
        // ER_CANNOT_USER: it has gone by itself.
        Err(failure) if failure.number() != Some(1396) => return Err(failure),
        _ => {}
    }
    close_connections(connection, name).await;
    execute(connection, format!("DROP USER IF EXISTS {user}")).await
}

/// Ends the connections of a user: who is logged in stays so, whatever becomes of the user.
///
/// The server's list does not say as which of several users of one name somebody logged in; then they are left alone.
async fn close_connections(connection: &mut MySqlConnection, name: &str) {
    if let Err(failure) = try_close(connection, name).await {
        tracing::warn!("open connections of user \"{name}\" may stay open: {failure}");
    }
}

async fn try_close(connection: &mut MySqlConnection, name: &str) -> Result<(), Failure> {
    let same_name: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM mysql.user WHERE User = ?")
        .bind(name)
        .fetch_one(&mut *connection)
        .await?;
    if same_name != 1 {
        return Err(Failure::invalid(format!("{same_name} users have this name")));
    }
    let open = "SELECT CAST(ID AS SIGNED) FROM information_schema.PROCESSLIST WHERE USER = ?";
    for row in &sqlx::query(open).bind(name).fetch_all(&mut *connection).await? {
        let id: i64 = row.try_get_unchecked(0)?;
        match execute(connection, format!("KILL CONNECTION {id}")).await {
            // ER_NO_SUCH_THREAD: it ended by itself.
            Err(failure) if failure.number() != Some(1094) => return Err(failure),
            _ => {}
        }
    }
    Ok(())
}

//! Privileges: what is missing is granted, what is there besides is taken away.

use std::collections::BTreeSet;

use sqlx::MySqlConnection;

use super::{execute, execute_heard};
use crate::error::{Failed as _, Failure};
use crate::quote::{escape_pattern, quote_identifier, quote_qualified, quote_user};
use crate::read::grant::{self as read, Everything, Held, Key, fetch};
use crate::types::grant::{GrantSpec, On};
use tenantry_core::model::value::Value;
use tenantry_kit::parse;
use tenantry_provider::contract::{Step, StepAction};

pub async fn write(connection: &mut MySqlConnection, step: &Step) -> Result<(), Failure> {
    let spec: GrantSpec = parse(step.spec())?;
    let key = Key::of(step.spec()).ok_or_else(|| Failure::invalid("its spec names no user"))?;
    take_beside(connection, step, &key).await?;
    let level = fetch(connection, spec.on).await?;
    let held = level.get(&key)?.cloned();
    let wants_all = spec.privileges.iter().any(|privilege| privilege == "ALL");
    let wanted: BTreeSet<String> = spec.privileges.iter().cloned().collect();
    let is_as_wanted = held.as_ref().is_some_and(|held| {
        let same = if wants_all { level.is_all(held) } else { held.privileges == wanted };
        same && held.with_grant_option == spec.with_grant_option
    });
    let held = match (&step.action, held) {
        (StepAction::Delete { .. }, None) => return Ok(()),
        (StepAction::Delete { .. }, Some(held)) => {
            return revoke(connection, &spec, &held.privileges, held.with_grant_option).await;
        }
        (StepAction::Create { .. }, Some(_)) if !is_as_wanted => {
            return Err(Failure::conflict("the user already has other privileges on it"));
        }
        (StepAction::Update { .. }, None) => return Err(Failure::vanished()),
        (_, held) => held.unwrap_or_default(),
    };
    if is_as_wanted {
        return Ok(());
    }
    let Held { privileges, with_grant_option } = held;
    if !wants_all || !spec.with_grant_option {
        let extra: BTreeSet<String> =
            if wants_all { BTreeSet::new() } else { privileges.difference(&wanted).cloned().collect() };
        revoke(connection, &spec, &extra, with_grant_option && !spec.with_grant_option).await?;
    }
    let list = if wants_all { "ALL PRIVILEGES".to_owned() } else { words(&wanted) };
    let option = if spec.with_grant_option { " WITH GRANT OPTION" } else { "" };
    let user = quote_user(&spec.user, &spec.host)?;
    // The session is set so that no server makes the user.
    execute_heard(connection, format!("GRANT {list} ON {} TO {user}{option}", object(&spec)?)).await
}

/// Takes away what the plan has seen the user hold besides, and nothing that came since or that another grant is about.
async fn take_beside(connection: &mut MySqlConnection, step: &Step, key: &Key) -> Result<(), Failure> {
    let (StepAction::Update { before, .. } | StepAction::Delete { before }) = &step.action else { return Ok(()) };
    let seen = before.spec.get("alsoHeld").and_then(Value::as_list).unwrap_or_default();
    if seen.is_empty() {
        return Ok(());
    }
    let user = quote_user(&key.user, &key.host)?;
    for (of, held) in Everything::fetch(connection).await?.beside(key, |_| false) {
        let words = read::words(&of, &held)?;
        if !seen.iter().any(|seen| seen.as_str() == Some(&words)) {
            continue;
        }
        match execute(connection, format!("REVOKE {words} FROM {user}")).await {
            // Somebody was faster.
            Err(failure) if matches!(failure.number(), Some(1141 | 1147)) => {}
            other => other?,
        }
    }
    Ok(())
}

async fn revoke(
    connection: &mut MySqlConnection,
    spec: &GrantSpec,
    privileges: &BTreeSet<String>,
    grant_option: bool,
) -> Result<(), Failure> {
    let mut all = privileges.clone();
    if grant_option {
        all.insert("GRANT OPTION".to_owned());
    }
    if all.is_empty() {
        return Ok(());
    }
    let user = quote_user(&spec.user, &spec.host)?;
    let revoked = execute(connection, format!("REVOKE {} ON {} FROM {user}", words(&all), object(spec)?)).await;
    match revoked {
        // The user is gone, and its privileges with it; or somebody was faster.
        Err(failure) if matches!(failure.number(), Some(1141 | 1147)) => Ok(()),
        other => other,
    }
}

/// Privileges as statements have them. Each was checked to be letters and spaces.
fn words(privileges: &BTreeSet<String>) -> String {
    privileges.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn object(spec: &GrantSpec) -> Result<String, Failure> {
    let named = |name: &Option<String>| {
        name.clone().ok_or_else(|| Failure::invalid("its spec does not name the object of the privileges"))
    };
    for privilege in &spec.privileges {
        if !privilege.chars().all(|c| c.is_ascii_alphabetic() || " _".contains(c)) {
            return Err(Failure::invalid(format!("{privilege:?} is not a privilege")));
        }
    }
    Ok(match spec.on {
        On::Global => "*.*".to_owned(),
        On::Database => format!("{}.*", quote_identifier(&escape_pattern(&named(&spec.database)?))?),
        On::Table => quote_qualified(&named(&spec.database)?, &named(&spec.table)?)?,
    })
}

//! Roles.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sqlx::{PgConnection, Row as _};

use super::login::Login;
use super::sessions::{self, Ended};
use super::transaction::Transaction;
use super::{OfStep, StepFailure, grant};
use crate::connection::Connections;
use crate::error::{Failed as _, Failure};
use crate::quote::{NulCharacter, quote_identifier, quote_literal};
use crate::read::lines::{self, Line};
use crate::read::role::{Membership, PASSWORD_NOTE, RoleState, SettingInDatabase, fetch};
use crate::scram::Verifier;
use crate::types::role::{self, RoleSpec, canonical_time, identifier_list, is_identifier_list};
use tenantry_kit::parse;
use tenantry_provider::contract::{CommitGuard, OWN_USER, Step, StepAction};

/// What a role is that was created without any word about it.
fn fresh() -> RoleState {
    RoleState { connection_limit: -1, inherit: true, ..RoleState::default() }
}

pub async fn write(transaction: &mut Transaction<'_>, index: usize, step: &Step) -> Result<(), StepFailure> {
    match &step.action {
        StepAction::Delete { before } => {
            let name = before.spec.get("name").and_then(|name| name.as_str()).unwrap_or_default().to_owned();
            delete(transaction, index, step, &name).await
        }
        StepAction::Create { spec, .. } => {
            let spec: RoleSpec = parse(spec).of_step(index)?;
            let set_password = spec.password.is_some();
            converge(transaction, index, step, &spec, set_password).await
        }
        StepAction::Update { spec, before, changed, removed, .. } => {
            let spec: RoleSpec = parse(spec).of_step(index)?;
            let Some(state) = transaction.roles.get(&spec.name) else { return Err(Failure::vanished()).of_step(index) };
            let names_password = |pointers: &[String]| pointers.iter().any(|pointer| pointer == "/password");
            let secret_changed =
                before.mark.as_ref().and_then(|mark| mark.secret_hash.as_ref()) != step.mark.secret_hash.as_ref();
            let set_password = match &spec.password {
                Some(_) => names_password(changed) || secret_changed || !state.password_is_ours(),
                None => names_password(removed),
            };
            converge(transaction, index, step, &spec, set_password).await
        }
    }
}

async fn converge(
    transaction: &mut Transaction<'_>,
    index: usize,
    step: &Step,
    spec: &RoleSpec,
    set_password: bool,
) -> Result<(), StepFailure> {
    let existing = transaction.roles.remove(&spec.name);
    if let Some(state) = &existing {
        step.check_owner(state.comment.mark.as_ref()).map_err(Failure::conflict).of_step(index)?;
        if state.is_own {
            return Err(Failure::invalid(OWN_USER)).of_step(index);
        }
        // Whoever granted a membership has to take it away.
        if transaction.login.has_membership_options() {
            for membership in removed_memberships(state, spec) {
                transaction.act_for(index, &membership.grantor).await?;
            }
        }
        if state.login && !spec.login {
            transaction.ended.push(Ended { step: index, role: state.name.clone(), oid: state.oid });
        }
    }
    let has_options = transaction.login.has_membership_options();
    for statement in statements(step, spec, existing, set_password, has_options).of_step(index)? {
        transaction.push(index, statement);
    }
    Ok(())
}

/// Memberships that are not wanted, or not with these options: all of a group go, and the group is joined anew.
fn removed_memberships<'a>(state: &'a RoleState, spec: &RoleSpec) -> Vec<&'a Membership> {
    let groups = state.groups(spec.inherit);
    let is_wanted = |membership: &&Membership| {
        spec.member_of.contains(&membership.group) && groups.get(&*membership.group) == Some(&membership.group)
    };
    state.memberships.iter().filter(|membership| !is_wanted(membership)).collect()
}

fn statements(
    step: &Step,
    spec: &RoleSpec,
    existing: Option<RoleState>,
    set_password: bool,
    has_membership_options: bool,
) -> Result<Vec<String>, Failure> {
    let exists = existing.is_some();
    let state = existing.unwrap_or_else(fresh);
    let role = quote_identifier(&spec.name)?;
    let mut statements = Vec::new();

    let mut options = attributes(spec, &state)?;
    let mut notes = BTreeMap::new();
    match (&spec.password, set_password) {
        (Some(password), true) => {
            let verifier = Verifier::new(password);
            options.push(format!("PASSWORD {}", quote_literal(verifier.text())?));
            notes.insert(PASSWORD_NOTE.to_owned(), verifier.fingerprint());
        }
        (Some(_), false) => {
            notes.extend(
                state.comment.notes.get_key_value(PASSWORD_NOTE).map(|(name, note)| (name.clone(), note.clone())),
            );
        }
        (None, true) => options.push("PASSWORD NULL".to_owned()),
        (None, false) => {}
    }
    let options = options.join(" ");
    if !exists {
        statements.push(format!("CREATE ROLE {role} {options}"));
    } else if !options.is_empty() {
        statements.push(format!("ALTER ROLE {role} {options}"));
    }

    let current = state.setting_values();
    for (name, _) in state.settings.iter().filter_map(|setting| setting.split_once('=')) {
        // The server keeps names of its own making with their case, and forgets them by it.
        if !spec.settings.contains_key(name) {
            statements.push(format!("ALTER ROLE {role} RESET {}", setting_name(name)?));
        }
    }
    for SettingInDatabase { database, setting } in &state.settings_in_databases {
        let database = quote_identifier(database)?;
        let name = setting_name(setting.split_once('=').map_or(&**setting, |(name, _)| name))?;
        statements.push(format!("ALTER ROLE {role} IN DATABASE {database} RESET {name}"));
    }
    for (name, value) in &spec.settings {
        let is_spelled_so = state.settings.iter().any(|setting| setting.starts_with(&format!("{name}=")));
        if !is_spelled_so || current.get(name).and_then(|value| value.as_str()) != Some(value) {
            statements.push(format!(
                "ALTER ROLE {role} SET {} TO {}",
                setting_name(name)?,
                setting_value(name, value)?
            ));
        }
    }
    let removed = removed_memberships(&state, spec);
    for membership in &removed {
        let group = quote_identifier(&membership.group)?;
        statements.push(match has_membership_options {
            true => format!("REVOKE {group} FROM {role} GRANTED BY {} CASCADE", quote_identifier(&membership.grantor)?),
            false => format!("REVOKE {group} FROM {role}"),
        });
    }
    let is_kept = |group: &String| {
        let is_it = |membership: &&Membership| membership.group == *group;
        state.memberships.iter().any(|membership| is_it(&membership)) && !removed.iter().any(is_it)
    };
    for group in spec.member_of.iter().filter(|group| !is_kept(group)) {
        statements.push(format!("GRANT {} TO {role}", quote_identifier(group)?));
    }
    let comment = state.comment.marked(&step.mark, notes);
    if comment != state.comment {
        statements.push(format!("COMMENT ON ROLE {role} IS {}", quote_literal(&comment.render())?));
    }
    Ok(statements)
}

/// Options for what differs. Nothing else is mentioned: some may only be mentioned by a superuser.
fn attributes(spec: &RoleSpec, state: &RoleState) -> Result<Vec<String>, NulCharacter> {
    let mut options = Vec::new();
    for (wanted, found, word) in [
        (spec.login, state.login, "LOGIN"),
        (spec.inherit, state.inherit, "INHERIT"),
        (spec.createdb, state.createdb, "CREATEDB"),
        (spec.createrole, state.createrole, "CREATEROLE"),
        (spec.bypassrls, state.bypassrls, "BYPASSRLS"),
        (false, state.superuser, "SUPERUSER"),
        (false, state.replication, "REPLICATION"),
    ] {
        if wanted != found {
            options.push(if wanted { word.to_owned() } else { format!("NO{word}") });
        }
    }
    if spec.connection_limit != state.connection_limit {
        options.push(format!("CONNECTION LIMIT {}", spec.connection_limit));
    }
    let valid_until = canonical_time(&spec.valid_until);
    if valid_until != state.valid_until.as_deref().unwrap_or("infinity") {
        options.push(format!("VALID UNTIL {}", quote_literal(&valid_until)?));
    }
    Ok(options)
}

/// A parameter's name; parts of a custom one are joined by dots.
fn setting_name(name: &str) -> Result<String, NulCharacter> {
    Ok(name.split('.').map(quote_identifier).collect::<Result<Vec<_>, _>>()?.join("."))
}

fn setting_value(name: &str, value: &str) -> Result<String, NulCharacter> {
    if !is_identifier_list(name) {
        return quote_literal(value);
    }
    Ok(identifier_list(value).iter().map(|item| quote_literal(item)).collect::<Result<Vec<_>, _>>()?.join(", "))
}

/// Selects what the role still owns in this database or has privileges on; the first column says whether it owns it.
const DEPENDENCIES_QUERY: &str = "
SELECT d.deptype = 'o', pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)
FROM pg_catalog.pg_shdepend d
WHERE d.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass
  AND d.refobjid = (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = $1::text::name)
  AND d.dbid IN (0, (SELECT b.oid FROM pg_catalog.pg_database b WHERE b.datname = pg_catalog.current_database()))
ORDER BY 1 DESC, 2";

/// The most objects that a message names.
const NAMED_OBJECTS: usize = 5;

/// Takes the role's privileges in this database away and drops it. What it owns is never dropped with it.
async fn delete(transaction: &mut Transaction<'_>, index: usize, step: &Step, name: &str) -> Result<(), StepFailure> {
    let Some(state) = transaction.roles.remove(name) else { return Ok(()) };
    step.check_owner(state.comment.mark.as_ref()).map_err(Failure::conflict).of_step(index)?;
    if state.is_own {
        return Err(Failure::invalid(OWN_USER)).of_step(index);
    }
    transaction.flush().await?;
    let found = transaction.looking(async |connection| dependencies(connection, name).await).await.of_step(index)?;
    refuse_owned(&found, "").of_step(index)?;
    if !transaction.login.is_superuser && state.login {
        // Afterwards there is no role whose privileges would do for it.
        transaction.act_for(index, name).await?;
        transaction.flush().await?;
        sessions::terminate(&mut *transaction.connection, state.oid).await.of_step(index)?;
    }
    transaction.ended.push(Ended { step: index, role: name.to_owned(), oid: state.oid });
    if !found.is_empty() {
        // Privileges of other databases are gone already, those of what others own are theirs to take away.
        revoke_all(transaction, index, name).await?;
    }
    let role = quote_identifier(name).of_step(index)?;
    if !found.is_empty() {
        // Of a role that owns nothing this takes away privileges only, among them those that default privileges have left on
        // objects that were made since.
        transaction.act_for(index, name).await?;
        transaction.push(index, format!("DROP OWNED BY {role}"));
    }
    transaction.leave(index, name);
    transaction.push(index, format!("DROP ROLE {role}"));
    Ok(())
}

/// What the role owns in the database of the connection or has privileges on, with whether it owns it.
async fn dependencies(connection: &mut PgConnection, name: &str) -> Result<Vec<(bool, String)>, Failure> {
    let rows = sqlx::query(DEPENDENCIES_QUERY).bind(name).fetch_all(connection).await?;
    let found = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
    Ok(found.collect::<Result<_, sqlx::Error>>()?)
}

fn refuse_owned(found: &[(bool, String)], place: &str) -> Result<(), Failure> {
    let owned: Vec<&str> = found.iter().filter(|(owns, _)| *owns).map(|(_, object)| &**object).collect();
    if owned.is_empty() {
        return Ok(());
    }
    let more = owned.len().saturating_sub(NAMED_OBJECTS);
    let mut objects = owned[..owned.len().min(NAMED_OBJECTS)].join(", ");
    if more > 0 {
        objects.push_str(&format!(" and {more} more"));
    }
    Err(Failure::conflict(format!("it still owns {objects}{place}; reassign them to another role, or drop them")))
}

/// Takes away what others than the owners have granted the role: `DROP OWNED` leaves that. Sees to it that we may take away
/// the rest.
async fn revoke_all(transaction: &mut Transaction<'_>, index: usize, name: &str) -> Result<(), StepFailure> {
    let lines = lines::of_role(&mut *transaction.connection, name).await.of_step(index)?;
    let (of_owners, of_others): (Vec<Line>, Vec<Line>) = lines.into_iter().partition(Line::is_of_owner);
    let owners: BTreeSet<String> = of_owners.into_iter().map(|line| line.owner).filter(|owner| owner != name).collect();
    for owner in owners {
        transaction.act_for(index, &owner).await?;
    }
    grant::revoke(transaction, index, name, &of_others, false).await
}

/// Roles that the steps delete, with the other databases where they have something.
const ELSEWHERE_QUERY: &str = "
SELECT DISTINCT r.rolname::text, b.datname::text
FROM pg_catalog.pg_shdepend d
JOIN pg_catalog.pg_roles r ON r.oid = d.refobjid
JOIN pg_catalog.pg_database b ON b.oid = d.dbid
WHERE d.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND r.rolname = ANY ($1::text[]::name[])
  AND b.datname <> pg_catalog.current_database()
ORDER BY 2, 1";

/// Takes the privileges in other databases from the roles that the steps delete: the server drops no role that has any, and a
/// transaction is in one database. What was taken stays taken whatever becomes of the rest; a repetition goes on from there.
pub async fn clear_elsewhere(
    connections: &Connections,
    connection: &mut PgConnection,
    login: &Login,
    steps: &[Step],
    guard: &dyn CommitGuard,
) -> Result<(), StepFailure> {
    let mut deleted: BTreeMap<String, usize> = BTreeMap::new();
    for (index, step) in steps.iter().enumerate().filter(|(_, step)| step.kind.name == role::NAME && step.is_delete()) {
        deleted.extend(step.spec().get("name").and_then(|name| name.as_str()).map(|name| (name.to_owned(), index)));
    }
    let Some(first) = deleted.values().min().copied() else { return Ok(()) };
    let names: Vec<&str> = deleted.keys().map(String::as_str).collect();
    let rows = sqlx::query(ELSEWHERE_QUERY).bind(names).fetch_all(&mut *connection).await.of_step(first)?;
    let mut elsewhere: Vec<(usize, String, Arc<str>)> = Vec::new();
    for row in &rows {
        let (name, database): (String, String) =
            row.try_get(0).and_then(|name| Ok((name, row.try_get(1)?))).of_step(first)?;
        let index = deleted.get(&name).copied().unwrap_or(first);
        elsewhere.push((index, name, database.into()));
    }
    if elsewhere.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = elsewhere.iter().map(|(_, name, _)| name.clone()).collect();
    for state in fetch(connection, &names, None).await.of_step(first)? {
        let index = deleted.get(&state.name).copied().unwrap_or(first);
        steps[index].check_owner(state.comment.mark.as_ref()).map_err(Failure::conflict).of_step(index)?;
    }
    for (index, name, database) in elsewhere {
        clear_in(connections, login, &steps[index], &name, &database, guard)
            .await
            .map_err(|failure| StepFailure { step: index, failure: failure.failure })?;
    }
    Ok(())
}

async fn clear_in(
    connections: &Connections,
    login: &Login,
    step: &Step,
    name: &str,
    database: &Arc<str>,
    guard: &dyn CommitGuard,
) -> Result<(), StepFailure> {
    let mut session = connections.acquire(database).await.of_step(0)?;
    let steps = std::slice::from_ref(step);
    let began = Transaction::begin(&mut session.connection, database, "", login, steps, guard.grace()).await;
    let mut transaction = began.of_step(0)?;
    let found = transaction.looking(async |connection| dependencies(connection, name).await).await.of_step(0)?;
    refuse_owned(&found, &format!(" in database \"{database}\"")).of_step(0)?;
    revoke_all(&mut transaction, 0, name).await?;
    transaction.act_for(0, name).await?;
    transaction.push(0, format!("DROP OWNED BY {}", quote_identifier(name).of_step(0)?));
    transaction.commit(guard).await?;
    connections.release(session).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(json: serde_json::Value) -> RoleSpec {
        serde_json::from_value(json).expect("a role")
    }

    #[test]
    fn only_what_differs_is_mentioned() {
        assert_eq!(attributes(&spec(serde_json::json!({"name": "r"})), &fresh()), Ok(vec![]));
        let mut state = fresh();
        state.superuser = true;
        state.valid_until = Some("2030-01-01T00:00:00Z".to_owned());
        let wanted = spec(serde_json::json!({"name": "r", "login": true, "inherit": false, "connectionLimit": 5}));
        let options = attributes(&wanted, &state).expect("no NUL");
        assert_eq!(options, ["LOGIN", "NOINHERIT", "NOSUPERUSER", "CONNECTION LIMIT 5", "VALID UNTIL 'infinity'"]);
    }

    #[test]
    fn settings_are_quoted_as_what_they_are() {
        assert_eq!(setting_name("app.tenant").expect("no NUL"), r#""app"."tenant""#);
        assert_eq!(setting_value("search_path", "\"$user\", public").expect("no NUL"), "'$user', 'public'");
        assert_eq!(setting_value("search_path", "\"\"").expect("no NUL"), "''");
        assert_eq!(setting_value("work_mem", "64MB'; x").expect("no NUL"), "'64MB''; x'");
    }
}

//! Roles.

use std::collections::BTreeMap;

use sqlx::Row as _;

use super::transaction::Transaction;
use super::{OfStep, StepFailure};
use crate::error::{Failed as _, Failure};
use crate::mark::Comment;
use crate::quote::{NulCharacter, quote_identifier, quote_literal};
use crate::read::role::{PASSWORD_NOTE, Password, RoleState};
use crate::scram::Verifier;
use crate::types::role::{RoleSpec, canonical_time, identifier_list, is_identifier_list};
use tenantry_kit::parse;
use tenantry_provider::contract::{Step, StepAction};

/// What a role is that was created without any word about it.
fn fresh() -> RoleState {
    RoleState {
        name: String::new(),
        login: false,
        connection_limit: -1,
        inherit: true,
        createdb: false,
        createrole: false,
        bypassrls: false,
        superuser: false,
        replication: false,
        valid_until: None,
        settings: Vec::new(),
        member_of: Vec::new(),
        comment: Comment::default(),
        password: Password::None,
    }
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
            converge(transaction, index, step, &spec, set_password).of_step(index)
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
            converge(transaction, index, step, &spec, set_password).of_step(index)
        }
    }
}

fn converge(
    transaction: &mut Transaction<'_>,
    index: usize,
    step: &Step,
    spec: &RoleSpec,
    set_password: bool,
) -> Result<(), Failure> {
    let existing = transaction.roles.remove(&spec.name);
    if let Some(state) = &existing {
        step.check_owner(state.comment.mark.as_ref()).map_err(Failure::conflict)?;
    }
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
    for (name, _) in current.iter().filter(|(name, _)| !spec.settings.contains_key(&***name)) {
        statements.push(format!("ALTER ROLE {role} RESET {}", setting_name(name)?));
    }
    for (name, value) in &spec.settings {
        if current.get(name).and_then(|value| value.as_str()) != Some(value) {
            statements.push(format!(
                "ALTER ROLE {role} SET {} TO {}",
                setting_name(name)?,
                setting_value(name, value)?
            ));
        }
    }
    for group in state.member_of.iter().filter(|group| !spec.member_of.contains(group)) {
        statements.push(format!("REVOKE {} FROM {role}", quote_identifier(group)?));
    }
    for group in spec.member_of.iter().filter(|group| !state.member_of.contains(group)) {
        statements.push(format!("GRANT {} TO {role}", quote_identifier(group)?));
    }
    let comment = state.comment.marked(&step.mark, notes);
    if comment != state.comment {
        statements.push(format!("COMMENT ON ROLE {role} IS {}", quote_literal(&comment.render())?));
    }
    for statement in statements {
        transaction.push(index, statement);
    }
    Ok(())
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
    transaction.flush().await?;
    let rows =
        sqlx::query(DEPENDENCIES_QUERY).bind(name).fetch_all(&mut *transaction.connection).await.of_step(index)?;
    let mut owned = Vec::new();
    for row in &rows {
        if row.try_get::<bool, _>(0).of_step(index)? {
            owned.push(row.try_get::<String, _>(1).of_step(index)?);
        }
    }
    if !owned.is_empty() {
        let more = owned.len().saturating_sub(NAMED_OBJECTS);
        let mut objects = owned[..owned.len().min(NAMED_OBJECTS)].join(", ");
        if more > 0 {
            objects.push_str(&format!(" and {more} more"));
        }
        return Err(Failure::conflict(format!("it still owns {objects}; reassign them to another role, or drop them")))
            .of_step(index);
    }
    let role = quote_identifier(name).of_step(index)?;
    if !rows.is_empty() {
        // Of a role that owns nothing this takes away privileges only, among them those that default privileges have left on
        // objects that were made since.
        transaction.push(index, format!("DROP OWNED BY {role}"));
    }
    transaction.push(index, format!("DROP ROLE {role}"));
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

//! Roles.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::{PgConnection, Row as _};

use super::{Report, Scope, text_set};
use crate::error::Failure;
use crate::mark::{self, Comment};
use crate::scram::FINGERPRINT_DIGITS;
use crate::types::role::{canonical_setting, canonical_time};
use tenantry_core::model::resource::Present;
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::Answers;

/// The mark's note with the fingerprint of the verifier that was written.
pub const PASSWORD_NOTE: &str = "password";

/// A role as the catalogue has it.
pub struct RoleState {
    pub name: String,
    pub login: bool,
    pub connection_limit: i32,
    pub inherit: bool,
    pub createdb: bool,
    pub createrole: bool,
    pub bypassrls: bool,
    pub superuser: bool,
    pub replication: bool,
    /// RFC 3339; `None` if the password holds for ever.
    pub valid_until: Option<String>,
    /// As `name=value`.
    pub settings: Vec<String>,
    pub member_of: Vec<String>,
    pub comment: Comment,
    pub password: Password,
}

/// What can be seen of a role's password.
#[derive(Clone, Debug, PartialEq)]
pub enum Password {
    /// Only superusers read verifiers.
    Hidden,
    None,
    Fingerprint(String),
}

const QUERY: &str = r"
SELECT r.rolname::text, r.rolcanlogin, r.rolconnlimit, r.rolinherit, r.rolcreatedb, r.rolcreaterole, r.rolbypassrls,
       r.rolsuper, r.rolreplication,
       CASE WHEN pg_catalog.isfinite(r.rolvaliduntil) THEN
         pg_catalog.to_char(r.rolvaliduntil AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US+00') END,
       COALESCE(r.rolconfig, '{}'::text[]),
       ARRAY(SELECT DISTINCT g.rolname::text FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles g ON g.oid = m.roleid
             WHERE m.member = r.oid),
       c.description,
       pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'SELECT')
FROM pg_catalog.pg_roles r
LEFT JOIN pg_catalog.pg_shdescription c
  ON c.objoid = r.oid AND c.classoid = 'pg_catalog.pg_authid'::pg_catalog.regclass
WHERE r.rolname = ANY ($1::text[]::name[]) OR EXISTS (SELECT FROM pg_catalog.unnest($2::text[]) AS w (line)
    WHERE pg_catalog.strpos(E'\n' || c.description, w.line) > 0)";

/// Verifiers do not leave the server: the fingerprint of the salt is made there.
const PASSWORD_QUERY: &str = r"
SELECT a.rolname::text, pg_catalog.left(pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(
         COALESCE(pg_catalog.substring(a.rolpassword, '^SCRAM-SHA-256\$[0-9]+:([^$]+)\$'), 'other'), 'UTF8')), 'hex'), $2)
FROM pg_catalog.pg_authid a
WHERE a.rolpassword IS NOT NULL AND a.rolname = ANY ($1::text[]::name[])";

/// Roles by name, and those that carry an estate's mark.
pub async fn fetch(
    connection: &mut PgConnection,
    names: &[String],
    estate: Option<&str>,
) -> Result<Vec<RoleState>, Failure> {
    let rows = sqlx::query(QUERY).bind(names).bind(estate.map(mark::search_texts)).fetch_all(&mut *connection).await?;
    let mut readable = false;
    let mut states = Vec::with_capacity(rows.len());
    for row in &rows {
        readable = row.try_get(13)?;
        states.push(RoleState {
            name: row.try_get(0)?,
            login: row.try_get(1)?,
            connection_limit: row.try_get(2)?,
            inherit: row.try_get(3)?,
            createdb: row.try_get(4)?,
            createrole: row.try_get(5)?,
            bypassrls: row.try_get(6)?,
            superuser: row.try_get(7)?,
            replication: row.try_get(8)?,
            valid_until: row.try_get::<Option<String>, _>(9)?.map(|time| canonical_time(&time)),
            settings: row.try_get(10)?,
            member_of: row.try_get(11)?,
            comment: Comment::parse(row.try_get(12)?),
            password: Password::Hidden,
        });
    }
    if readable {
        let marked: Vec<String> = states
            .iter()
            .filter(|state| state.comment.notes.contains_key(PASSWORD_NOTE))
            .map(|state| state.name.clone())
            .collect();
        let digits = i32::try_from(FINGERPRINT_DIGITS).unwrap_or(i32::MAX);
        let rows = sqlx::query(PASSWORD_QUERY).bind(&marked).bind(digits).fetch_all(connection).await?;
        let mut fingerprints = HashMap::with_capacity(rows.len());
        for row in &rows {
            fingerprints.insert(row.try_get::<String, _>(0)?, row.try_get::<String, _>(1)?);
        }
        for state in &mut states {
            state.password = fingerprints.remove(&state.name).map_or(Password::None, Password::Fingerprint);
        }
    }
    Ok(states)
}

pub async fn observe(connection: &mut PgConnection, scope: &Scope<'_>) -> Result<Answers, Failure> {
    let states = fetch(connection, &scope.names("name"), Some(scope.estate)).await?;
    Ok(scope.answer(&states, |state| state.name.clone(), |subject| subject.text("name").map(str::to_owned), present))
}

impl RoleState {
    /// The settings as a spec has them.
    pub fn setting_values(&self) -> Map {
        let pairs = self.settings.iter().filter_map(|setting| setting.split_once('='));
        pairs.map(|(name, value)| canonical_setting(name, &value.into())).collect()
    }

    /// Whether the password is still the one that was written, as far as can be seen.
    pub fn password_is_ours(&self) -> bool {
        match (self.comment.notes.get(PASSWORD_NOTE), &self.password) {
            (None, _) | (_, Password::Hidden) => true,
            (Some(_), Password::None) => false,
            (Some(written), Password::Fingerprint(found)) => written == found,
        }
    }
}

fn present(state: &RoleState, asked: Option<&Map>) -> Present {
    let mut report = Report::new(asked);
    report.set("name", state.name.as_str());
    report.set("login", state.login);
    report.set("connectionLimit", i64::from(state.connection_limit));
    report.set("inherit", state.inherit);
    report.set("createdb", state.createdb);
    report.set("createrole", state.createrole);
    report.set("bypassrls", state.bypassrls);
    report.set("superuser", state.superuser);
    report.set("replication", state.replication);
    report.set("validUntil", state.valid_until.as_deref().unwrap_or("infinity"));
    report.set("settings", Value::Map(Arc::new(state.setting_values())));
    report.set("memberOf", text_set(&state.member_of));
    let mut mark = state.comment.mark.clone();
    if let Some(mark) = &mut mark
        && !state.password_is_ours()
    {
        mark.secret_hash = None;
    }
    Present { spec: report.build(), mark, ..Present::default() }
}

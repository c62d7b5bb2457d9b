//! Roles.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use sqlx::{PgConnection, Row as _};

use super::{Report, Scope, text_set};
use crate::error::Failure;
use crate::mark::{self, Comment};
use crate::scram::FINGERPRINT_DIGITS;
use crate::types::role::{canonical_setting, canonical_time};
use tenantry_core::model::resource::{Identity, Observed, Present};
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::Answers;
use tenantry_provider::contract::OWN_USER;

/// The mark's note with the fingerprint of the verifier that was written.
pub const PASSWORD_NOTE: &str = "password";

/// A role as the catalogue has it.
#[derive(Default)]
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
    /// RFC 3339, or `-infinity`; `None` if the password holds for ever.
    pub valid_until: Option<String>,
    /// As `name=value`.
    pub settings: Vec<String>,
    pub settings_in_databases: Vec<SettingInDatabase>,
    pub memberships: Vec<Membership>,
    pub comment: Comment,
    pub password: Password,
    /// Whether Tenantry logs in as it.
    pub is_own: bool,
    /// Its number, which its sessions keep.
    pub oid: i64,
}

/// A setting that counts in one database only.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct SettingInDatabase {
    pub database: String,
    /// As `name=value`.
    pub setting: String,
}

/// That one role was made a member of a group. Since PostgreSQL 16 there may be several of one group, by several grantors, and
/// each has options of its own.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Membership {
    pub group: String,
    pub grantor: String,
    pub admin_option: bool,
    /// Nothing before version 16, when the role's own attribute says it.
    #[serde(default)]
    pub inherit_option: Option<bool>,
    #[serde(default)]
    pub set_option: Option<bool>,
}

/// What can be seen of a role's password.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Password {
    /// Only superusers read verifiers.
    Hidden,
    #[default]
    None,
    Fingerprint(String),
}

const QUERY: &str = r"
SELECT r.rolname::text, r.rolcanlogin, r.rolconnlimit, r.rolinherit, r.rolcreatedb, r.rolcreaterole, r.rolbypassrls,
       r.rolsuper, r.rolreplication,
       CASE WHEN pg_catalog.isfinite(r.rolvaliduntil) THEN
         pg_catalog.to_char(r.rolvaliduntil AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US+00')
         WHEN r.rolvaliduntil = '-infinity' THEN '-infinity' END,
       COALESCE(r.rolconfig, '{}'::text[]),
       (SELECT COALESCE(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(m)
                 || pg_catalog.jsonb_build_object('group', g.rolname, 'grantor', pg_catalog.pg_get_userbyid(m.grantor))), '[]')
        FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid)::text,
       c.description,
       pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'SELECT'),
       (SELECT COALESCE(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('database', d.datname, 'setting', u.setting)), '[]')
        FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase
        CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) AS u (setting) WHERE s.setrole = r.oid)::text,
       r.rolname IN (current_user, session_user), r.oid::int8
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
            settings_in_databases: listed(row.try_get(14)?),
            memberships: listed(row.try_get(11)?),
            comment: Comment::parse(row.try_get(12)?),
            password: Password::Hidden,
            is_own: row.try_get(15)?,
            oid: row.try_get(16)?,
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

/// A list that the server has made as JSON.
fn listed<T: DeserializeOwned>(json: &str) -> Vec<T> {
    serde_json::from_str(json).unwrap_or_default()
}

pub async fn observe(connection: &mut PgConnection, scope: &Scope<'_>) -> Result<Answers, Failure> {
    let states = fetch(connection, &scope.names("name"), Some(scope.estate)).await?;
    let mut answers =
        scope.answer(&states, |state| state.name.clone(), |subject| subject.text("name").map(str::to_owned), present);
    let own: Vec<Identity> = states
        .iter()
        .filter(|state| state.is_own)
        .filter_map(|state| {
            let spec = Map::from_fields([("name".into(), state.name.as_str().into())]);
            scope.kind.identity_of(&scope.kind.normal(&spec))
        })
        .collect();
    for (_, observed) in answers.iter_mut().filter(|(identity, _)| own.contains(identity)) {
        *observed = Observed::Unknown(OWN_USER.into());
    }
    Ok(answers)
}

impl RoleState {
    /// The settings as a spec has them.
    pub fn setting_values(&self) -> Map {
        let pairs = self.settings.iter().filter_map(|setting| setting.split_once('='));
        pairs.map(|(name, value)| canonical_setting(name, &value.into())).collect()
    }

    /// The settings, and those that no spec can have: of one database, as `work_mem in database app`.
    fn all_settings(&self) -> Map {
        let in_databases = self.settings_in_databases.iter().filter_map(|SettingInDatabase { database, setting }| {
            let (name, value) = setting.split_once('=')?;
            let name = format!("{} in database {}", name.to_ascii_lowercase(), database.to_ascii_lowercase());
            Some((Arc::from(name), Value::from(value)))
        });
        let plain = self.setting_values();
        plain.iter().map(|(name, value)| (name.clone(), value.clone())).chain(in_databases).collect()
    }

    /// The groups that it is a member of, as a spec has them: with the options of the membership where they are not those of
    /// a membership without any word about them. `inherit` is what the role itself is to have.
    pub fn groups(&self, inherit: bool) -> BTreeMap<&str, String> {
        let mut all: BTreeMap<&str, (bool, Option<bool>, Option<bool>)> = BTreeMap::new();
        let either = |a: Option<bool>, b: Option<bool>| a.zip(b).map(|(a, b)| a || b).or(a).or(b);
        for found in &self.memberships {
            let (admin, inherits, sets) = all.entry(&found.group).or_default();
            *admin |= found.admin_option;
            *inherits = either(*inherits, found.inherit_option);
            *sets = either(*sets, found.set_option);
        }
        let text = |(group, (admin, inherits, sets)): (&'_ str, (bool, Option<bool>, Option<bool>))| {
            let mut options = Vec::new();
            if admin {
                options.push("with admin option");
            }
            match inherits {
                Some(true) if !inherit => options.push("with inherit"),
                Some(false) if inherit => options.push("without inherit"),
                _ => {}
            }
            if sets == Some(false) {
                options.push("without set");
            }
            if options.is_empty() { group.to_owned() } else { format!("{group} ({})", options.join(", ")) }
        };
        all.into_iter().map(|(group, options)| (group, text((group, options)))).collect()
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
    report.set("settings", Value::Map(Arc::new(state.all_settings())));
    report.set("memberOf", text_set(state.groups(state.inherit).values()));
    let mut mark = state.comment.mark.clone();
    if let Some(mark) = &mut mark
        && !state.password_is_ours()
    {
        mark.secret_hash = None;
    }
    Present { spec: report.build(), mark, ..Present::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn membership(json: serde_json::Value) -> Membership {
        serde_json::from_value(json).expect("a membership")
    }

    #[test]
    fn a_membership_shows_every_option_that_is_not_usual() {
        let mut state = RoleState { inherit: true, ..RoleState::default() };
        state.memberships = vec![
            membership(serde_json::json!({"group": "old", "grantor": "a", "admin_option": false})),
            membership(
                serde_json::json!({"group": "chief", "grantor": "a", "admin_option": true, "inherit_option": true, "set_option": true}),
            ),
            membership(
                serde_json::json!({"group": "shy", "grantor": "a", "admin_option": false, "inherit_option": false, "set_option": false}),
            ),
            membership(
                serde_json::json!({"group": "both", "grantor": "a", "admin_option": false, "inherit_option": false, "set_option": true}),
            ),
            membership(
                serde_json::json!({"group": "both", "grantor": "b", "admin_option": false, "inherit_option": true, "set_option": true}),
            ),
        ];
        let groups: Vec<String> = state.groups(true).into_values().collect();
        assert_eq!(groups, ["both", "chief (with admin option)", "old", "shy (without inherit, without set)"]);
    }

    #[test]
    fn what_is_set_in_one_database_only_is_seen() {
        let mut state = RoleState { settings: vec!["App.Tenant=acme".into()], ..RoleState::default() };
        state.settings_in_databases =
            vec![SettingInDatabase { database: "Main".into(), setting: "work_mem=1GB".into() }];
        let expected = serde_json::json!({"app.tenant": "acme", "work_mem in database main": "1GB"});
        assert_eq!(Value::from(state.all_settings()).to_json(), expected);
    }
}

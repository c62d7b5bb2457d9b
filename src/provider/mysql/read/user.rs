//! Users: one query, and one for marks where attributes have no room.

use std::collections::HashMap;

use serde_json::Value as Json;
use sqlx::mysql::MySqlRow;
use sqlx::{MySqlConnection, Row as _};

use super::{Scope, spec_of};
use crate::connection::Flavour;
use crate::error::Failure;
use crate::mark::{self, Label};
use crate::password::fingerprint;
use tenantry_core::model::kind::Kind;
use tenantry_core::model::resource::{Observed, Present};
use tenantry_kit::Answers;

/// The longest name of a user in MySQL, in characters (MySQL manual, "Account Names").
pub const MYSQL_NAME: usize = 32;

/// A user as the server has it.
#[derive(Debug, Default)]
pub struct UserState {
    pub name: String,
    pub host: String,
    /// How it logs in: the plugin, and what that keeps.
    pub plugin: String,
    pub verifier: String,
    pub locked: bool,
    pub tls: String,
    /// In the order of [`crate::types::user::LIMITS`].
    pub limits: [i64; 4],
    pub label: Option<Label>,
}

/// Users by name and host; all, or one.
pub async fn fetch(
    connection: &mut MySqlConnection,
    flavour: Flavour,
    bookkeeping: &str,
    only: Option<(&str, &str)>,
) -> Result<HashMap<(String, String), UserState>, Failure> {
    let filter = if only.is_some() { "WHERE User = ? AND Host = ?" } else { "" };
    let sql = match flavour {
        Flavour::MariaDb => format!("SELECT User, Host, Priv FROM mysql.global_priv {filter}"),
        Flavour::MySql => format!(
            "SELECT User, Host, plugin, CONVERT(authentication_string USING utf8mb4), ssl_type, account_locked, \
               CAST(max_user_connections AS SIGNED), CAST(max_connections AS SIGNED), CAST(max_questions AS SIGNED), \
               CAST(max_updates AS SIGNED), CAST(JSON_EXTRACT(User_attributes, '$.metadata') AS CHAR) \
             FROM mysql.user {filter}"
        ),
    };
    let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
    if let Some((name, host)) = only {
        query = query.bind(name).bind(host);
    }
    let rows = query.fetch_all(&mut *connection).await?;
    let mut labels = match flavour {
        Flavour::MariaDb => mark::fetch(connection, bookkeeping, "user", only).await?,
        Flavour::MySql => HashMap::new(),
    };
    let mut states = HashMap::with_capacity(rows.len());
    for row in &rows {
        let parsed = match flavour {
            Flavour::MariaDb => from_mariadb(row)?,
            Flavour::MySql => Some(from_mysql(row)?),
        };
        let Some(mut state) = parsed else { continue };
        let key = (state.name.clone(), state.host.clone());
        state.label = state.label.take().or_else(|| labels.remove(&key));
        states.insert(key, state);
    }
    Ok(states)
}

fn from_mysql(row: &MySqlRow) -> Result<UserState, sqlx::Error> {
    let text = |index: usize| row.try_get_unchecked::<Option<String>, _>(index).map(Option::unwrap_or_default);
    let number = |index: usize| row.try_get_unchecked::<i64, _>(index);
    Ok(UserState {
        name: text(0)?,
        host: text(1)?,
        plugin: text(2)?,
        verifier: text(3)?,
        tls: tls(&text(4)?),
        locked: text(5)? == "Y",
        limits: [number(6)?, number(7)?, number(8)?, number(9)?],
        label: Label::parse_attribute(&text(10)?),
    })
}

/// `None` for a role.
fn from_mariadb(row: &MySqlRow) -> Result<Option<UserState>, sqlx::Error> {
    let text = |index: usize| row.try_get_unchecked::<String, _>(index);
    let about: Json = serde_json::from_str(&text(2)?).map_err(|error| sqlx::Error::Decode(error.into()))?;
    if about.get("is_role").and_then(Json::as_bool) == Some(true) {
        return Ok(None);
    }
    let field = |name: &str| about.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
    let limit = |name: &str| about.get(name).and_then(Json::as_i64).unwrap_or_default();
    let tls = match about.get("ssl_type").and_then(Json::as_i64).unwrap_or_default() {
        0 => "none",
        1 => "any",
        2 => "x509",
        _ => "specified",
    };
    // Further ways to log in are beside the one that we know.
    let others = about.get("auth_or").map(Json::to_string).unwrap_or_default();
    Ok(Some(UserState {
        name: text(0)?,
        host: text(1)?,
        plugin: field("plugin"),
        verifier: format!("{}{others}", field("authentication_string")),
        locked: about.get("account_locked").and_then(Json::as_bool).unwrap_or_default(),
        tls: tls.to_owned(),
        limits: [limit("max_user_connections"), limit("max_connections"), limit("max_questions"), limit("max_updates")],
        label: None,
    }))
}

fn tls(ssl_type: &str) -> String {
    match ssl_type {
        "" => "none".to_owned(),
        other => other.to_lowercase(),
    }
}

impl UserState {
    /// Whether the password is still the one that was written, as far as that was noted.
    fn password_is_ours(&self) -> bool {
        match self.label.as_ref().and_then(|label| label.password.as_deref()) {
            None => true,
            Some(written) => fingerprint(&self.plugin, &self.verifier) == written,
        }
    }
}

pub async fn observe(connection: &mut MySqlConnection, scope: &Scope<'_>) -> Result<Answers, Failure> {
    let states = fetch(connection, scope.flavour, scope.bookkeeping, None).await?;
    let key = |subject: &super::Subject<'_>| Some((subject.text("name")?.to_owned(), subject.text("host")?.to_owned()));
    let mut answers = scope.answer(&states, key, |state| present(scope.asked.description, state));
    if scope.flavour == Flavour::MySql {
        for (subject, (_, observed)) in scope.asked.subjects.iter().zip(&mut answers) {
            if let Some(problem) = subject.text("name").and_then(too_long) {
                *observed = Observed::Unknown(problem.into());
            }
        }
    }
    Ok(answers)
}

/// Why MySQL would not take a name.
pub fn too_long(name: &str) -> Option<String> {
    let length = name.chars().count();
    (length > MYSQL_NAME).then(|| {
        format!(
            "the name has {length} characters and MySQL takes {MYSQL_NAME}; shorten it with `ident(tenant.name, {MYSQL_NAME})`"
        )
    })
}

fn present(kind: &Kind, state: &UserState) -> Present {
    let [user_connections, connections, queries, updates] = state.limits;
    let fields = [
        ("name", state.name.as_str().into()),
        ("host", state.host.as_str().into()),
        ("locked", state.locked.into()),
        ("tls", state.tls.as_str().into()),
        ("maxUserConnections", user_connections.into()),
        ("maxConnectionsPerHour", connections.into()),
        ("maxQueriesPerHour", queries.into()),
        ("maxUpdatesPerHour", updates.into()),
    ];
    let mut mark = state.label.as_ref().map(|label| label.mark.clone());
    if let Some(mark) = &mut mark
        && !state.password_is_ours()
    {
        mark.secret_hash = None;
    }
    Present { spec: spec_of(kind, fields), mark, ..Present::default() }
}

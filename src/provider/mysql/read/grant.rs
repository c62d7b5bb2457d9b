//! Privileges: at most two queries for each sort of object, whatever the number of users.
//!
//! Those on databases and tables are read from the tables of the server itself, which refuse who may not read them; the
//! information schema would answer with a part.

use std::collections::{BTreeSet, HashMap, HashSet};

use sqlx::mysql::MySqlRow;
use sqlx::{Column as _, MySqlConnection, Row as _};

use super::{Scope, spec_of};
use crate::error::{Failed as _, Failure};
use crate::quote::unescape_pattern;
use crate::types::grant::{On, canonical_privilege};
use tenantry_core::model::kind::Kind;
use tenantry_core::model::resource::{Observed, Present};
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::{Answers, Subject};

/// Whose privileges, and on what: database and table are empty where the object is wider.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub on: On,
    pub database: String,
    pub table: String,
    pub user: String,
    pub host: String,
}

/// What a user holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Held {
    pub privileges: BTreeSet<String>,
    pub with_grant_option: bool,
}

/// Everything that is held on objects of one sort, and how many privileges `ALL` is there.
pub struct Level {
    held: HashMap<Key, Held>,
    all: usize,
    /// Of users that exist and whose privileges the server does not show.
    unseen: HashSet<Key>,
}

impl Key {
    pub fn of(spec: &Map) -> Option<Self> {
        let text = |field: &str| spec.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let key = Self {
            on: On::of(&text("on"))?,
            database: text("database"),
            table: text("table"),
            user: text("user"),
            host: text("host"),
        };
        (!key.user.is_empty()).then_some(key)
    }
}

impl Level {
    /// What is held, if anything is.
    ///
    /// # Errors
    /// If the server does not show it.
    pub fn get(&self, key: &Key) -> Result<Option<&Held>, Failure> {
        if self.unseen.contains(key) {
            let message = "the server does not show the privileges of this user; grant SELECT on `mysql`.* to the user of the target's `url`";
            return Err(Failure::invalid(message));
        }
        Ok(self.held.get(key).filter(|held| !held.privileges.is_empty() || held.with_grant_option))
    }

    /// Whether nothing is missing for `ALL`.
    pub fn is_all(&self, held: &Held) -> bool {
        self.all > 0 && held.privileges.len() >= self.all
    }
}

/// Reads all privileges on objects of one sort.
pub async fn fetch(connection: &mut MySqlConnection, on: On) -> Result<Level, Failure> {
    match on {
        On::Database => on_databases(connection).await,
        On::Table => on_tables(connection).await,
        On::Global => on_server(connection).await,
    }
}

async fn on_databases(connection: &mut MySqlConnection) -> Result<Level, Failure> {
    let rows = sqlx::query("SELECT * FROM mysql.db").fetch_all(connection).await?;
    let mut level = Level { held: HashMap::with_capacity(rows.len()), all: 0, unseen: HashSet::new() };
    for row in &rows {
        // A pattern that stands for several databases is nobody's grant here.
        let Some(database) = unescape_pattern(&row.try_get_unchecked::<String, _>("Db")?) else { continue };
        let mut held = Held::default();
        let mut all = 0;
        for column in row.columns().iter().filter(|column| column.name().ends_with("_priv")) {
            let privilege = of_column(column.name());
            let holds = row.try_get_unchecked::<String, _>(column.ordinal())? == "Y";
            if privilege == "GRANT OPTION" {
                held.with_grant_option = holds;
                continue;
            }
            all += 1;
            if holds {
                held.privileges.insert(privilege);
            }
        }
        level.all = all;
        level.held.insert(key(row, On::Database, database, String::new())?, held);
    }
    Ok(level)
}

fn key(row: &MySqlRow, on: On, database: String, table: String) -> Result<Key, sqlx::Error> {
    let user = row.try_get_unchecked("User")?;
    Ok(Key { on, database, table, user, host: row.try_get_unchecked("Host")? })
}

/// The privilege that a column such as `Create_tmp_table_priv` stands for.
fn of_column(column: &str) -> String {
    match column.trim_end_matches("_priv") {
        "Grant" => "GRANT OPTION".to_owned(),
        "Create_tmp_table" => "CREATE TEMPORARY TABLES".to_owned(),
        other => canonical_privilege(&other.replace('_', " ")),
    }
}

async fn on_tables(connection: &mut MySqlConnection) -> Result<Level, Failure> {
    let rows =
        sqlx::query("SELECT User, Host, Db, Table_name, CAST(Table_priv AS CHAR) AS held FROM mysql.tables_priv");
    let rows = rows.fetch_all(&mut *connection).await?;
    let sort: String = sqlx::query_scalar(
        "SELECT CONVERT(COLUMN_TYPE USING utf8mb4) FROM information_schema.COLUMNS \
         WHERE TABLE_SCHEMA = 'mysql' AND TABLE_NAME = 'tables_priv' AND COLUMN_NAME = 'Table_priv'",
    )
    .fetch_one(connection)
    .await?;
    let mut level = Level {
        held: HashMap::with_capacity(rows.len()),
        all: sort.split(',').count().saturating_sub(1),
        unseen: HashSet::new(),
    };
    for row in &rows {
        let held: String = row.try_get_unchecked("held")?;
        let mut privileges: BTreeSet<String> =
            held.split(',').filter(|name| !name.is_empty()).map(canonical_privilege).collect();
        let with_grant_option = privileges.remove("GRANT");
        let key = key(row, On::Table, row.try_get_unchecked("Db")?, row.try_get_unchecked("Table_name")?)?;
        level.held.insert(key, Held { privileges, with_grant_option });
    }
    Ok(level)
}

async fn on_server(connection: &mut MySqlConnection) -> Result<Level, Failure> {
    let users = "SELECT User, Host FROM mysql.user WHERE User <> '' AND Host <> ''";
    let users = sqlx::query(users).fetch_all(&mut *connection).await?;
    // The information schema quotes without escaping, so what it calls a user is looked up by how it would be spelled.
    let mut keys = HashMap::with_capacity(users.len());
    for row in &users {
        let key = key(row, On::Global, String::new(), String::new())?;
        keys.insert(format!("'{}'@'{}'", key.user, key.host), key);
    }
    let rows = "SELECT CONVERT(GRANTEE USING utf8mb4), CONVERT(PRIVILEGE_TYPE USING utf8mb4), \
        CONVERT(IS_GRANTABLE USING utf8mb4) FROM information_schema.USER_PRIVILEGES";
    let rows = sqlx::query(rows).fetch_all(connection).await?;
    let mut level = Level { held: HashMap::new(), all: 0, unseen: HashSet::new() };
    let mut seen = BTreeSet::new();
    for row in &rows {
        let text = |index: usize| row.try_get_unchecked::<String, _>(index);
        let grantee = text(0)?;
        let Some(key) = keys.get(&grantee) else { continue };
        seen.insert(grantee);
        let held = level.held.entry(key.clone()).or_default();
        let privilege = canonical_privilege(&text(1)?);
        held.with_grant_option |= text(2)? == "YES";
        if privilege != "USAGE" {
            held.privileges.insert(privilege);
        }
    }
    // Every user has a row there, if it were only that it may log in.
    level.unseen = keys.into_iter().filter(|(grantee, _)| !seen.contains(grantee)).map(|(_, key)| key).collect();
    Ok(level)
}

pub async fn observe(connection: &mut MySqlConnection, scope: &Scope<'_>) -> Result<Answers, Failure> {
    let on = |subject: &Subject<'_>| On::of(subject.text("on")?);
    let sorts: BTreeSet<On> = scope.asked.subjects.iter().filter_map(on).collect();
    let mut levels = HashMap::new();
    for on in sorts {
        levels.insert(on, fetch(connection, on).await?);
    }
    let answers = scope.asked.subjects.iter().map(|subject| {
        let level = on(subject).and_then(|on| levels.get(&on));
        let observed = match (level, Key::of(subject.spec)) {
            (Some(level), Some(key)) => match level.get(&key) {
                Ok(Some(held)) => Observed::Present(present(scope.asked.description, level, held, subject.spec)),
                Ok(None) => Observed::Absent,
                Err(failure) => Observed::Unknown(failure.to_string().into()),
            },
            _ => Observed::Unknown("its spec does not name the user and the object".into()),
        };
        (subject.identity.clone(), observed)
    });
    Ok(answers.collect())
}

fn present(kind: &Kind, level: &Level, held: &Held, asked: &Map) -> Present {
    let wants_all = asked.get("privileges").and_then(Value::as_list).is_some_and(|list| list.contains(&"ALL".into()));
    let privileges = if wants_all && level.is_all(held) {
        Value::list([Value::from("ALL")])
    } else {
        Value::list(held.privileges.iter().map(|privilege| Value::from(privilege.as_str())))
    };
    let named = ["on", "database", "table", "user", "host"].into_iter();
    let fields = named.filter_map(|field| Some((field, asked.get(field)?.clone())));
    let all = fields.chain([("privileges", privileges), ("withGrantOption", held.with_grant_option.into())]);
    Present { spec: spec_of(kind, all), ..Present::default() }
}

//! Privileges: at most two queries for each sort of object, whatever the number of users.
//!
//! Those on databases and tables are read from the tables of the server itself, which refuse who may not read them; the
//! information schema would answer with a part.

use std::collections::{BTreeSet, HashMap, HashSet};

use sqlx::mysql::MySqlRow;
use sqlx::{Column as _, MySqlConnection, Row as _};

use super::{Scope, spec_of};
use crate::error::{Failed as _, Failure};
use crate::quote::{NulCharacter, escape_pattern, quote_identifier, quote_qualified, unescape_pattern};
use crate::types::grant::{On, canonical_privilege};
use tenantry_core::model::kind::Kind;
use tenantry_core::model::resource::{Observed, Present};
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::Answers;

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
    /// What is held on databases by patterns that stand for several, with the pattern in place of the database; and what is held
    /// on columns of a table.
    patterns: Vec<(Key, Held)>,
    /// Every privilege that there is on objects of the sort, where that is told.
    names: BTreeSet<String>,
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
    let held = HashMap::with_capacity(rows.len());
    let mut level = Level { held, patterns: Vec::new(), names: BTreeSet::new(), all: 0, unseen: HashSet::new() };
    for row in &rows {
        let pattern: String = row.try_get_unchecked("Db")?;
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
            level.names.insert(privilege.clone());
            if holds {
                held.privileges.insert(privilege);
            }
        }
        level.all = all;
        match unescape_pattern(&pattern) {
            Some(database) => _ = level.held.insert(key(row, On::Database, database, String::new())?, held),
            None => level.patterns.push((key(row, On::Database, pattern, String::new())?, held)),
        }
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
    let rows = sqlx::query(
        "SELECT User, Host, Db, Table_name, CAST(Table_priv AS CHAR) AS held, CAST(Column_priv AS CHAR) AS columns \
         FROM mysql.tables_priv",
    );
    let rows = rows.fetch_all(&mut *connection).await?;
    let sort: String = sqlx::query_scalar(
        "SELECT CONVERT(COLUMN_TYPE USING utf8mb4) FROM information_schema.COLUMNS \
         WHERE TABLE_SCHEMA = 'mysql' AND TABLE_NAME = 'tables_priv' AND COLUMN_NAME = 'Table_priv'",
    )
    .fetch_one(connection)
    .await?;
    let mut level = Level {
        held: HashMap::with_capacity(rows.len()),
        patterns: Vec::new(),
        names: BTreeSet::new(),
        all: sort.split(',').count().saturating_sub(1),
        unseen: HashSet::new(),
    };
    for row in &rows {
        let held: String = row.try_get_unchecked("held")?;
        let mut privileges: BTreeSet<String> =
            held.split(',').filter(|name| !name.is_empty()).map(canonical_privilege).collect();
        let with_grant_option = privileges.remove("GRANT");
        let key = key(row, On::Table, row.try_get_unchecked("Db")?, row.try_get_unchecked("Table_name")?)?;
        let columns: String = row.try_get_unchecked("columns")?;
        let columns: BTreeSet<String> =
            columns.split(',').filter(|name| !name.is_empty()).map(canonical_privilege).collect();
        if !columns.is_empty() {
            level.patterns.push((key.clone(), Held { privileges: columns, with_grant_option: false }));
        }
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
    let mut level =
        Level { held: HashMap::new(), patterns: Vec::new(), names: BTreeSet::new(), all: 0, unseen: HashSet::new() };
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

/// Everything that users hold, wherever they hold it.
pub struct Everything {
    server: Level,
    databases: Level,
    tables: Level,
    /// What is held by patterns, on tables and on columns, by name and host of the user.
    by_user: HashMap<(String, String), Vec<(Key, Held)>>,
}

impl Everything {
    pub async fn fetch(connection: &mut MySqlConnection) -> Result<Self, Failure> {
        let server = on_server(connection).await?;
        let databases = on_databases(connection).await?;
        let tables = on_tables(connection).await?;
        let mut by_user: HashMap<(String, String), Vec<(Key, Held)>> = HashMap::new();
        let of_tables = tables.held.iter().filter(|(_, held)| !held.privileges.is_empty() || held.with_grant_option);
        let of_tables = of_tables.map(|(key, held)| (key.clone(), held.clone()));
        for (key, held) in databases.patterns.iter().chain(&tables.patterns).cloned().chain(of_tables) {
            by_user.entry((key.user.clone(), key.host.clone())).or_default().push((key, held));
        }
        Ok(Self { server, databases, tables, by_user })
    }

    fn level(&self, on: On) -> &Level {
        match on {
            On::Global => &self.server,
            On::Database => &self.databases,
            On::Table => &self.tables,
        }
    }

    /// What else the user of a grant holds that reaches its object: by a pattern, on the whole server, on the database of a table,
    /// or on single tables and columns. Not what other grants are about. Databases are named by their patterns.
    pub fn beside(&self, key: &Key, is_granted: impl Fn(&Key) -> bool) -> Vec<(Key, Held)> {
        if key.on == On::Global {
            return Vec::new();
        }
        let own = self.by_user.get(&(key.user.clone(), key.host.clone())).map_or(&[][..], Vec::as_slice);
        let reaches = |of: &Key| match of.on {
            On::Global => false,
            On::Database => matches(&of.database, &key.database),
            On::Table => key.on == On::Database && of.database == key.database && !is_granted(of),
        };
        let mut found: Vec<(Key, Held)> = own.iter().filter(|(of, _)| reaches(of)).cloned().collect();
        let exact = Key { on: On::Database, table: String::new(), ..key.clone() };
        if key.on == On::Table
            && !is_granted(&exact)
            && let Some(held) = self.databases.held.get(&exact)
        {
            found.push((Key { database: escape_pattern(&exact.database), ..exact }, held.clone()));
        }
        let global = Key { on: On::Global, database: String::new(), table: String::new(), ..key.clone() };
        if !is_granted(&global)
            && let Some(held) = self.server.held.get(&global)
        {
            // Others are about the server and reach no database.
            let reaching: BTreeSet<String> = held.privileges.intersection(&self.databases.names).cloned().collect();
            if !reaching.is_empty() {
                found.push((global, Held { privileges: reaching, with_grant_option: false }));
            }
        }
        found
    }
}

/// What is held, as a statement that takes it away has it after `REVOKE`. Of a database the key has the pattern.
///
/// # Errors
/// If a name cannot stand in a statement.
pub fn words(key: &Key, held: &Held) -> Result<String, NulCharacter> {
    let mut privileges: Vec<&str> = held.privileges.iter().map(String::as_str).collect();
    if held.with_grant_option {
        privileges.push("GRANT OPTION");
    }
    let object = match key.on {
        On::Global => "*.*".to_owned(),
        On::Database => format!("{}.*", quote_identifier(&key.database)?),
        On::Table => quote_qualified(&key.database, &key.table)?,
    };
    Ok(format!("{} ON {object}", privileges.join(", ")))
}

/// Whether the pattern of a grant stands for a database: `_` for any character, `%` for any number of them.
fn matches(pattern: &str, database: &str) -> bool {
    let mut characters = pattern.chars();
    match characters.next() {
        None => database.is_empty(),
        Some('%') => {
            let rest = characters.as_str();
            (0..=database.len()).filter(|at| database.is_char_boundary(*at)).any(|at| matches(rest, &database[at..]))
        }
        Some('_') => {
            database.chars().next().is_some_and(|one| matches(characters.as_str(), &database[one.len_utf8()..]))
        }
        Some(character) => {
            let literal = if character == '\\' { characters.next() } else { Some(character) };
            literal
                .and_then(|literal| database.strip_prefix(literal))
                .is_some_and(|rest| matches(characters.as_str(), rest))
        }
    }
}

pub async fn observe(connection: &mut MySqlConnection, scope: &Scope<'_>) -> Result<Answers, Failure> {
    if scope.asked.subjects.is_empty() {
        return Ok(Answers::new());
    }
    let everything = Everything::fetch(connection).await?;
    let granted: HashSet<Key> = scope.asked.subjects.iter().filter_map(|subject| Key::of(subject.spec)).collect();
    let answers = scope.asked.subjects.iter().map(|subject| {
        let observed =
            match Key::of(subject.spec) {
                Some(key) => {
                    let level = everything.level(key.on);
                    let is_own = scope.own_user.rsplit_once('@') == Some((&*key.user, &*key.host));
                    let beside =
                        if is_own { Vec::new() } else { everything.beside(&key, |other| granted.contains(other)) };
                    match (
                        level.get(&key),
                        beside.iter().map(|(key, held)| words(key, held)).collect::<Result<Vec<_>, _>>(),
                    ) {
                        (Ok(Some(held)), Ok(beside)) => {
                            Observed::Present(present(scope.asked.description, level, held, beside, subject.spec))
                        }
                        // Nobody wants it any more, and what was given by hand still reaches what it was about.
                        (Ok(None), Ok(beside)) if !subject.is_wanted() && !beside.is_empty() => Observed::Present(
                            present(scope.asked.description, level, &Held::default(), beside, subject.spec),
                        ),
                        (Ok(None), Ok(_)) => Observed::Absent,
                        (Err(failure), _) => Observed::Unknown(failure.to_string().into()),
                        (_, Err(nul)) => Observed::Unknown(nul.to_string().into()),
                    }
                }
                None => Observed::Unknown("its spec does not name the user and the object".into()),
            };
        (subject.identity.clone(), observed)
    });
    Ok(answers.collect())
}

fn present(kind: &Kind, level: &Level, held: &Held, beside: Vec<String>, asked: &Map) -> Present {
    let wants_all = asked.get("privileges").and_then(Value::as_list).is_some_and(|list| list.contains(&"ALL".into()));
    let privileges = if wants_all && level.is_all(held) {
        Value::list([Value::from("ALL")])
    } else {
        Value::list(held.privileges.iter().map(|privilege| Value::from(privilege.as_str())))
    };
    let named = ["on", "database", "table", "user", "host"].into_iter();
    let fields = named.filter_map(|field| Some((field, asked.get(field)?.clone())));
    let beside = Value::list(beside.into_iter().map(Value::from));
    let set = [("privileges", privileges), ("withGrantOption", held.with_grant_option.into()), ("alsoHeld", beside)];
    Present { spec: spec_of(kind, fields.chain(set)), ..Present::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_stands_for_what_the_server_takes_it_for() {
        for (pattern, database) in [
            ("tenant_acme", "tenant_acme"),
            ("tenant_acme", "tenantXacme"),
            (r"tenant\_%", "tenant_acme"),
            ("%", "acme"),
            ("t%e", "tenant_acme"),
        ] {
            assert!(matches(pattern, database), "{pattern} {database}");
        }
        for (pattern, database) in
            [(r"tenant\_acme", "tenantXacme"), ("tenant_acme", "tenant_acme2"), (r"tenant\_%", "tenantacme"), ("", "a")]
        {
            assert!(!matches(pattern, database), "{pattern} {database}");
        }
    }
}

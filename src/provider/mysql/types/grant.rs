//! `mysql.grant`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::IntoDeserializer as _;

use super::{check_names, is_system_database, name_limit, reference};
use tenantry_core::model::kind::{Kind, Problem};
use tenantry_core::model::spec::Fields;
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::{Stakes, describe};

/// All privileges of a user on one object. Other privileges of the user that reach it are revoked.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "mysql.grant")]
pub struct GrantSpec {
    /// The user who gets the privileges.
    pub user: String,
    /// The host that the user logs in from; `%` is any.
    #[serde(default = "anywhere")]
    pub host: String,
    pub on: On,
    /// For a database or a table.
    pub database: Option<String>,
    /// For a table.
    pub table: Option<String>,
    /// Such as `SELECT`, `CREATE TEMPORARY TABLES`, or `ALL` on a database or table.
    #[schemars(length(min = 1))]
    pub privileges: Vec<String>,
    /// Whether the user may give the privileges to others.
    #[serde(default)]
    pub with_grant_option: bool,
    /// Set by Tenantry: what else the user holds that reaches the object, by a pattern, on the whole server or on single tables.
    /// Always empty; what somebody has given by hand shows as drift.
    #[serde(default)]
    #[schemars(length(max = 0))]
    #[expect(dead_code, reason = "part of the schema; it is read from the map")]
    pub also_held: Vec<String>,
}

/// The type of object that the privileges are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum On {
    Global,
    Database,
    Table,
}

impl On {
    /// The object of a spec's `on`, if it is one.
    pub fn of(text: &str) -> Option<Self> {
        On::deserialize(text.into_deserializer()).map_err(|_: serde::de::value::Error| ()).ok()
    }
}

fn anywhere() -> String {
    "%".to_owned()
}

pub const NAME: &str = "mysql.grant";

pub fn kind() -> Kind {
    Kind {
        name_limits: const { &[name_limit("/database"), name_limit("/table")] },
        references: const { &[reference("/user", "mysql.user"), reference("/database", "mysql.database")] },
        normalise,
        check: |spec| check(spec),
        reviewed: &["/privileges", "/withGrantOption", "/alsoHeld"],
        ..describe::<GrantSpec>(
            NAME,
            "The privileges of a user on the server, a database or a table.",
            &["on", "database", "table", "host", "user"],
            Stakes { loses_data: false, bills: false },
        )
    }
}

fn normalise(fields: &mut Fields<'_>) {
    fields.map_text("host", str::to_lowercase);
    fields.map("alsoHeld", Value::as_set);
    fields.map("privileges", |privileges| match privileges.as_list() {
        Some(items) => Value::list(items.iter().map(|item| match item {
            Value::Text(text) => Value::from(canonical_privilege(text)),
            other => other.clone(),
        }))
        .as_set(),
        None => privileges.clone(),
    });
}

/// In upper case, with one space between words.
pub fn canonical_privilege(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ").to_uppercase();
    match text.as_str() {
        "ALL PRIVILEGES" => "ALL".to_owned(),
        // What MariaDB calls them in its lists, or takes as the same.
        "DELETE VERSIONING ROWS" => "DELETE HISTORY".to_owned(),
        "BINLOG MONITOR" => "REPLICATION CLIENT".to_owned(),
        "REPLICATION REPLICA" => "REPLICATION SLAVE".to_owned(),
        "REPLICATION REPLICA ADMIN" => "REPLICATION SLAVE ADMIN".to_owned(),
        "REPLICA MONITOR" => "SLAVE MONITOR".to_owned(),
        _ => text,
    }
}

fn check(spec: &Map) -> Vec<Problem> {
    let mut problems = check_names(spec, &["user", "host", "database", "table"]);
    let on = spec.get("on").and_then(Value::as_str).unwrap_or_default();
    for (field, wanted) in [("database", on != "global"), ("table", on == "table")] {
        match (spec.contains(field), wanted) {
            (false, true) => problems.push(Problem::error(format!("/{field}"), format!("name the {field}"))),
            (true, false) => {
                problems.push(Problem::error(format!("/{field}"), format!("privileges on {on} have no {field}")));
            }
            _ => {}
        }
    }
    if let Some(database) = spec.get("database").and_then(Value::as_str) {
        if is_system_database(database) {
            let message = "it stores users and privileges: a user who can read or write it can take over any account";
            problems.push(Problem::warning("/database", format!("`{database}` is a system database; {message}")));
        }
        if database.contains('\\') {
            problems.push(Problem::error("/database", "a grant cannot name a database with a backslash"));
        }
    }
    if spec.get("alsoHeld").and_then(Value::as_list).is_some_and(|held| !held.is_empty()) {
        problems.push(Problem::error("/alsoHeld", "Tenantry sets this field; remove it"));
    }
    let privileges = spec.get("privileges").and_then(Value::as_list).unwrap_or_default();
    for (index, privilege) in privileges.iter().enumerate() {
        let Some(privilege) = privilege.as_str() else { continue };
        let pointer = format!("/privileges/{index}");
        if privilege.is_empty() || !privilege.chars().all(|c| c.is_ascii_alphabetic() || " _".contains(c)) {
            let problem = Problem::error(pointer, format!("{privilege:?} is not a privilege on a whole object"));
            problems.push(problem.help("privileges on single columns are not managed"));
        } else if privilege == "GRANT OPTION" {
            problems.push(Problem::error(pointer, "write `withGrantOption: true`"));
        } else if ["USAGE", "PROXY"].contains(&privilege) {
            problems.push(Problem::error(pointer, format!("{privilege} cannot be managed as a privilege")));
        }
    }
    if privileges.contains(&"ALL".into()) && (on == "global" || privileges.len() > 1) {
        let problem =
            Problem::error("/privileges", "ALL must be the only privilege, and only on a database or a table");
        problems.push(problem.help("name the privileges"));
    }
    problems
}

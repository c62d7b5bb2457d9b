//! `mysql.script`.

use schemars::JsonSchema;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{check_names, name_limit, reference};
use crate::statements;
use tenantry_core::model::kind::{Batch, Kind, MarkPlace, Problem};
use tenantry_core::model::names::hex;
use tenantry_core::model::spec::Fields;
use tenantry_core::model::value::{Map, Value};

/// SQL that runs once for each version of its text, with a record that it ran.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "mysql.script")]
pub struct ScriptSpec {
    /// The database that unqualified names belong to while it runs.
    pub database: Option<String>,
    #[expect(dead_code, reason = "part of the schema; it is read from the map")]
    pub name: String,
    /// Statements. Data definition is no transaction here: a script that fails half-way has done the first half. It runs
    /// again then, and when its text changes, so it has to cope with what was done before. It cannot hold secrets.
    #[schemars(extend("x-sql" = "mysql"))]
    pub sql: String,
    /// A query that returns one true row as long as what the script did is still there; names in it are qualified. When it
    /// does not hold, the script runs again.
    #[schemars(extend("x-sql" = "mysql"))]
    pub check: Option<String>,
    /// Filled in: SHA-256 of `sql`.
    #[schemars(regex(pattern = "^[0-9a-f]{64}$"))]
    #[expect(dead_code, reason = "part of the schema; it is read from the map")]
    pub checksum: Option<String>,
    /// Filled in where there is a `check`: wanted is that it holds.
    #[schemars(extend("enum" = [true, null]))]
    #[expect(dead_code, reason = "part of the schema; it is read from the map")]
    pub checked: Option<bool>,
}

pub fn kind() -> Kind {
    Kind {
        name: "mysql.script",
        summary: "SQL that runs once for each version of its text.",
        schema: schemars::schema_for!(ScriptSpec),
        identity: &["database", "name"],
        immutable: &[],
        write_only: &[],
        sensitive: &[],
        owned_by_key: &[],
        outputs: &[],
        captures: &[],
        name_limits: const { &[name_limit("/database"), name_limit("/name")] },
        references: const { &[reference("/database", "mysql.database")] },
        // Only the record goes.
        loses_data: false,
        bills: false,
        mark: MarkPlace::Target,
        batch: Batch::Single,
        normalise,
        check: |spec| check(spec),
        check_together: None,
        by_spec: None,
    }
}

/// The version of a script's text.
pub fn checksum(sql: &str) -> String {
    hex(&Sha256::digest(sql))
}

fn normalise(spec: &Map) -> Map {
    let mut fields = Fields::of(spec);
    // An observed script has the checksum of what ran, which is not that of its `sql`.
    if fields.get("checksum").is_none()
        && let Some(sum) = fields.get("sql").and_then(Value::as_str).map(checksum)
    {
        fields.default("checksum", sum);
    }
    fields.map_text("check", |text| text.trim().to_owned());
    if fields.get("check").is_some() {
        fields.default("checked", true);
    }
    fields.build()
}

fn check(spec: &Map) -> Vec<Problem> {
    let mut problems = check_names(spec, &["name", "database"]);
    let mut add = |pointer: &str, message: String| problems.push(Problem::error(pointer, message));
    match spec.get("sql") {
        Some(Value::Text(sql)) => {
            if let Err(problem) = statements::check_script(sql) {
                add("/sql", problem);
            }
            if spec.get("checksum").and_then(Value::as_str).is_some_and(|sum| sum != checksum(sql)) {
                add("/checksum", "this field is filled in and cannot be chosen".to_owned());
            }
        }
        Some(Value::Deferred(_)) => {
            add("/sql", "a script has to be known when it is planned, and cannot hold a secret".to_owned());
        }
        _ => {}
    }
    match spec.get("check") {
        Some(Value::Text(query)) => {
            if let Err(problem) = statements::check_query(query) {
                add("/check", problem);
            }
        }
        Some(Value::Deferred(_)) => add("/check", "a check has to be known when it is planned".to_owned()),
        _ => {}
    }
    problems
}

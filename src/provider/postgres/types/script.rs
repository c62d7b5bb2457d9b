//! `postgres.script`.

use schemars::JsonSchema;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{check_name, name_limit, reference};
use crate::statements;
use tenantry_core::model::kind::{Batch, Kind, MarkPlace, Problem};
use tenantry_core::model::names::hex;
use tenantry_core::model::spec::{Fields, Problems};
use tenantry_core::model::value::{Map, Value};

/// SQL that runs once for each version of its text, in a transaction with the record that it ran.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "postgres.script")]
pub struct ScriptSpec {
    /// Another database of the server than the one of the target's URL.
    #[expect(dead_code, reason = "part of the schema; it is read from the map")]
    pub database: Option<String>,
    /// The schema that unqualified names belong to while it runs. The user's own search path, if absent.
    pub schema: Option<String>,
    pub name: String,
    /// Statements. When the text changes it runs again, so it has to cope with what an earlier version did. It cannot hold
    /// secrets.
    #[schemars(extend("x-sql" = "postgresql"))]
    pub sql: String,
    /// A query that returns one true row as long as what the script did is still there; names in it are qualified. When it
    /// does not hold, the script runs again.
    #[schemars(extend("x-sql" = "postgresql"))]
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
        name: "postgres.script",
        summary: "SQL that runs once for each version of its text.",
        schema: schemars::schema_for!(ScriptSpec),
        identity: &["database", "schema", "name"],
        immutable: &[],
        write_only: &[],
        sensitive: &[],
        owned_by_key: &[],
        outputs: &[],
        captures: &[],
        name_limits: const { &[name_limit("/schema"), name_limit("/database")] },
        references: const { &[reference("/schema", "postgres.schema"), reference("/database", "postgres.database")] },
        // Only the record goes.
        loses_data: false,
        bills: false,
        mark: MarkPlace::Target,
        batch: Batch::Transaction { within: Some("/database") },
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
        fields.set("checksum", sum);
    }
    fields.map_text("check", |text| text.trim().to_owned());
    if fields.get("check").is_some() {
        fields.default("checked", true);
    }
    fields.build()
}

fn check(spec: &Map) -> Vec<Problem> {
    let mut problems = Problems::default();
    check_name(&mut problems, spec, "name", false);
    check_name(&mut problems, spec, "schema", false);
    match spec.get("sql") {
        Some(Value::Text(sql)) => {
            if let Err(problem) = statements::check_script(sql) {
                problems.add("/sql", problem);
            }
            if spec.get("checksum").and_then(Value::as_str).is_some_and(|sum| sum != checksum(sql)) {
                problems.add("/checksum", "this field is filled in and cannot be chosen");
            }
        }
        Some(Value::Deferred(_)) => {
            problems.add("/sql", "a script has to be known when it is planned, and cannot hold a secret");
        }
        _ => {}
    }
    match spec.get("check") {
        Some(Value::Text(query)) => {
            if let Err(problem) = statements::check_query(query) {
                problems.add("/check", problem);
            }
        }
        Some(Value::Deferred(_)) => problems.add("/check", "a check has to be known when it is planned"),
        _ => {}
    }
    problems.into_list()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_text_and_is_computed_once() {
        let spec = Map::from_fields([("sql".into(), "SELECT 1".into())]);
        let normalised = normalise(&spec);
        assert_eq!(
            normalised.get("checksum"),
            Some(&"e004ebd5b5532a4b85984a62f8ad48a81aa3460c1ca07701f386135d72cdecf5".into())
        );
        let observed = normalised.with("sql", "(ran with checksum e0…)".into());
        assert_eq!(normalise(&observed), observed);
    }

    #[test]
    fn a_check_is_wanted_to_hold() {
        let spec = Map::from_fields([("sql".into(), "SELECT 1".into()), ("check".into(), " SELECT true\n".into())]);
        assert_eq!(normalise(&spec).get("checked"), Some(&true.into()));
        assert_eq!(normalise(&spec).get("check"), Some(&"SELECT true".into()));
    }
}

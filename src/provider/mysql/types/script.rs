//! `mysql.script`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{check_names, name_limit, reference};
use crate::statements;
use tenantry_core::model::kind::{Kind, MarkPlace, Problem};
use tenantry_core::model::value::Map;
use tenantry_kit::{Stakes, describe, script};

/// SQL that runs once for each version of its text, with a record that it ran.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "mysql.script")]
pub struct ScriptSpec {
    /// The default database while it runs, for unqualified names.
    pub database: Option<String>,
    /// Its name in the records of scripts.
    #[expect(dead_code, reason = "part of the schema; it is read from the map")]
    pub name: String,
    /// Statements. Data definition is not transactional here: a script that fails half-way leaves its first half done. It runs
    /// again then, and when its text changes, so it must be repeatable. It cannot contain secrets.
    #[schemars(extend("x-sql" = "mysql"))]
    pub sql: String,
    /// A query that returns one true row as long as the effect of the script exists; use qualified names in it. If it does not
    /// hold, the script runs again.
    #[schemars(extend("x-sql" = "mysql"))]
    pub check: Option<String>,
    /// Set by Tenantry: SHA-256 of `sql`.
    #[schemars(regex(pattern = "^[0-9a-f]{64}$"))]
    #[expect(dead_code, reason = "part of the schema; it is read from the map")]
    pub checksum: Option<String>,
    /// Set by Tenantry if there is a `check`: whether it holds. The desired value is true.
    #[schemars(extend("enum" = [true, null]))]
    #[expect(dead_code, reason = "part of the schema; it is read from the map")]
    pub checked: Option<bool>,
}

pub const NAME: &str = "mysql.script";

pub fn kind() -> Kind {
    Kind {
        name_limits: const { &[name_limit("/database"), name_limit("/name")] },
        references: const { &[reference("/database", "mysql.database")] },
        mark: MarkPlace::Target,
        // Only the record goes.
        normalise: script::normalise,
        told: Some(script::told),
        check: |spec| check(spec),
        ..describe::<ScriptSpec>(
            NAME,
            "SQL that runs once for each version of its text.",
            &["database", "name"],
            Stakes { loses_data: false, bills: false },
        )
    }
}

fn check(spec: &Map) -> Vec<Problem> {
    let mut problems = check_names(spec, &["name", "database"]);
    problems.extend(script::check(spec, statements::check_script, statements::check_query));
    problems
}

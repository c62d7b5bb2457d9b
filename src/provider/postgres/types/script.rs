//! `postgres.script`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{check_name, name_limit, reference};
use crate::statements;
use tenantry_core::model::kind::{Batch, Kind, MarkPlace, Problem};
use tenantry_core::model::spec::Problems;
use tenantry_core::model::value::Map;
use tenantry_kit::{Stakes, describe, script};

/// SQL that runs once for each version of its text, in a transaction with the record that it ran.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "postgres.script")]
pub struct ScriptSpec {
    /// A database of the server, if not the one of the target's URL.
    #[expect(dead_code, reason = "part of the schema; it is read from the map")]
    pub database: Option<String>,
    /// The schema for unqualified names while it runs. The user's own search path, if absent.
    pub schema: Option<String>,
    /// Its name in the records of scripts.
    pub name: String,
    /// Statements. When the text changes it runs again, so it must handle what an earlier version did. It cannot contain
    /// secrets.
    #[schemars(extend("x-sql" = "postgresql"))]
    pub sql: String,
    /// A query that returns one true row as long as the effect of the script exists; use qualified names in it. If it does not
    /// hold, the script runs again.
    #[schemars(extend("x-sql" = "postgresql"))]
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

pub const NAME: &str = "postgres.script";

pub fn kind() -> Kind {
    Kind {
        name_limits: const { &[name_limit("/schema"), name_limit("/database")] },
        references: const { &[reference("/schema", "postgres.schema"), reference("/database", "postgres.database")] },
        mark: MarkPlace::Target,
        batch: Batch::Transaction { within: Some("/database") },
        // Only the record goes.
        normalise: script::normalise,
        told: Some(script::told),
        check: |spec| check(spec),
        ..describe::<ScriptSpec>(
            NAME,
            "SQL that runs once for each version of its text.",
            &["database", "schema", "name"],
            Stakes { loses_data: false, bills: false },
        )
    }
}

fn check(spec: &Map) -> Vec<Problem> {
    let mut problems = Problems::default();
    check_name(&mut problems, spec, "name", false);
    check_name(&mut problems, spec, "schema", false);
    let of_texts = script::check(spec, statements::check_script, statements::check_query);
    problems.into_list().into_iter().chain(of_texts).collect()
}

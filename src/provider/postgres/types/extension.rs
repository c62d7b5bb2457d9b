//! `postgres.extension`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{check_name, name_limit, reference};
use tenantry_core::model::kind::{Batch, Kind, Problem};
use tenantry_core::model::spec::Problems;
use tenantry_core::model::value::Map;
use tenantry_kit::{Stakes, describe};

/// An extension of a database.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "postgres.extension")]
pub struct ExtensionSpec {
    /// A database of the server, if not the one of the target's URL.
    #[expect(dead_code, reason = "part of the schema; it is read from the map")]
    pub database: Option<String>,
    /// The extension's name, such as `pg_trgm`.
    pub name: String,
    /// The schema of its objects. If absent, the extension chooses it, and it is not compared.
    pub schema: Option<String>,
    /// If absent, the newest version that the server has, and it is not compared.
    pub version: Option<String>,
}

pub const NAME: &str = "postgres.extension";

pub fn kind() -> Kind {
    Kind {
        name_limits: const { &[name_limit("/name"), name_limit("/schema"), name_limit("/database")] },
        references: const { &[reference("/schema", "postgres.schema"), reference("/database", "postgres.database")] },
        // Its comment is its description, written by its own script at every update: it has no room for a mark.
        // Some extensions keep data in tables of their own, and those go with it.
        batch: Batch::Transaction { within: Some("/database") },
        check: |spec| check(spec),
        ..describe::<ExtensionSpec>(
            NAME,
            "An extension of a PostgreSQL database.",
            &["database", "name"],
            Stakes { loses_data: true, bills: false },
        )
    }
}

fn check(spec: &Map) -> Vec<Problem> {
    let mut problems = Problems::default();
    check_name(&mut problems, spec, "name", false);
    check_name(&mut problems, spec, "schema", false);
    problems.into_list()
}

//! `postgres.schema`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{check_name, name_limit, reference};
use tenantry_core::model::kind::{Batch, Kind, MarkPlace, Problem};
use tenantry_core::model::spec::{Fields, Problems};
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::{Stakes, describe};

/// A schema of a database.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "postgres.schema")]
pub struct SchemaSpec {
    /// A database of the server, if not the one of the target's URL.
    #[expect(dead_code, reason = "part of the schema; it is read from the map")]
    pub database: Option<String>,
    /// The schema's name.
    pub name: String,
    /// The role that owns it. If absent, the creator owns it, and the owner is not compared.
    pub owner: Option<String>,
    /// Whether only the owner and the roles of the estate's grants may have privileges on it, or on a table, sequence or
    /// function in it.
    #[serde(default)]
    pub exclusive: bool,
    /// Set by Tenantry if `exclusive` is true: other privileges that exist. The desired value is an empty list.
    #[schemars(length(max = 0))]
    #[expect(dead_code, reason = "part of the schema; it is read from the map")]
    pub foreign_grants: Option<Vec<String>>,
}

pub const NAME: &str = "postgres.schema";

pub fn kind() -> Kind {
    Kind {
        name_limits: const { &[name_limit("/name"), name_limit("/owner"), name_limit("/database")] },
        references: const { &[reference("/owner", "postgres.role"), reference("/database", "postgres.database")] },
        mark: MarkPlace::Target,
        batch: Batch::Transaction { within: Some("/database") },
        normalise,
        check: |spec| check(spec),
        ..describe::<SchemaSpec>(
            NAME,
            "A schema of a PostgreSQL database; deleting it deletes everything in it.",
            &["database", "name"],
            Stakes { loses_data: true, bills: false },
        )
    }
}

fn normalise(fields: &mut Fields<'_>) {
    if fields.get("exclusive") == Some(&Value::Bool(true)) {
        fields.default("foreignGrants", Vec::new());
        fields.map("foreignGrants", Value::as_set);
    }
}

fn check(spec: &Map) -> Vec<Problem> {
    let mut problems = Problems::default();
    check_name(&mut problems, spec, "name", true);
    check_name(&mut problems, spec, "owner", false);
    if let Some("public" | "information_schema") = spec.get("name").and_then(Value::as_str) {
        problems.add("/name", "this schema is part of every database and cannot be managed");
    }
    if spec.get("foreignGrants").and_then(Value::as_list).is_some_and(|list| !list.is_empty()) {
        problems.add("/foreignGrants", "Tenantry sets this field; use postgres.grant to grant privileges");
    }
    problems.into_list()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_grants_appear_only_where_they_are_looked_for() {
        let spec = Map::from_fields([("name".into(), "s".into())]);
        assert_eq!(kind().canonical(&spec).get("foreignGrants"), None);
        let exclusive = spec.with("exclusive", true.into());
        assert_eq!(kind().canonical(&exclusive).get("foreignGrants"), Some(&Value::list([])));
    }

    #[test]
    fn schemas_of_the_server_are_refused() {
        for name in ["public", "pg_catalog", "information_schema", ""] {
            assert_eq!(check(&Map::from_fields([("name".into(), name.into())])).len(), 1, "{name}");
        }
    }
}

//! `postgres.row`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{check_name, name_limit, reference};
use tenantry_core::model::kind::{Batch, Kind, Problem};
use tenantry_core::model::spec::Problems;
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::{Stakes, describe};

/// A row of an existing table, owned column by column.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "postgres.row")]
pub struct RowSpec {
    /// A database of the server, if not the one of the target's URL.
    #[expect(dead_code, reason = "part of the schema; it is read from the map")]
    pub database: Option<String>,
    /// The table's schema.
    #[serde(default = "public")]
    pub schema: String,
    /// The table. It has to exist.
    pub table: String,
    /// The columns that identify the row, with their values.
    #[schemars(length(min = 1))]
    #[expect(dead_code, reason = "part of the schema; it is read from the map")]
    pub key: BTreeMap<String, serde_json::Value>,
    /// The managed columns. Others are left alone, and so are other keys of JSON objects.
    #[serde(default)]
    #[expect(dead_code, reason = "part of the schema; it is read from the map")]
    pub columns: BTreeMap<String, serde_json::Value>,
}

fn public() -> String {
    "public".to_owned()
}

pub const NAME: &str = "postgres.row";

pub fn kind() -> Kind {
    Kind {
        owned_by_key: &["/columns"],
        name_limits: const { &[name_limit("/table"), name_limit("/schema"), name_limit("/database")] },
        references: const { &[reference("/schema", "postgres.schema"), reference("/database", "postgres.database")] },
        batch: Batch::Transaction { within: Some("/database") },
        check: |spec| check(spec),
        ..describe::<RowSpec>(
            NAME,
            "A row of an existing PostgreSQL table, owned column by column.",
            &["database", "schema", "table", "key"],
            Stakes { loses_data: true, bills: false },
        )
    }
}

fn check(spec: &Map) -> Vec<Problem> {
    let mut problems = Problems::default();
    check_name(&mut problems, spec, "table", false);
    check_name(&mut problems, spec, "schema", false);
    let columns = spec.get("columns").and_then(Value::as_map);
    match spec.get("key").and_then(Value::as_map) {
        Some(key) if key.is_empty() => problems.add("/key", "name at least one column"),
        Some(key) => {
            for (column, value) in key.iter() {
                if matches!(value, Value::Null | Value::List(_) | Value::Map(_)) {
                    problems.add("/key", format!("the value of \"{column}\" must be a text, a number or a boolean"));
                }
                if columns.is_some_and(|columns| columns.contains(column)) {
                    problems.add("/columns", format!("\"{column}\" is already part of the key"));
                }
            }
        }
        None => {}
    }
    problems.into_list()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_plain_values_and_is_not_repeated() {
        let spec = |key: Value, columns: Value| Map::from_fields([("key".into(), key), ("columns".into(), columns)]);
        let id = || Value::map([("id", Value::from("acme"))]);
        assert_eq!(check(&spec(id(), Value::map([("seats", Value::Null)]))), []);
        assert_eq!(check(&spec(id(), id())).len(), 1);
        assert_eq!(check(&spec(Value::map([("id", Value::Null)]), Value::from(Map::default()))).len(), 1);
        assert_eq!(check(&spec(Value::from(Map::default()), Value::from(Map::default()))).len(), 1);
    }

    #[test]
    fn a_column_may_be_wanted_null() {
        let spec = Map::from_fields([("columns".into(), Value::map([("note", Value::Null)]))]);
        assert_eq!(kind().canonical(&spec).get("columns"), Some(&Value::map([("note", Value::Null)])));
    }
}

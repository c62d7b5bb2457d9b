//! `mysql.row`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{check_names, name_limit, reference};
use tenantry_core::model::kind::{Kind, Problem};
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::{Stakes, describe};

/// A row of an existing table, owned column by column.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "mysql.row")]
pub struct RowSpec {
    /// The table's database.
    pub database: String,
    /// The table. It has to exist.
    pub table: String,
    /// The columns that identify the row, with their values.
    #[schemars(length(min = 1), with = "BTreeMap<String, serde_json::Value>")]
    pub key: BTreeMap<String, Value>,
    /// The managed columns; others are left alone. JSON is compared by its meaning, as a whole.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub columns: BTreeMap<String, Value>,
}

pub const NAME: &str = "mysql.row";

pub fn kind() -> Kind {
    Kind {
        owned_by_key: &["/columns"],
        name_limits: const { &[name_limit("/table"), name_limit("/database")] },
        references: const { &[reference("/database", "mysql.database")] },
        check: |spec| check(spec),
        ..describe::<RowSpec>(
            NAME,
            "A row of an existing MySQL table, owned column by column.",
            &["database", "table", "key"],
            Stakes { loses_data: true, bills: false },
        )
    }
}

fn check(spec: &Map) -> Vec<Problem> {
    let mut problems = check_names(spec, &["database", "table"]);
    let columns = spec.get("columns").and_then(Value::as_map);
    match spec.get("key").and_then(Value::as_map) {
        Some(key) if key.is_empty() => problems.push(Problem::error("/key", "name at least one column")),
        Some(key) => {
            for (column, value) in key.iter() {
                if matches!(value, Value::Null | Value::List(_) | Value::Map(_)) {
                    let message = format!("the value of \"{column}\" must be a text, a number or a boolean");
                    problems.push(Problem::error("/key", message));
                }
                if columns.is_some_and(|columns| columns.contains(column)) {
                    problems.push(Problem::error("/columns", format!("\"{column}\" is already part of the key")));
                }
            }
        }
        None => {}
    }
    problems
}

//! `mysql.row`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{check_names, name_limit, reference};
use tenantry_core::model::kind::{Batch, Kind, MarkPlace, Problem};
use tenantry_core::model::spec::Fields;
use tenantry_core::model::value::{Map, Value};

/// A row of a table that exists, owned column by column.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "mysql.row")]
#[expect(dead_code, reason = "the schema is made of it; fields are read from the map")]
pub struct RowSpec {
    pub database: String,
    pub table: String,
    /// The columns that tell the row from all others, and their values.
    #[schemars(length(min = 1))]
    pub key: BTreeMap<String, serde_json::Value>,
    /// The columns that are looked after; others are left alone. JSON is compared by what it means, as a whole.
    #[serde(default)]
    pub columns: BTreeMap<String, serde_json::Value>,
}

pub fn kind() -> Kind {
    Kind {
        name: "mysql.row",
        summary: "A row of an existing MySQL table, owned column by column.",
        schema: schemars::schema_for!(RowSpec),
        identity: &["database", "table", "key"],
        immutable: &[],
        write_only: &[],
        sensitive: &[],
        owned_by_key: &["/columns"],
        outputs: &[],
        captures: &[],
        name_limits: const { &[name_limit("/table"), name_limit("/database")] },
        references: const { &[reference("/database", "mysql.database")] },
        loses_data: true,
        bills: false,
        mark: MarkPlace::Inventory,
        batch: Batch::Single,
        normalise,
        check: |spec| check(spec),
        check_together: None,
        by_spec: None,
    }
}

fn normalise(spec: &Map) -> Map {
    let mut fields = Fields::of(spec);
    fields.default("columns", Map::default());
    fields.build()
}

fn check(spec: &Map) -> Vec<Problem> {
    let mut problems = check_names(spec, &["database", "table"]);
    let columns = spec.get("columns").and_then(Value::as_map);
    match spec.get("key").and_then(Value::as_map) {
        Some(key) if key.is_empty() => problems.push(Problem::error("/key", "name at least one column")),
        Some(key) => {
            for (column, value) in key.iter() {
                if matches!(value, Value::Null | Value::List(_) | Value::Map(_)) {
                    let message = format!("the value of \"{column}\" has to be a text, a number or a boolean");
                    problems.push(Problem::error("/key", message));
                }
                if columns.is_some_and(|columns| columns.contains(column)) {
                    problems.push(Problem::error("/columns", format!("\"{column}\" is part of the key already")));
                }
            }
        }
        None => {}
    }
    problems
}

//! `mysql.database`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{check_names, is_system_database, name_limit};
use tenantry_core::model::kind::{Batch, Kind, MarkPlace, Problem};
use tenantry_core::model::spec::Fields;
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::{Stakes, describe};

/// A database, which MySQL also calls a schema.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "mysql.database")]
pub struct DatabaseSpec {
    /// The database's name.
    #[expect(dead_code, reason = "part of the schema; it is read from the map")]
    pub name: String,
    /// The default for tables that are created later.
    #[serde(default = "utf8mb4")]
    pub charset: String,
    /// The default for tables that are created later. That of the character set, if absent.
    pub collation: Option<String>,
}

fn utf8mb4() -> String {
    "utf8mb4".to_owned()
}

pub const NAME: &str = "mysql.database";

pub fn kind() -> Kind {
    Kind {
        name_limits: const { &[name_limit("/name")] },
        mark: MarkPlace::Target,
        batch: Batch::Sequence,
        normalise,
        check: |spec| check(spec),
        ..describe::<DatabaseSpec>(
            NAME,
            "A database of a MySQL or MariaDB server.",
            &["name"],
            Stakes { loses_data: true, bills: false },
        )
    }
}

fn normalise(fields: &mut Fields<'_>) {
    // `utf8` is what the three-byte character set was called, and is so still when it is written.
    fields.map_text("charset", |charset| match charset.to_ascii_lowercase() {
        charset if charset == "utf8" => "utf8mb3".to_owned(),
        charset => charset,
    });
    fields.map_text("collation", |collation| {
        let collation = collation.to_ascii_lowercase();
        collation.strip_prefix("utf8_").map(|rest| format!("utf8mb3_{rest}")).unwrap_or(collation)
    });
}

fn check(spec: &Map) -> Vec<Problem> {
    let mut problems = check_names(spec, &["name"]);
    if spec.get("name").and_then(Value::as_str).is_some_and(is_system_database) {
        problems.push(Problem::error("/name", "this is a system database of the server"));
    }
    for field in ["charset", "collation"] {
        if let Some(word) = spec.get(field).and_then(Value::as_str)
            && (word.is_empty() || !word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
        {
            problems.push(Problem::error(format!("/{field}"), format!("{word:?} is not a valid name of a {field}")));
        }
    }
    problems
}

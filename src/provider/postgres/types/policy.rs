//! `postgres.rls_policy`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::grant::canonical_role;
use super::{check_name, name_limit, reference};
use tenantry_core::model::kind::{Batch, Kind, MarkPlace, Problem};
use tenantry_core::model::spec::{Fields, Problems};
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::{Stakes, describe};

/// A row security policy of a table.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "postgres.rls_policy")]
pub struct PolicySpec {
    /// A database of the server, if not the one of the target's URL.
    #[expect(dead_code, reason = "part of the schema; it is read from the map")]
    pub database: Option<String>,
    /// The table's schema.
    pub schema: String,
    /// The table. It has to exist.
    pub table: String,
    /// The policy's name, unique for the table.
    pub name: String,
    #[serde(default)]
    pub command: Command,
    /// Whether it permits rows; otherwise it restricts the rows that other policies permit.
    #[serde(default = "yes")]
    pub permissive: bool,
    /// The roles that it applies to; `public` is everybody.
    #[serde(default = "public")]
    #[schemars(length(min = 1))]
    pub roles: Vec<String>,
    /// An SQL condition on rows that are read, changed or deleted.
    #[schemars(extend("x-sql" = "postgresql"))]
    pub using: Option<String>,
    /// An SQL condition on rows that are written. The same as `using`, if absent.
    #[schemars(extend("x-sql" = "postgresql"))]
    pub with_check: Option<String>,
    /// Whether row security is enabled on the table. Deleting a policy never disables it.
    #[serde(default = "yes")]
    pub enable: bool,
    /// Whether row security also applies to the table's owner.
    #[serde(default = "yes")]
    pub force: bool,
}

/// The command that a policy applies to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Command {
    #[default]
    All,
    Select,
    Insert,
    Update,
    Delete,
}

impl Command {
    pub fn sql(self) -> &'static str {
        match self {
            Self::All => "ALL",
            Self::Select => "SELECT",
            Self::Insert => "INSERT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
        }
    }
}

fn yes() -> bool {
    true
}

fn public() -> Vec<String> {
    vec!["public".to_owned()]
}

pub const NAME: &str = "postgres.rls_policy";

pub fn kind() -> Kind {
    Kind {
        immutable: &["/command", "/permissive"],
        name_limits: const { &[name_limit("/name"), name_limit("/table"), name_limit("/schema"), name_limit("/database")] },
        references: const {
            &[
                reference("/schema", "postgres.schema"),
                reference("/roles", "postgres.role"),
                reference("/database", "postgres.database"),
            ]
        },
        mark: MarkPlace::Target,
        batch: Batch::Transaction { within: Some("/database") },
        normalise,
        check: |spec| check(spec),
        ..describe::<PolicySpec>(
            NAME,
            "A row security policy of a PostgreSQL table, and that the table has row security.",
            &["database", "schema", "table", "name"],
            Stakes { loses_data: false, bills: false },
        )
    }
}

fn normalise(fields: &mut Fields<'_>) {
    fields.map("roles", |roles| match roles {
        Value::List(items) => Value::list(items.iter().map(canonical_role)).as_set(),
        other => other.clone(),
    });
    fields.map_text("using", |text| text.trim().to_owned());
    fields.map_text("withCheck", |text| text.trim().to_owned());
}

fn check(spec: &Map) -> Vec<Problem> {
    let mut problems = Problems::default();
    for field in ["schema", "table", "name"] {
        check_name(&mut problems, spec, field, false);
    }
    let has = |field: &str| spec.get(field).is_some_and(|value| !value.is_null());
    match spec.get("command").and_then(Value::as_str) {
        Some("insert") if has("using") => problems.add("/using", "a policy for insert has `withCheck` only"),
        Some(command @ ("select" | "delete")) if has("withCheck") => {
            problems.add("/withCheck", format!("a policy for {command} has `using` only"));
        }
        _ if !has("using") && !has("withCheck") => problems.add("", "a policy needs `using` or `withCheck`"),
        _ => {}
    }
    for field in ["using", "withCheck"] {
        if let Some(text) = spec.get(field).and_then(Value::as_str)
            && let Err(problem) = crate::statements::check_expression(text)
        {
            problems.add(format!("/{field}"), problem);
        }
    }
    problems.into_list()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(fields: &[(&str, &str)]) -> Map {
        fields.iter().map(|(name, value)| ((*name).into(), Value::from(*value))).collect()
    }

    #[test]
    fn conditions_fit_the_command() {
        assert_eq!(check(&spec(&[("command", "insert"), ("using", "true")])).len(), 1);
        assert_eq!(check(&spec(&[("command", "select"), ("withCheck", "true")])).len(), 1);
        assert_eq!(check(&spec(&[("command", "all")])).len(), 1);
        assert_eq!(check(&spec(&[("command", "all"), ("using", "true")])).len(), 0);
    }

    #[test]
    fn a_condition_cannot_end_the_statement() {
        assert_eq!(check(&spec(&[("using", "true); DROP TABLE t; --")])).len(), 1);
    }
}

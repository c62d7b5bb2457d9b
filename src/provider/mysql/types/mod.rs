//! The kinds of this provider: their specs, and what the planner has to know about them.
//!
//! Normalising works on the map and not on the typed spec, because a desired spec may still hold deferred values.

pub mod database;
pub mod grant;
pub mod row;
pub mod script;
pub mod user;

use tenantry_core::model::kind::{FieldReference, NameLimit, Problem};
use tenantry_core::model::spec::Problems;
use tenantry_core::model::value::Map;

tenantry_kit::kinds! {
    /// The kinds of this provider, in the order in which they depend on each other.
    pub enum MySqlKind of "MySQL" {
        Database = database,
        User = user,
        Script = script,
        Grant = grant,
        Row = row,
    }
}

/// Databases that belong to the server itself.
pub fn is_system_database(name: &str) -> bool {
    ["mysql", "information_schema", "performance_schema", "sys"].contains(&name.to_ascii_lowercase().as_str())
}

/// Databases, tables and columns have at most 64 characters.
const fn name_limit(pointer: &'static str) -> NameLimit {
    NameLimit { pointer, bytes: 64, source: "MySQL identifier length" }
}

const fn reference(pointer: &'static str, kind: &'static str) -> FieldReference {
    FieldReference { pointer, kind, required: true }
}

/// Problems of names that the server would refuse.
fn check_names(spec: &Map, fields: &[&str]) -> Vec<Problem> {
    let mut problems = Problems::default();
    for field in fields {
        let Some(name) = problems.name(spec, field) else { continue };
        if name.contains('\0') {
            problems.add(format!("/{field}"), "a name cannot hold a NUL character");
        }
        if name.ends_with(' ') {
            problems.add(format!("/{field}"), "a name cannot end with a space");
        }
    }
    problems.into_list()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use tenantry_core::model::value::Value;
    use tenantry_kit::ProviderKind as _;
    use tenantry_provider::descriptions::{assert_defaults, assert_pointers, assert_samples};

    fn samples() -> Vec<(&'static str, serde_json::Value)> {
        vec![
            ("mysql.database", json!({"name": "acme", "charset": "UTF8MB4", "collation": "utf8mb4_bin"})),
            ("mysql.user", json!({"name": "acme", "password": "x", "tls": "any", "maxUserConnections": 5})),
            (
                "mysql.script",
                json!({"name": "tables", "database": "acme", "sql": "CREATE TABLE t (a int)", "check": "SELECT 1"}),
            ),
            (
                "mysql.grant",
                json!({"user": "acme", "on": "database", "database": "acme", "privileges": ["select", "insert"]}),
            ),
            (
                "mysql.row",
                json!({"database": "acme", "table": "t", "key": {"id": 1}, "columns": {"seats": 3, "note": null}}),
            ),
        ]
    }

    #[test]
    fn every_kind_has_a_sample_that_its_schema_accepts_raw_and_normalised() {
        assert_samples(&MySqlKind::descriptions(), &samples());
    }

    #[test]
    fn pointers_of_a_description_lead_to_fields() {
        assert_pointers(&MySqlKind::descriptions());
    }

    #[test]
    fn the_schema_says_what_an_absent_field_is() {
        assert_defaults(&MySqlKind::descriptions());
    }

    fn pointers(kind: &str, spec: serde_json::Value) -> Vec<String> {
        let kind = MySqlKind::descriptions().into_iter().find(|known| known.name == kind).expect("a kind");
        let Value::Map(spec) = Value::from(spec) else { panic!("a map") };
        (kind.check)(&kind.normal(&spec)).into_iter().map(|problem| problem.pointer).collect()
    }

    #[test]
    fn what_the_server_would_refuse_is_told() {
        assert_eq!(pointers("mysql.database", json!({"name": "mysql"})), ["/name"]);
        assert_eq!(pointers("mysql.database", json!({"name": "a", "charset": "utf8mb4; DROP"})), ["/charset"]);
        let grant = |spec| pointers("mysql.grant", spec);
        assert_eq!(grant(json!({"user": "a", "on": "database", "privileges": ["select"]})), ["/database"]);
        assert_eq!(
            grant(json!({"user": "a", "on": "global", "database": "d", "privileges": ["select"]})),
            ["/database"]
        );
        assert_eq!(grant(json!({"user": "a", "on": "global", "privileges": ["all"]})), ["/privileges"]);
        assert_eq!(
            grant(json!({"user": "a", "on": "table", "database": "d", "table": "t", "privileges": ["select (a)"]})),
            ["/privileges/0"]
        );
        let row = |key, columns| {
            pointers("mysql.row", json!({"database": "d", "table": "t", "key": key, "columns": columns}))
        };
        assert_eq!(row(json!({"id": null}), json!({})), ["/key"]);
        assert_eq!(row(json!({"id": 1}), json!({"id": 2})), ["/columns"]);
    }
}

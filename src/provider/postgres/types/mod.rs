//! The kinds of this provider: their specs, and what the planner has to know about them.
//!
//! Normalising works on the map and not on the typed spec, because a desired spec may still hold deferred values.

pub mod database;
pub mod extension;
pub mod grant;
pub mod policy;
pub mod role;
pub mod row;
pub mod schema;
pub mod script;

use tenantry_core::model::kind::{FieldReference, NameLimit};
use tenantry_core::model::spec::Problems;
use tenantry_core::model::value::Map;

tenantry_kit::kinds! {
    /// The kinds of this provider, in the order in which they depend on each other.
    pub enum PostgresKind of "PostgreSQL" {
        Database = database,
        Role = role,
        Schema = schema,
        Extension = extension,
        Script = script,
        Grant = grant,
        Policy = policy,
        Row = row,
    }
}

/// The longest name (NAMEDATALEN - 1 of a server that is built as usual).
const NAME_BYTES: usize = 63;

const fn name_limit(pointer: &'static str) -> NameLimit {
    NameLimit { pointer, bytes: NAME_BYTES, source: "PostgreSQL NAMEDATALEN" }
}

const fn reference(pointer: &'static str, kind: &'static str) -> FieldReference {
    FieldReference { pointer, kind, required: true }
}

/// Names that the server would refuse, or keeps for itself.
fn check_name(problems: &mut Problems, spec: &Map, field: &str, reserved_prefix: bool) {
    let Some(name) = problems.name(spec, field) else { return };
    if name.contains('\0') {
        problems.add(format!("/{field}"), "a name cannot hold a NUL character");
    }
    if reserved_prefix && name.starts_with("pg_") {
        problems.add(format!("/{field}"), "names that begin with pg_ are reserved for PostgreSQL itself");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use tenantry_core::model::value::Value;
    use tenantry_kit::ProviderKind as _;
    use tenantry_provider::descriptions::{assert_defaults, assert_pointers, assert_samples};

    fn samples() -> Vec<(&'static str, serde_json::Value)> {
        vec![
            ("postgres.database", json!({"name": "acme", "owner": "app", "encoding": "utf-8", "locale": "C.UTF-8"})),
            (
                "postgres.role",
                json!({"name": "r", "login": true, "password": "x", "validUntil": "2030-01-01 00:00:00+00",
                "settings": {"Statement_Timeout": "30s", "search_path": "\"acme\", public"}, "memberOf": ["b", "a", "b"]}),
            ),
            ("postgres.schema", json!({"name": "s", "owner": "r", "exclusive": true, "database": null})),
            ("postgres.extension", json!({"name": "citext", "schema": "public", "version": "1.6"})),
            (
                "postgres.script",
                json!({"name": "tables", "sql": "CREATE TABLE t ()", "check": "SELECT true", "schema": "s"}),
            ),
            ("postgres.grant", json!({"role": "PUBLIC", "on": "allTables", "schema": "s", "privileges": ["all"]})),
            (
                "postgres.rls_policy",
                json!({"schema": "s", "table": "t", "name": "p", "roles": ["b", "PUBLIC"], "using": " a = b "}),
            ),
            ("postgres.row", json!({"table": "tenants", "key": {"id": "acme"}, "columns": {"seats": 3, "note": null}})),
        ]
    }

    #[test]
    fn every_kind_has_a_sample_that_its_schema_accepts_raw_and_normalised() {
        assert_samples(&PostgresKind::descriptions(), &samples());
    }

    #[test]
    fn pointers_of_a_description_lead_to_fields() {
        assert_pointers(&PostgresKind::descriptions());
    }

    #[test]
    fn the_schema_says_what_an_absent_field_is() {
        assert_defaults(&PostgresKind::descriptions());
    }

    #[test]
    fn a_deferred_value_survives_normalising() {
        use tenantry_core::model::value::{Deferred, Part};
        let deferred = Value::Deferred(Arc::new(Deferred { parts: vec![Part::Text("x".into())] }));
        let spec = Map::from_fields([("name".into(), "r".into()), ("password".into(), deferred.clone())]);
        assert_eq!(role::kind().canonical(&spec).get("password"), Some(&deferred));
    }
}

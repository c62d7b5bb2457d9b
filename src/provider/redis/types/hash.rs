//! `redis.hash`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::expiry::{self, ExpireField};
use super::key::is_create_only;
use super::{Scalar, empty_name};
use tenantry_core::model::kind::{Batch, BySpec, Kind, MarkPlace, Problem, escape};
use tenantry_core::model::normal::Normal;
use tenantry_core::model::spec::Fields;
use tenantry_core::model::value::{Map, Value};

/// A hash, owned field by field.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "redis.hash")]
#[expect(dead_code, reason = "the schema is made of it; fields are read from the map")]
pub struct HashSpec {
    pub key: String,
    /// The fields that are looked after; others are left alone. Kept as texts; numbers and booleans are compared by what
    /// they mean. A field that is null is not to be there.
    #[schemars(with = "BTreeMap<String, Option<Scalar>>", length(min = 1))]
    pub fields: BTreeMap<String, serde_json::Value>,
    /// For values that the product itself changes: they are written when the hash is missing, and then left alone.
    #[serde(default)]
    pub create_only: bool,
    /// When it ends: `never`, a time, or a number of seconds from when it is written.
    #[serde(default)]
    #[schemars(with = "ExpireField")]
    pub expire: Option<serde_json::Value>,
}

pub fn kind() -> Kind {
    Kind {
        name: "redis.hash",
        summary: "A hash of a Redis database, owned field by field.",
        schema: schemars::schema_for!(HashSpec),
        identity: &["key"],
        immutable: &[],
        write_only: &[],
        sensitive: &[],
        owned_by_key: &["/fields"],
        outputs: &[],
        captures: &[],
        name_limits: &[],
        references: &[],
        // With it go the fields that the product has put there.
        loses_data: true,
        bills: false,
        mark: MarkPlace::Inventory,
        batch: Batch::Single,
        normalise,
        check,
        check_together: None,
        by_spec: Some(BySpec {
            left_alone: is_create_only,
            ..BySpec::named(|spec| spec.get("key").and_then(Value::as_str).map(|key| escape(key).into_owned().into()))
        }),
    }
}

fn normalise(spec: &Map) -> Map {
    let mut fields = Fields::of(spec);
    fields.default("createOnly", false);
    fields.default("expire", "never");
    fields.map("expire", expiry::canonical);
    fields.build()
}

fn check(spec: &Normal) -> Vec<Problem> {
    let mut problems: Vec<Problem> = empty_name(spec, "key").into_iter().chain(expiry::check(spec)).collect();
    if spec.get("fields").and_then(Value::as_map).is_some_and(|fields| fields.iter().all(|(_, value)| value.is_null()))
    {
        let message = "a hash has at least one field; the server removes an empty one";
        problems.push(Problem::error("/fields", message));
    }
    problems
}

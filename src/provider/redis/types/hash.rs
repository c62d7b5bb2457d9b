//! `redis.hash`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::expiry::{self, ExpireField};
use super::prefix::place;
use super::{Scalar, empty_name, key};
use tenantry_core::model::kind::{BySpec, Kind, Nesting, Problem};
use tenantry_core::model::normal::Normal;
use tenantry_core::model::value::Value;
use tenantry_kit::{Stakes, describe};

/// A hash, owned field by field.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "redis.hash")]
pub struct HashSpec {
    /// The hash's key.
    pub key: String,
    /// The managed fields; others are left alone. Stored as texts; numbers and booleans are compared by value. A field that is
    /// null must not exist.
    #[schemars(with = "BTreeMap<String, Option<Scalar>>", length(min = 1))]
    pub fields: BTreeMap<String, Value>,
    /// For values that the product itself changes: the hash is created if it is missing, and then left alone.
    #[serde(default)]
    pub create_only: bool,
    /// When it expires: `never`, a time, or a number of seconds after the write.
    #[serde(default = "expiry::never")]
    #[schemars(with = "ExpireField")]
    pub expire: Value,
}

pub const NAME: &str = "redis.hash";

pub fn kind() -> Kind {
    Kind {
        owned_by_key: &["/fields"],
        // With it go the fields that the product has put there.
        normalise: key::normalise,
        check,
        by_spec: Some(BySpec { left_alone: key::is_create_only, ..BySpec::named(key::identity) }),
        nesting: Some(Nesting { place: |spec| place(spec, "key"), holds: false }),
        ..describe::<HashSpec>(
            NAME,
            "A hash of a Redis database, owned field by field.",
            &["key"],
            Stakes { loses_data: true, bills: false },
        )
    }
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

//! `redis.key`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::expiry::{self, ExpireField};
use super::prefix::place;
use super::{Scalar, empty_name};
use tenantry_core::model::kind::{BySpec, Kind, Nesting, Problem, escape};
use tenantry_core::model::normal::Normal;
use tenantry_core::model::resource::Identity;
use tenantry_core::model::spec::Fields;
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::{Stakes, describe};

/// A key with a string.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "redis.key")]
pub struct KeySpec {
    /// The key.
    pub key: String,
    /// Stored as text; numbers and booleans are compared by value.
    #[schemars(with = "Scalar")]
    pub value: Value,
    /// For values that the product itself changes, such as a quota that is counted down: the key is created if it is missing,
    /// and then left alone.
    #[serde(default)]
    pub create_only: bool,
    /// When it expires: `never`, a time, or a number of seconds after the write.
    #[serde(default = "expiry::never")]
    #[schemars(with = "ExpireField")]
    pub expire: Value,
}

pub const NAME: &str = "redis.key";

pub fn kind() -> Kind {
    Kind {
        normalise,
        check,
        by_spec: Some(BySpec {
            // What counts down at run time cannot be made again; what is written here can.
            loses_data: |spec| is_create_only(spec),
            left_alone: is_create_only,
            ..BySpec::named(identity)
        }),
        nesting: Some(Nesting { place: |spec| place(spec, "key"), holds: false }),
        ..describe::<KeySpec>(
            NAME,
            "A key of a Redis database with a string in it.",
            &["key"],
            Stakes { loses_data: false, bills: false },
        )
    }
}

/// The key alone: it may hold the separator of identities.
pub fn identity(spec: &Normal) -> Option<Identity> {
    spec.get("key").and_then(Value::as_str).map(|key| escape(key).into_owned().into())
}

/// Whether what is there is left alone.
pub fn is_create_only(spec: &Map) -> bool {
    spec.get("createOnly").and_then(Value::as_bool) == Some(true)
}

pub fn normalise(fields: &mut Fields<'_>) {
    fields.map("expire", expiry::canonical);
}

fn check(spec: &Normal) -> Vec<Problem> {
    empty_name(spec, "key").into_iter().chain(expiry::check(spec)).collect()
}

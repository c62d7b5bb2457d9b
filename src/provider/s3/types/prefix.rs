//! `s3.prefix`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::text;
use tenantry_core::model::kind::{FieldReference, Kind, NameLimit, Nesting, Problem};
use tenantry_core::model::normal::Normal;
use tenantry_core::model::value::Value;
use tenantry_kit::{Stakes, describe, prefix};

/// A tenant's part of a bucket that it shares with others.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "s3.prefix")]
#[expect(dead_code, reason = "only its schema is used; the fields are read from the map")]
pub struct PrefixSpec {
    /// The bucket.
    pub bucket: String,
    /// With what the keys of all its objects begin, such as `tenants/acme/`. Ends with a separator.
    pub prefix: String,
}

pub const NAME: &str = "s3.prefix";

pub fn kind() -> Kind {
    Kind {
        name_limits: &[NameLimit { pointer: "/prefix", bytes: 1024, source: "S3, object key names" }],
        references: &[FieldReference { pointer: "/bucket", kind: "s3.bucket", required: true }],
        check,
        nesting: Some(Nesting { place: |spec| place(spec, "prefix"), holds: true }),
        ..describe::<PrefixSpec>(
            NAME,
            "A tenant's part of a shared bucket: everything below a prefix, which is emptied when it is deleted.",
            &["bucket", "prefix"],
            Stakes { loses_data: true, bills: false },
        )
    }
}

/// Where an object, or what begins like it, is among all objects of a target.
pub fn place(spec: &Normal, field: &str) -> Option<String> {
    match (spec.get("bucket")?, spec.get(field)?) {
        (Value::Text(bucket), Value::Text(key)) => Some(format!("{bucket}/{key}")),
        _ => None,
    }
}

fn check(spec: &Normal) -> Vec<Problem> {
    let mut problems = prefix::problems(spec, "prefix");
    let prefix = text(spec, "prefix");
    if prefix.split('/').any(|segment| matches!(segment, "." | "..")) {
        problems.push(Problem::error("/prefix", "a prefix cannot have `.` or `..` between slashes"));
    }
    problems
}

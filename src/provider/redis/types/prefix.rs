//! `redis.prefix`.

use schemars::JsonSchema;
use serde::Deserialize;

use tenantry_core::model::kind::{BySpec, Kind, Nesting, escape};
use tenantry_core::model::normal::Normal;
use tenantry_core::model::resource::Identity;
use tenantry_core::model::value::Value;
use tenantry_kit::{Stakes, describe, prefix};

/// A tenant's part of a database that it shares with others.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "redis.prefix")]
#[expect(dead_code, reason = "only its schema is used; the prefix is read from the map")]
pub struct PrefixSpec {
    /// With what all its keys begin, such as `acme:`. Ends with a separator. No pattern: every character stands for itself.
    pub prefix: String,
}

pub const NAME: &str = "redis.prefix";

pub fn kind() -> Kind {
    Kind {
        check: |spec| prefix::problems(spec, "prefix"),
        by_spec: Some(BySpec::named(identity)),
        nesting: Some(Nesting { place: |spec| place(spec, "prefix"), holds: true }),
        ..describe::<PrefixSpec>(
            NAME,
            "A tenant's part of a shared database: every key that begins with a prefix, all of which are deleted with it.",
            &["prefix"],
            Stakes { loses_data: true, bills: false },
        )
    }
}

/// The prefix alone: it may hold the separator of identities.
fn identity(spec: &Normal) -> Option<Identity> {
    spec.get("prefix").and_then(Value::as_str).map(|prefix| escape(prefix).into_owned().into())
}

/// Where a key, or what begins like it, is among all keys of a database.
pub fn place(spec: &Normal, field: &str) -> Option<String> {
    spec.get(field).and_then(Value::as_str).map(str::to_owned)
}

/// The pattern of every key that begins so (the manual of `KEYS` has what is special in one).
pub fn pattern(prefix: &[u8]) -> Vec<u8> {
    let mut pattern = Vec::with_capacity(prefix.len() + 1);
    for byte in prefix {
        if b"*?[]\\".contains(byte) {
            pattern.push(b'\\');
        }
        pattern.push(*byte);
    }
    pattern.push(b'*');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_of_a_prefix_stands_for_itself() {
        assert_eq!(pattern(b"acme:"), b"acme:*");
        assert_eq!(pattern(br"a[b]?c\d*:"), br"a\[b\]\?c\\d\*:*");
    }
}

//! `postgres.database`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{check_name, name_limit, reference};
use tenantry_core::model::kind::{Kind, MarkPlace, Problem};
use tenantry_core::model::spec::{Fields, Problems};
use tenantry_core::model::value::Map;
use tenantry_kit::{Stakes, describe};

/// Databases are first made under a name that begins so, given their mark, and then renamed: a crash in between never leaves
/// an unmarked database under the wanted name. `CREATE DATABASE` cannot be part of a transaction.
pub const STAGING_PREFIX: &str = "tenantry_new_";

/// A database of the server.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "postgres.database")]
pub struct DatabaseSpec {
    /// The database's name.
    pub name: String,
    /// The role that owns it. If absent, the creator owns it, and the owner is not compared.
    pub owner: Option<String>,
    /// The maximum number of concurrent sessions; -1 is no limit.
    #[serde(default = "unlimited")]
    #[schemars(range(min = -1, max = 2_147_483_647))]
    pub connection_limit: i32,
    /// Such as `UTF8`. The server's own, if absent.
    pub encoding: Option<String>,
    /// Collation and character classes, such as `C.UTF-8`. The server's own, if absent.
    pub locale: Option<String>,
}

pub(super) fn unlimited() -> i32 {
    -1
}

pub const NAME: &str = "postgres.database";

pub fn kind() -> Kind {
    Kind {
        immutable: &["/encoding", "/locale"],
        name_limits: const { &[name_limit("/name"), name_limit("/owner")] },
        references: const { &[reference("/owner", "postgres.role")] },
        mark: MarkPlace::Target,
        normalise,
        check: |spec| check(spec),
        ..describe::<DatabaseSpec>(
            NAME,
            "A database of a PostgreSQL server.",
            &["name"],
            Stakes { loses_data: true, bills: false },
        )
    }
}

fn normalise(fields: &mut Fields<'_>) {
    fields.map_text("encoding", canonical_encoding);
}

fn check(spec: &Map) -> Vec<Problem> {
    let mut problems = Problems::default();
    check_name(&mut problems, spec, "name", true);
    check_name(&mut problems, spec, "owner", false);
    if let Some(name) = spec.get("name").and_then(|name| name.as_str()) {
        if ["postgres", "template0", "template1"].contains(&name) {
            problems.add("/name", format!("\"{name}\" is a system database of the server"));
        }
        if name.starts_with(STAGING_PREFIX) {
            problems.add(
                "/name",
                format!("names that begin with {STAGING_PREFIX} are reserved for databases that are being created"),
            );
        }
    }
    problems.into_list()
}

/// The server ignores case and punctuation in names of encodings, and knows some by two names.
pub fn canonical_encoding(name: &str) -> String {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect();
    match plain.as_str() {
        "UNICODE" => "UTF8".to_owned(),
        "ISO88591" => "LATIN1".to_owned(),
        _ => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_have_one_spelling() {
        for spelling in ["utf-8", "UTF8", "Unicode", "utf_8"] {
            assert_eq!(canonical_encoding(spelling), "UTF8");
        }
    }

    #[test]
    fn the_servers_own_databases_are_refused() {
        let spec = |name: &str| Map::from_fields([("name".into(), name.into())]);
        assert_eq!(check(&spec("template1")).len(), 1);
        assert_eq!(check(&spec("pg_x")).len(), 1);
        assert_eq!(check(&spec("acme")).len(), 0);
    }
}

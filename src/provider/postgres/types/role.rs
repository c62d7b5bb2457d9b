//! `postgres.role`.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::database::unlimited;
use super::{check_name, name_limit};
use tenantry_core::model::kind::{Batch, FieldReference, Kind, MarkPlace, Problem};
use tenantry_core::model::spec::{Fields, Problems};
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::{Stakes, describe};

/// A role: a user or a group of users.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "postgres.role")]
pub struct RoleSpec {
    /// The role's name.
    pub name: String,
    /// Whether it may log in.
    #[serde(default)]
    pub login: bool,
    /// Sent only as a SCRAM-SHA-256 verifier. If absent, the password is not compared.
    pub password: Option<String>,
    /// The maximum number of concurrent sessions; -1 is no limit.
    #[serde(default = "unlimited")]
    #[schemars(range(min = -1, max = 2_147_483_647))]
    pub connection_limit: i32,
    /// Whether it automatically has the privileges of the roles that it is a member of.
    #[serde(default = "yes")]
    pub inherit: bool,
    /// Whether it may create databases.
    #[serde(default)]
    pub createdb: bool,
    /// Whether it may create roles.
    #[serde(default)]
    pub createrole: bool,
    /// Whether row security does not apply to it.
    #[serde(default)]
    pub bypassrls: bool,
    /// When the password expires: RFC 3339, or `infinity`.
    #[serde(default = "infinity")]
    pub valid_until: String,
    /// Configuration parameters of its sessions, in every database. Other settings of the role are removed.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, SettingValue>")]
    pub settings: BTreeMap<String, String>,
    /// The roles that it is a member of. Other memberships are removed.
    #[serde(default)]
    pub member_of: Vec<String>,
    /// Set by Tenantry: never true. A role that was made a superuser by hand shows as drift.
    #[serde(default)]
    #[schemars(extend("const" = false))]
    #[expect(dead_code, reason = "part of the schema; it is read from the map")]
    pub superuser: bool,
    /// Set by Tenantry: never true, like `superuser`.
    #[serde(default)]
    #[schemars(extend("const" = false))]
    #[expect(dead_code, reason = "part of the schema; it is read from the map")]
    pub replication: bool,
}

#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used; normalising makes every setting a text")]
enum SettingValue {
    Text(String),
    Integer(i64),
    Number(f64),
    Boolean(bool),
}

fn yes() -> bool {
    true
}

fn infinity() -> String {
    "infinity".to_owned()
}

pub const NAME: &str = "postgres.role";

pub fn kind() -> Kind {
    Kind {
        write_only: &["/password"],
        sensitive: &["/password"],
        name_limits: const { &[name_limit("/name")] },
        references: const { &[FieldReference { pointer: "/memberOf", kind: "postgres.role", required: true }] },
        mark: MarkPlace::Target,
        batch: Batch::Transaction { within: None },
        normalise,
        check: |spec| check(spec),
        reviewed: &["/superuser", "/createrole", "/createdb", "/bypassrls", "/replication", "/memberOf"],
        ..describe::<RoleSpec>(
            NAME,
            "A role of a PostgreSQL server, with its settings and memberships.",
            &["name"],
            Stakes { loses_data: false, bills: false },
        )
    }
}

fn normalise(fields: &mut Fields<'_>) {
    fields.map_text("validUntil", canonical_time);
    fields.map("memberOf", Value::as_set);
    fields.map("settings", |settings| match settings {
        Value::Map(settings) => {
            Value::from(settings.iter().map(|(name, value)| canonical_setting(name, value)).collect::<Map>())
        }
        other => other.clone(),
    });
}

fn check(spec: &Map) -> Vec<Problem> {
    let mut problems = Problems::default();
    check_name(&mut problems, spec, "name", true);
    if let Some(name) = spec.get("name").and_then(Value::as_str)
        && ["public", "none", "current_user", "session_user", "current_role"]
            .iter()
            .any(|word| name.eq_ignore_ascii_case(word))
    {
        problems.add("/name", format!("\"{name}\" is a reserved word and cannot be the name of a role"));
    }
    for attribute in ["superuser", "replication"] {
        if spec.get(attribute).and_then(Value::as_bool) == Some(true) {
            problems.add(format!("/{attribute}"), "a tenant's role cannot have this attribute");
        }
    }
    if let Some(time) = spec.get("validUntil").and_then(Value::as_str)
        && time != "infinity"
        && time.parse::<jiff::Timestamp>().is_err()
    {
        problems.add("/validUntil", "write a time such as 2030-01-31T00:00:00Z, or infinity");
    }
    for (name, _) in spec.get("settings").and_then(Value::as_map).into_iter().flat_map(Map::iter) {
        let valid = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.$".contains(c));
        if !valid {
            problems.add("/settings", format!("{name:?} is not a valid name of a configuration parameter"));
        }
        if ["role", "session_authorization"].contains(&&**name) {
            problems.add("/settings", format!("\"{name}\" cannot be set for a role"));
        }
    }
    problems.into_list()
}

/// A time in UTC, as RFC 3339 writes it; what is no time stays as it is.
pub fn canonical_time(text: &str) -> String {
    text.parse::<jiff::Timestamp>().map_or_else(|_| text.to_owned(), |time| time.to_string())
}

/// Name and value as the server keeps them: names without case, values as texts, lists of identifiers with one spelling.
pub fn canonical_setting(name: &str, value: &Value) -> (Arc<str>, Value) {
    let name = name.to_ascii_lowercase();
    let value = match value {
        Value::Text(text) if is_identifier_list(&name) => {
            let items = identifier_list(text);
            // The server keeps an empty list as a list of one empty name.
            let items = if items.is_empty() { vec![String::new()] } else { items };
            Value::from(items.iter().map(|item| minimal_identifier(item)).collect::<Vec<_>>().join(", "))
        }
        Value::Text(_) | Value::Deferred(_) => value.clone(),
        Value::Bool(on) => Value::from(if *on { "on" } else { "off" }),
        other => Value::from(other.to_json().to_string()),
    };
    (name.into(), value)
}

/// Parameters whose value is a list of quoted identifiers (GUC_LIST_QUOTE in the server's source): set as one string they
/// would become a list of one.
pub fn is_identifier_list(name: &str) -> bool {
    [
        "search_path",
        "temp_tablespaces",
        "session_preload_libraries",
        "local_preload_libraries",
        "shared_preload_libraries",
    ]
    .contains(&name)
}

/// The identifiers of a list: folded to lower case unless quoted.
pub fn identifier_list(text: &str) -> Vec<String> {
    let mut items = Vec::new();
    let mut item = String::new();
    let mut quoted = false;
    let mut was_quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                item.push('"');
            }
            '"' => {
                quoted = !quoted;
                was_quoted = true;
            }
            ',' if !quoted => items.push((std::mem::take(&mut item), std::mem::take(&mut was_quoted))),
            other if quoted => item.push(other),
            other if other.is_whitespace() => {}
            other => item.extend(other.to_lowercase()),
        }
    }
    items.push((item, was_quoted));
    items.into_iter().filter(|(item, quoted)| *quoted || !item.is_empty()).map(|(item, _)| item).collect()
}

/// A name as SQL has it, quoted where it would be folded otherwise.
pub fn minimal_identifier(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_identifiers_have_one_spelling() {
        for spelling in ["\"$user\", public", "\"$user\",Public", " \"$user\" , \"public\" "] {
            assert_eq!(canonical_setting("Search_Path", &spelling.into()).1, "\"$user\", public".into(), "{spelling}");
        }
        assert_eq!(identifier_list("\"a\"\"b, c\", d"), ["a\"b, c", "d"]);
        assert_eq!(identifier_list(""), [""; 0]);
        assert_eq!(canonical_setting("search_path", &"".into()).1, canonical_setting("search_path", &"\"\"".into()).1);
    }

    #[test]
    fn settings_are_texts() {
        assert_eq!(canonical_setting("work_mem", &Value::Integer(64)).1, "64".into());
        assert_eq!(canonical_setting("jit", &Value::Bool(false)).1, "off".into());
    }

    #[test]
    fn times_have_one_spelling() {
        for spelling in ["2030-01-01T00:00:00Z", "2030-01-01 00:00:00+00", "2030-01-01T01:00:00+01:00"] {
            assert_eq!(canonical_time(spelling), "2030-01-01T00:00:00Z");
        }
    }

    #[test]
    fn what_no_tenant_may_be_is_refused() {
        let spec = Map::from_fields([
            ("name".into(), "public".into()),
            ("superuser".into(), true.into()),
            ("validUntil".into(), "soon".into()),
            ("settings".into(), Value::map([("a; DROP", "1".into())])),
        ]);
        let pointers: Vec<_> = check(&spec).into_iter().map(|problem| problem.pointer).collect();
        assert_eq!(pointers, ["/name", "/superuser", "/validUntil", "/settings"]);
    }
}

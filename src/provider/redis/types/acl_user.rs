//! `redis.acl_user`.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Deserialize;

use super::empty_name;
use crate::acl::canonical_commands;
use tenantry_core::model::kind::{Batch, Kind, MarkPlace, Problem};
use tenantry_core::model::normal::Normal;
use tenantry_core::model::spec::Fields;
use tenantry_core::model::value::Value;
use tenantry_kit::{Stakes, describe};

/// A user with its permissions on keys, channels and commands.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "redis.acl_user")]
pub struct AclUserSpec {
    /// The user's name.
    pub name: String,
    /// Whether it may log in. When it is disabled, its connections are closed.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Sent only as its SHA-256 hash. If absent, the passwords are not compared.
    pub password: Option<String>,
    /// Patterns of the keys that it may read and write, such as `acme:*`.
    #[serde(default)]
    pub keys: Vec<String>,
    /// Patterns of the keys that it may only read.
    #[serde(default)]
    pub read_keys: Vec<String>,
    /// Patterns of the keys that it may only write.
    #[serde(default)]
    pub write_keys: Vec<String>,
    /// Patterns of the channels that it may publish and subscribe to.
    #[serde(default)]
    pub channels: Vec<String>,
    /// Rules as in the Redis manual, applied in order, beginning without commands: `+@read`, `+set`, `-@dangerous`.
    #[serde(default)]
    pub commands: Vec<String>,
    /// Set by Tenantry: never true. A user that was opened to everybody by hand shows as drift.
    #[serde(default)]
    #[schemars(extend("const" = false))]
    #[expect(dead_code, reason = "part of the schema; it is read from the map")]
    pub nopass: bool,
    /// Set by Tenantry: additional sets of permissions, always empty. One that was added by hand shows as drift.
    #[serde(default)]
    #[schemars(length(max = 0))]
    #[expect(dead_code, reason = "part of the schema; it is read from the map")]
    pub selectors: Vec<String>,
}

fn yes() -> bool {
    true
}

const PATTERNS: [&str; 4] = ["keys", "readKeys", "writeKeys", "channels"];

pub const NAME: &str = "redis.acl_user";

pub fn kind() -> Kind {
    Kind {
        write_only: &["/password"],
        sensitive: &["/password"],
        mark: MarkPlace::Target,
        batch: Batch::Sequence,
        normalise,
        check,
        reviewed: &["/keys", "/readKeys", "/writeKeys", "/channels", "/commands", "/selectors", "/nopass"],
        ..describe::<AclUserSpec>(
            NAME,
            "A user of a Redis server, with its keys, channels and commands.",
            &["name"],
            Stakes { loses_data: false, bills: false },
        )
    }
}

fn normalise(fields: &mut Fields<'_>) {
    fields.map("commands", |rules| match texts(rules) {
        Some(rules) => canonical_commands(rules).into_iter().map(Value::from).collect::<Vec<_>>().into(),
        None => rules.clone(),
    });
    let patterns = |fields: &Fields<'_>, field: &str| -> Option<BTreeSet<String>> {
        Some(texts(fields.get(field)?)?.into_iter().map(str::to_owned).collect())
    };
    if let (Some(mut keys), Some(mut read), Some(mut write)) =
        (patterns(fields, "keys"), patterns(fields, "readKeys"), patterns(fields, "writeKeys"))
    {
        // The server joins what may be read with what may be written, and has no pattern beside the one for all.
        keys.extend(read.intersection(&write).cloned().collect::<Vec<_>>());
        if keys.contains("*") {
            (keys, read, write) = (["*".to_owned()].into(), BTreeSet::new(), BTreeSet::new());
        }
        read.retain(|pattern| !keys.contains(pattern));
        write.retain(|pattern| !keys.contains(pattern));
        for (field, patterns) in [("keys", keys), ("readKeys", read), ("writeKeys", write)] {
            fields.set(field, patterns.into_iter().map(Value::from).collect::<Vec<_>>());
        }
    }
    if let Some(channels) = patterns(fields, "channels") {
        let channels = if channels.contains("*") { ["*".to_owned()].into() } else { channels };
        fields.set("channels", channels.into_iter().map(Value::from).collect::<Vec<_>>());
    }
}

fn texts(value: &Value) -> Option<Vec<&str>> {
    value.as_list()?.iter().map(Value::as_str).collect()
}

fn check(spec: &Normal) -> Vec<Problem> {
    let mut problems = empty_name(spec, "name");
    let name = spec.get("name").and_then(Value::as_str).unwrap_or_default();
    if name.contains(|character: char| character.is_whitespace() || character == '\0') {
        problems.push(Problem::error("/name", "the name of a user cannot hold white space"));
    }
    if name == "default" {
        let problem = Problem::warning("/name", "`default` is the user of clients that give no name");
        problems.push(problem.help("give the tenant a user of its own"));
    }
    if spec.get("nopass").and_then(Value::as_bool) == Some(true) {
        problems.push(Problem::error("/nopass", "a user without a password is not allowed"));
    }
    if spec.get("selectors").and_then(Value::as_list).is_some_and(|selectors| !selectors.is_empty()) {
        problems.push(Problem::error("/selectors", "Tenantry sets this field; remove it"));
    }
    for field in PATTERNS {
        for (index, pattern) in spec.get(field).and_then(texts).into_iter().flatten().enumerate() {
            if pattern.is_empty() || pattern.contains(|c: char| c.is_whitespace() || c == '\0' || "()".contains(c)) {
                let message = format!(
                    "{pattern:?} is not a valid pattern: it cannot be empty or contain white space or parentheses"
                );
                problems.push(Problem::error(format!("/{field}/{index}"), message));
            }
        }
    }
    let commands = spec.get("commands").and_then(texts).unwrap_or_default();
    for (index, rule) in commands.iter().enumerate() {
        if !is_command_rule(rule) {
            let problem = Problem::error(format!("/commands/{index}"), format!("{rule:?} is not a valid command rule"));
            problems.push(problem.help("write +command, -command, +@category, -@category or +command|subcommand"));
        }
    }
    if may_change_users(&commands) {
        let problem = Problem::warning("/commands", "it allows changing users, including itself, and so everything");
        problems.push(
            problem.help("add `-@admin -@dangerous` after these rules, or name the commands that the tenant needs"),
        );
    }
    problems
}

/// Whether the rules, of which the last that is about a command counts, end with leave to change users.
fn may_change_users(rules: &[&str]) -> bool {
    // `ACL SETUSER` is in these categories (<https://redis.io/docs/latest/commands/acl-setuser/>).
    const ABOUT: [&str; 6] = ["@all", "@admin", "@dangerous", "@slow", "acl", "acl|setuser"];
    let is_about = |rule: &&&str| rule.get(1..).is_some_and(|name| ABOUT.contains(&name.to_ascii_lowercase().as_str()));
    rules.iter().rev().find(is_about).is_some_and(|rule| rule.starts_with('+'))
}

fn is_command_rule(rule: &str) -> bool {
    rule.strip_prefix(['+', '-']).is_some_and(|name| {
        let name = name.strip_prefix('@').unwrap_or(name);
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_|.".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(json: serde_json::Value) -> Normal {
        match Value::from(json) {
            Value::Map(map) => kind().normal(&map),
            _ => panic!("a map"),
        }
    }

    #[test]
    fn patterns_are_joined_as_the_server_joins_them() {
        let normalised = spec(serde_json::json!({"keys": ["b"], "readKeys": ["a", "b", "c"], "writeKeys": ["a", "d"]}));
        let field = |name: &str| normalised.get(name).expect("a field").to_json().to_string();
        assert_eq!(field("keys"), r#"["a","b"]"#);
        assert_eq!((field("readKeys"), field("writeKeys")), (r#"["c"]"#.to_owned(), r#"["d"]"#.to_owned()));
        let all = spec(serde_json::json!({"keys": ["b", "*"], "readKeys": ["a"], "channels": ["x", "*"]}));
        assert_eq!(all.get("keys").expect("keys").to_json().to_string(), r#"["*"]"#);
        assert_eq!(all.get("readKeys").expect("keys").to_json().to_string(), "[]");
    }

    #[test]
    fn what_would_open_the_server_is_told() {
        let pointers = |json: serde_json::Value| -> Vec<String> {
            check(&spec(json)).into_iter().map(|problem| problem.pointer).collect()
        };
        for open in [
            &["+@all"][..],
            &["+@ALL"],
            &["+@all -@dangerous +acl"],
            &["+acl|setuser"],
            &["+@read", "-@admin", "+@admin"],
            &["-@dangerous", "+@all"],
        ] {
            for keys in ["*", "acme:*"] {
                let user = serde_json::json!({"name": "a", "keys": [keys], "commands": open});
                assert_eq!(pointers(user), ["/commands"], "{open:?}");
            }
        }
        for closed in [&["+@read"][..], &["+@all", "-@admin", "-@dangerous"], &["+@all", "-acl"], &["+acl|whoami"]] {
            assert_eq!(pointers(serde_json::json!({"name": "a", "keys": ["*"], "commands": closed})), [""; 0]);
        }
        assert_eq!(pointers(serde_json::json!({"name": "a", "nopass": true})), ["/nopass"]);
        assert_eq!(
            pointers(serde_json::json!({"name": "a", "commands": ["nopass", ">secret"]})),
            ["/commands/0", "/commands/1"]
        );
        assert_eq!(pointers(serde_json::json!({"name": "a b", "keys": ["x y", "("]})), ["/name", "/keys/0", "/keys/1"]);
        assert_eq!(pointers(serde_json::json!({"name": "default"})), ["/name"]);
    }
}

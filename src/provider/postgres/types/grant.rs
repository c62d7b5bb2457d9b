//! `postgres.grant`.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Deserialize;

use super::role::minimal_identifier;
use super::{check_name, name_limit, reference};
use tenantry_core::model::kind::{Batch, FieldReference, Kind, Problem};
use tenantry_core::model::spec::{Fields, Problems};
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::{Stakes, describe};

/// Privileges of one role on one object, on all objects of a type in a schema, or on objects that will be created there.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "postgres.grant")]
pub struct GrantSpec {
    /// A database of the server, if not the one of the target's URL.
    #[expect(dead_code, reason = "part of the schema; it is read from the map")]
    pub database: Option<String>,
    /// The role that gets the privileges; `public` is everybody.
    pub role: String,
    pub on: On,
    /// The schema, or the schema of the objects. Optional only for default privileges and `database`.
    pub schema: Option<String>,
    /// The table or sequence, or the function with the types of its arguments: `total(integer, text)`.
    pub name: Option<String>,
    /// For default privileges: the role that creates the objects. If absent, the role that applies; a reader with another login
    /// then accepts the default privileges of any role.
    pub grantor: Option<String>,
    /// Such as `SELECT`, or `ALL`; on a table also on one column, such as `SELECT (email)`. An empty list means that the role
    /// has none.
    pub privileges: Vec<String>,
    /// Whether the role may grant the privileges to others.
    #[serde(default)]
    pub with_grant_option: bool,
}

/// The type of object that a grant is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum On {
    Schema,
    Table,
    Sequence,
    Function,
    Database,
    AllTables,
    AllSequences,
    AllFunctions,
    DefaultTables,
    DefaultSequences,
    DefaultFunctions,
}

/// A sort of object that has an access control list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    Schema,
    Table,
    Sequence,
    Function,
    Database,
}

/// How much of a class a grant covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Extent {
    One,
    All,
    Default,
}

impl On {
    pub fn class(self) -> Class {
        match self {
            Self::Schema => Class::Schema,
            Self::Database => Class::Database,
            Self::Table | Self::AllTables | Self::DefaultTables => Class::Table,
            Self::Sequence | Self::AllSequences | Self::DefaultSequences => Class::Sequence,
            Self::Function | Self::AllFunctions | Self::DefaultFunctions => Class::Function,
        }
    }

    pub fn extent(self) -> Extent {
        match self {
            Self::Schema | Self::Database | Self::Table | Self::Sequence | Self::Function => Extent::One,
            Self::AllTables | Self::AllSequences | Self::AllFunctions => Extent::All,
            Self::DefaultTables | Self::DefaultSequences | Self::DefaultFunctions => Extent::Default,
        }
    }
}

impl Class {
    /// What `ALL` stands for (PostgreSQL manual, table 5.1), on a server of a version before 17.
    pub fn privileges(self) -> &'static [&'static str] {
        match self {
            Self::Schema => &["CREATE", "USAGE"],
            Self::Table => &["DELETE", "INSERT", "REFERENCES", "SELECT", "TRIGGER", "TRUNCATE", "UPDATE"],
            Self::Sequence => &["SELECT", "UPDATE", "USAGE"],
            Self::Function => &["EXECUTE"],
            Self::Database => &["CONNECT", "CREATE", "TEMPORARY"],
        }
    }

    /// The word of SQL, as a message and `GRANT … ON` use it. Routines are functions and procedures.
    pub fn sql(self) -> &'static str {
        match self {
            Self::Schema => "SCHEMA",
            Self::Table => "TABLE",
            Self::Sequence => "SEQUENCE",
            Self::Function => "ROUTINE",
            Self::Database => "DATABASE",
        }
    }
}

pub const NAME: &str = "postgres.grant";

pub fn kind() -> Kind {
    Kind {
        name_limits: const { &[name_limit("/role"), name_limit("/schema"), name_limit("/grantor"), name_limit("/database")] },
        references: const {
            &[
                FieldReference { pointer: "/role", kind: "postgres.role", required: true },
                reference("/grantor", "postgres.role"),
                reference("/schema", "postgres.schema"),
                reference("/database", "postgres.database"),
            ]
        },
        batch: Batch::Transaction { within: Some("/database") },
        normalise,
        check: |spec| check(spec),
        reviewed: &["/privileges", "/withGrantOption"],
        ..describe::<GrantSpec>(
            NAME,
            "Privileges of a role on objects of a PostgreSQL database.",
            &["database", "role", "on", "schema", "name", "grantor"],
            Stakes { loses_data: false, bills: false },
        )
    }
}

fn on_of(spec: &Map) -> Option<On> {
    spec.get("on").and_then(on_named)
}

fn on_named(name: &Value) -> Option<On> {
    serde_json::from_value(name.to_json()).ok()
}

/// Everybody is written `public`, or `PUBLIC` as in SQL. Any other spelling is the name of a role.
pub fn canonical_role(role: &Value) -> Value {
    match role {
        Value::Text(text) if &**text == "PUBLIC" => Value::from("public"),
        other => other.clone(),
    }
}

/// Every privilege on a table. Which ones those are depends on the version of the server.
pub const ALL: &str = "ALL";

/// The first version in which `ALL` on a table includes `MAINTAIN`.
const MAINTAIN: i32 = 170_000;

/// What `ALL` means on a server of some version.
pub fn all_privileges(class: Class, version: i32) -> BTreeSet<String> {
    let newer = (class == Class::Table && version >= MAINTAIN).then_some("MAINTAIN");
    class.privileges().iter().copied().chain(newer).map(str::to_owned).collect()
}

impl GrantSpec {
    /// The privileges one by one, as a server of some version has them.
    pub fn wanted(&self, version: i32) -> BTreeSet<String> {
        if self.privileges.iter().any(|name| name == ALL) {
            return all_privileges(self.on.class(), version);
        }
        self.privileges.iter().cloned().collect()
    }
}

/// A privilege on one column.
pub fn of_column(privilege: &str, column: &str) -> String {
    format!("{privilege} ({})", minimal_identifier(column))
}

/// The privilege and the column of a text such as `SELECT (email)`.
pub fn column_of(text: &str) -> Option<(&str, String)> {
    let (privilege, rest) = text.split_once('(')?;
    let column = rest.strip_suffix(')')?.trim();
    let column = match column.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => column.to_lowercase(),
    };
    let privilege = privilege.trim();
    let is_word = !privilege.is_empty() && privilege.bytes().all(|byte| byte.is_ascii_alphabetic());
    (is_word && !column.is_empty() && !column.contains(['\0', ','])).then_some((privilege, column))
}

/// Privileges that a column may have.
const OF_COLUMNS: &[&str] = &["INSERT", "REFERENCES", "SELECT", "UPDATE"];

fn normalise(fields: &mut Fields<'_>) {
    fields.map("role", canonical_role);
    let class = fields.get("on").and_then(on_named).map(On::class);
    let all = class.map_or(&[][..], Class::privileges);
    fields.map("privileges", |privileges| {
        let Value::List(items) = privileges else { return privileges.clone() };
        let mut canonical = Vec::with_capacity(items.len());
        for item in items.iter() {
            if let Some((privilege, column)) = item.as_str().and_then(column_of) {
                canonical.push(of_column(&privilege.to_uppercase(), &column).into());
                continue;
            }
            match item.as_str().map(str::to_uppercase).as_deref() {
                // Only the server knows what it means by it.
                Some("ALL" | "ALL PRIVILEGES") if class == Some(Class::Table) => return Value::list([ALL.into()]),
                Some("ALL" | "ALL PRIVILEGES") => canonical.extend(all.iter().map(|name| Value::from(*name))),
                Some("TEMP") => canonical.push("TEMPORARY".into()),
                Some(name) => canonical.push(name.into()),
                None => canonical.push(item.clone()),
            }
        }
        Value::from(canonical).as_set()
    });
}

fn check(spec: &Map) -> Vec<Problem> {
    let mut problems = Problems::default();
    for field in ["role", "schema", "name", "grantor"] {
        check_name(&mut problems, spec, field, false);
    }
    let Some(on) = on_of(spec) else { return problems.into_list() };
    let has = |field: &str| spec.get(field).is_some_and(|value| !value.is_null());
    let needs_schema = !matches!((on.class(), on.extent()), (Class::Database, _) | (_, Extent::Default));
    let needs_name = on.extent() == Extent::One && !matches!(on.class(), Class::Schema | Class::Database);
    if needs_schema && !has("schema") {
        problems.add("/schema", "name the schema");
    }
    if on.class() == Class::Database && has("schema") {
        problems.add("/schema", "a database is not in a schema; name it in `database`");
    }
    if needs_name != has("name") {
        let message = if needs_name { "name the object" } else { "a grant of this sort names no object" };
        problems.add("/name", message);
    }
    if has("grantor") && on.extent() != Extent::Default {
        problems.add("/grantor", "only default privileges name the role that creates the objects");
    }
    if let Some(name) = spec.get("name").and_then(Value::as_str) {
        match on.class() {
            Class::Function if Signature::parse(name).is_none() => {
                problems.add("/name", "write the types of the arguments, such as total(integer, text) or now()");
            }
            Class::Table | Class::Sequence if name.len() > super::NAME_BYTES => {
                problems.add("/name", "the name is longer than 63 bytes, the limit of PostgreSQL");
            }
            _ => {}
        }
    }
    let known = on.class().privileges();
    for privilege in spec.get("privileges").and_then(Value::as_list).unwrap_or_default() {
        if let Some(name) = privilege.as_str() {
            if let Some((of_column, _)) = column_of(name) {
                if on == On::Table && OF_COLUMNS.contains(&of_column.to_uppercase().as_str()) {
                    continue;
                }
                let known = OF_COLUMNS.join(", ");
                problems.add(
                    "/privileges",
                    format!("{name:?}: only {known} can be granted on a column, and only `on: table`"),
                );
                continue;
            }
            let canonical = name.to_uppercase();
            let word = ["ALL", "ALL PRIVILEGES"].contains(&canonical.as_str())
                || (canonical == "TEMP" && on.class() == Class::Database)
                // Since PostgreSQL 17.
                || (canonical == "MAINTAIN" && on.class() == Class::Table);
            if !word && !known.contains(&canonical.as_str()) {
                problems.add(
                    "/privileges",
                    format!("{name:?} is not a privilege on this; privileges are {}", known.join(", ")),
                );
            }
        }
    }
    problems.into_list()
}

/// A function's name and the types of its arguments.
#[derive(Debug, PartialEq)]
pub struct Signature<'a> {
    pub name: &'a str,
    pub arguments: &'a str,
}

impl<'a> Signature<'a> {
    /// Splits `name(types)`. The types are only ever handed to the server's own parser of types.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (name, rest) = text.split_once('(')?;
        let arguments = rest.strip_suffix(')')?;
        let of_types = |c: char| c.is_alphanumeric() || "_ ,.[]()\"$".contains(c);
        let (mut depth, mut quoted) = (0_i32, false);
        for character in arguments.chars() {
            quoted ^= character == '"';
            // A quoted name may hold anything.
            if quoted && character != '\0' {
                continue;
            }
            depth += i32::from(character == '(') - i32::from(character == ')');
            if depth < 0 || !of_types(character) {
                return None;
            }
        }
        let name = name.trim();
        (depth == 0 && !quoted && !name.is_empty()).then_some(Self { name, arguments })
    }

    /// The arguments that a call gives, one by one as they were written. Those that only come back are left out.
    pub fn arguments(&self) -> Vec<&'a str> {
        let (mut depth, mut quoted) = (0_i32, false);
        let arguments = self.arguments.split(|c: char| {
            quoted ^= c == '"';
            if !quoted {
                depth += i32::from(c == '(') - i32::from(c == ')');
            }
            c == ',' && depth == 0 && !quoted
        });
        let given = arguments.map(str::trim).filter(|argument| !argument.is_empty());
        given.filter(|argument| !first_word(argument).eq_ignore_ascii_case("out")).collect()
    }

    /// What the type of an argument may be, the likeliest first: the server knows whether `n integer` is a type, or a name
    /// with a type behind it.
    pub fn types_of(argument: &'a str) -> Vec<&'a str> {
        let mut rest = argument;
        if ["in", "inout", "variadic"].iter().any(|mode| first_word(rest).eq_ignore_ascii_case(mode)) {
            rest = rest[first_word(rest).len()..].trim_start();
        }
        let mut candidates = vec![argument];
        if !rest.is_empty() && rest != argument {
            candidates.push(rest);
        }
        let behind = rest[first_word(rest).len()..].trim_start();
        if !behind.is_empty() && behind != rest {
            candidates.push(behind);
        }
        candidates
    }
}

/// The first word of an argument, quoted or not.
fn first_word(text: &str) -> &str {
    let mut quoted = false;
    let end = text.find(|c: char| {
        quoted ^= c == '"';
        c.is_whitespace() && !quoted
    });
    &text[..end.unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(json: serde_json::Value) -> Map {
        match Value::from(json) {
            Value::Map(map) => Map::clone(&map),
            _ => Map::default(),
        }
    }

    #[test]
    fn privileges_are_a_set_of_upper_case_words() {
        let grant = spec(
            serde_json::json!({"role": "PUBLIC", "on": "database", "privileges": ["temp", "CONNECT", "TEMPORARY"]}),
        );
        let normalised = kind().canonical(&grant);
        assert_eq!(normalised.get("privileges"), Some(&Value::list(["CONNECT".into(), "TEMPORARY".into()])));
        assert_eq!(normalised.get("role"), Some(&"public".into()));
        let all = spec(serde_json::json!({"role": "r", "on": "allSequences", "privileges": ["all"]}));
        assert_eq!(kind().canonical(&all).get("privileges").and_then(Value::as_list).map(<[_]>::len), Some(3));
    }

    #[test]
    fn a_role_that_is_called_much_like_everybody_is_not_everybody() {
        for (written, meant) in [("PUBLIC", "public"), ("public", "public"), ("Public", "Public")] {
            assert_eq!(canonical_role(&written.into()), meant.into());
        }
    }

    #[test]
    fn all_of_a_table_is_what_the_server_means_by_it() {
        let all =
            spec(serde_json::json!({"role": "r", "on": "allTables", "schema": "s", "privileges": ["SELECT", "all"]}));
        let normal = kind().canonical(&all);
        assert_eq!(normal.get("privileges"), Some(&Value::list(["ALL".into()])));
        let grant: GrantSpec = serde_json::from_value(Value::from(normal).to_json()).expect("a grant");
        assert_eq!((grant.wanted(150_000).len(), grant.wanted(180_000).len()), (7, 8));
    }

    #[test]
    fn a_privilege_may_be_on_one_column() {
        let grant = |on: &str, privilege: &str| {
            spec(serde_json::json!({"role": "r", "on": on, "schema": "s", "name": "t", "privileges": [privilege]}))
        };
        for (written, canonical) in
            [("select (Email)", "SELECT (email)"), ("update(\"E-Mail\")", "UPDATE (\"E-Mail\")")]
        {
            let normal = kind().canonical(&grant("table", written));
            assert_eq!(normal.get("privileges"), Some(&Value::list([canonical.into()])), "{written}");
            assert_eq!(kind().canonical(&normal), normal);
            assert_eq!(check(&grant("table", written)), []);
        }
        assert_eq!(check(&grant("table", "DELETE (email)")).len(), 1);
        assert_eq!(check(&grant("sequence", "SELECT (email)")).len(), 1);
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        for (wrong, pointer) in [
            (serde_json::json!({"role": "r", "on": "table", "schema": "s", "privileges": ["SELECT"]}), "/name"),
            (serde_json::json!({"role": "r", "on": "allTables", "privileges": ["SELECT"]}), "/schema"),
            (
                serde_json::json!({"role": "r", "on": "schema", "schema": "s", "name": "x", "privileges": ["USAGE"]}),
                "/name",
            ),
            (serde_json::json!({"role": "r", "on": "schema", "schema": "s", "privileges": ["SELECT"]}), "/privileges"),
            (serde_json::json!({"role": "r", "on": "database", "schema": "s", "privileges": ["CONNECT"]}), "/schema"),
            (
                serde_json::json!({"role": "r", "on": "function", "schema": "s", "name": "f", "privileges": ["EXECUTE"]}),
                "/name",
            ),
            (
                serde_json::json!({"role": "r", "on": "schema", "schema": "s", "grantor": "g", "privileges": ["USAGE"]}),
                "/grantor",
            ),
        ] {
            let problems = check(&spec(wrong));
            assert_eq!(problems.iter().map(|problem| problem.pointer.as_str()).collect::<Vec<_>>(), [pointer]);
        }
        let defaults =
            serde_json::json!({"role": "r", "on": "defaultTables", "grantor": "g", "privileges": ["SELECT"]});
        assert_eq!(check(&spec(defaults)), []);
    }

    #[test]
    fn a_signature_has_types_in_parentheses() {
        assert_eq!(Signature::parse("f(numeric(10,2), text[])").map(|s| s.arguments), Some("numeric(10,2), text[]"));
        assert_eq!(Signature::parse("f()").map(|s| s.name), Some("f"));
        let arguments = |text| Signature::parse(text).map(|signature| signature.arguments());
        assert_eq!(arguments("f(numeric(10,2), \"a,b\", text[])"), Some(vec!["numeric(10,2)", "\"a,b\"", "text[]"]));
        assert_eq!(arguments("f( )"), Some(vec![]));
        assert_eq!(arguments("f(\"my-app\".\"a)b\", OUT total int)"), Some(vec!["\"my-app\".\"a)b\""]));
        assert_eq!(Signature::types_of("IN n integer"), ["IN n integer", "n integer", "integer"]);
        assert_eq!(Signature::types_of("double precision"), ["double precision", "precision"]);
        assert_eq!(Signature::types_of("\"a b\" text"), ["\"a b\" text", "text"]);
        for wrong in ["f", "f(", "(int)", "f(int) TO x; --", "f(int; DROP)", "f(')", "f(int))("] {
            assert_eq!(Signature::parse(wrong), None, "{wrong}");
        }
    }
}

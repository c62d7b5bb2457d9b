//! `mysql.user`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check_names;
use tenantry_core::model::kind::{Batch, Kind, MarkPlace, NameLimit, Problem};
use tenantry_core::model::spec::Fields;
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::{Stakes, describe};

/// A user of the server: a name and a host.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "mysql.user")]
pub struct UserSpec {
    /// At most 32 characters in MySQL, 80 in MariaDB.
    pub name: String,
    /// The host that it connects from: an address, a name, or a pattern with `%`.
    #[serde(default = "anywhere")]
    #[expect(dead_code, reason = "part of the schema; it is read from the map")]
    pub host: String,
    /// Sent only in the form that the server stores. If absent, the password is not compared, and a new user gets a random one.
    pub password: Option<String>,
    /// Whether the user is locked, so that it cannot log in. When it is locked, its connections are closed.
    #[serde(default)]
    pub locked: bool,
    /// The protection that its connections need.
    #[serde(default)]
    pub tls: Tls,
    /// The maximum number of concurrent connections; 0 is no limit.
    #[serde(default)]
    #[schemars(range(max = 2_147_483_647))]
    pub max_user_connections: u32,
    /// The maximum per hour; 0 is no limit.
    #[serde(default)]
    pub max_connections_per_hour: u32,
    /// The maximum per hour; 0 is no limit.
    #[serde(default)]
    pub max_queries_per_hour: u32,
    /// The maximum per hour; 0 is no limit.
    #[serde(default)]
    pub max_updates_per_hour: u32,
}

/// The protection that connections need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Tls {
    /// Nothing.
    #[default]
    None,
    /// TLS.
    Any,
    /// TLS with a certificate of the client.
    X509,
}

fn anywhere() -> String {
    "%".to_owned()
}

pub const NAME: &str = "mysql.user";

pub fn kind() -> Kind {
    Kind {
        write_only: &["/password"],
        sensitive: &["/password"],
        // MySQL's own limit is told when the server is known.
        name_limits: const { &[NameLimit { pointer: "/name", bytes: 80, source: "MariaDB USERNAME_CHAR_LENGTH" }] },
        mark: MarkPlace::Target,
        batch: Batch::Sequence,
        normalise,
        check: |spec| check(spec),
        ..describe::<UserSpec>(
            NAME,
            "A user of a MySQL or MariaDB server, with its limits.",
            &["host", "name"],
            Stakes { loses_data: false, bills: false },
        )
    }
}

fn normalise(fields: &mut Fields<'_>) {
    // The server keeps hosts without case.
    fields.map_text("host", str::to_lowercase);
}

fn check(spec: &Map) -> Vec<Problem> {
    let mut problems = check_names(spec, &["name", "host"]);
    let name = spec.get("name").and_then(Value::as_str).unwrap_or_default();
    if ["root", "mysql.sys", "mysql.session", "mysql.infoschema", "mariadb.sys"].contains(&name) {
        problems.push(Problem::error("/name", "this is a system user of the server"));
    }
    problems
}

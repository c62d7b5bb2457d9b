//! `rabbitmq.permission`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;

use super::{check_names, plain, reference, spec_of, text};
use tenantry_core::model::kind::Kind;
use tenantry_core::model::spec::Fields;
use tenantry_core::model::value::Map;

/// What a user may do in a virtual host, as regular expressions over names. An empty one allows nothing.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "rabbitmq.permission")]
#[expect(dead_code, reason = "the schema is made of it; fields are read from the map")]
pub struct PermissionSpec {
    pub vhost: String,
    pub user: String,
    /// Names of what it may make and delete.
    #[serde(default)]
    pub configure: String,
    /// Names of what it may publish to.
    #[serde(default)]
    pub write: String,
    /// Names of what it may consume from.
    #[serde(default)]
    pub read: String,
}

pub fn kind() -> Kind {
    Kind {
        references: const { &[reference("/vhost", "rabbitmq.vhost"), reference("/user", "rabbitmq.user")] },
        normalise: |spec| {
            let mut fields = Fields::of(spec);
            for field in ["configure", "write", "read"] {
                fields.default(field, "");
            }
            fields.build()
        },
        check: |spec| check_names(spec, &["vhost", "user"]),
        ..plain(
            "rabbitmq.permission",
            "What a user may do in a virtual host of a RabbitMQ broker.",
            schemars::schema_for!(PermissionSpec),
            &["vhost", "user"],
        )
    }
}

pub fn of_api(object: &Json) -> Map {
    let names =
        [("vhost", "vhost"), ("user", "user"), ("configure", "configure"), ("write", "write"), ("read", "read")];
    spec_of(object, &names)
}

pub fn path(spec: &Map) -> Vec<&str> {
    vec!["permissions", text(spec, "vhost"), text(spec, "user")]
}

pub fn body(spec: &Map) -> Json {
    let field = |name: &str| text(spec, name);
    serde_json::json!({"configure": field("configure"), "write": field("write"), "read": field("read")})
}

//! `rabbitmq.topic_permission`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;

use super::{check_names, plain, reference, spec_of, text};
use tenantry_core::model::kind::Kind;
use tenantry_core::model::spec::Fields;
use tenantry_core::model::value::Map;

/// Which routing keys a user may use with a topic exchange, as regular expressions.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "rabbitmq.topic_permission")]
#[expect(dead_code, reason = "the schema is made of it; fields are read from the map")]
pub struct TopicPermissionSpec {
    pub vhost: String,
    pub user: String,
    pub exchange: String,
    /// Routing keys that it may publish with.
    #[serde(default)]
    pub write: String,
    /// Routing keys that it may bind with.
    #[serde(default)]
    pub read: String,
}

pub fn kind() -> Kind {
    Kind {
        references: const { &[reference("/vhost", "rabbitmq.vhost"), reference("/user", "rabbitmq.user")] },
        normalise: |spec| {
            let mut fields = Fields::of(spec);
            for field in ["write", "read"] {
                fields.default(field, "");
            }
            fields.build()
        },
        check: |spec| check_names(spec, &["vhost", "user", "exchange"]),
        ..plain(
            "rabbitmq.topic_permission",
            "Which routing keys a user may use with a topic exchange of a RabbitMQ broker.",
            schemars::schema_for!(TopicPermissionSpec),
            &["vhost", "user", "exchange"],
        )
    }
}

pub fn of_api(object: &Json) -> Map {
    let names = [("vhost", "vhost"), ("user", "user"), ("exchange", "exchange"), ("write", "write"), ("read", "read")];
    spec_of(object, &names)
}

/// Of all topic permissions of a user in a virtual host; the API has no address for one of them.
pub fn path(spec: &Map) -> Vec<&str> {
    vec!["topic-permissions", text(spec, "vhost"), text(spec, "user")]
}

pub fn body(spec: &Map) -> Json {
    let field = |name: &str| text(spec, name);
    serde_json::json!({"exchange": field("exchange"), "write": field("write"), "read": field("read")})
}

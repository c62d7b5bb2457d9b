//! `rabbitmq.permission`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;

use super::unmarked::Unmarked;
use super::{check_names, reference, spec_of};
use tenantry_core::model::kind::Kind;
use tenantry_core::model::value::Map;
use tenantry_kit::{Stakes, describe};

/// The permissions of a user in a virtual host, as regular expressions over names. An empty one allows nothing.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "rabbitmq.permission")]
pub struct PermissionSpec {
    /// The virtual host.
    pub vhost: String,
    /// The user who gets the permissions.
    pub user: String,
    /// Names of the resources that it may create and delete.
    #[serde(default)]
    pub configure: String,
    /// Names of the resources that it may publish to.
    #[serde(default)]
    pub write: String,
    /// Names of the resources that it may consume from.
    #[serde(default)]
    pub read: String,
}

pub const NAME: &str = "rabbitmq.permission";

pub fn kind() -> Kind {
    Kind {
        references: const { &[reference("/vhost", "rabbitmq.vhost"), reference("/user", "rabbitmq.user")] },
        check: |spec| check_names(spec, &["vhost", "user"]),
        reviewed: &["/configure", "/write", "/read"],
        ..describe::<PermissionSpec>(
            NAME,
            "The permissions of a user in a virtual host of a RabbitMQ broker.",
            &["vhost", "user"],
            Stakes { loses_data: false, bills: false },
        )
    }
}

impl Unmarked for PermissionSpec {
    const LIST: &'static str = "permissions";

    fn of_api(object: &Json) -> Map {
        spec_of(object, &["vhost", "user", "configure", "write", "read"].map(|field| (field, field)))
    }

    fn path(&self) -> Vec<&str> {
        vec!["permissions", &self.vhost, &self.user]
    }

    fn body(&self) -> Json {
        serde_json::json!({"configure": self.configure, "write": self.write, "read": self.read})
    }
}

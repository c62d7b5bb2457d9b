//! `rabbitmq.vhost_limits` and `rabbitmq.user_limits`.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;

use super::{check_names, plain, reference};
use tenantry_core::model::kind::{Kind, Problem};
use tenantry_core::model::spec::Fields;
use tenantry_core::model::value::{Map, Value};

/// What a virtual host may have at most. -1 is no limit.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "rabbitmq.vhost_limits")]
#[expect(dead_code, reason = "the schema is made of it; fields are read from the map")]
pub struct VhostLimitsSpec {
    pub vhost: String,
    #[serde(default = "unlimited")]
    #[schemars(range(min = -1))]
    pub max_connections: i64,
    #[serde(default = "unlimited")]
    #[schemars(range(min = -1))]
    pub max_queues: i64,
}

/// What a user may have at most. -1 is no limit.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "rabbitmq.user_limits")]
#[expect(dead_code, reason = "the schema is made of it; fields are read from the map")]
pub struct UserLimitsSpec {
    pub user: String,
    /// Zero keeps it from connecting at all, for a tenant that is suspended.
    #[serde(default = "unlimited")]
    #[schemars(range(min = -1))]
    pub max_connections: i64,
    #[serde(default = "unlimited")]
    #[schemars(range(min = -1))]
    pub max_channels: i64,
}

/// Stands for a limit that is not set.
pub const UNLIMITED: i64 = -1;

fn unlimited() -> i64 {
    UNLIMITED
}

/// Fields of a spec and what the API calls them.
pub const OF_VHOST: &[(&str, &str)] = &[("maxConnections", "max-connections"), ("maxQueues", "max-queues")];
pub const OF_USER: &[(&str, &str)] = &[("maxConnections", "max-connections"), ("maxChannels", "max-channels")];

pub fn vhost_kind() -> Kind {
    Kind {
        references: const { &[reference("/vhost", "rabbitmq.vhost")] },
        normalise: |spec| normalise(spec, OF_VHOST),
        check: |spec| check(spec, "vhost", OF_VHOST),
        ..plain(
            "rabbitmq.vhost_limits",
            "What a virtual host of a RabbitMQ broker may have at most.",
            schemars::schema_for!(VhostLimitsSpec),
            &["vhost"],
        )
    }
}

pub fn user_kind() -> Kind {
    Kind {
        references: const { &[reference("/user", "rabbitmq.user")] },
        normalise: |spec| normalise(spec, OF_USER),
        check: |spec| check(spec, "user", OF_USER),
        ..plain(
            "rabbitmq.user_limits",
            "What a user of a RabbitMQ broker may have at most.",
            schemars::schema_for!(UserLimitsSpec),
            &["user"],
        )
    }
}

fn normalise(spec: &Map, limits: &[(&str, &str)]) -> Map {
    let mut fields = Fields::of(spec);
    for (field, _) in limits {
        fields.default(field, unlimited());
    }
    fields.build()
}

fn check(spec: &Map, owner: &str, limits: &[(&str, &str)]) -> Vec<Problem> {
    let mut problems = check_names(spec, &[owner]);
    if limits.iter().all(|(field, _)| spec.get(field).and_then(Value::as_integer) == Some(-1)) {
        let message = "it limits nothing, and the server cannot tell such limits from none";
        problems.push(Problem::error("", message).help("set a limit of 0 or more, or leave the resource out"));
    }
    problems
}

/// The limits that are set, as a spec; nothing if none of those that are known is.
pub fn of_api(owner: &str, name: &str, limits: &Json, known: &[(&str, &str)]) -> Option<Map> {
    let set = known.iter().filter_map(|(field, of_api)| {
        let limit = limits.get(of_api)?.as_i64().filter(|limit| *limit >= 0)?;
        Some((Arc::from(*field), Value::from(limit)))
    });
    let set: Vec<_> = set.collect();
    (!set.is_empty()).then(|| {
        let owner = (Arc::from(owner), Value::from(name));
        normalise(&set.into_iter().chain([owner]).collect(), known)
    })
}

//! One case for each kind of Redis.

use serde_json::json;
use tenantry_provider::conformance::Case;
use tenantry_redis::Redis;

use crate::support::target::{Target, on_server};

/// Names end with a suffix because all tests share a server.
pub fn cases(suffix: &str) -> Vec<Case> {
    let case = |kind, spec, updated| Case {
        kind,
        needs: Vec::new(),
        spec,
        updated,
        apart: false,
        holds: Vec::new(),
        adds: false,
        lenient: &[],
    };
    vec![
        case(
            "redis.key",
            json!({"key": format!("quota:{suffix}"), "value": 100, "expire": 3600}),
            json!({"key": format!("quota:{suffix}"), "value": "it's \"200\"", "expire": "2100-01-01T00:00:00Z"}),
        ),
        case(
            "redis.key",
            json!({"key": format!("left:{suffix}"), "value": 100, "createOnly": true}),
            json!({"key": format!("left:{suffix}"), "value": 200, "createOnly": true, "expire": 60}),
        ),
        case(
            "redis.hash",
            json!({"key": format!("tenant:{suffix}"), "fields": {"seats": 5, "open": true, "plan": "pro"}}),
            json!({"key": format!("tenant:{suffix}"), "fields": {"seats": 6.5, "open": false, "plan": null}, "expire": 60}),
        ),
        Case {
            holds: vec![
                ("redis.key", json!({"key": format!("t[{suffix}]:a:quota"), "value": 1})),
                ("redis.hash", json!({"key": format!("t[{suffix}]:a:settings"), "fields": {"seats": 5}})),
            ],
            ..case(
                "redis.prefix",
                json!({"prefix": format!("t[{suffix}]:a:")}),
                json!({"prefix": format!("t[{suffix}]:a:")}),
            )
        },
        case(
            "redis.acl_user",
            json!({"name": format!("app_{suffix}"), "keys": ["acme:*"], "commands": ["+@read", "+set"]}),
            json!({
                "name": format!("app_{suffix}"), "enabled": false, "keys": ["b:*", "acme:*"], "readKeys": ["shared:*"],
                "channels": ["acme:*"], "commands": ["+@all", "-@admin -@dangerous", "+config|get"],
            }),
        ),
    ]
}

#[test]
fn redis_conforms() {
    let test = async |target: &Target| target.assert_conforms(cases(&target.suffix)).await;
    on_server("redis_conforms", Redis, |_| json!({}), test, async |_| {});
}

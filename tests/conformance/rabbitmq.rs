//! One case for each kind of RabbitMQ.

use serde_json::{Value as Json, json};
use tenantry_provider::conformance::Case;
use tenantry_rabbitmq::RabbitMq;

use crate::support::target::{Target, on_server};

/// Names end with a suffix because all tests share a server.
pub fn cases(suffix: &str) -> Vec<Case> {
    let name = |name: &str| format!("{name}_{suffix}");
    let vhost = || ("rabbitmq.vhost", json!({"name": name("shop")}));
    let user = || ("rabbitmq.user", json!({"name": name("app")}));
    let with = |more: Json| {
        let mut spec = json!({"vhost": name("shop")});
        spec.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        spec
    };
    let case = |kind, needs, spec, updated| Case {
        kind,
        needs,
        spec,
        updated,
        apart: false,
        holds: Vec::new(),
        adds: false,
        lenient: &[],
    };
    let fixed = |kind, needs, spec: Json| Case {
        kind,
        needs,
        updated: spec.clone(),
        spec,
        apart: false,
        holds: Vec::new(),
        adds: false,
        lenient: &[],
    };
    let ends = || {
        vec![
            vhost(),
            ("rabbitmq.exchange", with(json!({"name": "orders/all", "type": "topic"}))),
            ("rabbitmq.queue", with(json!({"name": "orders"}))),
        ]
    };
    vec![
        case(
            "rabbitmq.vhost",
            vec![],
            json!({"name": name("sales/%"), "description": "Sales"}),
            json!({"name": name("sales/%"), "description": "Sales,\nand more"}),
        ),
        case(
            "rabbitmq.user",
            vec![],
            json!({"name": name("web"), "tags": ["monitoring"]}),
            json!({"name": name("web"), "tags": ["policymaker", "management"]}),
        ),
        case(
            "rabbitmq.vhost_limits",
            vec![vhost()],
            with(json!({"maxConnections": 5, "maxQueues": 7})),
            with(json!({"maxQueues": 9})),
        ),
        case(
            "rabbitmq.user_limits",
            vec![user()],
            json!({"user": name("app"), "maxConnections": 5}),
            json!({"user": name("app"), "maxConnections": 0, "maxChannels": 9}),
        ),
        case(
            "rabbitmq.permission",
            vec![vhost(), user()],
            with(json!({"user": name("app"), "write": "^orders"})),
            with(json!({"user": name("app"), "write": ".*", "read": "^a|b$", "configure": "^$"})),
        ),
        case(
            "rabbitmq.topic_permission",
            vec![vhost(), user()],
            with(json!({"user": name("app"), "exchange": "amq.topic", "write": "^a"})),
            with(json!({"user": name("app"), "exchange": "amq.topic", "read": ".*"})),
        ),
        case(
            "rabbitmq.policy",
            vec![vhost()],
            with(json!({"name": "limits", "pattern": "^orders", "definition": {"max-length": 100}})),
            with(json!({
                "name": "limits", "pattern": ".*", "applyTo": "queues", "priority": 3,
                "definition": {"max-length": 200, "message-ttl": 60000},
            })),
        ),
        fixed("rabbitmq.exchange", vec![vhost()], with(json!({"name": "a/b", "type": "fanout", "internal": true}))),
        fixed(
            "rabbitmq.queue",
            vec![vhost()],
            with(json!({"name": "a b", "type": "quorum", "arguments": {"x-max-length": 10}})),
        ),
        fixed("rabbitmq.queue", vec![vhost()], with(json!({"name": "c", "autoDelete": true}))),
        fixed(
            "rabbitmq.binding",
            ends(),
            with(json!({"source": "orders/all", "destination": "orders", "routingKey": "eu.#"})),
        ),
        fixed(
            "rabbitmq.binding",
            ends(),
            with(json!({"source": "orders/all", "destination": "orders", "arguments": {"x-match": "all", "n": 1}})),
        ),
    ]
}

#[test]
fn rabbitmq_conforms() {
    let test = async |target: &Target| target.assert_conforms(cases(&target.suffix)).await;
    on_server("rabbitmq_conforms", RabbitMq, |_| json!({}), test, async |_| {});
}

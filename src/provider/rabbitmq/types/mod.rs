//! The kinds of this provider: their specs, how the API says them, and what the planner has to know about them.
//!
//! Normalising works on the map and not on the typed spec, because a desired spec may still hold deferred values. What the
//! API answers is brought to a spec by `of_api` of each kind, whether it comes from the definitions or for itself.

pub mod binding;
pub mod exchange;
pub mod limits;
pub mod permission;
pub mod policy;
pub mod queue;
pub mod topic_permission;
pub mod unmarked;
pub mod user;
pub mod user_limits;
pub mod vhost;
pub mod vhost_limits;

use std::sync::Arc;

use serde_json::Value as Json;

use tenantry_core::model::kind::{FieldReference, NameLimit, Problem};
use tenantry_core::model::spec::Problems;
use tenantry_core::model::value::{Map, Value};

tenantry_kit::kinds! {
    /// The kinds of this provider, in the order in which they depend on each other.
    pub enum RabbitMqKind of "RabbitMQ" {
        Vhost = vhost,
        User = user,
        VhostLimits = vhost_limits,
        UserLimits = user_limits,
        Permission = permission,
        TopicPermission = topic_permission,
        Policy = policy,
        Exchange = exchange,
        Queue = queue,
        Binding = binding,
    }
}

const fn reference(pointer: &'static str, kind: &'static str) -> FieldReference {
    FieldReference { pointer, kind, required: true }
}

/// Names travel as short strings, whose length is one byte (AMQP 0-9-1, section 4.2.5.3).
const fn name_limit(pointer: &'static str) -> NameLimit {
    NameLimit { pointer, bytes: 255, source: "AMQP 0-9-1 short strings" }
}

/// A spec of some fields of an API's object, under other names. A field that is missing there is missing here.
fn spec_of(object: &Json, fields: &[(&str, &str)]) -> Map {
    let found = fields.iter().filter_map(|(name, of_api)| Some((Arc::from(*name), Value::from(object.get(of_api)?))));
    found.collect()
}

/// Problems of names that the server refuses or keeps for itself.
fn check_names(spec: &Map, fields: &[&str]) -> Vec<Problem> {
    let mut problems = Problems::default();
    for field in fields {
        if let Some(name @ ("." | "..")) = problems.name(spec, field) {
            problems.add(format!("/{field}"), format!("{name:?} cannot be used in a request of the management API"));
        }
    }
    problems.into_list()
}

/// The problem of a name that begins with `amq.`, which the server keeps for itself.
fn check_reserved(spec: &Map, field: &str) -> Option<Problem> {
    let is_reserved = spec.get(field).and_then(Value::as_str)?.starts_with("amq.");
    let message = "names that begin with amq. are reserved for the server";
    is_reserved.then(|| Problem::error(format!("/{field}"), message))
}

/// A text of a spec; empty where it is missing.
pub fn text<'a>(spec: &'a Map, field: &str) -> &'a str {
    spec.get(field).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use tenantry_kit::ProviderKind as _;
    use tenantry_provider::descriptions::{assert_defaults, assert_pointers, assert_samples};

    fn samples() -> Vec<(&'static str, Json)> {
        vec![
            ("rabbitmq.vhost", json!({"name": "acme", "description": "Acme"})),
            ("rabbitmq.user", json!({"name": "acme", "password": "x", "tags": ["monitoring", "management"]})),
            ("rabbitmq.vhost_limits", json!({"vhost": "acme", "maxQueues": 5})),
            ("rabbitmq.user_limits", json!({"user": "acme", "maxConnections": 5})),
            ("rabbitmq.permission", json!({"vhost": "acme", "user": "acme", "write": ".*"})),
            ("rabbitmq.topic_permission", json!({"vhost": "acme", "user": "acme", "exchange": "amq.topic"})),
            (
                "rabbitmq.policy",
                json!({"vhost": "acme", "name": "p", "pattern": "^a", "definition": {"max-length": 5}}),
            ),
            ("rabbitmq.exchange", json!({"vhost": "acme", "name": "orders", "type": "topic"})),
            (
                "rabbitmq.queue",
                json!({"vhost": "acme", "name": "orders", "type": "quorum", "arguments": {"x-max-length": 5}}),
            ),
            (
                "rabbitmq.binding",
                json!({"vhost": "acme", "source": "orders", "destination": "orders", "routingKey": "#"}),
            ),
        ]
    }

    #[test]
    fn every_kind_has_a_sample_that_its_schema_accepts_raw_and_normalised() {
        assert_samples(&RabbitMqKind::descriptions(), &samples());
    }

    #[test]
    fn pointers_of_a_description_lead_to_fields() {
        assert_pointers(&RabbitMqKind::descriptions());
    }

    #[test]
    fn the_schema_says_what_an_absent_field_is() {
        assert_defaults(&RabbitMqKind::descriptions());
    }

    fn pointers(kind: &str, spec: Json) -> Vec<String> {
        let kind = RabbitMqKind::of(kind).expect("a kind").description();
        let Value::Map(spec) = Value::from(spec) else { panic!("a map") };
        (kind.check)(&kind.normal(&spec)).into_iter().map(|problem| problem.pointer).collect()
    }

    #[test]
    fn what_the_server_would_refuse_is_told() {
        let queue = |more: Json| {
            let mut spec = json!({"vhost": "v", "name": "q"});
            spec.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            pointers("rabbitmq.queue", spec)
        };
        assert_eq!(queue(json!({})), [""; 0]);
        assert_eq!(queue(json!({"type": "qorum"})), ["/type"]);
        assert_eq!(queue(json!({"type": "quorum", "durable": false})), ["/durable"]);
        assert_eq!(queue(json!({"type": "stream", "autoDelete": true})), ["/autoDelete"]);
        assert_eq!(queue(json!({"arguments": {"x-queue-type": "quorum"}})), ["/arguments/x-queue-type"]);
        assert_eq!(queue(json!({"name": "amq.x"})), ["/name"]);
        assert_eq!(pointers("rabbitmq.vhost_limits", json!({"vhost": "v"})), [""]);
        assert_eq!(
            pointers("rabbitmq.user", json!({"name": "u", "tags": ["a,b", "administrator"]})),
            ["/tags/0", "/tags/1"]
        );
        assert_eq!(pointers("rabbitmq.exchange", json!({"vhost": "v", "name": ""})), ["/name"]);
    }
}

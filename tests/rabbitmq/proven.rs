//! Before a queue or an exchange is deleted for another in its place, the server says whether it would take that one.

use serde_json::{Value as Json, json};

use super::{by_hand, on_rabbitmq};
use crate::support::create;

#[test]
fn a_queue_that_the_server_would_refuse_is_refused_and_a_trial_leaves_nothing() {
    on_rabbitmq("a_queue_that_the_server_would_refuse_is_refused_and_a_trial_leaves_nothing", async |target| {
        let own = target.name("trial");
        let vhost = target.desired("vhost", "acme/vhost", json!({"name": own}));
        let queue = |more: Json| {
            let mut spec = json!({"vhost": own, "name": "orders"});
            spec.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            target.desired("queue", "acme/queue", spec)
        };
        let living = queue(json!({}));
        target.create(&[&vhost, &living]).await;
        let writer = target.writer();
        for taken in [
            json!({"arguments": {"x-max-length": 10}}),
            json!({"type": "quorum", "arguments": {"x-expires": 60000}}),
            json!({"type": "stream", "arguments": {"x-max-length-bytes": "many"}}),
            json!({"durable": false, "arguments": {"x-expires": 5}}),
        ] {
            writer.prove(&create(&queue(taken.clone()))).await.unwrap_or_else(|error| panic!("{taken}: {error}"));
        }
        for refused in [
            json!({"arguments": {"x-max-length": "ten"}}),
            json!({"arguments": {"x-expires": -5}}),
            json!({"type": "quorum", "arguments": {"x-max-priority": 5}}),
        ] {
            let error = writer.prove(&create(&queue(refused.clone()))).await.expect_err("it is refused");
            assert!(error.to_string().contains("x-") && !error.to_string().contains("tenantry-trial"), "{error}");
        }
        // The living one is all that the limit allows.
        let (status, answer) =
            by_hand(target, "PUT", &format!("vhost-limits/{own}/max-queues"), &json!({"value": 1})).await;
        assert!(status < 300, "{answer}");
        writer.prove(&create(&queue(json!({"arguments": {"x-max-length": 10}})))).await.expect("one goes first");

        let exchange = |sort: &str| {
            target.desired("exchange", "acme/exchange", json!({"vhost": own, "name": "orders", "type": sort}))
        };
        writer.prove(&create(&exchange("topic"))).await.expect("a type that it has");
        let error = writer.prove(&create(&exchange("x-delayed-mesage"))).await.expect_err("no such type");
        assert!(error.to_string().contains("x-delayed-mesage") && error.to_string().contains("fanout"), "{error}");

        let (_, left) = by_hand(target, "GET", &format!("queues/{own}?disable_stats=true"), &Json::Null).await;
        let names: Vec<&Json> = left.as_array().expect("queues").iter().map(|queue| &queue["name"]).collect();
        assert_eq!(names, ["orders"]);
    });
}

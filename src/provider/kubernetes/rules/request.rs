//! A request above its limit.

use super::objects::Objects;
use crate::types::quantity::Quantity;
use tenantry_core::diagnostics::codes;
use tenantry_core::model::config::Level;
use tenantry_core::model::value::{Map, Value};
use tenantry_core::rules::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: codes::REQUEST_ABOVE_LIMIT,
    level: Level::Error,
    cause: "The server refuses a container that requests more than its limit allows it to use.",
    example: "
containers:
  - name: web
    resources: {requests: {memory: 2Gi}, limits: {memory: 1Gi}}",
    remedy: "Raise the limit or lower the request.",
};

pub fn check(objects: &Objects<'_>, findings: &mut Findings<'_>) {
    for pod in objects.pods() {
        for container in pod.containers() {
            let of = |field: &str| container.value.get("resources").and_then(|resources| resources.get(field));
            let limits = of("limits");
            for (resource, request) in of("requests").and_then(Value::as_map).into_iter().flat_map(Map::iter) {
                let limit = limits.and_then(|limits| limits.get(resource)).and_then(Quantity::of);
                let (Some(request), Some(limit)) = (Quantity::of(request), limit) else { continue };
                if request > limit {
                    findings.add(
                        &RULE,
                        pod.object.desired,
                        format!("{}/resources/requests/{}", container.pointer, resource.replace('/', "~1")),
                        format!(
                            "container `{}` requests {request} of {resource}, more than its limit of {limit}",
                            container.name
                        ),
                        "raise the limit or lower the request",
                    );
                }
            }
        }
    }
}

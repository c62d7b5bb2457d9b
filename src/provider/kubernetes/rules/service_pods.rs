//! A Service without pods.

use super::objects::{Object, Objects};
use super::selector::{fits, readable};
use tenantry_core::diagnostics::codes;
use tenantry_core::model::config::Level;
use tenantry_core::model::value::{Map, Value};
use tenantry_core::rules::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: codes::SERVICE_WITHOUT_PODS,
    level: Level::Warning,
    cause: "The Service has no endpoints, so connections to it are refused.",
    example: "
kind: Deployment
spec: {template: {metadata: {labels: {app: web}}, …}}
---
kind: Service
spec: {selector: {app: website}, …}",
    remedy: "Write the labels of the pod template into the selector. The rule is silent in a namespace where an operator or Argo CD may make pods.",
};

pub fn check(objects: &Objects<'_>, findings: &mut Findings<'_>) {
    for service in objects.of("", "Service") {
        let Some(selector) = selector(service) else { continue };
        let pods: Vec<_> = objects.pods().iter().filter(|pod| pod.object.namespace == service.namespace).collect();
        // Without a workload of the owner, the pods are somebody else's.
        if pods.is_empty() || objects.may_have_more(service.namespace) {
            continue;
        }
        if pods.iter().all(|pod| fits(selector, pod.labels) == Some(false)) {
            let names: Vec<String> = pods.iter().take(3).map(|pod| pod.object.desired.address.id.to_string()).collect();
            let message = format!("no pod of the namespace has the labels `{}` of the selector", readable(selector));
            let help = format!("write the labels of a pod template, such as that of `{}`", names.join("`, `"));
            findings.add(&RULE, service.desired, "/spec/selector", message, help);
        }
    }
}

/// What a Service selects pods by; one without a selector has endpoints of its own.
pub fn selector<'a>(service: &Object<'a>) -> Option<&'a Map> {
    let selector = service.at(&["spec", "selector"]).and_then(Value::as_map)?;
    (!selector.is_empty() && service.text(&["spec", "type"]) != Some("ExternalName")).then_some(selector)
}

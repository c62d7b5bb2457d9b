//! A port of a Service that leads nowhere.

use super::objects::Objects;
use super::selector::fits;
use super::service_pods::selector;
use tenantry_core::diagnostics::codes;
use tenantry_core::model::config::Level;
use tenantry_core::model::value::Value;
use tenantry_core::rules::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: codes::PORT_WITHOUT_CONTAINER,
    level: Level::Warning,
    cause: "The Service sends connections to a port of the pods on which no container says that it listens.",
    example: "
kind: Deployment
spec: {template: {spec: {containers: [{name: web, ports: [{name: http, containerPort: 8080}]}]}}}
---
kind: Service
spec: {ports: [{port: 80, targetPort: 80}]}",
    remedy: "Write the container's port or its name as `targetPort`. A number is only checked where each container of the pod declares ports.",
};

pub fn check(objects: &Objects<'_>, findings: &mut Findings<'_>) {
    for service in objects.of("", "Service") {
        let Some(selector) = selector(service) else { continue };
        let pods = objects.pods().iter().filter(|pod| pod.object.namespace == service.namespace);
        let pods: Vec<_> = pods.filter(|pod| fits(selector, pod.labels) == Some(true)).collect();
        if pods.is_empty() {
            continue;
        }
        let mut declared: Vec<&Value> = Vec::new();
        let mut all_declare = true;
        for container in pods.iter().flat_map(|pod| pod.containers()) {
            let ports = container.value.get("ports").and_then(Value::as_list).unwrap_or_default();
            all_declare &= !ports.is_empty() || container.pointer.contains("/initContainers/");
            declared.extend(ports);
        }
        let has = |field: &str, wanted: &Value| declared.iter().any(|port| port.get(field) == Some(wanted));
        for (index, port) in service.list(&["spec", "ports"]).iter().enumerate() {
            let target = port.get("targetPort").or_else(|| port.get("port"));
            let is_missing = match target {
                Some(name @ Value::Text(_)) => !has("name", name),
                Some(number @ Value::Integer(_)) => all_declare && !has("containerPort", number),
                _ => false,
            };
            if let (true, Some(target)) = (is_missing, target) {
                let field = if port.get("targetPort").is_some() { "targetPort" } else { "port" };
                let target = target.to_json().to_string();
                let message = format!("the Service leads to port {target}, which no container of its pods declares");
                let known: Vec<String> = declared
                    .iter()
                    .filter_map(|port| {
                        let number = port.get("containerPort")?.as_integer()?;
                        let name = port.get("name").and_then(Value::as_str);
                        Some(name.map_or_else(|| number.to_string(), |name| format!("{number} ({name})")))
                    })
                    .collect();
                let help = match known.as_slice() {
                    [] => "give the port of the container a `name`, or write its number".to_owned(),
                    known => format!("ports of the containers are {}", known.join(", ")),
                };
                findings.add(&RULE, service.desired, format!("/spec/ports/{index}/{field}"), message, help);
            }
        }
    }
}

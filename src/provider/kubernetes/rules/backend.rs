//! An Ingress that leads nowhere.

use super::objects::Objects;
use tenantry_core::diagnostics::codes;
use tenantry_core::model::config::Level;
use tenantry_core::model::value::Value;
use tenantry_core::rules::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: codes::BACKEND_NOT_MADE,
    level: Level::Warning,
    cause: "Requests to the host are answered with an error of the ingress controller.",
    example: "
kind: Service
metadata: {name: web}
spec: {ports: [{port: 80}]}
---
kind: Ingress
spec: {rules: [{host: acme.example.com, http: {paths: [{backend: {service: {name: web, port: {number: 8080}}}}]}}]}",
    remedy: "Write the name and a port of the Service; a port is the Service's own and not that of the pods.",
};

pub fn check(objects: &Objects<'_>, findings: &mut Findings<'_>) {
    for ingress in objects.of("networking.k8s.io", "Ingress") {
        let namespace = ingress.namespace;
        let own = objects.of("", "Service").copied().filter(|service| service.namespace == namespace);
        let shared = objects.shared("", "Service").filter(|service| service.namespace == namespace);
        let services: Vec<_> = own.chain(shared).collect();
        // Without a Service of the estate there, they are somebody else's.
        let is_known = !services.is_empty() || objects.makes_namespace(namespace);
        if !is_known || objects.may_have_more(namespace) {
            continue;
        }
        let mut backends: Vec<(String, &Value)> = Vec::new();
        backends.extend(
            ingress.at(&["spec", "defaultBackend"]).map(|backend| ("/spec/defaultBackend".to_owned(), backend)),
        );
        for (rule_at, rule) in ingress.list(&["spec", "rules"]).iter().enumerate() {
            let paths =
                rule.get("http").and_then(|http| http.get("paths")).and_then(Value::as_list).unwrap_or_default();
            backends.extend(paths.iter().enumerate().filter_map(|(at, path)| {
                Some((format!("/spec/rules/{rule_at}/http/paths/{at}/backend"), path.get("backend")?))
            }));
        }
        for (pointer, backend) in backends {
            let Some(wanted) = backend.get("service") else { continue };
            let Some(name) = wanted.get("name").and_then(Value::as_str) else { continue };
            let Some(service) = services.iter().find(|service| service.name == name) else {
                let mut known: Vec<&str> = services.iter().map(|service| service.name).collect();
                known.sort_unstable();
                let help = match known.as_slice() {
                    [] => "make a Service of this name in the blueprint".to_owned(),
                    known => format!("Services of the namespace are {}", known.join(", ")),
                };
                let message = format!("there is no Service `{name}` in namespace `{namespace}`");
                findings.add(&RULE, ingress.desired, format!("{pointer}/service/name"), message, help);
                continue;
            };
            let ports = service.list(&["spec", "ports"]);
            for (field, own) in [("number", "port"), ("name", "name")] {
                let Some(port) =
                    wanted.get("port").and_then(|port| port.get(field)).filter(|port| !port.has_deferred())
                else {
                    continue;
                };
                if !ports.is_empty() && !ports.iter().any(|of| of.get(own) == Some(port)) {
                    let message = format!("Service `{name}` has no port {}", port.to_json());
                    let known: Vec<String> =
                        ports.iter().filter_map(|port| port.get(own)).map(|port| port.to_json().to_string()).collect();
                    let help = match known.as_slice() {
                        [] => "write the number of the port".to_owned(),
                        known => format!("its ports are {}", known.join(", ")),
                    };
                    findings.add(&RULE, ingress.desired, format!("{pointer}/service/port/{field}"), message, help);
                }
            }
        }
    }
}

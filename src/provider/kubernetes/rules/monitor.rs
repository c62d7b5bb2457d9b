//! A ServiceMonitor or PodMonitor that scrapes nothing.

use super::objects::{Object, Objects};
use super::selector::{readable, selects};
use tenantry_core::diagnostics::codes;
use tenantry_core::model::config::Level;
use tenantry_core::model::value::{Map, Value};
use tenantry_core::rules::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: codes::MONITOR_WITHOUT_SERVICE,
    level: Level::Warning,
    cause: "Prometheus finds no endpoint, so there are no figures and no alert ever fires. The selector is compared with the labels of the Service itself, not of its pods, and `port` with the names of its ports.",
    example: "
kind: Service
metadata: {name: web}                                  # no labels
spec: {ports: [{name: http, port: 80}]}
---
kind: ServiceMonitor
spec: {selector: {matchLabels: {tenant: acme}}, endpoints: [{port: metrics}]}",
    remedy: "Give the Service the labels of the selector, and a port of the name.",
};

const GROUP: &str = "monitoring.coreos.com";

pub fn check(objects: &Objects<'_>, findings: &mut Findings<'_>) {
    for monitor in objects.of(GROUP, "ServiceMonitor") {
        let services = objects.of("", "Service").filter(|service| is_looked_at(monitor, service.namespace));
        let services: Vec<Candidate<'_>> = services
            .map(|service| Candidate {
                labels: service.labels(),
                ports: service.list(&["spec", "ports"]).iter().filter_map(|port| port.get("name")?.as_str()).collect(),
            })
            .collect();
        hold(objects, monitor, "Service", "endpoints", &services, findings);
    }
    for monitor in objects.of(GROUP, "PodMonitor") {
        let pods = objects.pods().iter().filter(|pod| is_looked_at(monitor, pod.object.namespace));
        let pods: Vec<Candidate<'_>> = pods
            .map(|pod| Candidate {
                labels: pod.labels,
                ports: pod
                    .containers()
                    .iter()
                    .flat_map(|container| container.value.get("ports").and_then(Value::as_list).unwrap_or_default())
                    .filter_map(|port| port.get("name")?.as_str())
                    .collect(),
            })
            .collect();
        hold(objects, monitor, "pod", "podMetricsEndpoints", &pods, findings);
    }
}

/// What a monitor may select.
struct Candidate<'a> {
    labels: Option<&'a Map>,
    /// Names.
    ports: Vec<&'a str>,
}

/// Whether a monitor looks at objects of a namespace.
fn is_looked_at(monitor: &Object<'_>, namespace: &str) -> bool {
    let selector = monitor.at(&["spec", "namespaceSelector"]);
    let names = selector.and_then(|selector| selector.get("matchNames")).and_then(Value::as_list).unwrap_or_default();
    let any = selector.and_then(|selector| selector.get("any")).and_then(Value::as_bool) == Some(true);
    any || match names {
        [] => monitor.namespace == namespace,
        names => names.iter().any(|name| name.as_str().is_none_or(|name| name == namespace)),
    }
}

fn hold(
    objects: &Objects<'_>,
    monitor: &Object<'_>,
    noun: &str,
    endpoints: &str,
    candidates: &[Candidate<'_>],
    findings: &mut Findings<'_>,
) {
    let any = monitor.at(&["spec", "namespaceSelector", "any"]).and_then(Value::as_bool) == Some(true);
    // Without a candidate of the owner, those of somebody else are meant.
    if candidates.is_empty() || any || objects.may_have_more(monitor.namespace) {
        return;
    }
    let Some(selector) = monitor.at(&["spec", "selector"]) else { return };
    let selected: Vec<_> =
        candidates.iter().filter(|candidate| selects(selector, candidate.labels) != Some(false)).collect();
    let mut is_reported = false;
    if selected.is_empty() {
        let labels = selector.get("matchLabels").and_then(Value::as_map).map(readable).unwrap_or_default();
        let message = format!("no {noun} of the namespace has the labels `{labels}` of the selector");
        let help = format!("add them to the labels of the {noun}, or select by labels that it has");
        findings.add(&RULE, monitor.desired, "/spec/selector", message, help);
        is_reported = true;
    }
    let looked_at: Vec<&Candidate<'_>> = if is_reported { candidates.iter().collect() } else { selected };
    for (index, endpoint) in monitor.list(&["spec", endpoints]).iter().enumerate() {
        let Some(port) = endpoint.get("port").and_then(Value::as_str) else { continue };
        if looked_at.iter().any(|candidate| candidate.ports.contains(&port)) {
            continue;
        }
        let mut known: Vec<&str> = looked_at.iter().flat_map(|candidate| candidate.ports.iter().copied()).collect();
        known.sort_unstable();
        known.dedup();
        let message = format!("no {noun} that it could select has a port called `{port}`");
        let help = match known.as_slice() {
            [] => format!("give a port of the {noun} the name `{port}`"),
            known => format!("names of ports are {}", known.join(", ")),
        };
        findings.add(&RULE, monitor.desired, format!("/spec/{endpoints}/{index}/port"), message, help);
    }
}

//! DNS over one protocol only.

use super::objects::Objects;
use tenantry_core::diagnostics::codes;
use tenantry_core::model::config::Level;
use tenantry_core::model::value::{Map, Value};
use tenantry_core::rules::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: codes::DNS_OVER_ONE_PROTOCOL,
    level: Level::Warning,
    cause: "A resolver asks over UDP, and again over TCP if the answer is too long for a packet. With one of them closed, some names are not found, or none.",
    example: "
kind: NetworkPolicy
spec:
  egress:
    - to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}}]
      ports: [{protocol: UDP, port: 53}]",
    remedy: "Allow both: `ports: [{protocol: UDP, port: 53}, {protocol: TCP, port: 53}]`.",
};

pub fn check(objects: &Objects<'_>, findings: &mut Findings<'_>) {
    for policy in objects.of("networking.k8s.io", "NetworkPolicy") {
        let mut first: Option<(String, &str)> = None;
        let mut seen = Vec::new();
        let mut all = false;
        for (at, rule) in policy.list(&["spec", "egress"]).iter().enumerate() {
            let ports = rule.get("ports").and_then(Value::as_list).unwrap_or_default();
            all |= ports.is_empty() && leads_everywhere(rule);
            for (index, port) in ports.iter().enumerate() {
                if port.get("port").is_none() {
                    all = true;
                } else if port.get("port").and_then(Value::as_integer) == Some(53) {
                    let protocol = port.get("protocol").and_then(Value::as_str).unwrap_or("TCP");
                    seen.push(protocol);
                    first.get_or_insert_with(|| (format!("/spec/egress/{at}/ports/{index}"), protocol));
                }
            }
        }
        let Some((pointer, protocol)) = first.filter(|_| !all) else { continue };
        let missing = ["UDP", "TCP"].into_iter().find(|protocol| !seen.contains(protocol));
        if let Some(missing) = missing {
            findings.add(
                &RULE,
                policy.desired,
                pointer,
                format!("DNS is allowed over {protocol} and not over {missing}"),
                format!("add {{protocol: {missing}, port: 53}}"),
            );
        }
    }
}

/// Whether a rule is for every peer, or for every pod of the cluster, which the resolvers are.
fn leads_everywhere(rule: &Value) -> bool {
    let peers = rule.get("to").and_then(Value::as_list).unwrap_or_default();
    let is_every_namespace = |peer: &Value| {
        peer.get("namespaceSelector").and_then(Value::as_map).is_some_and(Map::is_empty)
            && peer.get("podSelector").is_none()
    };
    peers.is_empty() || peers.iter().any(is_every_namespace)
}

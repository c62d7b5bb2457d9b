//! Egress to the world outside that allows pods of the cluster only.

use super::objects::Objects;
use tenantry_core::diagnostics::codes;
use tenantry_core::model::config::Level;
use tenantry_core::model::value::{Map, Value};
use tenantry_core::rules::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: codes::PEER_NOT_OUTSIDE,
    level: Level::Warning,
    cause: "`namespaceSelector: {}` selects all pods of the cluster and nothing outside it. Connections over HTTPS to the world outside are refused, and those to every other tenant's pods are allowed.",
    example: "
kind: NetworkPolicy
spec:
  egress:
    - to: [{namespaceSelector: {}}]     # meant: HTTPS to the world outside
      ports: [{protocol: TCP, port: 443}]",
    remedy: "Write `ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16]}` instead.",
};

pub fn check(objects: &Objects<'_>, findings: &mut Findings<'_>) {
    for policy in objects.of("networking.k8s.io", "NetworkPolicy") {
        let rules = policy.list(&["spec", "egress"]);
        let peers = |rule: &'_ Value| rule.get("to").and_then(Value::as_list).unwrap_or_default().to_vec();
        let is_web = |rule: &&Value| ports(rule).is_some_and(|ports| ports.iter().all(is_web_port));
        let leads_outside = |rule: &Value| {
            let peers = peers(rule);
            peers.is_empty() || peers.iter().any(|peer| peer.get("ipBlock").is_some())
        };
        if rules.iter().any(leads_outside) {
            continue;
        }
        for (index, rule) in rules.iter().enumerate().filter(|(_, rule)| is_web(rule)) {
            let everywhere = peers(rule).iter().position(is_every_pod);
            if let Some(at) = everywhere {
                findings.add(
                    &RULE,
                    policy.desired,
                    format!("/spec/egress/{index}/to/{at}"),
                    "`namespaceSelector: {}` allows all pods of the cluster and nothing outside it, so HTTPS to the world outside is refused",
                    "write `ipBlock: {cidr: 0.0.0.0/0, except: [the cluster's own ranges]}`",
                );
            }
        }
    }
}

/// The ports of a rule; `None` if it is for all.
fn ports(rule: &Value) -> Option<&[Value]> {
    rule.get("ports").and_then(Value::as_list).filter(|ports| !ports.is_empty())
}

fn is_web_port(port: &Value) -> bool {
    let is_tcp = port.get("protocol").is_none_or(|protocol| protocol.as_str() == Some("TCP"));
    is_tcp && port.get("port").and_then(Value::as_integer).is_some_and(|port| matches!(port, 80 | 443))
}

/// Whether a peer is every pod of every namespace.
fn is_every_pod(peer: &Value) -> bool {
    let is_empty = |field: &str| peer.get(field).and_then(Value::as_map).map(Map::is_empty);
    is_empty("namespaceSelector") == Some(true) && is_empty("podSelector") != Some(false)
}

//! Namespaces selected by a label that they do not have.

use super::objects::{Object, Objects};
use tenantry_core::diagnostics::codes;
use tenantry_core::model::config::Level;
use tenantry_core::model::value::{Map, Value};
use tenantry_core::rules::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: codes::PEER_NEVER_MATCHES,
    level: Level::Warning,
    cause: "No namespace has a label `name` by itself, `kube-system` included; the label that every namespace has is `kubernetes.io/metadata.name`. A peer that selects nothing allows nothing.",
    example: "
kind: NetworkPolicy
spec:
  egress:
    - to: [{namespaceSelector: {matchLabels: {name: kube-system}}}]",
    remedy: "Write `kubernetes.io/metadata.name: kube-system`, or give the Namespace the label.",
};

/// The label that the server gives to every namespace (since 1.21).
const OF_SERVER: &str = "kubernetes.io/metadata.name";

pub fn check(objects: &Objects<'_>, findings: &mut Findings<'_>) {
    for policy in objects.of("networking.k8s.io", "NetworkPolicy") {
        for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
            for (rule_at, rule) in policy.list(&["spec", direction]).iter().enumerate() {
                let list = rule.get(peers).and_then(Value::as_list).unwrap_or_default();
                for (peer_at, peer) in list.iter().enumerate() {
                    let labels = peer.get("namespaceSelector").and_then(|selector| selector.get("matchLabels"));
                    for (key, value) in labels.and_then(Value::as_map).into_iter().flat_map(Map::iter) {
                        let Some(value) = value.as_str() else { continue };
                        if let Some(why) = never_matches(objects, key, value) {
                            let pointer = format!(
                                "/spec/{direction}/{rule_at}/{peers}/{peer_at}/namespaceSelector/matchLabels/{}",
                                key.replace('~', "~0").replace('/', "~1")
                            );
                            let help = format!("write `{OF_SERVER}: {value}`, which every namespace has");
                            findings.add(&RULE, policy.desired, pointer, why, help);
                        }
                    }
                }
            }
        }
    }
}

/// Why no namespace has a label, as far as that is known.
fn never_matches(objects: &Objects<'_>, key: &str, value: &str) -> Option<String> {
    if key == OF_SERVER {
        return None;
    }
    let has_it = |object: &Object<'_>| {
        object.labels().is_some_and(|labels| {
            labels.get(key).is_some_and(|label| label.has_deferred() || label.as_str() == Some(value))
        })
    };
    let made: Vec<Object<'_>> = objects.of("", "Namespace").copied().chain(objects.shared("", "Namespace")).collect();
    if made.iter().any(has_it) {
        return None;
    }
    if key == "name" {
        return Some(format!("no namespace has the label `name: {value}` by itself, so the peer allows nothing"));
    }
    let is_named = made.iter().any(|object| object.name == value);
    is_named
        .then(|| format!("Namespace `{value}` does not have the label `{key}: {value}`, so the peer allows nothing"))
}

//! Two tenants with one host.

use super::objects::Object;
use crate::types::OBJECT;
use tenantry_core::diagnostics::codes;
use tenantry_core::model::config::Level;
use tenantry_core::model::resource::Desired;
use tenantry_core::model::value::{Map, Value};
use tenantry_core::rules::{Claim, Rule};

pub const RULE: Rule = Rule {
    code: codes::HOST_TAKEN_TWICE,
    level: Level::Warning,
    cause: "An ingress controller sends the requests of one host and path to one of them, usually to the older: a tenant's customers reach another tenant.",
    example: "
kind: Ingress
metadata: {namespace: \"${tenant.name}\"}
spec: {rules: [{host: shop.example.com, …}]}   # the same for every tenant",
    remedy: "Make the host of the tenant, such as `${tenant.name}.example.com` or a value that no two tenants share.",
};

/// The hosts and paths of an Ingress.
pub fn claims(desired: &Desired) -> Vec<Claim> {
    if desired.kind.name != OBJECT {
        return Vec::new();
    }
    let Some(ingress) = Object::new(desired).filter(|object| object.of.is("networking.k8s.io", "Ingress")) else {
        return Vec::new();
    };
    // A part of the requests of another Ingress.
    let annotations = ingress.at(&["metadata", "annotations"]).and_then(Value::as_map);
    if annotations.into_iter().flat_map(Map::iter).any(|(key, _)| key.ends_with("/canary")) {
        return Vec::new();
    }
    let mut claims = Vec::new();
    for (index, rule) in ingress.list(&["spec", "rules"]).iter().enumerate() {
        let Some(host) = rule.get("host").and_then(Value::as_str) else { continue };
        let paths = rule.get("http").and_then(|http| http.get("paths")).and_then(Value::as_list).unwrap_or_default();
        let class = ingress.text(&["spec", "ingressClassName"]).unwrap_or_default();
        for path in paths {
            let path = path.get("path").and_then(Value::as_str).unwrap_or("/");
            let class = if class.is_empty() { String::new() } else { format!(" ({class})") };
            claims.push(Claim {
                rule: &RULE,
                name: format!("{host}{path}{class}"),
                pointer: format!("/spec/rules/{index}/host"),
                help: "make the host of the tenant's name, or of a value that no two tenants share",
            });
        }
    }
    claims
}

//! Two tenants with one value that each needs for itself.

use std::sync::Arc;

use crate::collections::HashMap;
use crate::diagnostics::codes;
use crate::model::config::Level;
use crate::model::document::{Document, Phase, TenantSpec};
use crate::model::value::Value;
use crate::rules::{Findings, Inputs, Rule};

pub const RULE: Rule = Rule {
    code: codes::SHARED_VALUE,
    level: Level::Warning,
    cause: "A domain or an identifier leads to one tenant. If two have it, requests of one reach the other, or the second fails when it is applied.",
    example: "
kind: Tenant
metadata: {name: acme}
spec: {values: {domain: shop.example.com}}
---
kind: Tenant
metadata: {name: globex}
spec: {values: {domain: shop.example.com}}",
    remedy: "Change one of them. `rules.unique` names the values that must differ.",
};

/// Unless the estate says which.
const DEFAULT: [&str; 8] = [
    "values.customDomain",
    "values.custom_domain",
    "values.domain",
    "values.hostname",
    "values.slug",
    "values.subdomain",
    "values.tenantId",
    "values.tenant_id",
];

pub fn check(inputs: &Inputs<'_>, findings: &mut Findings<'_>) {
    let named: Vec<&str> = match &inputs.estate.config.rules.unique {
        Some(named) => named.iter().map(|path| &**path).collect(),
        None => DEFAULT.to_vec(),
    };
    for path in named {
        let Some(pointer) = path.strip_prefix("values.").map(|path| format!("/{}", path.replace('.', "/"))) else {
            continue;
        };
        let mut first: HashMap<String, &Document<TenantSpec>> = HashMap::default();
        for tenant in inputs.estate.tenants.iter().filter(|tenant| tenant.spec.phase != Phase::Deleted) {
            let Some(value) = own(&tenant.spec, &pointer) else { continue };
            let other = *first.entry(value).or_insert(tenant);
            if other.metadata.name == tenant.metadata.name {
                continue;
            }
            let place = |tenant: &Document<TenantSpec>| tenant.positions.origin(&format!("/spec/values{pointer}"));
            let message =
                format!("tenants `{}` and `{}` have the same `{path}`", other.metadata.name, tenant.metadata.name);
            let help = "change one of them, or name in `rules.unique` of tenantry.toml only what has to differ";
            findings.add_at(&RULE, place(tenant), format!("the same as of `{}`", other.metadata.name), message, help);
            findings.related(place(other), "first used here");
        }
    }
}

/// A value that the tenant has itself: what it has from its tier all tenants of the tier have.
fn own(spec: &TenantSpec, pointer: &str) -> Option<String> {
    let (first, rest) = match pointer[1..].split_once('/') {
        Some((first, _)) => (first, &pointer[1 + first.len()..]),
        None => (&pointer[1..], ""),
    };
    match spec.values.get(&Arc::<str>::from(first))?.pointer(rest)? {
        Value::Text(text) if !text.is_empty() => Some(text.trim_end_matches('.').to_lowercase()),
        Value::Integer(number) => Some(number.to_string()),
        _ => None,
    }
}

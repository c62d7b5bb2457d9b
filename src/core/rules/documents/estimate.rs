//! What a tenant expects to use, held against its quota.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::diagnostics::codes;
use crate::model::config::Level;
use crate::model::quantity::{Quantity, Quota};
use crate::model::value::Value;
use crate::rules::{Findings, Inputs, Rule};

pub const RULE: Rule = Rule {
    code: codes::ESTIMATE_ABOVE_QUOTA,
    level: Level::Warning,
    cause: "The tenant would reach the limit of its tier as soon as it uses what it asked for.",
    example: "
kind: Tenant
metadata: {name: acme}
spec:
  tier: standard                  # quotas: {users: 25}
  values: {estimated_users: 50}",
    remedy: "Choose a higher tier, raise the tenant's own quota, or correct the estimate. An estimate is a value of the tenant called `estimated_QUOTA` or `expected_QUOTA`, with or without `_per_month`; `storage_requirement_gb` counts for the quota `storage`. `rules.estimates` names others.",
};

/// Words before or behind the name of a quota that make an estimate of it.
const BEFORE: [&str; 2] = ["estimated_", "expected_"];
const BEHIND: [&str; 3] = ["_estimate", "_requirement", "_expected"];

/// Units that a value has in its name, with their size.
const UNITS: [(&str, i64); 6] = [
    ("_mb", 1_000_000),
    ("_gb", 1_000_000_000),
    ("_tb", 1_000_000_000_000),
    ("_mib", 1 << 20),
    ("_gib", 1 << 30),
    ("_tib", 1 << 40),
];

pub fn check(inputs: &Inputs<'_>, findings: &mut Findings<'_>) {
    let named = &inputs.estate.config.rules.estimates;
    for tenant in &inputs.estate.tenants {
        let tier = inputs.estate.tiers.iter().find(|tier| tier.metadata.name == tenant.spec.tier);
        let Some(tier) = tier.map(|tier| &tier.spec.quotas) else { continue };
        let quota = |name: &str| tenant.spec.quotas.get(name).or_else(|| tier.get(name));
        for (pointer, value, name) in estimates(&tenant.spec.values, named) {
            let found = quota(&name).or_else(|| quota(name.strip_suffix("_per_month")?));
            let (Some(Quota::Limited(limit)), Some(estimate)) = (found, amount(&pointer, value)) else { continue };
            if estimate > i128::from(limit.value()) {
                let message = format!(
                    "tenant `{}` expects more of `{name}` than its quota of {limit} allows",
                    tenant.metadata.name
                );
                let origin = tenant.positions.origin(&format!("/spec{pointer}"));
                let help = "choose a higher tier, raise `spec.quotas` of the tenant, or correct the estimate";
                findings.add_at(&RULE, origin, format!("above the quota of {limit}"), message, help);
            }
        }
    }
}

/// The estimates among a tenant's values: pointer within its spec, value, and the name of the quota.
fn estimates<'a>(
    values: &'a BTreeMap<Arc<str>, Value>,
    named: &BTreeMap<Arc<str>, Arc<str>>,
) -> Vec<(String, &'a Value, String)> {
    let mut found = Vec::new();
    for (quota, path) in named {
        let Some((first, rest)) = path.strip_prefix("values.").map(|path| path.split_once('.').unwrap_or((path, "")))
        else {
            continue;
        };
        let below = if rest.is_empty() { String::new() } else { format!("/{}", rest.replace('.', "/")) };
        if let Some(value) = values.get(first).and_then(|value| value.pointer(&below)) {
            found.push((format!("/values/{first}{below}"), value, quota.to_string()));
        }
    }
    for (key, value) in values {
        if let Value::Map(map) = value
            && matches!(&**key, "estimates" | "estimated" | "expected")
        {
            found.extend(map.iter().map(|(name, value)| (format!("/values/{key}/{name}"), value, name.to_string())));
        } else if let Some(quota) = quota_of(key) {
            found.push((format!("/values/{key}"), value, quota));
        }
    }
    found
}

/// The quota that a value of this name is an estimate of.
fn quota_of(key: &str) -> Option<String> {
    let snake = crate::model::clear::words(key).join("_");
    let without_unit = UNITS.iter().find_map(|(unit, _)| snake.strip_suffix(unit)).unwrap_or(&snake);
    let before = BEFORE.iter().find_map(|before| without_unit.strip_prefix(before));
    let quota = before.or_else(|| BEHIND.iter().find_map(|behind| without_unit.strip_suffix(behind)));
    quota.map(str::to_owned)
}

fn amount(pointer: &str, value: &Value) -> Option<i128> {
    let key = crate::model::clear::words(pointer.rsplit('/').next().unwrap_or_default()).join("_");
    let unit = UNITS.iter().find(|(unit, _)| key.ends_with(unit)).map_or(1, |(_, size)| *size);
    let number = match value {
        Value::Integer(number) => *number,
        Value::Text(text) => Quantity::parse(text).ok()?.value(),
        _ => return None,
    };
    Some(i128::from(number) * i128::from(unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_is_known_by_its_name() {
        for (key, quota) in [
            ("estimated_users", "users"),
            ("estimatedUsers", "users"),
            ("estimated_records_per_month", "records_per_month"),
            ("storage_requirement_gb", "storage"),
            ("expected_seats", "seats"),
        ] {
            assert_eq!(quota_of(key).as_deref(), Some(quota), "{key}");
        }
        assert_eq!(quota_of("users"), None);
        assert_eq!(amount("/values/storage_requirement_gb", &Value::Integer(600)), Some(600_000_000_000));
        assert_eq!(amount("/values/estimated_users", &Value::from("2k")), Some(2000));
    }
}

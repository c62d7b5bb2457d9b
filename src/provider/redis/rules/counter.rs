//! A counter that every apply sets back.

use std::collections::BTreeSet;

use crate::types::{hash, key};
use tenantry_core::diagnostics::codes;
use tenantry_core::model::clear::words;
use tenantry_core::model::config::Level;
use tenantry_core::model::resource::Desired;
use tenantry_core::model::value::{Map, Value, push_token};
use tenantry_core::rules::{Findings, OwnerView, Rule};

pub const RULE: Rule = Rule {
    code: codes::COUNTER_OVERWRITTEN,
    level: Level::Warning,
    cause: "A key that the estate owns is written again whenever it differs. If the product counts in it, every plan finds drift and every apply gives the tenant its whole quota back.",
    example: "
kind: redis.key
spec: {key: \"quota:acme:api_calls\", value: 1000000}",
    remedy: "Write `createOnly: true`: the key is created with this value and then left alone. If the product only reads it, switch the rule off or call the key a limit, such as `limit:acme:api_calls`.",
};

/// Words at the end of the name of what is used up or counted.
const COUNTED: [&str; 14] = [
    "balance",
    "calls",
    "consumed",
    "count",
    "counter",
    "credits",
    "hits",
    "left",
    "remaining",
    "requests",
    "tokens",
    "usage",
    "used",
    "uses",
];

/// Words that make a limit of it, which is only read.
const LIMITS: [&str; 9] = ["cap", "config", "limit", "limits", "max", "maximum", "plan", "rate", "settings"];

pub fn check(view: &OwnerView<'_>, findings: &mut Findings<'_>) {
    if !findings.is_on(&RULE) {
        return;
    }
    check_hashes(view, findings);
    // Where the product counts in a key of its own, the one without `createOnly` is the limit.
    let counters = view.of(key::NAME).filter(|key| key::is_create_only(&key.spec));
    let counted: BTreeSet<&str> = counters.filter_map(|key| name(key)?.rsplit(':').next()).collect();
    for key in view.of(key::NAME).filter(|key| !key::is_create_only(&key.spec)) {
        let Some(name) = name(key) else { continue };
        let is_number = key.spec.get("value").is_some_and(is_number);
        let has_counter = name.rsplit(':').next().is_some_and(|last| counted.contains(last));
        if is_number && !has_counter && is_counter(name) {
            findings.add(
                &RULE,
                key,
                "/value",
                "if the product counts in this key, every apply sets it back",
                "write `createOnly: true`, which creates the key and then leaves it alone",
            );
        }
    }
}

/// The same of the fields of hashes, of which the product may own others.
fn check_hashes(view: &OwnerView<'_>, findings: &mut Findings<'_>) {
    for hash in view.of(hash::NAME).filter(|hash| !key::is_create_only(&hash.spec)) {
        let Some(name) = name(hash) else { continue };
        let fields = hash.spec.get("fields").and_then(Value::as_map);
        for (field, _) in fields.into_iter().flat_map(Map::iter).filter(|(_, value)| is_number(value)) {
            if is_counter(&format!("{name}:{field}")) {
                let mut pointer = "/fields".to_owned();
                push_token(&mut pointer, field);
                findings.add(
                    &RULE,
                    hash,
                    pointer,
                    format!("if the product counts in the field `{field}`, every apply sets it back"),
                    "leave the field to the product, or write `createOnly: true`, which creates the hash and then leaves it alone",
                );
            }
        }
    }
}

fn is_number(value: &Value) -> bool {
    match value {
        Value::Integer(number) => *number >= 0,
        Value::Text(text) => !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()),
        _ => false,
    }
}

fn name(key: &Desired) -> Option<&str> {
    key.spec.get("key").and_then(Value::as_str)
}

fn is_counter(name: &str) -> bool {
    let segments: Vec<Vec<String>> = name.split([':', '/', '.']).map(words).collect();
    let has = |list: &[&str]| segments.iter().flatten().any(|word| list.contains(&&**word));
    let last = segments.iter().rev().find(|words| !words.is_empty());
    !has(&LIMITS) && last.and_then(|words| words.last()).is_some_and(|word| COUNTED.contains(&&**word))
}

#[cfg(test)]
mod tests {
    use super::is_counter;

    #[test]
    fn counters_are_told_from_limits() {
        for name in ["quota:acme:api_calls", "acme:credits", "usage:acme:requests", "acme:tokens_left"] {
            assert!(is_counter(name), "{name}");
        }
        for name in ["quota:acme:users", "limit:acme:api_calls", "acme:max_requests", "plan:acme", "rate:acme:requests"]
        {
            assert!(!is_counter(name), "{name}");
        }
    }
}

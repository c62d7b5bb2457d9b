//! Row security that the owner of the table passes by.

use crate::types::{policy, script};
use tenantry_core::diagnostics::codes;
use tenantry_core::model::config::Level;
use tenantry_core::model::resource::Desired;
use tenantry_core::model::value::Value;
use tenantry_core::rules::{Findings, OwnerView, Rule};

pub const RULE: Rule = Rule {
    code: codes::POLICY_NOT_FORCED,
    level: Level::Warning,
    cause: "The owner of a table sees every row unless row security is forced. Most products log in as the role that also made the tables.",
    example: "
kind: postgres.rls_policy
spec: {schema: app, table: orders, name: tenant, force: false, using: \"…\"}",
    remedy: "Remove `force: false`. Where the product logs in as another role than the owner, switch the rule off.",
};

pub fn check(policy: &Desired, findings: &mut Findings<'_>) {
    let is = |field: &str| policy.spec.get(field).and_then(Value::as_bool);
    if is("force") == Some(false) && is("enable") != Some(false) {
        findings.add(
            &RULE,
            policy,
            "/force",
            "the policy does not apply to the owner of the table, who sees and changes the rows of every tenant",
            "remove `force: false`, or log in as another role than the owner of the table",
        );
    }
}

/// The same of scripts.
pub fn check_scripts(view: &OwnerView<'_>, findings: &mut Findings<'_>) {
    if !findings.is_on(&RULE) {
        return;
    }
    for script in view.of(script::NAME) {
        let sql = script.spec.get("sql").and_then(Value::as_str).unwrap_or_default();
        let words = sql.split_whitespace().collect::<Vec<_>>().join(" ").to_ascii_lowercase();
        if !words.contains("enable row level security") || words.contains("force row level security") {
            continue;
        }
        // A policy of the estate on the table forces it.
        let is_forced = view.known(policy::NAME, &script.target).any(|policy| {
            let table = policy.spec.get("table").and_then(Value::as_str);
            policy.spec.get("force").and_then(Value::as_bool) != Some(false)
                && table.is_some_and(|table| words.contains(&table.to_ascii_lowercase()))
        });
        if !is_forced {
            findings.add(
                &RULE,
                script,
                "/sql",
                "the script enables row security and does not force it, so the owner of the table sees the rows of every tenant",
                "add `ALTER TABLE … FORCE ROW LEVEL SECURITY`, or log in as another role than the owner of the table",
            );
        }
    }
}

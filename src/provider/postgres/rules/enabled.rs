//! A policy on a table without row security.

use tenantry_core::diagnostics::codes;
use tenantry_core::model::config::Level;
use tenantry_core::model::resource::Desired;
use tenantry_core::model::value::Value;
use tenantry_core::rules::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: codes::POLICY_NOT_ENABLED,
    level: Level::Warning,
    cause: "PostgreSQL stores policies of a table without row security and does not apply them: everybody sees the rows of every tenant.",
    example: "
kind: postgres.rls_policy
spec: {schema: app, table: orders, name: tenant, enable: false, using: \"…\"}",
    remedy: "Remove `enable: false`.",
};

pub fn check(policy: &Desired, findings: &mut Findings<'_>) {
    if policy.spec.get("enable").and_then(Value::as_bool) == Some(false) {
        let message = "the policy has no effect, because row security is not enabled on the table";
        findings.add(&RULE, policy, "/enable", message, "remove `enable: false`");
    }
}

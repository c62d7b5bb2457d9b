//! A policy that allows every row.

use tenantry_core::diagnostics::codes;
use tenantry_core::model::config::Level;
use tenantry_core::model::resource::Desired;
use tenantry_core::model::value::Value;
use tenantry_core::rules::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: codes::POLICY_WITHOUT_CONDITION,
    level: Level::Warning,
    cause: "Permissive policies are joined with OR. One that is always true opens the table to the roles that it is for, whatever the others say; as `withCheck` it lets a tenant write rows of another tenant.",
    example: "
kind: postgres.rls_policy
spec: {schema: app, table: orders, name: tenant, using: \"tenant_id = …\", withCheck: \"true\"}",
    remedy: "Compare with the tenant. Without `withCheck`, new rows are held against `using`. A policy for administrators names them in `roles`.",
};

pub fn check(policy: &Desired, findings: &mut Findings<'_>) {
    let spec = &policy.spec;
    let is_public = spec.get("roles").and_then(Value::as_list).is_some_and(|roles| roles.contains(&"public".into()));
    // A restrictive policy only takes away, and a policy for some roles may be meant for administrators.
    if spec.get("permissive").and_then(Value::as_bool) == Some(false) || !is_public {
        return;
    }
    for (field, what) in [("using", "reads, changes and deletes"), ("withCheck", "writes")] {
        let condition = spec.get(field).and_then(Value::as_str).unwrap_or_default();
        if is_always_true(condition) {
            let message = format!("`{field}` is always true, so every role {what} the rows of every tenant");
            findings.add(&RULE, policy, format!("/{field}"), message, "compare a column with the tenant");
        }
    }
}

fn is_always_true(condition: &str) -> bool {
    let plain = condition.trim().trim_matches(['(', ')']).replace(' ', "").to_lowercase();
    matches!(plain.as_str(), "true" | "1=1" | "true=true" | "'t'")
}

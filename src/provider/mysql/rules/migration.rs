//! Privileges that migrations need.

use tenantry_core::diagnostics::codes;
use tenantry_core::model::config::Level;
use tenantry_core::model::resource::Desired;
use tenantry_core::model::value::Value;
use tenantry_core::rules::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: codes::PRIVILEGES_OF_MIGRATION,
    level: Level::Warning,
    cause: "Who may create and alter tables runs migrations. Without DROP they cannot remove a table or take a step back, and without REFERENCES they cannot add a foreign key: the first that tries fails halfway, for MySQL commits each statement.",
    example: "
kind: mysql.grant
spec: {user: app, on: database, database: shop, privileges: [SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX]}",
    remedy: "Add DROP and REFERENCES, or leave out CREATE and ALTER if the user runs no migrations.",
};

pub fn check(grant: &Desired, findings: &mut Findings<'_>) {
    let privileges = grant.spec.get("privileges").and_then(Value::as_list).unwrap_or_default();
    let has = |privilege: &str| privileges.contains(&privilege.into());
    if grant.spec.get("on").and_then(Value::as_str) != Some("database") || !has("CREATE") || !has("ALTER") || has("ALL")
    {
        return;
    }
    let missing: Vec<&str> = ["DROP", "REFERENCES"].into_iter().filter(|privilege| !has(privilege)).collect();
    if !missing.is_empty() {
        let message = format!(
            "the user may create and alter tables, but has no {}, which migrations need",
            missing.join(" and no ")
        );
        let help =
            format!("add {}, or leave out CREATE and ALTER if the user runs no migrations", missing.join(" and "));
        findings.add(&RULE, grant, "/privileges", message, help);
    }
}

//! A principal of any account.

use super::statement::Statement;
use tenantry_core::diagnostics::codes;
use tenantry_core::model::config::Level;
use tenantry_core::model::resource::Desired;
use tenantry_core::model::value::Value;
use tenantry_core::rules::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: codes::ANY_ACCOUNT,
    level: Level::Warning,
    cause: "A star in place of the account is not a pattern: AWS refuses such a principal, and servers that take it let in a user of this name of any account.",
    example: "
Principal: {AWS: [\"arn:aws:iam::*:user/acme-app\"]}",
    remedy: "Write the number of the account; or `${resources.USER.arn}` of an `s3.user`.",
};

pub fn check(desired: &Desired, statement: &Statement<'_>, findings: &mut Findings<'_>) {
    for who in ["Principal", "NotPrincipal"] {
        let names =
            statement.value.get(who).and_then(|who| who.get("AWS")).and_then(Value::as_list).unwrap_or_default();
        for (index, name) in names.iter().enumerate() {
            let Some(name) = name.as_str().filter(|name| is_of_any_account(name)) else { continue };
            let message = format!("`{name}` names an account by a star");
            let help = "write the number of the account, or ${resources.USER.arn} of an s3.user";
            findings.add(&RULE, desired, format!("{}/{who}/AWS/{index}", statement.pointer), message, help);
        }
    }
}

fn is_of_any_account(arn: &str) -> bool {
    let mut parts = arn.splitn(6, ':');
    parts.next() == Some("arn") && parts.nth(3).is_some_and(|account| account.contains(['*', '?']))
}

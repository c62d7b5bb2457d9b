//! A name of a user that only MariaDB takes.

use tenantry_core::diagnostics::codes;
use tenantry_core::model::config::Level;
use tenantry_core::model::resource::Desired;
use tenantry_core::model::value::Value;
use tenantry_core::rules::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: codes::USER_NAME_TOO_LONG_FOR_MYSQL,
    level: Level::Warning,
    cause: "MySQL refuses names of users of more than 32 characters when the tenant is applied; MariaDB takes 80. Names made of a tenant's name are short for some tenants and too long for others.",
    example: "
kind: mysql.user
spec: {name: \"${ident(tenant.name)}_products_user\", …}   # 36 characters for one tenant",
    remedy: "Shorten it with a hash: `${ident(tenant.name, 20)}_products`. On MariaDB switch the rule off.",
};

/// `USERNAME_CHAR_LENGTH` of MySQL (<https://dev.mysql.com/doc/refman/8.4/en/user-names.html>).
const LONGEST: usize = 32;

pub fn check(user: &Desired, findings: &mut Findings<'_>) {
    let Some(name) = user.spec.get("name").and_then(Value::as_str) else { return };
    let characters = name.chars().count();
    if characters > LONGEST {
        let message = format!("the name `{name}` has {characters} characters, but MySQL takes {LONGEST} (MariaDB 80)");
        let help = "shorten it with a hash, such as ${ident(tenant.name, 20)}; on MariaDB switch the rule off";
        findings.add(&RULE, user, "/name", message, help);
    }
}

//! A name of a user that the server does not take, or only MariaDB.

use tenantry_core::diagnostics::codes;
use tenantry_core::model::config::Level;
use tenantry_core::model::resource::Desired;
use tenantry_core::model::value::Value;
use tenantry_core::rules::{Findings, OwnerView, Rule};

pub const RULE: Rule = Rule {
    code: codes::USER_NAME_TOO_LONG_FOR_MYSQL,
    level: Level::Warning,
    cause: "MySQL refuses names of users of more than 32 characters when the tenant is applied; MariaDB takes 80. Names made of a tenant's name are short for some tenants and too long for others.",
    example: "
kind: mysql.user
spec: {name: \"${ident(tenant.name)}_products_user\", …}   # 36 characters for one tenant",
    remedy: "Shorten it with a hash: `${ident(tenant.name, 20)}_products`. Where the target says which server it is (`server = \"mariadb\"`), TY0657 checks its own limit instead.",
};

pub const OF_SERVER: Rule = Rule {
    code: codes::USER_NAME_TOO_LONG_FOR_SERVER,
    level: Level::Error,
    cause: "A target may say which server it is. MySQL takes names of users of 32 characters and MariaDB of 80: a longer one is refused when the tenant is applied.",
    example: "
[targets.mysql]            # in tenantry.toml
provider = \"mysql\"
server = \"mysql\"

kind: mysql.user           # in a blueprint
spec: {name: \"${ident(tenant.name)}_products_user\", …}",
    remedy: "Shorten it with a hash: `${ident(tenant.name, 20)}_products`.",
};

/// `USERNAME_CHAR_LENGTH` of MySQL (<https://dev.mysql.com/doc/refman/8.4/en/user-names.html>).
const LONGEST: usize = 32;

/// `USERNAME_CHAR_LENGTH` of MariaDB (<https://mariadb.com/kb/en/identifier-names/>).
const LONGEST_OF_MARIADB: usize = 80;

pub fn check(view: &OwnerView<'_>, user: &Desired, findings: &mut Findings<'_>) {
    let Some(name) = user.spec.get("name").and_then(Value::as_str) else { return };
    let characters = name.chars().count();
    let limit = match view.setting(&user.target, "server") {
        Some("mysql") => Some(("MySQL", LONGEST)),
        Some("mariadb") => Some(("MariaDB", LONGEST_OF_MARIADB)),
        _ => None,
    };
    if let Some((server, longest)) = limit {
        if characters > longest {
            let message = format!("the name `{name}` has {characters} characters, but {server} takes {longest}");
            let help = "shorten it with a hash, such as ${ident(tenant.name, 20)}";
            findings.add(&OF_SERVER, user, "/name", message, help);
        }
    } else if characters > LONGEST {
        let message = format!("the name `{name}` has {characters} characters, but MySQL takes {LONGEST} (MariaDB 80)");
        let help = "shorten it with a hash, such as ${ident(tenant.name, 20)}; on MariaDB write `server = \"mariadb\"` into the target's table";
        findings.add(&RULE, user, "/name", message, help);
    }
}

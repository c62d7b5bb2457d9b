//! A setting that has to exist.

use tenantry_core::diagnostics::codes;
use tenantry_core::model::config::Level;
use tenantry_core::model::resource::Desired;
use tenantry_core::model::value::Value;
use tenantry_core::rules::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: codes::SETTING_MUST_EXIST,
    level: Level::Warning,
    cause: "`current_setting('app.tenant')` is an error while nobody has set it in the session: every query of a migration, a report or a new connection fails. An empty setting that is cast to a UUID or a number is an error too.",
    example: "
kind: postgres.rls_policy
spec: {using: \"tenant_id = current_setting('app.tenant')::uuid\", …}",
    remedy: "Write `current_setting('app.tenant', true)`, which yields NULL and so no row, and `nullif(current_setting('app.tenant', true), '')::uuid` with a cast.",
};

/// Of a policy, or of a script that makes one.
pub fn check(policy: &Desired, findings: &mut Findings<'_>) {
    for field in ["using", "withCheck", "sql"] {
        let Some(condition) = policy.spec.get(field).and_then(Value::as_str) else { continue };
        if field == "sql" && !condition.to_ascii_lowercase().contains("create policy") {
            continue;
        }
        if let Some(name) = setting_without_default(condition) {
            let message = format!("`current_setting('{name}')` is an error while the setting is unset");
            let help = format!("write `current_setting('{name}', true)`, which yields NULL and so no row");
            findings.add(&RULE, policy, format!("/{field}"), message, help);
        }
    }
}

/// The first setting with a dot, which is one of the product, that is read without `missing_ok`.
fn setting_without_default(condition: &str) -> Option<&str> {
    const CALL: &str = "current_setting";
    let lower = condition.to_ascii_lowercase();
    for (at, _) in lower.match_indices(CALL) {
        let rest = condition[at + CALL.len()..].trim_start();
        let Some(argument) = rest.strip_prefix('(').map(str::trim_start).and_then(|rest| rest.strip_prefix('\''))
        else {
            continue;
        };
        let Some((name, after)) = argument.split_once('\'') else { continue };
        let after = after.trim_start().trim_start_matches("::text").trim_start();
        if name.contains('.') && after.starts_with(')') {
            return Some(name);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::setting_without_default;

    #[test]
    fn a_second_argument_makes_the_setting_optional() {
        for (condition, expected) in [
            ("tenant_id = current_setting('app.tenant')::uuid", Some("app.tenant")),
            ("tenant_id = CURRENT_SETTING ( 'app.tenant' )", Some("app.tenant")),
            ("tenant_id = current_setting('app.tenant', true)::uuid", None),
            ("a = current_setting('app.a', true) AND b = current_setting('app.b')", Some("app.b")),
            ("current_setting('timezone') = 'UTC'", None),
        ] {
            assert_eq!(setting_without_default(condition), expected, "{condition}");
        }
    }
}

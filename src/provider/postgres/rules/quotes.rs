//! A name that needs quotation marks, used without them.

use std::collections::BTreeSet;

use crate::types::{policy, schema, script};
use tenantry_core::diagnostics::codes;
use tenantry_core::model::config::Level;
use tenantry_core::model::value::Value;
use tenantry_core::rules::{Findings, OwnerView, Rule};

pub const RULE: Rule = Rule {
    code: codes::NAME_NEEDS_QUOTES,
    level: Level::Warning,
    cause: "SQL reads `tenant_acme-corp.orders` as `tenant_acme` minus `corp.orders`. The statement fails, or uses another schema.",
    example: "
- {id: schema, kind: postgres.schema, spec: {name: \"tenant_${tenant.name}\"}}        # tenant_acme-corp
- {id: tables, kind: postgres.script, spec: {sql: \"CREATE TABLE tenant_acme-corp.orders (id int)\", …}}",
    remedy: "Name the schema with `ident(tenant.name)`, which has no hyphens, or write `${sqlIdent(…)}` in SQL, which quotes what needs it.",
};

pub fn check(view: &OwnerView<'_>, findings: &mut Findings<'_>) {
    // Names of this owner's schemas, and those in which its policies and scripts are.
    let mut names: BTreeSet<&str> = BTreeSet::new();
    for (kind, field) in [(schema::NAME, "name"), (policy::NAME, "schema"), (script::NAME, "schema")] {
        names.extend(view.of(kind).filter_map(|desired| desired.spec.get(field).and_then(Value::as_str)));
    }
    names.retain(|name| name.contains('-'));
    if names.is_empty() {
        return;
    }
    for script in view.of(script::NAME) {
        for field in ["sql", "check"] {
            let Some(sql) = script.spec.get(field).and_then(Value::as_str) else { continue };
            if let Some(name) = names.iter().find(|name| is_used_bare(sql, name)) {
                let message = format!("`{name}` has a hyphen and needs quotation marks in SQL");
                let help = "write it as ${sqlIdent(…)}, or name the schema with `ident(…)`, which makes underscores of hyphens";
                findings.add(&RULE, script, format!("/{field}"), message, help);
            }
        }
    }
}

/// Whether SQL has a name outside of quotation marks and comments.
fn is_used_bare(sql: &str, name: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    let without = without_quoted(sql).to_lowercase();
    without.match_indices(&name.to_lowercase()).any(|(at, found)| {
        let before = without[..at].chars().next_back();
        let after = without[at + found.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

/// SQL with a space in place of each string, quoted name and comment. Dollar quotes stay: what is in them is SQL again.
fn without_quoted(sql: &str) -> String {
    let mut plain = String::with_capacity(sql.len());
    let mut rest = sql;
    while let Some(character) = rest.chars().next() {
        let after = &rest[character.len_utf8()..];
        rest = match character {
            '\'' | '"' => {
                plain.push(' ');
                after.find(character).map_or("", |end| &after[end + 1..])
            }
            '-' if after.starts_with('-') => after.find('\n').map_or("", |end| &after[end..]),
            '/' if after.starts_with('*') => after.find("*/").map_or("", |end| &after[end + 2..]),
            other => {
                plain.push(other);
                after
            }
        };
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::is_used_bare;

    #[test]
    fn only_a_bare_name_counts() {
        for (sql, bare) in [
            ("CREATE TABLE tenant_a-b.orders (id int)", true),
            ("CREATE TABLE \"tenant_a-b\".orders (id int)", false),
            ("SELECT 'tenant_a-b'", false),
            ("-- tenant_a-b\nSELECT 1", false),
            ("SELECT 1 /* tenant_a-b */", false),
            ("DROP SCHEMA Tenant_A-B", true),
            ("SELECT * FROM tenant_a-bc.t", false),
        ] {
            assert_eq!(is_used_bare(sql, "tenant_a-b"), bare, "{sql}");
        }
    }
}

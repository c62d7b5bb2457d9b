//! Grants.

use std::collections::BTreeSet;

use super::transaction::Transaction;
use super::{OfStep, StepFailure};
use crate::error::{Failed as _, Failure};
use crate::quote::{quote_identifier, quote_qualified};
use crate::read::grant::is_held;
use crate::read::held;
use crate::types::grant::{Class, Extent, GrantSpec};
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::parse;
use tenantry_provider::contract::{Step, StepAction};

pub async fn write(transaction: &mut Transaction<'_>, index: usize, step: &Step) -> Result<(), StepFailure> {
    let spec: GrantSpec = parse(step.spec()).of_step(index)?;
    // A function has to be found first, and what is already gone cannot be taken away.
    let is_function = spec.on.class() == Class::Function && spec.on.extent() == Extent::One;
    if is_function || step.is_delete() {
        transaction.flush().await?;
    }
    if step.is_delete() && !is_held(&mut *transaction.connection, &spec).await.of_step(index)? {
        return Ok(());
    }
    let mut function = None;
    if is_function {
        function = Some(resolve_function(transaction, &spec).await.of_step(index)?);
    }
    for statement in statements(&spec, &step.action, transaction.database, function.as_deref()).of_step(index)? {
        transaction.push(index, statement);
    }
    Ok(())
}

/// A function as the server writes it, quoted.
async fn resolve_function(transaction: &mut Transaction<'_>, spec: &GrantSpec) -> Result<String, Failure> {
    let query = "SELECT pg_catalog.format('%I.%I(%s)', n.nspname, p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid)) \
        FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
        WHERE p.oid = pg_catalog.to_regprocedure($1)";
    let name = spec.name.as_deref().unwrap_or_default();
    let signature = held::signature(spec.schema.as_deref().unwrap_or_default(), name)?;
    let found: Option<String> =
        sqlx::query_scalar(query).bind(&signature).fetch_optional(&mut *transaction.connection).await?;
    found.ok_or_else(|| Failure::invalid(format!("there is no function {signature}")))
}

fn statements(
    spec: &GrantSpec,
    action: &StepAction,
    database: &str,
    function: Option<&str>,
) -> Result<Vec<String>, Failure> {
    let wanted = privileges(spec.privileges.iter().map(String::as_str));
    if wanted.is_empty() {
        return Err(Failure::invalid("it names no privilege"));
    }
    let target = Target::of(spec, database, function)?;
    Ok(match action {
        StepAction::Create { .. } => vec![target.grant(&wanted, spec.with_grant_option)],
        StepAction::Update { before, .. } => {
            let held = held(&before.spec);
            let surplus: BTreeSet<&str> = held.difference(&wanted).copied().collect();
            let mut statements = Vec::new();
            if !surplus.is_empty() {
                statements.push(target.revoke(&surplus, false));
            }
            if !spec.with_grant_option && before.spec.get("withGrantOption") == Some(&Value::Bool(true)) {
                statements.push(target.revoke(&wanted, true));
            }
            statements.push(target.grant(&wanted, spec.with_grant_option));
            statements
        }
        StepAction::Delete { before } => match held(&before.spec) {
            held if held.is_empty() => Vec::new(),
            held => vec![target.revoke(&held, false)],
        },
    })
}

fn held(spec: &Map) -> BTreeSet<&str> {
    let items = spec.get("privileges").and_then(Value::as_list).unwrap_or_default();
    privileges(items.iter().filter_map(Value::as_str))
}

/// Privileges go into statements as they are: nothing but a keyword passes.
fn privileges<'a>(names: impl Iterator<Item = &'a str>) -> BTreeSet<&'a str> {
    names.filter(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase())).collect()
}

/// What stands around the privileges.
struct Target {
    /// `ALTER DEFAULT PRIVILEGES …`, or nothing.
    before: String,
    object: String,
    role: String,
}

impl Target {
    /// `database` is the one of the connection.
    fn of(spec: &GrantSpec, database: &str, function: Option<&str>) -> Result<Self, Failure> {
        let role = if spec.role == "public" { "PUBLIC".to_owned() } else { quote_identifier(&spec.role)? };
        let schema = spec.schema.as_deref();
        let class = spec.on.class();
        let plural = format!("{}S", class.sql());
        let mut before = String::new();
        let object = match spec.on.extent() {
            Extent::Default => {
                before.push_str("ALTER DEFAULT PRIVILEGES ");
                if let Some(grantor) = &spec.grantor {
                    before.push_str(&format!("FOR ROLE {} ", quote_identifier(grantor)?));
                }
                if let Some(schema) = schema {
                    before.push_str(&format!("IN SCHEMA {} ", quote_identifier(schema)?));
                }
                plural
            }
            Extent::All => format!("ALL {plural} IN SCHEMA {}", quote_identifier(schema.unwrap_or_default())?),
            Extent::One => {
                let name = match (class, function) {
                    (Class::Function, Some(function)) => function.to_owned(),
                    (Class::Schema, _) => quote_identifier(schema.unwrap_or_default())?,
                    (Class::Database, _) => quote_identifier(database)?,
                    _ => quote_qualified(schema.unwrap_or_default(), spec.name.as_deref().unwrap_or_default())?,
                };
                format!("{} {name}", class.sql())
            }
        };
        Ok(Self { before, object, role })
    }

    fn grant(&self, privileges: &BTreeSet<&str>, with_grant_option: bool) -> String {
        let Self { before, object, role } = self;
        let option = if with_grant_option { " WITH GRANT OPTION" } else { "" };
        format!("{before}GRANT {} ON {object} TO {role}{option}", list(privileges))
    }

    fn revoke(&self, privileges: &BTreeSet<&str>, option_only: bool) -> String {
        let Self { before, object, role } = self;
        let option = if option_only { "GRANT OPTION FOR " } else { "" };
        format!("{before}REVOKE {option}{} ON {object} FROM {role} CASCADE", list(privileges))
    }
}

fn list(privileges: &BTreeSet<&str>) -> String {
    privileges.iter().copied().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenantry_core::model::resource::Present;

    fn map(json: serde_json::Value) -> Map {
        match Value::from(json) {
            Value::Map(map) => Map::clone(&map),
            _ => Map::default(),
        }
    }

    fn update(before: serde_json::Value, wanted: serde_json::Value) -> Vec<String> {
        let spec: GrantSpec = parse(&map(wanted.clone())).expect("a grant");
        let before = Present { spec: std::sync::Arc::new(map(before)), ..Present::default() };
        let action = StepAction::Update {
            spec: map(wanted),
            before,
            applied: None,
            changed: vec![],
            removed: vec![],
            secrets: vec![],
        };
        statements(&spec, &action, "main", None).expect("statements")
    }

    #[test]
    fn an_update_takes_away_what_is_too_much() {
        let wanted = serde_json::json!({"role": "r\"", "on": "allTables", "schema": "s", "privileges": ["SELECT"]});
        let before = serde_json::json!({"privileges": ["DELETE", "SELECT"], "withGrantOption": true});
        assert_eq!(
            update(before, wanted),
            [
                r#"REVOKE DELETE ON ALL TABLES IN SCHEMA "s" FROM "r""" CASCADE"#,
                r#"REVOKE GRANT OPTION FOR SELECT ON ALL TABLES IN SCHEMA "s" FROM "r""" CASCADE"#,
                r#"GRANT SELECT ON ALL TABLES IN SCHEMA "s" TO "r""""#,
            ]
        );
    }

    #[test]
    fn default_privileges_belong_to_who_makes_the_objects() {
        let wanted = serde_json::json!({"role": "public", "on": "defaultFunctions", "schema": "s", "grantor": "g",
            "privileges": ["EXECUTE"], "withGrantOption": true});
        assert_eq!(
            update(serde_json::json!({"privileges": []}), wanted),
            [
                r#"ALTER DEFAULT PRIVILEGES FOR ROLE "g" IN SCHEMA "s" GRANT EXECUTE ON ROUTINES TO PUBLIC WITH GRANT OPTION"#
            ]
        );
    }

    #[test]
    fn only_keywords_pass_as_privileges() {
        assert!(privileges(["SELECT; DROP", "", "select"].into_iter()).is_empty());
    }
}

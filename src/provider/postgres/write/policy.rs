//! Row security policies.

use std::collections::BTreeMap;

use super::transaction::{EMPTY_PATH, OWN_PATH, Owned, Transaction};
use super::{OfStep, StepFailure};
use crate::error::{Failed as _, Failure};
use crate::mark::Comment;
use crate::quote::{NulCharacter, quote_identifier, quote_literal, quote_qualified};
use crate::read::policy::{CHECK_NOTES, EXPRESSION_DIGITS, USING_NOTES};
use crate::statements::check_expression;
use crate::types::policy::PolicySpec;
use tenantry_kit::parse;
use tenantry_provider::contract::{Step, StepAction};

pub async fn write(transaction: &mut Transaction<'_>, index: usize, step: &Step) -> Result<(), StepFailure> {
    let spec: PolicySpec = parse(step.spec()).of_step(index)?;
    transaction.act_for_owner(index, Owned::Table(&spec.schema, &spec.table)).await?;
    for statement in statements(transaction, step, &spec).of_step(index)? {
        transaction.push(index, statement);
    }
    Ok(())
}

fn statements(transaction: &mut Transaction<'_>, step: &Step, spec: &PolicySpec) -> Result<Vec<String>, Failure> {
    let mut statements = Vec::new();
    let existing = transaction.policies.remove(&(spec.schema.clone(), spec.table.clone(), spec.name.clone()));
    if let Some(state) = &existing {
        step.check_owner(state.comment.mark.as_ref()).map_err(Failure::conflict)?;
    }
    let table = quote_qualified(&spec.schema, &spec.table)?;
    let drop = format!("DROP POLICY {} ON {table}", quote_identifier(&spec.name)?);
    match (&step.action, &existing) {
        // The table keeps row security: without a policy it shows nobody anything.
        (StepAction::Delete { .. }, Some(_)) => return Ok(vec![drop]),
        (StepAction::Delete { .. }, None) => return Ok(statements),
        (StepAction::Update { .. }, None) => return Err(Failure::vanished()),
        _ => {}
    }

    if existing.is_some() {
        // Made anew: ALTER POLICY cannot take a condition away. Nobody sees the moment in between.
        statements.push(drop);
    }
    for (wanted, found, on, off) in [
        (spec.enable, existing.as_ref().map(|state| state.enabled), "ENABLE", "DISABLE"),
        (spec.force, existing.as_ref().map(|state| state.forced), "FORCE", "NO FORCE"),
    ] {
        if found != Some(wanted) {
            statements.push(format!("ALTER TABLE {table} {} ROW LEVEL SECURITY", if wanted { on } else { off }));
        }
    }
    // Names in the conditions are looked up in the table's own schema.
    statements.push(format!("SET LOCAL search_path = {}", quote_identifier(&spec.schema)?));
    statements.push(create(spec, &table)?);
    // As the reader will see them printed.
    statements.push(EMPTY_PATH.to_owned());
    let text = existing.map(|state| state.comment).unwrap_or_default();
    statements.push(comment(spec, step, &text, &table)?);
    statements.push(OWN_PATH.to_owned());
    Ok(statements)
}

fn create(spec: &PolicySpec, table: &str) -> Result<String, Failure> {
    let mut roles = Vec::with_capacity(spec.roles.len());
    for role in &spec.roles {
        roles.push(if role == "public" { "PUBLIC".to_owned() } else { quote_identifier(role)? });
    }
    let sort = if spec.permissive { "PERMISSIVE" } else { "RESTRICTIVE" };
    let mut statement = format!(
        "CREATE POLICY {} ON {table} AS {sort} FOR {} TO {}",
        quote_identifier(&spec.name)?,
        spec.command.sql(),
        roles.join(", ")
    );
    for (word, condition) in [("USING", &spec.using), ("WITH CHECK", &spec.with_check)] {
        if let Some(condition) = condition {
            check_expression(condition).map_err(Failure::invalid)?;
            // The line breaks keep a comment at the end of the condition from swallowing the parenthesis.
            statement.push_str(&format!(" {word} (\n{condition}\n)"));
        }
    }
    Ok(statement)
}

/// A block that writes the comment, with hashes of what the server prints of the conditions. Done on the server, because it
/// is one round trip less for every batch.
fn comment(spec: &PolicySpec, step: &Step, existing: &Comment, table: &str) -> Result<String, NulCharacter> {
    let mut notes = BTreeMap::new();
    for (written, (note, _)) in [(&spec.using, USING_NOTES), (&spec.with_check, CHECK_NOTES)] {
        notes.extend(written.as_ref().map(|written| (note.to_owned(), written.clone())));
    }
    let rendered = existing.marked(&step.mark, notes).render();
    let open = rendered.strip_suffix(']').unwrap_or(&rendered);
    let hash = |note: &str, column: &str| {
        format!(
            "COALESCE(' {note}=' || pg_catalog.left(pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(\
             pg_catalog.pg_get_expr(p.{column}, p.polrelid), 'UTF8')), 'hex'), {EXPRESSION_DIGITS}), '')"
        )
    };
    let comment_on =
        format!("COMMENT ON POLICY {} ON {table} IS ", quote_identifier(&spec.name)?).replace('%', "%%") + "%L";
    let body = format!(
        "BEGIN EXECUTE (SELECT pg_catalog.format({}, {} || {} || {} || ']') FROM pg_catalog.pg_policy p \
         WHERE p.polrelid = {}::pg_catalog.regclass AND p.polname = {}::name); END",
        quote_literal(&comment_on)?,
        quote_literal(open)?,
        hash(USING_NOTES.1, "polqual"),
        hash(CHECK_NOTES.1, "polwithcheck"),
        quote_literal(table)?,
        quote_literal(&spec.name)?,
    );
    Ok(format!("DO {}", quote_literal(&body)?))
}

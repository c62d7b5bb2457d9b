//! Schemas.

use std::collections::BTreeMap;

use super::transaction::Transaction;
use super::{OfStep, StepFailure};
use crate::error::{Failed as _, Failure};
use crate::mark::Comment;
use crate::quote::{quote_identifier, quote_literal};
use crate::read::foreign;
use crate::read::schema::EXCLUSIVE_NOTE;
use crate::types::schema::SchemaSpec;
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::parse;
use tenantry_provider::contract::{Step, StepAction};

pub async fn write(transaction: &mut Transaction<'_>, index: usize, step: &Step) -> Result<(), StepFailure> {
    match &step.action {
        StepAction::Create { spec, .. } => {
            converge(transaction, index, step, &parse(spec).of_step(index)?).of_step(index)
        }
        StepAction::Update { spec, before, .. } => {
            let spec: SchemaSpec = parse(spec).of_step(index)?;
            if !transaction.schemas.contains_key(&spec.name) {
                return Err(Failure::vanished()).of_step(index);
            }
            converge(transaction, index, step, &spec).of_step(index)?;
            if spec.exclusive {
                revoke_foreign(transaction, index, &spec.name, &before.spec).await?;
            }
            Ok(())
        }
        StepAction::Delete { before } => {
            let name = before.spec.get("name").and_then(Value::as_str).unwrap_or_default();
            let Some(state) = transaction.schemas.remove(name) else { return Ok(()) };
            step.check_owner(state.comment.mark.as_ref()).map_err(Failure::conflict).of_step(index)?;
            transaction.push_quietly(index, format!("DROP SCHEMA {} CASCADE", quote_identifier(name).of_step(index)?));
            Ok(())
        }
    }
}

fn converge(transaction: &mut Transaction<'_>, index: usize, step: &Step, spec: &SchemaSpec) -> Result<(), Failure> {
    let existing = transaction.schemas.remove(&spec.name);
    let schema = quote_identifier(&spec.name)?;
    let owner = spec.owner.as_deref().map(quote_identifier).transpose()?;
    let mut comment = Comment::default();
    match existing {
        None => {
            let authorization = owner.map(|owner| format!(" AUTHORIZATION {owner}")).unwrap_or_default();
            transaction.push(index, format!("CREATE SCHEMA {schema}{authorization}"));
        }
        Some(state) => {
            step.check_owner(state.comment.mark.as_ref()).map_err(Failure::conflict)?;
            if let Some(owner) = owner
                && spec.owner.as_ref() != Some(&state.owner)
            {
                transaction.push(index, format!("ALTER SCHEMA {schema} OWNER TO {owner}"));
            }
            comment = state.comment;
        }
    }
    let mut notes = BTreeMap::new();
    if spec.exclusive {
        notes.insert(EXCLUSIVE_NOTE.to_owned(), "true".to_owned());
    }
    let marked = comment.marked(&step.mark, notes);
    if marked != comment {
        transaction.push(index, format!("COMMENT ON SCHEMA {schema} IS {}", quote_literal(&marked.render())?));
    }
    Ok(())
}

/// Takes away exactly the privileges that the plan showed.
async fn revoke_foreign(
    transaction: &mut Transaction<'_>,
    index: usize,
    schema: &str,
    before: &Map,
) -> Result<(), StepFailure> {
    let shown = before.get("foreignGrants").and_then(Value::as_list).unwrap_or_default();
    if shown.is_empty() {
        return Ok(());
    }
    transaction.flush().await?;
    let found = foreign::fetch(&mut *transaction.connection, &[schema.to_owned()]).await.of_step(index)?;
    for foreign in found {
        if shown.contains(&Value::from(foreign.text())) {
            transaction.push(index, foreign.revoke().of_step(index)?);
        }
    }
    Ok(())
}

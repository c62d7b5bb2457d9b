//! Schemas.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::transaction::{Owned, Transaction};
use super::{OfStep, StepFailure};
use crate::error::{Failed as _, Failure};
use crate::mark::Comment;
use crate::quote::{quote_identifier, quote_literal};
use crate::read::beyond;
use crate::read::foreign::{self, Meant};
use crate::read::schema::EXCLUSIVE_NOTE;
use crate::types::schema::SchemaSpec;
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::parse;
use tenantry_provider::contract::{Step, StepAction};

pub async fn write(transaction: &mut Transaction<'_>, index: usize, step: &Step) -> Result<(), StepFailure> {
    match &step.action {
        StepAction::Create { spec, .. } => {
            let spec: SchemaSpec = parse(spec).of_step(index)?;
            act_for_owners(transaction, index, &spec).await?;
            converge(transaction, index, step, &spec).of_step(index)
        }
        StepAction::Update { spec, before, .. } => {
            let spec: SchemaSpec = parse(spec).of_step(index)?;
            if !transaction.schemas.contains_key(&spec.name) {
                return Err(Failure::vanished()).of_step(index);
            }
            act_for_owners(transaction, index, &spec).await?;
            converge(transaction, index, step, &spec).of_step(index)?;
            if spec.exclusive {
                end_foreign(transaction, index, step, &spec.name, &before.spec).await?;
            }
            Ok(())
        }
        StepAction::Delete { before } => {
            let name = before.spec.get("name").and_then(Value::as_str).unwrap_or_default();
            let Some(state) = transaction.schemas.remove(name) else { return Ok(()) };
            step.check_owner(state.comment.mark.as_ref()).map_err(Failure::conflict).of_step(index)?;
            transaction.act_for(index, &state.owner).await?;
            transaction.flush().await?;
            let schema = [name.to_owned()];
            let found = transaction.looking(async |connection| beyond::fetch(connection, &schema).await).await;
            let found = found.of_step(index)?.remove(name).unwrap_or_default();
            refuse_unseen(&found, &before.takes_along).of_step(index)?;
            transaction.push_quietly(index, format!("DROP SCHEMA {} CASCADE", quote_identifier(name).of_step(index)?));
            Ok(())
        }
    }
}

/// Refuses to drop what nobody has seen in the plan.
fn refuse_unseen(found: &BTreeSet<String>, seen: &[Arc<str>]) -> Result<(), Failure> {
    let unseen: Vec<&str> =
        found.iter().map(String::as_str).filter(|text| !seen.iter().any(|seen| **seen == **text)).collect();
    if unseen.is_empty() {
        return Ok(());
    }
    Err(Failure::conflict(format!(
        "it would also drop {}, which the plan does not show; plan again",
        unseen.join(", ")
    )))
}

/// Whoever owns the schema and whoever is to own it: both have to agree.
async fn act_for_owners(transaction: &mut Transaction<'_>, index: usize, spec: &SchemaSpec) -> Result<(), StepFailure> {
    if let Some(owner) = transaction.schemas.get(&spec.name).map(|state| state.owner.clone()) {
        transaction.act_for(index, &owner).await?;
    }
    match &spec.owner {
        Some(owner) => transaction.act_for(index, owner).await,
        None => Ok(()),
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

/// Ends exactly the ways in that the plan showed.
async fn end_foreign(
    transaction: &mut Transaction<'_>,
    index: usize,
    step: &Step,
    schema: &str,
    before: &Map,
) -> Result<(), StepFailure> {
    let shown = before.get("foreignGrants").and_then(Value::as_list).unwrap_or_default();
    if shown.is_empty() {
        return Ok(());
    }
    transaction.flush().await?;
    let (schemas, bookkeeping_schema) = ([schema.to_owned()], transaction.bookkeeping_schema);
    let has_membership_options = transaction.login.has_membership_options();
    let found = transaction.looking(async |connection| {
        foreign::fetch(connection, &schemas, bookkeeping_schema, &step.mark.estate, &Meant::default()).await
    });
    for foreign in found.await.of_step(index)? {
        if !shown.contains(&Value::from(foreign.text())) {
            continue;
        }
        let (roles, in_person) = foreign.acts_as();
        for role in &roles {
            transaction.act_for(index, role).await?;
        }
        if let Some(table) = foreign.table() {
            transaction.act_for_owner(index, Owned::Table(schema, table)).await?;
        }
        let person = roles.first().filter(|_| in_person);
        if let Some(person) = person {
            transaction.push(index, format!("SET LOCAL ROLE {}", quote_identifier(person).of_step(index)?));
        }
        transaction.push_quietly(index, foreign.end(has_membership_options).of_step(index)?);
        if person.is_some() {
            transaction.push(index, "RESET ROLE");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_dropped_that_the_plan_does_not_show() {
        let found = BTreeSet::from(["view crm.a".to_owned(), "table column crm.t.mood".to_owned()]);
        let seen: Vec<Arc<str>> = vec!["view crm.a".into(), "view crm.gone".into()];
        let error = refuse_unseen(&found, &seen).expect_err("one was not seen").to_string();
        assert!(error.contains("table column crm.t.mood") && !error.contains("view crm.a"), "{error}");
        let all: Vec<Arc<str>> = found.iter().map(|text| Arc::from(&**text)).collect();
        assert!(refuse_unseen(&found, &all).is_ok());
    }
}

//! Extensions. Without a mark there is nothing to check: the inventory says whose they are.

use super::transaction::{OWN_PATH, Owned, Transaction};
use super::{OfStep, StepFailure};
use crate::error::{Failed as _, Failure};
use crate::quote::{quote_identifier, quote_literal};
use crate::read::extension::{self, ExtensionState};
use crate::types::extension::ExtensionSpec;
use tenantry_kit::parse;
use tenantry_provider::contract::{Step, StepAction};

pub async fn write(transaction: &mut Transaction<'_>, index: usize, step: &Step) -> Result<(), StepFailure> {
    match &step.action {
        StepAction::Create { spec, .. } | StepAction::Update { spec, .. } => {
            let spec: ExtensionSpec = parse(spec).of_step(index)?;
            transaction.flush().await?;
            let found = extension::fetch(&mut *transaction.connection, std::slice::from_ref(&spec.name))
                .await
                .of_step(index)?;
            if found.is_empty() && matches!(step.action, StepAction::Update { .. }) {
                return Err(Failure::vanished()).of_step(index);
            }
            if let Some(schema) = &spec.schema {
                transaction.act_for_owner(index, Owned::Schema(schema)).await?;
            }
            transaction.act_for_owner(index, Owned::Extension(&spec.name)).await?;
            for statement in statements(&spec, found.first()).of_step(index)? {
                transaction.push(index, statement);
            }
        }
        StepAction::Delete { before } => {
            let spec: ExtensionSpec = parse(&before.spec).of_step(index)?;
            // Without CASCADE: what uses the extension keeps it, and the server names it.
            transaction.act_for_owner(index, Owned::Extension(&spec.name)).await?;
            let name = quote_identifier(&spec.name).of_step(index)?;
            transaction.push_quietly(index, format!("DROP EXTENSION IF EXISTS {name} RESTRICT"));
        }
    }
    Ok(())
}

fn statements(spec: &ExtensionSpec, found: Option<&ExtensionState>) -> Result<Vec<String>, Failure> {
    let name = quote_identifier(&spec.name)?;
    let schema = spec.schema.as_deref().map(quote_identifier).transpose()?;
    let version = spec.version.as_deref().map(quote_literal).transpose()?;
    let Some(found) = found else {
        let version = version.map(|version| format!(" VERSION {version}")).unwrap_or_default();
        return Ok(match schema {
            Some(schema) => vec![format!("CREATE EXTENSION {name} SCHEMA {schema}{version}")],
            // Its own choice, or the first of the search path.
            None => vec![
                "SET LOCAL search_path = public".to_owned(),
                format!("CREATE EXTENSION {name}{version}"),
                OWN_PATH.to_owned(),
            ],
        });
    };
    let mut statements = Vec::new();
    if let Some(version) = version
        && spec.version.as_ref() != Some(&found.version)
    {
        statements.push(format!("ALTER EXTENSION {name} UPDATE TO {version}"));
    }
    if let Some(schema) = schema
        && spec.schema.as_ref() != Some(&found.schema)
    {
        statements.push(format!("ALTER EXTENSION {name} SET SCHEMA {schema}"));
    }
    Ok(statements)
}

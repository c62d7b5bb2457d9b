//! Databases.

use super::{Session, execute, execute_heard, text};
use crate::connection::{Flavour, Open, Server};
use crate::error::{Failed as _, Failure};
use crate::mark::{self, Label};
use crate::quote::{quote_identifier, quote_literal};
use crate::read::fetch_database;
use crate::types::database::DatabaseSpec;
use crate::types::is_system_database;
use tenantry_kit::parse;
use tenantry_provider::contract::{Step, StepAction};

pub async fn write(session: &mut Session, bookkeeping: &str, step: &Step) -> Result<(), Failure> {
    let spec = step.spec();
    let name = text(spec, "name");
    if is_system_database(name) || name == bookkeeping {
        return Err(Failure::invalid("this database does not belong to this estate"));
    }
    let Open { connection, server: Server { flavour, .. }, .. } = &mut **session;
    let existing = fetch_database(connection, *flavour, bookkeeping, Some(name)).await?.remove(name);
    if let Some(state) = &existing {
        step.check_owner(state.label.as_ref().map(|label| &label.mark)).map_err(Failure::conflict)?;
    }
    let database = quote_identifier(name)?;
    let in_table = *flavour == Flavour::MySql;
    let spec: DatabaseSpec = match &step.action {
        StepAction::Delete { .. } => {
            // What is not there now may be somebody else's in a moment.
            if existing.is_some() {
                execute(connection, format!("DROP DATABASE IF EXISTS {database}")).await?;
            }
            return match in_table {
                true => mark::remove(connection, bookkeeping, "database", (name, ""), &step.mark).await,
                false => Ok(()),
            };
        }
        StepAction::Update { .. } if existing.is_none() => return Err(Failure::vanished()),
        StepAction::Create { spec, .. } | StepAction::Update { spec, .. } => parse(spec)?,
    };
    // Words of their own, checked to be such.
    let mut options = format!("CHARACTER SET {}", quote_literal(&spec.charset)?);
    if let Some(collation) = &spec.collation {
        options.push_str(&format!(" COLLATE {}", quote_literal(collation)?));
    }
    let label = Label { mark: step.mark.clone(), password: None };
    if in_table {
        mark::store(connection, bookkeeping, "database", (name, ""), &label).await?;
    } else {
        let written = existing.as_ref().map_or("", |state| state.text.as_str());
        options.push_str(&format!(" COMMENT {}", quote_literal(&label.comment(written))?));
    }
    let verb = if existing.is_some() { "ALTER" } else { "CREATE" };
    let made = execute_heard(connection, format!("{verb} DATABASE {database} {options}")).await;
    if in_table && existing.is_none() && made.as_ref().is_err_and(|failure| failure.number().is_some()) {
        // Somebody else made it in this moment, or nobody did: either way it is not ours.
        mark::remove(connection, bookkeeping, "database", (name, ""), &step.mark).await?;
    }
    made
}

//! `tenantry drift`: what was changed outside.

use super::arguments::{Global, Selection};
use super::error::{Exit, Failure};
use super::output::Output;
use super::plan;
use super::session::Session;
use tenantry_store::OpenMode;

pub async fn run(global: &Global, selection: &Selection, output: &Output) -> Result<Exit, Failure> {
    let session = Session::open(global, OpenMode::ReadOnly, output)?;
    session.tell_simulated(output);
    let store = session.store().await?;
    let secrets = session.secrets()?;
    let mut found = plan::make(&session, &*store, &*secrets, selection, output).await?;
    // What is merely pending is the business of `plan`.
    found.changes.retain(|change| change.cause.is_drift());
    found.transitions.clear();
    plan::show(&found, &session.catalogue, output)?;
    Ok(match plan::exit(&found) {
        Exit::Done if !found.changes.is_empty() => Exit::Changes,
        exit => exit,
    })
}

//! `tenantry edit`: fields of a tenant, in its document.

use serde_json::json;

use super::arguments::{self, Global};
use super::change::{self, Done, Edits, Place};
use super::error::{Exit, Failure};
use super::output::Output;

pub fn run(global: &Global, command: &arguments::Edit, output: &Output) -> Result<Exit, Failure> {
    let changes = change::changes(&command.fields)?;
    let place = Place::of(global, &command.into)?;
    let session = place.open(output)?;
    let tenant = change::tenant(&session.estate, &command.tenant)?;
    let (file, start) = change::start(tenant);
    let mut edits = Edits::default();
    edits.edit(&session.estate, file, start, &changes)?;
    let name = tenant.metadata.name.as_str();
    if edits.is_empty() {
        output.note(&format!("{name} has everything already; nothing was written."));
        return Done { place: &place, edits: &edits, tenant: Some(name), commit: None, more: json!({}) }.show(output);
    }
    place.check(&edits, output)?;
    let commit = place.write(&edits, &format!("Edit {name}: {}\n", change::names(&changes)), &session)?;
    Done { place: &place, edits: &edits, tenant: Some(name), commit, more: json!({}) }.show(output)
}

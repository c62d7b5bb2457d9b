//! `tenantry schema`: forms of documents, of the configuration, and of every kind of resource.

use super::arguments;
use super::error::{Exit, Failure};
use super::output::Output;
use super::session::target_forms;
use tenantry_source::schemas::schemas;

pub fn run(command: &arguments::Schema, output: &Output) -> Result<Exit, Failure> {
    let providers = tenantry_registry::providers();
    let catalogue = tenantry_registry::catalogue(&providers);
    // `tenant.v1.schema.json` is called `tenant`.
    let documents: Vec<(String, serde_json::Value)> = schemas(&target_forms(&providers))
        .into_iter()
        .map(|(file, schema)| (file.split('.').next().unwrap_or(file).to_owned(), schema))
        .collect();
    let Some(subject) = &command.subject else {
        output.data(|out| {
            for (name, schema) in &documents {
                let title = schema.get("title").and_then(|title| title.as_str()).unwrap_or_default();
                writeln!(out, "{name:<24} {title}")?;
            }
            for kind in catalogue.iter() {
                writeln!(out, "{:<24} {}", kind.name, kind.summary)?;
            }
            Ok(())
        })?;
        return Ok(Exit::Done);
    };
    let wanted = subject.trim_end_matches(".toml").to_lowercase();
    if let Some((_, schema)) = documents.iter().find(|(name, _)| *name == wanted) {
        output.json(schema)?;
        return Ok(Exit::Done);
    }
    if let Some(kind) = catalogue.get(&wanted) {
        output.json(&kind.schema)?;
        return Ok(Exit::Done);
    }
    let known = documents.iter().map(|(name, _)| name.as_str()).chain(catalogue.iter().map(|kind| kind.name));
    let message = format!("there is no schema `{subject}`");
    Err(Failure::unknown(message, &wanted, known, "`tenantry schema` lists them"))
}

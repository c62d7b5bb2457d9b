//! Settings of targets, with their `env:` and `file:` references looked up.

use std::collections::BTreeMap;
use std::path::Path;

use secrecy::SecretString;

use super::EngineError;
use tenantry_core::model::config::TargetTable;
use tenantry_provider::contract::Settings;

/// Concurrent connections or requests to one target, unless its table sets them.
const DEFAULT_CONCURRENCY: usize = 8;

/// The process environment, as a function that tests can replace.
pub type Variables<'a> = &'a (dyn Fn(&str) -> Option<String> + Sync);

/// The value that a setting refers to: `env:NAME`, `file:PATH` (relative to the estate), or `None` if it is neither.
///
/// # Errors
/// If the variable is not set or the file cannot be read.
pub fn lookup(text: &str, estate: &Path, variables: Variables<'_>) -> Result<Option<SecretString>, String> {
    if let Some(name) = text.strip_prefix("env:") {
        return match variables(name) {
            Some(value) if !value.is_empty() => Ok(Some(value.into())),
            _ => Err(format!("the environment variable {name} is not set")),
        };
    }
    if let Some(path) = text.strip_prefix("file:") {
        let path = estate.join(path);
        let value =
            std::fs::read_to_string(&path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
        return Ok(Some(value.trim_end_matches(['\r', '\n']).into()));
    }
    Ok(None)
}

/// The resolved settings of a target.
///
/// # Errors
/// If a reference cannot be resolved.
pub fn resolve(
    target: &str,
    table: &TargetTable,
    estate_name: &str,
    estate: &Path,
    variables: Variables<'_>,
) -> Result<Settings, EngineError> {
    let mut values = serde_json::Map::new();
    let mut secrets = BTreeMap::new();
    for (name, value) in &table.settings {
        let looked_up = match value.as_str() {
            Some(text) => lookup(text, estate, variables).map_err(|cause| EngineError::Setting {
                place: format!("target `{target}`"),
                setting: name.clone(),
                cause,
            })?,
            None => None,
        };
        match looked_up {
            Some(secret) => {
                secrets.insert(name.clone(), secret);
            }
            None => {
                values.insert(name.clone(), value.clone());
            }
        }
    }
    Ok(Settings {
        target: target.into(),
        estate: estate_name.into(),
        values,
        secrets,
        concurrency: table.concurrency.unwrap_or(DEFAULT_CONCURRENCY),
        timeouts: table.timeouts.into(),
        folder: estate.to_owned(),
    })
}

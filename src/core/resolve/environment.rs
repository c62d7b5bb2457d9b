//! The effective `tenantry.toml` of one environment.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::diagnostics::{Diagnostic, codes};
use crate::model::config::{
    DriftTable, EstateConfig, LimitsTable, OffboardingTable, SecretsTable, StoreTable, TargetTable, WaveTable,
};
use crate::model::document::Positions;
use crate::model::mark;
use crate::model::names::Name;
use crate::model::resource::TargetName;

use super::suggest;

/// The effective configuration.
#[derive(Clone, Debug)]
pub struct Environment {
    /// `None` if no environment was chosen.
    pub name: Option<Arc<str>>,
    pub estate: Arc<str>,
    pub store: StoreTable,
    pub secrets: SecretsTable,
    pub limits: LimitsTable,
    pub offboarding: OffboardingTable,
    pub drift: DriftTable,
    /// The waves that tenants are changed in; all at once if there are none.
    pub rollout: Vec<WaveTable>,
    pub targets: BTreeMap<TargetName, TargetTable>,
}

impl Environment {
    /// The estate and environment, as marks name them.
    pub fn scope(&self) -> Arc<str> {
        mark::scope(&self.estate, self.name.as_deref())
    }

    /// Whether every target is simulated.
    pub fn is_simulated(&self) -> bool {
        self.targets.values().all(|target| target.sandbox)
    }
}

/// Merges one environment's tables over the estate's own.
///
/// # Errors
/// If the environment does not exist, or one of its targets is not valid.
pub fn environment(
    config: &EstateConfig,
    positions: &Positions,
    name: Option<&str>,
) -> Result<Environment, Diagnostic> {
    let invalid = |pointer: &str, message: String, label: &str| {
        Diagnostic::error(codes::CONFIG_INVALID, message).at(positions.origin(pointer), label)
    };
    let table = match name {
        None => None,
        Some(name) => Some(config.environments.iter().find(|(known, _)| known.as_str() == name).ok_or_else(|| {
            invalid("/environments", format!("there is no environment `{name}`"), "environments are declared here")
                .help(suggest(
                    name,
                    config.environments.keys().map(Name::as_str),
                    "environments are",
                    "add a table [environments.NAME]",
                ))
        })?),
    };
    let mut targets: BTreeMap<TargetName, TargetTable> =
        config.targets.iter().map(|(target, table)| (TargetName::from(target.shared()), table.clone())).collect();
    if let Some((environment, table)) = table {
        for (target, over) in &table.targets {
            let pointer = format!("/environments/{environment}/targets/{target}");
            let mut fields = match targets.get(target.as_str()) {
                Some(below) => match serde_json::to_value(below) {
                    Ok(serde_json::Value::Object(fields)) => fields,
                    _ => return Err(invalid(&pointer, format!("target `{target}` cannot be overridden"), "here")),
                },
                None => serde_json::Map::new(),
            };
            fields.retain(|_, value| !value.is_null());
            fields.extend(over.clone());
            let merged = serde_json::from_value(fields.into()).map_err(|error| {
                invalid(
                    &pointer,
                    format!("target `{target}` is not well formed in environment `{environment}`: {error}"),
                    "this target",
                )
            })?;
            targets.insert(target.shared().into(), merged);
        }
    }
    let over = table.map(|(_, table)| table);
    Ok(Environment {
        name: name.map(Into::into),
        estate: config.estate.name.shared(),
        store: over.and_then(|table| table.store.clone()).unwrap_or_else(|| config.store.clone()),
        secrets: over.and_then(|table| table.secrets.clone()).unwrap_or_else(|| config.secrets.clone()),
        limits: config.limits.clone(),
        offboarding: over.and_then(|table| table.offboarding.clone()).unwrap_or_else(|| config.offboarding.clone()),
        drift: config.drift.clone(),
        rollout: config.rollout.clone(),
        targets,
    })
}

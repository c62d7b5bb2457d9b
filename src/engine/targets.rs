//! The configured targets, with their readers and writers.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::EngineError;
use super::settings::{self, Variables};
use tenantry_core::model::kind::Catalogue;
use tenantry_core::model::resource::TargetName;
use tenantry_core::resolve::Environment;
use tenantry_provider::contract::{ErrorClass, Provider, ProviderError, Reader, Settings, Writer};
use tenantry_provider::timeouts::Timeouts;
use tenantry_sandbox::Sandbox;

/// Every target of an environment.
pub struct Targets<'a> {
    pub environment: &'a Environment,
    pub providers: &'a [Arc<dyn Provider>],
    pub catalogue: Arc<Catalogue>,
    pub sandbox: Sandbox,
    /// The folder of the estate, to which `file:` references are relative.
    pub folder: PathBuf,
    pub variables: Variables<'a>,
}

impl Targets<'_> {
    /// The key of a tenant's placement by provider.
    pub fn placement_keys(&self) -> BTreeMap<&'static str, &'static str> {
        self.providers.iter().map(|provider| (provider.name(), provider.placement_key())).collect()
    }

    /// The targets that have resources of a provider.
    pub fn names(&self) -> impl Iterator<Item = &TargetName> {
        self.environment.targets.keys()
    }

    /// How long a target may take.
    pub fn timeouts(&self, target: &str) -> Timeouts {
        self.environment.targets.get(target).map(|table| table.timeouts.into()).unwrap_or_default()
    }

    /// # Errors
    /// If the target does not exist or its settings are not valid.
    pub fn reader(&self, target: &str) -> Result<Box<dyn Reader>, EngineError> {
        match self.real(target)? {
            None => Ok(Box::new(self.sandbox.reader(target))),
            Some((provider, settings)) => provider.reader(&settings).map_err(|source| failed(target, source)),
        }
    }

    /// # Errors
    /// If the target does not exist or its settings are not valid.
    pub fn writer(&self, target: &str) -> Result<Box<dyn Writer>, EngineError> {
        match self.real(target)? {
            None => Ok(Box::new(self.sandbox.writer(target))),
            Some((provider, settings)) => provider.writer(&settings).map_err(|source| failed(target, source)),
        }
    }

    /// The maximum number of writes per second to a target that does not set it.
    pub fn default_rate(&self, target: &str) -> Option<u32> {
        let table = self.environment.targets.get(target).filter(|table| !table.sandbox)?;
        self.providers.iter().find(|provider| *provider.name() == *table.provider)?.default_rate()
    }

    /// The provider of a target and its settings; `None` if it is simulated.
    ///
    /// # Errors
    /// If the target or its provider does not exist, or a setting cannot be looked up.
    pub fn real(&self, target: &str) -> Result<Option<Real<'_>>, EngineError> {
        let missing =
            |attempted: String, cause: &str| failed(target, ProviderError::new(ErrorClass::Fatal, attempted, cause));
        let Some(table) = self.environment.targets.get(target) else {
            return Err(missing("looking it up".into(), "it is not in tenantry.toml"));
        };
        if table.sandbox {
            return Ok(None);
        }
        let Some(provider) = self.providers.iter().find(|provider| *provider.name() == *table.provider) else {
            return Err(missing(
                format!("looking up its provider `{}`", table.provider),
                "this build of Tenantry does not have it",
            ));
        };
        let settings = settings::resolve(target, table, &self.environment.estate, &self.folder, self.variables)?;
        Ok(Some((provider, settings)))
    }
}

/// A provider and the settings of one of its targets.
pub type Real<'a> = (&'a Arc<dyn Provider>, Settings);

/// A target that cannot be used, and why.
pub fn failed(target: &str, source: ProviderError) -> EngineError {
    EngineError::Target { target: target.to_owned(), source }
}

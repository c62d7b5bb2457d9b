//! What only a target of the provider `kubernetes` can do besides what every target does.

use tenantry_engine::EngineError;
use tenantry_engine::targets::{Targets, failed};
use tenantry_kubernetes::{Kubernetes, KubernetesSecrets};
use tenantry_provider::contract::{ErrorClass, Provider as _, ProviderError, Settings};

/// The secret store in the cluster of a target.
///
/// # Errors
/// If the target does not exist, is of another provider or simulated, or its settings make no sense.
pub fn secrets(targets: &Targets<'_>, target: &str, namespace: &str) -> Result<KubernetesSecrets, EngineError> {
    let wrong = |cause: &str| {
        let error = ProviderError::new(ErrorClass::Fatal, "keeping secrets there", cause);
        failed(target, error.with_remedy("name a target of the provider `kubernetes` in the table [secrets]"))
    };
    match targets.real(target)? {
        Some((provider, settings)) if provider.name() == Kubernetes.name() => {
            KubernetesSecrets::new(&settings, namespace).map_err(|source| failed(target, source))
        }
        Some(_) => Err(wrong("it is not a cluster")),
        None => Err(wrong("it is simulated, while others are not")),
    }
}

/// The settings of a target that is a cluster, for what reads all of it.
///
/// # Errors
/// If the target does not exist, is of another provider or simulated, or its settings make no sense.
pub fn settings(targets: &Targets<'_>, target: &str) -> Result<Settings, EngineError> {
    let wrong = |cause: &str, remedy: &str| {
        let error = ProviderError::new(ErrorClass::Fatal, "reading all of it", cause).with_remedy(remedy);
        failed(target, error)
    };
    match targets.real(target)? {
        Some((provider, settings)) if provider.name() == Kubernetes.name() => match settings.text("directory") {
            None => Ok(settings),
            Some(_) => Err(wrong("it is a folder", "`tenantry import manifests` reads folders")),
        },
        Some(_) => Err(wrong("it is not a cluster", "name a target of the provider `kubernetes`")),
        None => Err(wrong(
            "it is simulated here",
            "choose an environment in which it is real with `--env`, or name the cluster with `--context`",
        )),
    }
}

//! What only targets of the provider `kubernetes` can do.

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
        let error = ProviderError::new(ErrorClass::Fatal, "keeping secrets in it", cause);
        failed(target, error.with_remedy("name a target of the provider `kubernetes` in the table [secrets]"))
    };
    match targets.real(target)? {
        Some((provider, settings)) if provider.name() == Kubernetes.name() => {
            KubernetesSecrets::new(&settings, namespace).map_err(|source| failed(target, source))
        }
        Some(_) => Err(wrong("it is not a cluster")),
        None => Err(wrong("it is simulated, but secrets of real targets need a real cluster")),
    }
}

/// The settings of a target that is a cluster, for what reads all of it.
///
/// # Errors
/// If the target does not exist, is of another provider or simulated, or its settings make no sense.
pub fn settings(targets: &Targets<'_>, target: &str) -> Result<Settings, EngineError> {
    let wrong = |cause: &str, remedy: &str| {
        let error = ProviderError::new(ErrorClass::Fatal, "reading the whole cluster", cause).with_remedy(remedy);
        failed(target, error)
    };
    match targets.real(target)? {
        Some((provider, settings)) if provider.name() == Kubernetes.name() => match settings.text("directory") {
            None => Ok(settings),
            Some(_) => Err(wrong(
                "its `directory` is a folder, not a cluster",
                "use `tenantry import manifests` to read a folder",
            )),
        },
        Some(_) => Err(wrong("it is not a cluster", "name a target of the provider `kubernetes`")),
        None => Err(wrong(
            "it is simulated in this environment",
            "use `--env` to choose an environment in which it is real, or `--context` to name the cluster",
        )),
    }
}

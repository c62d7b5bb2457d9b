//! Kubernetes: any object of a cluster.
//!
//! ```text
//! types/      the one kind, `kubernetes.object`, and what the planner has to know of each object
//! mark        the mark in labels and annotations
//! client      requests to an API server     discovery   which types it knows
//! read/       lists → observations: a fixed number of requests for each type, whatever the number of tenants
//! write/      steps → server-side apply, deletion     apply   the one request that both halves send
//! conflict    fields of other managers      edited    items of lists whose key somebody edited
//! trial       a dry run of an object under another name      refused   the reasons for which a dry run is refused
//! version     the observed version of an object, which a write requires
//! files/      the same objects as files of a folder, for GitOps
//! inventory/  everything in a cluster's namespaces, for an import
//! owned       which fields are ours, as the server has it on record
//! secrets     a store of secrets in the cluster itself
//! ready       whether an object does what it is there for
//! ```
//!
//! Ownership is that of server-side apply: the field manager `tenantry` owns what the blueprint names and nothing else.

mod apply;
mod client;
mod conflict;
mod discovery;
mod edited;
mod error;
pub mod files;
pub mod inventory;
pub mod mark;
mod owned;
mod read;
mod ready;
mod refused;
mod rules;
mod secrets;
mod trial;
pub mod types;
mod version;
mod write;

use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use client::Cluster;
pub use secrets::KubernetesSecrets;
use tenantry_core::model::kind::Kind;
use tenantry_core::rules::RuleSet;
use tenantry_kit::InTurn;
use tenantry_provider::contract::{ErrorClass, Provider, ProviderError, Reader, Settings, Writer};

/// The Kubernetes provider. Tried with version 1.20; needs 1.20 or newer.
pub struct Kubernetes;

/// The settings of a Kubernetes target.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the schema is made of it; values are read through `Settings::text`")]
struct KubernetesSettings {
    /// The path of a kubeconfig, relative to the estate, or its text as `env:NAME` or `file:PATH`. Without it, and without a
    /// `context`, the service account of the pod is used.
    kubeconfig: Option<String>,
    /// A context of the kubeconfig; the current one by default. Without a `kubeconfig` it is one of the user's own.
    context: Option<String>,
    /// A folder, relative to the estate, instead of a cluster: the objects are written there as files for Argo CD or Flux.
    directory: Option<String>,
    /// Whether the kubeconfig may name a server on another machine without TLS: everybody on the network between can then read
    /// what is sent, including credentials.
    #[serde(default)]
    plaintext: bool,
}

/// The folder of a target that is one instead of a cluster.
fn folder(settings: &Settings) -> Result<Option<PathBuf>, ProviderError> {
    let folder = files::folder(settings);
    if folder.is_some() && ["kubeconfig", "context"].iter().any(|name| settings.text(name).is_some()) {
        let attempted = format!("reading the settings of target \"{}\"", settings.target);
        let cause = "`directory` cannot be combined with `kubeconfig` or `context`";
        return Err(ProviderError::new(ErrorClass::Fatal, attempted, cause).with_remedy("declare two targets"));
    }
    if let Some(taken) = folder.as_ref().and_then(|folder| files::taken_by_estate(&settings.folder, folder)) {
        let attempted = format!("reading the settings of target \"{}\"", settings.target);
        let cause = format!("`directory` would put objects among the files of the estate, in `{taken}`");
        let remedy = "name a folder of its own, such as `deploy`";
        return Err(ProviderError::new(ErrorClass::Fatal, attempted, cause).with_remedy(remedy));
    }
    Ok(folder)
}

impl Provider for Kubernetes {
    fn name(&self) -> &'static str {
        "kubernetes"
    }

    fn placement_key(&self) -> &'static str {
        "cluster"
    }

    fn kinds(&self) -> Vec<Kind> {
        types::kinds()
    }

    fn rules(&self) -> Option<RuleSet> {
        Some(rules::rules())
    }

    fn settings_schema(&self) -> schemars::Schema {
        schemars::schema_for!(KubernetesSettings)
    }

    fn reader(&self, settings: &Settings) -> Result<Box<dyn Reader>, ProviderError> {
        match folder(settings)? {
            Some(folder) => {
                let named = settings.text(files::SETTING).unwrap_or_default();
                Ok(Box::new(files::FilesReader::new(folder).named(named)))
            }
            None => Ok(Box::new(read::KubernetesReader::new(Arc::new(Cluster::new(settings)?)))),
        }
    }

    fn writer(&self, settings: &Settings) -> Result<Box<dyn Writer>, ProviderError> {
        match folder(settings)? {
            Some(folder) => Ok(Box::new(files::FilesWriter::new(folder))),
            None => Ok(Box::new(InTurn(write::KubernetesWriter::new(Arc::new(Cluster::new(settings)?))))),
        }
    }
}

//! Arguments of `import`.

#[cfg(feature = "kubernetes")]
use std::path::PathBuf;

use clap::Args;
#[cfg(feature = "kubernetes")]
use clap::Subcommand;

#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub struct Import {
    /// Restore a lost store: record the resources in the targets that carry the mark of this estate and environment. Writes
    /// nothing to any target.
    #[arg(long)]
    pub inventory: bool,
    /// With `--inventory`: do not ask.
    #[arg(long, requires = "inventory")]
    pub auto_approve: bool,
    #[cfg(feature = "kubernetes")]
    #[command(subcommand)]
    pub from: Option<ImportFrom>,
}

#[cfg(feature = "kubernetes")]
#[derive(Debug, Subcommand)]
pub enum ImportFrom {
    /// From a folder of Kubernetes manifests, with one folder or one namespace for each tenant.
    Manifests(ImportManifests),
    /// From a live cluster, which is only read: each namespace becomes a tenant.
    Kubernetes(ImportKubernetes),
}

#[cfg(feature = "kubernetes")]
#[derive(Debug, Args)]
pub struct ImportManifests {
    /// The folder of manifests, which is only read.
    pub folder: PathBuf,
    #[command(flatten)]
    pub into: ImportInto,
}

#[cfg(feature = "kubernetes")]
#[derive(Debug, Args)]
pub struct ImportKubernetes {
    #[command(flatten)]
    pub cluster: ImportCluster,
    /// Only namespaces whose name matches; `*` matches any characters. May be repeated. Without it, all namespaces except those
    /// of the cluster itself (default, kube-…), which must be named.
    #[arg(long, value_name = "GLOB")]
    pub namespace: Vec<String>,
    /// Only namespaces whose labels match, such as `team=red,stage!=test`.
    #[arg(long, value_name = "LABELS")]
    pub selector: Option<String>,
    #[command(flatten)]
    pub into: ImportInto,
}

/// The cluster to import from.
#[cfg(feature = "kubernetes")]
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub struct ImportCluster {
    /// The cluster of a target of the estate, in the environment of `--env`.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["kubeconfig", "context"])]
    pub target: Option<String>,
    /// The kubeconfig of the cluster; the user's own if only `--context` is given.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// A context of the kubeconfig; the current one by default.
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
}

/// Where an import writes the estate.
#[cfg(feature = "kubernetes")]
#[derive(Debug, Args)]
pub struct ImportInto {
    /// Where to write the estate; the estate's own folder by default. Existing files are not overwritten.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Name of the estate, if there is no tenantry.toml yet. The folder's name if absent.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
}

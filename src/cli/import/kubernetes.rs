//! `tenantry import kubernetes`: the namespaces of a live cluster become tenants.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::super::arguments::{Global, ImportKubernetes};
use super::super::error::{Exit, Failure};
use super::super::output::Output;
use super::super::session::Session;
use super::{Existing, estate_name};
use tenantry_core::diagnostics::{self, codes};
use tenantry_core::policy;
use tenantry_import::{cluster, originals};
use tenantry_kubernetes::Kubernetes;
use tenantry_kubernetes::inventory::{inventory, is_system};
use tenantry_provider::contract::{Provider as _, ProviderError, Settings};
use tenantry_provider::timeouts::Timeouts;
use tenantry_store::OpenMode;

/// Requests at a time.
const CONCURRENCY: usize = 8;

/// The address of the cluster, and the settings of the estate's target.
struct Place {
    settings: Settings,
    /// For an estate that has no target yet.
    config: Vec<(&'static str, String)>,
    /// Where the estate has several.
    target: Option<String>,
}

/// Reads the cluster, and determines which objects can be taken over.
pub async fn read(global: &Global, command: &ImportKubernetes, output: &Output) -> Result<Existing, Failure> {
    let Place { settings, config, target } = match &command.cluster.target {
        Some(target) => of_target(global, command, target, output)?,
        None => of_kubeconfig(global, command)?,
    };
    let globs = &command.namespace;
    let fits = |glob: &String, namespace: &str| {
        // Whoever asks for all does not mean the cluster itself.
        let is_meant = !is_system(namespace) || glob == namespace || glob.starts_with("kube-");
        is_meant && policy::matches(glob, namespace)
    };
    let is_chosen = |namespace: &str| match globs.is_empty() {
        true => !is_system(namespace),
        false => globs.iter().any(|glob| fits(glob, namespace)),
    };
    let inventory = inventory(&settings, command.selector.as_deref(), &is_chosen).await.map_err(failed)?;
    let left_out = inventory.left_out.iter().map(|(reason, names)| (reason.words(), names.clone())).collect();
    let (files, found, mut notes) = cluster::found(inventory);
    let (originals, problems) = originals(found);
    notes.extend(problems);
    diagnostics::sort(&mut notes);
    if originals.is_empty() {
        if notes.iter().any(|note| note.code != codes::IMPORT_NOT_NEEDED) {
            output.diagnostics(&notes, &files);
        }
        return Err(Failure::new(Exit::Error, "there is no object to take over in the namespaces that match")
            .help("`kubectl get namespaces --show-labels` lists the namespaces"));
    }
    Ok(Existing { originals, files, diagnostics: notes, left_out, settings: config, target })
}

fn failed(error: ProviderError) -> Failure {
    let failure = Failure::new(Exit::Error, error.to_string());
    match error.remedy {
        Some(remedy) => failure.help(remedy),
        None => failure,
    }
}

fn of_target(global: &Global, command: &ImportKubernetes, target: &str, output: &Output) -> Result<Place, Failure> {
    if let Some(out) = command.into.out.as_ref().filter(|out| !out.join("tenantry.toml").exists()) {
        let message = format!("{} has no tenantry.toml, so there is no target `{target}`", out.display());
        return Err(Failure::new(Exit::Usage, message)
            .help("leave `--out` out, or name the cluster with `--kubeconfig` and `--context`"));
    }
    let session = Session::open(global, OpenMode::ReadOnly, output)?;
    let targets = &session.environment.targets;
    let is_only = targets.values().filter(|table| *table.provider == *Kubernetes.name()).count() == 1;
    let settings = super::super::cluster::settings(&session.targets(), target)?;
    Ok(Place { settings, config: Vec::new(), target: (!is_only).then(|| target.to_owned()) })
}

fn of_kubeconfig(global: &Global, command: &ImportKubernetes) -> Result<Place, Failure> {
    let mut config = Vec::new();
    if let Some(path) = &command.cluster.kubeconfig {
        // The estate may be elsewhere.
        let absolute =
            std::path::absolute(path).map_err(|error| Failure::io(format!("finding {}", path.display()), &error))?;
        let Some(text) = absolute.to_str() else {
            return Err(Failure::new(Exit::Usage, format!("{} is not valid UTF-8", absolute.display())));
        };
        config.push(("kubeconfig", text.to_owned()));
    }
    config.extend(command.cluster.context.iter().map(|context| ("context", context.clone())));
    let values = config.iter().map(|(name, value)| ((*name).to_owned(), value.as_str().into())).collect();
    let out = command.into.out.as_ref().unwrap_or(&global.estate);
    let settings = Settings {
        target: "cluster".into(),
        estate: existing_name(out).map_or_else(|| estate_name(global, &command.into).map(|name| name.shared()), Ok)?,
        values,
        secrets: BTreeMap::new(),
        concurrency: CONCURRENCY,
        timeouts: Timeouts::default(),
        folder: PathBuf::from("."),
    };
    Ok(Place { settings, config, target: None })
}

/// The name of an estate that already exists. What is wrong with its configuration is told when it is opened.
fn existing_name(out: &std::path::Path) -> Option<std::sync::Arc<str>> {
    let text = std::fs::read_to_string(out.join("tenantry.toml")).ok()?;
    let config: toml::Table = toml::from_str(&text).ok()?;
    config.get("estate")?.get("name")?.as_str().map(Into::into)
}

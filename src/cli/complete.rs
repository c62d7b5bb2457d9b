//! Answers a shell that completes a command line: with the names of the estate that the line is about.
//!
//! The scripts of `tenantry completions` call the command again with the variable `COMPLETE`. Nothing is connected, and an
//! estate that cannot be read has no names.

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::CommandFactory as _;
use clap_complete::{CompleteEnv, CompletionCandidate};

use super::arguments::Arguments;
use super::session::{STATE_FOLDER, target_forms};
use super::system;
use tenantry_core::model::document::Estate;
use tenantry_core::model::names::Name;
use tenantry_core::resolve;
use tenantry_engine::plan::Recorded;
use tenantry_engine::targets::Targets;
use tenantry_sandbox::{Mode, Sandbox, World};
use tenantry_store::contract::{Scope, Store as _};
use tenantry_store::{OpenMode, SqliteStore};

/// The variable by which a shell asks, with the shell's name.
pub const VARIABLE: &str = "COMPLETE";

/// Answers a shell, if one asks.
///
/// # Errors
/// If the shell is not one of those that are known, or does not listen.
pub fn answer() -> Result<bool, clap::Error> {
    CompleteEnv::with_factory(Arguments::command)
        .var(VARIABLE)
        .try_complete(system::arguments(), system::folder().as_deref())
}

/// Environments of `tenantry.toml`.
pub fn environments(current: &OsStr) -> Vec<CompletionCandidate> {
    candidates(current, |estate| estate.config.environments.keys().map(ToString::to_string).collect())
}

pub fn tenants(current: &OsStr) -> Vec<CompletionCandidate> {
    candidates(current, |estate| names(estate.tenants.iter().map(|tenant| &tenant.metadata.name)))
}

pub fn tiers(current: &OsStr) -> Vec<CompletionCandidate> {
    candidates(current, |estate| names(estate.tiers.iter().map(|tier| &tier.metadata.name)))
}

/// Tenants, tiers and the estate.
pub fn owners(current: &OsStr) -> Vec<CompletionCandidate> {
    candidates(current, |estate| {
        let mut owners = names(estate.tenants.iter().map(|tenant| &tenant.metadata.name));
        owners.extend(estate.tiers.iter().map(|tier| format!("tier:{}", tier.metadata.name)));
        owners.push("estate".to_owned());
        owners
    })
}

/// Addresses of resources.
pub fn addresses(current: &OsStr) -> Vec<CompletionCandidate> {
    candidates(current, all_addresses)
}

/// Addresses on record, where the store is a file.
pub fn recorded(current: &OsStr) -> Vec<CompletionCandidate> {
    candidates(current, |estate| {
        let Ok(environment) = resolve::environment(&estate.config, &estate.config_positions, None) else {
            return Vec::new();
        };
        if environment.store.url.is_some() {
            return Vec::new();
        }
        let path = match &environment.store.path {
            Some(path) => folder().join(path),
            None => folder().join(STATE_FOLDER).join("default").join("store.db"),
        };
        let scope = Scope::new(environment.estate.clone(), environment.name.as_deref());
        let read = async {
            let store = SqliteStore::open(&path, &scope, OpenMode::ReadOnly).await.ok()?;
            store.inventory().await.ok()
        };
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
            return Vec::new();
        };
        let records = runtime.block_on(read).unwrap_or_default();
        records.iter().map(|applied| applied.address.to_string()).collect()
    })
}

/// Tenants, addresses and files.
pub fn subjects(current: &OsStr) -> Vec<CompletionCandidate> {
    let mut candidates = candidates(current, |estate| {
        let tenants = names(estate.tenants.iter().map(|tenant| &tenant.metadata.name));
        // All addresses of all tenants are too many to choose from.
        let has_owner = current.to_string_lossy().contains('/');
        if has_owner { all_addresses(estate) } else { tenants }
    });
    candidates.extend(clap_complete::engine::ValueCompleter::complete(
        &clap_complete::engine::PathCompleter::file(),
        current,
    ));
    candidates
}

fn names<'e>(names: impl Iterator<Item = &'e Name>) -> Vec<String> {
    names.map(ToString::to_string).collect()
}

fn candidates(current: &OsStr, names: impl FnOnce(&Estate) -> Vec<String>) -> Vec<CompletionCandidate> {
    let current = current.to_string_lossy();
    let Some(estate) = estate() else { return Vec::new() };
    let fitting = names(&estate).into_iter().filter(|name| name.starts_with(&*current));
    fitting.map(CompletionCandidate::new).collect()
}

/// The estate of the command line that is completed.
fn estate() -> Option<Estate> {
    let targets = target_forms(&tenantry_registry::providers());
    let options = tenantry_source::Options { targets: &targets, ..tenantry_source::Options::default() };
    tenantry_source::load(&tenantry_source::Place::Directory(folder()), options).estate
}

/// The folder of `-C`, as far as the line has been typed.
fn folder() -> PathBuf {
    let arguments: Vec<String> = system::arguments().map(|argument| argument.to_string_lossy().into_owned()).collect();
    let of_two = arguments.windows(2).find(|pair| matches!(pair[0].as_str(), "-C" | "--estate")).map(|pair| &*pair[1]);
    let of_one = || arguments.iter().find_map(|argument| argument.strip_prefix("--estate="));
    let named = of_two.or_else(of_one).map(PathBuf::from);
    named.or_else(|| system::variable("TENANTRY_ESTATE").map(PathBuf::from)).unwrap_or_else(|| PathBuf::from("."))
}

fn all_addresses(estate: &Estate) -> Vec<String> {
    let Ok(environment) = resolve::environment(&estate.config, &estate.config_positions, None) else {
        return Vec::new();
    };
    let providers = tenantry_registry::providers();
    let catalogue = std::sync::Arc::new(tenantry_registry::catalogue(&providers));
    // Nothing is asked of any target, so there need not be a world.
    let world = World::new(&folder(), Mode::ReadOnly);
    let targets = Targets {
        environment: &environment,
        providers: &providers,
        catalogue: catalogue.clone(),
        sandbox: Sandbox::new(world, catalogue),
        folder: folder(),
        variables: &system::variable,
    };
    let threads = tenantry_source::Options::default().threads;
    let (owners, _) =
        tenantry_engine::plan::desired_beside(estate, &targets, &Recorded::default(), system::now(), threads);
    owners.iter().flat_map(|owner| &owner.resources).map(|desired| desired.address.to_string()).collect()
}

//! An estate that is opened for a command: its documents, environment, store, secrets and targets.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::arguments::{Global, Rollout, Selection};
use super::error::{Exit, Failure};
use super::output::Output;
#[cfg(all(feature = "test-hooks", debug_assertions))]
use super::output::Stderr;
use super::system;
use tenantry_core::diagnostics::SourceFiles;
use tenantry_core::lifecycle::{TenantRecords, Times};
use tenantry_core::model::address::Owner;
use tenantry_core::model::config::WaveTable;
use tenantry_core::model::document::Estate;
use tenantry_core::model::kind::Catalogue;
use tenantry_core::model::names::Name;
use tenantry_core::policy;
use tenantry_core::resolve::{self, Environment};
use tenantry_engine::settings;
use tenantry_engine::targets::Targets;
use tenantry_provider::contract::Provider;
use tenantry_sandbox::{Mode, Sandbox, SandboxSecrets, World};
use tenantry_secret::contract::SecretStore;
use tenantry_source::TargetForms;
use tenantry_store::contract::{Scope, Store};
#[cfg(all(feature = "test-hooks", debug_assertions))]
use tenantry_store::halt::Halting;
use tenantry_store::{OpenMode, PostgresStore, SqliteStore};

/// The folder of Tenantry's files in an estate.
pub const STATE_FOLDER: &str = ".tenantry";

/// Whoever waits for the word waits in vain if stderr is closed, and finds out by the clock.
#[cfg(all(feature = "test-hooks", debug_assertions))]
fn say_halted() {
    Stderr::line("halted");
}

/// How owners are found.
pub const OWNERS: &str = "`tenantry list` shows the tenants; a tier is written `tier:NAME`";

/// The namespace of a cluster that keeps secrets, unless configured otherwise.
const SECRETS_NAMESPACE: &str = "tenantry";

/// The settings of each provider's targets in `tenantry.toml`.
pub fn target_forms(providers: &[Arc<dyn Provider>]) -> TargetForms {
    TargetForms::new(providers.iter().map(|provider| (provider.name(), provider.settings_schema())))
}

/// What a command works with.
pub struct Session {
    pub estate: Estate,
    pub files: SourceFiles,
    pub environment: Environment,
    pub providers: Vec<Arc<dyn Provider>>,
    pub catalogue: Arc<Catalogue>,
    pub now: Timestamp,
    pub threads: usize,
    folder: PathBuf,
    /// The default folder of store, secrets and sandbox.
    state: PathBuf,
    /// Whether `--sandbox` simulates real targets. Then nothing of the real environment is used or changed.
    rehearsal: bool,
    mode: OpenMode,
}

impl Session {
    /// Reads the estate and chooses the environment. Warnings go to stderr.
    ///
    /// # Errors
    /// With every problem of the estate.
    pub fn open(global: &Global, mode: OpenMode, output: &Output) -> Result<Self, Failure> {
        Self::open_edited(global, mode, output, &BTreeMap::new())
    }

    /// The same for the estate as it would be with other texts in some of its files, by path.
    ///
    /// # Errors
    /// With every problem of the estate.
    pub fn open_edited(
        global: &Global,
        mode: OpenMode,
        output: &Output,
        edited: &BTreeMap<String, String>,
    ) -> Result<Self, Failure> {
        let clock = system::clock()?;
        let place = match &global.rev {
            Some(rev) => tenantry_source::Place::Revision { directory: global.estate.clone(), rev: rev.clone() },
            None => tenantry_source::Place::Directory(global.estate.clone()),
        };
        let providers = tenantry_registry::providers();
        let targets = target_forms(&providers);
        let options = tenantry_source::Options { targets: &targets, edited, ..tenantry_source::Options::default() };
        let tenantry_source::Loaded { files, estate, diagnostics } = tenantry_source::load(&place, options);
        let Some(estate) = estate else { return Err(Failure::diagnostics(diagnostics, files)) };
        if !output.is_quiet() && edited.is_empty() {
            output.diagnostics(&diagnostics, &files);
        }
        if let Some(name) = global.environment.as_deref() {
            check_environment(&estate, name)?;
        }
        let configured = resolve::environment(&estate.config, &estate.config_positions, global.environment.as_deref());
        let mut environment = configured.map_err(|diagnostic| Failure::diagnostics(vec![diagnostic], files.clone()))?;
        let rehearsal = global.sandbox && !environment.is_simulated();
        if global.sandbox {
            environment.targets.values_mut().for_each(|target| target.sandbox = true);
        }
        let name = environment.name.as_deref().unwrap_or("default");
        let state =
            global.estate.join(STATE_FOLDER).join(if rehearsal { format!("{name}-sandbox") } else { name.to_owned() });
        let catalogue = Arc::new(tenantry_registry::catalogue(&providers));
        Ok(Self {
            estate,
            files,
            environment,
            providers,
            catalogue,
            now: global.now.unwrap_or(clock),
            threads: options.threads,
            folder: global.estate.clone(),
            state,
            rehearsal,
            mode,
        })
    }

    /// The estate as it was where this one's line of work left a revision; nothing if there was none, or if it had errors. With
    /// the commit.
    ///
    /// # Errors
    /// If there is no such revision.
    pub fn estate_before(&self, global: &Global, rev: &str) -> Result<(String, Option<Estate>), Failure> {
        let commit = tenantry_source::left(&global.estate, rev, global.rev.as_deref())
            .map_err(|diagnostic| Failure::diagnostics(vec![*diagnostic], SourceFiles::default()))?;
        let place = tenantry_source::Place::Revision { directory: global.estate.clone(), rev: commit.clone() };
        let targets = target_forms(&self.providers);
        let options = tenantry_source::Options { targets: &targets, ..tenantry_source::Options::default() };
        Ok((commit, tenantry_source::load(&place, options).estate))
    }

    /// Says which targets are simulated, where others are real: a plan of all of them does not show it.
    pub fn tell_simulated(&self, output: &Output) {
        let simulated: Vec<&str> =
            self.environment.targets.iter().filter(|(_, target)| target.sandbox).map(|(name, _)| &**name).collect();
        if !simulated.is_empty() && simulated.len() < self.environment.targets.len() {
            output.note(&format!("Simulated in this environment: {}. Everything else is real.", simulated.join(", ")));
        }
    }

    /// The folder of the estate, as it was given.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Simulates every target from now on, with store, secrets and sandbox in a folder of their own.
    pub fn simulate_in(&mut self, folder: &Path) {
        self.environment.targets.values_mut().for_each(|target| target.sandbox = true);
        folder.clone_into(&mut self.state);
        self.rehearsal = true;
        self.mode = OpenMode::ReadWrite;
    }

    /// Chooses the waves that tenants are changed in.
    ///
    /// # Errors
    /// If waves are asked for and there are none, or one of them is not understood.
    pub fn roll_out(&mut self, rollout: &Rollout) -> Result<(), Failure> {
        let Rollout { waves, no_waves } = rollout;
        if *no_waves {
            self.environment.rollout.clear();
        }
        match waves.as_deref() {
            None => return Ok(()),
            Some("") if self.environment.rollout.is_empty() => {
                return Err(Failure::new(Exit::Usage, "tenantry.toml has no rollout")
                    .help("add `rollout` to tenantry.toml, or name the waves: `--waves=tier:free,5%,rest`"));
            }
            Some("") => return Ok(()),
            Some(text) => self.environment.rollout = self.waves(text)?,
        }
        Ok(())
    }

    fn waves(&self, text: &str) -> Result<Vec<WaveTable>, Failure> {
        let wave = |text: &str| match text.split_once(':') {
            Some(("tier", tier)) => {
                let known = || self.estate.tiers.iter().map(|tier| &tier.metadata.name);
                let found = known().find(|name| name.as_str() == tier);
                found.map(|name| WaveTable::Tier(name.clone())).ok_or_else(|| {
                    let message = format!("there is no tier `{tier}`");
                    let help = "`tenantry list` shows the tiers of the tenants";
                    Failure::unknown(message, tier, known().map(Name::as_str), help)
                })
            }
            None if text == "rest" => Ok(WaveTable::Rest(true)),
            None if WaveTable::percent(text).is_some() => Ok(WaveTable::Tenants(text.into())),
            _ => Err(Failure::new(Exit::Usage, format!("`{text}` is not a wave"))
                .help("write `tier:NAME`, a share of the tenants such as `5%`, or `rest`")),
        };
        text.split(',').map(|text| wave(text.trim())).collect()
    }

    /// Opens everything for writing from now on.
    pub fn open_for_writing(&mut self) {
        self.mode = OpenMode::ReadWrite;
    }

    /// The targets of the environment. Nothing is connected yet.
    /// What the lives of the estate's tenants depend on.
    pub fn times<'a>(&'a self, records: &'a TenantRecords) -> Times<'a> {
        Times { records, offboarding: &self.environment.offboarding, now: self.now }
    }

    pub fn targets(&self) -> Targets<'_> {
        Targets {
            environment: &self.environment,
            providers: &self.providers,
            catalogue: self.catalogue.clone(),
            sandbox: Sandbox::new(self.world(), self.catalogue.clone()),
            folder: self.folder.clone(),
            variables: &system::variable,
        }
    }

    fn world(&self) -> World {
        let mode = match self.mode {
            OpenMode::ReadOnly => Mode::ReadOnly,
            OpenMode::ReadWrite => Mode::ReadWrite,
        };
        World::new(&self.state.join("sandbox.db"), mode)
    }

    /// The store of the environment.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub async fn store(&self) -> Result<Box<dyn Store>, Failure> {
        let store = self.open_store().await?;
        #[cfg(all(feature = "test-hooks", debug_assertions))]
        if let Some(at) = system::variable("TENANTRY_HALT_AT").and_then(|at| at.parse().ok()) {
            return Ok(Box::new(Halting::new(store, at, say_halted)));
        }
        Ok(store)
    }

    async fn open_store(&self) -> Result<Box<dyn Store>, Failure> {
        let table = &self.environment.store;
        let scope = Scope { estate: self.environment.estate.clone(), environment: self.environment.name.clone() };
        if let (Some(url), false) = (&table.url, self.rehearsal) {
            let looked_up = settings::lookup(url, &self.folder, &system::variable);
            let url =
                looked_up.map_err(|cause| Failure::new(Exit::Error, format!("setting `url` of the store: {cause}")))?;
            let Some(url) = url else {
                return Err(Failure::new(Exit::Error, "setting `url` of the store is not a reference")
                    .help("write env:NAME or file:PATH"));
            };
            return Ok(Box::new(PostgresStore::open(&url, &scope, self.mode).await?));
        }
        let path = match (&table.path, self.rehearsal) {
            (Some(path), false) => self.folder.join(path),
            _ => self.state.join("store.db"),
        };
        Ok(Box::new(SqliteStore::open(&path, &scope, self.mode).await?))
    }

    /// The secret store of the environment for a command that only looks: nothing if its identity is not at hand, as on a pull
    /// request.
    ///
    /// # Errors
    /// If it is at hand and does not open the store.
    pub fn secrets_at_hand(&self) -> Result<Option<Box<dyn SecretStore>>, Failure> {
        let table = &self.environment.secrets;
        let is_kept_in_file = table.target.is_none() && !(self.environment.is_simulated() && table.identity.is_none());
        let identity = || settings::lookup(table.identity.as_deref()?, &self.folder, &system::variable).ok();
        match is_kept_in_file && !self.rehearsal && identity().is_none() {
            true => Ok(None),
            false => self.secrets().map(Some),
        }
    }

    /// The secret store of the environment.
    ///
    /// # Errors
    /// If its identity cannot be found.
    pub fn secrets(&self) -> Result<Box<dyn SecretStore>, Failure> {
        let table = &self.environment.secrets;
        let configured =
            (table.path.is_some() || table.identity.is_some() || table.target.is_some()) && !self.rehearsal;
        if self.environment.is_simulated() && !configured {
            return Ok(Box::new(SandboxSecrets::new(self.world())));
        }
        if let Some(target) = &table.target {
            if table.path.is_some() || table.identity.is_some() {
                let message = "the table [secrets] names both a cluster and a file";
                return Err(Failure::new(Exit::Error, message)
                    .help("keep either `target`, or `path` and `identity`, in the table [secrets] of tenantry.toml"));
            }
            let namespace = table.namespace.as_ref().map_or(SECRETS_NAMESPACE, Name::as_str);
            return self.cluster_secrets(target.as_str(), namespace);
        }
        let path = table.path.as_ref().map_or_else(|| self.state.join("secrets.age"), |path| self.folder.join(path));
        let wrong = |message: String| {
            Failure::new(Exit::Error, message).help("set `identity = \"env:NAME\"` in the table [secrets] of tenantry.toml; `tenantry init` generates an identity")
        };
        let Some(reference) = &table.identity else {
            return Err(wrong("secrets of real targets need an age identity, but none is configured".into()));
        };
        match settings::lookup(reference, &self.folder, &system::variable) {
            Ok(Some(identity)) => open_file(&path, &identity),
            Ok(None) => Err(wrong("setting `identity` of the secrets is not a reference".into())),
            Err(cause) => Err(wrong(format!("setting `identity` of the secrets: {cause}"))),
        }
    }

    #[cfg(feature = "kubernetes")]
    fn cluster_secrets(&self, target: &str, namespace: &str) -> Result<Box<dyn SecretStore>, Failure> {
        Ok(Box::new(super::cluster::secrets(&self.targets(), target, namespace)?))
    }

    #[cfg(not(feature = "kubernetes"))]
    fn cluster_secrets(&self, _: &str, _: &str) -> Result<Box<dyn SecretStore>, Failure> {
        Err(Failure::new(Exit::Error, "this build of Tenantry cannot keep secrets in a cluster")
            .help("use a build with the feature `kubernetes`"))
    }

    /// The value that a setting of the estate refers to; `None` if it is no reference.
    ///
    /// # Errors
    /// If the variable is not set or the file cannot be read.
    pub fn lookup(&self, reference: &str) -> Result<Option<secrecy::SecretString>, String> {
        settings::lookup(reference, &self.folder, &system::variable)
    }

    /// An owner in the estate.
    ///
    /// # Errors
    /// If no owner has this name.
    pub fn owner(&self, name: &str) -> Result<Owner, Failure> {
        let tenants = self.estate.tenants.iter().map(|tenant| tenant.metadata.name.to_string());
        let tiers = self.estate.tiers.iter().map(|tier| format!("tier:{}", tier.metadata.name));
        let known: Vec<String> = tenants.chain(tiers).chain(["estate".to_owned()]).collect();
        if known.iter().any(|known| known == name) {
            return Ok(Owner::from(name));
        }
        let message = format!("there is no tenant or tier `{name}` in the estate");
        Err(Failure::unknown(message, name, known.iter().map(String::as_str), OWNERS))
    }

    /// The owners of a selection; all owners without one.
    ///
    /// # Errors
    /// If it matches no tenant, or names a tier that does not exist.
    pub fn selected(&self, selection: &Selection) -> Result<impl Fn(&Owner) -> bool + Sync + use<>, Failure> {
        let Selection { tenant: globs, tier } = selection;
        let all = globs.is_empty() && tier.is_none();
        if let Some(tier) = tier
            && !self.estate.tiers.iter().any(|document| document.metadata.name.as_str() == tier)
        {
            let known = self.estate.tiers.iter().map(|tier| tier.metadata.name.as_str());
            let message = format!("there is no tier `{tier}`");
            return Err(Failure::unknown(message, tier, known, "`tenantry list` shows the tiers of the tenants"));
        }
        // A mistyped name beside others would be left out without a word.
        let names = || self.estate.tenants.iter().map(|tenant| tenant.metadata.name.as_str());
        if let Some(glob) = globs.iter().find(|glob| !names().any(|name| policy::matches(glob, name))) {
            let message = format!("no tenant matches `{glob}`");
            return Err(Failure::unknown(message, glob, names(), "`tenantry list` shows the tenants"));
        }
        let fits = |name: &str| globs.is_empty() || globs.iter().any(|glob| policy::matches(glob, name));
        let names: std::collections::HashSet<Arc<str>> = self
            .estate
            .tenants
            .iter()
            .filter(|tenant| tier.as_ref().is_none_or(|tier| tenant.spec.tier.as_str() == tier))
            .filter(|tenant| fits(tenant.metadata.name.as_str()))
            .map(|tenant| tenant.metadata.name.shared())
            .collect();
        if !all && names.is_empty() {
            return Err(
                Failure::new(Exit::Usage, "no tenant matches the selection").help("`tenantry list` shows the tenants")
            );
        }
        Ok(move |owner: &Owner| all || owner.tenant().is_some_and(|tenant| names.contains(tenant)))
    }
}

/// An environment that is not declared is a slip on the command line, and no error of the estate.
fn check_environment(estate: &Estate, name: &str) -> Result<(), Failure> {
    let known: Vec<&str> = estate.config.environments.keys().map(Name::as_str).collect();
    if known.contains(&name) {
        return Ok(());
    }
    let otherwise = match known.as_slice() {
        [] => "leave the option out, or add a table [environments.NAME] to tenantry.toml".to_owned(),
        known => format!("environments are {}", known.join(", ")),
    };
    Err(Failure::unknown(format!("there is no environment `{name}`"), name, known.iter().copied(), otherwise))
}

#[cfg(feature = "age")]
fn open_file(path: &std::path::Path, identity: &secrecy::SecretString) -> Result<Box<dyn SecretStore>, Failure> {
    Ok(Box::new(tenantry_secret::AgeFile::open(path, identity)?))
}

#[cfg(not(feature = "age"))]
fn open_file(_: &std::path::Path, _: &secrecy::SecretString) -> Result<Box<dyn SecretStore>, Failure> {
    Err(Failure::new(Exit::Error, "this build of Tenantry cannot keep secrets in a file")
        .help("use a build with the feature `age`"))
}

//! One estate in a folder with its store and its simulated world, and the steps of a run upon them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use assert_fs::TempDir;
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Row as _};
use tenantry_core::diagnostics::codes;
use tenantry_core::model::address::{Address, Owner};
use tenantry_core::model::document::{Estate, Phase};
use tenantry_core::model::resource::Applied;
use tenantry_core::model::secret::SecretReference;
use tenantry_core::plan::{Plan, json};
use tenantry_core::resolve::{self, Environment};
use tenantry_engine::apply::apply;
use tenantry_engine::outcome::Report;
use tenantry_engine::request::{Event, Progress, Request};
use tenantry_engine::targets::Targets;
use tenantry_engine::{EngineError, plan};
use tenantry_sandbox::faults::{Faults, NoFaults};
use tenantry_sandbox::{Mode, Sandbox, World};
use tenantry_secret::contract::{SecretStore, SecretStoreError};
use tenantry_store::contract::{Scope, Store};
use tenantry_store::{OpenMode, SqliteStore};
use tokio_util::sync::CancellationToken;

use super::bank::{CATALOGUE, PROVIDERS};
use super::model::Model;

/// A folder with an estate.
pub struct Bed {
    pub folder: TempDir,
    /// Seconds since the beginning of the test's time.
    seconds: Arc<AtomicI64>,
}

/// What a run meets.
pub struct Conditions<'a> {
    pub store: Arc<dyn Store>,
    pub secrets: &'a dyn SecretStore,
    pub faults: Arc<dyn Faults>,
    pub cancel: CancellationToken,
    pub holder: &'a str,
    pub progress: &'a Log,
}

/// An estate that was read, with the environment that counts.
pub struct Opened {
    pub estate: Estate,
    environment: Environment,
    sandbox: Sandbox,
    folder: PathBuf,
}

/// A row of the world, every column as text.
pub type WorldRow = [String; 7];

impl Opened {
    pub fn targets(&self) -> Targets<'_> {
        Targets {
            environment: &self.environment,
            providers: &PROVIDERS,
            catalogue: CATALOGUE.clone(),
            sandbox: self.sandbox.clone(),
            folder: self.folder.clone(),
            variables: &|_| None,
        }
    }
}

/// A folder for files that need not survive: in memory where the system has room for that.
fn scratch() -> TempDir {
    static FAST: OnceLock<bool> = OnceLock::new();
    let memory = Path::new("/dev/shm");
    let in_memory = *FAST.get_or_init(|| TempDir::new_in(memory).is_ok());
    if in_memory { TempDir::new_in(memory) } else { TempDir::new() }.expect("a temporary folder")
}

impl Bed {
    pub fn new(model: &Model) -> Self {
        let bed = Self { folder: scratch(), seconds: Arc::default() };
        bed.write(model);
        bed
    }

    /// Replaces the documents of the estate.
    pub fn write(&self, model: &Model) {
        let tenants = self.folder.path().join("tenants");
        let _ = std::fs::remove_dir_all(&tenants);
        std::fs::create_dir_all(&tenants).expect("a folder");
        for (path, text) in model.files() {
            std::fs::write(self.folder.path().join(path), text).expect("a document is written");
        }
    }

    /// Every file below the folder with its bytes.
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        fn collect(folder: &Path, root: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
            for entry in std::fs::read_dir(folder).expect("a folder is read") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    collect(&path, root, files);
                } else {
                    let name = path.strip_prefix(root).expect("it is below").to_owned();
                    files.insert(name, std::fs::read(&path).expect("a file is read"));
                }
            }
        }
        let mut files = BTreeMap::new();
        collect(self.folder.path(), self.folder.path(), &mut files);
        files
    }

    pub fn now(&self) -> Timestamp {
        let start: Timestamp = "2026-03-01T08:00:00Z".parse().expect("a time");
        start + SignedDuration::from_secs(self.seconds.load(Ordering::Relaxed))
    }

    /// The seconds that have passed, to be moved by somebody else.
    pub fn clock(&self) -> Arc<AtomicI64> {
        self.seconds.clone()
    }

    pub fn wait(&self, seconds: i64) {
        self.seconds.fetch_add(seconds, Ordering::Relaxed);
    }

    fn world(&self) -> PathBuf {
        self.folder.path().join("state/sandbox.db")
    }

    pub fn open(&self, mode: Mode, faults: Arc<dyn Faults>) -> Opened {
        let options = tenantry_source::Options { threads: 1, ..tenantry_source::Options::default() };
        let loaded = tenantry_source::load(&tenantry_source::Place::Directory(self.folder.path().to_owned()), options);
        let Some(estate) = loaded.estate else {
            panic!("the drawn estate is not well formed: {:#?}", loaded.diagnostics);
        };
        let environment = resolve::environment(&estate.config, &estate.config_positions, None).expect("an environment");
        let sandbox = Sandbox::new(World::new(&self.world(), mode), CATALOGUE.clone()).with_faults(faults);
        Opened { estate, environment, sandbox, folder: self.folder.path().to_owned() }
    }

    pub async fn store(&self, mode: OpenMode) -> Arc<dyn Store> {
        let path = self.folder.path().join("state/store.db");
        Arc::new(SqliteStore::open(&path, &Scope::new("drawn", None), mode).await.expect("the store opens"))
    }

    /// Plans as the command does: with everything opened for reading only.
    pub async fn plan_with(
        &self,
        faults: Arc<dyn Faults>,
        threads: usize,
        selected: &(dyn Fn(&Owner) -> bool + Sync),
    ) -> Plan {
        let opened = self.open(Mode::ReadOnly, faults);
        let store = self.store(OpenMode::ReadOnly).await;
        let secrets = KnownSecrets::of(self);
        let outcome = tenantry_engine::plan::plan(&plan::Request {
            estate: &opened.estate,
            targets: &opened.targets(),
            store: &*store,
            secrets: Some(&secrets),
            now: self.now(),
            selected,
            threads,
        })
        .await
        .expect("a plan is made");
        outcome.plan.unwrap_or_else(|| panic!("the drawn estate cannot be planned: {:#?}", outcome.diagnostics))
    }

    pub async fn plan(&self) -> Plan {
        self.plan_with(Arc::new(NoFaults), 1, &|_| true).await
    }

    pub async fn apply_under(&self, plan: &Plan, conditions: &Conditions<'_>) -> Result<Report, EngineError> {
        let opened = self.open(Mode::ReadWrite, conditions.faults.clone());
        apply(&Request {
            plan,
            targets: &opened.targets(),
            store: &*conditions.store,
            secrets: conditions.secrets,
            actor: "somebody@here".into(),
            holder: conditions.holder.into(),
            now: self.now(),
            clock: &|| self.now(),
            cancel: conditions.cancel.clone(),
            progress: conditions.progress,
        })
        .await
    }

    /// Applies where nothing goes wrong.
    pub async fn apply(&self, plan: &Plan) -> Report {
        let conditions = Conditions {
            store: self.store(OpenMode::ReadWrite).await,
            secrets: &KnownSecrets::of(self),
            faults: Arc::new(NoFaults),
            cancel: CancellationToken::new(),
            holder: "the only one",
            progress: &Log::default(),
        };
        self.apply_under(plan, &conditions).await.expect("applied")
    }

    /// Plans and applies, unless a guard refuses. Whether it was applied.
    pub async fn settle(&self) -> bool {
        let plan = self.plan().await;
        if plan.is_refused() {
            return false;
        }
        let report = self.apply(&plan).await;
        assert_all_done(&report, &plan);
        true
    }

    pub async fn execute(&self, sql: &str, parameters: &[&str]) {
        let mut world = SqliteConnectOptions::new().filename(self.world()).connect().await.expect("the world opens");
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for parameter in parameters {
            query = query.bind(*parameter);
        }
        query.execute(&mut world).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// Everything that is in the world, in order.
    pub async fn rows(&self) -> Vec<WorldRow> {
        self.select(
            "SELECT target, kind, identity, name, spec, coalesce(mark, ''), outputs FROM resources ORDER BY 1, 2, 3",
        )
        .await
    }

    /// Which resource of the world needs which, in order.
    pub async fn needs(&self) -> Vec<WorldRow> {
        self.select("SELECT target, kind, identity, needed_kind, needed_name, '', '' FROM needs ORDER BY 1, 2, 3, 4, 5")
            .await
    }

    async fn select(&self, sql: &str) -> Vec<WorldRow> {
        if !self.world().exists() {
            return Vec::new();
        }
        let options = SqliteConnectOptions::new().filename(self.world()).read_only(true);
        let mut world = options.connect().await.expect("the world opens");
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut world).await.expect("the world is read");
        rows.iter().map(|row| std::array::from_fn(|column| row.get(column))).collect()
    }

    /// What is there at the end: the world, the inventory and the phases.
    pub async fn end(&self) -> End {
        let store = self.store(OpenMode::ReadOnly).await;
        let open: Vec<String> =
            store.open_steps().await.expect("read").iter().map(|step| step.address.to_string()).collect();
        assert_eq!(open, [""; 0], "steps are left open");
        store.verify_journal().await.expect("the journal is complete");
        End {
            rows: self.rows().await,
            needs: self.needs().await,
            inventory: store.inventory().await.expect("read"),
            phases: store
                .tenants()
                .await
                .expect("read")
                .into_iter()
                .map(|(tenant, record)| (tenant, record.phase))
                .collect(),
        }
    }

    /// Nothing is left to do, nothing is found, and the world holds what the repository asks for and nothing else.
    pub async fn assert_settled(&self) {
        let plan = self.plan().await;
        assert!(
            plan.is_empty() && plan.blocked.is_empty(),
            "not settled: {}",
            crate::support::as_json(json::Written::saved(&plan))
        );
        // An Approval of everything is left when nothing needs it any more.
        let is_expected = |finding: &tenantry_core::plan::Finding| *finding.code == *codes::APPROVAL_UNUSED.0;
        assert!(plan.findings.iter().all(is_expected), "something is found: {:#?}", plan.findings);
        let end = self.end().await;
        let applied: BTreeSet<_> = end
            .inventory
            .iter()
            .map(|applied| (applied.target.to_string(), applied.kind.to_string(), applied.identity.to_string()))
            .collect();
        let there: BTreeSet<_> = end
            .rows
            .iter()
            .map(|[target, kind, identity, ..]| (target.clone(), kind.clone(), identity.clone()))
            .collect();
        assert_eq!(there, applied, "the world and the inventory hold the same");
        // Data of a tenant that leaves is kept, though nobody asks for it any more.
        let kept: usize = plan.retained.iter().map(|retained| retained.resources.len()).sum();
        assert_eq!(end.rows.len(), plan.unchanged + kept, "the world holds what is asked for and nothing else");
    }
}

/// What a run comes to.
#[derive(Debug, PartialEq)]
pub struct End {
    pub rows: Vec<WorldRow>,
    pub needs: Vec<WorldRow>,
    pub inventory: Vec<Applied>,
    pub phases: BTreeMap<Arc<str>, Phase>,
}

/// Secrets whose values follow from their names, so that two runs may be compared, and in which every encoding shows. Which
/// of them are stored is kept beside the estate.
pub struct KnownSecrets {
    file: PathBuf,
}

/// Runs at once share the file, as they share a secret store.
static FILE: Mutex<()> = Mutex::new(());

/// What every known value begins with, and no generated one.
const BEGINNING: &str = "k7\"";

impl KnownSecrets {
    pub fn of(bed: &Bed) -> Self {
        let file = bed.folder.path().join("state/secrets.json");
        Self { file }
    }

    fn stored(&self) -> BTreeMap<SecretReference, String> {
        let stored: Vec<(SecretReference, String)> = std::fs::read(&self.file)
            .map(|bytes| serde_json::from_slice(&bytes).expect("references"))
            .unwrap_or_default();
        stored.into_iter().collect()
    }

    /// Long enough that it is nowhere by chance; with characters that JSON, URLs and SQL write in another way.
    pub fn value(reference: &SecretReference) -> SecretString {
        let SecretReference { owner, name, version } = reference;
        format!("{BEGINNING}{owner}/{name}'+{version}&ü%\\9zQ").into()
    }

    pub fn key() -> SecretString {
        "the key of all hashes".to_owned().into()
    }

    fn existing(
        &self,
        references: impl IntoIterator<Item = SecretReference>,
    ) -> BTreeMap<SecretReference, SecretString> {
        let _file = FILE.lock().expect("no panic");
        let stored = self.stored();
        references
            .into_iter()
            .filter_map(|wanted| Some((wanted.clone(), stored.get(&wanted)?.clone().into())))
            .collect()
    }
}

#[async_trait]
impl SecretStore for KnownSecrets {
    async fn get(
        &self,
        references: &[SecretReference],
    ) -> Result<BTreeMap<SecretReference, SecretString>, SecretStoreError> {
        Ok(self.existing(references.iter().cloned()))
    }

    async fn put(
        &self,
        secrets: BTreeMap<SecretReference, SecretString>,
    ) -> Result<BTreeMap<SecretReference, SecretString>, SecretStoreError> {
        {
            let _file = FILE.lock().expect("no panic");
            let mut stored = self.stored();
            for (reference, value) in &secrets {
                let value = value.expose_secret();
                // A renamed tenant inherits what it had; anything else was generated and gives way to the known value.
                let inherited = value.starts_with(BEGINNING);
                assert!(inherited || value.len() >= 32, "a short secret for {reference}");
                let value = if inherited { value.into() } else { Self::value(reference) };
                stored.entry(reference.clone()).or_insert_with(|| value.expose_secret().to_owned());
            }
            std::fs::create_dir_all(self.file.parent().expect("a folder")).expect("a folder");
            std::fs::write(&self.file, serde_json::to_vec(&stored.iter().collect::<Vec<_>>()).expect("JSON"))
                .expect("written");
        }
        Ok(self.existing(secrets.into_keys()))
    }

    async fn hash_key(&self) -> Result<Option<SecretString>, SecretStoreError> {
        let _file = FILE.lock().expect("no panic");
        Ok((!self.stored().is_empty()).then(Self::key))
    }

    async fn list(&self) -> Result<Vec<SecretReference>, SecretStoreError> {
        let _file = FILE.lock().expect("no panic");
        Ok(self.stored().into_keys().collect())
    }

    fn location(&self) -> String {
        "the test".into()
    }
}

/// Everything that a run told, a line each.
#[derive(Default)]
pub struct Log(pub Mutex<Vec<String>>);

impl Progress for Log {
    fn event(&self, event: &Event<'_>) {
        let line = serde_json::to_string(event).expect("an event is JSON");
        self.0.lock().expect("no panic").push(line);
    }
}

/// Runs a test's body, with as many threads as a command on a small machine has.
pub fn block_on<T>(body: impl Future<Output = T>) -> T {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
    });
    runtime.block_on(body)
}

/// How many cases a property is tried on: `most` on a machine that a person waits at, more where `PROPTEST_CASES` says so.
pub fn cases(usual: u32, file: &'static str) -> proptest::test_runner::Config {
    use proptest::test_runner::{Config, FileFailurePersistence};
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    Config {
        cases: asked.unwrap_or(usual),
        max_shrink_iters: 60,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(file))),
        ..Config::default()
    }
}

pub fn assert_all_done(report: &Report, plan: &Plan) {
    let undone = report.outcomes.iter().filter(|(_, (_, outcome))| !outcome.is_done());
    let undone: Vec<String> =
        undone.map(|(address, (action, outcome))| format!("{action:?} {address}: {outcome:?}")).collect();
    assert!(
        undone.is_empty(),
        "nothing went wrong, and yet: {undone:#?}\nin the plan {}",
        crate::support::as_json(json::Written::saved(plan))
    );
}

/// Addresses of a report that were not done.
pub fn undone(report: &Report) -> BTreeSet<Address> {
    report.outcomes.iter().filter(|(_, (_, outcome))| !outcome.is_done()).map(|(address, _)| address.clone()).collect()
}

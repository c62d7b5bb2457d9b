//! A provider of its own for stories that no kind of a real provider tells in the sandbox.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use assert_fs::TempDir;
use jiff::Timestamp;
use schemars::json_schema;
use tenantry_core::model::address::Owner;
use tenantry_core::model::document::Estate;
use tenantry_core::model::kind::{Batch, BySpec, Capture, Instance, Kind, MarkPlace};
use tenantry_core::plan::{Action, Cause, Plan, json};
use tenantry_core::resolve;
use tenantry_engine::apply::apply;
use tenantry_engine::outcome::Report;
use tenantry_engine::plan;
use tenantry_engine::request::{Event, Progress, Request};
use tenantry_engine::targets::Targets;
use tenantry_provider::contract::{Provider, ProviderError, Reader, Settings, Writer};
use tenantry_sandbox::faults::{Faults, NoFaults};
use tenantry_sandbox::{Mode, Sandbox, SandboxSecrets, World};
use tenantry_source::{Options, Place, load};
use tenantry_store::contract::Scope;
use tenantry_store::{OpenMode, SqliteStore};
use tokio_util::sync::CancellationToken;

use crate::command;

/// A provider whose accounts get an id from the server, and whose hooks and logins get a secret that is told once. Branches
/// and versions have no room for a mark.
struct Shop;

impl Provider for Shop {
    fn name(&self) -> &'static str {
        "shop"
    }

    fn placement_key(&self) -> &'static str {
        "shop"
    }

    fn kinds(&self) -> Vec<Kind> {
        let kind = |name| Kind {
            name,
            summary: "Something in a shop.",
            schema: json_schema!({"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}),
            identity: &["name"],
            immutable: &[],
            write_only: &[],
            reviewed: &[],
            sensitive: &[],
            owned_by_key: &[],
            outputs: &[],
            captures: &[],
            name_limits: &[],
            references: &[],
            loses_data: false,
            bills: false,
            mark: MarkPlace::Target,
            batch: Batch::Transaction { within: None },
            defaults: tenantry_core::model::value::Map::default(),
            normalise: |_| {},
            told: None,
            check: |_| Vec::new(),
            check_together: None,
            by_spec: None,
            nesting: None,
        };
        let unmarked = |name, instance| Kind {
            outputs: &[("id", "the server's number for it")],
            mark: MarkPlace::Inventory,
            batch: Batch::Single,
            loses_data: true,
            by_spec: Some(BySpec {
                instance,
                write_only: |_| vec!["/about".into(), "/origin".into()],
                immutable: |_| vec!["/origin".into()],
                ..BySpec::named(|spec| spec.get("name")?.as_str().map(Into::into))
            }),
            ..kind(name)
        };
        vec![
            Kind { outputs: &[("id", "the server's number for it")], ..kind("shop.account") },
            kind("shop.card"),
            Kind { captures: const { &[secret(None, true)] }, ..kind("shop.hook") },
            Kind { captures: const { &[secret(Some("/key"), false)] }, ..kind("shop.login") },
            unmarked("shop.branch", |_| Some(Instance::Made("id"))),
            unmarked("shop.version", |_| Some(Instance::Written("id"))),
        ]
    }

    fn settings_schema(&self) -> schemars::Schema {
        json_schema!({"type": "object"})
    }

    fn reader(&self, _: &Settings) -> Result<Box<dyn Reader>, ProviderError> {
        unreachable!("the sandbox is in its place")
    }

    fn writer(&self, _: &Settings) -> Result<Box<dyn Writer>, ProviderError> {
        unreachable!("the sandbox is in its place")
    }
}

const fn secret(field: Option<&'static str>, replaces: bool) -> Capture {
    Capture { name: Cow::Borrowed("secret"), meaning: Cow::Borrowed("what opens it"), field, replaces }
}

struct Silent;

impl Progress for Silent {
    fn event(&self, _: &Event<'_>) {}
}

fn now() -> Timestamp {
    command::NOW.parse().expect("the tests' time is a time")
}

/// A folder with an estate of one sandboxed shop.
pub fn estate(documents: &str) -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    std::fs::create_dir(folder.path().join("tenants")).expect("a folder can be made");
    let config = "[estate]\nname = \"shops\"\n[offboarding]\nretention_days = 0\nmin_retention_days = 0\n[targets.main]\nprovider = \"shop\"\nsandbox = true\n";
    std::fs::write(folder.path().join("tenantry.toml"), config).expect("a file can be written");
    std::fs::write(folder.path().join("tenants/all.yaml"), documents).expect("a file can be written");
    folder
}

/// Plans, and applies what was planned after it went through its saved form. Everything is done.
pub async fn plan_and_apply(folder: &Path) -> (Plan, Report) {
    let (plan, report) = plan_and_apply_with(folder, Arc::new(NoFaults)).await;
    let undone: Vec<_> = report.outcomes.iter().filter(|(_, (_, outcome))| !outcome.is_done()).collect();
    assert!(undone.is_empty(), "{undone:?}");
    (plan, report)
}

/// The same in a world in which things may go wrong.
pub async fn plan_and_apply_with(folder: &Path, faults: Arc<dyn Faults>) -> (Plan, Report) {
    in_shop(folder, faults, async |shop: &Opened<'_>| {
        let plan = plan_in(shop).await;
        let saved = crate::support::as_json(json::Written::saved(&plan)).to_string();
        let read = json::from_json(&saved).expect("a saved plan is read back");
        assert_eq!(read, plan, "a saved plan is the plan");
        let report = apply(&Request {
            plan: &read,
            targets: shop.targets,
            store: shop.store,
            secrets: shop.secrets,
            actor: "tester@example".into(),
            holder: "tester@example (1)".into(),
            now: now(),
            clock: &now,
            cancel: CancellationToken::new(),
            progress: &Silent,
        })
        .await
        .expect("it can be applied");
        (plan, report)
    })
    .await
}

async fn plan_in(shop: &Opened<'_>) -> Plan {
    let outcome = plan::plan(&shop.request()).await.expect("it can be planned");
    outcome.plan.unwrap_or_else(|| panic!("it cannot be planned: {:#?}", outcome.diagnostics))
}

/// What would be done.
pub async fn planned(folder: &Path) -> Plan {
    in_shop(folder, Arc::new(NoFaults), plan_in).await
}

/// Why an estate cannot be planned.
pub async fn problems(folder: &Path) -> Vec<String> {
    in_shop(folder, Arc::new(NoFaults), async |shop: &Opened<'_>| {
        let outcome = plan::plan(&shop.request()).await.expect("targets can be asked");
        outcome.diagnostics.into_iter().map(|diagnostic| diagnostic.message).collect()
    })
    .await
}

struct Opened<'a> {
    estate: &'a Estate,
    targets: &'a Targets<'a>,
    store: &'a SqliteStore,
    secrets: &'a SandboxSecrets,
}

impl Opened<'_> {
    fn request(&self) -> plan::Request<'_> {
        plan::Request {
            estate: self.estate,
            targets: self.targets,
            store: self.store,
            secrets: Some(self.secrets),
            now: now(),
            selected: &|_: &Owner| true,
            threads: 1,
        }
    }
}

async fn in_shop<T>(folder: &Path, faults: Arc<dyn Faults>, work: impl AsyncFnOnce(&Opened<'_>) -> T) -> T {
    let providers: Vec<Arc<dyn Provider>> = vec![Arc::new(Shop)];
    let catalogue = Arc::new(tenantry_registry::catalogue(&providers));
    let loaded = load(&Place::Directory(folder.to_owned()), Options::default());
    let estate = loaded.estate.unwrap_or_else(|| panic!("the estate has problems: {:#?}", loaded.diagnostics));
    let environment =
        resolve::environment(&estate.config, &estate.config_positions, None).expect("the configuration is well formed");
    let world = World::new(&folder.join(".tenantry/default/sandbox.db"), Mode::ReadWrite);
    let targets = Targets {
        environment: &environment,
        providers: &providers,
        catalogue: catalogue.clone(),
        sandbox: Sandbox::new(world.clone(), catalogue).with_faults(faults),
        folder: folder.to_owned(),
        variables: &|_| None,
    };
    let store = SqliteStore::open(
        &folder.join(".tenantry/default/store.db"),
        &Scope { estate: environment.estate.clone(), environment: environment.name.clone() },
        OpenMode::ReadWrite,
    )
    .await
    .expect("the store opens");
    let secrets = SandboxSecrets::new(world);
    work(&Opened { estate: &estate, targets: &targets, store: &store, secrets: &secrets }).await
}

pub fn summary(plan: &Plan) -> Vec<(String, Action, Cause)> {
    plan.changes.iter().map(|change| (change.address.to_string(), change.action(), change.cause)).collect()
}

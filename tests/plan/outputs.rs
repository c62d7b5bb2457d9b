//! What a target tells of a resource only once it exists: known after apply, put where it is used, and known from then on.
//!
//! No kind of a real provider has outputs yet, so this estate has a provider of its own, with the sandbox in its place.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use schemars::json_schema;
use tenantry::core::model::address::Owner;
use tenantry::core::model::kind::{Batch, Kind, MarkPlace};
use tenantry::core::plan::{Action, Cause, Plan, json};
use tenantry::core::resolve;
use tenantry::engine::apply::{self, Event, Progress, Report};
use tenantry::engine::plan;
use tenantry::engine::targets::Targets;
use tenantry::provider::contract::{Provider, ProviderError, Reader, Settings, Writer};
use tenantry::provider::registry;
use tenantry::provider::sandbox::{Mode, Sandbox, SandboxSecrets, World};
use tenantry::source::{Options, Place, load};
use tenantry::store::{OpenMode, SqliteStore};
use tokio_util::sync::CancellationToken;

use crate::command;

/// A provider whose accounts get an id from the server.
struct Shop;

impl Provider for Shop {
    fn name(&self) -> &'static str {
        "shop"
    }

    fn placement_key(&self) -> &'static str {
        "shop"
    }

    fn kinds(&self) -> Vec<Kind> {
        let kind = |name, outputs| Kind {
            name,
            summary: "Something in a shop.",
            schema: json_schema!({"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}),
            identity: &["name"],
            immutable: &[],
            write_only: &[],
            sensitive: &[],
            owned_by_key: &[],
            outputs,
            name_limits: &[],
            references: &[],
            loses_data: false,
            bills: false,
            mark: MarkPlace::Target,
            batch: Batch::Transaction,
            normalise: Clone::clone,
            check: |_| Vec::new(),
            check_together: None,
            by_spec: None,
        };
        vec![kind("shop.account", &[("id", "the server's number for it")]), kind("shop.card", &[])]
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

struct Silent;

impl Progress for Silent {
    fn event(&self, _: &Event<'_>) {}
}

const ESTATE: &str = r#"
apiVersion: tenantry.dev/v1
kind: Tenant
metadata: {name: acme}
spec: {displayName: Acme, tier: basic, phase: active}
---
apiVersion: tenantry.dev/v1
kind: Tier
metadata: {name: basic}
spec: {rank: 1, blueprints: [shop]}
---
apiVersion: tenantry.dev/v1
kind: Blueprint
metadata: {name: shop}
spec:
  scope: tenant
  resources:
    - id: card
      kind: shop.card
      spec:
        name: "${tenant.name}-card"
        account: "${resources.account.id}"
        link: "https://shop.example/${resources.account.id}/${tenant.name}"
        labels: {all: [of, "${resources.account.id}"]}
    - id: account
      kind: shop.account
      spec: {name: "${tenant.name}"}
"#;

fn now() -> Timestamp {
    command::NOW.parse().expect("the tests' time is a time")
}

/// Plans, and applies what was planned after it went through its saved form.
async fn plan_and_apply(folder: &Path) -> (Plan, Report) {
    let providers: Vec<Arc<dyn Provider>> = vec![Arc::new(Shop)];
    let catalogue = Arc::new(registry::catalogue(&providers));
    let loaded = load(&Place::Directory(folder.to_owned()), Options::default());
    let estate = loaded.estate.unwrap_or_else(|| panic!("the estate has problems: {:#?}", loaded.diagnostics));
    let environment =
        resolve::environment(&estate.config, &estate.config_positions, None).expect("the configuration is well formed");
    let world = World::new(&folder.join(".tenantry/default/sandbox.db"), Mode::ReadWrite);
    let targets = Targets {
        environment: &environment,
        providers: &providers,
        catalogue: catalogue.clone(),
        sandbox: Sandbox::new(world.clone(), catalogue),
        folder: folder.to_owned(),
        variables: &|_| None,
    };
    let store = SqliteStore::open(&folder.join(".tenantry/default/store.db"), OpenMode::ReadWrite)
        .await
        .expect("the store opens");
    let secrets = SandboxSecrets::new(world);
    let outcome = plan::plan(&plan::Request {
        estate: &estate,
        targets: &targets,
        store: &store,
        secrets: &secrets,
        now: now(),
        selected: &|_: &Owner| true,
        threads: 1,
    })
    .await
    .expect("it can be planned");
    let plan = outcome.plan.unwrap_or_else(|| panic!("it cannot be planned: {:#?}", outcome.diagnostics));
    let saved = json::to_json(&plan, false).to_string();
    let read = json::from_json(&saved).expect("a saved plan is read back");
    assert_eq!(read, plan, "a saved plan is the plan");
    let report = apply::apply(&apply::Request {
        plan: &read,
        targets: &targets,
        store: &store,
        secrets: &secrets,
        actor: "tester@example".into(),
        holder: "tester@example (1)".into(),
        clock: &now,
        cancel: CancellationToken::new(),
        progress: &Silent,
    })
    .await
    .expect("it can be applied");
    let undone: Vec<_> = report.outcomes.iter().filter(|(_, (_, outcome))| !outcome.is_done()).collect();
    assert!(undone.is_empty(), "{undone:?}");
    (plan, report)
}

fn summary(plan: &Plan) -> Vec<(String, Action, Cause)> {
    plan.changes.iter().map(|change| (change.address.to_string(), change.action, change.cause)).collect()
}

#[tokio::test]
async fn outputs_are_known_after_apply_and_then_for_good() {
    let folder = assert_fs::TempDir::new().expect("a temporary folder");
    std::fs::create_dir(folder.path().join("tenants")).expect("a folder can be made");
    std::fs::write(
        folder.path().join("tenantry.toml"),
        "[estate]\nname = \"shops\"\n[targets.main]\nprovider = \"shop\"\nsandbox = true\n",
    )
    .expect("a file can be written");
    std::fs::write(folder.path().join("tenants/all.yaml"), ESTATE).expect("a file can be written");

    let (first, _) = plan_and_apply(folder.path()).await;
    let created = |address: &str| (address.to_owned(), Action::Create, Cause::Pending);
    assert_eq!(summary(&first), [created("acme/account"), created("acme/card")]);
    let shown = json::to_json(&first, true);
    let unknown = &shown["changes"][1]["unknownAfter"];
    assert_eq!(*unknown, serde_json::json!(["/account", "/labels/all/1", "/link"]));
    assert_eq!(shown["changes"][1]["after"]["link"], "https://shop.example/(acme/account.id, known after apply)/acme");

    let (second, _) = plan_and_apply(folder.path()).await;
    assert_eq!(summary(&second), [], "what was just applied plans empty");

    // An account that is made anew has another id, and everything that holds the old one follows.
    command::change_world(folder.path(), "DELETE FROM resources WHERE kind = 'shop.account';\n").await;
    let (third, _) = plan_and_apply(folder.path()).await;
    assert_eq!(
        summary(&third),
        [("acme/account".into(), Action::Create, Cause::Drift), ("acme/card".into(), Action::Update, Cause::Pending)]
    );
    let (last, _) = plan_and_apply(folder.path()).await;
    assert_eq!(summary(&last), [], "what was just applied plans empty");
}

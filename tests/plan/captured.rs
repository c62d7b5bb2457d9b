//! Secrets that a target makes and tells once: kept at once, referred to from then on, and made anew where they were lost.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tenantry_core::plan::{Action, Cause, Plan, Reason, json};
use tenantry_provider::contract::ErrorClass;
use tenantry_sandbox::faults::{Fault, Faults, Operation};

use crate::command;
use crate::plan::shop::{estate, plan_and_apply, plan_and_apply_with, problems, summary};

/// A tenant with a hook, a login, and cards that hold their secrets.
fn documents(tenant: &str, rotation: u32) -> String {
    format!(
        r#"
apiVersion: tenantry.dev/v1
kind: Tenant
metadata: {{name: {tenant}, previously: [earlier]}}
spec: {{displayName: Acme, tier: basic, phase: active}}
---
apiVersion: tenantry.dev/v1
kind: Tier
metadata: {{name: basic}}
spec: {{rank: 1, blueprints: [shop]}}
---
apiVersion: tenantry.dev/v1
kind: Blueprint
metadata: {{name: shop}}
spec:
  scope: tenant
  resources:
    - id: hook
      kind: shop.hook
      spec: {{name: hook}}
    - id: login
      kind: shop.login
      spec: {{name: login, key: {rotation}}}
    - id: hook_card
      kind: shop.card
      spec: {{name: a, text: "token=${{resources.hook.secret}}"}}
    - id: login_card
      kind: shop.card
      spec: {{name: b, text: "${{resources.login.secret}}"}}
"#
    )
}

fn write(folder: &Path, documents: &str) {
    std::fs::write(folder.join("tenants/all.yaml"), documents).expect("a file can be written");
}

/// Every secret that the simulated targets told, in the order in which they were kept.
async fn kept(folder: &Path) -> Vec<(String, i64, String)> {
    use sqlx::{ConnectOptions as _, Connection as _};
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.join(".tenantry/default/sandbox.db"));
    let mut connection = options.connect().await.expect("the world opens");
    let rows = sqlx::query_as("SELECT name, version, value FROM secrets ORDER BY name, version")
        .fetch_all(&mut connection)
        .await
        .expect("secrets are read");
    connection.close().await.expect("the world closes");
    rows
}

fn plans(plan: &Plan, expected: &[(&str, Action)]) {
    let expected: Vec<_> =
        expected.iter().map(|(address, action)| ((*address).to_owned(), *action, Cause::Pending)).collect();
    assert_eq!(summary(plan), expected);
}

#[tokio::test]
async fn a_secret_that_is_told_once_is_kept_and_used() {
    let folder = estate(&documents("acme", 1));
    let folder = folder.path();
    let (first, _) = plan_and_apply(folder).await;
    let created = ["acme/hook", "acme/login", "acme/hook_card", "acme/login_card"];
    plans(&first, &created.map(|address| (address, Action::Create)));
    let shown = crate::support::as_json(json::Written::masked(&first));
    assert_eq!(shown["changes"][2]["after"]["text"], "token=(acme/hook.secret, known after apply)");

    let secrets = kept(folder).await;
    let names: Vec<_> = secrets.iter().map(|(name, version, _)| (&**name, *version)).collect();
    assert_eq!(names, [("hook.secret", 1), ("login.secret", 1)]);
    let (second, _) = plan_and_apply(folder).await;
    plans(&second, &[]);

    // In the record of the run and in the inventory stand references.
    let store = std::fs::read(folder.join(".tenantry/default/store.db")).expect("the store is read");
    let holds = |text: &str| store.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("token=secret(acme/hook.secret, v1)"), "the inventory refers to it");
    assert!(secrets.iter().all(|(.., value)| !holds(value)), "the store holds no value");
}

#[tokio::test]
async fn a_rotation_reaches_what_uses_it_in_the_same_run() {
    let folder = estate(&documents("acme", 1));
    plan_and_apply(folder.path()).await;
    write(folder.path(), &documents("acme", 2));
    let (rotated, _) = plan_and_apply(folder.path()).await;
    plans(&rotated, &[("acme/login", Action::Update), ("acme/login_card", Action::Update)]);
    let (last, _) = plan_and_apply(folder.path()).await;
    plans(&last, &[]);
    let login: Vec<_> = kept(folder.path()).await.into_iter().filter(|(name, ..)| name == "login.secret").collect();
    assert_eq!(login.len(), 2, "the old one is still kept");
    assert_ne!(login[0].2, login[1].2);
}

#[tokio::test]
async fn a_renamed_tenant_keeps_what_was_told() {
    let folder = estate(&documents("earlier", 1).replace(", previously: [earlier]", ""));
    plan_and_apply(folder.path()).await;
    let before = kept(folder.path()).await;
    write(folder.path(), &documents("acme", 1));
    let (renamed, _) = plan_and_apply(folder.path()).await;
    assert!(renamed.changes.iter().all(|change| change.action() == Action::Move), "{:?}", summary(&renamed));
    let (last, _) = plan_and_apply(folder.path()).await;
    plans(&last, &[]);
    assert_eq!(kept(folder.path()).await, before, "nothing was told anew");
}

/// The first write to the hook is done, and its answer lost.
struct LosesHook(AtomicBool);

impl Faults for LosesHook {
    fn next(&self, operation: Operation<'_>) -> Fault {
        let is_hook = matches!(operation, Operation::Write { first_identity: "hook", .. });
        match is_hook && !self.0.swap(true, Ordering::Relaxed) {
            true => Fault::LoseAnswer(ErrorClass::Retryable, "the connection broke".into()),
            false => Fault::None,
        }
    }
}

#[tokio::test]
async fn what_was_told_to_nobody_is_made_anew() {
    let folder = estate(&documents("acme", 1));
    let folder = folder.path();
    let (_, report) = plan_and_apply_with(folder, Arc::new(LosesHook(AtomicBool::new(false)))).await;
    let told: Vec<String> = report
        .outcomes
        .iter()
        .filter(|(_, (_, outcome))| !outcome.is_done())
        .map(|(address, (_, outcome))| format!("{address}: {outcome:?}"))
        .collect();
    let expected = "its secret is not kept: its target did not tell it; the next apply makes another";
    assert!(told.iter().any(|told| told.starts_with("acme/hook:") && told.contains(expected)), "{told:#?}");

    let (again, _) = plan_and_apply(folder).await;
    let hook = again.changes.iter().find(|change| &*change.address.id == "hook").expect("the hook is changed");
    assert_eq!((hook.action(), &hook.reason), (Action::Replace, &Reason::SecretNotKept { secret: "secret".into() }));
    let (last, _) = plan_and_apply(folder).await;
    plans(&last, &[]);
    assert_eq!(kept(folder).await.len(), 2);
}

/// Every write to the login is done, and its answer lost.
struct LosesLogin;

impl Faults for LosesLogin {
    fn next(&self, operation: Operation<'_>) -> Fault {
        let is_login = matches!(operation, Operation::Write { first_identity: "login", .. });
        match is_login {
            true => Fault::LoseAnswer(ErrorClass::Retryable, "the connection broke".into()),
            false => Fault::None,
        }
    }
}

#[tokio::test]
async fn a_rotation_of_which_nobody_was_told_leaves_no_old_secret_beside_a_new_key() {
    let folder = estate(&documents("acme", 1));
    let folder = folder.path();
    plan_and_apply(folder).await;
    let before = kept(folder).await;
    write(folder, &documents("acme", 2));
    let (rotated, report) = plan_and_apply_with(folder, Arc::new(LosesLogin)).await;
    plans(&rotated, &[("acme/login", Action::Update), ("acme/login_card", Action::Update)]);
    assert!(report.outcomes.values().all(|(_, outcome)| !outcome.is_done()), "{:?}", report.outcomes);
    assert_eq!(kept(folder).await, before);

    let (again, _) = plan_and_apply(folder).await;
    let unfinished = ("acme/login".to_owned(), Action::Update, Cause::Unfinished);
    assert_eq!(summary(&again), [unfinished, ("acme/login_card".to_owned(), Action::Update, Cause::Pending)]);
    let (last, _) = plan_and_apply(folder).await;
    plans(&last, &[]);
    assert_eq!(kept(folder).await.len(), before.len() + 1);
}

#[tokio::test]
async fn what_was_told_to_somebody_else_cannot_be_used_and_says_so() {
    let text = documents("acme", 1);
    let alone = text.split("    - id: hook_card").next().expect("there is a beginning").to_owned();
    let folder = estate(&alone);
    plan_and_apply(folder.path()).await;
    // As if it had been made by hand: without a mark, and not on record.
    command::change_store(folder.path(), "DELETE FROM inventory WHERE address = 'acme/hook';\n").await;
    command::change_world(folder.path(), "UPDATE resources SET mark = NULL WHERE kind = 'shop.hook';\n").await;
    let adopted = alone.replace("kind: shop.hook\n", "kind: shop.hook\n      adopt: true\n");
    write(folder.path(), &adopted);
    plan_and_apply(folder.path()).await;
    let (second, _) = plan_and_apply(folder.path()).await;
    plans(&second, &[]);

    let used = text.replace("kind: shop.hook\n", "kind: shop.hook\n      adopt: true\n");
    write(folder.path(), &used);
    let problems = problems(folder.path()).await;
    let expected = "resources.hook.secret is not known: it was returned once, before resources.hook was taken over";
    assert!(problems.iter().any(|problem| problem.contains(expected)), "{problems:#?}");
}

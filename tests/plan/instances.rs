//! What has no room for a mark is told from another of its name by the id that the server made for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tenantry_core::plan::{Action, Cause, json};
use tenantry_provider::contract::ErrorClass;
use tenantry_sandbox::faults::{Fault, Faults, Operation};

use crate::command;
use crate::plan::shop::{estate, plan_and_apply, plan_and_apply_with, planned, summary};

fn documents(phase: &str, adopt: bool, about: &str) -> String {
    format!(
        r"
apiVersion: tenantry.dev/v1
kind: Tenant
metadata: {{name: acme}}
spec: {{displayName: Acme, tier: basic, phase: {phase}}}
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
    - id: branch
      kind: shop.branch
      adopt: {adopt}
      spec: {{name: main}}
    - id: version
      kind: shop.version
      spec: {{name: token, about: {about}}}
---
apiVersion: tenantry.dev/v1
kind: Approval
metadata: {{name: end}}
spec: {{allow: [delete], addresses: ['acme/*'], reason: The customer left., expires: 2099-12-31}}
"
    )
}

const MADE_AGAIN: &str = "UPDATE resources SET outputs = '{\"id\":\"another\"}' WHERE kind = ";

#[tokio::test]
async fn what_was_made_in_the_place_of_ours_is_not_ours() {
    let folder = estate(&documents("active", false, "one"));
    let folder = folder.path();
    let write = |phase: &str| {
        std::fs::write(folder.join("tenants/all.yaml"), documents(phase, false, "one")).expect("a file can be written");
    };
    let made = ("acme/branch".to_owned(), Action::Create, Cause::Pending);
    assert!(summary(&plan_and_apply(folder).await.0).contains(&made));
    assert_eq!(summary(&plan_and_apply(folder).await.0), [], "what was just applied plans empty");

    write("deleting");
    plan_and_apply(folder).await;
    command::change_world(folder, &format!("{MADE_AGAIN}'shop.branch';\n")).await;
    let kept = crate::support::as_json(json::Written::masked(&planned(folder).await));
    assert_eq!(kept["changes"], serde_json::json!([]));
    let reason = |plan: &serde_json::Value| plan["blocked"][0]["reason"].clone();
    let another = serde_json::json!({"code": "another"});
    assert_eq!(reason(&kept), serde_json::json!({"code": "notOurs", "cause": another}));
    write("deleted");
    let ended = planned(folder).await;
    assert_eq!(summary(&ended), [("acme/version".to_owned(), Action::Delete, Cause::Pending)]);
    let ended = crate::support::as_json(json::Written::masked(&ended));
    assert_eq!(reason(&ended), serde_json::json!({"code": "unwantedNotOurs", "cause": another}));
}

#[tokio::test]
async fn what_was_made_in_the_place_of_ours_can_be_adopted() {
    let folder = estate(&documents("active", false, "one"));
    let folder = folder.path();
    plan_and_apply(folder).await;
    command::change_world(folder, &format!("{MADE_AGAIN}'shop.branch';\n")).await;
    std::fs::write(folder.join("tenants/all.yaml"), documents("active", true, "one")).expect("a file can be written");
    let adopted = ("acme/branch".to_owned(), Action::Adopt, Cause::Pending);
    assert_eq!(summary(&plan_and_apply(folder).await.0), [adopted]);
    assert_eq!(summary(&plan_and_apply(folder).await.0), [], "what was just applied plans empty");
}

#[tokio::test]
async fn a_version_that_somebody_else_wrote_is_drift() {
    let folder = estate(&documents("active", false, "one"));
    let folder = folder.path();
    plan_and_apply(folder).await;
    command::change_world(folder, &format!("{MADE_AGAIN}'shop.version';\n")).await;
    let written = |cause| [("acme/version".to_owned(), Action::Update, cause)];
    assert_eq!(summary(&plan_and_apply(folder).await.0), written(Cause::Drift));
    assert_eq!(summary(&plan_and_apply(folder).await.0), [], "what was just applied plans empty");
    std::fs::write(folder.join("tenants/all.yaml"), documents("active", false, "two")).expect("a file can be written");
    assert_eq!(summary(&plan_and_apply(folder).await.0), written(Cause::Pending));
    assert_eq!(summary(&plan_and_apply(folder).await.0), [], "what was just applied plans empty");
}

#[tokio::test]
async fn a_secret_beside_an_id_that_is_known_after_apply_is_not_written_twice() {
    let more = r#"
    - id: account
      kind: shop.account
      spec: {name: acme}
    - id: hook
      kind: shop.hook
      spec: {name: hook}
    - id: url
      kind: shop.version
      spec: {name: url, about: "https://${resources.hook.secret}@${resources.account.id}.example/${resources.account.id}"}
---
apiVersion: tenantry.dev/v1
kind: Approval"#;
    let text = documents("active", false, "one").replace("\n---\napiVersion: tenantry.dev/v1\nkind: Approval", more);
    let folder = estate(&text);
    let (first, _) = plan_and_apply(folder.path()).await;
    assert!(summary(&first).iter().any(|(address, ..)| address == "acme/url"));
    assert_eq!(summary(&plan_and_apply(folder.path()).await.0), [], "what was just applied plans empty");
}

#[tokio::test]
async fn what_something_began_with_cannot_change_and_need_not_be_said_for_ever() {
    let begun_with = |origin: &str| {
        let text = documents("active", false, "one");
        text.replace("spec: {name: main}", &format!("spec: {{name: main{origin}}}"))
    };
    let folder = estate(&begun_with(", origin: a copy"));
    plan_and_apply(folder.path()).await;
    // As a target that does not give it back.
    let forgotten = "UPDATE resources SET spec = json_remove(spec, '$.origin') WHERE kind = 'shop.branch';\n";
    command::change_world(folder.path(), forgotten).await;
    let write = |text: String| std::fs::write(folder.path().join("tenants/all.yaml"), text).expect("a file");
    write(begun_with(""));
    let dropped = planned(folder.path()).await;
    assert_eq!(summary(&dropped), [("acme/branch".to_owned(), Action::Update, Cause::Pending)]);
    assert!(dropped.changes[0].is_only_record(), "the target stays as it is: {:?}", dropped.changes);
    plan_and_apply(folder.path()).await;
    assert_eq!(summary(&planned(folder.path()).await), []);
    write(begun_with(", origin: a copy"));
    plan_and_apply(folder.path()).await;
    command::change_world(folder.path(), forgotten).await;
    write(begun_with(", origin: nothing"));
    let planned = summary(&planned(folder.path()).await);
    assert!(matches!(planned.as_slice(), [(address, Action::Replace, _)] if address == "acme/branch"), "{planned:?}");
}

/// The first write to the branch is done and its answer lost; the next one is refused.
#[derive(Default)]
struct LosesBranch(AtomicUsize);

impl Faults for LosesBranch {
    fn next(&self, operation: Operation<'_>) -> Fault {
        if !matches!(operation, Operation::Write { first_identity: "main", .. }) {
            return Fault::None;
        }
        match self.0.fetch_add(1, Ordering::Relaxed) {
            0 => Fault::LoseAnswer(ErrorClass::Retryable, "the connection broke".into()),
            _ => Fault::Fail(ErrorClass::Denied, "the token has expired".into()),
        }
    }
}

#[tokio::test]
async fn what_was_made_without_an_answer_is_ours_though_the_next_try_was_refused() {
    let folder = estate(&documents("active", false, "one"));
    let folder = folder.path();
    plan_and_apply_with(folder, Arc::new(LosesBranch::default())).await;
    let again = planned(folder).await;
    assert_eq!(crate::support::as_json(json::Written::masked(&again))["blocked"], serde_json::json!([]));
    plan_and_apply(folder).await;
    assert_eq!(summary(&planned(folder).await), [], "what was just applied plans empty");
}

#[tokio::test]
async fn what_an_interrupted_run_made_in_the_place_of_ours_can_be_deleted() {
    let begun_with = |phase: &str, origin: &str| {
        let text = documents(phase, false, "one");
        text.replace("spec: {name: main}", &format!("spec: {{name: main, origin: {origin}}}"))
    };
    let folder = estate(&begun_with("active", "a copy"));
    let folder = folder.path();
    let write = |text: String| std::fs::write(folder.join("tenants/all.yaml"), text).expect("a file");
    plan_and_apply(folder).await;
    write(begun_with("active", "nothing"));
    let (plan, _) = plan_and_apply_with(folder, Arc::new(LosesBranch::default())).await;
    assert!(plan.changes.iter().any(|change| change.action() == Action::Replace), "{:?}", summary(&plan));
    // Nobody asks for it any more.
    let branch =
        "    - id: branch\n      kind: shop.branch\n      adopt: false\n      spec: {name: main, origin: nothing}\n";
    let text = begun_with("active", "nothing");
    assert!(text.contains(branch));
    write(text.replace(branch, ""));
    let (plan, _) = plan_and_apply(folder).await;
    assert_eq!(summary(&plan), [("acme/branch".to_owned(), Action::Delete, Cause::Pending)]);
    assert_eq!(
        crate::support::as_json(json::Written::masked(&planned(folder).await))["blocked"],
        serde_json::json!([])
    );
}

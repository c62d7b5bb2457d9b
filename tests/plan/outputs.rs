//! What a target tells of a resource only once it exists: known after apply, put where it is used, and known from then on.

use tenantry_core::plan::{Action, Cause, json};

use crate::command;
use crate::plan::shop::{estate, plan_and_apply, summary};

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

#[tokio::test]
async fn outputs_are_known_after_apply_and_then_for_good() {
    let folder = estate(ESTATE);

    let (first, _) = plan_and_apply(folder.path()).await;
    let created = |address: &str| (address.to_owned(), Action::Create, Cause::Pending);
    assert_eq!(summary(&first), [created("acme/account"), created("acme/card")]);
    let shown = crate::support::as_json(json::Written::masked(&first));
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

//! `forget`: a resource stays as it is and is no longer managed.

use std::path::Path;

use assert_fs::TempDir;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value as Json, json};
use tenantry_core::model::address::Owner;
use tenantry_store::contract::{Holder, LockRequest, Scope, Store as _};
use tenantry_store::{OpenMode, SqliteStore};

use crate::command::{Said, run, tenantry, wait};

const WORLD: &str = ".tenantry/default/sandbox.db";
const PRODUCT: &str = "    - {id: product, kind: stripe.product, spec: {key: bakery, name: Bakery}}\n";
const PRICE: &str = "    - {id: price, kind: stripe.price, spec: {lookupKey: bakery, product: \"${resources.product.key}\", currency: usd, amount: \"5.00\", interval: month}}\n";
const CUSTOMER: &str = "    - {id: customer, kind: stripe.customer, spec: {key: bakery, name: Bakery}}\n";

fn write(folder: &Path, tenants: &str, resources: &str) {
    let documents = format!(
        "apiVersion: tenantry.dev/v1\nkind: Tier\nmetadata: {{name: standard}}\nspec: {{rank: 1, blueprints: [saas]}}\n---\n\
         {tenants}apiVersion: tenantry.dev/v1\nkind: Blueprint\nmetadata: {{name: saas}}\nspec:\n  scope: tenant\n  resources:\n{resources}"
    );
    std::fs::write(folder.join("tenants/all.yaml"), documents).expect("writes");
}

const BAKERY: &str = "apiVersion: tenantry.dev/v1\nkind: Tenant\nmetadata: {name: bakery}\nspec: {displayName: Bakery, tier: standard, phase: active}\n---\n";

/// An estate with one applied tenant.
fn applied(resources: &str) -> TempDir {
    let folder = TempDir::new().expect("a folder");
    std::fs::create_dir(folder.path().join("tenants")).expect("a folder");
    let config = "[estate]\nname = \"shop\"\n[targets.main]\nprovider = \"stripe\"\nsandbox = true\n";
    std::fs::write(folder.path().join("tenantry.toml"), config).expect("writes");
    write(folder.path(), BAKERY, resources);
    done(&run(folder.path(), &["apply", "--auto-approve"]));
    folder
}

fn done(said: &Said) {
    assert_eq!(said.exit, 0, "{said:#?}");
}

fn assert_settled(folder: &Path) {
    let plan = run(folder, &["plan", "--detailed-exitcode"]);
    assert_eq!(plan.exit, 0, "{plan:#?}");
    assert!(plan.out.to_lowercase().contains("nothing to do"), "{plan:#?}");
    let drift = run(folder, &["drift"]);
    assert_eq!(drift.exit, 0, "{drift:#?}");
}

fn world(folder: &Path) -> Vec<u8> {
    std::fs::read(folder.join(WORLD)).expect("reads")
}

#[test]
fn what_the_repository_asks_for_is_not_forgotten() {
    let estate = applied(&format!("{PRODUCT}{CUSTOMER}"));
    let folder = estate.path();
    let before = run(folder, &["history"]);
    let refused = run(folder, &["forget", "bakery/*", "--auto-approve"]);
    assert_eq!(refused.exit, 3, "{refused:#?}");
    assert!(refused.err.contains("still asks for 2 of these resources"), "{}", refused.err);
    assert!(refused.err.contains("bakery/customer: tenants/all.yaml:18"), "{}", refused.err);
    assert!(refused.err.contains("`when`"), "{}", refused.err);
    assert_eq!(run(folder, &["history"]), before, "nothing is journalled");
    // Under another id it is the same customer, which the next plan would move there.
    write(folder, BAKERY, &format!("{PRODUCT}{}", CUSTOMER.replace("id: customer", "id: client")));
    let moved = run(folder, &["forget", "bakery/customer", "--auto-approve"]);
    assert_eq!(moved.exit, 3, "{moved:#?}");
    assert!(moved.err.contains("as bakery/client"), "{}", moved.err);
}

#[test]
fn what_is_forgotten_stays_and_is_neither_planned_nor_drift() {
    let estate = applied(&format!("{PRODUCT}{CUSTOMER}"));
    let folder = estate.path();
    write(folder, BAKERY, PRODUCT);
    let plan = run(folder, &["plan"]);
    assert!(plan.out.contains("- delete bakery/customer") || plan.out.contains("bakery/customer"), "{}", plan.out);
    let before = world(folder);

    let unasked = run(folder, &["forget", "bakery/customer"]);
    assert_eq!(unasked.exit, 64, "there is nobody to ask: {unasked:#?}");
    assert!(unasked.err.contains("tenantry forget 'bakery/customer' --auto-approve"), "{}", unasked.err);
    let forgotten = run(folder, &["forget", "bakery/customer", "--auto-approve"]);
    done(&forgotten);
    assert!(forgotten.out.contains("x bakery/customer: stripe.customer bakery stays in `main`"), "{}", forgotten.out);
    assert!(forgotten.out.ends_with("Forgotten: 1 resource. Run 2.\n"), "{}", forgotten.out);

    assert_settled(folder);
    done(&run(folder, &["apply", "--auto-approve"]));
    assert_eq!(world(folder), before, "no target is written");
    let history = run(folder, &["history", "bakery"]);
    assert!(
        history
            .out
            .contains("bakery/customer is no longer managed: stripe.customer bakery stays in main, by tester@example"),
        "{}",
        history.out
    );
    let runs = run(folder, &["history", "--runs"]);
    let line = runs.out.lines().find(|line| line.contains("forget")).expect("the run");
    assert!(line.contains("done") && line.contains("1 step of 1 owner"), "{line}");
    let shown = run(folder, &["show", "bakery/customer"]).json();
    assert_eq!(shown["forgotten"]["actor"], "tester@example", "{shown}");
    done(&run(folder, &["history", "--verify"]));
    // The store is there and says so, whatever the mark says.
    let rebuilt = run(folder, &["import", "--inventory", "--auto-approve"]);
    done(&rebuilt);
    assert!(!rebuilt.out.contains("bakery/customer"), "{}", rebuilt.out);
    // An export has it too.
    done(&run(folder, &["store", "export", "copy.jsonl"]));
    std::fs::remove_file(folder.join(".tenantry/default/store.db")).expect("removes");
    done(&run(folder, &["store", "import", "copy.jsonl"]));
    assert_settled(folder);
}

#[test]
fn what_is_asked_for_again_is_a_conflict_until_it_is_adopted() {
    for again in [CUSTOMER.to_owned(), CUSTOMER.replace("id: customer", "id: client")] {
        let estate = applied(&format!("{PRODUCT}{CUSTOMER}"));
        let folder = estate.path();
        write(folder, BAKERY, PRODUCT);
        done(&run(folder, &["forget", "bakery/customer", "--auto-approve"]));
        let again = again.replace("name: Bakery", "name: Baker");
        write(folder, BAKERY, &format!("{PRODUCT}{again}"));
        let conflict = run(folder, &["plan"]);
        assert_ne!(conflict.exit, 0, "{conflict:#?}");
        assert!(conflict.out.contains("it carries no mark"), "{}", conflict.out);
        assert!(conflict.out.contains("adopt: true"), "{}", conflict.out);

        write(folder, BAKERY, &format!("{PRODUCT}{}", again.replace("kind:", "adopt: true, kind:")));
        done(&run(folder, &["apply", "--auto-approve"]));
        assert_settled(folder);
        // It is managed as ever: it goes when nobody asks for it.
        write(folder, BAKERY, PRODUCT);
        let plan = run(folder, &["plan", "--format", "json"]).json();
        assert_eq!(plan["summary"]["delete"], 1, "{plan:#}");
    }
}

#[test]
fn each_name_has_to_match_and_what_was_made_of_it_is_named() {
    let estate = applied(&format!("{PRODUCT}{PRICE}{CUSTOMER}"));
    let folder = estate.path();
    let unknown = run(folder, &["forget", "bakery/customer", "bakery/produkt", "--auto-approve"]);
    assert_eq!(unknown.exit, 64, "{unknown:#?}");
    assert!(unknown.err.contains("did you mean `bakery/product`?"), "{}", unknown.err);

    write(folder, BAKERY, &format!("{}{CUSTOMER}", PRICE.replace("${resources.product.key}", "bakery")));
    let forgotten = run(folder, &["forget", "bakery/pro*", "--auto-approve", "--format", "json"]);
    done(&forgotten);
    let lines: Vec<Json> = forgotten.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(
        lines[0]["records"],
        json!([{"address": "bakery/product", "kind": "stripe.product", "target": "main", "identity": "bakery", "neededBy": ["bakery/price"]}])
    );
    assert_eq!(lines[1], json!({"event": "forgotten", "run": 2, "resources": 1, "changed": []}));
}

#[test]
fn a_tenant_whose_document_is_gone_can_be_left() {
    let own = CUSTOMER.replace("key: bakery", "key: \"${tenant.name}\"");
    let estate = applied(&own);
    let folder = estate.path();
    let cafe = BAKERY.replace("bakery", "cafe");
    write(folder, &format!("{BAKERY}{cafe}"), &own);
    done(&run(folder, &["apply", "--auto-approve"]));
    write(folder, &cafe, &own);
    let vanished = run(folder, &["plan"]);
    assert_eq!(vanished.exit, 3, "its document is gone: {vanished:#?}");
    done(&run(folder, &["forget", "bakery/*", "--auto-approve"]));
    assert_settled(folder);
}

#[expect(clippy::disallowed_methods, reason = "leases are real time")]
fn now() -> Timestamp {
    Timestamp::now()
}

#[test]
fn it_waits_for_nobody_who_has_the_lock() {
    let estate = applied(&format!("{PRODUCT}{CUSTOMER}"));
    let folder = estate.path();
    write(folder, BAKERY, PRODUCT);
    wait(async {
        let path = folder.join(".tenantry/default/store.db");
        let store = SqliteStore::open(&path, &Scope::new("shop", None), OpenMode::ReadWrite).await.expect("opens");
        let (owners, holder) = ([Owner::from("bakery")], Holder::from("somebody@elsewhere"));
        let request =
            LockRequest { owners: &owners, holder: &holder, now: now(), lease: SignedDuration::from_secs(600) };
        store.lock(&request).await.expect("is free");
    });
    let refused = run(folder, &["forget", "bakery/customer", "--auto-approve"]);
    assert_eq!(refused.exit, 4, "{refused:#?}");
    assert!(refused.err.contains("bakery is locked by somebody@elsewhere"), "{}", refused.err);
    done(&run(folder, &["unlock", "bakery", "--force"]));
    done(&run(folder, &["forget", "bakery/customer", "--auto-approve"]));
}

#[test]
fn a_shell_completes_what_is_on_record() {
    let estate = applied(&format!("{PRODUCT}{CUSTOMER}"));
    let folder = estate.path();
    write(folder, BAKERY, PRODUCT);
    let output = tenantry(folder)
        .env("COMPLETE", "fish")
        .args(["--", "tenantry", "forget", "bakery/c"])
        .output()
        .expect("the command starts");
    assert_eq!(Said::of(output).out.trim(), "bakery/customer", "also what no document asks for any more");
}

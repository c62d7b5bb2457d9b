//! `import --inventory`: a store that was lost is brought back from the marks.

use std::path::Path;

use assert_fs::TempDir;
use secrecy::ExposeSecret as _;
use serde_json::{Value as Json, json};
use sqlx::ConnectOptions as _;

use crate::command::{NOW, Said, change_world, files, run, tenantry, wait};
use crate::support::postgres::{World, in_database};

const STORE: &str = ".tenantry/default/store.db";

fn documents(resources: &str) -> String {
    format!(
        "apiVersion: tenantry.dev/v1\nkind: Tier\nmetadata: {{name: standard}}\nspec: {{rank: 1, blueprints: [saas]}}\n---\n\
         apiVersion: tenantry.dev/v1\nkind: Tenant\nmetadata: {{name: acme}}\n\
         spec: {{displayName: Acme, tier: standard, phase: active}}\n---\n\
         apiVersion: tenantry.dev/v1\nkind: Blueprint\nmetadata: {{name: saas}}\nspec:\n  scope: tenant\n  resources:\n{resources}"
    )
}

/// An estate of one target with one tenant.
fn estate(target: &str, resources: &str) -> TempDir {
    let folder = TempDir::new().expect("a folder");
    std::fs::create_dir(folder.path().join("tenants")).expect("a folder");
    std::fs::write(folder.path().join("tenantry.toml"), format!("[estate]\nname = \"shop\"\n{target}"))
        .expect("writes");
    write(folder.path(), resources);
    folder
}

fn write(folder: &Path, resources: &str) {
    std::fs::write(folder.join("tenants/all.yaml"), documents(resources)).expect("writes");
}

const SANDBOX: &str = "[targets.main]\nprovider = \"stripe\"\nsandbox = true\n";
/// A customer whose name is told by the target, and what refers to it; a secret that is told once.
const BILLING: &str = "    - {id: product, kind: stripe.product, spec: {key: acme, name: Acme}}
    - {id: price, kind: stripe.price, spec: {lookupKey: acme, product: \"${resources.product.key}\", currency: usd, amount: \"5.00\", interval: month}}
    - {id: customer, kind: stripe.customer, spec: {key: acme, name: Acme}}
    - {id: hook, kind: stripe.webhook_endpoint, spec: {key: acme, url: \"https://acme.example.com/hook\", enabledEvents: [invoice.paid], metadata: {customer: \"${resources.customer.id}\"}}}
";

fn done(said: &Said) {
    assert_eq!(said.exit, 0, "{said:#?}");
}

/// Nothing is left to do, and nothing to enter.
fn assert_settled(plan: &Said) {
    assert_eq!(plan.exit, 0, "{plan:#?}");
    assert!(plan.out.to_lowercase().contains("nothing to do"), "{plan:#?}");
}

fn lose_store(folder: &Path) {
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(folder.join(format!("{STORE}{end}")));
    }
    assert!(!folder.join(STORE).exists());
}

#[test]
fn an_unchanged_estate_has_nothing_to_do_once_its_store_is_back() {
    let estate = estate(SANDBOX, BILLING);
    let folder = estate.path();
    done(&run(folder, &["apply", "--auto-approve"]));
    assert_settled(&run(folder, &["plan", "--detailed-exitcode"]));
    lose_store(folder);
    let lost = run(folder, &["plan", "--detailed-exitcode"]);
    assert_ne!(lost.exit, 0, "without its store there is something to do: {lost:#?}");

    let world = std::fs::read(folder.join(".tenantry/default/sandbox.db")).expect("reads");
    let unasked = run(folder, &["import", "--inventory"]);
    assert_eq!(unasked.exit, 64, "there is nobody to ask: {unasked:#?}");
    assert!(!folder.join(STORE).exists(), "nothing is written before it is approved");
    let imported = run(folder, &["import", "--inventory", "--auto-approve"]);
    done(&imported);
    assert!(imported.out.contains("acme: 4 resources to record, in phase `active`"), "{}", imported.out);
    assert!(imported.out.ends_with("Recorded: 4 resources. Run 1.\n"), "{}", imported.out);
    assert_eq!(
        std::fs::read(folder.join(".tenantry/default/sandbox.db")).expect("reads"),
        world,
        "no target is written"
    );

    assert_settled(&run(folder, &["plan", "--detailed-exitcode"]));
    let history = run(folder, &["history"]);
    assert!(history.out.contains("import") && history.out.contains("acme/hook"), "{}", history.out);
    done(&run(folder, &["history", "--verify"]));
    // Once more changes nothing.
    let journal = |said: &Said| said.out.lines().count();
    let again = run(folder, &["import", "--inventory", "--auto-approve"]);
    done(&again);
    assert!(again.out.contains("Already recorded: 4 resources"), "{}", again.out);
    assert_eq!(journal(&run(folder, &["history"])), journal(&history));
}

#[test]
fn what_nobody_wants_any_more_is_known_again_and_ends_under_the_usual_guards() {
    let more = "    - {id: old, kind: stripe.customer, spec: {key: acme_old, name: Old}}\n";
    let estate = estate(SANDBOX, &format!("{BILLING}{more}"));
    let folder = estate.path();
    done(&run(folder, &["apply", "--auto-approve"]));
    lose_store(folder);
    write(folder, BILLING);
    let imported = run(folder, &["import", "--inventory", "--auto-approve", "--format", "json"]);
    done(&imported);
    let found: Json = serde_json::from_str(imported.out.lines().next().expect("a line")).expect("JSON");
    let states: Vec<(&Json, &Json)> =
        found["records"].as_array().expect("a list").iter().map(|one| (&one["address"], &one["state"])).collect();
    assert!(states.iter().any(|(_, state)| **state == json!("notWanted")), "{states:?}");
    assert_eq!(states.len(), 5);
    let plan = run(folder, &["plan"]);
    assert!(plan.out.contains("delete") && plan.out.contains("acme_old"), "{}", plan.out);
    assert!(!plan.out.contains("the store has no record of it"), "{}", plan.out);
}

#[test]
fn what_differs_is_a_change_of_the_next_plan_and_nobody_is_blamed() {
    let estate = estate(SANDBOX, BILLING);
    let folder = estate.path();
    done(&run(folder, &["apply", "--auto-approve"]));
    lose_store(folder);
    write(folder, &BILLING.replace("name: Acme}", "name: Acme Inc}"));
    let imported = run(folder, &["import", "--inventory", "--auto-approve"]);
    done(&imported);
    assert!(imported.out.contains("differs from the repository"), "{}", imported.out);
    let plan = run(folder, &["plan"]);
    assert!(plan.out.contains("Acme Inc") && plan.out.contains("changed in the repository"), "{}", plan.out);
    assert_eq!(run(folder, &["drift"]).exit, 0);
    done(&run(folder, &["apply", "--auto-approve"]));
    assert_settled(&run(folder, &["plan", "--detailed-exitcode"]));
}

#[test]
fn a_store_that_says_something_else_is_left_as_it_is() {
    let estate = estate(SANDBOX, BILLING);
    let folder = estate.path();
    done(&run(folder, &["apply", "--auto-approve"]));
    // Another customer takes the mark.
    let world = "UPDATE resources SET identity = replace(identity, 'acme', 'acme2'), name = replace(name, 'acme', 'acme2'), \
        spec = replace(spec, '\"key\":\"acme\"', '\"key\":\"acme2\"') WHERE kind = 'stripe.customer'";
    wait(change_world(folder, world));
    let before = files(folder);
    let refused = run(folder, &["import", "--inventory", "--auto-approve"]);
    assert_eq!(refused.exit, 1, "{refused:#?}");
    assert!(
        refused.err.contains("has different records for 1 address") && refused.err.contains("acme/customer"),
        "{refused:#?}"
    );
    assert_eq!(files(folder), before);
}

/// The command of an estate on a server.
fn on_server(folder: &Path, url: &str, identity: &str, arguments: &[&str]) -> Said {
    let mut command = tenantry(folder);
    command.env("TENANTRY_POSTGRES_URL", url).env("TENANTRY_AGE_IDENTITY", identity);
    Said::of(command.args(arguments).args(["--now", NOW]).output().expect("the command starts"))
}

const POSTGRES: &str = "[secrets]\nidentity = \"env:TENANTRY_AGE_IDENTITY\"\n[targets.main]\nprovider = \"postgres\"\nurl = \"env:TENANTRY_POSTGRES_URL\"\n";

fn resources(world: &World) -> String {
    format!(
        "    - {{id: role, kind: postgres.role, spec: {{name: {role}, login: true, password: \"${{secret('password')}}\"}}}}
    - {{id: schema, kind: postgres.schema, spec: {{name: acme, owner: \"${{resources.role.name}}\"}}}}
    - {{id: usage, kind: postgres.grant, spec: {{role: \"${{resources.role.name}}\", on: schema, schema: public, privileges: [USAGE]}}}}
    - {{id: tables, kind: postgres.script, dependsOn: [schema], spec: {{name: tables, sql: \"CREATE TABLE acme.t (id int PRIMARY KEY)\"}}}}
",
        role = world.name("acme")
    )
}

#[test]
fn a_store_that_was_lost_comes_back_from_a_postgresql_server() {
    in_database("a_store_that_was_lost_comes_back_from_a_postgresql_server", async |world| {
        let all = resources(world);
        let (gone, row) = (
            "    - {id: gone, kind: postgres.schema, spec: {name: gone}}\n",
            "    - {id: row, kind: postgres.row, dependsOn: [tables], spec: {schema: acme, table: t, key: {id: 1}, columns: {}}}\n",
        );
        let estate = estate(POSTGRES, &format!("{all}{gone}{row}"));
        let folder = estate.path();
        let identity = tenantry_secret::new_identity().0.expose_secret().to_owned();
        let url = world.options().to_url_lossy().to_string();
        let run = |arguments: &[&str]| on_server(folder, &url, &identity, arguments);
        done(&run(&["apply", "--auto-approve"]));
        lose_store(folder);

        // A server that does not answer tells nothing, and nothing is made of it.
        let down = on_server(
            folder,
            "postgres://nobody@127.0.0.1:9/none",
            &identity,
            &["import", "--inventory", "--auto-approve"],
        );
        assert_eq!(down.exit, 5, "{down:#?}");
        assert!(down.out.contains("Unknown in target `main`") && down.out.contains("acme/schema"), "{}", down.out);
        assert!(!folder.join(STORE).exists());

        write(folder, &format!("{all}{row}"));
        let imported = run(&["import", "--inventory", "--auto-approve"]);
        done(&imported);
        assert!(imported.out.contains("acme/gone postgres.schema gone: not in the repository"), "{}", imported.out);
        let row_is_left = imported.out.contains("1 resource exists without a mark: acme/row");
        let plan = run(&["plan"]);
        assert!(plan.out.contains("- delete") && plan.out.contains("gone"), "{}", plan.out);
        for settled in ["role", "schema  postgres.schema", "usage", "tables"] {
            assert!(!plan.out.contains(&format!("acme/{settled}")), "{settled}\n{}", plan.out);
        }
        assert!(row_is_left, "{}", imported.out);
        world.by_hand("DROP SCHEMA gone; DELETE FROM acme.t").await;
        write(folder, &all);
        done(&run(&["apply", "--auto-approve"]));
        lose_store(folder);
        done(&run(&["import", "--inventory", "--auto-approve"]));
        assert_settled(&run(&["plan", "--detailed-exitcode"]));
    });
}

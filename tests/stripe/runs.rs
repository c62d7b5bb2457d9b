//! Whole runs of the command, killed with SIGKILL at every write that Stripe has carried out: one more run reaches the end.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use assert_fs::TempDir;
use secrecy::ExposeSecret as _;

use crate::support::stripe::{Fault, World, in_account};

const DOCUMENTS: &str = r#"apiVersion: tenantry.dev/v1
kind: Tier
metadata: {name: pro}
spec: {rank: 1, blueprints: [saas]}
---
apiVersion: tenantry.dev/v1
kind: Blueprint
metadata: {name: catalogue}
spec:
  scope: estate
  resources:
    - {id: product, kind: stripe.product, spec: {key: pro, name: Pro}}
    - id: price
      kind: stripe.price
      spec: {lookupKey: pro_monthly, product: pro, currency: usd, amount: "AMOUNT", interval: month}
---
apiVersion: tenantry.dev/v1
kind: Blueprint
metadata: {name: saas}
spec:
  scope: tenant
  resources:
    - {id: customer, kind: stripe.customer, spec: {key: "${tenant.name}", name: "${tenant.displayName}"}}
    - id: subscription
      kind: stripe.subscription
      dependsOn: [estate/price]
      spec:
        key: "${tenant.name}"
        customer: "${tenant.name}"
        price: pro_monthly
        trialDays: 14
        collectionMethod: sendInvoice
        daysUntilDue: 30
---
apiVersion: tenantry.dev/v1
kind: Tenant
metadata: {name: acme}
spec: {displayName: Acme, tier: pro, phase: active}
---
apiVersion: tenantry.dev/v1
kind: Tenant
metadata: {name: globex}
spec: {displayName: Globex, tier: pro, phase: active}
"#;

pub fn write_estate(folder: &Path, url: &str, amount: &str) {
    let config = format!(
        "[estate]\nname = \"runs\"\n[limits]\nlease_seconds = 5\n\
         [secrets]\nidentity = \"file:identity\"\n[targets.billing]\nprovider = \"stripe\"\nurl = \"{url}\"\napi_key = \"env:STRIPE_KEY\"\nrequests_per_second = 100\n"
    );
    std::fs::create_dir_all(folder.join("tenants")).expect("a folder");
    if !folder.join("identity").exists() {
        let (identity, _) = tenantry_secret::new_identity();
        std::fs::write(folder.join("identity"), identity.expose_secret()).expect("an identity");
    }
    std::fs::write(folder.join("tenantry.toml"), config).expect("the configuration");
    std::fs::write(folder.join("tenants/all.yaml"), DOCUMENTS.replace("AMOUNT", amount)).expect("the documents");
}

pub fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenantry"));
    command.env_clear().env("STRIPE_KEY", "sk_test_tenantry").arg("-C").arg(folder).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs to the end. Whoever was killed holds its locks until its lease is over.
pub async fn run(folder: &Path, arguments: &[&str]) -> Output {
    for _ in 0..60 {
        let mut command = command(folder, arguments);
        let output = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic").expect("it runs");
        if output.status.code() != Some(4) {
            return output;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    panic!("the lock is never given up");
}

async fn assert_settled(world: &World, folder: &Path, point: usize, archived: usize) {
    let applied = run(folder, &["apply", "--auto-approve", "--quiet"]).await;
    let said = String::from_utf8_lossy(&applied.stderr).into_owned();
    assert!(applied.status.success(), "killed at {point}: {said}");
    for (path, count) in [("products", 1), ("prices", 1 + archived), ("customers", 2), ("subscriptions", 2)] {
        assert_eq!(world.all(path).await.len(), count, "{path}, killed at {point}");
    }
    let plan = run(folder, &["plan", "--detailed-exitcode"]).await;
    let said = String::from_utf8_lossy(&plan.stdout).into_owned();
    assert_eq!(plan.status.code(), Some(0), "killed at {point}, then planned: {said}");
}

/// Applies and kills the process when its write of a number has been carried out, before it hears of it. Whether it came so far.
async fn kill_at(world: &World, folder: &Path, point: usize) -> bool {
    let (process, count) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicUsize::new(0)));
    let of = process.clone();
    world.fail(move |asked| {
        if asked.method != "POST" || count.fetch_add(1, Ordering::Relaxed) != point {
            return Fault::None;
        }
        let process = of.load(Ordering::Acquire).to_string();
        assert!(Command::new("kill").args(["-KILL", &process]).status().expect("it is killed").success());
        Fault::LoseAnswer
    });
    let mut child = command(folder, &["apply", "--auto-approve", "--quiet"]).spawn().expect("it starts");
    process.store(child.id(), Ordering::Release);
    let ended = tokio::task::spawn_blocking(move || child.wait()).await.expect("no panic").expect("it ends");
    world.heal();
    ended.code().is_none()
}

#[test]
fn a_run_that_is_killed_at_any_write_leaves_nothing_to_be_made_twice() {
    for point in 0.. {
        let mut came_so_far = false;
        in_account("a_run_that_is_killed_at_any_write_leaves_nothing_to_be_made_twice", async |world| {
            let folder = TempDir::new().expect("a folder");
            write_estate(folder.path(), &world.url, "49.00");
            came_so_far = kill_at(world, folder.path(), point).await;
            assert_settled(world, folder.path(), point, 0).await;
        });
        if !came_so_far {
            break;
        }
    }
}

#[test]
fn a_new_amount_that_is_killed_at_any_write_leaves_one_price() {
    for point in 0.. {
        let mut came_so_far = false;
        in_account("a_new_amount_that_is_killed_at_any_write_leaves_one_price", async |world| {
            let folder = TempDir::new().expect("a folder");
            write_estate(folder.path(), &world.url, "49.00");
            assert_settled(world, folder.path(), point, 0).await;
            write_estate(folder.path(), &world.url, "59.00");
            let plan = run(folder.path(), &["plan"]).await;
            let said = String::from_utf8_lossy(&plan.stdout).into_owned();
            assert!(said.contains("49.00") && said.contains("59.00") && said.contains("replace"), "{said}");
            came_so_far = kill_at(world, folder.path(), point).await;
            assert_settled(world, folder.path(), point, 1).await;
            let active = world.all("prices").await.into_iter().filter(|price| price["active"] == true).count();
            assert_eq!(active, 1, "killed at {point}");
        });
        if !came_so_far {
            break;
        }
    }
}

#[test]
fn a_downgrade_that_is_killed_at_any_write_leaves_one_schedule_for_each() {
    let documents = |price: &str| {
        let prices = "    - id: basic\n      kind: stripe.price\n      spec: {lookupKey: basic_monthly, product: pro, currency: usd, amount: \"19.00\", interval: month}\n---\napiVersion: tenantry.dev/v1\nkind: Blueprint\nmetadata: {name: saas}";
        let blueprint = "---\napiVersion: tenantry.dev/v1\nkind: Blueprint\nmetadata: {name: saas}";
        let documents = DOCUMENTS.replace("AMOUNT", "49.00").replace("        trialDays: 14\n", "");
        let documents =
            documents.replace(blueprint, prices).replace("price: pro_monthly\n", &format!("price: {price}\n"));
        documents.replace("[estate/price]", "[estate/price, estate/basic]")
    };
    for point in 0.. {
        let mut came_so_far = false;
        in_account("a_downgrade_that_is_killed_at_any_write", async |world| {
            let folder = TempDir::new().expect("a folder");
            write_estate(folder.path(), &world.url, "49.00");
            let config = std::fs::read_to_string(folder.path().join("tenantry.toml")).expect("the configuration");
            let config = config.replace("[limits]\n", "[limits]\nready_seconds = 0\n");
            std::fs::write(folder.path().join("tenantry.toml"), config).expect("the configuration");
            let file = folder.path().join("tenants/all.yaml");
            std::fs::write(&file, documents("pro_monthly")).expect("the documents");
            assert_settled(world, folder.path(), point, 1).await;
            let invoices = world.all("invoices").await.len();
            std::fs::write(&file, documents("basic_monthly")).expect("the documents");
            came_so_far = kill_at(world, folder.path(), point).await;
            assert_settled(world, folder.path(), point, 1).await;
            assert_eq!(world.all("subscription_schedules").await.len(), 2, "killed at {point}");
            let all = world.all("subscriptions").await;
            assert!(all.iter().all(|one| one["items"]["data"][0]["price"]["lookup_key"] == "pro_monthly"), "{all:?}");
            assert_eq!(world.all("invoices").await.len(), invoices, "killed at {point}");
            assert!(world.all("invoiceitems").await.is_empty(), "killed at {point}");
            // And it says until when.
            let plan = run(folder.path(), &["plan"]).await;
            let said = String::from_utf8_lossy(&plan.stdout).into_owned();
            assert!(said.contains("its price changes on"), "{said}");
        });
        if !came_so_far {
            assert!(point == 0 || point >= 8, "four writes for each of two: {point}");
            break;
        }
    }
}

#[test]
fn an_apply_that_is_throttled_half_of_the_time_ends_with_a_fifth_more_requests_at_most() {
    let tenants: String = (0..40)
        .map(|number| {
            format!("---\napiVersion: tenantry.dev/v1\nkind: Tenant\nmetadata: {{name: t{number}}}\nspec: {{displayName: T{number}, tier: pro, phase: active}}\n")
        })
        .collect();
    let mut counts = Vec::new();
    for is_throttled in [false, true] {
        in_account("an_apply_that_is_throttled_half_of_the_time", async |world| {
            let folder = TempDir::new().expect("a folder");
            write_estate(folder.path(), &world.url, "49.00");
            std::fs::write(folder.path().join("tenants/more.yaml"), &tenants).expect("the documents");
            if is_throttled {
                // At 25 requests a second, half of the time.
                world.throttle(25, Duration::from_secs(1));
            }
            let applied = run(folder.path(), &["apply", "--auto-approve", "--quiet"]).await;
            let said = String::from_utf8_lossy(&applied.stderr).into_owned();
            assert!(applied.status.success(), "{said}");
            assert_eq!(world.take_throttled() > 0, is_throttled);
            counts.push(world.take_asked().len());
            world.heal();
            assert_eq!(world.all("subscriptions").await.len(), 42);
        });
    }
    if let [needed, asked] = counts[..] {
        assert!(asked * 10 <= needed * 12, "{asked} requests for {needed}");
    }
}

#[test]
fn what_was_to_end_and_has_ended_leaves_nothing_to_be_done() {
    in_account("what_was_to_end_and_has_ended_leaves_nothing_to_be_done", async |world| {
        let folder = TempDir::new().expect("a folder");
        write_estate(folder.path(), &world.url, "49.00");
        let file = folder.path().join("tenants/all.yaml");
        let ending = DOCUMENTS.replace("AMOUNT", "49.00").replace("trialDays: 14", "cancelAtPeriodEnd: true");
        std::fs::write(&file, ending).expect("the documents");
        assert_settled(world, folder.path(), 0, 0).await;
        for subscription in world.all("subscriptions").await {
            let path = format!("subscriptions/{}", subscription["id"].as_str().expect("an id"));
            world.by_hand("DELETE", &path, &[]).await;
        }
        // Period after period.
        for _ in 0..2 {
            assert_settled(world, folder.path(), 0, 0).await;
        }
    });
}

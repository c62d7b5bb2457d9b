//! Metadata that somebody set by hand, that the blueprint then named, and then no more.

use std::path::Path;
use std::process::{Command, Stdio};

use assert_fs::TempDir;
use secrecy::ExposeSecret as _;

use crate::support::stripe::{World, in_account};

fn write_estate(world: &World, folder: &Path, metadata: &str) {
    let config = format!(
        "[estate]\nname = \"desk\"\n[secrets]\nidentity = \"file:identity\"\n[targets.billing]\nprovider = \"stripe\"\nurl = \"{}\"\n\
         api_key = \"env:STRIPE_KEY\"\nrequests_per_second = 100\n",
        world.url
    );
    let documents = format!(
        r#"apiVersion: tenantry.dev/v1
kind: Blueprint
metadata: {{name: desk}}
spec:
  scope: estate
  resources:
    - {{id: product, kind: stripe.product, spec: {{key: desk, name: Desk, metadata: {metadata}}}}}
    - {{id: coupon, kind: stripe.coupon, spec: {{key: tenth, percentOff: "10", duration: once, metadata: {metadata}}}}}
    - {{id: customer, kind: stripe.customer, spec: {{key: own, name: Own, metadata: {metadata}}}}}
"#
    );
    std::fs::create_dir_all(folder.join("tenants")).expect("a folder");
    let (identity, _) = tenantry_secret::new_identity();
    std::fs::write(folder.join("identity"), identity.expose_secret()).expect("an identity");
    std::fs::write(folder.join("tenantry.toml"), config).expect("the configuration");
    std::fs::write(folder.join("tenants/all.yaml"), documents).expect("the documents");
}

async fn run(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenantry"));
    command.env_clear().env("STRIPE_KEY", "sk_test_tenantry").arg("-C").arg(folder).args(arguments);
    command.stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic").expect("it runs");
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments:?}: {told}");
    told
}

#[test]
fn metadata_that_was_set_by_hand_then_named_and_then_dropped_goes_away() {
    in_account("metadata_that_was_set_by_hand_then_named_and_then_dropped_goes_away", async |world| {
        let folder = TempDir::new().expect("a folder");
        let folder = folder.path();
        write_estate(world, folder, "{team: blue}");
        run(folder, &["apply", "--auto-approve"]).await;
        let paths = ["products", "coupons", "customers"];
        for path in paths {
            let id = world.all(path).await[0]["id"].as_str().expect("an id").to_owned();
            world.by_hand("POST", &format!("{path}/{id}"), &[("metadata[cost]", "7")]).await;
        }
        write_estate(world, folder, "{team: blue, cost: \"7\"}");
        run(folder, &["drift"]).await;
        run(folder, &["apply", "--auto-approve"]).await;
        run(folder, &["plan", "--detailed-exitcode"]).await;

        write_estate(world, folder, "{team: blue}");
        let shown = run(folder, &["plan"]).await;
        assert!(shown.contains("3 to update") && shown.contains("cost"), "{shown}");
        run(folder, &["apply", "--auto-approve"]).await;
        for path in paths {
            let metadata = world.all(path).await[0]["metadata"].clone();
            assert!(metadata.get("cost").is_none() && metadata["team"] == "blue", "{path}: {metadata}");
        }
        run(folder, &["plan", "--detailed-exitcode"]).await;
    });
}

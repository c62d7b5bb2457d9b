//! A tag that somebody set by hand, that the blueprint then named, and then no more.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use assert_fs::TempDir;
use secrecy::ExposeSecret as _;

use crate::support::s3::{World, on_servers};

fn write_estate(world: &World, folder: &Path, tags: &str) {
    let config = format!(
        "[estate]\nname = \"shelf\"\n[secrets]\nidentity = \"file:identity\"\n[targets.files]\nprovider = \"s3\"\nurl = \"{}\"\n\
         access_key_id = \"env:KEY\"\nsecret_access_key = \"env:SECRET\"\n",
        world.url
    );
    let documents = format!(
        r#"apiVersion: tenantry.dev/v1
kind: Blueprint
metadata: {{name: shelf}}
spec:
  scope: estate
  resources:
    - {{id: files, kind: s3.bucket, spec: {{name: "{}", tags: {tags}}}}}
"#,
        world.name("shelf")
    );
    std::fs::create_dir_all(folder.join("tenants")).expect("a folder");
    let (identity, _) = tenantry_secret::new_identity();
    std::fs::write(folder.join("identity"), identity.expose_secret()).expect("an identity");
    std::fs::write(folder.join("tenantry.toml"), config).expect("the configuration");
    std::fs::write(folder.join("tenants/all.yaml"), documents).expect("the documents");
}

async fn run(world: &World, folder: &Path, arguments: &[&str]) -> String {
    let settings = world.settings(&world.url, "");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenantry"));
    command.env_clear().env("KEY", settings.text("access_key_id").expect("a key")).env("SECRET", world.secret_key());
    command.arg("-C").arg(folder).args(arguments).stdin(Stdio::null());
    let output: Output =
        tokio::task::spawn_blocking(move || command.output()).await.expect("no panic").expect("it runs");
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments:?}: {told}");
    told
}

#[test]
fn a_tag_that_was_set_by_hand_then_named_and_then_dropped_goes_away() {
    on_servers("a_tag_that_was_set_by_hand_then_named_and_then_dropped_goes_away", async |world| {
        let folder = TempDir::new().expect("a folder");
        let folder = folder.path();
        let name = world.name("shelf");
        write_estate(world, folder, "{team: blue}");
        run(world, folder, &["apply", "--auto-approve"]).await;
        let path = format!("/{name}?tagging");
        let (_, tags) = world.raw("GET", &path, &[], "").await;
        let more = tags.replace("<TagSet>", "<TagSet><Tag><Key>cost</Key><Value>7</Value></Tag>");
        let more = more.replace("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", "");
        world.do_raw("PUT", &path, &more).await;
        let named = "{team: blue, cost: \"7\"}";
        write_estate(world, folder, named);
        run(world, folder, &["drift"]).await;
        run(world, folder, &["apply", "--auto-approve"]).await;
        run(world, folder, &["plan", "--detailed-exitcode"]).await;

        write_estate(world, folder, "{team: blue}");
        let shown = run(world, folder, &["plan"]).await;
        assert!(shown.contains("1 to update") && shown.contains("cost"), "{shown}");
        run(world, folder, &["apply", "--auto-approve"]).await;
        let (_, tags) = world.raw("GET", &path, &[], "").await;
        assert!(!tags.contains("cost") && tags.contains("team"), "{tags}");
        run(world, folder, &["plan", "--detailed-exitcode"]).await;
        world.raw("DELETE", &format!("/{name}"), &[], "").await;
    });
}

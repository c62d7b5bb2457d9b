//! Who caused a difference, where the server does not return what was written.

use std::path::Path;

use assert_fs::TempDir;
use secrecy::ExposeSecret as _;
use serde_json::Value as Json;
use sqlx::ConnectOptions as _;

use crate::command::{Said, tenantry};
use crate::support::postgres::in_database;

/// An estate's configuration. Its name is its own: roles belong to the server, where other tests have some with their marks.
fn config(estate: &str) -> String {
    format!(
        "[estate]\nname = \"{estate}\"\n[secrets]\nidentity = \"env:IDENTITY\"\n[targets.main]\nprovider = \"postgres\"\nurl = \"env:URL\"\n"
    )
}

fn write(estate: &str, folder: &Path, resources: &str) {
    std::fs::write(folder.join("tenantry.toml"), config(estate)).expect("a file");
    std::fs::create_dir_all(folder.join("tenants")).expect("a folder");
    let text = format!(
        "apiVersion: tenantry.dev/v1\nkind: Tier\nmetadata: {{name: std}}\nspec: {{rank: 1, blueprints: [bp]}}\n---\n\
         apiVersion: tenantry.dev/v1\nkind: Tenant\nmetadata: {{name: acme}}\nspec: {{displayName: Acme, tier: std, phase: active}}\n---\n\
         apiVersion: tenantry.dev/v1\nkind: Blueprint\nmetadata: {{name: bp}}\nspec:\n  scope: tenant\n  resources:\n{resources}"
    );
    std::fs::write(folder.join("tenants/all.yaml"), text).expect("a file");
}

/// The command of an estate on the world's server.
struct Estate {
    folder: TempDir,
    url: String,
    identity: String,
}

impl Estate {
    fn run(&self, arguments: &[&str]) -> Said {
        let mut command = tenantry(self.folder.path());
        command.env("URL", &self.url).env("IDENTITY", &self.identity).args(arguments);
        Said::of(command.output().expect("the command runs"))
    }

    fn apply(&self) {
        let said = self.run(&["apply", "--auto-approve"]);
        assert_eq!(said.exit, 0, "{said:#?}");
    }

    /// The exit code and the counts of a drift run.
    fn drift(&self) -> (i32, Json) {
        let said = self.run(&["drift", "--format", "json"]);
        let summary = said.json()["summary"].clone();
        (said.exit, summary)
    }
}

#[test]
fn an_edited_script_is_pending_and_one_that_somebody_else_ran_is_drift() {
    in_database("an_edited_script_is_pending_and_one_that_somebody_else_ran_is_drift", async |world| {
        let folder = TempDir::new().expect("a folder");
        let identity = tenantry_secret::new_identity().0.expose_secret().to_owned();
        let url = world.options().to_url_lossy().to_string();
        let estate = Estate { folder, url, identity };
        let script = |sql: &str| format!("    - {{id: s, kind: postgres.script, spec: {{name: s, sql: \"{sql}\"}}}}\n");
        write("edited-script", estate.folder.path(), &script("SELECT 1"));
        estate.apply();
        write("edited-script", estate.folder.path(), &script("SELECT 2"));
        let (exit, summary) = estate.drift();
        assert_eq!((exit, &summary["changed"], &summary["pending"]), (0, &0.into(), &1.into()), "{summary}");
        let plan = estate.run(&["plan"]);
        assert!(plan.out.contains("changed in the repository") && !plan.out.contains("outside"), "{}", plan.out);
        estate.apply();
        world.by_hand("UPDATE tenantry.scripts SET checksum = repeat('0', 64)").await;
        let (exit, summary) = estate.drift();
        assert_eq!((exit, &summary["changed"]), (2, &1.into()), "{summary}");
    });
}

#[test]
fn a_secret_store_that_is_not_there_is_nobodys_change() {
    in_database("a_secret_store_that_is_not_there_is_nobodys_change", async |world| {
        let folder = TempDir::new().expect("a folder");
        let identity = tenantry_secret::new_identity().0.expose_secret().to_owned();
        let url = world.options().to_url_lossy().to_string();
        let estate = Estate { folder, url, identity };
        let role = format!(
            "    - {{id: r, kind: postgres.role, spec: {{name: {}, login: true, password: \"${{secret('p')}}\"}}}}\n",
            world.name("lost")
        );
        write("lost-secrets", estate.folder.path(), &role);
        estate.apply();
        std::fs::remove_file(estate.folder.path().join(".tenantry/default/secrets.age")).expect("the file was there");
        let (exit, summary) = estate.drift();
        assert_eq!((exit, &summary["changed"], &summary["deleted"]), (3, &0.into(), &0.into()), "{summary}");
        assert!(estate.run(&["plan"]).out.contains("TY0418"));
        world.by_hand(&format!("ALTER ROLE {} CONNECTION LIMIT 7", world.name("lost"))).await;
        let (exit, summary) = estate.drift();
        assert_eq!((exit, &summary["changed"]), (3, &1.into()), "what somebody did besides is still seen: {summary}");
        world.by_hand(&format!("DROP ROLE {}", world.name("lost"))).await;
    });
}

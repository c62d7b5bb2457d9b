//! A plan where it is reviewed: narrowed to what a branch changes, and as the comment and the page that people read.

mod formats;
mod gitlab;
mod machines;
mod pipeline;
mod secrets;
mod since;

use std::fs;
use std::path::Path;
use std::process::Output;

use assert_fs::TempDir;

use crate::command::tenantry;

/// An estate whose targets are simulated: tenants of two tiers, each with a role and a row.
pub struct Estate {
    folder: TempDir,
}

const CONFIG: &str = "[estate]\nname = \"shop\"\n\n[targets.main]\nprovider = \"postgres\"\nsandbox = true\n";

const TIERS: &str = "apiVersion: tenantry.dev/v1\nkind: Tier\nmetadata: {name: small}\nspec:\n  rank: 1\n  blueprints: [base]\n  \
    quotas: {users: 10}\n---\napiVersion: tenantry.dev/v1\nkind: Tier\nmetadata: {name: large}\nspec:\n  rank: 2\n  \
    blueprints: [base, reports]\n  quotas: {users: 100}\n  values: {unused: 1}\n";

const BLUEPRINTS: &str = r#"apiVersion: tenantry.dev/v1
kind: Blueprint
metadata: {name: shared}
spec:
  scope: estate
  resources:
    - {id: app, kind: postgres.schema, spec: {name: app}}
---
apiVersion: tenantry.dev/v1
kind: Blueprint
metadata: {name: base}
spec:
  scope: tenant
  resources:
    - id: role
      kind: postgres.role
      spec: {name: "${ident(tenant.name)}"}
    - id: row
      kind: postgres.row
      spec:
        table: tenants
        key: {id: "${tenant.name}"}
        columns: {title: "${tenant.displayName}", users: "${tenant.quotas.users}"}
---
apiVersion: tenantry.dev/v1
kind: Blueprint
metadata: {name: reports}
spec:
  scope: tenant
  resources:
    - {id: reports, kind: postgres.schema, spec: {name: "reports_${ident(tenant.name)}"}}
"#;

impl Estate {
    pub fn new() -> Self {
        let estate = Self { folder: TempDir::new().expect("a temporary folder") };
        estate.write("tenantry.toml", CONFIG);
        estate.write("tenants/tiers.yaml", TIERS);
        estate.write("tenants/blueprints.yaml", BLUEPRINTS);
        for name in ["ant", "bee", "cat"] {
            estate.tenant(name, "small", name);
        }
        estate.tenant("dog", "large", "dog");
        estate
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().expect("files lie in folders")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    pub fn remove(&self, path: &str) {
        fs::remove_file(self.path().join(path)).expect("the file exists");
    }

    pub fn edit(&self, path: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path().join(path)).expect("the file exists");
        assert!(text.contains(from), "{path} has {from}");
        self.write(path, &text.replacen(from, to, 1));
    }

    pub fn tenant(&self, name: &str, tier: &str, title: &str) {
        let title = serde_json::to_string(title).expect("JSON is YAML");
        let text = format!(
            "apiVersion: tenantry.dev/v1\nkind: Tenant\nmetadata: {{name: {name}}}\nspec: {{displayName: {title}, tier: {tier}, phase: active}}\n"
        );
        self.write(&format!("tenants/{name}.yaml"), &text);
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        tenantry(self.path()).args(arguments).output().expect("the command runs")
    }

    /// What a command writes to stdout.
    pub fn stdout(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        String::from_utf8(output.stdout).expect("text is UTF-8")
    }

    pub fn apply(&self) {
        let output = self.run(&["apply", "--auto-approve", "--quiet"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

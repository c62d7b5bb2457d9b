//! A plan where the secret store cannot be opened, as on a pull request: what it still tells, and that it is never applied.

use std::fs;
use std::process::Output;

use secrecy::ExposeSecret as _;
use sqlx::{Connection as _, Executor as _};

use super::Estate;
use crate::command::tenantry;

const BLUEPRINT: &str = r#"apiVersion: tenantry.dev/v1
kind: Blueprint
metadata: {name: base}
spec:
  scope: tenant
  resources:
    - id: role
      kind: postgres.role
      spec: {name: "${ident(tenant.name)}", login: true, password: "${secret('login', 1)}"}
---
apiVersion: tenantry.dev/v1
kind: Blueprint
metadata: {name: reports}
spec: {scope: tenant, resources: []}
"#;

/// An estate whose secrets are in a file, for which only those who hold the identity have the key.
struct Kept {
    estate: Estate,
    identity: String,
}

impl Kept {
    fn new() -> Self {
        let estate = Estate::new();
        estate.write("tenants/blueprints.yaml", BLUEPRINT);
        let config = fs::read_to_string(estate.path().join("tenantry.toml")).expect("reads");
        estate.write("tenantry.toml", &format!("{config}\n[secrets]\nidentity = \"env:TENANT_KEY\"\n"));
        Self { estate, identity: tenantry_secret::new_identity().0.expose_secret().to_owned() }
    }

    fn run(&self, has_identity: bool, arguments: &[&str]) -> (i32, String, String) {
        let mut command = tenantry(self.estate.path());
        command.args(arguments).env_remove("TENANT_KEY");
        if has_identity {
            command.env("TENANT_KEY", &self.identity);
        }
        let Output { status, stdout, stderr } = command.output().expect("the command runs");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text is UTF-8");
        (status.code().expect("it ended by itself"), text(stdout), text(stderr))
    }

    fn done(&self, arguments: &[&str]) {
        let (exit, out, err) = self.run(true, arguments);
        assert_eq!(exit, 0, "{out}{err}");
    }
}

const TOLD: &str = "Values of secrets were not compared";

#[test]
fn what_is_as_desired_stays_so_without_the_identity() {
    let kept = Kept::new();
    kept.done(&["apply", "--auto-approve"]);
    let (exit, out, err) = kept.run(false, &["plan"]);
    assert_eq!(exit, 0, "{err}");
    assert!(out.contains("nothing to do, 4 unchanged.") && out.contains(TOLD), "{out}");
    let (_, out, _) = kept.run(true, &["plan"]);
    assert!(!out.contains(TOLD), "{out}");
    for format in ["markdown", "html"] {
        assert!(kept.run(false, &["plan", "--format", format]).1.contains(TOLD), "{format}");
    }
}

#[tokio::test]
async fn only_who_can_open_the_store_sees_that_a_value_was_changed() {
    let kept = Kept::new();
    kept.done(&["apply", "--auto-approve"]);
    let world = kept.estate.path().join(".tenantry/default/sandbox.db");
    let mut world = sqlx::SqliteConnection::connect(&format!("sqlite://{}", world.display())).await.expect("a world");
    let sql = "UPDATE resources SET mark = json_set(mark, '$.secret_hash', 'another') WHERE identity = 'ant'";
    world.execute(sql).await.expect("SQL");
    world.close().await.expect("closes");
    assert!(kept.run(false, &["plan"]).1.contains("nothing to do"));
    assert!(kept.run(true, &["plan"]).1.contains("1 to update"));
    // A report of drift that leaves something out would end an alarm.
    let (exit, _, err) = kept.run(false, &["drift"]);
    assert_eq!(exit, 1, "{err}");
    assert!(err.contains("TENANT_KEY"), "{err}");
}

#[test]
fn another_version_of_a_secret_shows_and_new_resources_do() {
    let kept = Kept::new();
    kept.done(&["apply", "--auto-approve"]);
    kept.estate.edit("tenants/blueprints.yaml", "secret('login', 1)", "secret('login', 2)");
    kept.estate.tenant("eel", "small", "eel");
    let (exit, out, err) = kept.run(false, &["plan"]);
    assert_eq!(exit, 0, "{err}");
    assert!(out.contains("1 to create, 4 to update"), "{out}");
}

#[test]
fn a_plan_without_the_secret_store_is_not_applied() {
    let kept = Kept::new();
    let saved = kept.estate.path().join("plan.json");
    let saved = saved.to_str().expect("a path");
    assert_eq!(kept.run(false, &["plan", "--out", saved]).0, 0);
    let (exit, out, err) = kept.run(true, &["apply", saved, "--auto-approve"]);
    assert_eq!(exit, 3, "{out}{err}");
    assert!(err.contains("made without the secret store") && err.contains("plan again"), "{err}");
    // Whether a secret was lost is only known with the store: nothing is made anew for it.
    assert!(!fs::exists(kept.estate.path().join(".tenantry/default/secrets.age")).expect("the folder is there"));

    // An estate without secrets needs no identity for anything.
    let plain = Estate::new();
    let config = fs::read_to_string(plain.path().join("tenantry.toml")).expect("reads");
    plain.write("tenantry.toml", &format!("{config}\n[secrets]\nidentity = \"env:TENANT_KEY\"\n"));
    let plain = Kept { estate: plain, identity: kept.identity };
    let saved = plain.estate.path().join("plan.json");
    let saved = saved.to_str().expect("a path");
    let (_, out, _) = plain.run(false, &["plan", "--out", saved]);
    assert!(!out.contains(TOLD), "{out}");
    plain.done(&["apply", saved, "--auto-approve"]);
}

#[test]
fn an_identity_that_does_not_open_the_store_is_an_error() {
    let kept = Kept::new();
    kept.done(&["apply", "--auto-approve"]);
    let other = Kept { estate: kept.estate, identity: Kept::new().identity };
    let (exit, _, err) = other.run(true, &["plan"]);
    assert_eq!(exit, 1, "{err}");
    assert!(err.contains("cannot be opened"), "{err}");
}

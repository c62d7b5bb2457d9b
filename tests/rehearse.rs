//! `plan --rehearse`: a change is judged without asking any target.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use assert_fs::TempDir;

use crate::command::{Said, run, tenantry};

const SIMULATED: &str = "[estate]\nname = \"shop\"\n\
    [targets.main]\nprovider = \"postgres\"\nsandbox = true\n\
    [targets.queue]\nprovider = \"rabbitmq\"\nsandbox = true\n\
    [targets.pay]\nprovider = \"stripe\"\nsandbox = true\n";

/// The same targets as they are configured where they are real: nothing of it can be reached or opened here.
const REAL: &str = "[estate]\nname = \"shop\"\n\
    [secrets]\nidentity = \"env:NOBODY_HAS_THIS_IDENTITY\"\n\
    [targets.main]\nprovider = \"postgres\"\nurl = \"env:NOBODY_HAS_THIS_URL\"\n\
    [targets.queue]\nprovider = \"rabbitmq\"\nurl = \"env:NOBODY_HAS_THIS_URL\"\n\
    [targets.pay]\nprovider = \"stripe\"\napi_key = \"env:NOBODY_HAS_THIS_KEY\"\n";

const ROLE: &str = "    - {id: role, kind: postgres.role, spec: {name: \"${tenant.name}_app\", login: true, password: \"${secret('db')}\", connectionLimit: 5}}\n";

const REST: &str = "    - {id: schema, kind: postgres.schema, spec: {name: \"${tenant.name}_data\"}}
    - {id: usage, kind: postgres.grant, spec: {role: \"${resources.role.name}\", on: schema, schema: \"${resources.schema.name}\", privileges: [USAGE]}}
    - {id: user, kind: rabbitmq.user, spec: {name: \"${tenant.name}\", password: \"${secret('queue')}\"}}
    - {id: customer, kind: stripe.customer, spec: {key: \"${tenant.name}\", name: \"${tenant.displayName}\", metadata: {dsn: \"postgres://app@db/${tenant.name}\"}}}
    - {id: hook, kind: stripe.webhook_endpoint, spec: {key: \"${tenant.name}\", url: \"https://shop.example/${tenant.name}\", enabledEvents: [\"customer.created\"]}}
    - {id: note, kind: rabbitmq.vhost, spec: {name: \"${tenant.name}\", description: \"${resources.customer.id}\"}}
";

struct Bed(TempDir);

impl Bed {
    fn new() -> Self {
        let bed = Self(TempDir::new().expect("a folder"));
        std::fs::create_dir(bed.path().join("tenants")).expect("a folder");
        bed.write(&format!("{ROLE}{REST}"));
        bed.configure(SIMULATED);
        let applied = bed.run(&["apply", "--auto-approve"]);
        assert_eq!(applied.exit, 0, "{applied:#?}");
        bed.configure(REAL);
        bed
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn run(&self, arguments: &[&str]) -> Said {
        run(self.path(), arguments)
    }

    fn configure(&self, config: &str) {
        std::fs::write(self.path().join("tenantry.toml"), config).expect("writes");
    }

    fn write(&self, resources: &str) {
        let documents = format!(
            "apiVersion: tenantry.dev/v1\nkind: Tier\nmetadata: {{name: standard}}\nspec: {{rank: 1, blueprints: [saas]}}\n---\n\
             apiVersion: tenantry.dev/v1\nkind: Tenant\nmetadata: {{name: acme}}\n\
             spec: {{displayName: Acme, tier: standard, phase: active}}\n---\n\
             apiVersion: tenantry.dev/v1\nkind: Blueprint\nmetadata: {{name: saas}}\nspec:\n  scope: tenant\n  resources:\n{resources}"
        );
        std::fs::write(self.path().join("tenants/all.yaml"), documents).expect("writes");
    }

    /// Every file of the estate, with what is in it.
    fn files(&self) -> Vec<(std::path::PathBuf, Vec<u8>)> {
        let mut found = Vec::new();
        let mut folders = vec![self.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => found.push((path.clone(), std::fs::read(path).expect("a file"))),
                }
            }
        }
        found.sort();
        found
    }
}

#[test]
fn what_is_on_record_is_rehearsed_without_a_difference() {
    let bed = Bed::new();
    let real = bed.run(&["plan"]);
    assert_ne!(real.exit, 0, "no target can be asked: {real:#?}");
    let before = bed.files();
    let rehearsed = bed.run(&["plan", "--rehearse", "--detailed-exitcode"]);
    assert_eq!(rehearsed.exit, 0, "{rehearsed:#?}");
    assert!(rehearsed.out.contains("7 unchanged"), "{}", rehearsed.out);
    assert!(rehearsed.err.contains("no target was asked"), "{}", rehearsed.err);
    assert!(bed.files() == before, "a rehearsal leaves the estate and its store as they are");
}

#[test]
fn a_change_is_played_through() {
    let bed = Bed::new();
    let changed = ROLE.replace("connectionLimit: 5", "connectionLimit: 9").replace("secret('db')", "secret('db', 2)");
    bed.write(&format!("{changed}{}", REST.replace("customer.created", "customer.deleted")));
    let before = bed.files();
    let rehearsed = bed.run(&["plan", "--rehearse", "--detailed-exitcode"]);
    assert_eq!(rehearsed.exit, 2, "{rehearsed:#?}");
    assert!(rehearsed.out.contains("2 to update, 5 unchanged"), "{}", rehearsed.out);
    assert!(rehearsed.out.contains("5 → 9") && rehearsed.out.contains("Simulated"), "{}", rehearsed.out);
    assert!(
        rehearsed.err.contains("carried out 2 changes, and a second plan finds nothing to do"),
        "{}",
        rehearsed.err
    );
    assert!(bed.files() == before, "a rehearsal leaves the estate and its store as they are");
}

#[test]
fn what_a_target_would_refuse_shows() {
    let bed = Bed::new();
    bed.write(&format!("{ROLE}{}", REST.replace("schema: \"${resources.schema.name}\"", "schema: elsewhere")));
    let rehearsed = bed.run(&["plan", "--rehearse"]);
    assert_eq!(rehearsed.exit, 5, "{rehearsed:#?}");
    assert!(rehearsed.err.contains("elsewhere") && rehearsed.err.contains("does not exist"), "{}", rehearsed.err);
}

/// What is on record is personal, so nothing of it stays in the system's folder for temporary files.
#[cfg(unix)]
#[test]
fn a_rehearsal_that_is_interrupted_leaves_nothing_behind() {
    let bed = Bed::new();
    bed.write(&format!("{}{REST}", ROLE.replace("connectionLimit: 5", "connectionLimit: 9")));
    let temporary = TempDir::new().expect("a folder");
    let left = || std::fs::read_dir(temporary.path()).expect("a folder").count();
    let mut child = tenantry(bed.path())
        .args(["plan", "--rehearse"])
        .env("TMPDIR", temporary.path())
        .env("TENANTRY_HALT_AT", "0")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let mut said = String::new();
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe"));
    while !said.contains("halted") && lines.read_line(&mut said).expect("reads") > 0 {}
    assert_eq!(left(), 1, "it is in the middle of its work: {said}");
    let interrupt = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("a signal");
    assert!(interrupt.success());
    assert_eq!(child.wait().expect("it has ended").code(), Some(1));
    assert_eq!(left(), 0);
}

#[test]
fn a_rehearsal_is_neither_saved_nor_of_the_sandbox() {
    let bed = Bed::new();
    for arguments in [["plan", "--rehearse", "--out", "plan.json"].as_slice(), &["plan", "--rehearse", "--sandbox"]] {
        assert_eq!(bed.run(arguments).exit, 64);
    }
}

//! A checkout of one of the estates, and the steps that each of them goes through.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use assert_fs::TempDir;
use secrecy::ExposeSecret as _;
use serde_json::Value as Json;

/// Lifts the guards for tenants that have left, as a reviewer would.
const APPROVAL: &str = r#"apiVersion: tenantry.dev/v1
kind: Approval
metadata: {name: farewell}
spec:
  allow: [delete, massDelete]
  addresses: ["*-*/*", "estate/*", "tier:*"]
  reason: every customer has moved on and has confirmed it
  expires: 2099-12-31
"#;

pub struct Estate {
    folder: TempDir,
    variables: Vec<(&'static str, String)>,
    /// The kind of every resource, by address.
    kinds: BTreeMap<String, String>,
    drifted: BTreeSet<String>,
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        std::fs::create_dir_all(to).expect("a folder");
        for entry in std::fs::read_dir(from).expect("a folder") {
            let entry = entry.expect("an entry");
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        std::fs::copy(from, to).expect("a copy");
    }
}

/// The addresses of changes, with action and cause: `acme/schema create pending`.
fn told(changes: &[Json]) -> BTreeSet<String> {
    // What only brings the inventory up to date changes nothing in a target.
    let changes = changes.iter().filter(|change| change["reason"]["code"] != "recordOutdated");
    let text = |change: &Json, field: &str| change[field].as_str().unwrap_or_default().to_owned();
    changes.map(|c| format!("{} {} {}", text(c, "address"), text(c, "action"), text(c, "cause"))).collect()
}

fn set(texts: &[&str]) -> BTreeSet<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

impl Estate {
    /// Copies an estate, so that a test can edit it.
    pub fn checkout(name: &str, mut variables: Vec<(&'static str, String)>) -> Self {
        let folder = TempDir::new().expect("a folder");
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guides/estates").join(name), folder.path());
        let identity = tenantry_secret::new_identity().0.expose_secret().to_owned();
        variables.push(("TENANTRY_AGE_IDENTITY", identity));
        Self { folder, variables, kinds: BTreeMap::new(), drifted: BTreeSet::new() }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// Replaces a text that has to be in a file.
    #[track_caller]
    pub fn edit(&self, file: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.path(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(text.contains(from), "{file}: {from}");
        std::fs::write(self.path(file), text.replace(from, to)).expect("a file");
    }

    /// Asserts that a secret stands in no file of the estate, its records among them.
    #[track_caller]
    pub fn hides(&self, secret: &str) {
        let mut folders = vec![self.folder.path().to_owned()];
        let mut files = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let bytes = std::fs::read(&path).expect("a file");
                assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{}", path.display());
                files += 1;
            }
        }
        assert!(files > 5, "{files} files");
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tenantry"));
        command.env_clear().envs(self.variables.iter().cloned()).arg("-C").arg(self.folder.path());
        command.args(arguments).output().expect("the program runs")
    }

    /// Runs a command that ends with `code`, and returns what it writes to stdout.
    #[track_caller]
    pub fn expect(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{stdout}\n{stderr}");
        stdout.into_owned()
    }

    /// The changes of a `plan` that blocks nothing.
    #[track_caller]
    fn changes(&self, code: i32, arguments: &[&str]) -> Vec<Json> {
        let text = self.expect(code, &[arguments, &["--format", "json"]].concat());
        let plan: Json = serde_json::from_str(&text).expect("a plan");
        assert_eq!(plan["blocked"], serde_json::json!([]), "{text}");
        plan["changes"].as_array().expect("changes").clone()
    }

    /// What a plan says is not ready yet, as `ADDRESS: REASON` where one address is named, and else as the finding has it.
    #[track_caller]
    pub fn unready(&self) -> Vec<String> {
        let text = self.expect(0, &["plan", "--format", "json"]);
        let plan: Json = serde_json::from_str(&text).expect("a plan");
        let findings = plan["findings"].as_array().expect("findings").iter();
        let unready = findings.filter(|finding| finding["code"] == "TY0416");
        unready.map(|finding| finding["message"].as_str().expect("a message").to_owned()).collect()
    }

    /// Validates, plans and makes everything, and finds nothing more to do. Returns the number of resources.
    #[track_caller]
    pub fn provisions(&mut self) -> usize {
        self.expect(0, &["validate"]);
        let planned = self.changes(2, &["plan", "--detailed-exitcode"]);
        assert!(planned.iter().all(|change| change["action"] == "create"), "{:?}", told(&planned));
        let text = |change: &Json, field: &str| change[field].as_str().expect(field).to_owned();
        self.kinds = planned.iter().map(|change| (text(change, "address"), text(change, "kind"))).collect();
        self.expect(0, &["apply", "--auto-approve"]);
        self.is_settled();
        planned.len()
    }

    /// Asserts that the repository and the targets agree.
    #[track_caller]
    pub fn is_settled(&self) {
        self.expect(0, &["plan", "--detailed-exitcode"]);
        self.expect(0, &["drift"]);
    }

    /// Asserts that exactly what was done behind Tenantry's back is found, as `ADDRESS ACTION`, and repaired.
    ///
    /// What holds an id or address of something that is gone follows: it may come back with another one.
    #[track_caller]
    pub fn repairs(&mut self, drifted: &[&str], following: &[&str]) {
        let mut expected: BTreeSet<String> = drifted.iter().map(|change| format!("{change} drift")).collect();
        self.drifts(drifted);
        expected.extend(following.iter().map(|address| format!("{address} update pending")));
        assert_eq!(told(&self.changes(2, &["plan", "--detailed-exitcode"])), expected);
        self.expect(0, &["apply", "--auto-approve"]);
        self.is_settled();
        let address = |change: &&str| change.rsplit_once(' ').expect("an action").0.to_owned();
        self.drifted.extend(drifted.iter().map(address));
    }

    /// Asserts what `drift` finds: what `create` would bring back is deleted, everything else changed.
    #[track_caller]
    fn drifts(&self, drifted: &[&str]) {
        let text = self.expect(2, &["drift", "--format", "json"]);
        let drift: Json = serde_json::from_str(&text).expect("drift");
        for list in ["blocked", "unknown", "unfinished"] {
            assert_eq!(drift[list], serde_json::json!([]), "{text}");
        }
        let found = drift["drifted"].as_array().expect("a list").iter().map(|found| {
            format!("{} {}", found["address"].as_str().expect("an address"), found["state"].as_str().expect("a state"))
        });
        let state = |change: &&str| {
            let (address, action) = change.rsplit_once(' ').expect("an action");
            format!("{address} {}", if action == "create" { "deleted" } else { "changed" })
        };
        assert_eq!(found.collect::<BTreeSet<_>>(), drifted.iter().map(state).collect::<BTreeSet<_>>());
    }

    /// Asserts that there was drift of every kind.
    #[track_caller]
    pub fn every_kind_has_drifted(&self) {
        let kinds = |addresses: &mut dyn Iterator<Item = &String>| -> BTreeSet<String> {
            addresses.filter_map(|address| self.kinds.get(address).cloned()).collect()
        };
        assert_eq!(kinds(&mut self.drifted.iter()), kinds(&mut self.kinds.keys()));
    }

    /// Asserts that an edit comes to exactly these changes, as `ADDRESS ACTION`, and applies them.
    #[track_caller]
    pub fn becomes(&self, changes: &[&str]) {
        let expected = changes.iter().map(|change| format!("{change} pending")).collect();
        assert_eq!(told(&self.changes(2, &["plan", "--detailed-exitcode"])), expected);
        self.expect(0, &["apply", "--auto-approve"]);
        self.is_settled();
    }

    fn tenants(&self) -> Vec<String> {
        let folder = std::fs::read_dir(self.path("tenants/customers")).expect("a folder");
        let names = folder.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"));
        names.map(|name| format!("tenants/customers/{name}")).collect()
    }

    /// Takes every tenant to a phase, in its document only.
    fn all_are(&self, phase: &str) {
        for file in self.tenants() {
            let text = std::fs::read_to_string(self.path(&file)).expect("a file");
            let line = text.lines().find(|line| line.trim_start().starts_with("phase: ")).expect("a phase").to_owned();
            self.edit(&file, &line, &format!("  phase: {phase}"));
        }
    }

    /// Every tenant is to leave: access ends, data stays. Returns what changes, as `ADDRESS ACTION CAUSE`.
    #[track_caller]
    pub fn begins_to_offboard(&self) -> BTreeSet<String> {
        self.all_are("deleting");
        let changes = told(&self.changes(2, &["plan", "--detailed-exitcode"]));
        self.expect(0, &["apply", "--auto-approve"]);
        self.is_settled();
        changes
    }

    /// Every tenant has left: refused until the time has come and somebody approves, then nothing of them is left. Returns what is
    /// told meanwhile.
    #[track_caller]
    pub fn offboards(&self) -> String {
        self.all_are("deleted");
        let refused = self.expect(3, &["apply", "--auto-approve"]);
        assert!(refused.contains("TY0431") && refused.contains("is kept for 30 days"), "{refused}");
        let config = std::fs::read_to_string(self.path("tenantry.toml")).expect("a file");
        let at_once = "\n[offboarding]\nretention_days = 0\nmin_retention_days = 0\n";
        std::fs::write(self.path("tenantry.toml"), config + at_once).expect("a file");
        let refused = self.expect(3, &["apply", "--auto-approve"]);
        assert!(refused.contains("TY0405") && refused.contains("TY0408"), "{refused}");
        std::fs::create_dir_all(self.path("policies")).expect("a folder");
        std::fs::write(self.path("policies/farewell.yaml"), APPROVAL).expect("a file");
        let output = self.run(&["apply", "--auto-approve"]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{told}");
        self.is_settled();
        told
    }

    /// The platform itself ends: blueprints without a resource, for tiers that nobody is on.
    #[track_caller]
    pub fn closes(&self) {
        for blueprint in std::fs::read_dir(self.path("tenants/blueprints")).expect("a folder") {
            let path = blueprint.expect("an entry").path();
            let text = std::fs::read_to_string(&path).expect("a file");
            let (head, _) = text.split_once("  resources:\n").expect("resources");
            std::fs::write(&path, format!("{head}  resources: []\n")).expect("a file");
        }
        self.expect(0, &["apply", "--auto-approve"]);
        self.is_settled();
        assert_eq!(set(&[]), told(&self.changes(0, &["plan", "--detailed-exitcode"])));
    }
}

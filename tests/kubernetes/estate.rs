//! A whole estate on a real API server, through the command line.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use assert_fs::TempDir;
use secrecy::ExposeSecret as _;
use serde_json::{Value as Json, json};

use crate::support::api_proxy::Fate;
use crate::support::kubernetes::{World, alone, on_server};

const PLATFORM: &str = include_str!("estate/platform.yaml");
/// Group, kind and version of custom resources that tenants have.
const CUSTOM: [(&str, &str, &str); 5] = [
    ("cert-manager.io", "Certificate", "v1"),
    ("monitoring.coreos.com", "ServiceMonitor", "v1"),
    ("monitoring.coreos.com", "PrometheusRule", "v1"),
    ("external-secrets.io", "ExternalSecret", "v1beta1"),
    ("mysql.oracle.com", "InnoDBCluster", "v2"),
];
/// The definitions, and fifteen objects for each of three tenants.
const OBJECTS: usize = CUSTOM.len() + 3 * 15;

/// The definitions as a blueprint of the estate.
fn definitions() -> Json {
    let resource = |(group, kind, version): &(&str, &str, &str)| {
        let plural = format!("{}s", kind.to_lowercase());
        json!({"id": kind.to_lowercase(), "kind": "kubernetes.object", "spec": {
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{plural}.{group}")},
            "spec": {
                "group": group, "scope": "Namespaced", "names": {"kind": kind, "plural": plural},
                "versions": [{"name": version, "served": true, "storage": true, "schema": {
                    "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                }}],
            },
        }})
    };
    json!({
        "apiVersion": "tenantry.dev/v1", "kind": "Blueprint", "metadata": {"name": "definitions"},
        "spec": {"scope": "estate", "resources": CUSTOM.iter().map(resource).collect::<Vec<_>>()},
    })
}

/// A tenant's smallest part of a cluster.
const SMALL: &str = r#"    - id: namespace
      kind: kubernetes.object
      spec: {apiVersion: v1, kind: Namespace, metadata: {name: "${tenant.name}"}}
    - id: settings
      kind: kubernetes.object
      spec: {apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: "${tenant.name}"}, data: {a: "1"}}
    - id: credentials
      kind: kubernetes.object
      spec:
        apiVersion: v1
        kind: Secret
        metadata: {name: s, namespace: "${tenant.name}"}
        stringData: {password: "${secret('password')}"}
"#;

pub(super) struct Checkout {
    pub folder: TempDir,
    pub kubeconfig: String,
    identity: String,
}

impl Checkout {
    fn new(world: &World) -> Self {
        let tenants = [("acme", "standard"), ("bolt", "premium"), ("coop", "standard")];
        let checkout = Self::of(world, "shop", PLATFORM, &tenants);
        // JSON is YAML.
        let path = checkout.folder.path().join("tenants/definitions.yaml");
        std::fs::write(path, definitions().to_string()).expect("a file");
        checkout
    }

    pub fn of(world: &World, name: &str, platform: &str, tenants: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().expect("a folder");
        let write = |name: &str, text: String| {
            std::fs::create_dir_all(folder.path().join("tenants")).expect("a folder");
            std::fs::write(folder.path().join(name), text).expect("a file");
        };
        let config = format!(
            "[estate]\nname = \"{name}-{}\"\n\n[secrets]\nidentity = \"env:TENANTRY_AGE_IDENTITY\"\n\n[limits]\nready_seconds = 0\nlease_seconds = 5\nmax_deletes = 10\n\n\
             [targets.here]\nprovider = \"kubernetes\"\nkubeconfig = \"env:TENANTRY_KUBECONFIG\"\n",
            world.suffix
        );
        write("tenantry.toml", config);
        write("tenants/platform.yaml", platform.to_owned());
        for (tenant, tier) in tenants {
            let name = world.name(tenant);
            let document = json!({
                "apiVersion": "tenantry.dev/v1", "kind": "Tenant", "metadata": {"name": name},
                "spec": {
                    "displayName": tenant, "tier": tier, "phase": "active",
                    "values": {"domain": format!("{tenant}.example.com")},
                },
            });
            write(&format!("tenants/{tenant}.yaml"), document.to_string());
        }
        let identity = tenantry_secret::new_identity().0.expose_secret().to_owned();
        Self { folder, kubeconfig: world.kubeconfig.clone(), identity }
    }

    /// An estate whose tenants are of the tier `standard`, which is made of these resources. They come with the indentation that
    /// a blueprint has.
    pub fn made_of(world: &World, name: &str, resources: &str, tenants: &[(&str, &str)]) -> Self {
        let platform = format!(
            "apiVersion: tenantry.dev/v1\nkind: Tier\nmetadata: {{name: standard}}\nspec: {{rank: 1, blueprints: [made]}}\n---\n\
             apiVersion: tenantry.dev/v1\nkind: Blueprint\nmetadata: {{name: made}}\nspec:\n  scope: tenant\n  resources:\n{resources}"
        );
        Self::of(world, name, &platform, tenants)
    }

    /// Applies, and finds nothing to do afterwards.
    pub fn settle(&self) {
        self.expect(0, &["apply", "--auto-approve"]);
        assert_eq!(self.plan(), Vec::<String>::new());
    }

    pub fn edit(&self, from: &str, to: &str) {
        let path = self.folder.path().join("tenants/platform.yaml");
        let text = std::fs::read_to_string(&path).expect("a file");
        assert!(text.contains(from), "{from}");
        std::fs::write(path, text.replace(from, to)).expect("a file");
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tenantry"));
        command
            .env_clear()
            .env("TENANTRY_KUBECONFIG", &self.kubeconfig)
            .env("TENANTRY_AGE_IDENTITY", &self.identity)
            .arg("-C")
            .arg(self.folder.path())
            .args(arguments);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the program runs")
    }

    /// Applies until a point of the journal and kills the process there. False if the run has fewer points.
    pub fn kill_at(&self, point: u64) -> bool {
        let mut child = self
            .command(&["apply", "--auto-approve", "--quiet", "--parallelism", "1"])
            .env("TENANTRY_HALT_AT", point.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let told = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let halted = told.map_while(Result::ok).any(|line| line.contains("halted"));
        // On Unix this is SIGKILL: nothing of the process runs any more.
        child.kill().expect("the process is killed");
        child.wait().expect("the process has ended");
        halted
    }

    /// Applies again. The lock of the dead run ends with its lease.
    pub fn apply_again(&self) {
        for _ in 0..200 {
            let output = self.run(&["apply", "--auto-approve", "--quiet"]);
            match output.status.code() {
                Some(0) => return,
                Some(4) => std::thread::sleep(std::time::Duration::from_millis(300)),
                other => panic!("{other:?}: {}", String::from_utf8_lossy(&output.stderr)),
            }
        }
        panic!("the lock never ended");
    }

    /// Runs a command that ends with `code`, and returns what it writes to stdout.
    #[track_caller]
    pub fn expect(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{stdout}\n{stderr}");
        stdout.into_owned()
    }

    /// The changes of a plan: address, action and cause.
    #[track_caller]
    pub fn plan(&self) -> Vec<String> {
        let plan: Json = serde_json::from_str(&self.expect(0, &["plan", "--format", "json"])).expect("a plan");
        assert_eq!(plan["blocked"], json!([]), "{plan}");
        let text = |change: &Json, field: &str| change[field].as_str().unwrap_or_default().to_owned();
        let changes = plan["changes"].as_array().expect("changes").iter();
        changes.map(|c| format!("{} {} {}", text(c, "address"), text(c, "action"), text(c, "cause"))).collect()
    }
}

#[test]
fn the_cluster_part_of_a_platform_is_applied_kept_and_changed() {
    let _alone = alone();
    on_server("the_cluster_part_of_a_platform_is_applied_kept_and_changed", async |world| {
        let estate = Checkout::new(world);
        let planned = estate.plan();
        assert_eq!(planned.len(), OBJECTS, "{planned:?}");
        estate.settle();

        // What happens to a cluster: edited, deleted, labelled by another team.
        let (acme, bolt, coop) = (world.name("acme"), world.name("bolt"), world.name("coop"));
        let web = format!("/apis/apps/v1/namespaces/{acme}/deployments/web?fieldManager=kubectl-edit");
        world.by_hand("PATCH", &web, json!({"spec": {"replicas": 9}})).await;
        let policy = format!("/apis/networking.k8s.io/v1/namespaces/{bolt}/networkpolicies/isolation");
        world.by_hand("DELETE", &policy, Json::Null).await;
        let labels = json!({"metadata": {"labels": {"cost-centre": "42"}}});
        world.by_hand("PATCH", &format!("/api/v1/namespaces/{coop}?fieldManager=finance"), labels).await;
        let drifted = [format!("{acme}/web update drift"), format!("{bolt}/isolation create drift")];
        assert_eq!(estate.plan(), drifted);
        estate.expect(2, &["drift"]);
        estate.settle();
        estate.expect(0, &["drift"]);
        assert_eq!(world.get(&format!("/api/v1/namespaces/{coop}")).await["metadata"]["labels"]["cost-centre"], "42");

        // A blueprint's edit reaches every tenant; what it no longer names goes away.
        estate.edit("pods: 50}", "pods: 60}");
        estate.edit("labels: {tier: \"${tier.name}\"}", "labels: {}");
        let planned = estate.plan();
        assert!(planned.len() == 6 && planned.iter().all(|change| change.ends_with(" update pending")), "{planned:?}");
        estate.settle();
        let live = world.get(&format!("/api/v1/namespaces/{coop}")).await;
        assert_eq!(live["metadata"]["labels"].get("tier"), None);
        let quota = world.get(&format!("/api/v1/namespaces/{coop}/resourcequotas/quota")).await;
        assert_eq!(quota["spec"]["hard"], json!({"requests.cpu": "4", "limits.cpu": "8", "pods": "60"}));
        let secret = world.get(&format!("/api/v1/namespaces/{coop}/secrets/credentials")).await;
        assert!(secret["data"]["password"].as_str().is_some_and(|password| !password.is_empty()));

        // A role of a binding cannot change, so that each is made anew; what is no longer asked for is deleted.
        estate.edit("name: view}", "name: edit}");
        let part = |id: &str| PLATFORM.find(&format!("    - id: {id}\n")).expect("a resource");
        estate.edit(&PLATFORM[part("isolation")..part("viewers")], "");
        let planned = estate.plan();
        let count = |words: &str| planned.iter().filter(|change| change.ends_with(words)).count();
        assert_eq!((count("/viewers replace pending"), count("/isolation delete pending")), (3, 3), "{planned:?}");
        estate.settle();
        let policies = format!("/apis/networking.k8s.io/v1/namespaces/{coop}/networkpolicies");
        assert_eq!(world.get(&policies).await["items"], json!([]));
        let binding = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{coop}/rolebindings/viewers");
        assert_eq!(world.get(&binding).await["roleRef"]["name"], "edit");
    });
}

#[test]
fn an_apply_that_is_killed_anywhere_is_finished_by_one_more() {
    on_server("an_apply_that_is_killed_anywhere_is_finished_by_one_more", async |world| {
        let trials: Vec<(u64, String)> = (0..16).map(|point| (point, format!("k{point}"))).collect();
        let halted = std::thread::scope(|scope| {
            let runs: Vec<_> = trials
                .iter()
                .map(|(point, tenant)| {
                    scope.spawn(move || {
                        let estate = Checkout::made_of(world, tenant, SMALL, &[(tenant, "standard")]);
                        let halted = estate.kill_at(*point);
                        if halted {
                            estate.apply_again();
                        }
                        assert_eq!(estate.plan(), Vec::<String>::new(), "killed at point {point}");
                        halted
                    })
                })
                .collect();
            runs.into_iter().map(|run| run.join().expect("no panic")).filter(|halted| *halted).count()
        });
        // More points than there are, so that none is left out.
        assert!((3..16).contains(&halted), "{halted} points");
    });
}

#[test]
fn what_cannot_be_read_is_blocked_and_the_rest_goes_on() {
    on_server("what_cannot_be_read_is_blocked_and_the_rest_goes_on", async |world| {
        let is_down = Arc::new(AtomicBool::new(true));
        let down = is_down.clone();
        let proxy =
            world.proxy(move |request| match request.contains("/configmaps?") && down.load(Ordering::Relaxed) {
                true => Fate::Answer("503 Service Unavailable", "", "not now".to_owned()),
                false => Fate::Pass,
            });
        let mut estate = Checkout::made_of(world, "out", SMALL, &[("o1", "standard"), ("o2", "standard")]);
        let config = estate.folder.path().join("kubeconfig");
        std::fs::write(&config, world.settings_at(proxy.await.port).text("kubeconfig").expect("a kubeconfig"))
            .expect("a file");
        estate.kubeconfig = config.to_string_lossy().into_owned();
        tokio::task::spawn_blocking(move || {
            let told = estate.expect(5, &["apply", "--auto-approve"]);
            assert!(told.contains("not now"), "{told}");
            is_down.store(false, Ordering::Relaxed);
            let left = estate.plan();
            assert!(left.len() == 2 && left.iter().all(|change| change.contains("/settings create")), "{left:?}");
            estate.settle();
        })
        .await
        .expect("no panic");
    });
}

#[test]
fn an_estate_keeps_its_secrets_in_its_cluster() {
    on_server("an_estate_keeps_its_secrets_in_its_cluster", async |world| {
        let vault = world.name("vault");
        let namespace = json!({"metadata": {"name": vault}});
        world.by_hand("POST", "/api/v1/namespaces", namespace).await;
        let estate = Checkout::made_of(world, "kept", SMALL, &[("k1", "standard")]);
        let path = estate.folder.path().join("tenantry.toml");
        let config = std::fs::read_to_string(&path).expect("a file");
        let here = format!("target = \"here\"\nnamespace = \"{vault}\"");
        std::fs::write(&path, config.replace("identity = \"env:TENANTRY_AGE_IDENTITY\"", &here)).expect("a file");
        estate.settle();

        let tenant = world.name("k1");
        let kept = world.get(&format!("/api/v1/namespaces/{vault}/secrets")).await;
        let kept = kept["items"].as_array().expect("secrets").iter().find_map(|item| item["data"].get("password.v1"));
        let used = world.get(&format!("/api/v1/namespaces/{tenant}/secrets/s")).await;
        assert!(kept.is_some_and(Json::is_string), "{kept:?}");
        assert_eq!(kept, Some(&used["data"]["password"]));
        let told = estate.expect(0, &["doctor"]);
        assert!(told.contains(&vault), "{told}");
    });
}

#[test]
fn the_users_own_kubeconfig_is_not_quoted() {
    on_server("the_users_own_kubeconfig_is_not_quoted", async |world| {
        let estate = Checkout::made_of(world, "own", SMALL, &[("u1", "standard")]);
        let path = estate.folder.path().join("tenantry.toml");
        let config = std::fs::read_to_string(&path).expect("a file");
        let config = config.replace("kubeconfig = \"env:TENANTRY_KUBECONFIG\"", "context = \"here\"");
        std::fs::write(&path, config).expect("a file");
        let own = estate.folder.path().join("own");
        for text in ["users:\n- {name: a, user: {token: hunter2}\n", "users: {token: hunter2}\n"] {
            std::fs::write(&own, text).expect("a file");
            let output = estate.command(&["plan"]).env("KUBECONFIG", &own).output().expect("the program runs");
            let told = format!("{output:?}");
            assert!(!output.status.success() && told.contains("kubeconfig"), "{told}");
            assert!(!told.contains("hunter2"), "{told}");
        }
    });
}

//! A whole estate on a real API server, through the command line.

use std::process::{Command, Output};

use assert_fs::TempDir;
use secrecy::ExposeSecret as _;
use serde_json::{Value as Json, json};

use crate::support::kubernetes::{World, on_server};

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

struct Checkout {
    folder: TempDir,
    kubeconfig: String,
    identity: String,
}

impl Checkout {
    fn new(world: &World) -> Self {
        let folder = TempDir::new().expect("a folder");
        let write = |name: &str, text: String| {
            std::fs::create_dir_all(folder.path().join("tenants")).expect("a folder");
            std::fs::write(folder.path().join(name), text).expect("a file");
        };
        let config = format!(
            "[estate]\nname = \"shop-{}\"\n\n[secrets]\nidentity = \"env:TENANTRY_AGE_IDENTITY\"\n\n[limits]\nready_seconds = 0\n\n\
             [targets.here]\nprovider = \"kubernetes\"\nkubeconfig = \"env:TENANTRY_KUBECONFIG\"\n",
            world.suffix
        );
        write("tenantry.toml", config);
        write("tenants/platform.yaml", PLATFORM.to_owned());
        // JSON is YAML.
        write("tenants/definitions.yaml", definitions().to_string());
        for (tenant, tier) in [("acme", "standard"), ("bolt", "premium"), ("coop", "standard")] {
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
        let identity = tenantry::secret::new_identity().0.expose_secret().to_owned();
        Self { folder, kubeconfig: world.kubeconfig.clone(), identity }
    }

    fn edit(&self, from: &str, to: &str) {
        let path = self.folder.path().join("tenants/platform.yaml");
        let text = std::fs::read_to_string(&path).expect("a file");
        assert!(text.contains(from), "{from}");
        std::fs::write(path, text.replace(from, to)).expect("a file");
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_tenantry"))
            .env_clear()
            .env("TENANTRY_KUBECONFIG", &self.kubeconfig)
            .env("TENANTRY_AGE_IDENTITY", &self.identity)
            .arg("-C")
            .arg(self.folder.path())
            .args(arguments)
            .output()
            .expect("the program runs")
    }

    /// Runs a command that ends with `code`, and returns what it writes to stdout.
    #[track_caller]
    fn expect(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{stdout}\n{stderr}");
        stdout.into_owned()
    }

    /// The changes of a plan: address, action and cause.
    #[track_caller]
    fn plan(&self) -> Vec<String> {
        let plan: Json = serde_json::from_str(&self.expect(0, &["plan", "--format", "json"])).expect("a plan");
        assert_eq!(plan["blocked"], json!([]), "{plan}");
        let text = |change: &Json, field: &str| change[field].as_str().unwrap_or_default().to_owned();
        let changes = plan["changes"].as_array().expect("changes").iter();
        changes.map(|c| format!("{} {} {}", text(c, "address"), text(c, "action"), text(c, "cause"))).collect()
    }
}

#[test]
fn the_cluster_part_of_a_platform_is_applied_kept_and_changed() {
    on_server("the_cluster_part_of_a_platform_is_applied_kept_and_changed", async |world| {
        let estate = Checkout::new(world);
        let planned = estate.plan();
        assert_eq!(planned.len(), OBJECTS, "{planned:?}");
        estate.expect(0, &["apply", "--auto-approve"]);
        assert_eq!(estate.plan(), Vec::<String>::new());

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
        estate.expect(0, &["apply", "--auto-approve"]);
        assert_eq!(estate.plan(), Vec::<String>::new());
        estate.expect(0, &["drift"]);
        assert_eq!(world.get(&format!("/api/v1/namespaces/{coop}")).await["metadata"]["labels"]["cost-centre"], "42");

        // A blueprint's edit reaches every tenant; what it no longer names goes away.
        estate.edit("pods: 50}", "pods: 60}");
        estate.edit("labels: {tier: \"${tier.name}\"}", "labels: {}");
        let planned = estate.plan();
        assert!(planned.len() == 6 && planned.iter().all(|change| change.ends_with(" update pending")), "{planned:?}");
        estate.expect(0, &["apply", "--auto-approve"]);
        assert_eq!(estate.plan(), Vec::<String>::new());
        let live = world.get(&format!("/api/v1/namespaces/{coop}")).await;
        assert_eq!(live["metadata"]["labels"].get("tier"), None);
        let quota = world.get(&format!("/api/v1/namespaces/{coop}/resourcequotas/quota")).await;
        assert_eq!(quota["spec"]["hard"], json!({"requests.cpu": "4", "limits.cpu": "8", "pods": "60"}));
        let secret = world.get(&format!("/api/v1/namespaces/{coop}/secrets/credentials")).await;
        assert!(secret["data"]["password"].as_str().is_some_and(|password| !password.is_empty()));
        for (group, kind, _) in CUSTOM {
            let name = format!("{}s.{group}", kind.to_lowercase());
            let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}");
            world.by_hand("DELETE", &path, Json::Null).await;
        }
    });
}

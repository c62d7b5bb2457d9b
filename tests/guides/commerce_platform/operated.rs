//! What operators make of their own types: servers of databases, Applications from a list, and a migration for each version.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::World;
use crate::guides::estate::Estate;
use crate::guides::operators::Operators;

const BONSAI: &str = "tenants/customers/bonsai-garden.yaml";

fn servers(shop: &str) -> String {
    format!("/apis/mysql.oracle.com/v2/namespaces/commerce-shared/innodbclusters/{shop}")
}

fn applications(shop: &str) -> String {
    format!("/apis/argoproj.io/v1alpha1/namespaces/commerce-deployments/applicationsets/{shop}")
}

fn jobs(shop: &str) -> String {
    format!("/apis/batch/v1/namespaces/commerce-{shop}/jobs")
}

impl World {
    /// Before the operators have said anything, everything of theirs is pending, and afterwards nothing is.
    pub(super) fn operators_come(&self, estate: &Estate) -> Operators {
        let mut unready = estate.unready();
        unready.sort();
        let four = |first: &str, why: &str| {
            format!("{first} and 3 more of kubernetes.object in `cluster` are not ready yet: {why}")
        };
        assert_eq!(
            unready,
            [
                four(
                    "atlas-hardware/applications",
                    "its controller has not reported yet whether it is ResourcesUpToDate"
                ),
                four("atlas-hardware/deployment", "its controller has not reported its health yet"),
                four("atlas-hardware/migration", "0 of 1 pods have completed"),
                four("atlas-hardware/payment_keys", "its controller has not reported yet whether it is Ready"),
                four("atlas-hardware/servers", "its operator has not reported its state yet"),
            ]
        );
        let operators = Operators::start(self.cluster.clone());
        is_ready(estate);
        // Only now have the shops come to the phase that their documents ask for.
        assert!(estate.expect(2, &["plan", "--detailed-exitcode"]).contains("4 phase changes, 333 unchanged"));
        estate.expect(0, &["apply", "--auto-approve"]);
        estate.is_settled();
        operators
    }

    /// Looks at one shop's part.
    pub(super) async fn is_operated(&self, shop: &str, services: usize) {
        let found = self.cluster.get(&servers(shop)).await;
        let (instances, routers) = match shop {
            "atlas-hardware" | "bonsai-garden" => (3, 2),
            "copper-kitchen" => (1, 2),
            _ => (1, 0),
        };
        assert_eq!(found["spec"]["instances"], instances, "{shop}");
        assert_eq!(found["spec"]["router"]["instances"], routers, "{shop}");
        let claims = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "100Gi"}}});
        assert_eq!(found["spec"]["datadirVolumeClaimTemplate"], claims);
        // Filled in by the definition.
        assert_eq!(found["spec"]["baseServerId"], 1000);
        let secret = found["spec"]["secretName"].as_str().expect("a name");
        let secret = self.cluster.get(&format!("/api/v1/namespaces/commerce-shared/secrets/{secret}")).await;
        assert!(super::decoded(&secret, "rootPassword").len() > 20);

        let found = self.cluster.get(&applications(shop)).await;
        let elements = found["spec"]["generators"][0]["list"]["elements"].as_array().expect("a list");
        assert_eq!(elements.len(), services);
        assert!(elements.iter().all(|element| element["shop"] == shop && element["tier"].is_string()), "{elements:?}");
        assert_eq!(elements[0]["service"], "accounts");
        assert_eq!(found["spec"]["template"]["metadata"]["name"], "{{.shop}}-{{.service}}");

        let found = self.cluster.get(&jobs(shop)).await;
        let [job] = found["items"].as_array().expect("a list").as_slice() else { panic!("{found}") };
        assert_eq!(job["metadata"]["name"], "migrate-4-2-0");
        assert_eq!(job["status"]["conditions"][0]["type"], "Complete");
    }

    /// Servers that are gone would come back without data, which somebody has to know.
    pub(super) async fn loses_servers(&self, estate: &mut Estate) {
        self.cluster.by_hand("DELETE", &servers("copper-kitchen"), Json::Null).await;
        let plan = estate.expect(0, &["plan"]);
        assert!(plan.contains("TY0413") && plan.contains("copper-kitchen/servers"), "{plan}");
        estate.repairs(&["copper-kitchen/servers create"], &[]);
        assert_eq!(estate.unready(), [""; 0]);
    }

    /// Another template for claims would be taken and never looked at, so that a plan says what it really takes.
    pub(super) async fn servers_keep_their_claims(&self, estate: &Estate) {
        let blueprint = "tenants/blueprints/databases.yaml";
        estate.edit(blueprint, "storage: 100Gi", "storage: 200Gi");
        let refused = estate.expect(3, &["plan"]);
        let told = "replacing bonsai-garden/servers would destroy data: its spec.datadirVolumeClaimTemplate";
        assert!(refused.contains("TY0405") && refused.contains(told), "{refused}");
        estate.expect(3, &["apply", "--auto-approve"]);
        estate.edit(blueprint, "storage: 200Gi", "storage: 100Gi");
        estate.is_settled();
        let kept = self.cluster.get(&servers("bonsai-garden")).await;
        assert_eq!(kept["spec"]["datadirVolumeClaimTemplate"]["resources"]["requests"]["storage"], "100Gi");
    }

    /// A version is migrated to once. What fails stays to be looked at, is told again and again, and is not tried again.
    pub(super) async fn migrates(&self, estate: &Estate) {
        let job = |version: &str| format!("{}/migrate-{version}", jobs("bonsai-garden"));
        let first = self.cluster.get(&job("4-2-0")).await["metadata"]["uid"].clone();
        estate.edit(BONSAI, "values: {", "values: {version: \"4.3.0-broken\", ");
        // Nobody waits for what has failed for good longer than the estate says.
        estate.edit("tenantry.toml", "ready_seconds = 45", "ready_seconds = 3");
        estate.becomes(&["bonsai-garden/migration replace", "bonsai-garden/gateway update"]);
        let why = "it failed: BackoffLimitExceeded: Job has reached the specified backoff limit";
        assert_eq!(estate.unready(), [format!("bonsai-garden/migration is not ready yet: {why}")]);
        assert_eq!(self.cluster.ask("GET", &job("4-2-0"), Json::Null).await.0, 404);
        let failed = self.cluster.get(&job("4-3-0-broken")).await["metadata"]["uid"].clone();
        estate.expect(0, &["apply", "--auto-approve"]);
        estate.expect(0, &["drift"]);
        estate.edit("tenantry.toml", "ready_seconds = 3", "ready_seconds = 45");
        assert_eq!(self.cluster.get(&job("4-3-0-broken")).await["metadata"]["uid"], failed);

        estate.edit(BONSAI, "4.3.0-broken", "4.3.1");
        estate.becomes(&["bonsai-garden/migration replace", "bonsai-garden/gateway update"]);
        is_ready(estate);
        estate.is_settled();
        // Another template under the same name is another Job too.
        let second = self.cluster.get(&job("4-3-1")).await["metadata"]["uid"].clone();
        let blueprint = "tenants/blueprints/cluster.yaml";
        estate.edit(blueprint, "/app/migrate, --first-data", "/app/migrate, --all-data");
        estate.becomes(&[
            "atlas-hardware/migration replace",
            "bonsai-garden/migration replace",
            "copper-kitchen/migration replace",
            "drift-surf/migration replace",
        ]);
        is_ready(estate);
        let third = self.cluster.get(&job("4-3-1")).await;
        assert_eq!(third["spec"]["template"]["spec"]["containers"][0]["command"][1], "--all-data");
        assert!(second != third["metadata"]["uid"] && first != second, "{first} {second}");
        let found = self.cluster.get(&jobs("bonsai-garden")).await;
        assert_eq!(found["items"].as_array().map(Vec::len), Some(1), "{found}");
        // What removes itself is warned of.
        estate.edit(
            blueprint,
            "          backoffLimit: 3\n",
            "          backoffLimit: 3\n          ttlSecondsAfterFinished: 600\n",
        );
        let told = estate.run(&["validate"]);
        let told = String::from_utf8_lossy(&told.stderr).into_owned() + &String::from_utf8_lossy(&told.stdout);
        assert!(told.contains("would run it again"), "{told}");
        estate.edit(blueprint, "          ttlSecondsAfterFinished: 600\n", "");
    }
}

/// Waits until nothing is pending.
fn is_ready(estate: &Estate) {
    for _ in 0..30 {
        if estate.unready().is_empty() {
            return;
        }
        std::thread::sleep(Duration::from_millis(300));
    }
    panic!("{:?}", estate.unready());
}

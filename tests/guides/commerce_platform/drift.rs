//! What is done to the shops behind Tenantry's back.

use serde_json::{Value as Json, json};

use super::World;
use crate::guides::estate::Estate;
use crate::guides::servers::{execute, mysql_do};

impl World {
    /// Changes one resource of every kind that can change.
    pub(super) async fn change(&mut self) -> Vec<&'static str> {
        for sql in [
            "ALTER DATABASE commerce_copper_kitchen_orders CHARACTER SET latin1",
            "ALTER USER c_bonsai_garden_orders IDENTIFIED BY 'chosen by hand'",
            "ALTER USER c_drift_surf_orders ACCOUNT UNLOCK",
            "GRANT DROP ON `commerce\\_bonsai\\_garden\\_sites`.* TO c_bonsai_garden_sites",
            "DROP INDEX shops_by_tier ON commerce_control.shops",
            "UPDATE commerce_control.shops SET max_sites = 99 WHERE id = 'copper-kitchen'",
        ] {
            mysql_do(&mut self.data, sql).await;
        }
        for sql in [
            "GRANT CREATE ON SCHEMA subscriptions TO pg_monitor",
            "DROP INDEX subscriptions.running",
            "UPDATE subscriptions.contracts SET price = 1 WHERE shop = 'atlas-hardware'",
        ] {
            execute(&mut self.register, sql).await;
        }

        let vhost = "commerce-copper-kitchen";
        let there = self.broker("GET", &format!("vhosts/{vhost}"), Json::Null).await;
        let description = there["description"].as_str().expect("a description").replace("Copper", "Silver");
        self.broker("PUT", &format!("vhosts/{vhost}"), json!({"description": description})).await;
        let mut user = self.broker("GET", &format!("users/{vhost}"), Json::Null).await;
        user["tags"].as_array_mut().expect("tags").push("administrator".into());
        self.broker("PUT", &format!("users/{vhost}"), user).await;
        for (path, body) in [
            (format!("vhost-limits/{vhost}/max-queues"), json!({"value": 1000})),
            (format!("user-limits/{vhost}/max-connections"), json!({"value": 1000})),
            (format!("permissions/{vhost}/{vhost}"), json!({"configure": ".*", "write": ".*", "read": ".*"})),
            (format!("topic-permissions/{vhost}/{vhost}"), json!({"exchange": "events", "write": ".*", "read": ".*"})),
            (
                format!("policies/{vhost}/lengths"),
                json!({"pattern": ".*", "apply-to": "queues", "definition": {"max-length": 1}}),
            ),
        ] {
            self.broker("PUT", &path, body).await;
        }

        let by_hand = "fieldManager=kubectl-edit";
        for (path, body) in [
            (
                "/api/v1/namespaces/commerce-atlas-hardware/resourcequotas/tier",
                json!({"spec": {"hard": {"pods": "1"}}}),
            ),
            ("/apis/apps/v1/namespaces/commerce-atlas-hardware/deployments/gateway", json!({"spec": {"replicas": 9}})),
            (
                "/apis/argoproj.io/v1alpha1/namespaces/commerce-deployments/applications/bonsai-garden",
                json!({"spec": {"source": {"targetRevision": "hotfix"}}}),
            ),
            (
                "/apis/cert-manager.io/v1/namespaces/commerce-drift-surf/certificates/shop",
                json!({"spec": {"dnsNames": ["drift-surf.example"]}}),
            ),
            (
                "/apis/mysql.oracle.com/v2/namespaces/commerce-shared/innodbclusters/drift-surf",
                json!({"spec": {"router": {"instances": 2}}}),
            ),
            (
                "/apis/argoproj.io/v1alpha1/namespaces/commerce-deployments/applicationsets/copper-kitchen",
                json!({"spec": {"generators": [{"list": {"elements": [{"shop": "copper-kitchen", "service": "orders"}]}}]}}),
            ),
            (
                "/apis/batch/v1/namespaces/commerce-bonsai-garden/jobs/migrate-4-2-0",
                json!({"spec": {"backoffLimit": 9}}),
            ),
        ] {
            self.cluster.by_hand("PATCH", &format!("{path}?{by_hand}"), body).await;
        }

        let suspended = "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>";
        self.files.do_raw("PUT", "/commerce-bonsai-garden-products?versioning=", suspended).await;
        self.files.do_raw("DELETE", "/commerce-copper-kitchen-products?policy=", "").await;
        self.files.do_raw("PUT", "/commerce-drift-surf-products/public/logo.svg", "<svg/>").await;
        let policy = [("UserName", "commerce-bonsai-garden"), ("PolicyName", "tenantry")];
        self.files.iam(&[&[("Action", "DeleteUserPolicy")], &policy[..]].concat()).await;
        // What the shop itself puts there is nobody's business.
        self.files.do_raw("PUT", "/commerce-drift-surf-products/public/board.png", "a picture").await;

        for object in &mut self.grafana.state().objects {
            match object["sort"].as_str() {
                Some("folder") if object["object"]["uid"] == "shop-drift-surf" => {
                    object["object"]["title"] = "Old".into();
                }
                Some("dashboard") if object["object"]["dashboard"]["uid"] == "shop-atlas-hardware" => {
                    object["object"]["dashboard"]["title"] = "Mine".into();
                }
                Some("user") if object["object"]["login"] == "shop-bonsai-garden" => {
                    object["object"]["email"] = "someone@else.example".into();
                }
                _ => {}
            }
        }
        self.sites.state().objects[0]["title"] = "Another".into();
        let site = self.sites.state().objects[0]["domain"].clone();
        let site = match site.as_str().expect("a domain").split('.').next() {
            Some("atlas-hardware") => "atlas-hardware/website update",
            Some("bonsai-garden") => "bonsai-garden/website update",
            Some("copper-kitchen") => "copper-kitchen/website update",
            _ => "drift-surf/website update",
        };
        vec![
            "copper-kitchen/database[\"orders\"] update",
            "bonsai-garden/service_user[\"orders\"] update",
            "drift-surf/service_user[\"orders\"] update",
            "bonsai-garden/service_grant[\"sites\"] update",
            "estate/control_tables update",
            "copper-kitchen/registration update",
            "estate/subscriptions update",
            "estate/subscription_tables update",
            "atlas-hardware/contract update",
            "copper-kitchen/vhost update",
            "copper-kitchen/broker_user update",
            "copper-kitchen/vhost_limits update",
            "copper-kitchen/broker_limits update",
            "copper-kitchen/permission update",
            "copper-kitchen/topics update",
            "copper-kitchen/lengths update",
            "bonsai-garden/products update",
            "copper-kitchen/products update",
            "bonsai-garden/storage_user update",
            "drift-surf/logo update",
            "atlas-hardware/quota update",
            "atlas-hardware/gateway update",
            "bonsai-garden/deployment update",
            "drift-surf/certificate update",
            "drift-surf/servers update",
            "copper-kitchen/applications update",
            "bonsai-garden/migration update",
            "drift-surf/folder update",
            "atlas-hardware/dashboard update",
            "bonsai-garden/viewer update",
            site,
        ]
    }

    /// Removes resources that hold no data. With an exchange its bindings go.
    pub(super) async fn remove(&mut self) -> Vec<&'static str> {
        mysql_do(&mut self.data, "DROP USER c_copper_kitchen_accounts").await;
        self.broker("DELETE", "exchanges/commerce-drift-surf/events", Json::Null).await;
        self.broker("DELETE", "bindings/commerce-bonsai-garden/e/events/q/orders/orders.%2A", Json::Null).await;
        self.broker("DELETE", "policies/commerce-bonsai-garden/lengths", Json::Null).await;
        self.files.do_raw("DELETE", "/commerce-atlas-hardware-newsletters/templates/welcome.txt", "").await;
        for path in [
            "/apis/networking.k8s.io/v1/namespaces/commerce-drift-surf/networkpolicies/isolation",
            "/api/v1/namespaces/commerce-atlas-hardware/secrets/support-database",
            "/apis/apps/v1/namespaces/commerce-bonsai-garden/deployments/gateway",
            "/apis/batch/v1/namespaces/commerce-drift-surf/jobs/migrate-4-2-0",
            "/apis/argoproj.io/v1alpha1/namespaces/commerce-deployments/applicationsets/atlas-hardware",
        ] {
            self.cluster.by_hand("DELETE", path, Json::Null).await;
        }
        self.grafana.state().objects.retain(|object| object["object"]["dashboard"]["uid"] != "shop-copper-kitchen");
        vec![
            "copper-kitchen/service_user[\"accounts\"] create",
            "copper-kitchen/service_grant[\"accounts\"] create",
            "drift-surf/exchange create",
            "drift-surf/binding[\"accounts\"] create",
            "drift-surf/binding[\"catalogue\"] create",
            "drift-surf/binding[\"orders\"] create",
            "drift-surf/binding[\"sites\"] create",
            "bonsai-garden/binding[\"orders\"] create",
            "bonsai-garden/lengths create",
            "atlas-hardware/greeting create",
            "drift-surf/isolation create",
            "atlas-hardware/credentials[\"support\"] create",
            "bonsai-garden/gateway create",
            "drift-surf/migration create",
            "atlas-hardware/applications create",
            "copper-kitchen/dashboard create",
        ]
    }

    /// A queue that is gone would come back empty, which somebody has to know.
    pub(super) async fn loses_a_queue(&mut self, estate: &mut Estate) {
        self.broker("DELETE", "queues/commerce-copper-kitchen/orders", Json::Null).await;
        let plan = estate.expect(0, &["plan"]);
        assert!(plan.contains("TY0413") && plan.contains("copper-kitchen/queue[\"orders\"]"), "{plan}");
        let lost = ["copper-kitchen/queue[\"orders\"] create", "copper-kitchen/binding[\"orders\"] create"];
        estate.repairs(&lost, &[]);
    }
}

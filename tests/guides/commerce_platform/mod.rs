//! Online shops of many small services: a database and a queue for each, a namespace, dashboards.

mod drift;
mod operated;

use serde_json::Value as Json;
use sqlx::PgConnection;
use sqlx::mysql::MySqlConnection;

use crate::guides::estate::Estate;
use crate::guides::servers::{
    Cluster, broker, buckets, in_broker, mysql, mysql_do, mysql_names, on_servers, rows, storage, storage_users,
};
use crate::support::kubernetes::alone;
use crate::support::s3::World as Storage;
use crate::support::vendors::{Api, Vendor};

const ESTATE: &str = "commerce-platform";
const SERVERS: [&str; 7] = [
    "TENANTRY_MYSQL_URL",
    "TENANTRY_POSTGRES_URL",
    "TENANTRY_RABBITMQ_URL",
    "TENANTRY_KUBECONFIG",
    "TENANTRY_S3_URL",
    "TENANTRY_S3_ACCESS_KEY_ID",
    "TENANTRY_S3_SECRET_ACCESS_KEY",
];
/// Every type of object that the estate has.
const COLLECTIONS: [&str; 19] = [
    "/api/v1/namespaces",
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    "/api/v1/resourcequotas",
    "/api/v1/limitranges",
    "/api/v1/configmaps",
    "/api/v1/secrets",
    "/api/v1/services",
    "/apis/apps/v1/deployments",
    "/apis/networking.k8s.io/v1/networkpolicies",
    "/apis/networking.k8s.io/v1/ingresses",
    "/apis/cert-manager.io/v1/certificates",
    "/apis/external-secrets.io/v1beta1/externalsecrets",
    "/apis/monitoring.coreos.com/v1/servicemonitors",
    "/apis/monitoring.coreos.com/v1/prometheusrules",
    "/apis/argoproj.io/v1alpha1/applications",
    "/apis/argoproj.io/v1alpha1/applicationsets",
    "/apis/mysql.oracle.com/v2/innodbclusters",
    "/apis/batch/v1/jobs",
    "/api/v1/persistentvolumeclaims",
];

/// The operators' own types.
const TYPES: [&str; 7] = [
    "certificates.cert-manager.io",
    "externalsecrets.external-secrets.io",
    "servicemonitors.monitoring.coreos.com",
    "prometheusrules.monitoring.coreos.com",
    "applications.argoproj.io",
    "applicationsets.argoproj.io",
    "innodbclusters.mysql.oracle.com",
];

/// Where the estate lives.
struct World {
    data: MySqlConnection,
    register: PgConnection,
    broker: String,
    files: Storage,
    cluster: Cluster,
    grafana: Api,
    sites: Api,
}

#[test]
fn shops_of_many_services_are_made_kept_and_removed() {
    let _alone = alone();
    on_servers("shops_of_many_services_are_made_kept_and_removed", &SERVERS, async |servers| {
        let (url, register) = servers.database("guides_commerce_platform", ESTATE).await;
        let mut world = World {
            data: mysql(servers.url("TENANTRY_MYSQL_URL"), "commerce\\_%", "c\\_%").await,
            register,
            broker: servers.url("TENANTRY_RABBITMQ_URL").to_owned(),
            files: storage(servers, "TENANTRY_S3_URL", "commerce-").await,
            cluster: Cluster::connect(servers).await,
            grafana: Api::start(Vendor::Grafana).await,
            sites: Api::start(Vendor::Webhooks).await,
        };
        world.cluster.clear(ESTATE).await;
        world.cluster.clear_types(&TYPES).await;
        for list in ["vhosts", "users"] {
            for name in in_broker(&world.broker, list, "commerce-").await {
                broker(&world.broker, "DELETE", &format!("{list}/{name}"), Json::Null).await;
            }
        }
        let mut variables = vec![
            ("TENANTRY_POSTGRES_URL", url),
            ("GRAFANA_PASSWORD", "secret".to_owned()),
            ("SITES_TOKEN", "secret-token".to_owned()),
        ];
        for variable in SERVERS.into_iter().filter(|variable| *variable != "TENANTRY_POSTGRES_URL") {
            variables.push((variable, servers.url(variable).to_owned()));
        }
        let mut estate = Estate::checkout(ESTATE, variables);
        estate.edit("tenantry.toml", "https://grafana.commerce.example", &world.grafana.url);
        estate.edit("tenantry.toml", "https://sites.commerce.example", &world.sites.url);
        estate.edit("tenantry.toml", "http://127.0.0.1:8333", &world.files.url);

        estate.edit("tenantry.toml", "ready_seconds = 45", "ready_seconds = 0");
        assert_eq!(estate.provisions(), 333);
        let _operators = world.operators_come(&estate);
        estate.edit("tenantry.toml", "ready_seconds = 0", "ready_seconds = 45");
        world.is_there().await;
        world.is_apart(servers.url("TENANTRY_MYSQL_URL")).await;
        let changed = world.change().await;
        estate.repairs(&changed, &[]);
        let removed = world.remove().await;
        estate.repairs(&removed, &[]);
        world.loses_a_queue(&mut estate).await;
        world.loses_servers(&mut estate).await;
        estate.every_kind_has_drifted();
        world.is_there().await;
        edits(&estate);
        world.servers_keep_their_claims(&estate).await;
        world.migrates(&estate).await;

        let changes = estate.begins_to_offboard();
        assert!(changes.iter().all(|change| change.ends_with(" update pending")), "{changes:?}");
        world.has_ended().await;
        let told = estate.offboards();
        assert!(told.contains("emptying bucket=\"commerce-drift-surf-products\""), "{told}");
        assert_eq!(mysql_names(&mut world.data, SHOPS, "%").await, [""; 0]);
        estate.closes();
        world.nothing_is_left().await;
    });
}

/// What was made of the tenants, and what the estate itself is made of.
const DATABASES: &str = "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME LIKE ? ORDER BY 1";
const USERS: &str = "SELECT User FROM mysql.user WHERE User LIKE ?";
const SHOPS: &str = "SELECT CONCAT_WS(' ', id, tier, status, max_sites, max_orders_per_day, storage, website) FROM commerce_control.shops WHERE id LIKE ? ORDER BY 1";
const SERVICES: [(&str, usize); 4] =
    [("atlas-hardware", 11), ("bonsai-garden", 7), ("copper-kitchen", 4), ("drift-surf", 4)];

fn decoded(secret: &Json, field: &str) -> String {
    let text = secret["data"][field].as_str().expect("a value");
    let bytes = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, text).expect("base64");
    String::from_utf8(bytes).expect("UTF-8")
}

impl World {
    async fn broker(&self, method: &str, path: &str, body: Json) -> Json {
        broker(&self.broker, method, path, body).await
    }

    async fn is_there(&mut self) {
        let website = |domain: &str| {
            let sites = self.sites.state();
            let site = sites.objects.iter().find(|site| site["domain"] == domain).expect("a website");
            site["id"].as_str().expect("an id").to_owned()
        };
        let mut shops = Vec::new();
        for (shop, row) in [
            ("atlas-hardware", "business active 0 0 536870912000"),
            ("bonsai-garden", "premium active 3 10000 161061273600"),
            ("copper-kitchen", "standard trial 1 1000 53687091200"),
            ("drift-surf", "standard suspended 1 1000 53687091200"),
        ] {
            shops.push(format!("{shop} {row} {}", website(&format!("{shop}.commerce.example"))));
        }
        assert_eq!(mysql_names(&mut self.data, SHOPS, "%").await, shops);
        let contracts = "SELECT shop, price, currency, runs FROM subscriptions.contracts ORDER BY 1";
        assert_eq!(
            rows(&mut self.register, contracts).await,
            [
                "atlas-hardware 349.99 eur true",
                "bonsai-garden 124.99 eur true",
                "copper-kitchen 49.99 eur true",
                "drift-surf 49.99 eur false",
            ]
        );
        for (shop, services) in SERVICES {
            let name = shop.replace('-', "\\_");
            let databases = mysql_names(&mut self.data, DATABASES, &format!("commerce\\_{name}\\_%")).await;
            assert_eq!(databases.len(), services, "{databases:?}");
            let users = mysql_names(&mut self.data, USERS, &format!("c\\_{name}%")).await;
            assert_eq!(users.len(), services, "{users:?}");
            assert!(users.iter().all(|user| user.len() <= 32));
            let queues = self.broker("GET", &format!("queues/commerce-{shop}"), Json::Null).await;
            assert_eq!(queues.as_array().map(Vec::len), Some(services));
            let priority = if shop == "atlas-hardware" { 5 } else { 1 };
            assert_eq!(queues[0]["arguments"]["x-max-priority"], priority);
            let bindings = format!("exchanges/commerce-{shop}/events/bindings/source");
            let bindings = self.broker("GET", &bindings, Json::Null).await;
            assert_eq!(bindings.as_array().map(Vec::len), Some(services));
            let gateway = format!("/apis/apps/v1/namespaces/commerce-{shop}/deployments/gateway");
            let replicas = match shop {
                "atlas-hardware" => 3,
                "bonsai-garden" => 2,
                "copper-kitchen" => 1,
                _ => 0,
            };
            assert_eq!(self.cluster.get(&gateway).await["spec"]["replicas"], replicas, "{shop}");
            let secret = self.cluster.get(&format!("/api/v1/namespaces/commerce-{shop}/secrets/storage")).await;
            let user = format!("commerce-{shop}");
            let keys = self.files.iam(&[("Action", "ListAccessKeys"), ("UserName", &user)]).await;
            assert!(keys.contains(&decoded(&secret, "AWS_ACCESS_KEY_ID")), "{keys}");
            assert!(decoded(&secret, "AWS_SECRET_ACCESS_KEY").len() > 20);
            let application = format!("/apis/argoproj.io/v1alpha1/namespaces/commerce-deployments/applications/{shop}");
            let application = self.cluster.get(&application).await;
            assert_eq!(application["spec"]["destination"]["namespace"], format!("commerce-{shop}"));
            self.is_operated(shop, services).await;
        }
        let services: usize = SERVICES.iter().map(|(_, services)| services).sum();
        assert_eq!(self.cluster.marked(&COLLECTIONS, ESTATE).await.len(), 9 + 19 * SERVICES.len() + services);
        assert_eq!(in_broker(&self.broker, "vhosts", "commerce-").await.len(), SERVICES.len());
        assert_eq!(in_broker(&self.broker, "users", "commerce-").await.len(), SERVICES.len());
        assert_eq!(storage_users(&self.files, "commerce-").await.len(), SERVICES.len());
        let files = buckets(&self.files, "commerce-").await;
        assert_eq!(files.len(), 3 * SERVICES.len(), "{files:?}");
        let (_, versioning) = self.files.raw("GET", "/commerce-drift-surf-products?versioning=", &[], "").await;
        assert!(versioning.contains("<Status>Enabled</Status>"), "{versioning}");
        let (_, logo) = self.files.raw("GET", "/commerce-drift-surf-products/public/logo.svg", &[], "").await;
        assert!(logo.contains("<text>Drift Surf</text>"), "{logo}");
        // Each has a folder, a dashboard and a user.
        assert_eq!(self.grafana.state().objects.len(), 3 * SERVICES.len());
    }

    /// A service reaches its own database with the password of its Secret, and no other; who is suspended reaches none.
    async fn is_apart(&mut self, url: &str) {
        let options: sqlx::mysql::MySqlConnectOptions = url.parse().expect("a URL");
        for (shop, is_open) in [("bonsai-garden", true), ("drift-surf", false)] {
            let secret = format!("/api/v1/namespaces/commerce-{shop}/secrets/orders-database");
            let secret = self.cluster.get(&secret).await;
            let user = options
                .clone()
                .username(&decoded(&secret, "DB_USERNAME"))
                .password(&decoded(&secret, "DB_PASSWORD"))
                .database(&decoded(&secret, "DB_DATABASE"));
            let connected = sqlx::ConnectOptions::connect(&user).await;
            if !is_open {
                let refused = connected.expect_err("the account is locked").to_string();
                assert!(refused.contains("locked"), "{refused}");
                continue;
            }
            let mut connection = connected.expect("its own database");
            mysql_do(&mut connection, "CREATE TABLE baskets (id int); ALTER TABLE baskets ADD n int").await;
            let foreign = "SELECT * FROM commerce_bonsai_garden_accounts.settings";
            let denied = sqlx::raw_sql(foreign).execute(&mut connection).await.expect_err("another database");
            assert!(denied.to_string().contains("denied"), "{denied}");
        }
    }

    /// Access has ended and nothing is gone.
    async fn has_ended(&mut self) {
        for (shop, services) in SERVICES {
            let gateway = format!("/apis/apps/v1/namespaces/commerce-{shop}/deployments/gateway");
            assert_eq!(self.cluster.get(&gateway).await["spec"]["replicas"], 0, "{shop}");
            let limits = self.broker("GET", &format!("user-limits/commerce-{shop}"), Json::Null).await;
            assert_eq!(limits[0]["value"]["max-connections"], 0, "{limits}");
            let name = shop.replace('-', "\\_");
            let databases = mysql_names(&mut self.data, DATABASES, &format!("commerce\\_{name}\\_%")).await;
            assert!(databases.len() >= services, "{databases:?}");
        }
        let (status, picture) = self.files.raw("GET", "/commerce-drift-surf-products/public/board.png", &[], "").await;
        assert_eq!((status, picture.as_str()), (200, "a picture"));
        for site in &self.sites.state().objects {
            assert_eq!(site["status"], "closed");
        }
    }

    async fn nothing_is_left(&mut self) {
        // Tenantry's own records stay, without a record.
        assert_eq!(mysql_names(&mut self.data, DATABASES, "commerce\\_%").await, ["commerce_bookkeeping"]);
        for table in ["marks", "scripts"] {
            let sql = format!("SELECT 'left' FROM commerce_bookkeeping.{table} WHERE 'x' LIKE ?");
            assert_eq!(mysql_names(&mut self.data, &sql, "%").await, [""; 0], "{table}");
        }
        assert_eq!(mysql_names(&mut self.data, USERS, "c\\_%").await, [""; 0]);
        assert_eq!(
            rows(&mut self.register, "SELECT 1 FROM pg_namespace WHERE nspname = 'subscriptions'").await,
            [""; 0]
        );
        assert_eq!(in_broker(&self.broker, "vhosts", "commerce-").await, [""; 0]);
        assert_eq!(in_broker(&self.broker, "users", "commerce-").await, [""; 0]);
        assert_eq!(buckets(&self.files, "commerce-").await, [""; 0]);
        assert_eq!(storage_users(&self.files, "commerce-").await, [""; 0]);
        for api in [&self.grafana, &self.sites] {
            assert_eq!(api.state().objects, [Json::Null; 0], "{:?}", api.vendor);
        }
        assert_eq!(self.cluster.marked(&COLLECTIONS, ESTATE).await, [""; 0]);
    }
}

/// A quota, and a larger tier with more services; a smaller one would lose data and is refused.
fn edits(estate: &Estate) {
    let bonsai = "tenants/customers/bonsai-garden.yaml";
    estate.edit(bonsai, "  tier: premium\n", "  tier: premium\n  quotas: {sites: 5}\n");
    estate.becomes(&["bonsai-garden/registration update"]);
    estate.edit(bonsai, "tier: premium", "tier: standard");
    let refused = estate.expect(3, &["plan"]);
    assert!(refused.contains("TY0405") && refused.contains("bonsai-garden/database[\"baskets\"]"), "{refused}");
    estate.edit(bonsai, "tier: standard", "tier: premium");

    estate.edit(
        "tenants/customers/copper-kitchen.yaml",
        "tier: standard\n  phase: trial",
        "tier: premium\n  phase: active",
    );
    let updated = [
        "website",
        "registration",
        "contract",
        "vhost_limits",
        "broker_limits",
        "topics",
        "namespace",
        "quota",
        "config",
        "gateway",
        "deployment",
        "alerts",
        "dashboard",
        "servers",
        "applications",
    ];
    let mut changes: Vec<String> = updated.iter().map(|id| format!("copper-kitchen/{id} update")).collect();
    for service in ["accounts", "catalogue", "orders", "sites"] {
        changes.push(format!("copper-kitchen/service_user[\"{service}\"] update"));
    }
    for service in ["baskets", "deliveries", "newsletters"] {
        for id in ["database", "service_user", "service_grant", "credentials", "queue", "binding"] {
            changes.push(format!("copper-kitchen/{id}[\"{service}\"] create"));
        }
    }
    estate.becomes(&changes.iter().map(String::as_str).collect::<Vec<_>>());
}

//! Online shops of many small services: a database and a queue for each, a namespace, dashboards.

use serde_json::{Value as Json, json};
use sqlx::PgConnection;
use sqlx::mysql::MySqlConnection;

use crate::estate::Estate;
use crate::servers::{
    Cluster, broker, execute, in_broker, mysql, mysql_do, mysql_names, on_servers, rows,
};
use crate::support::vendors::{Api, Vendor};

const ESTATE: &str = "commerce-platform";
const SERVERS: [&str; 4] =
    ["TENANTRY_MYSQL_URL", "TENANTRY_POSTGRES_URL", "TENANTRY_RABBITMQ_URL", "TENANTRY_KUBECONFIG"];
/// Every type of object that the estate has.
const COLLECTIONS: [&str; 16] = [
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
    "/api/v1/persistentvolumeclaims",
];

/// Where the estate lives.
struct World {
    data: MySqlConnection,
    register: PgConnection,
    broker: String,
    cluster: Cluster,
    grafana: Api,
    sites: Api,
}

#[test]
fn shops_of_many_services_are_made_kept_and_removed() {
    on_servers("shops_of_many_services_are_made_kept_and_removed", &SERVERS, async |servers| {
        let (url, register) = servers.database("guides_commerce_platform", ESTATE).await;
        let mut world = World {
            data: mysql(servers.url("TENANTRY_MYSQL_URL"), "commerce\\_%", "c\\_%").await,
            register,
            broker: servers.url("TENANTRY_RABBITMQ_URL").to_owned(),
            cluster: Cluster::connect(servers).await,
            grafana: Api::start(Vendor::Grafana).await,
            sites: Api::start(Vendor::Webhooks).await,
        };
        world.cluster.clear(ESTATE).await;
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
        for variable in ["TENANTRY_MYSQL_URL", "TENANTRY_RABBITMQ_URL", "TENANTRY_KUBECONFIG"] {
            variables.push((variable, servers.url(variable).to_owned()));
        }
        let mut estate = Estate::checkout(ESTATE, variables);
        estate.edit("tenantry.toml", "https://grafana.commerce.example", &world.grafana.url);
        estate.edit("tenantry.toml", "https://sites.commerce.example", &world.sites.url);

        assert_eq!(estate.provisions(), 286);
        let changes = estate.begins_to_offboard();
        println!("{changes:?}");
        estate.offboards();
        estate.closes();
        let _ = (execute(&mut world.register, "SELECT 1").await, mysql_do(&mut world.data, "SELECT 1").await, json!({}), rows(&mut world.register, "SELECT 1").await, mysql_names(&mut world.data, "SELECT ?", "x").await);
        println!("{:?}", world.cluster.marked(&COLLECTIONS, ESTATE).await);
    });
}

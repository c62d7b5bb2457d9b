//! Imaging for clinics: shared tables with row security, metered billing, quotas in a cache.

use serde_json::json;

use crate::estate::Estate;
use crate::servers::{Cluster, clear_redis, execute, in_redis, on_servers, redis, roles, texts};
use crate::support::stripe::World as Account;

const ESTATE: &str = "row-level";
const SERVERS: [&str; 4] =
    ["TENANTRY_POSTGRES_URL", "TENANTRY_REDIS_URL", "TENANTRY_STRIPE_URL", "TENANTRY_KUBECONFIG"];

#[test]
fn clinics_share_tables_and_are_kept_apart() {
    on_servers("clinics_share_tables_and_are_kept_apart", &SERVERS, async |servers| {
        let cluster = Cluster::connect(servers).await;
        cluster.clear(ESTATE).await;
        let (url, mut database) = servers.database("guides_row_level", ESTATE).await;
        let mut cache = servers.redis().await;
        clear_redis(&mut cache, "row-level").await;
        let account = Account::start(servers.url("TENANTRY_STRIPE_URL")).await;
        let variables = vec![
            ("TENANTRY_POSTGRES_URL", url),
            ("TENANTRY_REDIS_URL", servers.url("TENANTRY_REDIS_URL").to_owned()),
            ("TENANTRY_KUBECONFIG", servers.url("TENANTRY_KUBECONFIG").to_owned()),
            ("STRIPE_API_KEY", "sk_test_tenantry".to_owned()),
        ];
        let mut estate = Estate::checkout(ESTATE, variables);
        estate.edit("tenantry.toml", "http://127.0.0.1:12111", &account.url);
        let resources = estate.provisions();
        assert_eq!(resources, 86);
        let _ = (json!({}), execute(&mut database, "SELECT 1").await, in_redis(&mut cache, "row-level").await);
        println!("{:?}", texts(&mut database, "SELECT id FROM imaging.tenants").await);
        redis(&mut cache, "PING").await;
        println!("{:?}", roles(&mut database, ESTATE).await);
        println!("{:?}", estate.begins_to_offboard());
        estate.offboards();
        estate.closes();
    });
}

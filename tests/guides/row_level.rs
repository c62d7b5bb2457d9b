//! Imaging for clinics: shared tables with row security, metered billing, quotas in a cache.

use std::collections::BTreeSet;

use redis::aio::MultiplexedConnection;
use serde_json::{Value as Json, json};
use sqlx::PgConnection;

use crate::guides::estate::Estate;
use crate::guides::servers::{Cluster, active, clear_redis, execute, id_of, in_redis, on_servers, redis, roles, rows};
use crate::support::stripe::World as Account;

const ESTATE: &str = "row-level";
const SERVERS: [&str; 4] =
    ["TENANTRY_POSTGRES_URL", "TENANTRY_REDIS_URL", "TENANTRY_STRIPE_URL", "TENANTRY_KUBECONFIG"];
const COLLECTIONS: [&str; 2] = ["/api/v1/namespaces", "/api/v1/secrets"];

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

        assert_eq!(estate.provisions(), 86);
        is_there(&mut database, &mut cache, &account, &cluster).await;
        are_apart(&mut database).await;

        // The product goes on counting, which is no drift.
        redis(&mut cache, "INCRBY row-level:used:beacon-hospital:api_calls 4711").await;
        execute(&mut database, "UPDATE imaging.tenants SET settings = settings || '{\"theme\": \"dark\"}'").await;
        estate.is_settled();

        let changed = change(&mut database, &mut cache, &account, &cluster).await;
        estate.repairs(&changed, &[]);
        let removed = remove(&mut database, &mut cache, &account, &cluster).await;
        estate.repairs(&removed, &[]);
        estate.every_kind_has_drifted();
        is_there(&mut database, &mut cache, &account, &cluster).await;

        edits(&estate, &mut database, &account).await;

        let changes = estate.begins_to_offboard();
        assert_eq!(changes.iter().filter(|change| change.ends_with(" update pending")).count(), changes.len());
        ended(&mut database, &mut cache, &account).await;
        estate.offboards();
        assert_eq!(rows(&mut database, "SELECT id FROM imaging.tenants").await, [""; 0]);
        estate.closes();
        nothing_is_left(&mut database, &mut cache, &account, &cluster).await;
    });
}

async fn is_there(
    database: &mut PgConnection,
    cache: &mut MultiplexedConnection,
    account: &Account,
    cluster: &Cluster,
) {
    let columns =
        "id, tier, status, billing_cycle, quota_api_calls, quota_storage, quota_users, quota_studies, trial_ends_at";
    assert_eq!(
        rows(database, &format!("SELECT {columns} FROM imaging.tenants ORDER BY id")).await,
        [
            "beacon-hospital enterprise active annual -1 -1 -1 -1 -",
            "meadow-practice free active monthly 10000 10737418240 5 1000 -",
            "northfield-radiology professional active monthly 1000000 1073741824000 50 250000 -",
            "quarry-dental starter suspended monthly 100000 107374182400 10 10000 -",
            "willow-vets starter trial monthly 100000 107374182400 10 10000 2026-12-08",
        ]
    );
    let owners = "SELECT count(*) FROM imaging.members WHERE role = 'owner'";
    assert_eq!(rows(database, owners).await, ["5"]);
    let forced = "SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class WHERE relname IN ('members', 'studies') ORDER BY 1";
    assert_eq!(rows(database, forced).await, ["members true true", "studies true true"]);

    let paid = ["beacon-hospital", "northfield-radiology", "quarry-dental", "willow-vets"];
    assert_eq!(active(account, "subscriptions").await, paid.map(str::to_owned).into());
    assert_eq!(active(account, "customers").await.len(), 5);
    let products = ["enterprise", "metered", "professional", "starter"];
    assert_eq!(active(account, "products").await, products.map(str::to_owned).into());
    assert_eq!(active(account, "prices").await.len(), 11);
    assert_eq!(active(account, "billing/meters").await.len(), 3);
    for (tenant, status, paused, prices) in [
        ("beacon-hospital", "active", Json::Null, 1),
        ("northfield-radiology", "active", Json::Null, 4),
        ("quarry-dental", "active", json!("keep_as_draft"), 4),
        ("willow-vets", "trialing", Json::Null, 4),
    ] {
        let id = id_of(account, "subscriptions", tenant).await;
        let subscription = account.by_hand("GET", &format!("subscriptions/{id}"), &[]).await;
        assert_eq!(subscription["status"], status, "{tenant}");
        assert_eq!(subscription["pause_collection"].get("behavior").cloned().unwrap_or_default(), paused, "{tenant}");
        assert_eq!(subscription["items"]["data"].as_array().map(Vec::len), Some(prices), "{tenant}");
        let customer = id_of(account, "customers", tenant).await;
        assert_eq!(subscription["customer"], customer);
        // What Stripe invented is known where the product looks.
        let kept = "SELECT stripe_customer, stripe_subscription FROM imaging.tenants JOIN imaging.subscriptions ON tenant_id = id";
        assert_eq!(rows(database, &format!("{kept} WHERE id = '{tenant}'")).await, [format!("{customer} {id}")]);
    }

    // For each tenant three quotas, what is used, its flags and its user.
    assert_eq!(in_redis(cache, "row-level").await.len(), 5 * 6);
    let quota = redis(cache, "GET row-level:quota:beacon-hospital:api_calls").await;
    assert_eq!(quota, redis::Value::BulkString(b"-1".to_vec()));

    assert_eq!(cluster.marked(&COLLECTIONS, ESTATE).await.len(), 1 + 1 + 5);
    let secret = cluster.get("/api/v1/namespaces/row-level/secrets/cache-willow-vets").await;
    assert_eq!(secret["data"]["user"], "cm93LWxldmVsLXdpbGxvdy12ZXRz");
    assert!(secret["data"]["password"].as_str().is_some_and(|password| password.len() > 20));
}

/// What one tenant writes another neither sees nor can forge.
async fn are_apart(database: &mut PgConnection) {
    execute(database, "BEGIN; SET ROLE imaging_product; SET LOCAL app.current_tenant_id = 'willow-vets'").await;
    execute(database, "INSERT INTO imaging.studies (tenant_id, patient) VALUES ('willow-vets', 'Rex')").await;
    assert_eq!(rows(database, "SELECT patient FROM imaging.studies").await, ["Rex"]);
    execute(database, "SET LOCAL app.current_tenant_id = 'quarry-dental'").await;
    assert_eq!(rows(database, "SELECT patient FROM imaging.studies").await, [""; 0]);
    assert_eq!(rows(database, "SELECT tenant_id FROM imaging.members").await, ["quarry-dental"]);
    let forged = sqlx::raw_sql("INSERT INTO imaging.studies (tenant_id, patient) VALUES ('willow-vets', 'x')");
    let forged = forged.execute(&mut *database).await.expect_err("a forged row").to_string();
    assert!(forged.contains("row-level security"), "{forged}");
    execute(database, "ROLLBACK").await;
}

/// Changes one resource of every kind.
async fn change(
    database: &mut PgConnection,
    cache: &mut MultiplexedConnection,
    account: &Account,
    cluster: &Cluster,
) -> Vec<&'static str> {
    for sql in [
        "GRANT CREATE ON SCHEMA imaging TO pg_monitor",
        "DROP INDEX imaging.studies_by_tenant",
        "ALTER TABLE imaging.studies NO FORCE ROW LEVEL SECURITY",
        "ALTER ROLE imaging_product CONNECTION LIMIT 3",
        "REVOKE INSERT ON imaging.members FROM imaging_product",
        "UPDATE imaging.tenants SET quota_gpu_hours = 1 WHERE id = 'northfield-radiology'",
    ] {
        execute(database, sql).await;
    }
    for (path, key, parameter) in [
        ("billing/meters", "imaging_storage", ("display_name", "Disk")),
        ("products", "professional", ("name", "Imaging for professionals")),
        ("prices", "imaging_starter_monthly", ("metadata[rank]", "9")),
        ("customers", "meadow-practice", ("email", "someone@else.example")),
        ("subscriptions", "northfield-radiology", ("pause_collection[behavior]", "void")),
    ] {
        let id = id_of(account, path, key).await;
        account.by_hand("POST", &format!("{path}/{id}"), &[parameter]).await;
    }
    redis(cache, "SET row-level:quota:willow-vets:users 1000").await;
    redis(cache, "HSET row-level:flags:quarry-dental readOnly false").await;
    redis(cache, "ACL SETUSER row-level-quarry-dental on allkeys").await;
    let secret = "/api/v1/namespaces/row-level/secrets/cache-beacon-hospital?fieldManager=kubectl-edit";
    cluster.by_hand("PATCH", secret, json!({"data": {"user": "cm9vdA=="}})).await;
    vec![
        "estate/schema update",
        "estate/tables update",
        "estate/isolation[\"studies\"] update",
        "estate/product_role update",
        "estate/use_tables[\"members\"] update",
        "northfield-radiology/registration update",
        "estate/meter[\"storage\"] update",
        "tier:professional/product update",
        "tier:starter/monthly update",
        "meadow-practice/customer update",
        "northfield-radiology/subscription update",
        "willow-vets/quota[\"users\"] update",
        "quarry-dental/flags update",
        "quarry-dental/cache_user update",
        "beacon-hospital/cache_access update",
    ]
}

/// Removes resources that hold no data.
async fn remove(
    database: &mut PgConnection,
    cache: &mut MultiplexedConnection,
    account: &Account,
    cluster: &Cluster,
) -> Vec<&'static str> {
    execute(database, "DROP POLICY own_rows ON imaging.members").await;
    execute(database, "REVOKE ALL ON imaging.studies FROM imaging_product").await;
    redis(cache, "DEL row-level:quota:beacon-hospital:gpu_hours").await;
    redis(cache, "ACL DELUSER row-level-willow-vets").await;
    let price = id_of(account, "prices", "imaging_enterprise_annual").await;
    account.by_hand("POST", &format!("prices/{price}"), &[("active", "false")]).await;
    cluster.by_hand("DELETE", "/api/v1/namespaces/row-level/secrets/database", Json::Null).await;
    vec![
        "estate/isolation[\"members\"] create",
        "estate/use_tables[\"studies\"] create",
        "beacon-hospital/quota[\"gpu_hours\"] create",
        "willow-vets/cache_user create",
        "tier:enterprise/annual create",
        "estate/database_access create",
    ]
}

/// A quota, a trial that becomes a contract, and a larger plan: each changes what it concerns and nothing else.
async fn edits(estate: &Estate, database: &mut PgConnection, account: &Account) {
    let willow = "tenants/customers/willow-vets.yaml";
    estate.edit(willow, "  phase: trial\n", "  phase: trial\n  quotas: {users: 15}\n");
    estate.becomes(&["willow-vets/registration update", "willow-vets/quota[\"users\"] update"]);
    estate.edit(willow, "phase: trial", "phase: active");
    estate.becomes(&["willow-vets/registration update"]);

    let northfield = "tenants/customers/northfield-radiology.yaml";
    estate.edit(northfield, "tier: professional", "tier: enterprise");
    estate.edit(northfield, "cycle: monthly", "cycle: annual");
    estate.becomes(&[
        "northfield-radiology/customer update",
        "northfield-radiology/registration update",
        "northfield-radiology/subscription update",
        "northfield-radiology/quota[\"api_calls\"] update",
        "northfield-radiology/quota[\"gpu_hours\"] update",
        "northfield-radiology/quota[\"users\"] update",
        "northfield-radiology/flags update",
    ]);
    let row = "SELECT tier, quota_api_calls, quota_studies FROM imaging.tenants WHERE id = 'northfield-radiology'";
    assert_eq!(rows(database, row).await, ["enterprise -1 250000"], "what was agreed on stays");
    let id = id_of(account, "subscriptions", "northfield-radiology").await;
    let items = account.by_hand("GET", &format!("subscriptions/{id}"), &[]).await["items"]["data"].clone();
    assert_eq!(items.as_array().map(Vec::len), Some(1));
    assert_eq!(items[0]["price"]["lookup_key"], "imaging_enterprise_annual");
}

/// Access has ended and nothing is gone.
async fn ended(database: &mut PgConnection, cache: &mut MultiplexedConnection, account: &Account) {
    let status = "SELECT status, count(*) FROM imaging.tenants GROUP BY 1";
    assert_eq!(rows(database, status).await, ["deleting 5"]);
    let users: Vec<String> = redis::cmd("ACL").arg("LIST").query_async(cache).await.expect("users");
    let ours: Vec<&String> = users.iter().filter(|user| user.starts_with("user row-level-")).collect();
    assert!(ours.len() == 5 && ours.iter().all(|user| user.contains(" off ")), "{ours:?}");
    for subscription in account.all("subscriptions").await {
        assert_eq!(subscription["cancel_at_period_end"], true, "{subscription}");
    }
}

async fn nothing_is_left(
    database: &mut PgConnection,
    cache: &mut MultiplexedConnection,
    account: &Account,
    cluster: &Cluster,
) {
    assert_eq!(rows(database, "SELECT 1 FROM pg_namespace WHERE nspname = 'imaging'").await, [""; 0]);
    assert_eq!(roles(database, ESTATE).await, [""; 0]);
    assert_eq!(in_redis(cache, "row-level").await, [""; 0]);
    for path in ["subscriptions", "customers", "prices", "products", "billing/meters"] {
        assert_eq!(active(account, path).await, BTreeSet::new(), "{path}");
    }
    assert_eq!(cluster.marked(&COLLECTIONS, ESTATE).await, [""; 0]);
}

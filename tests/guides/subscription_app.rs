//! An application sold by subscription: the life of customers, from trial to deletion and back.

use std::collections::BTreeSet;

use redis::aio::MultiplexedConnection;
use serde_json::{Value as Json, json};
use sqlx::PgConnection;

use crate::guides::estate::Estate;
use crate::guides::servers::{
    Cluster, active, buckets, clear_redis, execute, id_of, in_redis, on_servers, redis, roles, rows, storage,
};
use crate::support::s3::World as Storage;
use crate::support::stripe::World as Account;

const ESTATE: &str = "subscription-app";
const SERVERS: [&str; 7] = [
    "TENANTRY_POSTGRES_URL",
    "TENANTRY_REDIS_URL",
    "TENANTRY_STRIPE_URL",
    "TENANTRY_KUBECONFIG",
    "TENANTRY_S3_MINISTACK_URL",
    "TENANTRY_S3_ACCESS_KEY_ID",
    "TENANTRY_S3_SECRET_ACCESS_KEY",
];
const COLLECTIONS: [&str; 3] = ["/api/v1/namespaces", "/api/v1/resourcequotas", "/api/v1/secrets"];
const CUSTOMERS: [&str; 5] = ["granary-coop", "lantern-law", "osprey-media", "pebble-studio", "summit-tours"];

/// Where the estate lives.
struct World {
    database: PgConnection,
    cache: MultiplexedConnection,
    account: Account,
    files: Storage,
    cluster: Cluster,
}

#[test]
fn customers_come_change_their_plans_leave_and_return() {
    on_servers("customers_come_change_their_plans_leave_and_return", &SERVERS, async |servers| {
        let (url, database) = servers.database("guides_subscription_app", ESTATE).await;
        let mut world = World {
            database,
            cache: servers.redis().await,
            account: Account::start(servers.url("TENANTRY_STRIPE_URL")).await,
            files: storage(servers, "TENANTRY_S3_MINISTACK_URL", ESTATE).await,
            cluster: Cluster::connect(servers).await,
        };
        world.cluster.clear(ESTATE).await;
        clear_redis(&mut world.cache, ESTATE).await;
        let mut variables = vec![("TENANTRY_POSTGRES_URL", url), ("STRIPE_API_KEY", "sk_test_tenantry".to_owned())];
        for variable in SERVERS.into_iter().filter(|variable| *variable != "TENANTRY_POSTGRES_URL") {
            variables.push((variable, servers.url(variable).to_owned()));
        }
        let mut estate = Estate::checkout(ESTATE, variables);
        estate.edit("tenantry.toml", "http://127.0.0.1:12111", &world.account.url);
        estate.edit("tenantry.toml", "http://127.0.0.1:4566", &world.files.url);

        assert_eq!(estate.provisions(), 86);
        world.is_there().await;
        for customer in CUSTOMERS {
            let schema = format!("app_{}", customer.replace('-', "_"));
            execute(&mut world.database, &format!("INSERT INTO {schema}.documents (title) VALUES ('kept')")).await;
            let file = format!("/subscription-app-{customer}/documents/contract.txt");
            world.files.do_raw("PUT", &file, "signed").await;
        }
        let changed = world.change().await;
        estate.repairs(&changed, &[]);
        let removed = world.remove().await;
        estate.repairs(&removed, &["estate/event_key"]);
        estate.every_kind_has_drifted();
        world.is_there().await;

        world.changes_plans(&estate).await;
        world.leaves_and_returns(&estate).await;

        let changes = estate.begins_to_offboard();
        assert!(changes.iter().all(|change| change.ends_with(" update pending")), "{changes:?}");
        world.has_ended().await;
        estate.offboards();
        assert_eq!(rows(&mut world.database, "SELECT id FROM directory.customers").await, [""; 0]);
        assert_eq!(world.cluster.marked(&COLLECTIONS, ESTATE).await.len(), 2, "what is everybody's");
        is_final(&estate);
        estate.closes();
        world.nothing_is_left().await;
    });
}

impl World {
    async fn is_there(&mut self) {
        let columns = "id, plan, rank, state, limits";
        assert_eq!(
            rows(&mut self.database, &format!("SELECT {columns} FROM directory.customers ORDER BY id")).await,
            [
                r#"granary-coop enterprise 3 suspended {"users": 0, "storage": 0}"#,
                r#"lantern-law starter 1 trial {"users": 20, "storage": 10737418240}"#,
                r#"osprey-media professional 2 active {"users": 100, "storage": 107374182400}"#,
                r#"pebble-studio free 0 active {"users": 5, "storage": 1073741824}"#,
                r#"summit-tours starter 1 active {"users": 20, "storage": 10737418240}"#,
            ]
        );
        let may_log_in = "SELECT rolname FROM pg_roles WHERE rolname LIKE '%\\_subscriber' AND rolcanlogin ORDER BY 1";
        let open = ["lantern_law", "osprey_media", "pebble_studio", "summit_tours"];
        assert_eq!(rows(&mut self.database, may_log_in).await, open.map(|name| format!("{name}_subscriber")));
        // A customer reads its own documents and nobody else's.
        execute(&mut self.database, "SET ROLE osprey_media_subscriber").await;
        rows(&mut self.database, "SELECT title FROM app_osprey_media.documents").await;
        let foreign = sqlx::raw_sql("SELECT title FROM app_summit_tours.documents").execute(&mut self.database).await;
        let foreign = foreign.expect_err("another's documents").to_string();
        assert!(foreign.contains("permission denied for schema"), "{foreign}");
        execute(&mut self.database, "RESET ROLE").await;

        for (customer, status, paused, price) in [
            ("granary-coop", "active", json!("void"), "app_enterprise"),
            ("lantern-law", "trialing", Json::Null, "app_starter"),
            ("osprey-media", "active", Json::Null, "app_professional"),
            ("summit-tours", "active", Json::Null, "app_starter"),
        ] {
            let subscription = self.subscription(customer).await;
            assert_eq!(subscription["status"], status, "{customer}");
            assert_eq!(subscription["pause_collection"].get("behavior").cloned().unwrap_or_default(), paused);
            assert_eq!(subscription["items"]["data"][0]["price"]["lookup_key"], price);
        }
        assert_eq!(active(&self.account, "subscriptions").await.len(), 4);
        assert_eq!(active(&self.account, "customers").await, CUSTOMERS.map(str::to_owned).into());
        assert_eq!(active(&self.account, "prices").await.len(), 3);
        assert_eq!(active(&self.account, "webhook_endpoints").await.len(), 1);
        assert_eq!(active(&self.account, "coupons").await.len(), 1);

        assert_eq!(in_redis(&mut self.cache, ESTATE).await.len(), 2 * CUSTOMERS.len());
        assert_eq!(self.limits("granary-coop").await, ["open", "false", "plan", "enterprise"], "unlimited is nothing");
        let starter = ["open", "true", "plan", "starter", "storage", "10737418240", "users", "20"];
        assert_eq!(self.limits("lantern-law").await, starter);

        assert_eq!(self.cluster.marked(&COLLECTIONS, ESTATE).await.len(), 2 + 3 * CUSTOMERS.len());
        assert_eq!(buckets(&self.files, ESTATE).await.len(), CUSTOMERS.len());
        let (_, block) = self.files.raw("GET", "/subscription-app-osprey-media?publicAccessBlock=", &[], "").await;
        assert!(block.matches(">true<").count() == 4, "{block}");
        let file = "/subscription-app-lantern-law/documents/first-steps.txt";
        let (_, text) = self.files.raw("GET", file, &[], "").await;
        assert!(text.contains("Lantern Law"), "{text}");
        assert_eq!(self.pods("granary-coop").await, "0");
        assert_eq!(self.pods("osprey-media").await, "10");
        let key = self.cluster.get("/api/v1/namespaces/subscription-app/secrets/stripe-events").await;
        // `whsec_`
        assert!(key["data"]["SIGNING_SECRET"].as_str().is_some_and(|key| key.starts_with("d2hzZWNf")), "{key}");
    }

    async fn subscription(&self, customer: &str) -> Json {
        let id = id_of(&self.account, "subscriptions", customer).await;
        self.account.by_hand("GET", &format!("subscriptions/{id}"), &[]).await
    }

    /// The fields of a customer's limits, each before its value, sorted by name.
    async fn limits(&mut self, customer: &str) -> Vec<String> {
        let key = format!("subscription-app:limits:{customer}");
        let fields = redis::cmd("HGETALL").arg(key).query_async(&mut self.cache).await;
        let fields: std::collections::BTreeMap<String, String> = fields.expect("a hash");
        fields.into_iter().flat_map(|(name, value)| [name, value]).collect()
    }

    async fn pods(&self, customer: &str) -> Json {
        let quota = format!("/api/v1/namespaces/subscription-app-{customer}/resourcequotas/plan");
        self.cluster.get(&quota).await["spec"]["hard"]["pods"].clone()
    }

    /// Changes one resource of every kind.
    async fn change(&mut self) -> Vec<&'static str> {
        for sql in [
            "GRANT CREATE ON SCHEMA app_osprey_media TO pg_monitor",
            "DROP TABLE app_lantern_law.documents",
            "ALTER ROLE lantern_law_subscriber CONNECTION LIMIT 50",
            "ALTER DEFAULT PRIVILEGES IN SCHEMA app_summit_tours REVOKE INSERT ON TABLES FROM summit_tours_subscriber",
            "UPDATE directory.customers SET limits = limits || '{\"users\": 999}' WHERE id = 'pebble-studio'",
        ] {
            execute(&mut self.database, sql).await;
        }
        for (path, key, parameter) in [
            ("webhook_endpoints", "events", ("disabled", "true")),
            ("coupons", "come-back", ("name", "Hello again")),
            ("products", "plan-starter", ("name", "Starter")),
            ("prices", "app_professional", ("nickname", "pro")),
            ("customers", "summit-tours", ("name", "Summit")),
            ("subscriptions", "osprey-media", ("cancel_at_period_end", "true")),
        ] {
            let id = id_of(&self.account, path, key).await;
            self.account.by_hand("POST", &format!("{path}/{id}"), &[parameter]).await;
        }
        self.files.do_raw("DELETE", "/subscription-app-summit-tours?lifecycle=", "").await;
        self.files.do_raw("PUT", "/subscription-app-pebble-studio/documents/first-steps.txt", "Not yours.").await;
        redis(&mut self.cache, "HSET subscription-app:limits:granary-coop users 3").await;
        redis(&mut self.cache, "ACL SETUSER subscription-app-granary-coop on ~*").await;
        let quota = "/api/v1/namespaces/subscription-app-pebble-studio/resourcequotas/plan?fieldManager=kubectl-edit";
        self.cluster.by_hand("PATCH", quota, json!({"spec": {"hard": {"pods": "500"}}})).await;
        vec![
            "osprey-media/schema update",
            "lantern-law/tables update",
            "lantern-law/role update",
            "summit-tours/future_tables update",
            "pebble-studio/entry update",
            "estate/events update",
            "estate/come_back update",
            "tier:starter/product update",
            "tier:professional/price update",
            "summit-tours/customer update",
            "osprey-media/subscription update",
            "summit-tours/files update",
            "pebble-studio/first_document update",
            "granary-coop/limits update",
            "granary-coop/cache_user update",
            "pebble-studio/quota update",
        ]
    }

    /// Removes resources that hold no data.
    async fn remove(&mut self) -> Vec<&'static str> {
        execute(&mut self.database, "REVOKE USAGE ON SCHEMA app_pebble_studio FROM pebble_studio_subscriber").await;
        for (path, key) in
            [("webhook_endpoints", "events"), ("coupons", "come-back"), ("subscriptions", "summit-tours")]
        {
            let id = id_of(&self.account, path, key).await;
            self.account.by_hand("DELETE", &format!("{path}/{id}"), &[]).await;
        }
        self.files.do_raw("DELETE", "/subscription-app-granary-coop/documents/first-steps.txt", "").await;
        redis(&mut self.cache, "ACL DELUSER subscription-app-osprey-media").await;
        for object in ["resourcequotas/plan", "secrets/access"] {
            let path = format!("/api/v1/namespaces/subscription-app-lantern-law/{object}");
            self.cluster.by_hand("DELETE", &path, Json::Null).await;
        }
        vec![
            "pebble-studio/usage create",
            "estate/events create",
            "estate/come_back create",
            "summit-tours/subscription create",
            "granary-coop/first_document create",
            "osprey-media/cache_user create",
            "lantern-law/quota create",
            "lantern-law/access create",
        ]
    }

    /// A trial is bought, a plan grows and shrinks, a customer does not pay and then does.
    async fn changes_plans(&mut self, estate: &Estate) {
        let lantern = "tenants/customers/lantern-law.yaml";
        estate.edit(lantern, "phase: trial", "phase: active");
        estate.becomes(&["lantern-law/entry update"]);

        let plan = ["role", "entry", "limits", "namespace", "quota", "subscription"];
        let plan = plan.map(|id| format!("lantern-law/{id} update"));
        let plan = plan.each_ref().map(String::as_str);
        estate.edit(lantern, "tier: starter", "tier: enterprise");
        estate.becomes(&plan);
        assert_eq!(self.limits("lantern-law").await, ["open", "true", "plan", "enterprise"]);
        let subscription = self.subscription("lantern-law").await;
        assert_eq!(subscription["items"]["data"][0]["price"]["lookup_key"], "app_enterprise");
        estate.edit(lantern, "tier: enterprise", "tier: professional");
        estate.becomes(&plan);
        assert_eq!(self.pods("lantern-law").await, "10");

        // What costs less waits for the end of the period that was paid for.
        let osprey = "tenants/customers/osprey-media.yaml";
        let plan = plan.map(|change| change.replace("lantern-law", "osprey-media"));
        let plan = plan.each_ref().map(String::as_str);
        estate.edit(osprey, "tier: professional", "tier: starter");
        estate.becomes(&plan);
        let subscription = self.subscription("osprey-media").await;
        assert_eq!(subscription["items"]["data"][0]["price"]["lookup_key"], "app_professional");
        assert!(subscription["schedule"].is_string(), "{subscription}");
        let told = estate.expect(0, &["plan"]);
        assert!(told.contains("TY0417"), "{told}");
        estate.edit(osprey, "tier: starter", "tier: professional");
        estate.becomes(&plan);
        assert_eq!(self.subscription("osprey-media").await["schedule"], Json::Null);

        let phase = ["role", "entry", "limits", "cache_user", "quota", "subscription"];
        let phase = phase.map(|id| format!("granary-coop/{id} update"));
        let phase = phase.each_ref().map(String::as_str);
        let granary = "tenants/customers/granary-coop.yaml";
        estate.edit(granary, "phase: suspended", "phase: active");
        estate.becomes(&phase);
        assert_eq!(self.subscription("granary-coop").await["pause_collection"], Json::Null);
        estate.edit(granary, "phase: active", "phase: suspended");
        estate.becomes(&phase);
    }

    /// A customer cannot be deleted at once; who is about to be deleted may come back.
    async fn leaves_and_returns(&mut self, estate: &Estate) {
        let summit = "tenants/customers/summit-tours.yaml";
        estate.edit(summit, "phase: active", "phase: deleted");
        let told = estate.expect(3, &["plan"]);
        assert!(told.contains("TY0410"), "{told}");
        let leaving = ["role", "entry", "limits", "cache_user", "quota", "subscription"];
        let leaving = leaving.map(|id| format!("summit-tours/{id} update"));
        let leaving = leaving.each_ref().map(String::as_str);
        estate.edit(summit, "phase: deleted", "phase: deleting");
        estate.becomes(&leaving);
        let id = self.subscription("summit-tours").await["id"].clone();
        estate.edit(summit, "phase: deleting", "phase: active");
        estate.becomes(&leaving);
        let subscription = self.subscription("summit-tours").await;
        assert_eq!((&subscription["id"], &subscription["cancel_at_period_end"]), (&id, &json!(false)));
        assert_eq!(rows(&mut self.database, "SELECT title FROM app_summit_tours.documents").await, ["kept"]);
    }

    /// Access has ended and nothing is gone.
    async fn has_ended(&mut self) {
        let may_log_in = "SELECT 1 FROM pg_roles WHERE rolname LIKE '%\\_subscriber' AND rolcanlogin";
        assert_eq!(rows(&mut self.database, may_log_in).await, [""; 0]);
        let schemas = "SELECT 1 FROM pg_namespace WHERE nspname LIKE 'app\\_%'";
        assert_eq!(rows(&mut self.database, schemas).await.len(), CUSTOMERS.len());
        for customer in CUSTOMERS {
            assert_eq!(self.pods(customer).await, "0", "{customer}");
            assert_eq!(self.limits(customer).await[..2], ["open", "false"]);
            let file = format!("/subscription-app-{customer}/documents/contract.txt");
            assert_eq!(self.files.raw("GET", &file, &[], "").await, (200, "signed".to_owned()));
        }
        let subscriptions = self.account.all("subscriptions").await;
        assert!(subscriptions.iter().all(|it| it["status"] == "canceled" || it["cancel_at_period_end"] == true));
    }

    async fn nothing_is_left(&mut self) {
        let schemas = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'app\\_%' OR nspname = 'directory'";
        assert_eq!(rows(&mut self.database, schemas).await, [""; 0]);
        assert_eq!(roles(&mut self.database, ESTATE).await, [""; 0]);
        assert_eq!(in_redis(&mut self.cache, ESTATE).await, [""; 0]);
        assert_eq!(buckets(&self.files, ESTATE).await, [""; 0]);
        for path in ["subscriptions", "customers", "prices", "products", "coupons", "webhook_endpoints"] {
            assert_eq!(active(&self.account, path).await, BTreeSet::new(), "{path}");
        }
        assert_eq!(self.cluster.marked(&COLLECTIONS, ESTATE).await, [""; 0]);
    }
}

/// Who was deleted does not come back.
fn is_final(estate: &Estate) {
    let osprey = "tenants/customers/osprey-media.yaml";
    estate.edit(osprey, "phase: deleted", "phase: active");
    let told = estate.expect(3, &["plan"]);
    assert!(told.contains("TY0433"), "{told}");
    estate.edit(osprey, "phase: active", "phase: deleted");
}

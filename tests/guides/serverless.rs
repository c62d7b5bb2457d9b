//! Shops that run when somebody visits them: managed services behind REST APIs, ids that those invent, a slow certificate.

use base64::Engine as _;
use redis::aio::MultiplexedConnection;
use serde_json::{Value as Json, json};
use sqlx::PgConnection;

use crate::guides::estate::Estate;
use crate::guides::servers::{Cluster, clear_redis, execute, in_redis, on_servers, redis, roles, rows};
use crate::support::vendors::{Api, Vendor};

const ESTATE: &str = "serverless";
const SERVERS: [&str; 3] = ["TENANTRY_POSTGRES_URL", "TENANTRY_REDIS_URL", "TENANTRY_KUBECONFIG"];
const COLLECTIONS: [&str; 2] = ["/api/v1/namespaces", "/api/v1/configmaps"];
const SHOPS: [&str; 4] = ["alder-books", "birch-outdoor", "cedar-toys", "dune-ceramics"];

/// What shops are made of, apart from the machine that tests run on.
struct Cloud {
    neon: Api,
    run: Api,
    secrets: Api,
    domains: Api,
}

impl Cloud {
    async fn start() -> Self {
        Self {
            neon: Api::start(Vendor::Neon).await,
            run: Api::start(Vendor::CloudRun).await,
            secrets: Api::start(Vendor::SecretManager).await,
            domains: Api::start(Vendor::Cloudflare).await,
        }
    }

    fn all(&self) -> [&Api; 4] {
        [&self.neon, &self.run, &self.secrets, &self.domains]
    }
}

#[test]
fn shops_run_on_services_that_others_manage() {
    on_servers("shops_run_on_services_that_others_manage", &SERVERS, async |servers| {
        let cluster = Cluster::connect(servers).await;
        cluster.clear(ESTATE).await;
        let (url, mut database) = servers.database("guides_serverless", ESTATE).await;
        let mut sessions = servers.redis().await;
        clear_redis(&mut sessions, ESTATE).await;
        let cloud = Cloud::start().await;
        let token = |variable| (variable, "secret-token".to_owned());
        let variables = vec![
            ("TENANTRY_POSTGRES_URL", url),
            ("TENANTRY_REDIS_URL", servers.url("TENANTRY_REDIS_URL").to_owned()),
            ("TENANTRY_KUBECONFIG", servers.url("TENANTRY_KUBECONFIG").to_owned()),
            token("NEON_API_KEY"),
            token("GOOGLE_TOKEN"),
            token("CLOUDFLARE_TOKEN"),
        ];
        let mut estate = Estate::checkout(ESTATE, variables);
        for (address, api) in [
            ("https://console.neon.tech/api/v2", &cloud.neon),
            ("https://run.googleapis.com", &cloud.run),
            ("https://secretmanager.googleapis.com", &cloud.secrets),
            ("https://api.cloudflare.com/client/v4", &cloud.domains),
        ] {
            estate.edit("tenantry.toml", address, &api.url);
        }

        let alder = "tenants/customers/alder-books.yaml";
        estate.edit(alder, "subdomain: alder", "subdomain: admin");
        let told = estate.run(&["validate"]);
        assert_eq!(told.status.code(), Some(1));
        let told = [told.stdout, told.stderr].concat();
        let told = String::from_utf8_lossy(&told);
        assert!(told.contains("alder-books.yaml:10") && told.contains("subdomain"), "{told}");
        estate.edit(alder, "subdomain: admin", "subdomain: alder");

        // What takes long: an operation is asked about again, a certificate is not waited for.
        for api in cloud.all() {
            api.state().patience = 1;
        }
        cloud.domains.state().certificate = Some("pending_validation".to_owned());
        estate.edit("tenantry.toml", "ready_seconds = 20", "ready_seconds = 1");
        assert_eq!(estate.provisions(), 49);
        let plan = estate.expect(0, &["plan"]);
        assert!(plan.contains("birch-outdoor/domain") && plan.contains("pending_validation"), "{plan}");
        for hostname in &mut cloud.domains.state().objects {
            hostname["ssl"]["status"] = "active".into();
        }
        let plan = estate.expect(0, &["plan"]);
        assert!(!plan.contains("birch-outdoor/domain"), "{plan}");
        estate.edit("tenantry.toml", "ready_seconds = 1", "ready_seconds = 20");
        is_there(&mut database, &mut sessions, &cloud, &cluster).await;
        is_hidden(&estate, &cloud);

        let changed = change(&mut database, &mut sessions, &cloud, &cluster).await;
        estate.repairs(&changed, &[]);
        let removed = remove(&mut sessions, &cloud, &cluster).await;
        // With the host and the password the connection changes.
        let values = ["birch-outdoor/database_url_value", "cedar-toys/database_url_value"];
        estate.repairs(&removed, &["alder-books/registration", "alder-books/route", values[0], values[1]]);
        estate.every_kind_has_drifted();
        is_there(&mut database, &mut sessions, &cloud, &cluster).await;

        edits(&estate, &cloud);

        let changes = estate.begins_to_offboard();
        assert!(changes.iter().all(|change| change.ends_with(" update pending")), "{changes:?}");
        for service in &cloud.run.state().objects {
            assert_eq!(service["template"]["scaling"]["maxInstanceCount"], 0);
            assert_eq!(service["ingress"], "INGRESS_TRAFFIC_INTERNAL_ONLY");
        }
        assert_eq!(cloud.neon.state().objects.len(), SHOPS.len(), "data stays");
        assert!(cloud.neon.state().neon.endpoints.iter().all(|endpoint| endpoint["disabled"] == true));
        estate.offboards();
        assert_eq!(rows(&mut database, "SELECT id FROM fleet.shops").await, [""; 0]);
        estate.closes();
        for api in cloud.all() {
            assert_eq!(api.state().objects, [Json::Null; 0], "{:?}", api.vendor);
        }
        is_empty(&cloud);
        assert_eq!(rows(&mut database, "SELECT 1 FROM pg_namespace WHERE nspname = 'fleet'").await, [""; 0]);
        assert_eq!(roles(&mut database, ESTATE).await, [""; 0]);
        assert_eq!(in_redis(&mut sessions, ESTATE).await, [""; 0]);
        assert_eq!(cluster.marked(&COLLECTIONS, ESTATE).await, [""; 0]);
    });
}

/// The object of an API whose name ends so.
fn position(objects: &[Json], name: &str) -> usize {
    let is_it = |object: &Json| {
        let names = [&object["name"], &object["hostname"]];
        names.iter().any(|found| found.as_str().is_some_and(|found| found.rsplit('/').next() == Some(name)))
    };
    objects.iter().position(is_it).unwrap_or_else(|| panic!("no {name} in {objects:?}"))
}

fn with<T>(api: &Api, name: &str, act: impl FnOnce(&mut Json) -> T) -> T {
    let objects = &mut api.state().objects;
    let at = position(objects, name);
    act(&mut objects[at])
}

fn forget(api: &Api, name: &str) {
    let objects = &mut api.state().objects;
    let at = position(objects, name);
    objects.remove(at);
}

/// A request about a secret that somebody else makes.
async fn by_hand(api: &Api, what: &str, body: Json) {
    let url = format!("{}/v1/projects/shops/secrets/{what}", api.url);
    let request = reqwest::Client::new().post(url).bearer_auth("secret-token").json(&body);
    let status = request.send().await.expect("an answer").status();
    assert!(status.is_success(), "{what}: {status}");
}

async fn is_there(database: &mut PgConnection, sessions: &mut MultiplexedConnection, cloud: &Cloud, cluster: &Cluster) {
    let mut register = Vec::new();
    for (shop, plan, status, subdomain, most, warm, instances) in [
        ("alder-books", "starter", "trial", "alder", "500", 0, 10),
        ("birch-outdoor", "growth", "active", "birch-outdoor", "20000", 1, 25),
        ("cedar-toys", "starter", "suspended", "cedar-toys", "500", 0, 0),
        ("dune-ceramics", "scale", "active", "dune", "-", 3, 100),
    ] {
        let branch = with(&cloud.neon, &format!("shop-{shop}"), |branch| branch["id"].clone());
        let branch = branch.as_str().expect("an id");
        is_connected(cloud, shop, branch);
        let service = with(&cloud.run, &format!("shop-{shop}"), |service| service.clone());
        let url = format!("https://shop-{shop}.run.example");
        assert_eq!(service["uri"], url);
        let scaling = json!({"minInstanceCount": warm, "maxInstanceCount": instances});
        assert_eq!(service["template"]["scaling"], scaling, "{shop}");
        let environment = &service["template"]["containers"][0]["env"];
        assert_eq!(environment[1], json!({"name": "DATABASE_BRANCH", "value": branch}));
        assert_eq!(environment[3]["valueSource"]["secretKeyRef"]["secret"], format!("shop-{shop}-database"));
        with(&cloud.secrets, &format!("shop-{shop}-database"), |secret| {
            assert_eq!(secret["annotations"]["tenantry-address"], format!("{shop}/database_url"));
        });
        let route = cluster.get(&format!("/api/v1/namespaces/serverless/configmaps/route-{shop}")).await;
        let page = if status == "suspended" { "closed" } else { "shop" };
        let host = format!("{subdomain}.my.shops.example");
        assert_eq!(route["data"], json!({"host": host, "upstream": url, "page": page}));
        register.push(format!("{shop} {plan} {status} https://{host} {url} {branch} {most}"));
    }
    let columns = "id, plan, status, default_url, api_url, database_branch, max_products";
    assert_eq!(rows(database, &format!("SELECT {columns} FROM fleet.shops ORDER BY id")).await, register);
    assert_eq!(cloud.domains.state().objects.len(), 2);
    with(&cloud.domains, "store.dune-ceramics.example", |domain| assert_eq!(domain["ssl"]["type"], "dv"));
    assert_eq!(in_redis(sessions, ESTATE).await, SHOPS.map(|shop| format!("serverless-{shop}")));
    assert_eq!(cluster.marked(&COLLECTIONS, ESTATE).await.len(), 1 + SHOPS.len());
}

/// The connection that a shop's secret holds is that of its own branch, and only the shops' account may read it.
fn is_connected(cloud: &Cloud, shop: &str, branch: &str) {
    let is_its = |object: &&Json| object["branch_id"] == branch;
    let (host, password) = {
        let state = cloud.neon.state();
        let endpoint = state.neon.endpoints.iter().find(is_its).expect("an endpoint");
        let mut roles = state.neon.roles.iter().filter(is_its);
        let role = roles.find(|role| role["name"] == "shop").expect("a role");
        let mut databases = state.neon.databases.iter().filter(is_its);
        let database = databases.find(|database| database["name"] == "shop").expect("a database");
        assert_eq!(database["owner_name"], "shop");
        let text = |value: &Json| value.as_str().expect("a text").to_owned();
        (text(&endpoint["host"]), text(&role["password"]))
    };
    let state = cloud.secrets.state();
    let secret = format!("/shop-{shop}-database");
    let is_of = |name: &str| name.contains(&format!("{secret}/versions/")) || name.ends_with(&secret);
    let mut versions = state.secrets.versions.iter().rev();
    let latest = versions.find(|version| is_of(version.told["name"].as_str().expect("a name"))).expect("a version");
    let value = base64::engine::general_purpose::STANDARD.decode(latest.data.as_deref().expect("a value"));
    let url = format!("postgres://shop:{password}@{host}/shop?sslmode=require");
    assert_eq!(String::from_utf8(value.expect("Base64")).expect("a text"), url);
    let (_, policy) = state.secrets.policies.iter().find(|(name, _)| is_of(name)).expect("a policy");
    let members = json!(["serviceAccount:shops@shops.iam.gserviceaccount.com"]);
    assert_eq!(policy["bindings"], json!([{"role": "roles/secretmanager.secretAccessor", "members": members}]));
}

/// Nothing is left of what was in branches and secrets.
fn is_empty(cloud: &Cloud) {
    let project = &cloud.neon.state().neon;
    assert_eq!(project.endpoints, [Json::Null; 0]);
    let left = |of: &[Json]| of.iter().filter(|object| object["branch_id"] != "br-main").count();
    assert_eq!((left(&project.roles), left(&project.databases)), (0, 0));
    let contents = &cloud.secrets.state().secrets;
    assert!(contents.versions.is_empty() && contents.policies.is_empty());
}

/// A connection is shown with a reference in the place of its password, and lies nowhere beside the secret store.
fn is_hidden(estate: &Estate, cloud: &Cloud) {
    let shown = estate.expect(0, &["show", "alder-books/database_url_value"]);
    assert!(shown.contains("postgres://shop:secret(alder-books/login.password, v1)@ep-"), "{shown}");
    let values: Vec<String> =
        cloud.secrets.state().secrets.versions.iter().filter_map(|version| version.data.clone()).collect();
    let roles = cloud.neon.state().neon.roles.clone();
    let passwords = roles.iter().filter(|role| role["branch_id"] != "br-main");
    let passwords = passwords.map(|role| role["password"].as_str().expect("a text").to_owned());
    let secrets: Vec<String> = values.into_iter().chain(passwords).collect();
    assert_eq!(secrets.len(), 3 * SHOPS.len(), "a value and two passwords each");
    for secret in secrets {
        estate.hides(&secret);
    }
}

/// Changes one resource of every kind, and of every API.
async fn change(
    database: &mut PgConnection,
    sessions: &mut MultiplexedConnection,
    cloud: &Cloud,
    cluster: &Cluster,
) -> Vec<&'static str> {
    execute(database, "GRANT CREATE ON SCHEMA fleet TO pg_monitor").await;
    execute(database, "DROP INDEX fleet.shops_by_subdomain").await;
    execute(database, "UPDATE fleet.shops SET api_url = 'https://elsewhere.example' WHERE id = 'alder-books'").await;
    redis(sessions, "ACL SETUSER serverless-cedar-toys on nopass").await;
    with(&cloud.neon, "shop-dune-ceramics", |branch| branch["protected"] = false.into());
    with(&cloud.run, "shop-birch-outdoor", |service| {
        service["template"]["scaling"]["maxInstanceCount"] = 1000.into();
        // An image that somebody else filled in beside ours is not looked at.
        service["launchStage"] = "BETA".into();
    });
    with(&cloud.secrets, "shop-cedar-toys-database", |secret| secret["labels"]["shop"] = "another".into());
    // A connection to elsewhere, and somebody else who may read it.
    let (version, readers) = ("shop-alder-books-database:addVersion", "shop-birch-outdoor-database:setIamPolicy");
    let anybody = json!([{"role": "roles/secretmanager.secretAccessor", "members": ["allAuthenticatedUsers"]}]);
    by_hand(&cloud.secrets, version, json!({"payload": {"data": "cG9zdGdyZXM6Ly9lbHNld2hlcmU="}})).await;
    by_hand(&cloud.secrets, readers, json!({"policy": {"bindings": anybody}})).await;
    let branch = with(&cloud.neon, "shop-cedar-toys", |branch| branch["id"].clone());
    for endpoint in cloud.neon.state().neon.endpoints.iter_mut().filter(|endpoint| endpoint["branch_id"] == branch) {
        endpoint["disabled"] = false.into();
    }
    for database in cloud.neon.state().neon.databases.iter_mut().filter(|database| database["branch_id"] == branch) {
        database["owner_name"] = "neondb_owner".into();
    }
    with(&cloud.domains, "shop.birch-outdoor.example", |domain| domain["ssl"]["method"] = "txt".into());
    let route = "/api/v1/namespaces/serverless/configmaps/route-cedar-toys?fieldManager=kubectl-edit";
    cluster.by_hand("PATCH", route, json!({"data": {"page": "shop"}})).await;
    vec![
        "estate/schema update",
        "estate/tables update",
        "alder-books/registration update",
        "cedar-toys/sessions update",
        "dune-ceramics/branch update",
        "birch-outdoor/service update",
        "cedar-toys/database_url update",
        "alder-books/database_url_value update",
        "birch-outdoor/database_url_readers update",
        "cedar-toys/compute update",
        "cedar-toys/database update",
        "birch-outdoor/domain update",
        "cedar-toys/route update",
    ]
}

/// Removes resources that hold no data.
async fn remove(sessions: &mut MultiplexedConnection, cloud: &Cloud, cluster: &Cluster) -> Vec<&'static str> {
    redis(sessions, "ACL DELUSER serverless-alder-books").await;
    forget(&cloud.run, "shop-alder-books");
    let [first, second] =
        ["shop-birch-outdoor", "shop-cedar-toys"].map(|name| with(&cloud.neon, name, |branch| branch["id"].clone()));
    cloud.neon.state().neon.endpoints.retain(|endpoint| endpoint["branch_id"] != first);
    cloud.neon.state().neon.roles.retain(|role| role["branch_id"] != second || role["name"] != "shop");
    forget(&cloud.secrets, "shop-dune-ceramics-database");
    cloud.secrets.state().secrets.versions.retain(|version| !version.told["name"].to_string().contains("dune"));
    cloud.secrets.state().secrets.policies.retain(|name, _| !name.contains("dune"));
    forget(&cloud.domains, "store.dune-ceramics.example");
    cluster.by_hand("DELETE", "/api/v1/namespaces/serverless/configmaps/route-birch-outdoor", Json::Null).await;
    // The new hostname has a certificate at once.
    cloud.domains.state().certificate = None;
    vec![
        "alder-books/sessions create",
        "alder-books/service create",
        "birch-outdoor/compute create",
        "cedar-toys/login create",
        "dune-ceramics/database_url create",
        "dune-ceramics/database_url_value create",
        "dune-ceramics/database_url_readers create",
        "dune-ceramics/domain create",
        "birch-outdoor/route create",
    ]
}

/// A larger plan with a domain of its own, a suspension and its end.
fn edits(estate: &Estate, cloud: &Cloud) {
    let alder = "tenants/customers/alder-books.yaml";
    estate.edit(alder, "tier: starter\n  phase: trial", "tier: growth\n  phase: active");
    estate.edit(alder, "subdomain: alder", "subdomain: alder, domain: alder-books.example");
    let changes = ["service update", "registration update", "compute update", "domain create"];
    let changes = changes.map(|change| format!("alder-books/{change}"));
    estate.becomes(&changes.each_ref().map(String::as_str));
    with(&cloud.run, "shop-alder-books", |service| {
        assert_eq!(service["template"]["containers"][0]["resources"]["limits"]["memory"], "1Gi");
        assert_eq!(service["labels"]["plan"], "growth");
    });

    let birch = "tenants/customers/birch-outdoor.yaml";
    let changes =
        ["service", "sessions", "compute", "route", "registration"].map(|id| format!("birch-outdoor/{id} update"));
    let changes = changes.each_ref().map(String::as_str);
    estate.edit(birch, "phase: active", "phase: suspended");
    estate.becomes(&changes);
    with(&cloud.run, "shop-birch-outdoor", |service| {
        assert_eq!(service["template"]["scaling"], json!({"minInstanceCount": 0, "maxInstanceCount": 0}));
    });
    estate.edit(birch, "phase: suspended", "phase: active");
    estate.becomes(&changes);

    // Every shop gets another password, and with it another connection.
    estate.edit("tenants/blueprints/shop.yaml", "use: neon.role", "use: neon.role\n        rotation: 2");
    let plan = estate.expect(0, &["plan"]);
    assert!(plan.contains("a new password is generated, because rotation changed"), "{plan}");
    let changes = SHOPS.map(|shop| ["login", "database_url_value"].map(|id| format!("{shop}/{id} update")));
    estate.becomes(&changes.as_flattened().iter().map(String::as_str).collect::<Vec<_>>());
    for shop in SHOPS {
        let branch = with(&cloud.neon, &format!("shop-{shop}"), |branch| branch["id"].clone());
        is_connected(cloud, shop, branch.as_str().expect("an id"));
    }
}

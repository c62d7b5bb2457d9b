//! The real servers, and clients of the tests' own that look at them and change them.

use std::collections::BTreeSet;
use std::io::Write as _;

use redis::aio::MultiplexedConnection;
use serde_json::Value as Json;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, PgConnection, Row as _};

use crate::support;
use crate::support::s3::World as Storage;
use crate::support::stripe::World as Account;

/// The addresses of servers that run, by the variable that names them.
pub struct Servers {
    variables: Vec<(&'static str, String)>,
}

/// Runs a test on several servers, or says why not.
#[expect(clippy::disallowed_methods, reason = "the environment names the servers")]
pub fn on_servers(name: &str, variables: &[&'static str], test: impl AsyncFnOnce(&Servers)) {
    let mut found = Vec::new();
    for variable in variables {
        let Some(value) = std::env::var(variable).ok().filter(|value| !value.is_empty()) else {
            let advice = format!("{name} skipped: {variable} is not set; see docs/testing.md");
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{advice}");
            // Past the test runner, which shows nothing of a test that passes.
            let _ = writeln!(std::io::stderr(), "{advice}");
            return;
        };
        found.push((*variable, value));
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(test(&Servers { variables: found }));
}

impl Servers {
    pub fn url(&self, variable: &str) -> &str {
        self.variables.iter().find(|(name, _)| *name == variable).map(|(_, url)| url.as_str()).expect("asked for")
    }

    /// A new database of this name, and the URL of it. What an earlier run left is removed.
    pub async fn database(&self, name: &str, estate: &str) -> (String, PgConnection) {
        let options: PgConnectOptions = self.url("TENANTRY_POSTGRES_URL").parse().expect("a URL");
        let options = options.disable_statement_logging();
        let mut admin = options.connect().await.expect("the server answers");
        execute(&mut admin, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
        for role in roles(&mut admin, estate).await {
            execute(&mut admin, &format!("DROP OWNED BY \"{role}\" CASCADE; DROP ROLE \"{role}\"")).await;
        }
        execute(&mut admin, &format!("CREATE DATABASE {name}")).await;
        let options = options.database(name);
        let connection = options.connect().await.expect("the database answers");
        (options.to_url_lossy().to_string(), connection)
    }

    pub async fn redis(&self) -> MultiplexedConnection {
        let client = redis::Client::open(self.url("TENANTRY_REDIS_URL")).expect("a URL");
        client.get_multiplexed_async_connection().await.expect("the server answers")
    }
}

pub async fn execute(connection: &mut PgConnection, sql: &str) {
    support::postgres::execute(connection, sql).await;
}

/// The roles that carry an estate's mark.
pub async fn roles(connection: &mut PgConnection, estate: &str) -> Vec<String> {
    let sql = "SELECT rolname::text FROM pg_roles WHERE shobj_description(oid, 'pg_authid') LIKE '%[tenantry estate=' || $1 || ' %'";
    sqlx::query_scalar(sql).bind(estate).fetch_all(connection).await.expect("roles")
}

/// The rows of a query, each as its columns with blanks between.
pub async fn rows(connection: &mut PgConnection, sql: &str) -> Vec<String> {
    let sql = format!(
        "SELECT (SELECT string_agg(coalesce(value, '-'), ' ') FROM json_each_text(row_to_json(q))) FROM ({sql}) q"
    );
    sqlx::query_scalar(AssertSqlSafe(sql.clone()))
        .fetch_all(connection)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// Runs a command of Redis, given as its words.
pub async fn redis(connection: &mut MultiplexedConnection, words: &str) -> redis::Value {
    let mut words = words.split(' ');
    let mut command = redis::cmd(words.next().expect("a command"));
    for word in words {
        command.arg(word);
    }
    command.query_async(connection).await.unwrap_or_else(|error| panic!("{error}"))
}

/// Keys and users of Redis whose names begin so.
pub async fn in_redis(connection: &mut MultiplexedConnection, prefix: &str) -> Vec<String> {
    let mut keys: Vec<String> =
        redis::cmd("KEYS").arg(format!("{prefix}*")).query_async(connection).await.expect("keys");
    let users: Vec<String> = redis::cmd("ACL").arg("USERS").query_async(connection).await.expect("users");
    keys.extend(users.into_iter().filter(|user| user.starts_with(prefix)));
    keys.sort();
    keys
}

pub async fn clear_redis(connection: &mut MultiplexedConnection, prefix: &str) {
    for name in in_redis(connection, prefix).await {
        redis::cmd("DEL").arg(&name).exec_async(connection).await.expect("it is deleted");
        redis::cmd("ACL").arg("DELUSER").arg(&name).exec_async(connection).await.expect("it is deleted");
    }
}

/// A connection of MySQL, without the databases and users of an earlier run.
pub async fn mysql(url: &str, databases: &str, users: &str) -> MySqlConnection {
    let options: MySqlConnectOptions = url.parse().expect("a URL");
    let mut connection = options.disable_statement_logging().connect().await.expect("the server answers");
    for (sql, pattern, drop) in [
        ("SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME LIKE ?", databases, "DATABASE"),
        ("SELECT User FROM mysql.user WHERE User LIKE ?", users, "USER"),
    ] {
        for name in mysql_names(&mut connection, sql, pattern).await {
            mysql_do(&mut connection, &format!("DROP {drop} `{name}`")).await;
        }
    }
    connection
}

/// A query's first column, for a pattern.
pub async fn mysql_names(connection: &mut MySqlConnection, sql: &str, pattern: &str) -> Vec<String> {
    let query = sqlx::query(AssertSqlSafe(sql.to_owned())).bind(pattern);
    let rows = query.fetch_all(connection).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    rows.iter().map(|row| row.try_get_unchecked(0).expect("a text")).collect()
}

pub async fn mysql_do(connection: &mut MySqlConnection, sql: &str) {
    let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await;
    done.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// A request to RabbitMQ's management API.
///
/// # Panics
/// If it refuses.
pub async fn broker(url: &str, method: &str, path: &str, body: Json) -> Json {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let method = method.parse().expect("a method");
    let mut request = reqwest::Client::new().request(method, format!("{url}/api/{path}"));
    if !body.is_null() {
        request = request.json(&body);
    }
    let response = request.send().await.expect("an answer");
    let status = response.status();
    let text = response.text().await.expect("a text");
    assert!(status.is_success(), "{path}: {status} {text}");
    serde_json::from_str(&text).unwrap_or(Json::Null)
}

/// Virtual hosts, or users, of RabbitMQ whose names begin so.
pub async fn in_broker(url: &str, list: &str, prefix: &str) -> Vec<String> {
    let all = broker(url, "GET", list, Json::Null).await;
    let names = all.as_array().expect("a list").iter().filter_map(|item| item["name"].as_str());
    names.filter(|name| name.starts_with(prefix)).map(str::to_owned).collect()
}

/// An S3 server, without the buckets of an earlier run whose names begin so.
pub async fn storage(servers: &Servers, variable: &str, prefix: &str) -> Storage {
    let key = |variable| servers.url(variable).to_owned();
    let (id, secret) = (key("TENANTRY_S3_ACCESS_KEY_ID"), key("TENANTRY_S3_SECRET_ACCESS_KEY"));
    let storage = Storage::start(servers.url(variable).to_owned(), id, secret, variable == "TENANTRY_S3_URL").await;
    for bucket in buckets(&storage, prefix).await {
        let (_, versions) = storage.raw("GET", &format!("/{bucket}?versions="), &[], "").await;
        for (key, version) in texts(&versions, "Key").into_iter().zip(texts(&versions, "VersionId")) {
            storage.do_raw("DELETE", &format!("/{bucket}/{key}?versionId={version}"), "").await;
        }
        storage.do_raw("DELETE", &format!("/{bucket}"), "").await;
    }
    for user in storage_users(&storage, prefix).await {
        let named = [("UserName", user.as_str())];
        let keys = storage.iam(&[&[("Action", "ListAccessKeys")], &named[..]].concat()).await;
        for key in texts(&keys, "AccessKeyId") {
            storage.iam(&[&[("Action", "DeleteAccessKey"), ("AccessKeyId", &key)], &named[..]].concat()).await;
        }
        storage.iam(&[&[("Action", "DeleteUserPolicy"), ("PolicyName", "tenantry")], &named[..]].concat()).await;
        storage.iam(&[&[("Action", "DeleteUser")], &named[..]].concat()).await;
    }
    storage
}

/// The users of the storage whose names begin so.
pub async fn storage_users(storage: &Storage, prefix: &str) -> Vec<String> {
    let list = storage.iam(&[("Action", "ListUsers")]).await;
    texts(&list, "UserName").into_iter().filter(|name| name.starts_with(prefix)).collect()
}

/// The texts of all elements of a name, of XML without anything unusual.
fn texts(xml: &str, element: &str) -> Vec<String> {
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    xml.split(&open).skip(1).filter_map(|rest| Some(rest.split_once(&close)?.0.to_owned())).collect()
}

/// Buckets whose names begin so.
pub async fn buckets(storage: &Storage, prefix: &str) -> Vec<String> {
    let (status, list) = storage.raw("GET", "/", &[], "").await;
    assert_eq!(status, 200, "{list}");
    texts(&list, "Name").into_iter().filter(|name| name.starts_with(prefix)).collect()
}

/// What an object of Stripe is called here.
fn key_of(object: &Json) -> &str {
    let names = [&object["metadata"]["tenantry_key"], &object["lookup_key"], &object["event_name"]];
    names.iter().find_map(|name| name.as_str()).unwrap_or_default()
}

fn is_active(object: &Json) -> bool {
    let has_ended = ["canceled", "inactive"].iter().any(|status| object["status"] == *status);
    !has_ended && object["active"] != false && object["deleted"] != true
}

/// The keys of a list's objects that are neither deleted nor archived nor at their end.
pub async fn active(account: &Account, path: &str) -> BTreeSet<String> {
    let all = account.all(path).await;
    all.iter().filter(|object| is_active(object)).map(|object| key_of(object).to_owned()).collect()
}

/// Stripe's id of an active object by its key.
pub async fn id_of(account: &Account, path: &str, key: &str) -> String {
    let all = account.all(path).await;
    let named = all.iter().find(|object| is_active(object) && key_of(object) == key);
    named.and_then(|object| object["id"].as_str()).unwrap_or_else(|| panic!("{path} {key}")).to_owned()
}

/// A cluster, as its administrator sees it.
#[derive(Clone)]
pub struct Cluster {
    client: kube::Client,
}

impl Cluster {
    pub async fn connect(servers: &Servers) -> Self {
        Self { client: support::kubernetes::client(servers.url("TENANTRY_KUBECONFIG"), "admin").await }
    }

    pub async fn ask(&self, method: &str, path: &str, body: Json) -> (u16, Json) {
        support::kubernetes::ask(&self.client, method, path, body).await
    }

    /// # Panics
    /// If the server refuses.
    pub async fn by_hand(&self, method: &str, path: &str, body: Json) -> Json {
        let (status, answer) = self.ask(method, path, body).await;
        assert!((200..300).contains(&status), "{method} {path}: {answer}");
        answer
    }

    pub async fn get(&self, path: &str) -> Json {
        self.by_hand("GET", path, Json::Null).await
    }

    /// What carries an estate's label, as `COLLECTION NAMESPACE/NAME`. What is being deleted is waited for: how long the server
    /// takes to empty a namespace depends on what else it has to do.
    pub async fn marked(&self, collections: &[&str], estate: &str) -> Vec<String> {
        for _ in 0..600 {
            let (found, ending) = self.labelled(collections, estate).await;
            if ending == 0 {
                return found;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        self.labelled(collections, estate).await.0
    }

    /// What carries an estate's label, and how much of it is being deleted.
    async fn labelled(&self, collections: &[&str], estate: &str) -> (Vec<String>, usize) {
        let (mut found, mut ending) = (Vec::new(), 0);
        for collection in collections {
            let (status, list) =
                self.ask("GET", &format!("{collection}?labelSelector=tenantry.dev/estate={estate}"), Json::Null).await;
            // A type whose definition is gone has no objects.
            if status == 404 {
                continue;
            }
            for item in list["items"].as_array().unwrap_or_else(|| panic!("{collection}: {list}")) {
                let text = |field: &str| item["metadata"][field].as_str().unwrap_or_default().to_owned();
                found.push(format!("{collection} {}/{}", text("namespace"), text("name")));
                ending += usize::from(!text("deletionTimestamp").is_empty());
            }
        }
        (found, ending)
    }

    /// Removes types of objects, whoever made them.
    pub async fn clear_types(&self, names: &[&str]) {
        for name in names {
            let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}");
            for attempt in 0.. {
                if self.ask("DELETE", &path, Json::Null).await.0 == 404 {
                    break;
                }
                assert!(attempt < 300, "{name} does not go");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }

    /// Removes the namespaces and definitions that an earlier run left.
    pub async fn clear(&self, estate: &str) {
        let cluster_wide = ["/api/v1/namespaces", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"];
        for attempt in 0.. {
            let left = self.marked(&cluster_wide, estate).await;
            if left.is_empty() {
                return;
            }
            assert!(attempt < 300, "{left:?} do not go");
            for object in left {
                let (collection, name) = object.split_once(" /").expect("no namespace");
                self.ask("DELETE", &format!("{collection}/{name}"), Json::Null).await;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }
}

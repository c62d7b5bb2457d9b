//! Every provider that has a connection, with one resource of it.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value as Json, json};
use tenantry_core::model::resource::{Desired, Observed};
use tenantry_http::Http;
use tenantry_kubernetes::Kubernetes;
use tenantry_mysql::MySql;
use tenantry_postgres::Postgres;
use tenantry_provider::contract::{ObserveRequest, Provider, Reader, Settings, Writer};
use tenantry_provider::timeouts::Timeouts;
use tenantry_rabbitmq::RabbitMq;
use tenantry_redis::Redis;
use tenantry_s3::S3;
use tenantry_stripe::Stripe;

use crate::support::{ESTATE, Workbench};

/// A provider, and what is asked of it.
pub struct Subject {
    pub name: &'static str,
    provider: Box<dyn Provider>,
    pub desired: Desired,
    values: Json,
    secrets: Json,
    timeouts: Timeouts,
}

/// Short, for servers that do not answer anyway.
const SHORT: Timeouts = Timeouts {
    connect: Duration::from_millis(400),
    idle: Duration::from_millis(400),
    request: Duration::from_millis(800),
    write: Duration::from_millis(800),
    read: Duration::from_secs(10),
};

impl Subject {
    fn new(provider: impl Provider + 'static, kind: &'static str, spec: Json, values: Json, secrets: Json) -> Self {
        let desired = Workbench::new(&provider).desired(kind, "acme/it", spec);
        let timeouts = Timeouts::default();
        Self { name: kind, provider: Box::new(provider), desired, values, secrets, timeouts }
    }

    fn impatient(self) -> Self {
        Self { timeouts: SHORT, ..self }
    }

    /// Settings of a server at a port, which stands for `PORT`.
    fn settings(&self, port: u16) -> Settings {
        let at = |json: &Json| json.to_string().replace("PORT", &port.to_string());
        let map = |json: &Json| -> serde_json::Map<String, Json> { serde_json::from_str(&at(json)).expect("a map") };
        let text = |value: Json| value.as_str().expect("a text").to_owned();
        Settings {
            target: "main".into(),
            estate: ESTATE.into(),
            values: map(&self.values),
            secrets: map(&self.secrets).into_iter().map(|(name, value)| (name, text(value).into())).collect(),
            concurrency: 4,
            timeouts: self.timeouts,
            folder: PathBuf::from("/"),
        }
    }

    pub fn reader(&self, port: u16) -> Box<dyn Reader> {
        self.provider.reader(&self.settings(port)).expect("valid settings")
    }

    pub fn writer(&self, port: u16) -> Box<dyn Writer> {
        self.provider.writer(&self.settings(port)).expect("valid settings")
    }

    pub async fn observe(&self, port: u16) -> Observed {
        self.observe_with(port, &[]).await
    }

    /// As the engine does: other kinds are asked about too.
    pub async fn observe_with(&self, port: u16, others: &[&'static str]) -> Observed {
        let name = self.desired.kind.name;
        let mut wanted = BTreeMap::from([(name, vec![&self.desired])]);
        wanted.extend(others.iter().map(|other| (*other, Vec::new())));
        let request = ObserveRequest { estate: ESTATE, wanted, known: BTreeMap::new(), recorded: HashMap::new() };
        let observations = self.reader(port).observe(&request).await;
        observations[name].get(self.desired.identity.as_deref().expect("an identity"))
    }
}

/// An API of our own, which lists its objects at `/data`.
pub fn api(more: Json) -> Subject {
    own_api("http.resource", json!({"map": {"at": "/labels", "prefix": "tenantry_"}}), more)
}

/// As above, without room for a mark.
pub fn api_unmarked() -> Subject {
    own_api("http.unmarked", json!("inventory"), json!({}))
}

fn own_api(kind: &'static str, mark: Json, more: Json) -> Subject {
    let mut definition = json!({
        "name": "example.project", "nameAt": "/name", "idAt": "/id",
        "list": {"path": "/projects", "itemsAt": "/data"},
        "create": {"method": "POST", "path": "/projects"},
        "update": {"method": "PATCH", "path": "/projects/{id}"},
        "delete": {"method": "DELETE", "path": "/projects/{id}"},
        "mark": mark,
    });
    for (name, value) in more.as_object().expect("fields") {
        definition[name] = value.clone();
    }
    let spec = json!({"definition": definition, "name": "acme", "fields": {"title": "Acme"}});
    Subject::new(Http, kind, spec, json!({"url": "http://127.0.0.1:PORT"}), json!({}))
}

pub fn stripe() -> Subject {
    let spec = json!({"key": "acme", "name": "Acme"});
    let values = json!({"url": "http://127.0.0.1:PORT"});
    Subject::new(Stripe, "stripe.customer", spec, values, json!({"api_key": "sk_test_1"}))
}

pub fn s3() -> Subject {
    let values = json!({"url": "http://127.0.0.1:PORT", "access_key_id": "AK"});
    Subject::new(S3, "s3.bucket", json!({"name": "acme"}), values, json!({"secret_access_key": "hunter2"}))
}

pub fn rabbitmq(kind: &'static str, spec: Json) -> Subject {
    Subject::new(RabbitMq, kind, spec, json!({}), json!({"url": "http://ann:hunter2@127.0.0.1:PORT"}))
}

pub fn kubernetes() -> Subject {
    let config = json!({
        "apiVersion": "v1", "kind": "Config",
        "clusters": [{"name": "here", "cluster": {"server": "http://127.0.0.1:PORT"}}],
        "users": [{"name": "nobody", "user": {}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "nobody"}}],
        "current-context": "here",
    });
    let spec = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web", "namespace": "acme"}, "data": {"a": "b"},
    });
    Subject::new(Kubernetes, "kubernetes.object", spec, json!({}), json!({"kubeconfig": config.to_string()}))
}

/// Those whose servers speak HTTP. They do not wait for long.
pub fn over_http() -> Vec<Subject> {
    let all = vec![
        api(json!({})),
        stripe(),
        s3(),
        rabbitmq("rabbitmq.vhost", json!({"name": "acme"})),
        rabbitmq(
            "rabbitmq.policy",
            json!({"vhost": "acme", "name": "p", "pattern": ".*", "definition": {"max-length": 1}}),
        ),
        kubernetes(),
    ];
    all.into_iter().map(Subject::impatient).collect()
}

/// Those with a protocol of their own.
pub fn others() -> Vec<Subject> {
    let url = |scheme: &str| json!({"url": format!("{scheme}://ann:hunter2@127.0.0.1:PORT/0")});
    let all = vec![
        Subject::new(Postgres, "postgres.role", json!({"name": "acme"}), json!({}), url("postgres")),
        Subject::new(MySql, "mysql.database", json!({"name": "acme"}), json!({}), url("mysql")),
        Subject::new(Redis, "redis.key", json!({"key": "acme", "value": "1"}), json!({}), url("redis")),
    ];
    all.into_iter().map(Subject::impatient).collect()
}

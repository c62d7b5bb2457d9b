//! The conformance suite, run against every provider on its real server, and against the sandbox that stands in for it.

mod alike;
mod http;
mod mysql;
mod rabbitmq;
mod redis;
mod s3;
mod stripe;

use std::sync::Arc;

use crate::support::kubernetes::{World as Cluster, on_server};
use crate::support::objects;
use crate::support::postgres::{Login, World as Database, in_every_database};
use assert_fs::TempDir;
use serde_json::json;
use tenantry_core::model::kind::Catalogue;
use tenantry_core::model::mark::Mark;
use tenantry_core::model::resource::Present;
use tenantry_core::model::value::{Map, Value};
use tenantry_kubernetes::Kubernetes;
use tenantry_postgres::Postgres;
use tenantry_provider::conformance::{Case, Subject, WriteUnguarded as _, check};
use tenantry_provider::contract::{ErrorClass, Provider as _, Step, StepAction};
use tenantry_sandbox::faults::{Fault, Faults, Operation};
use tenantry_sandbox::{Mode, Sandbox, World};

/// One case for each kind of PostgreSQL; names end with a suffix because roles and databases belong to the whole server.
fn postgres_cases(suffix: &str) -> Vec<Case> {
    let name = |name: &str| format!("{name}_{suffix}");
    let role = || ("postgres.role", json!({"name": name("owner")}));
    let schema = || ("postgres.schema", json!({"name": name("shop")}));
    let tables = || {
        let sql = format!(
            "CREATE TABLE {0}.items (id int PRIMARY KEY, tenant text, price numeric, labels jsonb, seen timestamptz); \
             CREATE SEQUENCE {0}.numbers; CREATE FUNCTION {0}.answer(n int) RETURNS int LANGUAGE sql AS 'SELECT 42'",
            name("shop")
        );
        ("postgres.script", json!({"name": name("items"), "sql": sql}))
    };
    let grant = |on: &str, object: Option<&str>, privileges: [&str; 2]| {
        let spec = |privileges: &[&str]| {
            let mut spec = json!({"role": name("owner"), "on": on, "privileges": privileges});
            if on != "database" {
                spec["schema"] = name("shop").into();
            }
            if let Some(object) = object {
                spec["name"] = object.into();
            }
            spec
        };
        Case {
            kind: "postgres.grant",
            needs: vec![role(), schema(), tables()],
            spec: spec(&privileges[..1]),
            updated: spec(&privileges),
            apart: false,
            holds: Vec::new(),
            adds: true,
            lenient: &[],
        }
    };
    vec![
        Case {
            kind: "postgres.database",
            needs: vec![role()],
            spec: json!({"name": name("extra"), "connectionLimit": 5}),
            updated: json!({"name": name("extra"), "connectionLimit": 7, "owner": name("owner")}),
            apart: false,
            holds: Vec::new(),
            adds: false,
            lenient: &[],
        },
        Case {
            kind: "postgres.role",
            needs: vec![role()],
            spec: json!({"name": name("app"), "login": true, "connectionLimit": 3, "settings": {"statement_timeout": "30s"}}),
            updated: json!({
                "name": name("app"), "login": false, "inherit": false, "memberOf": [name("owner")],
                "settings": {"statement_timeout": "1min", "search_path": "a, b"}, "validUntil": "2030-01-01T00:00:00Z",
            }),
            apart: false,
            holds: Vec::new(),
            adds: false,
            lenient: &[],
        },
        Case {
            kind: "postgres.schema",
            needs: vec![role()],
            spec: json!({"name": name("sales")}),
            updated: json!({"name": name("sales"), "owner": name("owner"), "exclusive": true}),
            apart: false,
            holds: Vec::new(),
            adds: false,
            lenient: &[],
        },
        grant("schema", None, ["USAGE", "CREATE"]),
        grant("table", Some("items"), ["SELECT", "UPDATE"]),
        grant("sequence", Some("numbers"), ["USAGE", "SELECT"]),
        grant("allTables", None, ["SELECT", "DELETE"]),
        grant("defaultTables", None, ["SELECT", "INSERT"]),
        Case {
            kind: "postgres.rls_policy",
            needs: vec![role(), schema(), tables()],
            spec: json!({"schema": name("shop"), "table": "items", "name": "own", "using": "tenant = 'a'"}),
            updated: json!({
                "schema": name("shop"), "table": "items", "name": "own", "roles": [name("owner")],
                "using": "tenant = current_setting('app.tenant', true)", "withCheck": "tenant IS NOT NULL AND price > 0",
            }),
            apart: false,
            holds: Vec::new(),
            adds: false,
            lenient: &[],
        },
        Case {
            kind: "postgres.extension",
            needs: vec![schema()],
            spec: json!({"name": "citext"}),
            updated: json!({"name": "citext", "schema": name("shop")}),
            apart: false,
            holds: Vec::new(),
            adds: true,
            lenient: &[],
        },
        Case {
            kind: "postgres.row",
            needs: vec![schema(), tables()],
            spec: json!({
                "schema": name("shop"), "table": "items", "key": {"id": 1},
                "columns": {"tenant": "a", "price": "10.00", "labels": {"colour": "red"}, "seen": "2026-01-01T00:00:00Z"},
            }),
            updated: json!({
                "schema": name("shop"), "table": "items", "key": {"id": 1},
                "columns": {"tenant": "it's; b", "price": 12.5, "labels": {"colour": "blue", "size": 3}, "seen": "2026-01-01T02:00:00+01:00"},
            }),
            apart: false,
            holds: Vec::new(),
            adds: false,
            lenient: &[],
        },
        Case {
            kind: "postgres.script",
            needs: vec![schema()],
            spec: json!({"name": name("first"), "sql": format!("CREATE TABLE IF NOT EXISTS {}.a (id int)", name("shop"))}),
            updated: json!({
                "name": name("first"), "sql": format!("CREATE TABLE IF NOT EXISTS {0}.b (id int)", name("shop")),
                "check": format!("SELECT to_regclass('{}.b') IS NOT NULL", name("shop")),
            }),
            apart: true,
            holds: Vec::new(),
            adds: false,
            lenient: &[],
        },
    ]
}

/// The cases of all providers.
fn all_cases(suffix: &str) -> Vec<Case> {
    let apart = [
        postgres_cases(suffix),
        objects::cases(suffix, objects::CRON_JOBS),
        mysql::cases(suffix),
        rabbitmq::cases(suffix),
        redis::cases(suffix),
        s3::cases(suffix, true),
    ];
    apart.into_iter().chain([stripe::cases(), http::cases()]).flatten().collect()
}

#[test]
fn every_kind_has_a_case() {
    let catalogue = tenantry_registry::catalogue(&tenantry_registry::providers());
    let cases = all_cases("x");
    let missing: Vec<&str> =
        catalogue.iter().map(|kind| kind.name).filter(|kind| !cases.iter().any(|case| case.kind == *kind)).collect();
    assert!(missing.is_empty(), "no conformance case for {missing:?}");
}

#[test]
fn postgres_conforms() {
    in_every_database("postgres_conforms", async |database: &Database| {
        let catalogue = Catalogue::new(Postgres.kinds());
        // Nothing listens on the port of discarding (RFC 863) of the loopback here.
        let nobody = database.settings(database.options().host("127.0.0.1").port(9));
        let unreachable = Postgres.reader(&nobody).expect("valid settings");
        let (reader, writer) = (database.reader(), database.writer());
        let other = database.reader();
        let subject = Subject {
            catalogue: &catalogue,
            reader: &*reader,
            other: &*other,
            writer: &*writer,
            unreachable: &*unreachable,
        };
        let mut violations = Vec::new();
        // What a trusted extension makes belongs to the superuser of the server, and so nobody else moves it.
        let may = |case: &Case| database.login == Login::Superuser || case.kind != "postgres.extension";
        for case in postgres_cases(&database.suffix).into_iter().filter(may) {
            violations.extend(check(&subject, &case).await);
        }
        assert!(violations.is_empty(), "{}", violations.join("\n"));
        assert_eq!(database.memberships().await, "", "a membership was kept");
    });
}

#[test]
fn kubernetes_conforms() {
    on_server("kubernetes_conforms", async |cluster: &Cluster| {
        let catalogue = Catalogue::new(Kubernetes.kinds());
        let unreachable = Kubernetes.reader(&cluster.settings_at(9)).expect("valid settings");
        let (reader, writer) = (cluster.reader(), cluster.writer());
        let other = cluster.reader();
        let subject = Subject {
            catalogue: &catalogue,
            reader: &*reader,
            other: &*other,
            writer: &*writer,
            unreachable: &*unreachable,
        };
        let cases = objects::cases(&cluster.suffix, objects::cron_jobs(cluster).await);
        // Each has a namespace of its own, and most of the time is spent waiting for namespaces to end.
        let violations = futures::future::join_all(cases.iter().map(|case| check(&subject, case))).await.concat();
        assert!(violations.is_empty(), "{}", violations.join("\n"));
    });
}

struct Down;

impl Faults for Down {
    fn next(&self, _: Operation<'_>) -> Fault {
        Fault::Fail(ErrorClass::Retryable, "the server is down".into())
    }
}

#[tokio::test]
async fn the_sandbox_conforms() {
    let folder = TempDir::new().expect("a folder");
    let catalogue = Arc::new(tenantry_registry::catalogue(&tenantry_registry::providers()));
    let sandbox = Sandbox::new(World::new(&folder.path().join("sandbox.db"), Mode::ReadWrite), catalogue.clone());
    let down = sandbox.clone().with_faults(Arc::new(Down));
    let (reader, writer, unreachable) = (sandbox.reader("target"), sandbox.writer("target"), down.reader("target"));
    // A connection of its own to the same file.
    let world = World::new(&folder.path().join("sandbox.db"), Mode::ReadOnly);
    let other = Sandbox::new(world, catalogue.clone()).reader("target");
    let subject =
        Subject { catalogue: &catalogue, reader: &reader, other: &other, writer: &writer, unreachable: &unreachable };
    let mut violations = Vec::new();
    for case in all_cases("sim") {
        violations.extend(check(&subject, &case).await);
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

/// What no case asks, because it would only be asked of some: each line is a resource that its real target refuses.
#[tokio::test]
async fn the_sandbox_refuses_what_its_targets_refuse() {
    let folder = TempDir::new().expect("a folder");
    let catalogue = Arc::new(tenantry_registry::catalogue(&tenantry_registry::providers()));
    let sandbox = Sandbox::new(World::new(&folder.path().join("sandbox.db"), Mode::ReadWrite), catalogue.clone());
    let writer = sandbox.writer("target");
    let step = |kind: &str, spec: serde_json::Value, before: Option<&Map>| {
        let kind = catalogue.get(kind).expect("a kind").clone();
        let spec = kind.normal(Value::from(spec).as_map().expect("a map"));
        let mark = Mark { estate: "shop".into(), address: "acme/it".parse().expect("an address"), secret_hash: None };
        let (identity, secrets) = (kind.identity_of(&spec).expect("a name"), Vec::new());
        let action = match before {
            None => StepAction::Create { spec: Map::clone(&spec), secrets },
            Some(before) => StepAction::Update {
                spec: Map::clone(&spec),
                before: Present { spec: Arc::new(before.clone()), mark: Some(mark.clone()), ..Present::default() },
                applied: None,
                changed: Vec::new(),
                removed: Vec::new(),
                secrets,
            },
        };
        Step { kind, identity, action, mark, idempotency_key: "key".into() }
    };
    let config = |namespace: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": namespace}});
    let customer = json!({"key": "acme", "name": "Acme"});
    let subscription = |price: &str| json!({"key": "acme", "customer": "acme", "price": price});
    let made = [
        step("stripe.customer", customer, None),
        step("kubernetes.object", config("default"), None),
        step("rabbitmq.vhost", json!({"name": "acme"}), None),
        step("rabbitmq.queue", json!({"vhost": "acme", "name": "orders"}), None),
    ];
    for step in &made {
        writer.write(std::slice::from_ref(step)).await.unwrap_or_else(|error| panic!("{}: {error}", step.kind.name));
    }
    let queue = made[3].spec().clone();
    for (why, step) in [
        ("a price that nobody makes", step("stripe.subscription", subscription("annual"), None)),
        ("a namespace that nobody makes", step("kubernetes.object", config("acme"), None)),
        (
            "an exchange that nobody makes",
            step("rabbitmq.binding", json!({"vhost": "acme", "source": "x", "destination": "orders"}), None),
        ),
        ("a name that is too long", step("postgres.role", json!({"name": "r".repeat(64)}), None)),
        ("what the kind's checks refuse", step("s3.bucket", json!({"name": "Not_A_Bucket"}), None)),
        (
            "what cannot change",
            step("rabbitmq.queue", json!({"vhost": "acme", "name": "orders", "durable": false}), Some(&queue)),
        ),
    ] {
        assert!(writer.write(&[step]).await.is_err(), "{why} is taken");
    }
}

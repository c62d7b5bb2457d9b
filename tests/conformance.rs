//! The conformance suite, run against every provider on its real server, and against the sandbox that stands in for it.

#[allow(dead_code, reason = "the provider's own tests use the rest")]
mod support;

use std::sync::Arc;

use assert_fs::TempDir;
use serde_json::json;
use support::postgres::{World as Database, in_database};
use support::stripe::{World as Account, in_account};
use support::vendors::{Api, Vendor};
use tenantry::core::model::kind::Catalogue;
use tenantry::provider::conformance::{Case, Subject, check};
use tenantry::provider::contract::{ErrorClass, Provider as _};
use tenantry::provider::http::Http;
use tenantry::provider::postgres::Postgres;
use tenantry::provider::registry;
use tenantry::provider::sandbox::faults::{Fault, Faults, Operation};
use tenantry::provider::sandbox::{Mode, Sandbox, World};
use tenantry::provider::stripe::Stripe;

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
        }
    };
    vec![
        Case {
            kind: "postgres.database",
            needs: vec![role()],
            spec: json!({"name": name("extra"), "connectionLimit": 5}),
            updated: json!({"name": name("extra"), "connectionLimit": 7, "owner": name("owner")}),
            apart: false,
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
        },
        Case {
            kind: "postgres.schema",
            needs: vec![role()],
            spec: json!({"name": name("sales")}),
            updated: json!({"name": name("sales"), "owner": name("owner"), "exclusive": true}),
            apart: false,
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
        },
        Case {
            kind: "postgres.extension",
            needs: vec![schema()],
            spec: json!({"name": "citext"}),
            updated: json!({"name": "citext", "schema": name("shop")}),
            apart: false,
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
        },
    ]
}

/// One case for each kind of Stripe.
fn stripe_cases() -> Vec<Case> {
    let product = || ("stripe.product", json!({"key": "pro", "name": "Pro"}));
    let price = |lookup_key: &str, amount: &str| {
        let spec = json!({"lookupKey": lookup_key, "product": "pro", "currency": "usd", "amount": amount, "interval": "month"});
        ("stripe.price", spec)
    };
    let case = |kind, needs, spec, updated, apart| Case { kind, needs, spec, updated, apart };
    vec![
        case(
            "stripe.product",
            vec![],
            json!({"key": "pro", "name": "Pro"}),
            json!({"key": "pro", "name": "Professional", "description": "For teams", "unitLabel": "seat", "metadata": {"a": "b"}}),
            true,
        ),
        case(
            "stripe.meter",
            vec![],
            json!({"eventName": "calls", "displayName": "Calls"}),
            json!({"eventName": "calls", "displayName": "API calls"}),
            false,
        ),
        case(
            "stripe.price",
            vec![product()],
            price("monthly", "49.00").1,
            json!({"lookupKey": "monthly", "product": "pro", "currency": "usd", "amount": "49", "interval": "month",
                "nickname": "Monthly", "metadata": {"a": "b"}}),
            false,
        ),
        case(
            "stripe.coupon",
            vec![],
            json!({"key": "welcome", "percentOff": "10"}),
            json!({"key": "welcome", "percentOff": "10", "name": "Welcome", "metadata": {"a": "b"}}),
            true,
        ),
        case(
            "stripe.customer",
            vec![],
            json!({"key": "acme", "name": "Acme"}),
            json!({"key": "acme", "name": "Acme Corp", "email": "billing@acme.example", "taxExempt": "reverse",
                "address": {"line1": "1 Street", "country": "DE"}, "preferredLocales": ["de", "en"], "metadata": {"a": "b"}}),
            true,
        ),
        case(
            "stripe.subscription",
            vec![
                product(),
                price("basic", "19.00"),
                price("pro", "49.00"),
                price("support", "9.00"),
                ("stripe.customer", json!({"key": "acme", "name": "Acme"})),
            ],
            json!({"key": "acme", "customer": "acme", "price": "basic", "trialDays": 14, "collectionMethod": "sendInvoice",
                "daysUntilDue": 30}),
            json!({"key": "acme", "customer": "acme", "price": "pro", "quantity": 5, "addOns": ["support"],
                "collectionMethod": "sendInvoice", "daysUntilDue": 14, "pauseCollection": "void", "cancelAtPeriodEnd": true,
                "metadata": {"a": "b"}}),
            true,
        ),
        case(
            "stripe.webhook_endpoint",
            vec![],
            json!({"key": "main", "url": "https://shop.example/hook", "enabledEvents": ["invoice.paid", "customer.created"]}),
            json!({"key": "main", "url": "https://shop.example/other", "enabledEvents": ["*"], "description": "Shop",
                "disabled": true, "metadata": {"a": "b"}}),
            true,
        ),
    ]
}

/// One case for each kind of the provider of REST APIs; its own tests have one for each ready definition.
fn http_cases() -> Vec<(Vendor, Case)> {
    let service = |image: &str| {
        json!({"use": "cloudrun.service", "name": "acme", "parameters": {"project": "p", "location": "eu"},
            "fields": {"template": {"containers": [{"image": image}]}}})
    };
    let folder = |title: &str| json!({"use": "grafana.folder", "name": "acme", "fields": {"title": title}});
    let case = |kind, spec, updated| Case { kind, needs: vec![], spec, updated, apart: false };
    vec![
        (Vendor::CloudRun, case("http.resource", service("app:1"), service("app:2"))),
        (Vendor::Grafana, case("http.unmarked", folder("Acme"), folder("Acme Corp"))),
    ]
}

/// The cases of all providers, for a server without names of other tests.
fn all_cases() -> Vec<Case> {
    let http = http_cases().into_iter().map(|(_, case)| case);
    postgres_cases("sim").into_iter().chain(stripe_cases()).chain(http).collect()
}

#[test]
fn every_kind_has_a_case() {
    let catalogue = registry::catalogue(&registry::providers());
    let cases = all_cases();
    let missing: Vec<&str> =
        catalogue.iter().map(|kind| kind.name).filter(|kind| !cases.iter().any(|case| case.kind == *kind)).collect();
    assert!(missing.is_empty(), "no conformance case for {missing:?}");
}

#[test]
fn postgres_conforms() {
    in_database("postgres_conforms", async |database: &Database| {
        let catalogue = Catalogue::new(Postgres.kinds());
        // Nothing listens on the port of discarding (RFC 863) of the loopback here.
        let nobody = database.settings(database.options().host("127.0.0.1").port(9));
        let unreachable = Postgres.reader(&nobody).expect("valid settings");
        let (reader, writer) = (database.reader(), database.writer());
        let subject = Subject { catalogue: &catalogue, reader: &*reader, writer: &*writer, unreachable: &*unreachable };
        let mut violations = Vec::new();
        for case in postgres_cases(&database.suffix) {
            violations.extend(check(&subject, &case).await);
        }
        assert!(violations.is_empty(), "{}", violations.join("\n"));
    });
}

#[test]
fn stripe_conforms() {
    in_account("stripe_conforms", async |account: &Account| {
        let catalogue = Catalogue::new(Stripe.kinds());
        let mut nobody = account.settings("sk_test_tenantry");
        // Nothing listens on the port of discarding (RFC 863) of the loopback here.
        nobody.values.insert("url".to_owned(), "http://127.0.0.1:9".into());
        let unreachable = Stripe.reader(&nobody).expect("valid settings");
        let (reader, writer) = (account.reader(), account.writer());
        let subject = Subject { catalogue: &catalogue, reader: &*reader, writer: &*writer, unreachable: &*unreachable };
        let mut violations = Vec::new();
        for case in stripe_cases() {
            violations.extend(check(&subject, &case).await);
        }
        assert!(violations.is_empty(), "{}", violations.join("\n"));
    });
}

#[tokio::test]
async fn http_conforms() {
    let catalogue = Catalogue::new(Http.kinds());
    for (vendor, case) in http_cases() {
        let api = Api::start(vendor).await;
        let mut nobody = api.settings();
        // Nothing listens on the port of discarding (RFC 863) of the loopback here.
        nobody.values.insert("url".to_owned(), "http://127.0.0.1:9".into());
        let unreachable = Http.reader(&nobody).expect("valid settings");
        let (reader, writer) = (api.reader(), api.writer());
        let subject = Subject { catalogue: &catalogue, reader: &*reader, writer: &*writer, unreachable: &*unreachable };
        let violations = check(&subject, &case).await;
        assert!(violations.is_empty(), "{}", violations.join("\n"));
    }
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
    let catalogue = Arc::new(registry::catalogue(&registry::providers()));
    let sandbox = Sandbox::new(World::new(&folder.path().join("sandbox.db"), Mode::ReadWrite), catalogue.clone());
    let down = sandbox.clone().with_faults(Arc::new(Down));
    let (reader, writer, unreachable) = (sandbox.reader("target"), sandbox.writer("target"), down.reader("target"));
    let subject = Subject { catalogue: &catalogue, reader: &reader, writer: &writer, unreachable: &unreachable };
    let mut violations = Vec::new();
    for case in all_cases() {
        violations.extend(check(&subject, &case).await);
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

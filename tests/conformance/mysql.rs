//! One case for each kind of MySQL, and for each object that privileges are on.

use serde_json::json;
use tenantry_mysql::MySql;
use tenantry_provider::conformance::Case;

use crate::support::target::{Target, on_server};

/// Names end with a suffix because all tests share a server.
pub fn cases(suffix: &str) -> Vec<Case> {
    let name = |name: &str| format!("{name}_{suffix}");
    let database = || ("mysql.database", json!({"name": name("shop")}));
    let user = || ("mysql.user", json!({"name": name("app")}));
    let tables = || {
        let sql = "CREATE TABLE IF NOT EXISTS items (id int PRIMARY KEY, tenant varchar(20), price decimal(9,2), labels json, \
            seen datetime, open tinyint(1))";
        ("mysql.script", json!({"name": "items", "database": name("shop"), "sql": sql}))
    };
    let case = |kind, needs, spec, updated| Case {
        kind,
        needs,
        spec,
        updated,
        apart: false,
        holds: Vec::new(),
        adds: false,
        lenient: &[],
    };
    // The server takes privileges on a database that is not there.
    let granted = |case: Case| Case { lenient: &["/database"], ..case };
    let grant = |on: &str, more: serde_json::Value, privileges: [&str; 2]| {
        let spec = |privileges: &[&str], option: bool| {
            let mut spec = json!({"user": name("app"), "on": on, "privileges": privileges, "withGrantOption": option});
            spec.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            spec
        };
        let (first, second) = (spec(&privileges[..1], false), spec(&privileges, true));
        granted(case("mysql.grant", vec![database(), user(), tables()], first, second))
    };
    let row = |columns: serde_json::Value| json!({"database": name("shop"), "table": "items", "key": {"id": 1}, "columns": columns});
    vec![
        case(
            "mysql.database",
            vec![],
            json!({"name": name("sales-%")}),
            json!({"name": name("sales-%"), "charset": "latin1", "collation": "latin1_bin"}),
        ),
        case(
            "mysql.user",
            vec![],
            json!({"name": name("o'neil"), "host": "10.0.%", "maxUserConnections": 3}),
            json!({
                "name": name("o'neil"), "host": "10.0.%", "locked": true, "tls": "x509", "maxQueriesPerHour": 100,
                "maxUpdatesPerHour": 50, "maxConnectionsPerHour": 20,
            }),
        ),
        grant("global", json!({}), ["PROCESS", "RELOAD"]),
        grant("database", json!({"database": name("shop")}), ["SELECT", "CREATE TEMPORARY TABLES"]),
        grant("table", json!({"database": name("shop"), "table": "items"}), ["SELECT", "CREATE VIEW"]),
        granted(case(
            "mysql.grant",
            vec![database(), user()],
            json!({"user": name("app"), "on": "database", "database": name("shop"), "privileges": ["INSERT", "DELETE"]}),
            json!({"user": name("app"), "on": "database", "database": name("shop"), "privileges": ["all privileges"]}),
        )),
        case(
            "mysql.row",
            vec![database(), tables()],
            row(json!({
                "tenant": "a", "price": "10.00", "labels": {"colour": "red"}, "seen": "2026-01-01T00:00:00Z", "open": true,
            })),
            row(json!({
                "tenant": "it's; \\b", "price": 12.5, "labels": {"colour": "blue", "size": [3]},
                "seen": "2026-01-01T02:00:00+01:00", "open": null,
            })),
        ),
        Case {
            kind: "mysql.script",
            needs: vec![database()],
            spec: json!({"name": "first", "database": name("shop"), "sql": "CREATE TABLE IF NOT EXISTS a (id int)"}),
            updated: json!({
                "name": "first", "database": name("shop"),
                "sql": "CREATE TABLE IF NOT EXISTS b (id int); INSERT INTO b VALUES (1)",
                "check": format!("SELECT COUNT(*) > 0 FROM `{}`.b -- there is one", name("shop")),
            }),
            apart: true,
            holds: Vec::new(),
            adds: false,
            lenient: &[],
        },
    ]
}

#[test]
fn mysql_conforms() {
    let test = async |target: &Target| target.assert_conforms(cases(&target.suffix)).await;
    let values = |suffix: &str| json!({"bookkeeping_database": format!("tenantry_{suffix}")});
    on_server("mysql_conforms", MySql, values, test, async |_| {});
}

//! Values of rows, in columns of every sort.

use crate::support::said;
use serde_json::json;
use tenantry_core::diff::compare;
use tenantry_core::model::resource::Observed;
use tenantry_provider::conformance::WriteUnguarded as _;

use super::safety::{answer, row};
use super::{by_hand, on_mysql};
use crate::support::{create, observe};

#[test]
fn values_of_every_type_are_what_was_written() {
    on_mysql("values_of_every_type_are_what_was_written", async |target| {
        let own = target.name("acme");
        let sorts = [
            ("boolean", json!([true, false, 1])),
            ("tinyint", json!([5, -5])),
            ("bigint", json!([9_007_199_254_740_993_i64, "9007199254740993"])),
            ("bigint unsigned", json!(["18446744073709551615"])),
            ("decimal(10,2)", json!([12.5, "12.50", 12, "0.10"])),
            ("float", json!([0.1, 1.5, 1_234_567.8, 16_777_216])),
            ("double", json!([0.1, 1e300, 1_234_567.891])),
            ("bit(1)", json!([true, false, 1])),
            ("bit(8)", json!([5, 200])),
            ("date", json!(["2026-01-01"])),
            ("datetime", json!(["2026-01-01T10:00:00Z", "2026-01-01 10:00:00", "2026-01-01"])),
            ("datetime(3)", json!(["2026-01-01T10:00:00.123Z"])),
            ("timestamp NULL", json!(["2026-01-01T10:00:00Z", "2026-01-01T10:00:00+02:00"])),
            ("time", json!(["10:00:00"])),
            ("year", json!([2026, "2026"])),
            ("enum('Pro','Free')", json!(["Pro"])),
            ("set('a','b')", json!(["a,b"])),
            ("json", json!([{"b": 1.0, "a": [1, "x"]}, [], 1.5, true])),
            ("longtext", json!([{"a": 1}, "x"])),
            ("varchar(20)", json!([5, true, 1.5, "é"])),
            ("char(10)", json!(["x"])),
            ("varbinary(10)", json!(["x"])),
            ("varchar(20) CHARACTER SET latin1", json!(["é"])),
            ("varchar(20) CHARACTER SET utf8mb3", json!(["é"])),
        ];
        let columns: Vec<String> =
            sorts.iter().enumerate().map(|(number, (sort, _))| format!("v{number} {sort}")).collect();
        let table = format!("CREATE TABLE all_sorts (id int PRIMARY KEY, {})", columns.join(", "));
        by_hand(target, &format!("CREATE DATABASE `{own}`; USE `{own}`; {table}")).await;
        let (reader, writer) = (target.reader(), target.writer());
        let mut wrong = Vec::new();
        for (number, (sort, values)) in sorts.iter().enumerate() {
            for (id, value) in values.as_array().expect("a list").iter().enumerate() {
                let wanted = row(
                    target,
                    &own,
                    "all_sorts",
                    json!({"id": 10 * number + id}),
                    json!({(format!("v{number}")): value}),
                );
                for _ in 0..2 {
                    if let Err(error) = writer.write(&[create(&wanted)]).await {
                        wrong.push(format!("{sort} {value}: {error}"));
                    }
                }
                let observations = observe(&*reader, &[&wanted], &[]).await;
                let found = match observations["mysql.row"].get(wanted.identity.as_deref().expect("an identity")) {
                    Observed::Present(found) => found,
                    other => panic!("{sort} {value}: {other:?}"),
                };
                let differences = compare(&wanted.kind, &wanted.spec, &found.spec, None);
                wrong.extend(differences.iter().map(|field| format!("{sort} {value}: {:?}", field.before)));
            }
        }
        assert_eq!(wrong, [""; 0]);
        // Bytes that read back as they were written can be another number all the same.
        let bits = format!("SELECT CAST(v8 + 0 AS CHAR) FROM `{own}`.all_sorts WHERE v8 IS NOT NULL ORDER BY id");
        assert_eq!(answer(target, &bits).await, ["5", "200"]);
        let flag = row(target, &own, "all_sorts", json!({"v7": true}), json!({}));
        assert!(matches!(target.observe(&flag).await, Observed::Unknown(reason) if said(&reason).contains("2 rows")));
    });
}

/// What a column makes of a value is what the server makes of it, whatever the spelling.
#[test]
fn a_value_that_the_server_writes_otherwise_is_no_drift() {
    on_mysql("a_value_that_the_server_writes_otherwise_is_no_drift", async |target| {
        let own = target.name("acme");
        let mut sorts = vec![
            ("decimal(10,2)", json!([12.345, "012.5", "1e1", -0.004])),
            ("double", json!(["1e25", 12_345_678_901_234_567_000_f64])),
            ("datetime", json!(["2026-01-01T10:00:00.700Z", "2026-1-2 3:04:05"])),
            ("datetime(3)", json!(["2026-01-01T10:00:00.123456Z", "2026-01-01T10:00:00+05:30"])),
            ("timestamp NULL", json!(["2026-01-01T10:00:00.5Z"])),
            ("date", json!(["2026-1-2", "20260102", "2026-01-02T00:00:00"])),
            ("time", json!(["9:05", "30:00:00", "9:05:07.6", "-1:00:00"])),
            ("time(2)", json!(["09:05:07.5"])),
            ("year", json!([26, "99"])),
            ("enum('Pro','Free')", json!(["pro", "FREE"])),
            ("set('a','b','c')", json!(["c,a", "B", "b,b"])),
            ("char(10)", json!(["x  "])),
            ("binary(4)", json!(["ab"])),
        ];
        if super::is_mariadb(target).await {
            sorts.push(("inet6", json!(["2001:DB8:0:0::1", "::0001"])));
            sorts.push(("uuid", json!(["123E4567E89B12D3A456426614174000"])));
        }
        let columns: Vec<String> =
            sorts.iter().enumerate().map(|(number, (sort, _))| format!("v{number} {sort}")).collect();
        let table = format!("CREATE TABLE spelled (id int PRIMARY KEY, {})", columns.join(", "));
        by_hand(target, &format!("CREATE DATABASE `{own}`; USE `{own}`; {table}")).await;
        let (reader, writer) = (target.reader(), target.writer());
        let mut wrong = Vec::new();
        let mut written = Vec::new();
        for (number, (sort, values)) in sorts.iter().enumerate() {
            for (id, value) in values.as_array().expect("a list").iter().enumerate() {
                let (key, columns) = (json!({"id": 10 * number + id}), json!({(format!("v{number}")): value}));
                let wanted = row(target, &own, "spelled", key, columns);
                // A second time it finds its own work.
                for _ in 0..2 {
                    if let Err(error) = writer.write(&[create(&wanted)]).await {
                        wrong.push(format!("{sort} {value}: {error}"));
                    }
                }
                written.push((format!("{sort} {value}"), wanted));
            }
        }
        let observations = observe(&*reader, &written.iter().map(|(_, wanted)| wanted).collect::<Vec<_>>(), &[]).await;
        for (what, wanted) in &written {
            let observed = observations["mysql.row"].get(wanted.identity.as_deref().expect("an identity"));
            let Observed::Present(found) = observed else { panic!("{what}: {observed:?}") };
            let differences = compare(&wanted.kind, &wanted.spec, &found.spec, None);
            wrong.extend(differences.iter().map(|field| format!("{what}: {:?}", field.before)));
        }
        assert_eq!(wrong, [""; 0]);
        // Another value is drift all the same.
        by_hand(target, &format!("UPDATE `{own}`.spelled SET v0 = 12.36 WHERE id = 0")).await;
        let observations = observe(&*reader, &[&written[0].1], &[]).await;
        let identity = written[0].1.identity.as_deref().expect("an identity");
        let Observed::Present(found) = observations["mysql.row"].get(identity) else { panic!("it is there") };
        assert_eq!(compare(&written[0].1.kind, &written[0].1.spec, &found.spec, None).len(), 1);
    });
}

#[test]
fn columns_are_the_same_in_any_case() {
    on_mysql("columns_are_the_same_in_any_case", async |target| {
        let own = target.name("acme");
        let table = "CREATE TABLE spelled (Id int PRIMARY KEY, Seats int, Since datetime)";
        by_hand(target, &format!("CREATE DATABASE `{own}`; USE `{own}`; {table}")).await;
        let columns = json!({"seats": 5, "SINCE": "2026-01-01T00:00:00Z"});
        let wanted = row(target, &own, "spelled", json!({"id": 7}), columns);
        target.create(&[&wanted]).await;
        target.assert_settled(&[&wanted]).await;
        let wrong = row(target, &own, "spelled", json!({"id": "7x"}), json!({"seats": 5}));
        assert!(matches!(target.observe(&wrong).await, Observed::Unknown(_)));
    });
}

#[test]
fn a_key_of_zero_is_no_wish_for_the_next_number() {
    on_mysql("a_key_of_zero_is_no_wish_for_the_next_number", async |target| {
        let own = target.name("acme");
        let table = "CREATE TABLE numbered (id int AUTO_INCREMENT PRIMARY KEY, seats int)";
        by_hand(target, &format!("CREATE DATABASE `{own}`; USE `{own}`; {table}")).await;
        let wanted = row(target, &own, "numbered", json!({"id": 0}), json!({"seats": 5}));
        target.create(&[&wanted]).await;
        target.assert_settled(&[&wanted]).await;
    });
}

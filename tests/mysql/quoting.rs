//! What expressions write into SQL, read back by the server.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use sqlx::{AssertSqlSafe, Row as _};
use tenantry_core::expression::sql::{Dialect, Quoting};
use tenantry_core::model::value::Value;

use crate::mysql::{connect, execute, on_mysql};

/// Texts that have ended a literal somewhere, and arbitrary ones.
fn texts(count: usize, pattern: &'static str) -> Vec<String> {
    let mut runner = TestRunner::deterministic();
    let known = [
        "", "'", "''", "\\", "\\'", "'\\", "\\\\'", "\"", "`", "``", "-- ", "#", "/*", "*/", "\0", "\n", "\u{1a}",
        "%_", "é🦀",
    ];
    let pieces = prop_oneof![proptest::sample::select(known.to_vec()).prop_map(str::to_owned), pattern];
    let strategy = proptest::collection::vec(pieces, 0..5).prop_map(|pieces| pieces.concat());
    let drawn = (0..count).map(|_| strategy.new_tree(&mut runner).expect("a text").current());
    known.iter().map(|text| (*text).to_owned()).chain(drawn).collect()
}

#[test]
fn a_quoted_text_is_read_back_as_it_was_in_each_mode() {
    on_mysql("a_quoted_text_is_read_back_as_it_was_in_each_mode", async |target| {
        let mut connection = connect(&target.url).await.expect("the server answers");
        let texts = texts(300, ".{0,12}");
        for mode in ["", "NO_BACKSLASH_ESCAPES", "ANSI_QUOTES,NO_BACKSLASH_ESCAPES", "ANSI_QUOTES"] {
            execute(&mut connection, &format!("SET SESSION sql_mode = '{mode}'")).await;
            for chunk in texts.chunks(50) {
                let literals: Vec<String> = (chunk.iter())
                    .map(|text| Quoting::Text.quote(Dialect::Mysql, &Value::from(text.as_str())).expect(text))
                    .collect();
                let sql = AssertSqlSafe(format!("SELECT {}", literals.join(", ")));
                let row = sqlx::query(sql).persistent(false).fetch_one(&mut connection).await.expect("SQL");
                for (index, text) in chunk.iter().enumerate() {
                    let read: String = row.try_get_unchecked(index).expect("a text");
                    assert_eq!(&read, text, "sql_mode = {mode:?}");
                }
            }
        }
    });
}

#[test]
fn a_quoted_name_is_read_back_as_it_was() {
    on_mysql("a_quoted_name_is_read_back_as_it_was", async |target| {
        let mut connection = connect(&target.url).await.expect("the server answers");
        let database = format!("quoting_{}", target.suffix);
        execute(&mut connection, &format!("CREATE DATABASE `{database}`; USE `{database}`")).await;
        let mut names = texts(30, "[ -~à-ÿ]{1,8}");
        names.retain(|name| Quoting::Identifier.quote(Dialect::Mysql, &Value::from(name.as_str())).is_ok());
        // The server takes names for one another that differ in case only, and those of a table without spaces around them.
        names.retain(|name| name.trim() == name && !name.contains(['/', '\\', '\n', '\u{1a}', '.']));
        assert!(names.len() > 10);
        for mode in ["", "ANSI_QUOTES,NO_BACKSLASH_ESCAPES"] {
            execute(&mut connection, &format!("SET SESSION sql_mode = '{mode}'")).await;
            for name in &names {
                let quoted = Quoting::Identifier.quote(Dialect::Mysql, &Value::from(name.as_str())).expect(name);
                execute(&mut connection, &format!("CREATE TABLE t ({quoted} int)")).await;
                let sql = "SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE()";
                let row = sqlx::query(sql).fetch_one(&mut connection).await.expect("SQL");
                let read: String = row.try_get_unchecked(0).expect("a name");
                assert_eq!(&read, name, "sql_mode = {mode:?}");
                execute(&mut connection, "DROP TABLE t").await;
            }
        }
    });
}

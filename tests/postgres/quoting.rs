//! What expressions write into SQL, read back by the server.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use sqlx::{AssertSqlSafe, Column as _, Row as _};
use tenantry_core::expression::sql::{Dialect, Quoting};
use tenantry_core::model::value::Value;

use crate::support::postgres::{execute, in_database};

/// Texts that have ended a literal somewhere, and arbitrary ones.
fn texts(count: usize, pattern: &'static str) -> Vec<String> {
    let mut runner = TestRunner::deterministic();
    let known = [
        "",
        "'",
        "''",
        "\\",
        "\\'",
        "'\\",
        "\\\\'",
        "E'",
        "$$",
        "$a$",
        "--",
        "/*",
        "*/",
        "\"",
        "`",
        "\n",
        "%s",
        "é\u{2028}🦀",
    ];
    let pieces = prop_oneof![proptest::sample::select(known.to_vec()).prop_map(str::to_owned), pattern];
    let strategy = proptest::collection::vec(pieces, 0..5).prop_map(|pieces| pieces.concat());
    let drawn = (0..count).map(|_| strategy.new_tree(&mut runner).expect("a text").current());
    known.iter().map(|text| (*text).to_owned()).chain(drawn).collect()
}

#[test]
fn a_quoted_text_is_read_back_as_it_was() {
    in_database("a_quoted_text_is_read_back_as_it_was", async |world| {
        let mut connection = world.connect().await;
        let texts = texts(500, "[^\\x00]{0,12}");
        for setting in ["on", "off"] {
            execute(
                &mut connection,
                &format!("SET standard_conforming_strings = {setting}; SET escape_string_warning = off"),
            )
            .await;
            let literals: Vec<String> = (texts.iter())
                .map(|text| Quoting::Text.quote(Dialect::Postgresql, &Value::from(text.as_str())).expect(text))
                .collect();
            let sql =
                format!("SELECT t FROM unnest(ARRAY[{}]) WITH ORDINALITY AS u (t, n) ORDER BY n", literals.join(", "));
            let read: Vec<String> =
                sqlx::query_scalar(AssertSqlSafe(sql)).persistent(false).fetch_all(&mut connection).await.expect("SQL");
            assert_eq!(read, texts, "standard_conforming_strings = {setting}");
        }
        let nul = Quoting::Text.quote(Dialect::Postgresql, &Value::from("a\0b"));
        assert!(nul.is_err(), "PostgreSQL has no NUL in a text");
    });
}

#[test]
fn a_quoted_name_is_read_back_as_it_was() {
    in_database("a_quoted_name_is_read_back_as_it_was", async |world| {
        let mut connection = world.connect().await;
        for name in texts(100, "[^\\x00]{1,8}").into_iter().filter(|name| !name.is_empty() && name.len() <= 63) {
            let quoted = Quoting::Identifier.quote(Dialect::Postgresql, &Value::from(name.as_str())).expect(&name);
            let sql = AssertSqlSafe(format!("SELECT 1 AS {quoted}"));
            let row = sqlx::query(sql).persistent(false).fetch_one(&mut connection).await.expect(&name);
            assert_eq!(row.columns()[0].name(), name);
        }
        let long = Quoting::Identifier.quote(Dialect::Postgresql, &Value::from("x".repeat(64)));
        assert!(long.is_err(), "the server would cut it");
    });
}

//! What a run has not written when its lock is another's is not written any more.

use std::time::Duration;

use serde_json::json;
use sqlx::Row as _;
use tenantry_core::model::resource::Observed;
use tenantry_provider::contract::ErrorClass;

use crate::mysql::{by_hand, connect, on_mysql};
use crate::support::create;
use crate::support::guard::{Refusing, Stopped};

#[test]
fn nothing_is_written_once_the_lock_is_lost() {
    on_mysql("nothing_is_written_once_the_lock_is_lost", async |target| {
        let database = target.desired("database", "acme/database", json!({"name": target.name("acme")}));
        let refused = target.writer().write_guarded(&[create(&database)], &Refusing).await.expect_err("refused").error;
        assert_eq!(refused.class, ErrorClass::Fatal);
        assert!(refused.cause.contains("the lock is another run's"), "{refused}");
        assert_eq!(target.observe(&database).await, Observed::Absent);
    });
}

#[test]
fn a_session_that_was_silent_for_too_long_writes_no_more() {
    on_mysql("a_session_that_was_silent_for_too_long_writes_no_more", async |target| {
        let name = target.name("acme");
        by_hand(target, &format!("CREATE DATABASE {name}; CREATE TABLE {name}.t (id int PRIMARY KEY, v int)")).await;
        let row = json!({"database": name, "table": "t", "key": {"id": 1}, "columns": {"v": 7}});
        let row = target.desired("row", "acme/row", row);
        let guard = Stopped::new(Duration::from_secs(1));
        let (batch, writer) = ([create(&row)], target.writer());
        let write = writer.write_guarded(&batch, &guard);
        let wait = async {
            // Once before it begins, and once before it commits.
            guard.asked.acquire().await.expect("open").forget();
            guard.go.add_permits(1);
            guard.asked.acquire().await.expect("open").forget();
            // Longer than the server waits for a silent session.
            tokio::time::sleep(Duration::from_secs(4)).await;
            guard.go.add_permits(1);
        };
        let (written, ()) = futures::join!(write, wait);
        written.expect_err("its session is gone");
        let mut connection = connect(&target.url).await.expect("the server answers");
        let sql = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {name}.t"));
        let rows: i64 = sqlx::query(sql).fetch_one(&mut connection).await.expect("answers").get(0);
        assert_eq!(rows, 0);
    });
}

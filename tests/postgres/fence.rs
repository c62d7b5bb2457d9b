//! What a run has not committed when its lock is another's never becomes true.

use std::time::Duration;

use serde_json::json;
use tenantry_core::model::resource::Observed;
use tenantry_provider::conformance::WriteUnguarded as _;
use tenantry_provider::contract::ErrorClass;

use crate::support::create;
use crate::support::guard::{Refusing, Stopped};
use crate::support::postgres::in_database;

/// Long enough for the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn nothing_is_committed_once_the_lock_is_lost() {
    in_database("nothing_is_committed_once_the_lock_is_lost", async |world| {
        let schema = world.desired("schema", "acme/schema", json!({"name": "acme"}));
        let database = world.desired("database", "acme/database", json!({"name": world.name("acme")}));
        for desired in [&schema, &database] {
            let refused = world.writer().write_guarded(&[create(desired)], &Refusing).await.expect_err("refused").error;
            assert_eq!(refused.class, ErrorClass::Fatal);
            assert!(refused.cause.contains("the lock is another run's"), "{refused}");
            assert_eq!(world.observe(desired).await, Observed::Absent);
        }
        world.create(&[&schema]).await;
        world.create(&[&database]).await;
    });
}

#[test]
fn a_commit_that_comes_too_late_finds_nothing_to_commit() {
    in_database("a_commit_that_comes_too_late_finds_nothing_to_commit", async |world| {
        let schema = world.desired("schema", "acme/schema", json!({"name": "acme"}));
        let guard = Stopped::new(Duration::from_millis(200));
        let (batch, writer) = ([create(&schema)], world.writer());
        let write = writer.write_guarded(&batch, &guard);
        let wait = async {
            guard.asked.acquire().await.expect("open").forget();
            // The server ends the transaction by itself, while nothing is heard from us.
            let mut connection = world.connect().await;
            let waiting = "SELECT count(*) FROM pg_stat_activity \
                 WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
            let ended = async {
                while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut connection).await.expect("answers") > 0 {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            tokio::time::timeout(PATIENCE, ended).await.expect("the server ends it");
            guard.go.add_permits(1);
        };
        let (written, ()) = futures::join!(write, wait);
        let error = written.expect_err("its transaction is gone").error;
        assert_eq!(error.class, ErrorClass::Retryable, "a run that still has its lock may try again: {error}");
        assert_eq!(world.observe(&schema).await, Observed::Absent);
    });
}

#[test]
fn transactions_for_one_owner_wait_for_each_other() {
    in_database("transactions_for_one_owner_wait_for_each_other", async |world| {
        let first = world.desired("schema", "acme/first", json!({"name": "first"}));
        let second = world.desired("schema", "acme/second", json!({"name": "second"}));
        let other = world.desired("schema", "globex/schema", json!({"name": "globex"}));
        let guard = Stopped::new(PATIENCE);
        let (batch, writer) = ([create(&first)], world.writer());
        let write = writer.write_guarded(&batch, &guard);
        let meanwhile = async {
            guard.asked.acquire().await.expect("open").forget();
            world.create(&[&other]).await;
            let (batch, writer) = ([create(&second)], world.writer());
            let waits = writer.write(&batch);
            futures::pin_mut!(waits);
            let begun = tokio::time::timeout(Duration::from_millis(300), waits.as_mut()).await;
            assert!(begun.is_err(), "another run may not go on in the middle of this one");
            guard.go.add_permits(1);
            waits.await.expect("its turn has come");
        };
        let (written, ()) = futures::join!(write, meanwhile);
        written.expect("it was first");
        assert!(matches!(world.observe(&second).await, Observed::Present(_)));
    });
}

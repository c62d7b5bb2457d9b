//! Tampering, newer formats and reading only.

use super::*;
use crate::contract::HistoryQuery;

on_both!(
    the_journal_refuses_to_be_rewritten,
    a_changed_entry_shows,
    a_journal_that_was_cut_off_shows,
    an_entry_from_elsewhere_shows,
    a_newer_store_is_refused,
    reading_only_writes_nothing,
);

/// A store with a run and two steps: five entries.
async fn filled(place: &Place) -> Arc<dyn Store> {
    let store = place.writing().await;
    let fence = fence(&*store, "acme").await;
    apply(&*store, &fence, "acme/schema", 1).await;
    apply(&*store, &fence, "acme/role", 1).await;
    assert_eq!(store.verify_journal().await.expect("holds"), 5);
    store
}

pub async fn without_triggers(place: &Place) {
    let sql = match place {
        Place::Sqlite(_) => {
            "DROP TRIGGER journal_refuses_update; DROP TRIGGER journal_refuses_delete; DROP TRIGGER journal_refuses_replace"
        }
        Place::Postgres { .. } => "DROP TRIGGER journal_is_append_only ON journal",
    };
    place.raw(sql).await.expect("triggers can be dropped by who may");
}

async fn tampered(store: &dyn Store, sequence: u64) {
    let verified = store.verify_journal().await;
    assert!(matches!(&verified, Err(StoreError::Tampered { sequence: at }) if *at == sequence), "{verified:?}");
}

async fn the_journal_refuses_to_be_rewritten(place: &Place) {
    let store = filled(place).await;
    let mut attempts = vec![
        "UPDATE journal SET event = 'other' WHERE sequence = 2",
        "DELETE FROM journal WHERE sequence = 5",
        "DELETE FROM journal",
    ];
    match place {
        Place::Sqlite(_) => attempts.push(
            "INSERT OR REPLACE INTO journal SELECT scope, sequence, run, at, 'other', owner, detail, hash FROM journal",
        ),
        Place::Postgres { .. } => attempts.push("TRUNCATE journal"),
    }
    for sql in attempts {
        let refused = place.raw(sql).await.expect_err(sql).to_string();
        assert!(refused.contains("append-only"), "{sql}: {refused}");
    }
    assert_eq!(store.verify_journal().await.expect("holds"), 5);
}

async fn a_changed_entry_shows(place: &Place) {
    let store = filled(place).await;
    without_triggers(place).await;
    place.raw("UPDATE journal SET detail = replace(detail, 'acme', 'acne') WHERE sequence = 3").await.expect("changes");
    tampered(&*store, 3).await;
    tampered(&*place.open(OpenMode::ReadOnly).await.expect("opens"), 3).await;
}

async fn a_journal_that_was_cut_off_shows(place: &Place) {
    let store = filled(place).await;
    without_triggers(place).await;
    place.raw("DELETE FROM journal WHERE sequence = 5").await.expect("deletes");
    tampered(&*store, 5).await;
    place.raw("DELETE FROM journal").await.expect("deletes");
    tampered(&*store, 1).await;
}

async fn an_entry_from_elsewhere_shows(place: &Place) {
    let store = filled(place).await;
    let forged = "INSERT INTO journal (scope, sequence, run, at, event, owner, detail, hash) \
                  SELECT scope, 6, run, at, event, owner, detail, hash FROM journal WHERE sequence = 5";
    place.raw(forged).await.expect("inserts");
    tampered(&*store, 6).await;
}

async fn a_newer_store_is_refused(place: &Place) {
    drop(filled(place).await);
    let sql = match place {
        Place::Sqlite(_) => "PRAGMA user_version = 99",
        Place::Postgres { .. } => "UPDATE format SET version = 99",
    };
    place.raw(sql).await.expect("changes");
    for mode in [OpenMode::ReadOnly, OpenMode::ReadWrite] {
        let refused = place.open(mode).await.err();
        assert!(matches!(refused, Some(StoreError::Newer { found: 99, supported: 2, .. })), "{refused:?}");
    }
}

async fn reading_only_writes_nothing(place: &Place) {
    // Before there is anything, and then with something in it.
    for entries in [0, 5] {
        if entries > 0 {
            drop(filled(place).await);
        }
        let before = snapshot(place).await;
        let store = place.open(OpenMode::ReadOnly).await.expect("opens");
        assert_eq!(store.verify_journal().await.expect("holds"), entries);
        assert_eq!(store.inventory().await.expect("reads").len(), if entries > 0 { 2 } else { 0 });
        assert_eq!(store.history(&HistoryQuery::default()).await.expect("reads").len() as u64, entries);
        store.open_steps().await.expect("reads");
        store.tenants().await.expect("reads");
        store.locks(time(0)).await.expect("reads");
        let refused = lock(&*store, "acme", "one", time(1_000)).await;
        assert!(matches!(refused, Err(StoreError::Failed { attempted: "writing", .. })), "{refused:?}");
        assert_eq!(snapshot(place).await, before, "while open");
        drop(store);
        assert_eq!(snapshot(place).await, before, "after closing");
    }
}

/// All that there is: files with their bytes, or tables with their rows and the transactions that wrote them.
pub async fn snapshot(place: &Place) -> Vec<(PathBuf, Vec<u8>)> {
    match place {
        Place::Sqlite(folder) => {
            let mut all = contents(folder.path());
            if let Some(state) = place.path().parent().filter(|state| state.exists()) {
                all.extend(contents(state));
            }
            all
        }
        Place::Postgres { .. } => {
            let (options, _) = crate::postgres::options(&place.url()).expect("a URL");
            let mut connection = options.connect().await.expect("the server answers");
            let tables: Vec<String> = sqlx::query_scalar(
                "SELECT relname::text FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace \
                 WHERE nspname = 'tenantry_store' AND relkind = 'r' ORDER BY relname",
            )
            .fetch_all(&mut connection)
            .await
            .expect("answers");
            let mut all = Vec::new();
            for table in tables {
                let sql =
                    format!("SELECT t::text || ' ' || ctid::text || ' ' || xmin::text FROM tenantry_store.{table} t");
                let rows: Vec<String> =
                    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut connection).await.expect("answers");
                all.push((table.into(), rows.join("\n").into_bytes()));
            }
            all
        }
    }
}

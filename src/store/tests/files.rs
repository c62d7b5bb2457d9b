//! What only a file can do: be missing, full, damaged, or left by a crash.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::contract::HistoryQuery;
use crate::sqlite;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("exists").permissions().mode() & 0o777
}

#[tokio::test]
async fn folder_and_file_are_for_the_user_alone() {
    let place = Place::sqlite();
    let store = place.writing().await;
    fence(&*store, "acme").await;
    let folder = place.path().parent().expect("a folder").to_owned();
    assert_eq!(mode(&folder), 0o700);
    for (path, _) in contents(&folder) {
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[tokio::test]
async fn a_file_of_no_bytes_is_an_empty_store() {
    let place = Place::sqlite();
    std::fs::create_dir(place.path().parent().expect("a folder")).expect("creates");
    std::fs::write(place.path(), b"").expect("writes");
    let store = place.open(OpenMode::ReadOnly).await.expect("opens");
    assert!(store.inventory().await.expect("reads").is_empty());
    begin_run(&*place.writing().await).await;
}

#[tokio::test]
async fn a_full_disk_is_told_and_leaves_the_store_whole() {
    let place = Place::sqlite();
    let options = sqlite::writing(&place.path()).pragma("max_page_count", "64");
    let store = SqliteStore::open_with(&place.path(), &scope(), OpenMode::ReadWrite, options).await.expect("opens");
    let fence = fence(&store, "acme").await;
    let mut done = 0;
    let full = loop {
        let result = StepResult::Applied(applied(&format!("acme/r{done}"), 1));
        match store.finish(&fence, &[ended(&format!("acme/r{done}"), 1, result)]).await {
            Ok(()) => done += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(full, StoreError::Full { .. }), "{full:?}");
    assert_eq!(store.inventory().await.expect("reads").len(), done);
    assert_eq!(store.verify_journal().await.expect("holds"), 1 + done as u64);
    let held = store.locks(time(1)).await.expect("reads");
    assert_eq!(held.len(), 1);

    // Once there is room again, it goes on where it stopped.
    drop(store);
    apply(&*place.writing().await, &fence, "acme/last", 1).await;
}

#[tokio::test]
async fn a_damaged_file_is_told_with_a_way_out() {
    let place = Place::sqlite();
    let store = place.writing().await;
    let fence = fence(&*store, "acme").await;
    for index in 0..200 {
        apply(&*store, &fence, &format!("acme/r{index}"), 1).await;
    }
    drop(store);
    let whole = std::fs::read(place.path()).expect("reads");
    let mut torn = whole.clone();
    torn[4096..].fill(0xa5);
    for bytes in [b"no database at all, but long enough to be looked at".repeat(9), torn] {
        std::fs::write(place.path(), &bytes).expect("writes");
        for mode in [OpenMode::ReadOnly, OpenMode::ReadWrite] {
            let failed = match place.open(mode).await {
                Ok(store) => store.inventory().await.expect_err("it is damaged"),
                Err(error) => error,
            };
            let cause = failed.to_string();
            assert!(cause.contains("is damaged") && cause.contains("store import"), "{cause}");
        }
    }
}

#[tokio::test]
async fn a_database_of_another_program_is_left_alone() {
    let place = Place::sqlite();
    std::fs::create_dir(place.path().parent().expect("a folder")).expect("creates");
    std::fs::write(place.path(), b"").expect("writes");
    place.raw("CREATE TABLE theirs (x)").await.expect("creates");
    for mode in [OpenMode::ReadOnly, OpenMode::ReadWrite] {
        let refused = place.open(mode).await.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(refused.contains("another program"), "{refused}");
    }
}

/// Copies what lies on the disk in the middle of a transaction, as a crash leaves it.
async fn crashed(place: &Place) -> Place {
    let after = Place::sqlite();
    let (from, to) = (place.path(), after.path());
    std::fs::create_dir(to.parent().expect("a folder")).expect("creates");
    // A tiny cache makes SQLite write changed pages before the end of the transaction.
    let mut writer = sqlite::writing(&from).pragma("cache_size", "5").connect().await.expect("opens");
    let sql = "BEGIN IMMEDIATE; UPDATE inventory SET spec = spec || 'torn' || hex(zeroblob(3000)); DELETE FROM locks;";
    sqlx::raw_sql(sql).execute(&mut writer).await.expect("writes");
    for (path, bytes) in contents(from.parent().expect("a folder")) {
        std::fs::write(to.with_file_name(path.file_name().expect("a name")), bytes).expect("copies");
    }
    sqlx::raw_sql("ROLLBACK").execute(&mut writer).await.expect("rolls back");
    writer.close().await.expect("closes");
    after
}

#[tokio::test]
async fn after_a_crash_reading_sees_what_was_committed_and_still_writes_nothing() {
    let place = Place::sqlite();
    let store = place.writing().await;
    let fence = fence(&*store, "acme").await;
    let steps: Vec<_> = (0..300)
        .map(|index| {
            let address = format!("acme/r{index}");
            ended(&address, 1, StepResult::Applied(applied(&address, 1)))
        })
        .collect();
    store.finish(&fence, &steps).await.expect("ends");
    let expected = store.inventory().await.expect("reads");

    let after = crashed(&place).await;
    let torn = std::fs::read(after.path()).expect("reads");
    assert!(torn.windows(5).any(|window| window == b"torn0"), "the crash left half a transaction");

    let before = contents(after.path().parent().expect("a folder"));
    let reader = after.open(OpenMode::ReadOnly).await.expect("opens");
    assert_eq!(reader.inventory().await.expect("reads"), expected);
    assert_eq!(reader.locks(time(1)).await.expect("reads").len(), 1);
    assert_eq!(reader.verify_journal().await.expect("holds"), 301);
    assert_eq!(contents(after.path().parent().expect("a folder")), before);

    let writer = after.writing().await;
    assert_eq!(writer.inventory().await.expect("reads"), expected);
    apply(&*writer, &fence, "acme/more", 1).await;
    assert_eq!(reader.verify_journal().await.expect("holds"), 301, "it keeps the view that it has");
    let fresh = after.open(OpenMode::ReadOnly).await.expect("opens");
    assert_eq!(fresh.verify_journal().await.expect("holds"), 303);
    assert_eq!(fresh.history(&HistoryQuery::default()).await.expect("reads").len(), 303);
}

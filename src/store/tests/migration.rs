//! Stores of format 1: whose each record is, how it is read before the migration, and what the migration leaves.

use tenantry_core::model::document::Phase;

use super::format_1::Earlier;
use super::*;
use crate::contract::{HistoryQuery, JournalEvent};

on_both!(
    records_of_one_environment_stay_as_they_are,
    records_of_two_environments_part,
    an_environment_that_never_ran_begins_with_nothing,
    what_cannot_be_attributed_is_refused,
    reading_migrates_nothing_and_shows_the_same,
    a_journal_that_was_changed_is_not_migrated,
    a_lock_of_then_still_holds,
    two_may_open_at_once,
);

fn staging() -> Scope {
    Scope::new("demo", Some("staging"))
}

fn production() -> Scope {
    Scope::new("demo", Some("production"))
}

async fn addresses(store: &dyn Store) -> Vec<String> {
    store.inventory().await.expect("reads").iter().map(|applied| applied.address.to_string()).collect()
}

async fn records_of_one_environment_stay_as_they_are(place: &Place) {
    let mut earlier = Earlier::new();
    let run = earlier.run(&scope());
    earlier.applied(run, "acme/schema", 1);
    earlier.applied(run, r#"acme/queue["a'ö"]"#, 1);
    earlier.begun(run, "acme/role", 1);
    earlier.phase(run, "acme", "trial");
    earlier.unlocked("acme");
    earlier.make(place).await;

    let store = place.writing().await;
    let expected = [applied(r#"acme/queue["a'ö"]"#, 1), applied("acme/schema", 1)];
    assert_eq!(store.inventory().await.expect("reads"), expected);
    assert_eq!(store.open_steps().await.expect("reads"), [begun("acme/role", 1)]);
    let tenants = store.tenants().await.expect("reads");
    assert_eq!((tenants.len(), tenants["acme"].phase), (1, Phase::Trial));
    // Seven entries of then, with the hashes that they had, and one of the migration.
    assert_eq!(store.verify_journal().await.expect("holds"), 9);
    let last = &store.history(&HistoryQuery::default()).await.expect("reads")[0];
    assert_eq!((last.event, &last.detail["length"]), (JournalEvent::Migrated, &8.into()));
    assert_eq!(begin_run(&*store).await, RunId(2), "runs are counted on");
    let token = lock(&*store, "acme", "one", time(1_000)).await.expect("free");
    assert!(token.0 > 7, "tokens only grow");
}

async fn records_of_two_environments_part(place: &Place) {
    let mut earlier = Earlier::new();
    let first = earlier.run(&staging());
    earlier.applied(first, "acme/schema", 1);
    earlier.applied(first, "acme/cache", 1);
    earlier.begun(first, "acme/role", 1);
    earlier.phase(first, "acme", "trial");
    let second = earlier.run(&production());
    // It took what staging had recorded for its own, and deleted what it did not ask for.
    earlier.applied(second, "acme/schema", 2);
    earlier.ended(second, "acme/cache", 2, StepResult::Removed);
    earlier.phase(second, "acme", "active");
    let third = earlier.run(&Scope::new("other", None));
    earlier.applied(third, "estate/meter", 1);
    earlier.make(place).await;

    let store = place.open_for(&staging(), OpenMode::ReadWrite).await.expect("opens");
    assert_eq!(store.inventory().await.expect("reads"), [applied("acme/cache", 1), applied("acme/schema", 1)]);
    assert_eq!(store.open_steps().await.expect("reads"), [begun("acme/role", 1)]);
    assert_eq!(store.tenants().await.expect("reads")["acme"].phase, Phase::Trial);
    assert_eq!(store.verify_journal().await.expect("holds"), 8);

    let store = place.open_for(&production(), OpenMode::ReadWrite).await.expect("opens");
    assert_eq!(store.inventory().await.expect("reads"), [applied("acme/schema", 2)]);
    assert!(store.open_steps().await.expect("reads").is_empty());
    assert_eq!(store.tenants().await.expect("reads")["acme"].phase, Phase::Active);
    assert_eq!(store.verify_journal().await.expect("holds"), 6);

    let store = place.open_for(&Scope::new("other", None), OpenMode::ReadWrite).await.expect("opens");
    assert_eq!(addresses(&*store).await, ["estate/meter"]);
}

async fn an_environment_that_never_ran_begins_with_nothing(place: &Place) {
    let mut earlier = Earlier::new();
    let run = earlier.run(&staging());
    earlier.applied(run, "acme/schema", 1);
    earlier.make(place).await;
    for mode in [OpenMode::ReadOnly, OpenMode::ReadWrite] {
        let store = place.open_for(&production(), mode).await.expect("opens");
        assert!(store.inventory().await.expect("reads").is_empty());
        assert_eq!(store.verify_journal().await.expect("holds"), 0);
    }
    assert_eq!(
        addresses(&*place.open_for(&staging(), OpenMode::ReadOnly).await.expect("opens")).await,
        ["acme/schema"]
    );
}

async fn what_cannot_be_attributed_is_refused(place: &Place) {
    let mut earlier = Earlier::new();
    let first = earlier.run(&staging());
    earlier.applied(first, "acme/schema", 1);
    let second = earlier.run(&production());
    earlier.applied(second, "acme/role", 1);
    earlier.hold(&applied("acme/stray", 1));
    earlier.make(place).await;
    for mode in [OpenMode::ReadOnly, OpenMode::ReadWrite, OpenMode::ReadOnly] {
        let refused = place.open_for(&staging(), mode).await.err();
        let Some(StoreError::Unattributed { what, environments, .. }) = refused else { panic!("{refused:?}") };
        assert!(what.contains("acme/stray"), "{what}");
        assert_eq!(environments, [production(), staging()]);
    }
}

async fn reading_migrates_nothing_and_shows_the_same(place: &Place) {
    let mut earlier = Earlier::new();
    let first = earlier.run(&staging());
    earlier.applied(first, "acme/schema", 1);
    let second = earlier.run(&production());
    earlier.applied(second, "acme/role", 1);
    earlier.make(place).await;

    let before = verification::snapshot(place).await;
    let reader = place.open_for(&staging(), OpenMode::ReadOnly).await.expect("opens");
    let head = reader.head().await.expect("reads");
    let history = reader.history(&HistoryQuery::default()).await.expect("reads");
    assert_eq!(addresses(&*reader).await, ["acme/schema"]);
    assert_eq!(verification::snapshot(place).await, before);

    let writer = place.open_for(&staging(), OpenMode::ReadWrite).await.expect("opens");
    assert_eq!(writer.head().await.expect("reads"), head, "a plan that was saved before can be applied after it");
    assert_eq!(writer.history(&HistoryQuery::default()).await.expect("reads"), history);
    assert!(writer.contains(&head).await.expect("reads"));
}

async fn a_journal_that_was_changed_is_not_migrated(place: &Place) {
    let mut earlier = Earlier::new();
    let run = earlier.run(&scope());
    earlier.applied(run, "acme/schema", 1);
    earlier.tamper();
    earlier.make(place).await;
    for mode in [OpenMode::ReadOnly, OpenMode::ReadWrite] {
        let refused = place.open(mode).await.err();
        assert!(matches!(refused, Some(StoreError::Tampered { sequence: 1 })), "{refused:?}");
    }
}

async fn a_lock_of_then_still_holds(place: &Place) {
    let mut earlier = Earlier::new();
    let run = earlier.run(&scope());
    earlier.applied(run, "acme/schema", 1);
    earlier.lock("acme", "run-1", time(60));
    earlier.make(place).await;
    let store = place.writing().await;
    let refused = lock(&*store, "acme", "two", time(59)).await;
    assert!(matches!(&refused, Err(StoreError::Locked(lock)) if *lock.holder == *"run-1"), "{refused:?}");
    lock(&*store, "acme", "two", time(60)).await.expect("its lease is over");
}

async fn two_may_open_at_once(place: &Place) {
    let mut earlier = Earlier::new();
    let run = earlier.run(&scope());
    earlier.applied(run, "acme/schema", 1);
    earlier.make(place).await;
    let (one, two) = tokio::join!(place.writing(), place.writing());
    for store in [one, two] {
        assert_eq!(addresses(&*store).await, ["acme/schema"]);
        assert_eq!(store.verify_journal().await.expect("holds"), 4);
    }
}

#[tokio::test]
async fn a_file_is_copied_before_it_is_migrated() {
    let place = Place::sqlite();
    let mut earlier = Earlier::new();
    let run = earlier.run(&scope());
    earlier.applied(run, "acme/schema", 1);
    earlier.make(&place).await;
    let store = place.writing().await;
    begin_run(&*store).await;

    let copy = place.path().with_file_name("store.db.format-1");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&copy).expect("there is a copy").permissions());
    assert_eq!(mode & 0o777, 0o600);
    let before = std::fs::read(&copy).expect("reads");
    let earlier = SqliteStore::open(&copy, &scope(), OpenMode::ReadOnly).await.expect("opens");
    assert_eq!(addresses(&earlier).await, ["acme/schema"]);
    assert_eq!(std::fs::read(&copy).expect("reads"), before, "it is still of format 1");
}

/// Runners may connect as another role than the one that owns the tables.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roles_keep_their_privileges() {
    let Some(place) = Place::postgres().await else { return };
    let mut earlier = Earlier::new();
    let run = earlier.run(&scope());
    earlier.applied(run, "acme/schema", 1);
    earlier.make(&place).await;
    let role = format!("runner_{:08x}", rand::random::<u32>());
    let grants = format!(
        "CREATE ROLE {role}; GRANT USAGE ON SCHEMA tenantry_store TO {role}; \
         GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA tenantry_store TO {role}"
    );
    place.raw(&grants).await.expect("grants");
    drop(place.writing().await);
    let may = |sql: &str| format!("SET ROLE {role}; {sql}; RESET ROLE");
    place.raw(&may("SELECT * FROM tenantry_store.scopes, tenantry_store.targets")).await.expect("it may read");
    place.raw(&may("UPDATE tenantry_store.locks SET token = 1")).await.expect_err("it may not update, as before");
    place.raw(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await.expect("drops");
    place.remove().await;
}

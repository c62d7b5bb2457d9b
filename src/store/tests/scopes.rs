//! Several estates and environments in one database, and what leaves one for another.

use std::time::Duration;

use tenantry_core::fingerprint::Fingerprint;
use tenantry_core::model::document::Phase;

use super::*;
use crate::Records;
use crate::contract::{FencingToken, HistoryQuery, JournalEvent, PhaseTransition, TargetAccepted};

on_both!(
    what_is_of_another_scope_is_neither_seen_nor_touched,
    a_run_of_another_scope_is_refused,
    targets_are_remembered_until_another_is_accepted,
    only_the_locks_of_one_holder_are_taken_away,
    a_lock_is_checked_beyond_the_moment,
    an_export_is_imported_where_nothing_is,
    a_journal_whose_end_was_cut_off_shows,
);

fn scopes() -> [Scope; 3] {
    [Scope::new("demo", None), Scope::new("demo", Some("staging")), Scope::new("other", Some("staging"))]
}

fn accepted(target: &str, fingerprint: &str, instead_of: Option<&str>) -> TargetAccepted {
    TargetAccepted {
        at: time(3),
        run: None,
        target: target.into(),
        fingerprint: Fingerprint::new(fingerprint),
        instead_of: instead_of.and_then(Fingerprint::new),
        actor: "me@here".into(),
    }
}

/// Something of everything. `number` makes the difference between scopes.
async fn fill(store: &dyn Store, number: u64) -> Fence {
    let fence = fence(store, "acme").await;
    apply(store, &fence, "acme/schema", number).await;
    apply(store, &fence, &format!("acme/only-{number}"), 1).await;
    store.begin(&fence, &[begun("acme/open", number)]).await.expect("begins");
    let to = [Phase::Trial, Phase::Active, Phase::Suspended][usize::try_from(number).expect("small") - 1];
    let entered = PhaseTransition::new("acme", None, to, time(3));
    store.enter_phase(&fence, &entered).await.expect("enters");
    store.accept_target(&accepted("main", &format!("system-{number}"), None)).await.expect("accepts");
    fence
}

async fn what_is_of_another_scope_is_neither_seen_nor_touched(place: &Place) {
    let mut stores = Vec::new();
    for (scope, number) in scopes().iter().zip(1..) {
        let store = place.open_for(scope, OpenMode::ReadWrite).await.expect("opens");
        let fence = fill(&*store, number).await;
        assert_eq!(fence.run, RunId(1), "each counts its own runs");
        stores.push((store, fence, number));
    }
    for (store, fence, number) in &stores {
        let expected = [applied(&format!("acme/only-{number}"), 1), applied("acme/schema", *number)];
        assert_eq!(store.inventory().await.expect("reads"), expected);
        assert_eq!(store.open_steps().await.expect("reads"), [begun("acme/open", *number)]);
        assert_eq!(store.tenants().await.expect("reads").len(), 1);
        let known = store.targets().await.expect("reads").remove("main").and_then(|known| known.fingerprint);
        assert_eq!(known, Fingerprint::new(format!("system-{number}")));
        assert_eq!(store.locks(time(1)).await.expect("reads").len(), 1, "one lock of one owner in each");
        assert_eq!(store.verify_journal().await.expect("holds"), 8);
        assert_eq!(store.history(&HistoryQuery::default()).await.expect("reads").len(), 8);
        store.check(fence, time(2)).await.expect("its own lock stands");
    }
    let (first, fence, _) = &stores[0];
    first.finish(fence, &[ended("acme/schema", 1, StepResult::Removed)]).await.expect("ends");
    first.unlock(&unlock(&owners(&["acme"]), time(4), "me")).await.expect("unlocks");
    first.renew("run-1", time(5), time(99)).await.expect_err("it was taken away");
    for (store, fence, _) in &stores[1..] {
        assert_eq!(store.inventory().await.expect("reads").len(), 2);
        store.check(fence, time(2)).await.expect("its lock stands");
        store.renew("run-1", time(5), time(99)).await.expect("the same name of another's holder is nothing to it");
    }
}

async fn a_run_of_another_scope_is_refused(place: &Place) {
    let [one, other, _] = scopes();
    let store = place.open_for(&one, OpenMode::ReadWrite).await.expect("opens");
    let run = RunBegun {
        at: time(0),
        command: "apply".into(),
        estate: other.estate.clone(),
        environment: other.environment.clone(),
        revision: None,
        actor: "me@here".into(),
        plan: "digest".into(),
        approvals: Vec::new(),
    };
    let refused = store.begin_run(&run).await;
    assert!(matches!(refused, Err(StoreError::OtherScope { .. })), "{refused:?}");
    assert_eq!(store.verify_journal().await.expect("holds"), 0);
}

async fn targets_are_remembered_until_another_is_accepted(place: &Place) {
    let store = place.writing().await;
    assert!(store.targets().await.expect("reads").is_empty());
    for (fingerprint, instead_of) in [("system-1", None), ("system-2", Some("system-1"))] {
        store.accept_target(&accepted("main", fingerprint, instead_of)).await.expect("accepts");
    }
    store.accept_target(&accepted("cache", "", None)).await.expect("accepts");
    let known = place.open(OpenMode::ReadOnly).await.expect("opens").targets().await.expect("reads");
    let known: Vec<_> =
        known.into_iter().map(|(target, known)| (target.to_string(), known.fingerprint, known.since)).collect();
    let expected = [("cache", None, time(3)), ("main", Fingerprint::new("system-2"), time(3))];
    assert_eq!(known, expected.map(|(target, fingerprint, since)| (target.to_owned(), fingerprint, since)));
    let entries = store.history(&HistoryQuery::default()).await.expect("reads");
    assert_eq!((entries[1].event, &entries[1].detail["insteadOf"]), (JournalEvent::TargetAccepted, &"system-1".into()));
}

async fn only_the_locks_of_one_holder_are_taken_away(place: &Place) {
    let store = place.writing().await;
    lock(&*store, "acme", "dead", time(0)).await.expect("free");
    lock(&*store, "other", "alive", time(0)).await.expect("free");
    let both = owners(&["acme", "other"]);
    let request = Unlock { holder: Some("dead"), ..unlock(&both, time(1), "me@here") };
    let removed = store.unlock(&request).await.expect("unlocks");
    assert_eq!(removed.iter().map(|lock| &*lock.holder).collect::<Vec<_>>(), ["dead"]);
    assert_eq!(store.locks(time(1)).await.expect("reads").len(), 1);
    assert!(store.unlock(&request).await.expect("nothing to do").is_empty());
}

async fn a_lock_is_checked_beyond_the_moment(place: &Place) {
    let store = place.writing().await;
    let fence = fence(&*store, "acme").await;
    let before = verification::snapshot(place).await;
    store.check(&fence, time(59)).await.expect("the lease goes on until then");
    let late = store.check(&fence, time(60)).await;
    assert!(matches!(late, Err(StoreError::LeaseLost(_))), "{late:?}");
    let stale = Fence { token: FencingToken(fence.token.0 + 1), ..fence.clone() };
    assert!(store.check(&stale, time(2)).await.is_err(), "another token");
    let elsewhere = Fence { owner: Owner::from("other"), ..fence };
    assert!(store.check(&elsewhere, time(2)).await.is_err(), "no lock at all");
    assert_eq!(verification::snapshot(place).await, before, "nothing is written");
}

fn lines(records: &Records) -> Vec<u8> {
    let mut lines = Vec::new();
    records.write_lines(&mut lines).expect("writes");
    lines
}

async fn an_export_is_imported_where_nothing_is(place: &Place) {
    let [_, scope, other] = scopes();
    let store = place.open_for(&scope, OpenMode::ReadWrite).await.expect("opens");
    fill(&*store, 2).await;
    let exported = lines(&store.export().await.expect("exports"));
    let records = Records::read_lines(&*exported).expect("reads back");
    assert_eq!(records.head(), store.head().await.expect("reads"));

    let refused = store.import(&records).await;
    assert!(matches!(refused, Err(StoreError::NotEmpty { .. })), "{refused:?}");
    let elsewhere = place.open_for(&other, OpenMode::ReadWrite).await.expect("opens");
    let refused = elsewhere.import(&records).await;
    assert!(matches!(refused, Err(StoreError::OtherScope { .. })), "{refused:?}");

    let fresh = Place::sqlite();
    let copy = fresh.open_for(&scope, OpenMode::ReadWrite).await.expect("opens");
    copy.import(&records).await.expect("imports");
    assert_eq!(copy.verify_journal().await.expect("holds"), 8);
    assert_eq!(copy.inventory().await.expect("reads"), store.inventory().await.expect("reads"));
    assert_eq!(copy.open_steps().await.expect("reads"), store.open_steps().await.expect("reads"));
    assert!(copy.locks(time(1)).await.expect("reads").is_empty(), "locks are of those who are at work");
    assert_eq!(lines(&copy.export().await.expect("exports")), exported, "the same bytes");
    assert_eq!(begin_run(&*copy).await, RunId(2), "and it goes on from there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_goes_from_sqlite_to_postgres_and_back() {
    let Some(postgres) = Place::postgres().await else { return };
    let first = Place::sqlite();
    let store = first.writing().await;
    fill(&*store, 1).await;
    let mut bytes = lines(&store.export().await.expect("exports"));
    let original = bytes.clone();
    let last = Place::sqlite();
    for place in [&postgres, &last] {
        let store = place.writing().await;
        store.import(&Records::read_lines(&*bytes).expect("reads")).await.expect("imports");
        bytes = lines(&store.export().await.expect("exports"));
        assert_eq!(bytes, original);
    }
    postgres.remove().await;
}

#[tokio::test]
async fn an_export_that_was_changed_is_not_read() {
    let place = Place::sqlite();
    let store = place.writing().await;
    fill(&*store, 1).await;
    let exported = String::from_utf8(lines(&store.export().await.expect("exports"))).expect("text");
    let whole: Vec<&str> = exported.lines().collect();
    let joined = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let without = |index: usize| joined(&[&whole[..index], &whole[index + 1..]].concat());
    let changed = [
        joined(&whole[..whole.len() - 1]),
        without(0),
        without(3),
        exported.replacen("acme/schema", "acme/schemb", 1),
        format!("{exported}{}\n", whole[1]),
        String::new(),
        exported.replacen("\"formatVersion\":1", "\"formatVersion\":2", 1),
    ];
    for text in changed {
        let refused = Records::read_lines(text.as_bytes());
        assert!(matches!(refused, Err(StoreError::Export { .. })), "{refused:?}");
    }
    // A forged end does not make a forged chain.
    let mut forged = Records::read_lines(exported.as_bytes()).expect("whole");
    forged.lines[2].detail.push(' ');
    let refused = Place::sqlite().writing().await.import(&forged).await;
    assert!(matches!(refused, Err(StoreError::Tampered { sequence: 3 })), "{refused:?}");
}

async fn a_journal_whose_end_was_cut_off_shows(place: &Place) {
    let store = place.writing().await;
    let fence = fence(&*store, "acme").await;
    apply(&*store, &fence, "acme/schema", 1).await;
    let head = store.head().await.expect("reads");
    apply(&*store, &fence, "acme/role", 1).await;
    assert!(store.contains(&head).await.expect("reads"), "a journal that only grew");
    let noted = store.head().await.expect("reads");

    verification::without_triggers(place).await;
    place.raw("DELETE FROM journal WHERE sequence > 3").await.expect("deletes");
    let tampered = |result: Result<_, StoreError>| matches!(result, Err(StoreError::Tampered { sequence: 4 }));
    assert!(tampered(store.verify_journal().await.map(drop)));
    assert!(tampered(store.head().await.map(drop)));
    let run = RunBegun {
        at: time(9),
        command: "apply".into(),
        estate: "demo".into(),
        environment: None,
        revision: None,
        actor: "me@here".into(),
        plan: "digest".into(),
        approvals: Vec::new(),
    };
    assert!(tampered(store.begin_run(&run).await.map(drop)), "the next run does not begin");

    // Whoever sets the count back as well is given away by what was written, and by whoever noted the head.
    let back = "UPDATE scopes SET sequence = 3, hash = (SELECT hash FROM journal WHERE sequence = 3)";
    place.raw(back).await.expect("updates");
    assert!(tampered(store.verify_journal().await.map(drop)));
    assert!(store.contains(&head).await.expect("reads"));
    assert!(!store.contains(&noted).await.expect("reads"));
}

/// A run of one environment never waits for one of another: each has a journal of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_of_different_scopes_do_not_wait_for_each_other() {
    let Some(place) = Place::postgres().await else { return };
    let [one, other, _] = scopes();
    let (first, second) = (
        place.open_for(&one, OpenMode::ReadWrite).await.expect("opens"),
        place.open_for(&other, OpenMode::ReadWrite).await.expect("opens"),
    );
    let (options, _) = crate::postgres::options(&place.url()).expect("a URL");
    let mut connection = options.connect().await.expect("the server answers");
    let hold = "BEGIN; SELECT * FROM tenantry_store.scopes WHERE environment = '' FOR UPDATE";
    sqlx::raw_sql(hold).execute(&mut connection).await.expect("locks");
    let waits = tokio::time::timeout(Duration::from_millis(300), begin_run(&*first)).await;
    assert!(waits.is_err(), "one writer of a scope at a time");
    assert_eq!(begin_run(&*second).await, RunId(1));
    connection.close().await.expect("closes");
    place.remove().await;
}

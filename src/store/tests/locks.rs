//! Locks, leases and fences.

use super::*;
use tenantry_core::model::document::Phase;

use crate::contract::{FencingToken, HistoryQuery, JournalEvent, Lock, PhaseTransition};

on_both!(
    a_lock_has_one_holder,
    all_locks_are_taken_or_none,
    a_lease_that_ran_out_lets_another_in,
    who_lost_its_lease_can_write_no_more,
    a_lease_is_extended_in_time_and_never_late,
    released_locks_are_free,
    unlocking_is_journalled_and_final,
    tokens_only_grow,
    ten_thousand_locks_are_taken_and_released,
    one_lost_lease_does_not_fail_the_others,
);

fn lost<T: std::fmt::Debug>(result: Result<T, StoreError>, owner: &str) {
    assert!(matches!(&result, Err(StoreError::LeaseLost(lost)) if *lost == Owner::from(owner)), "{result:?}");
}

async fn a_lock_has_one_holder(place: &Place) {
    let store = place.writing().await;
    let token = lock(&*store, "acme", "one", time(0)).await.expect("free");
    let refused = lock(&*store, "acme", "two", time(59)).await;
    let expected = Lock {
        owner: Owner::from("acme"),
        holder: "one".into(),
        process: None,
        token,
        acquired: time(0),
        expires: time(60),
    };
    assert!(matches!(&refused, Err(StoreError::Locked(lock)) if **lock == expected), "{refused:?}");
    assert_eq!(store.locks(time(59)).await.expect("reads"), [expected]);
    assert!(store.locks(time(60)).await.expect("reads").is_empty());
}

async fn all_locks_are_taken_or_none(place: &Place) {
    let store = place.writing().await;
    lock(&*store, "m", "one", time(0)).await.expect("free");
    lock(&*store, "tier:pro", "one", time(0)).await.expect("free");
    let wanted = owners(&["a", "tier:pro", "m", "z"]);
    let request =
        LockRequest { owners: &wanted, holder: &"two".into(), now: time(1), lease: SignedDuration::from_secs(60) };
    let refused = store.lock(&request).await;
    assert!(matches!(&refused, Err(StoreError::Locked(lock)) if lock.owner == wanted[1]), "{refused:?}");
    let held = store.locks(time(1)).await.expect("reads");
    assert_eq!(held.iter().map(|lock| lock.owner.to_string()).collect::<Vec<_>>(), ["tier:pro", "m"]);
}

async fn a_lease_that_ran_out_lets_another_in(place: &Place) {
    let store = place.writing().await;
    let first = lock(&*store, "acme", "one", time(0)).await.expect("free");
    let second = lock(&*store, "acme", "two", time(60)).await.expect("the lease has run out");
    assert!(second > first);
}

async fn who_lost_its_lease_can_write_no_more(place: &Place) {
    let store = place.writing().await;
    let old = fence(&*store, "acme").await;
    store.begin(&old, &[begun("acme/schema", 1)]).await.expect("begins");
    let entries = store.verify_journal().await.expect("holds");

    let late = Fence { now: time(60), ..old.clone() };
    lost(store.begin(&late, &[begun("acme/role", 1)]).await, "acme");
    lock(&*store, "acme", "two", time(60)).await.expect("free");
    for fence in [&old, &late] {
        lost(store.begin(fence, &[begun("acme/role", 1)]).await, "acme");
        let result = StepResult::Applied(applied("acme/schema", 1));
        lost(store.finish(fence, &[ended("acme/schema", 1, result)]).await, "acme");
        let transition = PhaseTransition::new("acme", None, Phase::Trial, time(61));
        lost(store.enter_phase(fence, &transition).await, "acme");
    }
    lost(store.renew(&format!("run-{}", old.run), time(61), time(120)).await, "acme");

    let never_held = Fence { owner: Owner::from("other"), ..old };
    lost(store.begin(&never_held, &[]).await, "other");
    assert_eq!(store.verify_journal().await.expect("holds"), entries, "nothing was journalled");
    assert!(store.inventory().await.expect("reads").is_empty() && store.tenants().await.expect("reads").is_empty());
    assert_eq!(store.open_steps().await.expect("reads"), [begun("acme/schema", 1)]);
}

async fn a_lease_is_extended_in_time_and_never_late(place: &Place) {
    let store = place.writing().await;
    lock(&*store, "acme", "one", time(0)).await.expect("free");
    lock(&*store, "other", "one", time(0)).await.expect("free");
    lock(&*store, "third", "two", time(0)).await.expect("free");
    store.renew("one", time(30), time(90)).await.expect("in time");
    store.renew("one", time(31), time(80)).await.expect("shortens nothing");
    let held = store.locks(time(60)).await.expect("reads");
    assert_eq!(held.iter().map(|lock| lock.expires).collect::<Vec<_>>(), [time(90), time(90)]);
    lost(store.renew("one", time(90), time(150)).await, "acme");
    assert!(store.locks(time(90)).await.expect("reads").is_empty(), "nothing was extended");
    store.renew("nobody", time(90), time(150)).await.expect("there is nothing to lose");
}

async fn released_locks_are_free(place: &Place) {
    let store = place.writing().await;
    let first = lock(&*store, "acme", "one", time(0)).await.expect("free");
    lock(&*store, "other", "two", time(0)).await.expect("free");
    store.release("one").await.expect("releases");
    store.release("one").await.expect("once more is no error");
    let second = lock(&*store, "acme", "two", time(1)).await.expect("free");
    assert!(second > first);
    store.release("one").await.expect("takes nothing from others");
    assert_eq!(store.locks(time(1)).await.expect("reads").len(), 2);
}

async fn unlocking_is_journalled_and_final(place: &Place) {
    let store = place.writing().await;
    let fence = fence(&*store, "acme").await;
    let removed = store.unlock(&unlock(&owners(&["other", "acme"]), time(5), "me@here")).await.expect("unlocks");
    assert_eq!(removed.iter().map(|lock| lock.token).collect::<Vec<_>>(), [fence.token]);
    assert!(store.locks(time(5)).await.expect("reads").is_empty());
    lost(store.begin(&fence, &[begun("acme/schema", 1)]).await, "acme");
    lost(store.renew(&format!("run-{}", fence.run), time(6), time(66)).await, "acme");

    let last = &store.history(&HistoryQuery { limit: Some(1), ..Default::default() }).await.expect("reads")[0];
    assert_eq!((last.event, last.owner.clone(), last.run), (JournalEvent::Unlocked, Some(Owner::from("acme")), None));
    assert_eq!((&last.detail["actor"], &last.detail["holder"]), (&"me@here".into(), &"run-1".into()));
    assert!(store.unlock(&unlock(&owners(&["acme"]), time(7), "me@here")).await.expect("nothing to do").is_empty());
    assert_eq!(store.verify_journal().await.expect("holds"), last.sequence);
}

async fn tokens_only_grow(place: &Place) {
    let mut last = FencingToken(0);
    for round in 0..3 {
        let store = place.writing().await;
        let tokens = [
            lock(&*store, "acme", "one", time(round * 1000)).await.expect("free"),
            lock(&*store, "acme", "one", time(round * 1000 + 1)).await.expect("its own"),
            {
                store.unlock(&unlock(&owners(&["acme"]), time(round * 1000 + 2), "me")).await.expect("unlocks");
                lock(&*store, "acme", "two", time(round * 1000 + 3)).await.expect("free")
            },
            {
                store.release("two").await.expect("releases");
                lock(&*store, "other", "three", time(round * 1000 + 4)).await.expect("free")
            },
        ];
        for token in tokens {
            assert!(token > last, "{token} after {last}");
            last = token;
        }
    }
}

async fn ten_thousand_locks_are_taken_and_released(place: &Place) {
    let store = place.writing().await;
    let owners: Vec<_> = (0..10_000).map(|index| Owner::Tenant(format!("tenant-{index}").into())).collect();
    let request =
        LockRequest { owners: &owners, holder: &"one".into(), now: time(0), lease: SignedDuration::from_secs(60) };
    let tokens = store.lock(&request).await.expect("free");
    let distinct: std::collections::BTreeSet<_> = tokens.values().collect();
    assert_eq!((tokens.len(), distinct.len()), (10_000, 10_000));
    store.renew("one", time(1), time(61)).await.expect("renews");
    store.release("one").await.expect("releases");
    assert!(store.locks(time(1)).await.expect("reads").is_empty());
}

async fn one_lost_lease_does_not_fail_the_others(place: &Place) {
    let store = place.writing().await;
    let mut fences = Vec::new();
    for index in 0..20 {
        fences.push(fence(&*store, &format!("t{index}")).await);
    }
    store.unlock(&unlock(&owners(&["t3", "t11"]), time(1), "me")).await.expect("unlocks");
    let begun = fences.iter().map(|fence| {
        let steps = [begun(&format!("{}/schema", fence.owner), 1)];
        let store = store.clone();
        async move { store.begin(fence, &steps).await }
    });
    for (fence, begun) in fences.iter().zip(futures::future::join_all(begun).await) {
        match fence.owner.to_string().as_str() {
            owner @ ("t3" | "t11") => lost(begun, owner),
            _ => begun.expect("its lock stands"),
        }
    }
    assert_eq!(store.open_steps().await.expect("reads").len(), 18);
    store.verify_journal().await.expect("holds");
}

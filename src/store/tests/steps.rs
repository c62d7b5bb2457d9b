//! Runs, steps, phases and what they leave.

use super::*;
use tenantry_core::model::address::Address;
use tenantry_core::model::document::{Phase, Terms};

use crate::contract::{HistoryQuery, JournalEvent, PhaseTransition, RecordForgotten, RecordMoved, RunOutcome};
use crate::records::Records;

on_both!(
    an_empty_store_holds_nothing,
    what_was_applied_is_in_the_inventory,
    a_large_inventory_comes_in_order_of_address,
    unfinished_steps_stay_open,
    a_failed_step_is_closed_and_changes_nothing,
    records_move_with_the_mark_that_they_leave_behind,
    what_is_forgotten_has_no_record_and_an_entry,
    tenants_have_the_phase_that_they_entered,
    tenants_have_the_terms_of_their_last_entry,
    history_is_newest_first_and_filtered,
    a_run_is_told_with_its_end_and_what_it_wrote,
    everything_is_there_after_opening_again,
    sixteen_tasks_write_at_once,
    two_handles_write_at_once,
    one_that_the_database_refuses_does_not_fail_the_others,
);

async fn an_empty_store_holds_nothing(place: &Place) {
    let store = place.writing().await;
    assert!(store.inventory().await.expect("reads").is_empty());
    assert!(store.tenants().await.expect("reads").is_empty());
    assert!(store.open_steps().await.expect("reads").is_empty());
    assert!(store.locks(time(0)).await.expect("reads").is_empty());
    assert!(store.history(&HistoryQuery::default()).await.expect("reads").is_empty());
    assert_eq!(store.verify_journal().await.expect("holds"), 0);
}

async fn what_was_applied_is_in_the_inventory(place: &Place) {
    let store = place.writing().await;
    let fence = fence(&*store, "acme").await;
    apply(&*store, &fence, "acme/schema", 1).await;
    apply(&*store, &fence, r#"acme/queue["a:\"ö"]"#, 1).await;
    apply(&*store, &fence, "acme/schema", 2).await;
    let expected = [applied(r#"acme/queue["a:\"ö"]"#, 1), applied("acme/schema", 2)];
    assert_eq!(store.inventory().await.expect("reads"), expected);

    store.finish(&fence, &[ended("acme/schema", 2, StepResult::Removed)]).await.expect("ends");
    assert_eq!(store.inventory().await.expect("reads"), expected[..1]);
}

async fn a_large_inventory_comes_in_order_of_address(place: &Place) {
    let store = place.writing().await;
    let fence = fence(&*store, "estate").await;
    let mut all: Vec<_> = (0..5_000).rev().map(|index| applied(&format!("t{}/r{}", index % 700, index), 1)).collect();
    let steps: Vec<_> = all
        .iter()
        .map(|applied| ended(&applied.address.to_string(), 1, StepResult::Applied(applied.clone())))
        .collect();
    store.finish(&fence, &steps).await.expect("ends");
    all.sort_by(|a, b| a.address.cmp(&b.address));
    assert_eq!(store.inventory().await.expect("reads"), all);
}

async fn unfinished_steps_stay_open(place: &Place) {
    let store = place.writing().await;
    let first = fence(&*store, "acme").await;
    let steps = [begun("acme/z", 1), begun("acme/a", 1), begun("acme/m", 1)];
    store.begin(&first, &steps).await.expect("begins");
    let result = StepResult::Applied(applied("acme/a", 1));
    store.finish(&first, &[ended("acme/a", 1, result)]).await.expect("ends");
    assert_eq!(store.open_steps().await.expect("reads"), [begun("acme/z", 1), begun("acme/m", 1)], "oldest first");

    store.release(&format!("run-{}", first.run)).await.expect("releases");
    let second = fence(&*store, "acme").await;
    store.begin(&second, &[begun("acme/z", 2)]).await.expect("begins");
    assert_eq!(store.open_steps().await.expect("reads"), [begun("acme/m", 1), begun("acme/z", 2)], "superseded");
    store.finish(&second, &[ended("acme/z", 2, StepResult::Removed)]).await.expect("ends");
    assert_eq!(store.open_steps().await.expect("reads"), [begun("acme/m", 1)]);
}

async fn a_failed_step_is_closed_and_changes_nothing(place: &Place) {
    let store = place.writing().await;
    let fence = fence(&*store, "acme").await;
    apply(&*store, &fence, "acme/schema", 1).await;
    store.begin(&fence, &[begun("acme/schema", 2)]).await.expect("begins");
    let failed = StepResult::Failed("denied: \u{0} \"ü\"".into());
    store.finish(&fence, &[ended("acme/schema", 2, failed)]).await.expect("ends");
    assert!(store.open_steps().await.expect("reads").is_empty());
    assert_eq!(store.inventory().await.expect("reads"), [applied("acme/schema", 1)]);
    let last = &store.history(&HistoryQuery { limit: Some(1), ..Default::default() }).await.expect("reads")[0];
    assert_eq!(last.detail["result"]["failed"], "denied: \u{0} \"ü\"");
}

async fn what_is_forgotten_has_no_record_and_an_entry(place: &Place) {
    let store = place.writing().await;
    assert_eq!(store.forgotten().await.expect("reads"), []);
    let fence = fence(&*store, "acme").await;
    for address in ["acme/db", "acme/log", "acme/role"] {
        apply(&*store, &fence, address, 1).await;
    }
    store.begin(&fence, &[begun("acme/log", 2), begun("acme/role", 2)]).await.expect("begins");
    let forgotten = |address: &str| RecordForgotten {
        actor: "me@here".into(),
        address: address.parse().expect("an address"),
        at: time(3),
        identity: format!("identity of {address}").into(),
        kind: "postgres.schema".into(),
        target: "main".into(),
    };
    let both = [forgotten("acme/db"), forgotten("acme/log")];
    store.forget(&fence, &both).await.expect("forgets");
    assert_eq!(store.inventory().await.expect("reads"), [applied("acme/role", 1)]);
    assert_eq!(store.open_steps().await.expect("reads"), [begun("acme/role", 2)]);
    let [db, log] = both;
    assert_eq!(store.forgotten().await.expect("reads"), [log, db.clone()], "newest first");
    let run = &store.runs(1).await.expect("reads")[0];
    assert_eq!((run.steps, run.owners), (5, 1));

    store.release(&format!("run-{}", fence.run)).await.expect("releases");
    let refused = store.forget(&fence, &[db]).await;
    assert!(matches!(refused, Err(StoreError::LeaseLost(_))), "{refused:?}");
    store.verify_journal().await.expect("one chain");
}

async fn records_move_with_the_mark_that_they_leave_behind(place: &Place) {
    let store = place.writing().await;
    let fence = fence(&*store, "acme").await;
    for address in ["acme/db", "beta/db", "gamma/log"] {
        apply(&*store, &fence, address, 1).await;
    }
    let open = begun("acme/db", 2);
    store.begin(&fence, std::slice::from_ref(&open)).await.expect("begins");
    let moved = |from: &str, to: &str, vacates: bool, marked: bool| {
        let from: Address = from.parse().expect("an address");
        let marked = marked.then(|| Box::new(from.clone()));
        let applied = Applied { marked, protect: true, ..applied(to, 3) };
        RecordMoved { applied, at: time(1), from, vacates }
    };
    let swap = [
        moved("acme/db", "beta/db", false, true),
        moved("beta/db", "acme/db", false, true),
        moved("gamma/log", "gamma/logs", true, false),
    ];
    store.move_records(&fence, &swap).await.expect("moves");
    let mut expected: Vec<Applied> = swap.iter().map(|moved| moved.applied.clone()).collect();
    expected.sort_by(|a, b| a.address.cmp(&b.address));
    assert_eq!(store.inventory().await.expect("reads"), expected);
    assert_eq!(store.open_steps().await.expect("reads"), [open], "what was begun is still in doubt");
    let exported = store.export().await.expect("exports");
    assert_eq!(exported.resources(), 3);
    let mut lines = Vec::new();
    exported.write_lines(&mut lines).expect("writes");
    assert_eq!(Records::read_lines(&*lines).expect("reads"), exported);
    exported.verify().expect("every record comes from an entry");

    // Written again, it has the mark of its own address.
    apply(&*store, &fence, "acme/db", 4).await;
    expected[0] = applied("acme/db", 4);
    assert_eq!(store.inventory().await.expect("reads"), expected);

    let fallen = Fence { token: FencingToken(0), ..fence.clone() };
    let refused = store.move_records(&fallen, &swap).await;
    assert!(matches!(refused, Err(StoreError::LeaseLost(_))), "{refused:?}");
    assert_eq!(store.inventory().await.expect("reads"), expected);
}

async fn tenants_have_the_phase_that_they_entered(place: &Place) {
    let store = place.writing().await;
    let fence = fence(&*store, "acme").await;
    for (from, to) in [(None, Phase::Trial), (Some(Phase::Trial), Phase::Active)] {
        store.enter_phase(&fence, &PhaseTransition::new("acme", from, to, time(1))).await.expect("enters");
    }
    let tenants = store.tenants().await.expect("reads");
    assert_eq!((tenants.len(), tenants["acme"].phase, tenants["acme"].entered), (1, Phase::Active, Some(time(1))));
    // Another price is on record without another phase: the times of the phase stay.
    let again = PhaseTransition {
        entered: Some(time(1)),
        since: Some(time(0)),
        ..PhaseTransition::new("acme", Some(Phase::Active), Phase::Active, time(9))
    };
    store.enter_phase(&fence, &again).await.expect("enters");
    let acme = store.tenants().await.expect("reads").remove("acme").expect("a record");
    assert_eq!((acme.entered, acme.since), (Some(time(1)), Some(time(0))));
}

async fn tenants_have_the_terms_of_their_last_entry(place: &Place) {
    let store = place.writing().await;
    for (tenant, tiers) in [("acme", vec![Some("small"), Some("large")]), ("bee", vec![None])] {
        let fence = fence(&*store, tenant).await;
        for tier in tiers {
            let price = serde_json::json!({"currency": "eur", "amount": "49.00", "interval": "month"});
            let price = serde_json::from_value(price).expect("a price");
            let terms = tier.map(|tier: &str| Terms { tier: tier.into(), price });
            let transition = PhaseTransition::new(tenant, Some(Phase::Active), Phase::Active, time(1));
            let transition = PhaseTransition { terms, ..transition };
            store.enter_phase(&fence, &transition).await.expect("enters");
        }
    }
    let tenants = store.tenants().await.expect("reads");
    let tier = |tenant: &str| tenants[tenant].terms.as_ref().map(|terms| &*terms.tier);
    assert_eq!((tier("acme"), tier("bee")), (Some("large"), None));
}

async fn history_is_newest_first_and_filtered(place: &Place) {
    let store = place.writing().await;
    let acme = fence(&*store, "acme").await;
    apply(&*store, &acme, "acme/schema", 1).await;
    let other = fence(&*store, "other").await;
    apply(&*store, &other, "other/schema", 1).await;
    store.end_run(acme.run, time(9), &RunOutcome::Partly).await.expect("ends");

    let history = async |owner: Option<&str>, run, limit| {
        let query = HistoryQuery { owner: owner.map(Owner::from), run, limit };
        let entries = store.history(&query).await.expect("reads");
        entries.iter().map(|entry| format!("{} {}", entry.sequence, entry.event.as_str())).collect::<Vec<_>>()
    };
    let all = ["7 runEnded", "6 stepEnded", "5 stepBegun", "4 runBegun", "3 stepEnded", "2 stepBegun", "1 runBegun"];
    assert_eq!(history(None, None, None).await, all);
    assert_eq!(history(None, None, Some(2)).await, all[..2]);
    assert_eq!(history(Some("acme"), None, None).await, ["3 stepEnded", "2 stepBegun"]);
    assert_eq!(history(None, Some(acme.run), Some(2)).await, ["7 runEnded", "3 stepEnded"]);
    assert_eq!(history(Some("other"), Some(other.run), Some(1)).await, ["6 stepEnded"]);
    assert!(history(Some("other"), Some(acme.run), None).await.is_empty());

    let entries = store.history(&HistoryQuery::default()).await.expect("reads");
    assert_eq!(entries[0].detail["outcome"], "partly");
    assert_eq!((entries[0].run, &entries[0].owner, entries[0].at), (Some(acme.run), &None, time(9)));
    assert_eq!(entries[6].detail["approvals"][0], "drop-acme");
    assert_eq!((entries[1].run, entries[1].owner.clone()), (Some(other.run), Some(Owner::from("other"))));
}

async fn a_run_is_told_with_its_end_and_what_it_wrote(place: &Place) {
    let store = place.writing().await;
    assert_eq!(store.runs(10).await.expect("reads"), []);
    let first = fence(&*store, "acme").await;
    apply(&*store, &first, "acme/schema", 1).await;
    apply(&*store, &first, "acme/role", 1).await;
    store.end_run(first.run, time(7), &RunOutcome::Partly).await.expect("ends");
    let second = fence(&*store, "beta").await;
    let runs = store.runs(10).await.expect("reads");
    let told: Vec<_> = runs.iter().map(|run| (run.run, run.outcome, run.ended, run.steps, run.owners)).collect();
    let expected = [(second.run, None, None, 0, 0), (first.run, Some(RunOutcome::Partly), Some(time(7)), 2, 1)];
    assert_eq!(told, expected);
    assert_eq!(store.runs(1).await.expect("reads"), runs[..1]);
    let last = store.last(JournalEvent::RunEnded).await.expect("reads").expect("a run has ended");
    assert_eq!((last.run, last.at), (Some(first.run), time(7)));
    assert!(store.last(JournalEvent::DriftReported).await.expect("reads").is_none());
}

async fn everything_is_there_after_opening_again(place: &Place) {
    let store = place.writing().await;
    let fence = fence(&*store, "acme").await;
    apply(&*store, &fence, "acme/schema", 1).await;
    store.begin(&fence, &[begun("acme/role", 1)]).await.expect("begins");
    let expected = store.history(&HistoryQuery::default()).await.expect("reads");
    drop(store);

    for mode in [OpenMode::ReadOnly, OpenMode::ReadWrite] {
        let store = place.open(mode).await.expect("opens");
        assert_eq!(store.history(&HistoryQuery::default()).await.expect("reads"), expected);
        assert_eq!(store.inventory().await.expect("reads"), [applied("acme/schema", 1)]);
        assert_eq!(store.open_steps().await.expect("reads"), [begun("acme/role", 1)]);
    }
    assert_eq!(begin_run(&*place.writing().await).await, RunId(fence.run.0 + 1));
}

async fn sixteen_tasks_write_at_once(place: &Place) {
    let store = place.writing().await;
    let names: Vec<_> = (0..16).map(|index| format!("t{index}")).collect();
    let run = begin_run(&*store).await;
    let mut tasks = tokio::task::JoinSet::new();
    for name in &names {
        let (store, name) = (store.clone(), name.clone());
        tasks.spawn(async move {
            let token = lock(&*store, &name, &name, time(0)).await.expect("free");
            let fence = Fence { run, owner: Owner::from(name.as_str()), token, now: time(1) };
            for index in 0..10 {
                apply(&*store, &fence, &format!("{name}/r{index}"), 1).await;
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(store.inventory().await.expect("reads").len(), 160);
    assert!(store.open_steps().await.expect("reads").is_empty());
    assert_eq!(store.verify_journal().await.expect("holds"), 1 + 16 * 10 * 2);
}

async fn two_handles_write_at_once(place: &Place) {
    let (one, two) = tokio::join!(place.writing(), place.writing());
    let reader = place.open(OpenMode::ReadOnly).await.expect("opens");
    let mut tasks = tokio::task::JoinSet::new();
    for (index, store) in [one.clone(), two, one, reader].into_iter().enumerate() {
        tasks.spawn(async move {
            if index == 3 {
                for _ in 0..20 {
                    store.verify_journal().await.expect("holds at every moment");
                    store.inventory().await.expect("reads while others write");
                }
                return;
            }
            let name = format!("t{index}");
            let fence = fence(&*store, &name).await;
            for step in 0..15 {
                apply(&*store, &fence, &format!("{name}/r{step}"), 1).await;
            }
        });
    }
    tasks.join_all().await;
    let store = place.writing().await;
    assert_eq!(store.inventory().await.expect("reads").len(), 45);
    assert_eq!(store.verify_journal().await.expect("holds"), 3 + 45 * 2);
}

async fn one_that_the_database_refuses_does_not_fail_the_others(place: &Place) {
    let store = place.writing().await;
    let fence = fence(&*store, "acme").await;
    // Beyond what either database can hold as a number of a run.
    let refused = Fence { run: RunId(u64::MAX), ..fence.clone() };
    let mut tasks = tokio::task::JoinSet::new();
    for index in 0..20 {
        let (store, fence, refused) = (store.clone(), fence.clone(), refused.clone());
        tasks.spawn(async move {
            let address = format!("acme/r{index}");
            let fence = if index % 2 == 0 { &fence } else { &refused };
            (index, store.begin(fence, &[begun(&address, 1)]).await)
        });
    }
    for (index, begun) in tasks.join_all().await {
        assert_eq!(begun.is_ok(), index % 2 == 0, "{index}: {begun:?}");
    }
    assert_eq!(store.open_steps().await.expect("reads").len(), 10);
    assert_eq!(store.verify_journal().await.expect("holds"), 1 + 10);
}

//! Whether a change of a plan still fits what is there, and whether what was written came out: decisions of a run, without
//! one.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use insta::assert_snapshot;
use serde_json::{Value as Json, json};

use super::fresh::{Fresh, desired_of};
use super::verify::{Sight, sight};
use tenantry_core::fingerprint::Systems;
use tenantry_core::model::address::Address;
use tenantry_core::model::kind::{Batch, Catalogue, Kind, MarkPlace};
use tenantry_core::model::mark::Mark;
use tenantry_core::model::resource::{Applied, KindObservation, Observed, Present};
use tenantry_core::model::value::{Map, Value};
use tenantry_core::plan::{Cause, Change, FieldChange, Reason, Work};

const KIND: &str = "test.thing";

fn catalogue() -> Catalogue {
    Catalogue::new([Kind {
        name: KIND,
        summary: "",
        schema: schemars::json_schema!({"type": "object"}),
        identity: &["name"],
        immutable: &[],
        write_only: &[],
        reviewed: &[],
        sensitive: &[],
        owned_by_key: &[],
        outputs: &[],
        captures: &[],
        name_limits: &[],
        references: &[],
        loses_data: false,
        bills: false,
        mark: MarkPlace::Target,
        batch: Batch::Single,
        defaults: Map::default(),
        normalise: |_| {},
        told: None,
        check: |_| Vec::new(),
        check_together: None,
        by_spec: None,
        nesting: None,
    }])
}

fn map(json: &Json) -> Arc<Map> {
    Arc::new(Value::from(json).as_map().cloned().expect("a map"))
}

fn address() -> Address {
    "acme/db".parse().expect("an address")
}

fn size(size: u32) -> Arc<Map> {
    map(&json!({"name": "a", "size": size}))
}

fn change(work: Work) -> Change {
    Change {
        address: address(),
        kind: KIND.into(),
        target: "main".into(),
        work,
        cause: Cause::Pending,
        reason: Reason::ChangedInRepository,
        sensitive: Vec::new(),
        depends_on: Vec::new(),
        protected: false,
        optional: false,
        loses_data: false,
        takes_along: Arc::default(),
        origin: None,
        renamed_from: None,
        generation: 2,
    }
}

fn update(before: u32, after: u32) -> Change {
    let field = FieldChange {
        path: "/size".into(),
        before: Some(json!(before).into()),
        after: Some(json!(after).into()),
        outside: false,
        by: None,
        becomes: None,
    };
    change(Work::Update { identity: "a".into(), before: size(before), after: size(after), fields: vec![field] })
}

fn create() -> Change {
    change(Work::Create { identity: Some("a".into()), after: size(1) })
}

fn delete() -> Change {
    change(Work::Delete { identity: "a".into(), before: size(1) })
}

/// What is there: of a size, with a mark.
fn there(of: u32, mark: Option<&str>) -> Observed {
    let mark =
        mark.map(|at| Mark { estate: "shop".into(), address: at.parse().expect("an address"), secret_hash: None });
    Observed::Present(Present { spec: size(of), mark, ..Present::default() })
}

fn ours(of: u32) -> Observed {
    there(of, Some("acme/db"))
}

/// The world as a run sees it: what is there under the name of a change, and which write of size 1 is on record.
fn fresh(change: &Change, observed: Observed, generation: Option<u64>) -> Fresh {
    let catalogue = Arc::new(catalogue());
    let applied = generation.map(|generation| Applied {
        address: address(),
        kind: KIND.into(),
        marked: None,
        target: "main".into(),
        identity: "a".into(),
        spec: r#"{"name":"a","size":1}"#.into(),
        outputs: "{}".into(),
        generation,
        protect: false,
        depends_on: Vec::new(),
    });
    let observation = KindObservation { resources: HashMap::from([("a".into(), observed)]), incomplete: None };
    Fresh {
        scope: "shop".into(),
        observed: BTreeMap::from([(("main".into(), KIND), observation)]),
        forgotten: HashMap::new(),
        systems: Systems::default(),
        inventory: applied.into_iter().map(|applied| (applied.address.clone(), applied)).collect(),
        begun: HashMap::new(),
        desired: desired_of(change, &catalogue).into_iter().map(|desired| (address(), desired)).collect(),
        catalogue,
    }
}

fn judged(change: &Change, observed: Observed, generation: Option<u64>) -> String {
    match fresh(change, observed, generation).judge(change) {
        Ok(ready) if ready.only_record => "only put on record".to_owned(),
        Ok(_) => "ready".to_owned(),
        Err(outcome) => format!("{outcome:?}"),
    }
}

fn seen(change: &Change, observed: Observed) -> String {
    match sight(&fresh(change, observed, Some(2)), change) {
        Sight::Settled => "settled".to_owned(),
        Sight::Pending(reason) => format!("pending: {reason}"),
        Sight::Unknown(reason) => format!("unknown: {reason:?}"),
        Sight::Unlike(update) => format!("unlike: {}", update.differences[0].pointer),
        Sight::Wrong(reason) => format!("wrong: {reason:?}"),
    }
}

#[test]
fn what_is_as_planned_is_written_and_what_is_done_already_is_not() {
    assert_snapshot!(judged(&update(1, 2), ours(1), Some(1)), @"ready");
    assert_snapshot!(judged(&update(1, 2), ours(2), Some(1)), @"only put on record");
    assert_snapshot!(judged(&create(), Observed::Absent, None), @"ready");
    assert_snapshot!(judged(&create(), ours(1), None), @"only put on record");
    assert_snapshot!(judged(&delete(), ours(1), Some(1)), @"ready");
    assert_snapshot!(judged(&delete(), Observed::Absent, Some(1)), @"ready");
}

#[test]
fn what_changed_since_the_plan_was_made_is_left_alone() {
    assert_snapshot!(judged(&update(1, 2), ours(7), Some(1)), @"Stale(Changed)");
    assert_snapshot!(judged(&update(1, 2), Observed::Absent, Some(1)), @"Stale(Deleted)");
    assert_snapshot!(judged(&update(1, 2), there(1, Some("acme/other")), Some(1)), @r#"
        Stale(Blocked { cause: NotOurs { cause: OfOtherAddress { address: Address { owner: Tenant("acme"), id: "other", each: None } } } })
    "#);
    assert_snapshot!(judged(&create(), there(1, None), None), @"Stale(Blocked { cause: NotOurs { cause: Unmarked } })");
    assert_snapshot!(judged(&create(), ours(7), None), @"Stale(Appeared)");
    assert_snapshot!(judged(&delete(), ours(7), Some(1)), @"Stale(Changed)");
    assert_snapshot!(judged(&delete(), there(1, Some("acme/other")), Some(1)), @"Stale(MarkChanged)");
    assert_snapshot!(judged(&delete(), there(1, None), Some(1)), @"Stale(MarkChanged)");
}

#[test]
fn what_another_run_wrote_is_not_written_over() {
    assert_snapshot!(judged(&update(1, 2), ours(1), Some(2)), @"Stale(WrittenByAnotherRun)");
    assert_snapshot!(judged(&create(), ours(1), Some(2)), @"AlreadyDone");
}

#[test]
fn what_cannot_be_told_is_skipped() {
    let unknown = || Observed::Unknown("it does not answer".into());
    assert_snapshot!(judged(&update(1, 2), unknown(), Some(1)), @r#"
        Skipped(StateUnknown { cause: Unreadable { message: "it does not answer" } })
    "#);
    assert_snapshot!(judged(&delete(), unknown(), Some(1)), @r#"
        Skipped(StateUnknown { cause: Unreadable { message: "it does not answer" } })
    "#);
}

#[test]
fn what_came_out_as_written_is_settled() {
    assert_snapshot!(seen(&update(1, 2), ours(2)), @"settled");
    assert_snapshot!(seen(&update(1, 2), ours(1)), @"unlike: /size");
    assert_snapshot!(seen(&update(1, 2), Observed::Absent), @"wrong: Missing");
    assert_snapshot!(seen(&update(1, 2), there(2, None)), @"wrong: NotOurs { cause: MarkGone }");
    let Observed::Present(present) = ours(2) else { panic!("it is there") };
    let starting = Observed::Present(Present { pending: Some("it starts".into()), ..present });
    assert_snapshot!(seen(&update(1, 2), starting), @"pending: it starts");
}

#[test]
fn what_was_deleted_is_settled_once_it_is_seen_gone() {
    assert_snapshot!(seen(&delete(), Observed::Absent), @"settled");
    assert_snapshot!(seen(&delete(), ours(1)), @"wrong: StillThere");
    assert_snapshot!(seen(&delete(), Observed::Unknown("it does not answer".into())), @r#"
        unknown: Unreadable { message: "it does not answer" }
    "#);
    // Somebody else has made another one there.
    assert_snapshot!(seen(&delete(), there(1, Some("acme/other"))), @"settled");
}

#[test]
fn what_has_another_name_is_settled_once_the_old_one_is_gone() {
    let before = size(2);
    let renamed = change(Work::Replace {
        identity: Some("b".into()),
        old: Some("a".into()),
        before,
        after: map(&json!({"name": "b", "size": 2})),
        fields: Vec::new(),
    });
    let seen = |old: Observed| {
        let mut fresh = fresh(&renamed, old, Some(1));
        let new = Present {
            spec: map(&json!({"name": "b", "size": 2})),
            mark: Some(Mark { estate: "shop".into(), address: address(), secret_hash: None }),
            ..Present::default()
        };
        for observation in fresh.observed.values_mut() {
            observation.resources.insert("b".into(), Observed::Present(new.clone()));
        }
        match sight(&fresh, &renamed) {
            Sight::Settled => "settled".to_owned(),
            Sight::Pending(reason) => format!("pending: {reason}"),
            Sight::Unknown(reason) => format!("unknown: {reason:?}"),
            Sight::Unlike(update) => format!("unlike: {}", update.differences[0].pointer),
            Sight::Wrong(reason) => format!("wrong: {reason:?}"),
        }
    };
    assert_snapshot!(seen(Observed::Absent), @"settled");
    assert_snapshot!(seen(ours(2)), @r#"wrong: OldStillThere { old: Identity("a") }"#);
    let Observed::Present(present) = ours(2) else { panic!("it is there") };
    let ending = Observed::Present(Present { pending: Some("it empties itself".into()), ..present });
    assert_snapshot!(seen(ending), @"pending: it empties itself");
    assert_snapshot!(seen(there(2, Some("acme/other"))), @"settled");
}

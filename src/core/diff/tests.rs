//! What is known of one resource → a verdict, beginning with "nothing to do".

use insta::assert_snapshot;
use serde_json::{Value as Json, json};

use super::*;
use crate::fixture::{applied, catalogue, desired, present};

/// The verdict in a line: `wanted`, and `there`, `recorded` and whether a write was begun, where there are any.
fn verdict(wanted: Json, there: Option<Json>, recorded: Option<Json>, begun: Option<BegunWrite>) -> String {
    let catalogue = catalogue();
    let desired = desired(&catalogue, "acme/db", &wanted);
    let applied = recorded.map(|json| applied(&catalogue, "acme/db", &json));
    let begun = begun.map(|write| Begun { generation: 1, write, spec: None });
    let verdict = diff(&Known {
        scope: "shop",
        desired: &desired,
        earlier: &desired.previously,
        observed: &there.map_or(Observed::Absent, |json| Observed::Present(present(&json))),
        applied: applied.as_ref(),
        begun: begun.as_ref(),
        secret: Secret::Hash(None),
    });
    let show = |word: &str, Update { differences, cause, adopts, moved_from, marks, present: _ }: &Update| {
        let fields: Vec<&str> = differences.iter().map(|difference| &*difference.pointer).collect();
        let adopts = if *adopts { " adopts" } else { "" };
        let marks = if *marks { " marks" } else { "" };
        let moved = moved_from.as_ref().map(|from| format!(" moved from {from}")).unwrap_or_default();
        format!("{word} {cause:?} {}{adopts}{marks}{moved}", fields.join(" "))
    };
    match &verdict {
        Verdict::Unchanged => "unchanged".to_owned(),
        Verdict::Record { .. } => "record".to_owned(),
        Verdict::Create { cause } => format!("create {cause:?}"),
        Verdict::Update(update) => show("update", update),
        Verdict::Replace(update) => show("replace", update),
        Verdict::Blocked(reason) => format!("blocked {}", serde_json::to_string(&reason).expect("JSON")),
    }
}

fn thing(size: u32) -> Json {
    json!({"name": "a", "size": size})
}

fn marked(size: u32) -> Json {
    json!({"name": "a", "size": size, "mark": "acme/db"})
}

#[test]
fn the_same_on_all_three_sides_is_nothing_to_do() {
    assert_snapshot!(verdict(thing(1), Some(marked(1)), Some(thing(1)), None), @"unchanged");
}

#[test]
fn a_server_s_own_fields_are_nothing_to_do() {
    let there = json!({"name": "a", "size": 1, "uid": "77", "tags": {"theirs": "x"}, "mark": "acme/db"});
    assert_snapshot!(verdict(thing(1), Some(there), Some(thing(1)), None), @"unchanged");
}

#[test]
fn whose_doing_a_difference_is() {
    assert_snapshot!(verdict(thing(2), Some(marked(1)), Some(thing(1)), None), @"update Pending /size");
    assert_snapshot!(verdict(thing(1), Some(marked(2)), Some(thing(1)), None), @"update Drift /size");
    assert_snapshot!(verdict(thing(3), Some(marked(2)), Some(thing(1)), None), @"update Both /size");
    // A write that nobody saw end is Tenantry's own doing.
    assert_snapshot!(verdict(thing(2), Some(marked(1)), None, Some(BegunWrite::Write)), @"update Unfinished /size");
    // So is a default of the server of a field that is named for the first time.
    assert_snapshot!(verdict(thing(2), Some(marked(1)), Some(json!({"name": "a"})), None), @"update Pending /size");
}

#[test]
fn what_the_record_lacks_is_learnt() {
    assert_snapshot!(verdict(thing(1), Some(marked(1)), None, None), @"record");
    assert_snapshot!(verdict(thing(1), Some(marked(1)), Some(json!({"name": "a"})), None), @"record");
}

#[test]
fn a_key_that_was_ours_and_is_no_longer_named_goes() {
    let there = json!({"name": "a", "tags": {"ours": "1", "theirs": "2"}, "mark": "acme/db"});
    let recorded = json!({"name": "a", "tags": {"ours": "1"}});
    assert_snapshot!(verdict(json!({"name": "a"}), Some(there), Some(recorded), None), @"update Pending /tags/ours");
    // Also where another key of the map is still named, or all that is there is ours.
    let there = json!({"name": "a", "tags": {"ours": "1", "kept": "2", "theirs": "3"}, "mark": "acme/db"});
    let recorded = json!({"name": "a", "tags": {"ours": "1", "kept": "2"}});
    let wanted = json!({"name": "a", "tags": {"kept": "2"}});
    assert_snapshot!(verdict(wanted, Some(there), Some(recorded), None), @"update Pending /tags/ours");
    let there = json!({"name": "a", "tags": {"ours": "1"}, "mark": "acme/db"});
    let recorded = json!({"name": "a", "tags": {"ours": "1"}});
    assert_snapshot!(verdict(json!({"name": "a"}), Some(there), Some(recorded), None), @"update Pending /tags/ours");
}

#[test]
fn a_map_that_the_target_replaces_whole_is_compared_with_every_key() {
    let there =
        |whole: Json| json!({"name": "a", "tags": {"ours": "1", "theirs": "2"}, "whole": whole, "mark": "acme/db"});
    let tagged = json!({"name": "a", "tags": {"ours": "1"}});
    assert_snapshot!(verdict(tagged.clone(), Some(there(json!([]))), Some(tagged.clone()), None), @"unchanged");
    assert_snapshot!(verdict(tagged.clone(), Some(there(json!(["/tags"]))), Some(tagged), None), @"update Drift /tags/theirs");
}

#[test]
fn what_is_absent() {
    assert_snapshot!(verdict(thing(1), None, None, None), @"create Pending");
    assert_snapshot!(verdict(thing(1), None, Some(thing(1)), None), @"create Drift");
    assert_snapshot!(verdict(thing(2), None, Some(thing(1)), None), @"create Both");
    assert_snapshot!(verdict(thing(2), None, Some(thing(1)), Some(BegunWrite::Replace)), @"create Unfinished");
    // What a write of ours left behind is ours to finish as well.
    assert_snapshot!(verdict(thing(1), None, Some(thing(1)), Some(BegunWrite::Write)), @"create Unfinished");
}

#[test]
fn what_cannot_change_is_replaced() {
    let there = json!({"name": "a", "region": "us", "mark": "acme/db"});
    let recorded = json!({"name": "a", "region": "us"});
    assert_snapshot!(verdict(json!({"name": "a", "region": "eu"}), Some(there), Some(recorded), None), @"replace Pending /region");
}

#[test]
fn whose_it_is() {
    let unmarked = Some(json!({"name": "a", "size": 1}));
    assert_snapshot!(verdict(thing(1), unmarked.clone(), None, None), @r#"
        blocked {"code":"notOurs","cause":{"code":"unmarked"}}
    "#);
    assert_snapshot!(verdict(thing(1), unmarked.clone(), Some(thing(1)), None), @r#"
        blocked {"code":"notOurs","cause":{"code":"markGone"}}
    "#);
    assert_snapshot!(verdict(json!({"name": "a", "size": 1, "adopt": true}), unmarked, None, None), @"update Pending  adopts");
    let of = |mark: &str| Some(json!({"name": "a", "size": 1, "mark": mark}));
    assert_snapshot!(verdict(thing(1), of("bank:acme/db"), None, None), @r#"
        blocked {"code":"notOurs","cause":{"code":"ofOtherEstate","scope":"bank"}}
    "#);
    assert_snapshot!(verdict(thing(1), of("acme/other"), None, None), @r#"
        blocked {"code":"notOurs","cause":{"code":"ofOtherAddress","address":"acme/other"}}
    "#);
    assert_snapshot!(verdict(json!({"name": "a", "size": 1, "was": ["acme/other"]}), of("acme/other"), None, None), @"update Pending  moved from acme/other");
}

#[test]
fn without_room_for_a_mark_the_record_tells() {
    let note = json!({"kind": "test.note", "name": "a"});
    assert_snapshot!(verdict(note.clone(), Some(note.clone()), Some(note.clone()), None), @"unchanged");
    assert_snapshot!(verdict(note.clone(), Some(note.clone()), None, None), @"record");
    assert_snapshot!(verdict(note.clone(), Some(note), None, Some(BegunWrite::Write)), @"record");
}

#[test]
fn what_is_given_up_goes_where_something_that_is_wanted_is_never_seen() {
    let wanted = json!({"kind": "test.login", "name": "ann", "password": "p"});
    let recorded = json!({"kind": "test.login", "name": "ann", "password": "p", "role": "admin"});
    let there = json!({"kind": "test.login", "name": "ann", "role": "admin", "mark": "acme/db"});
    assert_snapshot!(verdict(wanted, Some(there), Some(recorded), None), @"update Pending /role");
}

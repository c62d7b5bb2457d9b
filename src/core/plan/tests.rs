//! What is planned of a world: each pass, beginning with "nothing to do".

use insta::assert_snapshot;
use serde_json::{Value as Json, json};

use crate::fixture::{lines, plan};

fn planned(world: Json) -> String {
    lines(&plan(&world))
}

/// Verdicts.
#[test]
fn what_is_as_wanted_is_nothing_to_do() {
    assert_snapshot!(planned(json!({
        "wanted": {"acme/db": {"name": "a", "size": 1}},
        "recorded": {"acme/db": {"name": "a", "size": 1}},
        "there": [{"name": "a", "size": 1, "mark": "acme/db"}],
    })), @"nothing to do, 1 unchanged");
}

#[test]
fn what_is_missing_is_created_and_whose_doing_that_is_told() {
    assert_snapshot!(planned(json!({
        "wanted": {"acme/db": {"name": "a"}, "acme/log": {"name": "b"}, "acme/new": {"name": "c", "size": 2}},
        "recorded": {"acme/log": {"name": "b"}, "acme/new": {"name": "c", "size": 1}},
    })), @"
        create acme/db (pending, wanted)
        create acme/log (drift, deletedOutside)
        create acme/new (both, deletedOutsideAndChanged)
    ");
}

#[test]
fn what_differs_is_changed_and_whose_doing_that_is_told() {
    assert_snapshot!(planned(json!({
        "wanted": {
            "acme/both": {"name": "a", "size": 3},
            "acme/commit": {"name": "b", "size": 2},
            "acme/drift": {"name": "c", "size": 1},
            "acme/given-up": {"name": "d"},
            "acme/region": {"name": "e", "region": "eu"},
        },
        "recorded": {
            "acme/both": {"name": "a", "size": 1},
            "acme/commit": {"name": "b", "size": 1},
            "acme/drift": {"name": "c", "size": 1},
            "acme/given-up": {"name": "d", "tags": {"t": "1"}},
            "acme/region": {"name": "e", "region": "us"},
        },
        "there": [
            {"name": "a", "size": 2, "mark": "acme/both"},
            {"name": "b", "size": 1, "mark": "acme/commit"},
            {"name": "c", "size": 9, "mark": "acme/drift"},
            {"name": "d", "tags": {"t": "1", "foreign": "2"}, "mark": "acme/given-up"},
            {"name": "e", "region": "us", "mark": "acme/region"},
        ],
    })), @r#"
        update acme/both (both, changedOnBothSides) /size: 2 → 3
        update acme/commit (pending, changedInRepository) /size: 1 → 2
        update acme/drift (drift, changedOutside) /size: 9 → 1
        update acme/given-up (pending, changedInRepository) /tags/t: "1" → none
        replace acme/region (pending, immutable) /region: "us" → "eu"
    "#);
}

#[test]
fn what_the_target_would_refuse_is_blocked_in_its_words() {
    assert_snapshot!(planned(json!({
        "wanted": {
            "acme/made": {"name": "a"},
            "acme/replaced": {"name": "b", "region": "eu"},
            "acme/same": {"name": "c", "size": 1},
            "acme/updated": {"name": "d", "size": 2},
            "acme/user": {"name": "e", "needs": ["acme/made"]},
        },
        "recorded": {
            "acme/replaced": {"name": "b", "region": "us"},
            "acme/same": {"name": "c", "size": 1},
            "acme/updated": {"name": "d", "size": 1},
        },
        "there": [
            {"name": "b", "region": "us", "refused": "as an update", "mark": "acme/replaced"},
            {"name": "c", "size": 1, "refused": "nobody writes it", "mark": "acme/same"},
            {"name": "d", "size": 1, "refused": "too small", "mark": "acme/updated"},
        ],
        "refused": {"acme/made": "no such region", "acme/replaced": "as a new one"},
    })), @r#"
        blocked acme/made (TY0423) {"code":"refused","message":"no such region"}
        blocked acme/replaced (TY0423) {"code":"refused","message":"as a new one"}
        blocked acme/updated (TY0423) {"code":"refused","message":"too small"}
        blocked acme/user (TY0404) {"code":"needsBlocked","needed":"acme/made"}
    "#);
}

/// Ownership.
#[test]
fn what_is_not_ours_is_left_alone() {
    assert_snapshot!(planned(json!({
        "wanted": {"acme/a": {"name": "a"}, "acme/b": {"name": "b"}, "acme/c": {"name": "c"}, "acme/d": {"name": "d", "adopt": true}},
        "there": [
            {"name": "a", "mark": "bank:acme/a"},
            {"name": "b", "mark": "acme/other"},
            {"name": "c"},
            {"name": "d"},
        ],
        "recorded": {"acme/other": {"name": "z"}},
    })), @r#"
        adopt acme/d (pending, adopted)
        forget acme/other (pending, gone)
        blocked acme/a (TY0401) {"code":"notOurs","cause":{"code":"ofOtherEstate","scope":"bank"}}
        blocked acme/b (TY0401) {"code":"notOurs","cause":{"code":"ofOtherAddress","address":"acme/other"}}
        blocked acme/c (TY0401) {"code":"notOurs","cause":{"code":"unmarked"}}
    "#);
}

/// Who sets the tags of a user, or the description of a virtual host, takes the mark away with the others. That is drift; data
/// is not deleted on it.
#[test]
fn a_mark_that_goes_with_what_is_set_by_hand_is_drift() {
    assert_snapshot!(planned(json!({
        "wanted": {
            "acme/a": {"kind": "test.user", "name": "a", "size": 1},
            "acme/b": {"kind": "test.space", "name": "b", "size": 1},
            "acme/c": {"kind": "test.user", "name": "c", "size": 1},
            "acme/d": {"kind": "test.user", "name": "d"},
            "acme/g": {"kind": "test.space", "name": "g", "region": "eu"},
        },
        "recorded": {
            "acme/a": {"kind": "test.user", "name": "a", "size": 1},
            "acme/b": {"kind": "test.space", "name": "b", "size": 1},
            "acme/c": {"kind": "test.user", "name": "c", "size": 1},
            "acme/e": {"kind": "test.user", "name": "e"},
            "acme/f": {"kind": "test.space", "name": "f"},
            "acme/g": {"kind": "test.space", "name": "g", "region": "us"},
        },
        "there": [
            {"kind": "test.user", "name": "a", "size": 2},
            {"kind": "test.space", "name": "b", "size": 2},
            {"kind": "test.user", "name": "c", "size": 1},
            {"kind": "test.user", "name": "d"},
            {"kind": "test.user", "name": "e"},
            {"kind": "test.space", "name": "f"},
            {"kind": "test.space", "name": "g", "region": "us"},
        ],
        "approved": ["acme/e", "acme/f", "acme/g"],
    })), @r#"
        update acme/a (drift, changedOutside) /size: 2 → 1
        update acme/b (drift, changedOutside) /size: 2 → 1
        update acme/c (drift, markRemoved)
        delete acme/e (pending, notWanted)
        blocked acme/d (TY0401) {"code":"notOurs","cause":{"code":"unmarked"}}
        blocked acme/f (TY0415) {"code":"unwantedNotOurs","cause":{"code":"markGone"}}
        blocked acme/g (TY0401) {"code":"notOurs","cause":{"code":"markGone"}}
    "#);
}

/// Moves.
#[test]
fn an_id_that_was_renamed_moves_what_is_there() {
    assert_snapshot!(planned(json!({
        "wanted": {"acme/front": {"name": "a"}, "acme/memo": {"kind": "test.note", "name": "n"}},
        "recorded": {"acme/web": {"name": "a"}, "acme/note": {"kind": "test.note", "name": "n"}},
        "there": [{"name": "a", "mark": "acme/web"}, {"kind": "test.note", "name": "n"}],
    })), @"
        move acme/front from acme/web (pending, moved)
        move acme/memo from acme/note (pending, moved)
    ");
}

#[test]
fn two_ids_that_were_swapped_move_both() {
    assert_snapshot!(planned(json!({
        "wanted": {"acme/a": {"name": "y"}, "acme/b": {"name": "x"}},
        "recorded": {"acme/a": {"name": "x"}, "acme/b": {"name": "y"}},
        "there": [{"name": "x", "mark": "acme/a"}, {"name": "y", "mark": "acme/b"}],
    })), @"
        move acme/a from acme/b (pending, moved)
        move acme/b from acme/a (pending, moved)
    ");
}

/// Orphans.
#[test]
fn nothing_recorded_and_nothing_wanted_is_nothing_to_do() {
    assert_snapshot!(planned(json!({"there": [{"name": "a"}, {"name": "b", "mark": "bank:acme/b"}]})),
        @"nothing to do, 0 unchanged");
}

#[test]
fn what_is_no_longer_wanted_is_deleted_or_forgotten() {
    assert_snapshot!(planned(json!({
        "phases": {"acme": "active"},
        "recorded": {"acme/gone": {"name": "g"}, "acme/old": {"name": "o"}},
        "there": [{"name": "o", "mark": "acme/old"}],
    })), @"
        delete acme/old (pending, notWanted)
        forget acme/gone (pending, gone)
    ");
}

#[test]
fn what_somebody_has_renamed_is_neither_made_anew_nor_forgotten() {
    let mut world = json!({
        "phases": {"acme": "active"},
        "wanted": {"acme/db": {"kind": "test.store", "name": "a"}},
        "recorded": {"acme/db": {"kind": "test.store", "name": "a"}},
        "there": [{"kind": "test.store", "name": "a_old", "mark": "acme/db"}],
    });
    assert_snapshot!(planned(world.clone()), @r#"blocked acme/db (TY0413) {"code":"renamed","to":"a_old"}"#);
    // Nobody wants it any more: its data is still there.
    world["wanted"] = json!({});
    assert_snapshot!(planned(world.clone()), @r#"blocked acme/db (TY0413) {"code":"renamed","to":"a_old"}"#);
    // Followed.
    world["wanted"] = json!({"acme/db": {"kind": "test.store", "name": "a_old"}});
    assert_snapshot!(planned(world.clone()), @"adopt acme/db (pending, recordMissing)");
    // Renamed back, and a copy beside it.
    world["wanted"] = json!({"acme/db": {"kind": "test.store", "name": "a"}});
    world["there"] = json!([
        {"kind": "test.store", "name": "a", "mark": "acme/db"}, {"kind": "test.store", "name": "a_old", "mark": "acme/db"},
    ]);
    assert_snapshot!(planned(world.clone()), @"nothing to do, 1 unchanged");
    let findings = plan(&world).findings;
    assert!(findings[0].help.as_ref().is_some_and(|help| help.contains("not the resource")), "{findings:?}");
}

#[test]
fn what_goes_along_needs_an_approval_of_its_own() {
    let mut world = json!({
        "phases": {"acme": "active"},
        "recorded": {"acme/db": {"kind": "test.store", "name": "a"}},
        "there": [{"kind": "test.store", "name": "a", "mark": "acme/db", "takes": ["view crm.latest"]}],
        "approved": ["acme/db"],
    });
    assert_snapshot!(planned(world.clone()), @"
    delete acme/db (pending, notWanted)
    refused (TY0405) deleting acme/db would also destroy view crm.latest
    ");
    world["allow"] = json!(["delete", "cascade"]);
    assert_snapshot!(planned(world.clone()), @"delete acme/db (pending, notWanted)");
    let plan = plan(&world);
    assert_eq!(plan.findings[0].message, "deleting acme/db would also destroy view crm.latest");
    assert!(!plan.is_refused());
    // It is saved with the plan: more than that is not taken.
    let saved = serde_json::to_string(&crate::plan::json::Written::saved(&plan)).expect("JSON");
    let read = crate::plan::json::from_json(&saved).expect("a plan");
    assert_eq!(*read.changes[0].takes_along, ["view crm.latest".into()]);
}

#[test]
fn a_tenant_without_a_document_loses_nothing() {
    assert_snapshot!(planned(json!({
        "recorded": {"acme/db": {"name": "a"}},
        "there": [{"name": "a", "mark": "acme/db"}],
    })), @r#"
        blocked acme/db (TY0407) {"code":"tenantVanished"}
        refused (TY0407) tenant acme no longer has a document, but 1 resource is left
    "#);
}

#[test]
fn a_mark_without_a_record_is_no_ground_to_delete() {
    let world = json!({"phases": {"acme": "active"}, "there": [{"name": "a", "mark": "acme/db"}]});
    assert_snapshot!(planned(world.clone()), @r#"
        blocked acme/db (TY0419) {"code":"notRecorded"}
    "#);
    let mut approved = world;
    approved["approved"] = json!(["acme/db"]);
    assert_snapshot!(planned(approved), @"delete acme/db (pending, notWanted)");
}

#[test]
fn what_cannot_be_read_is_neither_created_nor_deleted() {
    assert_snapshot!(planned(json!({
        "phases": {"acme": "active"},
        "wanted": {"acme/new": {"name": "n"}},
        "recorded": {"acme/old": {"name": "o"}},
        "unknown": "it does not answer",
    })), @r#"
        blocked acme/new (TY0403) {"code":"stateUnknown","cause":{"code":"unreadable","message":"it does not answer"}}
        blocked acme/old (TY0403) {"code":"stateUnknown","cause":{"code":"unreadable","message":"it does not answer"}}
    "#);
}

/// Order.
#[test]
fn what_needs_another_comes_after_it_and_ends_before_it() {
    assert_snapshot!(planned(json!({
        "phases": {"acme": "active"},
        "wanted": {"acme/a-role": {"name": "r"}, "acme/b-grant": {"name": "g", "needs": ["acme/a-role"]}},
        "recorded": {"acme/c-old": {"name": "c"}, "acme/d-user": {"name": "d", "needs": ["acme/c-old"]}},
        "there": [{"name": "c", "mark": "acme/c-old"}, {"name": "d", "mark": "acme/d-user"}],
    })), @"
        create acme/a-role (pending, wanted)
        create acme/b-grant (pending, wanted)
        delete acme/d-user (pending, notWanted)
        delete acme/c-old (pending, notWanted)
    ");
}

#[test]
fn what_charges_comes_last_where_a_tenant_grows() {
    assert_snapshot!(planned(json!({
        "wanted": {"acme/a-price": {"kind": "test.bill", "name": "p"}, "acme/b-db": {"name": "d"}},
    })), @"
        create acme/b-db (pending, wanted)
        create acme/a-price (pending, wanted)
    ");
}

/// Dependents.
#[test]
fn what_needs_something_blocked_waits() {
    assert_snapshot!(planned(json!({
        "wanted": {"acme/db": {"name": "a"}, "acme/grant": {"name": "g", "needs": ["acme/db"]}},
        "there": [{"name": "a"}],
    })), @r#"
        blocked acme/db (TY0401) {"code":"notOurs","cause":{"code":"unmarked"}}
        blocked acme/grant (TY0404) {"code":"needsBlocked","needed":"acme/db"}
    "#);
}

/// Guards.
#[test]
fn a_mass_deletion_is_refused() {
    let names: Vec<String> = (0..20).map(|n| format!("n{n:02}")).collect();
    let recorded: serde_json::Map<String, Json> =
        names.iter().map(|name| (format!("acme/{name}"), json!({"name": name}))).collect();
    let there: Vec<Json> = names.iter().map(|name| json!({"name": name, "mark": format!("acme/{name}")})).collect();
    let world = json!({"phases": {"acme": "active"}, "recorded": recorded, "there": there});
    let refused = planned(world);
    assert_snapshot!(refused.lines().filter(|line| line.starts_with("refused")).collect::<Vec<_>>().join("\n"), @"refused (TY0408) the plan deletes 20 resources; the limit is 10");
}

/// Billing.
#[test]
fn what_waits_for_something_shared_is_not_billed_either() {
    assert_snapshot!(planned(json!({
        "wanted": {
            "estate/pool": {"name": "p"},
            "acme/db": {"name": "d", "needs": ["estate/pool"]},
            "acme/plan": {"kind": "test.bill", "name": "b"},
            "acme/seat": {"name": "s", "needs": ["acme/plan"]},
            "bolt/plan": {"kind": "test.bill", "name": "c"},
        },
        "there": [{"name": "p"}],
    })), @r#"
        create bolt/plan (pending, wanted)
        blocked estate/pool (TY0401) {"code":"notOurs","cause":{"code":"unmarked"}}
        blocked acme/db (TY0404) {"code":"needsBlocked","needed":"estate/pool"}
        blocked acme/plan (TY0420) {"code":"notBilled","blocked":"acme/db"}
        blocked acme/seat (TY0404) {"code":"needsBlocked","needed":"acme/plan"}
    "#);
}

#[test]
fn a_tenant_that_shrinks_is_billed_less_first_whatever_is_blocked() {
    assert_snapshot!(planned(json!({
        "phases": {"acme": "suspended"},
        "wanted": {
            "acme/a-role": {"name": "r", "size": 2},
            "acme/b-db": {"name": "d"},
            "acme/plan": {"kind": "test.bill", "name": "b", "paused": true},
            "acme/extra": {"kind": "test.bill", "name": "e"},
        },
        "recorded": {"acme/a-role": {"name": "r", "size": 1}, "acme/plan": {"kind": "test.bill", "name": "b"}},
        "there": [
            {"name": "r", "size": 1, "mark": "acme/a-role"},
            {"name": "d"},
            {"kind": "test.bill", "name": "b", "mark": "acme/plan"},
        ],
    })), @r#"
        update acme/plan (pending, changedInRepository) /paused: none → true
        update acme/a-role (pending, changedInRepository) /size: 1 → 2
        blocked acme/b-db (TY0401) {"code":"notOurs","cause":{"code":"unmarked"}}
        blocked acme/extra (TY0420) {"code":"notBilled","blocked":"acme/b-db"}
    "#);
}

#[test]
fn nothing_is_taken_away_that_is_still_billed() {
    assert_snapshot!(planned(json!({
        "phases": {"acme": "active"},
        "recorded": {"acme/db": {"name": "d"}, "acme/plan": {"kind": "test.bill", "name": "b"}},
        "there": [{"name": "d", "mark": "acme/db"}, {"kind": "test.bill", "name": "b", "mark": "bank:acme/plan"}],
    })), @r#"
        blocked acme/db (TY0404) {"code":"stillBilled","bill":"acme/plan"}
        blocked acme/plan (TY0415) {"code":"unwantedNotOurs","cause":{"code":"ofOtherEstate","scope":"bank"}}
    "#);
}

/// What an interrupted run left.
#[test]
fn what_was_made_and_never_put_on_record_is_ended_once_nobody_asks_for_it() {
    assert_snapshot!(planned(json!({
        "phases": {"acme": "active"},
        "wanted": {"acme/kept": {"kind": "test.note", "name": "k"}},
        "unfinished": {
            "acme/kept": {"kind": "test.note", "name": "k"},
            "acme/note": {"kind": "test.note", "name": "n"},
            "acme/never": {"kind": "test.note", "name": "m"},
            "acme/other": {"kind": "test.note", "name": "o", "size": 1},
            "acme/thing": {"name": "t"},
            "gone/note": {"kind": "test.note", "name": "g"},
        },
        "there": [
            {"kind": "test.note", "name": "k"},
            {"kind": "test.note", "name": "n"},
            {"kind": "test.note", "name": "o", "size": 2},
            {"kind": "test.note", "name": "g"},
            {"name": "t", "mark": "acme/thing"},
        ],
    })), @r#"
        adopt acme/kept (pending, recordMissing)
        delete acme/thing (pending, notWanted)
        delete acme/note (pending, notWanted)
        forget acme/never (pending, gone)
        blocked acme/other (TY0415) {"code":"unwantedNotOurs","cause":{"code":"another"}}
        blocked gone/note (TY0407) {"code":"tenantVanished"}
        refused (TY0407) tenant gone no longer has a document, but 1 resource is left
    "#);
}

#[test]
fn what_is_on_record_itself_does_not_hide_what_it_is_said_to_have_been() {
    assert_snapshot!(planned(json!({
        "wanted": {"acme/a": {"name": "x", "was": ["acme/b"]}},
        "recorded": {"acme/a": {"name": "x"}, "acme/b": {"name": "y"}},
        "there": [{"name": "x", "mark": "acme/a"}, {"name": "y", "mark": "acme/b"}],
    })), @"delete acme/b (pending, notWanted)");
}

#[test]
fn a_default_of_a_field_newly_named_in_an_element_is_nobodys_change() {
    let ports = |ports: Json| json!({"name": "a", "ports": ports});
    let world = |there: Json| {
        json!({
            "wanted": {"acme/db": ports(json!([{"port": 80, "target": 8080}, {"port": 81}]))},
            "recorded": {"acme/db": ports(json!([{"port": 80}, {"port": 81}]))},
            "there": [{"name": "a", "ports": there, "mark": "acme/db"}],
        })
    };
    assert!(planned(world(json!([{"port": 80, "target": 80}, {"port": 81}]))).starts_with("update acme/db (pending,"));
    assert!(planned(world(json!([{"port": 80, "target": 80}, {"port": 99}]))).starts_with("update acme/db (both,"));
    assert!(planned(world(json!([{"port": 80, "target": 80}]))).starts_with("update acme/db (both,"));
}

#[test]
fn records_that_would_be_displaced_move_first() {
    let moves = |world: Json| {
        let plan = plan(&world);
        let moves =
            plan.record_moves.iter().map(|record| format!("{} → {} {}", record.from, record.to, record.identity));
        moves.collect::<Vec<_>>().join(", ")
    };
    let swapped = json!({
        "wanted": {"acme/db": {"name": "b"}, "beta/db": {"name": "a"}},
        "recorded": {"acme/db": {"name": "a"}, "beta/db": {"name": "b"}},
        "there": [{"name": "a", "mark": "acme/db"}, {"name": "b", "mark": "beta/db"}],
    });
    assert_eq!(moves(swapped.clone()), "acme/db → beta/db a, beta/db → acme/db b");
    let mut half = swapped.clone();
    half["selected"] = "beta".into();
    assert_eq!(moves(half), "beta/db → acme/db b, acme/db → beta/db a", "also that of an owner who is not selected");
    let mut renamed = swapped.clone();
    renamed["wanted"] = json!({"acme/other": {"name": "a"}, "beta/db": {"name": "b"}});
    assert_eq!(moves(renamed), "", "nothing is recorded where it goes");
    // What is new comes to an address that hands its resource on.
    let chain = json!({
        "wanted": {"acme/db": {"name": "new"}, "beta/db": {"name": "a"}, "gamma/db": {"name": "b"}},
        "recorded": {"acme/db": {"name": "a"}, "beta/db": {"name": "b"}},
        "there": [{"name": "a", "mark": "acme/db"}, {"name": "b", "mark": "beta/db"}],
    });
    assert_eq!(moves(chain), "acme/db → beta/db a, beta/db → gamma/db b");
    // Where the last one deletes what it had, its record stays.
    let ends = json!({
        "wanted": {"acme/db": {"name": "new"}, "beta/db": {"name": "a"}},
        "recorded": {"acme/db": {"name": "a"}, "beta/db": {"name": "b"}},
        "there": [{"name": "a", "mark": "acme/db"}, {"name": "b", "mark": "beta/db"}],
    });
    assert_eq!(moves(ends), "");
}

#[test]
fn a_mark_follows_its_record() {
    // The records have changed places, and neither mark has.
    let world = json!({
        "wanted": {"acme/db": {"name": "b"}, "beta/db": {"name": "a"}},
        "recorded": {"acme/db": {"name": "b", "mark": "beta/db"}, "beta/db": {"name": "a", "mark": "acme/db"}},
        "there": [{"name": "a", "mark": "acme/db"}, {"name": "b", "mark": "beta/db"}],
    });
    let both = planned(world.clone());
    assert!(both.contains("move acme/db from beta/db") && both.contains("move beta/db from acme/db"), "{both}");
    // The mark of another one than the record came from is a copy, as ever.
    let mut copied = world.clone();
    copied["recorded"]["beta/db"]["mark"] = "gamma/db".into();
    let copied = planned(copied);
    assert!(copied.contains("blocked beta/db") && copied.contains("ofOtherAddress"), "{copied}");
    // What is no longer wanted goes, though its mark names another.
    let mut left = world;
    left["wanted"] = json!({"acme/db": {"name": "b"}, "beta/other": {"name": "c"}});
    let left = planned(left);
    assert!(left.contains("move acme/db from beta/db") && left.contains("delete beta/db"), "{left}");
}

/// A prefix is emptied with everything below it, whoever needs that.
#[test]
fn what_holds_something_that_is_kept_is_not_deleted() {
    let area = |name: &str| json!({"kind": "test.area", "name": name});
    let note = |name: &str| json!({"kind": "test.note", "name": name});
    let mut world = json!({
        "phases": {"acme": "active", "beta": "active"},
        "wanted": {"beta/note": note("t/acme/b")},
        "recorded": {"acme/area": area("t/acme/"), "beta/note": note("t/acme/b"), "acme/note": note("t/acme/a")},
        "there": [area("t/acme/"), note("t/acme/b"), note("t/acme/a")],
        "approved": ["acme/area"],
    });
    assert_snapshot!(planned(world.clone()), @r#"
        delete acme/note (pending, notWanted)
        blocked acme/area (TY0404) {"code":"holdsKept","kept":"beta/note"}
    "#);
    // Nothing below it is kept: what goes with it goes by itself too.
    world["wanted"] = json!({});
    world["phases"] = json!({"acme": "active", "beta": "active"});
    assert_snapshot!(planned(world.clone()), @"
        delete beta/note (pending, notWanted)
        delete acme/note (pending, notWanted)
        delete acme/area (pending, notWanted)
    ");
    // A tenant that moves below its own place would lose everything that it has there.
    world["wanted"] = json!({"acme/area": area("t/acme/new/")});
    assert_snapshot!(planned(world.clone()), @r#"
        delete beta/note (pending, notWanted)
        delete acme/note (pending, notWanted)
        blocked acme/area (TY0404) {"code":"holdsKept","kept":"acme/area"}
    "#);
    // Beside it, it may.
    world["wanted"] = json!({"acme/area": area("t/acme-new/")});
    assert_snapshot!(planned(world), @r#"
        replace acme/area (pending, identityChanged) /name: "t/acme/" → "t/acme-new/"
        delete beta/note (pending, notWanted)
        delete acme/note (pending, notWanted)
    "#);
}

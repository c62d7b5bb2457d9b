//! What is drift and what is not: each cause, rules, and the digest by which people are told once.

use insta::assert_snapshot;
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::{Drift, of};
use crate::fixture::plan;
use crate::model::config::IgnoreRule;
use crate::plan::Plan;

/// A resource of each cause, and one that is as desired.
fn world() -> Json {
    json!({
        "wanted": {
            "acme/as-wanted": {"name": "w", "size": 1},
            "acme/both": {"name": "a", "size": 3, "tags": {"t": "1"}},
            "acme/commit": {"name": "b", "size": 2},
            "acme/drift": {"name": "c", "size": 1, "tags": {"t": "1"}},
            "acme/gone": {"name": "d"},
            "acme/killed": {"name": "e", "size": 1},
            "acme/new": {"name": "n"},
        },
        "recorded": {
            "acme/as-wanted": {"name": "w", "size": 1},
            "acme/both": {"name": "a", "size": 1, "tags": {"t": "1"}},
            "acme/commit": {"name": "b", "size": 1},
            "acme/drift": {"name": "c", "size": 1, "tags": {"t": "1"}},
            "acme/gone": {"name": "d"},
            "acme/killed": {"name": "e", "size": 1},
        },
        "there": [
            {"name": "w", "size": 1, "mark": "acme/as-wanted"},
            {"name": "a", "size": 1, "tags": {"t": "2"}, "mark": "acme/both"},
            {"name": "b", "size": 1, "mark": "acme/commit"},
            {"name": "c", "size": 9, "tags": {"t": "2"}, "mark": "acme/drift"},
            {"name": "e", "size": 7, "mark": "acme/killed"},
        ],
        "begun": ["acme/killed"],
    })
}

fn rule(json: Json) -> IgnoreRule {
    let mut rule = json!({"owner": "sre", "reason": "an incident", "expires": "2026-12-31"});
    rule.as_object_mut().expect("an object").extend(json.as_object().expect("an object").clone());
    serde_json::from_value(rule).expect("a rule")
}

fn day(text: &str) -> Timestamp {
    format!("{text}T12:00:00Z").parse().expect("a time")
}

fn lines(drift: &Drift<'_>) -> String {
    let mut lines = Vec::new();
    for entry in &drift.drifted {
        let fields: Vec<&str> = entry.fields.iter().map(|field| &*field.path).collect();
        lines.push(format!("{:?} {} {}", entry.state, entry.change.address, fields.join(" ")));
    }
    for entry in &drift.ignored {
        let fields: Vec<&str> = entry.fields.iter().map(|field| &*field.path).collect();
        lines.push(format!("ignored {} {}", entry.change.address, fields.join(" ")));
    }
    let mut add = |word: &str, addresses: Vec<String>| {
        lines.extend(addresses.into_iter().map(|address| format!("{word} {address}")));
    };
    add("pending", drift.pending.iter().map(|change| change.address.to_string()).collect());
    add("unfinished", drift.unfinished.iter().map(|change| change.address.to_string()).collect());
    add("unknown", drift.unknown.iter().map(|blocked| blocked.address.to_string()).collect());
    lines.push(format!("{} unchanged", drift.plan.unchanged));
    lines.join("\n")
}

fn found(plan: &Plan, rules: &[IgnoreRule]) -> String {
    lines(&of(plan, rules, day("2026-12-01")))
}

#[test]
fn what_is_as_wanted_is_no_drift() {
    let plan = plan(&json!({
        "wanted": {"acme/db": {"name": "a"}},
        "recorded": {"acme/db": {"name": "a"}},
        "there": [{"name": "a", "mark": "acme/db"}],
    }));
    let drift = of(&plan, &[], day("2026-12-01"));
    assert_snapshot!(lines(&drift), @"1 unchanged");
    assert_eq!(drift.digest(), None);
}

#[test]
fn each_cause_is_told_apart() {
    assert_snapshot!(found(&plan(&world()), &[]), @"
        Changed acme/both /tags/t
        Changed acme/drift /size /tags/t
        Deleted acme/gone 
        pending acme/both
        pending acme/commit
        pending acme/new
        unfinished acme/killed
        1 unchanged
    ");
}

#[test]
fn what_could_not_be_read_is_unknown_and_no_drift() {
    let mut world = world();
    world["unknown"] = "the server is away".into();
    world["begun"] = json!([]);
    let plan = plan(&world);
    let drift = of(&plan, &[], day("2026-12-01"));
    assert!(drift.drifted.is_empty() && drift.unknown.len() == 7, "{}", lines(&drift));
}

#[test]
fn a_rule_leaves_out_its_field_of_its_resources_until_it_expires() {
    let plan = plan(&world());
    let size = [rule(json!({"field": "size", "address": "acme/d*"}))];
    assert_snapshot!(found(&plan, &size).lines().take(4).collect::<Vec<_>>().join("\n"), @"
        Changed acme/both /tags/t
        Changed acme/drift /tags/t
        Deleted acme/gone 
        ignored acme/drift /size
    ");
    // What is below the field is included, and nothing whose name only begins alike.
    let all = [rule(json!({"field": "size"})), rule(json!({"field": "tags", "kind": "test.thing"}))];
    assert!(found(&plan, &all).starts_with("Deleted acme/gone"), "{}", found(&plan, &all));
    for other in [json!({"field": "tag"}), json!({"field": "tags.t.x"}), json!({"field": "tags", "kind": "test.note"})]
    {
        assert!(found(&plan, &[rule(other.clone())]).starts_with("Changed acme/both /tags/t"), "{other}");
    }
    let drift = |at: &str| lines(&of(&plan, &size, day(at)));
    assert!(drift("2026-12-31").contains("ignored acme/drift"), "the last day counts");
    assert!(!drift("2027-01-01").contains("ignored"), "the rule has expired");
    assert_eq!(of(&plan, &size, day("2027-01-01")).expired.len(), 1);
}

#[test]
fn another_set_or_another_value_has_another_digest() {
    let digest = |change: &dyn Fn(&mut Json)| {
        let mut world = world();
        change(&mut world);
        let plan = plan(&world);
        of(&plan, &[], day("2026-12-01")).digest().expect("drift")
    };
    let before = digest(&|_| {});
    assert_eq!(
        digest(&|world| world["wanted"]["acme/other"] = json!({"name": "x"})),
        before,
        "what is pending is none"
    );
    assert_ne!(digest(&|world| world["there"][3]["size"] = 8.into()), before);
    assert_ne!(digest(&|world| world["there"][0]["size"] = 2.into()), before);
    assert_ne!(digest(&|world| drop(world["there"].as_array_mut().expect("a list").remove(3))), before);
}

//! The end of a trial.

use super::Life;

fn ends_with(what: &str) -> Life {
    let life = Life::new();
    life.estate.edit("tenants/tiers.yaml", "  rank: 1\n", &format!("  rank: 1\n  onTrialEnd: {what}\n"));
    life.asks("trial", "");
    life.must_apply("2027-01-01");
    life
}

/// Messages of findings about the trial.
fn told(life: &Life, day: &str) -> String {
    let plan = life.plan(day);
    let findings = plan["findings"].as_array().expect("findings").iter();
    let about = findings.filter(|finding| finding["code"] == "TY0430");
    about.map(|finding| finding["message"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>().join("; ")
}

#[test]
fn it_is_told_before_and_after_it() {
    let life = ends_with("nothing");
    assert_eq!(told(&life, "2027-01-10"), "");
    assert_eq!(told(&life, "2027-01-13"), "the trial of tenant acme ends at 2027-01-15T12:00:00Z");
    assert_eq!(told(&life, "2027-01-16"), "the trial of tenant acme ended at 2027-01-15T12:00:00Z");
    assert_eq!(life.planned("2027-01-16"), "", "nothing follows from it");
    // A date of its own counts to its end.
    life.asks("trial", ", trialEnds: 2027-01-20");
    assert_eq!(told(&life, "2027-01-16"), "");
    assert_eq!(life.listed("2027-01-16")["trialEnds"], "2027-01-21T00:00:00Z");
    life.asks("active", "");
    life.must_apply("2027-01-16");
    assert_eq!(told(&life, "2027-02-16"), "");
}

#[test]
fn a_tier_may_suspend_whose_trial_is_over() {
    let life = ends_with("suspend");
    assert_eq!(life.planned("2027-01-15T11:59:59Z"), "");
    let text = life.must_apply("2027-01-15");
    assert!(text.contains("trial → suspended, its trial ended, loses access"), "{text}");
    assert_eq!(life.planned("2027-03-01"), "", "and it stays so");
    let tenant = life.listed("2027-03-01");
    assert_eq!((&tenant["state"], &tenant["phase"]), (&"suspended".into(), &"suspended".into()));
    assert!(told(&life, "2027-03-01").ends_with("so the tenant is suspended"), "{}", told(&life, "2027-03-01"));
    // Another rule of the tier changes nothing for those whose trial is over.
    life.estate.edit("tenants/tiers.yaml", "onTrialEnd: suspend", "onTrialEnd: convert");
    assert_eq!(life.planned("2027-03-01"), "");
    // A longer trial comes too late; who pays is let in.
    life.asks("trial", ", trialEnds: 2027-06-01");
    assert!(life.refused("2027-03-01").contains("cannot go from phase `suspended` to `trial`"));
    life.asks("active", "");
    let text = life.must_apply("2027-03-01");
    assert!(text.contains("suspended → active, has access again"), "{text}");
}

#[test]
fn a_tier_may_make_active_whose_trial_is_over() {
    let life = ends_with("convert");
    let text = life.must_apply("2027-01-16");
    assert!(text.contains("trial → active, its trial ended"), "{text}");
    assert_eq!(life.planned("2027-03-01"), "");
    assert!(told(&life, "2027-03-01").ends_with("so the tenant is active and pays"));
    life.asks("active", "");
    assert_eq!(life.planned("2027-03-01"), "", "the document only says what is so");
    // Who pays is not suspended because somebody writes `trial`.
    life.estate.edit("tenants/tiers.yaml", "onTrialEnd: convert", "onTrialEnd: suspend");
    life.asks("trial", "");
    assert_eq!(life.planned("2027-03-01"), "");
}

#[test]
fn a_trial_that_nobody_had_ends_nothing() {
    let life = Life::new();
    life.estate.edit("tenants/tiers.yaml", "  rank: 1\n", "  rank: 1\n  onTrialEnd: suspend\n");
    life.asks("active", "");
    life.must_apply("2027-01-01");
    life.asks("trial", ", trialEnds: 2026-12-01");
    assert!(life.refused("2027-01-02").contains("cannot go from phase `active` to `trial`"));
}

//! What stays of a tenant that leaves, until when, and what nothing lifts.

use secrecy::ExposeSecret as _;

use super::{ALLOWS, Life};

const REQUEST: &str =
    ", deletion: {requestedBy: Ada, reason: the contract ended, legalReference: C-17, retentionDays: 60}";

/// A tenant that leaves since the first of February, with a retention of 60 days.
fn leaving() -> Life {
    let life = Life::new();
    life.asks("active", "");
    life.must_apply("2027-01-01");
    life.asks("deleting", REQUEST);
    let text = life.must_apply("2027-02-01");
    assert!(
        text.contains("leaves: active → deleting, reason: the contract ended (C-17), requested by Ada, loses access"),
        "{text}"
    );
    assert!(
        text.contains("\nData is kept: acme (60 days from this apply on, 1 resource is no longer asked for)\n"),
        "{text}"
    );
    life
}

#[test]
fn access_ends_at_once_and_data_stays() {
    let life = leaving();
    let tenant = life.listed("2027-02-02");
    assert_eq!((&tenant["state"], &tenant["deletionDue"]), (&"deleting".into(), &"2027-04-02T12:00:00Z".into()));
    assert_eq!(tenant["resources"], 3, "the schema is no longer asked for, and is kept");
    assert_eq!(life.planned("2027-02-02"), "");
    let plan = life.plan("2027-02-02");
    assert_eq!(plan["retained"][0]["due"], "2027-04-02T12:00:00Z");
    assert_eq!(plan["retained"][0]["resources"][0], "acme/schema");
    assert_eq!(plan["blocked"], serde_json::json!([]), "it is as it should be");
    let show = life.estate.stdout(&["show", "acme", "--now", "2027-02-02T12:00:00Z"]);
    assert!(show.contains("deletesAfter: 2027-04-02T12:00:00Z") && show.contains("state: deleting"), "{show}");
    // An Approval of today does not shorten it, and that the days are over deletes nothing.
    life.estate.write("policies/offboarding.yaml", ALLOWS);
    assert_eq!(life.planned("2027-02-02"), "");
    assert_eq!(life.planned("2027-06-02"), "");
    let text = life.must_apply("2027-06-02");
    assert!(text.contains("Data is kept: acme (it may be deleted since 2027-04-02 12:00 UTC, 1 resource"), "{text}");
}

#[test]
fn nothing_is_deleted_a_day_before_it_is_due_and_all_of_it_a_day_after() {
    let life = leaving();
    life.allow_deletions();
    life.asks("deleted", REQUEST);
    let text = life.refused("2027-04-01");
    assert!(
        text.contains("tenant acme cannot be deleted before 2027-04-02T12:00:00Z: its data is kept for 60 days"),
        "{text}"
    );
    assert!(text.contains("no Approval shortens the retention"), "{text}");
    let text = life.must_apply("2027-04-03");
    assert!(text.contains("gone for good: deleting → deleted"), "{text}");
    let tenant = life.listed("2027-04-03");
    assert_eq!((&tenant["state"], &tenant["resources"]), (&"deleted".into(), &0.into()));
    // Without an Approval, data is not deleted by a document alone.
    let life = leaving();
    life.asks("deleted", REQUEST);
    assert!(life.refused("2027-04-03").contains("TY0405"));
}

#[test]
fn a_legal_hold_wins_over_the_date_and_over_approvals() {
    let life = leaving();
    life.allow_deletions();
    let held = format!("{REQUEST}, legalHold: {{reason: case 4711, until: 2027-08-31}}");
    life.asks("deleted", &held);
    let text = life.refused("2027-05-01");
    assert!(
        text.contains("tenant acme cannot be deleted: it is under a legal hold until 2027-08-31: case 4711"),
        "{text}"
    );
    life.asks("deleting", &held);
    assert_eq!(life.planned("2027-05-01"), "");
    assert_eq!(life.listed("2027-05-01")["waitsFor"]["for"], "legalHold");
    let text = life.must_apply("2027-05-01");
    assert!(text.contains("Under a legal hold: acme (until 2027-08-31: case 4711)"), "{text}");
    life.asks("deleted", &held);
    assert!(life.refused("2027-08-31").contains("legal hold"));
    life.must_apply("2027-09-01");
}

#[test]
fn a_legal_hold_keeps_the_data_of_a_tenant_that_stays() {
    let life = Life::new();
    life.asks("active", "");
    life.must_apply("2027-01-01");
    life.allow_deletions();
    life.estate.edit("tenants/blueprints.yaml", "${tenant.phase != 'deleting'}", "${false}");
    assert_eq!(life.planned("2027-01-02"), "delete acme/schema");
    life.asks("active", ", legalHold: {reason: case 4711}");
    let output = life.apply("2027-01-02");
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("its tenant is under a legal hold, and its data stays"), "{text}");
    life.asks("active", "");
    life.must_apply("2027-01-02");
}

#[test]
fn who_comes_back_in_time_has_access_again_and_nobody_afterwards() {
    let life = leaving();
    life.asks("active", "");
    // Within the days that it was to be kept when it left.
    let text = life.must_apply("2027-03-20");
    assert!(text.contains("deleting → active, has access again"), "{text}");
    assert_eq!(life.planned("2027-05-01"), "");
    let life = leaving();
    life.asks("deleting", &REQUEST.replace("60", "75"));
    let text = life.must_apply("2027-02-02");
    assert!(text.contains("acme  its data is kept for 75 days"), "{text}");
    life.asks("active", "");
    life.must_apply("2027-04-10");
    let life = leaving();
    life.asks("active", "");
    let text = life.refused("2027-04-03");
    assert!(text.contains("tenant acme cannot come back: the retention of its data ended on"), "{text}");
}

#[test]
fn an_estate_may_delete_by_itself_when_the_time_has_come() {
    let life = leaving();
    life.asks_for("globex", "active", "");
    life.must_apply("2027-02-02");
    life.asks_for("globex", "deleting", "");
    life.must_apply("2027-02-02");
    let config = "[estate]\nname = \"shop\"\n\n[offboarding]\nautomatic = true\nmax_tenants = 1\n\n[targets.main]\nprovider = \"postgres\"\nsandbox = true\n";
    life.estate.write("tenantry.toml", config);
    assert_eq!(life.planned("2027-03-04T11:59:59Z"), "", "globex is due at noon");
    let text = life.must_apply("2027-03-05");
    assert!(text.contains("globex  gone for good: deleting → deleted, its data was kept long enough"), "{text}");
    assert!(!text.contains("acme  gone"), "{text}");
    assert_eq!(life.planned("2027-04-01"), "");
    life.must_apply("2027-04-03");
    assert_eq!(life.listed("2027-04-03")["state"], "deleted", "acme is gone too");
    assert_eq!(life.planned("2027-04-04"), "");
}

#[test]
fn those_that_are_due_at_once_take_turns() {
    let life = Life::new();
    for tenant in ["ant", "bee", "cat"] {
        life.asks_for(tenant, "active", "");
    }
    life.must_apply("2027-01-01");
    for (tenant, day) in [("cat", "2027-01-02"), ("ant", "2027-01-03"), ("bee", "2027-01-04")] {
        life.asks_for(tenant, "deleting", "");
        life.must_apply(day);
    }
    let config = "[estate]\nname = \"shop\"\n\n[offboarding]\nautomatic = true\nmax_tenants = 2\n\n[targets.main]\nprovider = \"postgres\"\nsandbox = true\n";
    life.estate.write("tenantry.toml", config);
    let gone = |text: &str| ["ant", "bee", "cat"].map(|tenant| text.contains(&format!("{tenant}/")));
    assert_eq!(gone(&life.planned("2027-06-01")), [true, false, true], "those that have waited longest");
    life.must_apply("2027-06-01");
    assert_eq!(gone(&life.planned("2027-06-02")), [false, true, false]);
}

#[test]
fn what_is_said_of_another_phase_and_a_retention_out_of_bounds_are_errors() {
    let life = Life::new();
    let said = |phase: &str, more: &str| {
        life.asks(phase, more);
        let output = life.estate.run(&["validate"]);
        assert_eq!(output.status.code(), Some(1), "{more}: {output:?}");
        String::from_utf8(output.stderr).expect("text")
    };
    let text = said("active", ", suspension: {reason: unpaid}");
    assert!(text.contains("tenant `acme` has `suspension`, but its phase is `active`"), "{text}");
    let text = said("active", ", trialEnds: 2027-01-01");
    assert!(text.contains("remove `trialEnds`, or write `phase: trial`"), "{text}");
    let text = said("active", REQUEST);
    assert!(text.contains("tenant `acme` has `deletion`, but its phase is `active`"), "{text}");
    let text = said("deleting", ", deletion: {requestedBy: Ada, reason: over, retentionDays: 7}");
    assert!(text.contains("TY0213") && text.contains("30 to 90 are allowed"), "{text}");
    let text = said("deleting", ", deletion: {requestedBy: Ada, reason: over, retentionDays: 91}");
    assert!(text.contains("TY0213") && text.contains("tenants/acme.yaml:4"), "{text}");
    let text = said("trial", ", trialEnds: soon");
    assert!(text.contains("`soon` is not a date or a time"), "{text}");
    let text = said("active", ", legalHold: {reason: case, until: later}");
    assert!(text.contains("`later` is not a date or a time"), "{text}");
    life.estate.edit("tenantry.toml", "[targets.main]", "[offboarding]\nmin_retention_days = 7\n\n[targets.main]");
    life.asks("deleting", ", deletion: {requestedBy: Ada, reason: over, retentionDays: 7}");
    assert!(life.estate.run(&["validate"]).status.success(), "the estate may widen the bounds");
}

/// What is due on a later day is not done today, where it is more than a rehearsal.
#[test]
fn only_the_sandbox_goes_ahead_of_the_clock() {
    let life = Life::new();
    let config = "[estate]\nname = \"shop\"\n\n[secrets]\nidentity = \"file:identity\"\n\n[targets.files]\nprovider = \"kubernetes\"\ndirectory = \"deploy\"\n";
    life.estate.write("tenantry.toml", config);
    life.estate.write("identity", tenantry_secret::new_identity().0.expose_secret());
    life.estate.write(
        "tenants/blueprints.yaml",
        "apiVersion: tenantry.dev/v1\nkind: Blueprint\nmetadata: {name: base}\nspec:\n  scope: tenant\n  resources:\n    - id: space\n      \
         kind: kubernetes.object\n      spec: {apiVersion: v1, kind: Namespace, metadata: {name: \"${tenant.name}\"}}\n",
    );
    life.asks("active", "");
    for arguments in
        [&["plan", "--out", "later.plan", "--now", "2990-01-01T00:00:00Z"][..], &["plan", "--out", "now.plan"]]
    {
        assert!(life.estate.run(arguments).status.success());
    }
    for arguments in [&["apply", "--auto-approve", "--now", "2990-01-01T00:00:00Z"][..], &["apply", "later.plan"]] {
        let refused = life.estate.run(arguments);
        assert_eq!(refused.status.code(), Some(3), "{refused:?}");
        let text = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(text.contains("the plan was made for 2990-01-01T00:00:00Z, which is later than now"), "{text}");
        assert!(!life.estate.path().join("deploy").exists());
    }
    assert!(life.estate.run(&["apply", "now.plan"]).status.success());
    assert!(life.estate.path().join("deploy").exists());
}

#[test]
fn what_stays_of_a_tenant_is_told_without_anything_personal() {
    let life = leaving();
    life.allow_deletions();
    life.asks("deleted", REQUEST);
    life.must_apply("2027-04-03");
    for document in [true, false] {
        if !document {
            life.estate.remove("tenants/acme.yaml");
        }
        let text = life.estate.stdout(&["show", "acme"]);
        assert!(text.starts_with("acme\n  state: deleted\n  provisioned: "), "{text}");
        assert!(
            text.contains("\n  left: 2027-02-01 12:00 UTC, applied by ")
                && text.contains("deleted: 2027-04-03 12:00 UTC"),
            "{text}"
        );
        assert!(text.contains("\n  3 resources deleted since it left\n"), "{text}");
        assert!(!text.contains("Ada"), "{text}");
    }
    let json: serde_json::Value =
        serde_json::from_str(&life.estate.stdout(&["show", "acme", "--format", "json"])).expect("JSON");
    assert_eq!((&json["state"], &json["resources"]), (&"deleted".into(), &3.into()));
    // Nor does the record of it have who asked.
    assert!(!life.estate.stdout(&["history", "acme", "--format", "json"]).contains("Ada"));
}

/// A plan that was made before somebody came back deletes nothing of theirs.
#[test]
fn a_saved_deletion_is_stale_once_the_tenant_has_come_back() {
    let life = leaving();
    life.allow_deletions();
    life.asks("deleted", REQUEST);
    let saved = life.estate.run(&["plan", "--out", "deletion.plan", "--now", "2027-04-03T12:00:00Z"]);
    assert!(saved.status.success(), "{saved:?}");
    // Within the retention, as far as this run knows.
    life.asks("active", "");
    life.must_apply("2027-03-20");
    let output = life.estate.run(&["apply", "deletion.plan", "--now", "2027-04-03T12:00:00Z"]);
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("acme/schema: stale: its tenant has entered another phase since the plan was made; plan again"),
        "{text}"
    );
    let tenant = life.listed("2027-04-04");
    assert_eq!((&tenant["state"], &tenant["resources"]), (&"active".into(), &3.into()));
    assert_eq!(life.planned("2027-04-04"), "");
}

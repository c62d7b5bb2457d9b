//! Every phase after every other.

use std::fs;
use std::path::Path;

use super::Life;

const PHASES: [&str; 5] = ["trial", "active", "suspended", "deleting", "deleted"];

fn copied(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("a folder").flatten() {
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            fs::create_dir_all(&target).expect("a folder");
            copied(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a file");
        }
    }
}

/// A tenant that is in a phase since the first of January, for all but `deleted`, which it is since the fifth of March.
fn in_phase(phase: &str) -> Life {
    let life = Life::new();
    life.allow_deletions();
    if matches!(phase, "deleting" | "deleted") {
        life.asks("active", "");
        life.must_apply("2027-01-01T10:00:00Z");
        life.asks("deleting", "");
        life.must_apply("2027-01-01");
    }
    match phase {
        "deleting" => {}
        "deleted" => {
            life.asks("deleted", "");
            life.must_apply("2027-03-05");
        }
        _ => {
            life.asks(phase, "");
            life.must_apply("2027-01-01");
        }
    }
    life
}

#[test]
fn every_phase_after_every_other_is_as_the_table_says() {
    let mut allowed = Vec::new();
    for from in ["none"].into_iter().chain(PHASES) {
        let before = if from == "none" { Life::new() } else { in_phase(from) };
        for to in PHASES {
            let life = Life::new();
            copied(before.estate.path(), life.estate.path());
            life.allow_deletions();
            life.asks(to, "");
            // After the retention of one that is deleted, within that of one that comes back.
            let day = if to == "deleted" { "2027-04-10" } else { "2027-01-20" };
            let output = life.apply(day);
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            match output.status.code() {
                Some(0) => allowed.push(format!("{from}→{to}")),
                Some(3) => assert!(text.contains("TY0410") || text.contains("TY0433"), "{from}→{to}: {text}"),
                _ => panic!("{from}→{to}: {output:?}"),
            }
            // Whatever was refused has changed nothing, so that the tenant can go on from where it was.
            if output.status.code() == Some(3) && from != "none" {
                life.asks(from, "");
                assert_eq!(life.planned("2027-01-20"), "", "{from}→{to}");
            }
        }
    }
    // A tenant that was never applied needs nothing to be gone, and one that is gone no longer leaves.
    assert_eq!(
        allowed.join(" "),
        "none→trial none→active none→suspended none→deleted trial→trial trial→active trial→suspended trial→deleting \
         active→active active→suspended active→deleting suspended→active suspended→suspended suspended→deleting \
         deleting→active deleting→deleting deleting→deleted deleted→deleting deleted→deleted"
    );
}

#[test]
fn since_when_a_tenant_is_in_its_phase_stays_as_it_was_planned() {
    let life = Life::new();
    life.asks("active", "");
    life.must_apply("2027-01-01");
    assert_eq!(life.planned("2027-02-01"), "");
    assert_eq!(life.listed("2027-02-01")["phaseSince"], "2027-01-01T12:00:00Z");
    // Another price is another record, and no other phase.
    life.estate.edit("tenants/tiers.yaml", "49.00", "59.00");
    life.must_apply("2027-02-01");
    assert_eq!(life.listed("2027-02-02")["phaseSince"], "2027-01-01T12:00:00Z");
    life.asks("suspended", ", suspension: {reason: unpaid}");
    let text = life.must_apply("2027-02-03");
    assert!(text.contains("active → suspended, reason: unpaid, loses access"), "{text}");
    assert_eq!(life.planned("2027-02-04"), "");
    assert_eq!(life.listed("2027-02-04")["phaseSince"], "2027-02-03T12:00:00Z");
}

#[test]
fn ways_between_phases_and_tiers_have_names_and_say_what_they_wait_for() {
    let life = Life::new();
    let tiers =
        "---\napiVersion: tenantry.dev/v1\nkind: Tier\nmetadata: {name: large}\nspec: {rank: 2, blueprints: [base]}\n";
    life.estate.write("tenants/more.yaml", tiers.trim_start_matches("---\n"));
    let state = |day: &str| {
        let tenant = life.listed(day);
        format!(
            "{} {}",
            tenant["state"].as_str().unwrap_or_default(),
            tenant["waitsFor"]["for"].as_str().unwrap_or_default()
        )
    };
    let on = |tier: &str| life.estate.edit("tenants/acme.yaml", "tier: small", &format!("tier: {tier}"));
    life.asks("trial", "");
    assert_eq!(state("2027-01-01"), "provisioning apply");
    life.must_apply("2027-01-01");
    assert_eq!(state("2027-01-02"), "trial trialEnd");
    life.asks("active", "");
    life.must_apply("2027-01-02");
    assert_eq!(state("2027-01-03"), "active ");
    on("large");
    assert_eq!(state("2027-01-03"), "upgrading apply");
    life.must_apply("2027-01-03");
    assert_eq!(state("2027-01-04"), "active ");
    life.asks("active", "");
    assert_eq!(state("2027-01-04"), "downgrading apply");
    life.must_apply("2027-01-04");
    life.asks("suspended", "");
    assert_eq!(state("2027-01-05"), "suspending apply");
    life.must_apply("2027-01-05");
    assert_eq!(state("2027-01-06"), "suspended ");
    life.asks("active", "");
    assert_eq!(state("2027-01-06"), "reactivating apply");
    life.must_apply("2027-01-06");
    life.asks("deleting", "");
    assert_eq!(state("2027-01-07"), "deleting apply");
    life.must_apply("2027-01-07");
    assert_eq!(state("2027-01-08"), "deleting retention");
    assert_eq!(state("2027-02-07"), "deleting deletion");
    life.allow_deletions();
    life.asks("deleted", "");
    assert_eq!(state("2027-02-07"), "erasing apply");
    life.must_apply("2027-02-07");
    assert_eq!(state("2027-02-08"), "deleted ");
}

#[test]
fn a_name_is_used_again_only_by_somebody_who_says_so() {
    let life = in_phase("deleted");
    life.asks("active", "");
    let text = life.refused("2027-04-01");
    assert!(text.contains("a tenant called acme was deleted") && text.contains("`reuseName: true`"), "{text}");
    life.asks("active", ", reuseName: true");
    let text = life.must_apply("2027-04-01");
    assert!(text.contains("\nNew: acme\n"), "{text}");
    let tenant = life.listed("2027-04-02");
    assert_eq!((&tenant["state"], &tenant["phaseSince"]), (&"active".into(), &"2027-04-01T12:00:00Z".into()));
    assert_eq!(life.planned("2027-04-02"), "");
    // It says nothing once the name is the new one's.
    life.asks("active", "");
    assert_eq!(life.planned("2027-04-02"), "");
}

//! `history` by run, and failures for programs.

use serde_json::{Value as Json, json};

use crate::review::Estate;

const APPROVAL: &str = "apiVersion: tenantry.dev/v1\nkind: Approval\nmetadata: {name: reports-end}\nspec:\n  reason: agreed\n  \
    expires: \"2100-01-01\"\n  allow: [delete]\n  addresses: [\"dog/reports\"]\n";

#[test]
fn runs_are_told_with_who_what_and_which_approval() {
    let estate = Estate::new();
    estate.apply();
    estate.edit("tenants/dog.yaml", "tier: large", "tier: small");
    estate.write("tenants/approvals.yaml", APPROVAL);
    estate.apply();
    let text = estate.stdout(&["history", "--runs"]);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("RUN  BEGUN"), "{text}");
    let words = |line: &str| {
        line.split("  ").map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    let (second, first) = (words(lines[1]), words(lines[2]));
    assert_eq!((second[0].as_str(), first[0].as_str()), ("2", "1"), "{text}");
    assert_eq!(first[3..7], ["apply", "done", "10 steps of 5 owners", "tester@example"], "{text}");
    assert_eq!(second.last().map(String::as_str), Some("reports-end"), "{text}");
    assert!(first[2].ends_with('s'), "how long it took: {text}");

    let runs: Json =
        serde_json::from_str(&estate.stdout(&["history", "--runs", "-n", "1", "--format", "json"])).expect("JSON");
    assert_eq!((runs.as_array().map(Vec::len), &runs[0]["outcome"]), (Some(1), &json!("done")));
    assert_eq!(runs[0]["approvals"], json!(["reports-end"]));
    assert_eq!(estate.run(&["history", "--runs", "--run", "1"]).status.code(), Some(64));
}

#[test]
fn a_program_gets_a_failure_as_the_last_line() {
    let estate = Estate::new();
    estate.tenant("ant", "huge", "ant");
    for command in
        [&["plan"][..], &["apply", "--auto-approve"], &["drift"], &["list", "--tier", "none"], &["explain", "x/y"]]
    {
        let output = estate.run(&[command, &["--format", "json"]].concat());
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let last = text.lines().last().unwrap_or_else(|| panic!("{command:?} says nothing"));
        let error = &serde_json::from_str::<Json>(last).expect("JSON")["error"];
        assert_eq!(error["exitCode"].as_i64(), output.status.code().map(i64::from), "{command:?}: {text}");
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{command:?}: {text}");
    }
    let output = estate.run(&["plan", "--format", "json"]);
    let error = &serde_json::from_slice::<Json>(&output.stdout).expect("JSON")["error"];
    assert_eq!((&error["diagnostics"][0]["code"], &error["diagnostics"][0]["line"]), (&json!("TY0201"), &json!(4)));
    assert!(!output.stderr.is_empty(), "people are told as always");
}

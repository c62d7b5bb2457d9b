//! Problems and findings in the formats of the tools that show them beside the line.

use std::process::Output;

use serde_json::{Value as Json, json};

use super::Estate;
use crate::command::tenantry;

fn broken() -> Estate {
    let estate = Estate::new();
    estate.tenant("eel", "huge", "eel");
    estate
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text is UTF-8")
}

#[test]
fn a_workflow_annotates_the_line_of_a_problem() {
    let estate = broken();
    let output = estate.run(&["validate", "--format", "github"]);
    assert_eq!(output.status.code(), Some(1));
    let lines = text(&output.stdout);
    let line = lines.lines().next().expect("an annotation");
    assert!(line.starts_with("::error file=tenants/eel.yaml,line=4,endLine=4,col="), "{lines}");
    assert!(line.contains("title=Tenantry TY0201::") && line.contains("`huge`") && line.contains("Help: "), "{lines}");

    // A runner starts in the checkout, of which the estate may be a folder.
    let (parent, folder) = (estate.path().parent().expect("a parent"), estate.path().file_name().expect("a name"));
    let Output { stdout, .. } = tenantry(parent)
        .args(["-C", folder.to_str().expect("a name"), "validate", "--format", "github"])
        .output()
        .expect("the command runs");
    let there = format!("::error file={}/tenants/eel.yaml,", folder.display());
    assert!(text(&stdout).starts_with(&there), "{}", text(&stdout));

    let valid = Estate::new().run(&["validate", "--format", "github"]);
    assert_eq!((valid.status.code(), text(&valid.stdout).as_str()), (Some(0), ""));
}

#[test]
fn code_scanning_gets_rules_and_regions() {
    let output = broken().run(&["validate", "--format", "sarif"]);
    assert_eq!(output.status.code(), Some(1));
    let log: Json = serde_json::from_slice(&output.stdout).expect("JSON");
    let run = &log["runs"][0];
    assert_eq!((&log["version"], &run["tool"]["driver"]["name"]), (&json!("2.1.0"), &json!("Tenantry")));
    let result = &run["results"][0];
    assert_eq!((&result["ruleId"], &result["level"]), (&json!("TY0201"), &json!("error")));
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "tenants/eel.yaml");
    assert_eq!(place["region"]["startLine"], 4);
    let none: Json =
        serde_json::from_slice(&Estate::new().run(&["validate", "--format", "sarif"]).stdout).expect("JSON");
    assert_eq!(none["runs"][0]["results"], json!([]));
}

#[test]
fn a_test_report_has_a_case_for_each_file() {
    let output = broken().run(&["validate", "--format", "junit"]);
    assert_eq!(output.status.code(), Some(1));
    let xml = text(&output.stdout);
    assert!(xml.contains("tests=\"8\" failures=\"1\" errors=\"0\""), "{xml}");
    assert!(xml.contains("<testcase classname=\"tenantry\" name=\"tenants/ant.yaml\"/>"), "{xml}");
    assert!(xml.contains("name=\"tenants/eel.yaml\">\n      <failure message=\"not valid\">4: TY0201: "), "{xml}");
}

#[test]
fn a_plan_annotates_what_it_destroys_and_what_is_refused() {
    let estate = Estate::new();
    estate.apply();
    // Deleting a schema needs an Approval.
    estate.edit("tenants/dog.yaml", "tier: large", "tier: small");
    let output = estate.run(&["plan", "--format", "github"]);
    assert_eq!(output.status.code(), Some(3));
    let lines = text(&output.stdout);
    assert!(lines.starts_with("::error "), "errors come first: {lines}");
    assert!(lines.contains("TY0405"), "{lines}");
    assert!(
        lines.contains("::warning ") && lines.contains("dog/reports would be deleted; the data in it would be lost"),
        "{lines}"
    );
    let log: Json = serde_json::from_slice(&estate.run(&["plan", "--format", "sarif"]).stdout).expect("JSON");
    let rules: Vec<&str> =
        log["runs"][0]["results"].as_array().into_iter().flatten().filter_map(|r| r["ruleId"].as_str()).collect();
    assert!(rules.contains(&"TY0405"), "{rules:?}");
}

#[test]
fn a_format_that_a_command_does_not_have_is_refused_before_anything_is_read() {
    let estate = Estate::new();
    for (command, format) in [("apply", "github"), ("drift", "sarif"), ("plan", "junit"), ("list", "junit")] {
        let output = estate.run(&[command, "--format", format]);
        assert_eq!(output.status.code(), Some(64), "{command} {format}");
        assert!(text(&output.stderr).contains("use "), "{command} {format}: {}", text(&output.stderr));
    }
}

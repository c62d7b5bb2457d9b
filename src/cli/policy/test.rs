//! `tenantry policy test`: the tests that policies have.

use std::path::PathBuf;

use serde_json::json;

use super::super::arguments::{Format, Global};
use super::super::error::{Exit, Failure};
use super::super::output::Output;
use super::Read;
use tenantry_core::policy::Policies;
use tenantry_core::policy::examples::{self, Report};
use tenantry_render::junit::{self, Case, Verdict};
use tenantry_render::style::Label;
use tenantry_render::words::count;

pub fn run(global: &Global, paths: &[PathBuf], library: bool, output: &Output) -> Result<Exit, Failure> {
    let Read { policies, files } = match (library, paths) {
        (true, _) => super::of_library()?,
        (false, []) => super::of_estate(global, output)?,
        (false, paths) => super::of_paths(paths)?,
    };
    let mut diagnostics = Vec::new();
    let compiled = Policies::compile(&policies, &files, &mut diagnostics);
    super::without_errors(diagnostics, files.clone())?;
    let report = examples::run(&compiled, |_| true);
    match output.format() {
        Format::Json => output.json(&to_json(&report))?,
        Format::Junit => output.document(&to_junit(&report))?,
        Format::Human | Format::Markdown | Format::Html | Format::Github | Format::Sarif => {
            show(&report, policies.len(), output)?;
        }
    }
    Ok(if report.failed() > 0 { Exit::Error } else { Exit::Done })
}

fn show(report: &Report, policies: usize, output: &Output) -> Result<(), Failure> {
    let mut lines = Vec::new();
    let mut of_policy = None;
    for tested in &report.results {
        if of_policy != Some(&tested.policy) {
            of_policy = Some(&tested.policy);
            lines.push(tested.policy.to_string());
        }
        match &tested.failure {
            None => lines.push(format!("  passed  {}", tested.test)),
            Some(failure) => {
                lines.push(format!("  {}  {}", Label::Error.paint("failed"), tested.test));
                lines.push(format!("          {failure}"));
            }
        }
    }
    for policy in &report.untested {
        lines.push(format!("{}: policy `{policy}` has no tests", Label::Warning.paint("warning")));
    }
    for (policy, rule, place) in &report.unbroken {
        let place = format!("{}:{}", place.file, place.line);
        lines.push(format!(
            "{}: no test of policy `{policy}` breaks the rule `{rule}` ({place})",
            Label::Warning.paint("warning")
        ));
    }
    let failed = report.failed();
    let passed = report.results.len() - failed;
    lines.push(format!("{}: {passed} passed, {failed} failed", count(policies, "policy")));
    output.data(|out| lines.iter().try_for_each(|line| writeln!(out, "{line}")))
}

fn to_json(report: &Report) -> serde_json::Value {
    let tests = report.results.iter().map(|tested| {
        json!({
            "policy": tested.policy,
            "test": tested.test,
            "passed": tested.failure.is_none(),
            "failure": tested.failure,
        })
    });
    let unbroken = report
        .unbroken
        .iter()
        .map(|(policy, rule, place)| json!({"policy": policy, "rule": rule, "file": place.file, "line": place.line}));
    json!({
        "passed": report.results.len() - report.failed(),
        "failed": report.failed(),
        "tests": tests.collect::<Vec<_>>(),
        "policiesWithoutTests": report.untested,
        "rulesThatNoTestBreaks": unbroken.collect::<Vec<_>>(),
    })
}

fn to_junit(report: &Report) -> String {
    let cases = report.results.iter().map(|tested| Case {
        name: format!("{}: {}", tested.policy, tested.test),
        verdict: match &tested.failure {
            None => Verdict::Passed(String::new()),
            Some(failure) => Verdict::Failure("not as expected", format!("{failure}\n")),
        },
    });
    junit::report("Tests of the policies", "tenantry", &cases.collect::<Vec<_>>(), None)
}

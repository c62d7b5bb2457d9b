//! The pipeline of `examples/ci`: every command in it runs here as it stands there, but for GitHub's own client.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::Estate;
use super::since::applied;
use crate::command::Said;

/// Stands in for `gh`: writes down what it is asked, and knows the comment once it was posted.
const GH: &str = r#"#!/usr/bin/env bash
echo "$*" >> "$GH_LOG"
case "$*" in
  *--paginate*) test ! -e "$GH_LOG.posted" || echo 4711 ;;
  *POST*) touch "$GH_LOG.posted" ;;
esac
"#;

struct Runner<'e> {
    estate: &'e Estate,
    bin: PathBuf,
    log: PathBuf,
}

impl<'e> Runner<'e> {
    fn new(estate: &'e Estate) -> Self {
        let bin = estate.path().join(".tenantry/bin");
        fs::create_dir_all(&bin).expect("a folder");
        let gh = bin.join("gh");
        fs::write(&gh, GH).expect("a file");
        fs::set_permissions(&gh, fs::Permissions::from_mode(0o755)).expect("it can be run");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_tenantry"), bin.join("tenantry")).expect("a link");
        Self { estate, log: estate.path().join(".tenantry/gh.log"), bin }
    }

    /// Runs every step of a job that has commands, until one fails, as GitHub does.
    fn job(&self, name: &str) -> Vec<(String, Said)> {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/ci/github-actions.yml"));
        let pipeline: Json = serde_yaml::from_str(&text.expect("the example")).expect("YAML");
        let mut outputs: BTreeMap<String, String> = BTreeMap::new();
        let mut said = Vec::new();
        for step in pipeline["jobs"][name]["steps"].as_array().expect("steps") {
            let Some(run) = step["run"].as_str() else { continue };
            let output = self.estate.path().join(".tenantry/output");
            fs::write(&output, "").expect("a file");
            let path = format!("{}:/usr/local/bin:/usr/bin:/bin", self.bin.display());
            let mut command = shell(self.estate.path(), run);
            command.env("PATH", path).env("GITHUB_OUTPUT", &output).env("GITHUB_BASE_REF", "main");
            command.env("GITHUB_STEP_SUMMARY", self.estate.path().join(".tenantry/summary.md"));
            command.env("GITHUB_REPOSITORY", "acme/tenants").env("PULL_REQUEST", "7").env("GH_LOG", &self.log);
            for (name, value) in step["env"].as_object().into_iter().flatten() {
                let expression = value.as_str().expect("a text").trim_start_matches("${{ ").trim_end_matches(" }}");
                let value = outputs.get(expression).unwrap_or_else(|| panic!("{expression} is not known"));
                command.env(name, value);
            }
            let ended = Said::of(command.output().expect("a shell"));
            let id = step["id"].as_str().unwrap_or_default();
            for line in fs::read_to_string(&output).expect("a file").lines() {
                let (name, value) = line.split_once('=').expect("a name and a value");
                outputs.insert(format!("steps.{id}.outputs.{name}"), value.to_owned());
            }
            let exit = ended.exit;
            said.push((step["name"].as_str().expect("a name").to_owned(), ended));
            if exit != 0 {
                break;
            }
        }
        said
    }

    fn asked(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

/// A step's shell, as GitHub starts it.
fn shell(folder: &Path, run: &str) -> std::process::Command {
    let mut command = std::process::Command::new("bash");
    command.env_clear().current_dir(folder).args(["--noprofile", "--norc", "-eo", "pipefail", "-c", run]);
    command
}

fn exits(said: &[(String, Said)]) -> Vec<(&str, i32)> {
    said.iter().map(|(name, said)| (name.as_str(), said.exit)).collect()
}

/// A pull request of a branch; `origin/main` is where it left.
fn pull_request() -> Estate {
    let (estate, repository) = applied();
    let head = repository.head().and_then(|head| head.peel_to_commit()).expect("a commit");
    repository.reference("refs/remotes/origin/main", head.id(), false, "fetched").expect("a reference");
    estate
}

#[test]
fn a_pull_request_gets_one_comment_and_a_page() {
    let estate = pull_request();
    estate.tenant("bee", "small", "Bee & Sons");
    let runner = Runner::new(&estate);
    let said = runner.job("plan");
    let all = [("Validate", 0), ("Plan", 0), ("Comment", 0), ("Page", 0), ("Result", 0)];
    assert_eq!(exits(&said), all, "{said:#?}");
    assert!(runner.asked().contains("--method POST repos/acme/tenants/issues/7/comments"), "{}", runner.asked());
    let comment = fs::read_to_string(estate.path().join("comment.md")).expect("the comment");
    assert!(comment.contains("1 to update, 1 unchanged"), "{comment}");
    assert!(fs::read_to_string(estate.path().join("plan.html")).expect("the page").contains("Bee &amp; Sons"));

    let again = runner.job("plan");
    assert_eq!(exits(&again), all, "{again:#?}");
    assert!(
        runner.asked().ends_with("--method PATCH repos/acme/tenants/issues/comments/4711 --field body=@comment.md\n")
    );
}

#[test]
fn a_plan_that_is_refused_is_commented_and_fails() {
    let estate = pull_request();
    estate.remove("tenants/ant.yaml");
    let runner = Runner::new(&estate);
    let said = runner.job("plan");
    assert_eq!(exits(&said), [("Validate", 0), ("Plan", 0), ("Comment", 0), ("Page", 0), ("Result", 3)], "{said:#?}");
    assert!(runner.asked().contains("POST"));
    assert!(fs::read_to_string(estate.path().join("comment.md")).expect("the comment").contains("A guard refuses"));
}

#[test]
fn an_estate_with_errors_ends_the_job_before_anything_is_planned() {
    let estate = pull_request();
    estate.tenant("bee", "no-such-tier", "Bee");
    let runner = Runner::new(&estate);
    assert_eq!(exits(&runner.job("plan")), [("Validate", 1)]);
    assert_eq!(runner.asked(), "");
}

#[test]
fn a_merge_applies_and_the_night_finds_no_drift() {
    let estate = pull_request();
    estate.tenant("bee", "small", "Bee & Sons");
    let runner = Runner::new(&estate);
    let said = runner.job("apply");
    assert_eq!(exits(&said), [("Apply", 0)], "{said:#?}");
    let said = runner.job("drift");
    assert_eq!(exits(&said), [("Drift", 0)], "{said:#?}");
    let summary = fs::read_to_string(estate.path().join(".tenantry/summary.md")).expect("the summary");
    assert!(summary.contains("**No drift, 10 as desired.**"), "{summary}");
}

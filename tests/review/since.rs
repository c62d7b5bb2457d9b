//! `plan --changed-since`: what a change of the repository can touch, and no more.

use std::collections::BTreeSet;

use git2::{IndexAddOption, Repository, RepositoryInitOptions, Signature, Time};
use serde_json::Value as Json;

use super::Estate;

fn commit(repository: &Repository) {
    let mut index = repository.index().expect("an index");
    index.add_all(["*"], IndexAddOption::DEFAULT, None).expect("files are added");
    index.update_all(["*"], None).expect("removed files are noticed");
    index.write().expect("the index is written");
    let tree = repository.find_tree(index.write_tree().expect("a tree")).expect("the tree");
    let author = Signature::new("Somebody", "somebody@example.com", &Time::new(0, 0)).expect("a signature");
    let parent = repository.head().ok().and_then(|head| head.peel_to_commit().ok());
    let parents: Vec<_> = parent.iter().collect();
    repository.commit(Some("HEAD"), &author, &author, "A change", &tree, &parents).expect("a commit");
}

/// An estate in Git that was applied as it is on `main`.
pub fn applied() -> (Estate, Repository) {
    let estate = Estate::new();
    estate.write(".gitignore", ".tenantry\n");
    let mut options = RepositoryInitOptions::new();
    let repository = Repository::init_opts(estate.path(), options.initial_head("main")).expect("a repository");
    commit(&repository);
    estate.apply();
    (estate, repository)
}

fn plan(estate: &Estate, arguments: &[&str]) -> Json {
    let text = estate.stdout(&[&["plan", "--format", "json"], arguments].concat());
    serde_json::from_str(&text).expect("a plan is JSON")
}

fn owners(plan: &Json) -> BTreeSet<String> {
    let addresses = plan["changes"].as_array().expect("a list").iter().map(|change| change["address"].as_str());
    addresses.map(|address| address.expect("an address").split('/').next().expect("an owner").to_owned()).collect()
}

/// The plan of what changed since `main` is the whole plan, which has nothing else, and it leaves everybody else alone.
fn assert_touches(estate: &Estate, expected: &[&str]) {
    let (whole, narrow) = (plan(estate, &[]), plan(estate, &["--changed-since", "main"]));
    for part in ["changes", "transitions", "blocked", "findings"] {
        assert_eq!(narrow[part], whole[part], "{part}");
    }
    assert_eq!(owners(&narrow), expected.iter().map(|owner| (*owner).to_owned()).collect::<BTreeSet<_>>());
    // There are ten resources: those of others are not looked at.
    let looked_at = narrow["summary"]["unchanged"].as_u64().expect("a number");
    assert!(looked_at < 8, "{looked_at} resources are looked at besides those that change");
}

#[test]
fn one_tenant_is_one_tenant() {
    let (estate, _repository) = applied();
    estate.tenant("bee", "small", "Bee & Sons");
    assert_touches(&estate, &["bee"]);
    let counted = estate.run(&["plan", "--changed-since", "main"]);
    let stderr = String::from_utf8_lossy(&counted.stderr);
    assert!(stderr.contains("can touch 1 owner."), "{stderr}");
}

#[test]
fn a_tier_is_its_tenants() {
    let (estate, _repository) = applied();
    estate.edit("tenants/tiers.yaml", "quotas: {users: 10}", "quotas: {users: 20}");
    assert_touches(&estate, &["ant", "bee", "cat"]);
}

#[test]
fn a_blueprint_is_the_tenants_of_its_tiers() {
    let (estate, _repository) = applied();
    estate.edit("tenants/blueprints.yaml", "reports_$", "report_$");
    let narrow = plan(&estate, &["--changed-since", "main"]);
    assert_eq!(owners(&narrow), ["dog".to_owned()].into());
}

#[test]
fn what_is_shared_is_the_estate() {
    let (estate, _repository) = applied();
    estate.edit("tenants/blueprints.yaml", "spec: {name: app}}", "spec: {name: app, exclusive: true}}");
    let narrow = plan(&estate, &["--changed-since", "main"]);
    assert_eq!(narrow["changes"], plan(&estate, &[])["changes"]);
    assert_eq!(owners(&narrow), ["estate".to_owned()].into());
}

#[test]
fn a_file_that_moved_and_a_value_that_nobody_uses_are_nothing() {
    let (estate, repository) = applied();
    let text = std::fs::read_to_string(estate.path().join("tenants/cat.yaml")).expect("the file exists");
    estate.remove("tenants/cat.yaml");
    estate.write("tenants/moved/felines.yaml", &format!("# moved\n\n{text}"));
    estate.edit("tenants/tiers.yaml", "unused: 1", "unused: 2");
    commit_on_branch(&repository);
    let narrow = plan(&estate, &["--changed-since", "main"]);
    assert_eq!((&narrow["changes"], &narrow["summary"]["unchanged"]), (&Json::Array(Vec::new()), &Json::from(0)));
}

#[test]
fn a_tenant_that_is_new_and_one_whose_document_is_gone() {
    let (estate, _repository) = applied();
    estate.tenant("eel", "small", "Eel");
    estate.remove("tenants/ant.yaml");
    let (whole, narrow) = (plan(&estate, &[]), plan(&estate, &["--changed-since", "main"]));
    for part in ["changes", "transitions", "blocked", "findings"] {
        assert_eq!(narrow[part], whole[part], "{part}");
    }
    assert_eq!(narrow["blocked"].as_array().map(Vec::len), Some(2), "both resources of the tenant without a document");
}

#[test]
fn the_work_of_others_since_the_branch_left_is_not_this_branch_s() {
    let (estate, repository) = applied();
    let start = repository.head().and_then(|head| head.peel_to_commit()).expect("a commit");
    estate.tenant("ant", "small", "Ant by others");
    commit(&repository);
    estate.apply();
    repository.branch("mine", &start, false).expect("a branch");
    repository.set_head("refs/heads/mine").expect("a branch");
    repository.checkout_head(Some(git2::build::CheckoutBuilder::new().force())).expect("a checkout");
    estate.tenant("bee", "small", "Bee of mine");
    assert_eq!(owners(&plan(&estate, &["--changed-since", "main"])), ["bee".to_owned()].into());
    assert_eq!(owners(&plan(&estate, &[])), ["ant".to_owned(), "bee".to_owned()].into());
}

#[test]
fn with_another_configuration_everything_is_planned() {
    let (estate, _repository) = applied();
    estate.write("tenantry.toml", &format!("{}\n[limits]\nparallelism = 2\n", super::CONFIG));
    let output = estate.run(&["plan", "--changed-since", "main", "--format", "json"]);
    let narrow: Json = serde_json::from_slice(&output.stdout).expect("a plan is JSON");
    assert_eq!(narrow["summary"]["unchanged"], 10);
    assert!(String::from_utf8_lossy(&output.stderr).contains("everything is planned"));
}

#[test]
fn a_revision_that_does_not_exist_is_an_error() {
    let (estate, _repository) = applied();
    let output = estate.run(&["plan", "--changed-since", "mian"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("the revision `mian` cannot be read"), "{stderr}");
}

fn commit_on_branch(repository: &Repository) {
    let head = repository.head().and_then(|head| head.peel_to_commit()).expect("a commit");
    repository.branch("work", &head, false).expect("a branch");
    repository.set_head("refs/heads/work").expect("a branch");
    commit(repository);
}

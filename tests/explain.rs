//! `explain`: the lines that a value comes from, and who last changed them.

use git2::{Repository, Signature, Time};
use serde_json::Value as Json;

use crate::review::Estate;

/// Commits everything in the name of somebody.
fn commit(repository: &Repository, author: &str, message: &str) {
    let mut index = repository.index().expect("an index");
    index.add_all(["*"], git2::IndexAddOption::DEFAULT, None).expect("adds");
    index.write().expect("writes");
    let tree = repository.find_tree(index.write_tree().expect("a tree")).expect("a tree");
    let who = Signature::new(author, "x@example.com", &Time::new(1_767_225_600, 0)).expect("a signature");
    let parent = repository.head().ok().and_then(|head| head.peel_to_commit().ok());
    let parents: Vec<_> = parent.iter().collect();
    repository.commit(Some("HEAD"), &who, &who, message, &tree, &parents).expect("a commit");
}

fn estate() -> (Estate, Repository) {
    let estate = Estate::new();
    estate.write(".gitignore", ".tenantry\n");
    let repository = Repository::init(estate.path()).expect("a repository");
    commit(&repository, "Ada", "Begin");
    estate.edit("tenants/tiers.yaml", "quotas: {users: 100}", "quotas:\n    users: 200");
    commit(&repository, "Grace", "More users for large tenants\n\nThey asked for it.");
    (estate, repository)
}

#[test]
fn a_value_is_followed_from_the_blueprint_to_the_document_and_to_its_commit() {
    let (estate, _) = estate();
    let text = estate.stdout(&["explain", "dog/row.columns.users"]);
    let lines: Vec<&str> = text.lines().collect();
    let of = |from: usize| lines[from..].iter().map(|line| line.trim()).collect::<Vec<_>>();
    let from = lines.iter().position(|line| line.starts_with("columns.users")).expect("the field");
    assert_eq!(of(from)[0], "columns.users: 200");
    assert!(of(from)[1].starts_with("tenants/blueprints.yaml:23  columns: {title: "), "{text}");
    assert!(of(from)[2].ends_with("2026-01-01 Ada: Begin"), "{text}");
    assert_eq!(of(from)[3], "tenants/tiers.yaml:16  users: 200");
    assert!(of(from)[4].ends_with("2026-01-01 Grace: More users for large tenants"), "{text}");
    assert_eq!(lines.len(), from + 5, "nothing but what was asked for: {text}");
}

#[test]
fn a_whole_resource_has_its_defaults_in_one_line() {
    let (estate, _) = estate();
    let text = estate.stdout(&["explain", "ant/role"]);
    assert!(
        text.starts_with("ant/role  postgres.role ant in target main\n  tenants/blueprints.yaml:15  - id: role\n"),
        "{text}"
    );
    assert!(text.contains("\nname: ant\n"), "{text}");
    let last = text.lines().last().expect("a line");
    assert!(last.starts_with("Defaults of the kind: ") && last.contains("connectionLimit: -1"), "{text}");
}

#[test]
fn what_is_not_committed_has_no_author_and_an_earlier_revision_has_its_own() {
    let (estate, _) = estate();
    estate.edit("tenants/tiers.yaml", "users: 200", "users: 300");
    let (now, before) = ("dog/row.columns.users", ["--rev", "HEAD~1", "explain", "dog/row.columns.users"]);
    let text = estate.stdout(&["explain", now]);
    assert!(text.contains("columns.users: 300") && text.contains("users: 300\n    not committed\n"), "{text}");
    let text = estate.stdout(&before);
    assert!(text.contains("columns.users: 100") && text.contains("Ada: Begin") && !text.contains("Grace"), "{text}");
}

#[test]
fn personal_values_and_their_lines_stay_out_of_a_pipe() {
    let (estate, _) = estate();
    estate.edit(
        "tenants/blueprints.yaml",
        "      kind: postgres.row\n",
        "      kind: postgres.row\n      sensitive: [/columns/title]\n",
    );
    estate.tenant("ant", "small", "Jane Roe");
    let text = estate.stdout(&["explain", "ant/row", "--format", "json"]);
    assert!(!text.contains("Jane"), "{text}");
    let json: Json = serde_json::from_str(&text).expect("JSON");
    let fields = json["fields"].as_array().expect("a list");
    let title = fields.iter().find(|field| field["field"] == "columns.title").expect("the field");
    assert_eq!((&title["value"], &title["lines"][1]["file"]), (&"(sensitive)".into(), &"tenants/ant.yaml".into()));
    assert_eq!(title["lines"][1]["line"], 4, "where to edit it is told");
}

#[test]
fn what_does_not_exist_is_told_with_what_was_probably_meant() {
    let (estate, _) = estate();
    for (subject, help) in [
        ("ant/rol", "did you mean `ant/role`?"),
        ("ant/role.conectionLimit", "did you mean `connectionLimit`?"),
        ("ant/role.name.first", "its fields are"),
        ("nobody", "write an address such as"),
    ] {
        let output = estate.run(&["explain", subject]);
        assert_eq!(output.status.code(), Some(64), "{subject}");
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(err.contains(help), "{subject}: {err}");
    }
}

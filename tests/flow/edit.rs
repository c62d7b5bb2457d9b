//! `new` and `edit`.

use std::fs;

use git2::Status;

use tenantry_source::commit::{File, replace_all};

use super::{DOG, Flow};

#[test]
fn an_edit_changes_the_bytes_of_its_value_and_no_others() {
    let flow = Flow::new();
    let out = flow
        .run(&[
            "edit",
            "dog",
            "tier=small",
            "quotas.users=200",
            "labels.region-",
            "contacts.primary.email=a@example.com",
        ])
        .ok();
    assert_eq!(out, "tenants/dog.yaml\n");
    let expected = DOG
        .replace("tier: large", "tier: small")
        .replace("users: 150", "users: 200")
        .replace("{region: eu}", "{}")
        .replace("negotiated\n", "negotiated\n  contacts:\n    primary:\n      email: a@example.com\n");
    assert_eq!(flow.read("tenants/dog.yaml"), expected);
    assert_eq!(flow.status(), [("tenants/dog.yaml".to_owned(), Status::WT_MODIFIED)]);
    flow.run(&["validate"]).ok();
}

#[test]
fn an_edit_that_the_estate_would_not_stand_writes_nothing() {
    let flow = Flow::new();
    for (edit, exit, with) in [
        ("tier=smal", 1, "smal"),
        ("phase=asleep", 1, "tenants/dog.yaml:9"),
        ("quotas.users=many", 1, "tenants/dog.yaml:11"),
        ("teir=small", 64, "did you mean `tier`?"),
        ("tier-", 1, "tier"),
        ("values.crm[0]=x", 1, "tenants/dog.yaml:13"),
        ("name=cat", 64, "a tenant is not renamed"),
    ] {
        let said = flow.run(&["edit", "dog", edit]);
        assert!(said.err.contains("nothing was written") || exit == 64, "{edit}: {}", said.err);
        said.fails(exit, with);
        assert_eq!(flow.read("tenants/dog.yaml"), DOG, "{edit}");
    }
    flow.run(&["edit", "dgo", "tier=small"]).fails(64, "did you mean `dog`?");
    flow.run(&["edit", "dog", "tier=small", "--rev", "HEAD"]).fails(64, "a revision cannot be edited");
    assert_eq!(flow.status(), []);
}

#[test]
fn what_is_so_already_is_neither_written_nor_committed() {
    let flow = Flow::new();
    let said = flow.run(&["edit", "dog", "tier=large", "--commit"]);
    assert!(said.err.contains("dog has everything already"), "{}", said.err);
    assert_eq!(said.ok(), "");
    assert_eq!(flow.tip("main").summary().expect("UTF-8"), Some("Begin"));
}

#[test]
fn a_commit_has_the_file_and_leaves_what_else_is_staged_or_edited() {
    let flow = Flow::new();
    flow.estate.tenant("ant", "small", "Staged");
    let mut index = flow.repository.index().expect("an index");
    index.add_path("tenants/ant.yaml".as_ref()).expect("staged");
    index.write().expect("written");
    flow.estate.tenant("bee", "small", "Edited");
    let out = flow.run(&["edit", "dog", "tier=small", "--commit"]).ok();
    assert!(out.ends_with(" on the branch main\n"), "{out}");
    let tip = flow.tip("main");
    assert_eq!(tip.message().expect("UTF-8"), "Edit dog: tier\n");
    assert_eq!((tip.author().name().expect("UTF-8"), tip.author().email().expect("UTF-8")), super::AUTHOR);
    assert_eq!(flow.changed_lines("main"), (1, 1));
    let status =
        [("tenants/ant.yaml".to_owned(), Status::INDEX_MODIFIED), ("tenants/bee.yaml".to_owned(), Status::WT_MODIFIED)];
    assert_eq!(flow.status(), status);
    // The other one is refused: what somebody edited would be committed with it.
    flow.run(&["edit", "bee", "tier=large", "--commit"]).fails(1, "tenants/bee.yaml has uncommitted changes");
    flow.run(&["edit", "ant", "tier=large", "--commit"]).fails(1, "tenants/ant.yaml has uncommitted changes");
    assert_eq!(flow.status(), status);
}

#[test]
fn a_commit_on_another_branch_leaves_work_tree_and_index() {
    let flow = Flow::new();
    flow.estate.edit("tenants/dog.yaml", "large", "small");
    let index = fs::read(flow.path().join(".git/index")).expect("an index");
    let out = flow.run(&["edit", "dog", "quotas.users=7", "--branch", "sales/dog"]).ok();
    assert!(out.ends_with(" on the branch sales/dog\n"), "{out}");
    flow.run(&["edit", "dog", "phase=suspended", "--branch", "sales/dog"]).ok();
    assert_eq!(
        flow.read_at("sales/dog", "tenants/dog.yaml"),
        DOG.replace("150", "7").replace("active", "suspended"),
        "from what is committed, and one after the other"
    );
    assert_eq!(flow.read("tenants/dog.yaml"), DOG.replace("large", "small"));
    assert_eq!(fs::read(flow.path().join(".git/index")).expect("an index"), index);
    assert_eq!(flow.tip("sales/dog").parent(0).expect("one").parent(0).expect("two").id(), flow.tip("main").id());
    flow.run(&["edit", "dog", "tier=small", "--branch", "main"]).fails(1, "the branch `main` is checked out");
    flow.run(&["edit", "dog", "tier=small", "--branch", "a..b"]).fails(1, "not a valid name of a branch");
}

#[test]
fn without_an_author_or_a_repository_nothing_is_committed() {
    let flow = Flow::new();
    let mut config = flow.repository.config().expect("a configuration");
    config.remove("user.email").expect("removed");
    flow.run(&["edit", "dog", "tier=small", "--commit"]).fails(1, "the author of the commit is not known");
    assert_eq!(flow.status(), []);
    fs::remove_dir_all(flow.path().join(".git")).expect("removed");
    flow.run(&["edit", "dog", "tier=small", "--commit"]).fails(1, "the folder is in no Git repository");
    flow.run(&["edit", "dog", "tier=small"]).ok();
}

#[test]
fn an_estate_below_the_top_of_a_repository_is_committed_at_its_place() {
    let flow = Flow::new();
    let below = flow.path().join("estates/eu");
    fs::create_dir_all(&below).expect("a folder");
    for name in ["tenantry.toml", "tenants"] {
        fs::rename(flow.path().join(name), below.join(name)).expect("moved");
    }
    flow.commit_all("Move");
    flow.run(&["-C", "estates/eu", "edit", "dog", "tier=small", "--commit"]).ok();
    assert!(flow.read_at("main", "estates/eu/tenants/dog.yaml").contains("tier: small"));
    assert_eq!(flow.status(), []);
}

#[cfg(unix)]
#[test]
fn what_lies_behind_a_link_is_edited_but_not_committed_in_its_place() {
    let flow = Flow::new();
    flow.estate.write("more/fox.yaml", &DOG.replace("name: dog", "name: fox"));
    std::os::unix::fs::symlink("../more", flow.path().join("tenants/more")).expect("a link");
    flow.commit_all("Link");
    for into in [&["--commit"][..], &["--branch", "fox"]] {
        let arguments: Vec<&str> = ["edit", "fox", "tier=small"].iter().chain(into).copied().collect();
        flow.run(&arguments).fails(1, "is a symbolic link, or lies behind one");
    }
    assert_eq!(flow.status(), []);
    flow.run(&["edit", "fox", "tier=small"]).ok();
    assert_eq!(flow.status(), [("more/fox.yaml".to_owned(), Status::WT_MODIFIED)]);
    assert!(fs::symlink_metadata(flow.path().join("tenants/more")).expect("it is there").is_symlink());
}

#[test]
fn line_endings_and_a_byte_order_mark_stay() {
    let flow = Flow::new();
    let text = format!("\u{feff}{}", DOG.replace('\n', "\r\n"));
    flow.estate.write("tenants/dog.yaml", &text);
    flow.run(&["edit", "dog", "tier=small", "values.new.deep=1"]).ok();
    let crm = "    crm: d-1\r\n";
    let expected = text.replace("large", "small").replace(crm, &format!("{crm}    new:\r\n      deep: 1\r\n"));
    assert_eq!(flow.read("tenants/dog.yaml"), expected);
}

#[test]
fn a_new_tenant_gets_an_id_of_its_name_and_a_document_beside_the_others() {
    let flow = Flow::new();
    let said = flow.run(&[
        "new",
        "Müller & Söhne GmbH",
        "--tier",
        "small",
        "values.crm=m-1",
        "labels.region=eu",
        "--format",
        "json",
    ]);
    let json: serde_json::Value = serde_json::from_str(&said.ok()).expect("JSON");
    let id = json["tenant"].as_str().expect("an id");
    let suffix = id.strip_prefix("muller-and-sohne-").expect("the company's name");
    assert_eq!(suffix.len(), 4, "{id}");
    let path = format!("tenants/{id}.yaml");
    assert_eq!(json["files"], serde_json::json!([path]));
    assert_eq!(
        flow.read(&path),
        format!(
            "apiVersion: tenantry.dev/v1\nkind: Tenant\nmetadata:\n  name: {id}\n  labels:\n    region: eu\nspec:\n  \
             displayName: \"Müller & Söhne GmbH\"\n  tier: small\n  phase: active\n  values:\n    crm: m-1\n"
        )
    );
    flow.run(&["validate"]).ok();
    flow.run(&["new", "Fox", "--id", "fox", "--tier", "large", "--phase", "trial", "--commit"]).ok();
    assert_eq!(flow.tip("main").message().expect("UTF-8"), "Add the tenant fox\n");
    assert_eq!(flow.changed_lines("main").0, 0);
    assert_eq!(flow.status(), [(path, Status::WT_NEW)]);
}

#[test]
fn an_id_that_cannot_be_used_is_refused() {
    let flow = Flow::new();
    for (arguments, with) in [
        (&["--tier", "small", "--id", "dog"][..], "a tenant has or had it"),
        (&["--tier", "small", "--id", "kube-dog"], "it is reserved"),
        (&["--tier", "small", "--id", "Dog"], "lower-case"),
        (&["--tier", "smal"], "did you mean `small`?"),
        (&[], "choose one with `--tier`; the tiers are"),
        (&["--tier", "small", "--phase", "deleted"], "a tenant begins in the phase"),
    ] {
        let arguments: Vec<&str> = ["new", "Dog"].iter().chain(arguments).copied().collect();
        flow.run(&arguments).fails(64, with);
    }
    flow.run(&["new", "株式会社", "--tier", "small"]).fails(64, "choose one of Latin letters");
    flow.run(&["new", "Fox", "--tier", "small", "quotas.users=many"]).fails(1, "nothing was written");
    assert_eq!(flow.status(), []);
}

/// Somebody writes the second file at the same time.
#[test]
fn of_several_files_all_are_written_or_none() {
    let flow = Flow::new();
    fs::write(flow.path().join("one"), "1").expect("writes");
    fs::write(flow.path().join("two"), "changed").expect("writes");
    let file = |path, before| File { path, before, text: "new" };
    let files = [file("added", None), file("one", Some("1")), file("two", Some("2"))];
    let refused = replace_all(flow.path(), files.into_iter()).expect_err("the second one is not as it was");
    assert!(refused.message.contains("two was changed meanwhile"), "{}", refused.message);
    assert!(!flow.path().join("added").exists());
    assert_eq!((flow.read("one"), flow.read("two")), ("1".to_owned(), "changed".to_owned()));
    replace_all(flow.path(), files.into_iter().take(2)).expect("both are as they were");
    assert_eq!((flow.read("added"), flow.read("one")), ("new".to_owned(), "new".to_owned()));
}

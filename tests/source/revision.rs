//! Estates in Git revisions, without a checkout.

use std::fs;
use std::path::{Path, PathBuf};

use assert_fs::TempDir;
use git2::{IndexAddOption, IndexEntry, IndexTime, Oid, Repository, RepositoryInitOptions, Signature, Time};
use tenantry_core::diagnostics::codes;
use tenantry_source::{Loaded, Options, Place, load};

const CONFIG: &str = "[estate]\nname = \"shop\"\n";

fn tier(name: &str) -> String {
    format!("apiVersion: tenantry.dev/v1\nkind: Tier\nmetadata: {{name: {name}}}\nspec: {{rank: 1, blueprints: []}}\n")
}

struct World {
    folder: TempDir,
    repository: Repository,
}

impl World {
    fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let repository = Repository::init_opts(folder.path(), RepositoryInitOptions::new().initial_head("main"))
            .expect("a repository");
        Self { folder, repository }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("files lie in folders")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    fn commit(&self) -> Oid {
        let mut index = self.repository.index().expect("an index");
        index.add_all(["*"], IndexAddOption::DEFAULT, None).expect("files are added");
        index.update_all(["*"], None).expect("removed files are noticed");
        index.write().expect("the index is written");
        let tree = self.repository.find_tree(index.write_tree().expect("a tree")).expect("the tree");
        let author = Signature::new("Somebody", "somebody@example.com", &Time::new(0, 0)).expect("a signature");
        let parent = self.repository.head().ok().and_then(|head| head.peel_to_commit().ok());
        let parents: Vec<_> = parent.iter().collect();
        self.repository.commit(Some("HEAD"), &author, &author, "A change", &tree, &parents).expect("a commit")
    }
}

fn at(directory: impl Into<PathBuf>, rev: &str) -> Loaded {
    load(&Place::Revision { directory: directory.into(), rev: rev.to_owned() }, Options::default())
}

fn here(directory: impl AsRef<Path>) -> Loaded {
    load(&Place::Directory(directory.as_ref().to_owned()), Options::default())
}

fn tiers(loaded: &Loaded) -> Vec<&str> {
    let estate = loaded.estate.as_ref().unwrap_or_else(|| panic!("no estate: {:?}", loaded.diagnostics));
    estate.tiers.iter().map(|tier| tier.metadata.name.as_str()).collect()
}

fn revision(loaded: &Loaded) -> Option<&str> {
    loaded.estate.as_ref().expect("an estate").revision.as_deref()
}

fn messages(loaded: &Loaded) -> Vec<String> {
    assert!(loaded.estate.is_none());
    loaded.diagnostics.iter().map(|diagnostic| format!("{}: {}", diagnostic.code, diagnostic.message)).collect()
}

#[test]
fn a_revision_is_read_as_it_was_committed() {
    let world = World::new();
    world.write("tenantry.toml", CONFIG);
    world.write("tenants/a.yaml", &tier("first"));
    let first = world.commit();
    world.write("tenants/a.yaml", &tier("second"));
    world.write("tenants/b.yml", &tier("third"));
    let second = world.commit();
    world.write("tenants/a.yaml", "not: committed");
    fs::remove_file(world.path("tenants/b.yml")).expect("removed");

    let loaded = at(world.folder.path(), "HEAD");
    assert_eq!((tiers(&loaded), revision(&loaded)), (vec!["second", "third"], Some(&*second.to_string())));
    let loaded = at(world.folder.path(), "main~1");
    assert_eq!((tiers(&loaded), revision(&loaded)), (vec!["first"], Some(&*first.to_string())));
    assert_eq!(at(world.folder.path(), &first.to_string()[..10]).files.iter().count(), 2);
}

#[test]
fn an_estate_may_be_a_folder_of_the_repository_even_one_that_is_gone() {
    let world = World::new();
    world.write("tenants/not-of-the-estate.yaml", "x: y");
    world.write("estates/eu/tenantry.toml", CONFIG);
    world.write("estates/eu/tenants/a.yaml", &tier("inner"));
    world.commit();
    assert_eq!(tiers(&at(world.path("estates/eu"), "HEAD")), ["inner"]);
    fs::remove_dir_all(world.path("estates")).expect("removed");
    let loaded = at(world.path("estates/eu"), "HEAD");
    assert_eq!(tiers(&loaded), ["inner"]);
    let paths: Vec<_> = loaded.files.iter().map(|(_, file)| &*file.path).collect();
    assert_eq!(paths, ["tenantry.toml", "tenants/a.yaml"]);

    let missing = messages(&at(world.path("estates/us"), "HEAD"));
    assert_eq!(missing, ["TY0006: there is no folder HEAD:estates/us in the repository"]);
    let no_config = messages(&at(world.path("tenants"), "HEAD"));
    assert_eq!(no_config, ["TY0006: there is no `tenantry.toml` in HEAD:tenants"]);
}

#[test]
fn a_bare_repository_will_do() {
    let world = World::new();
    world.write("estate/tenantry.toml", CONFIG);
    world.write("estate/tenants/a.yaml", &tier("only"));
    world.commit();
    let bare = TempDir::new().expect("a temporary folder");
    let source = world.folder.path().to_str().expect("a path in UTF-8");
    git2::build::RepoBuilder::new().bare(true).clone(source, bare.path()).expect("a clone");
    assert_eq!(tiers(&at(bare.path().join("estate"), "main")), ["only"]);
}

#[test]
fn a_revision_that_is_not_there_is_named() {
    let world = World::new();
    world.write("tenantry.toml", CONFIG);
    world.commit();
    let loaded = at(world.folder.path(), "no-such-branch");
    assert_eq!(
        messages(&loaded),
        ["TY0001: the revision `no-such-branch` cannot be read: revspec 'no-such-branch' not found"]
    );
    assert!(loaded.diagnostics[0].help.as_deref().is_some_and(|help| help.contains("git fetch")));

    let nowhere = TempDir::new().expect("a temporary folder");
    assert_eq!(at(nowhere.path(), "HEAD").diagnostics[0].code, codes::FILE_UNREADABLE);
}

#[cfg(unix)]
#[test]
fn links_in_a_tree_stay_within_the_estate() {
    use std::os::unix::fs::symlink;

    let world = World::new();
    world.write("outside.yaml", &tier("outside"));
    world.write("estate/tenantry.toml", CONFIG);
    world.write("estate/shared/a.yaml", &tier("shared"));
    world.write("estate/shared/deep/b.yaml", &tier("deep"));
    world.write("estate/tenants/c.yaml", &tier("plain"));
    let link = |target: &str, path: &str| symlink(target, world.path(path)).expect("a link");
    link("../shared/a.yaml", "estate/tenants/a.yaml");
    link("a.yaml", "estate/tenants/again.yaml");
    link("../shared/./deep/../deep", "estate/tenants/deep");
    link("..", "estate/tenants/loop");
    world.commit();
    let mut found = at(world.path("estate"), "HEAD");
    assert!(found.diagnostics.is_empty(), "{:?}", found.diagnostics);
    let mut names = tiers(&found);
    names.sort_unstable();
    assert_eq!(names, ["deep", "plain", "shared"]);

    link("../../outside.yaml", "estate/tenants/escapes.yaml");
    link("/etc/hosts", "estate/tenants/absolute.yaml");
    link("self.yaml", "estate/tenants/self.yaml");
    link("gone/x.yaml", "estate/tenants/gone.yaml");
    link("../../outside.yaml", "estate/shared/out.yaml");
    link("../shared/out.yaml", "estate/tenants/twice.yaml");
    world.commit();
    found = at(world.path("estate"), "HEAD");
    let told: Vec<_> = found
        .diagnostics
        .iter()
        .map(|diagnostic| {
            let label = diagnostic.label.as_ref().expect("a place");
            (diagnostic.code.0, found.files.get(label.origin.file).path.to_string())
        })
        .collect();
    let told: Vec<_> = told.iter().map(|(code, path)| (*code, path.as_str())).collect();
    assert_eq!(
        told,
        [
            ("TY0004", "tenants/absolute.yaml"),
            ("TY0004", "tenants/escapes.yaml"),
            ("TY0001", "tenants/gone.yaml"),
            // The folder that `loop` leads to was walked under that name.
            ("TY0004", "tenants/loop/shared/out.yaml"),
            ("TY0001", "tenants/self.yaml"),
            ("TY0004", "tenants/twice.yaml"),
        ]
    );
}

#[test]
fn a_large_blob_is_not_read() {
    let world = World::new();
    world.write("tenantry.toml", &format!("{CONFIG}[limits]\nmax_file_bytes = 1000\n"));
    world.write("tenants/a.yaml", &format!("# {}", "x".repeat(2000)));
    world.commit();
    let loaded = at(world.folder.path(), "HEAD");
    assert_eq!(messages(&loaded), ["TY0002: the file has 2002 bytes; at most 1000 are allowed"]);
}

#[test]
fn a_directory_is_a_revision_as_long_as_nothing_that_is_read_differs() {
    let world = World::new();
    world.write(".gitignore", "ignored.yaml\n");
    world.write("estate/tenantry.toml", CONFIG);
    world.write("estate/tenants/a.yaml", &tier("first"));
    assert_eq!(revision(&here(world.path("estate"))), None, "nothing is committed yet");
    let commit = world.commit().to_string();
    let revision_now =
        || here(world.path("estate")).estate.expect("an estate").revision.map(|commit| commit.to_string());
    assert_eq!(revision_now(), Some(commit.clone()));

    world.write("elsewhere.txt", "not read");
    world.write("estate/plan.json", "not read");
    world.write("estate/tenants/notes.txt", "not read");
    assert_eq!(revision_now(), Some(commit.clone()), "files that are not read do not count");

    world.write("estate/tenants/a.yaml", &tier("other"));
    assert_eq!(revision_now(), None, "a changed document");
    world.write("estate/tenants/a.yaml", &tier("first"));
    assert_eq!(revision_now(), Some(commit.clone()));
    world.write("estate/tenants/new/b.yaml", &tier("new"));
    assert_eq!(revision_now(), None, "an untracked document");
    fs::remove_dir_all(world.path("estate/tenants/new")).expect("removed");
    world.write("estate/tenants/ignored.yaml", &tier("ignored"));
    assert_eq!(revision_now(), None, "an ignored document is in no commit");
    fs::remove_file(world.path("estate/tenants/ignored.yaml")).expect("removed");
    world.write("estate/tenantry.toml", &format!("{CONFIG}[limits]\nparallelism = 2\n"));
    assert_eq!(revision_now(), None, "a changed configuration");
}

/// What is warned of, without the place of the test.
fn warnings(world: &World, loaded: &Loaded) -> Vec<String> {
    assert!(loaded.estate.is_some(), "{:?}", loaded.diagnostics);
    let folder = world.folder.path().canonicalize().expect("a folder");
    let told = loaded.diagnostics.iter().map(|diagnostic| {
        let help = diagnostic.help.as_deref().unwrap_or_default();
        format!("{}: {}: {help}", diagnostic.code, diagnostic.message)
    });
    told.map(|text| text.replace(&folder.display().to_string(), "TOP")).collect()
}

fn helps(loaded: &Loaded) -> Vec<&str> {
    loaded.diagnostics.iter().filter_map(|diagnostic| diagnostic.help.as_deref()).collect()
}

#[test]
fn a_repository_that_cannot_be_opened_is_told_of() {
    for (extension, value, reason) in [
        ("objectformat", "sha256", "has SHA-256 object names, which Tenantry does not support"),
        ("refstorage", "reftable", "uses the extension `refstorage`, which Tenantry does not support"),
    ] {
        let world = World::new();
        world.write("tenantry.toml", CONFIG);
        world.write("tenants/a.yaml", &tier("first"));
        world.commit();
        let mut config = world.repository.config().expect("a configuration");
        config.set_i32("core.repositoryformatversion", 1).expect("set");
        config.set_str(&format!("extensions.{extension}"), value).expect("set");
        let loaded = here(world.folder.path());
        assert_eq!(
            warnings(&world, &loaded),
            [format!(
                "TY0012: the revision of the estate is not known: the Git repository TOP {reason}: plans and the journal will not name a revision; everything else works"
            )]
        );
        let loaded = at(world.folder.path(), "HEAD");
        assert!(messages(&loaded)[0].ends_with(reason), "{:?}", loaded.diagnostics);
        assert_eq!(
            helps(&loaded),
            ["check it out with `git worktree add DIR HEAD`, and name the estate in it with `-C` instead of `--rev`"]
        );
    }
}

#[cfg(unix)]
#[test]
fn a_repository_of_another_user_is_told_of() {
    use std::os::unix::fs::{MetadataExt as _, chown};

    let world = World::new();
    world.write("tenantry.toml", CONFIG);
    world.write("tenants/a.yaml", &tier("first"));
    world.commit();
    if fs::metadata(world.folder.path()).expect("a folder").uid() != 0 {
        skip("only root can give a repository to another user");
        return;
    }
    for path in ["", ".git"] {
        chown(world.path(path), Some(12_345), None).expect("given away");
    }
    let loaded = here(world.folder.path());
    assert_eq!(
        warnings(&world, &loaded),
        [
            "TY0012: the revision of the estate is not known: the Git repository TOP belongs to another user: trust it with `git config --global --add safe.directory TOP`, or change its owner to the user who runs Tenantry"
        ]
    );
    let loaded = at(world.folder.path(), "HEAD");
    assert!(messages(&loaded)[0].ends_with("belongs to another user"), "{:?}", loaded.diagnostics);
    assert!(helps(&loaded)[0].contains("safe.directory"));
}

#[test]
fn outside_of_a_repository_nothing_is_missed() {
    let folder = TempDir::new().expect("a temporary folder");
    fs::write(folder.path().join("tenantry.toml"), CONFIG).expect("a file");
    let loaded = here(folder.path());
    assert_eq!((revision(&loaded), loaded.diagnostics.len()), (None, 0));
}

#[test]
fn a_work_tree_beside_the_repository_has_a_revision() {
    let world = World::new();
    world.write("tenantry.toml", CONFIG);
    world.write("tenants/a.yaml", &tier("first"));
    let commit = world.commit().to_string();
    let beside = TempDir::new().expect("a temporary folder");
    let path = beside.path().join("tree");
    world.repository.worktree("tree", &path, None).expect("a work tree");
    assert_eq!(revision(&here(&path)), Some(&*commit));
    assert_eq!(tiers(&at(&path, "main")), ["first"]);
}

#[test]
fn what_a_clone_lacks_is_said_with_what_brings_it() {
    let world = World::new();
    world.write("tenantry.toml", CONFIG);
    world.commit();
    world.write("tenants/a.yaml", &tier("second"));
    let second = world.commit();
    world.repository.reference("refs/remotes/origin/stable", second, false, "").expect("a branch");
    assert_eq!(helps(&at(world.folder.path(), "stable")), ["did you mean `origin/stable`?"]);
    world.write(".git/shallow", &format!("{second}\n"));
    assert_eq!(revision(&here(world.folder.path())), Some(&*second.to_string()));
    assert!(helps(&at(world.folder.path(), "HEAD~1"))[0].contains("git fetch --unshallow"));
}

#[test]
fn a_repository_within_the_estate_is_in_no_commit() {
    let world = World::new();
    world.write("tenantry.toml", CONFIG);
    world.write("tenants/a.yaml", &tier("first"));
    world.commit();
    world.write("tenants/inner/b.yaml", &tier("inner"));
    Repository::init(world.path("tenants/inner")).expect("a repository");
    let loaded = here(world.folder.path());
    assert_eq!((tiers(&loaded), revision(&loaded)), (vec!["first", "inner"], None));
}

/// An estate whose `tenants/` is a submodule; the commits of both.
fn with_submodule() -> (World, Repository, Oid) {
    let world = World::new();
    world.write("tenantry.toml", CONFIG);
    let inner = Repository::init_opts(world.path("tenants"), RepositoryInitOptions::new().initial_head("main"))
        .expect("a repository");
    world.write("tenants/a.yaml", &tier("first"));
    let commit = commit_all(&inner);
    link(&world, commit);
    (world, inner, commit)
}

fn commit_all(repository: &Repository) -> Oid {
    let mut index = repository.index().expect("an index");
    index.add_all(["*"], IndexAddOption::DEFAULT, None).expect("files are added");
    index.write().expect("the index is written");
    let tree = repository.find_tree(index.write_tree().expect("a tree")).expect("the tree");
    let author = Signature::new("Somebody", "somebody@example.com", &Time::new(0, 0)).expect("a signature");
    let parent = repository.head().ok().and_then(|head| head.peel_to_commit().ok());
    let parents: Vec<_> = parent.iter().collect();
    repository.commit(Some("HEAD"), &author, &author, "A change", &tree, &parents).expect("a commit")
}

/// Commits the estate with its submodule at `commit`.
fn link(world: &World, commit: Oid) {
    let mut index = world.repository.index().expect("an index");
    index.add_path(Path::new("tenantry.toml")).expect("the configuration is added");
    index.add(&entry("tenants", 0o160_000, commit)).expect("the submodule is added");
    index.write().expect("the index is written");
    let tree = world.repository.find_tree(index.write_tree().expect("a tree")).expect("the tree");
    let author = Signature::new("Somebody", "somebody@example.com", &Time::new(0, 0)).expect("a signature");
    let parent = world.repository.head().ok().and_then(|head| head.peel_to_commit().ok());
    let parents: Vec<_> = parent.iter().collect();
    world.repository.commit(Some("HEAD"), &author, &author, "A change", &tree, &parents).expect("a commit");
}

fn entry(path: &str, mode: u32, id: Oid) -> IndexEntry {
    IndexEntry {
        ctime: IndexTime::new(0, 0),
        mtime: IndexTime::new(0, 0),
        dev: 0,
        ino: 0,
        mode,
        uid: 0,
        gid: 0,
        file_size: 0,
        id,
        flags: 0,
        flags_extended: 0,
        path: path.as_bytes().to_vec(),
    }
}

#[test]
fn a_submodule_belongs_to_the_revision() {
    let (world, inner, _) = with_submodule();
    let head = || world.repository.head().expect("a head").target().map(|head| head.to_string());
    let now = || here(world.folder.path()).estate.expect("an estate").revision.map(|revision| revision.to_string());
    assert_eq!(now(), head());

    world.write("tenants/a.yaml", &tier("other"));
    assert_eq!(now(), None, "a changed document of the submodule");
    let second = commit_all(&inner);
    assert_eq!(now(), None, "another commit of the submodule");
    link(&world, second);
    assert_eq!(now(), head());
    world.write("tenants/b.yaml", &tier("new"));
    assert_eq!(now(), None, "an untracked document of the submodule");
    fs::remove_file(world.path("tenants/b.yaml")).expect("removed");
    world.write("tenants/notes.txt", "not read");
    assert_eq!(now(), head());

    let loaded = at(world.folder.path(), "HEAD");
    assert_eq!(messages(&loaded), ["TY0001: this is in a Git submodule, whose files are not part of the revision"]);
}

#[test]
fn a_submodule_that_is_not_checked_out_is_no_empty_folder() {
    let (world, _, commit) = with_submodule();
    fs::remove_dir_all(world.path("tenants")).expect("removed");
    fs::create_dir(world.path("tenants")).expect("a folder");
    let expected = ["TY0011: the Git submodule is not checked out, so its files are missing"];
    let loaded = here(world.folder.path());
    assert_eq!(messages(&loaded), expected);
    let label = loaded.diagnostics[0].label.as_ref().expect("a place");
    assert_eq!(&*loaded.files.get(label.origin.file).path, "tenants");
    assert!(helps(&loaded)[0].contains("git submodule update --init"));

    // Without a repository that could be asked, the list of submodules says so.
    world.write(".gitmodules", "[submodule \"tenants\"]\n\tpath = tenants\n\turl = ../tenants.git\n");
    fs::rename(world.path(".git"), world.path("no-git")).expect("renamed");
    assert_eq!(messages(&here(world.folder.path())), expected);
    world.write("tenants/a.yaml", &tier("exported"));
    assert_eq!(tiers(&here(world.folder.path())), ["exported"]);

    // An estate that is a submodule itself.
    fs::rename(world.path("no-git"), world.path(".git")).expect("renamed");
    let mut index = world.repository.index().expect("an index");
    index.add(&entry("estate", 0o160_000, commit)).expect("the submodule is added");
    index.write().expect("the index is written");
    fs::create_dir(world.path("estate")).expect("a folder");
    let told = messages(&here(world.path("estate")));
    assert!(told[0].starts_with("TY0011") && told[0].contains("is not checked out"), "{told:?}");
}

#[test]
fn what_a_sparse_checkout_leaves_out_is_not_taken_for_deleted() {
    const EXTENDED: u16 = 1 << 14;
    const SKIP_WORKTREE: u16 = 1 << 14;
    let world = World::new();
    world.write("tenantry.toml", CONFIG);
    world.write("tenants/a.yaml", &tier("first"));
    world.write("tenants/b.yaml", &tier("second"));
    world.commit();
    let mut index = world.repository.index().expect("an index");
    let mut left_out = index.get_path(Path::new("tenants/b.yaml"), 0).expect("an entry");
    left_out.flags |= EXTENDED;
    left_out.flags_extended |= SKIP_WORKTREE;
    index.add(&left_out).expect("changed");
    index.write().expect("the index is written");
    fs::remove_file(world.path("tenants/b.yaml")).expect("removed");
    assert_eq!(messages(&here(world.folder.path())), ["TY0011: a sparse checkout leaves out this file of the estate"]);
}

#[expect(clippy::disallowed_macros, reason = "a test that cannot run says so")]
fn skip(why: &str) {
    eprintln!("skipped: {why}");
}

#[test]
fn the_content_of_a_resource_is_that_of_the_file_in_the_revision() {
    let world = World::new();
    world.write("estate/tenantry.toml", CONFIG);
    let object = "apiVersion: tenantry.dev/v1\nkind: Blueprint\nmetadata: {name: files}\nspec:\n  scope: estate\n  resources:\n    - {id: logo, kind: s3.object, spec: {bucket: shop, key: logo.svg, contentFile: assets/logo.svg}}\n";
    world.write("estate/tenants/files.yaml", object);
    world.write("estate/assets/logo.svg", "first");
    world.write("secret.txt", "beside the estate");
    world.commit();
    world.write("estate/assets/logo.svg", "second");
    let content = |loaded: &Loaded| {
        let estate = loaded.estate.as_ref().unwrap_or_else(|| panic!("no estate: {:?}", loaded.diagnostics));
        let spec = &estate.blueprints[0].spec.resources[0].spec;
        spec.get("contentBase64").and_then(|content| content.as_str()).map(str::to_owned)
    };
    let estate = world.path("estate");
    assert_eq!(content(&at(&estate, "HEAD")).as_deref(), Some("Zmlyc3Q="));
    assert_eq!(content(&here(&estate)).as_deref(), Some("c2Vjb25k"));
    // A link leads nowhere else.
    fs::remove_file(world.path("estate/assets/logo.svg")).expect("removed");
    std::os::unix::fs::symlink(world.path("secret.txt"), world.path("estate/assets/logo.svg")).expect("a link");
    world.commit();
    for loaded in [here(&estate), at(&estate, "HEAD")] {
        let told = messages(&loaded);
        assert!(told.len() == 1 && told[0].contains("assets/logo.svg"), "{told:?}");
    }
}

#[test]
fn an_approval_says_where_it_is_and_whether_it_is_committed() {
    let world = World::new();
    let approval = |name: &str| {
        format!(
            "apiVersion: tenantry.dev/v1\nkind: Approval\nmetadata: {{name: {name}}}\nspec: {{allow: [delete], addresses: [acme/*], reason: r, expires: 2026-01-01}}\n"
        )
    };
    world.write("tenantry.toml", CONFIG);
    world.write("policies/committed.yaml", &approval("committed"));
    world.write("policies/edited.yaml", &approval("edited"));
    world.write("elsewhere/linked.yaml", &approval("linked"));
    std::os::unix::fs::symlink("../elsewhere", world.path("policies/finance")).expect("a link");
    world.commit();
    world.write("policies/edited.yaml", &format!("{}# later\n", approval("edited")));
    world.write("policies/new.yaml", &approval("new"));
    let told = |loaded: Loaded| -> Vec<String> {
        let estate = loaded.estate.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
        let line =
            |approval: &tenantry_core::model::document::Document<tenantry_core::model::document::ApprovalSpec>| {
                let file = &approval.spec.file;
                let why = file.uncommitted.as_deref().unwrap_or("committed");
                format!("{} {}{why}", file.path, if file.is_linked { "linked " } else { "" })
            };
        estate.approvals.iter().map(line).collect()
    };
    assert_eq!(
        told(here(world.folder.path())),
        [
            "policies/committed.yaml committed",
            "policies/edited.yaml has uncommitted changes",
            "policies/finance/linked.yaml linked committed",
            "policies/new.yaml is not committed",
        ]
    );
    assert_eq!(
        told(at(world.folder.path(), "HEAD")),
        [
            "policies/committed.yaml committed",
            "policies/edited.yaml committed",
            "policies/finance/linked.yaml linked committed",
        ]
    );
    fs::remove_dir_all(world.path(".git")).expect("removed");
    assert!(told(here(world.folder.path())).iter().all(|line| line.ends_with(" committed")));
}

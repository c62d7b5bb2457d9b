//! Estates in Git revisions, without a checkout.

use std::fs;
use std::path::{Path, PathBuf};

use assert_fs::TempDir;
use git2::{IndexAddOption, Oid, Repository, RepositoryInitOptions, Signature, Time};
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
    assert!(loaded.diagnostics[0].help.as_deref().is_some_and(|help| help.contains("shallow")));

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
    assert_eq!(messages(&loaded), ["TY0002: the file has 2002 bytes, and at most 1000 are read"]);
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

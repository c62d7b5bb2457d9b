//! From a command line or an event to a commit: `new`, `edit`, `event`, `drift --accept`, by the built command.

mod accept;
mod edit;
mod event;

use std::fs;
use std::path::Path;
use std::process::Output;

use git2::{Repository, Signature, Time};

use crate::command::{NOW, tenantry};
use crate::review::Estate;

/// What tells a repository who commits.
const AUTHOR: (&str, &str) = ("Grace", "grace@example.com");

/// An estate in a repository with one commit, on the branch `main`.
struct Flow {
    estate: Estate,
    repository: Repository,
}

/// How a command ended, and what it said.
struct Said {
    exit: i32,
    out: String,
    err: String,
}

impl Said {
    fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        Self {
            exit: output.status.code().expect("it ended by itself"),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    #[track_caller]
    fn ok(self) -> String {
        assert_eq!(self.exit, 0, "{}{}", self.out, self.err);
        self.out
    }

    #[track_caller]
    fn fails(self, exit: i32, with: &str) {
        assert_eq!(self.exit, exit, "{}{}", self.out, self.err);
        assert!(self.err.contains(with), "{}", self.err);
    }
}

const DOG: &str = "\
apiVersion: tenantry.dev/v1
kind: Tenant
metadata:
  name: dog
  labels: {region: eu}  # where it is
spec:
  displayName: 'Dog & Sons'
  tier: large  # until March
  phase: active
  quotas:
    users: 150   # negotiated
  values:
    crm: d-1
    stripe: cus_dog
";

impl Flow {
    fn new() -> Self {
        let estate = Estate::new();
        estate.write(".gitignore", ".tenantry\n");
        estate.write("tenants/dog.yaml", DOG);
        let mut options = git2::RepositoryInitOptions::new();
        options.initial_head("main");
        let repository = Repository::init_opts(estate.path(), &options).expect("a repository");
        let mut config = repository.config().expect("a configuration");
        config.set_str("user.name", AUTHOR.0).expect("set");
        config.set_str("user.email", AUTHOR.1).expect("set");
        let flow = Self { estate, repository };
        flow.commit_all("Begin");
        flow
    }

    /// Commits everything that is in the work tree.
    fn commit_all(&self, message: &str) {
        let mut index = self.repository.index().expect("an index");
        index.add_all(["*"], git2::IndexAddOption::DEFAULT, None).expect("adds");
        index.write().expect("writes");
        let tree = self.repository.find_tree(index.write_tree().expect("a tree")).expect("a tree");
        let who = Signature::new("Ada", "ada@example.com", &Time::new(1_767_225_600, 0)).expect("a signature");
        let parent = self.repository.head().ok().and_then(|head| head.peel_to_commit().ok());
        let parents: Vec<_> = parent.iter().collect();
        self.repository.commit(Some("HEAD"), &who, &who, message, &tree, &parents).expect("a commit");
    }

    fn path(&self) -> &Path {
        self.estate.path()
    }

    fn run(&self, arguments: &[&str]) -> Said {
        let output = tenantry(self.path()).args(arguments).args(["--now", NOW]).output();
        Said::of(output.expect("the command runs"))
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path().join(path)).expect("the file is there")
    }

    fn tip(&self, branch: &str) -> git2::Commit<'_> {
        let branch = self.repository.find_branch(branch, git2::BranchType::Local).expect("the branch is there");
        branch.into_reference().peel_to_commit().expect("a commit")
    }

    fn read_at(&self, branch: &str, path: &str) -> String {
        let entry = self.tip(branch).tree().expect("a tree").get_path(Path::new(path)).expect("the file is there");
        let blob = self.repository.find_blob(entry.id()).expect("a file");
        String::from_utf8(blob.content().to_vec()).expect("text")
    }

    /// What `git status --short` would show.
    fn status(&self) -> Vec<(String, git2::Status)> {
        let mut options = git2::StatusOptions::new();
        options.include_untracked(true).recurse_untracked_dirs(true);
        let statuses = self.repository.statuses(Some(&mut options)).expect("a status");
        statuses.iter().map(|entry| (entry.path().expect("a path").to_owned(), entry.status())).collect()
    }

    /// The numbers of lines that a branch's last commit takes away and adds.
    fn changed_lines(&self, branch: &str) -> (usize, usize) {
        let tip = self.tip(branch);
        let parent = tip.parent(0).expect("a parent").tree().expect("a tree");
        let diff = self.repository.diff_tree_to_tree(Some(&parent), Some(&tip.tree().expect("a tree")), None);
        let stats = diff.expect("a difference").stats().expect("counts");
        (stats.deletions(), stats.insertions())
    }
}

//! The files of an estate in a Git revision, without a checkout.

use std::collections::{HashSet, VecDeque};
use std::path::Path;

use git2::{ErrorCode, ObjectType, Oid, Repository, Tree};

use super::contents::MOST_BYTES;
use super::listing::{
    CONFIG_PATH, Content, DOCUMENT_FOLDERS, Listing, MAX_LINKS, Problem, VALUES_SCHEMA_PATH, holds_documents,
    is_hidden, missing, too_many,
};
use super::repository::{Located, Unusable, discover};
use tenantry_core::diagnostics::{Diagnostic, codes};

/// File mode of a symbolic link in a tree.
const LINK_MODE: i32 = 0o120_000;

/// An estate in one commit of a repository.
pub struct Revision {
    repository: Repository,
    commit: Oid,
    /// The estate's folder in that commit.
    tree: Oid,
    /// Such as `v1.2:estates/eu`, for messages.
    shown: String,
}

impl Revision {
    /// Finds the repository around `directory` and the commit that `rev` names. The directory is the estate's folder in
    /// a work tree, or a bare repository, or a path below one; it need not exist in the work tree any more.
    ///
    /// # Errors
    /// If there is no such repository, revision or folder.
    pub fn open(directory: &Path, rev: &str) -> Result<Self, Box<Diagnostic>> {
        let Located { repository, folder } = discovered(directory, rev)?;
        let commit = resolve(&repository, rev)?;
        let shown = if folder.as_os_str().is_empty() { rev.to_owned() } else { format!("{rev}:{}", folder.display()) };
        let Ok(tree) = folder_in(&repository, commit, &folder) else {
            let message = format!("there is no folder {shown} in the repository");
            let help = "choose the estate's folder with `-C DIR`, as it was named in that revision; check out a Git submodule first (`git submodule update --init`)";
            return Err(Box::new(Diagnostic::error(codes::ESTATE_MISSING, message).help(help)));
        };
        Ok(Self { repository, commit, tree, shown })
    }

    pub fn commit(&self) -> String {
        self.commit.to_string()
    }

    /// For reading blobs, by as many threads as there are.
    pub fn git_directory(&self) -> &Path {
        self.repository.path()
    }

    /// Reads a file of the estate that is no document.
    ///
    /// # Errors
    /// If there is none in this revision, or it is too large.
    pub fn read(&self, path: &str) -> Result<Vec<u8>, Problem> {
        let unreadable = |error: git2::Error| Problem::unreadable(error.message());
        let tree = self.repository.find_tree(self.tree).map_err(unreadable)?;
        let entry = tree.get_path(Path::new(path)).map_err(unreadable)?;
        if entry.kind() != Some(ObjectType::Blob) || entry.filemode() == LINK_MODE {
            return Err(Problem::unreadable("it is not a file"));
        }
        let size = self.repository.odb().and_then(|odb| odb.read_header(entry.id())).map_err(unreadable)?.0 as u64;
        if size > MOST_BYTES {
            return Err(Problem::too_large_for_a_resource(size, MOST_BYTES));
        }
        read(&self.repository, entry.id(), MOST_BYTES)
    }

    /// Lists the estate.
    ///
    /// # Errors
    /// If there is none in this revision, or Git's own objects are damaged.
    pub fn list(&self, max_files: usize) -> Result<Listing, Box<Diagnostic>> {
        let unreadable = |error: git2::Error| {
            Diagnostic::error(codes::FILE_UNREADABLE, format!("{} cannot be read: {}", self.shown, error.message()))
                .help("check the repository with `git fsck`")
        };
        let root = self.repository.find_tree(self.tree).map_err(unreadable)?;
        let mut walk = Walk {
            repository: &self.repository,
            root: &root,
            max_files,
            listing: Listing::default(),
            walked: HashSet::new(),
            links: Vec::new(),
            full: false,
        };
        if !walk.single(CONFIG_PATH) {
            return Err(Box::new(missing(&self.shown)));
        }
        walk.single(VALUES_SCHEMA_PATH);
        for folder in DOCUMENT_FOLDERS {
            walk.top(folder);
        }
        walk.follow_links();
        Ok(walk.listing.sorted())
    }
}

/// The commit from which a line of work has left a revision: that which both have in common. It is the revision itself where
/// nothing in common is known, such as in a shallow clone.
///
/// # Errors
/// If there is no such repository or revision.
pub fn left(directory: &Path, rev: &str, of: Option<&str>) -> Result<String, Box<Diagnostic>> {
    let Located { repository, .. } = discovered(directory, rev)?;
    let commit = resolve(&repository, rev)?;
    let head = resolve(&repository, of.unwrap_or("HEAD"))?;
    Ok(repository.merge_base(commit, head).unwrap_or(commit).to_string())
}

fn discovered(directory: &Path, rev: &str) -> Result<Located, Box<Diagnostic>> {
    discover(directory).map_err(|unusable| {
        let message = format!("the revision `{rev}` cannot be read: {}", unusable.reason());
        let remedy = match &unusable {
            Unusable::None => "`-C DIR` chooses the estate's folder".to_owned(),
            Unusable::Refused { .. } => unusable.remedy().unwrap_or_else(|| checked_out(rev)),
        };
        Box::new(Diagnostic::error(codes::FILE_UNREADABLE, message).help(remedy))
    })
}

fn resolve(repository: &Repository, rev: &str) -> Result<Oid, Box<Diagnostic>> {
    let commit = repository.revparse_single(rev).and_then(|object| object.peel_to_commit());
    commit.map(|commit| commit.id()).map_err(|error| {
        let message = format!("the revision `{rev}` cannot be read: {}", error.message());
        let remote = format!("origin/{rev}");
        let help = if repository.revparse_single(&remote).is_ok() {
            format!("did you mean `{remote}`?")
        } else if repository.is_shallow() {
            "this clone is shallow and lacks older commits: run `git fetch --unshallow`; in CI, check out the whole history"
                .to_owned()
        } else {
            "name a commit, branch or tag of this repository; run `git fetch` for those of the remote".to_owned()
        };
        Box::new(Diagnostic::error(codes::FILE_UNREADABLE, message).help(help))
    })
}

/// How to read a revision that this program cannot read from the repository: `git` itself can.
fn checked_out(rev: &str) -> String {
    format!("check it out with `git worktree add DIR {rev}`, and name the estate in it with `-C` instead of `--rev`")
}

fn folder_in(repository: &Repository, commit: Oid, folder: &Path) -> Result<Oid, git2::Error> {
    let root = repository.find_commit(commit)?.tree()?;
    if folder.as_os_str().is_empty() {
        return Ok(root.id());
    }
    let folder = root.get_path(folder)?.id();
    Ok(repository.find_tree(folder)?.id())
}

/// Reads a blob unless it is too large.
///
/// # Errors
/// If it is too large or damaged.
pub fn read(repository: &Repository, blob: Oid, limit: u64) -> Result<Vec<u8>, Problem> {
    let unreadable = |error: git2::Error| match error.code() {
        ErrorCode::NotFound => Problem::new(
            codes::FILE_UNREADABLE,
            "the clone does not have this file of the revision",
            "",
            format!("a partial clone fetches files when they are needed: {}", checked_out("REV")),
        ),
        _ => Problem::unreadable(error.message()),
    };
    let (size, _) = repository.odb().and_then(|odb| odb.read_header(blob)).map_err(unreadable)?;
    if size as u64 > limit {
        return Err(Problem::too_large(size as u64, limit));
    }
    Ok(repository.find_blob(blob).map_err(unreadable)?.content().to_vec())
}

struct Walk<'r> {
    repository: &'r Repository,
    root: &'r Tree<'r>,
    max_files: usize,
    listing: Listing,
    /// Real paths of the folders that were walked.
    walked: HashSet<String>,
    /// Links that were met: the path of the link and under which path it was met.
    links: Vec<(String, String)>,
    full: bool,
}

/// The destination of a link.
enum Target {
    Folder(String, Oid),
    File(String, Oid),
}

impl Walk<'_> {
    /// Adds one file of a fixed name. Returns whether it is there.
    fn single(&mut self, path: &str) -> bool {
        let Ok(entry) = self.root.get_path(Path::new(path)) else {
            // It could be in a submodule, whose files are not in this tree.
            let around = Path::new(path).ancestors().skip(1).filter_map(|folder| self.root.get_path(folder).ok());
            let is_beyond = around.into_iter().any(|entry| entry.kind() == Some(ObjectType::Commit));
            if is_beyond {
                self.listing.add(path, Err(submodule()));
            }
            return is_beyond;
        };
        let content = if entry.filemode() == LINK_MODE {
            self.target(path).and_then(|target| match target {
                Target::File(_, blob) => Ok(Content::Blob(blob)),
                Target::Folder(..) => Err(not_a_file()),
            })
        } else if entry.kind() == Some(ObjectType::Blob) {
            Ok(Content::Blob(entry.id()))
        } else {
            Err(not_a_file())
        };
        self.listing.add(path, content);
        true
    }

    fn top(&mut self, folder: &str) {
        let Ok(entry) = self.root.get_path(Path::new(folder)) else { return };
        match entry.kind() {
            Some(ObjectType::Tree) => self.folder(entry.id(), folder.to_owned(), folder.to_owned()),
            Some(ObjectType::Commit) => self.document(folder.to_owned(), Err(submodule())),
            _ if entry.filemode() == LINK_MODE => self.links.push((folder.to_owned(), folder.to_owned())),
            _ => {}
        }
    }

    /// Walks the folder at `real`, showing it as `path`.
    fn folder(&mut self, tree: Oid, real: String, path: String) {
        let mut folders = vec![(tree, real, path)];
        while let Some((tree, real, path)) = folders.pop() {
            if self.full || !self.walked.insert(real.clone()) {
                continue;
            }
            let tree = match self.repository.find_tree(tree) {
                Ok(tree) => tree,
                Err(error) => {
                    self.document(path, Err(Problem::unreadable(error.message())));
                    continue;
                }
            };
            for entry in &tree {
                let name = String::from_utf8_lossy(entry.name_bytes());
                if is_hidden(&name) {
                    continue;
                }
                let (real, path) = (join(&real, &name), join(&path, &name));
                match entry.kind() {
                    Some(ObjectType::Tree) => folders.push((entry.id(), real, path)),
                    Some(ObjectType::Commit) => self.document(path, Err(submodule())),
                    _ if entry.filemode() == LINK_MODE => self.links.push((real, path)),
                    _ if holds_documents(&name) => self.document(path, Ok(entry.id())),
                    _ => {}
                }
            }
        }
    }

    fn document(&mut self, path: String, content: Result<Oid, Problem>) {
        if self.listing.entries.len() >= self.max_files {
            if !self.full {
                self.full = true;
                self.listing.diagnostics.push(too_many(self.max_files));
            }
            return;
        }
        self.listing.add(path, content.map(Content::Blob));
    }

    /// Follows links to folders first, since they may hold what other links lead to.
    fn follow_links(&mut self) {
        let mut to_files = Vec::new();
        while !self.links.is_empty() {
            self.links.sort_by(|a, b| b.1.cmp(&a.1));
            let Some((link, path)) = self.links.pop() else { break };
            self.listing.links.push(path.clone());
            match self.target(&link) {
                Ok(Target::Folder(real, tree)) => self.folder(tree, real, path),
                Ok(Target::File(real, blob)) => to_files.push((real, blob, path)),
                Err(problem) => self.document(path, Err(problem)),
            }
        }
        let mut read = HashSet::new();
        for (real, blob, path) in to_files.into_iter().filter(|(_, _, path)| holds_documents(path)) {
            let (parent, name) = real.rsplit_once('/').unwrap_or(("", &real));
            let read_by_walk = self.walked.contains(parent) && holds_documents(name) && !is_hidden(name);
            if !read_by_walk && read.insert(real.clone()) {
                self.document(path, Ok(blob));
            }
        }
    }

    /// Follows the link at `link` and every link on the way, within the estate's tree.
    fn target(&self, link: &str) -> Result<Target, Problem> {
        let written = self.link_text(link)?;
        let mut reached: Vec<String> = link.split('/').map(str::to_owned).collect();
        reached.pop();
        let mut ahead: VecDeque<String> = components(&written)?;
        let mut links = 1;
        while let Some(component) = ahead.pop_front() {
            match component.as_str() {
                "" | "." => continue,
                ".." => {
                    reached.pop().ok_or_else(|| Problem::escapes(&written))?;
                    continue;
                }
                name => reached.push(name.to_owned()),
            }
            let path = reached.join("/");
            let entry = self.root.get_path(Path::new(&path)).map_err(|_| Problem::dangling(&written))?;
            if entry.filemode() == LINK_MODE {
                links += 1;
                if links > MAX_LINKS {
                    return Err(Problem::link_loop());
                }
                reached.pop();
                for component in components(&self.link_text(&path)?)?.into_iter().rev() {
                    ahead.push_front(component);
                }
            }
        }
        let path = reached.join("/");
        if path.is_empty() {
            return Ok(Target::Folder(path, self.root.id()));
        }
        let entry = self.root.get_path(Path::new(&path)).map_err(|_| Problem::dangling(&written))?;
        match entry.kind() {
            Some(ObjectType::Tree) => Ok(Target::Folder(path, entry.id())),
            Some(ObjectType::Blob) => Ok(Target::File(path, entry.id())),
            _ => Err(submodule()),
        }
    }

    fn link_text(&self, link: &str) -> Result<String, Problem> {
        let entry = self.root.get_path(Path::new(link)).map_err(|error| Problem::unreadable(error.message()))?;
        // Longer than any path that a system takes.
        let bytes = read(self.repository, entry.id(), 4096)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

fn components(target: &str) -> Result<VecDeque<String>, Problem> {
    if target.starts_with('/') {
        return Err(Problem::escapes(target));
    }
    Ok(target.split('/').map(str::to_owned).collect())
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

fn not_a_file() -> Problem {
    Problem::new(codes::FILE_UNREADABLE, "this is not a file", "", "replace it with a regular file")
}

fn submodule() -> Problem {
    Problem::new(
        codes::FILE_UNREADABLE,
        "this is in a Git submodule, whose files are not part of the revision",
        "",
        "check out the revision with its submodules (`git worktree add DIR REV`, then `git -C DIR submodule update --init`), and name the estate in it with `-C` instead of `--rev`",
    )
}

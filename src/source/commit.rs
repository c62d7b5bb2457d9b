//! Writes one file of an estate into its repository: a commit on a branch.
//!
//! On a branch that is not checked out, nothing but objects and the branch itself is written: index and work tree stay as they
//! are. On the branch that is checked out, the file and its own entry in the index follow the commit. The branch is moved only if
//! it is still where it was when the estate was read, so that of two commits at once one is refused.

use std::path::{Path, PathBuf};

use git2::build::TreeUpdateBuilder;
use git2::{ErrorCode, FileMode, Oid, Reference, Repository, RepositoryState, Signature, Status, Time};
use jiff::Timestamp;

use super::repository::{Located, Unusable, discover};
use super::text::BYTE_ORDER_MARK;
use tenantry_core::diagnostics::{Diagnostic, codes};

/// File mode of a symbolic link in a tree.
const LINK_MODE: i32 = 0o120_000;

/// A branch to commit to.
pub struct Branch {
    located: Located,
    /// Its short name, such as `tenantry/events`.
    name: String,
    /// The commit that it is at; `None` if it does not exist yet.
    at: Option<Oid>,
    /// The commit that the next one follows.
    base: Oid,
    is_checked_out: bool,
}

/// A file to commit.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    /// Relative to the estate, with forward slashes.
    pub path: &'a str,
    /// What it was before; `None` if it is new.
    pub before: Option<&'a str>,
    pub text: &'a str,
}

fn failed(message: impl Into<String>, help: impl Into<String>) -> Box<Diagnostic> {
    Box::new(Diagnostic::error(codes::EDIT_REFUSED, message).help(help))
}

fn of_git(attempted: &str, error: &git2::Error) -> Box<Diagnostic> {
    failed(format!("{attempted}: {}", error.message()), "check the repository with `git fsck`; nothing was committed")
}

impl Branch {
    /// A branch of the repository around an estate's folder. Its next commit follows the branch, or its counterpart of the
    /// remote `origin` if that is ahead or alone; the present commit if there is neither, or if that has all of it already.
    ///
    /// # Errors
    /// If there is no repository with a commit, the name is not one of a branch, or the branch is checked out.
    pub fn named(estate: &Path, name: &str) -> Result<Self, Box<Diagnostic>> {
        let located = located(estate)?;
        let repository = &located.repository;
        let full = format!("refs/heads/{name}");
        if !git2::Branch::name_is_valid(name).unwrap_or(false) || name == "HEAD" {
            let help = "use letters, digits, hyphens and slashes, such as tenantry/events";
            return Err(failed(format!("`{name}` is not a valid name of a branch"), help));
        }
        let head = head(repository)?;
        let tip = |reference: &str| -> Result<Option<Oid>, Box<Diagnostic>> {
            match repository.find_reference(reference).and_then(|found| found.peel_to_commit()) {
                Ok(commit) => Ok(Some(commit.id())),
                Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
                Err(error) => Err(of_git(&format!("reading {reference}"), &error)),
            }
        };
        let (local, remote) = (tip(&full)?, tip(&format!("refs/remotes/origin/{name}"))?);
        if is_checked_out(repository, &full) {
            let help = "name another branch, or check out another one; `new` and `edit` commit to it with `--commit`";
            return Err(failed(format!("the branch `{name}` is checked out"), help));
        }
        let contains = |descendant: Oid, ancestor: Oid| {
            descendant == ancestor || repository.graph_descendant_of(descendant, ancestor).unwrap_or(false)
        };
        let tip = match (local, remote) {
            (Some(local), Some(remote)) if contains(remote, local) => Some(remote),
            (local, remote) => local.or(remote),
        };
        // What was merged is begun anew.
        let base = tip.filter(|tip| !contains(head, *tip)).unwrap_or(head);
        Ok(Self { name: name.to_owned(), at: local, base, is_checked_out: false, located })
    }

    /// The same, for a branch that follows the present commit: where it is behind, the two are merged first.
    ///
    /// # Errors
    /// Also if both have changed the same lines.
    pub fn following(estate: &Path, name: &str, now: Timestamp) -> Result<Self, Box<Diagnostic>> {
        let mut branch = Self::named(estate, name)?;
        let repository = &branch.located.repository;
        let head = head(repository)?;
        if branch.base == head || repository.graph_descendant_of(branch.base, head).unwrap_or(false) {
            return Ok(branch);
        }
        let signature = branch.signature(now)?;
        let merge = || -> Result<Option<Oid>, git2::Error> {
            let (tip, head) = (repository.find_commit(branch.base)?, repository.find_commit(head)?);
            let mut merged = repository.merge_commits(&tip, &head, None)?;
            if merged.has_conflicts() {
                return Ok(None);
            }
            let tree = repository.find_tree(merged.write_tree_to(repository)?)?;
            // Nothing refers to it until the next commit follows it.
            let message = format!("Merge {} into {name}\n", head.id());
            repository.commit(None, &signature, &signature, &message, &tree, &[&tip, &head]).map(Some)
        };
        match merge() {
            Ok(Some(base)) => branch.base = base,
            Ok(None) => {
                let help = "merge or delete the branch, and run the command again; nothing was committed";
                return Err(failed(format!("the branch `{name}` and the present commit changed the same lines"), help));
            }
            Err(error) => return Err(of_git(&format!("merging the present commit into `{name}`"), &error)),
        }
        Ok(branch)
    }

    /// The branch that is checked out.
    ///
    /// # Errors
    /// If there is none, or the repository is in the middle of a merge or a rebase.
    pub fn checked_out(estate: &Path) -> Result<Self, Box<Diagnostic>> {
        let located = located(estate)?;
        let repository = &located.repository;
        if repository.workdir().is_none() {
            let help = "name a branch with `--branch NAME`";
            return Err(failed("the repository has no work tree to commit from", help));
        }
        if repository.state() != RepositoryState::Clean {
            let help = "finish or abort it first; `git status` shows how";
            return Err(failed("the repository is in the middle of a merge, a rebase or the like", help));
        }
        let base = head(repository)?;
        let head = repository.head().map_err(|error| of_git("reading HEAD", &error))?;
        let name = head.is_branch().then(|| shorthand(&head)).flatten();
        drop(head);
        let Some(name) = name else {
            let help = "check out a branch with `git switch`, or name one with `--branch NAME`";
            return Err(failed("no branch is checked out", help));
        };
        Ok(Self { name, at: Some(base), base, is_checked_out: true, located })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The commit that the next one follows, and whose estate is the one to edit.
    pub fn base(&self) -> String {
        self.base.to_string()
    }

    /// The messages of the commits that the branch is made of and of those of the present commit, the newest first.
    ///
    /// # Errors
    /// If the repository cannot be read, or does not have all of them.
    pub fn messages(&self) -> Result<Vec<String>, Box<Diagnostic>> {
        let repository = &self.located.repository;
        if repository.is_shallow() {
            let message = "this clone is shallow, so its history does not show everything that was committed before";
            let help = "run `git fetch --unshallow`; in CI, check out the whole history";
            return Err(failed(message, help));
        }
        let read = || -> Result<Vec<String>, git2::Error> {
            let mut walk = repository.revwalk()?;
            walk.set_sorting(git2::Sort::TOPOLOGICAL | git2::Sort::TIME)?;
            walk.push(self.base)?;
            walk.push_head()?;
            walk.map(|id| {
                let commit = repository.find_commit(id?)?;
                Ok(String::from_utf8_lossy(commit.message_bytes()).into_owned())
            })
            .collect()
        };
        read().map_err(|error| of_git("reading the history", &error))
    }

    /// Whether an edit of a file can be committed: on the branch that is checked out, the file must be as it was committed, or
    /// not exist.
    ///
    /// # Errors
    /// If not.
    pub fn check(&self, path: &str) -> Result<(), Box<Diagnostic>> {
        let repository = &self.located.repository;
        self.signature(Timestamp::UNIX_EPOCH)?;
        let file = self.path(path);
        let tree = repository.find_commit(self.base).and_then(|commit| commit.tree());
        let tree = tree.map_err(|error| of_git("reading the commit", &error))?;
        // A link, and what lies behind one or in a submodule, is not a file of this tree.
        let folders = file.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
        let is_elsewhere = tree.get_path(&file).is_ok_and(|entry| entry.filemode() == LINK_MODE)
            || folders
                .into_iter()
                .any(|folder| tree.get_path(folder).is_ok_and(|entry| entry.kind() != Some(git2::ObjectType::Tree)));
        if is_elsewhere {
            let help = "edit it without `--branch` and `--commit`, and commit with `git`; nothing was written";
            return Err(failed(format!("{path} is a symbolic link, or lies behind one or in a submodule"), help));
        }
        if !self.is_checked_out {
            return Ok(());
        }
        let changed = |what: &str| {
            let help = format!(
                "commit it, or put it aside with `git stash`; `git status {path}` shows it; nothing was written"
            );
            Err(failed(format!("{path} {what}, which would become part of the commit"), help))
        };
        match repository.status_file(&file) {
            Ok(Status::CURRENT) => Ok(()),
            Ok(status) if status.contains(Status::WT_NEW) || status.contains(Status::IGNORED) => {
                changed("was never committed")
            }
            Ok(_) => changed("has uncommitted changes"),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(()),
            Err(error) => Err(of_git(&format!("reading the status of {path}"), &error)),
        }
    }

    /// Commits a file, or nothing but a message, and moves the branch. Returns the commit.
    ///
    /// # Errors
    /// If the branch has moved since, or the repository cannot be written. Then the file is as it was.
    pub fn commit(&self, file: Option<File<'_>>, message: &str, now: Timestamp) -> Result<String, Box<Diagnostic>> {
        let repository = &self.located.repository;
        if let Some(file) = file {
            self.check(file.path)?;
        }
        let signature = self.signature(now)?;
        let written =
            file.filter(|_| self.is_checked_out).map(|file| WorkFile::write(repository, &self.path(file.path), file));
        let written = written.transpose()?;
        let commit = || -> Result<Oid, git2::Error> {
            let base = repository.find_commit(self.base)?;
            let mut tree = base.tree()?;
            if let Some(file) = file {
                let path = self.path(file.path);
                let mode = tree.get_path(&path).map_or(FileMode::Blob, |entry| match entry.filemode() {
                    0o100_755 => FileMode::BlobExecutable,
                    _ => FileMode::Blob,
                });
                let blob = match &written {
                    Some(written) => written.blob,
                    None => {
                        let before = tree.get_path(&path).and_then(|entry| repository.find_blob(entry.id()));
                        let marked = before.is_ok_and(|blob| blob.content().starts_with(BYTE_ORDER_MARK));
                        repository.blob(&bytes(file.text, marked))?
                    }
                };
                let id = TreeUpdateBuilder::new().upsert(path, blob, mode).create_updated(repository, &tree)?;
                tree = repository.find_tree(id)?;
            }
            let id = repository.commit(None, &signature, &signature, message, &tree, &[&base])?;
            let log = format!("tenantry: {}", message.lines().next().unwrap_or_default());
            let full = format!("refs/heads/{}", self.name);
            match self.at {
                Some(at) => repository.reference_matching(&full, id, true, at, &log)?,
                None => repository.reference(&full, id, false, &log)?,
            };
            Ok(id)
        };
        match (commit(), written) {
            (Ok(id), written) => {
                if let Some(mut written) = written {
                    let done = written.index.write();
                    done.map_err(|error| {
                        let help = "the commit was made; run `git reset -q` to bring the index up to date";
                        failed(format!("writing the index: {}", error.message()), help)
                    })?;
                }
                Ok(id.to_string())
            }
            (Err(error), written) => {
                if let Some(written) = written {
                    written.undo();
                }
                Err(match error.code() {
                    ErrorCode::Modified | ErrorCode::Exists => failed(
                        format!("the branch `{}` was moved meanwhile", self.name),
                        "run the command again; nothing was committed",
                    ),
                    _ => of_git("writing the commit", &error),
                })
            }
        }
    }

    /// The path of a file of the estate in the repository.
    fn path(&self, file: &str) -> PathBuf {
        self.located.folder.join(file)
    }

    /// Author and committer, as `git` itself has them.
    fn signature(&self, now: Timestamp) -> Result<Signature<'static>, Box<Diagnostic>> {
        let named = self.located.repository.signature();
        let signed = named.and_then(|known| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let (name, email) = (text(known.name_bytes()), text(known.email_bytes()));
            Signature::new(&name, &email, &Time::new(now.as_second(), 0))
        });
        signed.map_err(|_| {
            failed(
                "the author of the commit is not known",
                "set it with `git config user.name NAME` and `git config user.email ADDRESS`; nothing was written",
            )
        })
    }
}

/// Whether a work tree has this branch checked out, the repository's own or another one (`gitrepository-layout`).
fn is_checked_out(repository: &Repository, reference: &str) -> bool {
    let common = repository.commondir();
    let is_bare = Repository::open(common).is_ok_and(|main| main.is_bare());
    let own = (!is_bare).then(|| common.join("HEAD"));
    let others = std::fs::read_dir(common.join("worktrees")).into_iter().flatten().flatten();
    let mut heads = own.into_iter().chain(others.map(|entry| entry.path().join("HEAD")));
    heads.any(|head| {
        std::fs::read_to_string(head)
            .is_ok_and(|text| text.trim().strip_prefix("ref:").is_some_and(|at| at.trim() == reference))
    })
}

fn shorthand(reference: &Reference<'_>) -> Option<String> {
    let name = std::str::from_utf8(reference.name_bytes()).ok()?;
    name.strip_prefix("refs/heads/").map(str::to_owned)
}

fn located(estate: &Path) -> Result<Located, Box<Diagnostic>> {
    discover(estate).map_err(|unusable| {
        let help = unusable.remedy().unwrap_or_else(|| match unusable {
            Unusable::None => {
                "create one with `git init` and commit the estate, or edit without `--branch` and `--commit`".to_owned()
            }
            Unusable::Refused { .. } => "edit without `--branch` and `--commit`, and commit with `git`".to_owned(),
        });
        failed(format!("the edit cannot be committed: {}", unusable.reason()), help)
    })
}

fn head(repository: &Repository) -> Result<Oid, Box<Diagnostic>> {
    match repository.head().and_then(|head| head.peel_to_commit()) {
        Ok(commit) => Ok(commit.id()),
        Err(error) if matches!(error.code(), ErrorCode::UnbornBranch | ErrorCode::NotFound) => {
            Err(failed("the repository has no commit yet", "commit the estate first"))
        }
        Err(error) => Err(of_git("reading HEAD", &error)),
    }
}

/// A file of the work tree that was written, and how to undo that.
struct WorkFile {
    path: PathBuf,
    before: Option<Vec<u8>>,
    /// What the file is in the repository, once its line endings are as the repository has them.
    blob: Oid,
    /// With the file's new entry; not written yet.
    index: git2::Index,
}

impl WorkFile {
    fn write(repository: &Repository, path: &Path, file: File<'_>) -> Result<Self, Box<Diagnostic>> {
        let absolute = repository.workdir().unwrap_or_else(|| repository.path()).join(path);
        let before = std::fs::read(&absolute).ok();
        replace(&absolute, file.before, file.text)?;
        let added = || -> Result<(git2::Index, Oid), git2::Error> {
            let mut index = repository.index()?;
            index.add_path(path)?;
            let blob = index.get_path(path, 0).map(|entry| entry.id);
            Ok((index, blob.ok_or_else(|| git2::Error::from_str("the file is not in the index"))?))
        };
        match added() {
            Ok((index, blob)) => Ok(Self { path: absolute, before, blob, index }),
            Err(error) => {
                undo(&absolute, before.as_deref());
                Err(of_git("adding the file to the index", &error))
            }
        }
    }

    fn undo(self) {
        undo(&self.path, self.before.as_deref());
    }
}

fn undo(path: &Path, before: Option<&[u8]>) {
    // The failure that led here is the one to report.
    let _ = match before {
        Some(bytes) => std::fs::write(path, bytes),
        None => std::fs::remove_file(path),
    };
}

/// The bytes of a text, with a byte order mark where there was one.
fn bytes(text: &str, marked: bool) -> Vec<u8> {
    let mark: &[u8] = if marked { BYTE_ORDER_MARK } else { &[] };
    [mark, text.as_bytes()].concat()
}

/// Writes files of a folder. If one of them cannot be written, those before it are as they were.
///
/// # Errors
/// Those of [`replace`].
pub fn replace_all<'a>(folder: &Path, files: impl Iterator<Item = File<'a>>) -> Result<(), Box<Diagnostic>> {
    let mut written: Vec<(PathBuf, Option<Vec<u8>>)> = Vec::new();
    for file in files {
        let path = folder.join(file.path);
        let before = std::fs::read(&path).ok();
        if let Err(diagnostic) = replace(&path, file.before, file.text) {
            written.iter().rev().for_each(|(path, before)| undo(path, before.as_deref()));
            return Err(diagnostic);
        }
        written.push((path, before));
    }
    Ok(())
}

/// Writes a file as a whole, so that a crash leaves either the old or the new one. Its permissions stay; of a symbolic link, the
/// file that it leads to is written.
///
/// # Errors
/// If it does not have the text from before any more, or cannot be written.
pub fn replace(path: &Path, before: Option<&str>, text: &str) -> Result<(), Box<Diagnostic>> {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let known = std::fs::read(&path).ok();
    let marked = known.as_ref().is_some_and(|known| known.starts_with(BYTE_ORDER_MARK));
    if known != before.map(|before| bytes(before, marked)) {
        let help = "run the command again; nothing was written";
        return Err(failed(format!("{} was changed meanwhile", path.display()), help));
    }
    written(&path, &bytes(text, marked)).map_err(|error| {
        failed(format!("writing {}: {error}", path.display()), "check the permissions of the file and of its folder")
    })
}

fn written(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".new");
    let new = path.with_file_name(name);
    let written = std::fs::write(&new, bytes).and_then(|()| {
        if let Ok(known) = std::fs::metadata(path) {
            std::fs::set_permissions(&new, known.permissions())?;
        }
        std::fs::rename(&new, path)
    });
    if written.is_err() {
        let _ = std::fs::remove_file(&new);
    }
    written
}

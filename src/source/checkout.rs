//! Which commit a directory's estate is, and whether all of it is checked out.
//!
//! A commit is only named if no file of the estate differs from it, submodules included. If that is not known, a warning says
//! why, to distinguish this from a plan of edited files.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use git2::{Config, ErrorCode, FileMode, Oid, Repository, Status, StatusOptions};

use super::listing::{CONFIG_PATH, DOCUMENT_FOLDERS, Problem, VALUES_SCHEMA_PATH, holds_documents};
use super::repository::{Located, Unusable, discover, top};
use tenantry_core::diagnostics::{Diagnostic, codes};
use tenantry_core::model::document::{ApprovalSpec, Document};

/// File mode of a submodule in a tree or index.
const SUBMODULE_MODE: u32 = 0o160_000;

/// The index's sign for a file that a sparse checkout leaves out (`gitformat-index`, extended flags).
const SKIP_WORKTREE: u16 = 1 << 14;

/// An estate's directory in Git.
pub struct Checkout {
    located: Result<Located, Unusable>,
    directory: PathBuf,
}

impl Checkout {
    pub fn of(directory: &Path) -> Self {
        Self { located: discover(directory), directory: directory.to_owned() }
    }

    /// The commit of the estate, if no file of it differs from that commit.
    ///
    /// # Errors
    /// With a warning, if the repository cannot be read.
    pub fn revision(&self, linked: &[String]) -> Result<Option<String>, Box<Diagnostic>> {
        let located = match &self.located {
            Ok(located) => located,
            Err(Unusable::None) => return Ok(None),
            Err(unusable) => return Err(Box::new(unknown(&unusable.reason(), unusable.remedy()))),
        };
        let Located { repository, folder } = located;
        clean_head(repository, folder, &read_paths(folder, linked)).map_err(|error| {
            let top = repository.workdir().unwrap_or_else(|| repository.path()).display();
            let reason = format!("the Git repository {top} cannot be read: {}", error.message());
            Box::new(unknown(&reason, Some(format!("check the repository with `git -C {top} fsck`"))))
        })
    }

    /// Says of each Approval why it does not count, if its file is not committed as it is. Outside of any repository nothing is
    /// committed and nothing can be: there it is not said.
    pub fn mark_uncommitted(&self, approvals: &mut [Document<ApprovalSpec>]) {
        if matches!(self.located, Err(Unusable::None)) {
            return;
        }
        let mut known: HashMap<Arc<str>, Option<Arc<str>>> = HashMap::new();
        for approval in approvals {
            let file = &mut approval.spec.file;
            let state =
                known.entry(file.path.clone()).or_insert_with(|| uncommitted(&self.directory.join(&*file.path)));
            file.uncommitted.clone_from(state);
        }
    }

    /// Missing parts of the estate, by path below the estate: submodules that are not checked out, and files that a sparse
    /// checkout leaves out. Without this check their documents would look deleted.
    pub fn not_checked_out(&self, linked: &[String]) -> Vec<(String, Problem)> {
        let Some((estate, missing)) = self.missing(|folder| read_paths(folder, linked)) else { return Vec::new() };
        let below_estate = |path: &Path| path.strip_prefix(&estate).unwrap_or(path).display().to_string();
        let is_file = |what: &Missing| matches!(what, Missing::File);
        let files = missing.values().filter(|what| is_file(what)).count();
        let mut problems = Vec::new();
        for (path, what) in missing {
            let mut problem = what.problem();
            // One of a thousand files tells as much as all of them.
            if is_file(&what) {
                if problems.iter().any(|(_, known): &(String, Problem)| known.help == problem.help) {
                    continue;
                }
                if files > 1 {
                    problem.message = format!("{} and {} more", problem.message, files - 1);
                }
            }
            problems.push((below_estate(&path), problem));
        }
        problems
    }

    /// Why there is no estate, if it is because its folder is not checked out.
    pub fn without_estate(&self) -> Option<Diagnostic> {
        let (estate, missing) = self.missing(|folder| vec![folder.join(CONFIG_PATH)])?;
        let (_, what) = missing.into_iter().next()?;
        let Problem { code, message, label: _, help } = what.problem();
        Some(Diagnostic::error(code, format!("{}: {message}", estate.display())).help(help))
    }

    /// What is missing of the paths that `paths` gives, and the estate's own folder.
    fn missing(&self, paths: impl FnOnce(&Path) -> Vec<PathBuf>) -> Option<(PathBuf, BTreeMap<PathBuf, Missing>)> {
        let mut missing = BTreeMap::new();
        let (base, folder) = match &self.located {
            Ok(Located { repository, folder }) => {
                let base = repository.workdir()?;
                // What cannot be told is told of as an unknown revision.
                let _ = find_missing(repository, base, &paths(folder), &mut missing);
                (base.to_owned(), folder.clone())
            }
            // The list of submodules is an ordinary file, there even where there is no repository any more.
            Err(_) => {
                let (base, folder) = self.with_list_of_submodules()?;
                let paths = paths(&folder);
                let concerned = listed_submodules(&base).into_iter().filter(|path| concerns(path, &paths));
                let empty = concerned.map(|path| base.join(path)).filter(|path| is_empty(path));
                missing.extend(empty.map(|path| (path, Missing::Submodule)));
                (base, folder)
            }
        };
        Some((base.join(folder), missing))
    }

    /// The nearest folder around the estate that lists submodules, and the estate's path below it.
    fn with_list_of_submodules(&self) -> Option<(PathBuf, PathBuf)> {
        let directory = self.directory.canonicalize().ok()?;
        let base =
            top(&directory).or_else(|| directory.ancestors().find(|folder| folder.join(GITMODULES).is_file()))?;
        Some((base.to_owned(), directory.strip_prefix(base).ok()?.to_owned()))
    }
}

const GITMODULES: &str = ".gitmodules";

/// What is not checked out.
enum Missing {
    Submodule,
    /// Left out by a sparse checkout.
    File,
}

impl Missing {
    fn problem(&self) -> Problem {
        let (message, help) = match self {
            Self::Submodule => (
                "the Git submodule is not checked out, so its files are missing",
                "run `git submodule update --init --recursive`; in CI, check out with submodules",
            ),
            Self::File => (
                "a sparse checkout leaves out this file of the estate",
                "run `git sparse-checkout disable`, or add the estate's folders with `git sparse-checkout add`",
            ),
        };
        Problem::new(codes::NOT_CHECKED_OUT, message, "", help)
    }
}

fn unknown(reason: &str, remedy: Option<String>) -> Diagnostic {
    Diagnostic::warning(codes::REVISION_UNKNOWN, format!("the revision of the estate is not known: {reason}")).help(
        remedy.unwrap_or_else(|| "plans and the journal will not name a revision; everything else works".to_owned()),
    )
}

/// What is read of an estate, relative to the repository.
fn read_paths(folder: &Path, linked: &[String]) -> Vec<PathBuf> {
    let fixed = [CONFIG_PATH, VALUES_SCHEMA_PATH].into_iter().chain(DOCUMENT_FOLDERS);
    fixed.chain(linked.iter().map(String::as_str)).map(|path| folder.join(path)).collect()
}

/// Whether a submodule holds, or lies within, any of the paths that are read.
fn concerns(submodule: &Path, paths: &[PathBuf]) -> bool {
    paths.iter().any(|path| path.starts_with(submodule) || submodule.starts_with(path))
}

/// The paths that are read, seen from within a submodule. Nothing stands for all of it.
fn within(submodule: &Path, paths: &[PathBuf]) -> Vec<PathBuf> {
    let inner: Vec<PathBuf> =
        paths.iter().filter_map(|path| Some(path.strip_prefix(submodule).ok()?.to_owned())).collect();
    let is_whole = paths.iter().any(|path| submodule.starts_with(path));
    if is_whole || inner.iter().any(|path| path.as_os_str().is_empty()) { vec![PathBuf::new()] } else { inner }
}

fn clean_head(repository: &Repository, folder: &Path, paths: &[PathBuf]) -> Result<Option<String>, git2::Error> {
    if repository.workdir().is_none() {
        return Ok(None);
    }
    let head = match repository.head().and_then(|head| head.peel_to_commit()) {
        Ok(head) => head,
        // Nothing was committed yet.
        Err(error) if matches!(error.code(), ErrorCode::UnbornBranch | ErrorCode::NotFound) => return Ok(None),
        Err(error) => return Err(error),
    };
    match head.tree()?.get_path(&folder.join(CONFIG_PATH)) {
        Ok(_) => {}
        Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    Ok(is_clean(repository, paths)?.then(|| head.id().to_string()))
}

/// Why a file is not what its repository's present commit has, as the end of a sentence; `None` if it is.
fn uncommitted(file: &Path) -> Option<Arc<str>> {
    let unreadable = |why: &str| Some(format!("cannot be compared with a commit: {why}").into());
    // The content is that of the file which a link leads to, perhaps in a submodule.
    let Ok(real) = file.canonicalize() else { return unreadable("it cannot be opened") };
    let Some(parent) = real.parent() else { return unreadable("it is in no folder") };
    let Located { repository, folder } = match discover(parent) {
        Ok(located) => located,
        Err(unusable) => return unreadable(&unusable.reason()),
    };
    let Some(name) = real.file_name() else { return unreadable("it has no name") };
    match repository.status_file(&folder.join(name)) {
        Ok(Status::CURRENT) => None,
        Ok(status) if status.intersects(Status::WT_NEW | Status::INDEX_NEW) => Some("is not committed".into()),
        Ok(status) if status.contains(Status::IGNORED) => Some("is ignored by Git and in no commit".into()),
        Ok(_) => Some("has uncommitted changes".into()),
        Err(error) => unreadable(error.message()),
    }
}

/// Whether nothing that is read below `paths` differs from the repository's present commit.
fn is_clean(repository: &Repository, paths: &[PathBuf]) -> Result<bool, git2::Error> {
    let mut options = StatusOptions::new();
    options
        .include_untracked(true)
        .recurse_untracked_dirs(true)
        // An ignored file is read like any other, but is in no commit.
        .include_ignored(true)
        .recurse_ignored_dirs(true)
        .disable_pathspec_match(true);
    for path in paths.iter().filter(|path| !path.as_os_str().is_empty()) {
        options.pathspec(path);
    }
    for entry in repository.statuses(Some(&mut options))?.iter() {
        let is_submodule = entry.head_to_index().is_some_and(|delta| {
            [delta.old_file(), delta.new_file()].iter().any(|file| file.mode() == FileMode::Commit)
        });
        let path = String::from_utf8_lossy(entry.path_bytes());
        // What ends with a slash is a repository of its own that is no submodule.
        let is_changed = entry.status() != Status::CURRENT && (is_read(&path) || path.ends_with('/'));
        if is_submodule || is_changed {
            return Ok(false);
        }
    }
    for (path, commit) in submodules(repository, paths)? {
        let Some(folder) = repository.workdir().map(|base| base.join(&path)) else { return Ok(false) };
        // Its files may be there all the same, without a repository that could tell what they are.
        if !folder.join(".git").exists() {
            return Ok(false);
        }
        let inner = Repository::open(&folder)?;
        if inner.head()?.peel_to_commit()?.id() != commit || !is_clean(&inner, &within(&path, paths))? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a file below the paths that are read is one that holds something of the estate.
fn is_read(path: &str) -> bool {
    holds_documents(path) || path.ends_with(CONFIG_PATH) || path.ends_with(VALUES_SCHEMA_PATH)
}

/// Submodules of the index that concern the paths, with the commit that each should have.
fn submodules(repository: &Repository, paths: &[PathBuf]) -> Result<Vec<(PathBuf, Oid)>, git2::Error> {
    let index = repository.index()?;
    let of_index = index.iter().filter(|entry| entry.mode == SUBMODULE_MODE);
    let found = of_index.map(|entry| (PathBuf::from(String::from_utf8_lossy(&entry.path).into_owned()), entry.id));
    Ok(found.filter(|(path, _)| concerns(path, paths)).collect())
}

fn find_missing(
    repository: &Repository,
    base: &Path,
    paths: &[PathBuf],
    missing: &mut BTreeMap<PathBuf, Missing>,
) -> Result<(), git2::Error> {
    for entry in repository.index()?.iter().filter(|entry| entry.flags_extended & SKIP_WORKTREE != 0) {
        let path = PathBuf::from(String::from_utf8_lossy(&entry.path).into_owned());
        let is_below = paths.iter().any(|read| path.starts_with(read));
        if is_below && is_read(&path.to_string_lossy()) && !base.join(&path).exists() {
            missing.insert(base.join(path), Missing::File);
        }
    }
    for (path, _) in submodules(repository, paths)? {
        let folder = base.join(&path);
        if folder.join(".git").exists() {
            find_missing(&Repository::open(&folder)?, &folder, &within(&path, paths), missing)?;
        } else if is_empty(&folder) {
            missing.insert(folder, Missing::Submodule);
        }
    }
    Ok(())
}

/// Whether a folder has nothing in it, or is not there.
fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none())
}

/// The paths of all submodules that the file `.gitmodules` of a folder names.
fn listed_submodules(base: &Path) -> Vec<PathBuf> {
    let read = || -> Result<Vec<PathBuf>, git2::Error> {
        let config = Config::open(&base.join(GITMODULES))?;
        let mut paths = Vec::new();
        config
            .entries(Some(r"^submodule\..*\.path$"))?
            .for_each(|entry| paths.extend(entry.value().map(PathBuf::from)))?;
        Ok(paths)
    };
    read().unwrap_or_default()
}

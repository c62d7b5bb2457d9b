//! The files of an estate in a directory.
//!
//! Folders are walked without following links; links are followed afterwards. A link to a folder or file within the estate is
//! followed unless its destination was already read, so each file is read once and loops end.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::contents::MOST_BYTES;
use super::listing::{
    CONFIG_PATH, Content, DOCUMENT_FOLDERS, Listing, Problem, VALUES_SCHEMA_PATH, holds_documents, is_hidden, missing,
    too_many,
};
use tenantry_core::diagnostics::{Diagnostic, codes};

/// Lists the estate in `root`.
///
/// # Errors
/// If there is none.
pub fn list(root: &Path, max_files: usize) -> Result<Listing, Box<Diagnostic>> {
    let canonical = root.canonicalize().map_err(|error| {
        Diagnostic::error(codes::ESTATE_MISSING, format!("the folder {} cannot be opened: {error}", root.display()))
            .help("`-C DIR` chooses the estate's folder")
    })?;
    let mut walk = Walk { root: canonical, max_files, ..Walk::default() };
    if !walk.single(CONFIG_PATH) {
        return Err(Box::new(missing(&root.display().to_string())));
    }
    walk.single(VALUES_SCHEMA_PATH);
    for folder in DOCUMENT_FOLDERS {
        walk.top(folder);
    }
    walk.follow_links();
    Ok(walk.listing.sorted())
}

/// Reads a file of the estate that is no document.
///
/// # Errors
/// If there is none within the estate's folder, or it is too large.
pub fn read(root: &Path, path: &str) -> Result<Vec<u8>, Problem> {
    let real = root.join(path).canonicalize().map_err(Problem::unreadable)?;
    let root = root.canonicalize().map_err(Problem::unreadable)?;
    if !real.starts_with(&root) {
        return Err(Problem::escapes(&real.display().to_string()));
    }
    let metadata = fs::metadata(&real).map_err(Problem::unreadable)?;
    if !metadata.is_file() {
        return Err(not_a_file());
    }
    if metadata.len() > MOST_BYTES {
        return Err(Problem::too_large_for_a_resource(metadata.len(), MOST_BYTES));
    }
    fs::read(&real).map_err(Problem::unreadable)
}

#[derive(Default)]
struct Walk {
    root: PathBuf,
    max_files: usize,
    listing: Listing,
    /// Real paths of the folders that were walked.
    walked: HashSet<PathBuf>,
    /// Links that were met: where they are and under which path.
    links: Vec<(PathBuf, String)>,
    full: bool,
}

impl Walk {
    /// Adds one file of a fixed name. Returns whether it is there.
    fn single(&mut self, path: &str) -> bool {
        let real = self.root.join(path);
        match fs::symlink_metadata(&real) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return false,
            Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => return false,
            Err(error) => self.listing.add(path, Err(Problem::unreadable(error))),
            Ok(_) => {
                let content = self
                    .target(&real)
                    .and_then(|target| if target.is_file() { Ok(Content::File(target)) } else { Err(not_a_file()) });
                self.listing.add(path, content);
            }
        }
        true
    }

    fn top(&mut self, folder: &str) {
        let real = self.root.join(folder);
        match fs::symlink_metadata(&real) {
            Ok(metadata) if metadata.is_dir() => self.folder(real, folder.to_owned()),
            Ok(metadata) if metadata.is_symlink() => self.links.push((real, folder.to_owned())),
            // A file of that name, or nothing, holds no documents.
            Ok(_) | Err(_) => {}
        }
    }

    fn folder(&mut self, real: PathBuf, path: String) {
        let mut folders = vec![(real, path)];
        while let Some((real, path)) = folders.pop() {
            if self.full || !self.walked.insert(real.clone()) {
                continue;
            }
            let entries = match fs::read_dir(&real) {
                Ok(entries) => entries,
                Err(error) => {
                    self.unreadable_folder(&path, &error);
                    continue;
                }
            };
            for entry in entries {
                match entry.and_then(|entry| Ok((entry.file_type()?, entry))) {
                    Ok((kind, entry)) => {
                        let name = entry.file_name();
                        let name = name.to_string_lossy();
                        if is_hidden(&name) {
                            continue;
                        }
                        let path = format!("{path}/{name}");
                        if kind.is_dir() {
                            folders.push((entry.path(), path));
                        } else if kind.is_symlink() {
                            self.links.push((entry.path(), path));
                        } else if holds_documents(&name) {
                            self.document(path, if kind.is_file() { Ok(entry.path()) } else { Err(not_a_file()) });
                        }
                    }
                    Err(error) => self.unreadable_folder(&path, &error),
                }
            }
        }
    }

    fn document(&mut self, path: String, content: Result<PathBuf, Problem>) {
        if self.listing.entries.len() >= self.max_files {
            if !self.full {
                self.full = true;
                self.listing.diagnostics.push(too_many(self.max_files));
            }
            return;
        }
        self.listing.add(path, content.map(Content::File));
    }

    fn unreadable_folder(&mut self, path: &str, error: &std::io::Error) {
        self.listing.diagnostics.push(
            Diagnostic::error(codes::FILE_UNREADABLE, format!("the folder `{path}` cannot be read: {error}"))
                .help("check its permissions"),
        );
    }

    /// Follows links to folders first, since they may hold what other links lead to.
    fn follow_links(&mut self) {
        let mut to_files = Vec::new();
        while !self.links.is_empty() {
            self.links.sort_by(|a, b| b.1.cmp(&a.1));
            let Some((real, path)) = self.links.pop() else { break };
            self.listing.links.push(path.clone());
            match self.target(&real) {
                Ok(target) if target.is_dir() => {
                    self.note_linked(&target);
                    self.folder(target, path);
                }
                Ok(target) => to_files.push((target, path)),
                Err(problem) => self.document(path, Err(problem)),
            }
        }
        let mut read = HashSet::new();
        for (target, path) in to_files.into_iter().filter(|(_, path)| holds_documents(path)) {
            let read_by_walk = target.parent().is_some_and(|parent| self.walked.contains(parent))
                && target
                    .file_name()
                    .and_then(|name| name.to_str())
                    .is_some_and(|name| holds_documents(name) && !is_hidden(name));
            if !read_by_walk && read.insert(target.clone()) {
                self.note_linked(&target);
                let content = if target.is_file() { Ok(target) } else { Err(not_a_file()) };
                self.document(path, content);
            }
        }
    }

    fn note_linked(&mut self, target: &Path) {
        if let Ok(relative) = target.strip_prefix(&self.root) {
            self.listing.linked.push(relative.to_string_lossy().into_owned());
        }
    }

    /// The destination of a path, if it is within the estate.
    fn target(&self, path: &Path) -> Result<PathBuf, Problem> {
        let written = || fs::read_link(path).unwrap_or_default().display().to_string();
        match path.canonicalize() {
            Ok(target) if target.starts_with(&self.root) => Ok(target),
            Ok(_) => Err(Problem::escapes(&written())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Problem::dangling(&written())),
            // What else can go wrong on the way of a link is that it does not end; the name for it is not stable yet.
            Err(error) if path.is_symlink() && error.kind() != std::io::ErrorKind::PermissionDenied => {
                Err(Problem::link_loop())
            }
            Err(error) => Err(Problem::unreadable(error)),
        }
    }
}

fn not_a_file() -> Problem {
    Problem::new(
        codes::FILE_UNREADABLE,
        "this is not a file or a folder",
        "",
        "remove the pipe, socket or device; documents are regular files",
    )
}

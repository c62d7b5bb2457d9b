//! The files of an estate, from a directory or a revision.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tenantry_core::diagnostics::{Code, Diagnostic, Origin, codes};

/// The configuration.
pub const CONFIG_PATH: &str = "tenantry.toml";

/// The user's own schema of a tenant's `values`.
pub const VALUES_SCHEMA_PATH: &str = "schemas/tenant.schema.json";

/// The folders whose YAML files hold documents.
pub const DOCUMENT_FOLDERS: [&str; 2] = ["policies", "tenants"];

/// How many links may follow each other, as on Linux.
pub const MAX_LINKS: usize = 40;

/// Problems of one file that are reported. More are never read, and a damaged file could have a million.
pub const MAX_PROBLEMS: usize = 200;

/// The files of an estate in order of path.
#[derive(Default)]
pub struct Listing {
    pub entries: Vec<Entry>,
    /// What is wrong beyond single files, such as a folder that cannot be read.
    pub diagnostics: Vec<Diagnostic>,
    /// Paths below the estate that links lead to, outside of the folders that are read anyway.
    pub linked: Vec<String>,
    /// Paths of links to files and folders that were followed: entries below them have their content elsewhere.
    pub links: Vec<String>,
}

/// One file.
pub struct Entry {
    /// Relative to the estate, with forward slashes.
    pub path: String,
    /// Where its bytes are, or why they cannot be read.
    pub content: Result<Content, Problem>,
}

/// Where a file's bytes are.
pub enum Content {
    File(PathBuf),
    Blob(git2::Oid),
    /// In place of what the file has.
    Text(String),
}

/// What is wrong with a file, before it has a place in [`SourceFiles`](tenantry_core::diagnostics::SourceFiles).
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    pub code: Code,
    pub message: String,
    pub label: String,
    pub help: String,
}

impl Problem {
    pub fn new(code: Code, message: impl Into<String>, label: impl Into<String>, help: impl Into<String>) -> Self {
        Self { code, message: message.into(), label: label.into(), help: help.into() }
    }

    pub fn at(self, origin: Origin) -> Diagnostic {
        Diagnostic::error(self.code, self.message).at(origin, self.label).help(self.help)
    }

    pub fn unreadable(why: impl std::fmt::Display) -> Self {
        Self::new(
            codes::FILE_UNREADABLE,
            format!("the file cannot be read: {why}"),
            "",
            "check that it exists, and its permissions",
        )
    }

    pub fn too_large(bytes: u64, limit: u64) -> Self {
        Self::new(
            codes::FILE_TOO_LARGE,
            format!("the file has {bytes} bytes; at most {limit} are allowed"),
            "",
            "split it, or raise `limits.max_file_bytes` in `tenantry.toml`",
        )
    }

    pub fn too_large_for_a_resource(bytes: u64, limit: u64) -> Self {
        let help = "a resource has small files, which are a part of every plan that writes them; upload a large one with the product";
        Self::new(codes::FILE_TOO_LARGE, format!("the file has {bytes} bytes; at most {limit} are allowed"), "", help)
    }

    pub fn escapes(target: &str) -> Self {
        Self::new(
            codes::FILE_SYMLINK_ESCAPES,
            format!("the symbolic link to `{target}` leads out of the estate"),
            "",
            "copy the file into the estate, or link to one within it",
        )
    }

    pub fn dangling(target: &str) -> Self {
        Self::new(
            codes::FILE_UNREADABLE,
            format!("the symbolic link to `{target}` is broken"),
            "",
            "remove the link, or restore its destination",
        )
    }

    pub fn link_loop() -> Self {
        Self::new(codes::FILE_UNREADABLE, "the symbolic link points to itself", "", "remove the link")
    }
}

impl Listing {
    pub fn add(&mut self, path: impl Into<String>, content: Result<Content, Problem>) {
        self.entries.push(Entry { path: path.into(), content });
    }

    /// Exchanges the content of some files, and adds those that are not there.
    pub fn edited(mut self, texts: &BTreeMap<String, String>) -> Self {
        for (path, text) in texts {
            let content = Ok(Content::Text(text.clone()));
            match self.entries.iter_mut().find(|entry| entry.path == *path) {
                Some(entry) => entry.content = content,
                None => self.add(path, content),
            }
        }
        self.sorted()
    }

    /// Puts the entries into the order of their paths.
    pub fn sorted(mut self) -> Self {
        self.entries.sort_by(|a, b| a.path.cmp(&b.path));
        self.linked.sort();
        self
    }
}

/// Whether a file of this name holds documents. Capitals count too: a tenant must not vanish with a file's extension.
pub fn holds_documents(name: &str) -> bool {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    extension.eq_ignore_ascii_case("yaml") || extension.eq_ignore_ascii_case("yml")
}

/// Whether a file or folder is left alone: editors keep their locks and backups under such names.
pub fn is_hidden(name: &str) -> bool {
    name.starts_with('.')
}

/// The diagnostic that there is no estate.
pub fn missing(place: &str) -> Diagnostic {
    Diagnostic::error(codes::ESTATE_MISSING, format!("there is no `{CONFIG_PATH}` in {place}"))
        .help("create an estate here with `tenantry init`, or choose another folder with `-C DIR`")
}

/// The diagnostic that there are too many files.
pub fn too_many(limit: usize) -> Diagnostic {
    Diagnostic::error(codes::FILE_TOO_LARGE, format!("the estate has more than {limit} files of documents"))
        .help("put several tenants into one file, separated by `---`")
}

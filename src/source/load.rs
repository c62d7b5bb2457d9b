//! The whole of an estate: list, read and check on all cores, join.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use git2::Repository;

use super::config::{self, ReadConfig};
use super::document::{self, AnyDocument, Named};
use super::estate::{self, Documents};
use super::listing::{CONFIG_PATH, Content, Entry, Listing, MAX_PROBLEMS, Problem, VALUES_SCHEMA_PATH};
use super::revision::{self, Revision};
use super::targets::TargetForms;
use super::text::decode;
use super::{directory, yaml};
use tenantry_core::diagnostics::{Diagnostic, FileId, Origin, SourceFiles, Span, codes, has_errors, sort};
use tenantry_core::model::config::LimitsTable;
use tenantry_core::model::document::Estate;

/// Where an estate is.
#[derive(Clone, Debug)]
pub enum Place {
    /// A folder, as it is now.
    Directory(PathBuf),
    /// A folder of a Git repository, as it is in a revision. The work tree is not looked at.
    Revision {
        /// The estate's folder in a work tree, a bare repository, or a path below one. It need not exist any more.
        directory: PathBuf,
        /// Whatever `git rev-parse` understands: a commit, a branch, a tag, `HEAD~2`.
        rev: String,
    },
}

/// How an estate is read.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// Files that are read at most. The limit for one file is the estate's own (`limits.max_file_bytes`).
    pub max_files: usize,
    /// Threads that read and check. Nothing but the speed depends on it.
    pub threads: usize,
    /// What the targets of each provider can have. Those of others are not looked into.
    pub targets: &'a TargetForms,
}

static NO_PROVIDERS: LazyLock<TargetForms> = LazyLock::new(TargetForms::default);

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            targets: &NO_PROVIDERS,
            // Ten times the largest estate that is planned for; a folder with more is not an estate.
            max_files: 100_000,
            threads: thread::available_parallelism().map_or(1, usize::from).min(16),
        }
    }
}

/// What was read.
#[derive(Debug)]
pub struct Loaded {
    /// Every file, for positions in [`diagnostics`](Self::diagnostics). Secrets in `tenantry.toml` are masked.
    pub files: SourceFiles,
    /// Nothing if there are errors.
    pub estate: Option<Estate>,
    /// In the order in which they are reported; warnings too.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads an estate and reports every problem that shows without knowing providers.
pub fn load(place: &Place, options: Options<'_>) -> Loaded {
    match place {
        Place::Directory(directory) => match directory::list(directory, options.max_files) {
            Ok(listing) => {
                let linked = listing.linked.clone();
                let mut loaded = read(listing, None, options);
                if let Some(estate) = &mut loaded.estate {
                    estate.revision = revision::clean_head(directory, &linked).map(Into::into);
                }
                loaded
            }
            Err(diagnostic) => failed(*diagnostic),
        },
        Place::Revision { directory, rev } => {
            let listed =
                Revision::open(directory, rev).and_then(|revision| Ok((revision.list(options.max_files)?, revision)));
            match listed {
                Ok((listing, revision)) => {
                    let mut loaded = read(listing, Some(revision.git_directory()), options);
                    if let Some(estate) = &mut loaded.estate {
                        estate.revision = Some(revision.commit().into());
                    }
                    loaded
                }
                Err(diagnostic) => failed(*diagnostic),
            }
        }
    }
}

fn failed(diagnostic: Diagnostic) -> Loaded {
    Loaded { files: SourceFiles::default(), estate: None, diagnostics: vec![diagnostic] }
}

fn read(listing: Listing, git_directory: Option<&Path>, options: Options<'_>) -> Loaded {
    let Listing { entries, mut diagnostics, linked: _ } = listing;
    let config_index = entries.iter().position(|entry| entry.path == CONFIG_PATH);
    let mut texts: BTreeMap<usize, FileRead> = BTreeMap::new();
    let mut read_config = None;
    let mut max_file_bytes = LimitsTable::default().max_file_bytes;
    if let Some(index) = config_index {
        let mut file = Opener::new(git_directory).open(&entries[index], file_id(index), max_file_bytes);
        if file.diagnostics.is_empty() {
            let ReadConfig { config, max_file_bytes: limit, diagnostics, masked } =
                config::read(file_id(index), &file.text, options.targets);
            file.text = masked.unwrap_or(file.text);
            file.diagnostics = diagnostics;
            max_file_bytes = limit;
            read_config = config;
        } else {
            file.text = config::mask_lines(&file.text);
        }
        texts.insert(index, file);
    }
    texts.extend(read_documents(&entries, config_index, git_directory, max_file_bytes, options.threads));

    let mut files = SourceFiles::default();
    let mut documents = Documents::default();
    let mut names = Vec::new();
    for (entry, file) in entries.into_iter().zip(texts.into_values()) {
        files.add(entry.path, file.text);
        diagnostics.extend(file.diagnostics);
        names.extend(file.names);
        file.documents.into_iter().for_each(|document| documents.add(document));
    }
    diagnostics.extend(estate::check_names(&names));
    let schema =
        files.iter().find(|(_, file)| &*file.path == VALUES_SCHEMA_PATH).map(|(id, file)| (id, file.text.clone()));
    if let Some((id, text)) = schema.filter(|(id, _)| !diagnostics.iter().any(|diagnostic| is_about(diagnostic, *id))) {
        match estate::values_form(id, &text) {
            Ok(form) => diagnostics.extend(estate::check_values(&form, &documents, &files)),
            Err(diagnostic) => diagnostics.push(*diagnostic),
        }
    }
    sort(&mut diagnostics);
    let diagnostics = limited(diagnostics);
    let estate = read_config.filter(|_| !has_errors(&diagnostics)).map(|(config, config_positions)| {
        let Documents { tenants, tiers, blueprints, approvals } = documents;
        Estate { config, config_positions, tenants, tiers, blueprints, approvals, files: files.clone(), revision: None }
    });
    Loaded { files, estate, diagnostics }
}

/// Leaves out what goes beyond the limit for one file, and says so. They are sorted, so a file's are together.
fn limited(diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut kept: Vec<Diagnostic> = Vec::with_capacity(diagnostics.len());
    let mut of_file = (None, 0);
    for diagnostic in diagnostics {
        let origin = diagnostic.label.as_ref().map(|label| label.origin);
        let file = origin.map(|origin| origin.file);
        of_file = if of_file.0 == file { (file, of_file.1 + 1) } else { (file, 1) };
        match origin {
            Some(origin) if of_file.1 == MAX_PROBLEMS + 1 => kept.push(
                Diagnostic::error(codes::TOO_MANY_PROBLEMS, format!("the file has more than {MAX_PROBLEMS} problems"))
                    .at(origin, "the next one is here")
                    .help("correct those above first"),
            ),
            Some(_) if of_file.1 > MAX_PROBLEMS => {}
            _ => kept.push(diagnostic),
        }
    }
    kept
}

fn is_about(diagnostic: &Diagnostic, file: FileId) -> bool {
    diagnostic.label.as_ref().is_some_and(|label| label.origin.file == file)
}

/// Files are numbered as they are listed, so that a thread can name one before all are read.
fn file_id(index: usize) -> FileId {
    FileId(u32::try_from(index).unwrap_or(u32::MAX))
}

/// What one file holds.
#[derive(Default)]
struct FileRead {
    text: String,
    documents: Vec<AnyDocument>,
    names: Vec<Named>,
    diagnostics: Vec<Diagnostic>,
}

/// Reads everything but the configuration. Threads take the next file that nobody has taken.
fn read_documents(
    entries: &[Entry],
    config: Option<usize>,
    git_directory: Option<&Path>,
    limit: u64,
    threads: usize,
) -> Vec<(usize, FileRead)> {
    let next = AtomicUsize::new(0);
    let work = || {
        let opener = Opener::new(git_directory);
        let mut read = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(entry) = entries.get(index) else { return read };
            if Some(index) != config {
                read.push((index, read_file(&opener, entry, file_id(index), limit)));
            }
        }
    };
    // Starting a thread takes as long as reading several files.
    let threads = threads.min(entries.len().div_ceil(16)).max(1);
    if threads == 1 {
        return work();
    }
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

fn read_file(opener: &Opener, entry: &Entry, id: FileId, limit: u64) -> FileRead {
    let mut file = opener.open(entry, id, limit);
    if entry.path == VALUES_SCHEMA_PATH || !file.diagnostics.is_empty() {
        return file;
    }
    let FileRead { text, documents, names, diagnostics } = &mut file;
    let syntax = yaml::parse(id, text, &mut |tree| {
        if diagnostics.len() > MAX_PROBLEMS {
            return;
        }
        let read = document::read(id, text, &tree);
        documents.extend(read.document);
        names.extend(read.names);
        diagnostics.extend(read.diagnostics);
    });
    diagnostics.extend(syntax);
    file
}

/// Opens files and blobs. Git's handle is not shared between threads.
struct Opener {
    repository: Option<Result<Repository, String>>,
}

impl Opener {
    fn new(git_directory: Option<&Path>) -> Self {
        let open = |path| Repository::open(path).map_err(|error| error.message().to_owned());
        Self { repository: git_directory.map(open) }
    }

    fn open(&self, entry: &Entry, id: FileId, limit: u64) -> FileRead {
        let bytes = match &entry.content {
            Ok(Content::File(path)) => read_bytes(path, limit),
            Ok(Content::Blob(blob)) => match &self.repository {
                Some(Ok(repository)) => revision::read(repository, *blob, limit),
                Some(Err(why)) => Err(Problem::unreadable(why)),
                None => Err(Problem::unreadable("it is in a Git repository that is not open")),
            },
            Err(problem) => Err(problem.clone()),
        };
        match bytes.map(decode) {
            Ok(decoded) => FileRead {
                text: decoded.text,
                diagnostics: decoded
                    .problem
                    .map(|(problem, span)| problem.at(Origin { file: id, span }))
                    .into_iter()
                    .collect(),
                ..FileRead::default()
            },
            Err(problem) => FileRead {
                diagnostics: vec![problem.at(Origin { file: id, span: Span::default() })],
                ..FileRead::default()
            },
        }
    }
}

fn read_bytes(path: &Path, limit: u64) -> Result<Vec<u8>, Problem> {
    let file = File::open(path).map_err(Problem::unreadable)?;
    let size = file.metadata().map_err(Problem::unreadable)?.len();
    if size > limit {
        return Err(Problem::too_large(size, limit));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
    // A file may grow after its size was asked for.
    file.take(limit + 1).read_to_end(&mut bytes).map_err(Problem::unreadable)?;
    let size = bytes.len() as u64;
    if size > limit { Err(Problem::too_large(size, limit)) } else { Ok(bytes) }
}

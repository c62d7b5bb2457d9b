//! Loads an estate: lists its files, reads and checks them on all cores, and joins the results.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use git2::Repository;

use super::checkout::Checkout;
use super::config::{self, ReadConfig};
use super::contents;
use super::document::{self, AnyDocument, Named};
use super::estate::{self, Documents};
use super::listing::{CONFIG_PATH, Content, Entry, Listing, MAX_PROBLEMS, Problem, VALUES_SCHEMA_PATH};
use super::node::Data;
use super::revision::{self, Revision};
use super::schema::Form;
use super::targets::TargetForms;
use super::text::decode;
use super::{directory, yaml};
use tenantry_core::diagnostics::{Diagnostic, FileId, Origin, SourceFiles, Span, codes, has_errors, sort};
use tenantry_core::model::config::LimitsTable;
use tenantry_core::model::document::{ApprovalFile, Estate};

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
    /// Threads that read and check. It affects only the speed.
    pub threads: usize,
    /// The settings of each provider's targets. Targets of other providers are not checked.
    pub targets: &'a TargetForms,
    /// Texts by path, relative to the estate, in place of what the files have: the estate as it would be after an edit. A path
    /// without a file is a new file.
    pub edited: &'a BTreeMap<String, String>,
}

static NO_PROVIDERS: LazyLock<TargetForms> = LazyLock::new(TargetForms::default);
static NOT_EDITED: BTreeMap<String, String> = BTreeMap::new();

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            targets: &NO_PROVIDERS,
            edited: &NOT_EDITED,
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
    /// `None` if there are errors.
    pub estate: Option<Estate>,
    /// In the order in which they are reported; warnings too.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads an estate and reports every problem that shows without knowing providers.
pub fn load(place: &Place, options: Options<'_>) -> Loaded {
    match place {
        Place::Directory(directory) => match directory::list(directory, options.max_files) {
            Ok(mut listing) => {
                let checkout = Checkout::of(directory);
                let linked = std::mem::take(&mut listing.linked);
                for (path, problem) in checkout.not_checked_out(&linked) {
                    listing.add(path, Err(problem));
                }
                let file = |path: &str| directory::read(directory, path);
                let mut loaded = read(listing.sorted(), None, options, &file);
                if let Some(estate) = &mut loaded.estate {
                    checkout.mark_uncommitted(&mut estate.approvals);
                    match checkout.revision(&linked) {
                        Ok(revision) => estate.revision = revision.map(Into::into),
                        Err(unknown) => loaded.diagnostics.push(*unknown),
                    }
                }
                loaded
            }
            Err(diagnostic) => failed(Checkout::of(directory).without_estate().unwrap_or(*diagnostic)),
        },
        Place::Revision { directory, rev } => {
            let listed =
                Revision::open(directory, rev).and_then(|revision| Ok((revision.list(options.max_files)?, revision)));
            match listed {
                Ok((listing, revision)) => {
                    let file = |path: &str| revision.read(path);
                    let mut loaded = read(listing, Some(revision.git_directory()), options, &file);
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

/// An estate of texts, by path.
pub fn of_texts(texts: &BTreeMap<String, String>) -> Loaded {
    of_texts_beside(texts, &BTreeMap::new())
}

/// As above, with files that are no documents.
pub fn of_texts_beside(texts: &BTreeMap<String, String>, files: &BTreeMap<String, String>) -> Loaded {
    let file = |path: &str| {
        let text = files.get(path).ok_or_else(|| Problem::unreadable("there is no such file"))?;
        Ok(text.clone().into_bytes())
    };
    read(Listing::default(), None, Options { edited: texts, ..Options::default() }, &file)
}

fn failed(diagnostic: Diagnostic) -> Loaded {
    Loaded { files: SourceFiles::default(), estate: None, diagnostics: vec![diagnostic] }
}

/// Reads what is listed. `file` reads another file of the estate.
fn read(
    listing: Listing,
    git_directory: Option<&Path>,
    options: Options<'_>,
    file: &dyn Fn(&str) -> Result<Vec<u8>, Problem>,
) -> Loaded {
    let Listing { entries, mut diagnostics, linked: _, links } = listing.edited(options.edited);
    let is_linked = |path: &str| {
        let mut links = links.iter();
        links.any(|link| path.strip_prefix(link.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    };
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
    let (schema_index, values) = read_values_schema(&entries, git_directory, max_file_bytes, &mut texts);
    let read_already = [config_index, schema_index];
    texts.extend(read_documents(
        &entries,
        read_already,
        values.as_ref(),
        git_directory,
        max_file_bytes,
        options.threads,
    ));

    let mut files = SourceFiles::default();
    let mut documents = Documents::default();
    let mut names = Vec::new();
    for (entry, file) in entries.into_iter().zip(texts.into_values()) {
        files.add(entry.path, file.text);
        diagnostics.extend(file.diagnostics);
        names.extend(file.names);
        file.documents.into_iter().for_each(|document| documents.add(document));
    }
    diagnostics.extend(contents::put(&mut documents.blueprints, &|path| match options.edited.get(path) {
        Some(text) => Ok(text.clone().into_bytes()),
        None => file(path),
    }));
    diagnostics.extend(estate::check_names(&names));
    if let Some(form) = &values {
        diagnostics.extend(estate::check_values(form, &documents, &files));
    }
    sort(&mut diagnostics);
    let diagnostics = limited(diagnostics);
    let estate = read_config.filter(|_| !has_errors(&diagnostics)).map(|(config, config_positions)| {
        let Documents { tenants, tiers, blueprints, mut approvals, policies } = documents;
        for approval in &mut approvals {
            let path = &files.get(approval.positions.file).path;
            approval.spec.file = ApprovalFile { path: path.clone(), uncommitted: None, is_linked: is_linked(path) };
        }
        let files = files.clone();
        Estate { config, config_positions, tenants, tiers, blueprints, approvals, policies, files, revision: None }
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
                    .help("correct the problems above first"),
            ),
            Some(_) if of_file.1 > MAX_PROBLEMS => {}
            _ => kept.push(diagnostic),
        }
    }
    kept
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

/// Reads the user's own schema, if there is one: what the documents have to follow.
fn read_values_schema(
    entries: &[Entry],
    git_directory: Option<&Path>,
    limit: u64,
    texts: &mut BTreeMap<usize, FileRead>,
) -> (Option<usize>, Option<Form>) {
    let Some(index) = entries.iter().position(|entry| entry.path == VALUES_SCHEMA_PATH) else { return (None, None) };
    let mut file = Opener::new(git_directory).open(&entries[index], file_id(index), limit);
    let mut form = None;
    if file.diagnostics.is_empty() {
        match estate::values_form(file_id(index), &file.text) {
            Ok(read) => form = Some(read),
            Err(diagnostic) => file.diagnostics.push(*diagnostic),
        }
    }
    texts.insert(index, file);
    (Some(index), form)
}

/// Reads everything that was not read yet. Threads take the next file that nobody has taken.
fn read_documents(
    entries: &[Entry],
    read_already: [Option<usize>; 2],
    values: Option<&Form>,
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
            if !read_already.contains(&Some(index)) {
                read.push((index, read_file(&opener, entry, file_id(index), limit, values)));
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

fn read_file(opener: &Opener, entry: &Entry, id: FileId, limit: u64, values: Option<&Form>) -> FileRead {
    let mut file = opener.open(entry, id, limit);
    if !file.diagnostics.is_empty() {
        return file;
    }
    let FileRead { text, documents, names, diagnostics } = &mut file;
    if text.trim().is_empty() {
        diagnostics.push(empty(id));
        return file;
    }
    let mut is_empty = !text.lines().any(|line| line.trim_start().starts_with('#'));
    let syntax = yaml::parse(id, text, &mut |tree| {
        is_empty &= matches!(tree.root.data, Data::Null);
        if diagnostics.len() > MAX_PROBLEMS {
            return;
        }
        let read = document::read(id, text, &tree, values);
        documents.extend(read.document);
        names.extend(read.names);
        diagnostics.extend(read.diagnostics);
    });
    diagnostics.extend(syntax);
    // One of comments only was emptied on purpose.
    if is_empty && diagnostics.is_empty() {
        diagnostics.push(empty(id));
    }
    file
}

fn empty(file: FileId) -> Diagnostic {
    Diagnostic::error(codes::FILE_EMPTY, "the file is empty")
        .at(Origin { file, span: Span::default() }, "it has no document and no comment")
        .help("remove the file, or restore its documents: `git log -p` shows what it contained")
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
            Ok(Content::Text(text)) => Ok(text.clone().into_bytes()),
            Ok(Content::Blob(blob)) => match &self.repository {
                Some(Ok(repository)) => revision::read(repository, *blob, limit),
                Some(Err(why)) => Err(Problem::unreadable(why)),
                None => Err(Problem::unreadable("it is in another Git repository")),
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

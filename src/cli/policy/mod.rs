//! `tenantry policy`: policies of the estate and of the library, and their tests.

mod add;
mod library;
mod list;
mod test;

use std::collections::BTreeMap;
use std::path::Path;

use super::arguments::{self, Global};
use super::error::{Exit, Failure};
use super::output::Output;
use super::session::Session;
use tenantry_core::diagnostics::{Diagnostic, SourceFiles, has_errors};
use tenantry_core::model::document::{Document, PolicySpec};
use tenantry_source::Loaded;
use tenantry_store::OpenMode;

pub fn run(global: &Global, command: &arguments::Policy, output: &Output) -> Result<Exit, Failure> {
    match command {
        arguments::Policy::List { library } => list::run(global, *library, output),
        arguments::Policy::Test { paths, library } => test::run(global, paths, *library, output),
        arguments::Policy::Add { names, force } => add::run(global, names, *force, output),
    }
}

/// Policies with the files that they are in.
struct Read {
    policies: Vec<Document<PolicySpec>>,
    files: SourceFiles,
}

/// The policies of the estate.
fn of_estate(global: &Global, output: &Output) -> Result<Read, Failure> {
    let session = Session::open(global, OpenMode::ReadOnly, output)?;
    Ok(Read { policies: session.estate.policies, files: session.files })
}

/// The policies of the library.
fn of_library() -> Result<Read, Failure> {
    of_texts(library::ALL.iter().map(|(name, text)| (format!("{name}.yaml"), (*text).to_owned())).collect())
}

/// The policies of files and folders, which need not be of an estate.
fn of_paths(paths: &[std::path::PathBuf]) -> Result<Read, Failure> {
    fn add(path: &Path, texts: &mut BTreeMap<String, String>) -> Result<(), Failure> {
        let failed = |error| Failure::io(format!("reading {}", path.display()), &error);
        if path.is_dir() {
            let mut entries: Vec<_> =
                std::fs::read_dir(path).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
            entries.sort_by_key(std::fs::DirEntry::path);
            let is_yaml =
                |path: &Path| path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
            for path in entries.into_iter().map(|entry| entry.path()) {
                let is_hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
                if !is_hidden && (path.is_dir() || is_yaml(&path)) {
                    add(&path, texts)?;
                }
            }
        } else {
            texts.insert(path.display().to_string(), std::fs::read_to_string(path).map_err(failed)?);
        }
        Ok(())
    }
    let mut texts = BTreeMap::new();
    paths.iter().try_for_each(|path| add(path, &mut texts))?;
    of_texts(texts)
}

/// The policies of texts, by path. Documents of other kinds are left out.
fn of_texts(mut texts: BTreeMap<String, String>) -> Result<Read, Failure> {
    texts.insert("tenantry.toml".to_owned(), "[estate]\nname = \"policies\"\n".to_owned());
    let Loaded { files, estate, diagnostics } = tenantry_source::of_texts(&texts);
    match estate {
        Some(estate) => Ok(Read { policies: estate.policies, files }),
        None => Err(Failure::diagnostics(diagnostics, files)),
    }
}

/// Fails if a rule has an error.
fn without_errors(diagnostics: Vec<Diagnostic>, files: SourceFiles) -> Result<(), Failure> {
    if has_errors(&diagnostics) { Err(Failure::diagnostics(diagnostics, files)) } else { Ok(()) }
}

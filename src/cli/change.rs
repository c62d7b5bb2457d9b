//! What `new`, `edit`, `event` and `drift --accept` share: an edit is checked in the estate as it would be, and written only then.

use std::collections::BTreeMap;

use serde_json::json;

use super::arguments::{EditInto, Global};
use super::error::{Exit, Failure};
use super::output::Output;
use super::session::Session;
use tenantry_core::diagnostics::{Diagnostic, FileId, has_errors};
use tenantry_core::model::document::{Document, Estate, TenantSpec};
use tenantry_core::model::value::readable_pointer;
use tenantry_render::page::Page;
use tenantry_source::commit::{Branch, File, replace_all};
use tenantry_source::edit::field::{self, Invalid};
use tenantry_source::edit::{self, Change};
use tenantry_store::OpenMode;

/// Where an edit is read from and written to.
pub struct Place {
    global: Global,
    branch: Option<Branch>,
}

impl Place {
    /// The folder, the branch that is checked out, or another one.
    ///
    /// # Errors
    /// If there is no such branch, or nothing can be committed.
    pub fn of(global: &Global, into: &EditInto) -> Result<Self, Failure> {
        check_is_folder(global)?;
        match (&into.branch, into.commit) {
            (Some(name), _) => {
                Ok(Self::on(global, Branch::named(&global.estate, name).map_err(|diagnostic| refused(*diagnostic))?))
            }
            (None, true) => {
                let branch = Some(Branch::checked_out(&global.estate).map_err(|diagnostic| refused(*diagnostic))?);
                Ok(Self { global: global.clone(), branch })
            }
            (None, false) => Ok(Self::folder(global)),
        }
    }

    pub fn folder(global: &Global) -> Self {
        Self { global: global.clone(), branch: None }
    }

    /// A branch that is not checked out.
    pub fn on(global: &Global, branch: Branch) -> Self {
        let global = Global { rev: Some(branch.base()), ..global.clone() };
        Self { global, branch: Some(branch) }
    }

    pub fn branch(&self) -> Option<&Branch> {
        self.branch.as_ref()
    }

    /// Reads the estate.
    ///
    /// # Errors
    /// With every problem of it.
    pub fn open(&self, output: &Output) -> Result<Session, Failure> {
        Session::open(&self.global, OpenMode::ReadOnly, output)
    }

    /// Checks the estate as it would be, with the rules of `validate`, and returns it.
    ///
    /// # Errors
    /// With every problem that it would have.
    pub fn check(&self, edits: &Edits, output: &Output) -> Result<Session, Failure> {
        if let Some(branch) = &self.branch {
            edits.texts.keys().try_for_each(|path| branch.check(path)).map_err(|diagnostic| refused(*diagnostic))?;
        }
        let session = Session::open_edited(&self.global, OpenMode::ReadOnly, output, &edits.texts).map_err(would_be)?;
        let (_, diagnostics) =
            tenantry_engine::plan::validate(&session.estate, &session.targets(), session.now, session.threads);
        if has_errors(&diagnostics) {
            let errors = diagnostics.into_iter().filter(|diagnostic| has_errors(std::slice::from_ref(diagnostic)));
            return Err(would_be(Failure::diagnostics(errors.collect(), session.files)));
        }
        Ok(session)
    }

    /// Writes an edit, and commits it if there is a branch. Returns the commit.
    ///
    /// # Errors
    /// If a file or the branch was changed meanwhile or cannot be written, or if a commit would have several files. Then nothing
    /// was written.
    pub fn write(&self, edits: &Edits, message: &str, session: &Session) -> Result<Option<String>, Failure> {
        let mut files = edits.texts.iter().map(|(path, text)| {
            let before = edits.before.get(path).map(String::as_str);
            File { path, before, text }
        });
        let Some(branch) = &self.branch else {
            return match replace_all(&self.global.estate, files) {
                Ok(()) => Ok(None),
                Err(diagnostic) => Err(refused(*diagnostic)),
            };
        };
        let (first, second) = (files.next(), files.next());
        if second.is_some() {
            return Err(Failure::new(Exit::Error, "one commit cannot have an edit of several files")
                .help("edit them without `--branch` and `--commit`, and commit with `git`; nothing was written"));
        }
        branch.commit(first, message, session.now).map(Some).map_err(|diagnostic| refused(*diagnostic))
    }
}

/// Makes sure that the folder is to be edited, and no older revision.
///
/// # Errors
/// If a revision was asked for.
pub fn check_is_folder(global: &Global) -> Result<(), Failure> {
    match global.rev {
        None => Ok(()),
        Some(_) => Err(Failure::new(Exit::Usage, "a revision cannot be edited")
            .help("leave out `--rev`; `--branch NAME` commits to another branch than the one that is checked out")),
    }
}

/// Files with their texts before and after an edit, by path relative to the estate.
#[derive(Default)]
pub struct Edits {
    before: BTreeMap<String, String>,
    texts: BTreeMap<String, String>,
}

impl Edits {
    /// Adds a new file.
    pub fn add(&mut self, path: String, text: String) {
        self.texts.insert(path, text);
    }

    /// Changes a document of the estate. Of several in one file, the last one comes first, so that the places of the others stay.
    ///
    /// # Errors
    /// With the place that cannot be edited.
    pub fn edit(&mut self, estate: &Estate, file: FileId, start: u32, changes: &[Change]) -> Result<(), Failure> {
        let source = estate.files.get(file);
        let path = source.path.to_string();
        let text = self.texts.get(&path).cloned().unwrap_or_else(|| source.text.to_string());
        let edited = edit::edited(edit::Document { file, text: &text, start }, changes)
            .map_err(|diagnostic| not_written(Failure::diagnostics(vec![*diagnostic], estate.files.clone())))?;
        if edited != text {
            self.before.entry(path.clone()).or_insert(text);
            self.texts.insert(path, edited);
        }
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// What was written, for people: the files, and on a terminal the lines. Elsewhere those might be personal data.
    pub fn show(&self, out: &mut Page<'_>, with_lines: bool) -> std::io::Result<()> {
        for (path, text) in &self.texts {
            let before = self.before.get(path);
            writeln!(out, "{path}{}", if before.is_none() { " (new)" } else { "" })?;
            if with_lines {
                let old: Vec<&str> = before.map(|text| text.lines().collect()).unwrap_or_default();
                let new: Vec<&str> = text.lines().collect();
                let same = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
                let rest = old.len().min(new.len()) - same;
                let tail =
                    old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(old, new)| old == new).count();
                old[same..old.len() - tail].iter().try_for_each(|line| writeln!(out, "  - {line}"))?;
                new[same..new.len() - tail].iter().try_for_each(|line| writeln!(out, "  + {line}"))?;
            }
        }
        Ok(())
    }
}

/// What a command did, for people and for programs.
pub struct Done<'a> {
    pub place: &'a Place,
    pub edits: &'a Edits,
    /// `None` if it is not known which one.
    pub tenant: Option<&'a str>,
    pub commit: Option<String>,
    /// Further fields of the JSON form.
    pub more: serde_json::Value,
}

impl Done<'_> {
    /// # Errors
    /// If stdout cannot be written.
    pub fn show(self, output: &Output) -> Result<Exit, Failure> {
        let Self { place, edits, tenant, commit, more } = self;
        let branch = place.branch().map(Branch::name).filter(|_| commit.is_some());
        if output.is_json() {
            let mut json = json!({
                "tenant": tenant, "files": edits.texts.keys().collect::<Vec<_>>(), "branch": branch, "commit": commit,
            });
            if let (Some(json), Some(more)) = (json.as_object_mut(), more.as_object()) {
                json.extend(more.clone());
            }
            output.json(&json)?;
            return Ok(Exit::Done);
        }
        output.data(|out| {
            edits.show(out, output.is_seen_only())?;
            if let (Some(branch), Some(commit)) = (branch, &commit) {
                writeln!(out, "committed as {} on the branch {branch}", &commit[..commit.len().min(10)])?;
            }
            Ok(())
        })?;
        Ok(Exit::Done)
    }
}

/// The tenant of a name.
///
/// # Errors
/// If the estate has no such tenant. The help offers the name that was probably meant.
pub fn tenant<'e>(estate: &'e Estate, name: &str) -> Result<&'e Document<TenantSpec>, Failure> {
    let known = || estate.tenants.iter().map(|tenant| tenant.metadata.name.as_str());
    estate.tenants.iter().find(|tenant| tenant.metadata.name.as_str() == name).ok_or_else(|| {
        Failure::unknown(format!("there is no tenant `{name}`"), name, known(), "`tenantry list` shows the tenants")
    })
}

/// Where a document begins in its file.
pub fn start<S>(document: &Document<S>) -> (FileId, u32) {
    (document.positions.file, document.positions.origin("").span.start)
}

/// The changes that arguments of a command line ask for.
///
/// # Errors
/// If a tenant has no such field, or the value cannot be read.
pub fn changes(fields: &[String]) -> Result<Vec<Change>, Failure> {
    fields.iter().map(|text| field::assignment(text).map_err(invalid)).collect()
}

fn invalid(invalid: Invalid) -> Failure {
    let Invalid { message, help } = invalid;
    Failure::new(Exit::Usage, message).help(help)
}

/// The fields of changes, for a message that may be stored: without their values.
pub fn names(changes: &[Change]) -> String {
    let mut names: Vec<String> = changes
        .iter()
        .map(|change| {
            let path = change.pointer.strip_prefix("/spec").or(change.pointer.strip_prefix("/metadata"));
            readable_pointer(path.unwrap_or(&change.pointer))
        })
        .collect();
    names.dedup();
    names.join(", ")
}

fn refused(diagnostic: Diagnostic) -> Failure {
    let failure = Failure::new(Exit::Error, diagnostic.message);
    match diagnostic.help {
        Some(help) => failure.help(help),
        None => failure,
    }
}

/// The same for a branch that a command opens itself.
///
/// # Errors
/// Those of opening it.
pub fn opened(branch: Result<Branch, Box<Diagnostic>>) -> Result<Branch, Failure> {
    branch.map_err(|diagnostic| refused(*diagnostic))
}

/// The messages of a branch.
///
/// # Errors
/// If they cannot be read.
pub fn messages(branch: &Branch) -> Result<Vec<String>, Failure> {
    branch.messages().map_err(|diagnostic| refused(*diagnostic))
}

fn would_be(mut failure: Failure) -> Failure {
    failure.message = failure.message.replacen("the estate has", "after this edit the estate would have", 1);
    not_written(failure)
}

fn not_written(failure: Failure) -> Failure {
    failure.help("nothing was written")
}

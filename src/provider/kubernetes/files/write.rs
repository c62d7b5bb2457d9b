//! Steps → files, each whole or not at all.
//!
//! A file is written beside its place and then renamed, so that whoever reads the folder sees the old file or the new one.
//! Before that it is read once more: only what carries our mark, or is still as the plan saw it, is written over. What a
//! person added to an object stays; comments do not.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::layout::{KUSTOMIZATION, file_of, folder_of};
use super::scan::{self, Found};
use super::{SECRET_CAUSE, SECRET_REMEDY};
use crate::mark::marked;
use crate::types::normalise;
use tenantry_core::model::resource::Identity;
use tenantry_core::model::value::{Map, Value, unescape_token};
use tenantry_core::yaml::{self, Entry, Yaml};
use tenantry_provider::contract::{
    CommitGuard, ErrorClass, ProviderError, Step, StepAction, WriteError, Writer, Written,
};

/// How a `kustomization.yaml` begins that is ours to write.
const HEADER: &str = "# Written by Tenantry, which lists its objects here. Changes by hand are lost.\n";

/// Writes a folder of objects.
pub struct FilesWriter {
    folder: Arc<Folder>,
}

struct Folder {
    root: PathBuf,
    /// Where each object stands, once the folder was read. One writer at a time: lists of files are shared.
    places: Mutex<Option<HashMap<Identity, PathBuf>>>,
}

impl FilesWriter {
    pub fn new(root: PathBuf) -> Self {
        Self { folder: Arc::new(Folder { root, places: Mutex::default() }) }
    }
}

#[async_trait]
impl Writer for FilesWriter {
    async fn write_guarded(&self, batch: &[Step], guard: &dyn CommitGuard) -> Result<Vec<Written>, WriteError> {
        if let Err(lost) = guard.check().await {
            return Err(lost.of_step(0, Vec::new(), "writing files"));
        }
        let (folder, steps) = (self.folder.clone(), batch.to_vec());
        match tokio::task::spawn_blocking(move || folder.write_all(&steps)).await {
            Ok(result) => result,
            Err(_) => {
                let error = ProviderError::new(ErrorClass::Retryable, "writing files", "it did not finish");
                Err(WriteError { step: 0, done: Vec::new(), error })
            }
        }
    }
}

/// Why a step was not done.
struct Refusal {
    class: ErrorClass,
    cause: String,
    remedy: Option<&'static str>,
}

impl Refusal {
    fn new(class: ErrorClass, cause: impl Into<String>) -> Self {
        Self { class, cause: cause.into(), remedy: None }
    }

    fn conflict(cause: impl Into<String>) -> Self {
        Self::new(ErrorClass::Conflict, cause)
    }
}

/// `io` for files that belong to one path.
fn failed(path: &Path) -> impl Fn(io::Error) -> Refusal {
    move |error| {
        let class = match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => ErrorClass::Denied,
            io::ErrorKind::StorageFull | io::ErrorKind::Interrupted => ErrorClass::Retryable,
            _ => ErrorClass::Fatal,
        };
        Refusal::new(class, format!("{}: {error}", path.display()))
    }
}

impl Folder {
    fn write_all(&self, steps: &[Step]) -> Result<Vec<Written>, WriteError> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let mut touched = BTreeSet::new();
        let mut failure = None;
        let mut done = 0_usize;
        for step in steps {
            match self.step(&mut places, step, &mut touched) {
                Ok(()) => done += 1,
                Err(refusal) => {
                    failure = Some(refusal);
                    break;
                }
            }
        }
        // A list that is not written fails the last step that is done, so that repeating it writes the list.
        if let Err(refusal) = self.list_all(&touched) {
            done = done.saturating_sub(1);
            failure = Some(refusal);
        }
        match failure {
            None => Ok(vec![Written::default(); done]),
            Some(Refusal { class, cause, remedy }) => {
                let mut error = ProviderError::new(class, attempted(&steps[done]), cause);
                error.remedy = remedy.map(Into::into);
                Err(WriteError { step: done, done: vec![Written::default(); done], error })
            }
        }
    }

    fn step(
        &self,
        places: &mut Option<HashMap<Identity, PathBuf>>,
        step: &Step,
        touched: &mut BTreeSet<PathBuf>,
    ) -> Result<(), Refusal> {
        let places = match places {
            Some(places) => places,
            None => places.insert(self.read_places()?),
        };
        let current = places.get(&step.identity).map(|path| current(path, step)).transpose()?.flatten();
        if let Some(found) = &current {
            check_owner(step, found)?;
        }
        let (spec, removed): (&Map, &[String]) = match &step.action {
            StepAction::Delete { .. } => {
                if let Some(found) = current {
                    fs::remove_file(&found.path).map_err(failed(&found.path))?;
                    touched.extend(found.path.parent().map(Path::to_owned));
                }
                places.remove(&step.identity);
                return Ok(());
            }
            StepAction::Create { secrets, .. } | StepAction::Update { secrets, .. } if !secrets.is_empty() => {
                return Err(Refusal { remedy: Some(SECRET_REMEDY), ..Refusal::new(ErrorClass::Fatal, SECRET_CAUSE) });
            }
            StepAction::Create { spec, .. } => (spec, &[]),
            StepAction::Update { .. } if current.is_none() => {
                return Err(Refusal::conflict("its file no longer exists; plan again"));
            }
            StepAction::Update { spec, removed, .. } => (spec, removed),
        };
        let owner = &step.mark.address.owner;
        let home = self.root.join(folder_of(owner));
        let name = file_of(owner, spec).ok_or_else(|| Refusal::new(ErrorClass::Fatal, "it has no name"))?;
        let path = home.join(name);
        let before = current.as_ref().filter(|_| matches!(step.action, StepAction::Update { .. }));
        let object = marked(&merged(before.map(|found| &*found.spec), spec, removed), &step.mark);
        let moved_from = current.map(|found| found.path).filter(|old| *old != path);
        if moved_from.is_some() || !places.contains_key(&step.identity) {
            free(&path)?;
        }
        self.make(&home)?;
        replace(&path, &yaml::text(&Yaml::from(&object), 0))?;
        places.insert(step.identity.clone(), path);
        touched.insert(home);
        if let Some(old) = moved_from {
            fs::remove_file(&old).map_err(failed(&old))?;
            touched.extend(old.parent().map(Path::to_owned));
        }
        Ok(())
    }

    fn read_places(&self) -> Result<HashMap<Identity, PathBuf>, Refusal> {
        let contents = scan::scan(&self.root).map_err(|cause| Refusal::new(ErrorClass::Fatal, cause))?;
        Ok(contents.objects.into_iter().map(|found| (found.identity, found.path)).collect())
    }

    /// Makes an owner's folder, and the folder of all.
    fn make(&self, home: &Path) -> Result<(), Refusal> {
        for folder in [&*self.root, home] {
            match fs::create_dir(folder) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    let metadata = fs::symlink_metadata(folder).map_err(failed(folder))?;
                    if !metadata.is_dir() {
                        let cause = format!("{} is not a folder; symbolic links are not followed", folder.display());
                        return Err(Refusal::conflict(cause));
                    }
                }
                Err(error) => return Err(failed(folder)(error)),
            }
        }
        Ok(())
    }

    /// Writes the list of every touched folder, and of the folders. One without objects is removed if nothing else is in it.
    fn list_all(&self, touched: &BTreeSet<PathBuf>) -> Result<(), Refusal> {
        for folder in touched.iter().filter(|folder| **folder != self.root) {
            let files = names(folder, |path| {
                let is_object =
                    path.extension().is_some_and(|extension| extension == "yaml") && !path.ends_with(KUSTOMIZATION);
                is_object && scan::read(path).is_ok_and(|found| found.iter().any(|found| found.mark.is_some()))
            })?;
            self.list(folder, &files)?;
        }
        if !touched.is_empty() {
            let folders =
                names(&self.root, |path| path.is_dir() && !path.is_symlink() && is_ours(&path.join(KUSTOMIZATION)))?;
            self.list(&self.root, &folders)?;
        }
        Ok(())
    }

    fn list(&self, folder: &Path, names: &[String]) -> Result<(), Refusal> {
        let path = folder.join(KUSTOMIZATION);
        if fs::symlink_metadata(&path).is_ok() && !is_ours(&path) {
            return Err(Refusal {
                remedy: Some("remove it, or give the target a folder of its own"),
                ..Refusal::conflict(format!("{} exists and was not written by Tenantry", path.display()))
            });
        }
        if names.is_empty() {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&path)(error)),
                _ => {}
            }
            if folder != self.root {
                // Not empty: somebody keeps something there.
                let _ = fs::remove_dir(folder);
            }
            return Ok(());
        }
        let list = Yaml::Map(vec![
            Entry::new("apiVersion", "kustomize.config.k8s.io/v1beta1"),
            Entry::new("kind", "Kustomization"),
            Entry::new("resources", Value::list(names.iter().map(|name| Value::from(&**name)))),
        ]);
        let text = format!("{HEADER}{}", yaml::text(&list, 0));
        if fs::read_to_string(&path).is_ok_and(|old| old == text) { Ok(()) } else { replace(&path, &text) }
    }
}

/// The names of those entries of a folder that fit, sorted. A folder that is gone has none.
fn names(folder: &Path, fits: impl Fn(&Path) -> bool) -> Result<Vec<String>, Refusal> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(folder)(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed(folder))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && fits(&entry.path()) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn is_ours(kustomization: &Path) -> bool {
    let is_file = fs::symlink_metadata(kustomization).is_ok_and(|metadata| metadata.is_file());
    is_file && fs::read_to_string(kustomization).is_ok_and(|text| text.starts_with(HEADER))
}

/// The object that stands in a file now; `None` if the file or the object went since.
fn current(path: &Path, step: &Step) -> Result<Option<Found>, Refusal> {
    if fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return Ok(None);
    }
    let objects = scan::read(path).map_err(|cause| Refusal::conflict(format!("{}: {cause}", path.display())))?;
    let found = objects.into_iter().find(|found| found.identity == step.identity);
    match found {
        Some(found) if found.shares => Err(Refusal {
            remedy: Some("give each object a file of its own"),
            ..Refusal::conflict(format!("{} also contains other objects", path.display()))
        }),
        found => Ok(found),
    }
}

/// Whether a step may change what is there.
fn check_owner(step: &Step, current: &Found) -> Result<(), Refusal> {
    if step.may_change(current.mark.as_ref()) {
        return Ok(());
    }
    let path = current.path.display();
    Err(Refusal::conflict(match &current.mark {
        Some(mark) => format!("{path} carries the mark of {} in estate \"{}\"", mark.address, mark.estate),
        None => format!("{path} already exists and carries no mark"),
    }))
}

/// Something else at the place of a new file is not written over.
fn free(path: &Path) -> Result<(), Refusal> {
    match fs::symlink_metadata(path) {
        Ok(_) => Err(Refusal::conflict(format!("{} exists and contains something else", path.display()))),
        Err(_) => Ok(()),
    }
}

/// What stays of the object that is there, with the wanted laid over it.
fn merged(current: Option<&Map>, spec: &Map, removed: &[String]) -> Map {
    let Some(current) = current else { return spec.clone() };
    let kept = removed.iter().fold(current.clone(), |kept, pointer| without(&kept, pointer.trim_start_matches('/')));
    normalise(&kept.overlaid(spec))
}

fn without(map: &Map, pointer: &str) -> Map {
    match pointer.split_once('/') {
        None => map.without(&unescape_token(pointer)),
        Some((first, rest)) => {
            let name = unescape_token(first);
            match map.get(&name) {
                Some(Value::Map(below)) => map.with(&name, without(below, rest).into()),
                _ => map.clone(),
            }
        }
    }
}

/// Writes a file beside its place and renames it.
fn replace(path: &Path, text: &str) -> Result<(), Refusal> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let temporary = path.with_file_name(format!(".{name}.tmp"));
    let result = (|| {
        // What a crash left there. A link of that name is removed, not followed.
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = fs::File::create_new(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    })();
    result.map_err(|error| {
        let _ = fs::remove_file(&temporary);
        failed(path)(error)
    })
}

fn attempted(step: &Step) -> String {
    let verb = match step.action {
        StepAction::Create { .. } => "writing the file of",
        StepAction::Update { .. } => "changing the file of",
        StepAction::Delete { .. } => "removing the file of",
    };
    format!("{verb} {}", tenantry_core::model::kind::readable_identity(&step.identity))
}

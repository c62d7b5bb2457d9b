//! All objects of a folder, and what could not be read.
//!
//! What is no YAML, begins with a dot, or is no object of a cluster is somebody else's and passed by.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize as _;

use super::layout::KUSTOMIZATION;
use crate::mark::unmarked;
use crate::types::{normalise, object};
use tenantry_core::model::mark::Mark;
use tenantry_core::model::resource::Identity;
use tenantry_core::model::value::{Map, Value};

/// More than any file of objects has; what is larger was not meant.
const MOST_BYTES: u64 = 16 << 20;

/// An object in a file.
#[derive(Clone, Debug)]
pub struct Found {
    pub path: PathBuf,
    pub identity: Identity,
    /// Normalised, without the mark.
    pub spec: Arc<Map>,
    pub mark: Option<Mark>,
    /// Whether the file holds other documents too.
    pub shares: bool,
}

/// What is in a folder.
#[derive(Debug, Default)]
pub struct Contents {
    pub objects: Vec<Found>,
    /// Files and folders that could not be read, and why.
    pub unreadable: Vec<(PathBuf, String)>,
}

/// Reads a folder. One that is missing is empty, if the folder that it would be in is there.
///
/// # Errors
/// If the folder as a whole cannot be read.
pub fn scan(root: &Path) -> Result<Contents, String> {
    let mut contents = Contents::default();
    if exists(root)? {
        below(root, &mut contents)?;
    }
    contents.objects.sort_by(|a, b| a.path.cmp(&b.path));
    contents.unreadable.sort();
    Ok(contents)
}

/// Whether the folder is there; an error if it is none, or its own place is missing.
pub fn exists(root: &Path) -> Result<bool, String> {
    match fs::symlink_metadata(root) {
        Ok(metadata) if metadata.is_dir() => Ok(true),
        Ok(metadata) if metadata.is_symlink() => {
            Err(format!("{} is a symbolic link, which is not followed", root.display()))
        }
        Ok(_) => Err(format!("{} is not a folder", root.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent = root.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            match fs::metadata(parent) {
                Ok(metadata) if metadata.is_dir() => Ok(false),
                _ => Err(format!("{} does not exist; check it out first, or correct `directory`", parent.display())),
            }
        }
        Err(error) => Err(format!("{} cannot be read: {error}", root.display())),
    }
}

fn below(folder: &Path, contents: &mut Contents) -> Result<(), String> {
    let failed = |error: io::Error| format!("{} cannot be read: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if name.starts_with('.') {
            continue;
        }
        let kind = entry.file_type().map_err(failed)?;
        let is_yaml = matches!(path.extension().and_then(|extension| extension.to_str()), Some("yaml" | "yml"));
        if kind.is_symlink() {
            // A link to a folder may hide any object.
            let reason = "it is a symbolic link, which is not followed".to_owned();
            contents.unreadable.push((path, reason));
        } else if kind.is_dir() {
            if let Err(reason) = below(&path, contents) {
                contents.unreadable.push((path, reason));
            }
        } else if is_yaml && name != KUSTOMIZATION && name != "kustomization.yml" {
            match read(&path) {
                Ok(found) => contents.objects.extend(found),
                Err(reason) => contents.unreadable.push((path, reason)),
            }
        }
    }
    Ok(())
}

/// The objects of one file.
///
/// # Errors
/// If it cannot be read, or not in full. The reason quotes nothing of what is in it.
pub fn read(path: &Path) -> Result<Vec<Found>, String> {
    let metadata = fs::symlink_metadata(path).map_err(|error| error.to_string())?;
    if metadata.is_symlink() {
        return Err("it is a symbolic link, which is not followed".into());
    }
    if metadata.len() > MOST_BYTES {
        return Err(format!("it has {} bytes, more than {MOST_BYTES}", metadata.len()));
    }
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let mut documents = Vec::new();
    for document in serde_yaml::Deserializer::from_str(&text) {
        // Through the library's own value, which refuses a key that stands twice.
        let value = serde_yaml::Value::deserialize(document).map_err(|error| in_words(&error))?;
        if !value.is_null() {
            documents.push(serde_json::to_value(value).map_err(|_| "a key in it is not a text".to_owned())?);
        }
    }
    let shares = documents.len() > 1;
    let found = documents.iter().filter_map(|json| {
        let Value::Map(written) = Value::from(json) else { return None };
        let (spec, mark) = unmarked(&written);
        let spec = normalise(&spec);
        let identity = object::identity(&spec)?;
        Some(Found { path: path.to_owned(), identity, spec: Arc::new(spec), mark, shares })
    });
    Ok(found.collect())
}

/// The place of an error; the parser's own words may quote the file.
fn in_words(error: &serde_yaml::Error) -> String {
    match error.location() {
        Some(place) => format!("it is not valid YAML at line {}, column {}", place.line(), place.column()),
        None => "it is not valid YAML".to_owned(),
    }
}

//! Directory mode: objects as files, for Argo CD, Flux or `kubectl apply -k`.
//!
//! ```text
//! layout   which file an object stands in       scan   all objects of a folder, and what could not be read
//! read     a folder → observations              write  steps → files, each whole or not at all
//! ```
//!
//! One folder for each tenant, one file for each object, a `kustomization.yaml` in every folder that lists them. The folder
//! is read as a whole; an object is found by what is in a file, not by the file's name. Nothing outside of the folder is
//! touched, and symbolic links are never followed. Values of secrets are not written: the folder ends in Git.

mod layout;
mod read;
mod scan;
mod write;

use std::path::PathBuf;

pub use read::FilesReader;
pub use write::FilesWriter;

use tenantry_core::model::value::{Map, Value};
use tenantry_provider::contract::Settings;

/// The setting that chooses this mode.
pub const SETTING: &str = "directory";

/// Why an object with a secret is not written, and what to do.
const SECRET_CAUSE: &str = "it contains the value of a secret, but the files of this folder are meant to be committed";
const SECRET_REMEDY: &str =
    "use an ExternalSecret that fetches it in the cluster, or write this resource to a live target";

/// The folder of a target, if it is one. Relative paths count from the estate's folder.
pub fn folder(settings: &Settings) -> Option<PathBuf> {
    settings.text(SETTING).map(|path| settings.folder.join(path))
}

/// Whether a secret, or its value, stands anywhere in a spec.
fn has_secret(spec: &Map) -> bool {
    spec.iter().any(|(_, value)| Value::has_secret(value))
}

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

use std::path::{Component, Path, PathBuf};

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

/// Folders of an estate that hold something else: what is written there would make the estate unreadable.
const OF_ESTATE: [&str; 5] = ["tenants", "policies", "schemas", ".tenantry", ".git"];

/// Which of the estate's own folders a folder is, or lies in.
pub fn taken_by_estate(estate: &Path, folder: &Path) -> Option<&'static str> {
    let folder = real(folder);
    OF_ESTATE.into_iter().find(|own| folder.starts_with(real(&estate.join(own))))
}

/// A path without links and `..`, as far as it exists.
fn real(path: &Path) -> PathBuf {
    if let Ok(real) = path.canonicalize() {
        return real;
    }
    match (path.parent(), path.components().next_back()) {
        (Some(parent), Some(Component::Normal(name))) => real(parent).join(name),
        (Some(parent), Some(Component::ParentDir)) => real(parent).parent().map_or_else(PathBuf::new, Path::to_owned),
        _ => path.to_owned(),
    }
}

/// Whether a secret, or its value, stands anywhere in a spec.
fn has_secret(spec: &Map) -> bool {
    spec.iter().any(|(_, value)| Value::has_secret(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estate_s_own_folders_are_not_written_into() {
        let estate = std::env::temp_dir().join(format!("tenantry-folders-{}", std::process::id()));
        std::fs::create_dir_all(estate.join("tenants/eu")).expect("a folder");
        let taken = |folder: &str| taken_by_estate(&estate, &estate.join(folder));
        assert_eq!(taken("tenants"), Some("tenants"));
        assert_eq!(taken("./deploy/../tenants/new"), Some("tenants"));
        assert_eq!(taken("tenants/eu/.."), Some("tenants"));
        assert_eq!(taken(".git/hooks"), Some(".git"));
        assert_eq!(taken(&estate.join("policies").display().to_string()), Some("policies"));
        for free in ["deploy", "tenants-deploy", "..", "tenants/../deploy", "deploy/tenants"] {
            assert_eq!(taken(free), None, "{free}");
        }
        std::fs::remove_dir_all(&estate).expect("it is removed");
    }
}

//! Finds the Git repository around a folder, or the reason why it cannot be used.
//!
//! The library that reads repositories refuses some that `git` itself works with. The plan of such a checkout has no
//! revision, and a revision of it cannot be read; both say why, and what helps.

use std::path::{Path, PathBuf};

use git2::{ErrorCode, Repository};

/// A repository, and the path of a folder within it.
pub struct Located {
    pub repository: Repository,
    pub folder: PathBuf,
}

/// Why no repository can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// The folder is in no repository.
    None,
    /// There is a repository with this folder at its top, but it cannot be opened.
    Refused { top: PathBuf, why: Refusal },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Git's protection against the configuration of others' repositories (`safe.directory`).
    Owner,
    /// Objects with names of 256 bits (`extensions.objectFormat`).
    Sha256,
    /// An extension of the repository's format.
    Extension(String),
    Other(String),
}

impl Unusable {
    /// What is wrong, as the end of a sentence.
    pub fn reason(&self) -> String {
        match self {
            Self::None => "the folder is in no Git repository".to_owned(),
            Self::Refused { top, why } => {
                let top = top.display();
                match why {
                    Refusal::Owner => format!("the Git repository {top} belongs to another user"),
                    Refusal::Sha256 => {
                        format!("the Git repository {top} has SHA-256 object names, which Tenantry does not support")
                    }
                    Refusal::Extension(name) => {
                        format!("the Git repository {top} uses the extension `{name}`, which Tenantry does not support")
                    }
                    Refusal::Other(message) => format!("the Git repository {top} cannot be opened: {message}"),
                }
            }
        }
    }

    /// The remedy, if there is one.
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::None | Self::Refused { why: Refusal::Sha256 | Refusal::Extension(_), .. } => None,
            Self::Refused { top, why: Refusal::Owner } => Some(format!(
                "trust it with `git config --global --add safe.directory {}`, or change its owner to the user who runs Tenantry",
                top.display()
            )),
            Self::Refused { top, why: Refusal::Other(_) } => {
                Some(format!("check the repository with `git -C {} fsck`", top.display()))
            }
        }
    }
}

/// The repository around a path, and the path within it. The path need not exist any more.
///
/// # Errors
/// If there is none, or it cannot be used.
pub fn discover(directory: &Path) -> Result<Located, Unusable> {
    let refused = |top: &Path, message: String| Unusable::Refused { top: top.to_owned(), why: Refusal::Other(message) };
    let absolute = std::path::absolute(directory).map_err(|error| refused(directory, error.to_string()))?;
    let existing = absolute.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(&absolute);
    let rest = absolute.strip_prefix(existing).unwrap_or(Path::new("")).to_owned();
    let existing = existing.canonicalize().map_err(|error| refused(existing, error.to_string()))?;
    let repository = Repository::discover(&existing).map_err(|error| unusable(&existing, &error))?;
    let base = repository.workdir().unwrap_or_else(|| repository.path());
    let base = base.canonicalize().map_err(|error| refused(base, error.to_string()))?;
    let folder = existing.strip_prefix(&base).unwrap_or(Path::new(""));
    // Joining nothing would leave a slash at the end.
    let folder = if rest.as_os_str().is_empty() { folder.to_owned() } else { folder.join(rest) };
    Ok(Located { repository, folder })
}

/// The folder that has the repository's `.git`, or is a bare repository.
pub fn top(existing: &Path) -> Option<&Path> {
    existing.ancestors().find(|folder| folder.join(".git").exists() || folder.join("HEAD").is_file())
}

fn unusable(existing: &Path, error: &git2::Error) -> Unusable {
    let Some(top) = top(existing) else { return Unusable::None };
    let message = error.message();
    let why = match error.code() {
        ErrorCode::Owner => Refusal::Owner,
        _ if message.contains("sha256") => Refusal::Sha256,
        _ => match message.split_once("extension name extensions.") {
            Some((_, name)) => Refusal::Extension(name.to_owned()),
            None => Refusal::Other(message.to_owned()),
        },
    };
    Unusable::Refused { top: top.to_owned(), why }
}

//! Secrets in one file that is encrypted with age.
//!
//! The file is encrypted to the recipient of the identity that opens it. It holds every secret and the estate's key for
//! hashes, as JSON. It is never changed in place: a new one is written beside it, synced and renamed over it, so that
//! a reader sees the old one or the new one, and a crash leaves either. Two runs that store secrets at once take turns
//! by a lock on `FILE.lock`, which stays behind empty: removing it would let two of them in.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use age::x25519::Identity;
use age::{DecryptError, Decryptor, Encryptor};
use async_trait::async_trait;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::contract::{SecretStore, SecretStoreError};
use super::generate::{Alphabet, LENGTH, generate};
use tenantry_core::model::secret::{SecretReference, SecretVersion};

/// The layout of the content. A file of a higher one is refused.
const FORMAT: u32 = 1;

/// How every age identity of this sort begins (<https://c2sp.org/age#x25519-recipient-stanza>).
const IDENTITY_PREFIX: &str = "AGE-SECRET-KEY-1";

const DAMAGED: &str = "the file is damaged or not written by Tenantry; restore a copy of it";

/// Secrets in a file.
#[derive(Clone)]
pub struct AgeFile(Arc<Inner>);

struct Inner {
    path: PathBuf,
    identity: Identity,
    /// What the file held when it was last read or written by this process.
    cache: Mutex<Option<Arc<Content>>>,
}

/// What the file holds.
#[derive(Clone, Default)]
struct Content {
    hash_key: Option<SecretString>,
    secrets: BTreeMap<SecretReference, SecretString>,
}

/// The content as it is written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    format: u32,
    hash_key: Option<&'a str>,
    secrets: Vec<WrittenSecret<'a>>,
}

#[derive(Serialize)]
struct WrittenSecret<'a> {
    #[serde(flatten)]
    reference: &'a SecretReference,
    value: &'a str,
}

/// The content as it is read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    format: u32,
    hash_key: Option<Opaque>,
    secrets: Vec<StoredSecret>,
}

#[derive(Deserialize)]
struct StoredSecret {
    owner: tenantry_core::model::address::Owner,
    name: Arc<str>,
    version: SecretVersion,
    value: Opaque,
}

/// A value that is wiped when it is no longer needed, from the moment it is read.
#[derive(Deserialize)]
#[serde(from = "String")]
struct Opaque(SecretString);

impl From<String> for Opaque {
    fn from(value: String) -> Self {
        Self(value.into())
    }
}

/// A new identity for an estate's file, and the recipient that belongs to it.
pub fn new_identity() -> (SecretString, String) {
    let identity = Identity::generate();
    (identity.to_string(), identity.to_public().to_string())
}

impl AgeFile {
    /// The file at `path`, which need not exist yet. Nothing is read before it is asked for.
    ///
    /// `identity` is one that begins with `AGE-SECRET-KEY-1`, alone or among the lines of a file of `age-keygen`.
    ///
    /// # Errors
    /// [`SecretStoreError::Locked`] if there is no such identity in it.
    pub fn open(path: &Path, identity: &SecretString) -> Result<Self, SecretStoreError> {
        let mut lines = identity.expose_secret().lines().map(str::trim);
        let identity = lines.find(|line| line.starts_with(IDENTITY_PREFIX)).and_then(|line| line.parse().ok());
        let identity = identity.ok_or_else(|| SecretStoreError::Locked {
            location: path.display().to_string(),
            cause: format!("the identity is not valid; it must begin with {IDENTITY_PREFIX}"),
        })?;
        Ok(Self(Arc::new(Inner { path: path.to_owned(), identity, cache: Mutex::default() })))
    }

    /// Runs what reads, writes or decrypts away from the threads that must not wait.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, SecretStoreError> + Send + 'static,
    ) -> Result<T, SecretStoreError> {
        let inner = self.0.clone();
        let done = tokio::task::spawn_blocking(move || work(&inner)).await;
        done.unwrap_or_else(|error| Err(self.0.failed("using it", error)))
    }
}

#[async_trait]
impl SecretStore for AgeFile {
    async fn get(
        &self,
        references: &[SecretReference],
    ) -> Result<BTreeMap<SecretReference, SecretString>, SecretStoreError> {
        let content = self.blocking(Inner::content).await?;
        let found = references.iter().filter_map(|reference| content.secrets.get_key_value(reference));
        Ok(found.map(|(reference, value)| (reference.clone(), value.clone())).collect())
    }

    async fn put(
        &self,
        secrets: BTreeMap<SecretReference, SecretString>,
    ) -> Result<BTreeMap<SecretReference, SecretString>, SecretStoreError> {
        self.blocking(move |inner| inner.put(secrets)).await
    }

    async fn hash_key(&self) -> Result<Option<SecretString>, SecretStoreError> {
        Ok(self.blocking(Inner::content).await?.hash_key.clone())
    }

    async fn list(&self) -> Result<Vec<SecretReference>, SecretStoreError> {
        Ok(self.blocking(Inner::content).await?.secrets.keys().cloned().collect())
    }

    fn location(&self) -> String {
        self.0.path.display().to_string()
    }
}

impl Inner {
    /// What the file holds, read once.
    fn content(&self) -> Result<Arc<Content>, SecretStoreError> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(content) = &*cache {
            return Ok(content.clone());
        }
        let content = Arc::new(self.read()?);
        *cache = Some(content.clone());
        Ok(content)
    }

    fn put(
        &self,
        secrets: BTreeMap<SecretReference, SecretString>,
    ) -> Result<BTreeMap<SecretReference, SecretString>, SecretStoreError> {
        if secrets.is_empty() {
            return Ok(secrets);
        }
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        // Given up when it is closed, also by a crash.
        let _turn = self.take_turn().map_err(|error| self.failed("waiting for another run", error))?;
        let mut content = self.read()?;
        let before = content.secrets.len();
        let mut stored = BTreeMap::new();
        for (reference, value) in secrets {
            let value = content.secrets.entry(reference.clone()).or_insert(value);
            stored.insert(reference, value.clone());
        }
        if content.secrets.len() > before || content.hash_key.is_none() {
            if content.hash_key.is_none() {
                let key =
                    generate(Alphabet::ALPHANUMERIC, LENGTH).map_err(|error| self.failed("making its key", error))?;
                content.hash_key = Some(key);
            }
            let encrypted = self.encrypt(&content).map_err(|cause| self.failed("encrypting it", cause))?;
            self.replace(&encrypted).map_err(|error| self.failed("writing it", error))?;
        }
        *cache = Some(Arc::new(content));
        Ok(stored)
    }

    fn read(&self) -> Result<Content, SecretStoreError> {
        let encrypted = match std::fs::read(&self.path) {
            Ok(encrypted) => encrypted,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Content::default()),
            Err(error) => return Err(self.failed("reading it", error)),
        };
        let identity: &dyn age::Identity = &self.identity;
        let decryptor = Decryptor::new_buffered(encrypted.as_slice());
        let opened = decryptor.and_then(|decryptor| decryptor.decrypt(std::iter::once(identity)));
        let mut reader = opened.map_err(|error| match error {
            DecryptError::NoMatchingKeys | DecryptError::DecryptionFailed => SecretStoreError::Locked {
                location: self.path.display().to_string(),
                cause: format!(
                    "it is encrypted to another identity than {}, which was given; use the identity that it was created with, or restore the file for this identity",
                    self.identity.to_public()
                ),
            },
            error => self.failed("decrypting it", format!("{error}; {DAMAGED}")),
        })?;
        // As large as it can get, so that no half of it is left behind where the text outgrew its place.
        let mut plain = Zeroizing::new(Vec::with_capacity(encrypted.len()));
        reader.read_to_end(&mut plain).map_err(|error| self.failed("decrypting it", format!("{error}; {DAMAGED}")))?;
        self.parse(&plain)
    }

    fn parse(&self, plain: &[u8]) -> Result<Content, SecretStoreError> {
        // Not the error's own words: they quote what they stumble over.
        let stored: Stored = serde_json::from_slice(plain).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            self.failed("reading its content", format!("line {line}, column {column} is not valid; {DAMAGED}"))
        })?;
        let Stored { format, hash_key, secrets } = stored;
        if format > FORMAT {
            let cause = format!("it has format {format}, which is newer than the {FORMAT} that this version reads");
            return Err(self.failed("reading its content", cause));
        }
        let secrets = secrets.into_iter().map(|secret| {
            let StoredSecret { owner, name, version, value } = secret;
            (SecretReference { owner, name, version }, value.0)
        });
        Ok(Content { hash_key: hash_key.map(|key| key.0), secrets: secrets.collect() })
    }

    fn encrypt(&self, content: &Content) -> Result<Vec<u8>, String> {
        let Content { hash_key, secrets } = content;
        // An escaped character takes six at most.
        let size = |(reference, value): (&SecretReference, &SecretString)| {
            let SecretReference { owner, name, version: _ } = reference;
            6 * (owner.to_string().len() + name.len() + value.expose_secret().len()) + 64
        };
        let mut plain = Zeroizing::new(Vec::with_capacity(1024 + secrets.iter().map(size).sum::<usize>()));
        let written = Written {
            format: FORMAT,
            hash_key: hash_key.as_ref().map(secrecy::ExposeSecret::expose_secret),
            secrets: secrets
                .iter()
                .map(|(reference, value)| WrittenSecret { reference, value: value.expose_secret() })
                .collect(),
        };
        serde_json::to_writer(&mut *plain, &written).map_err(|_| "its content cannot be written as JSON".to_owned())?;
        let recipient = self.identity.to_public();
        let recipient: &dyn age::Recipient = &recipient;
        let encryptor = Encryptor::with_recipients(std::iter::once(recipient)).map_err(|error| error.to_string())?;
        let mut encrypted = Vec::with_capacity(plain.len() + 1024);
        let mut writer = encryptor.wrap_output(&mut encrypted).map_err(|error| error.to_string())?;
        writer.write_all(&plain).map_err(|error| error.to_string())?;
        writer.finish().map_err(|error| error.to_string())?;
        Ok(encrypted)
    }

    /// Waits until no other run is writing.
    fn take_turn(&self) -> io::Result<File> {
        if let Some(folder) = folder(&self.path) {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let lock = beside(&self.path, "", ".lock");
        let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(lock)?;
        lock.lock()?;
        Ok(lock)
    }

    fn replace(&self, bytes: &[u8]) -> io::Result<()> {
        // Where the file is a link, what it leads to is replaced and not the link.
        let target = std::fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let new = beside(&target, ".", &format!(".{:016x}.new", rand::random::<u64>()));
        let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()?;
            std::fs::rename(&new, &target)
        });
        if written.is_err() {
            // It may not even have been created; the first error is the one that tells.
            let _ = std::fs::remove_file(&new);
        }
        written?;
        // The new name is only durable with its folder.
        File::open(folder(&target).unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all())
    }

    fn failed(&self, attempted: &'static str, cause: impl std::fmt::Display) -> SecretStoreError {
        SecretStoreError::Failed { location: self.path.display().to_string(), attempted, cause: cause.to_string() }
    }
}

/// The folder of a file, if its path names one.
fn folder(path: &Path) -> Option<&Path> {
    path.parent().filter(|folder| !folder.as_os_str().is_empty())
}

/// A file of a similar name in the same folder.
fn beside(path: &Path, before: &str, after: &str) -> PathBuf {
    let mut name = std::ffi::OsString::from(before);
    name.push(path.file_name().unwrap_or_default());
    name.push(after);
    path.with_file_name(name)
}

#[cfg(test)]
mod tests;

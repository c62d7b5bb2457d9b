//! The contract of every secret store.

use std::collections::BTreeMap;

use async_trait::async_trait;
use secrecy::SecretString;

use tenantry_core::model::secret::SecretReference;

/// The store of secret values.
///
/// Stored first, used second: a value is put here before any target sees it, so a crash between the two is repaired by
/// writing the stored one again.
#[async_trait]
pub trait SecretStore: Send + Sync {
    /// The values of those that exist. One read, however many are asked for.
    async fn get(
        &self,
        references: &[SecretReference],
    ) -> Result<BTreeMap<SecretReference, SecretString>, SecretStoreError>;

    /// Stores values that do not exist yet and returns the stored ones: if another run was faster, its value.
    async fn put(
        &self,
        secrets: BTreeMap<SecretReference, SecretString>,
    ) -> Result<BTreeMap<SecretReference, SecretString>, SecretStoreError>;

    /// The estate's key for hashes of secrets; `None` until the first value was put.
    async fn hash_key(&self) -> Result<Option<SecretString>, SecretStoreError>;

    /// Every reference that is stored, in order. No values.
    async fn list(&self) -> Result<Vec<SecretReference>, SecretStoreError>;

    /// Where it is, without credentials, for messages.
    fn location(&self) -> String;
}

/// A failure of the secret store. Never contains a value.
#[derive(Debug, thiserror::Error)]
pub enum SecretStoreError {
    #[error("the secret store at {location} cannot be opened: {cause}")]
    Locked { location: String, cause: String },
    #[error(transparent)]
    Generate(#[from] super::generate::NoRandomness),
    #[error("the secret store at {location} failed while {attempted}: {cause}")]
    Failed { location: String, attempted: &'static str, cause: String },
}

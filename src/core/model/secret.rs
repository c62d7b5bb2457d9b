//! A reference to a secret. The value itself never enters `core`.

use std::fmt;
use std::sync::Arc;

use super::address::Owner;

/// Names one version of one secret of one owner.
///
/// Written into specs, plans and journals in place of the value. A higher version is a rotation.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
pub struct SecretReference {
    pub owner: Owner,
    /// The name in `secret(name)`.
    pub name: Arc<str>,
    /// Counted from 1; a higher one is a rotation.
    pub version: u32,
}

impl fmt::Display for SecretReference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { owner, name, version } = self;
        write!(formatter, "secret({owner}/{name}, v{version})")
    }
}

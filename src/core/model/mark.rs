//! The sign of ownership on a real resource.

use std::sync::Arc;

use super::address::Address;

/// Estate and address, as read from or written to the target.
///
/// A resource is only ever updated or deleted if its mark names this estate and this very address.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Mark {
    pub estate: Arc<str>,
    pub address: Address,
    /// Keyed hash over the secret values that were written, by which drift of a secret is seen without knowing it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_hash: Option<Arc<str>>,
}

impl Mark {
    /// Whether both name the same resource of the same estate.
    pub fn is_same_owner(&self, other: &Self) -> bool {
        self.estate == other.estate && self.address == other.address
    }
}

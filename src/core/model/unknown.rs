//! Why the state of a resource is not known.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text::TargetName;
use crate::fingerprint::Fingerprint;

/// Why a state is unknown: a code for programs, with its fields. `render` has the sentences.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "code", rename_all = "camelCase")]
pub enum Unknown {
    /// The target was not asked.
    NotAsked,
    /// The target was asked and returned no result for this resource.
    NoAnswer,
    /// The environment has no target of this name.
    NotConfigured {
        /// The target's name.
        target: TargetName,
    },
    /// This version of Tenantry has no kind of this name.
    UnknownKind {
        /// The kind's name.
        kind: Arc<str>,
    },
    /// The read failed, was denied or was incomplete.
    Unreadable {
        /// The provider's message, with the server's own words and without secrets.
        message: Arc<str>,
    },
    /// The target is another system than the one that was accepted.
    OtherSystem {
        /// The target's name.
        target: TargetName,
    },
    /// The target was accepted with a fingerprint and does not reveal it now.
    FingerprintWithheld {
        /// The target's name.
        target: TargetName,
        /// The fingerprint that was accepted.
        was: Fingerprint,
        /// What the target says instead.
        message: Arc<str>,
    },
    /// The target could not be asked which system it is.
    FingerprintUnasked {
        /// The target's name.
        target: TargetName,
        /// Why.
        message: Arc<str>,
    },
}

impl Unknown {
    /// What the target or its provider says of it.
    pub fn message(&self) -> Option<&str> {
        match self {
            Self::Unreadable { message }
            | Self::FingerprintWithheld { message, .. }
            | Self::FingerprintUnasked { message, .. } => Some(message),
            Self::NotAsked
            | Self::NoAnswer
            | Self::NotConfigured { .. }
            | Self::UnknownKind { .. }
            | Self::OtherSystem { .. } => None,
        }
    }
}

impl From<&str> for Unknown {
    fn from(message: &str) -> Self {
        Self::Unreadable { message: message.into() }
    }
}

impl From<String> for Unknown {
    fn from(message: String) -> Self {
        Self::Unreadable { message: message.into() }
    }
}

impl From<Arc<str>> for Unknown {
    fn from(message: Arc<str>) -> Self {
        Self::Unreadable { message }
    }
}

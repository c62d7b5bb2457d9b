//! Why an address is blocked: codes for programs, for which `render` has the sentences.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::diagnostics::{Code, codes};
use crate::lifecycle::Kept;
use crate::model::address::Address;
use crate::model::resource::{Identity, TargetName};
use crate::model::unknown::Unknown;
use crate::ownership::NotOurs;

/// Why an address is blocked although a change may be needed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "code", rename_all = "camelCase")]
pub enum Hindrance {
    /// The state of the resource is not known.
    StateUnknown {
        /// Why.
        cause: Unknown,
    },
    /// A resource with its name exists and is not ours.
    NotOurs {
        /// Why it is not.
        cause: NotOurs,
    },
    /// It would be taken over, but fields that cannot change on a live resource differ.
    CannotAdopt {
        /// Pointers into the spec.
        fields: Vec<Arc<str>>,
    },
    /// It would move to another target.
    TargetChanged {
        /// The target that it was applied to.
        from: TargetName,
        /// The target that is asked for.
        to: TargetName,
    },
    /// It would become a resource of another kind.
    KindChanged {
        /// The kind that was applied.
        from: Arc<str>,
        /// The kind that is asked for.
        to: Arc<str>,
    },
    /// The document of its tenant is gone, and the tenant was not deleted.
    TenantVanished,
    /// It is no longer wanted, but not deleted, because it is not ours.
    UnwantedNotOurs {
        /// Why it is not.
        cause: NotOurs,
    },
    /// It is no longer wanted and carries our mark, but the store has no record of it.
    NotRecorded,
    /// It is gone, and a resource with its mark exists under another name: somebody has renamed it. Made anew it would be empty.
    Renamed {
        /// What it is called now.
        to: Identity,
    },
    /// The target would refuse it, as a dry run has shown.
    Refused {
        /// The target's own words, in one sentence.
        message: Arc<str>,
    },
    /// Its tenant cannot go from its phase to the wanted one.
    PhaseTransition,
    /// Its tenant is under a legal hold, and its data would be destroyed.
    LegalHold {
        /// Until when, as the tenant's document has it; absent without an end.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Arc<str>>,
    },
    /// Its tenant leaves, and its data would be destroyed before it was kept long enough.
    Retained {
        /// Days that the data is kept after access has ended.
        days: u32,
        /// From when on it may be deleted; absent if access has not ended yet.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<String>", extend("format" = "date-time"))]
        due: Option<jiff::Timestamp>,
    },
    /// A resource of its tenant is blocked, and a tenant is billed only for resources that exist.
    NotBilled {
        /// What is blocked.
        blocked: Address,
    },
    /// What its tenant is billed by is blocked, and nothing is taken away that is still billed.
    StillBilled {
        /// What is blocked.
        bill: Address,
    },
    /// It needs something that is blocked.
    NeedsBlocked {
        /// What it needs.
        needed: Address,
    },
    /// It needs something that does not exist yet and was not selected.
    NeedsUnselected {
        /// What it needs.
        needed: Address,
    },
    /// Something that was not selected needs it, so it is not deleted.
    NeededByUnselected {
        /// What needs it.
        user: Address,
    },
    /// Something needs it that cannot be deleted, so it is not deleted.
    NeededByBlocked,
    /// Deleting it deletes another resource with it, which is kept.
    HoldsKept {
        /// What is kept.
        kept: Address,
    },
}

impl From<Kept> for Hindrance {
    fn from(kept: Kept) -> Self {
        match kept {
            Kept::LegalHold { until } => Self::LegalHold { until },
            Kept::Retention { due, days } => Self::Retained { days, due },
        }
    }
}

impl Hindrance {
    /// The diagnostic code.
    pub fn code(&self) -> Code {
        match self {
            Self::StateUnknown { .. } => codes::UNKNOWN_STATE,
            Self::NotOurs { .. } | Self::CannotAdopt { .. } => codes::CONFLICT,
            Self::TargetChanged { .. } | Self::KindChanged { .. } => codes::TARGET_CHANGED,
            Self::TenantVanished => codes::TENANT_VANISHED,
            Self::UnwantedNotOurs { .. } => codes::OWNERSHIP_UNKNOWN,
            Self::NotRecorded => codes::UNRECORDED,
            Self::Renamed { .. } => codes::RECREATES_DATA,
            Self::Refused { .. } => codes::REFUSED_BY_TARGET,
            Self::PhaseTransition => codes::PHASE_TRANSITION,
            Self::LegalHold { .. } => codes::LEGAL_HOLD,
            Self::Retained { .. } => codes::RETAINED,
            Self::NotBilled { .. } => codes::NOT_BILLED,
            Self::StillBilled { .. }
            | Self::NeedsBlocked { .. }
            | Self::NeedsUnselected { .. }
            | Self::NeededByUnselected { .. }
            | Self::NeededByBlocked
            | Self::HoldsKept { .. } => codes::DEPENDS_ON_BLOCKED,
        }
    }
}

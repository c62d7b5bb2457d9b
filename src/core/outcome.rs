//! How a change ended in a run: codes for programs, for which `render` has the sentences.

use std::sync::Arc;

use serde::Serialize;

use crate::model::address::Address;
use crate::model::resource::Identity;
use crate::model::unknown::Unknown;
use crate::ownership::NotOurs;
use crate::plan::Hindrance;

/// How a change ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "outcome", content = "reason", rename_all = "camelCase")]
pub enum Outcome {
    Done,
    /// It was written, but is not known to be ready or gone.
    Pending(Pending),
    /// Nothing had to be done: an earlier run did it.
    AlreadyDone,
    /// It was not written. The reason has the target's own words, with what was attempted.
    Failed(String),
    /// It was written, but differs from what was written.
    Wrong(Wrong),
    /// The old resource was deleted, but the new one could not be created.
    HalfDone(String),
    /// The resource changed since the plan was made.
    Stale(Stale),
    /// It was left out when its turn came.
    Skipped(Skip),
    /// The run was interrupted before its turn.
    Interrupted,
}

/// What a written resource is waiting for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "code", rename_all = "camelCase")]
pub enum Pending {
    /// It is not ready, or not gone.
    NotReady {
        /// The target's message.
        message: Arc<str>,
    },
    /// It could not be observed again.
    NotVerified { cause: Unknown },
}

/// How a resource differs from what was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "code", rename_all = "camelCase")]
pub enum Wrong {
    /// It does not exist.
    Missing,
    /// It was deleted, but still exists.
    StillThere,
    /// Its name changed, and the resource with the old name was deleted, but still exists.
    OldStillThere {
        /// The old name.
        old: Identity,
    },
    /// Fields differ from what was written.
    Differs {
        /// Pointers into the spec.
        fields: Vec<Arc<str>>,
    },
    /// The existing resource is not ours.
    NotOurs { cause: NotOurs },
    /// It would be blocked in the next plan.
    Blocked { cause: Hindrance },
}

/// What happened since the plan was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "code", rename_all = "camelCase")]
pub enum Stale {
    /// Another run wrote it.
    WrittenByAnotherRun,
    /// Its tenant has entered another phase, for example because it came back.
    OtherPhase,
    /// It was to be created and exists now.
    Appeared,
    /// It was gone and exists again.
    CameBack,
    /// It was changed.
    Changed,
    /// It was deleted.
    Deleted,
    /// Its mark was changed.
    MarkChanged,
    /// The resource that it replaces was changed.
    OldChanged,
    /// The mark of the resource that it replaces was changed.
    OldMarkChanged,
    /// Another resource has the name that it is to have.
    NewNameTaken,
    /// This version of Tenantry does not know its kind.
    UnknownKind,
    /// It would be blocked in a plan that is made now.
    Blocked { cause: Hindrance },
}

/// Why a change was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "code", rename_all = "camelCase")]
pub enum Skip {
    /// The state of the resource is not known.
    StateUnknown { cause: Unknown },
    /// The store stopped working, so nothing more is written.
    StoreFailed,
    /// It needs something that was not done.
    NeedsUndone { needed: Address },
    /// Something that needs it was not done, so it is not deleted.
    NeededByUndone { user: Address },
    /// A change of its tenant was not done, and a tenant is billed only for resources that exist.
    NotBilled { undone: Address },
    /// What its tenant is billed by was not ended or changed, and nothing is taken away that is still billed.
    StillBilled { bill: Address },
    /// Its tenant is in a later wave of the rollout, and an earlier one did not come to its end.
    EarlierWave {
        /// The number of the earlier wave, counted from 1.
        wave: usize,
        /// What is not done there, or not verified.
        undone: Address,
    },
    /// It was in one transaction with something that failed.
    SameTransaction { failed: Address },
}

impl Outcome {
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done | Self::AlreadyDone | Self::Pending(_))
    }

    /// Whether something was done, but not completely or not correctly.
    pub fn is_wrong(&self) -> bool {
        matches!(self, Self::Wrong(_))
    }

    /// Whether something in the target changed, successfully or not.
    pub fn has_effect(&self) -> bool {
        self.is_done() || matches!(self, Self::Wrong(_) | Self::HalfDone(_))
    }

    /// Whether it is done and nothing is left to wait for.
    pub fn is_settled(&self) -> bool {
        matches!(self, Self::Done | Self::AlreadyDone)
    }
}

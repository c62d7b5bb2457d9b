//! How a change ended in a run: values that programs read as codes, and that `render` puts into words.

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
    /// It was written, and is not seen to be ready, or gone.
    Pending(Pending),
    /// It was so already: an earlier run got that far.
    AlreadyDone,
    /// It was not written, for this reason: the target's own words, with what was attempted.
    Failed(String),
    /// It was written, and is not as it was written.
    Wrong(Wrong),
    /// The old one was deleted, and the new one could not be created in its place.
    HalfDone(String),
    /// The resource changed since the plan was made.
    Stale(Stale),
    /// Its turn came and it was left out.
    Skipped(Skip),
    /// The run was interrupted before its turn.
    Interrupted,
}

/// What is still awaited of something that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "code", rename_all = "camelCase")]
pub enum Pending {
    /// It is not ready, or not gone.
    NotReady {
        /// What the target says of it.
        message: Arc<str>,
    },
    /// It could not be observed again.
    NotVerified { cause: Unknown },
}

/// How something that was written differs from what was to be written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "code", rename_all = "camelCase")]
pub enum Wrong {
    /// It is not there.
    Missing,
    /// It was deleted and is still there.
    StillThere,
    /// It has another name now, and what had the old one was deleted and is still there.
    OldStillThere {
        /// The old name.
        old: Identity,
    },
    /// Fields did not come out as written.
    Differs {
        /// Pointers into the spec.
        fields: Vec<Arc<str>>,
    },
    /// What is there is not ours.
    NotOurs { cause: NotOurs },
    /// The next plan would have it blocked.
    Blocked { cause: Hindrance },
}

/// What happened since the plan was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "code", rename_all = "camelCase")]
pub enum Stale {
    /// Another run wrote it.
    WrittenByAnotherRun,
    /// It was to be created and exists now.
    Appeared,
    /// It was gone and is there again.
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
    /// A plan that is made now would have it blocked.
    Blocked { cause: Hindrance },
}

/// Why a change was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "code", rename_all = "camelCase")]
pub enum Skip {
    /// It is not known what the target has.
    StateUnknown { cause: Unknown },
    /// The store stopped working, so nothing more is written.
    StoreFailed,
    /// It needs something that was not done.
    NeedsUndone { needed: Address },
    /// Something that needs it was not done, so it is not deleted.
    NeededByUndone { user: Address },
    /// Something of its tenant was not done, and nothing is billed that is not there.
    NotBilled { undone: Address },
    /// What its tenant is billed by was not ended or changed, and nothing is taken away that is still billed.
    StillBilled { bill: Address },
    /// It was in one transaction with something that failed.
    SameTransaction { failed: Address },
}

impl Outcome {
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done | Self::AlreadyDone | Self::Pending(_))
    }

    /// Whether something was done that did not come out well.
    pub fn is_wrong(&self) -> bool {
        matches!(self, Self::Wrong(_))
    }

    /// Whether something in the target changed, well or not.
    pub fn has_effect(&self) -> bool {
        self.is_done() || matches!(self, Self::Wrong(_) | Self::HalfDone(_))
    }

    /// Whether nothing is left to wait for either.
    pub fn is_settled(&self) -> bool {
        matches!(self, Self::Done | Self::AlreadyDone)
    }
}

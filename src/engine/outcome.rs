//! How the changes of a run ended.

use std::collections::BTreeMap;

use tenantry_core::model::address::Address;
use tenantry_core::plan::Action;
use tenantry_store::contract::{RunId, RunOutcome};

/// How a change ended.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(tag = "outcome", content = "reason", rename_all = "camelCase")]
pub enum Outcome {
    Done,
    /// It was written, and is not ready yet, or not gone yet.
    Pending(String),
    /// It was so already: an earlier run got that far.
    AlreadyDone,
    Failed(String),
    /// It was written, and is not as it was written.
    Wrong(String),
    /// The old one was deleted, and the new one could not be created in its place.
    HalfDone(String),
    /// The resource changed since the plan was made.
    Stale(String),
    /// Something that it needs was not done.
    Skipped(String),
    /// The run was interrupted before its turn.
    Interrupted,
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

/// Every change with how it ended, in order of address.
pub type Outcomes = BTreeMap<Address, (Action, Outcome)>;

/// What the targets said of each change beside success, in their own words.
pub type Notices = BTreeMap<Address, Vec<String>>;

/// What a run came to.
pub struct Report {
    pub run: RunId,
    pub outcomes: Outcomes,
    pub notices: Notices,
    pub interrupted: bool,
}

impl Report {
    pub fn outcome(&self) -> RunOutcome {
        if self.interrupted {
            RunOutcome::Interrupted
        } else if self.outcomes.values().all(|(_, outcome)| outcome.is_done()) {
            RunOutcome::Done
        } else if !self.outcomes.values().any(|(_, outcome)| outcome.has_effect()) {
            RunOutcome::Failed
        } else {
            RunOutcome::Partly
        }
    }
}

//! How the changes of a run ended.

use std::collections::BTreeMap;

use tenantry_core::model::address::Address;
use tenantry_core::outcome::Outcome;
use tenantry_core::plan::Action;
use tenantry_store::contract::{RunId, RunOutcome};

/// Every change with how it ended, in order of address.
pub type Outcomes = BTreeMap<Address, (Action, Outcome)>;

/// The warnings of targets for each change, in their own words.
pub type Notices = BTreeMap<Address, Vec<String>>;

/// The result of a run.
pub struct Report {
    pub run: RunId,
    pub outcomes: Outcomes,
    pub notices: Notices,
    pub interrupted: bool,
    /// Where the rollout stopped; `None` if it did not.
    pub stopped: Option<Stopped>,
}

/// A wave that did not come to its end, so that those after it did not begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// Its number, counted from 1.
    pub wave: usize,
    /// What is not done there, or not verified.
    pub undone: Address,
}

impl Report {
    pub fn outcome(&self) -> RunOutcome {
        if self.interrupted {
            RunOutcome::Interrupted
        } else if self.stopped.is_none() && self.outcomes.values().all(|(_, outcome)| outcome.is_done()) {
            RunOutcome::Done
        } else if !self.outcomes.values().any(|(_, outcome)| outcome.has_effect()) {
            RunOutcome::Failed
        } else {
            RunOutcome::Partly
        }
    }
}

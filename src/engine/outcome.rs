//! How the changes of a run ended.

use std::collections::BTreeMap;

use tenantry_core::model::address::Address;
use tenantry_core::outcome::Outcome;
use tenantry_core::plan::Action;
use tenantry_store::contract::{RunId, RunOutcome};

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

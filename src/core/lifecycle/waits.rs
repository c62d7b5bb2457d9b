//! What a tenant waits for.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::life::Life;
use super::state::State;
use crate::model::document::LegalHold;

/// What a tenant waits for before it leaves the state that it is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "for", rename_all = "camelCase")]
pub enum Waits {
    /// An apply that brings it to what its document asks for.
    Apply,
    /// An apply that finishes what another one began.
    UnfinishedSteps { steps: usize },
    /// The end of its trial.
    TrialEnd {
        #[schemars(with = "String", extend("format" = "date-time"))]
        at: Timestamp,
    },
    /// The time from when on its data may be deleted.
    Retention {
        #[schemars(with = "String", extend("format" = "date-time"))]
        until: Timestamp,
    },
    /// A person who writes `deleted`: its data was kept long enough.
    Deletion,
    /// The end of a legal hold.
    LegalHold { hold: LegalHold },
}

/// What a tenant waits for, if it waits. `steps` is the number of its steps that were begun and not ended.
pub fn waits(life: &Life, state: State, steps: usize, now: Timestamp) -> Option<Waits> {
    if steps > 0 {
        return Some(Waits::UnfinishedSteps { steps });
    }
    match state {
        _ if state.is_a_way() => Some(Waits::Apply),
        State::Trial => life.trial_ends.filter(|end| *end > now).map(|at| Waits::TrialEnd { at }),
        State::Deleting => Some(match (&life.hold, life.deletion_due) {
            (Some(hold), _) => Waits::LegalHold { hold: hold.clone() },
            (None, Some(due)) if due > now => Waits::Retention { until: due },
            (None, Some(_)) => Waits::Deletion,
            (None, None) => Waits::Apply,
        }),
        _ => None,
    }
}

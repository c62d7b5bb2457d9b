//! The request for a run, and its events.

use std::sync::Arc;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::targets::Targets;
use tenantry_core::model::address::Address;
use tenantry_core::model::document::Phase;
use tenantry_core::outcome::Outcome;
use tenantry_core::plan::{Action, Plan};
use tenantry_secret::contract::SecretStore;
use tenantry_store::contract::{Holder, RunId, RunOutcome, Store};

/// The inputs of a run besides the plan.
pub struct Request<'a> {
    pub plan: &'a Plan,
    pub targets: &'a Targets<'a>,
    pub store: &'a dyn Store,
    pub secrets: &'a dyn SecretStore,
    /// Who runs it: user@host.
    pub actor: Arc<str>,
    /// Who takes the locks, under a name that is unique to this run.
    pub holder: Holder,
    /// The time of the run, or that of `--now`: used to decide whether Approvals have expired, as in the plan.
    pub now: Timestamp,
    /// The system's clock: leases and the journal are real time, whatever `--now` says.
    pub clock: &'a (dyn Fn() -> Timestamp + Sync),
    /// When this is cancelled, current writes are finished and no others begun.
    pub cancel: CancellationToken,
    pub progress: &'a dyn Progress,
}

/// Receives every event of a run.
pub trait Progress: Send + Sync {
    fn event(&self, event: &Event<'_>);
}

/// An event of a run.
#[derive(Debug, serde::Serialize)]
#[serde(tag = "event", rename_all = "camelCase")]
pub enum Event<'a> {
    #[serde(rename_all = "camelCase")]
    RunBegun {
        run: RunId,
        changes: usize,
        simulated: bool,
    },
    /// The tenants of a wave of the rollout are changed now.
    WaveBegun {
        /// Counted from 1.
        wave: usize,
        /// How many waves there are.
        of: usize,
        tenants: usize,
    },
    /// A wave did not come to its end, so that those after it do not begin.
    WaveStopped {
        wave: usize,
        /// What is not done, or not verified.
        undone: &'a Address,
        /// How many waves do not begin.
        held: usize,
    },
    StepBegun {
        address: &'a Address,
        action: Action,
    },
    StepEnded {
        address: &'a Address,
        action: Action,
        result: &'a Outcome,
    },
    /// The warnings of a target for a change that it has just carried out.
    Noticed {
        address: &'a Address,
        notices: &'a [String],
    },
    /// Everything is written, but some of it is not ready yet.
    Waiting {
        resources: usize,
        /// Of one of them.
        reason: &'a str,
    },
    PhaseEntered {
        tenant: &'a str,
        phase: Phase,
    },
    /// A tenant is on another tier than before.
    TierEntered {
        tenant: &'a str,
        tier: &'a str,
    },
    /// The target asks to wait, or a request is tried again.
    #[serde(rename_all = "camelCase")]
    Retrying {
        target: &'a str,
        reason: String,
        after_milliseconds: u64,
    },
    RunEnded {
        run: RunId,
        outcome: RunOutcome,
    },
}

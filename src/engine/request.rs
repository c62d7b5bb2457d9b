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

/// The events of a run as `apply --format json` writes them: name, fields and meaning.
pub const EVENTS: &[(&str, &[&str], &str)] = &[
    ("runBegun", &["run", "changes", "simulated"], "The run has its locks and begins to write."),
    ("waveBegun", &["wave", "of", "tenants"], "The tenants of a wave of the rollout are changed now."),
    (
        "waveStopped",
        &["wave", "undone", "held"],
        "A wave did not come to its end, so that those after it do not begin.",
    ),
    ("stepBegun", &["address", "action"], "A change is written now."),
    ("noticed", &["address", "notices"], "Warnings of a target for a change that it has just carried out."),
    (
        "stepEnded",
        &["address", "action", "result"],
        "A change ended: done, failed, skipped and so on, with the reason.",
    ),
    ("retrying", &["target", "reason", "afterMilliseconds"], "The target asks to wait, or a request is tried again."),
    ("waiting", &["resources", "reason"], "Everything is written, but some of it is not ready yet."),
    ("phaseEntered", &["tenant", "phase"], "All changes of a tenant are done, verified and ready."),
    ("tierEntered", &["tenant", "tier"], "A tenant is on another tier than before."),
    ("runEnded", &["run", "outcome"], "The run ended, and how."),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Adding an event without describing it does not compile.
    fn described(event: &Event<'_>) -> &'static str {
        match event {
            Event::RunBegun { .. } => "runBegun",
            Event::WaveBegun { .. } => "waveBegun",
            Event::WaveStopped { .. } => "waveStopped",
            Event::StepBegun { .. } => "stepBegun",
            Event::StepEnded { .. } => "stepEnded",
            Event::Noticed { .. } => "noticed",
            Event::Waiting { .. } => "waiting",
            Event::PhaseEntered { .. } => "phaseEntered",
            Event::TierEntered { .. } => "tierEntered",
            Event::Retrying { .. } => "retrying",
            Event::RunEnded { .. } => "runEnded",
        }
    }

    #[test]
    fn an_event_has_the_name_and_the_fields_that_are_described() {
        let address: Address = "acme/role".parse().expect("an address");
        let step = |result| match result {
            None => Event::StepBegun { address: &address, action: Action::Create },
            Some(result) => Event::StepEnded { address: &address, action: Action::Create, result },
        };
        let events = [
            Event::RunBegun { run: RunId(1), changes: 2, simulated: true },
            Event::WaveBegun { wave: 1, of: 2, tenants: 3 },
            Event::WaveStopped { wave: 1, undone: &address, held: 1 },
            step(None),
            Event::Noticed { address: &address, notices: &[] },
            step(Some(&Outcome::Done)),
            Event::Retrying { target: "main", reason: "busy".into(), after_milliseconds: 5 },
            Event::Waiting { resources: 1, reason: "not yet" },
            Event::PhaseEntered { tenant: "acme", phase: Phase::Active },
            Event::TierEntered { tenant: "acme", tier: "small" },
            Event::RunEnded { run: RunId(1), outcome: RunOutcome::Done },
        ];
        assert_eq!(events.len(), EVENTS.len());
        for (event, (name, fields, _)) in events.iter().zip(EVENTS) {
            let json = serde_json::to_value(event).expect("JSON");
            let mut written: Vec<&str> =
                json.as_object().expect("an object").keys().map(String::as_str).filter(|key| *key != "event").collect();
            let mut expected = fields.to_vec();
            written.sort_unstable();
            expected.sort_unstable();
            assert_eq!((described(event), &json["event"], written), (*name, &(*name).into(), expected));
        }
    }
}

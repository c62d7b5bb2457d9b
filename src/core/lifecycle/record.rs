//! What the store has of a tenant.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::life::Life;
use crate::model::document::{Phase, Terms};
use crate::model::value::Value;

/// How a tenant was last applied.
#[derive(Clone, Debug, PartialEq)]
pub struct TenantRecord {
    pub phase: Phase,
    /// Since when it is in the phase, as expressions know it: the time of the plan that it entered with. `None` if the journal does
    /// not say it.
    pub since: Option<Timestamp>,
    /// When it entered the phase: from then on, its data is kept. `None` if the journal does not say it.
    pub entered: Option<Timestamp>,
    /// The tier and its price; `None` if the journal does not say it.
    pub terms: Option<Terms>,
    /// When the trial ended that it left by itself.
    pub trial_ended: Option<Timestamp>,
    /// Days that its data is kept, if it leaves.
    pub retention_days: Option<u32>,
    /// The resolved tenant without its contacts, if a policy compared tenants with what they were before.
    pub values: Option<Value>,
}

impl TenantRecord {
    /// Whether it says of a tenant that leaves something else than its document, or not since when.
    pub fn is_outdated(&self, life: &Life) -> bool {
        self.entered.is_none() || self.retention_days != Some(life.retention_days)
    }

    /// A record that says nothing but the phase.
    pub fn of_phase(phase: Phase) -> Self {
        let (since, entered, terms, trial_ended, retention_days, values) = (None, None, None, None, None, None);
        Self { phase, since, entered, terms, trial_ended, retention_days, values }
    }
}

/// The records of tenants by their names.
pub type TenantRecords = BTreeMap<Arc<str>, TenantRecord>;

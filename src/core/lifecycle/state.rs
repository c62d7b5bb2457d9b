//! What a tenant is doing, from what its document asks for and what is on record.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::life::Life;
use super::record::TenantRecord;
use crate::model::document::Phase;

/// A phase that a tenant is in, or its way to one. Ways are never written in a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// It is new, and not whole yet.
    Provisioning,
    Trial,
    Active,
    /// Its new tier has a higher rank than the one that is on record.
    Upgrading,
    /// Its new tier has a lower rank than the one that is on record.
    Downgrading,
    /// Its access is about to end.
    Suspending,
    Suspended,
    /// Its access is about to come back.
    Reactivating,
    /// Its access has ended, or is about to, and its data is kept.
    Deleting,
    /// Its data is about to be deleted.
    Erasing,
    Deleted,
}

impl State {
    /// As it is written and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provisioning => "provisioning",
            Self::Trial => "trial",
            Self::Active => "active",
            Self::Upgrading => "upgrading",
            Self::Downgrading => "downgrading",
            Self::Suspending => "suspending",
            Self::Suspended => "suspended",
            Self::Reactivating => "reactivating",
            Self::Deleting => "deleting",
            Self::Erasing => "erasing",
            Self::Deleted => "deleted",
        }
    }

    /// Whether the tenant is on its way to a phase or tier, and waits for an apply that brings it there.
    pub fn is_a_way(self) -> bool {
        matches!(
            self,
            Self::Provisioning
                | Self::Upgrading
                | Self::Downgrading
                | Self::Suspending
                | Self::Reactivating
                | Self::Erasing
        )
    }
}

impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// The state of a tenant. `rank` is the rank of a tier by its name; `tier` is the tenant's own.
pub fn state(life: &Life, record: Option<&TenantRecord>, tier: &str, rank: &dyn Fn(&str) -> Option<u32>) -> State {
    let Some(record) = record else { return State::Provisioning };
    match (record.phase, life.phase) {
        (Phase::Deleted, Phase::Deleted) => State::Deleted,
        (_, Phase::Deleted) => State::Erasing,
        (_, Phase::Deleting) => State::Deleting,
        (Phase::Suspended, Phase::Suspended) => State::Suspended,
        (_, Phase::Suspended) => State::Suspending,
        (Phase::Suspended | Phase::Deleting | Phase::Deleted, Phase::Trial | Phase::Active) => State::Reactivating,
        (Phase::Trial | Phase::Active, Phase::Trial | Phase::Active) => {
            let recorded = record.terms.as_ref().and_then(|terms| rank(&terms.tier));
            match (recorded, rank(tier)) {
                (Some(before), Some(after)) if before < after => State::Upgrading,
                (Some(before), Some(after)) if before > after => State::Downgrading,
                _ if life.phase == Phase::Trial => State::Trial,
                _ => State::Active,
            }
        }
    }
}

//! Where a tenant is in its life: what its document asks for, what follows from that by itself, and until when.
//!
//! Everything that depends on the time is decided here, once, from the document, the tier, the record and the clock; the passes of
//! a plan, expressions and commands read the result.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::record::{TenantRecord, TenantRecords};
use crate::model::config::OffboardingTable;
use crate::model::document::{Document, Estate, LegalHold, Phase, TenantSpec, TierSpec, TrialEnd};
use crate::model::time::{days_after, until};

/// A tenant's life at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// The phase that the tenant is to be in.
    pub phase: Phase,
    /// Why this is another phase than the one in its document.
    pub by_itself: Option<ByItself>,
    /// Since when it is in that phase; the time of the plan if it is to enter it.
    pub since: Timestamp,
    /// When its trial ends or ended, if its document says that it is in one and the end is known.
    pub trial_ends: Option<Timestamp>,
    /// From when on its data may be deleted, if its access has ended because it leaves.
    pub deletion_due: Option<Timestamp>,
    /// The days between the end of access and that time.
    pub retention_days: u32,
    /// The legal hold that is in force.
    pub hold: Option<LegalHold>,
    /// Whether it is on record as deleted.
    pub is_gone: bool,
}

/// Why the data of a tenant has to stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    LegalHold {
        /// Until when, as the document has it; without an end if it names none.
        until: Option<Arc<str>>,
    },
    Retention {
        /// From when on it may be deleted; `None` if its access has not ended yet.
        due: Option<Timestamp>,
        /// The days between the end of access and that time.
        days: u32,
    },
}

/// What leads to another phase without an edit of the tenant's document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ByItself {
    /// The trial ended, and the tier suspends tenants then.
    TrialEnded,
    /// The trial ended, and the tier makes tenants active then.
    TrialConverted,
    /// The data was kept long enough, and the estate deletes tenants by itself then.
    RetentionEnded,
}

/// What the lives of tenants depend on besides their documents.
#[derive(Clone, Copy, Debug)]
pub struct Times<'a> {
    pub records: &'a TenantRecords,
    pub offboarding: &'a OffboardingTable,
    pub now: Timestamp,
}

impl Life {
    /// The life of a tenant of which nothing more is known than its phase.
    pub fn of_phase(phase: Phase, since: Timestamp) -> Self {
        Self {
            phase,
            by_itself: None,
            since,
            trial_ends: None,
            deletion_due: None,
            retention_days: 0,
            hold: None,
            is_gone: false,
        }
    }

    /// Why its data has to stay at this time, if it has to.
    pub fn keeps_data(&self, now: Timestamp) -> Option<Kept> {
        if let Some(hold) = &self.hold {
            return Some(Kept::LegalHold { until: hold.until.clone() });
        }
        let is_over = self.is_gone || self.deletion_due.is_some_and(|due| due <= now);
        let keeps = match self.phase {
            // That the days are over deletes nothing: a person does, or the estate by itself, and then the phase is `deleted`.
            Phase::Deleting => true,
            Phase::Deleted => !is_over,
            Phase::Trial | Phase::Active | Phase::Suspended => false,
        };
        keeps.then_some(Kept::Retention { due: self.deletion_due, days: self.retention_days })
    }

    /// Whether it leaves or has left.
    pub fn leaves(&self) -> bool {
        self.phase.leaves()
    }

    /// From when on its data may be deleted, as expressions know it.
    pub fn deletes_after(&self) -> Option<Timestamp> {
        self.leaves().then(|| days_after(self.since, self.retention_days))
    }
}

/// The life of each tenant. Those that name a tier that does not exist are not among them.
pub fn lives(estate: &Estate, times: Times<'_>) -> BTreeMap<Arc<str>, Life> {
    let tiers: BTreeMap<&str, &TierSpec> =
        estate.tiers.iter().map(|tier| (tier.metadata.name.as_str(), &tier.spec)).collect();
    let mut lives: BTreeMap<Arc<str>, Life> = estate
        .tenants
        .iter()
        .filter_map(|tenant| {
            let tier = tiers.get(tenant.spec.tier.as_str())?;
            Some((tenant.metadata.name.shared(), life(tenant, tier, times)))
        })
        .collect();
    // More than some tenants are not deleted by themselves at a time: the rest stays in the phase `deleting`.
    let waiting = waiting(&lives, times.offboarding.max_tenants);
    let by_hand = Times { offboarding: &OffboardingTable { automatic: false, ..times.offboarding.clone() }, ..times };
    for tenant in estate.tenants.iter().filter(|tenant| waiting.contains(tenant.metadata.name.as_str())) {
        if let Some(tier) = tiers.get(tenant.spec.tier.as_str()) {
            lives.insert(tenant.metadata.name.shared(), life(tenant, tier, by_hand));
        }
    }
    lives
}

/// Those whose turn to be deleted by themselves has not come: all but the ones that have waited longest.
fn waiting(lives: &BTreeMap<Arc<str>, Life>, most: usize) -> BTreeSet<Arc<str>> {
    let is_due = |life: &Life| life.by_itself == Some(ByItself::RetentionEnded) && !life.is_gone;
    let due = lives.iter().filter(|(_, life)| is_due(life));
    let mut due: Vec<_> = due.map(|(name, life)| (life.deletion_due, name.clone())).collect();
    due.sort();
    due.into_iter().skip(most).map(|(_, name)| name).collect()
}

fn life(tenant: &Document<TenantSpec>, tier: &TierSpec, times: Times<'_>) -> Life {
    let Times { records, offboarding, now } = times;
    let spec = &tenant.spec;
    let record = record_of(tenant, records);
    let since = |phase: Phase| record.filter(|record| record.phase == phase).and_then(|record| record.since);
    let hold = spec.legal_hold.clone().filter(|hold| hold.until.as_deref().and_then(until).is_none_or(|end| end > now));

    let trial_ends = (spec.phase == Phase::Trial).then(|| {
        let written = spec.trial_ends.as_deref().and_then(until);
        // A trial that is over is not begun again by its end.
        let recorded = || record.filter(|record| record.phase != Phase::Trial).and_then(|record| record.trial_ended);
        let by_tier = || {
            let days = tier.price.as_ref()?.trial_days?;
            Some(days_after(since(Phase::Trial).unwrap_or(now), days))
        };
        written.or_else(recorded).or_else(by_tier)
    });
    let trial_ends = trial_ends.flatten();

    let written = spec.deletion.as_ref().and_then(|deletion| deletion.retention_days);
    // One that comes back says no more how long its data is kept.
    let recorded = || record.filter(|_| !spec.phase.leaves()).and_then(|record| record.retention_days);
    let retention_days = written.or_else(recorded).unwrap_or(offboarding.retention_days);
    let left = record.filter(|record| record.phase == Phase::Deleting).and_then(|record| record.entered);
    let deletion_due = match spec.phase {
        Phase::Deleting | Phase::Deleted => left.map(|left| days_after(left, retention_days)),
        Phase::Trial | Phase::Active | Phase::Suspended => None,
    };

    let is_gone = record.is_some_and(|record| record.phase == Phase::Deleted);
    let by_itself = match spec.phase {
        Phase::Trial if trial_ends.is_some_and(|end| end <= now) => of_trial(record, tier.on_trial_end),
        // The estate has deleted it by itself, and its document still says that it leaves.
        Phase::Deleting if is_gone => Some(ByItself::RetentionEnded),
        Phase::Deleting => {
            let is_over = deletion_due.is_some_and(|due| due <= now) && hold.is_none();
            (is_over && offboarding.automatic).then_some(ByItself::RetentionEnded)
        }
        Phase::Trial | Phase::Active | Phase::Suspended | Phase::Deleted => None,
    };
    let phase = match by_itself {
        None => spec.phase,
        Some(ByItself::TrialEnded) => Phase::Suspended,
        Some(ByItself::TrialConverted) => Phase::Active,
        Some(ByItself::RetentionEnded) => Phase::Deleted,
    };
    Life {
        phase,
        by_itself,
        since: since(phase).unwrap_or(now),
        trial_ends,
        deletion_due,
        retention_days,
        hold,
        is_gone,
    }
}

/// What becomes of a tenant whose document says `trial` although its trial is over.
fn of_trial(record: Option<&TenantRecord>, end: TrialEnd) -> Option<ByItself> {
    match record {
        // Where it went when its trial ended it stays, whatever its tier says of others now.
        Some(TenantRecord { phase: Phase::Suspended, trial_ended: Some(_), .. }) => Some(ByItself::TrialEnded),
        Some(TenantRecord { phase: Phase::Active, trial_ended: Some(_), .. }) => Some(ByItself::TrialConverted),
        None | Some(TenantRecord { phase: Phase::Trial, .. }) => match end {
            TrialEnd::Nothing => None,
            TrialEnd::Suspend => Some(ByItself::TrialEnded),
            TrialEnd::Convert => Some(ByItself::TrialConverted),
        },
        // It was never in the trial that its document speaks of, so that nothing follows from its end.
        Some(_) => None,
    }
}

/// The record of a tenant, or the one that it had under an earlier name.
pub fn record_of<'r>(tenant: &Document<TenantSpec>, records: &'r TenantRecords) -> Option<&'r TenantRecord> {
    let own = records.get(tenant.metadata.name.as_str());
    let own = own.or_else(|| tenant.metadata.previously.iter().find_map(|name| records.get(name.as_str())));
    // Another customer than the one that is gone.
    own.filter(|record| {
        !(record.phase == Phase::Deleted && tenant.spec.reuse_name && tenant.spec.phase != Phase::Deleted)
    })
}

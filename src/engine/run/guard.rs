//! Whether the lock of an owner is still this run's, asked by whoever is about to write for it.

use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use tenantry_core::model::address::Owner;
use tenantry_provider::contract::{CommitGuard, LeaseLost};
use tenantry_store::contract::{Fence, Store, StoreError};
use tokio_util::sync::CancellationToken;

use super::Run;

/// The part of a lease that has to be left for a write to be begun. Leases are extended at a third of their length, so at
/// least two thirds are left while the heartbeat goes well; a quarter leaves room for one that is late.
const GRACE: u32 = 4;

/// How long the store's word at the beginning of a batch does for its end. Most batches end sooner, and to ask once more for
/// each of them would cost as much as to journal it. What takes longer is asked about.
const FRESH: Duration = Duration::from_secs(1);

/// Asks the store, unless it said so a moment ago.
pub struct Guard<'a> {
    store: &'a dyn Store,
    fence: Fence,
    clock: &'a (dyn Fn() -> Timestamp + Sync),
    grace: Duration,
    lost: &'a CancellationToken,
    /// When the store last said that the lock is held for long enough.
    confirmed: Option<Timestamp>,
}

impl Run<'_> {
    /// The guard of what is written for one owner.
    pub(super) fn guard(&self, owner: &Owner) -> Guard<'_> {
        let lease = self.request.targets.environment.limits.lease_seconds;
        Guard {
            store: self.request.store,
            fence: self.fence(owner),
            clock: self.request.clock,
            grace: Duration::from_secs(lease.into()) / GRACE,
            lost: &self.lost,
            confirmed: None,
        }
    }
}

impl Guard<'_> {
    /// How long the store's word does without being asked again.
    fn fresh(&self) -> Duration {
        FRESH.min(self.grace / 2)
    }

    /// The fence of the batch's beginning: it holds if the lease goes on until everything that is written without another
    /// question has become true.
    pub fn fence(&self) -> Fence {
        Fence { now: after(self.fence.now, self.grace + self.fresh()), ..self.fence.clone() }
    }

    /// The store said that [`Self::fence`] holds.
    #[must_use]
    pub fn confirmed(self) -> Self {
        Self { confirmed: Some(self.fence.now), ..self }
    }
}

#[async_trait]
impl CommitGuard for Guard<'_> {
    fn grace(&self) -> Duration {
        self.grace
    }

    async fn check(&self) -> Result<(), LeaseLost> {
        // The time counts from here, however long the store takes to answer.
        let now = (self.clock)();
        if self.confirmed.is_some_and(|confirmed| confirmed <= now && now < after(confirmed, self.fresh())) {
            return Ok(());
        }
        let fence = Fence { now, ..self.fence.clone() };
        let checked = self.store.check(&fence, after(now, self.grace)).await;
        if let Err(StoreError::LeaseLost(_)) = &checked {
            self.lost.cancel();
        }
        checked.map_err(|error| LeaseLost(error.to_string()))
    }
}

fn after(time: Timestamp, duration: Duration) -> Timestamp {
    let later = SignedDuration::try_from(duration).ok().and_then(|duration| time.checked_add(duration).ok());
    later.unwrap_or(Timestamp::MAX)
}

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

/// Asks the store.
pub struct Guard<'a> {
    store: &'a dyn Store,
    fence: Fence,
    clock: &'a (dyn Fn() -> Timestamp + Sync),
    grace: Duration,
    lost: &'a CancellationToken,
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
        }
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
        let until = SignedDuration::try_from(self.grace).ok().and_then(|grace| now.checked_add(grace).ok());
        let fence = Fence { now, ..self.fence.clone() };
        let checked = self.store.check(&fence, until.unwrap_or(Timestamp::MAX)).await;
        if let Err(StoreError::LeaseLost(_)) = &checked {
            self.lost.cancel();
        }
        checked.map_err(|error| LeaseLost(error.to_string()))
    }
}

//! A store that stops the whole process at a chosen point: the rehearsal of a crash.
//!
//! Recovery must work at every moment, so a test can stop the process at each of them. With `TENANTRY_HALT_AT=N` the command
//! runs until the N-th point, prints `halted` on stderr, and then waits until it is killed. Every call that writes the journal
//! has two points, one before and one after; they are counted from 0.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use jiff::Timestamp;

use tenantry_core::lifecycle::TenantRecords;
use tenantry_core::model::address::Owner;
use tenantry_core::model::resource::{Applied, TargetName};

use crate::Records;
use crate::contract::{
    Fence, FencingToken, HistoryQuery, JournalEntry, JournalEvent, JournalHead, KnownTarget, Lock, LockRequest, Note,
    PhaseTransition, RecordForgotten, RecordMoved, RunBegun, RunId, RunOutcome, RunRecord, Scope, StepBegun, StepEnded,
    Store, StoreError, TargetAccepted, Unlock,
};

/// Passes everything on until the chosen point.
pub struct Halting {
    store: Box<dyn Store>,
    at: u64,
    points: AtomicU64,
    /// Says that the point is reached.
    say: fn(),
}

impl Halting {
    pub fn new(store: Box<dyn Store>, at: u64, say: fn()) -> Self {
        Self { store, at, points: AtomicU64::new(0), say }
    }

    async fn point(&self) {
        let point = self.points.fetch_add(1, Ordering::SeqCst);
        if point == self.at {
            (self.say)();
        }
        if point >= self.at {
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl Store for Halting {
    fn scope(&self) -> &Scope {
        self.store.scope()
    }

    async fn inventory(&self) -> Result<Vec<Applied>, StoreError> {
        self.store.inventory().await
    }

    async fn tenants(&self) -> Result<TenantRecords, StoreError> {
        self.store.tenants().await
    }

    async fn open_steps(&self) -> Result<Vec<StepBegun>, StoreError> {
        self.store.open_steps().await
    }

    async fn targets(&self) -> Result<BTreeMap<TargetName, KnownTarget>, StoreError> {
        self.store.targets().await
    }

    async fn accept_target(&self, accepted: &TargetAccepted) -> Result<(), StoreError> {
        self.point().await;
        let result = self.store.accept_target(accepted).await;
        self.point().await;
        result
    }

    async fn note(&self, note: &Note) -> Result<(), StoreError> {
        self.store.note(note).await
    }

    async fn begin_run(&self, run: &RunBegun) -> Result<RunId, StoreError> {
        self.point().await;
        let result = self.store.begin_run(run).await;
        self.point().await;
        result
    }

    async fn end_run(&self, run: RunId, at: Timestamp, outcome: &RunOutcome) -> Result<(), StoreError> {
        self.point().await;
        let result = self.store.end_run(run, at, outcome).await;
        self.point().await;
        result
    }

    async fn lock(&self, request: &LockRequest<'_>) -> Result<BTreeMap<Owner, FencingToken>, StoreError> {
        self.store.lock(request).await
    }

    async fn renew(&self, holder: &str, now: Timestamp, until: Timestamp) -> Result<(), StoreError> {
        self.store.renew(holder, now, until).await
    }

    async fn release(&self, holder: &str) -> Result<(), StoreError> {
        self.store.release(holder).await
    }

    async fn locks(&self, now: Timestamp) -> Result<Vec<Lock>, StoreError> {
        self.store.locks(now).await
    }

    async fn unlock(&self, request: &Unlock<'_>) -> Result<Vec<Lock>, StoreError> {
        self.store.unlock(request).await
    }

    async fn check(&self, fence: &Fence, until: Timestamp) -> Result<(), StoreError> {
        self.store.check(fence, until).await
    }

    async fn begin(&self, fence: &Fence, steps: &[StepBegun]) -> Result<(), StoreError> {
        self.point().await;
        let result = self.store.begin(fence, steps).await;
        self.point().await;
        result
    }

    async fn finish(&self, fence: &Fence, steps: &[StepEnded]) -> Result<(), StoreError> {
        self.point().await;
        let result = self.store.finish(fence, steps).await;
        self.point().await;
        result
    }

    async fn move_records(&self, fence: &Fence, moved: &[RecordMoved]) -> Result<(), StoreError> {
        self.point().await;
        let result = self.store.move_records(fence, moved).await;
        self.point().await;
        result
    }

    async fn forget(&self, fence: &Fence, forgotten: &[RecordForgotten]) -> Result<(), StoreError> {
        self.point().await;
        let result = self.store.forget(fence, forgotten).await;
        self.point().await;
        result
    }

    async fn forgotten(&self) -> Result<Vec<RecordForgotten>, StoreError> {
        self.store.forgotten().await
    }

    async fn enter_phase(&self, fence: &Fence, transition: &PhaseTransition) -> Result<(), StoreError> {
        self.point().await;
        let result = self.store.enter_phase(fence, transition).await;
        self.point().await;
        result
    }

    async fn history(&self, query: &HistoryQuery) -> Result<Vec<JournalEntry>, StoreError> {
        self.store.history(query).await
    }

    async fn runs(&self, limit: u64) -> Result<Vec<RunRecord>, StoreError> {
        self.store.runs(limit).await
    }

    async fn last(&self, event: JournalEvent) -> Result<Option<JournalEntry>, StoreError> {
        self.store.last(event).await
    }

    async fn verify_journal(&self) -> Result<u64, StoreError> {
        self.store.verify_journal().await
    }

    async fn head(&self) -> Result<JournalHead, StoreError> {
        self.store.head().await
    }

    async fn contains(&self, head: &JournalHead) -> Result<bool, StoreError> {
        self.store.contains(head).await
    }

    async fn export(&self) -> Result<Records, StoreError> {
        self.store.export().await
    }

    async fn import(&self, records: &Records) -> Result<(), StoreError> {
        self.store.import(records).await
    }

    fn location(&self) -> String {
        self.store.location()
    }
}

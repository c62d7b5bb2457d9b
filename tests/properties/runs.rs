//! Promise 5: two runs never interleave on one tenant, different tenants go in parallel, and who lost the lock writes nothing.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use proptest::prelude::*;
use tenantry_core::lifecycle::TenantRecords;
use tenantry_core::model::address::Owner;
use tenantry_core::model::resource::{Applied, TargetName};
use tenantry_core::outcome::Outcome;
use tenantry_engine::EngineError;
use tenantry_sandbox::faults::{Fault, Faults, NoFaults, Operation};
use tenantry_store::contract::{
    Fence, FencingToken, HistoryQuery, JournalEntry, JournalEvent, JournalHead, KnownTarget, Lock, LockRequest, Note,
    PhaseTransition, RecordForgotten, RecordMoved, RunBegun, RunId, RunOutcome, RunRecord, Scope, StepBegun, StepEnded,
    Store, StoreError, TargetAccepted, Unlock,
};
use tenantry_store::{OpenMode, Records};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::bed::{Bed, Conditions, KnownSecrets, Log, block_on, cases};
use super::edits::{edited, edits};
use super::model::{Model, model};

/// What a run does to an owner, in the order in which it happens.
#[derive(Clone, Debug, PartialEq)]
struct Deed {
    run: RunId,
    owner: Owner,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum What {
    Begun,
    Finished,
    /// The locks are about to be given back.
    Released,
}

/// Where a run waits before it begins a step.
type Gate = Arc<dyn Fn(&Owner) -> Option<Arc<Semaphore>> + Send + Sync>;

/// A store that writes down who does what, and makes runs wait.
struct Watched {
    store: Arc<dyn Store>,
    deeds: Arc<Mutex<Vec<Deed>>>,
    /// The run of this user, and the owners that it locked.
    mine: Mutex<(RunId, Vec<Owner>)>,
    gate: Gate,
    /// Where it waits before it is told whether it may commit.
    before_commit: Gate,
}

impl Watched {
    fn new(store: Arc<dyn Store>, deeds: &Arc<Mutex<Vec<Deed>>>, gate: Gate) -> Arc<Self> {
        Self::with_gates(store, deeds, gate, open_gate())
    }

    fn with_gates(store: Arc<dyn Store>, deeds: &Arc<Mutex<Vec<Deed>>>, gate: Gate, before_commit: Gate) -> Arc<Self> {
        Arc::new(Self { store, deeds: deeds.clone(), mine: Mutex::default(), gate, before_commit })
    }

    fn note(&self, run: RunId, owner: &Owner, what: What) {
        self.deeds.lock().expect("no panic").push(Deed { run, owner: owner.clone(), what });
    }
}

#[async_trait]
impl Store for Watched {
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
        self.store.accept_target(accepted).await
    }

    async fn note(&self, note: &Note) -> Result<(), StoreError> {
        self.store.note(note).await
    }

    async fn begin_run(&self, run: &RunBegun) -> Result<RunId, StoreError> {
        let number = self.store.begin_run(run).await?;
        self.mine.lock().expect("no panic").0 = number;
        Ok(number)
    }

    async fn end_run(&self, run: RunId, at: Timestamp, outcome: &RunOutcome) -> Result<(), StoreError> {
        self.store.end_run(run, at, outcome).await
    }

    async fn lock(&self, request: &LockRequest<'_>) -> Result<BTreeMap<Owner, FencingToken>, StoreError> {
        let tokens = self.store.lock(request).await?;
        self.mine.lock().expect("no panic").1 = request.owners.to_vec();
        Ok(tokens)
    }

    async fn renew(&self, holder: &str, now: Timestamp, until: Timestamp) -> Result<(), StoreError> {
        self.store.renew(holder, now, until).await
    }

    async fn release(&self, holder: &str) -> Result<(), StoreError> {
        let (run, owners) = self.mine.lock().expect("no panic").clone();
        owners.iter().for_each(|owner| self.note(run, owner, What::Released));
        self.store.release(holder).await
    }

    async fn locks(&self, now: Timestamp) -> Result<Vec<Lock>, StoreError> {
        self.store.locks(now).await
    }

    async fn unlock(&self, request: &Unlock<'_>) -> Result<Vec<Lock>, StoreError> {
        self.store.unlock(request).await
    }

    async fn check(&self, fence: &Fence, until: Timestamp) -> Result<(), StoreError> {
        if let Some(gate) = (self.before_commit)(&fence.owner) {
            let passed = tokio::time::timeout(PATIENCE, gate.acquire()).await;
            passed.expect("the gate opens").expect("it is never closed").forget();
        }
        self.store.check(fence, until).await
    }

    async fn begin(&self, fence: &Fence, steps: &[StepBegun]) -> Result<(), StoreError> {
        if let Some(gate) = (self.gate)(&fence.owner) {
            let passed = tokio::time::timeout(PATIENCE, gate.acquire()).await;
            passed.expect("the gate opens").expect("it is never closed").forget();
        }
        self.store.begin(fence, steps).await?;
        self.note(fence.run, &fence.owner, What::Begun);
        Ok(())
    }

    async fn finish(&self, fence: &Fence, steps: &[StepEnded]) -> Result<(), StoreError> {
        self.store.finish(fence, steps).await?;
        self.note(fence.run, &fence.owner, What::Finished);
        Ok(())
    }

    async fn move_records(&self, fence: &Fence, moved: &[RecordMoved]) -> Result<(), StoreError> {
        self.store.move_records(fence, moved).await
    }

    async fn forget(&self, fence: &Fence, forgotten: &[RecordForgotten]) -> Result<(), StoreError> {
        self.store.forget(fence, forgotten).await
    }

    async fn forgotten(&self) -> Result<Vec<RecordForgotten>, StoreError> {
        self.store.forgotten().await
    }

    async fn enter_phase(&self, fence: &Fence, transition: &PhaseTransition) -> Result<(), StoreError> {
        self.store.enter_phase(fence, transition).await?;
        self.note(fence.run, &fence.owner, What::Finished);
        Ok(())
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

/// Long enough for the slowest machine; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(120);

fn open_gate() -> Gate {
    Arc::new(|_| None)
}

/// Of what was done to one owner, that of one run stands together.
fn assert_not_interleaved(deeds: &[Deed]) {
    let mut at_work: BTreeMap<Owner, RunId> = BTreeMap::new();
    for Deed { run, owner, what } in deeds {
        match what {
            What::Released => {
                if at_work.get(owner) == Some(run) {
                    at_work.remove(owner);
                }
            }
            What::Begun | What::Finished => {
                let before = at_work.insert(owner.clone(), *run);
                assert!(before.is_none_or(|before| before == *run), "runs interleave on {owner}: {deeds:#?}");
            }
        }
    }
}

/// Several runs, each for some of the tenants, all at once and each until it had its turn.
fn is_refused(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Failed(_) | Outcome::Skipped(_))
}

async fn run_at_once(model: &Model, versions: &[Vec<super::edits::Edit>], selections: &[Vec<bool>]) {
    let bed = Bed::new(model);
    let mut model = model.clone();
    for changes in versions {
        if !bed.settle().await {
            return;
        }
        model = edited(&model, changes);
        bed.write(&model);
    }
    if bed.plan().await.is_refused() {
        return;
    }
    let deeds = Arc::new(Mutex::new(Vec::new()));
    let names: Vec<&str> = model.tenants.iter().map(|tenant| tenant.name.as_str()).collect();
    // Nobody releases a lock that another took meanwhile, so that a run may wait and try again.
    let runs = selections.iter().enumerate().map(|(number, selection)| {
        let (bed, deeds, names) = (&bed, &deeds, &names);
        async move {
            let chosen = |owner: &Owner| match owner.tenant() {
                Some(tenant) => {
                    names.iter().zip(selection.iter().cycle()).any(|(name, chosen)| *chosen && **name == **tenant)
                }
                None => true,
            };
            let holder = format!("run {number}");
            let mut left = None;
            for _ in 0..200 {
                let plan = bed.plan_with(Arc::new(NoFaults), 1, &chosen).await;
                if plan.is_empty() {
                    return;
                }
                let conditions = Conditions {
                    store: Watched::new(bed.store(OpenMode::ReadWrite).await, deeds, open_gate()),
                    secrets: &KnownSecrets::of(bed),
                    faults: Arc::new(NoFaults),
                    cancel: CancellationToken::new(),
                    holder: &holder,
                    progress: &Log::default(),
                };
                match bed.apply_under(&plan, &conditions).await {
                    // Some of it needs what was not selected: that is for the run of everything, below.
                    Ok(report) if report.outcomes.values().any(|(_, outcome)| is_refused(outcome)) => return,
                    // What another run did first is stale or done already; the next plan does without.
                    Ok(_) => {}
                    Err(EngineError::Store(StoreError::Locked(_))) => {
                        tokio::time::sleep(Duration::from_millis(2)).await
                    }
                    Err(other) => panic!("{other}"),
                }
                left = Some(plan);
            }
            panic!("{holder} never came to an end: {left:?}");
        }
    });
    futures::future::join_all(runs).await;
    assert_not_interleaved(&deeds.lock().expect("no panic"));
    if !bed.plan().await.is_refused() {
        bed.settle().await;
        bed.assert_settled().await;
    }
}

proptest! {
    #![proptest_config(cases(32, "tests/properties/runs.proptest-regressions"))]

    #[test]
    fn runs_at_once_never_interleave_on_one_tenant(
        model in model(4),
        versions in prop::collection::vec(edits(4), 0..2),
        selections in prop::collection::vec(prop::collection::vec(any::<bool>(), 4), 2..4),
    ) {
        block_on(run_at_once(&model, &versions, &selections));
    }
}

/// Two tenants and nothing else to do.
fn pair() -> Model {
    let mut model = super::model::plain(&["acme", "bolt-two"]);
    model.parallelism = 2;
    model
}

async fn settled_pair() -> Bed {
    let mut model = pair();
    let bed = Bed::new(&model);
    bed.settle().await;
    model.tenants.iter_mut().for_each(|tenant| tenant.limit = 9);
    bed.write(&model);
    bed
}

fn only(tenant: &str) -> impl Fn(&Owner) -> bool + Sync {
    let tenant = Owner::from(tenant);
    move |owner: &Owner| *owner == tenant
}

#[test]
fn tenants_of_one_run_go_in_parallel() {
    block_on(async {
        let bed = settled_pair().await;
        let plan = bed.plan().await;
        // Each waits for a permit that the other one brings: one after the other, they would wait for ever.
        let gates: BTreeMap<Owner, Arc<Semaphore>> =
            ["acme", "bolt-two"].map(|name| (Owner::from(name), Arc::new(Semaphore::new(0)))).into();
        let gate: Gate = Arc::new(move |owner| {
            gates.iter().filter(|(other, _)| *other != owner).for_each(|(_, gate)| gate.add_permits(1));
            gates.get(owner).cloned()
        });
        let conditions = Conditions {
            store: Watched::new(bed.store(OpenMode::ReadWrite).await, &Arc::default(), gate),
            secrets: &KnownSecrets::of(&bed),
            faults: Arc::new(NoFaults),
            cancel: CancellationToken::new(),
            holder: "one",
            progress: &Log::default(),
        };
        bed.apply_under(&plan, &conditions).await.expect("applied");
        bed.assert_settled().await;
    });
}

#[test]
fn runs_for_different_tenants_go_in_parallel() {
    block_on(async {
        let bed = settled_pair().await;
        let gates: [Arc<Semaphore>; 2] = std::array::from_fn(|_| Arc::new(Semaphore::new(0)));
        let runs = ["acme", "bolt-two"].into_iter().enumerate().map(|(number, tenant)| {
            let (bed, gates) = (&bed, &gates);
            async move {
                let plan = bed.plan_with(Arc::new(NoFaults), 1, &only(tenant)).await;
                let (mine, other) = (gates[number].clone(), gates[1 - number].clone());
                let gate: Gate = Arc::new(move |_| {
                    other.add_permits(1);
                    Some(mine.clone())
                });
                let conditions = Conditions {
                    store: Watched::new(bed.store(OpenMode::ReadWrite).await, &Arc::default(), gate),
                    secrets: &KnownSecrets::of(bed),
                    faults: Arc::new(NoFaults),
                    cancel: CancellationToken::new(),
                    holder: tenant,
                    progress: &Log::default(),
                };
                bed.apply_under(&plan, &conditions).await.expect("applied");
            }
        });
        futures::future::join_all(runs).await;
        bed.assert_settled().await;
    });
}

/// Counts writes.
#[derive(Default)]
struct Writes(std::sync::atomic::AtomicUsize);

impl Faults for Writes {
    fn next(&self, operation: Operation<'_>) -> Fault {
        if let Operation::Write { .. } = operation {
            self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
        Fault::None
    }
}

#[test]
fn a_run_whose_lease_ran_out_writes_nothing_more() {
    block_on(async {
        let bed = settled_pair().await;
        let plan = bed.plan().await;
        let (asleep, gate) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let waits: Gate = {
            let (asleep, gate) = (asleep.clone(), gate.clone());
            Arc::new(move |_| {
                asleep.add_permits(1);
                Some(gate.clone())
            })
        };
        let writes = Arc::new(Writes::default());
        let conditions = Conditions {
            store: Watched::new(bed.store(OpenMode::ReadWrite).await, &Arc::default(), waits),
            secrets: &KnownSecrets::of(&bed),
            faults: writes.clone(),
            cancel: CancellationToken::new(),
            holder: "the sleeper",
            progress: &Log::default(),
        };
        let sleeper = bed.apply_under(&plan, &conditions);
        let other = async {
            tokio::time::timeout(PATIENCE, asleep.acquire())
                .await
                .expect("it came to its gate")
                .expect("open")
                .forget();
            let locked = bed.store(OpenMode::ReadOnly).await.locks(bed.now()).await.expect("read");
            assert_eq!(locked.len(), 2, "it holds its locks while it sleeps");
            bed.wait(61);
            bed.settle().await;
            bed.assert_settled().await;
            let rows = bed.rows().await;
            gate.add_permits(100);
            rows
        };
        let (slept, rows) = tokio::join!(sleeper, other);
        let lost = slept.err().expect("it cannot go on");
        assert!(matches!(lost, EngineError::Store(StoreError::LeaseLost(_))), "{lost}");
        assert_eq!(writes.0.load(std::sync::atomic::Ordering::SeqCst), 0, "it wrote after it had lost its locks");
        assert_eq!(bed.rows().await, rows);
        bed.assert_settled().await;
    });
}

/// Every write takes so long that the store's word at its beginning is no longer enough.
struct Slow(Arc<AtomicI64>);

impl Faults for Slow {
    fn next(&self, operation: Operation<'_>) -> Fault {
        if let Operation::Write { .. } = operation {
            self.0.fetch_add(5, Ordering::SeqCst);
        }
        Fault::None
    }
}

#[test]
fn a_run_whose_lease_ran_out_in_the_middle_of_a_write_does_not_commit_it() {
    block_on(async {
        let mut model = super::model::plain(&["acme"]);
        let bed = Bed::new(&model);
        bed.settle().await;
        model.tenants[0].limit = 9;
        bed.write(&model);
        let plan = bed.plan().await;
        let (asleep, gate) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let waits: Gate = {
            let (asleep, gate) = (asleep.clone(), gate.clone());
            Arc::new(move |_| {
                asleep.add_permits(1);
                Some(gate.clone())
            })
        };
        let store = bed.store(OpenMode::ReadWrite).await;
        let conditions = Conditions {
            store: Watched::with_gates(store, &Arc::default(), open_gate(), waits),
            secrets: &KnownSecrets::of(&bed),
            faults: Arc::new(Slow(bed.clock())),
            cancel: CancellationToken::new(),
            holder: "the sleeper",
            progress: &Log::default(),
        };
        let sleeper = bed.apply_under(&plan, &conditions);
        let other = async {
            tokio::time::timeout(PATIENCE, asleep.acquire())
                .await
                .expect("it came to its gate")
                .expect("open")
                .forget();
            bed.wait(61);
            model.tenants[0].limit = 11;
            bed.write(&model);
            // What the sleeper has in hand is in the way of whoever writes, so it is woken while the other one waits.
            let wake = async {
                tokio::time::sleep(Duration::from_millis(500)).await;
                gate.add_permits(100);
            };
            let (settled, ()) = tokio::join!(bed.settle(), wake);
            assert!(settled, "the newer values are applied");
            bed.rows().await
        };
        let (slept, rows) = tokio::join!(sleeper, other);
        let lost = slept.err().expect("it cannot go on");
        assert!(matches!(lost, EngineError::Store(StoreError::LeaseLost(_))), "{lost}");
        assert_eq!(bed.rows().await, rows);
        bed.assert_settled().await;
    });
}

//! `import --inventory`: rebuilds a lost store from the targets.
//!
//! Flow: the estate is expanded and observed as for a plan ([`look`]). Outputs of resources may be part of the names of others,
//! so this is repeated until there are no new outputs. The caller shows what was found and asks for approval. Then the locks of
//! all owners are taken, everything is observed again, and what has not changed since it was shown is recorded ([`record`]).
//!
//! Guaranteed: nothing is written to a target, and no existing record is overwritten.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::EngineError;
use super::apply::heartbeat;
use super::forgotten;
use super::observe::{Seen, accepted, by_address, observe};
use super::plan::{Known, begun, earlier_owners, expand, outputs_of};
use super::secrets::{self, SecretValues};
use super::systems;
use super::targets::Targets;
use tenantry_core::desired::OwnerResources;
use tenantry_core::diagnostics::{self, Diagnostic};
use tenantry_core::fingerprint::{Accepted, Systems};
use tenantry_core::model::address::{Address, Owner};
use tenantry_core::model::document::{Estate, Phase};
use tenantry_core::model::names::hex;
use tenantry_core::model::resource::{Applied, Inventory, TargetName};
use tenantry_core::model::secret::{SecretReference, SecretVersion};
use tenantry_core::plan::passes::moves;
use tenantry_core::plan::{Action, TaskId};
use tenantry_core::rebuild::{Found, Inputs, Rebuilt, rebuild};
use tenantry_secret::contract::SecretStore;
use tenantry_store::contract::{
    Fence, Holder, LockRequest, PhaseTransition, RunBegun, RunId, RunOutcome, StepEnded, StepResult, Store,
};

/// How often the observation is repeated with new outputs. A resource may be named by the outputs of another, but chains are
/// rare.
const MOST_LOOKS: usize = 10;

/// How many records go into the journal at a time.
const AT_ONCE: usize = 200;

/// The inputs of a rebuild.
pub struct Request<'a> {
    pub estate: &'a Estate,
    pub targets: &'a Targets<'a>,
    pub store: &'a dyn Store,
    pub secrets: &'a dyn SecretStore,
    pub now: Timestamp,
    pub threads: usize,
    /// The system's clock.
    pub clock: &'a (dyn Fn() -> Timestamp + Sync),
}

/// What was found, or why the estate cannot be expanded.
pub struct Outcome {
    /// `None` if a diagnostic is an error.
    pub found: Option<Look>,
    pub diagnostics: Vec<Diagnostic>,
}

/// What was found.
pub struct Look {
    pub rebuilt: Rebuilt,
    /// Targets that are seen for the first time.
    pub targets: BTreeMap<TargetName, Accepted>,
}

/// Determines what could be recorded. Writes nothing.
///
/// # Errors
/// If the store or the secrets cannot be read. A target that cannot be read is not an error: its resources are unknown.
pub async fn look(request: &Request<'_>) -> Result<Outcome, EngineError> {
    let Request { estate, targets, store, secrets, now, threads, clock } = request;
    let inventory = by_address(store.inventory().await?);
    let begun = begun(&store.open_steps().await?);
    let records = store.tenants().await?;
    let applied_phases: BTreeSet<Arc<str>> = records.keys().cloned().collect();
    let accepted = accepted(*store).await?;
    let earlier = earlier_owners(estate);
    let mut stored: BTreeMap<(Owner, Arc<str>), SecretVersion> = BTreeMap::new();
    for reference in secrets.list().await?.into_iter().filter(SecretReference::is_captured) {
        let highest = stored.entry((reference.owner, reference.name)).or_insert(reference.version);
        *highest = reference.version.max(*highest);
    }
    // Seconds since 1970: no address was written as often.
    let generation = u64::try_from(clock().as_second()).unwrap_or_default().max(1);
    let scope = targets.environment.scope();
    let mut outputs = outputs_of(&inventory, &targets.catalogue);
    for looks in 1.. {
        let mut expanded = expand(estate, targets, *now, *threads, Known { outputs: &outputs, records: &records });
        if diagnostics::has_errors(&expanded.diagnostics) {
            return Ok(Outcome { found: None, diagnostics: expanded.diagnostics });
        }
        moves::add(&mut expanded.owners, &inventory);
        let phases: BTreeMap<Arc<str>, Phase> =
            expanded.resolved.tenants.iter().map(|tenant| (tenant.name(), tenant.phase())).collect();
        let owners: &[OwnerResources] = &expanded.owners;
        let all = || owners.iter().flat_map(|owner| &owner.resources);
        let Seen { mut observed, told } = observe(targets, all(), inventory.values()).await;
        let systems = Systems::new(told, &accepted);
        systems.distrust(&mut observed);
        forgotten::unmark(*store, &scope, &inventory, &begun, &mut observed).await?;
        let values = SecretValues::read(*secrets, all().map(|desired| desired.spec.fields()), &earlier).await?;
        let secret_hashes = secrets::hashes(&values, all().map(|desired| (&desired.address, desired.spec.fields())));
        let rebuilt = rebuild(&Inputs {
            scope: &scope,
            catalogue: &targets.catalogue,
            desired: owners,
            phases: &phases,
            applied_phases: &applied_phases,
            inventory: &inventory,
            begun: &begun,
            observed: &observed,
            secret_hashes: &secret_hashes,
            stored: &stored,
            generation,
        });
        let told: Inventory = rebuilt
            .records
            .iter()
            .map(|found| (found.applied.address.clone(), found.applied.clone()))
            .chain(inventory.clone())
            .collect();
        let told = outputs_of(&told, &targets.catalogue);
        if told == outputs || looks == MOST_LOOKS {
            let look = Look { rebuilt, targets: systems.to_accept() };
            return Ok(Outcome { found: Some(look), diagnostics: expanded.diagnostics });
        }
        outputs = told;
    }
    unreachable!("the last look returns")
}

/// Who records, and what was shown.
pub struct Recorder<'a> {
    /// user@host.
    pub actor: Arc<str>,
    /// Under a name that is unique to this run.
    pub holder: Holder,
    pub revision: Option<Arc<str>>,
    /// What was shown.
    pub shown: &'a Look,
}

/// What was recorded.
pub struct Recorded {
    pub run: RunId,
    pub resources: usize,
    /// What has changed since it was shown.
    pub changed: Vec<Address>,
}

/// Records what was shown, if it has not changed.
///
/// # Errors
/// If a lock is held, or the store does not work: what was recorded until then stays recorded.
pub async fn record(request: &Request<'_>, recorder: &Recorder<'_>) -> Result<Recorded, EngineError> {
    let Request { store, targets, clock, .. } = request;
    let owners = recorder.shown.rebuilt.owners();
    let lease = SignedDuration::from_secs(i64::from(targets.environment.limits.lease_seconds));
    let holder = &recorder.holder;
    let tokens = store.lock(&LockRequest { owners: &owners, holder, now: clock(), lease }).await?;
    let lost = CancellationToken::new();
    let fence = |run: RunId, owner: &Owner| Fence {
        run,
        owner: owner.clone(),
        token: *tokens.get(owner).expect("every owner is locked"),
        now: clock(),
    };
    let recorded = tokio::select! {
        recorded = record_locked(request, recorder, &fence) => recorded,
        () = heartbeat(*store, &holder.name, *clock, lease, &lost) => unreachable!("the heartbeat goes on until it is dropped"),
    };
    let released = store.release(&holder.name).await;
    let recorded = recorded?;
    released?;
    Ok(recorded)
}

async fn record_locked(
    request: &Request<'_>,
    recorder: &Recorder<'_>,
    fence: &(dyn Fn(RunId, &Owner) -> Fence + Sync),
) -> Result<Recorded, EngineError> {
    let Request { store, targets, clock, .. } = request;
    let shown = &recorder.shown.rebuilt;
    let now = look(request).await?.found;
    let (now, targets_seen) =
        now.map_or_else(|| (Rebuilt::default(), BTreeMap::new()), |look| (look.rebuilt, look.targets));
    let by_address: BTreeMap<&Address, &Found> =
        now.records.iter().map(|found| (&found.applied.address, found)).collect();
    let is_same = |found: &Found| {
        by_address.get(&found.applied.address).is_some_and(|now| {
            // Counted from another moment.
            let applied = Applied { generation: found.applied.generation, ..now.applied.clone() };
            (applied, now.state) == (found.applied.clone(), found.state)
        })
    };
    let (same, changed): (Vec<&Found>, Vec<&Found>) = shown.records.iter().partition(|found| is_same(found));
    let run = store
        .begin_run(&RunBegun {
            at: clock(),
            command: "import".into(),
            estate: targets.environment.estate.clone(),
            environment: targets.environment.name.clone(),
            revision: recorder.revision.clone(),
            actor: recorder.actor.clone(),
            plan: digest(&same).into(),
            approvals: Vec::new(),
        })
        .await?;
    systems::accept(*store, targets_seen, &recorder.actor, clock(), Some(run)).await?;
    let mut by_owner: BTreeMap<&Owner, Vec<StepEnded>> = BTreeMap::new();
    for (place, Found { applied, sensitive, .. }) in same.iter().copied().enumerate() {
        by_owner.entry(&applied.address.owner).or_default().push(StepEnded {
            action: Action::Adopt,
            address: applied.address.clone(),
            at: clock(),
            generation: applied.generation,
            identity: applied.identity.clone(),
            result: StepResult::Applied(applied.clone()),
            sensitive: Some(sensitive.clone()),
            task: Some(TaskId::at(place)),
        });
    }
    for (owner, ended) in &by_owner {
        for some in ended.chunks(AT_ONCE) {
            store.finish(&fence(run, owner), some).await?;
        }
    }
    let same_phases = shown.phases.iter().filter(|(tenant, phase)| now.phases.get(*tenant) == Some(phase));
    for (place, (tenant, phase)) in (same.len()..).zip(same_phases) {
        let owner = Owner::Tenant(tenant.clone());
        let task = Some(TaskId::at(place));
        let entered = PhaseTransition { task, ..PhaseTransition::new(tenant.clone(), None, *phase, clock()) };
        store.enter_phase(&fence(run, &owner), &entered).await?;
    }
    let is_whole = changed.is_empty() && now.unknown.is_empty();
    store.end_run(run, clock(), if is_whole { &RunOutcome::Done } else { &RunOutcome::Partly }).await?;
    Ok(Recorded {
        run,
        resources: same.len(),
        changed: changed.into_iter().map(|found| found.applied.address.clone()).collect(),
    })
}

/// The digest of the records, in place of a plan's.
fn digest(records: &[&Found]) -> String {
    let mut digest = Sha256::new();
    for found in records {
        digest.update(serde_json::to_string(&found.applied).expect("a record has texts for keys"));
    }
    hex(&digest.finalize())
}

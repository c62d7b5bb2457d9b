//! `plan`: everything before the first write.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use super::EngineError;
use super::forgotten;
use super::observe::{self, Seen, accepted, by_address, observe};
use super::secrets::{self, EarlierOwners, SecretValues};
use super::targets::Targets;
use tenantry_core::changed::{self, Changed, Side};
use tenantry_core::desired::{self, Blueprints, Console, Outputs, OwnerResources, Provenance};
use tenantry_core::diagnostics::{self, Diagnostic, codes};
use tenantry_core::fingerprint::Systems;
use tenantry_core::lifecycle::{Life, TenantRecords, Times};
use tenantry_core::model::address::{Address, Owner};
use tenantry_core::model::document::{Estate, Terms};
use tenantry_core::model::kind::Catalogue;
use tenantry_core::model::resource::{Applied, Begun, BegunWrite, Desired, Identity, Inventory, TargetName};
use tenantry_core::model::value::Value;
use tenantry_core::plan::build::{self, Inputs, Secrets};
use tenantry_core::plan::passes::moves;
use tenantry_core::plan::{Action, Change, Place, Plan, Why};
use tenantry_core::policy::values::Residencies;
use tenantry_core::policy::{self, Policies};
use tenantry_core::resolve::{self, Resolved};
use tenantry_core::rules::{self, RuleSet};
use tenantry_provider::contract::Trial;
use tenantry_secret::contract::SecretStore;
use tenantry_store::contract::{StepBegun, Store};

/// The inputs of a plan.
pub struct Request<'a> {
    pub estate: &'a Estate,
    pub targets: &'a Targets<'a>,
    pub store: &'a dyn Store,
    /// `None` if the secret store cannot be opened here: then values of secrets are not compared, and the plan cannot be applied.
    pub secrets: Option<&'a dyn SecretStore>,
    pub now: Timestamp,
    /// Which owners the plan is for.
    pub selected: &'a (dyn Fn(&Owner) -> bool + Sync),
    pub threads: usize,
}

/// A plan, or why the estate does not allow one.
pub struct Outcome {
    /// `None` if a diagnostic is an error.
    pub plan: Option<Plan>,
    pub diagnostics: Vec<Diagnostic>,
}

/// An estate resolved, compiled and expanded.
pub(super) struct Expanded<'e> {
    pub resolved: Resolved<'e>,
    blueprints: Blueprints<'e>,
    policies: Policies<'e>,
    pub owners: Vec<OwnerResources>,
    pub diagnostics: Vec<Diagnostic>,
}

/// What the store has of resources and tenants.
#[derive(Default)]
pub struct Recorded {
    pub inventory: Inventory,
    pub tenants: TenantRecords,
}

impl Recorded {
    /// # Errors
    /// If the store cannot be read.
    pub async fn of(store: &dyn Store) -> Result<Self, EngineError> {
        Ok(Self { inventory: by_address(store.inventory().await?), tenants: store.tenants().await? })
    }
}

/// What the store knows that an expansion looks at.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub outputs: &'a Outputs,
    pub records: &'a TenantRecords,
}

pub(super) fn expand<'e>(
    estate: &'e Estate,
    targets: &Targets<'_>,
    now: Timestamp,
    threads: usize,
    Known { outputs, records }: Known<'_>,
) -> Expanded<'e> {
    let mut diagnostics = Vec::new();
    let times = Times { records, offboarding: &targets.environment.offboarding, now };
    let resolved = resolve::resolve(estate, times, &mut diagnostics);
    let blueprints = Blueprints::compile(estate, &targets.catalogue, &mut diagnostics);
    let policies = Policies::compile(&estate.policies, &estate.files, &mut diagnostics);
    report_unknown_providers(estate, targets, &mut diagnostics);
    let mut owners = Vec::new();
    // An expansion of blueprints that are not well formed would only repeat what is wrong with them.
    if !diagnostics::has_errors(&diagnostics) {
        let inputs = desired::Inputs {
            estate,
            environment: targets.environment,
            catalogue: &targets.catalogue,
            placement_keys: &targets.placement_keys(),
            outputs,
            now: &now.to_string(),
            threads,
        };
        owners = desired::desired(&inputs, &blueprints, &resolved, &mut diagnostics);
    }
    diagnostics::sort(&mut diagnostics);
    Expanded { resolved, blueprints, policies, owners, diagnostics }
}

impl Expanded<'_> {
    /// Adds what the rules of the estate and of its providers find.
    fn check_rules(&mut self, estate: &Estate, targets: &Targets<'_>, now: Timestamp, threads: usize) {
        let sets: Vec<RuleSet> = targets.providers.iter().filter_map(|provider| provider.rules()).collect();
        let inputs = rules::Inputs {
            estate,
            environment: targets.environment,
            catalogue: &targets.catalogue,
            sets: &sets,
            resolved: &self.resolved,
            blueprints: &self.blueprints,
            owners: &self.owners,
            threads,
            now,
        };
        rules::check(&inputs, &mut self.diagnostics);
        diagnostics::sort(&mut self.diagnostics);
    }
}

/// Reports targets whose provider does not exist.
fn report_unknown_providers(estate: &Estate, targets: &Targets<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let known = targets.providers.iter().map(|provider| provider.name());
    for (target, table) in &targets.environment.targets {
        if known.clone().any(|known| known == &*table.provider) {
            continue;
        }
        let message = format!("target `{target}` has the provider `{}`, which does not exist", table.provider);
        diagnostics.push(
            Diagnostic::error(codes::CONFIG_INVALID, message)
                .at(estate.config_positions.origin(&format!("/targets/{target}/provider")), "no provider has this name")
                .help(resolve::suggest(
                    &table.provider,
                    known.clone(),
                    "providers are",
                    "use a build of Tenantry that has it",
                )),
        );
    }
}

/// Checks an estate without connecting to any target, by its rules too.
pub fn validate(
    estate: &Estate,
    targets: &Targets<'_>,
    now: Timestamp,
    threads: usize,
) -> (Vec<OwnerResources>, Vec<Diagnostic>) {
    let known = Known { outputs: &Outputs::new(), records: &TenantRecords::new() };
    let mut expanded = expand(estate, targets, now, threads, known);
    expanded.check_rules(estate, targets, now, threads);
    (expanded.owners, expanded.diagnostics)
}

/// What an estate asks for, with the outputs of resources that exist, and what is wrong with it. Rules are not checked.
pub fn desired_beside(
    estate: &Estate,
    targets: &Targets<'_>,
    recorded: &Recorded,
    now: Timestamp,
    threads: usize,
) -> (Vec<OwnerResources>, Vec<Diagnostic>) {
    let outputs = outputs_of(&recorded.inventory, &targets.catalogue);
    let known = Known { outputs: &outputs, records: &recorded.tenants };
    let Expanded { owners, diagnostics, .. } = expand(estate, targets, now, threads, known);
    (owners, diagnostics)
}

/// Looks at where the values of an estate come from.
///
/// # Errors
/// If the estate cannot be expanded: its diagnostics.
pub fn explain<T>(
    estate: &Estate,
    targets: &Targets<'_>,
    recorded: &Recorded,
    now: Timestamp,
    threads: usize,
    look: impl FnOnce(&Provenance<'_, '_>) -> T,
) -> Result<T, Vec<Diagnostic>> {
    expanded_beside(estate, targets, recorded, now, threads, |inputs, Expanded { resolved, blueprints, owners, .. }| {
        look(&Provenance::new(inputs, blueprints, resolved, owners, &recorded.inventory))
    })
}

/// Evaluates expressions on an owner. If it `masks`, they find a mask in place of each sensitive value. `look` gets `None` if
/// there is no such owner.
///
/// # Errors
/// If the estate cannot be expanded: its diagnostics.
pub fn console<T>(
    estate: &Estate,
    targets: &Targets<'_>,
    recorded: &Recorded,
    (now, threads): (Timestamp, usize),
    (owner, masks): (&Owner, bool),
    look: impl FnOnce(Option<&Console<'_>>) -> T,
) -> Result<T, Vec<Diagnostic>> {
    expanded_beside(estate, targets, recorded, now, threads, |inputs, Expanded { resolved, blueprints, owners, .. }| {
        look(Console::new(inputs, blueprints, resolved, owners, owner, masks).as_ref())
    })
}

/// Looks at an estate, expanded with the outputs of resources that exist.
fn expanded_beside<T>(
    estate: &Estate,
    targets: &Targets<'_>,
    recorded: &Recorded,
    now: Timestamp,
    threads: usize,
    look: impl FnOnce(&desired::Inputs<'_>, &Expanded<'_>) -> T,
) -> Result<T, Vec<Diagnostic>> {
    let outputs = outputs_of(&recorded.inventory, &targets.catalogue);
    let known = Known { outputs: &outputs, records: &recorded.tenants };
    let expanded = expand(estate, targets, now, threads, known);
    if diagnostics::has_errors(&expanded.diagnostics) {
        return Err(expanded.diagnostics);
    }
    let (keys, time) = (targets.placement_keys(), now.to_string());
    let inputs = desired::Inputs {
        estate,
        environment: targets.environment,
        catalogue: &targets.catalogue,
        placement_keys: &keys,
        outputs: &outputs,
        now: &time,
        threads,
    };
    Ok(look(&inputs, &expanded))
}

/// What the way from one estate to another can touch. Nothing is read but the two; the diagnostics are those of an estate that
/// has errors.
///
/// # Errors
/// If one of the two cannot be expanded: its diagnostics.
pub fn changed(
    before: &Estate,
    after: &Estate,
    targets: &Targets<'_>,
    now: Timestamp,
    threads: usize,
) -> Result<Changed, Vec<Diagnostic>> {
    let expanded = |estate: &Estate| {
        let (owners, diagnostics) = desired_beside(estate, targets, &Recorded::default(), now, threads);
        if diagnostics::has_errors(&diagnostics) { Err(diagnostics) } else { Ok(owners) }
    };
    let (old, new) = (expanded(before)?, expanded(after)?);
    Ok(changed::between(Side { estate: before, owners: &old }, Side { estate: after, owners: &new }))
}

/// Makes a plan. Writes nothing, anywhere.
///
/// # Errors
/// If the store or the secrets cannot be read. A target that cannot be read is not an error: its resources are blocked.
pub async fn plan(request: &Request<'_>) -> Result<Outcome, EngineError> {
    make(request, true).await
}

/// As [`plan`], for a plan that is only looked at, such as that of a drift run: what a target would refuse is not blocked, and
/// targets are not asked what they would refuse to create.
///
/// # Errors
/// As [`plan`].
pub async fn look(request: &Request<'_>) -> Result<Outcome, EngineError> {
    make(request, false).await
}

async fn make(request: &Request<'_>, to_apply: bool) -> Result<Outcome, EngineError> {
    let Request { estate, targets, store, secrets, now, selected, threads } = request;
    // Before everything else, so that what is read is all there at this point or later.
    let journal = store.head().await?;
    let mut inventory = by_address(store.inventory().await?);
    let records = store.tenants().await?;
    let mut open = store.open_steps().await?;
    let accepted = accepted(*store).await?;
    let mut looks = SECOND_LOOKS;
    let renamed = renamed(estate);
    let earlier = earlier_owners(estate);
    let why: BTreeMap<Arc<str>, Why> = estate
        .tenants
        .iter()
        .filter_map(|tenant| Some((tenant.metadata.name.shared(), Why::of(&tenant.spec)?)))
        .collect();
    let terms = Terms::of(estate);
    let approvals = policy::counting(&estate.approvals, targets.environment.is_simulated());
    let residencies: Residencies = (targets.environment.targets.iter())
        .filter_map(|(name, target)| Some((name.clone(), target.residency.clone()?)))
        .collect();
    let applied_tenants: BTreeMap<Arc<str>, Value> =
        records.iter().filter_map(|(tenant, record)| Some((tenant.clone(), record.values.clone()?))).collect();

    let mut outputs = outputs_of(&inventory, &targets.catalogue);
    loop {
        let mut expanded = expand(estate, targets, *now, *threads, Known { outputs: &outputs, records: &records });
        expanded.check_rules(estate, targets, *now, *threads);
        if diagnostics::has_errors(&expanded.diagnostics) {
            return Ok(Outcome { plan: None, diagnostics: expanded.diagnostics });
        }
        moves::add(&mut expanded.owners, &inventory);
        let expanded = expanded;
        let all = || expanded.owners.iter().flat_map(|owner| &owner.resources);
        let unfinished = unfinished(&open, &inventory);
        let begun = begun(&open);
        let Seen { mut observed, told } = observe(targets, all(), inventory.values().chain(&unfinished)).await;
        let systems = Systems::new(told, &accepted);
        systems.distrust(&mut observed);
        forgotten::unmark(*store, &targets.environment.scope(), &inventory, &begun, &mut observed).await?;
        // Read after the targets: whatever a run at the same time has written was in the secret store before.
        let specs = || all().map(|desired| desired.spec.fields());
        let (mut hashes, mut missing) = (HashMap::new(), BTreeSet::new());
        if let Some(secrets) = secrets {
            let values = SecretValues::read(*secrets, specs(), &earlier).await?;
            hashes = secrets::hashes(&values, all().map(|desired| (&desired.address, desired.spec.fields())));
            missing = values.missing(specs());
        }
        let (keys, time) = (targets.placement_keys(), now.to_string());
        let inputs = desired::Inputs {
            estate,
            environment: targets.environment,
            catalogue: &targets.catalogue,
            placement_keys: &keys,
            outputs: &outputs,
            now: &time,
            threads: *threads,
        };
        let Expanded { blueprints, policies, resolved, owners, .. } = &expanded;
        let provenance = Provenance::new(&inputs, blueprints, resolved, owners, &inventory);
        let lives: BTreeMap<Arc<str>, Life> =
            resolved.tenants.iter().map(|tenant| (tenant.name(), tenant.life.clone())).collect();
        let values: Option<BTreeMap<Arc<str>, Value>> = policies.look_back().then(|| {
            let tenants = resolved.tenants.iter();
            tenants.map(|tenant| (tenant.name(), impersonal(&tenant.value))).collect()
        });
        let built = |refused: &HashMap<Address, Arc<str>>| {
            build::build(&Inputs {
                estate: &targets.environment.estate,
                environment: targets.environment.name.as_ref(),
                revision: estate.revision.as_ref(),
                now: *now,
                simulated: targets.environment.is_simulated(),
                catalogue: &targets.catalogue,
                limits: &targets.environment.limits,
                approvals: &approvals,
                desired: &expanded.owners,
                lives: &lives,
                why: &why,
                renamed: &renamed,
                records: &records,
                terms: &terms,
                inventory: &inventory,
                begun: &begun,
                unfinished: &unfinished,
                observed: &observed,
                refused: to_apply.then_some(refused),
                systems: &systems,
                secrets: match secrets {
                    Some(_) => Secrets::Read { hashes: &hashes, missing: &missing },
                    None => Secrets::Unread,
                },
                selected: *selected,
                threads: *threads,
                applied_tenants: &applied_tenants,
                values: values.as_ref(),
                policies: to_apply.then_some(policy::Context { policies, resolved, residencies: &residencies }),
                place: &|address, pointer| place(estate, &provenance, address, pointer),
            })
        };
        let plan = built(&HashMap::new());
        // What the store did not know may be what a run at the same time has just put there.
        if misses_records(&plan) && looks > 0 {
            let (now, now_open) = (by_address(store.inventory().await?), store.open_steps().await?);
            if now != inventory || self::begun(&now_open) != begun {
                (inventory, open) = (now, now_open);
                outputs = outputs_of(&inventory, &targets.catalogue);
                looks -= 1;
                continue;
            }
        }
        // A resource that is about to be made anew will have other outputs than the ones on record.
        let stale: Vec<Address> = plan
            .changes
            .iter()
            .filter(|change| {
                matches!(change.action(), Action::Create | Action::Replace) || is_told_anew(change, &targets.catalogue)
            })
            .flat_map(|change| std::iter::once(&change.address).chain(&change.renamed_from))
            .filter(|address| outputs.contains_key(*address))
            .cloned()
            .collect();
        if stale.is_empty() {
            let refused = match to_apply {
                true => refusals(targets, &plan, &desired_by_address(&expanded.owners)).await,
                false => HashMap::new(),
            };
            let plan = if refused.is_empty() { plan } else { built(&refused) };
            let plan = Plan { journal: Some(journal), ..plan };
            return Ok(Outcome { plan: Some(plan), diagnostics: expanded.diagnostics });
        }
        stale.iter().for_each(|address| drop(outputs.remove(address)));
    }
}

/// What the store may have of a resolved tenant: nothing personal.
fn impersonal(tenant: &Value) -> Value {
    let fields = tenant.as_map().map(|fields| fields.without("contacts")).unwrap_or_default();
    match fields.get("deletion").and_then(Value::as_map).map(|deletion| deletion.without("requestedBy")) {
        Some(deletion) => fields.with("deletion", deletion.into()).into(),
        None => fields.into(),
    }
}

/// What the targets would refuse of what a plan creates or replaces.
async fn refusals(
    targets: &Targets<'_>,
    plan: &Plan,
    desired: &HashMap<&Address, &Desired>,
) -> HashMap<Address, Arc<str>> {
    let mut tried: BTreeMap<&TargetName, (Vec<Trial<'_>>, Vec<&Desired>)> = BTreeMap::new();
    for change in &plan.changes {
        let Some(desired) = desired.get(&change.address).copied() else { continue };
        let is_made = matches!(change.action(), Action::Create | Action::Replace);
        if !is_made && !matches!(change.action(), Action::Update | Action::Adopt) {
            continue;
        }
        let (trials, changing) = tried.entry(&desired.target).or_default();
        changing.push(desired);
        if is_made && !desired.spec.iter().any(|(_, value)| value.has_deferred()) {
            trials.push(Trial { desired, replaces: change.action() == Action::Replace });
        }
    }
    observe::refusals(targets, tried).await
}

/// How often the store is read again if a resource carries our mark and has no record.
const SECOND_LOOKS: usize = 3;

/// Whether a plan refuses or blocks something because the store has no record of it.
fn misses_records(plan: &Plan) -> bool {
    let codes = [codes::SECRET_LOST, codes::UNRECORDED];
    plan.findings.iter().any(|finding| codes.iter().any(|code| *finding.code == *code.0))
}

/// Writes that were begun and whose end is not known, by address and identity.
pub fn begun(open: &[StepBegun]) -> HashMap<(Address, Identity), Begun> {
    let begun = |step: &StepBegun| {
        let write = match step.action {
            Action::Replace => BegunWrite::Replace,
            Action::Delete => BegunWrite::Delete,
            Action::Create | Action::Update | Action::Adopt | Action::Move | Action::Forget => BegunWrite::Write,
        };
        let begun = Begun { generation: step.generation, write, spec: step.spec.clone() };
        ((step.address.clone(), step.identity.clone()), begun)
    };
    open.iter().map(begun).collect()
}

/// What was begun to be made and is not on record, as the inventory would have it: a run was interrupted between the write
/// and its record.
pub fn unfinished(open: &[StepBegun], inventory: &Inventory) -> Vec<Applied> {
    let makes = |step: &&StepBegun| matches!(step.action, Action::Create | Action::Replace);
    let unrecorded = |step: &&StepBegun| {
        inventory.get(&step.address).is_none_or(|applied| {
            applied.identity != step.identity || applied.target != step.target || applied.kind != step.kind
        })
    };
    let made = |step: &StepBegun| Applied {
        address: step.address.clone(),
        kind: step.kind.clone(),
        marked: None,
        target: step.target.clone(),
        identity: step.identity.clone(),
        spec: step.spec.clone().unwrap_or_else(|| "{}".into()),
        outputs: "{}".into(),
        generation: step.generation,
        protect: false,
        depends_on: Vec::new(),
    };
    open.iter().filter(makes).filter(unrecorded).map(made).collect()
}

pub(super) fn outputs_of(inventory: &Inventory, catalogue: &Catalogue) -> Outputs {
    inventory
        .values()
        .filter_map(|applied| {
            let outputs = applied.outputs_value(catalogue.get(&applied.kind).map(|kind| &**kind))?;
            Some((applied.address.clone(), Arc::new(outputs)))
        })
        .collect()
}

/// Whether a change makes the target return a one-time secret.
fn is_told_anew(change: &Change, catalogue: &Catalogue) -> bool {
    let captured = || Some(catalogue.get(&change.kind)?.captures_of(change.work.after()?));
    let captures = captured().unwrap_or_default();
    let fields = || change.work.fields().iter();
    captures.iter().any(|capture| fields().any(|field| capture.is_renewed_by(&field.path)))
}

/// The earlier names of owners, by their present names.
pub(super) fn earlier_owners(estate: &Estate) -> EarlierOwners {
    let mut earlier = EarlierOwners::new();
    for (old, new) in renamed(estate) {
        earlier.entry(new).or_default().push(old);
    }
    earlier
}

fn renamed(estate: &Estate) -> BTreeMap<Owner, Owner> {
    let tenants = estate.tenants.iter().flat_map(|tenant| {
        let new = Owner::Tenant(tenant.metadata.name.shared());
        tenant.metadata.previously.iter().map(move |old| (Owner::Tenant(old.shared()), new.clone()))
    });
    let tiers = estate.tiers.iter().flat_map(|tier| {
        let new = Owner::Tier(tier.metadata.name.shared());
        tier.metadata.previously.iter().map(move |old| (Owner::Tier(old.shared()), new.clone()))
    });
    tenants.chain(tiers).collect()
}

/// Where a user would edit a field of a resource, or of an owner's document if the address has no id.
fn place(estate: &Estate, provenance: &Provenance<'_, '_>, address: &Address, pointer: &str) -> Option<Place> {
    let origin = provenance.origin(address, pointer)?;
    let (line, _) = estate.files.line_column(origin);
    Some(Place { file: estate.files.get(origin.file).path.clone(), line })
}

/// Everything desired, by address.
pub fn desired_by_address(owners: &[OwnerResources]) -> HashMap<&Address, &tenantry_core::model::resource::Desired> {
    owners.iter().flat_map(|owner| &owner.resources).map(|desired| (&desired.address, desired)).collect()
}

//! Desired × observed × applied → a plan.
//!
//! Synchronous and without IO. Same input, same plan: everything is in order of owner, and within an owner in order of
//! creation, deletions last and in reverse. The passes run one after the other; each is a function of the inputs and of what
//! those before it found.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::draft::{Draft, Index};
use super::{Place, Plan, Why, passes};
use crate::desired::OwnerResources;
use crate::diff::{self, Secret};
use crate::fingerprint::Systems;
use crate::lifecycle::{ByItself, Life, TenantRecords};
use crate::model::address::{Address, Owner};
use crate::model::config::LimitsTable;
use crate::model::document::{ApprovalSpec, Document, Phase, Terms};
use crate::model::kind::Catalogue;
use crate::model::mark;
use crate::model::resource::{Applied, Begun, Identity, Inventory, Observations};
use crate::model::secret::SecretReference;
use crate::model::value::Value;
use crate::policy;

/// All inputs of a plan.
pub struct Inputs<'a> {
    pub estate: &'a Arc<str>,
    pub environment: Option<&'a Arc<str>>,
    pub revision: Option<&'a Arc<str>>,
    /// RFC 3339; also what approvals are checked against.
    pub now: jiff::Timestamp,
    pub simulated: bool,
    pub catalogue: &'a Catalogue,
    pub limits: &'a LimitsTable,
    pub approvals: &'a [Document<ApprovalSpec>],
    /// The earlier addresses of each include those that [`passes::moves`] found.
    pub desired: &'a [OwnerResources],
    /// Where each tenant that has a document is in its life.
    pub lives: &'a BTreeMap<Arc<str>, Life>,
    /// Why tenants are suspended or leave, as their documents have it.
    pub why: &'a BTreeMap<Arc<str>, Why>,
    /// Earlier names of tenants and tiers, with what they are called now.
    pub renamed: &'a BTreeMap<Owner, Owner>,
    /// How each tenant was last applied.
    pub records: &'a TenantRecords,
    /// The tier in each tenant's document, with its price.
    pub terms: &'a BTreeMap<Arc<str>, Terms>,
    pub inventory: &'a Inventory,
    /// Writes that were begun and whose end is not known, by address and identity.
    pub begun: &'a HashMap<(Address, Identity), Begun>,
    /// Resources whose creation was begun and that are not recorded, as the inventory would have them.
    pub unfinished: &'a [Applied],
    /// Observations that are in doubt are already unknown: see [`Systems::distrust`].
    pub observed: &'a Observations,
    /// What targets would refuse to create or to replace, with their own words, as dry runs have shown. `None` if it does not
    /// matter what a target would refuse, because nothing is to be applied: then what would be refused is not blocked.
    pub refused: Option<&'a HashMap<Address, Arc<str>>>,
    /// Which systems the targets are.
    pub systems: &'a Systems,
    pub secrets: Secrets<'a>,
    /// Which owners the plan is for.
    pub selected: &'a (dyn Fn(&Owner) -> bool + Sync),
    /// Where a user would edit a field of a desired resource: address, pointer.
    pub place: &'a (dyn Fn(&Address, &str) -> Option<Place> + Sync),
    /// How many threads may be used. It affects only the speed.
    pub threads: usize,
    /// Each tenant as it was resolved when it was last applied, as far as that is on record; without contacts.
    pub applied_tenants: &'a BTreeMap<Arc<str>, Value>,
    /// Each resolved tenant without its contacts, as it is to be recorded; `None` if no policy looks back.
    pub values: Option<&'a BTreeMap<Arc<str>, Value>>,
    /// The policies of the estate. `None` if nothing is to be applied: then they have nothing to refuse.
    pub policies: Option<policy::Context<'a>>,
}

/// What is known of the secrets that desired resources have.
#[derive(Clone, Copy)]
pub enum Secrets<'a> {
    Read {
        /// Keyed hashes of their values, by address.
        hashes: &'a HashMap<Address, Arc<str>>,
        /// References to generated secrets that the secret store does not have.
        missing: &'a BTreeSet<SecretReference>,
    },
    /// The secret store was not read. What was lost there is not known, so that nothing may be applied.
    Unread,
}

impl<'a> Secrets<'a> {
    pub fn of(&self, address: &Address) -> Secret<'a> {
        match self {
            Self::Read { hashes, .. } => Secret::Hash(hashes.get(address).map(|hash| &**hash)),
            Self::Unread => Secret::Unread,
        }
    }

    /// References to generated secrets that are known not to exist.
    pub fn missing(&self) -> impl Iterator<Item = &'a SecretReference> {
        let missing = match self {
            Self::Read { missing, .. } => Some(missing.iter()),
            Self::Unread => None,
        };
        missing.into_iter().flatten()
    }
}

impl Inputs<'_> {
    /// The estate and environment, as marks name them.
    pub fn scope(&self) -> Arc<str> {
        mark::scope(self.estate, self.environment.map(|name| &**name))
    }
}

/// Makes a plan.
pub fn build(inputs: &Inputs<'_>) -> Plan {
    let index = Index::of(inputs);
    let mut draft = Draft::default();
    passes::systems::run(inputs, &mut draft);
    passes::verdicts::run(inputs, &index, &mut draft);
    passes::secrets::run(inputs, &index, &mut draft);
    passes::orphans::run(inputs, &index, &mut draft);
    passes::phases::run(inputs, &mut draft);
    passes::selection::run(inputs, &mut draft);
    passes::dependents::run(inputs, &mut draft);
    passes::billing::run(inputs, &index, &mut draft);
    passes::nested::run(inputs, &index, &mut draft);
    // What needs a bill that does not grow waits as well, or what stays because of what is below it.
    passes::dependents::run(inputs, &mut draft);
    passes::reports::run(&index, &mut draft);

    let existing = inputs.inventory.len();
    let is_recorded = |change: &super::Change| {
        let begun = change.work.identity().cloned().map(|identity| (change.address.clone(), identity));
        change.record(inputs.inventory).is_some() || begun.is_some_and(|begun| inputs.begun.contains_key(&begun))
    };
    let verdict = policy::guard(&policy::Guarded {
        changes: &draft.changes,
        bills: &|kind| inputs.catalogue.get(kind).is_some_and(|kind| kind.bills),
        is_recorded: &is_recorded,
        approvals: inputs.approvals,
        limits: inputs.limits,
        existing,
        now: inputs.now,
        tenants: inputs.lives.len(),
        applied_tenants: inputs.records.values().filter(|record| record.phase != Phase::Deleted).count(),
        is_due: &|owner| {
            let life = owner.tenant().and_then(|tenant| inputs.lives.get(tenant));
            life.is_some_and(|life| life.by_itself == Some(ByItself::RetentionEnded))
        },
    });
    draft.findings.extend(verdict.findings);

    let holds = |blocked: &&super::Blocked| !index.is_optional(&blocked.address);
    let mut held: HashSet<&Owner> = draft.blocked.iter().filter(holds).map(|blocked| &blocked.address.owner).collect();
    held.extend(&draft.unready);
    // A tenant is in a phase once all of it is; what is blocked, not ready or not gone is not.
    let mut transitions = draft.transitions;
    transitions.retain(|transition| !held.contains(&Owner::Tenant(transition.tenant.clone())));
    let mut changes = passes::order::run(inputs, draft.changes);
    changes.shrink_to_fit();
    let shrinking = passes::billing::shrinking(inputs, &changes);
    let record_moves = passes::records::run(inputs, &index, &changes);
    draft.blocked.sort_by(|a, b| a.address.cmp(&b.address));
    let mut kept: BTreeMap<Owner, Vec<Address>> = BTreeMap::new();
    draft.kept.sort_by(|a, b| a.address.cmp(&b.address));
    for blocked in draft.kept {
        kept.entry(blocked.address.owner.clone()).or_default().push(blocked.address);
    }
    for retained in &mut draft.retained {
        retained.resources = kept.remove(&Owner::Tenant(retained.tenant.clone())).unwrap_or_default();
    }
    let mut plan = Plan {
        estate: inputs.estate.clone(),
        environment: inputs.environment.cloned(),
        revision: inputs.revision.cloned(),
        created_at: inputs.now.to_string().into(),
        simulated: inputs.simulated,
        changes,
        blocked: draft.blocked,
        findings: draft.findings,
        transitions,
        retained: draft.retained,
        shrinking,
        record_moves,
        approvals: verdict.approvals,
        waves: Vec::new(),
        narrowed: None,
        unchanged: draft.unchanged,
        targets: inputs.systems.told(),
        secrets_unread: matches!(inputs.secrets, Secrets::Unread) && uses_secrets(inputs),
        journal: None,
    };
    if let Some(context) = inputs.policies {
        policy::check(inputs, context, &mut plan);
        // What a part of the plan does not need, another part may.
        let mut owners =
            inputs.desired.iter().map(|owner| &owner.owner).chain(inputs.inventory.keys().map(|at| &at.owner));
        if owners.all(|owner| (inputs.selected)(owner)) {
            let desired = inputs.desired.iter().flat_map(|owner| &owner.resources).map(|desired| &desired.address);
            let mut addresses = desired.chain(inputs.inventory.keys());
            let unused =
                policy::unused::Unused { approvals: inputs.approvals, now: inputs.now, addresses: &mut addresses };
            policy::unused::find(unused, &mut plan);
        }
    }
    plan.findings.sort_by(|a, b| {
        (!a.refuses, a.severity, &a.code, &a.address, &a.message)
            .cmp(&(!b.refuses, b.severity, &b.code, &b.address, &b.message))
    });
    plan
}

/// Whether any resource that the plan is for has a secret.
fn uses_secrets(inputs: &Inputs<'_>) -> bool {
    let mut selected = inputs.desired.iter().filter(|owner| (inputs.selected)(&owner.owner));
    selected.any(|owner| owner.resources.iter().any(|desired| diff::has_secret(&desired.spec)))
}

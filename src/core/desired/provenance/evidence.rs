//! Evidence for the cause of a change, from other tenants that changed or did not change.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::super::blueprint::CompiledResource;
use super::super::dependencies::Shared;
use super::super::problems::Problems;
use super::super::{OwnerResources, expand, previous_owners};
use super::{Provenance, Subject};
use crate::diagnostics::Origin;
use crate::model::address::{Address, Owner};
use crate::model::resource::{Applied, Desired};
use crate::model::value::Value;
use crate::resolve::ResolvedTenant;

/// How many tenants of a tier are compared. A few are enough, and the cost does not grow with the estate.
const SAMPLE: usize = 8;

/// What was found out so far. Changes come owner by owner, and the same field of many.
#[derive(Default)]
pub struct Evidence {
    previous: OnceLock<BTreeMap<Owner, Vec<Owner>>>,
    shared: OnceLock<Shared>,
    sample: OnceLock<Vec<usize>>,
    changed: Mutex<HashMap<(Resource, String), Changed>>,
    /// The last tenant that was asked for.
    elsewhere: Mutex<Option<(Arc<str>, Elsewhere)>>,
}

/// A blueprint's resource without its owner: the id, and the item of its `forEach`.
type Resource = (Arc<str>, Option<Arc<str>>);

/// What happens to a field of each tenant that has the resource applied.
type Changed = Arc<Vec<Change>>;

struct Change {
    /// The tenant's place among all.
    tenant: usize,
    /// The field has another value than it was applied with; without a field, the resource is removed.
    changes: bool,
    /// Where the field's value is written.
    source: Option<Origin>,
}

/// A tenant's resources on each of the tiers that it is not on.
type Elsewhere = Arc<Vec<OwnerResources>>;

/// Who else changes in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// Nobody else has the resource.
    Unknown,
    All,
    Some,
    None,
}

/// Why a tenant has a value of its tier that it did not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The tier's document was edited.
    Document,
    /// The tenant was on another tier.
    Choice,
    /// The tenant had a value of its own.
    Override,
}

impl Others {
    fn of(changed: impl Iterator<Item = bool>) -> Self {
        changed.fold(Self::Unknown, |others, changes| match (others, changes) {
            (Self::Unknown | Self::All, true) => Self::All,
            (Self::Unknown | Self::None, false) => Self::None,
            _ => Self::Some,
        })
    }
}

impl<'e> Provenance<'_, 'e> {
    /// What happens to a resource of other tenants on the same tier.
    fn siblings(&self, tenant: &ResolvedTenant<'e>, address: &Address) -> Others {
        self.others(tenant, address, "", |other, _| std::ptr::eq(other.tier, tenant.tier))
    }

    /// What happens to a field of all other tenants.
    pub(super) fn everyone(&self, tenant: &ResolvedTenant<'e>, address: &Address, pointer: &str) -> Others {
        self.others(tenant, address, pointer, |_, _| true)
    }

    /// What happens to a field of tenants on other tiers.
    pub(super) fn strangers(&self, tenant: &ResolvedTenant<'e>, address: &Address, pointer: &str) -> Others {
        self.others(tenant, address, pointer, |other, _| !std::ptr::eq(other.tier, tenant.tier))
    }

    fn others(
        &self,
        tenant: &ResolvedTenant<'e>,
        address: &Address,
        pointer: &str,
        counts: impl Fn(&ResolvedTenant<'e>, Option<Origin>) -> bool,
    ) -> Others {
        let changed = self.changed((address.id.clone(), address.each.clone()), pointer);
        let others = changed.iter().filter(|change| {
            let other = &self.resolved.tenants[change.tenant];
            !std::ptr::eq(other, tenant) && counts(other, change.source)
        });
        Others::of(others.map(|change| change.changes))
    }

    fn changed(&self, resource: Resource, pointer: &str) -> Changed {
        let key = (resource.clone(), pointer.to_owned());
        if let Some(known) = self.evidence.changed.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return known.clone();
        }
        let of_tenant = |at: &usize| {
            let owner = Owner::Tenant(self.resolved.tenants[*at].name());
            let applied = self.inventory.get(&Address { owner, id: resource.0.clone(), each: resource.1.clone() })?;
            let desired = self.desired(&applied.address);
            if pointer.is_empty() {
                return Some(Change { tenant: *at, changes: desired.is_none(), source: None });
            }
            let changes = differs(desired?, applied, pointer);
            Some(Change { tenant: *at, changes, source: self.source_of_field(&applied.address, pointer) })
        };
        let changed: Changed = Arc::new(self.sample().iter().filter_map(of_tenant).collect());
        self.evidence.changed.lock().unwrap_or_else(PoisonError::into_inner).insert(key, changed.clone());
        changed
    }

    /// The first tenants of each tier of which something was applied.
    fn sample(&self) -> &[usize] {
        self.evidence.sample.get_or_init(|| {
            let mut counts: HashMap<&str, usize> = HashMap::new();
            let tenants = self.resolved.tenants.iter().enumerate();
            let is_chosen = |(at, tenant): (usize, &ResolvedTenant<'e>)| {
                let count = counts.entry(tenant.tier.metadata.name.as_str()).or_default();
                let chosen = *count < SAMPLE && self.applied_of(&Owner::Tenant(tenant.name())).next().is_some();
                *count += usize::from(chosen);
                chosen.then_some(at)
            };
            tenants.filter_map(is_chosen).collect()
        })
    }

    /// A tenant's resources as they would be on each other tier.
    pub(super) fn elsewhere(&self, tenant: &ResolvedTenant<'e>) -> Elsewhere {
        let name = tenant.name();
        let mut last = self.evidence.elsewhere.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, elsewhere)) = &*last
            && *known == name
        {
            return elsewhere.clone();
        }
        let previous = self.evidence.previous.get_or_init(|| previous_owners(self.inputs.estate));
        let shared = self.owners.partition_point(|owner| owner.owner.tenant().is_none());
        let shared = self.evidence.shared.get_or_init(|| Shared::new(&self.owners[..shared]));
        let context = expand::Context { inputs: self.inputs, blueprints: self.blueprints, shared, previous };
        let now = Value::from(self.inputs.now);
        let others = self.resolved.tiers.iter().filter(|tier| !std::ptr::eq(tier.document, tenant.tier));
        // What is wrong on a tier that the tenant is not on concerns nobody.
        let expanded = others.map(|tier| {
            let there = tenant.on(tier);
            context.tenant(&there, tier.value.clone(), &self.resolved.estate, &now, &mut Problems::default())
        });
        let elsewhere: Elsewhere = Arc::new(expanded.collect());
        *last = Some((name, elsewhere.clone()));
        elsewhere
    }

    /// The resources of the tier that the tenant was probably on before: the one on which least of what was applied would
    /// change, if that is less than on its present tier.
    pub(super) fn before(&self, tenant: &ResolvedTenant<'e>) -> Option<(Elsewhere, usize)> {
        let owner = Owner::Tenant(tenant.name());
        let applied: BTreeMap<&Address, &Applied> =
            self.applied_of(&owner).map(|applied| (&applied.address, applied)).collect();
        let elsewhere = self.elsewhere(tenant);
        let distances = elsewhere.iter().map(|there| distance(&there.resources, &applied)).enumerate();
        let (at, nearest) = distances.min_by_key(|(_, distance)| *distance)?;
        (nearest < distance(self.resources_of(&owner), &applied)).then_some((elsewhere, at))
    }

    /// Whether the condition under which a resource exists held before already, for another resource exists under the same.
    /// Then it is the resource that is new.
    pub(super) fn held_before(&self, subject: Subject<'_, 'e>, resource: &CompiledResource<'e>) -> bool {
        let tier = subject.tier.map(|tier| tier.metadata.name.as_str());
        let Address { owner, id, each } = subject.address;
        self.blueprints.composition(subject.scope, tier).iter().any(|other| {
            let address = Address { owner: owner.clone(), id: other.template.id.clone(), each: each.clone() };
            let same =
                other.template.when == resource.template.when && other.template.for_each == resource.template.for_each;
            same && other.template.id != *id && self.inventory.contains_key(&address)
        })
    }

    /// Whether a resource that was not applied yet is there because the tenant's tier changed.
    pub(super) fn is_brought_by_tier(&self, tenant: &ResolvedTenant<'e>, address: &Address) -> bool {
        // Where others of the tier have it already, it is the tenant that is new to the tier.
        let others_have_it = self.siblings(tenant, address) != Others::Unknown;
        let was_without = || {
            let (elsewhere, at) = self.before(tenant)?;
            Some(elsewhere[at].resources.iter().all(|desired| desired.address != *address))
        };
        others_have_it || was_without().unwrap_or(false)
    }

    /// Why a field, whose value the tier has at `source`, was applied with another value.
    pub(super) fn cause_in_tier(
        &self,
        tenant: &ResolvedTenant<'e>,
        applied: &Applied,
        pointer: &str,
        source: Origin,
    ) -> Cause {
        // A tenant that overrides the value says nothing.
        let shares =
            |other: &ResolvedTenant<'e>, of_other| std::ptr::eq(other.tier, tenant.tier) && of_other == Some(source);
        let had = |there: &OwnerResources| {
            let there = there.resources.iter().find(|desired| desired.address == applied.address);
            there.is_some_and(|desired| !differs(desired, applied, pointer))
        };
        match self.others(tenant, &applied.address, pointer, shares) {
            Others::All => Cause::Document,
            // The tier's value is as it was, so it is this tenant that did not have it.
            Others::None | Others::Some if self.elsewhere(tenant).iter().any(had) => Cause::Choice,
            Others::None | Others::Some => Cause::Override,
            Others::Unknown => match self.before(tenant) {
                Some((elsewhere, at)) if had(&elsewhere[at]) => Cause::Choice,
                _ => Cause::Document,
            },
        }
    }

    /// Whether a resource that is no longer asked for would still be there on another tier.
    pub(super) fn is_taken_by_tier(&self, tenant: &ResolvedTenant<'e>, address: &Address) -> bool {
        let has = |there: &OwnerResources| there.resources.iter().any(|desired| desired.address == *address);
        self.goes_alone(tenant, address) && self.elsewhere(tenant).iter().any(has)
    }

    /// Whether no other tenant of the tier loses the resource too. If one does, it is the tier that changed.
    pub(super) fn goes_alone(&self, tenant: &ResolvedTenant<'e>, address: &Address) -> bool {
        matches!(self.siblings(tenant, address), Others::Unknown | Others::None)
    }
}

/// Whether a field was applied with another value than is asked for.
pub fn differs(desired: &Desired, applied: &Applied, pointer: &str) -> bool {
    let before = applied.spec_value().map(|spec| Value::Map(Arc::new(spec)));
    let before = before.as_ref().and_then(|spec| spec.pointer(pointer));
    before != Value::Map(desired.spec.shared()).pointer(pointer)
}

/// How many resources would be created, updated or deleted.
fn distance(desired: &[Desired], applied: &BTreeMap<&Address, &Applied>) -> usize {
    let is_kept = |desired: &&Desired| applied.contains_key(&desired.address);
    let kept = desired.iter().filter(is_kept).count();
    let written = desired.iter().filter(is_kept).filter(|desired| {
        let spec = serde_json::to_string(&*desired.spec).unwrap_or_default();
        applied.get(&desired.address).is_some_and(|applied| *applied.spec != *spec)
    });
    written.count() + (desired.len() - kept) + (applied.len() - kept)
}

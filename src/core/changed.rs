//! Finds the owners that a change of the repository can touch: their desired resources, their phase, their tier or
//! its price differ.
//!
//! Both versions are expanded and compared resource by resource. A value that no blueprint uses touches no owner, a tier touches
//! its tenants, and a moved file touches nothing.

use std::collections::{BTreeSet, HashMap};

use crate::desired::OwnerResources;
use crate::model::address::{Address, Owner};
use crate::model::document::{ApprovalSpec, Document, Estate, TenantSpec, Terms};
use crate::model::names::Name;
use crate::model::resource::Desired;
use crate::policy;

/// A version of an estate with its desired resources.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    pub estate: &'a Estate,
    pub owners: &'a [OwnerResources],
}

/// What a change can touch.
#[derive(Debug, PartialEq, Eq)]
pub enum Changed {
    /// The configuration of the estate differs, on which everything depends.
    Everything,
    Owners(BTreeSet<Owner>),
}

/// The owners that the change from one version to the other can touch.
pub fn between(before: Side<'_>, after: Side<'_>) -> Changed {
    let config = |side: Side<'_>| serde_json::to_value(&side.estate.config).ok();
    if config(before) != config(after) {
        return Changed::Everything;
    }
    let mut touched = BTreeSet::new();
    let (old, new) = (wanted(before), wanted(after));
    for (address, desired) in &old {
        if new.get(address).is_none_or(|other| !asks_for_the_same(desired, other)) {
            touched.insert(address.owner.clone());
        }
    }
    touched.extend(new.keys().filter(|address| !old.contains_key(*address)).map(|address| address.owner.clone()));
    // Where nothing is asked for any more, a phase still has to be reached.
    let phases = |side: Side<'_>| -> HashMap<Owner, (_, _, _, Vec<_>)> {
        let tenants = side.estate.tenants.iter();
        let mut terms = Terms::of(side.estate);
        let ends: HashMap<&str, _> =
            side.estate.tiers.iter().map(|tier| (tier.metadata.name.as_str(), tier.spec.on_trial_end)).collect();
        tenants
            .map(|tenant| {
                let previously = tenant.metadata.previously.iter().map(Name::shared).collect();
                let name = tenant.metadata.name.shared();
                let terms = terms.remove(&name);
                let TenantSpec { phase, trial_ends, suspension, deletion, legal_hold, reuse_name, .. } =
                    tenant.spec.clone();
                let life = (phase, trial_ends, suspension, deletion, legal_hold, reuse_name);
                let end = ends.get(tenant.spec.tier.as_str()).copied();
                (Owner::Tenant(name), (life, end, terms, previously))
            })
            .collect()
    };
    let (old, new) = (phases(before), phases(after));
    touched.extend(old.iter().filter(|(owner, phase)| new.get(owner) != Some(phase)).map(|(owner, _)| owner.clone()));
    touched.extend(new.keys().filter(|owner| !old.contains_key(owner)).cloned());
    touched.extend(covered(before, after));
    Changed::Owners(touched)
}

fn wanted(side: Side<'_>) -> HashMap<&Address, &Desired> {
    let all = side.owners.iter().flat_map(|owner| &owner.resources);
    all.map(|desired| (&desired.address, desired)).collect()
}

/// Everything but the place where it is declared.
fn asks_for_the_same(one: &Desired, other: &Desired) -> bool {
    let Desired {
        address,
        kind,
        target,
        identity,
        spec,
        sensitive,
        protect,
        optional,
        adopt,
        depends_on,
        previously,
        origin: _,
    } = one;
    *address == other.address
        && kind.name == other.kind.name
        && *target == other.target
        && *identity == other.identity
        && *spec == other.spec
        && *sensitive == other.sensitive
        && *protect == other.protect
        && *optional == other.optional
        && *adopt == other.adopt
        && *depends_on == other.depends_on
        && *previously == other.previously
}

/// The owners whose resources an Approval names that is new, changed or gone.
fn covered(before: Side<'_>, after: Side<'_>) -> BTreeSet<Owner> {
    let says_the_same = |one: &Document<ApprovalSpec>, other: &Document<ApprovalSpec>| {
        let json = |document: &Document<ApprovalSpec>| serde_json::to_value(&document.spec).ok();
        one.metadata.name == other.metadata.name && json(one) == json(other)
    };
    let differing = |side: Side<'_>, other: Side<'_>| -> Vec<String> {
        let approvals = side.estate.approvals.iter();
        approvals
            .filter(|approval| !other.estate.approvals.iter().any(|other| says_the_same(approval, other)))
            .flat_map(|approval| approval.spec.addresses.iter().map(|glob| owners_of(glob)).collect::<Vec<_>>())
            .collect()
    };
    let mut globs = differing(before, after);
    globs.extend(differing(after, before));
    let known = [before, after].into_iter().flat_map(|side| {
        let tenants = side.estate.tenants.iter().map(|tenant| Owner::Tenant(tenant.metadata.name.shared()));
        tenants.chain(side.owners.iter().map(|owner| owner.owner.clone()))
    });
    known.filter(|owner| globs.iter().any(|glob| policy::matches(glob, &owner.to_string()))).collect()
}

/// The part of a pattern for addresses that is about owners.
fn owners_of(glob: &str) -> String {
    glob.split_once('/').map_or(glob, |(owner, _)| owner).to_owned()
}

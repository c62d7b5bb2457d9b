//! What each resource of an owner depends on: what its expressions and fields refer to, here and among what is shared.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::OwnerResources;
use super::blueprint::CompiledResource;
use super::built::Entry;
use super::expand::Context;
use super::order::topological;
use super::problems::Problems;
use crate::diagnostics::{Diagnostic, codes};
use crate::model::address::{Address, Owner};
use crate::model::resource::{Desired, Identity, TargetName};

impl<'e> Context<'_, 'e> {
    /// Adds to each resource what it depends on, and brings all into an order that respects it.
    pub fn order(
        &self,
        owner: &Owner,
        composition: &[Arc<CompiledResource<'e>>],
        by_id: &HashMap<Arc<str>, Entry>,
        seen: &[BTreeSet<usize>],
        resources: &mut Vec<Desired>,
        problems: &mut Problems,
    ) {
        let needs: HashMap<&Arc<str>, &Arc<CompiledResource<'e>>> =
            composition.iter().map(|resource| (&resource.template.id, resource)).collect();
        let named = NameIndex::new(resources);
        let holders = holders(resources);
        let mut edges: Vec<Vec<usize>> = Vec::with_capacity(resources.len());
        let mut outside: Vec<Vec<Address>> = Vec::with_capacity(resources.len());
        for (index, desired) in resources.iter().enumerate() {
            let mut inner = Vec::new();
            let mut outer = Vec::new();
            if let Some(compiled) = needs.get(&desired.address.id) {
                for id in &compiled.needs {
                    match by_id.get(id) {
                        Some(Entry::One(at)) => inner.push(*at),
                        // What expressions looked at is known one by one.
                        Some(Entry::Each(instances)) if compiled.template.depends_on.contains(id) => {
                            inner.extend(instances.places());
                        }
                        Some(Entry::Each(_) | Entry::Left | Entry::Broken) | None => {}
                    }
                }
                inner.extend(seen.get(index).into_iter().flatten());
                outer.extend(compiled.needs_estate.iter().flat_map(|id| self.shared.of_estate(id)).cloned());
            }
            for reference in desired.kind.references_in(&desired.spec) {
                match named.find(&desired.target, reference.kind, &reference.name) {
                    Some(at) if at != index => inner.push(at),
                    Some(_) => {}
                    None => outer.extend(self.shared.named(&desired.target, reference.kind, &reference.name).cloned()),
                }
            }
            inner.extend(holder(&holders, desired, index));
            inner.sort_unstable();
            inner.dedup();
            outer.sort();
            outer.dedup();
            edges.push(inner);
            outside.push(outer);
        }
        let order = match topological(&edges) {
            Ok(order) => order,
            Err(circle) => {
                let names: Vec<String> = circle.iter().map(|at| resources[*at].address.to_string()).collect();
                let message = format!("resources need each other in a circle: {} → {}", names.join(" → "), names[0]);
                let mut diagnostic = Diagnostic::error(codes::CIRCULAR_REFERENCE, message)
                    .at(resources[circle[0]].origin, "one of them")
                    .help("each refers to the next in a field of its spec; remove one of these references");
                for other in &circle[1..] {
                    diagnostic = diagnostic.related(resources[*other].origin, "another");
                }
                problems.add(diagnostic, owner);
                return;
            }
        };
        for (index, (inner, outer)) in edges.iter().zip(outside).enumerate() {
            let mut addresses: Vec<Address> = inner.iter().map(|at| resources[*at].address.clone()).collect();
            addresses.extend(outer);
            addresses.shrink_to_fit();
            resources[index].depends_on = addresses;
        }
        if !order.is_sorted() {
            let mut unordered: Vec<Option<Desired>> = resources.drain(..).map(Some).collect();
            resources.extend(order.into_iter().filter_map(|at| unordered[at].take()));
        }
    }
}

/// The resources of one owner that hold others, with their places.
fn holders(resources: &[Desired]) -> Vec<(usize, TargetName, String)> {
    let holding = resources.iter().enumerate().filter(|(_, desired)| desired.kind.holds_others());
    holding
        .filter_map(|(at, desired)| Some((at, desired.target.clone(), desired.kind.place_of(&desired.spec)?)))
        .collect()
}

/// The innermost resource that holds another one: it is made before, and deleted after it.
fn holder(holders: &[(usize, TargetName, String)], desired: &Desired, index: usize) -> Option<usize> {
    if holders.is_empty() {
        return None;
    }
    let place = desired.kind.place_of(&desired.spec)?;
    let holds = |(at, target, of): &&(usize, TargetName, String)| {
        *at != index && *target == desired.target && place.len() > of.len() && place.starts_with(of)
    };
    holders.iter().filter(holds).max_by_key(|(_, _, of)| of.len()).map(|(at, ..)| *at)
}

/// Resources of one owner by the name that others call them.
struct NameIndex(HashMap<(TargetName, &'static str, Identity), usize>);

impl NameIndex {
    fn new(resources: &[Desired]) -> Self {
        let named = resources.iter().enumerate().filter_map(|(at, desired)| {
            let name = desired.kind.name_of(&desired.spec)?;
            Some(((desired.target.clone(), desired.kind.name, Identity::from(&*name)), at))
        });
        Self(named.collect())
    }

    fn find(&self, target: &TargetName, kind: &'static str, name: &str) -> Option<usize> {
        self.0.get(&(target.clone(), kind, Identity::from(name))).copied()
    }
}

type ByName = HashMap<Arc<str>, Vec<Address>>;

/// The resources of the estate and of the tiers, as others refer to them.
#[derive(Default)]
pub struct Shared {
    by_name: HashMap<(TargetName, &'static str), ByName>,
    /// Of the estate, by their ids.
    estate: ByName,
}

impl Shared {
    pub fn new(owners: &[OwnerResources]) -> Self {
        let mut shared = Self::default();
        for desired in owners.iter().flat_map(|owner| &owner.resources) {
            if let Some(name) = desired.kind.name_of(&desired.spec) {
                let of_kind = shared.by_name.entry((desired.target.clone(), desired.kind.name)).or_default();
                of_kind.entry(Arc::from(name)).or_default().push(desired.address.clone());
            }
            if desired.address.owner == Owner::Estate {
                shared.estate.entry(desired.address.id.clone()).or_default().push(desired.address.clone());
            }
        }
        shared
    }

    fn named(&self, target: &TargetName, kind: &'static str, name: &str) -> impl Iterator<Item = &Address> {
        let of_kind = self.by_name.get(&(target.clone(), kind));
        of_kind.and_then(|of_kind| of_kind.get(name)).into_iter().flatten()
    }

    fn of_estate(&self, id: &str) -> impl Iterator<Item = &Address> {
        self.estate.get(id).into_iter().flatten()
    }
}

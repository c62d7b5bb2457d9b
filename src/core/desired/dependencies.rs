//! What each resource of an owner depends on: what its expressions and fields refer to, here and among what is shared.

use std::collections::HashMap;
use std::sync::Arc;

use super::blueprint::CompiledResource;
use super::built::Entry;
use super::expand::Context;
use super::order::topological;
use super::problems::Problems;
use crate::diagnostics::{Diagnostic, codes};
use crate::model::address::{Address, Owner};
use crate::model::resource::{Desired, TargetName};

impl<'e> Context<'_, 'e> {
    /// Adds to each resource what it depends on, and brings all into an order that respects it.
    pub fn order(
        &self,
        owner: &Owner,
        composition: &[Arc<CompiledResource<'e>>],
        by_id: &HashMap<Arc<str>, Entry>,
        resources: &mut Vec<Desired>,
        problems: &mut Problems,
    ) {
        let needs: HashMap<&Arc<str>, &Arc<CompiledResource<'e>>> =
            composition.iter().map(|resource| (&resource.template.id, resource)).collect();
        let named = NameIndex::new(resources);
        let mut edges: Vec<Vec<usize>> = Vec::with_capacity(resources.len());
        let mut outside: Vec<Vec<Address>> = Vec::with_capacity(resources.len());
        for (index, desired) in resources.iter().enumerate() {
            let mut inner = Vec::new();
            let mut outer = Vec::new();
            if let Some(compiled) = needs.get(&desired.address.id) {
                for id in &compiled.needs {
                    match by_id.get(id) {
                        Some(Entry::One(at)) => inner.push(*at),
                        Some(Entry::Each(entries)) => inner.extend(entries.iter().map(|(_, at)| *at)),
                        Some(Entry::Left | Entry::Broken) | None => {}
                    }
                }
                let estate = self.shared.iter().filter(|shared| shared.owner == Owner::Estate);
                outer.extend(
                    estate
                        .flat_map(|shared| &shared.resources)
                        .filter(|shared| compiled.needs_estate.contains(&shared.address.id))
                        .map(|shared| shared.address.clone()),
                );
            }
            for reference in desired.kind.references_in(&desired.spec) {
                match named.find(&desired.target, reference.kind, &reference.name) {
                    Some(at) if at != index => inner.push(at),
                    Some(_) => {}
                    None => outer.extend(
                        self.shared
                            .iter()
                            .flat_map(|shared| &shared.resources)
                            .filter(|shared| {
                                shared.target == desired.target
                                    && shared.kind.name == reference.kind
                                    && shared.kind.name_of(&shared.spec).as_ref() == Some(&reference.name)
                            })
                            .map(|shared| shared.address.clone()),
                    ),
                }
            }
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
                    .help("each names the next in a field that its kind takes for a reference; let one do without");
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

/// Resources of one owner by the name that others call them.
struct NameIndex(HashMap<(TargetName, &'static str, Arc<str>), usize>);

impl NameIndex {
    fn new(resources: &[Desired]) -> Self {
        let named = resources.iter().enumerate().filter_map(|(at, desired)| {
            let name = desired.kind.name_of(&desired.spec)?;
            Some(((desired.target.clone(), desired.kind.name, Arc::from(name)), at))
        });
        Self(named.collect())
    }

    fn find(&self, target: &TargetName, kind: &'static str, name: &str) -> Option<usize> {
        self.0.get(&(target.clone(), kind, Arc::from(name))).copied()
    }
}

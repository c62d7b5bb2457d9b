//! Blueprint × tenant → desired resources, with their order.
//!
//! Blueprints are compiled once ([`blueprint`]); each owner is then expanded by itself ([`expand`]), so owners can be expanded
//! on several threads and the result does not depend on how many. Checks over several owners, such as for two resources with
//! the same identity, come afterwards.

mod blueprint;
mod built;
mod clock;
mod console;
mod dependencies;
mod expand;
mod form;
mod order;
mod problems;
mod provenance;
mod sql_fields;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::collections;
use super::diagnostics::{Diagnostic, codes};
use super::model::address::{Address, Owner};
use super::model::document::{Estate, Phase, Scope};
use super::model::kind::{Catalogue, readable_identity};
use super::model::resource::{Desired, Identity, TargetName};
use super::model::value::{Map, Value};
use super::resolve::{Environment, Resolved, ResolvedTenant};

pub use blueprint::{Blueprints, CompiledResource, code_of};
pub use console::Console;
use dependencies::Shared;
pub use order::topological;
pub use problems::Problems;
pub use provenance::{Explained, Explanation, Provenance, Written};
pub use sql_fields::sql_fields;

/// Outputs of resources that exist, by address: what expressions may use before the run has ended.
pub type Outputs = HashMap<Address, Arc<Map>>;

/// The resources of one owner, in an order in which they can be created.
pub struct OwnerResources {
    pub owner: Owner,
    pub resources: Vec<Desired>,
}

/// What goes into the expansion.
pub struct Inputs<'a> {
    pub estate: &'a Estate,
    pub environment: &'a Environment,
    pub catalogue: &'a Catalogue,
    /// The provider's placement key by provider.
    pub placement_keys: &'a BTreeMap<&'static str, &'static str>,
    pub outputs: &'a Outputs,
    /// RFC 3339.
    pub now: &'a str,
    pub threads: usize,
}

/// Expands every owner: the estate first, then tiers, then tenants, each in order of name.
pub fn desired(
    inputs: &Inputs<'_>,
    blueprints: &Blueprints<'_>,
    resolved: &Resolved<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<OwnerResources> {
    let now = Value::from(inputs.now);
    let mut problems = Problems::default();
    let mut all = Vec::with_capacity(resolved.tenants.len() + resolved.tiers.len() + 1);

    let previous = previous_owners(inputs.estate);
    let nothing = Shared::default();
    let shared = expand::Context { inputs, blueprints, shared: &nothing, previous: &previous };
    let variables = [("estate", resolved.estate.clone()), ("now", now.clone())];
    let estate =
        shared.expand(Owner::Estate, blueprints.composition(Scope::Estate, None), &variables, None, &mut problems);
    all.push(estate);
    for tier in &resolved.tiers {
        let owner = Owner::Tier(tier.document.metadata.name.shared());
        let composition = blueprints.composition(Scope::Tier, Some(tier.document.metadata.name.as_str()));
        let variables = [("tier", tier.value.clone()), ("estate", resolved.estate.clone()), ("now", now.clone())];
        all.push(shared.expand(owner, composition, &variables, None, &mut problems));
    }

    let tier_values: BTreeMap<&str, &Value> =
        resolved.tiers.iter().map(|tier| (tier.document.metadata.name.as_str(), &tier.value)).collect();
    let chunk = resolved.tenants.len().div_ceil(inputs.threads.max(1)).max(1);
    let common = Shared::new(&all);
    let expanded: Vec<(Vec<OwnerResources>, Problems)> = std::thread::scope(|threads| {
        let workers: Vec<_> = resolved
            .tenants
            .chunks(chunk)
            .map(|tenants| {
                let (now, tier_values, previous, common) = (&now, &tier_values, &previous, &common);
                threads.spawn(move || {
                    let context = expand::Context { inputs, blueprints, shared: common, previous };
                    let mut problems = Problems::default();
                    let resources = tenants
                        .iter()
                        .map(|tenant| {
                            let tier = tier_values.get(tenant.tier.metadata.name.as_str()).copied().cloned();
                            context.tenant(tenant, tier.unwrap_or_default(), &resolved.estate, now, &mut problems)
                        })
                        .collect();
                    (resources, problems)
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    for (resources, found) in expanded {
        all.extend(resources);
        problems.merge(found);
    }
    diagnostics.extend(problems.into_diagnostics());
    report_duplicate_identities(&all, diagnostics);
    report_unknown_placements(inputs, diagnostics);
    all
}

impl expand::Context<'_, '_> {
    fn tenant(
        &self,
        tenant: &ResolvedTenant<'_>,
        tier: Value,
        estate: &Value,
        now: &Value,
        problems: &mut Problems,
    ) -> OwnerResources {
        let owner = Owner::Tenant(tenant.name());
        // Nothing is asked for any more: whatever the inventory still has of the tenant is to be deleted.
        if tenant.phase() == Phase::Deleted {
            return OwnerResources { owner, resources: Vec::new() };
        }
        let composition = self.blueprints.composition(Scope::Tenant, Some(tenant.tier.metadata.name.as_str()));
        let variables =
            [("tenant", tenant.value.clone()), ("tier", tier), ("estate", estate.clone()), ("now", now.clone())];
        self.expand(owner, composition, &variables, Some(tenant), problems)
    }
}

/// Earlier names of tenants and tiers, by what they are called now.
fn previous_owners(estate: &Estate) -> BTreeMap<Owner, Vec<Owner>> {
    let tenants = estate.tenants.iter().map(|tenant| (&tenant.metadata, Owner::Tenant as fn(Arc<str>) -> Owner));
    let tiers = estate.tiers.iter().map(|tier| (&tier.metadata, Owner::Tier as fn(Arc<str>) -> Owner));
    tenants
        .chain(tiers)
        .filter(|(metadata, _)| !metadata.previously.is_empty())
        .map(|(metadata, owner)| {
            let earlier = metadata.previously.iter().map(|name| owner(name.shared())).collect();
            (owner(metadata.name.shared()), earlier)
        })
        .collect()
}

fn report_duplicate_identities(all: &[OwnerResources], diagnostics: &mut Vec<Diagnostic>) {
    let mut seen: collections::HashMap<(&TargetName, &'static str, &Identity), &Desired> =
        collections::HashMap::default();
    // By the first of those that want it.
    let mut again: BTreeMap<&Address, (&Desired, Vec<&Desired>)> = BTreeMap::new();
    for desired in all.iter().flat_map(|owner| &owner.resources) {
        let Some(identity) = &desired.identity else { continue };
        let first = *seen.entry((&desired.target, desired.kind.name, identity)).or_insert(desired);
        if first.address != desired.address {
            again.entry(&first.address).or_insert_with(|| (first, Vec::new())).1.push(desired);
        }
    }
    for (first, others) in again.into_values() {
        let identity = readable_identity(first.identity.as_deref().unwrap_or_default());
        let names = match others.as_slice() {
            [one] => format!("{} and {} would both", first.address, one.address),
            [one, more @ ..] => format!("{}, {} and {} more would all", first.address, one.address, more.len()),
            [] => continue,
        };
        let message = format!("{names} be {} `{identity}` in target `{}`", first.kind.name, first.target);
        let diagnostic = Diagnostic::error(codes::DUPLICATE_IDENTITY, message)
            .help("add to the name what distinguishes them, such as ${ident(tenant.name)} or ${each}");
        // One blueprint's line would only be shown twice.
        diagnostics.push(match others[0].origin == first.origin {
            true => diagnostic.at(first.origin, "of all of them"),
            false => diagnostic
                .at(others[0].origin, format!("of {}", others[0].address))
                .related(first.origin, format!("of {}", first.address)),
        });
    }
}

/// Reports placement keys that no provider uses: the tenant would be in another place than intended.
fn report_unknown_placements(inputs: &Inputs<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let known = inputs.placement_keys.values().copied();
    for tenant in &inputs.estate.tenants {
        for key in tenant.spec.placement.keys().filter(|key| !known.clone().any(|known| known == &***key)) {
            let place = tenant.positions.origin(&format!("/spec/placement/{key}"));
            diagnostics.push(
                Diagnostic::error(codes::UNKNOWN_TARGET, format!("`{key}` is not a placement key of any provider"))
                    .at(place, "used as a placement key here")
                    .help(super::resolve::suggest(key, known.clone(), "keys are", "remove it")),
            );
        }
    }
}

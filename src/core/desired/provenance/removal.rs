//! What removed a resource that is no longer desired.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::evidence::Others;
use super::fields::is_plain_path;
use super::{Provenance, Source, Subject, TIER};
use crate::desired::blueprint::CompiledResource;
use crate::diagnostics::Origin;
use crate::expression::{Compiled, NoResources, Scope as Variables};
use crate::model::document::{BlueprintSpec, Document, Phase, TierSpec};
use crate::model::value::Value;

/// Where a tier names its blueprints.
const BLUEPRINTS: &str = "/spec/blueprints";

impl<'e> Provenance<'_, 'e> {
    /// Of a resource that the owner's blueprints still have: the list that lacks it, or the condition that is false.
    pub(super) fn disappearance(&self, subject: Subject<'_, 'e>, resource: &CompiledResource<'e>) -> Origin {
        if let Some(tenant) = subject.tenant.filter(|tenant| tenant.phase() == Phase::Deleted) {
            return tenant.document.positions.origin("/spec/phase");
        }
        let Some((condition, pointer)) = self.deciding(subject, resource) else { return resource.place() };
        let declared = resource.origin(pointer);
        let source = self.source(subject, condition, &[]);
        match (source, subject.tenant) {
            (_, Some(tenant)) if self.is_taken_by_tier(tenant, subject.address) => {
                tenant.document.positions.origin(TIER)
            }
            (Some(Source::Tier(..)), Some(tenant))
                if !is_plain_path(condition) && self.strangers(tenant, subject.address, "") == Others::All =>
            {
                declared
            }
            (Some(source), _) => source.origin(),
            (None, _) => declared,
        }
    }

    /// The condition or list that keeps a resource from existing. `None` if the blueprint no longer makes one of many of it.
    fn deciding<'c>(
        &self,
        subject: Subject<'_, 'e>,
        resource: &'c CompiledResource<'e>,
    ) -> Option<(&'c Compiled, &'static str)> {
        let when = resource.when.as_ref().filter(|when| !self.may_hold(subject, when));
        let for_each = resource.for_each.as_ref().filter(|_| subject.address.each.is_some());
        let when = when.or(resource.when.as_ref().filter(|_| for_each.is_none()));
        when.map(|when| (when, "/when")).or(for_each.map(|list| (list, "/forEach")))
    }

    fn may_hold(&self, subject: Subject<'_, 'e>, when: &Compiled) -> bool {
        let Some(tenant) = subject.tenant else { return true };
        let of_tier = self.resolved.tiers.iter().find(|tier| std::ptr::eq(tier.document, tenant.tier));
        let variables = [
            ("tenant", tenant.value.clone()),
            ("tier", of_tier.map(|tier| tier.value.clone()).unwrap_or_default()),
            ("estate", self.resolved.estate.clone()),
            ("now", Value::from(self.inputs.now)),
        ];
        let scope = Variables::new(&subject.address.owner, &variables, self.blueprints.slots());
        !matches!(when.evaluate(&scope, None, &NoResources, &mut String::new()), Ok(Value::Bool(false)))
    }

    /// Of a resource that the owner's blueprints do not have: the tier that has other blueprints, or the blueprint that it
    /// was removed from.
    pub(super) fn removal(&self, subject: Subject<'_, 'e>) -> Option<Origin> {
        let id = &subject.address.id;
        let all = &self.inputs.estate.blueprints;
        let has = |blueprint: &&Document<BlueprintSpec>| blueprint.spec.resources.iter().any(|known| known.id == *id);
        let of_scope = |blueprint: &&Document<BlueprintSpec>| blueprint.spec.scope == subject.scope;
        let Some(tier) = subject.tier else {
            return match all.iter().find(has) {
                Some(other) => Some(other.positions.origin("/spec/scope")),
                None => self.former_blueprint(subject, all.iter().filter(of_scope).collect()).map(resources_of),
            };
        };
        let named = |blueprint: &&Document<BlueprintSpec>| tier.spec.blueprints.contains(&blueprint.metadata.name);
        // A blueprint that the tier names and that has the resource must be of another scope.
        if let Some(other) = all.iter().filter(named).find(has) {
            return Some(other.positions.origin("/spec/scope"));
        }
        if let Some(other) = all.iter().filter(of_scope).find(has) {
            let chosen = |tier: &&Document<TierSpec>| tier.spec.blueprints.contains(&other.metadata.name);
            let on_another_tier = self.inputs.estate.tiers.iter().any(|tier| chosen(&tier));
            return Some(match subject.tenant {
                Some(tenant) if on_another_tier && self.goes_alone(tenant, subject.address) => {
                    tenant.document.positions.origin(TIER)
                }
                _ => tier.positions.origin(BLUEPRINTS),
            });
        }
        let candidates = all.iter().filter(of_scope).filter(named).collect();
        let former = self.former_blueprint(subject, candidates).map(resources_of);
        Some(former.unwrap_or_else(|| tier.positions.origin(BLUEPRINTS)))
    }

    /// The blueprint that must have had a resource: the only one, or the one whose resources needed it, were needed by it,
    /// or are of its kind.
    fn former_blueprint(
        &self,
        subject: Subject<'_, 'e>,
        candidates: Vec<&'e Document<BlueprintSpec>>,
    ) -> Option<&'e Document<BlueprintSpec>> {
        if let [only] = candidates.as_slice() {
            return Some(only);
        }
        let applied = self.inventory.get(subject.address)?;
        let needed = applied.depends_on.iter().filter(|other| other.owner == subject.address.owner);
        let needing =
            self.applied_of(&subject.address.owner).filter(|other| other.depends_on.contains(subject.address));
        let related: BTreeSet<&Arc<str>> =
            needed.map(|other| &other.id).chain(needing.map(|other| &other.address.id)).collect();
        let provider = |kind: &str| kind.split('.').next().unwrap_or_default().to_owned();
        let score = |blueprint: &Document<BlueprintSpec>| {
            let resources = &blueprint.spec.resources;
            let relatives = resources.iter().filter(|resource| related.contains(&resource.id)).count();
            let same_kind = resources.iter().any(|resource| resource.kind == applied.kind);
            let same_provider = resources.iter().any(|resource| provider(&resource.kind) == provider(&applied.kind));
            (relatives, same_kind, same_provider)
        };
        let best =
            candidates.iter().map(|blueprint| score(blueprint)).max().filter(|best| *best > (0, false, false))?;
        let mut likely = candidates.into_iter().filter(|blueprint| score(blueprint) == best);
        // Of several that would do as well, none is named: the tier's list has them all.
        likely.next().filter(|_| likely.next().is_none())
    }
}

fn resources_of(blueprint: &Document<BlueprintSpec>) -> Origin {
    blueprint.positions.origin("/spec/resources")
}

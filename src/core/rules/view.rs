//! The resources of one owner, as rules look at them.

use super::{Inputs, compiled};
use crate::collections::HashMap;
use crate::model::address::Owner;
use crate::model::config::RulesTable;
use crate::model::resource::Desired;
use crate::model::value::Value;
use crate::policy::matches;

/// One owner's resources, and what they may refer to.
pub struct OwnerView<'a> {
    pub owner: &'a Owner,
    pub resources: &'a [Desired],
    /// Resources of the estate and of tiers; this owner's own are among them if it is one of those.
    pub shared: &'a [&'a Desired],
    pub settings: &'a RulesTable,
    pub(super) inputs: &'a Inputs<'a>,
}

impl<'a> OwnerView<'a> {
    /// The spec of a resource as the blueprint has it, with its expressions.
    pub fn template(&self, desired: &Desired) -> Option<&'a Value> {
        compiled(self.inputs, &desired.address).map(|compiled| &compiled.template.spec)
    }

    /// A text among the provider's own settings of a target in `tenantry.toml`.
    pub fn setting(&self, target: &str, name: &str) -> Option<&'a str> {
        self.inputs.environment.targets.get(target)?.settings.get(name)?.as_str()
    }

    /// This owner's resources of a kind.
    pub fn of(&self, kind: &'static str) -> impl Iterator<Item = &'a Desired> {
        self.resources.iter().filter(move |desired| desired.kind.name == kind)
    }

    /// Resources of a kind and target that somebody makes to whose resources this owner may refer: the owner itself first.
    pub fn known(&self, kind: &'static str, target: &'a str) -> impl Iterator<Item = &'a Desired> {
        let shared = self.shared.iter().copied().filter(move |desired| desired.kind.name == kind);
        self.of(kind).chain(shared).filter(move |desired| &*desired.target == target)
    }

    /// This owner's resources of a kind, by target.
    pub fn by_target(&self, kind: &'static str) -> Vec<(&'a str, Vec<&'a Desired>)> {
        let mut groups: Vec<(&'a str, Vec<&'a Desired>)> = Vec::new();
        let mut places: HashMap<&'a str, usize> = HashMap::default();
        for desired in self.of(kind) {
            let at = *places.entry(&desired.target).or_insert_with(|| {
                groups.push((&desired.target, Vec::new()));
                groups.len() - 1
            });
            groups[at].1.push(desired);
        }
        groups
    }
}

/// Whether the estate says that a thing exists elsewhere: `rules.elsewhere` of `tenantry.toml`.
pub fn is_elsewhere(settings: &RulesTable, name: &str) -> bool {
    settings.elsewhere.iter().any(|pattern| matches(pattern, name))
}

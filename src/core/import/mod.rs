//! What exists → an estate: blueprint, tiers, and each tenant's values.
//!
//! Flow: things of one sort and role are gathered ([`group`]); of each role one template is made whose holes are values
//! ([`template`]); values that go together become tiers ([`tiers`]); and all of it is written down ([`documents`]).
//!
//! Guaranteed: every item is in the draft, exactly once. Whether the estate really yields them again is for the caller to
//! try, by expanding it: nothing here is believed without that.

pub mod documents;
mod group;
mod pattern;
mod template;
mod tiers;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::value::{Map, Value};

pub use pattern::snake;
pub use template::Template;

/// One thing that a tenant has.
#[derive(Clone, Debug)]
pub struct Item {
    pub tenant: Arc<str>,
    /// What tells its sort from all others, such as API group and kind.
    pub sort: Arc<str>,
    /// The sort in a word, in snake case: `network_policy`.
    pub word: String,
    /// Unique among the tenant's things of the sort.
    pub name: Arc<str>,
    /// Normalised.
    pub spec: Map,
    /// Whether its figures are what tells a tenant's tier.
    pub is_quota: bool,
}

/// Things that one resource of the blueprint stands for.
pub struct Group<'a> {
    pub id: String,
    /// Several of a tenant, told apart by name.
    pub is_each: bool,
    /// Too different for a template: each is a value by itself.
    pub is_whole: bool,
    pub items: Vec<&'a Item>,
}

/// An estate that yields the items again.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// The most usual one is called `standard`; in order of rank.
    pub tiers: Vec<Tier>,
    pub resources: Vec<Resource>,
    pub tenants: BTreeMap<Arc<str>, Tenant>,
}

/// Values by resource and name.
pub type Values = BTreeMap<String, BTreeMap<String, Value>>;

#[derive(Clone, Debug)]
pub struct Tier {
    pub name: String,
    pub values: Values,
    pub tenants: usize,
}

#[derive(Clone, Debug)]
pub struct Resource {
    /// Also where its values are.
    pub id: String,
    pub presence: Presence,
    /// Whether its things are too unlike each other for a template.
    pub is_whole: bool,
    pub spec: Template,
    /// How many items it stands for.
    pub items: usize,
    /// How many tenants have it.
    pub tenants: usize,
}

/// For whom a resource exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    Always,
    /// Where the value `enabled` of a resource, mostly of this one, says so.
    Switched(String),
    /// Once for each key of the resource's values.
    Each,
}

#[derive(Clone, Debug, Default)]
pub struct Tenant {
    pub tier: String,
    /// What differs from the tier's.
    pub values: Values,
}

/// Makes an estate of items.
pub fn draft(items: &[Item]) -> Draft {
    let tenants: BTreeSet<&Arc<str>> = items.iter().map(|item| &item.tenant).collect();
    let mut resources = Vec::new();
    let mut roles = Vec::new();
    let mut switches: BTreeMap<BTreeSet<&Arc<str>>, String> = BTreeMap::new();
    for group in group::groups(items, tenants.len()) {
        let mut role = template::role(group);
        let having: BTreeSet<&Arc<str>> = role.items.iter().map(|item| &item.tenant).collect();
        if !role.is_each {
            role.switch.clone_from(switches.entry(having.clone()).or_insert_with(|| role.id.clone()));
        }
        resources.push(Resource {
            id: role.id.clone(),
            presence: match role.is_each {
                true => Presence::Each,
                false if having.len() == tenants.len() => Presence::Always,
                false => Presence::Switched(role.switch.clone()),
            },
            is_whole: role.is_whole,
            spec: role.spec.clone(),
            items: role.items.len(),
            tenants: having.len(),
        });
        roles.push(role);
    }
    let (tiers, tenants) = tiers::assign(&roles, &tenants);
    Draft { tiers, resources, tenants }
}

//! Which line of the estate a user has to edit, for a change or a finding of a plan.
//!
//! The estate has the present specs, and the inventory has those of the last apply. Which document was edited in between is not
//! recorded, so it is concluded, from the nearest to the farthest:
//!
//! - a value that the tenant's document has itself comes from there;
//! - a value of the tier comes from the tier's document, unless the tenant was on another tier before ([`evidence`]): then
//!   it is the tenant's `tier`;
//! - anything else, and what changed for everybody at once though their values differ, comes from the blueprint;
//! - what nobody asks for any more was taken away by the tenant's `tier`, by a list, by a condition, or from a blueprint
//!   ([`removal`]).
//!
//! Pure, and only used for changes: it costs nothing in a plan without changes.

mod evidence;
mod explain;
mod fields;
#[cfg(test)]
mod fixture;
mod removal;
#[cfg(test)]
mod tests;
mod written;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

pub use self::explain::{Explained, Explanation};
pub use self::written::Written;

use self::evidence::Evidence;
use super::blueprint::{Blueprints, CompiledResource};
use super::{Inputs, OwnerResources};
use crate::diagnostics::{Origin, SourceFiles, Span};
use crate::expression::Compiled;
use crate::model::address::{Address, Owner};
use crate::model::document::{Document, Positions, Scope, TierSpec};
use crate::model::resource::{Applied, Desired, Inventory};
use crate::model::value::push_token;
use crate::resolve::{Resolved, ResolvedTenant, ResolvedTier};

/// What the reasoning is about.
pub struct Provenance<'a, 'e> {
    inputs: &'a Inputs<'e>,
    blueprints: &'a Blueprints<'e>,
    resolved: &'a Resolved<'e>,
    owners: &'a [OwnerResources],
    inventory: &'a Inventory,
    by_owner: OnceLock<HashMap<&'a Owner, &'a OwnerResources>>,
    evidence: Evidence,
}

/// One resource's owner, with the documents that decide about it.
#[derive(Clone, Copy)]
struct Subject<'s, 'e> {
    address: &'s Address,
    scope: Scope,
    tenant: Option<&'s ResolvedTenant<'e>>,
    tier: Option<&'e Document<TierSpec>>,
}

/// Where a value comes from.
#[derive(Clone, Debug)]
enum Source {
    /// From the owner's own document, where nothing but an edit of it changes it.
    Own(Origin),
    /// From the tenant's tier, where it changes with the tier's document, with the tenant's `tier`, and with a value at the
    /// same pointer of the tenant's document.
    Tier(Origin, String),
}

impl Source {
    fn origin(&self) -> Origin {
        match self {
            Self::Own(origin) | Self::Tier(origin, _) => *origin,
        }
    }
}

impl<'a, 'e> Provenance<'a, 'e> {
    /// `owners` is the expansion of `inputs`; `inventory` what was last applied.
    pub fn new(
        inputs: &'a Inputs<'e>,
        blueprints: &'a Blueprints<'e>,
        resolved: &'a Resolved<'e>,
        owners: &'a [OwnerResources],
        inventory: &'a Inventory,
    ) -> Self {
        let (by_owner, evidence) = (OnceLock::new(), Evidence::default());
        Self { inputs, blueprints, resolved, owners, inventory, by_owner, evidence }
    }

    /// The place that a user edits to change a field of a resource; with the empty pointer, to change whether the resource
    /// exists. Of an address without an id, the pointer is one of its owner's document.
    ///
    /// `None` if no document is left that could be edited.
    pub fn origin(&self, address: &Address, pointer: &str) -> Option<Origin> {
        let subject = self.subject(address)?;
        let origin = if address.id.is_empty() {
            match (subject.tenant, subject.tier) {
                (Some(tenant), _) => tenant.document.positions.origin(pointer),
                (None, Some(tier)) => tier.positions.origin(pointer),
                (None, None) => return None,
            }
        } else {
            match (self.resource(subject), pointer) {
                (None, _) => self.removal(subject)?,
                (Some(resource), "") => self.existence(subject, resource),
                (Some(resource), pointer) => self.field(subject, resource, pointer),
            }
        };
        Some(line_of_key(&self.inputs.estate.files, origin))
    }

    /// Everything that is asked for.
    pub fn owners(&self) -> &'a [OwnerResources] {
        self.owners
    }

    fn subject<'s>(&'s self, address: &'s Address) -> Option<Subject<'s, 'e>> {
        let (scope, tenant, tier) = match &address.owner {
            Owner::Estate => (Scope::Estate, None, None),
            Owner::Tier(name) => {
                let named = |tier: &&ResolvedTier<'_>| tier.document.metadata.name.as_str() == &**name;
                (Scope::Tier, None, Some(self.resolved.tiers.iter().find(named)?.document))
            }
            Owner::Tenant(name) => {
                let tenant = self.tenant(name)?;
                (Scope::Tenant, Some(tenant), Some(tenant.tier))
            }
        };
        Some(Subject { address, scope, tenant, tier })
    }

    /// The tenant of a name that it has or had.
    fn tenant(&self, name: &str) -> Option<&'a ResolvedTenant<'e>> {
        let tenants = &self.resolved.tenants;
        let had = |tenant: &&ResolvedTenant<'_>| {
            tenant.document.metadata.previously.iter().any(|previous| previous.as_str() == name)
        };
        match tenants.binary_search_by(|tenant| tenant.document.metadata.name.as_str().cmp(name)) {
            Ok(at) => Some(&tenants[at]),
            Err(_) => tenants.iter().find(had),
        }
    }

    /// The blueprint's resource, if what the owner is made of still has one with this id.
    fn resource(&self, subject: Subject<'_, 'e>) -> Option<&'a CompiledResource<'e>> {
        let tier = subject.tier.map(|tier| tier.metadata.name.as_str());
        self.blueprints.find(subject.scope, tier, &subject.address.id).map(|resource| &**resource)
    }

    fn resources_of(&self, owner: &Owner) -> &'a [Desired] {
        let index = || self.owners.iter().map(|resources| (&resources.owner, resources)).collect();
        self.by_owner.get_or_init(index).get(owner).map_or(&[], |owner| &owner.resources)
    }

    fn desired(&self, address: &Address) -> Option<&'a Desired> {
        self.resources_of(&address.owner).iter().find(|desired| desired.address == *address)
    }

    /// What was last written at the address of a resource, or at one that it had before.
    fn applied(&self, desired: &Desired) -> Option<&'a Applied> {
        std::iter::once(&desired.address).chain(&desired.previously).find_map(|address| self.inventory.get(address))
    }

    /// What was last written for an owner.
    fn applied_of<'s>(&'s self, owner: &'s Owner) -> impl Iterator<Item = &'a Applied> + use<'s, 'a, 'e> {
        let first = Address { owner: owner.clone(), id: "".into(), each: None };
        let at = self.inventory.partition_point(|address, _| *address < first);
        let from = self.inventory.get_range(at..).into_iter().flatten();
        from.map(|(_, applied)| applied).take_while(|applied| applied.address.owner == *owner)
    }

    /// Where the first value that an expression of a part looks at is written; `None` if no document but the blueprint has it.
    fn source(&self, subject: Subject<'_, 'e>, part: &Compiled, below: &[Arc<str>]) -> Option<Source> {
        let mut found = None;
        part.for_each_expression(&mut |expression| {
            if let (None, Some(path)) = (&found, expression.leading_path()) {
                // What is looked for may be a part of the value, if the expression is nothing but a path.
                let below = if expression.is_path() { below } else { &[] };
                found = self.source_of_path(subject, &[&path[..], below].concat());
            }
        });
        found
    }

    fn source_of_path(&self, subject: Subject<'_, 'e>, path: &[Arc<str>]) -> Option<Source> {
        let [root, path @ ..] = path else { return None };
        match (&**root, subject.tenant, subject.tier) {
            ("tenant", Some(tenant), _) => source_in_tenant(tenant, path),
            ("tier", Some(tenant), _) if is_name(path) => Some(Source::Own(tenant.document.positions.origin(TIER))),
            ("tier", Some(_), Some(tier)) => {
                written(&tier.positions, path).map(|origin| Source::Tier(origin, TIER.to_owned()))
            }
            ("tier", None, Some(tier)) if is_name(path) && tier.metadata.previously.is_empty() => None,
            ("tier", None, Some(tier)) => written(&tier.positions, path).map(Source::Own),
            ("resources", ..) => self.source_in_resource(subject, path).map(Source::Own),
            _ => None,
        }
    }

    /// Where a field of another resource of the same owner gets its value.
    fn source_in_resource(&self, subject: Subject<'_, 'e>, path: &[Arc<str>]) -> Option<Origin> {
        let [id, path @ ..] = path else { return None };
        let tier = subject.tier.map(|tier| tier.metadata.name.as_str());
        let is_list = self.blueprints.find(subject.scope, tier, id)?.for_each.is_some();
        let (each, path) = if is_list { (Some(path.first()?.clone()), &path[1..]) } else { (None, path) };
        let address = Address { owner: subject.address.owner.clone(), id: id.clone(), each };
        // Outputs are made by the target and written nowhere.
        self.desired(&address)?.spec.get(path.first()?)?;
        let mut pointer = String::new();
        path.iter().for_each(|step| push_token(&mut pointer, step));
        self.origin(&address, &pointer)
    }

    /// Where it is decided that a resource exists, or no longer does, which its blueprint still has.
    fn existence(&self, subject: Subject<'_, 'e>, resource: &CompiledResource<'e>) -> Origin {
        match self.desired(subject.address) {
            Some(desired) => self.appearance(subject, resource, desired),
            None => self.disappearance(subject, resource),
        }
    }

    fn appearance(&self, subject: Subject<'_, 'e>, resource: &CompiledResource<'e>, desired: &Desired) -> Origin {
        let is_known = || self.applied_of(&subject.address.owner).next().is_some();
        if self.applied(desired).is_some() {
            return resource.place();
        }
        let condition = resource.for_each.as_ref().or(resource.when.as_ref());
        let source = condition.and_then(|condition| self.source(subject, condition, &[]));
        match (source, subject.tenant) {
            (Some(_), _) if is_known() && self.held_before(subject, resource) => resource.place(),
            (Some(Source::Own(origin)), _) => origin,
            (_, Some(tenant)) if is_known() && self.is_brought_by_tier(tenant, subject.address) => {
                tenant.document.positions.origin(TIER)
            }
            (Some(Source::Tier(origin, _)), _) => origin,
            (None, _) => resource.place(),
        }
    }
}

/// Where a tenant's document names its tier.
const TIER: &str = "/spec/tier";

/// Where a path below `tenant` is written: in the tenant's document, else in its tier's.
fn source_in_tenant(tenant: &ResolvedTenant<'_>, path: &[Arc<str>]) -> Option<Source> {
    let field = &**path.first()?;
    if is_name(path) && tenant.document.metadata.previously.is_empty() {
        return None;
    }
    let is_inherited = matches!(field, "quotas" | "features" | "values");
    (1..=path.len()).rev().find_map(|length| {
        let pointer = pointer_of(&path[..length]);
        match tenant.document.positions.exact(&pointer) {
            Some(origin) => Some(Source::Own(origin)),
            None if is_inherited => Some(Source::Tier(tenant.tier.positions.exact(&pointer)?, pointer)),
            None => None,
        }
    })
}

/// Whether a path below `tenant` or `tier` is the owner's name. It is part of every address, and only changes with a rename.
fn is_name(path: &[Arc<str>]) -> bool {
    path.first().is_some_and(|field| &**field == "name")
}

/// The pointer of a variable's field in the document that it stands for.
fn pointer_of(path: &[Arc<str>]) -> String {
    let is_metadata = path.first().is_some_and(|field| matches!(&**field, "name" | "labels" | "annotations"));
    let mut pointer = if is_metadata { "/metadata" } else { "/spec" }.to_owned();
    path.iter().for_each(|step| push_token(&mut pointer, step));
    pointer
}

/// Where a document has a variable's field, or the nearest value around it.
fn written(positions: &Positions, path: &[Arc<str>]) -> Option<Origin> {
    (1..=path.len()).rev().find_map(|length| positions.exact(&pointer_of(&path[..length])))
}

/// The line of the key, for a value that begins on a line below it: that is where people look for a list or a mapping.
fn line_of_key(files: &SourceFiles, origin: Origin) -> Origin {
    let text = &files.get(origin.file).text;
    let start = text.floor_char_boundary(origin.span.start as usize);
    let line_of = |end: usize| text[..end].rfind('\n').map_or(0, |newline| newline + 1);
    let mut below = line_of(start);
    if !text[below..start].trim().is_empty() {
        return origin;
    }
    while below > 0 {
        let above = line_of(below - 1);
        let line = text[above..below].trim();
        if !line.is_empty() && !line.starts_with('#') {
            let is_key = line.split(" #").next().is_some_and(|line| line.trim_end().ends_with(':'));
            let indentation = text[above..below].len() - text[above..below].trim_start().len();
            let byte = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
            let span = Span { start: byte(above + indentation), end: byte(above + indentation + line.len()) };
            return if is_key { Origin { span, ..origin } } else { origin };
        }
        below = above;
    }
    origin
}

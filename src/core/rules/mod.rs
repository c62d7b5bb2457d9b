//! Rules: what is well formed and probably not what is meant.
//!
//! A rule has a code, a level and its documentation ([`Rule`]), and looks at documents or at the expanded resources of one
//! owner. It is pure: the same estate has the same findings. Rules about documents are here ([`documents`]), one file each;
//! those about the resources of a provider are in its crate, which hands them over as a [`RuleSet`].
//!
//! To add one: a code in [`codes`](crate::diagnostics::codes), a file with its `RULE` and its check, a line in the table of its
//! room, and a case in `tests/cases/rules/`. `docs/findings.md` is generated ([`page`]).
//!
//! A rule that is often wrong makes people read none. So it is silent where it cannot know: when something may be made
//! elsewhere, when a value is only known after apply. Each rule takes time that is linear in the resources of the owner.

mod claims;
pub mod documents;
mod findings;
pub mod image;
mod nested;
pub mod page;
mod place;
mod view;

use std::sync::Arc;

use jiff::Timestamp;

pub use claims::Claim;
pub use findings::Findings;
pub use view::{OwnerView, is_elsewhere};

use crate::desired::{Blueprints, CompiledResource, OwnerResources, Problems};
use crate::diagnostics::{Code, Diagnostic, has_errors};
use crate::model::address::{Address, Owner};
use crate::model::config::{Level, RulesTable};
use crate::model::document::{Estate, Scope};
use crate::model::kind::Catalogue;
use crate::model::resource::Desired;
use crate::resolve::{Environment, Resolved};
use findings::{Found, Where};

/// A rule, without its check.
#[derive(Debug)]
pub struct Rule {
    pub code: Code,
    /// Unless `tenantry.toml` has another.
    pub level: Level,
    /// Why it is wrong, in one or two sentences.
    pub cause: &'static str,
    /// What a finding is about, as YAML.
    pub example: &'static str,
    /// What to do, in one or two sentences.
    pub remedy: &'static str,
}

/// The rules of a provider, with their checks.
#[derive(Clone)]
pub struct RuleSet {
    /// In the order of their codes.
    pub rules: Vec<&'static Rule>,
    /// Checks the resources of one owner.
    pub check: fn(&OwnerView<'_>, &mut Findings<'_>),
    /// What a resource claims for itself alone among all owners.
    pub claims: fn(&Desired) -> Vec<Claim>,
}

/// What rules look at.
pub struct Inputs<'a> {
    pub estate: &'a Estate,
    pub environment: &'a Environment,
    pub catalogue: &'a Catalogue,
    pub sets: &'a [RuleSet],
    pub resolved: &'a Resolved<'a>,
    pub blueprints: &'a Blueprints<'a>,
    /// Every owner's resources: those of the estate and of tiers before those of tenants.
    pub owners: &'a [OwnerResources],
    pub threads: usize,
    /// What the expiry of Approvals is compared with.
    pub now: Timestamp,
}

/// The level of each rule.
pub struct Levels<'a>(&'a RulesTable);

impl Levels<'_> {
    /// The level of a rule in this estate.
    pub fn of(&self, rule: &Rule) -> Level {
        self.0.levels.get(rule.code.0).copied().unwrap_or(rule.level)
    }
}

/// Runs every rule that is on. Resources are left out if the estate has errors: what is missing would only be reported again.
pub fn check(inputs: &Inputs<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let levels = Levels(&inputs.estate.config.rules);
    let mut problems = Problems::default();
    let mut findings = Findings::new(&levels);
    let with_resources = !has_errors(diagnostics);
    documents::check(inputs, with_resources, &mut findings);
    for found in findings.into_found() {
        diagnostics.extend(diagnostic(inputs, &levels, found).map(|(diagnostic, _)| diagnostic));
    }
    if with_resources {
        let chunk = inputs.owners.len().div_ceil(inputs.threads.max(1)).max(1);
        let shared = shared(inputs.owners);
        let found: Vec<Vec<Found>> = std::thread::scope(|threads| {
            let workers: Vec<_> = inputs
                .owners
                .chunks(chunk)
                .map(|owners| {
                    let (shared, levels) = (&shared, &levels);
                    threads.spawn(move || of_owners(inputs, owners, shared, levels))
                })
                .collect();
            let found = workers.into_iter();
            found.map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
        });
        let found =
            found.into_iter().flatten().chain(claims::check(inputs, &levels)).chain(nested::check(inputs, &levels));
        for (diagnostic, owner) in found.filter_map(|found| diagnostic(inputs, &levels, found)) {
            match owner {
                Some(owner) => problems.add_alike(diagnostic, &owner),
                None => diagnostics.push(diagnostic),
            }
        }
    }
    diagnostics.extend(problems.into_diagnostics());
}

/// Resources of the estate and of tiers, to which those of tenants may refer.
fn shared(owners: &[OwnerResources]) -> Vec<&Desired> {
    let is_shared = |owner: &&OwnerResources| owner.owner.tenant().is_none();
    owners.iter().filter(is_shared).flat_map(|owner| &owner.resources).collect()
}

fn of_owners(inputs: &Inputs<'_>, owners: &[OwnerResources], shared: &[&Desired], levels: &Levels<'_>) -> Vec<Found> {
    let mut findings = Findings::new(levels);
    for OwnerResources { owner, resources } in owners.iter().filter(|owner| !owner.resources.is_empty()) {
        let view = OwnerView { owner, resources, shared, settings: &inputs.estate.config.rules, inputs };
        for set in inputs.sets {
            (set.check)(&view, &mut findings);
        }
    }
    findings.into_found()
}

/// A finding in its final form, with the owner whose resource it is about.
fn diagnostic(inputs: &Inputs<'_>, levels: &Levels<'_>, found: Found) -> Option<(Diagnostic, Option<Owner>)> {
    let Found { rule, place, message, label, help, related } = found;
    let build = match levels.of(rule) {
        Level::Off => return None,
        Level::Warning => Diagnostic::warning,
        Level::Error => Diagnostic::error,
    };
    let (message, origin, owner) = match place {
        Where::Document(origin) => (message, origin, None),
        Where::Resource { address, kind, origin, pointer, spec } => {
            let origin = compiled(inputs, &address).map_or(origin, |compiled| {
                let written = place::written(&compiled.template.spec, &spec.value(), &pointer);
                compiled.origin(&format!("/spec{written}"))
            });
            (format!("{kind} `{}`: {message}", address.id), origin, Some(address.owner))
        }
    };
    let mut diagnostic = build(rule.code, message).at(origin, label).help(help);
    diagnostic.related.extend(related);
    Some((diagnostic, owner))
}

/// The resource of a blueprint that a resource is made of.
fn compiled<'a>(inputs: &Inputs<'a>, address: &Address) -> Option<&'a Arc<CompiledResource<'a>>> {
    let tier = tier_of(inputs, &address.owner);
    let scope = match &address.owner {
        Owner::Estate => Scope::Estate,
        Owner::Tier(_) => Scope::Tier,
        Owner::Tenant(_) => Scope::Tenant,
    };
    inputs.blueprints.find(scope, tier.as_deref(), &address.id)
}

fn tier_of(inputs: &Inputs<'_>, owner: &Owner) -> Option<Arc<str>> {
    match owner {
        Owner::Estate => None,
        Owner::Tier(tier) => Some(tier.clone()),
        Owner::Tenant(name) => {
            let tenants = &inputs.resolved.tenants;
            let at = tenants.binary_search_by(|tenant| (*tenant.name()).cmp(name)).ok()?;
            Some(tenants[at].tier.metadata.name.shared())
        }
    }
}

/// Every rule of the estate's documents and of some sets, in the order of their codes.
pub fn all(sets: &[RuleSet]) -> Vec<&'static Rule> {
    let mut rules: Vec<&'static Rule> = documents::rules().chain([&nested::RULE]).collect();
    rules.extend(sets.iter().flat_map(|set| set.rules.iter().copied()));
    rules.sort_by_key(|rule| rule.code);
    rules
}

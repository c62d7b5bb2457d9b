//! One owner's resources from its composition.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::blueprint::{Blueprints, CompiledResource, code_of};
use super::built::{Built, Entry, Instances};
use super::clock;
use super::dependencies::Shared;
use super::form;
use super::problems::Problems;
use super::{Inputs, OwnerResources};
use crate::diagnostics::{Diagnostic, Origin, Severity, codes};
use crate::expression::{self, Compiled, Scope, limits};
use crate::model::address::{Address, Owner};
use crate::model::kind::{self, Problem};
use crate::model::normal::Normal;
use crate::model::resource::{Desired, TargetName};
use crate::model::value::{Map, Value, is_within, with_article};
use crate::resolve::{ResolvedTenant, suggest};

/// What every owner's expansion shares.
pub struct Context<'a, 'e> {
    pub inputs: &'a Inputs<'e>,
    pub blueprints: &'a Blueprints<'e>,
    /// The resources of the estate and of the tiers, to which a tenant's may refer by name.
    pub shared: &'a Shared,
    /// Earlier names by owner.
    pub previous: &'a BTreeMap<Owner, Vec<Owner>>,
}

impl<'e> Context<'_, 'e> {
    /// Expands the resources of one owner. Resources with problems are left out, and so are those that refer to them.
    pub fn expand(
        &self,
        owner: Owner,
        composition: &[Arc<CompiledResource<'e>>],
        variables: &[(&'static str, Value)],
        tenant: Option<&ResolvedTenant<'_>>,
        problems: &mut Problems,
    ) -> OwnerResources {
        let scope = Scope::new(&owner, variables, self.blueprints.slots());
        let moved = clock::variables_at(variables, self.inputs.now);
        let looks_at_clock = composition.iter().any(|resource| resource.uses_now);
        let moved = looks_at_clock
            .then(|| moved.each_ref().map(|variables| Scope::new(&owner, variables, self.blueprints.slots())));
        let mut expansion = Expansion {
            context: self,
            owner: &owner,
            scope: &scope,
            moved: moved.as_ref(),
            tenant,
            built: Built::new(self.inputs.outputs, composition.len()),
            seen: Vec::with_capacity(composition.len()),
            problems,
        };
        for resource in composition {
            let entry = expansion.resource(resource);
            expansion.built.insert(resource.template.id.clone(), entry);
        }
        let Expansion { built, seen, .. } = expansion;
        let (mut resources, by_id) = built.into_parts();
        Self::check_together(&owner, composition, &resources, problems);
        self.order(&owner, composition, &by_id, &seen, &mut resources, problems);
        OwnerResources { owner, resources }
    }

    fn report(
        &self,
        resource: &CompiledResource<'_>,
        problem: &expression::Problem,
        owner: &Owner,
        problems: &mut Problems,
    ) {
        // What refers to a resource that has a problem of its own would only repeat it.
        if problem.error.message.is_empty() {
            return;
        }
        let mut diagnostic = Diagnostic::error(
            code_of(problem.error.failure),
            format!(
                "expression `{}` of resource `{}`: {}",
                expression::quoted(&problem.source),
                resource.template.id,
                problem.error.message
            ),
        )
        .at(self.inputs.estate.files.within(resource.origin(&problem.pointer), &problem.source), "");
        let otherwise = || Some("`tenantry show TENANT` shows a tenant's values".to_owned());
        diagnostic.help = problem.error.help.clone().or_else(otherwise);
        problems.add(diagnostic, owner);
    }

    /// The target of a resource: its own, else the one of the tenant's placement, else the only or default one.
    fn target(
        &self,
        resource: &CompiledResource<'_>,
        named: Option<TargetName>,
        tenant: Option<&ResolvedTenant<'_>>,
    ) -> Result<TargetName, Box<Diagnostic>> {
        let provider = resource.kind.provider();
        let targets = &self.inputs.environment.targets;
        let candidates = || targets.iter().filter(|(_, table)| &*table.provider == provider);
        let names = || candidates().map(|(name, _)| &**name);
        let check = |name: &str, origin: Origin| match targets.get_key_value(name) {
            Some((name, table)) if &*table.provider == provider => Ok(name.clone()),
            Some((_, table)) => Err(Box::new(
                Diagnostic::error(
                    codes::UNKNOWN_TARGET,
                    format!(
                        "target `{name}` is of provider `{}`, but {} needs `{provider}`",
                        table.provider, resource.kind.name
                    ),
                )
                .at(origin, "chosen here")
                .help(suggest(
                    name,
                    names(),
                    &format!("targets of {provider} are"),
                    "declare one in tenantry.toml",
                )),
            )),
            None => Err(Box::new(
                Diagnostic::error(codes::UNKNOWN_TARGET, format!("target `{name}` does not exist"))
                    .at(origin, "chosen here")
                    .help(suggest(name, names(), &format!("targets of {provider} are"), "declare it in tenantry.toml")),
            )),
        };
        if let Some(name) = named {
            return check(&name, resource.origin("/target"));
        }
        let key = self.inputs.placement_keys.get(provider).copied().unwrap_or(provider);
        if let Some(tenant) = tenant
            && let Some(name) = tenant.document.spec.placement.get(key)
        {
            return check(name, tenant.document.positions.origin(&format!("/spec/placement/{key}")));
        }
        let mut all = candidates();
        match (all.next(), all.next()) {
            (Some((only, _)), None) => Ok(only.clone()),
            (None, _) => Err(Box::new(
                Diagnostic::error(codes::UNKNOWN_TARGET, format!("no target has the provider `{provider}`"))
                    .at(resource.origin("/kind"), format!("needs a target of {provider}"))
                    .help("declare one in tenantry.toml: [targets.NAME] with provider = \"…\""),
            )),
            (Some(_), Some(_)) => match candidates().filter(|(_, table)| table.default).collect::<Vec<_>>().as_slice() {
                [(only, _)] => Ok((*only).clone()),
                [_, _, ..] => Err(Box::new(
                    Diagnostic::error(
                        codes::AMBIGUOUS_TARGET,
                        format!("several targets of the provider `{provider}` have `default = true`"),
                    )
                    .at(resource.origin("/kind"), "which one is meant")
                    .help("keep `default = true` in one of them only"),
                )),
                [] => Err(Box::new(
                    Diagnostic::error(codes::AMBIGUOUS_TARGET, format!("several targets have the provider `{provider}`"))
                        .at(resource.origin("/kind"), "which one is meant")
                        .help(format!(
                            "write `placement: {{{key}: NAME}}` in the tenant, `target: NAME` in the resource, or `default = true` in one target; targets are {}",
                            names().collect::<Vec<_>>().join(", ")
                        )),
                )),
            },
        }
    }

    fn build(
        &self,
        resource: &CompiledResource<'e>,
        owner: &Owner,
        each: Option<&Arc<str>>,
        target: &TargetName,
        spec: &Value,
        problems: &mut Problems,
    ) -> Option<Desired> {
        let kind = &resource.kind;
        let address = Address { owner: owner.clone(), id: resource.template.id.clone(), each: each.cloned() };
        let Value::Map(spec) = spec else {
            problems.add(wrong_type(resource, "/spec", "a mapping", spec), owner);
            return None;
        };
        let before = problems.count();
        self.check_schema(resource, spec, owner, problems);
        if problems.count() > before {
            return None;
        }
        // From here on nothing depends on how it was written.
        let (written, mut found) = (Value::Map(spec.clone()), kind.left_out_of(spec));
        let spec = kind.normal(spec);
        found.extend((kind.check)(&spec).into_iter().map(|problem| {
            let pointer = form::as_written(&written, &spec.value(), &problem.pointer);
            Problem { pointer, ..problem }
        }));
        let mut refused = false;
        for problem in found {
            refused |= problem.severity == Severity::Error;
            problems.add(of_spec(resource, problem), owner);
        }
        for limit in kind.name_limits {
            if let Some(Value::Text(name)) = kind::at(&spec, limit.pointer)
                && name.len() > limit.bytes
            {
                let message = format!("`{name}` has {} bytes, but {} takes {}", name.len(), limit.source, limit.bytes);
                let diagnostic = Diagnostic::error(codes::NAME_TOO_LONG, message)
                    .at(resource.origin(&format!("/spec{}", limit.pointer)), "too long")
                    .help("shorten it with a hash: ${ident(tenant.name, 40)} or ${dnsLabel(tenant.name, 40)}");
                problems.add(diagnostic, owner);
                refused = true;
            }
        }
        if refused {
            return None;
        }
        // Names stand in plans, journals and messages.
        let made_of_secret = || {
            let is_made = kind.by_spec.is_some() && kind.identity_of(&spec).is_none();
            (is_made && written.has_secret()).then_some(&"the name")
        };
        let named = kind.identity.iter().find(|field| spec.get(field).is_some_and(Value::has_secret));
        if let Some(field) = named.or_else(made_of_secret) {
            let message =
                format!("`{field}` of resource `{}` is its name and cannot hold a secret", resource.template.id);
            let diagnostic = Diagnostic::error(codes::DEFERRED_IN_EXPRESSION, message)
                .at(resource.origin(&format!("/spec/{field}")), "")
                .help("use another value in the name, and put the secret into another field");
            problems.add(diagnostic, owner);
            return None;
        }
        let sensitive = form::as_normal(&written, &spec.value(), &resource.sensitive);
        let personal = kind.identity.iter().find(|field| {
            let at = format!("/{field}");
            sensitive.iter().any(|pointer| is_within(pointer, &at))
        });
        if let Some(field) = personal {
            let message = format!(
                "`{field}` of resource `{}` is its name and is personal or sensitive, but names are not masked",
                resource.template.id
            );
            let diagnostic = Diagnostic::warning(codes::RESOURCE_ADVICE, message)
                .at(resource.origin(&format!("/spec/{field}")), "shown in plans, journals and messages")
                .help("make the name of something else, such as ${tenant.name} or ${sha256(…)}");
            problems.add(diagnostic, owner);
        }
        let renamed =
            |owner: &Owner, id: &Arc<str>| Address { owner: owner.clone(), id: id.clone(), each: each.cloned() };
        let owners = self.previous.get(owner).map_or(&[][..], Vec::as_slice);
        let previously = std::iter::once(owner)
            .chain(owners)
            .flat_map(|owner| {
                std::iter::once(&resource.template.id)
                    .chain(&resource.template.previously)
                    .map(move |id| renamed(owner, id))
            })
            .filter(|old| *old != address)
            .collect();
        Some(Desired {
            identity: kind.identity_of(&spec),
            address,
            kind: kind.clone(),
            target: target.clone(),
            sensitive,
            spec,
            protect: resource.template.protect,
            optional: resource.template.optional,
            adopt: resource.template.adopt,
            depends_on: Vec::new(),
            previously,
            origin: resource.place(),
        })
    }

    fn check_schema(&self, resource: &CompiledResource<'_>, spec: &Arc<Map>, owner: &Owner, problems: &mut Problems) {
        let Some(validator) = self.blueprints.validator(&resource.kind) else { return };
        let value = Value::Map(spec.clone());
        if validator.is_valid(&value.to_json()) {
            return;
        }
        for form::Problem { pointer, message, help } in form::problems(&resource.kind, validator, &value) {
            let message = format!("{} `{}`: {message}", resource.kind.name, resource.template.id);
            let form = || format!("`tenantry schema {}` shows the form", resource.kind.name);
            let diagnostic = Diagnostic::error(codes::RESOURCE_SCHEMA, message)
                .at(resource.origin(&format!("/spec{pointer}")), "")
                .help(help.unwrap_or_else(form));
            problems.add(diagnostic, owner);
        }
    }

    /// Runs the checks of kinds over all resources of one owner.
    fn check_together(
        owner: &Owner,
        composition: &[Arc<CompiledResource<'e>>],
        resources: &[Desired],
        problems: &mut Problems,
    ) {
        let mut groups: BTreeMap<(&'static str, &TargetName), Vec<&Desired>> = BTreeMap::new();
        for desired in resources.iter().filter(|desired| desired.kind.check_together.is_some()) {
            groups.entry((desired.kind.name, &desired.target)).or_default().push(desired);
        }
        for group in groups.into_values() {
            let Some(check) = group.first().and_then(|desired| desired.kind.check_together) else { continue };
            let specs: Vec<&Normal> = group.iter().map(|desired| &desired.spec).collect();
            for (index, problem) in check(&specs) {
                let at = group.get(index).map(|desired| &desired.address.id);
                let resource = composition.iter().find(|resource| Some(&resource.template.id) == at);
                if let Some(resource) = resource {
                    problems.add(of_spec(resource, problem), owner);
                }
            }
        }
    }
}

/// The resources of one owner during expansion.
struct Expansion<'x, 'a, 'e> {
    context: &'x Context<'a, 'e>,
    owner: &'x Owner,
    scope: &'x Scope<'x>,
    /// The same at two other times, if some resource uses the clock.
    moved: Option<&'x [Scope<'x>; 2]>,
    tenant: Option<&'x ResolvedTenant<'x>>,
    built: Built<'x>,
    /// Of each resource, which of a `forEach` its expressions have looked at.
    seen: Vec<BTreeSet<usize>>,
    problems: &'x mut Problems,
}

impl<'e> Expansion<'_, '_, 'e> {
    fn resource(&mut self, resource: &CompiledResource<'e>) -> Entry {
        self.built.take_seen();
        self.try_resource(resource).unwrap_or(Entry::Broken)
    }

    /// `None` if it has a problem, which is reported.
    fn try_resource(&mut self, resource: &CompiledResource<'e>) -> Option<Entry> {
        if let Some(when) = &resource.when {
            match self.evaluate(resource, when, "/when", None)? {
                Value::Bool(true) => {}
                Value::Bool(false) => return Some(Entry::Left),
                other => return self.wrong_type(resource, "/when", "true or false", &other),
            }
        }
        let keys = match &resource.for_each {
            None => None,
            Some(for_each) => match self.evaluate(resource, for_each, "/forEach", None)? {
                Value::List(items) if items.len() > limits::ITEMS => {
                    return self.too_many(resource, items.len(), "of one `forEach`", limits::ITEMS);
                }
                Value::List(items) => {
                    self.check_clock(resource, for_each, "/forEach", None);
                    Some(items)
                }
                other => return self.wrong_type(resource, "/forEach", "a list of texts", &other),
            },
        };
        let target = match &resource.target {
            None => None,
            Some(target) => match self.evaluate(resource, target, "/target", None)? {
                Value::Text(name) => Some(TargetName::from(name)),
                other => return self.wrong_type(resource, "/target", "a target's name", &other),
            },
        };
        let target = match self.context.target(resource, target, self.tenant) {
            Ok(target) => target,
            Err(diagnostic) => {
                self.problems.add(*diagnostic, self.owner);
                return None;
            }
        };
        // What decides that the resources exist counts for each of them.
        let decisive = self.built.take_seen();
        let Some(keys) = keys else { return self.instance(resource, None, &target, &decisive).map(Entry::One) };
        let all = self.built.len() + keys.len();
        if all > limits::RESOURCES {
            return self.too_many(resource, all, "of one owner", limits::RESOURCES);
        }
        let mut known: BTreeSet<Arc<str>> = BTreeSet::new();
        let mut instances = Instances::default();
        for key in keys.iter() {
            let Value::Text(each) = key else {
                self.wrong_type::<()>(resource, "/forEach", "a list of texts", key);
                continue;
            };
            if !known.insert(each.clone()) {
                let message = format!("`forEach` of resource `{}` has {each:?} twice", resource.template.id);
                let diagnostic = Diagnostic::error(codes::DUPLICATE_RESOURCE_ID, message)
                    .at(resource.origin("/forEach"), "each item becomes one resource")
                    .help("remove the duplicate item");
                self.problems.add(diagnostic, self.owner);
                continue;
            }
            if let Some(place) = self.instance(resource, Some(each), &target, &decisive) {
                instances.insert(each.clone(), place);
            }
        }
        Some(Entry::Each(instances))
    }

    /// Expands one resource, and returns its index.
    fn instance(
        &mut self,
        resource: &CompiledResource<'e>,
        each: Option<&Arc<str>>,
        target: &TargetName,
        decisive: &BTreeSet<usize>,
    ) -> Option<usize> {
        let key = each.cloned().map(Value::Text);
        let spec = self.evaluate(resource, &resource.spec, "/spec", key.as_ref())?;
        let mut seen = self.built.take_seen();
        seen.extend(decisive);
        let desired = self.context.build(resource, self.owner, each, target, &spec, self.problems)?;
        self.check_clock(resource, &resource.spec, "/spec", key.as_ref());
        self.seen.push(seen);
        Some(self.built.push(desired))
    }

    fn evaluate(
        &mut self,
        resource: &CompiledResource<'e>,
        compiled: &Compiled,
        pointer: &str,
        each: Option<&Value>,
    ) -> Option<Value> {
        match compiled.evaluate(self.scope, each, &self.built, &mut pointer.to_owned()) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.context.report(resource, &problem, self.owner, self.problems);
                None
            }
        }
    }

    fn check_clock(
        &mut self,
        resource: &CompiledResource<'e>,
        compiled: &Compiled,
        pointer: &str,
        each: Option<&Value>,
    ) {
        if let Some(moved) = self.moved.filter(|_| resource.uses_now)
            && let Some(finding) = clock::finding(resource, compiled, pointer, moved, each, &self.built)
        {
            self.problems.add(finding, self.owner);
        }
        self.built.take_seen();
    }

    fn wrong_type<T>(
        &mut self,
        resource: &CompiledResource<'e>,
        pointer: &str,
        wanted: &str,
        got: &Value,
    ) -> Option<T> {
        self.problems.add(wrong_type(resource, pointer, wanted, got), self.owner);
        None
    }

    fn too_many(&mut self, resource: &CompiledResource<'e>, count: usize, of: &str, most: usize) -> Option<Entry> {
        let message = format!(
            "resource `{}` would yield {count} resources {of}; at most {most} are allowed",
            resource.template.id
        );
        let diagnostic = Diagnostic::error(codes::EXPRESSION_BOUND, message)
            .at(resource.origin("/forEach"), "each item becomes one resource")
            .help("shorten the list");
        self.problems.add(diagnostic, self.owner);
        None
    }
}

/// A problem that a kind finds in a spec, at its place in the blueprint.
fn of_spec(resource: &CompiledResource<'_>, problem: Problem) -> Diagnostic {
    let Problem { pointer, message, severity, help } = problem;
    let message = format!("{} `{}`: {message}", resource.kind.name, resource.template.id);
    let diagnostic = match severity {
        Severity::Error => Diagnostic::error(codes::RESOURCE_SCHEMA, message),
        Severity::Warning => Diagnostic::warning(codes::RESOURCE_ADVICE, message),
    };
    diagnostic
        .at(resource.origin(&format!("/spec{pointer}")), "")
        .help(help.unwrap_or_else(|| format!("`tenantry schema {}` shows the form", resource.kind.name)))
}

fn wrong_type(resource: &CompiledResource<'_>, pointer: &str, wanted: &str, got: &Value) -> Diagnostic {
    let field = pointer.trim_start_matches('/');
    Diagnostic::error(
        codes::EXPRESSION_TYPE,
        format!(
            "`{field}` of resource `{}` must be {wanted}, not {}",
            resource.template.id,
            with_article(got.type_name())
        ),
    )
    .at(resource.origin(pointer), "")
    .help(match pointer {
        "/when" => "write an expression that compares, such as ${tenant.phase == 'active'}",
        "/forEach" => "write a list such as [orders, billing], or an expression that yields one",
        "/target" => "write the name of a target, or an expression that yields one",
        _ => "write a mapping, or an expression that yields one",
    })
}

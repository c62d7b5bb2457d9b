//! Existing tenants → an estate, and the check that it reproduces them.
//!
//! Flow: documents of a folder, or objects of a cluster ([`cluster`]), become objects of tenants ([`originals`]); their estate
//! is drafted ([`core::import`](tenantry_core::import)); written down and read again it must yield every object as it was
//! ([`differences`]). What could not be taken over is reported with its place and the reason.

pub mod cluster;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tenantry_core::desired::OwnerResources;
use tenantry_core::diagnostics::{Diagnostic, Origin, Severity, codes};
use tenantry_core::import::{Item, snake};
use tenantry_core::model::address::Owner;
use tenantry_core::model::kind::readable_identity;
use tenantry_core::model::names::{DNS_LABEL_BYTES, Name, dns_label};
use tenantry_core::model::resource::Identity;
use tenantry_core::model::value::{Map, Value, readable_pointer};
use tenantry_kubernetes::mark::unmarked;
use tenantry_kubernetes::types::object::{self, Type};
use tenantry_kubernetes::types::{self, normalise, sorts};

/// An object of a tenant, as it was found.
#[derive(Clone, Debug)]
pub struct Original {
    pub tenant: Arc<str>,
    pub identity: Identity,
    /// Normalised.
    pub spec: Map,
    pub origin: Origin,
}

/// A document before its tenant is known.
pub struct Found {
    /// The folder of the tenant's documents; `None` if its namespace names the tenant.
    pub folder: Option<Arc<str>>,
    pub value: Value,
    pub origin: Origin,
}

/// The objects that can be taken over, in order, and a diagnostic for everything else.
pub fn originals(found: Vec<Found>) -> (Vec<Original>, Vec<Diagnostic>) {
    let mut diagnostics = Vec::new();
    let mut objects: Vec<(Option<Arc<str>>, Map, Origin)> = Vec::new();
    for Found { folder, value, origin } in found {
        let Value::Map(map) = &value else {
            diagnostics.push(left_out(
                origin,
                "this document is no object of a cluster",
                "a Kubernetes object has apiVersion and kind",
            ));
            continue;
        };
        let is_list = map.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"));
        match map.get("items").and_then(Value::as_list).filter(|_| is_list) {
            Some(items) => {
                for item in items {
                    match item.as_map() {
                        Some(item) => objects.push((folder.clone(), item.clone(), origin)),
                        None => diagnostics.push(left_out(
                            origin,
                            "an item of this list is not a Kubernetes object",
                            "a Kubernetes object has apiVersion and kind",
                        )),
                    }
                }
            }
            None => objects.push((folder, Map::clone(map), origin)),
        }
    }
    let namespaces = namespaces(&objects);
    let namespaced = namespaced_types(&objects);
    let mut taken: Vec<Original> = Vec::new();
    let mut places: HashMap<(Arc<str>, Identity), usize> = HashMap::new();
    for (folder, object, origin) in objects {
        match original(folder, &object, origin, &namespaces, &namespaced, &mut diagnostics) {
            Ok(original) => match places.get(&(original.tenant.clone(), original.identity.clone())) {
                Some(at) => again(&mut taken[*at], original, &mut diagnostics),
                None => {
                    places.insert((original.tenant.clone(), original.identity.clone()), taken.len());
                    taken.push(original);
                }
            },
            Err(diagnostic) => diagnostics.push(*diagnostic),
        }
    }
    let taken = owned_once(taken, &mut diagnostics);
    (taken, diagnostics)
}

fn left_out(origin: Origin, why: &str, help: &str) -> Diagnostic {
    Diagnostic::warning(codes::IMPORT_LEFT_OUT, why).at(origin, "not taken over").help(help)
}

fn changed(origin: Origin, what: impl Into<String>, label: &str) -> Diagnostic {
    Diagnostic::warning(codes::IMPORT_CHANGED, what).at(origin, label)
}

/// The namespace of each folder: that of its Namespace, or else the only one that its objects name.
fn namespaces(objects: &[(Option<Arc<str>>, Map, Origin)]) -> BTreeMap<Arc<str>, Arc<str>> {
    let mut named: BTreeMap<Arc<str>, Vec<Arc<str>>> = BTreeMap::new();
    let mut declared: BTreeMap<Arc<str>, Vec<Arc<str>>> = BTreeMap::new();
    for (folder, object, _) in objects {
        let Some(folder) = folder else { continue };
        if Type::of(object).is_some_and(|of| of.is("", "Namespace")) {
            declared.entry(folder.clone()).or_default().extend(object::name(object).map(Into::into));
        }
        named.entry(folder.clone()).or_default().extend(object::namespace(object).map(Into::into));
    }
    for (folder, names) in declared {
        named.insert(folder, names);
    }
    let only = |(folder, mut names): (Arc<str>, Vec<Arc<str>>)| {
        names.sort();
        names.dedup();
        (names.len() == 1).then(|| names.pop().map(|name| (folder, name))).flatten()
    };
    named.into_iter().filter_map(only).collect()
}

/// Types whose objects belong to namespaces: known types, or types of which other objects do.
fn namespaced_types(objects: &[(Option<Arc<str>>, Map, Origin)]) -> std::collections::HashSet<String> {
    let objects = objects.iter().map(|(_, object, _)| object).filter(|object| sorts::is_namespaced(object));
    objects.filter_map(|object| Type::of(object).map(|of| of.to_string())).collect()
}

fn original(
    folder: Option<Arc<str>>,
    object: &Map,
    origin: Origin,
    namespaces: &BTreeMap<Arc<str>, Arc<str>>,
    namespaced: &std::collections::HashSet<String>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Result<Original, Box<Diagnostic>> {
    let refused = |why: &str, help: &str| Box::new(left_out(origin, why, help));
    let (mut object, _) = unmarked(object);
    let Some(of) = Type::of(&object) else {
        return Err(refused("this document is not a Kubernetes object", "a Kubernetes object has apiVersion and kind"));
    };
    let of_type = of.to_string();
    if !matches!(object.get("metadata"), Some(Value::Map(_))) || object::name(&object).is_none() {
        return Err(refused(
            "this object has no name",
            "write `name`; an object whose name the server generates (`generateName`) cannot be taken over",
        ));
    }
    if of.group == "kustomize.config.k8s.io" {
        return Err(refused("this is an input file of kustomize", "import the output of `kubectl kustomize`"));
    }
    if namespaced.contains(&of_type) && object::namespace(&object).is_none() {
        let Some(namespace) = folder.as_ref().and_then(|folder| namespaces.get(folder)) else {
            return Err(refused("this object has no namespace", "write `namespace` beside its name"));
        };
        let metadata = object.get("metadata").and_then(Value::as_map).cloned().unwrap_or_default();
        object = object.with("metadata", metadata.with("namespace", namespace.clone().into()).into());
        let what = format!("this object has no namespace; it was taken into `{namespace}`");
        diagnostics.push(changed(origin, what, "`kubectl apply --namespace` does the same"));
    }
    let kind = types::kind();
    let mut problems = kind.left_out_of(&object);
    problems.extend((kind.check)(&kind.normal(&object)));
    if let Some(problem) = problems.iter().find(|problem| problem.severity == Severity::Error) {
        let field = readable_pointer(&problem.pointer);
        let why = format!("{} ({field})", problem.message);
        return Err(refused(&why, problem.help.as_deref().unwrap_or("the cluster would refuse it")));
    }
    let spec = normalise(&object);
    let Some(identity) = object::identity(&spec) else {
        return Err(refused("this object has no name", "write `name`"));
    };
    let holds_data = |name: &str| spec.get(name).and_then(Value::as_map).is_some_and(|data| !data.is_empty());
    if of_type == "Secret" && (holds_data("data") || holds_data("stringData")) {
        return Err(refused(
            "this Secret holds values, which everybody could read in the estate",
            "add it to the blueprint with secret(…), or let an ExternalSecret fetch it",
        ));
    }
    let is_namespace = Type::of(&spec).is_some_and(|of| of.is("", "Namespace"));
    let own = if is_namespace { object::name(&spec) } else { object::namespace(&spec) };
    let Some(tenant) = folder.as_deref().or(own) else {
        return Err(refused(
            "this object has no namespace, so it belongs to no tenant",
            "move it to the folder of its tenant, or add it to a blueprint of scope `estate`",
        ));
    };
    let tenant: Arc<str> = match Name::new(tenant) {
        Ok(name) => name.shared(),
        Err(_) => dns_label(tenant, DNS_LABEL_BYTES).into(),
    };
    if &*tenant == "estate" {
        return Err(refused("a tenant cannot be called `estate`", "give its folder another name"));
    }
    Ok(Original { tenant, identity, spec, origin })
}

/// Handles a second object with the same identity. As with kubectl, the later one counts.
fn again(first: &mut Original, second: Original, diagnostics: &mut Vec<Diagnostic>) {
    let name = readable_identity(&first.identity);
    let diagnostic = if first.spec == second.spec {
        changed(second.origin, format!("{name} appears twice with the same content"), "taken once")
            .related(first.origin, "first here")
    } else {
        let earlier = std::mem::replace(first, second);
        left_out(
            earlier.origin,
            &format!("{name} appears twice with different content"),
            "the later one was taken, as `kubectl apply` does; remove one of them",
        )
        .related(first.origin, "the one that was taken")
    };
    diagnostics.push(diagnostic);
}

/// Gives each object to one tenant: the first of those that have it.
fn owned_once(taken: Vec<Original>, diagnostics: &mut Vec<Diagnostic>) -> Vec<Original> {
    let mut owners: HashMap<Identity, (Arc<str>, Origin)> = HashMap::new();
    let mut once = Vec::with_capacity(taken.len());
    for original in taken {
        match owners.get(&original.identity) {
            Some((tenant, origin)) => {
                let name = readable_identity(&original.identity);
                let why = format!("{name} already belongs to tenant `{tenant}`");
                let help = "an object has one owner: remove it from one of the tenants, or add it to a blueprint of scope `estate`";
                diagnostics.push(left_out(original.origin, &why, help).related(*origin, "the one that was taken"));
            }
            None => {
                owners.insert(original.identity.clone(), (original.tenant.clone(), original.origin));
                once.push(original);
            }
        }
    }
    once
}

/// The objects as items for the draft of an estate.
pub fn items(originals: &[Original]) -> Vec<Item> {
    let mut groups: BTreeMap<&str, std::collections::BTreeSet<&str>> = BTreeMap::new();
    for of in originals.iter().filter_map(|original| Type::of(&original.spec)) {
        groups.entry(of.kind).or_default().insert(of.group);
    }
    let item = |original: &Original| {
        let of = Type::of(&original.spec)?;
        // Two types of one kind are told apart by the group of the one that is not the server's own.
        let ambiguous = of.is_custom() && groups.get(of.kind).is_some_and(|groups| groups.len() > 1);
        let group = of.group.split('.').next().unwrap_or_default();
        let kind = if ambiguous { format!("{group}-{}", of.kind) } else { of.kind.to_owned() };
        let api_version = original.spec.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
        Some(Item {
            tenant: original.tenant.clone(),
            sort: format!("{of} {api_version}").into(),
            word: snake(&kind),
            name: object::name(&original.spec)?.into(),
            spec: original.spec.clone(),
            is_quota: of.group.is_empty() && matches!(of.kind, "ResourceQuota" | "LimitRange"),
        })
    };
    originals.iter().filter_map(item).collect()
}

/// The differences between what the estate yields and what was found. Empty if the import is right.
pub fn differences(originals: &[Original], owners: &[OwnerResources]) -> Vec<String> {
    let mut yielded: HashMap<(Owner, Identity), &Map> = HashMap::new();
    let mut differences = Vec::new();
    for owner in owners {
        for desired in &owner.resources {
            match &desired.identity {
                Some(identity) => {
                    yielded.insert((owner.owner.clone(), identity.clone()), &desired.spec);
                }
                None => differences.push(format!("{} has no name", desired.address)),
            }
        }
    }
    for original in originals {
        let key = (Owner::Tenant(original.tenant.clone()), original.identity.clone());
        let name = || format!("{} of {}", readable_identity(&original.identity), original.tenant);
        match yielded.remove(&key) {
            None => differences.push(format!("{} is missing", name())),
            Some(spec) if *spec != original.spec => {
                let mut fields = Vec::new();
                let (before, after) = (Value::from(original.spec.clone()), Value::from(spec.clone()));
                let mut note = |pointer: &str, value: &Value, other: &Value| {
                    if other.pointer(pointer) != Some(value) {
                        fields.push(readable_pointer(pointer));
                    }
                };
                before.for_each_leaf(&mut |pointer, value| note(pointer, value, &after));
                after.for_each_leaf(&mut |pointer, value| note(pointer, value, &before));
                fields.sort();
                fields.dedup();
                differences.push(format!("{} differs in {}", name(), fields.join(", ")));
            }
            Some(_) => {}
        }
    }
    let more = yielded
        .into_keys()
        .map(|(owner, identity)| format!("{} of {owner} is not among the originals", readable_identity(&identity)));
    differences.extend(more);
    differences.sort();
    differences
}

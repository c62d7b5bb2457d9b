//! One owner's objects of one cluster.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use super::makers::Makers;
use crate::types::OBJECT;
use crate::types::object::{self, Type, at, pod_spec_path};
use tenantry_core::model::resource::Desired;
use tenantry_core::model::value::{Map, Value};
use tenantry_core::rules::OwnerView;

/// One object whose type and name are known.
#[derive(Clone, Copy)]
pub struct Object<'a> {
    pub desired: &'a Desired,
    pub spec: &'a Map,
    pub of: Type<'a>,
    /// Empty for an object of the whole cluster.
    pub namespace: &'a str,
    pub name: &'a str,
}

impl<'a> Object<'a> {
    pub fn new(desired: &'a Desired) -> Option<Self> {
        let spec: &Map = &desired.spec;
        let namespace = object::namespace(spec).unwrap_or_default();
        Some(Self { desired, spec, of: Type::of(spec)?, namespace, name: object::name(spec)? })
    }

    pub fn at(&self, path: &[&str]) -> Option<&'a Value> {
        at(self.spec, path)
    }

    pub fn list(&self, path: &[&str]) -> &'a [Value] {
        self.at(path).and_then(Value::as_list).unwrap_or_default()
    }

    pub fn text(&self, path: &[&str]) -> Option<&'a str> {
        self.at(path).and_then(Value::as_str)
    }

    /// Whether an operator may make pods, Services, Secrets or ConfigMaps of it.
    pub fn has_children(&self) -> bool {
        self.of.is_custom() && !WITHOUT_CHILDREN.contains(&self.of.group)
    }

    pub fn labels(&self) -> Option<&'a Map> {
        self.at(&["metadata", "labels"]).and_then(Value::as_map)
    }
}

/// What makes pods, and their template.
pub struct Pod<'a> {
    pub object: Object<'a>,
    /// The pod's spec, and its pointer.
    pub spec: &'a Value,
    pub pointer: String,
    pub labels: Option<&'a Map>,
}

/// A container of a pod.
pub struct Container<'a> {
    pub name: &'a str,
    pub value: &'a Value,
    pub pointer: String,
}

impl<'a> Pod<'a> {
    fn new(object: Object<'a>) -> Option<Self> {
        let path = pod_spec_path(object.of)?;
        let spec = object.at(path)?;
        let template = &path[..path.len() - 1];
        let labels: Vec<&str> = template.iter().copied().chain(["metadata", "labels"]).collect();
        let labels = object.at(&labels).and_then(Value::as_map);
        Some(Self { object, spec, pointer: format!("/{}", path.join("/")), labels })
    }

    pub fn containers(&self) -> Vec<Container<'a>> {
        let mut found = Vec::new();
        for list in ["containers", "initContainers"] {
            let items = self.spec.get(list).and_then(Value::as_list).unwrap_or_default();
            found.extend(items.iter().enumerate().map(|(index, value)| Container {
                name: value.get("name").and_then(Value::as_str).unwrap_or_default(),
                value,
                pointer: format!("{}/{list}/{index}", self.pointer),
            }));
        }
        found
    }
}

/// One owner's objects of one cluster, and what rules ask of them.
pub struct Objects<'a> {
    pub view: &'a OwnerView<'a>,
    pub target: &'a str,
    pub all: Vec<Object<'a>>,
    /// Whether objects of any namespace may come from elsewhere: something deploys them, or the name or type of one is only
    /// known after apply.
    is_open: bool,
    /// Namespaces with a resource from which others may come.
    open: BTreeSet<&'a str>,
    pods: Vec<Pod<'a>>,
    makers: OnceCell<Makers<'a>>,
}

/// Groups of custom resources from which no pod, Service, Secret or ConfigMap comes that is not accounted for.
const WITHOUT_CHILDREN: [&str; 16] = [
    "bitnami.com",
    "cert-manager.io",
    "cilium.io",
    "crd.projectcalico.org",
    "external-secrets.io",
    "grafana.integreatly.org",
    "keda.sh",
    "kyverno.io",
    "monitoring.coreos.com",
    "monitoring.rhobs",
    "networking.istio.io",
    "secrets.hashicorp.com",
    "security.istio.io",
    "telemetry.istio.io",
    "traefik.containo.us",
    "traefik.io",
];

/// Groups whose resources deploy anything, in any namespace.
const DEPLOYERS: [&str; 6] = [
    "apps.kubeblocks.io",
    "argoproj.io",
    "core.oam.dev",
    "helm.cattle.io",
    "helm.toolkit.fluxcd.io",
    "kustomize.toolkit.fluxcd.io",
];

impl<'a> Objects<'a> {
    pub fn new(view: &'a OwnerView<'a>, target: &'a str, objects: &[&'a Desired]) -> Self {
        let all: Vec<Object<'a>> = objects.iter().filter_map(|desired| Object::new(desired)).collect();
        let is_open = all.len() < objects.len() || all.iter().any(|object| DEPLOYERS.contains(&object.of.group));
        let open = all.iter().filter(|object| object.has_children()).map(|object| object.namespace).collect();
        let pods = all.iter().filter_map(|object| Pod::new(*object)).collect();
        Self { view, target, all, is_open, open, pods, makers: OnceCell::new() }
    }

    /// Objects of a type.
    pub fn of(&self, group: &'static str, kind: &'static str) -> impl Iterator<Item = &Object<'a>> {
        self.all.iter().filter(move |object| object.of.is(group, kind))
    }

    /// Objects of a type that the estate or a tier makes in the same cluster.
    pub fn shared(&self, group: &'static str, kind: &'static str) -> impl Iterator<Item = Object<'a>> {
        let of_cluster =
            self.view.shared.iter().filter(|desired| desired.kind.name == OBJECT && *desired.target == *self.target);
        of_cluster.filter_map(|desired| Object::new(desired)).filter(move |object| object.of.is(group, kind))
    }

    /// Everything with a pod template.
    pub fn pods(&self) -> &[Pod<'a>] {
        &self.pods
    }

    /// Whether this owner makes a namespace.
    pub fn makes_namespace(&self, namespace: &str) -> bool {
        self.of("", "Namespace").any(|object| object.name == namespace)
    }

    /// Whether objects of a namespace may come from others that the estate has there, or are not known yet.
    pub fn may_have_more(&self, namespace: &str) -> bool {
        self.is_open || self.open.contains(namespace)
    }

    pub fn makers(&self) -> &Makers<'a> {
        self.makers.get_or_init(|| Makers::of(&self.all))
    }
}

//! What the pods of a workload ask for, after the defaults that the server and a LimitRange give them.

use std::collections::BTreeMap;

use super::limits::Bounds;
use crate::types::object::{self, Type, at, pod_spec_path};
use crate::types::quantity::Quantity;
use tenantry_core::model::value::{Map, Value, push_token};

pub const ONE: Quantity = Quantity::whole(1);

/// Amounts by resource. One that is said but not known yet counts as nothing.
#[derive(Clone, Debug, Default)]
pub struct Amounts(pub BTreeMap<String, Option<Quantity>>);

impl Amounts {
    pub fn of(value: Option<&Value>) -> Self {
        let fields = value.and_then(Value::as_map).into_iter().flat_map(Map::iter);
        Self(fields.map(|(name, value)| (name.to_string(), Quantity::of(value))).collect())
    }

    pub fn says(&self, resource: &str) -> bool {
        self.0.contains_key(resource)
    }

    pub fn get(&self, resource: &str) -> Option<Quantity> {
        self.0.get(resource).copied().flatten()
    }

    /// What `other` says and this does not.
    pub fn fill(&mut self, other: &Self) {
        for (name, amount) in &other.0 {
            self.0.entry(name.clone()).or_insert(*amount);
        }
    }

    fn add(&mut self, other: &Self) {
        for (name, amount) in &other.0 {
            let have = self.get(name).unwrap_or(Quantity::zero());
            self.0.insert(name.clone(), Some(amount.map_or(have, |amount| have.plus(amount))));
        }
    }

    fn raise(&mut self, other: &Self) {
        for (name, amount) in &other.0 {
            if self.get(name) < *amount {
                self.0.insert(name.clone(), *amount);
            }
        }
    }
}

/// A container, with its defaults.
pub struct Container {
    pub name: String,
    pub pointer: String,
    pub requests: Amounts,
    pub limits: Amounts,
}

/// What makes pods.
pub struct Workload<'a> {
    /// Its place in the list of objects.
    pub index: usize,
    pub name: &'a str,
    /// At least so many pods at a time; `None` if it depends on nodes or the clock.
    pub replicas: Option<u32>,
    pub containers: Vec<Container>,
    /// Of one pod.
    pub requests: Amounts,
    pub limits: Amounts,
}

impl<'a> Workload<'a> {
    pub fn of(index: usize, spec: &'a Map, objects: &[(usize, &Map)], bounds: &Bounds) -> Option<Self> {
        let of = Type::of(spec).filter(|of| !of.is("", "PodTemplate"))?;
        let path = pod_spec_path(of)?;
        let pod = at(spec, path)?;
        let pointer = format!("/{}", path.join("/"));
        let (app, init) =
            (containers(pod, &pointer, "containers", bounds), containers(pod, &pointer, "initContainers", bounds));
        let total = |pick: fn(&Container) -> &Amounts| {
            let mut total = Amounts::default();
            app.iter().for_each(|container| total.add(pick(container)));
            // Containers that run first run one after another.
            init.iter().for_each(|container| total.raise(pick(container)));
            total
        };
        Some(Self {
            index,
            name: object::name(spec).unwrap_or_default(),
            replicas: scaled(of, spec, objects).or_else(|| replicas(of, spec)),
            requests: total(|container| &container.requests),
            limits: total(|container| &container.limits),
            containers: app.into_iter().chain(init).collect(),
        })
    }
}

fn containers(pod: &Value, pointer: &str, field: &str, bounds: &Bounds) -> Vec<Container> {
    let list = pod.get(field).and_then(Value::as_list).unwrap_or_default();
    let container = |(index, value): (usize, &Value)| {
        let mut pointer = format!("{pointer}/{field}");
        push_token(&mut pointer, &index.to_string());
        let mut limits = Amounts::of(value.pointer("/resources/limits"));
        let mut requests = Amounts::of(value.pointer("/resources/requests"));
        // SetDefaults_Pod comes first, the LimitRange's admission after it.
        requests.fill(&limits);
        requests.fill(&bounds.default_requests);
        limits.fill(&bounds.default_limits);
        let name = value.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        Container { name, pointer, requests, limits }
    };
    list.iter().enumerate().map(container).collect()
}

/// The pods that a workload has at least.
pub fn replicas(of: Type<'_>, spec: &Map) -> Option<u32> {
    let number = |path: &[&str]| match at(spec, path) {
        None => Some(1),
        Some(value) => u32::try_from(value.as_integer()?).ok(),
    };
    match (of.group, of.kind) {
        ("", "Pod") => Some(1),
        ("", "ReplicationController") | ("apps", "Deployment" | "ReplicaSet" | "StatefulSet") => {
            number(&["spec", "replicas"])
        }
        ("batch", "Job") if at(spec, &["spec", "suspend"]) == Some(&Value::Bool(true)) => Some(0),
        ("batch", "Job") => {
            let parallel = number(&["spec", "parallelism"])?;
            let completions = at(spec, &["spec", "completions"]).map(|_| number(&["spec", "completions"]));
            Some(completions.flatten().map_or(parallel, |completions| completions.min(parallel)))
        }
        _ => None,
    }
}

/// What a HorizontalPodAutoscaler keeps running at least.
fn scaled(of: Type<'_>, spec: &Map, objects: &[(usize, &Map)]) -> Option<u32> {
    let is_for = |scaler: &&Map| {
        let target = |field: &str| at(scaler, &["spec", "scaleTargetRef", field]).and_then(Value::as_str);
        Type::of(scaler).is_some_and(|of| of.is("autoscaling", "HorizontalPodAutoscaler"))
            && target("kind") == Some(of.kind)
            && target("name") == object::name(spec)
    };
    let scaler = objects.iter().map(|(_, spec)| *spec).find(is_for)?;
    match at(scaler, &["spec", "minReplicas"]) {
        None => Some(1),
        Some(value) => u32::try_from(value.as_integer()?).ok(),
    }
}

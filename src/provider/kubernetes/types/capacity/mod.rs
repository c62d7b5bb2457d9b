//! Whether what one owner runs in a namespace fits the ResourceQuota and the LimitRange that it has there.
//!
//! Everything is counted as a lower bound: what a rollout adds, what a DaemonSet runs for each node and what is only known
//! after apply is left out. So what is found is certain: the server would refuse those pods, one by one, with nobody
//! watching.

mod limits;
mod pods;

use std::collections::BTreeMap;

use super::object::{self, Type, at};
use super::quantity::Quantity;
pub use limits::limit_range_problems;
use limits::{Bounds, problems_of_pod};
use pods::Workload;
use tenantry_core::model::kind::Problem;
use tenantry_core::model::normal::Normal;
use tenantry_core::model::value::{Map, Value, push_token};

/// Resources that a container must say once a quota limits them (`validationSet` of `pkg/quota/v1/evaluator/core/pods.go`).
const DEMANDED: [(&str, &str, bool); 6] = [
    ("cpu", "cpu", false),
    ("limits.cpu", "cpu", true),
    ("limits.memory", "memory", true),
    ("memory", "memory", false),
    ("requests.cpu", "cpu", false),
    ("requests.memory", "memory", false),
];

/// What one owner's objects cannot be together, each problem with the place of its object in the list.
pub fn check_together(specs: &[&Normal]) -> Vec<(usize, Problem)> {
    let mut namespaces: BTreeMap<&str, Vec<(usize, &Map)>> = BTreeMap::new();
    for (index, spec) in specs.iter().enumerate() {
        if let Some(namespace) = object::namespace(spec) {
            namespaces.entry(namespace).or_default().push((index, spec));
        }
    }
    namespaces.values().flat_map(|objects| in_namespace(objects)).collect()
}

fn in_namespace(objects: &[(usize, &Map)]) -> Vec<(usize, Problem)> {
    let of_kind =
        |kind: &'static str| objects.iter().filter(move |(_, spec)| Type::of(spec).is_some_and(|of| of.is("", kind)));
    let quotas: Vec<_> = of_kind("ResourceQuota").filter(|(_, spec)| !is_scoped(spec)).collect();
    let bounds = Bounds::of(of_kind("LimitRange").map(|(_, spec)| *spec));
    if quotas.is_empty() && bounds.is_empty() {
        return Vec::new();
    }
    let workloads: Vec<Workload<'_>> =
        objects.iter().filter_map(|(index, spec)| Workload::of(*index, spec, objects, &bounds)).collect();
    let mut problems = Vec::new();
    for workload in &workloads {
        problems.extend(problems_of_pod(workload, &bounds).into_iter().map(|problem| (workload.index, problem)));
        for (_, quota) in &quotas {
            problems.extend(undemanded(workload, quota).into_iter().map(|problem| (workload.index, problem)));
        }
    }
    for (index, quota) in quotas {
        problems.extend(exceeded(quota, &workloads, objects).into_iter().map(|problem| (*index, problem)));
    }
    problems
}

/// Of a quota that counts only some pods it is not certain which.
fn is_scoped(quota: &Map) -> bool {
    ["scopes", "scopeSelector"].iter().any(|field| at(quota, &["spec", field]).is_some())
}

fn limits_of(quota: &Map) -> impl Iterator<Item = (&str, Quantity)> {
    let hard = at(quota, &["spec", "hard"]).and_then(Value::as_map).into_iter().flat_map(Map::iter);
    hard.filter_map(|(name, value)| Some((&**name, Quantity::of(value)?)))
}

/// What a quota demands of every container, and one leaves unsaid.
fn undemanded(workload: &Workload<'_>, quota: &Map) -> Vec<Problem> {
    let mut problems = Vec::new();
    let name = object::name(quota).unwrap_or_default();
    for (limited, _) in limits_of(quota) {
        let Some((_, resource, is_limit)) = DEMANDED.iter().find(|(name, _, _)| *name == limited) else { continue };
        let (word, field) = if *is_limit { ("limit", "limits") } else { ("request", "requests") };
        for container in &workload.containers {
            let said = if *is_limit { &container.limits } else { &container.requests };
            if !said.says(resource) {
                let message = format!(
                    "container `{}` has no {word} of {resource}, which ResourceQuota `{name}` requires of every container: its pods would be refused",
                    container.name
                );
                let help = format!(
                    "add resources.{field}.{resource} to the container, or a LimitRange with a default to the namespace"
                );
                problems.push(Problem::error(&*container.pointer, message).help(help));
            }
        }
    }
    problems
}

/// What is more than a quota allows.
fn exceeded(quota: &Map, workloads: &[Workload<'_>], objects: &[(usize, &Map)]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (limited, limit) in limits_of(quota) {
        let parts = used(limited, workloads, objects);
        let total = parts.iter().fold(Quantity::zero(), |total, part| total.plus(part.amount));
        if total <= limit {
            continue;
        }
        let mut pointer = "/spec/hard".to_owned();
        push_token(&mut pointer, limited);
        let listed: Vec<&str> = parts.iter().map(|part| &*part.words).filter(|words| !words.is_empty()).collect();
        let of = if listed.is_empty() { String::new() } else { format!(" ({})", listed.join(", ")) };
        let message = format!("the resources of the estate need {total} of `{limited}`{of}, but the quota is {limit}");
        problems.push(
            Problem::error(pointer, message).help("raise the quota, or lower the number of pods or their requests"),
        );
    }
    problems
}

/// What one object takes of a quota.
struct Part {
    amount: Quantity,
    /// Such as `web 3 × 500m`; a count is not listed by name.
    words: String,
}

fn used(limited: &str, workloads: &[Workload<'_>], objects: &[(usize, &Map)]) -> Vec<Part> {
    let of_pods = |pick: &dyn Fn(&Workload<'_>) -> Option<Quantity>| {
        let part = |workload: &Workload<'_>| {
            let each = pick(workload).filter(|each| !each.is_zero())?;
            let count = workload.replicas.filter(|count| *count > 0)?;
            Some(Part { amount: each.times(count), words: format!("{} {count} × {each}", workload.name) })
        };
        workloads.iter().filter_map(part).collect()
    };
    let requested = |resource: &str| of_pods(&|workload| workload.requests.get(resource));
    match limited {
        "pods" | "count/pods" => of_pods(&|_| Some(pods::ONE)),
        "requests.storage" => objects.iter().flat_map(|(_, spec)| storage(spec)).collect(),
        "cpu" | "memory" | "ephemeral-storage" => requested(limited),
        other => match other.split_once('.') {
            Some(("requests", resource)) => requested(resource),
            Some(("limits", resource)) => of_pods(&|workload| workload.limits.get(resource)),
            _ => objects.iter().filter(|(_, spec)| is_counted(limited, spec)).map(|_| counted()).collect(),
        },
    }
}

fn counted() -> Part {
    Part { amount: pods::ONE, words: String::new() }
}

/// What claims of a volume request, those that a StatefulSet makes for its pods among them.
fn storage(spec: &Map) -> Vec<Part> {
    let Some(of) = Type::of(spec) else { return Vec::new() };
    let requested = |claim: &Value| Quantity::of(claim.pointer("/spec/resources/requests/storage")?);
    let name = object::name(spec).unwrap_or_default();
    if of.is("", "PersistentVolumeClaim") {
        let part = |amount| Part { amount, words: format!("{name} {amount}") };
        return requested(&Value::from(spec.clone())).map(part).into_iter().collect();
    }
    if !of.is("apps", "StatefulSet") {
        return Vec::new();
    }
    let count = pods::replicas(of, spec).unwrap_or(0);
    let templates = at(spec, &["spec", "volumeClaimTemplates"]).and_then(Value::as_list).unwrap_or_default();
    let part = |amount: Quantity| Part { amount: amount.times(count), words: format!("{name} {count} × {amount}") };
    templates.iter().filter_map(requested).map(part).collect()
}

/// Whether a quota on a number of objects counts this one.
fn is_counted(limited: &str, spec: &Map) -> bool {
    let Some(of) = Type::of(spec) else { return false };
    let service = || at(spec, &["spec", "type"]).and_then(Value::as_str).unwrap_or("ClusterIP");
    match limited {
        "configmaps" => of.is("", "ConfigMap"),
        "persistentvolumeclaims" => of.is("", "PersistentVolumeClaim"),
        "replicationcontrollers" => of.is("", "ReplicationController"),
        "resourcequotas" => of.is("", "ResourceQuota"),
        "secrets" => of.is("", "Secret"),
        "services" => of.is("", "Service"),
        "services.loadbalancers" => of.is("", "Service") && service() == "LoadBalancer",
        "services.nodeports" => of.is("", "Service") && matches!(service(), "NodePort" | "LoadBalancer"),
        other => match other.strip_prefix("count/") {
            Some(counted) => {
                let (plural, group) = counted.split_once('.').unwrap_or((counted, ""));
                let singular = of.kind.to_ascii_lowercase();
                let stem = singular.strip_suffix('y').unwrap_or(&singular);
                group == of.group
                    && [format!("{singular}s"), format!("{singular}es"), format!("{stem}ies")]
                        .contains(&plural.to_owned())
            }
            None => false,
        },
    }
}

#[cfg(test)]
mod tests;

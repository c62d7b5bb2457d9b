//! The names that a ResourceQuota may limit.
//!
//! `ValidateResourceQuotaResourceName` of `k8s.io/kubernetes/pkg/apis/core/validation`: a name without a prefix is one of
//! a fixed list; `count/…`, extended resources and storage classes have a prefix.

use super::names::key_problem;
use super::object::{Type, at};
use super::quantity::Quantity;
use tenantry_core::diagnostics::nearest;
use tenantry_core::model::kind::Problem;
use tenantry_core::model::value::{Map, Value, push_token};

const NAMES: [&str; 20] = [
    "configmaps",
    "cpu",
    "ephemeral-storage",
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "memory",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
    "requests.storage",
    "resourcequotas",
    "secrets",
    "services",
    "services.loadbalancers",
    "services.nodeports",
    // Pages of any size: `hugepages-2Mi`.
    "hugepages-",
];

/// Of these only whole numbers exist.
fn is_counted(name: &str) -> bool {
    name.starts_with("count/")
        || name.contains("services")
        || matches!(
            name,
            "configmaps" | "persistentvolumeclaims" | "pods" | "replicationcontrollers" | "resourcequotas" | "secrets"
        )
}

/// What the server would refuse in `spec.hard`.
pub fn problems(of: Type<'_>, spec: &Map) -> Vec<Problem> {
    let mut problems = Vec::new();
    let Some(hard) = at(spec, &["spec", "hard"]).and_then(Value::as_map).filter(|_| of.is("", "ResourceQuota")) else {
        return problems;
    };
    for (name, limit) in hard.iter() {
        let mut pointer = "/spec/hard".to_owned();
        push_token(&mut pointer, name);
        if let Some(problem) = key_problem(name) {
            problems.push(Problem::error(&*pointer, format!("the resource `{name}` {problem}")));
        } else if !name.contains('/') && !is_standard(name) {
            problems
                .push(Problem::error(&*pointer, format!("a ResourceQuota cannot limit `{name}`")).help(remedy(name)));
        }
        match Quantity::of(limit) {
            Some(quantity) if quantity.is_negative() => {
                problems.push(Problem::error(&*pointer, format!("the limit of `{name}` cannot be negative")));
            }
            Some(quantity) if is_counted(name) && !quantity.is_whole() => {
                problems.push(Problem::error(&*pointer, format!("the limit of `{name}` must be a whole number")));
            }
            _ => {}
        }
    }
    problems
}

fn is_standard(name: &str) -> bool {
    NAMES.contains(&name) || name.starts_with("hugepages-") || name.starts_with("requests.hugepages-")
}

fn remedy(name: &str) -> String {
    match name {
        "storage" => "write requests.storage".into(),
        "limits.storage" => "write requests.storage; only requests of storage can be limited".into(),
        // What is counted besides those of the list is counted by resource and group.
        "deployments" | "statefulsets" | "daemonsets" | "replicasets" => format!("write count/{name}.apps"),
        "jobs" | "cronjobs" => format!("write count/{name}.batch"),
        "ingresses" => "write count/ingresses.networking.k8s.io".into(),
        name => match nearest(name, NAMES) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => "to limit the number of objects, write count/RESOURCE.GROUP, such as count/deployments.apps".into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_that_the_server_would_refuse_are_found() {
        let spec = json!({"spec": {"hard": {
            "pods": "50", "count/deployments.apps": "3", "requests.nvidia.com/gpu": 1, "hugepages-2Mi": "1Gi",
            "limits.cpus": "4", "deployments": "2", "storage": "1Gi", "services": "1500m", "secrets": "-1", "fun": "1",
        }}});
        let Value::Map(spec) = Value::from(spec) else { panic!("a map") };
        let of = Type { group: "", kind: "ResourceQuota" };
        let line = |problem: Problem| format!("{} {}", problem.message, problem.help.unwrap_or_default());
        let found: Vec<String> = problems(of, &spec).into_iter().map(line).collect();
        insta::assert_snapshot!(found.join("\n"), @r"
        a ResourceQuota cannot limit `deployments` write count/deployments.apps
        a ResourceQuota cannot limit `fun` to limit the number of objects, write count/RESOURCE.GROUP, such as count/deployments.apps
        a ResourceQuota cannot limit `limits.cpus` did you mean `limits.cpu`?
        the limit of `secrets` cannot be negative 
        the limit of `services` must be a whole number 
        a ResourceQuota cannot limit `storage` write requests.storage
        ");
    }
}

//! Items of one list that have the same keys: a server-side apply of such a list is refused ("duplicate entries for key").
//!
//! Source: `x-kubernetes-list-map-keys` of the server's own `OpenAPI` document, with the defaults of the keys.

use super::fields::{Place, at_places};
use super::object::{Type, pod_spec_path};
use tenantry_core::model::kind::Problem;
use tenantry_core::model::value::{Map, Value, readable_pointer};

/// A list and the fields by which its items are told apart, each with its default.
type Keyed = (Place, &'static [(&'static str, Option<&'static str>)]);

/// Lists below a container.
const OF_CONTAINER: &[Keyed] = &[
    (&["env"], &[("name", None)]),
    (&["ports"], &[("containerPort", None), ("protocol", Some("TCP"))]),
    (&["volumeDevices"], &[("devicePath", None)]),
    (&["volumeMounts"], &[("mountPath", None)]),
];

/// Lists below a pod's spec.
const OF_POD: &[Keyed] = &[
    (&["containers"], &[("name", None)]),
    (&["ephemeralContainers"], &[("name", None)]),
    (&["hostAliases"], &[("ip", None)]),
    (&["imagePullSecrets"], &[("name", None)]),
    (&["initContainers"], &[("name", None)]),
    (&["resourceClaims"], &[("name", None)]),
    (&["schedulingGates"], &[("name", None)]),
    (&["topologySpreadConstraints"], &[("topologyKey", None), ("whenUnsatisfiable", None)]),
    (&["volumes"], &[("name", None)]),
];

fn own(of: Type<'_>) -> &'static [Keyed] {
    match (of.group, of.kind) {
        ("", "Service") => &[(&["spec", "ports"], &[("port", None), ("protocol", Some("TCP"))])],
        ("", "ServiceAccount") => &[(&["secrets"], &[("name", None)])],
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration") => {
            &[(&["webhooks"], &[("name", None)])]
        }
        _ => &[],
    }
}

/// A problem for each item that has the keys of an earlier one.
pub fn problems(of: Type<'_>, spec: &Map) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut look = |place: &[&str], keys: &[(&str, Option<&str>)]| {
        at_places(spec, place, &mut |pointer, list| of_list(pointer, list, keys, &mut problems));
    };
    for (place, keys) in own(of) {
        look(place, keys);
    }
    if let Some(pod) = pod_spec_path(of) {
        for (place, keys) in OF_POD {
            look(&[pod, *place].concat(), keys);
        }
        for containers in ["containers", "initContainers", "ephemeralContainers"] {
            for (place, keys) in OF_CONTAINER {
                look(&[pod, &[containers, "*"], *place].concat(), keys);
            }
        }
    }
    problems
}

fn of_list(pointer: &str, list: &Value, keys: &[(&str, Option<&str>)], problems: &mut Vec<Problem>) {
    let Some(items) = list.as_list() else { return };
    let key_of = |item: &Value| {
        let value = |(key, default): &(&str, Option<&str>)| match item.get(key) {
            Some(value) if value.has_deferred() => None,
            Some(value) if !value.is_null() => Some(value.clone()),
            _ => default.map(Value::from),
        };
        keys.iter().map(value).collect::<Option<Vec<Value>>>()
    };
    let mut seen: Vec<Vec<Value>> = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let Some(key) = key_of(item) else { continue };
        if seen.contains(&key) {
            let told: Vec<String> =
                keys.iter().zip(&key).map(|((name, _), value)| format!("`{name}: {}`", text(value))).collect();
            let message = format!(
                "`{}` has two items with {}, and the server refuses that",
                readable_pointer(pointer),
                told.join(" and ")
            );
            problems.push(Problem::error(format!("{pointer}/{index}"), message).help("remove one of them"));
        } else {
            seen.push(key);
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_json().to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(object: serde_json::Value) -> Vec<String> {
        let Value::Map(spec) = Value::from(object) else { panic!("a map") };
        let of = Type::of(&spec).expect("a type");
        problems(of, &spec).into_iter().map(|problem| format!("{} {}", problem.pointer, problem.message)).collect()
    }

    #[test]
    fn items_with_the_same_keys_are_found_and_others_are_not() {
        let job = |container: serde_json::Value| {
            json!({
                "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "j", "namespace": "a"},
                "spec": {"jobTemplate": {"spec": {"template": {"spec": {"initContainers": [container]}}}}},
            })
        };
        let at = "/spec/jobTemplate/spec/template/spec/initContainers/0";
        let env =
            json!({"name": "c", "env": [{"name": "A", "value": "1"}, {"name": "B"}, {"name": "A", "value": "2"}]});
        let expected = "`spec.jobTemplate.spec.template.spec.initContainers.0.env` has two items with `name: A`, and the server refuses that";
        assert_eq!(found(job(env)), [format!("{at}/env/2 {expected}")]);
        let ports = json!({"name": "c", "ports": [{"containerPort": 53, "protocol": "UDP"}, {"containerPort": 53}]});
        assert_eq!(found(job(ports)), [""; 0], "DNS has one port of two protocols");
        let ports = json!({"name": "c", "ports": [{"containerPort": 53, "protocol": "TCP"}, {"containerPort": 53}]});
        assert_eq!(found(job(ports)).len(), 1, "the protocol has a default");
        let mounts =
            json!({"name": "c", "volumeMounts": [{"name": "a", "mountPath": "/a"}, {"name": "a", "mountPath": "/b"}]});
        assert_eq!(found(job(mounts)), [""; 0]);
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "a"},
            "spec": {"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 80}]},
        });
        assert_eq!(found(service).len(), 1);
    }
}

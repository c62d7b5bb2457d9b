//! Where objects have fields of a certain meaning: quantities, sets, texts.
//!
//! A place is a list of field names, one below the other; `*` stands for every item of a list or every field of a map.

use std::sync::Arc;

use super::object::{Type, pod_spec_path};
use tenantry_core::model::value::{Map, Value, push_token};

/// A place in an object.
pub type Place = &'static [&'static str];

/// Quantities in a pod's spec (`core/v1`: every field of type `resource.Quantity`).
const POD_QUANTITIES: &[Place] = &[
    &["containers", "*", "env", "*", "valueFrom", "resourceFieldRef", "divisor"],
    &["containers", "*", "resources", "limits", "*"],
    &["containers", "*", "resources", "requests", "*"],
    &["ephemeralContainers", "*", "resources", "limits", "*"],
    &["ephemeralContainers", "*", "resources", "requests", "*"],
    &["initContainers", "*", "env", "*", "valueFrom", "resourceFieldRef", "divisor"],
    &["initContainers", "*", "resources", "limits", "*"],
    &["initContainers", "*", "resources", "requests", "*"],
    &["overhead", "*"],
    &["resources", "limits", "*"],
    &["resources", "requests", "*"],
    &["volumes", "*", "downwardAPI", "items", "*", "resourceFieldRef", "divisor"],
    &["volumes", "*", "emptyDir", "sizeLimit"],
    &["volumes", "*", "ephemeral", "volumeClaimTemplate", "spec", "resources", "limits", "*"],
    &["volumes", "*", "ephemeral", "volumeClaimTemplate", "spec", "resources", "requests", "*"],
    &["volumes", "*", "projected", "sources", "*", "downwardAPI", "items", "*", "resourceFieldRef", "divisor"],
];

/// Lists in a pod's spec whose order means nothing.
const POD_SETS: &[Place] = &[
    &["containers", "*", "securityContext", "capabilities", "add"],
    &["containers", "*", "securityContext", "capabilities", "drop"],
    &["initContainers", "*", "securityContext", "capabilities", "add"],
    &["initContainers", "*", "securityContext", "capabilities", "drop"],
];

/// Texts in a pod's spec for which YAML easily has a number or a boolean.
const POD_TEXTS: &[Place] = &[
    &["containers", "*", "args", "*"],
    &["containers", "*", "command", "*"],
    &["containers", "*", "env", "*", "value"],
    &["initContainers", "*", "args", "*"],
    &["initContainers", "*", "command", "*"],
    &["initContainers", "*", "env", "*", "value"],
    &["nodeSelector", "*"],
    &["tolerations", "*", "value"],
];

/// Fields of a pod's spec that take a number, or a text that is not only digits (a port's name, a percentage).
const POD_INT_OR_STRING: &[Place] = &[
    &["containers", "*", "livenessProbe", "httpGet", "port"],
    &["containers", "*", "livenessProbe", "tcpSocket", "port"],
    &["containers", "*", "readinessProbe", "httpGet", "port"],
    &["containers", "*", "readinessProbe", "tcpSocket", "port"],
    &["containers", "*", "startupProbe", "httpGet", "port"],
    &["containers", "*", "startupProbe", "tcpSocket", "port"],
];

/// File modes in a pod's spec: octal by custom, decimal in YAML 1.2 unless written `0o644`.
const POD_MODES: &[Place] = &[
    &["volumes", "*", "configMap", "defaultMode"],
    &["volumes", "*", "configMap", "items", "*", "mode"],
    &["volumes", "*", "projected", "defaultMode"],
    &["volumes", "*", "secret", "defaultMode"],
    &["volumes", "*", "secret", "items", "*", "mode"],
];

/// Names that every resource list knows; of a custom resource no other field is taken for a quantity.
const RESOURCES: [&str; 4] = ["cpu", "ephemeral-storage", "memory", "storage"];

/// Places of one meaning: those of the object itself, and those below its pod's spec.
pub struct Places {
    own: fn(Type<'_>) -> &'static [Place],
    pod: &'static [Place],
}

pub const QUANTITIES: Places = Places { own: quantities, pod: POD_QUANTITIES };
/// Bytes in base64.
pub const BYTES: Places = Places { own: bytes, pod: &[] };
pub const SETS: Places = Places { own: sets, pod: POD_SETS };
pub const TEXTS: Places = Places { own: texts, pod: POD_TEXTS };
pub const INT_OR_STRING: Places = Places { own: int_or_string, pod: POD_INT_OR_STRING };
pub const MODES: Places = Places { own: |_| &[], pod: POD_MODES };

fn quantities(of: Type<'_>) -> &'static [Place] {
    match (of.group, of.kind) {
        ("", "ResourceQuota") => &[&["spec", "hard", "*"]],
        ("", "LimitRange") => &[
            &["spec", "limits", "*", "default", "*"],
            &["spec", "limits", "*", "defaultRequest", "*"],
            &["spec", "limits", "*", "max", "*"],
            &["spec", "limits", "*", "maxLimitRequestRatio", "*"],
            &["spec", "limits", "*", "min", "*"],
        ],
        ("", "PersistentVolumeClaim") => {
            &[&["spec", "resources", "limits", "*"], &["spec", "resources", "requests", "*"]]
        }
        ("", "PersistentVolume") => &[&["spec", "capacity", "*"]],
        ("apps", "StatefulSet") => &[
            &["spec", "volumeClaimTemplates", "*", "spec", "resources", "limits", "*"],
            &["spec", "volumeClaimTemplates", "*", "spec", "resources", "requests", "*"],
        ],
        ("autoscaling", "HorizontalPodAutoscaler") => &[
            &["spec", "metrics", "*", "containerResource", "target", "averageValue"],
            &["spec", "metrics", "*", "external", "target", "averageValue"],
            &["spec", "metrics", "*", "external", "target", "value"],
            &["spec", "metrics", "*", "object", "target", "averageValue"],
            &["spec", "metrics", "*", "object", "target", "value"],
            &["spec", "metrics", "*", "pods", "target", "averageValue"],
            &["spec", "metrics", "*", "resource", "target", "averageValue"],
        ],
        ("node.k8s.io", "RuntimeClass") => &[&["overhead", "podFixed", "*"]],
        ("storage.k8s.io", "CSIStorageCapacity") => &[&["capacity"], &["maximumVolumeSize"]],
        _ => &[],
    }
}

fn bytes(of: Type<'_>) -> &'static [Place] {
    match (of.group, of.kind) {
        ("", "ConfigMap") => &[&["binaryData", "*"]],
        ("", "Secret") => &[&["data", "*"]],
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration") => {
            &[&["webhooks", "*", "clientConfig", "caBundle"]]
        }
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            &[&["spec", "conversion", "webhook", "clientConfig", "caBundle"]]
        }
        ("apiregistration.k8s.io", "APIService") => &[&["spec", "caBundle"]],
        ("certificates.k8s.io", "CertificateSigningRequest") => &[&["spec", "request"]],
        _ => &[],
    }
}

fn sets(of: Type<'_>) -> &'static [Place] {
    match (of.group, of.kind) {
        ("rbac.authorization.k8s.io", "Role" | "ClusterRole") => &[
            &["rules", "*", "apiGroups"],
            &["rules", "*", "nonResourceURLs"],
            &["rules", "*", "resourceNames"],
            &["rules", "*", "resources"],
            &["rules", "*", "verbs"],
        ],
        ("networking.k8s.io", "NetworkPolicy") => &[&["spec", "policyTypes"]],
        ("", "PersistentVolumeClaim" | "PersistentVolume") => &[&["spec", "accessModes"]],
        ("", "ResourceQuota") => &[&["spec", "scopes"]],
        _ => &[],
    }
}

fn texts(of: Type<'_>) -> &'static [Place] {
    match (of.group, of.kind) {
        ("", "ConfigMap" | "Secret") => &[&["data", "*"], &["stringData", "*"]],
        ("", "Service") => &[&["spec", "selector", "*"]],
        ("storage.k8s.io", "StorageClass") => &[&["parameters", "*"]],
        ("apps", _) | ("batch", "Job") => &[
            &["spec", "selector", "matchLabels", "*"],
            &["spec", "template", "metadata", "annotations", "*"],
            &["spec", "template", "metadata", "labels", "*"],
        ],
        ("batch", "CronJob") => &[
            &["spec", "jobTemplate", "spec", "template", "metadata", "annotations", "*"],
            &["spec", "jobTemplate", "spec", "template", "metadata", "labels", "*"],
        ],
        _ => &[],
    }
}

fn int_or_string(of: Type<'_>) -> &'static [Place] {
    match (of.group, of.kind) {
        ("", "Service") => &[&["spec", "ports", "*", "targetPort"]],
        ("apps", "Deployment") => &[
            &["spec", "strategy", "rollingUpdate", "maxSurge"],
            &["spec", "strategy", "rollingUpdate", "maxUnavailable"],
        ],
        ("policy", "PodDisruptionBudget") => &[&["spec", "maxUnavailable"], &["spec", "minAvailable"]],
        _ => &[],
    }
}

impl Places {
    fn whole(&self, of: Type<'_>) -> impl Iterator<Item = Vec<&'static str>> {
        let below_pod = pod_spec_path(of).into_iter().flat_map(|path| {
            self.pod.iter().map(move |place| path.iter().chain(place.iter()).copied().collect::<Vec<_>>())
        });
        (self.own)(of).iter().map(|place| place.to_vec()).chain(below_pod)
    }

    /// The object with the values at these places changed.
    pub fn change(&self, of: Type<'_>, object: Value, change: &dyn Fn(&Value) -> Value) -> Value {
        self.whole(of).fold(object, |object, place| changed(&object, &place, change).unwrap_or(object))
    }

    /// Calls `visit` with every value at these places and its pointer.
    pub fn visit<'a>(&self, of: Type<'_>, object: &'a Map, visit: &mut dyn FnMut(&str, &'a Value)) {
        for place in self.whole(of) {
            at_places(object, &place, visit);
        }
    }
}

/// Calls `visit` with every value at one place of an object, and its pointer.
pub fn at_places<'a>(object: &'a Map, place: &[&str], visit: &mut dyn FnMut(&str, &'a Value)) {
    let Some((first, rest)) = place.split_first() else { return };
    if let Some(value) = object.get(first) {
        let mut pointer = String::new();
        push_token(&mut pointer, first);
        visited(value, rest, &mut pointer, visit);
    }
}

/// The value with what stands at a place changed; `None` if there is no such place, so that nothing is copied.
pub fn changed(value: &Value, place: &[&str], change: &dyn Fn(&Value) -> Value) -> Option<Value> {
    let Some((first, rest)) = place.split_first() else {
        let new = change(value);
        return (new != *value).then_some(new);
    };
    match (value, *first) {
        (Value::List(items), "*") => {
            let mut any = false;
            let mut of_item = |item: &Value| {
                let new = changed(item, rest, change);
                any |= new.is_some();
                new.unwrap_or_else(|| item.clone())
            };
            let items: Vec<Value> = items.iter().map(&mut of_item).collect();
            any.then(|| items.into())
        }
        (Value::Map(map), "*") => {
            let mut any = false;
            let mut of_field = |(name, field): (&Arc<str>, &Value)| {
                let new = changed(field, rest, change);
                any |= new.is_some();
                (name.clone(), new.unwrap_or_else(|| field.clone()))
            };
            let fields: Map = map.iter().map(&mut of_field).collect();
            any.then(|| fields.into())
        }
        (Value::Map(map), name) => changed(map.get(name)?, rest, change).map(|new| map.with(name, new).into()),
        _ => None,
    }
}

fn visited<'a>(value: &'a Value, place: &[&str], pointer: &mut String, visit: &mut dyn FnMut(&str, &'a Value)) {
    let Some((first, rest)) = place.split_first() else { return visit(pointer, value) };
    let length = pointer.len();
    let mut below = |name: &str, value: &'a Value, pointer: &mut String| {
        push_token(pointer, name);
        visited(value, rest, pointer, visit);
        pointer.truncate(length);
    };
    match (value, *first) {
        (Value::List(items), "*") => {
            items.iter().enumerate().for_each(|(index, item)| below(&index.to_string(), item, pointer));
        }
        (Value::Map(map), "*") => map.iter().for_each(|(name, field)| below(name, field, pointer)),
        (Value::Map(map), name) => {
            if let Some(field) = map.get(name) {
                below(name, field, pointer);
            }
        }
        _ => {}
    }
}

/// A custom resource with the texts in `resources.limits` and `resources.requests`, wherever these are, changed.
///
/// Numbers stay: the server keeps a custom resource as it was written, and its schema may want an integer.
pub fn change_resource_lists(value: &Value, change: &dyn Fn(&Value) -> Value) -> Value {
    fn list(value: &Value, change: &dyn Fn(&Value) -> Value) -> Value {
        let Value::Map(map) = value else { return value.clone() };
        let field = |(name, value): (&Arc<str>, &Value)| match value {
            Value::Text(_) if RESOURCES.contains(&&**name) => (name.clone(), change(value)),
            other => (name.clone(), other.clone()),
        };
        map.iter().map(field).collect::<Map>().into()
    }
    match value {
        Value::Map(map) => {
            let field = |(name, value): (&Arc<str>, &Value)| {
                let new = match value {
                    Value::Map(resources) if &**name == "resources" => {
                        let lists =
                            ["limits", "requests"].into_iter().filter_map(|name| Some((name, resources.get(name)?)));
                        lists.fold(value.clone(), |all, (name, of)| {
                            all.with_pointer(&format!("/{name}"), list(of, change))
                        })
                    }
                    other => change_resource_lists(other, change),
                };
                (name.clone(), new)
            };
            map.iter().map(field).collect::<Map>().into()
        }
        Value::List(items) => Value::list(items.iter().map(|item| change_resource_lists(item, change))),
        other => other.clone(),
    }
}

//! A secret where everybody who sees the workload can read it.

use super::objects::Objects;
use tenantry_core::diagnostics::codes;
use tenantry_core::model::clear::{can_be_secret, is_name_of_secret, is_secret_by_form};
use tenantry_core::model::config::Level;
use tenantry_core::model::value::{Map, Value};
use tenantry_core::rules::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: codes::SECRET_READABLE,
    level: Level::Warning,
    cause: "ConfigMaps, the variables of a container and annotations are shown to everybody who may look at workloads, in dashboards, in `kubectl describe` and in backups. Only Secrets have rights of their own.",
    example: "
kind: ConfigMap
data: {ADMIN_PASSWORD: \"${secret('admin')}\"}",
    remedy: "Put it into a Secret, and refer to it with `secretKeyRef` or `envFrom`.",
};

pub fn check(objects: &Objects<'_>, findings: &mut Findings<'_>) {
    for map in objects.of("", "ConfigMap") {
        for (key, value) in map.at(&["data"]).and_then(Value::as_map).into_iter().flat_map(Map::iter) {
            if is_secret(key, value) {
                let pointer = format!("/data/{}", escaped(key));
                let message = format!("key `{key}` of a ConfigMap is a secret");
                findings.add(&RULE, map.desired, pointer, message, "put it into a Secret");
            }
        }
    }
    for pod in objects.pods() {
        for container in pod.containers() {
            let variables = container.value.get("env").and_then(Value::as_list).unwrap_or_default();
            for (index, variable) in variables.iter().enumerate() {
                let name = variable.get("name").and_then(Value::as_str).unwrap_or_default();
                if variable.get("value").is_some_and(|value| is_secret(name, value)) {
                    let pointer = format!("{}/env/{index}/value", container.pointer);
                    let message =
                        format!("variable `{name}` of container `{}` is a secret in the clear", container.name);
                    let help = "put it into a Secret, and write `valueFrom: {secretKeyRef: {name: …, key: …}}`";
                    findings.add(&RULE, pod.object.desired, pointer, message, help);
                }
            }
        }
    }
    for object in &objects.all {
        let annotations = object.at(&["metadata", "annotations"]).and_then(Value::as_map);
        for (key, _) in annotations.into_iter().flat_map(Map::iter).filter(|(_, value)| value.has_secret()) {
            let pointer = format!("/metadata/annotations/{}", escaped(key));
            let message = format!("annotation `{key}` is a secret");
            findings.add(&RULE, object.desired, pointer, message, "put it into a Secret");
        }
    }
}

fn is_secret(name: &str, value: &Value) -> bool {
    value.has_secret()
        || value
            .as_str()
            .is_some_and(|text| (is_name_of_secret(name) && can_be_secret(text)) || is_secret_by_form(text))
}

fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
